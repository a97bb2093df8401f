/*
 * Talking to the supervisor.
 */
#include "link.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "loop.h"

enum { READ_BYTES = 64 * 1024 };

enum err
link_open(struct link *l, const char *run_dir)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int                n;

	*l = (struct link){ .fd = -1 };
	n = snprintf(at.sun_path, sizeof at.sun_path, "%s/status.sock",
	    run_dir);
	if (n < 0 || (size_t)n >= sizeof at.sun_path)
		return ERR_CONFIG;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return ERR_SYSTEM;
	if (connect(l->fd, (struct sockaddr *)&at, sizeof at) == 0)
		return ERR_OK;
	n = errno;
	link_close(l);
	return n == EACCES || n == EPERM ? ERR_FORBIDDEN : ERR_NOT_FOUND;
}

void
link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	buf_free(&l->in);
	*l = (struct link){ .fd = -1 };
}

enum err
link_send(struct link *l, struct json *doc)
{
	struct buf text = { 0 };
	size_t     done = 0;
	enum err   e = doc != NULL ? ERR_OK : ERR_NOMEM;

	json_write(doc, &text);
	buf_puts(&text, "\n");
	json_free(&doc);
	if (text.failed)
		e = ERR_NOMEM;
	while (e == ERR_OK && done < text.n) {
		ssize_t n = send(l->fd, text.p + done, text.n - done,
		    MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (errno == EPIPE)
			break;  /* it may have said why: to be read */
		else if (errno != EINTR)
			e = ERR_CLOSED;
	}
	buf_free(&text);
	return e;
}

/* One line of what is there already. */
static enum err
take_line(struct link *l, struct json **doc)
{
	char    *nl;
	size_t   n;
	enum err e;

	buf_drop(&l->in, l->seen);
	l->seen = 0;
	if (l->in.n == 0 || (nl = memchr(l->in.p, '\n', l->in.n)) == NULL)
		return ERR_AGAIN;
	n = (size_t)(nl - l->in.p);
	e = json_parse(doc, (struct slice){ l->in.p, n });
	l->seen = n + 1;
	return e;
}

enum err
link_next(struct link *l, int wait_ms, struct json **doc)
{
	uint64_t until = loop_clock_ms() + (uint64_t)(wait_ms > 0 ? wait_ms
	                                                          : 0);
	enum err e;

	while ((e = take_line(l, doc)) == ERR_AGAIN) {
		struct pollfd p = { .fd = l->fd, .events = POLLIN };
		uint64_t      now = loop_clock_ms();
		char         *to = buf_room(&l->in, READ_BYTES);
		int           left = wait_ms < 0 ? -1
		    : until > now ? (int)(until - now) : 0;
		ssize_t       n;

		if (to == NULL)
			return ERR_NOMEM;
		n = poll(&p, 1, left);
		if (n == 0)
			return ERR_TIMEOUT;
		n = n > 0 ? read(l->fd, to, READ_BYTES) : -1;
		if (n > 0)
			l->in.n += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return ERR_CLOSED;
	}
	return e;
}
