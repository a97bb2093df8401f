// links: apid/limit.c apid/table.c common
/*
 * Buckets and lines under a clock of our own: never more than the table says
 * in any span of time, whoever asks when, and everybody's turn comes once.
 */
#include "test.h"

#include <stdlib.h>

#include "limit.h"

enum { WAITERS = 2000, STEPS = 200000 };

static struct limits ls;

static void
setup(unsigned percent)
{
	memset(&ls, 0, sizeof ls);
	ls.percent = percent;
}

static struct limit_waiter
call(const char *target, enum limit a, enum limit b)
{
	return (struct limit_waiter){ .bot = SLICE("7"),
		.target = slice_of(target), .uses = { a, b },
		.nuses = b == LIMIT_none ? 1 : 2,
		.single = target[0] == '\0' };
}

TEST(so_many_and_no_more_in_any_span)
{
	static uint64_t went[1000];
	size_t          n = 0, most = 0;
	uint64_t        now = 1000;

	setup(100);
	for (size_t i = 0; i < 1000; i++) {
		struct limit_waiter w = call("", LIMIT_recall, LIMIT_none);

		while (!limit_ask(&ls, &w, now)) {
			limit_leave(&ls, &w);
			now += 7;
		}
		went[n++] = now;
	}
	for (size_t i = 0; i < n; i++) {
		size_t in = 0;

		for (size_t k = i; k < n && went[k] < went[i] + 1000; k++)
			in++;
		most = in > most ? in : most;
	}
	EXPECT_INT(most, 10);
	/* And not much less: at the limit, but for what the way may take. */
	EXPECT(now - 1000 < 1000ul / 10 * 1070);
	limits_close(&ls);
}

TEST(each_target_has_its_own)
{
	setup(100);
	for (int i = 0; i < 5; i++) {
		struct limit_waiter a = call("c:A", LIMIT_channel_send, 0);
		struct limit_waiter b = call("c:B", LIMIT_channel_send, 0);

		EXPECT(limit_ask(&ls, &a, 1000));
		EXPECT(limit_ask(&ls, &b, 1000));
	}
	struct limit_waiter w = call("c:A", LIMIT_channel_send, 0);

	EXPECT(!limit_ask(&ls, &w, 1001));
	EXPECT_INT(limit_when(&ls), 2050);
	EXPECT(limit_next(&ls, 2049) == NULL);
	EXPECT(limit_next(&ls, 2050) == &w);
	EXPECT_INT(limit_when(&ls), 0);
	limits_close(&ls);
}

/* The tokens are back, and whoever looks first at that moment has to see that
 * somebody stands there. */
TEST(nobody_passes_a_line)
{
	struct limit_waiter w[7];

	setup(100);
	for (int i = 0; i < 7; i++) {
		w[i] = call("c:A", LIMIT_channel_send, 0);
		EXPECT_INT(limit_ask(&ls, &w[i], i < 6 ? 1000 : 2050), i < 5);
	}
	EXPECT(limit_next(&ls, 2050) == &w[5]);
	EXPECT(limit_next(&ls, 2050) == &w[6]);
	limits_close(&ls);
}

TEST(scaled_and_off)
{
	struct limit_waiter        w[12];
	const struct limit_bucket *b;

	setup(50);
	for (int i = 0; i < 6; i++) {
		w[i] = call("", LIMIT_recall, LIMIT_none);
		EXPECT_INT(limit_ask(&ls, &w[i], 1), i < 5);
	}
	EXPECT_INT(limit_left(&ls, SLICE("7"), LIMIT_recall, 1, &b), 0);
	EXPECT_INT(b->waiting, 1);
	EXPECT_INT(limit_left(&ls, SLICE("8"), LIMIT_recall, 1, &b), 5);
	limits_close(&ls);
	setup(0);
	for (int i = 0; i < 12; i++) {
		w[i] = call("", LIMIT_recall, LIMIT_none);
		EXPECT(limit_ask(&ls, &w[i], 1));
	}
	EXPECT_INT(ls.n, 0);
	limits_close(&ls);
	setup(100);
	for (int i = 0; i < 12; i++) { /* the sandbox has no such limit */
		w[i] = call("c:A", LIMIT_channel_send, LIMIT_none);
		w[i].sandbox = true;
		EXPECT(limit_ask(&ls, &w[i], 1));
	}
	limits_close(&ls);
}

TEST(a_pause_and_then_one_by_one)
{
	struct limit_waiter w[3];
	uint64_t            at;

	setup(100);
	w[0] = call("", LIMIT_recall, LIMIT_none);
	EXPECT(limit_ask(&ls, &w[0], 1000));
	limit_pause(&ls, SLICE("7"), LIMIT_recall, SLICE(""), 2000, 1000);
	for (int i = 0; i < 3; i++) {
		w[i] = call("", LIMIT_recall, LIMIT_none);
		EXPECT(!limit_ask(&ls, &w[i], 1001));
	}
	EXPECT_INT(limit_paused_ms(&ls, &w[0]), 3000);
	EXPECT(limit_next(&ls, 2999) == NULL);
	EXPECT(limit_next(&ls, 3000) == &w[0]);
	EXPECT(limit_next(&ls, 3000) == NULL);
	at = limit_when(&ls);
	EXPECT(at > 3090 && at < 3120);
	EXPECT(limit_next(&ls, at) == &w[1]);
	/* Refused again soon after: twice as long; of others: no matter. */
	limit_pause(&ls, SLICE("7"), LIMIT_recall, SLICE(""), 2000, 3200);
	limit_pause(&ls, SLICE("7"), LIMIT_recall, SLICE(""), 2000, 3300);
	EXPECT_INT(limit_when(&ls), 7200);
	limit_leave(&ls, &w[2]);
	/* Without limits a pause is all there is. */
	limits_close(&ls);
	setup(0);
	limit_pause(&ls, SLICE("7"), LIMIT_recall, SLICE(""), 2000, 1000);
	EXPECT(!limit_ask(&ls, &w[0], 1001));
	EXPECT(!limit_ask(&ls, &w[1], 1001));
	EXPECT(limit_next(&ls, 3000) == &w[0]);
	EXPECT(limit_next(&ls, 3000) == &w[1]);
	limits_close(&ls);
}

TEST(a_pause_of_one_conversation)
{
	struct limit_waiter a = call("u:A", LIMIT_stream, LIMIT_none);
	struct limit_waiter b = call("u:B", LIMIT_stream, LIMIT_none);

	setup(100);
	limit_pause(&ls, SLICE("7"), LIMIT_stream, SLICE("u:A"), 1000, 1000);
	EXPECT(!limit_ask(&ls, &a, 1001));
	EXPECT(limit_ask(&ls, &b, 1001));
	EXPECT(limit_next(&ls, 2000) == &a);
	limits_close(&ls);
}

/* Who asks for many things at once does not hold the conversations up. */
TEST(conversations_and_others_by_turns)
{
	struct limit_waiter w[9];
	int                 order[6] = { 0 };

	setup(100);
	for (int i = 0; i < 5; i++) {
		w[i] = call("", LIMIT_menu_set, LIMIT_none);
		EXPECT(limit_ask(&ls, &w[i], 0));
	}
	for (int i = 0; i < 6; i++) {
		w[i] = call(i < 4 ? "" : "u:A", LIMIT_menu_set, LIMIT_none);
		EXPECT(!limit_ask(&ls, &w[i], 1));
	}
	for (int i = 0; i < 5; i++)
		order[i] = (int)(limit_next(&ls, 60500) - w);
	EXPECT(order[0] + order[1] >= 4 && order[2] + order[3] >= 5);
	limits_close(&ls);
}

TEST(forgets_what_is_not_waited_for)
{
	static char         names[LIMIT_BUCKETS_MAX * 2][16];
	struct limit_waiter first = call("c:first", LIMIT_channel_send, 0);
	struct limit_waiter w;

	setup(100);
	for (int i = 0; i < 5; i++) {
		w = first;
		EXPECT(limit_ask(&ls, &w, 1000));
	}
	EXPECT(!limit_ask(&ls, &first, 1000));
	for (size_t i = 0; i < LIMIT_BUCKETS_MAX * 2; i++) {
		snprintf(names[i], sizeof names[i], "c:%zu", i);
		w = call(names[i], LIMIT_channel_send, 0);
		EXPECT(limit_ask(&ls, &w, 1001));
	}
	EXPECT(ls.n <= LIMIT_BUCKETS_MAX);
	EXPECT(ls.forgotten > 0);
	EXPECT(limit_next(&ls, 3000) == &first);
	limits_close(&ls);
}

/* Random calls, pauses, leavers and forgotten buckets: whoever was told to
 * wait goes once, unless he leaves; and nobody waits for ever. */
static void
walk(unsigned seed)
{
	static struct limit_waiter w[WAITERS];
	static char                names[WAITERS][12];
	static int                 state[WAITERS]; /* 1 waits, 2 went */
	struct limit_waiter       *next;
	uint64_t                   now = 1, end;
	size_t                     waits = 0;

	setup(100);
	srand(seed);
	memset(state, 0, sizeof state);
	for (int step = 0; step < STEPS; step++) {
		size_t i = (size_t)rand() % WAITERS;
		int    what = rand() % 20;

		now += (uint64_t)(rand() % 3);
		if (what < 14 && state[i] == 0) {
			snprintf(names[i], sizeof names[i], "c:%d",
			    rand() % 3 == 0 ? rand() : rand() % 9);
			w[i] = call(what < 3 ? "" : names[i],
			    what < 8 ? LIMIT_channel_send : LIMIT_recall,
			    what % 2 ? LIMIT_guild : LIMIT_none);
			state[i] = limit_ask(&ls, &w[i], now) ? 0 : 1;
		} else if (what == 14 && state[i] == 1) {
			limit_leave(&ls, &w[i]);
			state[i] = 0;
		} else if (what == 15)
			limit_pause(&ls, SLICE("7"),
			    rand() % 2 ? LIMIT_channel_send : LIMIT_recall,
			    rand() % 2 ? slice_of(names[i]) : SLICE(""),
			    (uint64_t)(rand() % 50), now);
		else if (limit_when(&ls) != 0 && limit_when(&ls) <= now) {
			while ((next = limit_next(&ls, now)) != NULL) {
				EXPECT_INT(state[next - w], 1);
				EXPECT(next->in == NULL);
				state[next - w] = 0;
			}
			EXPECT(limit_when(&ls) == 0 || limit_when(&ls) > now);
		}
	}
	for (end = now + 3600000; now < end && limit_when(&ls) != 0;) {
		now = limit_when(&ls) > now ? limit_when(&ls) : now;
		while ((next = limit_next(&ls, now)) != NULL)
			state[next - w] = 0;
	}
	for (size_t i = 0; i < WAITERS; i++)
		waits += state[i] == 1;
	EXPECT_INT(waits, 0);
	EXPECT_INT(ls.waiting, 0);
	limits_close(&ls);
}

TEST(everybody_goes_once)
{
	for (unsigned seed = 1; seed <= 5; seed++)
		walk(seed);
}

int
main(void)
{
	RUN(so_many_and_no_more_in_any_span);
	RUN(each_target_has_its_own);
	RUN(nobody_passes_a_line);
	RUN(scaled_and_off);
	RUN(a_pause_and_then_one_by_one);
	RUN(a_pause_of_one_conversation);
	RUN(conversations_and_others_by_turns);
	RUN(forgets_what_is_not_waited_for);
	RUN(everybody_goes_once);
	return test_done();
}
