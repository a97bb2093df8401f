/*
 * One thread per question, and nothing shared: the name goes in with its
 * first breath, the answer comes out as one write to a pipe.  Who does not want
 * it any more closes his end.
 */
#include "resolve.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK = 256 << 10 };

struct answer {
	char address[INET6_ADDRSTRLEN];   /* "" = none */
	char why[96];
};

/* What the thread owns. */
struct question {
	int      fd;
	unsigned turn;
	char     host[];
};

struct resolve {
	struct loop *loop;
	int          fd;
	resolve_fn  *fn;
	void        *self;
};

bool
resolve_is_address(const char *host)
{
	unsigned char any[16];

	return inet_pton(AF_INET, host, any) == 1 ||
	    inet_pton(AF_INET6, host, any) == 1;
}

/* --- in the thread ---------------------------------------------------------- */

static void
pick(const struct addrinfo *list, unsigned turn, struct answer *a)
{
	const struct addrinfo *at = list;
	unsigned               n = 0;

	for (; at != NULL; at = at->ai_next)
		n++;
	if (n == 0)
		return;
	for (at = list, n = turn % n; n > 0; n--)
		at = at->ai_next;
	getnameinfo(at->ai_addr, at->ai_addrlen, a->address,
	    sizeof a->address, NULL, 0, NI_NUMERICHOST);
}

static void *
ask(void *arg)
{
	struct question *q = arg;
	struct addrinfo  hints = { .ai_socktype = SOCK_STREAM,
		 .ai_flags = AI_ADDRCONFIG }, *list = NULL;
	struct answer    a = { "", "the name has no address" };
	int              e = getaddrinfo(q->host, NULL, &hints, &list);

	if (e == 0) {
		pick(list, q->turn, &a);
		freeaddrinfo(list);
	} else
		snprintf(a.why, sizeof a.why, "no address for the name: %s",
		    gai_strerror(e));
	/* Less than PIPE_BUF: whole, or nobody is there any more. */
	(void)!write(q->fd, &a, sizeof a);
	close(q->fd);
	free(q);
	return NULL;
}

static enum err
start_thread(struct question *q)
{
	pthread_attr_t attr;
	pthread_t      thread;
	int            e;

	if (pthread_attr_init(&attr) != 0)
		return ERR_NOMEM;
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	e = pthread_create(&thread, &attr, ask, q);
	pthread_attr_destroy(&attr);
	return e == 0 ? ERR_OK : ERR_SYSTEM;
}

/* --- outside of it ---------------------------------------------------------- */

static void
on_answer(void *self, int fd, unsigned what)
{
	struct resolve *r = self;
	resolve_fn     *fn = r->fn;
	void           *whose = r->self;
	struct answer   a;

	(void)what;
	if (read(fd, &a, sizeof a) != (ssize_t)sizeof a)
		a = (struct answer){ "", "the question got lost" };
	resolve_cancel(&r);
	fn(whose, a.address[0] != '\0' ? a.address : NULL, a.why);
}

enum err
resolve_start(struct resolve **out, struct loop *loop, const char *host,
    unsigned turn, resolve_fn *fn, void *self)
{
	struct resolve  *r = calloc(1, sizeof *r);
	struct question *q = malloc(sizeof *q + strlen(host) + 1);
	int              ends[2];
	enum err         e = ERR_NOMEM;

	if (r == NULL || q == NULL)
		goto fail;
	e = ERR_SYSTEM;
	if (pipe2(ends, O_CLOEXEC) < 0)
		goto fail;
	*r = (struct resolve){ loop, ends[0], fn, self };
	*q = (struct question){ .fd = ends[1], .turn = turn };
	strcpy(q->host, host);
	if ((e = loop_watch(loop, r->fd, LOOP_READ, on_answer, r)) == ERR_OK &&
	    (e = start_thread(q)) == ERR_OK) {
		*out = r;
		return ERR_OK;
	}
	loop_unwatch(loop, r->fd);
	close(ends[0]);
	close(ends[1]);
fail:
	free(r);
	free(q);
	return e;
}

void
resolve_cancel(struct resolve **rp)
{
	struct resolve *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	loop_unwatch(r->loop, r->fd);
	close(r->fd);
	free(r);
}
