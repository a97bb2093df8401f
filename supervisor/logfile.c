/*
 * Opening, putting aside, giving back.
 */
#include "logfile.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* Into the place of standard error; that it waits for nobody matters where it
 * is a pipe or a terminal. */
static bool
put_in_place(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC, 0640);
	int e;

	if (fd < 0)
		return false;
	if (dup2(fd, STDERR_FILENO) >= 0) {
		close(fd);
		return true;
	}
	e = errno;
	close(fd);
	errno = e;
	return false;
}

static bool
save_given(struct logfile *l)
{
	if (l->given < 0)
		l->given = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC,
		    STDERR_FILENO + 1);
	return l->given >= 0;
}

enum err
logfile_open(struct logfile *l, const struct conf *c)
{
	char *path;

	if (c->log_path[0] == '\0') {
		logfile_close(l);
		return ERR_OK;
	}
	if ((path = strdup(c->log_path)) == NULL)
		return ERR_NOMEM;
	if (!save_given(l) || !put_in_place(path)) {
		log_error("config.bad", KV("setting", "ROOKERY_LOG_PATH"),
		    KV("value", path), KV("why", strerror(errno)),
		    KV("remedy", "name a file in a folder that is there and "
		                 "may be written"));
		free(path);
		if (l->path == NULL)
			logfile_close(l);
		return ERR_CONFIG;
	}
	free(l->path);
	l->path = path;
	l->bytes_max = c->log_kib * 1024;
	l->kept = (unsigned)c->log_kept;
	l->look_at = 0;
	return ERR_OK;
}

void
logfile_close(struct logfile *l)
{
	if (l->given >= 0) {
		dup2(l->given, STDERR_FILENO);
		close(l->given);
	}
	free(l->path);
	l->path = NULL;
	l->given = -1;
}

/* PATH to PATH.1, that to PATH.2; the last is overwritten. */
static bool
put_aside(const struct logfile *l)
{
	size_t size = strlen(l->path) + 16;
	char  *from = malloc(size), *to = malloc(size);
	bool   done = from != NULL && to != NULL;

	for (unsigned n = l->kept; n-- > 0 && done;) {
		snprintf(to, size, "%s.%u", l->path, n + 1);
		if (n > 0)
			snprintf(from, size, "%s.%u", l->path, n);
		else
			snprintf(from, size, "%s", l->path);
		done = rename(from, to) == 0 || errno == ENOENT;
	}
	if (done && l->kept == 0)
		done = unlink(l->path) == 0 || errno == ENOENT;
	free(from);
	free(to);
	return done;
}

bool
logfile_turn(struct logfile *l, size_t more)
{
	struct stat st;
	uint64_t    size;
	int         why;

	if (l->path == NULL || l->bytes_max == 0 ||
	    fstat(STDERR_FILENO, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	size = (uint64_t)st.st_size;
	if (size == 0 || size + more <= l->bytes_max || size < l->look_at)
		return false;
	if (put_aside(l) && put_in_place(l->path)) {
		l->look_at = 0;
		l->turned++;
		return true;
	}
	/* What is open is written on; another try once it is twice as large. */
	why = errno;
	l->look_at = size + l->bytes_max;
	l->failed++;
	log_warn("logfile.turn", KV("file", l->path), KV("why", strerror(why)));
	return false;
}
