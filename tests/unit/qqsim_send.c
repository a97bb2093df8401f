// links: qqsim/send.c qqsim/ledger.c qqsim/kind.c qqsim/map.c common
/*
 * Messages: which bodies the platform takes, and the rules for replies.
 */
#include "test.h"

#include "send.h"

static const struct send_rules rules = { .c2c_window_s = 3600,
	.group_window_s = 300, .c2c_replies = 4, .group_replies = 5,
	.files = 3 };

static const int64_t minute_us = 60 * 1000000ll;

/* A user U, a group G, a channel C and a direct conversation D of bot 1, each
 * with a message from it; and a click by U. */
struct world {
	struct ledger l;
	unsigned      sent;
};

static struct event *
told(struct world *w, const char *type, enum scope scope, const char *who,
    const char *msg, const char *event)
{
	struct event_new n = { .kind = kind_of(slice_of(type)),
		.msg = slice_of(msg), .event = slice_of(event), .expect = -1 };
	struct event *e = NULL;
	bool          known;

	n.conversation = ledger_conversation(&w->l, "1", scope,
	    slice_of(who), true);
	EXPECT_INT(ledger_event(&w->l, &n, &e, &known), ERR_OK);
	ledger_state(&w->l, e, EVENT_GIVEN);
	return e;
}

static void
world_open(struct world *w)
{
	w->sent = 0;
	EXPECT_INT(ledger_open(&w->l), ERR_OK);
	told(w, "C2C_MESSAGE_CREATE", SCOPE_C2C, "U", "mu", "eu");
	told(w, "GROUP_AT_MESSAGE_CREATE", SCOPE_GROUP, "G", "mg", "eg");
	told(w, "AT_MESSAGE_CREATE", SCOPE_CHANNEL, "C", "mc", "ec");
	told(w, "DIRECT_MESSAGE_CREATE", SCOPE_DM, "D", "md", "ed");
	told(w, "INTERACTION_CREATE", SCOPE_C2C, "U", "", "click");
	told(w, "GUILD_MEMBER_ADD", SCOPE_OTHER, "N", "", "joined");
}

/* The code of the refusal, 0 when it was taken. */
static unsigned
post(struct world *w, const char *bot, enum scope scope, const char *target,
    const char *body, int64_t now_us)
{
	struct send s = { .bot = bot, .scope = scope,
		.target = slice_of(target), .text = slice_of(body),
		.now_us = now_us };
	const struct refusal *r = send_judge(&w->l, &rules, &s);
	struct message       *m;
	char                  id[32];

	if (r == NULL) {
		snprintf(id, sizeof id, "S%u", ++w->sent);
		EXPECT_INT(send_take(&w->l, &s, slice_of(id), 0, &m), ERR_OK);
		EXPECT((m != NULL) == s.visible);
	}
	send_done(&s);
	return r != NULL ? r->code : 0;
}

#define TEXT "\"msg_type\":0,\"content\":\"x\""

static const struct row {
	enum scope  scope;
	const char *target, *body;
	unsigned    code;
} rows[] = {
	{ SCOPE_C2C, "U", "{" TEXT ",\"msg_id\":\"mu\"}", 0 },
	{ SCOPE_C2C, "U", "{" TEXT "}", 0 },
	{ SCOPE_C2C, "U", "", 12002 },
	{ SCOPE_C2C, "U", "[]", 12002 },
	{ SCOPE_C2C, "U", "{" TEXT ",", 12002 },
	{ SCOPE_C2C, "U", "{" TEXT "}{}", 12002 },
	{ SCOPE_C2C, "U", "{\"content\":\"\xff\"}", 12002 },
	{ SCOPE_C2C, "U", "{\"content\":\"x\"}", 340069 },
	{ SCOPE_C2C, "U", "{\"msg_type\":null,\"content\":\"x\"}", 340069 },
	{ SCOPE_C2C, "U", "{\"msg_type\":\"0\",\"content\":\"x\"}", 12002 },
	{ SCOPE_C2C, "U", "{\"msg_type\":0.5,\"content\":\"x\"}", 12002 },
	{ SCOPE_C2C, "U", "{\"msg_type\":99,\"content\":\"x\"}", 340069 },
	{ SCOPE_C2C, "U", "{\"msg_type\":0,\"content\":5}", 12002 },
	{ SCOPE_C2C, "U", "{\"msg_type\":0}", 50006 },
	{ SCOPE_C2C, "U", "{\"msg_type\":0,\"content\":\"\"}", 50006 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"msg_seq\":\"1\"}", 12002 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"msg_id\":5}", 12002 },
	{ SCOPE_C2C, "U", "{\"msg_type\":2}", 22006 },
	{ SCOPE_C2C, "U", "{\"msg_type\":2,\"markdown\":{}}", 50057 },
	{ SCOPE_C2C, "U",
	    "{\"msg_type\":2,\"markdown\":{\"content\":\"a\"}}", 0 },
	{ SCOPE_C2C, "U", "{\"msg_type\":2,\"content\":\"x\","
	    "\"markdown\":{\"content\":\"a\"}}", 50037 },
	{ SCOPE_C2C, "U", "{\"msg_type\":2,\"markdown\":{\"content\":\"a\","
	    "\"custom_template_id\":\"1\"}}", 50057 },
	{ SCOPE_C2C, "U", "{\"msg_type\":3}", 22006 },
	{ SCOPE_C2C, "U", "{\"msg_type\":7}", 22006 },
	{ SCOPE_C2C, "U",
	    "{\"msg_type\":7,\"media\":{\"file_info\":\"FILE_c2c_3\"}}", 0 },
	{ SCOPE_C2C, "U", "{\"msg_type\":7,\"media\":"
	    "{\"file_info\":\"FILE_c2c_4\"}}", 304080 },
	{ SCOPE_C2C, "U", "{\"msg_type\":7,\"media\":"
	    "{\"file_info\":\"FILE_group_3\"}}", 304080 },
	{ SCOPE_C2C, "U", "{\"msg_type\":6,\"msg_id\":\"mu\","
	    "\"input_notify\":{\"input_type\":1}}", 0 },
	{ SCOPE_C2C, "U",
	    "{\"msg_type\":6,\"input_notify\":{\"input_type\":1}}", 50059 },
	{ SCOPE_GROUP, "G", "{\"msg_type\":6,\"msg_id\":\"mg\"}", 50059 },
	{ SCOPE_GROUP, "G", "{" TEXT ",\"msg_id\":\"mg\"}", 0 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"msg_id\":\"no\"}", 40034024 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"msg_id\":\"mg\"}", 40034024 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"msg_id\":\"eu\"}", 40034024 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"event_id\":\"click\"}", 0 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"event_id\":\"no\"}", 40034025 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"event_id\":\"eu\"}", 40034027 },
	{ SCOPE_GROUP, "G", "{" TEXT ",\"event_id\":\"click\"}", 40034025 },
	{ SCOPE_C2C, "U",
	    "{" TEXT ",\"msg_id\":\"mu\",\"event_id\":\"click\"}", 12002 },
	{ SCOPE_C2C, "stranger", "{" TEXT "}", 11255 },
	{ SCOPE_CHANNEL, "C", "{\"content\":\"x\",\"msg_id\":\"mc\"}", 0 },
	{ SCOPE_CHANNEL, "C", "{\"content\":\"x\",\"event_id\":\"joined\"}",
	    0 },
	{ SCOPE_CHANNEL, "C", "{\"content\":\"x\",\"msg_id\":\"md\"}",
	    304026 },
	{ SCOPE_CHANNEL, "C", "{}", 50006 },
	{ SCOPE_CHANNEL, "C", "{\"image\":\"https://x\"}", 0 },
	{ SCOPE_CHANNEL, "E", "{\"content\":\"x\"}", 10003 },
	{ SCOPE_DM, "D", "{\"content\":\"x\",\"msg_id\":\"md\"}", 0 },
	{ SCOPE_DM, "E", "{\"content\":\"x\"}", 304032 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"keyboard\":{\"content\":{\"rows\":"
	    "[{},{},{},{},{},{}]}}}", 40034029 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"keyboard\":{\"content\":{\"rows\":"
	    "[{\"buttons\":[1,2,3,4,5,6]}]}}}", 40034029 },
};

TEST(bodies)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		unsigned     code;

		world_open(&w);
		code = post(&w, "1", rows[i].scope, rows[i].target,
		    rows[i].body, 1);
		if (code != rows[i].code) {
			printf("# %s: %u, not %u\n", rows[i].body, code,
			    rows[i].code);
			test_bad = true;
		}
		ledger_close(&w.l);
	}
}

static unsigned
answer(struct world *w, enum scope scope, const char *target, const char *msg,
    int seq, const char *words, int64_t now_us)
{
	char body[200];

	snprintf(body, sizeof body, "{\"msg_type\":0,\"content\":\"%s\","
	    "\"msg_id\":\"%s\",\"msg_seq\":%d}", words, msg, seq);
	return post(w, "1", scope, target, body, now_us);
}

TEST(doubles)
{
	struct world w;

	world_open(&w);
	EXPECT_INT(answer(&w, SCOPE_C2C, "U", "mu", 1, "a", 1), 0);
	EXPECT_INT(answer(&w, SCOPE_C2C, "U", "mu", 1, "a", 2), 40054005);
	EXPECT_INT(w.l.violations[VIOLATION_seq_reused], 0);
	EXPECT_INT(answer(&w, SCOPE_C2C, "U", "mu", 1, "b", 2), 40054005);
	EXPECT_INT(w.l.violations[VIOLATION_seq_reused], 1);
	/* Without msg_seq it is 1. */
	EXPECT_INT(post(&w, "1", SCOPE_C2C, "U",
	    "{" TEXT ",\"msg_id\":\"mu\"}", 2), 40054005);
	/* A double is one for ever, also when the window has closed. */
	EXPECT_INT(answer(&w, SCOPE_C2C, "U", "mu", 1, "a", 90 * minute_us),
	    40054005);
	EXPECT_INT(ledger_total(&w.l, TALLY_deduped), 4);
	EXPECT_INT(ledger_total(&w.l, TALLY_accepted), 1);
	ledger_close(&w.l);
}

TEST(windows)
{
	struct world w;

	world_open(&w);
	EXPECT_INT(answer(&w, SCOPE_C2C, "U", "mu", 1, "a", 60 * minute_us),
	    0);
	EXPECT_INT(answer(&w, SCOPE_C2C, "U", "mu", 2, "a",
	    60 * minute_us + 1), 40034005);
	EXPECT_INT(answer(&w, SCOPE_GROUP, "G", "mg", 1, "a", 5 * minute_us),
	    0);
	EXPECT_INT(answer(&w, SCOPE_GROUP, "G", "mg", 2, "a",
	    5 * minute_us + 1), 40034005);
	EXPECT_INT(post(&w, "1", SCOPE_DM, "D",
	    "{\"content\":\"x\",\"msg_id\":\"md\"}", 6 * minute_us), 304027);
	EXPECT_INT(post(&w, "1", SCOPE_C2C, "U",
	    "{" TEXT ",\"event_id\":\"click\"}", 61 * minute_us), 40034026);
	ledger_close(&w.l);
}

TEST(counts)
{
	struct world w;

	world_open(&w);
	for (int i = 1; i <= 6; i++) {
		EXPECT_INT(answer(&w, SCOPE_C2C, "U", "mu", i, "a", 1),
		    i <= 4 ? 0 : 40034128);
		EXPECT_INT(answer(&w, SCOPE_GROUP, "G", "mg", i, "a", 1),
		    i <= 5 ? 0 : 40034128);
		EXPECT_INT(post(&w, "1", SCOPE_DM, "D",
		    "{\"content\":\"x\",\"msg_id\":\"md\"}", 1), 0);
	}
	/* Typing is no reply. */
	EXPECT_INT(post(&w, "1", SCOPE_C2C, "U", "{\"msg_type\":6,"
	    "\"msg_id\":\"mu\",\"input_notify\":{}}", 1), 0);
	EXPECT_INT(ledger_total(&w.l, TALLY_accepted), 15);
	ledger_close(&w.l);
}

TEST(another_bot)
{
	struct world w;

	world_open(&w);
	EXPECT_INT(post(&w, "2", SCOPE_C2C, "U", "{" TEXT "}", 1), 11255);
	ledger_conversation(&w.l, "2", SCOPE_C2C, SLICE("U"), true);
	EXPECT_INT(post(&w, "2", SCOPE_C2C, "U",
	    "{" TEXT ",\"msg_id\":\"mu\"}", 1), 40034024);
	ledger_close(&w.l);
}

TEST(unknown_members_are_noted)
{
	struct world w;

	world_open(&w);
	EXPECT_INT(post(&w, "1", SCOPE_C2C, "U", "{" TEXT ",\"zz\":1}", 1),
	    0);
	EXPECT_INT(w.l.violations[VIOLATION_unknown_member], 1);
	EXPECT_INT(post(&w, "1", SCOPE_CHANNEL, "C",
	    "{\"content\":\"x\",\"msg_seq\":1}", 1), 0);
	EXPECT_INT(w.l.violations[VIOLATION_unknown_member], 2);
	EXPECT_INT(post(&w, "1", SCOPE_GROUP, "G",
	    "{" TEXT ",\"is_wakeup\":true}", 1), 0);
	EXPECT_INT(w.l.violations[VIOLATION_unknown_member], 3);
	ledger_close(&w.l);
}

int
main(void)
{
	RUN(bodies);
	RUN(doubles);
	RUN(windows);
	RUN(counts);
	RUN(another_bot);
	RUN(unknown_members_are_noted);
	return test_done();
}
