/*
 * The token's errands: asks when it is due, hands the answer to token.c,
 * tells the others.  Neither the question (the app secret) nor the answer is
 * ever logged, and both are wiped.
 */
#include "bot.h"

#include <stdlib.h>

#include "json.h"
#include "log.h"

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
			.headers = b->ask_headers, .urgent = true,
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
bot_headers(struct bot *b)
{
	struct buf   auth = { 0 };
	char         app[64];
	const char  *lines[5];

	if (b->headers != NULL && b->headers_of == b->token.generation)
		return b->headers;
	http_headers_free(&b->headers);
	buf_puts(&auth, "Authorization: QQBot ");
	buf_put(&auth, secret_reveal(&b->token.value));
	snprintf(app, sizeof app, "X-Union-Appid: %.*s", (int)b->app.n,
	    b->app.p);
	lines[0] = auth.p;
	lines[1] = app;
	lines[2] = "Content-Type: application/json";
	lines[3] = "Expect:";
	lines[4] = NULL;
	if (!auth.failed)
		b->headers = http_headers_new(lines);
	b->headers_of = b->token.generation;
	wipe(buf_slice(&auth));
	buf_free(&auth);
	return b->headers;
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

enum bot_state
bot_state(const struct bot *b)
{
	if (b->token.refusal != NULL)
		return BOT_PARKED;
	return token_left_ms(&b->token, loop_now(b->loop)) > 0 ? BOT_READY
	                                                       : BOT_DEGRADED;
}

void
bot_remedy(const struct bot *b, struct buf *out)
{
	const struct token_refusal *r = b->token.refusal;

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
	while (b->api.n > 0 && b->api.p[b->api.n - 1] == '/')
		b->api.n--;
	token_open(&b->token, loop_now(loop), conf->park_ms);
	if ((b->ask_headers = http_headers_new(lines)) == NULL)
		return ERR_NOMEM;
	e = signature_new(&b->signature,
	    secret_reveal(&conf->qq_client_secret));
	if (e == ERR_CONFIG)
		log_error("config.bad", KV("setting", "QQ_CLIENT_SECRET"),
		    KV("bot", b->app), KV("why", "is empty"),
		    KV("remedy", "set the app secret of this bot, from the "
		                 "platform's console"));
	if (e == ERR_OK)
		schedule(b);
	return e;
}

void
bot_close(struct bot *b)
{
	if (b->http != NULL && b->token.asking)
		http_cancel(b->http, &b->ask);
	if (b->loop != NULL)
		loop_cancel(b->loop, &b->timer);
	token_close(&b->token);
	secret_wipe(&b->question);
	http_headers_free(&b->ask_headers);
	http_headers_free(&b->headers);
	signature_free(&b->signature);
}
