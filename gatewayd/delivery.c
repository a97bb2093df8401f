/*
 * Queues by conversation, credit by worker.  Of a conversation only the head
 * ever moves: it is in TURN when it may go out, DELAYED or in FLIGHT, and the
 * conversation stands in the line of that place.  Lines for turns are kept by
 * type, and apart for what goes alone, because all that stand in one can go to
 * the same workers; between the lines the lowest ticket is next.
 *
 * Where several share the queue, shares are such that the part left free
 * shrinks with each of them that takes what it may, and never is nothing.
 */
#include "delivery.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUCKETS = 1 << 15,
	ALONE_FROM = 3,          /* attempt from which an event goes alone */
	TOLD_MAX = 3,            /* workers that are told it is given up */
	RETRY_MS = 200,          /* after a failed attempt, times its number */
	RECENT = 16,             /* patterns of workers that left, and ... */
	RECENT_MS = 60 * 1000,   /* ... how long what they want is waited for */
	RETURN_MS = 10 * 1000,   /* in which an earlier run's workers return */
	CREDIT_SHARE = 3,        /* in flight, at most so often what is free */
};

enum place { NOWHERE, TURN, DELAYED, FLIGHT };

/* What may go to different workers stands in different lines. */
enum turns { TURN_USUAL, TURN_ALONE, TURN_OVER, TURNS };

/* Shared by those who hold it. */
struct text {
	unsigned refs;
	size_t   n;
	char     p[];
};

struct line {
	struct conv *first, *last;
};

/* Whose events they are. */
struct owner {
	struct owner *next;
	struct text  *name;
	uint64_t      events, bytes, in_flight;
	bool          here;
};

/* A type of event of one owner, as long as there are events of it. */
struct kind {
	struct kind *next;
	struct owner *owner;
	struct line  turns[TURNS];
	struct text *name;
	uint64_t     events;
	/* Wanted by an earlier run's workers; UINT64_MAX: a minute from when
	 * the first worker of this run comes. */
	uint64_t     until_ms;
};

/* There may be a hundred thousand: mind the size. */
struct entry {
	struct entry *chain;            /* in its hash bucket */
	struct entry *next;             /* in its conversation */
	struct entry *older, *newer;    /* among the unfinished or finished */
	struct conv  *conv;             /* NULL: finished */
	struct kind  *kind;             /* the same */
	struct text  *last;             /* worker; may be NULL */
	struct text  *why;              /* given up, and why; or NULL */
	char         *body;             /* NULL: away, or empty */
	uint64_t      no, came_ms;
	unsigned      hash, attempt;
	uint32_t      id_n, body_n;
	unsigned      told;             /* that it is given up: how often */
	char          id[];
};

struct conv {
	struct conv            *chain;
	struct conv            *before, *after; /* in its line */
	struct entry           *head, *tail;
	struct delivery_worker *worker;         /* in FLIGHT */
	struct owner           *owner;
	uint64_t                due_ms;         /* DELAYED, in FLIGHT */
	uint64_t                ticket;         /* in TURN */
	enum place              place;
	unsigned                hash;
	uint32_t                queued, name_n;
	char                    name[];
};

struct list {
	struct entry *oldest, *newest;
	uint64_t      n;
};

struct delivery_worker {
	struct delivery_worker *next;
	struct text            *peer, *name, *handler, *patterns;
	uint64_t                pid, window, in_flight, done, timeout_ms;
	uint64_t                since_ms, heard_ms;
	bool                    deaf;         /* has let a deadline pass, and
	                                         has said nothing since */
	const struct entry     *kept_for;     /* gets no other meanwhile */
	bool                    want_raw, late, alone, apart, ends;
};

struct recent {
	struct text *patterns;
	uint64_t     until_ms;
};

struct delivery {
	struct delivery_limits  limits;
	struct delivery_counts  counts;
	struct entry           *entries[BUCKETS];
	struct conv            *convs[BUCKETS];
	struct kind            *kinds;
	struct owner           *owners;
	uint64_t                here;           /* of them, how many are */
	bool                    strict;         /* the others are gone */
	struct line             delayed, flight;
	struct list             unfinished, finished;   /* came, ended first */
	struct delivery_worker *workers;
	struct recent           recent[RECENT];
	/* All is wanted; UINT64_MAX: the first worker has yet to come. */
	uint64_t                until_ms;
	uint64_t                ends_ms;        /* till then one that ends may
	                                           come back */
	uint64_t                last_no, tickets;
	void                  (*on_end)(void *, const struct delivery_end *);
	void                   *end_self;
};

/* --- texts ---------------------------------------------------------------- */

static struct text *
text_new(struct slice s)
{
	struct text *t = malloc(sizeof *t + s.n + 1);

	if (t == NULL)
		return NULL;
	t->refs = 1;
	t->n = s.n;
	if (s.n > 0)
		memcpy(t->p, s.p, s.n);
	t->p[s.n] = '\0';
	return t;
}

static struct text *
text_share(struct text *t)
{
	t->refs++;
	return t;
}

static void
text_drop(struct text **t)
{
	if (*t != NULL && --(*t)->refs == 0)
		free(*t);
	*t = NULL;
}

static struct slice
text_slice(const struct text *t)
{
	return t != NULL ? (struct slice){ t->p, t->n }
	                 : (struct slice){ NULL, 0 };
}

/* --- lists ---------------------------------------------------------------- */

static void
list_put(struct list *l, struct entry *e)
{
	e->older = l->newest;
	e->newer = NULL;
	*(l->newest != NULL ? &l->newest->newer : &l->oldest) = e;
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

static void
line_put(struct line *l, struct conv *c)
{
	c->before = l->last;
	c->after = NULL;
	*(l->last != NULL ? &l->last->after : &l->first) = c;
	l->last = c;
}

static void
line_cut(struct line *l, struct conv *c)
{
	*(c->before != NULL ? &c->before->after : &l->first) = c->after;
	*(c->after != NULL ? &c->after->before : &l->last) = c->before;
}

static bool
goes_alone(const struct entry *e)
{
	return e->attempt + 1 >= ALONE_FROM;
}

static enum turns
turn_of(const struct entry *e)
{
	return e->why != NULL ? TURN_OVER
	    : goes_alone(e)   ? TURN_ALONE
	                      : TURN_USUAL;
}

static struct line *
line_of(struct delivery *d, const struct conv *c)
{
	switch (c->place) {
	case TURN:
		return &c->head->kind->turns[turn_of(c->head)];
	case DELAYED:
		return &d->delayed;
	case FLIGHT:
		return &d->flight;
	case NOWHERE:
		break;
	}
	return NULL;
}

/* The head, and with it the attempt, is that of the old place before, and of
 * the new one after. */
static void
conv_leave(struct delivery *d, struct conv *c)
{
	struct line *l = line_of(d, c);

	if (l != NULL)
		line_cut(l, c);
	d->counts.in_flight -= c->place == FLIGHT;
	c->owner->in_flight -= c->place == FLIGHT;
	c->place = NOWHERE;
}

static void
conv_enter(struct delivery *d, struct conv *c, enum place to)
{
	c->place = to;
	c->ticket = ++d->tickets;
	d->counts.in_flight += to == FLIGHT;
	c->owner->in_flight += to == FLIGHT;
	line_put(line_of(d, c), c);
}

/* --- finding -------------------------------------------------------------- */

static struct entry *
entry_find(const struct delivery *d, struct slice id)
{
	unsigned      h = slice_hash(id);
	struct entry *e = d->entries[h % BUCKETS];

	while (e != NULL && (e->hash != h ||
	           !slice_eq((struct slice){ e->id, e->id_n }, id)))
		e = e->chain;
	return e;
}

static struct conv *
conv_find(const struct delivery *d, struct slice name)
{
	unsigned     h = slice_hash(name);
	struct conv *c = d->convs[h % BUCKETS];

	while (c != NULL && (c->hash != h ||
	           !slice_eq((struct slice){ c->name, c->name_n }, name)))
		c = c->chain;
	return c;
}

static struct slice
owner_part(struct slice conv)
{
	const char *slash = conv.n > 0 ? memchr(conv.p, '/', conv.n) : NULL;

	return (struct slice){ conv.p,
		slash != NULL ? (size_t)(slash - conv.p) : 0 };
}

static struct owner *
owner_find(const struct delivery *d, struct slice name)
{
	struct owner *o = d->owners;

	while (o != NULL && !slice_eq(text_slice(o->name), name))
		o = o->next;
	return o;
}

static struct owner *
owner_get(struct delivery *d, struct slice name)
{
	struct owner *o = owner_find(d, name);

	if (o != NULL || (o = calloc(1, sizeof *o)) == NULL)
		return o;
	if ((o->name = text_new(name)) == NULL) {
		free(o);
		return NULL;
	}
	o->next = d->owners;
	d->owners = o;
	return o;
}

static struct conv *
conv_get(struct delivery *d, struct slice name)
{
	struct conv  *c = conv_find(d, name);
	struct owner *o;

	if (c != NULL)
		return c;
	if ((o = owner_get(d, owner_part(name))) == NULL ||
	    (c = calloc(1, sizeof *c + name.n)) == NULL)
		return NULL;
	c->owner = o;
	c->hash = slice_hash(name);
	c->name_n = (uint32_t)name.n;
	if (name.n > 0)
		memcpy(c->name, name.p, name.n);
	c->chain = d->convs[c->hash % BUCKETS];
	d->convs[c->hash % BUCKETS] = c;
	d->counts.conversations++;
	return c;
}

static void
conv_free_if_empty(struct delivery *d, struct conv *c)
{
	struct conv **at = &d->convs[c->hash % BUCKETS];

	if (c->head != NULL)
		return;
	while (*at != c)
		at = &(*at)->chain;
	*at = c->chain;
	d->counts.conversations--;
	free(c);
}

/* There are few. */
static struct kind *
kind_get(struct delivery *d, struct owner *o, struct slice name)
{
	struct kind *k = d->kinds;

	while (k != NULL &&
	    (k->owner != o || !slice_eq(text_slice(k->name), name)))
		k = k->next;
	if (k != NULL || (k = calloc(1, sizeof *k)) == NULL)
		return k;
	if ((k->name = text_new(name)) == NULL) {
		free(k);
		return NULL;
	}
	k->owner = o;
	k->next = d->kinds;
	d->kinds = k;
	return k;
}

static void
kind_free_if_empty(struct delivery *d, struct kind *k)
{
	struct kind **at = &d->kinds;

	if (k->events > 0)
		return;
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	text_drop(&k->name);
	free(k);
}

/* --- coming --------------------------------------------------------------- */

/* In its bucket, and nowhere else yet. */
static struct entry *
entry_new(struct delivery *d, uint64_t no, struct slice id)
{
	struct entry *e = calloc(1, sizeof *e + id.n);

	if (e == NULL)
		return NULL;
	if (id.n > 0)
		memcpy(e->id, id.p, id.n);
	e->id_n = (uint32_t)id.n;
	e->hash = slice_hash(id);
	e->no = no;
	e->chain = d->entries[e->hash % BUCKETS];
	d->entries[e->hash % BUCKETS] = e;
	if (no > d->last_no)
		d->last_no = no;
	return e;
}

static void
entry_free(struct delivery *d, struct entry *e)
{
	struct entry **at = &d->entries[e->hash % BUCKETS];

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	free(e);
}

/* To the end of its conversation. */
static enum err
entry_queue(struct delivery *d, struct entry *e, struct slice conv,
    struct slice type)
{
	struct conv *c = conv_get(d, conv);
	struct kind *k = c != NULL ? kind_get(d, c->owner, type) : NULL;

	if (c == NULL || k == NULL) {
		if (c != NULL)
			conv_free_if_empty(d, c);
		if (k != NULL)
			kind_free_if_empty(d, k);
		return ERR_NOMEM;
	}
	e->conv = c;
	e->kind = k;
	k->events++;
	list_put(&d->unfinished, e);
	*(c->tail != NULL ? &c->tail->next : &c->head) = e;
	c->tail = e;
	c->queued++;
	d->counts.events++;
	d->counts.bytes += e->body_n;
	c->owner->events++;
	c->owner->bytes += e->body_n;
	if (c->place == NOWHERE)
		conv_enter(d, c, TURN);
	return ERR_OK;
}

/* A copy, if it may be held. */
static bool
entry_hold(struct delivery *d, struct entry *e, struct slice body)
{
	e->body_n = (uint32_t)body.n;
	if (body.n == 0 ||
	    d->counts.body_bytes + body.n > d->limits.body_bytes)
		return true;
	if ((e->body = malloc(body.n)) == NULL)
		return false;
	memcpy(e->body, body.p, body.n);
	d->counts.body_bytes += body.n;
	return true;
}

static void
entry_let_go(struct delivery *d, struct entry *e)
{
	if (e->body != NULL)
		d->counts.body_bytes -= e->body_n;
	free(e->body);
	e->body = NULL;
}

enum err
delivery_append(struct delivery *d, struct slice id, struct slice conv,
    struct slice type, struct slice body, uint64_t now_ms, uint64_t *no)
{
	struct entry *e;

	if (entry_find(d, id) != NULL) {
		d->counts.duplicates++;
		return ERR_DUPLICATE;
	}
	if (!delivery_takes(d, body.n)) {
		d->counts.refused++;
		return ERR_FULL;
	}
	if ((e = entry_new(d, d->last_no + 1, id)) == NULL)
		return ERR_NOMEM;
	e->came_ms = now_ms;
	if (!entry_hold(d, e, body) ||
	    entry_queue(d, e, conv, type) != ERR_OK) {
		entry_let_go(d, e);
		entry_free(d, e);
		d->last_no--;
		return ERR_NOMEM;
	}
	d->counts.appended++;
	*no = e->no;
	return ERR_OK;
}

/* The later of two rows counts: an id may have been forgotten in between. */
static bool
is_news(struct delivery *d, struct slice id)
{
	struct entry *e = entry_find(d, id);

	if (e != NULL && e->conv != NULL)
		return false;
	delivery_forget(d, id);
	return true;
}

enum err
delivery_restore(struct delivery *d, uint64_t no, struct slice id,
    struct slice conv, struct slice type, size_t body_n, unsigned attempt,
    uint64_t came_ms)
{
	struct entry *e;

	if (!is_news(d, id))
		return ERR_DUPLICATE;
	if ((e = entry_new(d, no, id)) == NULL)
		return ERR_NOMEM;
	e->came_ms = came_ms;
	e->body_n = (uint32_t)body_n;
	e->attempt = attempt < d->limits.attempts
	    ? attempt
	    : (unsigned)d->limits.attempts - 1;
	if (entry_queue(d, e, conv, type) != ERR_OK) {
		entry_free(d, e);
		return ERR_NOMEM;
	}
	e->kind->until_ms = UINT64_MAX;
	return ERR_OK;
}

/* Of what is free of the bound, as much again may be one owner's. */
static bool
has_share(uint64_t own, uint64_t used, uint64_t bound)
{
	return used < bound && own <= bound - used;
}

bool
delivery_has_room(const struct delivery *d, struct slice owner)
{
	uint64_t            events = d->limits.events / 4 * 3;
	uint64_t            bytes = d->limits.bytes / 4 * 3;
	const struct owner *o = d->here > 1 && owner.n > 0
	    ? owner_find(d, owner) : NULL;

	if (d->counts.events >= events || d->counts.bytes >= bytes)
		return false;
	return o == NULL || (has_share(o->events, d->counts.events, events) &&
	                        has_share(o->bytes, d->counts.bytes, bytes));
}

bool
delivery_takes(const struct delivery *d, size_t bytes)
{
	return d->counts.events < d->limits.events &&
	    d->counts.bytes + bytes <= d->limits.bytes;
}

void
delivery_owner(struct delivery *d, struct slice name, bool here)
{
	struct owner *o = owner_get(d, name);

	d->strict = true;
	if (o == NULL || o->here == here)
		return;
	o->here = here;
	d->here += here ? 1 : -1ull;
}

struct delivery_owner_info
delivery_owner_info(const struct delivery *d, struct slice name)
{
	const struct owner *o = owner_find(d, name);

	return o == NULL ? (struct delivery_owner_info){ 0 }
	                 : (struct delivery_owner_info){ o->events, o->bytes,
		                 o->in_flight };
}

bool
delivery_is_filling(const struct delivery *d)
{
	return d->counts.events > d->limits.events / 2 ||
	    d->counts.bytes > d->limits.bytes / 2;
}

/* --- ending --------------------------------------------------------------- */

static void
remember(struct delivery *d, struct entry *e)
{
	list_put(&d->finished, e);
	while (d->finished.n > d->limits.remembered) {
		struct entry *old = d->finished.oldest;

		list_cut(&d->finished, old);
		entry_free(d, old);
	}
}

bool
delivery_knows(const struct delivery *d, struct slice id)
{
	return entry_find(d, id) != NULL;
}

void
delivery_forget(struct delivery *d, struct slice id)
{
	struct entry *e = entry_find(d, id);

	if (e == NULL || e->conv != NULL)
		return;
	list_cut(&d->finished, e);
	entry_free(d, e);
}

enum err
delivery_remember(struct delivery *d, struct slice id, uint64_t no)
{
	struct entry *e;

	if (!is_news(d, id))
		return ERR_DUPLICATE;
	if ((e = entry_new(d, no, id)) == NULL)
		return ERR_NOMEM;
	remember(d, e);
	return ERR_OK;
}

uint64_t
delivery_oldest_remembered(const struct delivery *d)
{
	uint64_t no = d->last_no + 1;

	for (const struct entry *e = d->finished.oldest; e != NULL;
	     e = e->newer)
		if (e->no < no)
			no = e->no;
	return no;
}

static void
worker_release(struct conv *c)
{
	if (c->worker == NULL)
		return;
	c->worker->in_flight--;
	c->worker->alone = false;
	c->worker = NULL;
}

static void
unkeep(struct delivery *d, const struct entry *e)
{
	for (struct delivery_worker *w = d->workers; w != NULL; w = w->next)
		if (w->kept_for == e)
			w->kept_for = NULL;
}

static void
tell_end(struct delivery *d, const struct entry *e, struct slice why,
    bool dead)
{
	struct delivery_end end = { .no = e->no, .id = { e->id, e->id_n },
		.conv = { e->conv->name, e->conv->name_n },
		.type = text_slice(e->kind->name),
		.body = { e->body, e->body != NULL ? e->body_n : 0 },
		.why = why, .worker = text_slice(e->last),
		.attempts = e->attempt, .dead = dead };

	if (d->on_end != NULL)
		d->on_end(d->end_self, &end);
}

/* Only heads finish. */
static void
head_finish(struct delivery *d, struct conv *c, struct slice why, bool dead)
{
	struct entry *e = c->head;

	tell_end(d, e, why, dead);
	worker_release(c);
	unkeep(d, e);
	conv_leave(d, c);
	c->head = e->next;
	if (c->head == NULL)
		c->tail = NULL;
	c->queued--;
	d->counts.events--;
	d->counts.bytes -= e->body_n;
	c->owner->events--;
	c->owner->bytes -= e->body_n;
	entry_let_go(d, e);
	text_drop(&e->last);
	text_drop(&e->why);
	e->kind->events--;
	kind_free_if_empty(d, e->kind);
	e->kind = NULL;
	e->conv = NULL;
	list_cut(&d->unfinished, e);
	remember(d, e);
	if (c->head != NULL)
		conv_enter(d, c, TURN);
	conv_free_if_empty(d, c);
}

static void
head_die(struct delivery *d, struct conv *c, struct slice why)
{
	d->counts.dead++;
	head_finish(d, c, c->head->why != NULL ? text_slice(c->head->why)
	                                       : why, true);
}

/* What a worker says may be meant as never. */
static uint64_t
later(uint64_t now_ms, uint64_t after_ms)
{
	return after_ms < UINT64_MAX - now_ms ? now_ms + after_ms : UINT64_MAX;
}

static void
head_later(struct delivery *d, struct conv *c, uint64_t after_ms,
    uint64_t now_ms)
{
	worker_release(c);
	d->counts.redelivered++;
	conv_leave(d, c);
	c->due_ms = later(now_ms, after_ms);
	conv_enter(d, c, after_ms > 0 ? DELAYED : TURN);
}

/* There is a worker that takes what is given up, or one has just left. */
static bool
any_ends(const struct delivery *d, uint64_t now_ms)
{
	const struct delivery_worker *w = d->workers;

	while (w != NULL && !w->ends)
		w = w->next;
	return w != NULL || d->ends_ms > now_ms;
}

/* No handler has it again.  But what it has begun to say should not stay
 * unfinished, so a worker is told, and a few more when that one dies. */
static void
head_give_up(struct delivery *d, struct conv *c, struct slice why,
    uint64_t now_ms)
{
	struct entry *e = c->head;

	if (e->told >= TOLD_MAX || !any_ends(d, now_ms) ||
	    (e->why == NULL && (e->why = text_new(why)) == NULL))
		head_die(d, c, why);
	else
		head_later(d, c, 0, now_ms);
}

/* To be tried again after a while. */
static void
head_again(struct delivery *d, struct conv *c, uint64_t after_ms,
    struct slice why, uint64_t now_ms)
{
	if (c->head->why != NULL || c->head->attempt >= d->limits.attempts)
		head_give_up(d, c, why, now_ms);
	else
		head_later(d, c, after_ms, now_ms);
}

/* --- offering ------------------------------------------------------------- */

static bool
matches(const struct text *words, struct slice type)
{
	const char *patterns = words->p;

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
	bool                    alone = turn_of(e) == TURN_ALONE, kept = false;
	struct delivery_worker *best = NULL, *least = NULL;
	uint64_t                most = 0;

	for (struct delivery_worker *w = d->workers; w != NULL; w = w->next) {
		uint64_t room = w->window > w->in_flight
		    ? w->window - w->in_flight
		    : 0;

		if (w->alone || w->window == 0 || w->deaf ||
		    (w->kept_for != NULL && w->kept_for != e) ||
		    (e->why != NULL && !w->ends) ||
		    !matches(w->patterns, text_slice(e->kind->name)))
			continue;
		if (alone && w->in_flight > 0 && !w->apart) {
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

/* A worker that has just left may be back in a moment. */
static bool
wanted(const struct delivery *d, const struct kind *k, uint64_t now_ms)
{
	struct slice type = text_slice(k->name);

	if (d->workers == NULL || d->until_ms > now_ms || k->until_ms > now_ms)
		return true;
	for (struct delivery_worker *w = d->workers; w != NULL; w = w->next)
		if (matches(w->patterns, type))
			return true;
	for (size_t i = 0; i < RECENT; i++)
		if (d->recent[i].until_ms > now_ms &&
		    matches(d->recent[i].patterns, type))
			return true;
	return false;
}

/* The first worker is here: from now on the others are not waited for without
 * end. */
static void
note_return(struct delivery *d, uint64_t now_ms)
{
	if (d->until_ms == UINT64_MAX)
		d->until_ms = now_ms + RETURN_MS;
	for (struct kind *k = d->kinds; k != NULL; k = k->next)
		if (k->until_ms == UINT64_MAX)
			k->until_ms = now_ms + RECENT_MS;
}

/* The first whose turn it is, in any of its lines. */
static struct conv *
first_turn(const struct kind *k)
{
	for (unsigned i = 0; i < TURNS; i++)
		if (k->turns[i].first != NULL)
			return k->turns[i].first;
	return NULL;
}

/* All of this kind whose turn it is; false when there were none. */
static bool
end_kind(struct delivery *d, struct kind *k, bool dead)
{
	uint64_t ended = 0, all = k->events;
	struct conv *c;

	/* The last event takes its kind with it. */
	while (ended < all && (c = first_turn(k)) != NULL) {
		ended++;
		if (dead || c->head->why != NULL) {
			head_die(d, c, SLICE("its bot is not configured any "
			                     "more"));
			continue;
		}
		d->counts.unwanted++;
		head_finish(d, c, SLICE("no worker wants its type"), false);
	}
	return ended > 0;
}

static bool
is_gone(const struct delivery *d, const struct owner *o)
{
	return d->strict && !o->here && o->name->n > 0;
}

/* What no handler here asked for is done, and what stood behind it too. */
static void
end_unwanted(struct delivery *d, uint64_t now_ms)
{
	struct kind *next;
	bool         again;

	/* It may have been here before what an earlier run has left. */
	if (d->workers != NULL)
		note_return(d, now_ms);
	do {
		again = false;
		for (struct kind *k = d->kinds; k != NULL; k = next) {
			next = k->next;
			if (first_turn(k) == NULL)
				continue;
			if (is_gone(d, k->owner))
				again |= end_kind(d, k, true);
			else if (!wanted(d, k, now_ms))
				again |= end_kind(d, k, false);
		}
	} while (again);
}

/* One that is slow, or hangs, must leave some credit to the others. */
static bool
may_have_more(const struct delivery *d, const struct owner *o)
{
	uint64_t room = 0;

	if (d->here < 2)
		return true;
	for (struct delivery_worker *w = d->workers; w != NULL; w = w->next)
		if (!w->deaf && w->window > w->in_flight)
			room += w->window - w->in_flight;
	return o->in_flight < CREDIT_SHARE * room;
}

static bool
any_credit(const struct delivery *d)
{
	for (struct delivery_worker *w = d->workers; w != NULL; w = w->next)
		if (!w->alone && !w->deaf && w->window > w->in_flight &&
		    (w->kept_for == NULL || w->in_flight == 0))
			return true;
	return false;
}

/* Given up, and there is nobody any more who could be told so. */
static void
end_untold(struct delivery *d, uint64_t now_ms)
{
	struct kind *next;

	if (d->workers == NULL || any_ends(d, now_ms))
		return;
	for (struct kind *k = d->kinds; k != NULL; k = next) {
		uint64_t all = k->events;

		next = k->next;
		while (all-- > 0 && k->turns[TURN_OVER].first != NULL)
			head_die(d, k->turns[TURN_OVER].first, SLICE(""));
	}
}

/* Whose turn it is, and the worker.  Those that go alone are asked before the
 * usual ones: what is kept for them, others cannot have. */
static struct conv *
next_conv(struct delivery *d, struct delivery_worker **worker)
{
	struct conv *best = NULL;

	for (unsigned i = TURNS; i-- > 0;)
		for (struct kind *k = d->kinds; k != NULL; k = k->next) {
			struct conv            *c = k->turns[i].first;
			struct delivery_worker *w;

			if (c == NULL || !may_have_more(d, k->owner) ||
			    (w = pick(d, c->head)) == NULL)
				continue;
			if (best == NULL || c->ticket < best->ticket) {
				best = c;
				*worker = w;
			}
		}
	return best;
}

static uint64_t
due_of(const struct delivery *d, const struct delivery_worker *w,
    uint64_t now_ms)
{
	return later(now_ms,
	    w->timeout_ms > 0 ? w->timeout_ms : d->limits.timeout_ms);
}

bool
delivery_offer(struct delivery *d, uint64_t now_ms, struct delivery_item *item)
{
	struct delivery_worker *w;
	struct conv            *c;
	struct entry           *e;

	end_unwanted(d, now_ms);
	end_untold(d, now_ms);
	if (!any_credit(d) || (c = next_conv(d, &w)) == NULL)
		return false;
	e = c->head;
	unkeep(d, e);
	conv_leave(d, c);
	*(e->why != NULL ? &e->told : &e->attempt) += 1;
	conv_enter(d, c, FLIGHT);
	c->worker = w;
	c->due_ms = due_of(d, w, now_ms);
	w->in_flight++;
	if (e->why == NULL) {
		w->alone = e->attempt >= ALONE_FROM && !w->apart;
		text_drop(&e->last);
		e->last = text_share(w->name);
	}
	d->counts.offered++;
	*item = (struct delivery_item){ .no = e->no,
		.id = { e->id, e->id_n },
		.body = { e->body, e->body != NULL ? e->body_n : 0 },
		.body_away = e->body == NULL && e->body_n > 0,
		.attempt = e->attempt, .over = e->why != NULL,
		.came_ms = e->came_ms, .worker = w };
	return true;
}

static struct conv *
find_flying(const struct delivery *d, struct slice id, bool *known)
{
	struct entry *e = entry_find(d, id);

	*known = e != NULL;
	return e != NULL && e->conv != NULL && e->conv->head == e &&
	        e->conv->place == FLIGHT ? e->conv : NULL;
}

void
delivery_unsend(struct delivery *d, const struct delivery_item *item)
{
	bool         known;
	struct conv *c = find_flying(d, item->id, &known);

	if (c == NULL)
		return;
	worker_release(c);
	conv_leave(d, c);
	*(c->head->why != NULL ? &c->head->told : &c->head->attempt) -= 1;
	conv_enter(d, c, TURN);
	d->counts.offered--;
}

static enum err
flying_with(struct delivery *d, const struct delivery_worker *w,
    struct slice id, struct conv **c)
{
	bool known;

	*c = find_flying(d, id, &known);
	if (!known)
		return ERR_NOT_FOUND;
	if (w == NULL || *c == NULL || (*c)->worker != w) {
		d->counts.stale++;
		return ERR_STALE;
	}
	return ERR_OK;
}

enum err
delivery_ack(struct delivery *d, struct delivery_worker *w, struct slice id,
    uint64_t now_ms)
{
	struct conv *c;
	enum err     err = flying_with(d, w, id, &c);

	(void)now_ms;
	if (err != ERR_OK)
		return err;
	if (c->head->why != NULL) {
		head_die(d, c, SLICE(""));
		return ERR_OK;
	}
	w->done++;
	d->counts.done++;
	head_finish(d, c, (struct slice){ NULL, 0 }, false);
	return ERR_OK;
}

enum err
delivery_nack(struct delivery *d, struct delivery_worker *w, struct slice id,
    uint64_t after_ms, bool drop, struct slice why, uint64_t now_ms)
{
	struct conv *c;
	enum err     err = flying_with(d, w, id, &c);

	if (err != ERR_OK)
		return err;
	if (why.n == 0)
		why = SLICE("the handler said no");
	if (c->head->why != NULL)
		head_die(d, c, why);
	else if (drop)
		head_give_up(d, c, why, now_ms);
	else
		head_again(d, c, after_ms > 0 ? after_ms
		                             : RETRY_MS * c->head->attempt,
		    why, now_ms);
	return ERR_OK;
}

enum err
delivery_waits(struct delivery *d, struct delivery_worker *w, struct slice id,
    uint64_t now_ms)
{
	struct conv *c;
	enum err     err = flying_with(d, w, id, &c);

	if (err == ERR_OK)
		c->due_ms = due_of(d, w, now_ms);
	return err;
}

enum err
delivery_number(struct delivery *d, const struct delivery_worker *w,
    struct slice id, uint64_t *no)
{
	bool         known;
	struct conv *c = find_flying(d, id, &known);

	if (c == NULL || w == NULL || c->worker != w)
		return known ? ERR_STALE : ERR_NOT_FOUND;
	*no = c->head->no;
	return ERR_OK;
}

enum err
delivery_return(struct delivery *d, struct delivery_worker *w, struct slice id,
    uint64_t after_ms, uint64_t now_ms)
{
	struct conv *c;
	enum err     err = flying_with(d, w, id, &c);

	if (err != ERR_OK)
		return err;
	*(c->head->why != NULL ? &c->head->told : &c->head->attempt) -= 1;
	head_later(d, c, after_ms > 0 ? after_ms : RETRY_MS, now_ms);
	return ERR_OK;
}

/* --- workers -------------------------------------------------------------- */

struct delivery_worker *
delivery_worker_find(struct delivery *d, struct slice peer)
{
	struct delivery_worker *w = d->workers;

	while (w != NULL && !slice_eq(text_slice(w->peer), peer))
		w = w->next;
	return w;
}

struct delivery_worker *
delivery_worker_named(struct delivery *d, struct slice name, uint64_t pid)
{
	struct delivery_worker *w = d->workers;

	while (w != NULL && !(slice_eq(text_slice(w->name), name) &&
	           (pid == 0 || pid == w->pid)))
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
	return (struct delivery_worker_info){ text_slice(w->peer),
		text_slice(w->name), text_slice(w->handler), w->pid, w->window,
		w->in_flight, w->done, w->since_ms, w->heard_ms, w->want_raw,
		w->late };
}

static void
worker_free(struct delivery_worker *w)
{
	text_drop(&w->peer);
	text_drop(&w->name);
	text_drop(&w->handler);
	text_drop(&w->patterns);
	free(w);
}

static bool
replace_text(struct text **at, struct slice with)
{
	struct text *copy = text_new(with);

	if (copy == NULL)
		return false;
	text_drop(at);
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
	w->pid = pid;
	w->window = window;
	w->timeout_ms = timeout_ms;
	w->want_raw = want_raw;
	w->late = late;
	w->heard_ms = now_ms;
	w->deaf = false;
	w->kept_for = NULL; /* it may not want that any more */
	if (is_new) {
		note_return(d, now_ms);
		w->since_ms = now_ms;
		w->next = d->workers;
		d->workers = w;
	}
	return w;
}

void
delivery_worker_apart(struct delivery_worker *w, bool apart)
{
	w->apart = apart;
	w->alone &= !apart;
}

void
delivery_worker_ends(struct delivery_worker *w, bool ends)
{
	w->ends = ends;
}

void
delivery_worker_heard(struct delivery_worker *w, uint64_t now_ms)
{
	w->heard_ms = now_ms;
	w->deaf = false;
}

/* What a worker that leaves has wanted is wanted for a while yet.  When there
 * is no place left to note it, everything is. */
static void
note_recent(struct delivery *d, struct text *patterns, uint64_t now_ms)
{
	struct recent *r = NULL, *last = &d->recent[RECENT - 1];

	for (size_t i = 0; i < RECENT && r == NULL; i++)
		if (d->recent[i].patterns != NULL &&
		    slice_eq(text_slice(d->recent[i].patterns),
		        text_slice(patterns)))
			r = &d->recent[i];
	for (size_t i = 0; i < RECENT && r == NULL; i++)
		if (d->recent[i].until_ms <= now_ms)
			r = &d->recent[i];
	if (r != NULL) {
		text_share(patterns);
		text_drop(&r->patterns);
		r->patterns = patterns;
	} else {
		r = last;
		if (!replace_text(&r->patterns, SLICE("*")))
			return;
	}
	r->until_ms = now_ms + RECENT_MS;
}

void
delivery_worker_gone(struct delivery *d, struct delivery_worker *gone,
    const char *why, uint64_t now_ms)
{
	struct delivery_worker **at = &d->workers;
	struct conv             *next;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	if (gone->ends)
		d->ends_ms = now_ms + RECENT_MS;
	for (struct conv *c = d->flight.first; c != NULL; c = next) {
		next = c->after;
		if (c->worker == gone)
			head_again(d, c, c->head->attempt >= ALONE_FROM
			        ? RETRY_MS * c->head->attempt
			        : 0,
			    slice_of(why), now_ms);
	}
	note_recent(d, gone->patterns, now_ms);
	worker_free(gone);
}

void
delivery_expect_workers(struct delivery *d)
{
	d->until_ms = UINT64_MAX;
}

/* --- time ----------------------------------------------------------------- */

void
delivery_tick(struct delivery *d, uint64_t now_ms)
{
	struct conv *next;

	for (struct conv *c = d->delayed.first; c != NULL; c = next) {
		next = c->after;
		if (c->due_ms > now_ms)
			continue;
		conv_leave(d, c);
		conv_enter(d, c, TURN);
	}
	for (struct conv *c = d->flight.first; c != NULL; c = next) {
		next = c->after;
		if (c->due_ms > now_ms)
			continue;
		d->counts.timeouts++;
		/* An event must not use up its attempts with a worker that
		 * does not read.  One that does is heard of in a moment. */
		c->worker->deaf = true;
		head_again(d, c, RETRY_MS * c->head->attempt,
		    SLICE("no ack before the deadline"), now_ms);
	}
}

bool
delivery_idle(const struct delivery *d)
{
	return d->counts.events == 0;
}

/* Two readings of one clock may be told in the wrong order. */
static uint64_t
age_ms(const struct entry *e, uint64_t now_ms)
{
	return now_ms > e->came_ms ? now_ms - e->came_ms : 0;
}

uint64_t
delivery_oldest_ms(const struct delivery *d, uint64_t now_ms)
{
	const struct entry *e = d->unfinished.oldest;

	return e != NULL ? age_ms(e, now_ms) : 0;
}

/* --- looking -------------------------------------------------------------- */

static struct delivery_conv_info
conv_info(const struct conv *c, uint64_t now_ms)
{
	const struct entry *e = c->head;

	return (struct delivery_conv_info){
		.conv = { c->name, c->name_n }, .head_id = { e->id, e->id_n },
		.worker = text_slice(e->last), .queued = c->queued,
		.oldest_ms_ago = age_ms(e, now_ms), .attempt = e->attempt,
		.in_flight = c->place == FLIGHT };
}

size_t
delivery_convs(const struct delivery *d, struct slice only_conv,
    struct delivery_conv_info *out, size_t max, uint64_t now_ms)
{
	const struct conv *only = conv_find(d, only_conv);
	size_t             n = 0;

	if (only_conv.n > 0) {
		if (only != NULL && max > 0)
			out[n++] = conv_info(only, now_ms);
		return n;
	}
	/* Events, and so heads, are in the order in which they came. */
	for (const struct entry *e = d->unfinished.oldest;
	     e != NULL && n < max; e = e->newer)
		if (e->conv->head == e)
			out[n++] = conv_info(e->conv, now_ms);
	return n;
}

/* --- the whole ------------------------------------------------------------ */

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
			text_drop(&e->last);
			text_drop(&e->why);
			free(e);
		}
		while (d->convs[i] != NULL) {
			struct conv *c = d->convs[i];

			d->convs[i] = c->chain;
			free(c);
		}
	}
	while (d->kinds != NULL) {
		struct kind *k = d->kinds;

		d->kinds = k->next;
		text_drop(&k->name);
		free(k);
	}
	while (d->owners != NULL) {
		struct owner *o = d->owners;

		d->owners = o->next;
		text_drop(&o->name);
		free(o);
	}
	while (d->workers != NULL) {
		struct delivery_worker *w = d->workers;

		d->workers = w->next;
		worker_free(w);
	}
	for (size_t i = 0; i < RECENT; i++)
		text_drop(&d->recent[i].patterns);
	free(d);
}

void
delivery_on_end(struct delivery *d,
    void (*fn)(void *, const struct delivery_end *), void *self)
{
	d->on_end = fn;
	d->end_self = self;
}

const struct delivery_counts *
delivery_counts(const struct delivery *d)
{
	return &d->counts;
}
