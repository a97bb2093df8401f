// links: qqsim/ledger.c qqsim/kind.c qqsim/map.c common
/*
 * The ledger: what it counts as replied, missing, doubled, out of order.
 */
#include "test.h"

#include "ledger.h"

static struct event *
tell(struct ledger *l, const char *user, const char *id, int expect)
{
	struct event_new n = { .kind = kind_of(SLICE("C2C_MESSAGE_CREATE")),
		.msg = slice_of(id), .expect = expect, .now_us = 1000 };
	struct event *e = NULL;
	char          event[64];
	bool          known;

	snprintf(event, sizeof event, "E:%s", id);
	n.event = slice_of(event);
	n.conversation = ledger_conversation(l, "1", SCOPE_C2C,
	    slice_of(user), true);
	EXPECT_INT(ledger_event(l, &n, &e, &known), ERR_OK);
	if (!known)
		ledger_state(l, e, EVENT_GIVEN);
	return e;
}

static void
is(const struct ledger *l, const char *name, uint64_t want)
{
	uint64_t got = 0;

	EXPECT(ledger_value(l, slice_of(name), &got));
	if (got != want) {
		printf("# %s is %llu, not %llu\n", name,
		    (unsigned long long)got, (unsigned long long)want);
		test_bad = true;
	}
}

TEST(sent_and_replied)
{
	struct ledger l;
	struct event *a, *b;

	EXPECT_INT(ledger_open(&l), ERR_OK);
	a = tell(&l, "U", "a", 1);
	b = tell(&l, "U", "b", 2);
	is(&l, "sent", 2);
	is(&l, "missing", 2);
	ledger_replied(&l, a, 1, 3000);
	is(&l, "missing", 1);
	ledger_replied(&l, b, 1, 3000);
	is(&l, "missing", 1);
	is(&l, "replied", 2);
	ledger_replied(&l, b, 2, 3000);
	is(&l, "missing", 0);
	is(&l, "doubled", 0);
	is(&l, "out_of_order", 0);
	ledger_replied(&l, b, 3, 3000);
	is(&l, "doubled", 1);
	is(&l, "replied", 2);
	EXPECT_INT(l.latency.count, 2);
	EXPECT_INT(l.latency.max_us, 2000);
	ledger_close(&l);
}

TEST(any_number_is_right)
{
	struct ledger l;
	struct event *e;

	EXPECT_INT(ledger_open(&l), ERR_OK);
	e = tell(&l, "U", "a", -1);
	is(&l, "missing", 0);
	for (int i = 1; i < 5; i++)
		ledger_replied(&l, e, i, 2000);
	is(&l, "doubled", 0);
	e = tell(&l, "U", "b", 0);
	is(&l, "missing", 0);
	ledger_replied(&l, e, 1, 2000);
	is(&l, "doubled", 1);
	ledger_close(&l);
}

TEST(order)
{
	struct ledger l;
	struct event *a, *b, *other;

	EXPECT_INT(ledger_open(&l), ERR_OK);
	a = tell(&l, "U", "a", -1);
	b = tell(&l, "U", "b", -1);
	other = tell(&l, "V", "c", -1);
	ledger_replied(&l, b, 1, 2000);
	ledger_replied(&l, other, 1, 2000);
	is(&l, "out_of_order", 0);
	ledger_replied(&l, a, 1, 2000);
	is(&l, "out_of_order", 1);
	ledger_replied(&l, b, 3, 2000);
	is(&l, "out_of_order", 1);
	ledger_replied(&l, b, 2, 2000);
	is(&l, "out_of_order", 2);
	ledger_close(&l);
}

TEST(kept_given_lost)
{
	struct ledger    l;
	struct event_new n = { .kind = kind_of(SLICE("C2C_MESSAGE_CREATE")),
		.event = SLICE("E"), .msg = SLICE("m"), .expect = 1 };
	struct event    *e;
	bool             known;

	EXPECT_INT(ledger_open(&l), ERR_OK);
	n.conversation = ledger_conversation(&l, "1", SCOPE_C2C, SLICE("U"),
	    true);
	EXPECT_INT(ledger_event(&l, &n, &e, &known), ERR_OK);
	is(&l, "missing", 0);
	ledger_state(&l, e, EVENT_KEPT);
	ledger_state(&l, e, EVENT_KEPT);
	is(&l, "kept", 1);
	is(&l, "sent", 0);
	ledger_state(&l, e, EVENT_LOST);
	is(&l, "kept", 0);
	is(&l, "lost", 1);
	ledger_state(&l, e, EVENT_GIVEN);
	is(&l, "lost", 0);
	is(&l, "sent", 1);
	is(&l, "missing", 1);
	/* Given is for good. */
	ledger_state(&l, e, EVENT_LOST);
	ledger_state(&l, e, EVENT_KEPT);
	is(&l, "lost", 0);
	is(&l, "kept", 0);
	is(&l, "sent", 1);
	ledger_close(&l);
}

TEST(found_by_id)
{
	struct ledger l;
	struct event *a, *again;
	char          huge[LEDGER_ID_MAX + 2];

	EXPECT_INT(ledger_open(&l), ERR_OK);
	a = tell(&l, "U", "a", 1);
	again = tell(&l, "U", "a", 1);
	EXPECT(a == again);
	is(&l, "sent", 1);
	EXPECT(ledger_by_msg(&l, "1", SLICE("a")) == a);
	EXPECT(ledger_by_msg(&l, "2", SLICE("a")) == NULL);
	EXPECT(ledger_by_msg(&l, "1", SLICE("E:a")) == NULL);
	EXPECT(ledger_by_msg(&l, "1", SLICE("")) == NULL);
	EXPECT(ledger_by_event(&l, "1", SLICE("E:a")) == a);
	EXPECT(ledger_event_at(&l, a->serial) == a);
	EXPECT(ledger_event_at(&l, 0) == NULL);
	EXPECT(ledger_event_at(&l, a->serial + LEDGER_EVENTS) == NULL);
	memset(huge, 'x', sizeof huge);
	EXPECT(ledger_by_msg(&l, "1", (struct slice){ huge, sizeof huge }) ==
	    NULL);
	EXPECT(ledger_conversation(&l, "1", SCOPE_C2C,
	    (struct slice){ huge, sizeof huge }, true) == NULL);
	ledger_close(&l);
}

/* The oldest are forgotten; those that waited are lost then. */
TEST(bounded)
{
	struct ledger l;
	char          id[32];
	uint64_t      first;

	EXPECT_INT(ledger_open(&l), ERR_OK);
	first = tell(&l, "U", "first", 1)->serial;
	for (unsigned i = 0; i < LEDGER_EVENTS; i++) {
		snprintf(id, sizeof id, "%u", i);
		tell(&l, "U", id, 0);
	}
	EXPECT(ledger_event_at(&l, first) == NULL);
	EXPECT(ledger_by_msg(&l, "1", SLICE("first")) == NULL);
	EXPECT(ledger_by_event(&l, "1", SLICE("E:first")) == NULL);
	EXPECT(ledger_by_msg(&l, "1", SLICE("0")) != NULL);
	EXPECT_INT(l.by_msg.n, LEDGER_EVENTS);
	is(&l, "sent", LEDGER_EVENTS + 1);
	is(&l, "missing", 1);
	ledger_close(&l);
}

TEST(messages)
{
	struct ledger      l;
	struct message_new n = { .id = SLICE("M"), .body = SLICE("{}"),
		.now_us = 1 };
	struct message    *m, *other;

	EXPECT_INT(ledger_open(&l), ERR_OK);
	n.conversation = ledger_conversation(&l, "1", SCOPE_DM, SLICE("D"),
	    true);
	EXPECT_INT(ledger_message(&l, &n, &m), ERR_OK);
	EXPECT(ledger_message_by_id(&l, "1", SLICE("M")) == m);
	EXPECT(ledger_message_by_id(&l, "2", SLICE("M")) == NULL);
	EXPECT_STR(m->body, "{}");
	EXPECT_INT(ledger_message(&l, &n, &other), ERR_NOMEM);
	is(&l, "accepted", 1);
	is(&l, "active", 1);
	ledger_close(&l);
}

TEST(reset)
{
	struct ledger l;
	struct event *e;

	EXPECT_INT(ledger_open(&l), ERR_OK);
	e = tell(&l, "U", "a", 1);
	ledger_replied(&l, e, 1, 5);
	ledger_count(&l, COUNT_live);
	ledger_violation(&l, VIOLATION_both_ids);
	ledger_reset(&l);
	is(&l, "sent", 0);
	is(&l, "replied", 0);
	is(&l, "live", 1);
	EXPECT_INT(l.violations[VIOLATION_both_ids], 0);
	EXPECT(ledger_by_msg(&l, "1", SLICE("a")) == NULL);
	e = tell(&l, "U", "a", 1);
	EXPECT_INT(e->serial, 2);
	ledger_replied(&l, e, 1, 5);
	is(&l, "out_of_order", 0);
	ledger_close(&l);
}

TEST(quantiles)
{
	struct histogram h = { 0 };

	EXPECT_INT(histogram_quantile(&h, 5000), 0);
	for (unsigned i = 1; i <= 100000; i++)
		histogram_add(&h, i);
	EXPECT_INT(h.max_us, 100000);
	EXPECT(histogram_quantile(&h, 5000) >= 50000);
	EXPECT(histogram_quantile(&h, 5000) <= 51000);
	EXPECT(histogram_quantile(&h, 9900) >= 99000);
	EXPECT(histogram_quantile(&h, 9900) <= 100000);
	EXPECT_INT(histogram_quantile(&h, 10000), 100000);
	histogram_add(&h, UINT64_MAX);
	EXPECT(histogram_quantile(&h, 10000) > 100000);
	h = (struct histogram){ 0 };
	for (unsigned i = 0; i < 128; i++)
		histogram_add(&h, i);
	EXPECT_INT(histogram_quantile(&h, 5000), 63);
}

int
main(void)
{
	RUN(sent_and_replied);
	RUN(any_number_is_right);
	RUN(order);
	RUN(kept_given_lost);
	RUN(found_by_id);
	RUN(bounded);
	RUN(messages);
	RUN(reset);
	RUN(quantiles);
	return test_done();
}
