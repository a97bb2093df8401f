/*
 * The few pages of RFC 9112 and 6455 that it takes to talk with a server of
 * our own.
 */
#include "web.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { WAIT_S = 10, CHUNK = 65536, ANSWER_MAX = 16 << 20,
	FRAME_TEXT = 1, FRAME_CLOSE = 8, FRAME_PING = 9, FRAME_PONG = 10,
	FIN = 0x80, MASKED = 0x80, OPCODE = 0x0f, SHORT_MAX = 125 };

bool
web_at(struct web *w, struct slice url)
{
	static const struct slice scheme = { "http://", 7 };
	const char               *end, *colon;
	size_t                    n, skip;

	if (!slice_starts(url, scheme))
		return false;
	url = slice_from(url, scheme.n);
	end = url.n > 0 ? memchr(url.p, '/', url.n) : NULL;
	if (end != NULL)
		url.n = (size_t)(end - url.p);
	colon = url.n > 0 ? memrchr(url.p, ':', url.n) : NULL;
	if (colon == NULL || colon == url.p)
		return false;
	skip = url.p[0] == '[';          /* [::1]:8484 */
	n = (size_t)(colon - url.p);
	if (n < 2 * skip + 1 || n >= sizeof w->host ||
	    url.n - n - 1 >= sizeof w->port)
		return false;
	snprintf(w->host, sizeof w->host, "%.*s", (int)(n - 2 * skip),
	    url.p + skip);
	snprintf(w->port, sizeof w->port, "%.*s", (int)(url.n - n - 1),
	    colon + 1);
	return true;
}

/* --- bytes ------------------------------------------------------------------- */

static enum err
dial(const struct web *w, int *out)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const struct timeval  wait = { .tv_sec = WAIT_S };
	struct addrinfo      *all = NULL;
	int                   fd = -1;

	if (getaddrinfo(w->host, w->port, &hints, &all) != 0)
		return ERR_NOT_FOUND;
	for (struct addrinfo *a = all; a != NULL && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
		if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(all);
	*out = fd;
	return fd >= 0 ? ERR_OK : ERR_NOT_FOUND;
}

static enum err
send_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n > 0)
			s = slice_from(s, (size_t)n);
		else if (errno != EINTR)
			return errno == EAGAIN ? ERR_TIMEOUT : ERR_CLOSED;
	}
	return ERR_OK;
}

static enum err
read_some(int fd, struct buf *in)
{
	char   *to = buf_room(in, CHUNK);
	ssize_t n;

	if (to == NULL)
		return ERR_NOMEM;
	while ((n = recv(fd, to, CHUNK, 0)) < 0 && errno == EINTR)
		continue;
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? ERR_TIMEOUT : ERR_CLOSED;
	in->n += (size_t)n;
	return ERR_OK;
}

static enum err
send_head(int fd, const struct web *w, const char *method, const char *path,
    const char *more, struct slice body)
{
	bool       v6 = strchr(w->host, ':') != NULL;
	struct buf out = { 0 };
	enum err   e;

	buf_putf(&out, "%s %s HTTP/1.1\r\nHost: %s%s%s:%s\r\n%s", method,
	    path, v6 ? "[" : "", w->host, v6 ? "]" : "", w->port, more);
	if (body.n > 0)
		buf_putf(&out, "Content-Type: application/json\r\n"
		    "Content-Length: %zu\r\n", body.n);
	buf_puts(&out, "\r\n");
	buf_put(&out, body);
	e = out.failed ? ERR_NOMEM : send_all(fd, buf_slice(&out));
	buf_free(&out);
	return e;
}

/* --- a request ------------------------------------------------------------------ */

/* Where the head ends; 0: not yet. */
static size_t
head_of(struct slice in)
{
	const char *end = in.n > 0 ? memmem(in.p, in.n, "\r\n\r\n", 4) : NULL;

	return end != NULL ? (size_t)(end - in.p) + 4 : 0;
}

static int
status_of(struct slice in)
{
	return in.n > 12 && slice_starts(in, SLICE("HTTP/1."))
	    ? atoi(in.p + 9) : 0;
}

/* Of the body; SIZE_MAX: all that comes. */
static size_t
length_of(struct slice head)
{
	static const char name[] = "\r\ncontent-length:";

	for (size_t i = 0; i + sizeof name - 1 < head.n; i++)
		if (strncasecmp(head.p + i, name, sizeof name - 1) == 0)
			return strtoul(head.p + i + sizeof name - 1, NULL, 10);
	return SIZE_MAX;
}

/* in: head and body, *head bytes of it the head. */
static enum err
read_answer(int fd, struct buf *in, size_t *head)
{
	size_t   body = SIZE_MAX;
	enum err e = ERR_OK;

	*head = 0;
	while (e == ERR_OK && (*head == 0 || in->n - *head < body)) {
		if (in->n > ANSWER_MAX)
			return ERR_TOO_LARGE;
		e = read_some(fd, in);
		if (*head == 0 && (*head = head_of(buf_slice(in))) > 0)
			body = length_of((struct slice){ in->p, *head });
	}
	return e == ERR_CLOSED && *head > 0 && body == SIZE_MAX ? ERR_OK : e;
}

enum err
web_ask(const struct web *w, const char *method, const char *path,
    const struct json *body, int *status, struct json **answer)
{
	struct buf in = { 0 };
	size_t     head = 0;
	int        fd = -1;
	enum err   e = dial(w, &fd);

	*answer = NULL;
	if (e == ERR_OK)
		e = send_head(fd, w, method, path, "Connection: close\r\n",
		    body != NULL ? json_print(body) : SLICE(""));
	if (e == ERR_OK)
		e = read_answer(fd, &in, &head);
	if (e == ERR_OK) {
		*status = status_of(buf_slice(&in));
		e = json_parse(answer, slice_from(buf_slice(&in), head));
	}
	buf_free(&in);
	if (fd >= 0)
		close(fd);
	return e;
}

/* --- a WebSocket ---------------------------------------------------------------- */

/* The key need not be a secret, nor another one each time: it tells servers
 * from what is none, and ours was named by rookeryd. */
enum err
web_listen(struct web_ear *ear, const struct web *w, const char *path)
{
	size_t   head = 0;
	enum err e;

	*ear = (struct web_ear){ .fd = -1 };
	if ((e = dial(w, &ear->fd)) == ERR_OK)
		e = send_head(ear->fd, w, "GET", path,
		    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
		    "Sec-WebSocket-Version: 13\r\n"
		    "Sec-WebSocket-Key: cm9va2VyeSBjaGF0IGtleQ==\r\n",
		    SLICE(""));
	while (e == ERR_OK && (head = head_of(buf_slice(&ear->in))) == 0)
		e = ear->in.n > CHUNK ? ERR_TOO_LARGE
		                      : read_some(ear->fd, &ear->in);
	if (e == ERR_OK && status_of(buf_slice(&ear->in)) != 101)
		e = ERR_SYNTAX;
	ear->taken = head;
	if (e != ERR_OK)
		web_close(ear);
	return e;
}

void
web_close(struct web_ear *ear)
{
	if (ear->fd >= 0)
		close(ear->fd);
	ear->fd = -1;
	buf_free(&ear->in);
	buf_free(&ear->text);
}

enum err
web_read(struct web_ear *ear)
{
	buf_drop(&ear->in, ear->taken);
	ear->taken = 0;
	return read_some(ear->fd, &ear->in);
}

/* A pong whose mask is 0 has its payload as it is. */
static enum err
answer_ping(struct web_ear *ear, struct slice payload)
{
	const char head[] = { (char)(FIN | FRAME_PONG),
		(char)(MASKED | payload.n), 0, 0, 0, 0 };
	enum err   e = payload.n <= SHORT_MAX ? send_all(ear->fd,
	    (struct slice){ head, sizeof head }) : ERR_CLOSED;

	return e == ERR_OK ? send_all(ear->fd, payload) : e;
}

/* One frame off the front; AGAIN: it is not whole. */
static enum err
take_frame(struct web_ear *ear, unsigned *first, struct slice *payload)
{
	struct slice in = slice_from(buf_slice(&ear->in), ear->taken);
	size_t       head = 2, more;
	uint64_t     n;

	if (in.n < head)
		return ERR_AGAIN;
	*first = (unsigned char)in.p[0];
	n = (unsigned char)in.p[1];
	more = n == 126 ? 2 : n == 127 ? 8 : 0;
	if (n & MASKED)
		return ERR_CLOSED;      /* no server does that */
	if (in.n < head + more)
		return ERR_AGAIN;
	for (size_t i = 0; i < more; i++)
		n = (i == 0 ? 0 : n << 8) | (unsigned char)in.p[head + i];
	if (n > ANSWER_MAX)
		return ERR_TOO_LARGE;
	head += more;
	if (in.n - head < n)
		return ERR_AGAIN;
	*payload = (struct slice){ in.p + head, (size_t)n };
	ear->taken += head + (size_t)n;
	return ERR_OK;
}

enum err
web_next(struct web_ear *ear, struct slice *text)
{
	struct slice payload;
	unsigned     first = 0;
	enum err     e;

	if (ear->whole)
		buf_reset(&ear->text);
	ear->whole = false;
	while ((e = take_frame(ear, &first, &payload)) == ERR_OK) {
		if ((first & OPCODE) == FRAME_CLOSE)
			return ERR_CLOSED;
		if ((first & OPCODE) == FRAME_PING)
			e = answer_ping(ear, payload);
		if (e != ERR_OK)
			return e;
		if ((first & OPCODE) > FRAME_TEXT)
			continue;
		buf_put(&ear->text, payload);
		if (ear->text.failed || ear->text.n > ANSWER_MAX)
			return ERR_TOO_LARGE;
		if (first & FIN) {
			ear->whole = true;
			*text = buf_slice(&ear->text);
			return ERR_OK;
		}
	}
	return e;
}
