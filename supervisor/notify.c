/*
 * The socket of sd_notify(3).
 */
#include "notify.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "log.h"

enum { WORDS_MAX = 4096, WORDS_PER_TURN = 64 };

/* They are ours to close, more than there is room for too. */
static void
take_fds(struct cmsghdr *c, struct notify_fds *fds)
{
	size_t all = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < all; i++) {
		int got;

		memcpy(&got, CMSG_DATA(c) + i * sizeof got, sizeof got);
		if (fds->n < KEPT_MAX)
			fds->fd[fds->n++] = got;
		else
			close(got);
	}
}

ssize_t
notify_receive(int fd, char *text, size_t size, pid_t *pid,
    struct notify_fds *fds)
{
	union {
		struct cmsghdr head;
		char           room[CMSG_SPACE(sizeof(struct ucred)) + 256];
	} control;
	struct iovec  iov = { text, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof control };
	struct ucred  who = { 0 };
	ssize_t       n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_TRUNC |
	    MSG_CMSG_CLOEXEC);

	fds->n = 0;
	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c != NULL;
	     c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&who, CMSG_DATA(c), sizeof who);
		else if (c->cmsg_type == SCM_RIGHTS)
			take_fds(c, fds);
	}
	*pid = who.pid;
	return n;
}

void
notify_drop(struct notify_fds *fds)
{
	while (fds->n > 0)
		close(fds->fd[--fds->n]);
}

static void
on_words(void *self, int fd, unsigned what)
{
	struct notify    *y = self;
	struct notify_fds fds;
	char              text[WORDS_MAX];
	pid_t             pid;
	ssize_t           n;

	(void)what;
	for (int i = 0; i < WORDS_PER_TURN; i++) {
		if ((n = notify_receive(fd, text, sizeof text, &pid, &fds)) < 0)
			return;
		if (pid > 0)
			y->heard(y->self, pid, (struct slice){ text,
			    n < WORDS_MAX ? (size_t)n : WORDS_MAX }, &fds);
		notify_drop(&fds);
	}
}

static enum err
bind_at(struct notify *y)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t             mask;
	int                on = 1, bound;

	if (strlen(y->path) >= sizeof at.sun_path)
		return ERR_CONFIG;
	strcpy(at.sun_path, y->path);
	y->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (y->fd < 0 || setsockopt(y->fd, SOL_SOCKET, SO_PASSCRED, &on,
	        sizeof on) < 0)
		return ERR_SYSTEM;
	/* We hold the lock of the run folder. */
	unlink(y->path);
	mask = umask(0177);
	bound = bind(y->fd, (struct sockaddr *)&at, sizeof at);
	umask(mask);
	if (bound < 0) {
		log_error("notify.bind", KV("path", y->path),
		    KV("why", strerror(errno)));
		return ERR_SYSTEM;
	}
	return ERR_OK;
}

enum err
notify_open(struct notify *y, struct loop *loop, const char *run_dir, int fd,
    notify_fn *heard, void *self)
{
	enum err e;

	*y = (struct notify){ .loop = loop, .fd = fd, .heard = heard,
		.self = self };
	if ((y->path = conf_path(run_dir, "notify.sock")) == NULL)
		return ERR_NOMEM;
	if (fd < 0 && (e = bind_at(y)) != ERR_OK)
		return e;
	return loop_watch(loop, y->fd, LOOP_READ, on_words, y);
}

void
notify_close(struct notify *y)
{
	if (y->path == NULL)
		return;
	if (y->fd >= 0) {
		loop_unwatch(y->loop, y->fd);
		close(y->fd);
		unlink(y->path);
	}
	free(y->path);
	y->path = NULL;
}
