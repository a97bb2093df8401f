// links: common
/*
 * loop: order of timers, and callbacks that pull the rug from under others.
 */
#include "test.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop.h"

/* What the callbacks of a test leave behind. */
struct seen {
	struct loop *loop;
	char         order[64];
	size_t       n;
	int          fds[4][2];
	struct timer timers[8];
	unsigned     what;
	int          left;
};

static void
note(struct seen *s, char c)
{
	if (s->n < sizeof s->order - 1)
		s->order[s->n++] = c;
}

static void
seen_open(struct seen *s)
{
	*s = (struct seen){ 0 };
	EXPECT(loop_new(&s->loop) == ERR_OK);
}

static void
turn_until(struct seen *s, size_t n)
{
	uint64_t deadline = loop_clock_ms() + 5000;

	while (s->n < n && loop_clock_ms() < deadline)
		EXPECT(loop_turn(s->loop, 100, NULL) == ERR_OK);
	EXPECT_INT(s->n, n);
}

/* --- timers ----------------------------------------------------------------- */

struct mark {
	struct seen *s;
	struct timer t;
	char         c;
};

static void
on_mark(void *self)
{
	struct mark *m = self;

	note(m->s, m->c);
}

TEST(timers_fire_soonest_first)
{
	static const struct {
		unsigned ms;
		char     c;
	} rows[] = { { 30, 'd' }, { 5, 'b' }, { 20, 'c' }, { 0, 'a' },
		{ 45, 'e' } };
	struct mark marks[5];
	struct seen s;

	seen_open(&s);
	for (size_t i = 0; i < 5; i++) {
		marks[i] = (struct mark){ &s, { 0 }, rows[i].c };
		EXPECT(loop_after(s.loop, &marks[i].t, rows[i].ms, on_mark,
		    &marks[i]) == ERR_OK);
	}
	turn_until(&s, 5);
	EXPECT_STR(s.order, "abcde");
	loop_free(&s.loop);
	EXPECT(s.loop == NULL);
	loop_free(&s.loop);
}

static void
on_never(void *self)
{
	note(self, 'X');
}

static void
on_cancel_others(void *self)
{
	struct seen *s = self;

	note(s, 'c');
	for (int i = 0; i < 8; i++)
		loop_cancel(s->loop, &s->timers[i]);
}

static void
on_again(void *self)
{
	struct seen *s = self;

	note(s, 'r');
	if (--s->left > 0)
		loop_after(s->loop, &s->timers[7], 1, on_again, s);
}

TEST(timers_are_cancelled_and_moved)
{
	struct seen s;

	seen_open(&s);
	/* All due at once: the first takes the others away. */
	loop_after(s.loop, &s.timers[0], 0, on_cancel_others, &s);
	for (int i = 1; i < 8; i++)
		loop_after(s.loop, &s.timers[i], 1, on_never, &s);
	turn_until(&s, 1);
	for (int i = 0; i < 8; i++)
		EXPECT_INT(s.timers[i].slot, 0);
	loop_cancel(s.loop, &s.timers[3]); /* a second time: nothing */
	/* Re-armed, later and sooner; from inside its own callback. */
	loop_after(s.loop, &s.timers[1], 0, on_never, &s);
	loop_after(s.loop, &s.timers[1], 100000, on_never, &s);
	loop_after(s.loop, &s.timers[7], 100000, on_again, &s);
	loop_after(s.loop, &s.timers[7], 1, on_again, &s);
	s.left = 3;
	turn_until(&s, 4);
	EXPECT_STR(s.order, "crrr");
	loop_free(&s.loop);
}

/* The heap against a plain list, at random (the seed is fixed). */
TEST(timers_by_the_hundred)
{
	enum { MANY = 300 };
	static struct timer timers[MANY];
	struct seen  s;
	unsigned     seed = 4711;
	size_t       armed = 0;

	seen_open(&s);
	for (int i = 0; i < 3000; i++) {
		struct timer *t = &timers[rand_r(&seed) % MANY];

		if (rand_r(&seed) % 3 == 0)
			loop_cancel(s.loop, t);
		else
			loop_after(s.loop, t, rand_r(&seed) % 20, on_never, &s);
	}
	for (int i = 0; i < MANY; i++)
		armed += timers[i].slot != 0;
	EXPECT(armed > 100);
	s.n = 0;
	for (uint64_t end = loop_clock_ms() + 5000; armed > 0;) {
		loop_turn(s.loop, 10, NULL);
		armed = 0;
		for (int i = 0; i < MANY; i++) {
			armed += timers[i].slot != 0;
			/* none overdue is left after a turn */
			EXPECT(timers[i].slot == 0 ||
			    timers[i].at_ms > loop_now(s.loop));
		}
		EXPECT(loop_clock_ms() < end);
		if (loop_clock_ms() >= end)
			break;
	}
	loop_free(&s.loop);
}

/* A foreign loop that waits on our descriptor sees timers too. */
TEST(its_descriptor_tells_of_timers)
{
	struct seen   s;
	struct pollfd p;
	struct mark   m = { &s, { 0 }, 't' };

	seen_open(&s);
	p = (struct pollfd){ .fd = loop_fd(s.loop), .events = POLLIN };
	EXPECT_INT(poll(&p, 1, 0), 0);
	loop_after(s.loop, &m.t, 5, on_mark, &m);
	loop_turn(s.loop, 0, NULL);
	EXPECT_INT(poll(&p, 1, 5000), 1);
	loop_turn(s.loop, 0, NULL);
	EXPECT_STR(s.order, "t");
	EXPECT_INT(poll(&p, 1, 0), 0);
	/* moved: it may wake us at the old moment, and must at the new one */
	loop_after(s.loop, &m.t, 5, on_mark, &m);
	loop_turn(s.loop, 0, NULL);
	loop_after(s.loop, &m.t, 50, on_mark, &m);
	for (int n = 0; n < 5 && s.n < 2; n++) {
		loop_turn(s.loop, 0, NULL);
		EXPECT_INT(poll(&p, 1, 5000), 1);
		loop_turn(s.loop, 0, NULL);
	}
	EXPECT_STR(s.order, "tt");
	/* sooner than one that is there no more */
	loop_after(s.loop, &m.t, 100000, on_mark, &m);
	loop_turn(s.loop, 0, NULL);
	loop_cancel(s.loop, &m.t);
	loop_turn(s.loop, 0, NULL);
	loop_after(s.loop, &m.t, 5, on_mark, &m);
	loop_turn(s.loop, 0, NULL);
	EXPECT_INT(poll(&p, 1, 5000), 1);
	loop_turn(s.loop, 0, NULL);
	EXPECT_STR(s.order, "ttt");
	loop_free(&s.loop);
}

/* --- descriptors -------------------------------------------------------------- */

static void
pairs_open(struct seen *s, int n)
{
	for (int i = 0; i < n; i++)
		EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
		    s->fds[i]) == 0);
}

static void
pairs_close(struct seen *s, int n)
{
	for (int i = 0; i < n; i++) {
		close(s->fds[i][0]);
		close(s->fds[i][1]);
	}
}

static void
on_read(void *self, int fd, unsigned what)
{
	struct seen *s = self;
	char         c = '?';

	s->what = what;
	if (read(fd, &c, 1) == 1)
		note(s, c);
	else
		note(s, '.');
}

TEST(descriptors_tell_what_is_true)
{
	struct seen s;

	seen_open(&s);
	pairs_open(&s, 1);
	EXPECT(loop_watch(s.loop, s.fds[0][0], LOOP_READ, on_read, &s) ==
	    ERR_OK);
	EXPECT(write(s.fds[0][1], "x", 1) == 1);
	turn_until(&s, 1);
	EXPECT_INT(s.what, LOOP_READ);
	/* a second call replaces the first */
	EXPECT(loop_watch(s.loop, s.fds[0][0], LOOP_WRITE, on_read, &s) ==
	    ERR_OK);
	EXPECT(write(s.fds[0][1], "y", 1) == 1);
	turn_until(&s, 2);
	EXPECT_INT(s.what, LOOP_WRITE);
	EXPECT(loop_watch(s.loop, s.fds[0][0], LOOP_READ, on_read, &s) ==
	    ERR_OK);
	shutdown(s.fds[0][1], SHUT_RDWR);
	turn_until(&s, 3);
	EXPECT_INT(s.what, LOOP_READ | LOOP_HANGUP);
	EXPECT_STR(s.order, "xy.");
	loop_unwatch(s.loop, s.fds[0][0]);
	loop_unwatch(s.loop, s.fds[0][0]);
	loop_unwatch(s.loop, -1);
	loop_unwatch(s.loop, 100000);
	loop_turn(s.loop, 0, NULL);
	EXPECT_INT(s.n, 3);
	EXPECT(loop_watch(s.loop, -1, LOOP_READ, on_read, &s) != ERR_OK);
	pairs_close(&s, 1);
	EXPECT(loop_watch(s.loop, s.fds[0][0], LOOP_READ, on_read, &s) !=
	    ERR_OK);
	loop_free(&s.loop);
}

/* Whoever comes first drops all others, and their numbers are used again at
 * once: the stale readiness must not reach the new owner. */
static void
on_drop_others(void *self, int fd, unsigned what)
{
	struct seen *s = self;

	(void)what;
	note(s, 'd');
	for (int i = 0; i < 3; i++) {
		loop_unwatch(s->loop, s->fds[i][0]);
		if (s->fds[i][0] == fd)
			continue;
		EXPECT(dup2(s->fds[3][0], s->fds[i][0]) >= 0);
		EXPECT(loop_watch(s->loop, s->fds[i][0], LOOP_READ, on_read,
		    s) == ERR_OK);
	}
}

TEST(descriptors_may_vanish_in_a_callback)
{
	struct seen s;

	seen_open(&s);
	pairs_open(&s, 4); /* the fourth takes the others' numbers */
	for (int i = 0; i < 3; i++) {
		EXPECT(loop_watch(s.loop, s.fds[i][0], LOOP_READ,
		    on_drop_others, &s) == ERR_OK);
		EXPECT(write(s.fds[i][1], "x", 1) == 1);
	}
	turn_until(&s, 1);
	loop_turn(s.loop, 0, NULL);
	EXPECT_STR(s.order, "d");
	pairs_close(&s, 4);
	loop_free(&s.loop);
}

TEST(many_descriptors_leave_more)
{
	enum { MANY = 100 };
	int         fds[MANY][2];
	struct seen s;
	bool        more = false;

	seen_open(&s);
	for (int i = 0; i < MANY; i++) {
		EXPECT(pipe(fds[i]) == 0);
		EXPECT(loop_watch(s.loop, fds[i][1], LOOP_WRITE, on_read,
		    &s) == ERR_OK);
	}
	loop_turn(s.loop, 0, &more);
	EXPECT(more);
	for (int i = 0; i < MANY; i++) {
		loop_unwatch(s.loop, fds[i][1]);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	loop_turn(s.loop, 0, &more);
	EXPECT(!more);
	loop_free(&s.loop);
}

/* --- sources --------------------------------------------------------------------- */

struct queue {
	struct seen *s;
	int          left;
	char         c;
	struct queue *drop;      /* removed when this one is served */
};

static bool
queue_pending(void *self)
{
	struct queue *q = self;

	return q->left > 0;
}

static void
queue_serve(void *self)
{
	struct queue *q = self;

	note(q->s, q->c);
	q->left--;
	if (q->drop != NULL) {
		loop_remove_source(q->s->loop, q->drop);
		q->drop = NULL;
	}
}

TEST(sources_are_asked_before_sleep)
{
	struct seen        s;
	struct queue       a = { &s, 3, 'a', NULL };
	struct loop_source src = { queue_pending, queue_serve, &a };
	bool               more;

	seen_open(&s);
	EXPECT(loop_add_source(s.loop, &src) == ERR_OK);
	for (int i = 0; i < 3; i++) {
		uint64_t start = loop_clock_ms();

		loop_turn(s.loop, 60000, &more); /* must not sleep */
		EXPECT(loop_clock_ms() - start < 5000);
		EXPECT(more == (i < 2));
	}
	EXPECT_STR(s.order, "aaa");
	loop_remove_source(s.loop, &a);
	loop_free(&s.loop);
}

TEST(sources_may_be_removed_while_served)
{
	struct seen  s;
	struct queue b = { &s, 9, 'b', NULL };
	struct queue a = { &s, 9, 'a', &b };
	struct queue c = { &s, 9, 'c', NULL };

	seen_open(&s);
	c.drop = &c; /* itself */
	loop_add_source(s.loop,
	    &(struct loop_source){ queue_pending, queue_serve, &a });
	loop_add_source(s.loop,
	    &(struct loop_source){ queue_pending, queue_serve, &b });
	loop_add_source(s.loop,
	    &(struct loop_source){ queue_pending, queue_serve, &c });
	loop_turn(s.loop, 0, NULL);
	loop_turn(s.loop, 0, NULL);
	EXPECT_STR(s.order, "aca");
	/* back again, after its removal in the same breath */
	loop_remove_source(s.loop, &a);
	loop_add_source(s.loop,
	    &(struct loop_source){ queue_pending, queue_serve, &a });
	loop_turn(s.loop, 0, NULL);
	EXPECT_STR(s.order, "acaa");
	loop_free(&s.loop);
}

/* --- signals ------------------------------------------------------------------------ */

static void
on_usr(void *self, int sig)
{
	note(self, sig == SIGUSR1 ? '1' : sig == SIGUSR2 ? '2' : '?');
}

TEST(signals_come_through_the_loop)
{
	struct seen s;

	seen_open(&s);
	EXPECT(loop_signal(s.loop, SIGUSR1, on_usr, &s) == ERR_OK);
	EXPECT(loop_signal(s.loop, SIGUSR2, on_usr, &s) == ERR_OK);
	EXPECT(loop_signal(s.loop, 0, on_usr, &s) != ERR_OK);
	EXPECT(loop_signal(s.loop, 65, on_usr, &s) != ERR_OK);
	raise(SIGUSR2);
	turn_until(&s, 1);
	raise(SIGUSR1);
	turn_until(&s, 2);
	EXPECT_STR(s.order, "21");
	loop_free(&s.loop);
}

TEST(clocks_go_forward)
{
	struct seen s;
	uint64_t    before;

	seen_open(&s);
	before = loop_now(s.loop);
	loop_turn(s.loop, 5, NULL);
	EXPECT(loop_now(s.loop) >= before + 4);
	EXPECT(loop_now(s.loop) <= loop_clock_ms());
	EXPECT(loop_wall_ms() > 1700000000000);
	loop_free(&s.loop);
}

int
main(void)
{
	RUN(timers_fire_soonest_first);
	RUN(timers_are_cancelled_and_moved);
	RUN(timers_by_the_hundred);
	RUN(its_descriptor_tells_of_timers);
	RUN(descriptors_tell_what_is_true);
	RUN(descriptors_may_vanish_in_a_callback);
	RUN(many_descriptors_leave_more);
	RUN(sources_are_asked_before_sleep);
	RUN(sources_may_be_removed_while_served);
	RUN(signals_come_through_the_loop);
	RUN(clocks_go_forward);
	return test_done();
}
