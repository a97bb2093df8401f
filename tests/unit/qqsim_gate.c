// links: qqsim/gate.c qqsim/platform.c qqsim/send.c qqsim/ledger.c qqsim/kind.c qqsim/map.c qqsim/fault.c qqsim/token.c qqsim/talk.c qqsim/world.c common
// libs: libcrypto
/*
 * The platform's end of a session, without a socket: frames in, frames out.
 */
#include "test.h"

#include <stdlib.h>

#include "gate.h"

enum { C2C = 1 << 25, GUILD = 1 << 30, START = 1000000 };

struct place {
	struct platform p;
	struct bot     *bot;
	const char     *token;
	struct buf      out;
	unsigned        woken;
};

static void
on_wake(void *self, struct conn *c)
{
	struct place *w = self;

	(void)c;
	w->woken++;
}

static void
place_open(struct place *w)
{
	uint64_t left_s;
	bool     made;

	*w = (struct place){ 0 };
	EXPECT_INT(platform_open(&w->p, 0), ERR_OK);
	w->p.out = (struct platform_out){ .self = w, .wake = on_wake };
	EXPECT_INT(platform_bot_add(&w->p, SLICE("1"), &w->bot), ERR_OK);
	w->bot->max_concurrency = 60;
	EXPECT_INT(tokens_ask(&w->bot->tokens, START, &w->token, &left_s,
	    &made), ERR_OK);
}

static void
place_close(struct place *w)
{
	while (w->p.conns != NULL)
		gate_closed(&w->p, w->p.conns, START);
	platform_close(&w->p);
	buf_free(&w->out);
}

/* The next frame; "" when there is none. */
static const char *
next(struct place *w, struct conn *c)
{
	if (!gate_next(&w->p, c, &w->out))
		return "";
	return w->out.p;
}

static bool
has(const char *frame, const char *part)
{
	return strstr(frame, part) != NULL;
}

static void
put(struct place *w, struct conn *c, const char *text, int64_t now)
{
	gate_frame(&w->p, c, slice_of(text), now);
}

static void
come(struct place *w, struct conn *c, int64_t now)
{
	*c = (struct conn){ 0 };
	gate_open(&w->p, c, now);
	EXPECT_STR(next(w, c),
	    "{\"op\":10,\"d\":{\"heartbeat_interval\":45000}}");
}

static void
identify(struct place *w, struct conn *c, uint32_t intents, unsigned shard,
    unsigned shards, int64_t now)
{
	char text[300];

	snprintf(text, sizeof text, "{\"op\":2,\"d\":{\"token\":\"QQBot %s\","
	    "\"intents\":%u,\"shard\":[%u,%u]}}", w->token, intents, shard,
	    shards);
	put(w, c, text, now);
}

static void
go_live(struct place *w, struct conn *c, int64_t now)
{
	const char *frame;

	come(w, c, now);
	identify(w, c, C2C, 0, 1, now);
	frame = next(w, c);
	EXPECT(has(frame, "{\"op\":0,\"s\":1,\"t\":\"READY\""));
	EXPECT_INT(c->state, CONN_LIVE);
}

static void
resume(struct place *w, struct conn *c, const char *session, int64_t seq,
    int64_t now)
{
	char text[300];

	snprintf(text, sizeof text, "{\"op\":6,\"d\":{\"token\":\"QQBot %s\","
	    "\"session_id\":\"%s\",\"seq\":%lld}}", w->token, session,
	    (long long)seq);
	put(w, c, text, now);
}

static enum sent
tell(struct place *w, const char *id)
{
	struct event_ask  a = { .bot = w->bot, .expect = 1,
		.type = SLICE("C2C_MESSAGE_CREATE") };
	struct event_told told = { 0 };
	char              d[100];

	snprintf(d, sizeof d, "{\"id\":\"%s\",\"author\":{\"user_openid\":"
	    "\"U\"}}", id);
	EXPECT_INT(json_parse(&a.d, slice_of(d)), ERR_OK);
	a.kind = kind_of(a.type);
	EXPECT_INT(platform_event(&w->p, &a, START * 1000ll, &told), ERR_OK);
	json_free(&a.d);
	return told.sent;
}

static uint64_t
value(const struct place *w, const char *name)
{
	uint64_t n = 0;

	EXPECT(ledger_value(&w->p.ledger, slice_of(name), &n));
	return n;
}

static void
fault(struct place *w, const char *text, int64_t now)
{
	struct json *j = NULL;
	struct fault f;
	const char  *why;

	EXPECT_INT(json_parse(&j, slice_of(text)), ERR_OK);
	EXPECT_INT(fault_parse(&f, j, now, &why), ERR_OK);
	if (fault_infos[f.name].point == POINT_NOW)
		gate_fault(&w->p, &f, now);
	else
		EXPECT_INT(faults_arm(&w->p.faults, &f), ERR_OK);
	json_free(&j);
}

/* First frames that close the socket, each with its code and violation. */
static const struct {
	const char    *frame;       /* %s: the token */
	int            code;
	enum violation violation;
} refused[] = {
	{ "", CLOSE_PAYLOAD, VIOLATION_bad_payload },
	{ "x", CLOSE_PAYLOAD, VIOLATION_bad_payload },
	{ "[]", CLOSE_PAYLOAD, VIOLATION_bad_payload },
	{ "{}", CLOSE_PAYLOAD, VIOLATION_bad_payload },
	{ "{\"op\":\"2\"}", CLOSE_PAYLOAD, VIOLATION_bad_payload },
	{ "{\"op\":1.5}", CLOSE_PAYLOAD, VIOLATION_bad_payload },
	{ "{\"op\":2}", CLOSE_PAYLOAD, VIOLATION_bad_payload },
	{ "{\"op\":2,\"d\":[]}", CLOSE_PAYLOAD,
	    VIOLATION_bad_payload },
	{ "{\"op\":2,\"d\":{\"token\":7}}", CLOSE_PAYLOAD,
	    VIOLATION_bad_payload },
	{ "{\"op\":0}", CLOSE_OPCODE, VIOLATION_unknown_opcode },
	{ "{\"op\":3}", CLOSE_OPCODE, VIOLATION_unknown_opcode },
	{ "{\"op\":-1}", CLOSE_OPCODE, VIOLATION_unknown_opcode },
	{ "{\"op\":2,\"d\":{\"token\":\"QQBot x\"}}", CLOSE_TOKEN,
	    VIOLATION_bad_token },
	{ "{\"op\":2,\"d\":{\"token\":\"%s\"}}", CLOSE_TOKEN,
	    VIOLATION_bad_token },
	{ "{\"op\":6,\"d\":{\"token\":\"QQBot \"}}", CLOSE_TOKEN,
	    VIOLATION_bad_token },
	{ "{\"op\":2,\"d\":{\"token\":\"QQBot %s\"}}", CLOSE_PAYLOAD,
	    VIOLATION_bad_payload },
	{ "{\"op\":2,\"d\":{\"token\":\"QQBot %s\",\"intents\":\"1\"}}",
	    CLOSE_PAYLOAD, VIOLATION_bad_payload },
	{ "{\"op\":2,\"d\":{\"token\":\"QQBot %s\",\"intents\":0}}",
	    CLOSE_INTENTS, VIOLATION_bad_intents },
	{ "{\"op\":2,\"d\":{\"token\":\"QQBot %s\",\"intents\":4}}",
	    CLOSE_INTENTS, VIOLATION_bad_intents },
	{ "{\"op\":2,\"d\":{\"token\":\"QQBot %s\",\"intents\":512}}",
	    CLOSE_UNGRANTED, VIOLATION_ungranted_intents },
	{ "{\"op\":2,\"d\":{\"token\":\"QQBot %s\",\"intents\":1,"
	  "\"shard\":[1,1]}}", CLOSE_SHARD, VIOLATION_bad_shard },
	{ "{\"op\":2,\"d\":{\"token\":\"QQBot %s\",\"intents\":1,"
	  "\"shard\":[0,0]}}", CLOSE_SHARD, VIOLATION_bad_shard },
	{ "{\"op\":2,\"d\":{\"token\":\"QQBot %s\",\"intents\":1,"
	  "\"shard\":\"0\"}}", CLOSE_SHARD, VIOLATION_bad_shard },
	{ "{\"op\":6,\"d\":{\"token\":\"QQBot %s\",\"seq\":1}}",
	    CLOSE_PAYLOAD, VIOLATION_bad_payload },
	{ "{\"op\":6,\"d\":{\"token\":\"QQBot %s\",\"session_id\":"
	  "\"x\",\"seq\":-1}}", CLOSE_PAYLOAD,
	    VIOLATION_bad_payload },
	{ "{\"op\":1,\"d\":1}", CLOSE_PAYLOAD,
	    VIOLATION_heartbeat_ahead },
	{ "{\"op\":1,\"d\":\"1\"}", CLOSE_PAYLOAD,
	    VIOLATION_bad_payload },
	{ "{\"op\":1,\"d\":-1}", CLOSE_PAYLOAD,
	    VIOLATION_bad_payload },
};

TEST(refusals)
{
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct place w;
		struct conn  c;
		char         text[300], *at;

		place_open(&w);
		come(&w, &c, START);
		snprintf(text, sizeof text, "%s", refused[i].frame);
		if ((at = strstr(text, "%s")) != NULL)
			snprintf(at, sizeof text - (size_t)(at - text),
			    "%s%s", w.token,
			    strstr(refused[i].frame, "%s") + 2);
		put(&w, &c, text, START);
		if (c.state != CONN_CLOSING ||
		    c.close_code != refused[i].code ||
		    w.p.ledger.violations[refused[i].violation] != 1) {
			printf("# %s: %d\n", text, c.close_code);
			test_bad = true;
		}
		EXPECT_INT(value(&w, "identifies"), 0);
		place_close(&w);
	}
}

TEST(events_and_heartbeats)
{
	struct place w;
	struct conn  c;

	place_open(&w);
	EXPECT_INT(tell(&w, "early"), SENT_NOBODY);
	EXPECT_INT(value(&w, "lost"), 1);
	go_live(&w, &c, START);
	EXPECT_INT(value(&w, "live"), 1);
	EXPECT_INT(tell(&w, "a"), SENT_LIVE);
	EXPECT_INT(value(&w, "sent"), 0);
	EXPECT(has(next(&w, &c),
	    "{\"op\":0,\"s\":2,\"t\":\"C2C_MESSAGE_CREATE\""));
	EXPECT_INT(value(&w, "sent"), 1);
	EXPECT_INT(value(&w, "kept"), 0);
	put(&w, &c, "{\"op\":1,\"d\":null}", START);
	EXPECT_STR(next(&w, &c), "{\"op\":11}");
	put(&w, &c, "{\"op\":1,\"d\":2}", START);
	EXPECT_STR(next(&w, &c), "{\"op\":11}");
	EXPECT_STR(next(&w, &c), "");
	put(&w, &c, "{\"op\":1,\"d\":3}", START);
	EXPECT_INT(c.close_code, CLOSE_PAYLOAD);
	place_close(&w);
}

TEST(only_what_was_asked_for)
{
	struct place w;
	struct conn  c;

	place_open(&w);
	come(&w, &c, START);
	identify(&w, &c, GUILD, 0, 1, START);
	EXPECT(has(next(&w, &c), "READY"));
	EXPECT_INT(tell(&w, "a"), SENT_NOBODY);
	place_close(&w);
}

TEST(resume_replays)
{
	struct place w;
	struct conn  c, d;
	char         id[40];

	place_open(&w);
	go_live(&w, &c, START);
	memcpy(id, c.session->id, sizeof id);
	tell(&w, "a");
	tell(&w, "b");
	EXPECT(has(next(&w, &c), "\"id\":\"a\""));
	EXPECT(has(next(&w, &c), "\"id\":\"b\""));
	gate_closed(&w.p, &c, START);
	EXPECT_INT(value(&w, "live"), 0);
	EXPECT_INT(tell(&w, "c"), SENT_KEPT);
	EXPECT_INT(value(&w, "kept"), 1);
	come(&w, &d, START);
	resume(&w, &d, id, 2, START);
	EXPECT(has(next(&w, &d), "\"s\":3,"));
	EXPECT(has(next(&w, &d), "\"id\":\"c\""));
	EXPECT_STR(next(&w, &d),
	    "{\"op\":0,\"s\":5,\"t\":\"RESUMED\",\"d\":\"\"}");
	EXPECT_STR(next(&w, &d), "");
	EXPECT_INT(value(&w, "replayed"), 1);
	EXPECT_INT(value(&w, "sent"), 3);
	EXPECT_INT(value(&w, "resumes"), 1);
	/* Again, from the very beginning: neither READY nor the RESUMED of
	 * before comes back. */
	gate_closed(&w.p, &d, START);
	come(&w, &c, START);
	resume(&w, &c, id, 0, START);
	EXPECT(has(next(&w, &c), "\"id\":\"a\""));
	EXPECT(has(next(&w, &c), "\"id\":\"b\""));
	EXPECT(has(next(&w, &c), "\"id\":\"c\""));
	EXPECT(has(next(&w, &c), "\"s\":6,\"t\":\"RESUMED\""));
	EXPECT_INT(value(&w, "sent"), 3);
	place_close(&w);
}

TEST(resume_refused)
{
	struct place w;
	struct conn  c, d;
	char         id[40];

	place_open(&w);
	go_live(&w, &c, START);
	memcpy(id, c.session->id, sizeof id);
	gate_closed(&w.p, &c, START);
	come(&w, &c, START);
	resume(&w, &c, "unknown", 1, START);
	EXPECT_STR(next(&w, &c), "{\"op\":9,\"d\":false}");
	EXPECT_INT(c.state, CONN_GREETED);
	resume(&w, &c, id, 2, START);
	EXPECT_INT(c.close_code, CLOSE_SEQ);
	come(&w, &d, START);
	w.bot->resume_refusal = CLOSE_SESSION;
	resume(&w, &d, "unknown", 1, START);
	EXPECT_INT(d.close_code, CLOSE_SESSION);
	EXPECT_INT(value(&w, "resume_refused"), 3);
	/* The window ends. */
	gate_tick(&w.p, START + (int64_t)w.bot->resume_window_ms);
	EXPECT(w.bot->sessions != NULL);
	gate_tick(&w.p, START + (int64_t)w.bot->resume_window_ms + 1);
	EXPECT(w.bot->sessions == NULL);
	place_close(&w);
}

TEST(two_live_sockets)
{
	struct place w;
	struct conn  a, b, c;

	place_open(&w);
	go_live(&w, &a, START);
	go_live(&w, &b, START);
	EXPECT_INT(a.close_code, CLOSE_REPLACED);
	EXPECT_INT(w.p.ledger.violations[VIOLATION_two_live_sockets], 1);
	EXPECT_INT(value(&w, "live"), 1);
	come(&w, &c, START);
	resume(&w, &c, b.session->id, 1, START);
	EXPECT_INT(b.close_code, CLOSE_REPLACED);
	EXPECT_INT(w.p.ledger.violations[VIOLATION_two_live_sockets], 2);
	EXPECT(c.session != NULL && c.session->conn == &c);
	EXPECT_INT(value(&w, "live"), 1);
	place_close(&w);
}

/* A socket that we stalled, closed or that said good-bye does not count. */
TEST(one_live_socket)
{
	struct place w;
	struct conn  a, b, c;

	place_open(&w);
	go_live(&w, &a, START);
	fault(&w, "{\"fault\":\"stall\"}", START);
	EXPECT_INT(tell(&w, "x"), SENT_KEPT);
	EXPECT_STR(next(&w, &a), "");
	come(&w, &b, START);
	resume(&w, &b, a.session->id, 1, START);
	EXPECT(has(next(&w, &b), "\"id\":\"x\""));
	gate_heal(&w.p, START);
	EXPECT_INT(a.state, CONN_CLOSING);
	gate_close(&w.p, &b, CLOSE_EXPIRED);
	come(&w, &c, START);
	resume(&w, &c, b.session->id, 2, START);
	EXPECT(has(next(&w, &c), "RESUMED"));
	gate_leave(&w.p, &c, START);
	EXPECT_INT(value(&w, "live"), 0);
	gate_closed(&w.p, &a, START);
	go_live(&w, &a, START);
	EXPECT_INT(w.p.ledger.violations[VIOLATION_two_live_sockets], 0);
	place_close(&w);
}

TEST(new_session_ends_the_old)
{
	struct place w;
	struct conn  a, b;

	place_open(&w);
	go_live(&w, &a, START);
	gate_closed(&w.p, &a, START);
	EXPECT_INT(tell(&w, "x"), SENT_KEPT);
	go_live(&w, &b, START);
	EXPECT_INT(value(&w, "kept"), 0);
	EXPECT_INT(value(&w, "lost"), 1);
	EXPECT(w.bot->sessions != NULL && w.bot->sessions->next == NULL);
	place_close(&w);
}

TEST(budget_and_pace)
{
	struct place w;
	struct conn  c;
	int64_t      reset_ms;

	place_open(&w);
	w.bot->max_concurrency = 1;
	w.bot->identify_total = 3;
	go_live(&w, &c, START);
	gate_closed(&w.p, &c, START);
	EXPECT_INT(bot_remaining(w.bot, START, &reset_ms), 2);
	come(&w, &c, START);
	identify(&w, &c, C2C, 0, 1, START + PACE_WINDOW_MS - 1);
	EXPECT_INT(c.close_code, CLOSE_TOO_FAST);
	EXPECT_INT(w.p.ledger.violations[VIOLATION_identify_too_fast], 1);
	gate_closed(&w.p, &c, START);
	go_live(&w, &c, START + 2 * PACE_WINDOW_MS);
	gate_closed(&w.p, &c, START);
	come(&w, &c, START);
	identify(&w, &c, C2C, 0, 1, START + 4 * PACE_WINDOW_MS);
	EXPECT_INT(w.p.ledger.violations[VIOLATION_identify_over_budget], 1);
	EXPECT_INT(c.close_code, CLOSE_TOO_FAST);
	EXPECT_INT(bot_remaining(w.bot, START + DAY_MS - 1, &reset_ms), 0);
	EXPECT_INT(reset_ms, 1);
	EXPECT_INT(bot_remaining(w.bot, START + DAY_MS, &reset_ms), 3);
	place_close(&w);
}

TEST(deadlines)
{
	struct place w;
	struct conn  c, idle;

	place_open(&w);
	go_live(&w, &c, START);
	gate_tick(&w.p, START + 67500);
	EXPECT_INT(c.state, CONN_LIVE);
	gate_tick(&w.p, START + 67501);
	EXPECT_INT(c.close_code, CLOSE_EXPIRED);
	EXPECT_INT(w.p.ledger.violations[VIOLATION_heartbeat_missed], 1);
	come(&w, &idle, START);
	gate_tick(&w.p, START + IDENTIFY_WITHIN_MS + 1);
	EXPECT_INT(idle.close_code, CLOSE_NOT_IDENTIFIED);
	place_close(&w);
}

TEST(too_many_frames)
{
	struct place w;
	struct conn  c;

	place_open(&w);
	go_live(&w, &c, START);
	for (int i = 0; i < 99; i++)
		put(&w, &c, "{\"op\":1,\"d\":null}", START + i);
	EXPECT_INT(c.state, CONN_LIVE);
	put(&w, &c, "{\"op\":1,\"d\":null}", START + 999);
	EXPECT_INT(c.close_code, CLOSE_TOO_FAST);
	place_close(&w);
}

TEST(shards_are_apart)
{
	struct place w;
	struct conn  a, b;

	place_open(&w);
	come(&w, &a, START);
	identify(&w, &a, C2C, 1, 2, START);
	EXPECT(has(next(&w, &a), "\"shard\":[1,2]"));
	EXPECT_INT(tell(&w, "x"), SENT_NOBODY);
	come(&w, &b, START);
	identify(&w, &b, C2C, 0, 2, START);
	EXPECT(has(next(&w, &b), "READY"));
	EXPECT_INT(tell(&w, "y"), SENT_LIVE);
	EXPECT(has(next(&w, &b), "\"id\":\"y\""));
	EXPECT_STR(next(&w, &a), "");
	EXPECT_INT(a.state, CONN_LIVE);
	place_close(&w);
}

TEST(faults_of_a_session)
{
	struct place w;
	struct conn  c, d;
	char         id[40];

	place_open(&w);
	go_live(&w, &c, START);
	memcpy(id, c.session->id, sizeof id);
	fault(&w, "{\"fault\":\"op7\"}", START);
	EXPECT_STR(next(&w, &c), "{\"op\":7}");
	fault(&w, "{\"fault\":\"lost_acks\"}", START);
	put(&w, &c, "{\"op\":1}", START);
	EXPECT_STR(next(&w, &c), "");
	fault(&w, "{\"fault\":\"duplicate\"}", START);
	tell(&w, "x");
	EXPECT(has(next(&w, &c), "\"s\":2,"));
	EXPECT(has(next(&w, &c), "\"s\":3,"));
	EXPECT_INT(value(&w, "sent"), 1);
	gate_closed(&w.p, &c, START);
	fault(&w, "{\"fault\":\"refuse_resume\",\"code\":4009}", START);
	come(&w, &d, START);
	resume(&w, &d, id, 3, START);
	EXPECT_INT(d.close_code, 4009);
	gate_closed(&w.p, &d, START);
	fault(&w, "{\"fault\":\"no_resumed\"}", START);
	come(&w, &d, START);
	resume(&w, &d, id, 3, START);
	put(&w, &d, "{\"op\":1,\"d\":3}", START);
	EXPECT_STR(next(&w, &d), "{\"op\":11}");
	EXPECT_INT(w.p.ledger.violations[VIOLATION_heartbeat_ahead], 0);
	gate_closed(&w.p, &d, START);
	fault(&w, "{\"fault\":\"refuse_resume\",\"d\":\"absent\"}", START);
	come(&w, &d, START);
	resume(&w, &d, id, 3, START);
	EXPECT_STR(next(&w, &d), "{\"op\":9}");
	EXPECT(w.bot->sessions == NULL);
	identify(&w, &d, C2C, 0, 1, START);
	EXPECT(has(next(&w, &d), "READY"));
	fault(&w, "{\"fault\":\"op9\"}", START);
	EXPECT_STR(next(&w, &d), "{\"op\":9,\"d\":false}");
	EXPECT(d.session == NULL);
	EXPECT_INT(value(&w, "live"), 0);
	put(&w, &d, "{\"op\":1,\"d\":1}", START);
	EXPECT_STR(next(&w, &d), "{\"op\":11}");
	fault(&w, "{\"fault\":\"identify_close\",\"code\":4915}", START);
	identify(&w, &d, C2C, 0, 1, START);
	EXPECT_INT(d.close_code, 4915);
	place_close(&w);
}

TEST(faults_of_one_shard_and_early_op7)
{
	struct place w;
	struct conn  a, b, c;
	char         id[40];

	place_open(&w);
	come(&w, &a, START);
	identify(&w, &a, C2C, 0, 2, START);
	come(&w, &b, START);
	identify(&w, &b, C2C, 1, 2, START);
	next(&w, &a);
	next(&w, &b);
	memcpy(id, b.session->id, sizeof id);
	fault(&w, "{\"fault\":\"op7\",\"shard\":1}", START);
	EXPECT_STR(next(&w, &a), "");
	EXPECT_STR(next(&w, &b), "{\"op\":7}");
	fault(&w, "{\"fault\":\"close\",\"shard\":1,\"code\":4009}", START);
	EXPECT_INT(a.state, CONN_LIVE);
	EXPECT_INT(b.close_code, 4009);
	gate_closed(&w.p, &b, START);
	fault(&w, "{\"fault\":\"op7_early\"}", START);
	c = (struct conn){ 0 };
	gate_open(&w.p, &c, START);
	EXPECT_STR(next(&w, &c), "{\"op\":7}");
	EXPECT_STR(next(&w, &c), "");
	gate_closed(&w.p, &c, START);
	fault(&w, "{\"fault\":\"resume_op7\"}", START);
	come(&w, &c, START);
	resume(&w, &c, id, 1, START);
	EXPECT_STR(next(&w, &c), "{\"op\":7}");
	gate_closed(&w.p, &c, START);
	come(&w, &c, START);
	resume(&w, &c, id, 1, START);
	EXPECT(has(next(&w, &c), "RESUMED"));
	place_close(&w);
}

TEST(faults_of_a_connection)
{
	struct place w;
	struct conn  c;

	place_open(&w);
	fault(&w, "{\"fault\":\"no_hello\"}", START);
	c = (struct conn){ 0 };
	gate_open(&w.p, &c, START);
	EXPECT_STR(next(&w, &c), "");
	gate_closed(&w.p, &c, START);
	fault(&w, "{\"fault\":\"hello_slow\",\"ms\":100}", START);
	c = (struct conn){ 0 };
	gate_open(&w.p, &c, START);
	gate_tick(&w.p, START + 99);
	EXPECT_STR(next(&w, &c), "");
	gate_tick(&w.p, START + 100);
	EXPECT(has(next(&w, &c), "\"op\":10"));
	gate_closed(&w.p, &c, START);
	fault(&w, "{\"fault\":\"hello_interval\",\"ms\":777}", START);
	c = (struct conn){ 0 };
	gate_open(&w.p, &c, START);
	EXPECT(has(next(&w, &c), "777"));
	place_close(&w);
}

/* A revoked token is expired, and that is no violation of the client's. */
TEST(revoked_token)
{
	struct place w;
	struct conn  c;

	place_open(&w);
	fault(&w, "{\"fault\":\"token_revoke\"}", START);
	come(&w, &c, START);
	identify(&w, &c, C2C, 0, 1, START);
	EXPECT_INT(c.close_code, CLOSE_TOKEN);
	EXPECT_INT(w.p.ledger.violations[VIOLATION_bad_token], 0);
	place_close(&w);
}

/* What a session keeps is bounded; what is pushed out is lost. */
TEST(log_is_bounded)
{
	struct place     w;
	struct conn      c;
	struct session  *s;
	struct payload  *y = malloc(sizeof *y + 4096);
	char             id[40];

	place_open(&w);
	go_live(&w, &c, START);
	s = c.session;
	memcpy(id, s->id, sizeof id);
	gate_closed(&w.p, &c, START);
	*y = (struct payload){ .refs = 1, .n = 4096 };
	for (int i = 0; i < SESSION_LOG_BYTES / 4096 + 100; i++)
		session_give(&w.p, s, y, START);
	EXPECT(s->bytes <= SESSION_LOG_BYTES);
	EXPECT(s->n <= SESSION_LOG_BYTES / 4096);
	payload_release(&y);
	come(&w, &c, START);
	resume(&w, &c, id, 1, START);
	EXPECT_STR(next(&w, &c), "{\"op\":9,\"d\":false}");
	place_close(&w);
}

int
main(void)
{
	RUN(refusals);
	RUN(events_and_heartbeats);
	RUN(only_what_was_asked_for);
	RUN(resume_replays);
	RUN(resume_refused);
	RUN(two_live_sockets);
	RUN(one_live_socket);
	RUN(new_session_ends_the_old);
	RUN(budget_and_pace);
	RUN(deadlines);
	RUN(too_many_frames);
	RUN(shards_are_apart);
	RUN(faults_of_a_session);
	RUN(faults_of_one_shard_and_early_op7);
	RUN(faults_of_a_connection);
	RUN(revoked_token);
	RUN(log_is_bounded);
	return test_done();
}
