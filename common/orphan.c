/*
 * A walk through /proc.
 */
#include "orphan.h"

#include <sys/syscall.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"

static int
open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool
send(int pidfd, int number)
{
	return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) == 0;
}

/* The list is read to its end: what is left of a number that was cut off names a stranger. */
void
orphan_each(pid_t parent, orphan_fn *fn, void *self)
{
	char           path[300];
	DIR           *d;
	struct dirent *e;
	FILE          *list;
	pid_t          pid;

	snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
	if ((d = opendir(path)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%s/children",
		    (int)parent, e->d_name);
		if ((list = fopen(path, "re")) == NULL)
			continue;
		while (fscanf(list, "%d", &pid) == 1)
			fn(self, pid);
		fclose(list);
	}
	closedir(d);
}

struct branch {
	pid_t pid;
	int   fd;       /* its pidfd */
};

/* Still its child, or ours by now.  While the parent is not reaped, its number
 * is its own. */
static bool
is_of(const struct branch *parent, pid_t pid)
{
	char  path[40], text[1024], *p;
	pid_t of = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file_read(path, text, sizeof text);
	if ((p = strrchr(text, ')')) == NULL ||
	    sscanf(p + 1, " %*c %d", &of) != 1)
		return false;
	return of == getpid() ||
	    (of == parent->pid && send(parent->fd, 0));
}

/* By the pidfd, as the number may have gone to a stranger since it was read;
 * its own first, as nobody names them once it is gone. */
static void
kill_tree(void *self, pid_t pid)
{
	struct branch own = { pid, open_pidfd(pid) };

	if (own.fd < 0)
		return;
	if (is_of(self, pid)) {
		orphan_each(pid, kill_tree, &own);
		send(own.fd, SIGKILL);
	}
	close(own.fd);
}

void
orphan_kill(pid_t pid)
{
	struct branch us = { getpid(), -1 };

	kill_tree(&us, pid);
}

bool
orphan_has(pid_t pid, const char *pair)
{
	char   path[40], text[16384];
	size_t n, len = strlen(pair) + 1;

	snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	n = file_read(path, text, sizeof text);
	for (size_t at = 0; at + len <= n + 1; at += strlen(text + at) + 1)
		if (memcmp(text + at, pair, len) == 0)
			return true;
	return false;
}
