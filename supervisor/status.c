/*
 * The status socket: accept, check, frame, send, cut off.
 */
#include "status.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"

enum { BACKLOG = 16, READ_BYTES = 4096 };

static void
watch_client(struct client *, bool write);

/* --- sending ------------------------------------------------------------ */

static void
flush(struct client *c)
{
	ssize_t n;

	while (c->out.n > 0 && !c->dead) {
		n = send(c->fd, c->out.p, c->out.n,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			buf_drop(&c->out, (size_t)n);
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			c->dead = true;
	}
	if (!c->dead)
		watch_client(c, c->out.n > 0);
}

void
client_send(struct client *c, struct json *doc)
{
	if (c->dead) {
		json_free(&doc);
		return;
	}
	json_write(doc, &c->out);
	buf_puts(&c->out, "\n");
	if (doc == NULL || c->out.failed || c->out.n > STATUS_UNREAD_MAX) {
		c->dead = true;
		c->status->cut_off++;
		log_warn("status.cut_off", KV("unread", c->out.n));
	}
	json_free(&doc);
	flush(c);
}

/* --- receiving ---------------------------------------------------------- */

static void
take_lines(struct client *c)
{
	char *nl;

	while (!c->dead && c->in.n > 0 &&
	    (nl = memchr(c->in.p, '\n', c->in.n)) != NULL) {
		size_t n = (size_t)(nl - c->in.p);

		c->status->on_line(c->status->self, c,
		    (struct slice){ c->in.p, n });
		buf_drop(&c->in, n + 1);
	}
	if (c->in.n > STATUS_LINE_MAX || c->in.failed) {
		c->status->refused++;
		c->dead = true;
	}
}

static void
on_client(void *self, int fd, unsigned what)
{
	struct client *c = self;
	char           bytes[READ_BYTES];
	ssize_t        n;

	if (what & LOOP_WRITE)
		flush(c);
	if (!(what & LOOP_READ) || c->dead)
		return;
	n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (n > 0) {
		c->spoke_ms = loop_now(c->status->loop);
		buf_put(&c->in, (struct slice){ bytes, (size_t)n });
		take_lines(c);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		c->dead = true;
	}
}

static void
watch_client(struct client *c, bool write)
{
	if (write == c->waits_to_write)
		return;
	c->waits_to_write = write;
	if (loop_watch(c->status->loop, c->fd,
	        write ? LOOP_READ | LOOP_WRITE : LOOP_READ, on_client, c) !=
	    ERR_OK)
		c->dead = true;
}

/* --- arriving, leaving -------------------------------------------------- */

static bool
is_allowed(int fd)
{
	struct ucred who;
	socklen_t    n = sizeof who;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	    (who.uid == 0 || who.uid == geteuid());
}

static void
let_go(struct client *c)
{
	if (c->status->on_gone != NULL)
		c->status->on_gone(c->status->self, c);
	loop_unwatch(c->status->loop, c->fd);
	close(c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	c->fd = -1;
}

/* Of those who wait for nothing, the one silent for longest; NULL: none is
 * silent for long enough. */
static struct client *
idlest(struct status *s)
{
	uint64_t       least = loop_now(s->loop);
	struct client *found = NULL;

	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++) {
		struct client *c = &s->clients[i];

		if (c->job == NULL && c->out.n == 0 && c->spoke_ms < least) {
			least = c->spoke_ms;
			found = c;
		}
	}
	return found != NULL &&
	        least + STATUS_IDLE_MS <= loop_now(s->loop) ? found : NULL;
}

static struct client *
free_place(struct status *s)
{
	struct client *c;

	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++)
		if (s->clients[i].fd < 0)
			return &s->clients[i];
	if ((c = idlest(s)) != NULL) {
		s->gave_way++;
		let_go(c);
	}
	return c;
}

/* As far as it can be told without a place. */
static void
say_full(int fd)
{
	char text[160];
	int  n = snprintf(text, sizeof text, "{\"v\":1,\"ok\":false,"
	    "\"error\":\"FULL\",\"message\":\"all %d connections to the "
	    "supervisor are taken\"}\n", STATUS_CLIENTS_MAX);

	(void)!send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

struct client *
status_take(struct status *s, int fd)
{
	struct client *c = free_place(s);

	if (c == NULL)
		say_full(fd);
	if (c == NULL || !is_allowed(fd) ||
	    loop_watch(s->loop, fd, LOOP_READ, on_client, c) != ERR_OK) {
		s->refused++;
		close(fd);
		return NULL;
	}
	*c = (struct client){ .status = s, .fd = fd,
		.spoke_ms = loop_now(s->loop) };
	return c;
}

static void
on_arrival(void *self, int listener, unsigned what)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (fd >= 0)
		status_take(self, fd);
}

void
status_sweep(struct status *s)
{
	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].dead)
			let_go(&s->clients[i]);
}

static enum err
listen_at(struct status *s, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t             mask;
	int                bound;

	if (strlen(path) >= sizeof at.sun_path)
		return ERR_CONFIG;
	strcpy(at.sun_path, path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return ERR_SYSTEM;
	unlink(path);
	mask = umask(0177);
	bound = bind(s->fd, (struct sockaddr *)&at, sizeof at);
	umask(mask);
	if (bound < 0 || listen(s->fd, BACKLOG) < 0)
		return ERR_SYSTEM;
	s->path = path;
	return loop_watch(s->loop, s->fd, LOOP_READ, on_arrival, s);
}

enum err
status_open(struct status *s, struct loop *loop, const char *path,
    int listener)
{
	enum err e;

	*s = (struct status){ .loop = loop, .fd = listener };
	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	if (listener >= 0) {
		s->path = path;
		return loop_watch(loop, listener, LOOP_READ, on_arrival, s);
	}
	if ((e = listen_at(s, path)) != ERR_OK)
		log_error("status.listen", KV("path", path),
		    KV("why", e == ERR_SYSTEM ? strerror(errno)
		                              : err_text(e)));
	return e;
}

void
status_hide(struct status *s)
{
	if (s->fd >= 0 && s->loop != NULL) {
		loop_unwatch(s->loop, s->fd);
		close(s->fd);
		s->fd = -1;
	}
	if (s->path != NULL)
		unlink(s->path);
	s->path = NULL;
}

void
status_close(struct status *s)
{
	if (s->loop == NULL)
		return;
	status_hide(s);
	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0)
			let_go(&s->clients[i]);
}
