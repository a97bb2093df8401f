/*
 * Talking to the supervisor.
 */
#include "link.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "loop.h"

enum { READ_BYTES = 64 * 1024 };

/* A supervisor that is stopped, or hangs, still has connections made for it:
 * only an answer tells.  One that turns us away says so, and hangs up. */
static enum err
greet(struct link *l, int wait_ms)
{
	struct json *hello = json_new_object(), *answer = NULL;
	enum err     e;

	json_put_int(hello, "v", 1);
	json_put_text(hello, "cmd", SLICE("ping"));
	if ((e = link_send(l, hello)) == ERR_OK)
		e = link_next(l, wait_ms, &answer);
	if (e == ERR_OK && slice_is(json_text_at(answer, "error"), "FULL"))
		l->seen = 0;    /* it is read again, as answer to the rest */
	json_free(&answer);
	return e;
}

static enum err
why_not(int number)
{
	return number == EACCES || number == EPERM ? ERR_FORBIDDEN
	    : number == EAGAIN                     ? ERR_TIMEOUT
	                                           : ERR_NOT_FOUND;
}

enum err
link_open(struct link *l, const char *run_dir, int wait_ms)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval     limit = { wait_ms / 1000, wait_ms % 1000 * 1000 };
	int                n;
	enum err           e;

	*l = (struct link){ .fd = -1 };
	n = snprintf(at.sun_path, sizeof at.sun_path, "%s/status.sock",
	    run_dir);
	if (n < 0 || (size_t)n >= sizeof at.sun_path)
		return ERR_CONFIG;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return ERR_SYSTEM;
	/* of the connect too, when as many wait as may */
	setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(l->fd, (struct sockaddr *)&at, sizeof at) == 0)
		e = greet(l, wait_ms);
	else
		e = why_not(errno);
	if (e != ERR_OK)
		link_close(l);
	return e;
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
