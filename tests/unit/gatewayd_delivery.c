// links: gatewayd/delivery.c common/slice.c
/*
 * delivery: rows for each rule.  gatewayd_delivery_model.c has what holds
 * whatever happens.
 */
#include "test.h"

#include "delivery.h"

/* Of the sanitizer; not every compiler brings its header. */
size_t __sanitizer_get_current_allocated_bytes(void);

static const struct delivery_limits limits = { .events = 16, .bytes = 4096,
	.body_bytes = 4096, .remembered = 8, .attempts = 5,
	.timeout_ms = 1000 };
static uint64_t no; /* of the last append */

static struct slice
text(const char *z)
{
	return slice_of(z);
}

static enum err
put(struct delivery *d, const char *id, const char *conv)
{
	return delivery_append(d, text(id), text(conv), SLICE("message.c2c"),
	    SLICE("body"), 0, &no);
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
	struct delivery_limits  few = { 4, 1 << 20, 1 << 20, 8, 5, 1000 };
	struct delivery_limits  small = { 100, 100, 100, 8, 5, 1000 };
	struct delivery        *d = delivery_new(&few);
	struct delivery_worker *w;
	char                    body[64] = { 0 }, id[8];

	for (int i = 0; i < 4; i++) {
		EXPECT(delivery_has_room(d, text("")) == (i < 3));
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
	    (struct slice){ body, 60 }, 0, &no) == ERR_OK);
	EXPECT(delivery_has_room(d, text("")));
	EXPECT(delivery_append(d, SLICE("2"), SLICE("c"), SLICE("t"),
	    (struct slice){ body, 41 }, 0, &no) == ERR_FULL);
	EXPECT(delivery_append(d, SLICE("2"), SLICE("c"), SLICE("t"),
	    (struct slice){ body, 40 }, 0, &no) == ERR_OK);
	EXPECT(!delivery_has_room(d, text("")));
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
on_end_note(void *self, const struct delivery_end *end)
{
	snprintf(self, 64, "%s%.*s %u %.*s", end->dead ? "" : "not dead: ",
	    (int)end->id.n, end->id.p, end->attempts, (int)end->why.n,
	    end->why.n > 0 ? end->why.p : "");
}

TEST(an_event_dies_after_its_attempts)
{
	struct delivery *d = delivery_new(&limits);
	char             dead[64] = "";
	uint64_t         now = 0;

	delivery_on_end(d, on_end_note, dead);
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

/* What is given up goes to a worker that ends what it has begun, and is dead
 * then, for the first reason and with the worker and attempts that it had. */
TEST(what_is_given_up_is_told_first)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *plain = worker(d, "p", "*", 4), *w;
	struct delivery_item    item;
	char                    dead[64] = "";

	delivery_on_end(d, on_end_note, dead);
	put(d, "bad", "u:a");
	EXPECT_STR(offered(d, 0), "bad");
	w = worker(d, "w", "*", 2);
	delivery_worker_ends(w, true);
	delivery_nack(d, plain, text("bad"), 0, true, text("no"), 0);
	EXPECT_STR(dead, "");
	EXPECT(delivery_offer(d, 0, &item) && item.over && item.worker == w);
	EXPECT_INT(item.attempt, 1);
	delivery_unsend(d, &item);
	for (int i = 0; i < 3; i++) { /* not for ever */
		EXPECT_STR(dead, "");
		delivery_tick(d, 10000);
		EXPECT(delivery_offer(d, 10000, &item) && item.over);
		delivery_return(d, w, text("bad"), 1, 10000);
		delivery_tick(d, 20000);
		EXPECT(delivery_offer(d, 20000, &item) && item.over);
		delivery_worker_gone(d, w, "killed", 20000);
		w = worker(d, "w", "*", 2);
		delivery_worker_ends(w, true);
	}
	EXPECT_STR(dead, "bad 1 no");
	put(d, "next", "u:a");
	EXPECT_STR(offered(d, 30000), "next");
	delivery_free(&d);
}

TEST(what_is_given_up_waits_for_who_ends_it)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 2);
	char                    dead[64] = "";

	delivery_on_end(d, on_end_note, dead);
	delivery_worker_ends(w, true);
	put(d, "bad", "u:a");
	EXPECT_STR(offered(d, 0), "bad");
	delivery_nack(d, w, text("bad"), 0, true, text("no"), 0);
	delivery_worker_gone(d, w, "killed", 0);
	EXPECT_STR(offered(d, 100), "");
	w = worker(d, "plain", "*", 2);
	EXPECT_STR(offered(d, 100), "");
	EXPECT_STR(dead, "");
	EXPECT_STR(offered(d, 100000), ""); /* it has not come back */
	EXPECT_STR(dead, "bad 1 no");
	dead[0] = '\0';
	delivery_worker_ends(w, true);
	put(d, "one", "u:a");
	EXPECT_STR(offered(d, 100000), "one");
	delivery_nack(d, w, text("one"), 0, true, text("no"), 100000);
	EXPECT_STR(offered(d, 100000), "one");
	EXPECT(ack(d, w, "one") == ERR_OK);
	EXPECT_STR(dead, "one 1 no");
	EXPECT_INT(delivery_counts(d)->done, 0);
	delivery_free(&d);
}

/* Who lets a deadline pass and says nothing gets nothing more: an event would
 * use up all its attempts with a worker that does not read. */
TEST(a_deaf_worker_gets_no_more)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *deaf = worker(d, "a", "*", 10), *w;

	put(d, "1", "u:a");
	EXPECT_STR(offered(d, 0), "1");
	put(d, "2", "u:b");
	delivery_tick(d, 100000);
	delivery_tick(d, 200000); /* it was put off for a while */
	EXPECT_STR(offered(d, 200000), "");
	w = worker(d, "b", "*", 1);
	EXPECT(offered(d, 200000)[0] != '\0');
	EXPECT_STR(offered(d, 200000), "");
	EXPECT_INT(delivery_worker_info(w).in_flight, 1);
	/* heard of, it takes part again */
	delivery_worker_heard(deaf, 200001);
	EXPECT(offered(d, 200001)[0] != '\0');
	EXPECT_INT(delivery_worker_info(deaf).in_flight, 1);
	delivery_free(&d);
}

TEST(who_waits_is_waited_for)
{
	struct delivery_limits  l = limits;
	struct delivery        *d;
	struct delivery_worker *w;

	l.timeout_ms = 1000;
	d = delivery_new(&l);
	w = worker(d, "w", "*", 4);
	EXPECT(delivery_waits(d, w, text("1"), 0) == ERR_NOT_FOUND);
	put(d, "1", "u:a");
	EXPECT(delivery_waits(d, w, text("1"), 0) == ERR_STALE);
	EXPECT_STR(offered(d, 0), "1");
	for (uint64_t now = 900; now < 9000; now += 900) {
		EXPECT(delivery_waits(d, w, text("1"), now) == ERR_OK);
		delivery_tick(d, now + 899);
	}
	EXPECT_INT(delivery_counts(d)->timeouts, 0);
	EXPECT(ack(d, w, "1") == ERR_OK);
	delivery_free(&d);
}

TEST(a_nack_waits_or_drops)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 4);
	char                    dead[64] = "";

	delivery_on_end(d, on_end_note, dead);
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

/* However often: the attempt is the first until a handler has had it. */
TEST(what_was_not_begun_does_not_count)
{
	struct delivery_limits  l = limits;
	struct delivery        *d;
	struct delivery_worker *w;
	struct delivery_item    item;
	uint64_t                now = 0;

	l.attempts = 2;
	d = delivery_new(&l);
	w = worker(d, "w", "*", 1);
	put(d, "1", "u:A");
	for (int i = 0; i < 20; i++, now += 250) {
		delivery_tick(d, now);
		EXPECT(delivery_offer(d, now, &item));
		EXPECT_INT(item.attempt, 1);
		EXPECT(delivery_return(d, w, text("1"), 250, now) == ERR_OK);
		EXPECT(!delivery_offer(d, now, &item));
	}
	EXPECT(delivery_return(d, w, text("1"), 250, now) == ERR_STALE);
	EXPECT(delivery_return(d, w, text("2"), 250, now) == ERR_NOT_FOUND);
	EXPECT_INT(delivery_counts(d)->dead, 0);
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
/* A worker that keeps its events apart by itself need not be idle for it. */
TEST(a_worker_that_keeps_them_apart_gets_all)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 4);
	struct delivery_item    item;

	delivery_worker_apart(w, true);
	put(d, "bad", "u:A");
	for (int i = 1; i <= 2; i++) {
		EXPECT(delivery_offer(d, 0, &item));
		delivery_nack(d, w, text("bad"), 1, false, text(""), 0);
		delivery_tick(d, 10);
	}
	put(d, "long", "u:B");
	put(d, "more", "u:C");
	for (int i = 1; i <= 3; i++)
		EXPECT(delivery_offer(d, 10, &item));
	EXPECT(!delivery_offer(d, 10, &item));
	EXPECT_INT(delivery_worker_info(w).in_flight, 3);
	delivery_free(&d);
}

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
	struct delivery_limits  big = { 2000, 1 << 20, 1 << 20, 8, 5,
		1000 };
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
		    text("b"), 0, &no);
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
	    text("b"), 0, &no);
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
	delivery_append(d, text("1"), text("a"), text("t"), text("b"), 100,
	    &no);
	delivery_append(d, text("2"), text("b"), text("t"), text("b"), 300,
	    &no);
	EXPECT_INT(delivery_oldest_ms(d, 500), 400);
	EXPECT_STR(offered(d, 500), "1");
	EXPECT_INT(delivery_oldest_ms(d, 500), 400);
	ack(d, w, "1");
	EXPECT_INT(delivery_oldest_ms(d, 500), 200);
	delivery_free(&d);
}

/* --- with a store behind it ------------------------------------------------------ */

TEST(numbers_go_on_after_an_earlier_run)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w;
	struct delivery_item    item;

	EXPECT(put(d, "a", "u:a") == ERR_OK && no == 1);
	EXPECT(put(d, "a", "u:a") == ERR_DUPLICATE && no == 1);
	EXPECT(put(d, "b", "u:a") == ERR_OK && no == 2);
	delivery_free(&d);

	d = delivery_new(&limits);
	EXPECT_INT(delivery_oldest_remembered(d), 1);
	EXPECT(delivery_remember(d, text("done"), 3) == ERR_OK);
	EXPECT(delivery_restore(d, 5, text("first"), text("u:a"),
	    text("message.c2c"), 7, 0, 0) == ERR_OK);
	EXPECT(delivery_remember(d, text("ended"), 6) == ERR_OK);
	EXPECT(delivery_restore(d, 9, text("second"), text("u:a"),
	    text("message.c2c"), 7, 2, 0) == ERR_OK);
	EXPECT(delivery_restore(d, 10, text("second"), text("u:a"),
	    text("message.c2c"), 7, 2, 0) == ERR_DUPLICATE);
	EXPECT(delivery_remember(d, text("second"), 10) == ERR_DUPLICATE);
	EXPECT(put(d, "done", "u:a") == ERR_DUPLICATE);
	EXPECT(put(d, "first", "u:a") == ERR_DUPLICATE);
	EXPECT(put(d, "third", "u:a") == ERR_OK && no == 10);
	EXPECT_INT(delivery_oldest_remembered(d), 3);
	EXPECT_INT(delivery_counts(d)->appended, 1);
	EXPECT_INT(delivery_counts(d)->events, 3);
	EXPECT_INT(delivery_counts(d)->bytes, 7 + 7 + 4);

	w = worker(d, "w", "*", 4);
	EXPECT(delivery_offer(d, 0, &item) && slice_is(item.id, "first"));
	EXPECT(item.no == 5 && item.attempt == 1 && item.body_away);
	EXPECT(ack(d, w, "first") == ERR_OK);
	EXPECT(delivery_offer(d, 0, &item) && slice_is(item.id, "second"));
	EXPECT(item.no == 9 && item.attempt == 3 && item.body_away);
	EXPECT(ack(d, w, "second") == ERR_OK);
	EXPECT(delivery_offer(d, 0, &item) && slice_is(item.id, "third"));
	EXPECT(item.no == 10 && !item.body_away);
	EXPECT_SLICE(item.body, "body");
	delivery_free(&d);
}

/* The bounds are for what comes in, and its last attempt was cut off by us. */
TEST(what_was_ours_is_never_refused)
{
	struct delivery_limits  few = { .events = 2, .bytes = 10,
		.body_bytes = 10, .remembered = 2, .attempts = 5,
		.timeout_ms = 1000 };
	struct delivery        *d = delivery_new(&few);
	struct delivery_worker *w = worker(d, "w", "*", 1);
	struct delivery_item    item;
	char                    id[8], end[64] = "";

	delivery_on_end(d, on_end_note, end);
	for (unsigned i = 1; i <= 4; i++) {
		snprintf(id, sizeof id, "%u", i);
		EXPECT(delivery_restore(d, i, text(id), text("u:a"),
		    text("message.c2c"), 100, 5, 0) == ERR_OK);
	}
	EXPECT(put(d, "5", "u:a") == ERR_FULL);
	EXPECT(!delivery_has_room(d, text("")));
	EXPECT_STR(end, "");
	EXPECT(delivery_offer(d, 0, &item) && item.attempt == 5);
	delivery_nack(d, w, item.id, 0, false, text("no"), 0);
	EXPECT_STR(end, "1 5 no");
	delivery_free(&d);
}

TEST(bodies_beyond_the_bound_stay_away)
{
	struct delivery_limits  l = limits;
	struct delivery        *d;
	struct delivery_worker *w;
	struct delivery_item    item;

	l.body_bytes = 9;
	d = delivery_new(&l);
	w = worker(d, "w", "*", 9);
	put(d, "1", "u:a");
	put(d, "2", "u:a");
	put(d, "3", "u:a");
	EXPECT(delivery_append(d, text("4"), text("u:a"), text("t"), text(""),
	    0, &no) == ERR_OK);
	EXPECT_INT(delivery_counts(d)->body_bytes, 8);
	EXPECT_INT(delivery_counts(d)->bytes, 12);
	for (int i = 1; i <= 4; i++) {
		EXPECT(delivery_offer(d, 0, &item));
		EXPECT(item.body_away == (i == 3));
		EXPECT_SLICE(item.body, i < 3 ? "body" : "");
		EXPECT(delivery_ack(d, w, item.id, 0) == ERR_OK);
	}
	EXPECT_INT(delivery_counts(d)->body_bytes, 0);
	EXPECT_INT(delivery_counts(d)->bytes, 0);
	delivery_free(&d);
}

static void
on_end_list(void *self, const struct delivery_end *e)
{
	struct slice s[] = { e->id, e->conv, e->type, e->body, e->why,
		e->worker };
	char        *at = (char *)self + strlen(self);

	at += sprintf(at, "%d", (int)e->no);
	for (size_t i = 0; i < sizeof s / sizeof *s; i++)
		at += sprintf(at, " %.*s", (int)s[i].n,
		    s[i].n > 0 ? s[i].p : "");
	sprintf(at, " %u%s\n", e->attempts, e->dead ? " dead" : "");
}

TEST(each_end_is_told)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "wanda", "message.*", 9);
	char                    ends[512] = "";

	delivery_on_end(d, on_end_list, ends);
	put(d, "1", "u:a");
	put(d, "2", "u:a");
	delivery_append(d, text("3"), text("u:a"), text("group.join"),
	    text("b"), 0, &no);
	put(d, "4", "u:a");
	offered(d, 0);
	ack(d, w, "1");
	offered(d, 0);
	delivery_nack(d, w, text("2"), 0, true, text("never"), 0);
	EXPECT_STR(offered(d, 0), "4");
	delivery_worker_gone(d, w, "killed", 0);
	w = worker(d, "willy", "*", 9);
	EXPECT_STR(offered(d, 0), "4");
	delivery_nack(d, w, text("4"), 0, true, text(""), 0);
	EXPECT_STR(ends, "1 1 u:a message.c2c body  wanda 1\n"
	    "2 2 u:a message.c2c body never wanda 1 dead\n"
	    "3 3 u:a group.join b no worker wants its type  0\n"
	    "4 4 u:a message.c2c body the handler said no willy 2 dead\n");
	delivery_free(&d);
}

/* --- who wants what --------------------------------------------------------------- */

TEST(what_a_worker_that_left_wants_is_waited_for)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w;

	worker(d, "stays", "message.*", 4);
	w = worker(d, "leaves", "group.join", 4);
	delivery_worker_gone(d, w, "killed", 1000);
	delivery_append(d, text("1"), text("g:a"), text("group.join"),
	    text("b"), 0, &no);
	delivery_append(d, text("2"), text("g:a"), text("group.leave"),
	    text("b"), 0, &no);
	EXPECT_STR(offered(d, 60999), "");
	EXPECT_INT(delivery_counts(d)->events, 2);
	w = worker(d, "back", "group.*", 4);
	EXPECT_STR(offered(d, 60999), "1");
	delivery_worker_gone(d, w, "killed", 60999);
	EXPECT_STR(offered(d, 120998), "");
	EXPECT_INT(delivery_counts(d)->events, 2);
	EXPECT_STR(offered(d, 120999), ""); /* a minute: both are over */
	EXPECT_INT(delivery_counts(d)->unwanted, 2);
	EXPECT(delivery_idle(d));
	delivery_free(&d);
}

/* After a restart one is here sooner than another: what comes meanwhile, as the
 * replay of a session does, waits for that one. */
TEST(workers_of_an_earlier_run_are_waited_for)
{
	struct delivery *d = delivery_new(&limits);

	delivery_expect_workers(d);
	delivery_append(d, text("1"), text("g:a"), text("group.join"),
	    text("b"), 0, &no);
	EXPECT_STR(offered(d, 500000), "");
	worker(d, "soon", "message.*", 4); /* at 0 */
	delivery_append(d, text("2"), text("g:b"), text("group.join"),
	    text("b"), 0, &no);
	EXPECT_STR(offered(d, 9999), "");
	EXPECT_INT(delivery_counts(d)->events, 2);
	worker(d, "later", "group.*", 1);
	EXPECT_STR(offered(d, 9999), "1");
	delivery_append(d, text("3"), text("g:c"), text("raw.NEW"), text("b"),
	    0, &no);
	EXPECT_STR(offered(d, 9999), "");
	EXPECT_INT(delivery_counts(d)->unwanted, 0);
	EXPECT_STR(offered(d, 10000), "");
	EXPECT_INT(delivery_counts(d)->unwanted, 1);
	delivery_free(&d);
}

/* The journal is open late, and the workers are here already. */
TEST(what_is_restored_late_is_not_wanted_for_ever)
{
	struct delivery *d = delivery_new(&limits);

	worker(d, "w", "message.*", 4);
	delivery_expect_workers(d);
	EXPECT(delivery_restore(d, 1, text("1"), text("u:a"),
	    text("friend.add"), 4, 0, 0) == ERR_OK);
	EXPECT(delivery_restore(d, 2, text("2"), text("u:a"),
	    text("message.c2c"), 4, 0, 0) == ERR_OK);
	EXPECT_STR(offered(d, 1000), "");
	EXPECT_STR(offered(d, 60999), "");
	EXPECT_STR(offered(d, 61000), "2");
	EXPECT_INT(delivery_counts(d)->unwanted, 1);
	delivery_free(&d);
}

/* "Never", said as a number. */
TEST(a_limit_beyond_all_time_is_none)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = delivery_worker_set(d, text("w"),
	    text("w"), 1, SLICE("h"), text("*"), 1, UINT64_MAX, false, true,
	    1000);

	put(d, "1", "u:a");
	EXPECT_STR(offered(d, 1000), "1");
	delivery_tick(d, 1000000000);
	EXPECT_INT(delivery_counts(d)->timeouts, 0);
	EXPECT(delivery_nack(d, w, text("1"), UINT64_MAX, false, text(""),
	    1000) == ERR_OK);
	delivery_tick(d, 1000000000);
	EXPECT_STR(offered(d, 1000000000), "");
	delivery_free(&d);
}

/* Too many to note each: then all is waited for, rather than lost. */
TEST(many_workers_that_left_are_all_waited_for)
{
	struct delivery *d = delivery_new(&limits);
	char             type[16];

	worker(d, "stays", "message.*", 4);
	for (int i = 0; i < 100; i++) {
		snprintf(type, sizeof type, "type.%d", i);
		delivery_worker_gone(d, worker(d, "leaves", type, 1), "killed",
		    0);
	}
	for (int i = 0; i < 16; i++) {
		snprintf(type, sizeof type, "type.%d", i * 6);
		delivery_append(d, text(type), text("g:a"), text(type),
		    text("b"), 0, &no);
	}
	EXPECT_STR(offered(d, 59999), "");
	EXPECT_INT(delivery_counts(d)->events, 16);
	EXPECT_STR(offered(d, 60000), "");
	EXPECT_INT(delivery_counts(d)->events, 0);
	delivery_free(&d);
}

/* A worker is kept for what goes alone; that ends when it wants it no more. */
TEST(a_worker_is_not_kept_for_what_it_does_not_want)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 2);

	put(d, "bad", "u:bad");
	for (int i = 0; i < 2; i++) {
		EXPECT_STR(offered(d, 0), "bad");
		delivery_nack(d, w, text("bad"), 10, false, text(""), 0);
		if (i == 0)
			delivery_tick(d, 10);
	}
	delivery_append(d, text("1"), text("g:a"), text("group.join"),
	    text("b"), 0, &no);
	delivery_append(d, text("2"), text("g:b"), text("group.join"),
	    text("b"), 0, &no);
	EXPECT_STR(offered(d, 0), "1");
	delivery_tick(d, 10);
	EXPECT_STR(offered(d, 10), ""); /* kept for bad */
	worker(d, "other", "message.*", 0);
	worker(d, "w", "group.*", 2);
	EXPECT_STR(offered(d, 10), "2");
	delivery_free(&d);
}

/* --- looking, and size ------------------------------------------------------------ */

TEST(conversations_are_shown_oldest_first)
{
	struct delivery          *d = delivery_new(&limits);
	struct delivery_worker   *w = worker(d, "w", "message.*", 1);
	struct delivery_conv_info i[4];
	static const char *const  convs[] = { "u:a", "u:b", "u:a", "u:c" };
	char                      id[8];

	EXPECT_INT(delivery_convs(d, text(""), i, 4, 0), 0);
	for (unsigned k = 0; k < 4; k++) {
		snprintf(id, sizeof id, "%u", k);
		delivery_append(d, text(id), text(convs[k]),
		    text("message.c2c"), text("b"), 100 * k, &no);
	}
	EXPECT_STR(offered(d, 1000), "0");
	EXPECT_INT(delivery_counts(d)->conversations, 3);
	EXPECT_INT(delivery_convs(d, text(""), i, 4, 1000), 3);
	EXPECT_SLICE(i[0].conv, "u:a");
	EXPECT_SLICE(i[0].head_id, "0");
	EXPECT_SLICE(i[0].worker, "w");
	EXPECT(i[0].queued == 2 && i[0].oldest_ms_ago == 1000 &&
	    i[0].attempt == 1 && i[0].in_flight);
	EXPECT_SLICE(i[1].conv, "u:b");
	EXPECT_SLICE(i[1].worker, "");
	EXPECT(i[1].queued == 1 && i[1].oldest_ms_ago == 900 &&
	    i[1].attempt == 0 && !i[1].in_flight);
	EXPECT_INT(delivery_convs(d, text(""), i, 2, 1000), 2);
	EXPECT_INT(delivery_convs(d, text("u:c"), i, 4, 1000), 1);
	EXPECT_SLICE(i[0].head_id, "3");
	EXPECT_INT(delivery_convs(d, text("u:x"), i, 4, 1000), 0);
	ack(d, w, "0"); /* its next is younger than u:b's */
	EXPECT_INT(delivery_convs(d, text(""), i, 4, 1000), 3);
	EXPECT_SLICE(i[0].conv, "u:b");
	EXPECT_SLICE(i[1].head_id, "2");
	delivery_free(&d);
}

/* Sixty thousand conversations wait for a worker that is away, each with ids
 * as long as the platform's; others go past them without a look at each. */
TEST(many_that_wait_are_small_and_in_nobodys_way)
{
	enum { MANY = 60000 };
	struct delivery_limits  l = { .events = MANY + 1, .bytes = 1 << 30,
		.body_bytes = 0, .remembered = 8, .attempts = 5,
		.timeout_ms = 1000 };
	size_t                  before =
	    __sanitizer_get_current_allocated_bytes(), bytes;
	struct delivery        *d = delivery_new(&l);
	struct delivery_worker *w = worker(d, "w", "message.*", 9);
	char                    id[101], conv[35], other[8];
	unsigned                went = 0;
	struct slice            a = { id, 100 }, c = { conv, 34 };

	delivery_worker_gone(d, worker(d, "away", "*", 9), "killed", 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "m:ROBOT1.0_%089d", i);
		snprintf(conv, sizeof conv, "g:%032d", i);
		delivery_append(d, a, c, SLICE("interaction"),
		    (struct slice){ id, 100 }, 0, &no);
	}
	EXPECT_INT(delivery_counts(d)->conversations, MANY);
	bytes = __sanitizer_get_current_allocated_bytes() - before;
	bytes += 2 * 16 * MANY; /* what malloc adds, at most */
	if (bytes > 25 << 20)
		printf("# %zu bytes\n", bytes);
	EXPECT(bytes <= 25 << 20);
	for (int i = 0; i < MANY; i++) {
		snprintf(other, sizeof other, "%d", i);
		put(d, other, "u:a");
		went += strcmp(offered(d, 0), other) == 0 &&
		    ack(d, w, other) == ERR_OK;
	}
	EXPECT_INT(went, MANY);
	delivery_free(&d);
}

/* --- owners --------------------------------------------------------------- */

static void
put_many(struct delivery *d, const char *owner, int n)
{
	char id[32], conv[32];

	for (int i = 0; i < n; i++) {
		snprintf(id, sizeof id, "%s%d", owner, i);
		snprintf(conv, sizeof conv, "%s/u:%d", owner, i);
		EXPECT(put(d, id, conv) == ERR_OK);
	}
}

static int
offered_all(struct delivery *d)
{
	int n = 0;

	while (offered(d, 0)[0] != '\0')
		n++;
	return n;
}

TEST(one_that_hangs_leaves_credit_to_the_others)
{
	struct delivery *d = delivery_new(&limits);

	worker(d, "w", "*", 8);
	delivery_owner(d, text("A"), true);
	put_many(d, "A", 3);
	EXPECT_INT(offered_all(d), 3); /* alone it shares with nobody */
	delivery_owner(d, text("B"), true);
	for (int i = 3; i < 8; i++) {
		char id[8], conv[8];

		snprintf(id, sizeof id, "A%d", i);
		snprintf(conv, sizeof conv, "A/%d", i);
		put(d, id, conv);
	}
	EXPECT_INT(offered_all(d), 3);
	EXPECT_INT(delivery_owner_info(d, text("A")).in_flight, 6);
	put_many(d, "B", 1);
	EXPECT_STR(offered(d, 0), "B0");
	EXPECT_STR(offered(d, 0), "");
	delivery_free(&d);
}

TEST(a_flood_of_one_leaves_room_to_the_others)
{
	struct delivery *d = delivery_new(&limits);

	delivery_owner(d, text("A"), true);
	put_many(d, "A", 8);
	EXPECT(delivery_has_room(d, text("A")));
	delivery_owner(d, text("B"), true);
	EXPECT(!delivery_has_room(d, text("A"))); /* 8 of 12, 4 are free */
	EXPECT(delivery_has_room(d, text("B")));
	EXPECT(delivery_has_room(d, text("never heard of")));
	put_many(d, "B", 2);
	EXPECT(delivery_has_room(d, text("B")));
	put_many(d, "C", 3);
	EXPECT(!delivery_has_room(d, text("C")));
	EXPECT(!delivery_has_room(d, text("")));
	EXPECT(delivery_takes(d, 0));
	EXPECT_INT(delivery_owner_info(d, text("A")).events, 8);
	EXPECT_INT(delivery_owner_info(d, text("A")).bytes, 32);
	delivery_free(&d);
}

static int  dead_n;
static char dead_why[64];

static void
note_dead(void *self, const struct delivery_end *end)
{
	(void)self;
	dead_n += end->dead;
	snprintf(dead_why, sizeof dead_why, "%.*s", (int)end->why.n,
	    end->why.n > 0 ? end->why.p : "");
}

TEST(what_waits_of_one_that_is_gone_is_dead)
{
	struct delivery        *d = delivery_new(&limits);
	struct delivery_worker *w = worker(d, "w", "*", 10);

	dead_n = 0;
	delivery_on_end(d, note_dead, NULL);
	delivery_owner(d, text("A"), true);
	delivery_owner(d, text("B"), true);
	put(d, "1", "A/u:a");
	EXPECT_STR(offered(d, 0), "1");
	put(d, "2", "A/u:a");
	put(d, "3", "A/u:b");
	put(d, "4", "B/u:a");
	put(d, "5", "u:a"); /* of nobody, from an earlier time */
	delivery_owner(d, text("A"), false);
	EXPECT_STR(offered(d, 0), "4");
	EXPECT_STR(offered(d, 0), "5");
	EXPECT_INT(dead_n, 1);
	EXPECT_STR(dead_why, "its bot is not configured any more");
	EXPECT(ack(d, w, "1") == ERR_OK); /* it was out already */
	EXPECT_STR(offered(d, 0), "");
	EXPECT_INT(dead_n, 2);
	delivery_owner(d, text("A"), true);
	put(d, "6", "A/u:a");
	EXPECT_STR(offered(d, 0), "6");
	delivery_free(&d);
}

TEST(two_owners_of_one_conversation_are_two_queues)
{
	struct delivery *d = delivery_new(&limits);

	worker(d, "w", "*", 10);
	put(d, "1", "A/c:1");
	put(d, "2", "B/c:1");
	EXPECT_STR(offered(d, 0), "1");
	EXPECT_STR(offered(d, 0), "2");
	delivery_free(&d);
}

int
main(void)
{
	RUN(one_that_hangs_leaves_credit_to_the_others);
	RUN(a_flood_of_one_leaves_room_to_the_others);
	RUN(what_waits_of_one_that_is_gone_is_dead);
	RUN(two_owners_of_one_conversation_are_two_queues);
	RUN(one_conversation_is_in_order_and_one_at_a_time);
	RUN(credit_is_never_exceeded);
	RUN(one_event_is_one_event);
	RUN(bounds_by_count_and_by_bytes);
	RUN(a_stale_ack_is_refused);
	RUN(an_event_dies_after_its_attempts);
	RUN(what_is_given_up_is_told_first);
	RUN(what_is_given_up_waits_for_who_ends_it);
	RUN(a_deaf_worker_gets_no_more);
	RUN(who_waits_is_waited_for);
	RUN(a_nack_waits_or_drops);
	RUN(what_was_not_begun_does_not_count);
	RUN(from_the_third_attempt_it_goes_alone);
	RUN(a_worker_that_keeps_them_apart_gets_all);
	RUN(what_goes_alone_is_not_starved);
	RUN(a_crowded_conversation_does_not_starve_others);
	RUN(each_worker_gets_what_it_asked_for);
	RUN(unwanted_events_do_not_hold_up_wanted_ones);
	RUN(a_send_that_failed_is_as_if_never_tried);
	RUN(workers_are_found_and_told_apart);
	RUN(the_age_of_the_oldest_is_known);
	RUN(numbers_go_on_after_an_earlier_run);
	RUN(what_was_ours_is_never_refused);
	RUN(bodies_beyond_the_bound_stay_away);
	RUN(each_end_is_told);
	RUN(what_a_worker_that_left_wants_is_waited_for);
	RUN(workers_of_an_earlier_run_are_waited_for);
	RUN(what_is_restored_late_is_not_wanted_for_ever);
	RUN(a_limit_beyond_all_time_is_none);
	RUN(many_workers_that_left_are_all_waited_for);
	RUN(a_worker_is_not_kept_for_what_it_does_not_want);
	RUN(conversations_are_shown_oldest_first);
	RUN(many_that_wait_are_small_and_in_nobodys_way);
	return test_done();
}
