/*
 * The platform's API over HTTP: who calls, which operation that is, whether
 * the request has its form; then the operation's own function.  The token
 * endpoint and the gateway's address are here.
 */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

/* --- the token endpoint ------------------------------------------------- */

static void
token_refuse(struct call *c, int64_t code, const char *message)
{
	struct json *j = json_new_object();

	json_put_int(j, "code", code);
	json_put_text(j, "message", slice_of(message));
	call_answer(c, 200, j);
}

static void
put_expires(struct json *j, uint64_t left_s, const char *how)
{
	static const char key[] = "expires_in";
	char text[32];

	if (strcmp(how, "absent") == 0)
		return;
	if (strcmp(how, "number") == 0) {
		json_put_int(j, key, (int64_t)left_s);
		return;
	}
	snprintf(text, sizeof text, "%llu", (unsigned long long)left_s);
	if (strcmp(how, "fraction") == 0)
		strcat(text, ".0");
	else if (strcmp(how, "zero") == 0)
		strcpy(text, "0");
	else if (strcmp(how, "negative") == 0)
		strcpy(text, "-1");
	else if (strcmp(how, "text") == 0)
		strcpy(text, "soon");
	else if (strcmp(how, "empty") == 0)
		text[0] = '\0';
	json_put_text(j, key, slice_of(text));
}

static void
give_token(struct call *c)
{
	struct ledger *l = &c->sim->platform.ledger;
	struct fault   f, slow;
	const char    *text;
	struct json   *j;
	uint64_t       left_s;
	bool           made;

	if (tokens_ask(&c->bot->tokens, c->now_us / 1000, &text, &left_s,
	        &made) != ERR_OK) {
		call_error(c, 500, 1100300, "internal error");
		return;
	}
	if (made)
		ledger_count(l, COUNT_tokens_issued);
	j = json_new_object();
	json_put_text(j, "access_token", slice_of(text));
	put_expires(j, left_s, call_strike(c, FAULT_token_form, &f) ? f.how : "");
	if (call_strike(c, FAULT_token_slow, &slow))
		call_answer_later(c, slow.ms, 200, j);
	else
		call_answer(c, 200, j);
}

void
on_token(struct call *c)
{
	struct json *body = NULL;
	struct slice app;
	struct fault f;

	ledger_count(&c->sim->platform.ledger, COUNT_token_requests);
	if (call_outage(c, FAULT_token_outage, 500) ||
	    call_says(c, FAULT_token_says))
		return;
	if (call_strike(c, FAULT_token_error, &f)) {
		token_refuse(c, f.code > 0 ? f.code : 100001,
		    "too many requests");
		return;
	}
	if (json_parse(&body, c->request->body) != ERR_OK ||
	    !json_is_object(body)) {
		ledger_violation(&c->sim->platform.ledger, VIOLATION_bad_body);
		token_refuse(c, refusal_token_body.code,
		    refusal_token_body.message);
		goto out;
	}
	app = json_text(json_get(body, "appId"));
	if (!json_is_string(json_get(body, "appId")) || app.n == 0 ||
	    (c->bot = platform_bot(&c->sim->platform, app)) == NULL) {
		token_refuse(c, refusal_token_app.code,
		    refusal_token_app.message);
		goto out;
	}
	if (!secret_eq(&c->bot->secret,
	        json_text(json_get(body, "clientSecret")))) {
		token_refuse(c, refusal_token_secret.code,
		    refusal_token_secret.message);
		goto out;
	}
	give_token(c);
out:
	json_free(&body);
}

/* --- the gateway's address ---------------------------------------------- */

static struct json *
gateway_json(struct call *c)
{
	struct json *j = json_new_object();
	const char  *origin = c->sim->origin + 4; /* after "http" */
	char         url[400];
	struct fault f;

	if (call_strike(c, FAULT_gateway_url, &f))
		snprintf(url, sizeof url, "ws%.*s:%lld/websocket",
		    (int)(strrchr(origin, ':') - origin), origin,
		    (long long)f.port);
	else
		snprintf(url, sizeof url, "ws%s/websocket", origin);
	json_put_text(j, "url", slice_of(url));
	return j;
}

void
on_gateway(struct call *c)
{
	ledger_count(&c->sim->platform.ledger, COUNT_gateway_requests);
	if (!call_outage(c, FAULT_gateway_outage, 503) &&
	    !call_says(c, FAULT_gateway_says))
		call_answer(c, 200, gateway_json(c));
}

void
on_gateway_bot(struct call *c)
{
	struct bot  *b = c->bot;
	int64_t      now_ms = c->now_us / 1000, reset_ms;
	uint64_t     left = bot_remaining(b, now_ms, &reset_ms);
	struct json *j, *limit;
	struct fault f;

	ledger_count(&c->sim->platform.ledger, COUNT_gateway_requests);
	if (call_outage(c, FAULT_gateway_outage, 503) ||
	    call_says(c, FAULT_gateway_says))
		return;
	if (call_strike(c, FAULT_gateway_limit, &f))
		b->limit_until_ms = now_ms + f.ms;
	if (b->limit_until_ms > now_ms) {
		left = 0;
		reset_ms = b->limit_until_ms - now_ms;
	}
	j = gateway_json(c);
	limit = json_new_object();
	json_put_int(j, "shards", (int64_t)b->shards);
	json_put_int(limit, "total", (int64_t)b->identify_total);
	json_put_int(limit, "remaining", (int64_t)left);
	json_put_int(limit, "reset_after", reset_ms);
	json_put_int(limit, "max_concurrency", (int64_t)b->max_concurrency);
	json_put_take(j, "session_start_limit", limit);
	call_answer(c, 200, j);
}

void
on_me(struct call *c)
{
	struct json *j = json_new_object();

	json_put_text(j, "id", slice_of(c->bot->user_id));
	json_put_text(j, "username", slice_of(c->bot->name));
	json_put_text(j, "avatar", SLICE(""));
	json_put_bool(j, "bot", true);
	call_answer(c, 200, j);
}

/* --- before an operation begins ------------------------------------------ */

static const struct refusal *
judge_auth(struct call *c)
{
	struct ledger   *l = &c->sim->platform.ledger;
	struct slice     auth = c->request->authorization;
	struct slice     app = c->request->union_appid;
	enum token_state state;

	if (auth.n == 0)
		return &refusal_no_token;
	if (!slice_starts(auth, SLICE("QQBot "))) {
		ledger_violation(l, VIOLATION_bad_auth_scheme);
		return slice_starts(auth, SLICE("Bearer "))
		    ? &refusal_bearer : &refusal_wrong_token;
	}
	c->bot = platform_bot_by_token(&c->sim->platform, slice_from(auth, 6),
	    c->now_us / 1000, &state);
	if (c->bot == NULL)
		return state == TOKEN_EXPIRED ? &refusal_expired_token
		                              : &refusal_wrong_token;
	if (app.n > 0 && !slice_is(app, c->bot->app_id)) {
		ledger_violation(l, VIOLATION_wrong_appid);
		return &refusal_wrong_appid;
	}
	return NULL;
}

static bool
authorised(struct call *c)
{
	struct ledger        *l = &c->sim->platform.ledger;
	const struct refusal *r;
	struct fault          f;

	ledger_count(l, COUNT_api_calls);
	if ((r = judge_auth(c)) != NULL) {
		ledger_count(l, COUNT_auth_refused);
		call_refuse(c, r);
		return false;
	}
	if (call_strike(c, FAULT_api_status, &f)) {
		call_answer_fault(c, &f, 401, refusal_expired_token.code);
		return false;
	}
	return true;
}

static bool
within_limit(struct call *c)
{
	const struct route *r = c->route;
	struct fault        f;
	char                why[80];

	if (r->calls == 0 || faults_find(&c->sim->platform.faults,
	        FAULT_route_limits, c->bot->app_id, "",
	        c->now_us / 1000) == NULL ||
	    window_take(&c->bot->route_windows[r->id], r->calls, r->seconds,
	        c->now_us) || !call_strike(c, FAULT_route_limits, &f))
		return true;
	snprintf(why, sizeof why, "more than %u calls in %u s", r->calls,
	    r->seconds);
	call_retry_after(c, &f, r->seconds);
	log_info("call.limited", KV("path", c->request->path),
	    KV("why", why));
	call_error(c, 429, 22009, why);
	return false;
}

static bool
refuse_form(struct call *c, enum form_verdict v, const char *why,
    enum violation unknown)
{
	if (v == FORM_FITS)
		return true;
	ledger_violation(&c->sim->platform.ledger,
	    v == FORM_UNKNOWN ? unknown : VIOLATION_bad_body);
	call_wrong(c, v, why);
	return false;
}

static bool
check_query(struct call *c)
{
	const struct request *r = c->request;
	char                  why[FORM_WHY_MAX];
	enum form_verdict     v;

	v = form_check_query(&c->sim->forms->query[c->route->id], r->query,
	    r->nquery, why);
	return refuse_form(c, v, why, VIOLATION_unknown_parameter);
}

bool
call_check_body(struct call *c)
{
	struct slice      text = c->request->body;
	char              why[FORM_WHY_MAX];
	enum form_verdict v;

	if (c->body == NULL && text.n > 0 &&
	    (json_parse(&c->body, text) != ERR_OK ||
	        !json_is_object(c->body))) {
		ledger_violation(&c->sim->platform.ledger, VIOLATION_bad_body);
		call_wrong(c, FORM_WRONG, "the body is not a JSON object");
		return false;
	}
	v = form_check(&c->sim->forms->body[c->route->id], c->body, why);
	return refuse_form(c, v, why, VIOLATION_unknown_member);
}

/* Who buys a token, or puts a part where a signed address leads, says no
 * more than that. */
static bool
needs_token(const struct route *r)
{
	return r->id != ROUTE_token_get && r->id != ROUTE_upload_part_put;
}

static route_fn *const functions[ROUTES] = {
#define ROUTE(op, method, path, scope, family, calls, seconds, status, fn,   \
    kind, query, body) on_##fn,
#include "routes.def"
#undef ROUTE
};

static void
perform(struct call *c)
{
	route_fn *fn = functions[c->route->id];

	if (needs_token(c->route) && (!authorised(c) || !within_limit(c)))
		return;
	/* A send that is wrong counts as one; see message.c. */
	if (check_query(c) && (fn == on_send ||
	    !route_takes_json(c->route) || call_check_body(c)))
		fn(c);
}

void
rest_on_request(struct sim *s, struct exchange *x, const struct request *r)
{
	struct call c = { .sim = s, .exchange = x, .request = r,
		.now_us = sim_now_us() };
	bool        path_known;

	snprintf(c.trace, sizeof c.trace, "%s%024llx", s->platform.salt,
	    (unsigned long long)++s->platform.serial);
	c.wire = wire_put(s->wire, r, sim_wall_ms(s, c.now_us));
	if (r->no_length || r->too_large) {
		call_refuse(&c, r->no_length ? &refusal_no_length
		                             : &refusal_too_large);
		return;
	}
	c.route = route_find(r->method, r->path, c.args, &path_known);
	if (c.route == NULL) {
		ledger_violation(&s->platform.ledger, VIOLATION_unknown_route);
		call_refuse(&c, path_known ? &refusal_no_method
		                           : &refusal_no_route);
		return;
	}
	s->asked[c.route->id]++;
	perform(&c);
	json_free(&c.body);
	if (r->sink != NULL)
		rest_on_gone(r->sink);
}

void
rest_stop(struct sim *s)
{
	call_forget_all(s);
}

void
rest_close(struct sim *s)
{
	audits_close(&s->audits);
	uploads_close(&s->uploads);
	route_forms_free(&s->forms);
	wire_free(&s->wire);
	free(s->asked);
}

enum err
rest_open(struct sim *s)
{
	enum err e = route_forms_new(&s->forms);

	s->asked = calloc(ROUTES, sizeof *s->asked);
	if (s->asked == NULL)
		return ERR_NOMEM;
	return e == ERR_OK ? wire_new(&s->wire) : e;
}
