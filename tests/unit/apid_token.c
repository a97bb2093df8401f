// links: apid/token.c common
/*
 * The access token under a clock of our own: what answers mean, when it is
 * renewed, what a doubt does.
 */
#include "test.h"

#include "buf.h"
#include "token.h"

enum { HALF = 0x80000000u };

static struct token_reply
given(const char *value, uint64_t lasts_ms)
{
	struct token_reply r = { .kind = TOKEN_GIVEN, .lasts_ms = lasts_ms };

	EXPECT(secret_set(&r.value, slice_of(value)) == ERR_OK);
	return r;
}

static void
answer(struct token *t, struct token_reply r, uint64_t now)
{
	token_answer(t, &r, now, HALF);
	secret_wipe(&r.value);
}

static void
fail(struct token *t, enum token_kind kind, uint64_t now)
{
	static const struct token_refusal wrong = { 100016, "w", "r" };

	EXPECT(token_ask(t, now));
	answer(t, (struct token_reply){ .kind = kind, .why = "",
	    .refusal = kind == TOKEN_REFUSED ? &wrong : NULL }, now);
}

/* Asked at `now`, answered with a token that lasts so long. */
static struct token
open_with(const char *value, uint64_t now, uint64_t lasts_ms)
{
	struct token t;

	token_open(&t, now, 600000);
	EXPECT(token_ask(&t, now));
	answer(&t, given(value, lasts_ms), now);
	return t;
}

static const struct {
	unsigned        status;
	const char     *body;
	enum token_kind kind;
	uint64_t        lasts_ms;
	int64_t         code;
} answers[] = {
	{ 200, "{\"access_token\":\"A\",\"expires_in\":\"7200\"}",
	    TOKEN_GIVEN, 7200000, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":7200}",
	    TOKEN_GIVEN, 7200000, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":7200.0}",
	    TOKEN_GIVEN, 7200000, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":1e99}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":999999999999}",
	    TOKEN_GIVEN, 86400000, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":0}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":\"-1\"}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":\"\"}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":\"soon\"}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":[7200]}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":true}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\"}", TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	/* It goes into a line of a header. */
	{ 200, "{\"access_token\":\"A\\r\\nX: y\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\\u0000B\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A B\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"\\u00e9\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":12,\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":null,\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	/* what would break a header */
	{ 200, "{\"access_token\":\"A\\r\\nX: Y\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\\nB\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\\u0000B\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A B\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\\u007f\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"\xe4\xb8\xad\",\"expires_in\":7200}",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"!A.b-c_d/e+f=~\",\"expires_in\":7200}",
	    TOKEN_GIVEN, 7200000, 0 },
	{ 200, "{\"code\":100016,\"message\":\"invalid appid or secret\"}",
	    TOKEN_REFUSED, 0, 100016 },
	{ 400, "{\"code\":\"100007\",\"message\":\"x\"}",
	    TOKEN_REFUSED, 0, 100007 },
	{ 200, "{\"err_code\":10004,\"code\":0}", TOKEN_REFUSED, 0, 10004 },
	{ 200, "{\"code\":100001}", TOKEN_BUSY, 0, 100001 },
	{ 429, "<html>slow down</html>", TOKEN_BUSY, 0, 0 },
	{ 200, "{\"code\":99999}", TOKEN_BROKEN, 0, 99999 },
	{ 502, "<html>", TOKEN_BROKEN, 0, 0 },
	{ 200, "", TOKEN_BROKEN, 0, 0 },
	{ 200, "[]", TOKEN_BROKEN, 0, 0 },
	{ 200, "null", TOKEN_BROKEN, 0, 0 },
	{ 200, "{\"access_token\":\"A\",\"expires_in\":72",
	    TOKEN_BROKEN, 0, 0 },
	{ 200, "\xff\xfe\x00", TOKEN_BROKEN, 0, 0 },
	{ 0, "", TOKEN_BROKEN, 0, 0 },
};

TEST(a_token_is_not_too_long)
{
	static const struct {
		size_t          n;
		enum token_kind kind;
	} rows[] = { { 1, TOKEN_GIVEN }, { 4096, TOKEN_GIVEN },
		{ 4097, TOKEN_BROKEN }, { 1 << 20, TOKEN_BROKEN } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf         b = { 0 };
		struct token_reply r;

		buf_puts(&b, "{\"expires_in\":7200,\"access_token\":\"");
		for (size_t n = 0; n < rows[i].n; n++)
			buf_puts(&b, "x");
		buf_puts(&b, "\"}");
		token_read(&r, 200, buf_slice(&b));
		EXPECT_INT(r.kind, rows[i].kind);
		secret_wipe(&r.value);
		buf_free(&b);
	}
}

TEST(reads_answers)
{
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct token_reply r;
		char               body[256];
		size_t             n = strlen(answers[i].body);

		memcpy(body, answers[i].body, n);
		token_read(&r, answers[i].status, (struct slice){ body, n });
		if (r.kind != answers[i].kind)
			printf("# row %zu: %s\n", i, answers[i].body);
		EXPECT_INT(r.kind, answers[i].kind);
		EXPECT_INT(r.lasts_ms,
		    r.kind == TOKEN_GIVEN ? answers[i].lasts_ms : r.lasts_ms);
		EXPECT_INT(r.code, answers[i].code);
		EXPECT((r.kind == TOKEN_GIVEN) == (r.value.n > 0));
		EXPECT((r.kind == TOKEN_REFUSED) == (r.refusal != NULL));
		secret_wipe(&r.value);
	}
}

TEST(asks_one_at_a_time)
{
	struct token t;

	token_open(&t, 1000, 600000);
	EXPECT(!token_usable(&t, 1000));
	EXPECT(token_ask(&t, 1000));
	EXPECT(!token_ask(&t, 1000));
	EXPECT(!token_ask(&t, 99999));
	EXPECT_INT(token_next_ms(&t), 0);
	answer(&t, given("A", 7200000), 2000);
	EXPECT(token_usable(&t, 2000));
	EXPECT(!token_ask(&t, 2001));
	token_close(&t);
}

/* In the last minute and not before, spread over 5 s. */
TEST(renews_in_the_last_minute)
{
	static const uint32_t chances[] = { 0, HALF, UINT32_MAX };

	for (size_t i = 0; i < 3; i++) {
		struct token       t;
		struct token_reply r = given("A", 7200000);
		uint64_t           early;

		token_open(&t, 0, 600000);
		EXPECT(token_ask(&t, 0));
		token_answer(&t, &r, 0, chances[i]);
		early = t.expires_ms - token_next_ms(&t);
		EXPECT_INT(t.expires_ms, 7200000);
		EXPECT(early <= 50000 && early > 44999);
		token_close(&t);
	}
}

/* The same token with what is left of it: no loop, the next question is
 * counted from what was returned. */
TEST(same_token_does_not_loop)
{
	struct token t = open_with("A", 0, 7200000);
	uint64_t     now = token_next_ms(&t);

	EXPECT(token_ask(&t, now));
	answer(&t, given("A", 3600000), now);
	EXPECT_INT(t.generation, 1);
	EXPECT_INT(t.answers, 2);
	EXPECT(token_next_ms(&t) >= now + 3600000 - 50000);
	for (unsigned lasts_s = 61; lasts_s > 0; lasts_s--) {
		now = token_next_ms(&t);
		EXPECT(token_ask(&t, now));
		answer(&t, given("A", lasts_s * 1000), now);
		EXPECT(token_next_ms(&t) >= now + 1000);
		EXPECT(token_next_ms(&t) <= now + lasts_s * 1000);
	}
	token_close(&t);
}

TEST(old_token_serves_while_asking_fails)
{
	static const uint64_t waits[] = { 1000, 2000, 5000, 5000, 5000 };
	struct token          t = open_with("A", 0, 7200000);
	uint64_t              now = token_next_ms(&t);

	for (size_t i = 0; i < 5; i++) {
		fail(&t, TOKEN_BROKEN, now);
		EXPECT(token_usable(&t, now));
		EXPECT_INT(token_next_ms(&t), now + waits[i]);
		now = token_next_ms(&t);
	}
	EXPECT(token_usable(&t, 7199999));
	EXPECT(!token_usable(&t, 7200000));
	for (int i = 0; i < 1000; i++) {
		now = token_next_ms(&t);
		fail(&t, TOKEN_BROKEN, now);
	}
	EXPECT(token_next_ms(&t) <= now + 6000);
	now = token_next_ms(&t);
	EXPECT(token_ask(&t, now));
	answer(&t, given("B", 7200000), now);
	EXPECT(token_usable(&t, now));
	EXPECT_INT(t.generation, 2);
	token_close(&t);
}

/* TK01: the endpoint is dead for ten minutes, from the renewal on: asked every
 * few seconds and one question at a time, the old token to its end, and the
 * first answer serves. */
TEST(ten_minutes_without_the_endpoint)
{
	struct token t = open_with("A", 0, 7200000);
	uint64_t     now = token_next_ms(&t), end = now + 600000, last = now;
	int          asked = 0;

	EXPECT(now < 7200000);
	for (; now < end; now += 100) {
		EXPECT_INT(token_usable(&t, now), now < 7200000);
		if (!token_ask(&t, now))
			continue;
		EXPECT(!token_ask(&t, now));
		EXPECT(now - last <= 6100);
		last = now;
		asked++;
		answer(&t, (struct token_reply){ .kind = TOKEN_BROKEN,
		    .why = "" }, now + 50);
	}
	EXPECT(asked >= 100 && asked <= 160);
	now = token_next_ms(&t);
	EXPECT(now <= end + 6100);
	EXPECT(token_ask(&t, now));
	answer(&t, given("B", 7200000), now);
	EXPECT(token_usable(&t, now));
	EXPECT(t.refusal == NULL);
	token_close(&t);
}

TEST(busy_waits_a_minute_refused_is_parked)
{
	struct token t;

	token_open(&t, 0, 600000);
	fail(&t, TOKEN_BUSY, 0);
	EXPECT_INT(token_next_ms(&t), 60000);
	EXPECT(t.refusal == NULL);
	fail(&t, TOKEN_REFUSED, 60000);
	EXPECT_INT(token_next_ms(&t), 660000);
	EXPECT(t.refusal != NULL);
	/* A bad line does not make the secret good. */
	fail(&t, TOKEN_BROKEN, 660000);
	EXPECT(t.refusal != NULL);
	EXPECT(token_ask(&t, 999999));
	answer(&t, given("A", 7200000), 999999);
	EXPECT(t.refusal == NULL);
	token_close(&t);
}

/* A hundred refusals of one token: one question. */
TEST(doubts_ask_once)
{
	struct token t = open_with("A", 0, 7200000);
	int          asked = 0;

	for (int i = 0; i < 100; i++) {
		EXPECT(token_doubt(&t, 1, 5000) == TOKEN_WAIT);
		asked += token_ask(&t, 5000);
	}
	EXPECT_INT(asked, 1);
	EXPECT(!token_usable(&t, 5000)); /* held back */
	answer(&t, given("B", 7200000), 5100);
	EXPECT(token_usable(&t, 5100));
	EXPECT(token_doubt(&t, 1, 5200) == TOKEN_NEWER);
	EXPECT(token_doubt(&t, 2, 5200) == TOKEN_WAIT);
	token_close(&t);
}

TEST(same_token_after_a_doubt_settles_it)
{
	struct token t = open_with("A", 0, 7200000);

	EXPECT(token_doubt(&t, 1, 5000) == TOKEN_WAIT);
	EXPECT(token_ask(&t, 5000));
	answer(&t, given("A", 7195000), 5000);
	EXPECT(token_usable(&t, 5000));
	EXPECT(token_doubt(&t, 1, 5001) == TOKEN_SAME);
	EXPECT(!token_ask(&t, 5001));
	EXPECT(token_doubt(&t, 1, 5000 + TOKEN_SAME_MS) == TOKEN_WAIT);
	EXPECT(token_ask(&t, 5000 + TOKEN_SAME_MS));
	token_close(&t);
}

/* A doubt while the endpoint fails: no storm, and the token goes on serving
 * those who have nothing against it. */
TEST(doubt_during_an_outage)
{
	struct token t = open_with("A", 0, 7200000);
	uint64_t     next;

	EXPECT(token_doubt(&t, 1, 5000) == TOKEN_WAIT);
	fail(&t, TOKEN_BROKEN, 5000);
	EXPECT(token_usable(&t, 5000));
	next = token_next_ms(&t);
	EXPECT(token_doubt(&t, 1, 5001) == TOKEN_WAIT);
	EXPECT_INT(token_next_ms(&t), next);
	EXPECT(!token_ask(&t, 5001));
	EXPECT(token_usable(&t, 5001));
	token_close(&t);
}

int
main(void)
{
	RUN(reads_answers);
	RUN(a_token_is_not_too_long);
	RUN(asks_one_at_a_time);
	RUN(renews_in_the_last_minute);
	RUN(same_token_does_not_loop);
	RUN(old_token_serves_while_asking_fails);
	RUN(ten_minutes_without_the_endpoint);
	RUN(busy_waits_a_minute_refused_is_parked);
	RUN(doubts_ask_once);
	RUN(same_token_after_a_doubt_settles_it);
	RUN(doubt_during_an_outage);
	return test_done();
}
