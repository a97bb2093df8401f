// links: gatewayd/session.c gatewayd/rights.c common/backoff.c common/slice.c common/buf.c
/*
 * session: the whole state machine with a fake clock: each close code, each
 * deadline, the pace of Identify, and a long walk at random that must never
 * break a rule of the platform nor stay offline.
 */
#include "test.h"

#include "log.h"
#include "session.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

/* Each change of state is a line; a million are too many. */
bool
log_enabled(enum log_level level)
{
	(void)level;
	return false;
}

void
log_write(enum log_level level, const char *name, const struct kv *kv)
{
	(void)level, (void)name, (void)kv;
}

enum { SECOND = 1000, MINUTE = 60 * SECOND };
static const uint64_t day_ms = 24ull * 60 * MINUTE;
static const uint32_t middle = 0x80000000u, most = 0xffffffffu;

struct rig {
	struct session        s;
	struct session_budget budget;
	struct session_action out[SESSION_ACTIONS];
	size_t                n;
	uint64_t              now;
	uint32_t              chance;
	uint64_t              remaining, reset_after_ms, max_concurrency;
};

static void
rig_open(struct rig *r)
{
	*r = (struct rig){ .now = 1000000, .chance = middle, .remaining = 1000,
		.reset_after_ms = day_ms, .max_concurrency = 1 };
	session_init(&r->s);
	r->s.bot = "102000001";
	r->s.budget = &r->budget;
}

static void
feed_data(struct rig *r, enum session_input in, struct session_data d)
{
	d.chance = r->chance;
	r->n = session_step(&r->s, in, &d, r->now, r->out);
}

static void
feed(struct rig *r, enum session_input in, int64_t number)
{
	feed_data(r, in, (struct session_data){ .number = number });
}

static const struct session_action *
did(const struct rig *r, enum session_action_kind kind)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->out[i].kind == kind)
			return &r->out[i];
	return NULL;
}

/* Lets the time come that the session waits for; how long that was. */
static uint64_t
wait_due(struct rig *r)
{
	uint64_t due = session_due(&r->s), ms;

	EXPECT(due > r->now);
	if (due <= r->now)
		return 0;
	ms = due - r->now;
	r->now = due;
	feed(r, IN_DUE, 0);
	return ms;
}

static void
answer(struct rig *r)
{
	feed_data(r, IN_ANSWER, (struct session_data){ .total = 1000,
	    .remaining = r->remaining, .reset_after_ms = r->reset_after_ms,
	    .max_concurrency = r->max_concurrency, .shards = 1 });
}

static void
ready(struct rig *r, int64_t seq, const char *id)
{
	feed_data(r, IN_READY, (struct session_data){ .seq = seq,
	    .text = slice_of(id), .more = SLICE("9000000000000000001") });
}

/* From WAITING or ASKING up to Hello. */
static void
up_to_hello(struct rig *r)
{
	if (r->s.state != SESSION_ASKING)
		wait_due(r);
	EXPECT_INT(r->s.state, SESSION_ASKING);
	answer(r);
	EXPECT(did(r, DO_CONNECT) != NULL);
	feed(r, IN_HELLO, 45000);
}

static void
live(struct rig *r)
{
	rig_open(r);
	feed(r, IN_START, 0);
	EXPECT(did(r, DO_ASK) != NULL && !did(r, DO_ASK)->fresh);
	up_to_hello(r);
	EXPECT(did(r, DO_IDENTIFY) != NULL);
	ready(r, 1, "S1");
	EXPECT_INT(r->s.state, SESSION_LIVE);
}

static void
resuming(struct rig *r)
{
	live(r);
	feed(r, IN_CLOSED, 1006);
	up_to_hello(r);
	EXPECT(did(r, DO_RESUME) != NULL);
	EXPECT_INT(r->s.state, SESSION_RESUMING);
}

static void
identifying(struct rig *r)
{
	rig_open(r);
	feed(r, IN_START, 0);
	up_to_hello(r);
	EXPECT_INT(r->s.state, SESSION_IDENTIFYING);
}

/* --- close codes ------------------------------------------------------------ */

enum next { RESUMES, IDENTIFIES, PARKS, MOVES };

struct close_row {
	unsigned  first, last;
	enum next next;
	uint64_t  low_ms, high_ms;   /* of the wait */
	bool      fresh;
};

/* By hand, from the platform's page; the first failure of a live session. */
static const struct close_row closes[] = {
	{ 1000, 1001, RESUMES, 100, 200, false },
	{ 1005, 1006, RESUMES, 100, 200, false },
	{ 1015, 1015, RESUMES, 100, 200, false },
	{ 4000, 4000, RESUMES, 100, 200, false },
	{ 4001, 4003, IDENTIFIES, 100, 200, false },
	{ 4004, 4004, RESUMES, 100, 200, true },
	{ 4005, 4007, IDENTIFIES, 100, 200, false },
	{ 4008, 4008, RESUMES, 4200, 6300, false },
	{ 4009, 4009, MOVES, 0, 0, false },
	{ 4010, 4014, PARKS, 600000, 600000, false },
	{ 4015, 4015, RESUMES, 100, 200, false },
	{ 4899, 4899, RESUMES, 100, 200, false },
	{ 4900, 4913, IDENTIFIES, 100, 200, false },
	{ 4914, 4915, PARKS, 3600000, 3600000, false },
	{ 4916, 4916, RESUMES, 100, 200, false },
	{ 4999, 4999, RESUMES, 100, 200, false },
};

static void
one_close(const struct close_row *row, unsigned code, uint32_t chance)
{
	struct rig r;
	uint64_t   waited;

	live(&r);
	r.now += 1000;
	r.chance = chance;
	feed(&r, IN_CLOSED, code);
	/* the peer has gone: there is nothing of ours to close */
	EXPECT(did(&r, DO_CLOSE) == NULL);
	EXPECT_INT(r.s.state, row->next == PARKS ? SESSION_PARKED
	        : row->next == MOVES             ? SESSION_ASKING
	                                         : SESSION_WAITING);
	EXPECT_INT(r.s.last_close, code);
	EXPECT((r.s.remedy[0] != '\0') == (row->next == PARKS ||
	                                      code == 1015));
	EXPECT((r.s.id[0] != '\0') ==
	    (row->next == RESUMES || row->next == MOVES));
	/* far enough from the first Identify */
	r.budget.next_ms = 0;
	waited = row->next == MOVES ? 0 : wait_due(&r);
	if (waited < row->low_ms || waited > row->high_ms)
		printf("# code %u waited %llu\n", code,
		    (unsigned long long)waited);
	EXPECT(waited >= row->low_ms && waited <= row->high_ms);
	EXPECT_INT(r.s.state, SESSION_ASKING);
	EXPECT(did(&r, DO_ASK) != NULL && did(&r, DO_ASK)->fresh == row->fresh);
	up_to_hello(&r);
	if (row->next == RESUMES || row->next == MOVES)
		EXPECT(did(&r, DO_RESUME) != NULL &&
		    did(&r, DO_IDENTIFY) == NULL);
	else
		EXPECT(did(&r, DO_IDENTIFY) != NULL &&
		    did(&r, DO_RESUME) == NULL);
}

TEST(each_close_code_does_what_the_page_says)
{
	static const uint32_t chances[] = { 0, 0x80000000u, 0xffffffffu };
	unsigned rows = 0;

	for (size_t i = 0; i < ROWS(closes); i++)
		for (unsigned c = closes[i].first; c <= closes[i].last; c++) {
			for (size_t k = 0; k < ROWS(chances); k++)
				one_close(&closes[i], c, chances[k]);
			rows++;
		}
	EXPECT_INT(rows, 5 + 16 + 1 + 16 + 1 + 1);
}

TEST(each_row_of_the_table_says_what_it_means)
{
	for (unsigned c = 0; c < 5100; c++) {
		const struct session_close *row = session_close_row(c);

		EXPECT(row != NULL && row->first <= c && c <= row->last);
		EXPECT(row->meaning[0] != '\0');
		if (strcmp(row->action, "PARK") == 0 ||
		    strcmp(row->action, "BAN") == 0 ||
		    strcmp(row->action, "SHARDS") == 0)
			EXPECT(row->remedy[0] != '\0');
	}
}

/* A dead session is resumed once: then Identify, and soon. */
TEST(a_refused_resume_is_not_repeated)
{
	for (unsigned c = 4900; c <= 4915; c++) {
		unsigned   code = c == 4914 ? 4006 : c == 4915 ? 4007 : c;
		struct rig r;
		uint64_t   waited;

		resuming(&r);
		/* a long outage before must not delay it */
		r.s.backoff.at = 5;
		r.budget.next_ms = 0;
		feed(&r, IN_CLOSED, code);
		EXPECT_STR(r.s.id, "");
		waited = wait_due(&r);
		EXPECT(waited >= 1000 && waited <= 5000);
		up_to_hello(&r);
		EXPECT(did(&r, DO_IDENTIFY) != NULL);
		EXPECT_INT(r.s.resumes, 1);
	}
}

TEST(an_unknown_code_is_resumed_only_once)
{
	static const unsigned codes[] = { 4000, 4015, 4899, 4916, 4999, 3000 };

	for (size_t i = 0; i < ROWS(codes); i++) {
		struct rig r;

		live(&r);
		feed(&r, IN_CLOSED, codes[i]);
		up_to_hello(&r);
		EXPECT(did(&r, DO_RESUME) != NULL);
		/* which is no answer */
		feed(&r, IN_CLOSED, 1006);
		EXPECT_STR(r.s.id, "S1");
		up_to_hello(&r);
		EXPECT(did(&r, DO_RESUME) != NULL);
		feed(&r, IN_CLOSED, codes[i]);
		EXPECT_STR(r.s.id, "");
		r.budget.next_ms = 0;
		up_to_hello(&r);
		EXPECT(did(&r, DO_IDENTIFY) != NULL);
	}
}

TEST(what_may_be_resumed_once_waits_for_an_answer)
{
	struct rig r;
	int        resumes = 0;

	live(&r);
	feed(&r, IN_INVALID, 1);
	for (int k = 0; k < 10; k++) {
		r.budget.next_ms = 0;
		up_to_hello(&r);
		if (did(&r, DO_RESUME) == NULL)
			break;
		resumes++;
		feed(&r, IN_CLOSED, 1006);
	}
	EXPECT_INT(resumes, 3);
	EXPECT(did(&r, DO_IDENTIFY) != NULL);
}

TEST(network_loss_is_resumed_three_times)
{
	static const unsigned codes[] = { 1006, 1000, 4009 };

	for (size_t i = 0; i < ROWS(codes); i++) {
		struct rig r;
		int        resumes = 0;

		live(&r);
		feed(&r, IN_CLOSED, codes[i]);
		for (int k = 0; k < 10; k++) {
			r.budget.next_ms = 0;
			up_to_hello(&r);
			if (did(&r, DO_RESUME) == NULL)
				break;
			resumes++;
			feed(&r, IN_CLOSED, codes[i]);
		}
		EXPECT_INT(resumes, 3);
		EXPECT(did(&r, DO_IDENTIFY) != NULL);
	}
}

/* That we were too fast says nothing about the session, either. */
TEST(sent_too_fast_slows_down_and_keeps_the_session)
{
	struct rig r;
	uint64_t   waited = 0;

	live(&r);
	for (int i = 0; i < 10; i++) {
		feed(&r, IN_CLOSED, 4008);
		waited = session_due(&r.s) - r.now;
		EXPECT(waited >= 5000);
		up_to_hello(&r);
		EXPECT(did(&r, DO_RESUME) != NULL);
	}
	EXPECT(waited >= 48000);
}

/* What never came to a Resume says nothing about the session. */
TEST(failures_to_connect_keep_the_session)
{
	struct rig r;

	live(&r);
	feed(&r, IN_CLOSED, 1006);
	for (int i = 0; i < 50; i++) {
		wait_due(&r);
		if (i % 2 == 0) {
			feed(&r, IN_NO_ANSWER, 0);
			continue;
		}
		answer(&r);
		EXPECT(did(&r, DO_CONNECT) != NULL);
		feed(&r, IN_CLOSED, 1006);
	}
	EXPECT_STR(r.s.id, "S1");
	up_to_hello(&r);
	EXPECT(did(&r, DO_RESUME) != NULL);
}

TEST(our_own_mistakes_park_at_the_third)
{
	for (unsigned code = 4001; code <= 4002; code++) {
		struct rig r;

		identifying(&r);
		for (int i = 0; i < 2; i++) {
			feed(&r, IN_CLOSED, code);
			EXPECT_INT(r.s.state, SESSION_WAITING);
			r.budget.next_ms = 0;
			up_to_hello(&r);
		}
		feed(&r, IN_CLOSED, code);
		EXPECT_INT(r.s.state, SESSION_PARKED);
		EXPECT(r.s.remedy[0] != '\0');
	}
}

TEST(the_4004_ladder)
{
	struct rig r;
	uint64_t   waited;

	live(&r);
	feed(&r, IN_CLOSED, 4004);
	wait_due(&r);
	EXPECT(did(&r, DO_ASK)->fresh);
	answer(&r);
	feed(&r, IN_HELLO, 45000);
	EXPECT(did(&r, DO_RESUME) != NULL);
	feed(&r, IN_CLOSED, 4004);
	EXPECT_STR(r.s.id, "");
	EXPECT_STR(r.s.remedy, "");
	r.budget.next_ms = 0;
	wait_due(&r);
	EXPECT(did(&r, DO_ASK)->fresh);
	answer(&r);
	feed(&r, IN_HELLO, 45000);
	EXPECT(did(&r, DO_IDENTIFY) != NULL);
	feed(&r, IN_CLOSED, 4004);
	EXPECT(r.s.remedy[0] != '\0');
	waited = wait_due(&r);
	EXPECT(waited >= 48000 && waited <= 72000);
	EXPECT(did(&r, DO_ASK)->fresh);
	/* and it is over once the session lives */
	answer(&r);
	feed(&r, IN_HELLO, 45000);
	ready(&r, 1, "S2");
	EXPECT_STR(r.s.remedy, "");
	EXPECT_INT(r.s.auth_failures, 0);
}

TEST(too_many_guilds_reshards_or_parks)
{
	struct rig r;

	live(&r);
	r.s.auto_shards = true;
	feed(&r, IN_CLOSED, 4011);
	EXPECT(did(&r, DO_RESHARD) != NULL);
	EXPECT_INT(r.s.state, SESSION_WAITING);
	live(&r);
	feed(&r, IN_CLOSED, 4011);
	EXPECT(did(&r, DO_RESHARD) == NULL);
	EXPECT_INT(r.s.state, SESSION_PARKED);
}

TEST(a_parked_session_tries_again_for_ever)
{
	struct rig r;

	live(&r);
	r.s.park_ms = 5000;
	r.budget.next_ms = 0;
	feed(&r, IN_CLOSED, 4014);
	for (int i = 0; i < 100; i++) {
		EXPECT_INT(r.s.state, SESSION_PARKED);
		EXPECT_INT(wait_due(&r), 5000);
		r.budget.next_ms = 0;
		up_to_hello(&r);
		EXPECT(did(&r, DO_IDENTIFY) != NULL);
		feed(&r, IN_CLOSED, 4014);
	}
	/* a person has acted and says so */
	r.budget.next_ms = 0;
	feed(&r, IN_START, 0);
	EXPECT(did(&r, DO_ASK) != NULL);
}

/* Three shards of a bot that may not have one of its intents: one of them
 * finds out, the others wait, and all get what is allowed. */
TEST(refused_intents_are_found_by_one_for_all)
{
	struct rights rights = { .wanted = 1u << 25 | 1u << 26 | 1u << 28 };
	uint32_t      allowed = 1u << 25 | 1u << 26;
	struct rig    a, b;
	int           n = 0;

	rig_open(&a);
	rig_open(&b);
	a.s.rights = b.s.rights = &rights;
	feed(&a, IN_START, 0);
	up_to_hello(&a);
	EXPECT_INT(a.s.intents, rights.wanted);
	feed(&a, IN_CLOSED, 4014);
	EXPECT(rights.searcher == &a.s);
	feed(&b, IN_START, 0);
	EXPECT_INT(b.s.state, SESSION_WAITING);
	while (a.s.state != SESSION_LIVE && n++ < 20) {
		a.budget.next_ms = 0;
		if (a.s.state == SESSION_WAITING)
			wait_due(&a);
		up_to_hello(&a);
		EXPECT(did(&a, DO_IDENTIFY) != NULL);
		if (a.s.intents & ~allowed)
			feed(&a, IN_CLOSED, 4014);
		else
			ready(&a, 1, "S1");
	}
	EXPECT_INT(a.s.intents, allowed);
	EXPECT_INT(rights.dropped, 1u << 28);
	wait_due(&b);
	up_to_hello(&b);
	EXPECT_INT(b.s.intents, allowed);
	ready(&b, 1, "S2");
	EXPECT_INT(b.s.state, SESSION_LIVE);
	/* strictly, or when nothing is left: parked */
	rights = (struct rights){ .wanted = allowed, .strict = true };
	live(&a);
	a.s.rights = &rights;
	feed(&a, IN_CLOSED, 4014);
	EXPECT_INT(a.s.state, SESSION_PARKED);
}

TEST(whoever_searched_may_go)
{
	struct rights rights = { .wanted = 1u << 25 | 1u << 26 };
	struct rig    a, b;

	rig_open(&a);
	rig_open(&b);
	a.s.rights = b.s.rights = &rights;
	feed(&a, IN_START, 0);
	up_to_hello(&a);
	feed(&a, IN_CLOSED, 4014);
	feed(&b, IN_START, 0);
	EXPECT_INT(b.s.state, SESSION_WAITING);
	rights.searcher = NULL;
	wait_due(&b);
	up_to_hello(&b);
	EXPECT(did(&b, DO_IDENTIFY) != NULL);
	EXPECT(rights.searcher == &b.s);
}

TEST(another_session_is_wanted)
{
	struct rig r;

	live(&r);
	r.budget.next_ms = 0;
	feed(&r, IN_ANEW, 0);
	EXPECT_INT(did(&r, DO_CLOSE)->code, 1000);
	EXPECT_INT(r.s.state, SESSION_ASKING);
	EXPECT_STR(r.s.id, "");
	up_to_hello(&r);
	EXPECT(did(&r, DO_IDENTIFY) != NULL);
}

TEST(refused_credentials_park_with_the_reason)
{
	struct rig r;

	rig_open(&r);
	feed(&r, IN_START, 0);
	feed_data(&r, IN_FATAL,
	    (struct session_data){ .text = SLICE("wrong secret") });
	EXPECT_INT(r.s.state, SESSION_PARKED);
	EXPECT_STR(r.s.remedy, "wrong secret");
	EXPECT(wait_due(&r) <= 10000);
	EXPECT(did(&r, DO_ASK) != NULL);
	feed(&r, IN_FATAL, 0);
	EXPECT(r.s.remedy[0] != '\0');
}

/* --- frames ------------------------------------------------------------------ */

TEST(reconnect_is_obeyed_at_once)
{
	struct rig r;

	live(&r);
	feed(&r, IN_RECONNECT, 0);
	EXPECT(did(&r, DO_CLOSE) != NULL && did(&r, DO_CLOSE)->code == 4000);
	EXPECT(did(&r, DO_ASK) != NULL);
	answer(&r);
	feed(&r, IN_HELLO, 45000);
	EXPECT(did(&r, DO_RESUME) != NULL);
	/* as the first frame after a Resume it only restarts the attempt */
	feed(&r, IN_RECONNECT, 0);
	up_to_hello(&r);
	EXPECT(did(&r, DO_RESUME) != NULL);
}

TEST(invalid_session_that_may_be_resumed)
{
	struct rig r;
	uint64_t   waited;

	live(&r);
	feed(&r, IN_INVALID, 1);
	EXPECT(did(&r, DO_CLOSE) != NULL);
	waited = wait_due(&r);
	EXPECT(waited >= 1000 && waited <= 5000);
	answer(&r);
	feed(&r, IN_HELLO, 45000);
	EXPECT(did(&r, DO_RESUME) != NULL);
	/* only once */
	feed(&r, IN_INVALID, 1);
	EXPECT_STR(r.s.id, "");
	r.budget.next_ms = 0;
	up_to_hello(&r);
	EXPECT(did(&r, DO_IDENTIFY) != NULL);
}

TEST(invalid_session_that_may_not)
{
	struct rig r;
	uint64_t   waited;

	resuming(&r);
	feed(&r, IN_INVALID, 0);
	EXPECT_STR(r.s.id, "");
	EXPECT_INT(r.s.seq, 0);
	r.budget.next_ms = 0;
	waited = wait_due(&r);
	EXPECT(waited >= 1000 && waited <= 5000);
	answer(&r);
	feed(&r, IN_HELLO, 45000);
	EXPECT(did(&r, DO_IDENTIFY) != NULL);
	EXPECT_STR(r.s.remedy, "");
}

TEST(invalid_twice_after_identify_slows_down)
{
	struct rig r;

	identifying(&r);
	feed(&r, IN_INVALID, 0);
	EXPECT_STR(r.s.remedy, "");
	r.budget.next_ms = 0;
	EXPECT(wait_due(&r) <= 5000);
	EXPECT(did(&r, DO_ASK)->fresh);
	answer(&r);
	feed(&r, IN_HELLO, 45000);
	feed(&r, IN_INVALID, 0);
	EXPECT(r.s.remedy[0] != '\0');
	EXPECT_INT(wait_due(&r), 60000);
	EXPECT(did(&r, DO_ASK)->fresh);
}

/* Each round costs one of the day's sessions. */
TEST(ready_and_refused_again_and_again_slows_down)
{
	struct rig r;
	uint64_t   spent_ms = 0;

	live(&r);
	for (int i = 0; i < 20; i++) {
		feed(&r, IN_INVALID, 0);
		r.budget.next_ms = 0;
		spent_ms += wait_due(&r);
		answer(&r);
		feed(&r, IN_HELLO, 45000);
		ready(&r, 1, "S");
	}
	EXPECT(spent_ms > 15 * 40000);
}

TEST(a_refused_identify_asks_for_a_new_token)
{
	struct rig r;

	identifying(&r);
	feed(&r, IN_CLOSED, 4903);
	r.budget.next_ms = 0;
	wait_due(&r);
	EXPECT(did(&r, DO_ASK)->fresh);
}

TEST(heartbeats_carry_seq_and_seq_is_the_largest)
{
	struct rig r;

	live(&r);
	EXPECT_INT(r.s.seq, 1);
	feed_data(&r, IN_DISPATCH, (struct session_data){ .seq = 7 });
	EXPECT(did(&r, DO_DELIVER) != NULL);
	EXPECT_INT(r.s.seq, 7);
	feed_data(&r, IN_DISPATCH, (struct session_data){ .seq = 5 });
	EXPECT(did(&r, DO_DELIVER) != NULL);
	EXPECT_INT(r.s.seq, 7);
	feed_data(&r, IN_DISPATCH, (struct session_data){ .seq = 0 });
	EXPECT(did(&r, DO_DELIVER) != NULL);
	EXPECT_INT(r.s.seq, 7);
	feed_data(&r, IN_RESUMED, (struct session_data){ .seq = 9 });
	EXPECT_INT(r.s.seq, 9);
	feed(&r, IN_BEAT_ASKED, 0);
	EXPECT(did(&r, DO_BEAT) != NULL);
}

TEST(a_beat_is_sent_when_asked_for_but_not_as_often_as_it_is_asked)
{
	struct rig r;
	uint64_t   due;
	int        beats = 0;

	live(&r);
	due = r.s.beat_ms;
	for (int i = 0; i < 300; i++) {
		feed(&r, IN_BEAT_ASKED, 0);
		beats += did(&r, DO_BEAT) != NULL;
		r.now += 10;
	}
	EXPECT_INT(beats, 3);
	/* what is due is due nonetheless, and expects its ACK */
	EXPECT_INT(r.s.beat_ms, due);
	EXPECT(!r.s.beat_pending);
	/* another connection is asked for its own */
	feed(&r, IN_BEAT_ASKED, 0);
	EXPECT(did(&r, DO_BEAT) != NULL);
	feed(&r, IN_RECONNECT, 0);
	up_to_hello(&r);
	feed(&r, IN_BEAT_ASKED, 0);
	EXPECT(did(&r, DO_BEAT) != NULL);
}

TEST(hello_once_more_tells_another_interval_and_nothing_else)
{
	static const struct {
		int64_t  says;
		uint64_t is;
	} rows[] = {
		{ 1000, 1000 }, { 0, 1000 }, { -5, 1000 }, { 1, 200 },
		{ INT64_MAX, 120000 }, { 30000, 30000 },
	};
	struct rig r;

	live(&r);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t due = r.s.beat_ms;

		feed(&r, IN_HELLO, rows[i].says);
		EXPECT_INT(r.n, 0);
		EXPECT_INT(r.s.state, SESSION_LIVE);
		EXPECT_INT(r.s.interval_ms, rows[i].is);
		EXPECT(r.s.beat_ms <= due);
		EXPECT(r.s.beat_ms <= r.now + rows[i].is);
	}
	identifying(&r);
	feed(&r, IN_HELLO, 1000);
	EXPECT_INT(r.s.state, SESSION_IDENTIFYING);
	EXPECT_INT(r.s.interval_ms, 1000);
	resuming(&r);
	feed(&r, IN_HELLO, 1000);
	EXPECT_INT(r.s.state, SESSION_RESUMING);
	EXPECT_INT(r.s.interval_ms, 1000);
}

TEST(events_come_before_resumed_and_before_ready)
{
	struct rig r;

	resuming(&r);
	feed_data(&r, IN_DISPATCH, (struct session_data){ .seq = 8 });
	EXPECT(did(&r, DO_DELIVER) != NULL);
	EXPECT_INT(r.s.seq, 8);
	feed_data(&r, IN_RESUMED, (struct session_data){ .seq = 9 });
	EXPECT_INT(r.s.state, SESSION_LIVE);
	EXPECT_STR(r.s.id, "S1");
	identifying(&r);
	feed_data(&r, IN_DISPATCH, (struct session_data){ .seq = 2 });
	EXPECT(did(&r, DO_DELIVER) != NULL);
	EXPECT_INT(r.s.seq, 0);
	EXPECT_INT(r.s.state, SESSION_IDENTIFYING);
	/* the platform may begin anew instead */
	resuming(&r);
	ready(&r, 1, "S2");
	EXPECT_STR(r.s.id, "S2");
	EXPECT_INT(r.s.seq, 1);
}

TEST(garbage_is_skipped_once_events_flow)
{
	struct rig r;

	live(&r);
	feed(&r, IN_GARBAGE, 0);
	EXPECT_INT(r.n, 0);
	EXPECT_INT(r.s.state, SESSION_LIVE);
	resuming(&r);
	feed(&r, IN_GARBAGE, 0);
	EXPECT_INT(r.s.state, SESSION_RESUMING);
	identifying(&r);
	feed(&r, IN_GARBAGE, 0);
	EXPECT(did(&r, DO_CLOSE) != NULL);
	EXPECT_INT(r.s.state, SESSION_WAITING);
}

TEST(a_session_without_usable_id_is_identified_anew)
{
	static char long_id[SESSION_ID_MAX + 1];
	const char *ids[] = { "", long_id };
	struct rig  r;

	memset(long_id, 'x', sizeof long_id - 1);
	for (size_t i = 0; i < ROWS(ids); i++) {
		identifying(&r);
		ready(&r, 1, ids[i]);
		EXPECT_INT(r.s.state, SESSION_LIVE);
		r.budget.next_ms = 0;
		feed(&r, IN_CLOSED, 1006);
		up_to_hello(&r);
		EXPECT(did(&r, DO_IDENTIFY) != NULL);
	}
	/* the longest that fits is kept whole */
	long_id[SESSION_ID_MAX - 1] = '\0';
	identifying(&r);
	ready(&r, 1, long_id);
	EXPECT_STR(r.s.id, long_id);
	/* and one whose READY had no s cannot be resumed */
	identifying(&r);
	ready(&r, 0, "S1");
	r.budget.next_ms = 0;
	feed(&r, IN_CLOSED, 1006);
	up_to_hello(&r);
	EXPECT(did(&r, DO_IDENTIFY) != NULL);
}

/* --- time --------------------------------------------------------------------- */

TEST(nothing_is_waited_for_without_end)
{
	struct rig r;

	rig_open(&r);
	feed(&r, IN_START, 0); /* apid does not answer */
	EXPECT_INT(wait_due(&r), 15000);
	EXPECT_INT(r.s.state, SESSION_WAITING);

	rig_open(&r);
	feed(&r, IN_START, 0);
	answer(&r); /* no Hello */
	EXPECT_INT(wait_due(&r), 20000);
	EXPECT(did(&r, DO_CLOSE) != NULL && did(&r, DO_CLOSE)->code == 0);
	EXPECT_INT(r.s.state, SESSION_WAITING);

	identifying(&r); /* no READY */
	r.s.beat_ms = r.now + 10 * MINUTE;
	EXPECT_INT(wait_due(&r), 20000);
	EXPECT(did(&r, DO_CLOSE) != NULL);

	resuming(&r); /* no RESUMED */
	r.s.beat_ms = r.now + 10 * MINUTE;
	EXPECT_INT(wait_due(&r), 20000);
	EXPECT(did(&r, DO_CLOSE) != NULL);
	EXPECT_STR(r.s.id, "S1");

	resuming(&r); /* a long replay is not a silence */
	r.s.beat_ms = r.now + 10 * MINUTE;
	for (int64_t i = 2; i < 100; i++) {
		r.now += 19000;
		feed_data(&r, IN_DISPATCH, (struct session_data){ .seq = i });
		feed(&r, IN_DUE, 0);
		EXPECT_INT(r.s.state, SESSION_RESUMING);
		r.s.beat_ms = r.now + 10 * MINUTE;
	}
}

TEST(a_missed_ack_is_a_dead_connection)
{
	struct rig r;
	uint64_t   first;

	live(&r);
	first = wait_due(&r);
	EXPECT(first <= 45000);
	EXPECT(did(&r, DO_BEAT) != NULL);
	EXPECT(!session_stale(&r.s, r.now));
	EXPECT(!session_stale(&r.s, r.now + 22500));
	EXPECT(session_stale(&r.s, r.now + 22501)); /* before it is cut */
	EXPECT(session_stale(&r.s, r.now + 50000));
	EXPECT_INT(wait_due(&r), 45000);
	EXPECT(did(&r, DO_CLOSE) != NULL && did(&r, DO_CLOSE)->code == 0);
	EXPECT_STR(r.s.id, "S1");
	/* the next connection begins with a clean count */
	up_to_hello(&r);
	feed_data(&r, IN_RESUMED, (struct session_data){ .seq = 2 });
	EXPECT(!r.s.beat_pending);
	wait_due(&r);
	EXPECT(did(&r, DO_BEAT) != NULL);
	feed(&r, IN_ACK, 0);
	wait_due(&r);
	EXPECT(did(&r, DO_BEAT) != NULL);
}

/* The beat of the last connection must not come before Hello on the next. */
TEST(the_first_frame_is_never_a_beat)
{
	struct rig r;

	live(&r);
	r.s.hello_timeout_ms = 120000;
	r.s.beat_ms = r.now + 10;
	feed(&r, IN_CLOSED, 1006);
	wait_due(&r);
	answer(&r);
	EXPECT_INT(wait_due(&r), 120000);
	EXPECT(did(&r, DO_BEAT) == NULL);
	EXPECT_INT(r.s.state, SESSION_WAITING);
}

TEST(any_frame_is_life_but_three_acks_missing_are_not)
{
	struct rig r;
	int        beats = 0;

	live(&r);
	for (; r.s.state == SESSION_LIVE && beats < 100; beats++) {
		wait_due(&r);
		if (did(&r, DO_BEAT) == NULL)
			break;
		session_heard(&r.s, r.now + 100);
	}
	EXPECT_INT(beats, 3);
	EXPECT_INT(r.s.state, SESSION_WAITING);

	live(&r); /* one ACK in between: the count begins anew */
	for (beats = 0; beats < 30; beats++) {
		wait_due(&r);
		EXPECT(did(&r, DO_BEAT) != NULL);
		session_heard(&r.s, r.now + 100);
		if (beats % 2 == 0)
			feed(&r, IN_ACK, 0);
	}
	EXPECT_INT(r.s.state, SESSION_LIVE);
}

TEST(the_interval_is_the_servers_within_reason)
{
	static const struct {
		int64_t  said;
		uint64_t used;
	} rows[] = {
		{ 45000, 45000 }, { 1, 200 }, { 0, 45000 }, { -5, 45000 },
		{ 86400000, 120000 }, { INT64_MAX, 120000 }, { 7000, 7000 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct rig r;

		rig_open(&r);
		r.chance = most;
		feed(&r, IN_START, 0);
		answer(&r);
		feed(&r, IN_HELLO, rows[i].said);
		EXPECT_INT(r.s.interval_ms, rows[i].used);
		EXPECT(r.s.beat_ms > r.now &&
		    r.s.beat_ms <= r.now + rows[i].used);
	}
}

TEST(the_backoff_grows_spreads_and_starts_anew)
{
	static const uint64_t steps_s[] = { 1, 2, 5, 10, 30, 60, 60, 60 };
	static const uint32_t chances[] = { 0, 0x80000000u, 0xffffffffu };

	for (size_t k = 0; k < ROWS(chances); k++) {
		struct rig r;

		rig_open(&r);
		r.chance = chances[k];
		feed(&r, IN_START, 0);
		for (size_t i = 0; i < ROWS(steps_s); i++) {
			uint64_t want = steps_s[i] * 1000, ms;

			feed(&r, IN_NO_ANSWER, 0);
			ms = wait_due(&r);
			EXPECT(ms >= want * 8 / 10 && ms <= want * 12 / 10);
			if (k == 1)
				EXPECT_INT(ms, want);
		}
		up_to_hello(&r);
		ready(&r, 1, "S1");
		r.now += 59000; /* not calm for long enough */
		feed(&r, IN_CLOSED, 1006);
		EXPECT(wait_due(&r) >= 48000);
		up_to_hello(&r);
		feed_data(&r, IN_RESUMED, (struct session_data){ .seq = 2 });
		r.now += 60000;
		feed(&r, IN_CLOSED, 1006);
		EXPECT(wait_due(&r) <= 200);
		/* the second time in a row is not at once */
		up_to_hello(&r);
		feed_data(&r, IN_RESUMED, (struct session_data){ .seq = 2 });
		feed(&r, IN_CLOSED, 1006);
		EXPECT(wait_due(&r) >= 1000);
	}
}

TEST(a_connection_cut_again_and_again_is_not_waited_for)
{
	struct rig r;

	rig_open(&r);
	live(&r);
	r.now += 60000;
	for (int i = 0; i < 20; i++) {
		feed(&r, IN_CLOSED, 1006);
		EXPECT(wait_due(&r) <= 200);
		up_to_hello(&r);
		feed_data(&r, IN_RESUMED,
		    (struct session_data){ .seq = 2 + i });
		r.now += 5000;
	}
	/* Cut at once it is, and so is a session that is new. */
	r.now -= 1000;
	feed(&r, IN_CLOSED, 1006);
	EXPECT(wait_due(&r) >= 800);
	rig_open(&r);
	live(&r);
	r.now += 5000;
	feed(&r, IN_CLOSED, 1006);
	EXPECT(wait_due(&r) <= 200);
	up_to_hello(&r);
	feed_data(&r, IN_RESUMED, (struct session_data){ .seq = 2 });
	r.now += 5000;
	feed(&r, IN_CLOSED, 1006);
	EXPECT(wait_due(&r) >= 800);
}

TEST(two_shards_share_the_pace_of_identify)
{
	for (uint64_t at_once = 1; at_once <= 5; at_once++) {
		struct rig a, b;
		uint64_t   first;

		rig_open(&a);
		rig_open(&b);
		b.s.budget = a.s.budget;
		a.max_concurrency = b.max_concurrency = at_once;
		feed(&a, IN_START, 0);
		feed(&b, IN_START, 0);
		answer(&a);
		EXPECT(did(&a, DO_CONNECT) != NULL);
		/* not its turn, so it does not even connect */
		answer(&b);
		EXPECT(did(&b, DO_CONNECT) == NULL);
		EXPECT_INT(session_due(&b.s), b.now + 5250 / at_once);
		wait_due(&b);
		answer(&b);
		EXPECT(did(&b, DO_CONNECT) != NULL);
		/* the first one's Hello was late */
		a.now = b.now;
		feed(&a, IN_HELLO, 45000);
		EXPECT(did(&a, DO_IDENTIFY) != NULL);
		first = a.now;
		/* too early: it leaves and comes back in time */
		b.now += 10;
		feed(&b, IN_HELLO, 45000);
		EXPECT(did(&b, DO_IDENTIFY) == NULL);
		EXPECT(did(&b, DO_CLOSE) != NULL);
		up_to_hello(&b);
		EXPECT(did(&b, DO_IDENTIFY) != NULL);
		EXPECT(b.now >= first + 5000 / at_once);
	}
}

TEST(many_that_begin_together_connect_once_each_in_turn)
{
	enum { MANY = 12 };
	struct rig r[MANY];
	uint64_t   turn[MANY];

	for (int i = 0; i < MANY; i++) {
		rig_open(&r[i]);
		r[i].s.budget = r[0].s.budget;
		r[i].max_concurrency = 2;
		feed(&r[i], IN_START, 0);
	}
	for (int i = 0; i < MANY; i++) {
		answer(&r[i]);
		EXPECT((did(&r[i], DO_CONNECT) != NULL) == (i == 0));
		turn[i] = i == 0 ? r[0].now : session_due(&r[i].s);
		EXPECT_INT(turn[i], r[0].now + (uint64_t)i * 2625);
	}
	/* one that is told to begin again keeps its turn */
	feed(&r[4], IN_START, 0);
	answer(&r[4]);
	EXPECT(did(&r[4], DO_CONNECT) == NULL);
	EXPECT_INT(session_due(&r[4].s), turn[4]);
	for (int i = 0; i < MANY; i++) {
		r[i].now = turn[i];
		if (i > 0) {
			feed(&r[i], IN_DUE, 0);
			answer(&r[i]);
		}
		EXPECT(did(&r[i], DO_CONNECT) != NULL);
		feed(&r[i], IN_HELLO, 45000);
		EXPECT(did(&r[i], DO_IDENTIFY) != NULL);
	}
	/* an attempt that fails before it has identified is made again, and
	 * not behind those who wait */
	for (int i = 0; i < 2; i++) {
		rig_open(&r[i]);
		r[i].s.budget = r[0].s.budget;
		r[i].max_concurrency = 1;
		feed(&r[i], IN_START, 0);
		answer(&r[i]);
	}
	feed(&r[0], IN_CLOSED, 1006);
	EXPECT(wait_due(&r[0]) < 1500);
	answer(&r[0]);
	EXPECT(did(&r[0], DO_CONNECT) != NULL);
	feed(&r[0], IN_HELLO, 45000);
	EXPECT(did(&r[0], DO_IDENTIFY) != NULL);
}

TEST(the_pace_stays_while_the_platform_does_not_tell_it)
{
	struct rig r;

	rig_open(&r);
	r.max_concurrency = 0;
	feed(&r, IN_START, 0);
	answer(&r);
	EXPECT_INT(r.budget.every_ms, 5250);
	rig_open(&r);
	r.max_concurrency = 10;
	feed(&r, IN_START, 0);
	answer(&r);
	EXPECT_INT(r.budget.every_ms, 525);
	feed(&r, IN_CLOSED, 1006);
	wait_due(&r);
	r.max_concurrency = 0;
	answer(&r);
	EXPECT_INT(r.budget.every_ms, 525);
}

TEST(no_sessions_left_waits_but_resume_goes_on)
{
	struct rig r;

	rig_open(&r);
	r.remaining = 0;
	r.reset_after_ms = 3600000;
	feed(&r, IN_START, 0);
	answer(&r);
	EXPECT(did(&r, DO_CONNECT) == NULL);
	EXPECT(r.s.remedy[0] != '\0');
	EXPECT_INT(wait_due(&r), 3600000);
	EXPECT(did(&r, DO_ASK) != NULL);
	r.reset_after_ms = 0; /* and it does not say until when */
	answer(&r);
	EXPECT(did(&r, DO_CONNECT) == NULL);
	EXPECT_INT(wait_due(&r), 60000);
	r.reset_after_ms = UINT64_MAX; /* or never */
	answer(&r);
	EXPECT(did(&r, DO_CONNECT) == NULL);
	EXPECT_INT(wait_due(&r), day_ms);
	EXPECT(did(&r, DO_ASK) != NULL);
	r.remaining = 1;
	up_to_hello(&r);
	EXPECT(did(&r, DO_IDENTIFY) != NULL);
	ready(&r, 1, "S1");
	r.remaining = 0;
	feed(&r, IN_CLOSED, 4009);
	up_to_hello(&r);
	EXPECT(did(&r, DO_RESUME) != NULL);
}

TEST(the_last_session_is_not_spent_twice)
{
	struct rig a, b;

	rig_open(&a);
	rig_open(&b);
	b.s.budget = a.s.budget;
	a.remaining = b.remaining = 1;
	a.reset_after_ms = b.reset_after_ms = 0;
	feed(&a, IN_START, 0);
	feed(&b, IN_START, 0);
	answer(&a);
	answer(&b);
	wait_due(&b);
	answer(&b);
	EXPECT(did(&b, DO_CONNECT) != NULL);
	a.now = b.now;
	feed(&a, IN_HELLO, 45000);
	EXPECT(did(&a, DO_IDENTIFY) != NULL);
	b.now += 6000;
	feed(&b, IN_HELLO, 45000);
	EXPECT(did(&b, DO_IDENTIFY) == NULL);
	EXPECT(session_due(&b.s) > b.now);
}

/* --- held: it is we who do not read ---------------------------------------------- */

TEST(silence_of_our_own_making_proves_nothing)
{
	struct rig r;

	live(&r);
	session_hold(&r.s, true, r.now);
	for (int i = 0; i < 200; i++) {
		wait_due(&r);
		EXPECT(did(&r, DO_BEAT) != NULL);
		EXPECT(!session_stale(&r.s, r.now + 100000));
	}
	EXPECT_INT(r.s.state, SESSION_LIVE);
	session_hold(&r.s, false, r.now);
	wait_due(&r);
	EXPECT(did(&r, DO_BEAT) != NULL);
	wait_due(&r); /* now it counts */
	EXPECT_INT(r.s.state, SESSION_WAITING);

	resuming(&r);
	session_hold(&r.s, true, r.now);
	for (int i = 0; i < 200; i++)
		wait_due(&r);
	EXPECT_INT(r.s.state, SESSION_RESUMING);
	session_hold(&r.s, false, r.now);
	EXPECT(session_due(&r.s) > r.now);
}

TEST(no_room_never_costs_the_session)
{
	struct rig r;

	live(&r);
	for (int i = 0; i < 100; i++) {
		session_hold(&r.s, true, r.now);
		feed(&r, IN_CLOSED, 1006);
		up_to_hello(&r);
		EXPECT(did(&r, DO_RESUME) != NULL);
		EXPECT(!r.s.held);
	}
	EXPECT_STR(r.s.id, "S1");
}

/* --- stopping ---------------------------------------------------------------------- */

TEST(stop_closes_so_that_a_resume_is_possible)
{
	struct rig r;

	live(&r);
	feed(&r, IN_STOP, 0);
	EXPECT(did(&r, DO_CLOSE) != NULL && did(&r, DO_CLOSE)->code == 4000);
	EXPECT_INT(r.s.state, SESSION_IDLE);
	EXPECT_INT(session_due(&r.s), 0);
	feed(&r, IN_STOP, 0);
	EXPECT_INT(r.n, 0);
	feed(&r, IN_START, 0);
	EXPECT(did(&r, DO_ASK) != NULL);
	feed(&r, IN_STOP, 0);
	EXPECT(did(&r, DO_CLOSE) == NULL);
	EXPECT_INT(r.s.state, SESSION_IDLE);
}

TEST(start_ends_a_wait)
{
	struct rig r;

	live(&r);
	feed(&r, IN_CLOSED, 4008);
	EXPECT_INT(r.s.state, SESSION_WAITING);
	feed(&r, IN_START, 0);
	EXPECT(did(&r, DO_ASK) != NULL);
}

/* --- moves that are no failures ------------------------------------------------ */

static void
resumed(struct rig *r, int64_t seq)
{
	if (r->s.state == SESSION_ASKING)
		answer(r);
	feed(r, IN_HELLO, 45000);
	EXPECT(did(r, DO_RESUME) != NULL);
	feed_data(r, IN_RESUMED, (struct session_data){ .seq = seq });
	EXPECT_INT(r->s.state, SESSION_LIVE);
}

static void
event(struct rig *r)
{
	feed_data(r, IN_DISPATCH,
	    (struct session_data){ .seq = r->s.seq + 1 });
}

/* The platform may ask for another connection all day long. */
TEST(a_steady_session_moves_at_once_each_time)
{
	static const struct {
		enum session_input in;
		int64_t            number;
	} asked[] = { { IN_RECONNECT, 0 }, { IN_CLOSED, 4009 } };

	for (size_t i = 0; i < ROWS(asked); i++) {
		struct rig r;

		live(&r);
		for (int k = 0; k < 50; k++) {
			r.now += 5000;
			feed(&r, asked[i].in, asked[i].number);
			EXPECT_INT(r.s.state, SESSION_ASKING);
			resumed(&r, 2 + k);
		}
		/* every few moments is another matter */
		for (int k = 0; k < 6; k++) {
			feed(&r, asked[i].in, asked[i].number);
			EXPECT_INT(r.s.state, k == 0 ? SESSION_ASKING
			                             : SESSION_WAITING);
			if (k > 0)
				EXPECT(wait_due(&r) >= (k == 1 ? 1600 : 2000));
			resumed(&r, 100 + k);
		}
		EXPECT(r.s.backoff.at >= 5);
	}
}

/* Answers beats until this moment, or until it asks for the next connection;
 * events come each every_ms, 0: none. */
static void
serve_until(struct rig *r, uint64_t until, uint64_t every_ms)
{
	uint64_t event_at = every_ms != 0 ? r->now + every_ms : UINT64_MAX;

	while (r->s.state == SESSION_LIVE && !r->s.renewing) {
		uint64_t due = session_due(&r->s);
		uint64_t next = due < event_at ? due : event_at;

		if (next > until)
			break;
		r->now = next;
		if (next == event_at) {
			event(r);
			event_at += every_ms;
		} else {
			feed(r, IN_DUE, 0);
			if (did(r, DO_BEAT) != NULL &&
			    r->s.state == SESSION_LIVE) {
				session_heard(&r->s, r->now);
				feed(r, IN_ACK, 0);
			}
		}
	}
	if (r->s.state == SESSION_LIVE && !r->s.renewing)
		r->now = until;
}

static void
aged(struct rig *r, uint64_t every_ms, uint32_t chance)
{
	rig_open(r);
	r->s.age_ms = 100 * SECOND;
	r->chance = chance;
	feed(r, IN_START, 0);
	up_to_hello(r);
	ready(r, 1, "S1");
	serve_until(r, r->now + 10 * MINUTE, every_ms);
}

TEST(an_old_connection_is_left_at_a_quiet_moment)
{
	struct rig r;

	/* nobody speaks: at its age, and up to an eighth of it later */
	aged(&r, 0, 0);
	EXPECT_INT(r.now - r.s.live_ms, 100 * SECOND);
	EXPECT_INT(r.s.state, SESSION_LIVE);
	EXPECT(did(&r, DO_ASK) != NULL && did(&r, DO_CLOSE) == NULL);
	/* what comes meanwhile is taken */
	event(&r);
	EXPECT(did(&r, DO_DELIVER) != NULL);
	answer(&r);
	EXPECT_INT(r.n, 2);
	EXPECT(r.out[0].kind == DO_CLOSE && r.out[0].code == 4000);
	EXPECT(r.out[1].kind == DO_CONNECT);
	EXPECT_INT(r.s.renewals, 1);
	EXPECT_INT(r.s.backoff.at, 0);
	resumed(&r, 3);
	/* and again, as long as it lives */
	serve_until(&r, r.now + 10 * MINUTE, 0);
	EXPECT_INT(r.now - r.s.live_ms, 100 * SECOND);
	answer(&r);
	EXPECT_INT(r.s.renewals, 2);
	aged(&r, 0, most);
	EXPECT(r.now - r.s.live_ms > 112 * SECOND);
	/* an event each 7 s: after one of them and 2 s of quiet */
	aged(&r, 7 * SECOND, 0);
	EXPECT_INT(r.now - r.s.live_ms, 100 * SECOND);
	aged(&r, 9900, 0);
	EXPECT_INT(r.now - r.s.live_ms, 101 * SECOND);
	/* no quiet at all: after a quarter more */
	aged(&r, SECOND, 0);
	EXPECT_INT(r.now - r.s.live_ms, 125 * SECOND);
}

/* The next connection cannot be had now: this one lives on. */
TEST(a_good_connection_is_not_left_for_none)
{
	struct rig r;
	uint64_t   first;

	aged(&r, 0, 0);
	first = r.now;
	feed(&r, IN_NO_ANSWER, 0);
	EXPECT_INT(r.s.state, SESSION_LIVE);
	EXPECT_INT(r.n, 0);
	serve_until(&r, r.now + 10 * MINUTE, 0);
	EXPECT_INT(r.now - first, MINUTE);
	EXPECT(did(&r, DO_ASK) != NULL);
	feed_data(&r, IN_FATAL, (struct session_data){ .text = SLICE("no") });
	EXPECT_INT(r.s.state, SESSION_LIVE);
	/* no answer at all */
	serve_until(&r, r.now + 10 * MINUTE, 0);
	EXPECT_INT(r.now - first, 2 * MINUTE);
	EXPECT(r.s.renewing);
	r.s.renewing = false;
	serve_until(&r, r.now + 10 * MINUTE, 0);
	EXPECT_INT(r.now - first, 3 * MINUTE);
	answer(&r);
	EXPECT_INT(r.s.state, SESSION_CONNECTING);
	/* an answer that nobody waits for is none */
	live(&r);
	answer(&r);
	EXPECT_INT(r.n, 0);
	EXPECT_INT(r.s.state, SESSION_LIVE);
}

TEST(what_cannot_be_resumed_is_not_left_for_its_age)
{
	struct rig r;

	rig_open(&r);
	r.s.age_ms = 100 * SECOND;
	feed(&r, IN_START, 0);
	up_to_hello(&r);
	ready(&r, 1, ""); /* no id */
	serve_until(&r, r.now + 10 * MINUTE, 0);
	EXPECT_INT(r.s.renewals, 0);
	/* nor while we do not read, nor without an age */
	live(&r);
	r.s.age_ms = 100 * SECOND;
	session_hold(&r.s, true, r.now);
	serve_until(&r, r.now + 10 * MINUTE, 0);
	EXPECT_INT(r.s.renewals, 0);
	live(&r);
	serve_until(&r, r.now + 10 * MINUTE, 0);
	EXPECT_INT(r.s.renewals, 0);
}

/* A session that has had so many events, one a second, and was resumed. */
static void
resumed_after(struct rig *r, int events)
{
	rig_open(r);
	r->s.silent_ms = 5 * MINUTE;
	feed(r, IN_START, 0);
	up_to_hello(r);
	ready(r, 1, "S1");
	for (int i = 0; i < events; i++) {
		r->now += SECOND;
		event(r);
	}
	feed(r, IN_CLOSED, 1006);
	up_to_hello(r);
	feed_data(r, IN_RESUMED, (struct session_data){ .seq = 99 });
}

TEST(a_resumed_session_that_stays_silent_is_replaced_once)
{
	struct rig r;

	resumed_after(&r, 20);
	serve_until(&r, r.now + 2 * MINUTE, 0);
	EXPECT(!session_silent(&r.s, r.now));
	serve_until(&r, r.now + MINUTE, 0);
	EXPECT(session_silent(&r.s, r.now));
	EXPECT(!session_stale(&r.s, r.now));
	serve_until(&r, r.now + 10 * MINUTE, 0);
	EXPECT_INT(r.now - r.s.live_ms, 5 * MINUTE);
	EXPECT_INT(r.s.state, SESSION_ASKING);
	EXPECT(did(&r, DO_CLOSE) != NULL && did(&r, DO_CLOSE)->code == 1000);
	EXPECT_STR(r.s.id, "");
	up_to_hello(&r);
	EXPECT(did(&r, DO_IDENTIFY) != NULL);
	ready(&r, 1, "S2");
	/* the new one may be silent: nothing says that it should not */
	serve_until(&r, r.now + 60 * MINUTE, 0);
	feed(&r, IN_CLOSED, 1006);
	up_to_hello(&r);
	feed_data(&r, IN_RESUMED, (struct session_data){ .seq = 3 });
	serve_until(&r, r.now + 60 * MINUTE, 0);
	EXPECT_INT(r.s.replacements, 1);
	EXPECT_STR(r.s.id, "S2");
}

TEST(silence_that_means_nothing)
{
	enum { FEW, ONE_EVENT, OFF, HELD, NO_BUDGET, SLOW, NOT_RESUMED };

	for (int what = FEW; what <= NOT_RESUMED; what++) {
		struct rig r;

		if (what == NOT_RESUMED) {
			live(&r);
			r.s.silent_ms = 5 * MINUTE;
			for (int i = 0; i < 50; i++)
				event(&r);
		} else
			resumed_after(&r, what == FEW ? 19 : 20);
		if (what == ONE_EVENT)
			event(&r);
		if (what == OFF) {
			r.s.silent_ms = 0;
			feed(&r, IN_CLOSED, 1006);
			up_to_hello(&r);
			feed_data(&r, IN_RESUMED,
			    (struct session_data){ .seq = 100 });
		}
		if (what == HELD)
			session_hold(&r.s, true, r.now);
		if (what == NO_BUDGET)
			r.budget.remaining = 1;
		if (what == SLOW) { /* one an hour: an hour is not odd */
			live(&r);
			r.s.silent_ms = 5 * MINUTE;
			for (int i = 0; i < 20; i++) {
				r.now += 60 * MINUTE;
				event(&r);
			}
			feed(&r, IN_CLOSED, 1006);
			up_to_hello(&r);
			feed_data(&r, IN_RESUMED,
			    (struct session_data){ .seq = 100 });
		}
		serve_until(&r, r.now + 60 * MINUTE, 0);
		EXPECT_INT(r.s.replacements, 0);
		EXPECT_INT(r.s.state, SESSION_LIVE);
		EXPECT_STR(r.s.id, "S1");
	}
}

/* --- nobody answers --------------------------------------------------------------- */

TEST(who_waits_for_an_answer_is_woken)
{
	struct rig r;

	/* told when: again and again, without growing */
	rig_open(&r);
	feed(&r, IN_START, 0);
	for (int i = 0; i < 20; i++) {
		feed(&r, IN_NO_ANSWER, 1000);
		EXPECT_INT(wait_due(&r), 1000);
	}
	/* not told: the platform is behind it */
	for (int i = 0; i < 6; i++) {
		feed(&r, IN_NO_ANSWER, 0);
		wait_due(&r);
	}
	feed(&r, IN_NO_ANSWER, 0);
	EXPECT(session_due(&r.s) - r.now >= 48000);
	feed(&r, IN_ASKABLE, 0);
	EXPECT_INT(r.s.state, SESSION_ASKING);
	EXPECT(did(&r, DO_ASK) != NULL);
	/* so is who had no answer at all, and who was refused */
	wait_due(&r);
	EXPECT_INT(r.s.state, SESSION_WAITING);
	feed(&r, IN_ASKABLE, 0);
	EXPECT_INT(r.s.state, SESSION_ASKING);
	feed_data(&r, IN_FATAL, (struct session_data){ .text = SLICE("no") });
	EXPECT_INT(r.s.state, SESSION_PARKED);
	feed(&r, IN_ASKABLE, 0);
	EXPECT_INT(r.s.state, SESSION_ASKING);
	/* who waits for another reason goes on waiting */
	live(&r);
	feed(&r, IN_CLOSED, 4008);
	feed(&r, IN_ASKABLE, 0);
	EXPECT_INT(r.s.state, SESSION_WAITING);
	live(&r);
	feed(&r, IN_CLOSED, 4014);
	feed(&r, IN_ASKABLE, 0);
	EXPECT_INT(r.s.state, SESSION_PARKED);
	feed(&r, IN_START, 0); /* a person asks */
	EXPECT(r.s.state != SESSION_PARKED);
}

/* --- what outlives a run ------------------------------------------------------ */

static const int64_t wall = 1700000000000;

/* As another run finds it: only the memory is left. */
static struct session_memory
remembered(void)
{
	struct session_memory m;
	struct rig            r;

	live(&r);
	feed_data(&r, IN_DISPATCH, (struct session_data){ .seq = 41 });
	session_remember(&r.s, wall, &m);
	return m;
}

TEST(a_session_outlives_a_run)
{
	struct session_memory m = remembered();
	struct rig            r;

	EXPECT_STR(m.bot, "102000001");
	EXPECT_STR(m.id, "S1");
	EXPECT_STR(m.user, "9000000000000000001");
	EXPECT_INT(m.seq, 41);
	rig_open(&r);
	/* An Identify before would have to wait; a Resume need not. */
	r.budget.next_ms = r.now + 5000;
	EXPECT(session_recall(&r.s, &m, wall + 300000, 300));
	feed(&r, IN_START, 0);
	EXPECT_INT(r.s.state, SESSION_ASKING);
	up_to_hello(&r);
	EXPECT(did(&r, DO_RESUME) != NULL);
	EXPECT_STR(r.s.id, "S1");
	EXPECT_INT(r.s.seq, 41);
	EXPECT_STR(r.s.user, "9000000000000000001");
	feed_data(&r, IN_RESUMED, (struct session_data){ .seq = 43 });
	EXPECT_INT(r.s.state, SESSION_LIVE);
}

TEST(what_is_not_ours_or_too_old_is_not_recalled)
{
	enum { BOT, SHARD, SHARDS, INTENTS, OLD, NEVER, EMPTY, NO_SEQ, LATE };

	for (int what = BOT; what <= LATE; what++) {
		struct session_memory m = remembered();
		struct rig            r;
		struct session        before;

		rig_open(&r);
		if (what == BOT)
			strcpy(m.bot, "102000002");
		m.shard += what == SHARD;
		m.shards += what == SHARDS;
		m.intents ^= what == INTENTS;
		if (what == EMPTY)
			m.id[0] = '\0';
		if (what == NO_SEQ)
			m.seq = 0;
		if (what == LATE)
			feed(&r, IN_START, 0);
		before = r.s;
		EXPECT(!session_recall(&r.s, &m,
		    wall + (what == OLD ? 300001 : 0), what == NEVER ? 0 : 300));
		EXPECT(memcmp(&before, &r.s, sizeof before) == 0);
	}
	/* a clock that was set back makes nothing old */
	struct session_memory m = remembered();
	struct rig            r;

	rig_open(&r);
	EXPECT(session_recall(&r.s, &m, wall - (int64_t)day_ms, 300));
}

static void
recalled(struct rig *r)
{
	struct session_memory m = remembered();

	rig_open(r);
	EXPECT(session_recall(&r->s, &m, wall, 300));
	feed(r, IN_START, 0);
	up_to_hello(r);
	EXPECT(did(r, DO_RESUME) != NULL);
}

TEST(a_refusal_ends_a_recalled_session)
{
	static const struct {
		enum session_input in;
		int64_t            number;
	} refusals[] = {
		{ IN_INVALID, 0 }, { IN_CLOSED, 4006 }, { IN_CLOSED, 4007 },
		{ IN_CLOSED, 4902 },
	};

	for (size_t i = 0; i < ROWS(refusals); i++) {
		struct rig r;

		recalled(&r);
		feed(&r, refusals[i].in, refusals[i].number);
		EXPECT_STR(r.s.id, "");
		up_to_hello(&r);
		EXPECT(did(&r, DO_IDENTIFY) != NULL);
	}
}

/* The platform may be keeping it; a new one would lose what it holds. */
TEST(a_recalled_session_is_resumed_once_more_where_it_may_be)
{
	static const struct {
		enum session_input in;
		int64_t            number;
	} refusals[] = {
		{ IN_INVALID, 1 }, { IN_CLOSED, 4000 }, { IN_CLOSED, 4999 },
	};

	for (size_t i = 0; i < ROWS(refusals); i++) {
		struct rig r;

		recalled(&r);
		feed(&r, refusals[i].in, refusals[i].number);
		EXPECT_STR(r.s.id, "S1");
		up_to_hello(&r);
		EXPECT(did(&r, DO_RESUME) != NULL);
		feed(&r, refusals[i].in, refusals[i].number);
		up_to_hello(&r);
		EXPECT(did(&r, DO_IDENTIFY) != NULL);
	}
}

/* The network says nothing about the session, recalled or not. */
TEST(a_lost_connection_does_not_end_a_recalled_session)
{
	struct rig r;

	recalled(&r);
	feed(&r, IN_CLOSED, 1006);
	EXPECT_STR(r.s.id, "S1");
	up_to_hello(&r);
	EXPECT(did(&r, DO_RESUME) != NULL);
}

TEST(the_memory_changes_when_there_is_something_to_keep)
{
	struct rig r;
	uint64_t   v;

	live(&r);
	v = r.s.memory_version;
	/* the seq is looked at by itself */
	feed_data(&r, IN_DISPATCH, (struct session_data){ .seq = 2 });
	EXPECT_INT(r.s.seq, 2);
	/* an old s again, an event without one: nothing new */
	feed_data(&r, IN_DISPATCH, (struct session_data){ .seq = 2 });
	EXPECT_INT(r.s.seq, 2);
	feed_data(&r, IN_DISPATCH, (struct session_data){ 0 });
	feed(&r, IN_BEAT_ASKED, 0);
	EXPECT_INT(r.s.memory_version, v);
	/* a session without events stays young while it is heard of */
	feed(&r, IN_ACK, 0);
	EXPECT(r.s.memory_version != v);
	/* ... and while it is we who do not read, for hours perhaps */
	session_hold(&r.s, true, r.now);
	v = r.s.memory_version;
	wait_due(&r);
	EXPECT(r.s.memory_version != v);
	session_hold(&r.s, false, r.now);
	v = r.s.memory_version;
	feed(&r, IN_CLOSED, 4006);
	EXPECT(r.s.memory_version != v);
	v = r.budget.memory_version;
	r.budget.next_ms = 0;
	up_to_hello(&r);
	EXPECT(r.budget.memory_version != v);
	v = r.s.memory_version;
	ready(&r, 1, "S2");
	EXPECT(r.s.memory_version != v);
}

TEST(the_pace_of_identify_outlives_a_run)
{
	struct budget_memory m;
	struct rig           r, next;

	identifying(&r); /* one Identify, now */
	budget_remember(&r.budget, r.now, wall, &m);
	EXPECT_INT(m.next_wall_ms, wall + 5250);
	EXPECT_INT(m.remaining, 999);
	EXPECT_INT(m.resets_wall_ms, wall + (int64_t)day_ms);
	/* a second later another run, whose clock is anywhere */
	rig_open(&next);
	next.now = 77;
	budget_recall(&next.budget, &m, next.now, wall + 1000);
	feed(&next, IN_START, 0);
	EXPECT_INT(next.s.state, SESSION_WAITING);
	EXPECT_INT(wait_due(&next), 4250);
	EXPECT_INT(next.s.state, SESSION_ASKING);
}

TEST(the_days_sessions_outlive_a_run)
{
	struct budget_memory m;
	struct rig           r;

	rig_open(&r);
	r.budget = (struct session_budget){ .total = 1000,
		.resets_ms = r.now + 3600000 };
	budget_remember(&r.budget, r.now, wall, &m);
	rig_open(&r);
	budget_recall(&r.budget, &m, r.now, wall + 60000);
	feed(&r, IN_START, 0);
	EXPECT_INT(r.s.state, SESSION_WAITING);
	EXPECT_INT(wait_due(&r), 3540000);
	/* a Resume needs none */
	struct session_memory s = remembered();

	rig_open(&r);
	budget_recall(&r.budget, &m, r.now, wall + 60000);
	EXPECT(session_recall(&r.s, &s, wall, 300));
	feed(&r, IN_START, 0);
	EXPECT_INT(r.s.state, SESSION_ASKING);
}

/* Back by years, forward by years: never longer than a day and a window, a
 * window for the next Identify, and never an instant in the past. */
TEST(no_jump_of_the_clock_keeps_a_bot_away)
{
	static const int64_t years = 20ll * 365 * 86400000;
	const int64_t jumps[] = { -years, -86400000, -1, 0, 1, 5250, 86400000,
		years, INT64_MIN / 2, INT64_MAX / 2 };

	for (size_t i = 0; i < ROWS(jumps); i++) {
		struct budget_memory m = { .total = 1000, .remaining = 7000,
			.resets_wall_ms = wall + 86400000,
			.next_wall_ms = wall + 5250 };
		struct session_budget b = { 0 };

		budget_recall(&b, &m, 1000, wall + jumps[i]);
		EXPECT_INT(b.remaining, 1000);
		EXPECT(b.next_ms >= 1000 && b.next_ms <= 1000 + 5250);
		EXPECT(b.resets_ms >= 1000 &&
		    b.resets_ms <= 1000 + day_ms + 5250);
		if (jumps[i] >= 86400000)
			EXPECT(b.resets_ms == 1000 && b.next_ms == 1000);
	}
	/* nothing known stays nothing known */
	struct budget_memory  m;
	struct session_budget none = { 0 };

	budget_remember(&none, 500, wall, &m);
	EXPECT_INT(m.resets_wall_ms, 0);
	EXPECT_INT(m.next_wall_ms, 0);
	budget_recall(&none, &m, 1000, wall);
	EXPECT_INT(none.resets_ms, 0);
	EXPECT_INT(none.next_ms, 0);
}

/* --- a walk at random ---------------------------------------------------------------- */

enum { SHARDS = 2, STEPS = 1000000 };

/* What the platform really counts. */
struct platform {
	uint64_t total, remaining, resets_ms, every_ms, last_identify_ms;
	uint64_t at_once;
	bool     any;
};

struct walk {
	struct session        s[SHARDS];
	struct session_budget budget;
	bool                  connected[SHARDS], introduced[SHARDS];
	struct platform       p;
	uint64_t              now, seed, identifies, lives;
};

static uint64_t
draw(struct walk *w, uint64_t below)
{
	w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (w->seed >> 33) % below;
}

static bool
check(bool good, const char *what, unsigned long step)
{
	if (!good && !test_bad)
		printf("# step %lu: %s\n", step, what);
	test_bad |= !good;
	return good;
}

static void
platform_time(struct walk *w)
{
	if (w->now >= w->p.resets_ms) {
		w->p.remaining = w->p.total;
		w->p.resets_ms = w->now + 10 * MINUTE;
	}
}

static void
note_identify(struct walk *w, unsigned long step)
{
	struct platform *p = &w->p;

	w->identifies++;
	check(p->remaining > 0, "more Identify than the day allows", step);
	if (p->remaining > 0)
		p->remaining--;
	check(!p->any || w->now - p->last_identify_ms >= p->every_ms,
	    "Identify faster than the pace", step);
	p->any = true;
	p->last_identify_ms = w->now;
}

static void
walk_feed(struct walk *w, size_t i, enum session_input in,
    struct session_data d, unsigned long step)
{
	struct session_action out[SESSION_ACTIONS];
	struct session       *s = &w->s[i];
	bool                 *up = &w->connected[i];
	size_t                n;

	d.chance = (uint32_t)draw(w, 1ull << 31) * 2;
	if (in == IN_CLOSED)
		*up = false;
	n = session_step(s, in, &d, w->now, out);
	for (size_t k = 0; k < n; k++)
		switch (out[k].kind) {
		case DO_CONNECT:
			check(!*up, "a second connection", step);
			*up = true;
			w->introduced[i] = false;
			break;
		case DO_CLOSE:
			check(*up, "closes what is not there", step);
			*up = false;
			break;
		case DO_IDENTIFY:
			note_identify(w, step);
			/* FALLTHROUGH */
		case DO_RESUME:
			check(*up && !w->introduced[i],
			    "introduces itself again, or to nobody", step);
			w->introduced[i] = true;
			break;
		case DO_BEAT:
			check(*up && w->introduced[i],
			    "beats without being known", step);
			break;
		case DO_ASK:
		case DO_DELIVER:
		case DO_RESHARD:
			break;
		}
	check(*up == s->connected, "does not know of its connection", step);
	check(s->connected == (s->state >= SESSION_CONNECTING &&
	                          s->state <= SESSION_LIVE),
	    "connection and state disagree", step);
	check(s->state == SESSION_IDLE || session_due(s) != 0,
	    "offline for good", step);
	check(s->state == SESSION_IDLE || in != IN_DUE ||
	        session_due(s) > w->now, "does not get on", step);
	w->lives += s->state == SESSION_LIVE && in == IN_READY;
}

static struct session_data
platform_answer(struct walk *w)
{
	platform_time(w);
	return (struct session_data){ .total = w->p.total,
		.remaining = w->p.remaining,
		.reset_after_ms = w->p.resets_ms - w->now,
		.max_concurrency = w->p.at_once, .shards = SHARDS };
}

static struct session_data
any_data(struct walk *w, enum session_input in)
{
	static const int64_t codes[] = { 1000, 1001, 1006, 4000, 4001, 4002,
		4003, 4004, 4005, 4006, 4007, 4008, 4009, 4010, 4011, 4012,
		4013, 4014, 4015, 4900, 4903, 4913, 4914, 4915, 4999, 0, 70000 };
	struct session_data d = { 0 };

	switch (in) {
	case IN_ANSWER:
		return platform_answer(w);
	case IN_HELLO:
		d.number = (int64_t)draw(w, 90000) - 1000;
		break;
	case IN_READY:
		d.text = draw(w, 10) == 0 ? SLICE("") : SLICE("session");
		/* FALLTHROUGH */
	case IN_RESUMED:
	case IN_DISPATCH:
		d.seq = (int64_t)draw(w, 1000);
		break;
	case IN_INVALID:
		d.number = (int64_t)draw(w, 2);
		break;
	case IN_CLOSED:
		d.number = codes[draw(w, ROWS(codes))];
		break;
	default:
		break;
	}
	return d;
}

/* What a platform in good order would say now. */
static bool
good_step(struct walk *w, size_t i, unsigned long step)
{
	struct session *s = &w->s[i];

	switch (s->state) {
	case SESSION_IDLE:
		walk_feed(w, i, IN_START, (struct session_data){ 0 }, step);
		return true;
	case SESSION_ASKING:
		walk_feed(w, i, IN_ANSWER, platform_answer(w), step);
		return true;
	case SESSION_CONNECTING:
		walk_feed(w, i, IN_HELLO,
		    (struct session_data){ .number = 45000 }, step);
		return true;
	case SESSION_IDENTIFYING:
		walk_feed(w, i, IN_READY, (struct session_data){ .seq = 1,
		    .text = SLICE("good") }, step);
		return true;
	case SESSION_RESUMING:
		walk_feed(w, i, IN_RESUMED, (struct session_data){ .seq = 2 },
		    step);
		return true;
	default:
		return false;
	}
}

static void
any_step(struct walk *w, unsigned long step)
{
	size_t          i = draw(w, SHARDS);
	struct session *s = &w->s[i];
	uint64_t        dice = draw(w, 100), due = session_due(s);
	enum session_input in;

	platform_time(w);
	if (dice < 2)
		session_hold(s, draw(w, 2) == 0, w->now);
	else if (dice < 20)
		w->now += draw(w, 3000);
	else if (dice < 60 && good_step(w, i, step))
		return;
	else if (dice < 80 && due != 0) {
		if (due > w->now)
			w->now = due;
		platform_time(w);
		walk_feed(w, i, IN_DUE, (struct session_data){ 0 }, step);
	} else {
		in = (enum session_input)draw(w, SESSION_INPUTS);
		if ((in == IN_CLOSED && !w->connected[i]) ||
		    (in == IN_DUE && (due == 0 || due > w->now)))
			return;
		if (in == IN_STOP && draw(w, 20) != 0)
			return;
		walk_feed(w, i, in, any_data(w, in), step);
	}
}

/* From wherever it is: a platform in good order gets both shards live. */
static void
must_recover(const struct walk *from, unsigned long step)
{
	struct walk w = *from;
	uint64_t    until = w.now + day_ms;

	for (size_t i = 0; i < SHARDS; i++) {
		w.s[i].budget = &w.budget;
		session_hold(&w.s[i], false, w.now);
	}
	while (w.now < until && (w.s[0].state != SESSION_LIVE ||
	                            w.s[1].state != SESSION_LIVE)) {
		uint64_t next = UINT64_MAX;

		platform_time(&w);
		if (good_step(&w, 0, step) || good_step(&w, 1, step))
			continue;
		for (size_t i = 0; i < SHARDS; i++) {
			uint64_t due = session_due(&w.s[i]);

			if (due != 0 && due < next)
				next = due;
		}
		w.now = next > w.now ? next : w.now;
		platform_time(&w);
		for (size_t i = 0; i < SHARDS; i++)
			if (session_due(&w.s[i]) != 0 &&
			    session_due(&w.s[i]) <= w.now) {
				walk_feed(&w, i, IN_ACK,
				    (struct session_data){ 0 }, step);
				walk_feed(&w, i, IN_DUE,
				    (struct session_data){ 0 }, step);
			}
	}
	check(w.s[0].state == SESSION_LIVE && w.s[1].state == SESSION_LIVE,
	    "a platform in good order does not get it live", step);
}

TEST(a_million_steps_at_random)
{
	for (uint64_t at_once = 1; at_once <= 3; at_once++) {
		struct walk w = { .now = 1, .seed = 42 + at_once };

		w.p = (struct platform){ .total = 40 * at_once,
			.at_once = at_once, .every_ms = 5000 / at_once };
		for (size_t i = 0; i < SHARDS; i++) {
			session_init(&w.s[i]);
			w.s[i].shard = (unsigned)i;
			w.s[i].shards = SHARDS;
			w.s[i].budget = &w.budget;
			w.s[i].auto_shards = at_once == 2;
			w.s[i].park_ms = MINUTE;
			w.s[i].age_ms = at_once == 3 ? 0 : 20 * SECOND;
			w.s[i].silent_ms = at_once == 3 ? 0 : 10 * SECOND;
		}
		for (unsigned long n = 0; n < STEPS / 3 && !test_bad; n++) {
			any_step(&w, n);
			if (n % 500 == 0)
				must_recover(&w, n);
		}
		/* it did get somewhere */
		EXPECT(w.identifies > 1000);
		EXPECT(w.lives > 500);
	}
}

int
main(void)
{
	RUN(each_close_code_does_what_the_page_says);
	RUN(each_row_of_the_table_says_what_it_means);
	RUN(a_refused_resume_is_not_repeated);
	RUN(an_unknown_code_is_resumed_only_once);
	RUN(what_may_be_resumed_once_waits_for_an_answer);
	RUN(network_loss_is_resumed_three_times);
	RUN(sent_too_fast_slows_down_and_keeps_the_session);
	RUN(failures_to_connect_keep_the_session);
	RUN(our_own_mistakes_park_at_the_third);
	RUN(the_4004_ladder);
	RUN(too_many_guilds_reshards_or_parks);
	RUN(a_parked_session_tries_again_for_ever);
	RUN(refused_intents_are_found_by_one_for_all);
	RUN(whoever_searched_may_go);
	RUN(another_session_is_wanted);
	RUN(refused_credentials_park_with_the_reason);
	RUN(reconnect_is_obeyed_at_once);
	RUN(invalid_session_that_may_be_resumed);
	RUN(invalid_session_that_may_not);
	RUN(invalid_twice_after_identify_slows_down);
	RUN(ready_and_refused_again_and_again_slows_down);
	RUN(a_refused_identify_asks_for_a_new_token);
	RUN(heartbeats_carry_seq_and_seq_is_the_largest);
	RUN(a_beat_is_sent_when_asked_for_but_not_as_often_as_it_is_asked);
	RUN(hello_once_more_tells_another_interval_and_nothing_else);
	RUN(events_come_before_resumed_and_before_ready);
	RUN(garbage_is_skipped_once_events_flow);
	RUN(a_session_without_usable_id_is_identified_anew);
	RUN(nothing_is_waited_for_without_end);
	RUN(a_missed_ack_is_a_dead_connection);
	RUN(the_first_frame_is_never_a_beat);
	RUN(any_frame_is_life_but_three_acks_missing_are_not);
	RUN(the_interval_is_the_servers_within_reason);
	RUN(the_backoff_grows_spreads_and_starts_anew);
	RUN(a_connection_cut_again_and_again_is_not_waited_for);
	RUN(two_shards_share_the_pace_of_identify);
	RUN(many_that_begin_together_connect_once_each_in_turn);
	RUN(the_pace_stays_while_the_platform_does_not_tell_it);
	RUN(no_sessions_left_waits_but_resume_goes_on);
	RUN(the_last_session_is_not_spent_twice);
	RUN(silence_of_our_own_making_proves_nothing);
	RUN(no_room_never_costs_the_session);
	RUN(stop_closes_so_that_a_resume_is_possible);
	RUN(start_ends_a_wait);
	RUN(a_steady_session_moves_at_once_each_time);
	RUN(an_old_connection_is_left_at_a_quiet_moment);
	RUN(a_good_connection_is_not_left_for_none);
	RUN(what_cannot_be_resumed_is_not_left_for_its_age);
	RUN(a_resumed_session_that_stays_silent_is_replaced_once);
	RUN(silence_that_means_nothing);
	RUN(who_waits_for_an_answer_is_woken);
	RUN(a_session_outlives_a_run);
	RUN(what_is_not_ours_or_too_old_is_not_recalled);
	RUN(a_refusal_ends_a_recalled_session);
	RUN(a_recalled_session_is_resumed_once_more_where_it_may_be);
	RUN(a_lost_connection_does_not_end_a_recalled_session);
	RUN(the_memory_changes_when_there_is_something_to_keep);
	RUN(the_pace_of_identify_outlives_a_run);
	RUN(the_days_sessions_outlive_a_run);
	RUN(no_jump_of_the_clock_keeps_a_bot_away);
	RUN(a_million_steps_at_random);
	return test_done();
}
