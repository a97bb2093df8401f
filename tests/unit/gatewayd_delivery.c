// links: gatewayd/delivery.c common/slice.c
/*
 * delivery: rows for each rule, then a million random steps beside a model
 * that is nothing but lists: what is offered must be allowed by it, what may
 * go must be offered, and at the end each event was done or died exactly once.
 */
#include "test.h"

#include "delivery.h"

static const struct delivery_limits limits = { 16, 4096, 8, 5, 1000 };

static struct slice
text(const char *z)
{
	return slice_of(z);
}

static enum err
put(struct delivery *d, const char *id, const char *conv)
{
	return delivery_append(d, text(id), text(conv), SLICE("message.c2c"),
	    SLICE("body"), 0);
}

static struct delivery_worker *
worker(struct delivery *d, const char *name, const char *patterns,
    uint64_t window)
{
	return delivery_worker_set(d, text(name), text(name), 1, SLICE("h"),
	    text(patterns), window, 0, false, true, 0);
}

/* The id offered next, "" for none; a copy in a static place. */
static const char *
offered(struct delivery *d, uint64_t now)
{
	static char          id[64];
	struct delivery_item item;

	if (!delivery_offer(d, now, &item))
		return "";
	snprintf(id, sizeof id, "%.*s", (int)item.id.n, item.id.p);
	return id;
}

static enum err
ack(struct delivery *d, struct delivery_worker *w, const char *id)
{
	return delivery_ack(d, w, text(id), 0);
}

/* --- rows ---------------------------------------------------------------------- */

TEST(one_conversation_is_in_order_and_one_at_a_time)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 10);

	put(d, "1", "u:a");
	put(d, "2", "u:a");
	put(d, "3", "u:b");
	EXPECT_STR(offered(d, 0), "1");
	EXPECT_STR(offered(d, 0), "3");
	EXPECT_STR(offered(d, 0), "");
	EXPECT(ack(d, w, "1") == ERR_OK);
	EXPECT_STR(offered(d, 0), "2");
	EXPECT_STR(offered(d, 0), "");
	EXPECT(!delivery_idle(d));
	EXPECT(ack(d, w, "2") == ERR_OK && ack(d, w, "3") == ERR_OK);
	EXPECT(delivery_idle(d));
	delivery_free(&d);
	EXPECT(d == NULL);
}

TEST(credit_is_never_exceeded)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w;
	char                    id[8], conv[8];

	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof id, "%d", i);
		snprintf(conv, sizeof conv, "u:%d", i);
		put(d, id, conv);
	}
	EXPECT_STR(offered(d, 0), ""); /* nobody is here */
	w = worker(d, "w", "*", 3);
	EXPECT_STR(offered(d, 0), "0");
	EXPECT_STR(offered(d, 0), "1");
	EXPECT_STR(offered(d, 0), "2");
	EXPECT_STR(offered(d, 0), "");
	worker(d, "w", "*", 4);
	EXPECT_STR(offered(d, 0), "3");
	worker(d, "w", "*", 0); /* paused: acks still count */
	EXPECT(ack(d, w, "0") == ERR_OK);
	EXPECT_STR(offered(d, 0), "");
	EXPECT_INT(delivery_worker_info(w).in_flight, 3);
	delivery_free(&d);
}

TEST(one_event_is_one_event)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 100);
	char                    id[8];

	EXPECT(put(d, "x", "u:a") == ERR_OK);
	EXPECT(put(d, "x", "u:a") == ERR_DUPLICATE); /* waiting */
	EXPECT_STR(offered(d, 0), "x");
	EXPECT(put(d, "x", "u:b") == ERR_DUPLICATE); /* in flight */
	EXPECT(ack(d, w, "x") == ERR_OK);
	EXPECT(put(d, "x", "u:a") == ERR_DUPLICATE); /* done */
	/* eight finished ids are remembered: the ninth pushes x out */
	for (int i = 0; i < 8; i++) {
		EXPECT(put(d, "x", "u:a") == ERR_DUPLICATE);
		snprintf(id, sizeof id, "%d", i);
		put(d, id, "u:a");
		EXPECT_STR(offered(d, 0), id);
		ack(d, w, id);
	}
	EXPECT(put(d, "0", "u:a") == ERR_DUPLICATE);
	EXPECT(put(d, "x", "u:a") == ERR_OK);
	EXPECT_INT(delivery_counts(d)->duplicates, 12);
	delivery_free(&d);
}

TEST(bounds_by_count_and_by_bytes)
{
	struct delivery_limits  few = { 4, 1 << 20, 8, 5, 1000 };
	struct delivery_limits  small = { 100, 100, 8, 5, 1000 };
	struct delivery        *d = delivery_new(&few);
	struct delivery_worker *w;
	char                    body[64] = { 0 }, id[8];

	for (int i = 0; i < 4; i++) {
		EXPECT(delivery_has_room(d) == (i < 3));
		snprintf(id, sizeof id, "%d", i);
		EXPECT(put(d, id, "u:a") == ERR_OK);
	}
	EXPECT(put(d, "4", "u:a") == ERR_FULL);
	EXPECT(put(d, "0", "u:a") == ERR_DUPLICATE); /* it is ours already */
	w = worker(d, "w", "*", 1);
	EXPECT_STR(offered(d, 0), "0");
	EXPECT(put(d, "4", "u:a") == ERR_FULL); /* in flight is held too */
	ack(d, w, "0");
	EXPECT(put(d, "4", "u:a") == ERR_OK); /* what is done is not */
	EXPECT_INT(delivery_counts(d)->refused, 2);
	delivery_free(&d);

	d = delivery_new(&small);
	EXPECT(delivery_append(d, SLICE("1"), SLICE("c"), SLICE("t"),
	    (struct slice){ body, 60 }, 0) == ERR_OK);
	EXPECT(delivery_has_room(d));
	EXPECT(delivery_append(d, SLICE("2"), SLICE("c"), SLICE("t"),
	    (struct slice){ body, 41 }, 0) == ERR_FULL);
	EXPECT(delivery_append(d, SLICE("2"), SLICE("c"), SLICE("t"),
	    (struct slice){ body, 40 }, 0) == ERR_OK);
	EXPECT(!delivery_has_room(d));
	EXPECT_INT(delivery_counts(d)->bytes, 100);
	delivery_free(&d);
}

TEST(a_stale_ack_is_refused)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *a = worker(d, "a", "*", 1);
	struct delivery_worker *b;

	put(d, "1", "u:a");
	EXPECT(ack(d, a, "1") == ERR_STALE); /* not given out */
	EXPECT(ack(d, a, "none") == ERR_NOT_FOUND);
	EXPECT(ack(d, NULL, "1") == ERR_STALE); /* a worker not known */
	EXPECT_STR(offered(d, 0), "1");
	b = worker(d, "b", "*", 1);
	EXPECT(ack(d, b, "1") == ERR_STALE); /* another's */
	delivery_tick(d, 1000); /* too slow */
	EXPECT_INT(delivery_counts(d)->timeouts, 1);
	EXPECT(ack(d, a, "1") == ERR_STALE);
	EXPECT(delivery_nack(d, a, text("1"), 0, true, text(""), 1000) ==
	    ERR_STALE);
	delivery_tick(d, 1200);
	EXPECT_STR(offered(d, 1200), "1");
	a = delivery_worker_find(d, text("a"));
	if (delivery_worker_info(a).in_flight == 0)
		a = delivery_worker_find(d, text("b"));
	EXPECT(ack(d, a, "1") == ERR_OK);
	EXPECT(ack(d, a, "1") == ERR_STALE); /* twice */
	delivery_free(&d);
}

static void
on_dead_note(void *self, const struct delivery_dead *dead)
{
	snprintf(self, 64, "%.*s %u %.*s", (int)dead->id.n, dead->id.p,
	    dead->attempts, (int)dead->why.n, dead->why.p);
}

TEST(an_event_dies_after_its_attempts)
{
	struct delivery *d = delivery_new(&limits);
	char             dead[64] = "";
	uint64_t         now = 0;

	delivery_on_dead(d, on_dead_note, dead);
	put(d, "bad", "u:a");
	put(d, "next", "u:a");
	for (unsigned i = 1; i <= 5; i++) {
		struct delivery_worker *w = worker(d, "w", "*", 4);
		struct delivery_item    item;
		bool                    there = false;

		EXPECT_STR(dead, "");
		for (int k = 0; k < 100 && !there; k++, now += 100) {
			delivery_tick(d, now);
			there = delivery_offer(d, now, &item);
		}
		EXPECT(there && slice_is(item.id, "bad"));
		EXPECT_INT(item.attempt, i);
		if (i % 2 == 0)
			delivery_worker_gone(d, w, "killed", now);
		else
			delivery_nack(d, w, text("bad"), 0, false, text("no"),
			    now);
	}
	EXPECT_STR(dead, "bad 5 no");
	EXPECT_STR(offered(d, now), "next"); /* others go on */
	EXPECT_INT(delivery_counts(d)->dead, 1);
	delivery_free(&d);
}

TEST(a_nack_waits_or_drops)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 4);
	char                    dead[64] = "";

	delivery_on_dead(d, on_dead_note, dead);
	put(d, "1", "u:a");
	put(d, "2", "u:a");
	offered(d, 0);
	EXPECT(delivery_nack(d, w, text("1"), 5000, false, text(""), 0) ==
	    ERR_OK);
	EXPECT_STR(offered(d, 0), ""); /* order: 2 waits behind it */
	delivery_tick(d, 4999);
	EXPECT_STR(offered(d, 4999), "");
	delivery_tick(d, 5000);
	EXPECT_STR(offered(d, 5000), "1");
	EXPECT(delivery_nack(d, w, text("1"), 0, true, text(""), 0) == ERR_OK);
	EXPECT_STR(dead, "1 2 the handler said no");
	EXPECT_STR(offered(d, 5000), "2");
	delivery_free(&d);
}

TEST(from_the_third_attempt_it_goes_alone)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 10);

	put(d, "bad", "u:a");
	for (int i = 0; i < 2; i++) {
		EXPECT_STR(offered(d, 0), "bad");
		delivery_nack(d, w, text("bad"), 1, false, text(""), 0);
		delivery_tick(d, 1);
	}
	put(d, "good", "u:b");
	put(d, "fine", "u:c");
	EXPECT_STR(offered(d, 0), "bad");
	EXPECT_STR(offered(d, 0), ""); /* no neighbours */
	ack(d, w, "bad");
	EXPECT_STR(offered(d, 0), "good");
	EXPECT_STR(offered(d, 0), "fine");
	delivery_free(&d);
}

/* A worker that never runs empty must not keep it waiting for ever. */
TEST(what_goes_alone_is_not_starved)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 2);
	char                    id[64], last[2][64] = { "a0", "b0" };
	bool                    seen = false;

	put(d, "bad", "u:bad");
	for (int i = 0; i < 2; i++) {
		EXPECT_STR(offered(d, 0), "bad");
		delivery_nack(d, w, text("bad"), 10, false, text(""), 0);
		if (i == 0)
			delivery_tick(d, 10);
	}
	put(d, "a0", "u:a");
	put(d, "b0", "u:b");
	offered(d, 0);
	offered(d, 0);
	delivery_tick(d, 10);
	for (int i = 1; i < 100 && !seen; i++) {
		const char *got;

		snprintf(id, sizeof id, "%c%d", 'a' + i % 2, i);
		put(d, id, i % 2 != 0 ? "u:b" : "u:a");
		EXPECT(ack(d, w, last[i % 2]) == ERR_OK || seen);
		got = offered(d, 10);
		seen = strcmp(got, "bad") == 0;
		snprintf(last[i % 2], sizeof last[0], "%s", got);
	}
	EXPECT(seen);
	EXPECT_STR(offered(d, 10), "");
	EXPECT(ack(d, w, "bad") == ERR_OK);
	EXPECT(strcmp(offered(d, 10), "") != 0);
	delivery_free(&d);
}

TEST(a_crowded_conversation_does_not_starve_others)
{
	struct delivery_limits  big = { 2000, 1 << 20, 8, 5, 1000 };
	struct delivery        *d = delivery_new(&big);
	struct delivery_worker *w = worker(d, "w", "*", 1);
	char                    id[64];
	int                     before = 0;

	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof id, "%d", i);
		put(d, id, "g:crowd");
	}
	put(d, "quiet", "u:quiet");
	for (; before < 1000; before++) {
		snprintf(id, sizeof id, "%s", offered(d, 0));
		EXPECT(ack(d, w, id) == ERR_OK);
		if (strcmp(id, "quiet") == 0)
			break;
	}
	EXPECT(before <= 1);
	delivery_free(&d);
}

TEST(each_worker_gets_what_it_asked_for)
{
	static const struct {
		const char *patterns, *type;
		bool        wanted;
	} rows[] = {
		{ "*", "message.c2c", true },
		{ "message.*", "message.c2c", true },
		{ "message.*", "message", false },
		{ "message.*", "messages.c2c", false },
		{ "message.c2c", "message.c2c", true },
		{ "message.c2c", "message.c2c2", false },
		{ "message.c2", "message.c2c", false },
		{ "interaction message.group", "message.group", true },
		{ "interaction message.group", "interaction", true },
		{ "interaction message.group", "message.c2c", false },
		{ "raw.*", "raw.NEW", true },
		{ ".*", "message.c2c", false },
		{ "**", "message.c2c", false },
		{ "m*", "message.c2c", false },
		{ "", "message.c2c", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct delivery *d = delivery_new(&limits);
		bool             got;

		worker(d, "w", rows[i].patterns, 1);
		delivery_append(d, text("1"), text("u:a"), text(rows[i].type),
		    text("b"), 0);
		got = strcmp(offered(d, 0), "1") == 0;
		if (got != rows[i].wanted)
			printf("# row %zu: %s, %s\n", i, rows[i].patterns,
			    rows[i].type);
		EXPECT(got == rows[i].wanted);
		/* what nobody wants is over, and its conversation goes on */
		EXPECT(delivery_idle(d) != rows[i].wanted);
		EXPECT_INT(delivery_counts(d)->unwanted, !rows[i].wanted);
		delivery_free(&d);
	}
}

TEST(unwanted_events_do_not_hold_up_wanted_ones)
{
	struct delivery *d = delivery_new(&limits);

	delivery_append(d, text("1"), text("g:a"), text("group.join"),
	    text("b"), 0);
	put(d, "2", "g:a");
	EXPECT_STR(offered(d, 0), ""); /* nobody is here: it may be wanted */
	EXPECT_INT(delivery_counts(d)->events, 2);
	worker(d, "w", "message.*", 4);
	EXPECT_STR(offered(d, 0), "2");
	EXPECT_INT(delivery_counts(d)->unwanted, 1);
	delivery_free(&d);
}

TEST(a_send_that_failed_is_as_if_never_tried)
{
	struct delivery      *d = delivery_new(&limits);
	struct delivery_item  item;

	worker(d, "w", "*", 1);
	put(d, "1", "u:a");
	for (int i = 0; i < 20; i++) {
		EXPECT(delivery_offer(d, 0, &item));
		EXPECT_INT(item.attempt, 1);
		delivery_unsend(d, &item);
	}
	EXPECT_INT(delivery_counts(d)->dead, 0);
	EXPECT_INT(delivery_counts(d)->offered, 0);
	delivery_free(&d);
}

TEST(workers_are_found_and_told_apart)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *a = worker(d, "a", "*", 1), *b;
	int                     n = 0;

	b = delivery_worker_set(d, text("peer-b"), text("worker/2"), 77,
	    text("h"), text("*"), 1, 0, true, false, 5);
	EXPECT(delivery_worker_find(d, text("peer-b")) == b);
	EXPECT(delivery_worker_find(d, text("peer")) == NULL);
	EXPECT(delivery_worker_named(d, text("worker/2"), 0) == b);
	EXPECT(delivery_worker_named(d, text("worker/2"), 77) == b);
	EXPECT(delivery_worker_named(d, text("worker/2"), 78) == NULL);
	EXPECT(worker(d, "a", "x", 9) == a); /* the same one, changed */
	EXPECT_INT(delivery_worker_info(a).window, 9);
	EXPECT(delivery_worker_info(b).want_raw &&
	    !delivery_worker_info(b).late);
	for (struct delivery_worker *w = delivery_worker_next(d, NULL);
	     w != NULL; w = delivery_worker_next(d, w))
		n++;
	EXPECT_INT(n, 2);
	delivery_worker_gone(d, b, "x", 0);
	EXPECT(delivery_worker_find(d, text("peer-b")) == NULL);
	delivery_free(&d);
}

TEST(the_age_of_the_oldest_is_known)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 9);

	EXPECT_INT(delivery_oldest_ms(d, 500), 0);
	delivery_append(d, text("1"), text("a"), text("t"), text("b"), 100);
	delivery_append(d, text("2"), text("b"), text("t"), text("b"), 300);
	EXPECT_INT(delivery_oldest_ms(d, 500), 400);
	EXPECT_STR(offered(d, 500), "1");
	EXPECT_INT(delivery_oldest_ms(d, 500), 400);
	ack(d, w, "1");
	EXPECT_INT(delivery_oldest_ms(d, 500), 200);
	delivery_free(&d);
}

/* --- the model -------------------------------------------------------------------- */

enum { CONVS = 12, WORKERS = 4, EVENTS = 60, REMEMBERED = 20, ATTEMPTS = 5,
       BYTES = 1500, TIMEOUT = 5000, STEPS = 1000000 };
enum state { ABSENT, QUEUED, DELAYED, FLYING };

struct m_event {
	unsigned   id, size, attempt;
	int        worker;
	uint64_t   due;
	enum state state;
	bool       private;   /* of a type that only some workers want */
};

struct m_worker {
	struct delivery_worker *w;
	uint64_t                window, in_flight;
	bool                    narrow, alone;
};

struct model {
	struct delivery *d;
	struct m_event   q[CONVS][EVENTS];
	size_t           n[CONVS], total, bytes;
	unsigned         done[REMEMBERED], ndone, next_id;
	struct m_worker  workers[WORKERS];
	uint64_t         now, seed, finished, died, appended;
	unsigned         must_die, has_died;
	unsigned long    step;
};

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
id_of(unsigned id, char out[16])
{
	snprintf(out, 16, "e%u", id);
	return slice_of(out);
}

static struct m_event *
m_find(struct model *m, unsigned id, size_t *conv)
{
	for (*conv = 0; *conv < CONVS; ++*conv)
		for (size_t i = 0; i < m->n[*conv]; i++)
			if (m->q[*conv][i].id == id)
				return &m->q[*conv][i];
	return NULL;
}

static bool
m_known(struct model *m, unsigned id)
{
	size_t conv;

	for (unsigned i = 0; i < m->ndone && i < REMEMBERED; i++)
		if (m->done[(m->ndone - 1 - i) % REMEMBERED] == id)
			return true;
	return m_find(m, id, &conv) != NULL;
}

static void
m_release(struct model *m, struct m_event *e)
{
	if (e->worker >= 0) {
		m->workers[e->worker].in_flight--;
		m->workers[e->worker].alone = false;
	}
	e->worker = -1;
}

/* Only heads finish. */
static void
m_finish(struct model *m, size_t conv)
{
	struct m_event *e = &m->q[conv][0];

	m_release(m, e);
	m->total--;
	m->bytes -= e->size;
	m->done[m->ndone++ % REMEMBERED] = e->id;
	m->finished++;
	memmove(e, e + 1, --m->n[conv] * sizeof *e);
}

static void
m_again(struct model *m, size_t conv, uint64_t after_ms)
{
	struct m_event *e = &m->q[conv][0];

	m_release(m, e);
	if (e->attempt >= ATTEMPTS) {
		m->must_die++;
		m->died++;
		m_finish(m, conv);
		return;
	}
	e->state = after_ms > 0 ? DELAYED : QUEUED;
	e->due = m->now + after_ms;
}

static void
on_dead_count(void *self, const struct delivery_dead *dead)
{
	struct model *m = self;

	(void)dead;
	m->has_died++;
}

static void
step_append(struct model *m)
{
	unsigned id = draw(m, 4) == 0 && m->next_id > 0
	    ? m->next_id - 1 - (unsigned)draw(m, m->next_id < 60 ? m->next_id
	                                                          : 60)
	    : m->next_id++;
	size_t   conv = draw(m, CONVS), size = draw(m, 100);
	bool     private = draw(m, 3) == 0;
	char     name[16], place[16], body[100];
	enum err want = ERR_OK, got;

	memset(body, (int)id & 0xff, sizeof body);
	snprintf(place, sizeof place, "g:%zu", conv);
	if (m_known(m, id))
		want = ERR_DUPLICATE;
	else if (m->total >= EVENTS || m->bytes + size > BYTES)
		want = ERR_FULL;
	got = delivery_append(m->d, id_of(id, name), slice_of(place),
	    private ? SLICE("private.x") : SLICE("message.c2c"),
	    (struct slice){ body, size }, m->now);
	check(m, got == want, "append is not as the model says");
	if (got != ERR_OK)
		return;
	m->q[conv][m->n[conv]++] = (struct m_event){ .id = id,
		.size = (unsigned)size, .worker = -1, .state = QUEUED,
		.private = private };
	m->total++;
	m->bytes += size;
	m->appended++;
}

static bool
may_take(const struct m_worker *w, const struct m_event *e)
{
	return w->w != NULL && !w->alone && w->in_flight < w->window &&
	    (!e->private || !w->narrow) &&
	    (e->attempt + 1 < 3 || w->in_flight == 0);
}

/* Nothing was offered: nothing could have been.  While one waits to go alone a
 * worker may be kept for it; then only what goes alone is looked at. */
static void
check_none_left(struct model *m)
{
	bool lone = false;

	for (size_t c = 0; c < CONVS; c++)
		lone |= m->n[c] > 0 && m->q[c][0].state == QUEUED &&
		    m->q[c][0].attempt >= 2;
	for (size_t c = 0; c < CONVS; c++)
		for (int i = 0; i < WORKERS; i++)
			if (!lone && m->n[c] > 0 &&
			    m->q[c][0].state == QUEUED)
				check(m, !may_take(&m->workers[i],
				    &m->q[c][0]), "left what could go");
	if (!lone)
		return;
	for (int i = 0; i < WORKERS; i++)
		for (size_t c = 0; c < CONVS; c++)
			check(m, !(m->n[c] > 0 && m->q[c][0].state == QUEUED &&
			    m->workers[i].in_flight == 0 &&
			    may_take(&m->workers[i], &m->q[c][0])),
			    "an idle worker, and one that goes alone waits");
}

static void
step_offer(struct model *m)
{
	struct delivery_item item;
	struct m_event      *e;
	size_t               conv;
	unsigned long long   id = 0;
	int                  i = 0;

	if (!delivery_offer(m->d, m->now, &item)) {
		check_none_left(m);
		return;
	}
	slice_u64(slice_from(item.id, 1), &id);
	e = m_find(m, (unsigned)id, &conv);
	while (i < WORKERS && m->workers[i].w != item.worker)
		i++;
	if (!check(m, e != NULL && i < WORKERS, "offers what is not there"))
		return;
	check(m, e == &m->q[conv][0], "out of order");
	check(m, e->state == QUEUED, "in flight already, or too early");
	check(m, may_take(&m->workers[i], e), "to a worker that may not");
	check(m, item.attempt == e->attempt + 1, "attempts miscounted");
	check(m, item.body.n == e->size, "another body");
	if (draw(m, 20) == 0) {
		delivery_unsend(m->d, &item);
		return;
	}
	e->attempt++;
	e->state = FLYING;
	e->worker = i;
	e->due = m->now + TIMEOUT;
	m->workers[i].in_flight++;
	m->workers[i].alone = e->attempt >= 3;
}

/* An ack or nack: mostly of what is in flight, sometimes of anything. */
static void
step_answer(struct model *m)
{
	size_t          conv = draw(m, CONVS), i = draw(m, WORKERS);
	struct m_event *e = &m->q[conv][0];
	bool            flying = m->n[conv] > 0 && e->state == FLYING;
	bool            nack = draw(m, 4) == 0, drop = draw(m, 8) == 0;
	uint64_t        after = draw(m, 2) == 0 ? 0 : 1 + draw(m, 3000);
	struct delivery_worker *w;
	enum err        want, got;
	char            name[16];

	if (m->n[conv] == 0)
		return;
	if (flying && draw(m, 10) != 0)
		i = (size_t)e->worker;
	w = m->workers[i].w;
	want = flying && w != NULL && e->worker == (int)i ? ERR_OK : ERR_STALE;
	if (!nack)
		got = delivery_ack(m->d, w, id_of(e->id, name), m->now);
	else {
		m->must_die += want == ERR_OK && drop;
		got = delivery_nack(m->d, w, id_of(e->id, name), after, drop,
		    SLICE("no"), m->now);
	}
	check(m, got == want, "ack or nack is not as the model says");
	if (got != ERR_OK)
		return;
	if (!nack || drop) {
		m->died += nack;
		m_finish(m, conv);
	} else
		m_again(m, conv, after > 0 ? after : 200 * e->attempt);
}

/* Comes, changes its window, or goes.  The first wants everything and stays
 * as long as any other is here: what nobody wants has a test of its own. */
static void
step_worker(struct model *m)
{
	size_t           i = draw(m, WORKERS);
	struct m_worker *w = &m->workers[i];
	char             name[16];
	bool             others = false;

	for (size_t k = 1; k < WORKERS; k++)
		others |= m->workers[k].w != NULL;
	if (w->w != NULL && draw(m, 3) == 0 && (i != 0 || !others)) {
		delivery_worker_gone(m->d, w->w, "killed", m->now);
		for (size_t c = 0; c < CONVS; c++)
			if (m->n[c] > 0 && m->q[c][0].worker == (int)i)
				m_again(m, c, m->q[c][0].attempt >= 3
				        ? 200 * m->q[c][0].attempt
				        : 0);
		*w = (struct m_worker){ 0 };
		return;
	}
	if (i != 0 && m->workers[0].w == NULL)
		return;
	w->window = draw(m, 6);
	w->narrow = i % 2 == 1;
	snprintf(name, sizeof name, "w%zu", i);
	w->w = delivery_worker_set(m->d, slice_of(name), slice_of(name), i,
	    SLICE("h"), w->narrow ? SLICE("message.*") : SLICE("*"),
	    w->window, 0, false, true, m->now);
}

static void
step_time(struct model *m)
{
	m->now += draw(m, 1000);
	delivery_tick(m->d, m->now);
	for (size_t c = 0; c < CONVS; c++) {
		struct m_event *e = &m->q[c][0];

		if (m->n[c] == 0 || e->due > m->now)
			continue;
		if (e->state == DELAYED)
			e->state = QUEUED;
		else if (e->state == FLYING)
			m_again(m, c, 200 * e->attempt);
	}
}

static void
check_counts(struct model *m)
{
	const struct delivery_counts *c = delivery_counts(m->d);
	uint64_t                      flying = 0;

	for (int i = 0; i < WORKERS; i++) {
		flying += m->workers[i].in_flight;
		check(m, m->workers[i].w == NULL ||
		        delivery_worker_info(m->workers[i].w).in_flight ==
		            m->workers[i].in_flight, "credit miscounted");
	}
	check(m, c->events == m->total && c->bytes == m->bytes &&
	        c->in_flight == flying && c->unwanted == 0 &&
	        c->dead == m->died && c->done + c->dead == m->finished &&
	        c->appended == m->appended && m->must_die == m->has_died &&
	        delivery_idle(m->d) == (m->total == 0), "counts differ");
}

static void
one_step(struct model *m)
{
	uint64_t dice = draw(m, 100);

	if (dice < 28)
		step_append(m);
	else if (dice < 62)
		step_offer(m);
	else if (dice < 92)
		step_answer(m);
	else if (dice < 94)
		step_worker(m);
	else
		step_time(m);
	check_counts(m);
}

TEST(a_million_steps_at_random)
{
	struct delivery_limits l = { EVENTS, BYTES, REMEMBERED, ATTEMPTS,
		TIMEOUT };
	static struct model m;

	m.seed = 7;
	m.d = delivery_new(&l);
	delivery_on_dead(m.d, on_dead_count, &m);
	for (m.step = 0; m.step < STEPS && !test_bad; m.step++)
		one_step(&m);
	EXPECT(m.finished > 50000 && m.died > 100);
	/* and all of it comes to an end */
	while (m.workers[0].w == NULL)
		step_worker(&m);
	for (int i = 0; m.total > 0 && i < 1000000 && !test_bad; i++) {
		step_offer(&m);
		step_answer(&m);
		if (i % 100 == 0) {
			step_worker(&m);
			step_time(&m);
		}
	}
	check_counts(&m);
	EXPECT_INT(m.total, 0);
	EXPECT_INT(m.finished, m.appended);
	delivery_free(&m.d);
}

int
main(void)
{
	RUN(one_conversation_is_in_order_and_one_at_a_time);
	RUN(credit_is_never_exceeded);
	RUN(one_event_is_one_event);
	RUN(bounds_by_count_and_by_bytes);
	RUN(a_stale_ack_is_refused);
	RUN(an_event_dies_after_its_attempts);
	RUN(a_nack_waits_or_drops);
	RUN(from_the_third_attempt_it_goes_alone);
	RUN(what_goes_alone_is_not_starved);
	RUN(a_crowded_conversation_does_not_starve_others);
	RUN(each_worker_gets_what_it_asked_for);
	RUN(unwanted_events_do_not_hold_up_wanted_ones);
	RUN(a_send_that_failed_is_as_if_never_tried);
	RUN(workers_are_found_and_told_apart);
	RUN(the_age_of_the_oldest_is_known);
	RUN(a_million_steps_at_random);
	return test_done();
}
