// links: gatewayd/webhook.c gatewayd/signature.c gatewayd/payload.c common
// libs: libcrypto
/*
 * webhook: one verdict per request, by rows; and the chunked coding, cut at
 * every byte and made wrong in every way that was thought of.
 */
#include "test.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "webhook.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

enum { NOW = 1700000100 };

/* A bot of ours, and the platform's half of its key. */
struct party {
	struct webhook_bot bot;
	EVP_PKEY          *private;
};

static void
party_open(struct party *p, const char *app_id, unsigned char seed_byte)
{
	unsigned char seed[32], public[32];
	size_t        n = sizeof public;

	memset(seed, seed_byte, sizeof seed);
	p->bot = (struct webhook_bot){ .app_id = app_id };
	p->private = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed,
	    sizeof seed);
	EXPECT(EVP_PKEY_get_raw_public_key(p->private, public, &n) == 1);
	EXPECT(signature_key_new(&p->bot.key,
	    (struct slice){ (const char *)public, n }) == ERR_OK);
}

static void
party_close(struct party *p)
{
	signature_key_free(&p->bot.key);
	EVP_PKEY_free(p->private);
}

static void
sign(const struct party *p, const char *timestamp, struct slice body,
    char hex[SIGNATURE_HEX + 1])
{
	EVP_MD_CTX   *ctx = EVP_MD_CTX_new();
	struct buf    all = { 0 };
	unsigned char sig[64];
	size_t        n = sizeof sig;

	buf_puts(&all, timestamp);
	buf_put(&all, body);
	EXPECT(EVP_DigestSignInit(ctx, NULL, NULL, NULL, p->private) == 1);
	EXPECT(EVP_DigestSign(ctx, sig, &n, (const unsigned char *)all.p,
	    all.n) == 1);
	for (size_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", sig[i]);
	EVP_MD_CTX_free(ctx);
	buf_free(&all);
}

#define EVENT "{\"id\":\"E1\",\"op\":0,\"s\":1,\"t\":\"FRIEND_ADD\",\"d\":{}}"
#define TOKEN(token, ts)                                                     \
	"{\"op\":13,\"d\":{\"plain_token\":" token ",\"event_ts\":" ts "}}"
#define GOOD_TOKEN TOKEN("\"Arq0D5A61EgUu4OxUvOp\"", "\"1725442341\"")

/* How a request is signed. */
enum how { SIGNED, UNSIGNED, NO_TIME, NO_SIGNATURE, BY_OTHER, TAMPERED, LATE,
           ODD_TIME, SPACED };

struct row {
	const char          *method, *app_id, *body;
	enum how             how;
	uint64_t             skew_s;
	enum webhook_verdict verdict;
	unsigned             status;
	const char          *answer;
};

static const struct row rows[] = {
	/* events */
	{ "POST", "1", EVENT, SIGNED, 0, WEBHOOK_EVENT, 200, "" },
	{ "POST", "2", EVENT, SIGNED, 0, WEBHOOK_EVENT, 200, "" },
	{ "POST", "1", EVENT, UNSIGNED, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", EVENT, NO_TIME, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", EVENT, NO_SIGNATURE, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", EVENT, BY_OTHER, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", EVENT, TAMPERED, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", EVENT, ODD_TIME, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", EVENT, SPACED, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", "{\"op\":0,\"d\":{}}", SIGNED, 0, WEBHOOK_REFUSE, 400,
	  "" },
	{ "POST", "1", "{\"op\":0,\"t\":\"\",\"d\":{}}", SIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	/* who it is for */
	{ "POST", "3", EVENT, SIGNED, 0, WEBHOOK_REFUSE, 403, "" },
	{ "POST", "", EVENT, SIGNED, 0, WEBHOOK_REFUSE, 403, "" },
	{ "POST", "11", EVENT, SIGNED, 0, WEBHOOK_REFUSE, 403, "" },
	{ "POST", "1 ", EVENT, SIGNED, 0, WEBHOOK_REFUSE, 403, "" },
	/* how it comes */
	{ "GET", "1", EVENT, SIGNED, 0, WEBHOOK_REFUSE, 405, "" },
	{ "PUT", "1", EVENT, SIGNED, 0, WEBHOOK_REFUSE, 405, "" },
	{ "post", "1", EVENT, SIGNED, 0, WEBHOOK_REFUSE, 405, "" },
	{ "", "1", EVENT, SIGNED, 0, WEBHOOK_REFUSE, 405, "" },
	/* signed, and yet nonsense */
	{ "POST", "1", "", SIGNED, 0, WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", "{", SIGNED, 0, WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", "[]", SIGNED, 0, WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", "{\"op\":12,\"d\":0}", SIGNED, 0, WEBHOOK_REFUSE, 400,
	  "" },
	{ "POST", "1", "{\"op\":2,\"d\":{}}", SIGNED, 0, WEBHOOK_REFUSE, 400,
	  "" },
	{ "POST", "1", "{\"op\":10,\"d\":{}}", SIGNED, 0, WEBHOOK_REFUSE, 400,
	  "" },
	/* not signed: nothing is told about the body */
	{ "POST", "1", "", UNSIGNED, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", "{", UNSIGNED, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", "{\"op\":12}", UNSIGNED, 0, WEBHOOK_REFUSE, 401, "" },
	/* heartbeats */
	{ "POST", "1", "{\"op\":1,\"d\":7}", SIGNED, 0, WEBHOOK_ANSWER, 200,
	  "{\"op\":11,\"d\":7}" },
	{ "POST", "1", "{\"op\":1,\"d\":7}", UNSIGNED, 0, WEBHOOK_REFUSE, 401,
	  "" },
	/* age */
	{ "POST", "1", EVENT, LATE, 0, WEBHOOK_EVENT, 200, "" },
	{ "POST", "1", EVENT, LATE, 300, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", EVENT, LATE, 1000, WEBHOOK_EVENT, 200, "" },
	{ "POST", "1", EVENT, SIGNED, 1, WEBHOOK_EVENT, 200, "" },
	/* validations: signed or not */
	{ "POST", "1", GOOD_TOKEN, SIGNED, 0, WEBHOOK_SIGN, 200, "" },
	{ "POST", "1", GOOD_TOKEN, UNSIGNED, 0, WEBHOOK_SIGN, 200, "" },
	{ "POST", "1", GOOD_TOKEN, BY_OTHER, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "1", GOOD_TOKEN, NO_TIME, 0, WEBHOOK_REFUSE, 401, "" },
	{ "POST", "3", GOOD_TOKEN, UNSIGNED, 0, WEBHOOK_REFUSE, 403, "" },
	{ "POST", "1", TOKEN("\"a_-Z9\"", "\"0\""), UNSIGNED, 0, WEBHOOK_SIGN,
	  200, "" },
	/* and never what could pass for a callback */
	{ "POST", "1", TOKEN("\"{\\\"op\\\":0}\"", "\"1725442341\""), UNSIGNED,
	  0, WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("\"{\\\"op\\\":0}\"", "\"1725442341\""), SIGNED,
	  0, WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("\"tok en\"", "\"1725442341\""), UNSIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("\"tok\\u0000en\"", "\"1725442341\""), UNSIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("\"\\u6536\"", "\"1725442341\""), UNSIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("\"\"", "\"1725442341\""), UNSIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("7", "\"1725442341\""), UNSIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("null", "\"1725442341\""), UNSIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("\"good\"", "1725442341"), UNSIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("\"good\"", "\"17254{\""), UNSIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("\"good\"", "\"-1\""), UNSIGNED, 0,
	  WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", TOKEN("\"good\"", "\"\""), UNSIGNED, 0, WEBHOOK_REFUSE,
	  400, "" },
	{ "POST", "1", TOKEN("\"good\"", "\"123456789012345678901\""),
	  UNSIGNED, 0, WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", "{\"op\":13}", UNSIGNED, 0, WEBHOOK_REFUSE, 400, "" },
	{ "POST", "1", "{\"op\":13,\"d\":null}", UNSIGNED, 0, WEBHOOK_REFUSE,
	  400, "" },
	{ "POST", "1", "{\"op\":13,\"d\":[]}", UNSIGNED, 0, WEBHOOK_REFUSE,
	  400, "" },
};

/* Fills in the headers as the row says; keeps them in the caller's space. */
static struct webhook_request
request(const struct row *row, const struct party *parties, char *hex,
    char *body)
{
	size_t      bot = strcmp(row->app_id, "2") == 0;
	const char *ts = row->how == LATE ? "1699999500" : "1700000100";
	size_t      n = strlen(row->body);
	struct webhook_request q = { .method = slice_of(row->method),
		.app_id = slice_of(row->app_id) };

	strcpy(body, row->body);
	if (row->how == BY_OTHER)
		bot = !bot;
	if (row->how == ODD_TIME)
		ts = "1700000100x";
	sign(&parties[bot], ts, slice_of(body), hex);
	if (row->how == TAMPERED)
		body[n - 1] = body[n - 1] == '}' ? ']' : '}';
	if (row->how == SPACED)
		strcat(body, " ");
	q.body = slice_of(body);
	if (row->how != UNSIGNED && row->how != NO_TIME)
		q.timestamp = slice_of(ts);
	if (row->how != UNSIGNED && row->how != NO_SIGNATURE)
		q.signature = slice_of(hex);
	return q;
}

TEST(each_request_gets_its_verdict)
{
	struct party       parties[2];
	struct webhook_bot bots[2];
	char               hex[SIGNATURE_HEX + 1], body[512];

	party_open(&parties[0], "1", 0x11);
	party_open(&parties[1], "2", 0x22);
	bots[0] = parties[0].bot;
	bots[1] = parties[1].bot;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct webhook_request q = request(&rows[i], parties, hex,
		    body);
		struct webhook_result r;
		struct buf            answer = { 0 };

		webhook_decide(&q, bots, 2, NOW, rows[i].skew_s, &answer, &r);
		if (r.verdict != rows[i].verdict || r.status != rows[i].status)
			printf("# row %zu: %u %s\n", i, r.status, r.why);
		EXPECT_INT(r.verdict, rows[i].verdict);
		EXPECT_INT(r.status, rows[i].status);
		EXPECT_SLICE(buf_slice(&answer), rows[i].answer);
		EXPECT((r.why != NULL) == (r.verdict == WEBHOOK_REFUSE));
		if (r.verdict != WEBHOOK_REFUSE)
			EXPECT_STR(bots[r.bot].app_id, rows[i].app_id);
		if (r.verdict == WEBHOOK_EVENT)
			EXPECT_SLICE(r.payload.type, "FRIEND_ADD");
		if (rows[i].how == LATE)
			EXPECT_INT(r.skew_s, 600);
		payload_free(&r.payload);
		buf_free(&answer);
	}
	party_close(&parties[0]);
	party_close(&parties[1]);
}

static struct webhook_result
decide(const struct webhook_request *q, const struct webhook_bot *bots,
    size_t n)
{
	struct webhook_result r;
	struct buf            answer = { 0 };

	webhook_decide(q, bots, n, NOW, 0, &answer, &r);
	buf_free(&answer);
	payload_free(&r.payload);
	return r;
}

TEST(what_was_not_read_is_not_looked_at)
{
	struct party           p;
	char                   hex[SIGNATURE_HEX + 1];
	struct webhook_request q = { .method = SLICE("POST"),
		.app_id = SLICE("1"), .body = SLICE(EVENT),
		.timestamp = SLICE("1700000100") };

	party_open(&p, "1", 0x11);
	sign(&p, "1700000100", q.body, hex);
	q.signature = slice_of(hex);
	EXPECT(decide(&q, &p.bot, 1).verdict == WEBHOOK_EVENT);
	q.app_id = SLICE(""); /* only one it can be for */
	EXPECT(decide(&q, &p.bot, 1).verdict == WEBHOOK_EVENT);
	q.too_large = true;
	EXPECT_INT(decide(&q, &p.bot, 1).status, 413);
	q.too_large = false;
	q.broken = true;
	EXPECT_INT(decide(&q, &p.bot, 1).status, 400);
	q.method = SLICE("GET");
	q.too_large = true;
	EXPECT_INT(decide(&q, &p.bot, 1).status, 405);
	party_close(&p);
}

/* What costs nothing is looked at before the body is read. */
TEST(a_body_is_read_only_if_it_can_matter)
{
	struct party           p;
	char                   hex[SIGNATURE_HEX + 1], bad[SIGNATURE_HEX + 1];
	struct webhook_request good = { .method = SLICE("POST"),
		.app_id = SLICE("1"), .timestamp = SLICE("1700000100") };
	const struct {
		const char *method, *app_id, *timestamp;
		int         signature;   /* 0 none, 1 good, 2 short, 3 form */
		size_t      worth;
		enum webhook_refusal refusal;
	} heads[] = {
		{ "POST", "1", "1700000100", 1, 1 << 20, REFUSED_COUNT },
		{ "POST", "1", "", 0, 4096, REFUSED_unsigned },
		{ "GET", "1", "1700000100", 1, 0, REFUSED_method },
		{ "POST", "2", "1700000100", 1, 0, REFUSED_bot },
		{ "POST", "1", "17a", 1, 0, REFUSED_timestamp },
		{ "POST", "1", "", 1, 0, REFUSED_timestamp },
		{ "POST", "1", "1700000100", 0, 0, REFUSED_form },
		{ "POST", "1", "1700000100", 2, 0, REFUSED_form },
		{ "POST", "1", "1700000100", 3, 0, REFUSED_form },
	};

	party_open(&p, "1", 0x11);
	sign(&p, "1700000100", SLICE(EVENT), hex);
	memcpy(bad, hex, sizeof bad);
	bad[SIGNATURE_HEX - 2] = 'f';
	for (size_t i = 0; i < ROWS(heads); i++) {
		struct webhook_request q = good;
		struct webhook_result  r;

		q.method = slice_of(heads[i].method);
		q.app_id = slice_of(heads[i].app_id);
		q.timestamp = slice_of(heads[i].timestamp);
		q.signature = heads[i].signature == 0 ? SLICE("")
		    : heads[i].signature == 1         ? slice_of(hex)
		    : heads[i].signature == 2
		    ? (struct slice){ hex, 126 }
		    : slice_of(bad);
		EXPECT_INT(webhook_worth(&q, &p.bot, 1, 1 << 20),
		    heads[i].worth);
		/* and what was not read is refused, for the same reason */
		q.unread = true;
		r = decide(&q, &p.bot, 1);
		EXPECT(r.verdict == WEBHOOK_REFUSE);
		if (heads[i].refusal != REFUSED_COUNT)
			EXPECT_INT(r.refusal, heads[i].refusal);
	}
	good.signature = slice_of(hex);
	good.body = SLICE(EVENT);
	EXPECT_INT(webhook_worth(&good, &p.bot, 1, 1024), 1024);
	EXPECT(decide(&good, &p.bot, 1).verdict == WEBHOOK_EVENT);
	good.busy = true;
	EXPECT_INT(decide(&good, &p.bot, 1).status, 503);
	p.bot.key = (signature_key_free(&p.bot.key), NULL);
	EXPECT_INT(webhook_worth(&good, &p.bot, 1, 1024), 0);
	party_close(&p);
}

TEST(refusals_are_counted_and_told_of_now_and_then)
{
	struct webhook_tally t = { 0 };

	EXPECT_INT(webhook_count(&t, REFUSED_bot, 1000), 1);
	for (int i = 0; i < 50; i++)
		EXPECT_INT(webhook_count(&t, REFUSED_bot, 2000), 0);
	/* each reason for itself */
	EXPECT_INT(webhook_count(&t, REFUSED_unsigned, 2000), 1);
	EXPECT_INT(webhook_count(&t, REFUSED_bot, 10999), 0);
	EXPECT_INT(webhook_count(&t, REFUSED_bot, 11000), 52);
	EXPECT_INT(webhook_count(&t, REFUSED_bot, 11001), 0);
	EXPECT_INT(t.count[REFUSED_bot], 54);
	EXPECT_INT(t.count[REFUSED_unsigned], 1);
}

TEST(without_its_key_a_bot_takes_no_events)
{
	struct webhook_bot     bot = { .app_id = "1" };
	struct webhook_request q = { .method = SLICE("POST"),
		.app_id = SLICE("1"), .body = SLICE(EVENT),
		.timestamp = SLICE("1700000100"),
		.signature = SLICE("00") };

	EXPECT_INT(decide(&q, &bot, 1).status, 503);
	/* the address can be validated all the same: apid signs */
	q.body = SLICE(GOOD_TOKEN);
	EXPECT_INT(decide(&q, &bot, 1).status, 503);
	q.signature = q.timestamp = SLICE("");
	EXPECT(decide(&q, &bot, 1).verdict == WEBHOOK_SIGN);
}

TEST(a_validation_hands_out_what_is_to_be_signed)
{
	struct webhook_bot     bot = { .app_id = "1" };
	struct webhook_request q = { .method = SLICE("POST"),
		.app_id = SLICE("1"), .body = SLICE(GOOD_TOKEN) };
	struct webhook_result  r;
	struct buf             answer = { 0 }, body = { 0 };

	webhook_decide(&q, &bot, 1, NOW, 0, &answer, &r);
	EXPECT_SLICE(r.plain_token, "Arq0D5A61EgUu4OxUvOp");
	EXPECT_SLICE(r.event_ts, "1725442341");
	payload_free(&r.payload);
	/* 128 letters and no more */
	for (size_t n = 127; n <= 129; n++) {
		buf_reset(&body);
		buf_puts(&body, "{\"op\":13,\"d\":{\"event_ts\":\"1\","
		    "\"plain_token\":\"");
		for (size_t i = 0; i < n; i++)
			buf_puts(&body, "x");
		buf_puts(&body, "\"}}");
		q.body = buf_slice(&body);
		webhook_decide(&q, &bot, 1, NOW, 0, &answer, &r);
		EXPECT(r.verdict == (n <= 128 ? WEBHOOK_SIGN
		                              : WEBHOOK_REFUSE));
		payload_free(&r.payload);
	}
	buf_free(&body);
	buf_free(&answer);
}

/* --- chunks ------------------------------------------------------------------------ */

static enum err
unchunk(struct slice in, size_t step, struct buf *body, bool *done)
{
	struct webhook_chunks c = { 0 };
	enum err              e = ERR_OK;

	buf_reset(body);
	for (size_t at = 0; at < in.n && e == ERR_OK; at += step) {
		size_t n = in.n - at < step ? in.n - at : step;
		char  *copy = malloc(n);

		memcpy(copy, in.p + at, n);
		e = webhook_unchunk(&c, (struct slice){ copy, n }, body);
		free(copy);
	}
	*done = c.state == CHUNK_DONE;
	return e;
}

TEST(chunks_are_joined_wherever_they_are_cut)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{ "0\r\n\r\n", "" },
		{ "5\r\nhello\r\n0\r\n\r\n", "hello" },
		{ "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world" },
		{ "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n", "abc" },
		{ "A\r\n0123456789\r\n0\r\n\r\n", "0123456789" },
		{ "a\r\n0123456789\r\n0\r\n\r\n", "0123456789" },
		{ "00000002\r\nab\r\n00\r\n\r\n", "ab" },
		{ "2;x=y\r\nab\r\n0;z\r\n\r\n", "ab" },
		{ "2 ;x\r\nab\r\n0\r\n\r\n", "ab" },
		{ "2\r\n\r\n\r\n0\r\n\r\n", "\r\n" },
		{ "2\r\nab\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", "ab" },
	};
	struct buf body = { 0 };
	bool       done;

	for (size_t i = 0; i < ROWS(good); i++) {
		struct slice in = slice_of(good[i].in);

		for (size_t step = 1; step <= in.n; step++) {
			EXPECT(unchunk(in, step, &body, &done) == ERR_OK);
			EXPECT(done);
			EXPECT_SLICE(buf_slice(&body), good[i].out);
		}
		/* what is cut off is not done */
		for (size_t n = 0; n < in.n; n++) {
			EXPECT(unchunk((struct slice){ in.p, n }, 3, &body,
			    &done) == ERR_OK);
			EXPECT(!done);
		}
	}
	buf_free(&body);
}

TEST(what_is_no_chunk_is_refused)
{
	static const struct slice bad[] = {
		SLICE("\r\n"), SLICE("x"), SLICE("-1\r\n"), SLICE("+1\r\na"),
		SLICE(" 1\r\na"), SLICE("0x1\r\na"), SLICE("\0"),
		SLICE("1\n"), SLICE("1\rX"), SLICE("1\r\nab"),
		SLICE("1\r\na\n"), SLICE("1\r\na\rX"), SLICE("1\r\na\r\n\r\n"),
		SLICE("123456789\r\n"), SLICE("FFFFFFFFFFFFFFFFF\r\n"),
		SLICE("000000001\r\na"), SLICE("1\xff\r\na"),
		SLICE("1\x10\r\na"), SLICE("{\"op\":0}"),
		SLICE("0\r\n\r\nGET / HTTP/1.1\r\n"),
	};
	struct buf body = { 0 };
	bool       done;

	for (size_t i = 0; i < ROWS(bad); i++)
		for (size_t step = 1; step <= bad[i].n; step++) {
			if (unchunk(bad[i], step, &body, &done) != ERR_SYNTAX)
				printf("# row %zu, step %zu\n", i, step);
			EXPECT(unchunk(bad[i], step, &body, &done) ==
			    ERR_SYNTAX);
		}
	buf_free(&body);
}

/* Extensions and trailers must not be read for ever. */
TEST(what_surrounds_the_chunks_is_bounded)
{
	static const char *const starts[] = { "1;", "0\r\nX: ", "0\r\n" };
	char                     more[1000];
	struct buf               body = { 0 };

	for (size_t i = 0; i < ROWS(starts); i++) {
		struct webhook_chunks c = { 0 };
		enum err e = webhook_unchunk(&c, slice_of(starts[i]), &body);
		size_t   n = 0;

		memset(more, 'x', sizeof more);
		if (i == 2) /* many short lines instead of a long one */
			for (size_t k = 1; k < sizeof more; k += 2)
				more[k] = '\n';
		for (; e == ERR_OK && n < 1 << 20; n += sizeof more)
			e = webhook_unchunk(&c,
			    (struct slice){ more, sizeof more }, &body);
		EXPECT(e == ERR_SYNTAX);
		EXPECT(n <= 20000);
	}
	EXPECT_INT(body.n, 0);
	buf_free(&body);
}

int
main(void)
{
	RUN(each_request_gets_its_verdict);
	RUN(what_was_not_read_is_not_looked_at);
	RUN(a_body_is_read_only_if_it_can_matter);
	RUN(refusals_are_counted_and_told_of_now_and_then);
	RUN(without_its_key_a_bot_takes_no_events);
	RUN(a_validation_hands_out_what_is_to_be_signed);
	RUN(chunks_are_joined_wherever_they_are_cut);
	RUN(what_is_no_chunk_is_refused);
	RUN(what_surrounds_the_chunks_is_bounded);
	return test_done();
}
