/*
 * Bulk writing to standard error.
 */
#include "output.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "json.h"
#include "lines.h"
#include "log.h"

/* What a pipe or terminal that polls as writable takes without waiting. */
enum { SAFE_BYTES = 4096 };

/* O_NONBLOCK belongs to the open file, which we share with the shell that
 * started us; so it is opened anew.  Where that is refused, output_flush() asks
 * before each small write. */
static bool
make_nonblocking(void)
{
	struct stat st;
	int         fd;

	if (fstat(STDERR_FILENO, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode))
		return true;             /* never waits */
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return false;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC);
	if (fd < 0)
		return false;
	if (dup2(fd, STDERR_FILENO) < 0) {
		close(fd);
		return false;
	}
	close(fd);
	return true;
}

static void
unwatch(struct output *o)
{
	if (o->watched)
		loop_unwatch(o->loop, STDERR_FILENO);
	o->watched = false;
}

enum err
output_reopen(struct output *o, const struct conf *c)
{
	enum err e;

	log_flush();
	output_flush(o);
	unwatch(o);
	if ((e = logfile_open(&o->file, c)) == ERR_OK)
		o->json = strcmp(c->log_format, "json") == 0;
	o->nonblocking = make_nonblocking();
	return e;
}

enum err
output_open(struct output *o, struct loop *loop, const struct conf *c)
{
	*o = (struct output){ .loop = loop, .file.given = -1 };
	return output_reopen(o, c);
}

void
output_give_back(struct output *o)
{
	unwatch(o);
	logfile_close(&o->file);
}

void
output_close(struct output *o)
{
	if (o->loop == NULL)
		return;
	output_flush(o);
	output_give_back(o);
	buf_free(&o->pending);
}

/* Another program's words among JSON lines become one of them. */
static void
put_json(struct output *o, const char *from, struct slice line)
{
	struct json *doc = json_new_object();

	json_put_text(doc, "level", SLICE("info"));
	json_put_text(doc, "program", slice_of(from));
	json_put_text(doc, "event", SLICE("output"));
	json_put_text(doc, "line", line);
	json_write(doc, &o->pending);
	buf_puts(&o->pending, "\n");
	json_free(&doc);
}

void
output_line(struct output *o, const char *from, struct slice line)
{
	if (o->pending.n + line.n > OUTPUT_PENDING_MAX) {
		o->dropped++;
		return;
	}
	if (o->json && slice_starts(line, SLICE("{")) &&
	    lines_is_log(line) && line.p[line.n - 1] == '}') {
		line.n--;
		buf_putf(&o->pending, "%.*s,\"child\":\"%s\"}\n",
		    (int)line.n, line.p, from);
	} else if (lines_is_log(line)) {
		buf_put(&o->pending, line);
		buf_puts(&o->pending, "\n");
	} else if (o->json) {
		put_json(o, from, line);
	} else {
		buf_putf(&o->pending, "%s: %.*s\n", from, (int)line.n,
		    line.n > 0 ? line.p : "");
	}
	if (o->pending.failed) {
		o->dropped++;
		buf_reset(&o->pending);
	}
}

static bool
writable(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void
drop_pending(struct output *o)
{
	for (size_t i = 0; i < o->pending.n; i++)
		o->dropped += o->pending.p[i] == '\n';
	buf_reset(&o->pending);
}

static void
on_writable(void *self, int fd, unsigned what)
{
	(void)fd;
	if (what & LOOP_HANGUP) /* nobody reads: nothing to wait for */
		drop_pending(self);
	output_flush(self);
}

void
output_flush(struct output *o)
{
	size_t  done = 0;
	ssize_t n = 0;

	if (logfile_turn(&o->file, o->pending.n))
		unwatch(o);
	while (done < o->pending.n) {
		size_t left = o->pending.n - done;

		if (!o->nonblocking) {
			if (!writable())
				break;
			left = left < SAFE_BYTES ? left : SAFE_BYTES;
		}
		n = write(STDERR_FILENO, o->pending.p + done, left);
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	if (n < 0 && errno != EAGAIN)
		drop_pending(o);     /* a full disk, a reader that has gone */
	else
		buf_drop(&o->pending, done);
	if (o->pending.n > 0 && !o->watched) {
		o->watched = loop_watch(o->loop, STDERR_FILENO, LOOP_WRITE,
		    on_writable, o) == ERR_OK;
	} else if (o->pending.n == 0) {
		unwatch(o);
	}
}
