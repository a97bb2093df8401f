// links: apid/bot.c apid/breaker.c apid/reply.c apid/token.c apid/signature.c common
// libs: libcrypto
/*
 * A bot's errands for its token; http.c is played here.
 */
#include "test.h"

#include <stdlib.h>

#include "bot.h"
#include "log.h"

static struct {
	struct loop         *loop;
	struct conf          conf;
	struct bot           bot;
	struct http_request *asked;
	size_t               nasked, told;
	char                 body[256], url[64], auth[64];
	uint64_t             most_ms;
	char                 app[8], api[32], token_url[32], proxy[32];
	bool                 refuse;
} w;

enum err
http_start(struct http *h, struct http_request *r)
{
	(void)h;
	if (w.refuse)
		return ERR_NOMEM;
	w.asked = r;
	w.nasked++;
	snprintf(w.body, sizeof w.body, "%.*s", (int)r->body.n, r->body.p);
	snprintf(w.url, sizeof w.url, "%s", r->url);
	w.most_ms = r->most_ms;
	return ERR_OK;
}

void
http_cancel(struct http *h, struct http_request *r)
{
	(void)h, (void)r;
}

struct http_headers *
http_headers_new(const char *const *lines)
{
	snprintf(w.auth, sizeof w.auth, "%s", lines[0]);
	return malloc(1);
}

void
http_headers_free(struct http_headers **h)
{
	free(*h);
	*h = NULL;
}

static void
on_token(void *self, struct bot *b)
{
	(void)self, (void)b;
	w.told++;
}

static void
answer(unsigned status, const char *body)
{
	char               copy[256];
	struct http_answer a = { .status = status, .why = "",
		.err = status == 0 ? ERR_TIMEOUT : ERR_OK,
		.body = { copy, strlen(body) } };

	memcpy(copy, body, strlen(body));
	w.asked->on_done(w.asked->self, &a);
	EXPECT_INT(w.bot.question.n, 0); /* wiped */
	for (size_t i = 0; i < a.body.n; i++)
		EXPECT_INT(copy[i], 0);
}

static void
turn_until_asked(size_t n)
{
	uint64_t end = loop_clock_ms() + 5000;

	while (w.nasked < n && loop_clock_ms() < end)
		loop_turn(w.loop, 100, NULL);
	EXPECT_INT(w.nasked, n);
}

static void
setup(const char *secret)
{
	memset(&w, 0, sizeof w);
	log_open("test", LOG_ERROR, false);
	strcpy(w.app, "7");
	strcpy(w.api, "https://api.example//");
	strcpy(w.token_url, "https://token.example/get");
	w.conf.qq_app_id = w.app;
	w.conf.qq_api_url = w.api;
	w.conf.qq_token_url = w.token_url;
	w.conf.qq_proxy = w.proxy;
	w.conf.park_ms = 600000;
	EXPECT_INT(secret_set(&w.conf.qq_client_secret, slice_of(secret)),
	    ERR_OK);
	EXPECT_INT(loop_new(&w.loop), ERR_OK);
}

static void
start(void)
{
	EXPECT_INT(bot_open(&w.bot, &w.conf, w.loop, NULL, on_token, NULL),
	    ERR_OK);
}

static void
teardown(void)
{
	bot_close(&w.bot);
	secret_wipe(&w.conf.qq_client_secret);
	loop_free(&w.loop);
}

TEST(asks_for_its_token)
{
	setup("s\"x");
	start();
	EXPECT_SLICE(w.bot.api, "https://api.example");
	EXPECT_INT(bot_state(&w.bot), BOT_DEGRADED);
	turn_until_asked(1);
	EXPECT_STR(w.url, "https://token.example/get");
	EXPECT(w.most_ms > 0 && 2 * w.most_ms < TOKEN_EARLY_MS);
	EXPECT_STR(w.body, "{\"appId\":\"7\",\"clientSecret\":\"s\\\"x\"}");
	EXPECT(w.asked->urgent);
	answer(200, "{\"access_token\":\"A\",\"expires_in\":\"7200\"}");
	EXPECT_INT(w.told, 1);
	EXPECT(bot_has_token(&w.bot));
	EXPECT_INT(bot_state(&w.bot), BOT_READY);
	EXPECT(bot_headers(&w.bot, false) != NULL);
	EXPECT_STR(w.auth, "Authorization: QQBot A");
	EXPECT(bot_headers(&w.bot, false) == bot_headers(&w.bot, false));
	/* A doubt asks at once, and the headers follow. */
	EXPECT_INT(bot_doubt(&w.bot, 1), TOKEN_WAIT);
	turn_until_asked(2);
	answer(200, "{\"access_token\":\"B\",\"expires_in\":7200}");
	EXPECT(bot_headers(&w.bot, false) != NULL);
	EXPECT_STR(w.auth, "Authorization: QQBot B");
	teardown();
}

TEST(asks_again_after_a_failure)
{
	setup("s");
	start();
	turn_until_asked(1);
	answer(0, "");
	EXPECT_STR(w.bot.trouble, err_text(ERR_TIMEOUT));
	EXPECT_INT(w.told, 1);
	turn_until_asked(2);
	w.refuse = true;
	answer(500, "<html>");
	EXPECT_INT(w.nasked, 2);
	teardown();
}

TEST(says_what_a_person_must_do)
{
	struct buf text = { 0 };

	setup("s");
	start();
	turn_until_asked(1);
	answer(200, "{\"code\":100016,\"message\":\"invalid\"}");
	EXPECT_INT(bot_state(&w.bot), BOT_PARKED);
	EXPECT_INT(w.bot.trouble_code, 100016);
	bot_remedy(&w.bot, &text);
	EXPECT(strstr(text.p, "QQ_CLIENT_SECRET") != NULL);
	EXPECT(strstr(text.p, "100016") != NULL);
	EXPECT(strstr(text.p, "bot 7") != NULL);
	EXPECT(token_next_ms(&w.bot.token) > loop_now(w.loop) + 590000);
	buf_free(&text);
	teardown();
}

TEST(an_empty_secret_is_a_setting_to_mend)
{
	setup("");
	EXPECT_INT(bot_open(&w.bot, &w.conf, w.loop, NULL, on_token, NULL),
	    ERR_CONFIG);
	teardown();
}

/* The answer to a look at itself, which is not wiped. */
static void
look(unsigned status, const char *body)
{
	struct http_answer a = { .status = status, .body = slice_of(body),
		.why = "", .err = status == 0 ? ERR_TIMEOUT : ERR_OK };

	EXPECT_STR(w.url, "https://api.example/users/@me");
	w.asked->on_done(w.asked->self, &a);
}

TEST(three_refusals_and_one_question_at_a_time)
{
	char        why[256];
	struct slice no = SLICE("no");
	size_t      told;

	setup("s");
	start();
	turn_until_asked(1);
	answer(200, "{\"access_token\":\"A\",\"expires_in\":7200}");
	bot_refused(&w.bot, false, 11244, no);
	bot_taken(&w.bot);
	bot_refused(&w.bot, false, 11244, no);
	bot_refused(&w.bot, false, 11244, no);
	EXPECT(bot_may_send(&w.bot));
	told = w.told;
	bot_refused(&w.bot, false, 11244, no);
	EXPECT(!bot_may_send(&w.bot));
	EXPECT(bot_has_token(&w.bot));
	EXPECT_INT(w.told, told + 1);
	EXPECT_INT(bot_state(&w.bot), BOT_DEGRADED);
	bot_why(&w.bot, why, sizeof why);
	EXPECT(strstr(why, "bot 7") != NULL && strstr(why, "11244") != NULL);
	turn_until_asked(2); /* after a second */
	bot_refused(&w.bot, false, 11244, no); /* one that was under way */
	look(503, "<html>");
	EXPECT(!w.bot.health.ok);
	EXPECT_INT(w.bot.health.status, 503);
	turn_until_asked(3);
	look(200, "{\"id\":\"1\"}");
	EXPECT(bot_may_send(&w.bot));
	EXPECT(w.bot.health.ok);
	EXPECT_INT(w.told, told + 2);
	bot_why(&w.bot, why, sizeof why);
	EXPECT_STR(why, "");
	teardown();
}

TEST(what_a_person_must_mend_is_asked_slowly_and_when_they_have)
{
	struct buf text = { 0 };

	setup("s");
	start();
	turn_until_asked(1);
	answer(200, "{\"access_token\":\"A\",\"expires_in\":7200}");
	bot_refused(&w.bot, true, 11298, SLICE("ip 192.0.2.7"));
	EXPECT_INT(bot_state(&w.bot), BOT_PARKED);
	EXPECT(w.bot.breaker.next_ms >= loop_now(w.loop) + 59000);
	bot_remedy(&w.bot, &text);
	EXPECT(strstr(text.p, "bot 7") != NULL);
	EXPECT(strstr(text.p, "allow-list") != NULL);
	EXPECT(strstr(text.p, "192.0.2.7") != NULL);
	buf_free(&text);
	bot_wake(&w.bot);
	turn_until_asked(2);
	look(401, "{\"code\":40023002,\"message\":\"still\"}");
	EXPECT_INT(bot_state(&w.bot), BOT_PARKED);
	bot_wake(&w.bot);
	turn_until_asked(3);
	look(200, "{}");
	EXPECT_INT(bot_state(&w.bot), BOT_READY);
	teardown();
}

TEST(looks_at_itself_now_and_then)
{
	setup("s");
	w.conf.health_s = 1;
	start();
	turn_until_asked(1);
	answer(200, "{\"access_token\":\"A\",\"expires_in\":7200}");
	turn_until_asked(2);
	look(200, "{}");
	EXPECT(w.bot.health.known && w.bot.health.ok);
	/* A refused token is asked for anew before anything is concluded. */
	turn_until_asked(3);
	look(401, "{\"code\":11244}");
	EXPECT(!w.bot.health.ok);
	EXPECT_INT(w.bot.breaker.strikes, 0);
	turn_until_asked(4);
	answer(200, "{\"access_token\":\"B\",\"expires_in\":7200}");
	turn_until_asked(5);
	look(401, "{\"code\":11244}");
	EXPECT_INT(w.bot.breaker.strikes, 1);
	teardown();
}

int
main(void)
{
	RUN(asks_for_its_token);
	RUN(asks_again_after_a_failure);
	RUN(says_what_a_person_must_do);
	RUN(an_empty_secret_is_a_setting_to_mend);
	RUN(three_refusals_and_one_question_at_a_time);
	RUN(what_a_person_must_mend_is_asked_slowly_and_when_they_have);
	RUN(looks_at_itself_now_and_then);
	return test_done();
}
