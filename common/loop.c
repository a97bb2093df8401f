/*
 * The loop over epoll.  Descriptors are found by number in a table, so a
 * callback may unwatch any descriptor, its own included, at any time.
 */
#include "loop.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

enum { EVENTS_PER_TURN = 64, SIGNALS = 65 };

struct watch {
	loop_fd_fn *fn;
	void       *self;
	unsigned    generation;   /* tells a reused descriptor's stale event */
};

struct loop {
	int               epoll, timerfd, signalfd;
	uint64_t          now_ms, timerfd_at_ms;
	struct watch     *watches;
	size_t            nwatches;
	unsigned          generation;
	struct loop_source *sources;      /* serve NULL: removed */
	size_t            nsources, sources_cap;
	struct timer    **heap;
	size_t            ntimers, heap_cap;
	sigset_t          signals;
	struct {
		loop_signal_fn *fn;
		void           *self;
	} on_signal[SIGNALS];
};

uint64_t
loop_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int64_t
loop_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t
loop_boot_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t
loop_now(const struct loop *l)
{
	return l->now_ms;
}

int
loop_fd(const struct loop *l)
{
	return l->epoll;
}

/* Room for one more element of size `each`; NULL when out of memory. */
static void *
grown(void *array, size_t n, size_t *cap, size_t each)
{
	size_t more = *cap > 0 ? *cap * 2 : 16;
	void  *p;

	if (n < *cap)
		return array;
	if ((p = realloc(array, more * each)) != NULL)
		*cap = more;
	return p;
}

/* --- descriptors ------------------------------------------------------- */

enum err
loop_watch(struct loop *l, int fd, unsigned what, loop_fd_fn *fn, void *self)
{
	struct epoll_event ev = {
		.events = (what & LOOP_READ ? EPOLLIN : 0) |
		          (what & LOOP_WRITE ? EPOLLOUT : 0),
	};
	struct watch *w;
	int           op;

	if (fd < 0)
		return ERR_SYSTEM;
	if ((size_t)fd >= l->nwatches) {
		size_t n = (size_t)fd + 32;

		if ((w = realloc(l->watches, n * sizeof *w)) == NULL)
			return ERR_NOMEM;
		memset(w + l->nwatches, 0, (n - l->nwatches) * sizeof *w);
		l->watches = w;
		l->nwatches = n;
	}
	w = &l->watches[fd];
	op = w->fn != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (op == EPOLL_CTL_ADD)
		w->generation = ++l->generation;
	ev.data.u64 = (uint64_t)w->generation << 32 | (unsigned)fd;
	if (epoll_ctl(l->epoll, op, fd, &ev) < 0)
		return ERR_SYSTEM;
	w->fn = fn;
	w->self = self;
	return ERR_OK;
}

void
loop_unwatch(struct loop *l, int fd)
{
	if (fd < 0 || (size_t)fd >= l->nwatches || l->watches[fd].fn == NULL)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
	l->watches[fd] = (struct watch){ 0 };
}

static void
serve_fd(struct loop *l, const struct epoll_event *ev)
{
	int          fd = (int)(ev->data.u64 & 0xffffffffu);
	struct watch w;
	unsigned     what = 0;

	if ((size_t)fd >= l->nwatches)
		return;
	w = l->watches[fd];
	if (w.fn == NULL || w.generation != ev->data.u64 >> 32)
		return;
	if (ev->events & EPOLLIN)
		what |= LOOP_READ;
	if (ev->events & EPOLLOUT)
		what |= LOOP_WRITE;
	if (ev->events & (EPOLLHUP | EPOLLERR))
		what |= LOOP_HANGUP | LOOP_READ;
	w.fn(w.self, fd, what);
}

/* --- timers: a binary heap, soonest first ------------------------------ */

static void
heap_put(struct loop *l, size_t i, struct timer *t)
{
	l->heap[i] = t;
	t->slot = i + 1;
}

static void
heap_settle(struct loop *l, size_t i, struct timer *t)
{
	while (i > 0 && t->at_ms < l->heap[(i - 1) / 2]->at_ms) {
		heap_put(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		size_t c = 2 * i + 1;

		if (c >= l->ntimers)
			break;
		if (c + 1 < l->ntimers &&
		    l->heap[c + 1]->at_ms < l->heap[c]->at_ms)
			c++;
		if (l->heap[c]->at_ms >= t->at_ms)
			break;
		heap_put(l, i, l->heap[c]);
		i = c;
	}
	heap_put(l, i, t);
}

enum err
loop_after(struct loop *l, struct timer *t, uint64_t after_ms,
    loop_timer_fn *fn, void *self)
{
	size_t at;

	t->at_ms = loop_clock_ms() + after_ms;
	t->fn = fn;
	t->self = self;
	if (t->slot != 0) {
		heap_settle(l, t->slot - 1, t);
		return ERR_OK;
	}
	{
		struct timer **heap = grown(l->heap, l->ntimers, &l->heap_cap,
		    sizeof *heap);

		if (heap == NULL)
			return ERR_NOMEM;
		l->heap = heap;
	}
	at = l->ntimers++;
	heap_settle(l, at, t);
	return ERR_OK;
}

void
loop_cancel(struct loop *l, struct timer *t)
{
	size_t at = t->slot;

	if (at == 0)
		return;
	t->slot = 0;
	l->ntimers--;
	if (at - 1 < l->ntimers)
		heap_settle(l, at - 1, l->heap[l->ntimers]);
}

static void
serve_timers(struct loop *l)
{
	while (l->ntimers > 0 && l->heap[0]->at_ms <= l->now_ms) {
		struct timer *t = l->heap[0];

		loop_cancel(l, t);
		t->fn(t->self);
	}
}

/* The timerfd makes the soonest timer visible to a foreign loop that waits
 * on our descriptor.  One that rings too early is set anew then: most timers
 * are cancelled or moved before they ring. */
static void
arm_timerfd(struct loop *l)
{
	uint64_t          at = l->ntimers > 0 ? l->heap[0]->at_ms : 0;
	struct itimerspec when = { 0 };

	if (at == 0 || (l->timerfd_at_ms != 0 && l->timerfd_at_ms <= at))
		return;
	l->timerfd_at_ms = at;
	when.it_value.tv_sec = (time_t)(at / 1000);
	when.it_value.tv_nsec = (long)(at % 1000) * 1000000;
	timerfd_settime(l->timerfd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void
on_timerfd(void *self, int fd, unsigned what)
{
	struct loop *l = self;
	uint64_t     times;

	(void)what;
	if (read(fd, &times, sizeof times) == sizeof times)
		l->timerfd_at_ms = 0;
}

/* --- sources that must be asked ------------------------------------------- */

enum err
loop_add_source(struct loop *l, const struct loop_source *src)
{
	struct loop_source *all = grown(l->sources, l->nsources,
	    &l->sources_cap, sizeof *all);

	if (all == NULL)
		return ERR_NOMEM;
	l->sources = all;
	all[l->nsources++] = *src;
	return ERR_OK;
}

void
loop_remove_source(struct loop *l, const void *self)
{
	for (size_t i = 0; i < l->nsources; i++)
		if (l->sources[i].self == self)
			l->sources[i].serve = NULL; /* swept after the turn */
}

static void
serve_sources(struct loop *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->nsources; i++) {
		struct loop_source src = l->sources[i];

		if (src.serve != NULL && src.pending(src.self))
			src.serve(src.self);
	}
	for (size_t i = 0; i < l->nsources; i++)
		if (l->sources[i].serve != NULL)
			l->sources[kept++] = l->sources[i];
	l->nsources = kept;
}

static bool
sources_pending(struct loop *l)
{
	bool pending = false;

	for (size_t i = 0; i < l->nsources; i++)
		if (l->sources[i].serve != NULL)
			pending |= l->sources[i].pending(l->sources[i].self);
	return pending;
}

/* --- signals ------------------------------------------------------------ */

static void
on_signalfd(void *self, int fd, unsigned what)
{
	struct loop            *l = self;
	struct signalfd_siginfo si;

	(void)what;
	while (read(fd, &si, sizeof si) == sizeof si)
		if (si.ssi_signo < SIGNALS && l->on_signal[si.ssi_signo].fn)
			l->on_signal[si.ssi_signo].fn(
			    l->on_signal[si.ssi_signo].self,
			    (int)si.ssi_signo);
}

enum err
loop_signal(struct loop *l, int signal, loop_signal_fn *fn, void *self)
{
	int fd;

	if (signal <= 0 || signal >= SIGNALS)
		return ERR_SYSTEM;
	sigaddset(&l->signals, signal);
	sigprocmask(SIG_BLOCK, &l->signals, NULL);
	fd = signalfd(l->signalfd, &l->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return ERR_SYSTEM;
	l->on_signal[signal].fn = fn;
	l->on_signal[signal].self = self;
	if (l->signalfd >= 0)
		return ERR_OK;
	l->signalfd = fd;
	return loop_watch(l, fd, LOOP_READ, on_signalfd, l);
}

/* --- the turn ----------------------------------------------------------- */

enum err
loop_turn(struct loop *l, int wait_ms, bool *more)
{
	struct epoll_event ev[EVENTS_PER_TURN];
	int                n;

	arm_timerfd(l);
	if (wait_ms != 0)
		log_flush();
	if (wait_ms != 0 && sources_pending(l))
		wait_ms = 0;
	n = epoll_wait(l->epoll, ev, EVENTS_PER_TURN, wait_ms);
	if (n < 0 && errno != EINTR)
		return ERR_SYSTEM;
	l->now_ms = loop_clock_ms();
	for (int i = 0; i < n; i++)
		serve_fd(l, &ev[i]);
	serve_sources(l);
	serve_timers(l);
	arm_timerfd(l);
	log_flush();
	if (more != NULL)
		*more = n == EVENTS_PER_TURN || sources_pending(l);
	return ERR_OK;
}

enum err
loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof *l);
	enum err     e = ERR_SYSTEM;

	if (l == NULL)
		return ERR_NOMEM;
	sigemptyset(&l->signals);
	l->signalfd = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timerfd = timerfd_create(CLOCK_MONOTONIC,
	    TFD_CLOEXEC | TFD_NONBLOCK);
	l->now_ms = loop_clock_ms();
	if (l->epoll < 0 || l->timerfd < 0 ||
	    (e = loop_watch(l, l->timerfd, LOOP_READ, on_timerfd, l)) !=
	        ERR_OK) {
		loop_free(&l);
		return e;
	}
	*out = l;
	log_hold(true);
	return ERR_OK;
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (l == NULL)
		return;
	*lp = NULL;
	log_hold(false);
	if (l->signalfd >= 0)
		close(l->signalfd);
	if (l->timerfd >= 0)
		close(l->timerfd);
	if (l->epoll >= 0)
		close(l->epoll);
	free(l->watches);
	free(l->sources);
	free(l->heap);
	free(l);
}
