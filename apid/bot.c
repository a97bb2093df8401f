/*
 * The token's errands: asks when it is due, hands the answer to token.c,
 * tells the others.  Neither the question (the app secret) nor the answer is
 * ever logged, and both are wiped.
 */
#include "bot.h"

#include <stdlib.h>

#include "json.h"
#include "log.h"
#include "reply.h"

static void on_due(void *);

static void
schedule(struct bot *b)
{
	uint64_t next = token_next_ms(&b->token), now = loop_now(b->loop);

	if (next == 0)
		loop_cancel(b->loop, &b->timer);
	else
		loop_after(b->loop, &b->timer, next > now ? next - now : 0,
		    on_due, b);
}

/* --- asking --------------------------------------------------------------- */

static void
wipe(struct slice s)
{
	if (s.n > 0)
		explicit_bzero((void *)(uintptr_t)s.p, s.n);
}

static enum err
make_question(struct bot *b)
{
	struct json *o = json_new_object();
	struct slice text;
	enum err     e = ERR_NOMEM;

	json_put_text(o, "appId", b->app);
	json_put_text(o, "clientSecret",
	    secret_reveal(&b->conf->qq_client_secret));
	text = json_print(o);
	if (text.n > 0)
		e = secret_set(&b->question, text);
	wipe(text);
	wipe(json_text(json_get(o, "clientSecret")));
	json_free(&o);
	return e;
}

static void
log_answer(const struct bot *b, const struct token_reply *r, unsigned status)
{
	uint64_t now = loop_now(b->loop), next = b->token.next_ms;
	uint64_t in_ms = next > now ? next - now : 0;

	if (r->kind == TOKEN_GIVEN)
		log_info("token.given", KV("bot", b->app),
		    KV("lasts_s", r->lasts_ms / 1000),
		    KV("renew_s", in_ms / 1000),
		    KV("generation", b->token.generation));
	else if (r->kind == TOKEN_REFUSED)
		log_error("token.refused", KV("bot", b->app),
		    KV("code", r->code), KV("why", r->why),
		    KV("remedy", r->refusal->remedy),
		    KV("again_s", in_ms / 1000));
	else
		log_warn("token.failed", KV("bot", b->app),
		    KV("why", r->why), KV("code", r->code),
		    KV("status", status), KV("again_ms", in_ms),
		    KV("left_s", token_left_ms(&b->token, now) / 1000));
}

static void
settle(struct bot *b, struct token_reply *r, unsigned status)
{
	token_answer(&b->token, r, loop_now(b->loop), backoff_chance());
	b->trouble = r->kind == TOKEN_GIVEN ? NULL : r->why;
	b->trouble_code = r->kind == TOKEN_GIVEN ? 0 : r->code;
	log_answer(b, r, status);
	secret_wipe(&r->value);
	schedule(b);
	b->on_token(b->self, b);
}

static void
on_answer(void *self, const struct http_answer *a)
{
	struct bot        *b = self;
	struct token_reply r;

	secret_wipe(&b->question);
	token_read(&r, a->status, a->body);
	if (a->status == 0)
		r.why = err_text(a->err);
	wipe(a->body);
	settle(b, &r, a->status);
}

static void
on_due(void *self)
{
	struct bot        *b = self;
	struct token_reply failed = { .kind = TOKEN_BROKEN };
	enum err           e;

	if (!token_ask(&b->token, loop_now(b->loop))) {
		schedule(b);
		return;
	}
	if ((e = make_question(b)) == ERR_OK) {
		b->ask = (struct http_request){ .method = "POST",
			.url = b->conf->qq_token_url,
			.body = secret_reveal(&b->question),
			.headers = b->ask_headers, .proxy = b->proxy,
			.urgent = true,
			.most_ms = BOT_ASK_MS,
			.on_done = on_answer, .self = b };
		e = http_start(b->http, &b->ask);
	}
	if (e == ERR_OK)
		return;
	secret_wipe(&b->question);
	failed.why = err_text(e);
	settle(b, &failed, 0);
}

/* --- the token at work ---------------------------------------------------- */

bool
bot_has_token(const struct bot *b)
{
	return token_usable(&b->token, loop_now(b->loop));
}

bool
bot_set_away(struct bot *b, bool away)
{
	if (away == (b->away_ms != 0))
		return false;
	b->away_ms = away ? loop_now(b->loop) : 0;
	return true;
}

struct http_headers *
bot_headers(struct bot *b, bool callback)
{
	struct http_headers **to = &b->headers[callback];
	struct buf            auth = { 0 };
	char                  app[64], answers[64];
	const char           *lines[6];

	if (*to != NULL && b->headers_of[callback] == b->token.generation)
		return *to;
	http_headers_free(to);
	buf_puts(&auth, "Authorization: QQBot ");
	buf_put(&auth, secret_reveal(&b->token.value));
	snprintf(app, sizeof app, "X-Union-Appid: %.*s", (int)b->app.n,
	    b->app.p);
	snprintf(answers, sizeof answers, "X-Callback-AppID: %.*s",
	    (int)b->app.n, b->app.p);
	lines[0] = auth.p;
	lines[1] = app;
	lines[2] = "Content-Type: application/json";
	lines[3] = "Expect:";
	lines[4] = callback ? answers : NULL;
	lines[5] = NULL;
	if (!auth.failed)
		*to = http_headers_new(lines);
	b->headers_of[callback] = b->token.generation;
	wipe(buf_slice(&auth));
	buf_free(&auth);
	return *to;
}

enum token_advice
bot_doubt(struct bot *b, uint64_t generation)
{
	enum token_advice advice = token_doubt(&b->token, generation,
	    loop_now(b->loop));

	if (advice == TOKEN_WAIT)
		schedule(b);
	return advice;
}

/* --- are its calls taken? --------------------------------------------------- */

static void on_look_due(void *);

static void
look_at(struct bot *b, uint64_t at_ms)
{
	uint64_t now = loop_now(b->loop);

	loop_after(b->loop, &b->look_timer, at_ms > now ? at_ms - now : 0,
	    on_look_due, b);
}

/* While calls wait, when the breaker says; else now and then. */
static void
schedule_look(struct bot *b)
{
	uint64_t now = loop_now(b->loop), every = b->conf->health_s * 1000;

	if (b->looking)
		return;
	if (b->breaker.state != BREAKER_CLOSED)
		look_at(b, b->breaker.next_ms);
	else if (every > 0)
		look_at(b, now + every);
	else
		loop_cancel(b->loop, &b->look_timer);
}

bool
bot_may_send(const struct bot *b)
{
	return b->breaker.state == BREAKER_CLOSED && bot_has_token(b);
}

static void
refused(struct bot *b, bool config, uint64_t code, struct slice message)
{
	bool opened;

	b->refused_code = code;
	snprintf(b->refused_why, sizeof b->refused_why, "%.*s",
	    (int)(message.n < 120 ? message.n : 120),
	    message.n > 0 ? message.p : "");
	opened = breaker_strike(&b->breaker, config, loop_now(b->loop),
	    backoff_chance());
	schedule_look(b);
	if (!opened)
		return;
	log_error("bot.refused", KV("bot", b->app), KV("code", code),
	    KV("why", (const char *)b->refused_why),
	    KV("again_ms", b->breaker.next_ms - loop_now(b->loop)));
	b->on_token(b->self, b);
}

void
bot_refused(struct bot *b, bool config, uint64_t code, struct slice message)
{
	/* What had left before it was known says nothing new. */
	if (b->breaker.state == BREAKER_CLOSED)
		refused(b, config, code, message);
}

void
bot_taken(struct bot *b)
{
	if (!breaker_pass(&b->breaker))
		return;
	log_info("bot.taken", KV("bot", b->app));
	schedule_look(b);
	b->on_token(b->self, b);
}

/* The token first: once a new one, as for any call. */
static void
look_refused(struct bot *b, const struct reply *r)
{
	if (r->cls == CLASS_REFRESH_TOKEN && !b->doubted) {
		b->doubted = true;
		breaker_unclear(&b->breaker, loop_now(b->loop), 0);
		if (bot_doubt(b, b->looked_with) == TOKEN_WAIT)
			b->on_token(b->self, b);
		look_at(b, loop_now(b->loop) + BOT_LOOK_AGAIN_MS);
		return;
	}
	b->doubted = false;
	refused(b, r->cls == CLASS_CONFIG, r->code, r->message);
}

static void
on_look(void *self, const struct http_answer *a)
{
	struct bot        *b = self;
	struct reply       r;

	reply_read(&r, a);
	b->looking = false;
	b->health = (struct bot_health){ .known = true,
		.ok = r.cls == CLASS_DONE, .status = r.status, .code = r.code,
		.at_ms = loop_now(b->loop) };
	if (r.cls == CLASS_DONE) {
		b->doubted = false;
		bot_taken(b);
		schedule_look(b);
	} else if (r.cls == CLASS_REFRESH_TOKEN || r.cls == CLASS_CONFIG)
		look_refused(b, &r);
	else {
		breaker_unclear(&b->breaker, loop_now(b->loop),
		    backoff_chance());
		schedule_look(b);
	}
	if (!b->health.ok)
		log_warn("bot.look", KV("bot", b->app),
		    KV("status", r.status), KV("code", r.code),
		    KV("why", r.message), KV("trace", r.trace));
	reply_free(&r);
}

static void
on_look_due(void *self)
{
	struct bot *b = self;

	if (b->looking)
		return;
	b->look = (struct http_request){ .method = "GET", .url = b->look_url,
		.headers = bot_has_token(b) ? bot_headers(b, false) : NULL,
		.proxy = b->proxy, .urgent = true, .most_ms = BOT_ASK_MS,
		.on_done = on_look, .self = b };
	b->looked_with = b->token.generation;
	if (b->look.headers == NULL ||
	    http_start(b->http, &b->look) != ERR_OK) {
		look_at(b, loop_now(b->loop) + BOT_LOOK_AGAIN_MS);
		return;
	}
	b->looking = true;
	b->breaker.asking = b->breaker.state != BREAKER_CLOSED;
}

void
bot_wake(struct bot *b)
{
	uint64_t now = loop_now(b->loop);

	if (b->token.refusal != NULL && !b->token.asking) {
		b->token.next_ms = now;
		schedule(b);
	}
	if (b->breaker.state != BREAKER_CLOSED && !b->looking)
		look_at(b, now);
}

void
bot_why(const struct bot *b, char *why, size_t size)
{
	if (b->breaker.state != BREAKER_CLOSED)
		snprintf(why, size, "the platform takes no call of bot %.*s: "
		    "code %llu: %s", (int)b->app.n, b->app.p,
		    (unsigned long long)b->refused_code, b->refused_why);
	else if (!bot_has_token(b))
		snprintf(why, size, "no access token: %s",
		    b->trouble != NULL ? b->trouble : "not in time");
	else
		why[0] = '\0';
}

/* --- its state -------------------------------------------------------------- */

enum bot_state
bot_state(const struct bot *b)
{
	if (b->conf == NULL || b->leaving)
		return BOT_READY; /* not there any more */
	if (b->token.refusal != NULL || b->breaker.state == BREAKER_CONFIG)
		return BOT_PARKED;
	return token_left_ms(&b->token, loop_now(b->loop)) > 0 &&
	        b->breaker.state == BREAKER_CLOSED
	    ? BOT_READY
	    : BOT_DEGRADED;
}

void
bot_remedy(const struct bot *b, struct buf *out)
{
	const struct token_refusal *r = b->token.refusal;

	if (r == NULL && b->breaker.state == BREAKER_CONFIG)
		buf_putf(out, "bot %.*s: the platform refuses this machine "
		    "(code %llu: %s): in its console, add the address from "
		    "which apid reaches it to the bot's IP allow-list, or use "
		    "a proxy that is on it (https_proxy); asked again every "
		    "%d s, or at once by rookery reload", (int)b->app.n,
		    b->app.p, (unsigned long long)b->refused_code,
		    b->refused_why, BREAKER_CONFIG_MS / 1000);
	else if (r == NULL && b->breaker.state == BREAKER_REFUSED)
		buf_putf(out, "bot %.*s: the platform gives tokens and "
		    "refuses them (code %llu: %s): see whether the bot is "
		    "disabled or banned in the platform's console",
		    (int)b->app.n, b->app.p,
		    (unsigned long long)b->refused_code, b->refused_why);

	if (r != NULL)
		buf_putf(out, "bot %.*s: %s; platform code %lld: %s",
		    (int)b->app.n, b->app.p, r->remedy, (long long)r->code,
		    r->why);
}

/* --- life ----------------------------------------------------------------- */

enum err
bot_open(struct bot *b, const struct conf *conf, struct loop *loop,
    struct http *http, void (*on_token)(void *, struct bot *), void *self)
{
	static const char *const lines[] = { "Content-Type: application/json",
		"Expect:", NULL };
	enum err e;

	*b = (struct bot){ .conf = conf, .loop = loop, .http = http,
		.app = slice_of(conf->qq_app_id),
		.api = slice_of(conf_api_url(conf)), .on_token = on_token,
		.self = self };
	if (strcmp(conf->qq_proxy, "none") == 0)
		b->proxy = "";
	else if (conf->qq_proxy[0] != '\0')
		b->proxy = conf->qq_proxy;
	while (b->api.n > 0 && b->api.p[b->api.n - 1] == '/')
		b->api.n--;
	token_open(&b->token, loop_now(loop), conf->park_ms);
	breaker_open(&b->breaker);
	if (asprintf(&b->look_url, "%.*s/users/@me", (int)b->api.n,
	        b->api.p) < 0)
		b->look_url = NULL;
	if (b->look_url == NULL ||
	    (b->ask_headers = http_headers_new(lines)) == NULL)
		return ERR_NOMEM;
	e = signature_new(&b->signature,
	    secret_reveal(&conf->qq_client_secret));
	if (e == ERR_CONFIG)
		log_error("config.bad", KV("setting", "QQ_CLIENT_SECRET"),
		    KV("bot", b->app), KV("why", "is empty"),
		    KV("remedy", "set the app secret of this bot, from the "
		                 "platform's console"));
	if (e == ERR_OK) {
		schedule(b);
		if (conf->health_s > 0)
			look_at(b, loop_now(loop) +
			    (conf->health_s * 1000 < BOT_FIRST_LOOK_MS
			            ? conf->health_s * 1000
			            : BOT_FIRST_LOOK_MS));
	}
	return e;
}

void
bot_close(struct bot *b)
{
	if (b->http != NULL && b->token.asking)
		http_cancel(b->http, &b->ask);
	if (b->http != NULL && b->looking)
		http_cancel(b->http, &b->look);
	if (b->loop != NULL) {
		loop_cancel(b->loop, &b->timer);
		loop_cancel(b->loop, &b->look_timer);
	}
	free(b->look_url);
	token_close(&b->token);
	secret_wipe(&b->question);
	http_headers_free(&b->ask_headers);
	http_headers_free(&b->headers[0]);
	http_headers_free(&b->headers[1]);
	signature_free(&b->signature);
}
