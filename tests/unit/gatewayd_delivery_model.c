// links: gatewayd/delivery.c common/slice.c
/*
 * delivery beside a model of it that is nothing but arrays: a million random
 * steps, and after each one both must agree.  What is offered must be allowed,
 * what may go must be offered, in turn; every end is told once and rightly;
 * every count is the model's.  A restart is a new delivery, fed with what a
 * journal would have.
 *
 *   gatewayd_delivery_model [SEED]     only this one
 */
#include "test.h"

#include <stdlib.h>
#include <time.h>

#include "delivery.h"

enum {
	CONVS = 12, WORKERS = 4, TYPES = 4, PATTERNS = 4, ROWS = 4096,
	EVENTS = 60, BYTES = 1500, BODY_BYTES = 700, REMEMBERED = 20,
	ATTEMPTS = 5, TOLD = 3, TIMEOUT = 5000, RETRY = 200, MINUTE = 60000,
	SEEDS = 8, STEPS = 1000000 / (SEEDS + 1),
};

static const char *const types[TYPES] = { "message.c2c", "group.join",
	"interaction", "raw.NEW" };
static const char *const patterns[PATTERNS] = { "*", "message.*",
	"group.* interaction", "message.c2c raw.NEW" };
static const bool wants[PATTERNS][TYPES] = {
	{ true, true, true, true }, { true, false, false, false },
	{ false, true, true, false }, { true, false, false, true } };

/* --- the model ------------------------------------------------------------------- */

enum state { QUEUED, DELAYED, FLYING };

struct event {
	uint64_t   no, came, due;
	unsigned   id, size, type, attempt;
	int        worker, last;        /* -1: none */
	bool       held;                /* its body, in memory */
	bool       over;                /* given up; worker: who is told */
	unsigned   told;
	enum state state;
	unsigned   passed;              /* others went, it might have */
	unsigned   after[WORKERS];      /* others went there, it waits alone */
};

struct worker {
	struct delivery_worker *w;      /* NULL: not there */
	uint64_t                window, in_flight, timeout;
	unsigned                pattern, life;
	bool                    alone, deaf, ends;
};

struct end {
	uint64_t no;
	size_t   conv;
	unsigned id, attempts, body_n;
	int      worker;
	bool     dead, why;
};

struct row { uint64_t no; unsigned id; };

struct model {
	struct delivery       *d;
	struct delivery_counts want;
	struct event           q[CONVS][EVENTS];    /* [0] is the head */
	size_t                 n[CONVS];
	struct worker          workers[WORKERS];
	uint64_t               left[TYPES], restored[TYPES]; /* wanted until */
	struct row             ring[REMEMBERED], rows[ROWS]; /* finished */
	size_t                 nring, nrows;
	struct end             told[EVENTS];        /* not yet accounted for */
	size_t                 ntold;
	uint64_t               now, seed, last_no, ends;
	unsigned               next_id, busy;
	unsigned long          step, began, ended, restarts, moved, deaths;
	unsigned long          tellings;
};

static struct event *
m_find(struct model *m, unsigned id, size_t *conv)
{
	for (*conv = 0; *conv < CONVS; ++*conv)
		for (size_t i = 0; i < m->n[*conv]; i++)
			if (m->q[*conv][i].id == id)
				return &m->q[*conv][i];
	return NULL;
}

static struct row *
m_remembered(struct model *m, unsigned id)
{
	for (size_t i = 0; i < m->nring; i++)
		if (m->ring[i].id == id)
			return &m->ring[i];
	return NULL;
}

static void
m_forget(struct model *m, struct row *r)
{
	memmove(r, r + 1, (size_t)(&m->ring[--m->nring] - r) * sizeof *r);
}

static void
m_remember(struct model *m, struct row r)
{
	if (m->nring == REMEMBERED)
		m_forget(m, m->ring);
	m->ring[m->nring++] = r;
}

static void
m_release(struct model *m, struct event *e)
{
	if (e->worker < 0)
		return;
	m->workers[e->worker].in_flight--;
	m->workers[e->worker].alone = false;
	m->want.in_flight--;
	e->worker = -1;
}

/* Only heads finish; each must have been told. */
static bool
m_finish(struct model *m, size_t conv, bool dead, bool why)
{
	struct event *e = &m->q[conv][0];
	size_t        i = 0;

	while (i < m->ntold && m->told[i].no != e->no)
		i++;
	if (i == m->ntold)
		return false;
	struct end t = m->told[i];
	bool good = t.id == e->id && t.attempts == e->attempt &&
	    t.dead == dead && t.why == why && t.worker == e->last &&
	    t.body_n == (e->held ? e->size : 0);

	m->told[i] = m->told[--m->ntold];
	m_release(m, e);
	m->rows[m->nrows++] = (struct row){ e->no, e->id };
	m->want.events--;
	m->want.bytes -= e->size;
	m->want.body_bytes -= e->held ? e->size : 0;
	m->want.conversations -= m->n[conv] == 1;
	m->want.dead += dead;
	m->deaths += dead;
	m->ended++;
	memmove(e, e + 1, --m->n[conv] * sizeof *e);
	return good;
}

static bool
m_any_ends(const struct model *m)
{
	for (int i = 0; i < WORKERS; i++)
		if (m->workers[i].w != NULL && m->workers[i].ends)
			return true;
	return m->ends > m->now;
}

static bool
m_again(struct model *m, size_t conv, uint64_t after_ms, bool drop)
{
	struct event *e = &m->q[conv][0];

	if (drop || e->over || e->attempt >= ATTEMPTS) {
		if (e->told >= TOLD || !m_any_ends(m))
			return m_finish(m, conv, true, true);
		e->over = true;
		after_ms = 0;
	}
	m_release(m, e);
	e->state = after_ms > 0 ? DELAYED : QUEUED;
	e->due = m->now + after_ms;
	e->passed = 0;
	m->want.redelivered++;
	return true;
}

static bool
m_may_take(const struct worker *w, const struct event *e)
{
	return w->w != NULL && !w->alone && !w->deaf &&
	    w->in_flight < w->window &&
	    wants[w->pattern][e->type] &&
	    (e->over ? w->ends : e->attempt + 1 < 3 || w->in_flight == 0);
}

static bool
m_unwanted(const struct model *m, unsigned type)
{
	bool any = false;

	for (int i = 0; i < WORKERS; i++) {
		if (m->workers[i].w != NULL && wants[m->workers[i].pattern][type])
			return false;
		any |= m->workers[i].w != NULL;
	}
	return any && m->left[type] <= m->now && m->restored[type] <= m->now;
}

static bool
m_lone(const struct model *m, size_t conv)
{
	return m->n[conv] > 0 && m->q[conv][0].state == QUEUED &&
	    m->q[conv][0].attempt >= 2 && !m->q[conv][0].over;
}

/* A worker may be kept for another's event that goes alone. */
static bool
m_may_be_kept(const struct model *m, const struct worker *w, size_t conv)
{
	for (size_t c = 0; c < CONVS; c++)
		if (c != conv && m_lone(m, c) && w->window > 0 &&
		    wants[w->pattern][m->q[c][0].type])
			return true;
	return false;
}

/* --- around it ------------------------------------------------------------------- */

static uint64_t
draw(struct model *m, uint64_t below)
{
	m->seed = m->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (m->seed >> 33) % below;
}

static bool
check(struct model *m, bool good, const char *what)
{
	if (!good && !test_bad)
		printf("# step %lu: %s\n", m->step, what);
	test_bad |= !good;
	return good;
}

static struct slice
name_of(char out[32], char kind, unsigned long n)
{
	snprintf(out, 32, "%c%lu", kind, n);
	return slice_of(out);
}

/* The number in a name. */
static unsigned
number_in(struct slice s)
{
	unsigned n = 0;

	for (size_t i = 1; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		n = 10 * n + (unsigned)(s.p[i] - '0');
	return n;
}

static bool
body_is(struct slice body, const struct event *e)
{
	for (size_t i = 0; i < body.n; i++)
		if ((unsigned char)body.p[i] != (e->id & 0xff))
			return false;
	return body.n == (e->held ? e->size : 0);
}

static void
on_end(void *self, const struct delivery_end *t)
{
	struct model *m = self;
	unsigned      id = number_in(t->id);
	size_t        conv, before = 0;
	struct event *e = m_find(m, id, &conv);

	/* Several of one conversation may end at once, in order. */
	for (size_t i = 0; i < m->ntold; i++)
		before += m->told[i].conv == conv;
	if (!check(m, e != NULL && e == &m->q[conv][before],
	        "the end of no head"))
		return;
	check(m, number_in(t->conv) == conv && slice_is(t->type,
	    types[e->type]) && body_is(t->body, e), "another is told of");
	m_remember(m, (struct row){ t->no, id });
	if (check(m, m->ntold < EVENTS, "more ends than events"))
		m->told[m->ntold++] = (struct end){ t->no, conv, id, t->attempts,
			(unsigned)t->body.n,
			t->worker.n > 0 ? (int)number_in(t->worker) : -1,
			t->dead, t->why.n > 0 };
}

/* --- steps ----------------------------------------------------------------------- */

static void
step_append(struct model *m)
{
	unsigned id = draw(m, 4) == 0 && m->next_id > 0
	    ? m->next_id - 1 - (unsigned)draw(m, m->next_id < 60
	        ? m->next_id : 60)
	    : m->next_id++;
	size_t       conv = draw(m, CONVS), size = draw(m, 100), at;
	struct event e = { .id = id, .size = (unsigned)size, .worker = -1,
		.last = -1, .came = m->now,
		.type = draw(m, 2) == 0 ? 0 : (unsigned)draw(m, TYPES) };
	char     name[32], place[32], body[100];
	enum err want = ERR_OK, got;

	memset(body, (int)id & 0xff, sizeof body);
	if (m_remembered(m, id) != NULL || m_find(m, id, &at) != NULL) {
		want = ERR_DUPLICATE;
		m->want.duplicates++;
	} else if (m->want.events >= EVENTS || m->want.bytes + size > BYTES) {
		want = ERR_FULL;
		m->want.refused++;
	}
	got = delivery_append(m->d, name_of(name, 'e', id),
	    name_of(place, 'g', conv), slice_of(types[e.type]),
	    (struct slice){ body, size }, m->now, &e.no);
	check(m, got == want, "append is not as the model says");
	if (got != ERR_OK)
		return;
	check(m, e.no == ++m->last_no, "numbers do not grow by one");
	e.held = m->want.body_bytes + size <= BODY_BYTES;
	m->want.body_bytes += e.held ? size : 0;
	m->want.conversations += m->n[conv] == 0;
	m->want.events++;
	m->want.bytes += size;
	m->want.appended++;
	m->began++;
	m->q[conv][m->n[conv]++] = e;
}

/* Nothing was offered: nothing could have been. */
static void
check_none_left(struct model *m)
{
	for (size_t c = 0; c < CONVS; c++)
		for (int i = 0; i < WORKERS; i++) {
			struct worker *w = &m->workers[i];

			check(m, m->n[c] == 0 || m->q[c][0].state != QUEUED ||
			    !m_may_take(w, &m->q[c][0]) ||
			    (!m_lone(m, c) && m_may_be_kept(m, w, c)),
			    "left what could go");
		}
}

/* The worker that was kept is another now, for whatever waits to go alone. */
static void
choose_anew(struct model *m)
{
	for (size_t c = 0; c < CONVS; c++)
		memset(m->q[c][0].after, 0, sizeof m->q[c][0].after);
}

/* Those that might have gone instead: their turn must come.  What goes alone
 * is passed until a worker is empty, but that must come as well. */
static void
check_turns(struct model *m, size_t went, int to)
{
	for (size_t c = 0; c < CONVS; c++) {
		struct event *e = &m->q[c][0];
		bool          may = false, patient = false, there = false;

		if (c == went || m->n[c] == 0 || e->state != QUEUED)
			continue;
		for (int i = 0; i < WORKERS; i++) {
			struct worker *w = &m->workers[i];

			may |= m_may_take(w, e) && !m_may_be_kept(m, w, c);
			if (!m_lone(m, c) || w->w == NULL || w->window == 0 ||
			    !wants[w->pattern][e->type])
				continue;
			e->after[i] += i == to;
			there = true;
			patient |= e->after[i] <= CONVS;
		}
		e->passed += may;
		check(m, e->passed < CONVS, "others went before their turn");
		check(m, !there || patient, "no worker is kept for it");
	}
}

static void
end_unwanted(struct model *m)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t c = 0; c < CONVS; c++)
			while (m->n[c] > 0 && m->q[c][0].state == QUEUED &&
			    m_unwanted(m, m->q[c][0].type)) {
				bool over = m->q[c][0].over;

				m->want.unwanted += !over;
				again = true;
				if (!check(m, m_finish(m, c, over, true),
				        "an unwanted event did not end"))
					return;
			}
	}
}

/* Given up, and nobody is there who would want to know. */
static void
end_untold(struct model *m)
{
	bool any = false;

	for (int i = 0; i < WORKERS; i++)
		any |= m->workers[i].w != NULL;
	if (!any || m_any_ends(m))
		return;
	for (size_t c = 0; c < CONVS; c++)
		if (m->n[c] > 0 && m->q[c][0].over &&
		    m->q[c][0].state == QUEUED)
			check(m, m_finish(m, c, true, true),
			    "one that nobody is told of did not end");
}

static void
step_offer(struct model *m)
{
	struct delivery_item item;
	bool                 any = delivery_offer(m->d, m->now, &item);
	struct event        *e;
	struct worker       *w = m->workers;
	size_t               conv;

	end_unwanted(m);
	end_untold(m);
	if (!any) {
		check_none_left(m);
		return;
	}
	e = m_find(m, number_in(item.id), &conv);
	while (w < m->workers + WORKERS && w->w != item.worker)
		w++;
	if (!check(m, e != NULL && w < m->workers + WORKERS,
	        "offers what is not there"))
		return;
	check(m, e == &m->q[conv][0], "out of order");
	check(m, e->state == QUEUED, "in flight already, or too early");
	check(m, m_may_take(w, e), "to a worker that may not");
	check(m, item.no == e->no, "another number");
	check(m, item.over == e->over &&
	    item.attempt == e->attempt + !e->over && item.attempt <= ATTEMPTS,
	    "attempts miscounted");
	check(m, item.body_away == (!e->held && e->size > 0) &&
	    body_is(item.body, e), "another body");
	check_turns(m, conv, (int)(w - m->workers));
	e->passed = 0;
	if (m_lone(m, conv))
		choose_anew(m);
	if (!e->over)
		e->last = (int)(w - m->workers);
	if (draw(m, 20) == 0) {
		delivery_unsend(m->d, &item);
		return;
	}
	e->attempt += !e->over;
	e->told += e->over;
	m->tellings += e->over;
	e->state = FLYING;
	e->worker = (int)(w - m->workers);
	e->due = m->now + (w->timeout > 0 ? w->timeout : TIMEOUT);
	w->in_flight++;
	w->alone = e->attempt >= 3 && !e->over;
	m->want.offered++;
	m->want.in_flight++;
}

/* An ack or nack: mostly of what is in flight, sometimes of anything, and of
 * what was with a worker's earlier life. */
static void
step_answer(struct model *m)
{
	size_t        conv = draw(m, CONVS), i = draw(m, WORKERS);
	struct event *e = &m->q[conv][0];
	bool          nack = draw(m, 4) == 0, drop = draw(m, 8) == 0;
	uint64_t      after = draw(m, 2) == 0 ? 0 : 1 + draw(m, 3000);
	unsigned      id = draw(m, m->next_id + 2);
	enum err      want, got;
	char          name[32];

	if (m->n[conv] > 0 && draw(m, 20) != 0) {
		id = e->id;
		if (e->worker >= 0 && draw(m, 10) != 0)
			i = (size_t)e->worker;
	}
	e = m_find(m, id, &conv);
	if (m->workers[i].w != NULL) {
		delivery_worker_heard(m->workers[i].w, m->now);
		m->workers[i].deaf = false;
	}
	want = e != NULL && e->worker == (int)i ? ERR_OK
	    : e != NULL || m_remembered(m, id) != NULL ? ERR_STALE
	                                               : ERR_NOT_FOUND;
	m->want.stale += want == ERR_STALE;
	if (!nack)
		got = delivery_ack(m->d, m->workers[i].w,
		    name_of(name, 'e', id), m->now);
	else
		got = delivery_nack(m->d, m->workers[i].w,
		    name_of(name, 'e', id), after, drop, SLICE("no"),
		    m->now);
	check(m, got == want, "ack or nack is not as the model says");
	if (got != ERR_OK || e == NULL)
		return;
	m->want.done += !nack && !e->over;
	if (!nack || e->over)
		check(m, m_finish(m, conv, e->over, e->over), "did not end so");
	else
		check(m, m_again(m, conv, after > 0 ? after
		                                    : RETRY * e->attempt, drop),
		    "did not die so");
}

static void
worker_goes(struct model *m, int i)
{
	struct worker *w = &m->workers[i];

	delivery_worker_gone(m->d, w->w, "killed", m->now);
	w->w = NULL;
	if (w->ends)
		m->ends = m->now + MINUTE;
	for (int t = 0; t < TYPES; t++)
		if (wants[w->pattern][t])
			m->left[t] = m->now + MINUTE;
	for (size_t c = 0; c < CONVS; c++)
		if (m->n[c] > 0 && m->q[c][0].worker == i)
			check(m, m_again(m, c, m->q[c][0].attempt >= 3
			        ? RETRY * m->q[c][0].attempt : 0, false),
			    "did not die with its worker");
	*w = (struct worker){ .life = w->life + 1 };
	choose_anew(m);
}

/* Comes, changes, or goes. */
static void
step_worker(struct model *m)
{
	int            i = (int)draw(m, WORKERS);
	struct worker *w = &m->workers[i];
	char           peer[32], name[32];

	if (w->w != NULL && draw(m, 3) == 0) {
		worker_goes(m, i);
		return;
	}
	if (w->w == NULL || draw(m, 4) == 0)
		w->pattern = (unsigned)draw(m, PATTERNS);
	for (int t = 0; t < TYPES; t++)
		if (m->restored[t] == UINT64_MAX)
			m->restored[t] = m->now + MINUTE;
	w->deaf = false;
	w->window = draw(m, 6);
	w->timeout = draw(m, 2) * 2000;
	choose_anew(m);
	w->w = delivery_worker_set(m->d,
	    name_of(peer, 'p', WORKERS * w->life + (unsigned)i),
	    name_of(name, 'w', (unsigned)i), 1,
	    SLICE("h"), slice_of(patterns[w->pattern]), w->window, w->timeout,
	    false, true, m->now);
	w->ends = draw(m, 2) == 0;
	delivery_worker_ends(w->w, w->ends);
}

static void
step_time(struct model *m)
{
	m->now += draw(m, 1000);
	delivery_tick(m->d, m->now);
	for (size_t c = 0; c < CONVS; c++) {
		struct event *e = &m->q[c][0];

		if (m->n[c] == 0 || e->state == QUEUED || e->due > m->now)
			continue;
		if (e->state == DELAYED) {
			e->state = QUEUED;
			continue;
		}
		m->want.timeouts++;
		m->workers[e->worker].deaf = true;
		check(m, m_again(m, c, RETRY * e->attempt, false),
		    "did not die so late");
	}
}

/* A person wants an event again: it is to come as if it were new.  One not
 * yet done stays what it is. */
static void
step_forget(struct model *m)
{
	unsigned    id = (unsigned)draw(m, m->next_id + 1);
	struct row *r = m->nring > 0 && draw(m, 3) != 0
	    ? &m->ring[draw(m, m->nring)] : m_remembered(m, id);
	char        name[32];

	if (r != NULL) {
		id = r->id;
		m_forget(m, r);
	}
	delivery_forget(m->d, name_of(name, 'e', id));
}

/* What the journal need not keep. */
static void
step_prune(struct model *m)
{
	uint64_t from = m->last_no + 1;
	size_t   n = 0;

	for (size_t i = 0; i < m->nring; i++)
		if (m->ring[i].no < from)
			from = m->ring[i].no;
	check(m, delivery_oldest_remembered(m->d) == from,
	    "the oldest remembered is another");
	for (size_t c = 0; c < CONVS; c++)
		if (m->n[c] > 0 && m->q[c][0].no < from)
			from = m->q[c][0].no;
	for (size_t i = 0; i < m->nrows; i++)
		if (m->rows[i].no >= from)
			m->rows[n++] = m->rows[i];
	m->nrows = n;
}

static const struct delivery_limits limits = { .events = EVENTS,
	.bytes = BYTES, .body_bytes = BODY_BYTES, .remembered = REMEMBERED,
	.attempts = ATTEMPTS, .timeout_ms = TIMEOUT };

/* Of all the journal has, the next after this number. */
static uint64_t
next_no(struct model *m, uint64_t after, struct row **row, size_t *conv,
    struct event **e)
{
	uint64_t best = UINT64_MAX;

	*row = NULL;
	*e = NULL;
	for (size_t i = 0; i < m->nrows; i++)
		if (m->rows[i].no > after && m->rows[i].no < best) {
			best = m->rows[i].no;
			*row = &m->rows[i];
		}
	for (size_t c = 0; c < CONVS; c++)
		for (size_t i = 0; i < m->n[c]; i++)
			if (m->q[c][i].no > after && m->q[c][i].no < best) {
				best = m->q[c][i].no;
				*e = &m->q[c][i];
				*conv = c;
			}
	return best;
}

static void
restore_one(struct model *m, struct event *e, size_t conv)
{
	char         id[32], place[32];
	struct row  *known = m_remembered(m, e->id);
	struct event was = *e;

	if (known != NULL) /* forgotten, and come again since */
		m_forget(m, known);
	/* A journal writes down only second attempts and later ones. */
	*e = (struct event){ .no = was.no, .id = was.id, .size = was.size,
		.type = was.type, .worker = -1, .last = -1, .came = was.came,
		.attempt = was.attempt < 2 ? 0
		    : was.attempt < ATTEMPTS ? was.attempt : ATTEMPTS - 1 };
	m->restored[e->type] = UINT64_MAX; /* until a worker comes */
	check(m, delivery_restore(m->d, e->no, name_of(id, 'e', e->id),
	    name_of(place, 'g', conv), slice_of(types[e->type]), e->size,
	    was.attempt < 2 ? 0 : was.attempt, e->came) == ERR_OK,
	    "does not take back what was ours");
}

static void
step_restart(struct model *m)
{
	struct delivery_counts was = m->want;
	struct row            *row;
	struct event          *e;
	size_t                 conv = 0;
	char                   id[32];
	uint64_t               no = 0;

	delivery_free(&m->d);
	m->d = delivery_new(&limits);
	delivery_on_end(m->d, on_end, m);
	for (int i = 0; i < WORKERS; i++)
		m->workers[i] = (struct worker){
			.life = m->workers[i].life + 1 };
	m->ends = 0;
	memset(m->left, 0, sizeof m->left);
	memset(m->restored, 0, sizeof m->restored);
	m->nring = 0;
	while ((no = next_no(m, no, &row, &conv, &e)) != UINT64_MAX) {
		m->last_no = no;
		if (e != NULL) {
			restore_one(m, e, conv);
			continue;
		}
		if (m_remembered(m, row->id) != NULL)
			m_forget(m, m_remembered(m, row->id));
		m_remember(m, *row);
		check(m, delivery_remember(m->d, name_of(id, 'e', row->id),
		    no) == ERR_OK, "does not remember");
	}
	m->want = (struct delivery_counts){ .events = was.events,
		.bytes = was.bytes, .conversations = was.conversations };
	m->restarts++;
}

/* --- after each ------------------------------------------------------------------ */

static void
check_convs(struct model *m)
{
	struct delivery_conv_info in[CONVS + 1];
	size_t                    n = delivery_convs(m->d, SLICE(""), in,
	    CONVS + 1, m->now);
	uint64_t                  last = 0;

	check(m, n == m->want.conversations, "conversations miscounted");
	for (size_t i = 0; i < n && !test_bad; i++) {
		size_t        c = number_in(in[i].conv);
		struct event *e = &m->q[c][0];

		check(m, c < CONVS && m->n[c] == in[i].queued &&
		    e->no > last && number_in(in[i].head_id) == e->id &&
		    in[i].oldest_ms_ago == m->now - e->came &&
		    in[i].attempt == e->attempt &&
		    in[i].in_flight == (e->state == FLYING) &&
		    (in[i].worker.n > 0 ? (int)number_in(in[i].worker)
		                        : -1) == e->last,
		    "a conversation is shown otherwise");
		last = e->no;
	}
}

static void
check_all(struct model *m)
{
	uint64_t came = m->now, no = UINT64_MAX;

	check(m, m->ntold == 0, "an end too many was told");
	check(m, memcmp(&m->want, delivery_counts(m->d), sizeof m->want) == 0,
	    "counts differ");
	check(m, m->began == m->ended + m->want.events, "events were lost");
	check(m, delivery_idle(m->d) == (m->want.events == 0), "idle differs");
	check(m, delivery_has_room(m->d, (struct slice){ NULL, 0 }) ==
	        (m->want.events < EVENTS / 4 * 3 &&
	            m->want.bytes < BYTES / 4 * 3), "room differs");
	check(m, delivery_is_filling(m->d) == (m->want.events > EVENTS / 2 ||
	    m->want.bytes > BYTES / 2), "filling differs");
	for (int i = 0; i < WORKERS; i++)
		check(m, m->workers[i].w == NULL ||
		    delivery_worker_info(m->workers[i].w).in_flight ==
		        m->workers[i].in_flight, "credit miscounted");
	for (size_t c = 0; c < CONVS; c++)
		if (m->n[c] > 0 && m->q[c][0].no < no) {
			no = m->q[c][0].no;
			came = m->q[c][0].came;
		}
	check(m, delivery_oldest_ms(m->d, m->now) == m->now - came,
	    "the oldest is of another age");
	/* No event of a type: nothing is known of it any more. */
	for (unsigned t = 0; t < TYPES; t++) {
		bool any = false;

		for (size_t c = 0; c < CONVS; c++)
			for (size_t i = 0; i < m->n[c]; i++)
				any |= m->q[c][i].type == t;
		if (!any)
			m->restored[t] = 0;
	}
}

/* Quiet times, in which queues empty, and busy ones; workers that stay. */
static void
one_step(struct model *m)
{
	uint64_t dice = draw(m, 1000);

	if (m->step % 5000 == 0)
		m->busy = 200 + 200 * (unsigned)draw(m, 2);
	if (dice < m->busy)
		step_append(m);
	else if (dice < 640)
		step_offer(m);
	else if (dice < 930)
		step_answer(m);
	else if (dice < 938)
		step_worker(m);
	else if (dice < 990)
		step_time(m);
	else if (dice < 996)
		check_convs(m);
	else if (dice < 998)
		step_forget(m);
	else if (dice < 999 && m->step % 3 == 0)
		step_restart(m);
	else
		step_prune(m);
	if (m->nrows > ROWS - EVENTS - 1)
		step_prune(m);
	check_all(m);
}

/* All of it comes to an end. */
static void
drain(struct model *m)
{
	for (int i = 0; m->want.events > 0 && i < 200000 && !test_bad; i++) {
		step_offer(m);
		step_answer(m);
		if (i % 100 == 0) {
			step_worker(m);
			step_time(m);
		}
		check_all(m);
	}
	check(m, m->want.events == 0, "some never come to an end");
}

static void
run(uint64_t seed)
{
	static struct model m;

	m = (struct model){ .seed = seed, .now = 1, .d = delivery_new(&limits) };
	delivery_on_end(m.d, on_end, &m);
	for (m.step = 0; m.step < STEPS && !test_bad; m.step++)
		one_step(&m);
	if (!test_bad)
		drain(&m);
	check(&m, m.ended > STEPS / 40 && m.deaths > STEPS / 1000 &&
	    m.tellings > STEPS / 1000 && m.restarts > 10,
	    "these steps do not say much");
	if (test_bad)
		printf("# seed %llu\n", (unsigned long long)seed);
	delivery_free(&m.d);
}

TEST(seeds_known)
{
	for (uint64_t seed = 1; seed <= SEEDS && !test_bad; seed++)
		run(seed);
}

static uint64_t chance;

TEST(a_seed_by_chance)
{
	run(chance);
}

int
main(int argc, char *argv[])
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	chance = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	if (argc > 1)
		chance = strtoull(argv[1], NULL, 10);
	printf("# by chance: seed %llu\n", (unsigned long long)chance);
	if (argc == 1)
		RUN(seeds_known);
	RUN(a_seed_by_chance);
	return test_done();
}
