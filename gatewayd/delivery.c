/*
 * Queues by conversation, credit by worker.  An event is QUEUED (or DELAYED)
 * in its conversation's queue, or IN_FLIGHT as the head of it, or DONE and
 * merely remembered.  A conversation stands in the turn list exactly when its
 * head may go out.
 */
#include "delivery.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUCKETS = 1 << 15,
	ALONE_FROM = 3,          /* attempt from which an event goes alone */
	RETRY_MS = 200,          /* after a failed attempt, times its number */
};

enum entry_state { QUEUED, DELAYED, IN_FLIGHT, DONE };

struct conv;

struct entry {
	struct entry           *chain;        /* in its hash bucket */
	struct entry           *next;         /* in its conversation */
	struct entry           *older, *newer;/* list by state: see list */
	struct conv            *conv;
	struct delivery_worker *worker;
	uint64_t                came_ms, due_ms;
	enum entry_state        state;
	unsigned                attempt;
	unsigned                hash;
	size_t                  id_n, type_n, body_n;
	char                   *body;         /* freed when done */
	char                   *type;         /* freed when done */
	char                    id[];
};

struct conv {
	struct conv  *chain, *turn;
	struct entry *head, *tail;
	bool          in_turn;
	unsigned      hash;
	size_t        name_n;
	char          name[];
};

struct list {
	struct entry *oldest, *newest;
	uint64_t      n;
};

struct delivery_worker {
	struct delivery_worker *next;
	char                   *peer, *name, *handler, *patterns;
	size_t                  peer_n;
	uint64_t                pid, window, in_flight, done, timeout_ms;
	uint64_t                since_ms, heard_ms;
	const struct entry     *kept_for;     /* gets no other meanwhile */
	bool                    want_raw, late, alone;
};

struct delivery {
	struct delivery_limits  limits;
	struct delivery_counts  counts;
	struct entry           *entries[BUCKETS];
	struct conv            *convs[BUCKETS];
	struct conv            *turn_first, *turn_last;
	struct list             waiting, delayed, flying, finished;
	struct delivery_worker *workers;
	void                  (*on_dead)(void *, const struct delivery_dead *);
	void                   *dead_self;
};

/* --- lists ---------------------------------------------------------------------- */

static void
list_put(struct list *l, struct entry *e)
{
	e->older = l->newest;
	e->newer = NULL;
	if (l->newest != NULL)
		l->newest->newer = e;
	else
		l->oldest = e;
	l->newest = e;
	l->n++;
}

static void
list_cut(struct list *l, struct entry *e)
{
	*(e->older != NULL ? &e->older->newer : &l->oldest) = e->newer;
	*(e->newer != NULL ? &e->newer->older : &l->newest) = e->older;
	l->n--;
}

static struct list *
list_of(struct delivery *d, enum entry_state s)
{
	switch (s) {
	case QUEUED:
		return &d->waiting;
	case DELAYED:
		return &d->delayed;
	case IN_FLIGHT:
		return &d->flying;
	case DONE:
		break;
	}
	return &d->finished;
}

static void
entry_become(struct delivery *d, struct entry *e, enum entry_state to)
{
	list_cut(list_of(d, e->state), e);
	e->state = to;
	list_put(list_of(d, to), e);
	d->counts.in_flight = d->flying.n;
}

/* --- finding -------------------------------------------------------------------- */

static struct entry *
entry_find(struct delivery *d, struct slice id)
{
	unsigned      h = slice_hash(id);
	struct entry *e = d->entries[h % BUCKETS];

	while (e != NULL && (e->hash != h ||
	           !slice_eq((struct slice){ e->id, e->id_n }, id)))
		e = e->chain;
	return e;
}

static struct conv *
conv_get(struct delivery *d, struct slice name)
{
	unsigned      h = slice_hash(name);
	struct conv **at = &d->convs[h % BUCKETS], *c;

	for (c = *at; c != NULL; c = c->chain)
		if (c->hash == h &&
		    slice_eq((struct slice){ c->name, c->name_n }, name))
			return c;
	if ((c = calloc(1, sizeof *c + name.n)) == NULL)
		return NULL;
	c->hash = h;
	c->name_n = name.n;
	if (name.n > 0)
		memcpy(c->name, name.p, name.n);
	c->chain = *at;
	*at = c;
	return c;
}

static void
conv_free_if_empty(struct delivery *d, struct conv *c)
{
	struct conv **at = &d->convs[c->hash % BUCKETS];

	if (c->head != NULL || c->in_turn)
		return;
	while (*at != c)
		at = &(*at)->chain;
	*at = c->chain;
	free(c);
}

/* --- turns ---------------------------------------------------------------------- */

static void
turn_put(struct delivery *d, struct conv *c)
{
	if (c->in_turn || c->head == NULL || c->head->state != QUEUED)
		return;
	c->in_turn = true;
	c->turn = NULL;
	if (d->turn_last != NULL)
		d->turn_last->turn = c;
	else
		d->turn_first = c;
	d->turn_last = c;
}

static struct conv *
turn_take(struct delivery *d)
{
	struct conv *c = d->turn_first;

	if (c == NULL)
		return NULL;
	d->turn_first = c->turn;
	if (c->turn == NULL)
		d->turn_last = NULL;
	c->turn = NULL;
	c->in_turn = false;
	return c;
}

/* --- the life of an entry ----------------------------------------------------------- */

static void
entry_free(struct delivery *d, struct entry *e)
{
	struct entry **at = &d->entries[e->hash % BUCKETS];

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	list_cut(list_of(d, e->state), e);
	free(e->body);
	free(e->type);
	free(e);
}

static struct entry *
entry_new(struct slice id, struct slice type, struct slice body,
    uint64_t now_ms)
{
	struct entry *e = calloc(1, sizeof *e + id.n);

	if (e == NULL)
		return NULL;
	e->body = slice_dup(body);
	e->type = slice_dup(type);
	if (e->body == NULL || e->type == NULL) {
		free(e->body);
		free(e->type);
		free(e);
		return NULL;
	}
	if (id.n > 0)
		memcpy(e->id, id.p, id.n);
	e->id_n = id.n;
	e->type_n = type.n;
	e->body_n = body.n;
	e->hash = slice_hash(id);
	e->came_ms = now_ms;
	return e;
}

enum err
delivery_append(struct delivery *d, struct slice id, struct slice conv,
    struct slice type, struct slice body, uint64_t now_ms)
{
	struct entry *e;
	struct conv  *c;

	if (entry_find(d, id) != NULL) {
		d->counts.duplicates++;
		return ERR_DUPLICATE;
	}
	if (d->counts.events >= d->limits.events ||
	    d->counts.bytes + body.n > d->limits.bytes) {
		d->counts.refused++;
		return ERR_FULL;
	}
	if ((c = conv_get(d, conv)) == NULL)
		return ERR_NOMEM;
	if ((e = entry_new(id, type, body, now_ms)) == NULL) {
		conv_free_if_empty(d, c);
		return ERR_NOMEM;
	}
	e->conv = c;
	e->chain = d->entries[e->hash % BUCKETS];
	d->entries[e->hash % BUCKETS] = e;
	list_put(&d->waiting, e);
	*(c->tail != NULL ? &c->tail->next : &c->head) = e;
	c->tail = e;
	d->counts.appended++;
	d->counts.events++;
	d->counts.bytes += body.n;
	turn_put(d, c);
	return ERR_OK;
}

bool
delivery_has_room(const struct delivery *d)
{
	return d->counts.events < d->limits.events / 4 * 3 &&
	    d->counts.bytes < d->limits.bytes / 4 * 3;
}

static void
worker_release(struct entry *e)
{
	if (e->worker == NULL)
		return;
	e->worker->in_flight--;
	e->worker->alone = false;
	e->worker = NULL;
}

static void
unkeep(struct delivery *d, const struct entry *e)
{
	for (struct delivery_worker *w = d->workers; w != NULL; w = w->next)
		if (w->kept_for == e)
			w->kept_for = NULL;
}

/* Only the head of a conversation is ever in flight, so only it finishes. */
static void
entry_finish(struct delivery *d, struct entry *e)
{
	struct conv *c = e->conv;

	worker_release(e);
	unkeep(d, e);
	c->head = e->next;
	if (c->head == NULL)
		c->tail = NULL;
	d->counts.events--;
	d->counts.bytes -= e->body_n;
	free(e->body);
	free(e->type);
	e->body = e->type = NULL;
	e->next = NULL;
	e->conv = NULL;
	entry_become(d, e, DONE);
	turn_put(d, c);
	conv_free_if_empty(d, c);
	while (d->finished.n > d->limits.remembered)
		entry_free(d, d->finished.oldest);
}

static void
entry_die(struct delivery *d, struct entry *e, struct slice why)
{
	struct delivery_dead dead = { { e->id, e->id_n },
		{ e->conv->name, e->conv->name_n }, { e->type, e->type_n },
		why, e->attempt };

	d->counts.dead++;
	if (d->on_dead != NULL)
		d->on_dead(d->dead_self, &dead);
	entry_finish(d, e);
}

/* Back to the head of its queue, to be tried again after a while. */
static void
entry_again(struct delivery *d, struct entry *e, uint64_t after_ms,
    struct slice why, uint64_t now_ms)
{
	worker_release(e);
	if (e->attempt >= d->limits.attempts) {
		entry_die(d, e, why);
		return;
	}
	d->counts.redelivered++;
	e->due_ms = now_ms + after_ms;
	entry_become(d, e, after_ms > 0 ? DELAYED : QUEUED);
	turn_put(d, e->conv);
}

/* --- offering ------------------------------------------------------------------------ */

static bool
matches(const char *patterns, struct slice type)
{
	while (*patterns != '\0') {
		size_t       n = strcspn(patterns, " ");
		struct slice p = { patterns, n };

		if (slice_is(p, "*") || slice_eq(p, type))
			return true;
		if (n > 2 && p.p[n - 1] == '*' && p.p[n - 2] == '.' &&
		    slice_starts(type, (struct slice){ p.p, n - 1 }))
			return true;
		patterns += n + (patterns[n] == ' ');
	}
	return false;
}

/* The worker with most free credit that wants it.  An event that has failed
 * several times goes alone, so that it cannot take its neighbours with it; the
 * least busy worker is kept for it, or it might wait for ever. */
static struct delivery_worker *
pick(struct delivery *d, const struct entry *e)
{
	bool                    alone = e->attempt + 1 >= ALONE_FROM;
	bool                    kept = false;
	struct delivery_worker *best = NULL, *least = NULL;
	uint64_t                most = 0;

	for (struct delivery_worker *w = d->workers; w != NULL; w = w->next) {
		uint64_t room = w->window > w->in_flight
		    ? w->window - w->in_flight
		    : 0;

		if (w->alone || w->window == 0 ||
		    (w->kept_for != NULL && w->kept_for != e) ||
		    !matches(w->patterns, (struct slice){ e->type, e->type_n }))
			continue;
		if (alone && w->in_flight > 0) {
			kept |= w->kept_for == e;
			if (least == NULL || w->in_flight < least->in_flight)
				least = w;
		} else if (room > most) {
			most = room;
			best = w;
		}
	}
	if (best == NULL && least != NULL && !kept)
		least->kept_for = e;
	return best;
}

static bool
wanted_by_none(const struct delivery *d, const struct entry *e)
{
	for (struct delivery_worker *w = d->workers; w != NULL; w = w->next)
		if (matches(w->patterns, (struct slice){ e->type, e->type_n }))
			return false;
	return d->workers != NULL;
}

static bool
any_credit(const struct delivery *d)
{
	for (struct delivery_worker *w = d->workers; w != NULL; w = w->next)
		if (!w->alone && w->window > w->in_flight &&
		    (w->kept_for == NULL || w->in_flight == 0))
			return true;
	return false;
}

bool
delivery_offer(struct delivery *d, uint64_t now_ms, struct delivery_item *item)
{
	struct conv *passed = NULL;

	while (any_credit(d) && d->turn_first != NULL &&
	    d->turn_first != passed) {
		struct conv            *c = turn_take(d);
		struct entry           *e = c->head;
		struct delivery_worker *w = pick(d, e);

		if (w == NULL) {
			/* What no handler here asked for is done. */
			if (wanted_by_none(d, e)) {
				d->counts.unwanted++;
				entry_finish(d, e);
				continue;
			}
			turn_put(d, c);
			if (passed == NULL)
				passed = c;
			continue;
		}
		e->worker = w;
		e->attempt++;
		e->due_ms = now_ms +
		    (w->timeout_ms > 0 ? w->timeout_ms : d->limits.timeout_ms);
		w->in_flight++;
		w->alone = e->attempt >= ALONE_FROM;
		unkeep(d, e);
		entry_become(d, e, IN_FLIGHT);
		d->counts.offered++;
		*item = (struct delivery_item){ { e->id, e->id_n },
			{ e->body, e->body_n }, e->attempt, w };
		return true;
	}
	return false;
}

void
delivery_unsend(struct delivery *d, const struct delivery_item *item)
{
	struct entry *e = entry_find(d, item->id);

	if (e == NULL || e->state != IN_FLIGHT)
		return;
	worker_release(e);
	e->attempt--;
	d->counts.offered--;
	entry_become(d, e, QUEUED);
	turn_put(d, e->conv);
}

static enum err
find_flying(struct delivery *d, struct delivery_worker *w, struct slice id,
    struct entry **out)
{
	struct entry *e = entry_find(d, id);

	if (e == NULL)
		return ERR_NOT_FOUND;
	if (w == NULL || e->state != IN_FLIGHT || e->worker != w) {
		d->counts.stale++;
		return ERR_STALE;
	}
	*out = e;
	return ERR_OK;
}

enum err
delivery_ack(struct delivery *d, struct delivery_worker *w, struct slice id,
    uint64_t now_ms)
{
	struct entry *e;
	enum err      err = find_flying(d, w, id, &e);

	(void)now_ms;
	if (err != ERR_OK)
		return err;
	w->done++;
	d->counts.done++;
	entry_finish(d, e);
	return ERR_OK;
}

enum err
delivery_nack(struct delivery *d, struct delivery_worker *w, struct slice id,
    uint64_t after_ms, bool drop, struct slice why, uint64_t now_ms)
{
	struct entry *e;
	enum err      err = find_flying(d, w, id, &e);

	if (err != ERR_OK)
		return err;
	if (why.n == 0)
		why = SLICE("the handler said no");
	if (drop)
		entry_die(d, e, why);
	else
		entry_again(d, e, after_ms > 0 ? after_ms
		                              : RETRY_MS * e->attempt,
		    why, now_ms);
	return ERR_OK;
}

/* --- workers ------------------------------------------------------------------------- */

struct delivery_worker *
delivery_worker_find(struct delivery *d, struct slice peer)
{
	struct delivery_worker *w = d->workers;

	while (w != NULL &&
	    !slice_eq((struct slice){ w->peer, w->peer_n }, peer))
		w = w->next;
	return w;
}

struct delivery_worker *
delivery_worker_named(struct delivery *d, struct slice name, uint64_t pid)
{
	struct delivery_worker *w = d->workers;

	while (w != NULL &&
	    !(slice_is(name, w->name) && (pid == 0 || pid == w->pid)))
		w = w->next;
	return w;
}

struct delivery_worker *
delivery_worker_next(struct delivery *d, struct delivery_worker *w)
{
	return w == NULL ? d->workers : w->next;
}

struct delivery_worker_info
delivery_worker_info(const struct delivery_worker *w)
{
	return (struct delivery_worker_info){ { w->peer, w->peer_n },
		slice_of(w->name), slice_of(w->handler), w->pid, w->window,
		w->in_flight, w->done, w->since_ms, w->heard_ms, w->want_raw,
		w->late };
}

static void
worker_free(struct delivery_worker *w)
{
	free(w->peer);
	free(w->name);
	free(w->handler);
	free(w->patterns);
	free(w);
}

static bool
replace_text(char **at, struct slice text)
{
	char *copy = slice_dup(text);

	if (copy == NULL)
		return false;
	free(*at);
	*at = copy;
	return true;
}

struct delivery_worker *
delivery_worker_set(struct delivery *d, struct slice peer, struct slice name,
    uint64_t pid, struct slice handler, struct slice patterns,
    uint64_t window, uint64_t timeout_ms, bool want_raw, bool late,
    uint64_t now_ms)
{
	struct delivery_worker *w = delivery_worker_find(d, peer);
	bool                    is_new = w == NULL;

	if (is_new && (w = calloc(1, sizeof *w)) == NULL)
		return NULL;
	if (!replace_text(&w->peer, peer) || !replace_text(&w->name, name) ||
	    !replace_text(&w->handler, handler) ||
	    !replace_text(&w->patterns, patterns)) {
		if (is_new)
			worker_free(w);
		return NULL;
	}
	w->peer_n = peer.n;
	w->pid = pid;
	w->window = window;
	w->timeout_ms = timeout_ms;
	w->want_raw = want_raw;
	w->late = late;
	w->heard_ms = now_ms;
	if (is_new) {
		w->since_ms = now_ms;
		w->next = d->workers;
		d->workers = w;
	}
	return w;
}

void
delivery_worker_heard(struct delivery_worker *w, uint64_t now_ms)
{
	w->heard_ms = now_ms;
}

void
delivery_worker_gone(struct delivery *d, struct delivery_worker *gone,
    const char *why, uint64_t now_ms)
{
	struct delivery_worker **at = &d->workers;
	struct entry            *next;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	for (struct entry *e = d->flying.oldest; e != NULL; e = next) {
		next = e->newer;
		if (e->worker == gone)
			entry_again(d, e, e->attempt >= ALONE_FROM
			        ? RETRY_MS * e->attempt
			        : 0,
			    slice_of(why), now_ms);
	}
	worker_free(gone);
}

/* --- time ------------------------------------------------------------------------------ */

void
delivery_tick(struct delivery *d, uint64_t now_ms)
{
	struct entry *next;

	for (struct entry *e = d->delayed.oldest; e != NULL; e = next) {
		next = e->newer;
		if (e->due_ms > now_ms)
			continue;
		entry_become(d, e, QUEUED);
		turn_put(d, e->conv);
	}
	for (struct entry *e = d->flying.oldest; e != NULL; e = next) {
		next = e->newer;
		if (e->due_ms > now_ms)
			continue;
		d->counts.timeouts++;
		entry_again(d, e, RETRY_MS * e->attempt,
		    SLICE("no ack before the deadline"), now_ms);
	}
}

bool
delivery_idle(const struct delivery *d)
{
	return d->counts.events == 0;
}

uint64_t
delivery_oldest_ms(const struct delivery *d, uint64_t now_ms)
{
	const struct list *lists[] = { &d->waiting, &d->delayed, &d->flying };
	uint64_t           came = now_ms;

	for (size_t i = 0; i < 3; i++)
		if (lists[i]->oldest != NULL &&
		    lists[i]->oldest->came_ms < came)
			came = lists[i]->oldest->came_ms;
	return now_ms - came;
}

/* --- the whole --------------------------------------------------------------------------- */

struct delivery *
delivery_new(const struct delivery_limits *limits)
{
	struct delivery *d = calloc(1, sizeof *d);

	if (d != NULL)
		d->limits = *limits;
	return d;
}

void
delivery_free(struct delivery **dp)
{
	struct delivery *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (d->entries[i] != NULL) {
			struct entry *e = d->entries[i];

			d->entries[i] = e->chain;
			free(e->body);
			free(e->type);
			free(e);
		}
		while (d->convs[i] != NULL) {
			struct conv *c = d->convs[i];

			d->convs[i] = c->chain;
			free(c);
		}
	}
	while (d->workers != NULL) {
		struct delivery_worker *w = d->workers;

		d->workers = w->next;
		worker_free(w);
	}
	free(d);
}

void
delivery_on_dead(struct delivery *d,
    void (*fn)(void *, const struct delivery_dead *), void *self)
{
	d->on_dead = fn;
	d->dead_self = self;
}

const struct delivery_counts *
delivery_counts(const struct delivery *d)
{
	return &d->counts;
}
