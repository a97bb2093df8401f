// links: qqsim/send.c qqsim/route.c qqsim/form.c qqsim/talk.c qqsim/limit.c qqsim/ledger.c qqsim/kind.c qqsim/map.c common
/*
 * Messages: which bodies the platform takes, and the rules for replies.
 */
#include "test.h"

#include <stdlib.h>

#include "limit.h"
#include "route.h"
#include "send.h"
#include "talk.h"

static const struct send_rules rules = { .c2c_window_s = 3600,
	.group_window_s = 300, .c2c_replies = 4, .group_replies = 5,
	.files = 3 };

static const int64_t minute_us = 60 * 1000000ll;

/* A user U, a group G, a channel C and a direct conversation D of bot 1, each
 * with a message from it; and a click by U. */
struct place {
	struct ledger l;
	unsigned      sent;
};

static struct event *
told(struct place *w, const char *type, enum scope scope, const char *who,
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
place_open(struct place *w)
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

/* The form of a body is its route's. */
static unsigned
judge_form(enum scope scope, const char *body, struct json **out)
{
	static const enum route_id ids[] = { ROUTE_c2c_message_send,
		ROUTE_group_message_send, ROUTE_channel_message_send,
		ROUTE_dm_message_send };
	const struct route *r = &routes[ids[scope]];
	struct form         f;
	char                why[FORM_WHY_MAX];
	enum form_verdict   v;

	if (json_parse(out, slice_of(body)) != ERR_OK ||
	    !json_is_object(*out))
		return 12002;
	EXPECT_INT(form_make(&f, r->body), ERR_OK);
	v = form_check(&f, *out, why);
	form_free(&f);
	return v != FORM_FITS ? route_code(r, v) : 0;
}

/* The code of the refusal, 0 when it was taken. */
static unsigned
post(struct place *w, const char *bot, enum scope scope, const char *target,
    const char *body, int64_t now_us)
{
	struct send s = { .bot = bot, .scope = scope,
		.target = slice_of(target), .text = slice_of(body),
		.now_us = now_us };
	struct json          *doc = NULL;
	unsigned              code = judge_form(scope, body, &doc);
	const struct refusal *r = NULL;
	struct message       *m;
	char                  id[32];

	s.body = doc;
	if (code == 0 && (r = send_judge(&w->l, &rules, &s)) == NULL) {
		snprintf(id, sizeof id, "S%u", ++w->sent);
		EXPECT_INT(send_take(&w->l, &s, slice_of(id), 0, &m), ERR_OK);
		EXPECT((m != NULL) == s.visible);
	}
	json_free(&doc);
	return r != NULL ? r->code : code;
}

#define BUTTON "{\"render_data\":{\"label\":\"x\"},\"action\":{\"type\":2}}"
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
	    "{\"msg_type\":7,\"media\":{\"file_info\":\"FILE_c2c_3_0\"}}", 0 },
	{ SCOPE_C2C, "U", "{\"msg_type\":7,\"media\":"
	    "{\"file_info\":\"FILE_c2c_4_0\"}}", 304080 },
	{ SCOPE_C2C, "U", "{\"msg_type\":7,\"media\":"
	    "{\"file_info\":\"FILE_group_3_0\"}}", 304080 },
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
	    "[{\"buttons\":[1,2,3,4,5,6]}]}}}", 12002 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"keyboard\":{\"content\":{\"rows\":"
	    "[{\"buttons\":[" BUTTON "," BUTTON "," BUTTON "," BUTTON ","
	    BUTTON "," BUTTON "]}]}}}", 40034029 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"keyboard\":{\"id\":\"1\","
	    "\"content\":{\"rows\":[]}}}", 304040 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"keyboard\":{\"content\":{\"rows\":"
	    "[{\"buttons\":[" BUTTON "]}]}}}", 0 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"zz\":1}", 12002 },
	{ SCOPE_CHANNEL, "C", "{\"content\":\"x\",\"msg_seq\":1}", 12002 },
	{ SCOPE_GROUP, "G", "{" TEXT ",\"is_wakeup\":true}", 12002 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"media\":{\"file_info\":"
	    "\"FILE_c2c_3_0\"}}", 22006 },
	{ SCOPE_C2C, "U", "{\"msg_type\":7,\"media\":{\"file_info\":"
	    "\"FILE_c2c_3_1\"}}", 304080 },
	{ SCOPE_C2C, "U", "{\"msg_type\":3,\"ark\":{\"template_id\":23,"
	    "\"kv\":[]}}", 0 },
	{ SCOPE_C2C, "U", "{\"msg_type\":3,\"ark\":{\"template_id\":9,"
	    "\"kv\":[]}}", 304011 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"is_wakeup\":true}", 0 },
	{ SCOPE_C2C, "U", "{" TEXT ",\"is_wakeup\":true,"
	    "\"msg_id\":\"mu\"}", 12002 },
};

TEST(bodies)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct place w;
		unsigned     code;

		place_open(&w);
		code = post(&w, "1", rows[i].scope, rows[i].target,
		    rows[i].body, 1000);
		if (code != rows[i].code) {
			printf("# %s: %u, not %u\n", rows[i].body, code,
			    rows[i].code);
			test_bad = true;
		}
		ledger_close(&w.l);
	}
}

static unsigned
answer(struct place *w, enum scope scope, const char *target, const char *msg,
    int seq, const char *words, int64_t now_us)
{
	char body[200];

	snprintf(body, sizeof body, "{\"msg_type\":0,\"content\":\"%s\","
	    "\"msg_id\":\"%s\",\"msg_seq\":%d}", words, msg, seq);
	return post(w, "1", scope, target, body, now_us);
}

TEST(doubles)
{
	struct place w;

	place_open(&w);
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
	struct place w;

	place_open(&w);
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
	struct place w;

	place_open(&w);
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
	    "\"msg_id\":\"mu\",\"input_notify\":{\"input_type\":1}}", 1), 0);
	EXPECT_INT(ledger_total(&w.l, TALLY_accepted), 15);
	ledger_close(&w.l);
}

TEST(another_bot)
{
	struct place w;

	place_open(&w);
	EXPECT_INT(post(&w, "2", SCOPE_C2C, "U", "{" TEXT "}", 1), 11255);
	ledger_conversation(&w.l, "2", SCOPE_C2C, SLICE("U"), true);
	EXPECT_INT(post(&w, "2", SCOPE_C2C, "U",
	    "{" TEXT ",\"msg_id\":\"mu\"}", 1), 40034024);
	ledger_close(&w.l);
}

TEST(wakeups)
{
	static const char body[] = "{" TEXT ",\"is_wakeup\":true}";
	static const struct {
		int64_t  hours;
		unsigned code;
	} steps[] = { { 1, 0 }, { 2, 40034122 }, { 25, 0 }, { 71, 40034122 },
		{ 100, 0 }, { 200, 0 }, { 700, 40034122 },
		{ 721, 40034123 } };
	struct place w;

	place_open(&w);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		EXPECT_INT(post(&w, "1", SCOPE_C2C, "U", body,
		    steps[i].hours * 60 * minute_us), steps[i].code);
	told(&w, "C2C_MESSAGE_CREATE", SCOPE_C2C, "U", "again", "eagain");
	EXPECT_INT(post(&w, "1", SCOPE_C2C, "U", body, minute_us), 0);
	ledger_close(&w.l);
}

TEST(own_message)
{
	struct place w;

	place_open(&w);
	EXPECT_INT(post(&w, "1", SCOPE_CHANNEL, "C", "{\"content\":\"x\"}",
	    1), 0);
	EXPECT_INT(post(&w, "1", SCOPE_CHANNEL, "C",
	    "{\"content\":\"x\",\"msg_id\":\"S1\"}", 1), 50045);
	ledger_close(&w.l);
}

static unsigned
say(struct talk *t, const char *more, const char *raw, int index, int state,
    int64_t now_ms)
{
	struct json          *body = NULL;
	const struct refusal *r;
	char                  text[300];

	snprintf(text, sizeof text, "{\"content_raw\":\"%s\",\"index\":%d,"
	    "\"input_state\":%d%s}", raw, index, state, more);
	EXPECT_INT(json_parse(&body, slice_of(text)), ERR_OK);
	r = talk_add(t, body, 100, now_ms * 1000);
	json_free(&body);
	return r != NULL ? r->code : 0;
}

TEST(streams)
{
	static const char rep[] = ",\"input_mode\":\"replace\"";
	struct talk *t = talk_new("S", NULL), *first = NULL;

	EXPECT_INT(say(t, rep, "a", 1, 1, 0), 12002);
	EXPECT_INT(say(t, rep, "a", 0, 1, 0), 0);
	EXPECT_INT(say(t, rep, "ab", 1, 1, 50), 50002);
	EXPECT_INT(say(t, rep, "ab", 1, 1, 100), 0);
	EXPECT_INT(say(t, rep, "ab", 1, 1, 300), 12002);
	EXPECT_INT(say(t, rep, "ac", 2, 1, 300), 40007);
	EXPECT_INT(say(t, "", "x", 2, 1, 300), 12002);
	EXPECT_INT(say(t, ",\"input_mode\":\"replace\",\"msg_seq\":2",
	    "abc", 2, 1, 300), 12002);
	EXPECT_INT(say(t, ",\"input_mode\":\"replace\","
	    "\"content_type\":\"markdown\"", "abc", 2, 1, 300), 40034016);
	EXPECT_INT(say(t, rep, "abc", 2, 5, 300), 12002);
	EXPECT_INT(say(t, rep, "abc", 2, 10, 300), 0);
	EXPECT_INT(say(t, rep, "abcd", 3, 10, 600), 40034018);
	EXPECT(slice_is(buf_slice(&t->text), "abc"));
	talk_keep(&first, t);
	t = talk_new("T", NULL);
	EXPECT_INT(say(t, "", "a", 0, 1, 0), 0);
	EXPECT_INT(say(t, "", "b", 1, 10, 200), 0);
	EXPECT(slice_is(buf_slice(&t->text), "ab"));
	talk_keep(&first, t);
	EXPECT(talk_find(first, NULL, SLICE("S")) != NULL);
	for (int i = 0; i < TALKS_MAX; i++)
		talk_keep(&first, talk_new("more", NULL));
	EXPECT(talk_find(first, NULL, SLICE("S")) == NULL);
	talks_close(&first);
}

TEST(limits)
{
	struct window bot[QUOTAS] = { 0 }, one[QUOTAS] = { 0 };
	struct window two[QUOTAS] = { 0 }, w = { 0 };
	const struct quota *q;

	EXPECT(window_take(&w, 2, 1, 0));
	EXPECT(window_take(&w, 2, 1, 500000));
	EXPECT(!window_take(&w, 2, 1, 999999));
	EXPECT(window_take(&w, 2, 1, 1000000));
	for (int i = 0; i < 10; i++)
		EXPECT(quota_take(SCOPE_C2C, true, bot, one, 1) == NULL);
	q = quota_take(SCOPE_C2C, true, bot, two, 1);
	EXPECT(q != NULL && q->code == 40034100);
	EXPECT(quota_take(SCOPE_C2C, false, bot, two, 1) == NULL);
	for (int i = 0; i < 5; i++)
		EXPECT(quota_take(SCOPE_CHANNEL, false, bot, one, 1) == NULL);
	q = quota_take(SCOPE_CHANNEL, false, bot, one, 1);
	EXPECT(q != NULL && q->code == 20028);
	EXPECT(quota_take(SCOPE_CHANNEL, false, bot, two, 1) == NULL);
}

int
main(void)
{
	RUN(bodies);
	RUN(doubles);
	RUN(windows);
	RUN(counts);
	RUN(another_bot);
	RUN(wakeups);
	RUN(own_message);
	RUN(streams);
	RUN(limits);
	return test_done();
}
