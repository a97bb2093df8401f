/*
 * A question about a session goes token -> /gateway/bot -> (/gateway) ->
 * answer; the other two are answered on the spot.  When /gateway/bot fails,
 * /gateway still tells the address; the budget is then not known and the
 * platform's documented figures are given.
 */
#include "trust.h"

#include <stdlib.h>

#include "catalog.h"
#include "log.h"
#include "proxy.h"
#include "reply.h"

struct trust_ask {
	struct trust_ask   *next;
	struct trust       *trust;
	struct bot         *bot;
	enum { WAITS_TOKEN, ASKS } state;
	enum call_id        request;
	bool                doubted;      /* the token has been questioned */
	bool                needs_new;    /* and only a new answer settles it */
	uint64_t            generation, answers, again_ms;
	struct timer        timer;
	struct http_request http;
	struct buf          url;
	size_t              npeer;
	char                why[160];
	char                bytes[];      /* peer, then id */
};

/* What the platform has not told stays 0: whoever asks knows it from before, or
 * does without. */
static const struct msg_session_answer untold;

/* --- the answer ----------------------------------------------------------- */

static struct slice
ask_id(const struct trust_ask *a)
{
	return slice_of(a->bytes + a->npeer);
}

static void
ask_free(struct trust_ask *a)
{
	struct trust_ask **at = &a->trust->first;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	a->trust->n--;
	loop_cancel(a->trust->loop, &a->timer);
	http_cancel(a->trust->http, &a->http);
	buf_free(&a->url);
	free(a);
}

static void
answer(struct trust_ask *a, struct msg_session_answer *m)
{
	struct trust *t = a->trust;

	m->id = ask_id(a);
	m->bot = a->bot->app;
	t->send(t->self, (msg_peer){ a->bytes, a->npeer },
	    MSG_session_answer, m);
	ask_free(a);
}

static void
refuse(struct trust_ask *a, const char *why)
{
	const struct token_refusal *r = a->bot->token.refusal;
	struct buf                  text = { 0 };
	struct msg_session_answer   m = { .fatal = r != NULL };

	bot_remedy(a->bot, &text);
	m.message = r != NULL ? buf_slice(&text) : slice_of(why);
	m.again_ms = a->again_ms;
	log_warn("session.refused", KV("bot", a->bot->app),
	    KV("why", m.message), KV("fatal", m.fatal));
	answer(a, &m);
	buf_free(&text);
}

static const char *
environment(const char *small, const char *large)
{
	const char *v = getenv(small);

	if (v == NULL || v[0] == '\0')
		v = getenv(large);
	return v != NULL ? v : "";
}

/* The way of its requests, as libcurl finds it, appended. */
static enum err
put_proxy(const struct bot *b, struct slice url, struct buf *out)
{
	const char *proxy = b->proxy;
	enum err    e;

	if (!slice_starts(url, SLICE("wss://")))
		return ERR_OK; /* stays on this machine */
	if (proxy == NULL) {
		proxy = environment("https_proxy", "HTTPS_PROXY");
		if (proxy_is_excepted(environment("no_proxy", "NO_PROXY"),
		        conf_url_host(url)))
			proxy = "";
	}
	if (proxy[0] == '\0')
		return ERR_OK;
	if ((e = proxy_read(slice_of(proxy), out)) == ERR_NOMEM)
		return e;
	if (e != ERR_OK) {
		buf_reset(out);
		log_warn("session.proxy", KV("bot", b->app),
		    KV("why", e == ERR_FORBIDDEN
		            ? "https_proxy is of a kind that sessions cannot "
		              "take: the session goes without it"
		            : "https_proxy is no address of a proxy: the "
		              "session goes without it"),
		    KV("remedy", "QQ_PROXY=http://HOST:PORT, or none"));
	}
	return ERR_OK;
}

static void
grant(struct trust_ask *a, struct slice url,
    const struct msg_session_answer *budget)
{
	struct msg_session_answer m = *budget;
	struct buf                proxy = { 0 };

	if (!conf_url_allowed(url) ||
	    !(slice_starts(url, SLICE("wss://")) ||
	        slice_starts(url, SLICE("ws://")))) {
		refuse(a, "the platform's gateway address is not wss://");
		return;
	}
	if (put_proxy(a->bot, url, &proxy) != ERR_OK) {
		buf_free(&proxy);
		refuse(a, "out of memory");
		return;
	}
	m.ok = true;
	m.url = url;
	m.proxy = buf_slice(&proxy);
	m.token = secret_reveal(&a->bot->token.value);
	log_info("session.given", KV("bot", a->bot->app), KV("url", url),
	    KV("shards", m.shards), KV("remaining", m.remaining));
	answer(a, &m);
	if (proxy.p != NULL) /* a password may be in it */
		explicit_bzero(proxy.p, proxy.cap);
	buf_free(&proxy);
}

/* --- asking the platform -------------------------------------------------- */

static void on_answer(void *, const struct http_answer *);

static void
ask_platform(struct trust_ask *a, enum call_id request)
{
	const struct catalog_row *row = catalog_row(request);
	struct bot *b = a->bot;
	enum err    e;

	a->state = ASKS;
	a->request = request;
	a->generation = b->token.generation;
	buf_reset(&a->url);
	buf_put(&a->url, b->api);
	buf_puts(&a->url, row->path);
	e = a->url.failed ? ERR_NOMEM : ERR_OK;
	a->http = (struct http_request){ .method = row->method,
		.url = a->url.p, .headers = bot_headers(b, false),
		.proxy = b->proxy, .urgent = true, .on_done = on_answer, .self = a };
	if (e == ERR_OK && a->http.headers == NULL)
		e = ERR_NOMEM;
	if (e == ERR_OK)
		e = http_start(b->http, &a->http);
	if (e != ERR_OK)
		refuse(a, err_text(e));
}

static uint64_t
number(const struct json *doc, const char *path, uint64_t fallback)
{
	int64_t n;

	return json_int_at(doc, path, &n) && n >= 0 ? (uint64_t)n : fallback;
}

static void
read_session(struct trust_ask *a, const struct json *doc)
{
	struct msg_session_answer m = untold;
	const char               *own = a->bot->conf->qq_gateway_url;
	struct slice              url = json_text_at(doc, "url");

	m.shards = number(doc, "shards", 0);
	m.total = number(doc, "session_start_limit.total", 0);
	m.remaining = number(doc, "session_start_limit.remaining", m.total);
	m.reset_after_ms = number(doc, "session_start_limit.reset_after", 0);
	m.max_concurrency = number(doc, "session_start_limit.max_concurrency",
	    0);
	grant(a, own[0] != '\0' ? slice_of(own) : url, &m);
}

/* The token is there: go on with what is still to be asked. */
static void
proceed(struct trust_ask *a)
{
	const char *own = a->bot->conf->qq_gateway_url;

	if (own[0] != '\0')
		grant(a, slice_of(own), &untold);
	else
		ask_platform(a, CALL_gateway_bot_get);
}

static void
wait_for_token(struct trust_ask *a, bool needs_new)
{
	a->state = WAITS_TOKEN;
	a->needs_new = needs_new;
	a->answers = a->bot->token.answers;
}

/* The platform refuses the token: once a new one, as for any request. */
static void
doubt(struct trust_ask *a)
{
	a->doubted = true;
	if (bot_doubt(a->bot, a->generation) == TOKEN_WAIT)
		wait_for_token(a, true);
	else
		proceed(a);
}

static void
on_answer(void *self, const struct http_answer *h)
{
	struct trust_ask  *a = self;
	struct reply       r;

	reply_read(&r, h);
	snprintf(a->why, sizeof a->why, "%s: status %u, code %llu: %.*s",
	    catalog_row(a->request)->path, r.status, (unsigned long long)r.code,
	    (int)(r.message.n < 80 ? r.message.n : 80), r.message.p);
	if (r.cls == CLASS_DONE && json_text_at(r.doc, "url").n > 0)
		read_session(a, r.doc);
	else if (r.cls == CLASS_REFRESH_TOKEN && !a->doubted)
		doubt(a);
	else if (a->request == CALL_gateway_bot_get && r.status >= 400 &&
	    r.cls != CLASS_REFRESH_TOKEN)
		ask_platform(a, CALL_gateway_get);
	else
		refuse(a, a->why);
	reply_free(&r);
}

/* --- questions ------------------------------------------------------------ */

static void
on_time_out(void *self)
{
	struct trust_ask *a = self;
	const char       *why = a->bot->trouble;

	/* Asking for a token that is not here yet costs nothing. */
	if (a->state == WAITS_TOKEN) {
		a->again_ms = TRUST_AGAIN_MS;
		refuse(a, why != NULL ? why : "no access token yet");
	} else
		refuse(a, a->why[0] != '\0' ? a->why
		                            : "the platform does not answer");
}

static void
refuse_at_once(struct trust *t, msg_peer from,
    const struct msg_session_ask *m, struct slice why)
{
	struct msg_session_answer no = { .id = m->id, .bot = m->bot,
		.message = why };

	t->send(t->self, from, MSG_session_answer, &no);
}

static struct trust_ask *
ask_new(struct trust *t, msg_peer from, const struct msg_session_ask *m,
    struct bot *b)
{
	struct trust_ask *a = calloc(1, sizeof *a + from.n + m->id.n + 1);

	if (a == NULL)
		return NULL;
	a->trust = t;
	a->bot = b;
	a->npeer = from.n;
	memcpy(a->bytes, from.p, from.n);
	if (m->id.n > 0)
		memcpy(a->bytes + from.n, m->id.p, m->id.n);
	a->next = t->first;
	t->first = a;
	t->n++;
	loop_after(t->loop, &a->timer, TRUST_ASK_MS, on_time_out, a);
	return a;
}

void
trust_session_ask(struct trust *t, msg_peer from,
    const struct msg_session_ask *m)
{
	struct bot       *b = t->find_bot(t->self, m->bot);
	struct trust_ask *a;
	bool              needs_new;

	if (b == NULL) {
		refuse_at_once(t, from, m, SLICE("no such bot here"));
		return;
	}
	if (t->n >= TRUST_ASKS_MAX || (a = ask_new(t, from, m, b)) == NULL) {
		refuse_at_once(t, from, m, SLICE("too many questions"));
		return;
	}
	a->doubted = m->fresh;
	needs_new = m->fresh &&
	    bot_doubt(b, b->token.generation) == TOKEN_WAIT;
	if (!needs_new && bot_has_token(b))
		proceed(a);
	else if (b->token.refusal != NULL)
		refuse(a, ""); /* of no use before a person has acted */
	else
		wait_for_token(a, needs_new);
}

void
trust_on_token(struct trust *t, struct bot *b)
{
	struct trust_ask *a, *next;

	for (a = t->first; a != NULL; a = next) {
		next = a->next;
		if (a->bot != b || a->state != WAITS_TOKEN)
			continue;
		if (b->token.refusal != NULL && !bot_has_token(b))
			refuse(a, "");
		else if (bot_has_token(b) &&
		    !(a->needs_new && b->token.answers == a->answers))
			proceed(a);
	}
}

void
trust_key_ask(struct trust *t, msg_peer from, const struct msg_key_ask *m)
{
	struct bot           *b = t->find_bot(t->self, m->bot);
	unsigned char         key[SIGNATURE_KEY];
	struct msg_key_answer a = { .id = m->id, .bot = m->bot };

	if (b != NULL && signature_public_key(b->signature, key) == ERR_OK) {
		a.ok = true;
		a.public_key = (struct slice){ (const char *)key, sizeof key };
	}
	t->send(t->self, from, MSG_key_answer, &a);
}

void
trust_sign_ask(struct trust *t, msg_peer from, const struct msg_sign_ask *m)
{
	struct bot            *b = t->find_bot(t->self, m->bot);
	char                   hex[SIGNATURE_HEX + 1];
	struct msg_sign_answer a = { .id = m->id };
	enum err               e = ERR_NOT_FOUND;

	if (b != NULL)
		e = signature_sign(b->signature, m->event_ts, m->plain_token,
		    hex);
	if (e == ERR_OK) {
		a.ok = true;
		a.signature = slice_of(hex);
	}
	log_info("sign.done", KV("bot", m->bot), KV("ok", a.ok),
	    KV("why", e == ERR_OK ? "" : err_text(e)));
	t->send(t->self, from, MSG_sign_answer, &a);
}

struct bot *
trust_notice(struct trust *t, const struct msg_notice *m)
{
	struct bot *b = t->find_bot(t->self, m->bot);
	bool        live = slice_is(m->what, "live");

	if (b == NULL || (!live && !slice_is(m->what, "away")))
		return NULL;
	if (!bot_set_away(b, !live))
		return NULL;
	log_info("session.notice", KV("bot", b->app), KV("what", m->what),
	    KV("why", m->why));
	return live ? b : NULL;
}

void
trust_let_go(struct trust *t, const struct bot *b)
{
	struct trust_ask *a, *next;

	for (a = t->first; a != NULL; a = next) {
		next = a->next;
		if (a->bot == b) {
			a->again_ms = TRUST_AGAIN_MS;
			refuse(a, "the bot's settings have changed");
		}
	}
}

void
trust_close(struct trust *t)
{
	while (t->first != NULL)
		ask_free(t->first);
}
