// links: apid/trust.c apid/proxy.c apid/reply.c apid/signature.c common
// libs: libcrypto
/*
 * What gatewayd is told: sessions, keys, signatures.  http.c and bot.c are
 * played here.
 */
#include "test.h"

#include <stdlib.h>

#include "log.h"
#include "trust.h"

enum { STARTED_MAX = 16 };

static struct {
	struct trust               trust;
	struct bot                 bot;
	struct conf                conf;
	char                       no_url[1], own_url[32];
	bool                       has_token;
	enum token_advice          advice;
	struct http_request       *started[STARTED_MAX];
	size_t                     nstarted, ncancelled, nanswers;
	enum msg_kind              kind;
	struct msg_session_answer  session;
	struct msg_sign_answer     sign;
	struct msg_key_answer      key;
	char                       id[16], url[64], token[16], proxy[32];
	char                       message[256];
} w;

static const struct token_refusal wrong = { 100016, "bad secret", "fix it" };

/* --- the played parts ---------------------------------------------------- */

enum err
http_start(struct http *h, struct http_request *r)
{
	(void)h;
	w.started[w.nstarted++] = r;
	r->waiting = true;
	return ERR_OK;
}

void
http_cancel(struct http *h, struct http_request *r)
{
	(void)h;
	w.ncancelled += r->waiting;
	r->waiting = false;
}

bool
bot_has_token(const struct bot *b)
{
	(void)b;
	return w.has_token;
}

bool
bot_set_away(struct bot *b, bool away)
{
	bool news = away == (b->away_ms == 0);

	b->away_ms = away;
	return news;
}

struct http_headers *
bot_headers(struct bot *b, bool callback)
{
	static char some;

	(void)b, (void)callback;
	return (struct http_headers *)(void *)&some;
}

enum token_advice
bot_doubt(struct bot *b, uint64_t generation)
{
	(void)b, (void)generation;
	return w.advice;
}

void
bot_remedy(const struct bot *b, struct buf *out)
{
	if (b->token.refusal != NULL)
		buf_puts(out, b->token.refusal->remedy);
}

static struct bot *
find_bot(void *self, struct slice app)
{
	(void)self;
	return slice_is(app, "7") ? &w.bot : NULL;
}

static void
keep(char *to, size_t size, struct slice s)
{
	snprintf(to, size, "%.*s", (int)s.n, s.n > 0 ? s.p : "");
}

static void
take(void *self, msg_peer to, enum msg_kind kind, const void *m)
{
	(void)self;
	EXPECT_SLICE(to, "gate");
	w.nanswers++;
	w.kind = kind;
	if (kind == MSG_sign_answer)
		w.sign = *(const struct msg_sign_answer *)m;
	if (kind == MSG_key_answer)
		w.key = *(const struct msg_key_answer *)m;
	if (kind != MSG_session_answer)
		return;
	w.session = *(const struct msg_session_answer *)m;
	keep(w.id, sizeof w.id, w.session.id);
	keep(w.url, sizeof w.url, w.session.url);
	keep(w.token, sizeof w.token, w.session.token);
	keep(w.proxy, sizeof w.proxy, w.session.proxy);
	keep(w.message, sizeof w.message, w.session.message);
}

static void
setup(void)
{
	memset(&w, 0, sizeof w);
	log_open("test", LOG_ERROR, false);
	w.conf.qq_gateway_url = w.no_url;
	w.bot.conf = &w.conf;
	w.bot.app = SLICE("7");
	w.bot.api = SLICE("https://api");
	w.has_token = true;
	EXPECT_INT(secret_set(&w.bot.token.value, SLICE("TOKEN")), ERR_OK);
	EXPECT_INT(signature_new(&w.bot.signature, SLICE("DG5g3B4j9X2KOErG")),
	    ERR_OK);
	w.trust.find_bot = find_bot;
	w.trust.send = take;
	EXPECT_INT(loop_new(&w.trust.loop), ERR_OK);
}

static void
teardown(void)
{
	trust_close(&w.trust);
	EXPECT_INT(w.trust.n, 0);
	loop_free(&w.trust.loop);
	secret_wipe(&w.bot.token.value);
	signature_free(&w.bot.signature);
}

static void
ask(const char *id, bool fresh)
{
	struct msg_session_ask m = { .id = slice_of(id), .bot = SLICE("7"),
		.fresh = fresh };

	trust_session_ask(&w.trust, SLICE("gate"), &m);
}

static void
answer(size_t i, unsigned status, const char *body)
{
	struct http_answer a = { .status = status, .body = slice_of(body),
		.reached = true, .why = "gone" };

	w.started[i]->waiting = false;
	w.started[i]->on_done(w.started[i]->self, &a);
}

#define WHOLE                                                                \
	"{\"url\":\"wss://x/\",\"shards\":\"4\",\"session_start_limit\":{"   \
	"\"total\":1000,\"remaining\":0,\"reset_after\":86400000,"           \
	"\"max_concurrency\":0}}"

/* --- tests ----------------------------------------------------------------- */

TEST(a_session_with_its_budget)
{
	setup();
	ask("1", false);
	EXPECT_STR(w.started[0]->url, "https://api/gateway/bot");
	EXPECT(w.started[0]->urgent);
	answer(0, 200, WHOLE);
	EXPECT(w.session.ok);
	EXPECT_STR(w.id, "1");
	EXPECT_STR(w.url, "wss://x/");
	EXPECT_STR(w.token, "TOKEN");
	EXPECT_INT(w.session.shards, 4);
	EXPECT_INT(w.session.remaining, 0);
	EXPECT_INT(w.session.reset_after_ms, 86400000);
	EXPECT_INT(w.session.max_concurrency, 0);
	teardown();
}

TEST(the_address_alone_will_do)
{
	setup();
	ask("1", false);
	answer(0, 500, "<html>");
	EXPECT_INT(w.nanswers, 0);
	EXPECT_STR(w.started[1]->url, "https://api/gateway");
	answer(1, 200, "{\"url\":\"wss://y/\"}");
	EXPECT(w.session.ok);
	EXPECT_STR(w.url, "wss://y/");
	/* it tells of no number of shards and of no budget: nor do we */
	EXPECT_INT(w.session.shards, 0);
	EXPECT_INT(w.session.total, 0);
	EXPECT_INT(w.session.max_concurrency, 0);
	teardown();
}

static const struct {
	unsigned    status;
	const char *body;
} useless[] = {
	{ 200, "{}" },
	{ 200, "<html>" },
	{ 200, "{\"url\":\"http://x/\"}" },
	{ 200, "{\"url\":\"ws://far.example/\"}" },
	{ 200, "{\"url\":7}" },
	{ 0, "" },
};

TEST(a_useless_answer_is_a_no)
{
	for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
		setup();
		ask("1", false);
		answer(0, useless[i].status, useless[i].body);
		EXPECT_INT(w.nanswers, 1);
		EXPECT(!w.session.ok);
		EXPECT(!w.session.fatal);
		EXPECT_STR(w.token, "");
		EXPECT(w.message[0] != '\0');
		teardown();
	}
}

TEST(an_address_of_the_operator)
{
	setup();
	strcpy(w.own_url, "ws://127.0.0.1:1/");
	w.conf.qq_gateway_url = w.own_url;
	ask("1", false);
	EXPECT_INT(w.nstarted, 0);
	EXPECT_STR(w.url, "ws://127.0.0.1:1/");
	EXPECT_INT(w.session.shards, 0);
	EXPECT_INT(w.session.total, 0);
	teardown();
}

/* The session takes the way of its bot's requests. */
TEST(the_way_of_a_session)
{
	static const struct {
		const char *own, *small, *large, *without, *url, *is;
	} rows[] = {
		{ NULL, NULL, NULL, NULL, "wss://far.example/", "" },
		{ NULL, "http://me:w%40rd@p:1", NULL, NULL,
		    "wss://far.example/", "me:w@rd@p:1" },
		{ NULL, NULL, "p:1", NULL, "wss://far.example/", "p:1" },
		{ NULL, "p:1", "p:2", NULL, "wss://far.example/", "p:1" },
		{ NULL, "p:1", NULL, "example", "wss://far.example/", "" },
		{ NULL, "p:1", NULL, "other", "wss://far.example/", "p:1" },
		{ NULL, "p:1", NULL, NULL, "ws://127.0.0.1:1/", "" },
		{ NULL, "socks5://p:1", NULL, NULL, "wss://far.example/", "" },
		{ NULL, "p:x", NULL, NULL, "wss://far.example/", "" },
		{ "", "p:1", NULL, NULL, "wss://far.example/", "" },
		{ "http://q:2", "p:1", NULL, "*", "wss://far.example/",
		    "q:2" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		setup();
		setenv("https_proxy", rows[i].small ? rows[i].small : "", 1);
		setenv("HTTPS_PROXY", rows[i].large ? rows[i].large : "", 1);
		setenv("no_proxy", rows[i].without ? rows[i].without : "", 1);
		w.bot.proxy = rows[i].own;
		snprintf(w.own_url, sizeof w.own_url, "%s", rows[i].url);
		w.conf.qq_gateway_url = w.own_url;
		ask("1", false);
		EXPECT(w.session.ok);
		EXPECT_STR(w.proxy, rows[i].is);
		teardown();
	}
}

TEST(refused_credentials_are_fatal_at_once)
{
	setup();
	w.has_token = false;
	ask("1", false);
	EXPECT_INT(w.nanswers, 0);
	w.bot.token.refusal = &wrong;
	trust_on_token(&w.trust, &w.bot);
	EXPECT(w.session.fatal);
	EXPECT_STR(w.message, "fix it");
	ask("2", false);
	EXPECT_INT(w.nanswers, 2);
	EXPECT(w.session.fatal);
	teardown();
}

TEST(waits_for_a_token)
{
	setup();
	w.has_token = false;
	ask("1", false);
	trust_on_token(&w.trust, &w.bot);
	EXPECT_INT(w.nstarted, 0);
	w.has_token = true;
	w.bot.token.answers++;
	trust_on_token(&w.trust, &w.bot);
	EXPECT_INT(w.nstarted, 1);
	teardown();
	EXPECT_INT(w.ncancelled, 1);
}

TEST(a_fresh_token_is_a_new_answer)
{
	setup();
	w.advice = TOKEN_WAIT;
	ask("1", true);
	trust_on_token(&w.trust, &w.bot);
	EXPECT_INT(w.nstarted, 0);
	w.bot.token.answers++;
	trust_on_token(&w.trust, &w.bot);
	EXPECT_INT(w.nstarted, 1);
	/* Refused all the same: said so, not asked again. */
	answer(0, 401, "{\"code\":11244}");
	EXPECT_INT(w.nstarted, 1);
	EXPECT(!w.session.ok);
	teardown();
}

TEST(a_refused_token_is_renewed_once)
{
	setup();
	w.advice = TOKEN_WAIT;
	ask("1", false);
	answer(0, 401, "");
	EXPECT_INT(w.nanswers, 0);
	w.bot.token.answers++;
	trust_on_token(&w.trust, &w.bot);
	EXPECT_INT(w.nstarted, 2);
	answer(1, 200, WHOLE);
	EXPECT(w.session.ok);
	teardown();
}

TEST(questions_are_bounded)
{
	struct msg_session_ask stranger = { .bot = SLICE("8") };

	setup();
	w.has_token = false;
	for (int i = 0; i < TRUST_ASKS_MAX; i++)
		ask("1", false);
	EXPECT_INT(w.nanswers, 0);
	ask("over", false);
	EXPECT_INT(w.nanswers, 1);
	EXPECT_STR(w.id, "over");
	EXPECT(!w.session.ok);
	trust_session_ask(&w.trust, SLICE("gate"), &stranger);
	EXPECT_INT(w.nanswers, 2);
	EXPECT(!w.session.ok);
	teardown();
}

TEST(keys_and_signatures)
{
	struct msg_key_ask  k = { .bot = SLICE("7") };
	struct msg_sign_ask s = { .bot = SLICE("7"),
		.event_ts = SLICE("1725442341"),
		.plain_token = SLICE("Arq0D5A61EgUu4OxUvOp") };

	setup();
	trust_key_ask(&w.trust, SLICE("gate"), &k);
	EXPECT(w.key.ok);
	EXPECT_INT(w.key.public_key.n, 32);
	k.bot = SLICE("8");
	trust_key_ask(&w.trust, SLICE("gate"), &k);
	EXPECT(!w.key.ok);
	EXPECT_INT(w.key.public_key.n, 0);
	trust_sign_ask(&w.trust, SLICE("gate"), &s);
	EXPECT(w.sign.ok);
	EXPECT_INT(w.sign.signature.n, 128);
	s.plain_token = SLICE("{\"op\":0}");
	trust_sign_ask(&w.trust, SLICE("gate"), &s);
	EXPECT(!w.sign.ok);
	EXPECT_INT(w.sign.signature.n, 0);
	teardown();
}

TEST(notices_of_sessions)
{
	static const struct {
		const char *what, *bot;
		bool        away, live;    /* then; and it is told so */
	} rows[] = {
		{ "live", "7", false, false }, { "away", "7", true, false },
		{ "away", "7", true, false },  { "push_off", "7", true, false },
		{ "live", "8", true, false },  { "live", "7", false, true },
	};

	setup();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct msg_notice m = { .bot = slice_of(rows[i].bot),
			.what = slice_of(rows[i].what) };

		EXPECT((trust_notice(&w.trust, &m) == &w.bot) == rows[i].live);
		EXPECT((w.bot.away_ms != 0) == rows[i].away);
	}
	teardown();
}

int
main(void)
{
	RUN(a_session_with_its_budget);
	RUN(the_address_alone_will_do);
	RUN(a_useless_answer_is_a_no);
	RUN(an_address_of_the_operator);
	RUN(the_way_of_a_session);
	RUN(refused_credentials_are_fatal_at_once);
	RUN(waits_for_a_token);
	RUN(a_fresh_token_is_a_new_answer);
	RUN(a_refused_token_is_renewed_once);
	RUN(questions_are_bounded);
	RUN(keys_and_signatures);
	RUN(notices_of_sessions);
	return test_done();
}
