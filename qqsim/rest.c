/*
 * The platform's API over HTTP: the token endpoint, the gateway's address,
 * messages.  Routes are a table; what may be said in a message is judged by
 * the core.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

enum { TRACE_LEN = 32, ARGS_MAX = 2 };

struct call;
typedef void route_fn(struct call *);

struct route {
	enum method method;
	const char *path;          /* {} is a segment that varies */
	bool        auth;
	enum scope  scope;
	route_fn   *fn;
};

/* One request on its way to an answer. */
struct call {
	struct sim           *sim;
	struct exchange      *exchange;
	const struct request *request;
	const struct route   *route;
	struct bot           *bot;
	struct slice          args[ARGS_MAX];
	int64_t               now_us;
	char                  trace[TRACE_LEN + 1];
};

/* An answer, or a whole send, that comes later. */
struct later {
	struct later    *next;        /* of the simulator */
	struct timer     timer;
	struct sim      *sim;
	struct exchange *exchange;
	int              status;
	char            *body, *target;
	size_t           nbody;
	const struct route *route;    /* of a send that is yet to be made */
	char             bot[APP_ID_MAX + 1];
	char             trace[TRACE_LEN + 1];
};

static const char json_type[] = "application/json";

/* --- answering ---------------------------------------------------------- */

static const char *
method_name(enum method m)
{
	static const char *const names[] = { "GET", "POST", "PUT", "PATCH",
		"DELETE", "OTHER" };

	return names[m];
}

static void
tell_call(const struct call *c, int status, struct slice body)
{
	struct json *j;

	if (!stream_watched(&c->sim->stream))
		return;
	j = json_new_object();
	json_put_text(j, "type", SLICE("call"));
	json_put_int(j, "at_ms", sim_wall_ms(c->sim, c->now_us));
	if (c->bot != NULL)
		json_put_text(j, "bot", slice_of(c->bot->app_id));
	json_put_text(j, "method", slice_of(method_name(c->request->method)));
	json_put_text(j, "path", c->request->path);
	json_put_int(j, "status", status);
	json_put_int(j, "us", sim_now_us() - c->now_us);
	stream_put_value(j, "request", c->request->body);
	stream_put_value(j, "response", body);
	json_put_text(j, "trace", slice_of(c->trace));
	stream_put(&c->sim->stream, j);
}

static void
answer_text(struct call *c, int status, const char *type, struct slice body)
{
	char head[80];
	int  n = snprintf(head, sizeof head, "X-Tps-trace-ID: %s\r\n",
	     c->trace);

	tell_call(c, status, body);
	log_debug("call", KV("path", c->request->path), KV("status", status),
	    KV("trace", c->trace));
	exchange_answer(c->exchange, status, type,
	    (struct slice){ head, (size_t)n }, body);
}

/* Takes the document. */
static void
answer(struct call *c, int status, struct json *j)
{
	answer_text(c, status, json_type, json_print(j));
	json_free(&j);
}

static void
answer_error(struct call *c, int status, int64_t code, const char *message)
{
	struct json *j = json_new_object();

	json_put_text(j, "message", slice_of(message));
	json_put_int(j, "code", code);
	json_put_int(j, "err_code", code);
	json_put_text(j, "trace_id", slice_of(c->trace));
	answer(c, status, j);
}

static void
refuse(struct call *c, const struct refusal *r)
{
	log_info("call.refused", KV("path", c->request->path),
	    KV("why", r->name), KV("code", r->code));
	answer_error(c, r->status, r->code, r->message);
}

static void
drop(struct call *c, bool hang)
{
	tell_call(c, 0, SLICE(""));
	if (hang)
		exchange_hang(c->exchange);
	else
		exchange_drop(c->exchange);
}

/* --- answers that come later -------------------------------------------- */

static void
later_free(struct later *l)
{
	struct later **at = &l->sim->laters;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	loop_cancel(l->sim->loop, &l->timer);
	free(l->body);
	free(l->target);
	free(l);
}

static struct later *
later_new(struct call *c, struct slice body)
{
	struct later *l = calloc(1, sizeof *l);
	char         *copy = slice_dup(body);

	if (l == NULL || copy == NULL) {
		free(l);
		free(copy);
		return NULL;
	}
	l->sim = c->sim;
	l->exchange = c->exchange;
	l->body = copy;
	l->nbody = body.n;
	memcpy(l->trace, c->trace, sizeof l->trace);
	l->next = c->sim->laters;
	c->sim->laters = l;
	return l;
}

static void
on_answer_due(void *self)
{
	struct later *l = self;
	char          head[80];
	int           n = snprintf(head, sizeof head, "X-Tps-trace-ID: %s\r\n",
	              l->trace);

	exchange_answer(l->exchange, l->status, json_type,
	    (struct slice){ head, (size_t)n },
	    (struct slice){ l->body, l->nbody });
	later_free(l);
}

/* Takes the document. */
static void
answer_later(struct call *c, int64_t ms, int status, struct json *j)
{
	struct slice  text = json_print(j);
	struct later *l = later_new(c, text);

	if (l == NULL) {
		exchange_drop(c->exchange);
	} else {
		tell_call(c, status, text);
		l->status = status;
		loop_after(c->sim->loop, &l->timer, (uint64_t)ms,
		    on_answer_due, l);
	}
	json_free(&j);
}

void
rest_close(struct sim *s)
{
	while (s->laters != NULL) {
		exchange_drop(s->laters->exchange);
		later_free(s->laters);
	}
}

/* --- the token endpoint ------------------------------------------------- */

static bool
strike(struct call *c, enum fault_name name, struct fault *f)
{
	const char *scope = c->route != NULL && c->route->scope != SCOPE_OTHER
	    ? scope_name(c->route->scope) : "";

	return faults_strike(&c->sim->platform.faults, name,
	    c->bot != NULL ? c->bot->app_id : "", scope, c->now_us / 1000, f);
}

/* status, close or hang. */
static bool
outage(struct call *c, enum fault_name name, int64_t status)
{
	struct fault f;

	if (!strike(c, name, &f))
		return false;
	if (strcmp(f.how, "close") == 0 || strcmp(f.how, "hang") == 0)
		drop(c, f.how[0] == 'h');
	else
		answer_error(c, (int)(f.status > 0 ? f.status : status),
		    1100300, "internal error");
	return true;
}

/* An answer in the fault's own words. */
static bool
says(struct call *c, enum fault_name name)
{
	struct fault f;

	if (!strike(c, name, &f))
		return false;
	answer_text(c, f.status > 0 ? (int)f.status : 200, json_type,
	    slice_of(f.text));
	return true;
}

static void
token_refuse(struct call *c, int64_t code, const char *message)
{
	struct json *j = json_new_object();

	json_put_int(j, "code", code);
	json_put_text(j, "message", slice_of(message));
	answer(c, 200, j);
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
		answer_error(c, 500, 1100300, "internal error");
		return;
	}
	if (made)
		ledger_count(l, COUNT_tokens_issued);
	j = json_new_object();
	json_put_text(j, "access_token", slice_of(text));
	put_expires(j, left_s, strike(c, FAULT_token_form, &f) ? f.how : "");
	if (strike(c, FAULT_token_slow, &slow))
		answer_later(c, slow.ms, 200, j);
	else
		answer(c, 200, j);
}

static void
on_token(struct call *c)
{
	struct json *body = NULL;
	struct slice app;
	struct fault f;

	ledger_count(&c->sim->platform.ledger, COUNT_token_requests);
	if (outage(c, FAULT_token_outage, 500) ||
	    says(c, FAULT_token_says))
		return;
	if (strike(c, FAULT_token_error, &f)) {
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

	if (strike(c, FAULT_gateway_url, &f))
		snprintf(url, sizeof url, "ws%.*s:%lld/websocket",
		    (int)(strrchr(origin, ':') - origin), origin,
		    (long long)f.port);
	else
		snprintf(url, sizeof url, "ws%s/websocket", origin);
	json_put_text(j, "url", slice_of(url));
	return j;
}

static void
on_gateway(struct call *c)
{
	ledger_count(&c->sim->platform.ledger, COUNT_gateway_requests);
	if (!outage(c, FAULT_gateway_outage, 503) &&
	    !says(c, FAULT_gateway_says))
		answer(c, 200, gateway_json(c));
}

static void
on_gateway_bot(struct call *c)
{
	struct bot  *b = c->bot;
	int64_t      now_ms = c->now_us / 1000, reset_ms;
	uint64_t     left = bot_remaining(b, now_ms, &reset_ms);
	struct json *j, *limit;
	struct fault f;

	ledger_count(&c->sim->platform.ledger, COUNT_gateway_requests);
	if (outage(c, FAULT_gateway_outage, 503) ||
	    says(c, FAULT_gateway_says))
		return;
	if (strike(c, FAULT_gateway_limit, &f))
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
	answer(c, 200, j);
}

/* --- sends -------------------------------------------------------------- */

static struct json *
send_answer(struct call *c, const struct send *s, const char *id)
{
	struct json *j = json_new_object(), *part = json_new_object();
	char         at[32], ref[64];

	platform_timestamp(&c->sim->platform, c->now_us, at);
	json_put_text(j, "id", slice_of(id));
	json_put_text(j, "timestamp", slice_of(at));
	if (s->scope == SCOPE_C2C || s->scope == SCOPE_GROUP) {
		sample_index(ref, sizeof ref, slice_of(id));
		json_put_text(part, "ref_idx", slice_of(ref));
		json_put_take(j, "ext_info", part);
		return j;
	}
	json_put_text(j, s->scope == SCOPE_DM ? "guild_id" : "channel_id",
	    s->target);
	json_put_text(j, "content", send_words(s->body));
	json_put_text(part, "id", slice_of(c->bot->user_id));
	json_put_text(part, "username", slice_of(c->bot->name));
	json_put_bool(part, "bot", true);
	json_put_take(j, "author", part);
	return j;
}

/* What the faults leave of the answer to a send that was made.  Takes it. */
static void
send_done_answer(struct call *c, struct json *j)
{
	struct fault f;

	if (strike(c, FAULT_send_half, &f)) {
		drop(c, false);
	} else if (strike(c, FAULT_send_mute, &f)) {
		drop(c, true);
	} else if (strike(c, FAULT_send_empty, &f)) {
		answer_text(c, f.status > 0 ? (int)f.status : 204, json_type,
		    SLICE(""));
	} else if (strike(c, FAULT_send_slow, &f)) {
		answer_later(c, f.ms, 200, j);
		return;
	} else if (!says(c, FAULT_send_says)) {
		answer(c, 200, j);
		return;
	}
	json_free(&j);
}

static void
hold_for_audit(struct call *c, struct send *s)
{
	struct json *j = json_new_object(), *data = json_new_object();
	struct json *audit = json_new_object();
	char         id[64];

	if (s->event != NULL && s->seq > 0)
		ledger_seq_use(s->event, s->seq, slice_hash(s->text));
	platform_id(&c->sim->platform, id, sizeof id, "audit-");
	json_put_int(j, "code", s->event != NULL ? 304024 : 304023);
	json_put_text(j, "message",
	    SLICE("push message is waiting for audit now"));
	json_put_text(audit, "audit_id", slice_of(id));
	json_put_take(data, "message_audit", audit);
	json_put_take(j, "data", data);
	answer(c, 202, j);
}

static bool
has_live_session(const struct bot *b)
{
	const struct session *s = b->sessions;

	while (s != NULL && s->conn == NULL)
		s = s->next;
	return s != NULL;
}

static void
perform_send(struct call *c)
{
	struct platform     *p = &c->sim->platform;
	struct send          s = { .bot = c->bot->app_id,
		.scope = c->route->scope, .target = c->args[0],
		.text = c->request->body, .now_us = c->now_us };
	const struct refusal *r;
	struct message      *m;
	struct fault         f;
	char                 id[64];

	if ((r = send_judge(&p->ledger, &c->bot->rules, &s)) != NULL) {
		refuse(c, r);
		goto out;
	}
	if (strike(c, FAULT_send_audit, &f)) {
		hold_for_audit(c, &s);
		goto out;
	}
	platform_id(p, id, sizeof id, "ROBOT1.0_");
	if (!has_live_session(c->bot) && strike(c, FAULT_send_unshown, &f)) {
		answer(c, 200, send_answer(c, &s, id));
		goto out;
	}
	if (send_take(&p->ledger, &s, slice_of(id),
	        sim_wall_ms(c->sim, c->now_us), &m) != ERR_OK) {
		refuse(c, &refusal_full);
		goto out;
	}
	if (m == NULL)
		show_typing(c->sim, &s);
	else if (s.event == NULL || s.event->load == 0)
		show_sent(c->sim, &s, id, c->bot->name);
	if (m != NULL && s.event != NULL && s.event->load != 0)
		load_replied(c->sim, s.event, c->now_us);
	send_done_answer(c, send_answer(c, &s, id));
out:
	send_done(&s);
}

static void
on_send_due(void *self)
{
	struct later  *l = self;
	struct request r = { .method = l->route->method,
		.path = SLICE("(late)"), .body = { l->body, l->nbody } };
	struct call    c = { .sim = l->sim, .exchange = l->exchange,
		.request = &r, .route = l->route,
		.bot = platform_bot(&l->sim->platform, slice_of(l->bot)),
		.args = { slice_of(l->target) }, .now_us = sim_now_us() };

	memcpy(c.trace, l->trace, sizeof c.trace);
	perform_send(&c);
	later_free(l);
}

static void
send_later(struct call *c, int64_t ms)
{
	struct later *l = later_new(c, c->request->body);

	if (l == NULL || (l->target = slice_dup(c->args[0])) == NULL) {
		if (l != NULL)
			later_free(l);
		exchange_drop(c->exchange);
		return;
	}
	l->route = c->route;
	memcpy(l->bot, c->bot->app_id, sizeof l->bot);
	loop_after(c->sim->loop, &l->timer, (uint64_t)ms, on_send_due, l);
}

static bool
too_soon(struct call *c)
{
	const struct fault *f = faults_find(&c->sim->platform.faults,
	    FAULT_send_limit, c->bot->app_id, scope_name(c->route->scope),
	    c->now_us / 1000);
	struct fault struck;
	int64_t      before = c->bot->sent_ms;

	c->bot->sent_ms = c->now_us / 1000;
	if (f == NULL || c->bot->sent_ms - before >= f->ms)
		return false;
	/* Only what is let through starts the time anew. */
	c->bot->sent_ms = before;
	return strike(c, FAULT_send_limit, &struck);
}

/* An HTTP status of a server that has no more to say about it. */
static void
answer_fault(struct call *c, const struct fault *f, int64_t status,
    int64_t code)
{
	static const char html[] = "<html><head><title>Bad Gateway</title>"
	                           "</head><body>Bad Gateway</body></html>\n";

	status = f->status > 0 ? f->status : status;
	if (strcmp(f->body, "html") == 0)
		answer_text(c, (int)status, "text/html",
		    SLICE(html));
	else if (strcmp(f->body, "empty") == 0)
		answer_text(c, (int)status, json_type, SLICE(""));
	else
		answer_error(c, (int)status, f->code > 0 ? f->code : code,
		    "fault asked for");
}

static bool
send_fault(struct call *c)
{
	struct ledger *l = &c->sim->platform.ledger;
	struct fault   f;

	if (strike(c, FAULT_send_half_before, &f))
		drop(c, false);
	else if (too_soon(c))
		refuse(c, &refusal_limited);
	else if (strike(c, FAULT_send_status, &f))
		answer_fault(c, &f, 500, 1100300);
	else if (strike(c, FAULT_send_code, &f))
		answer_fault(c, &f, 200, refusal_too_many.code);
	else
		return false;
	ledger_tally(l, c->route->scope, TALLY_refused, 1);
	return true;
}

static void
on_send(struct call *c)
{
	struct fault f;

	ledger_count(&c->sim->platform.ledger, COUNT_sends);
	if (send_fault(c))
		return;
	if (strike(c, FAULT_send_late, &f))
		send_later(c, f.ms);
	else
		perform_send(c);
}

/* --- recall, uploads, interactions -------------------------------------- */

static void
on_recall(struct call *c)
{
	struct ledger  *l = &c->sim->platform.ledger;
	struct message *m = ledger_message_by_id(l, c->bot->app_id,
	    c->args[1]);
	bool chat = c->route->scope == SCOPE_C2C ||
	    c->route->scope == SCOPE_GROUP;

	if (m == NULL || m->recalled ||
	    m->conversation->scope != c->route->scope ||
	    !slice_is(c->args[0], m->conversation->id)) {
		refuse(c, chat ? &refusal_recall_id : &refusal_recall_id_guild);
		return;
	}
	if (chat && c->now_us - m->at_us > 120 * 1000000ll) {
		refuse(c, &refusal_recall_old);
		return;
	}
	m->recalled = true;
	ledger_tally(l, c->route->scope, TALLY_recalled, 1);
	show_recalled(c->sim, m->conversation, m->id);
	if (chat)
		answer(c, 200, json_new_object());
	else
		answer_text(c, 204, json_type, SLICE(""));
}

/* What the chat page needs in order to show it. */
static enum err
keep_file(struct call *c, const struct json *body, const char *info)
{
	struct file_new n = { .bot = slice_of(c->bot->app_id),
		.info = slice_of(info),
		.name = json_text(json_get(body, "file_name")),
		.url = json_text(json_get(body, "url")) };
	const struct file *kept;

	return show_keep_file(c->sim, &n,
	    json_text(json_get(body, "file_data")), &kept);
}

static void
on_files(struct call *c)
{
	static const char *const sources[] = { "url", "file_data",
		"upload_id" };
	struct json *body = NULL, *j;
	int64_t      type = 0;
	bool         source = false;
	char         info[64];

	if (json_parse(&body, c->request->body) != ERR_OK ||
	    !json_is_object(body)) {
		ledger_violation(&c->sim->platform.ledger, VIOLATION_bad_body);
		refuse(c, &refusal_bad_body);
		goto out;
	}
	for (size_t i = 0; i < 3; i++)
		source |= json_text(json_get(body, sources[i])).n > 0;
	if (!json_int_at(body, "file_type", &type) || type < 1 || type > 4) {
		refuse(c, &refusal_file_type);
		goto out;
	}
	if (!source) {
		refuse(c, &refusal_file_source);
		goto out;
	}
	snprintf(info, sizeof info, "FILE_%s_%llu", scope_name(c->route->scope),
	    (unsigned long long)c->bot->rules.files + 1);
	if (keep_file(c, body, info) != ERR_OK) {
		refuse(c, &refusal_file_source);
		goto out;
	}
	c->bot->rules.files++;
	j = json_new_object();
	json_put_text(j, "file_uuid", slice_of(c->trace));
	json_put_text(j, "file_info", slice_of(info));
	json_put_int(j, "ttl", 3600);
	json_put_text(j, "id", SLICE(""));
	answer(c, 200, j);
out:
	json_free(&body);
}

static void
on_interaction(struct call *c)
{
	struct ledger *l = &c->sim->platform.ledger;
	struct event  *e = ledger_by_interaction(l, c->bot->app_id,
	    c->args[0]);
	struct json   *body = NULL;
	int64_t        code;

	if (json_parse(&body, c->request->body) != ERR_OK ||
	    !json_int_at(body, "code", &code) || code < 0 || code > 5)
		refuse(c, &refusal_interaction_body);
	else if (e == NULL || e->acknowledged)
		refuse(c, &refusal_interaction);
	else {
		e->acknowledged = true;
		ledger_count(l, COUNT_interactions);
		show_acknowledged(c->sim, e, code);
		answer(c, 200, json_new_object());
	}
	json_free(&body);
}

static void
on_me(struct call *c)
{
	struct json *j = json_new_object();

	json_put_text(j, "id", slice_of(c->bot->user_id));
	json_put_text(j, "username", slice_of(c->bot->name));
	json_put_text(j, "avatar", SLICE(""));
	json_put_bool(j, "bot", true);
	answer(c, 200, j);
}

/* --- routing ------------------------------------------------------------ */

static const struct route routes[] = {
	{ METHOD_POST, "/app/getAppAccessToken", false, SCOPE_OTHER, on_token },
	{ METHOD_GET, "/gateway", true, SCOPE_OTHER, on_gateway },
	{ METHOD_GET, "/gateway/bot", true, SCOPE_OTHER, on_gateway_bot },
	{ METHOD_GET, "/users/@me", true, SCOPE_OTHER, on_me },
	{ METHOD_POST, "/v2/users/{}/messages", true, SCOPE_C2C, on_send },
	{ METHOD_POST, "/v2/groups/{}/messages", true, SCOPE_GROUP, on_send },
	{ METHOD_POST, "/channels/{}/messages", true, SCOPE_CHANNEL, on_send },
	{ METHOD_POST, "/dms/{}/messages", true, SCOPE_DM, on_send },
	{ METHOD_DELETE, "/v2/users/{}/messages/{}", true, SCOPE_C2C,
	    on_recall },
	{ METHOD_DELETE, "/v2/groups/{}/messages/{}", true, SCOPE_GROUP,
	    on_recall },
	{ METHOD_DELETE, "/channels/{}/messages/{}", true, SCOPE_CHANNEL,
	    on_recall },
	{ METHOD_DELETE, "/dms/{}/messages/{}", true, SCOPE_DM, on_recall },
	{ METHOD_POST, "/v2/users/{}/files", true, SCOPE_C2C, on_files },
	{ METHOD_POST, "/v2/groups/{}/files", true, SCOPE_GROUP, on_files },
	{ METHOD_PUT, "/interactions/{}", true, SCOPE_OTHER, on_interaction },
};
enum { ROUTES = sizeof routes / sizeof routes[0] };

static bool
path_fits(const char *pattern, struct slice path, struct slice args[ARGS_MAX])
{
	size_t at = 0, nargs = 0;

	while (*pattern != '\0') {
		if (pattern[0] == '{') {
			size_t from = at;

			while (at < path.n && path.p[at] != '/')
				at++;
			if (at == from)
				return false;
			args[nargs++] = (struct slice){ path.p + from,
				at - from };
			pattern += 2;
		} else if (at < path.n && path.p[at] == *pattern) {
			at++;
			pattern++;
		} else {
			return false;
		}
	}
	return at == path.n;
}

/* NULL: *refusal says whether the path or only the method is unknown. */
static const struct route *
find_route(struct call *c, const struct refusal **why)
{
	*why = &refusal_no_route;
	for (size_t i = 0; i < ROUTES; i++) {
		if (!path_fits(routes[i].path, c->request->path, c->args))
			continue;
		if (routes[i].method == c->request->method)
			return &routes[i];
		*why = &refusal_no_method;
	}
	return NULL;
}

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
		refuse(c, r);
		return false;
	}
	if (strike(c, FAULT_api_status, &f)) {
		answer_fault(c, &f, 401, refusal_expired_token.code);
		return false;
	}
	return true;
}

void
rest_on_request(struct sim *s, struct exchange *x, const struct request *r)
{
	struct call c = { .sim = s, .exchange = x, .request = r,
		.now_us = sim_now_us() };
	const struct refusal *why;

	snprintf(c.trace, sizeof c.trace, "%s%024llx", s->platform.salt,
	    (unsigned long long)++s->platform.serial);
	if (r->no_length || r->too_large) {
		refuse(&c, r->no_length ? &refusal_no_length
		                        : &refusal_too_large);
		return;
	}
	if ((c.route = find_route(&c, &why)) == NULL) {
		ledger_violation(&s->platform.ledger, VIOLATION_unknown_route);
		refuse(&c, why);
		return;
	}
	if (!c.route->auth || authorised(&c))
		c.route->fn(&c);
}
