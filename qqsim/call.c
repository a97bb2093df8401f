/*
 * Answers to calls, at once or later, as they should be or as a fault has it.
 */
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "log.h"

/* An answer, or a whole call, that comes later. */
struct later {
	struct later    *next;        /* of the simulator */
	struct timer     timer;
	struct sim      *sim;
	struct exchange *exchange;
	int              status;
	char            *body, *path;
	size_t           nbody;
	/* of a call that is yet to be made: */
	route_fn        *fn;
	const struct route *route;
	struct json     *document;
	enum method      method;
	uint64_t         wire;
	char             bot[APP_ID_MAX + 1];
	char             trace[TRACE_LEN + 1];
};

/* --- answering ---------------------------------------------------------- */

static void
tell_call(const struct call *c, int status, struct slice body)
{
	struct json *j;

	wire_note(c->sim->wire, c->wire,
	    c->route != NULL ? c->route->op : "",
	    c->bot != NULL ? c->bot->app_id : NULL, status);
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

void
call_answer_text(struct call *c, int status, const char *type,
    struct slice body)
{
	char head[160];
	int  n = snprintf(head, sizeof head, "X-Tps-trace-ID: %s\r\n%s",
	     c->trace, c->head);

	tell_call(c, status, body);
	log_debug("call", KV("path", c->request->path), KV("status", status),
	    KV("trace", c->trace));
	exchange_answer(c->exchange, status, type,
	    (struct slice){ head, (size_t)n }, body);
}

void
call_answer(struct call *c, int status, struct json *j)
{
	call_answer_text(c, status, CALL_JSON, json_print(j));
	json_free(&j);
}

void
call_show(struct call *c, const struct json *j)
{
	call_answer_text(c, c->route->status, CALL_JSON,
	    c->route->status == 204 || j == NULL ? SLICE("")
	                                         : json_print(j));
}

void
call_done(struct call *c, struct json *j)
{
	call_show(c, j);
	json_free(&j);
}

void
call_error(struct call *c, int status, int64_t code, const char *message)
{
	struct json *j = json_new_object();

	json_put_text(j, "message", slice_of(message));
	json_put_int(j, "code", code);
	json_put_int(j, "err_code", code);
	json_put_text(j, "trace_id", slice_of(c->trace));
	call_answer(c, status, j);
}

void
call_refuse(struct call *c, const struct refusal *r)
{
	log_info("call.refused", KV("path", c->request->path),
	    KV("why", r->name), KV("code", r->code));
	call_error(c, r->status, r->code, r->message);
}

void
call_wrong(struct call *c, enum form_verdict v, const char *why)
{
	unsigned code = route_code(c->route, v);

	log_info("call.refused", KV("path", c->request->path),
	    KV("why", why), KV("code", code));
	call_error(c, 400, code, why);
}

void
call_missing(struct call *c)
{
	const struct world_kind_info *k = &world_kinds[c->route->kind];
	char                          why[64];

	snprintf(why, sizeof why, "%s does not exist", k->name);
	log_info("call.refused", KV("path", c->request->path),
	    KV("why", why), KV("code", k->missing));
	call_error(c, 400, k->missing, why);
}

void
call_drop(struct call *c, bool hang)
{
	tell_call(c, 0, SLICE(""));
	if (hang)
		exchange_hang(c->exchange);
	else
		exchange_drop(c->exchange);
}

/* --- what comes later --------------------------------------------------- */

static void
later_free(struct later *l)
{
	struct later **at = &l->sim->laters;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	loop_cancel(l->sim->loop, &l->timer);
	json_free(&l->document);
	free(l->body);
	free(l->path);
	free(l);
}

static struct later *
later_new(struct call *c, struct slice body)
{
	struct later *l = calloc(1, sizeof *l);
	char         *copy = slice_dup(body);
	char         *path = slice_dup(c->request->path);

	if (l == NULL || copy == NULL || path == NULL) {
		free(l);
		free(copy);
		free(path);
		return NULL;
	}
	l->sim = c->sim;
	l->exchange = c->exchange;
	l->body = copy;
	l->nbody = body.n;
	l->path = path;
	l->method = c->request->method;
	l->wire = c->wire;
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

	exchange_answer(l->exchange, l->status, CALL_JSON,
	    (struct slice){ head, (size_t)n },
	    (struct slice){ l->body, l->nbody });
	later_free(l);
}

void
call_answer_later(struct call *c, int64_t ms, int status, struct json *j)
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

static void
on_call_due(void *self)
{
	struct later  *l = self;
	struct request r = { .method = l->method, .path = slice_of(l->path),
		.body = { l->body, l->nbody } };
	struct call    c = { .sim = l->sim, .exchange = l->exchange,
		.request = &r, .route = l->route, .body = l->document,
		.bot = platform_bot(&l->sim->platform, slice_of(l->bot)),
		.wire = l->wire, .now_us = sim_now_us() };
	bool           known;

	memcpy(c.trace, l->trace, sizeof c.trace);
	route_find(r.method, r.path, c.args, &known);
	l->fn(&c);
	l->document = c.body;
	later_free(l);
}

void
call_again_later(struct call *c, int64_t ms, route_fn *fn)
{
	struct later *l = later_new(c, c->request->body);

	if (l == NULL) {
		exchange_drop(c->exchange);
		return;
	}
	l->route = c->route;
	l->fn = fn;
	l->document = c->body;
	c->body = NULL;
	memcpy(l->bot, c->bot->app_id, sizeof l->bot);
	loop_after(c->sim->loop, &l->timer, (uint64_t)ms, on_call_due, l);
}

void
call_forget_all(struct sim *s)
{
	while (s->laters != NULL) {
		exchange_drop(s->laters->exchange);
		later_free(s->laters);
	}
}

/* --- faults ------------------------------------------------------------- */

bool
call_strike(struct call *c, enum fault_name name, struct fault *f)
{
	const char *scope = c->route != NULL && c->route->scope != SCOPE_OTHER
	    ? scope_name(c->route->scope) : "";

	return faults_strike(&c->sim->platform.faults, name,
	    c->bot != NULL ? c->bot->app_id : "", scope, c->now_us / 1000, f);
}

/* status, close or hang. */
bool
call_outage(struct call *c, enum fault_name name, int64_t status)
{
	struct fault f;

	if (!call_strike(c, name, &f))
		return false;
	if (strcmp(f.how, "close") == 0 || strcmp(f.how, "hang") == 0)
		call_drop(c, f.how[0] == 'h');
	else
		call_error(c, (int)(f.status > 0 ? f.status : status),
		    1100300, "internal error");
	return true;
}

/* An answer in the fault's own words. */
bool
call_says(struct call *c, enum fault_name name)
{
	struct fault f;

	if (!call_strike(c, name, &f))
		return false;
	call_answer_text(c, f.status > 0 ? (int)f.status : 200, CALL_JSON,
	    slice_of(f.text));
	return true;
}

/* An HTTP status of a server that has no more to say about it. */
void
call_answer_fault(struct call *c, const struct fault *f, int64_t status,
    int64_t code)
{
	static const char html[] = "<html><head><title>Bad Gateway</title>"
	                           "</head><body>Bad Gateway</body></html>\n";

	status = f->status > 0 ? f->status : status;
	call_retry_after(c, f, f->ms > 0 ? (unsigned)f->ms / 1000 : 1);
	if (strcmp(f->body, "html") == 0)
		call_answer_text(c, (int)status, "text/html",
		    SLICE(html));
	else if (strcmp(f->body, "empty") == 0)
		call_answer_text(c, (int)status, CALL_JSON, SLICE(""));
	else
		call_error(c, (int)status, f->code > 0 ? f->code : code,
		    "fault asked for");
}

static void
put_http_date(struct call *c, const char *name, unsigned seconds)
{
	time_t    at = (time_t)(sim_wall_ms(c->sim, c->now_us) / 1000 +
	    seconds);
	struct tm tm;
	char      text[40];

	gmtime_r(&at, &tm);
	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	snprintf(c->head, sizeof c->head, "%s: %s\r\n", name, text);
}

void
call_retry_after(struct call *c, const struct fault *f, unsigned seconds)
{
	static const char name[] = "Retry-After";

	if (strcmp(f->how, "seconds") == 0)
		snprintf(c->head, sizeof c->head, "%s: %u\r\n", name, seconds);
	else if (strcmp(f->how, "zero") == 0)
		snprintf(c->head, sizeof c->head, "%s: 0\r\n", name);
	else if (strcmp(f->how, "junk") == 0)
		snprintf(c->head, sizeof c->head, "%s: soon\r\n", name);
	else if (strcmp(f->how, "date") == 0)
		put_http_date(c, name, seconds);
}

/* --- shared ------------------------------------------------------------- */

void
call_tell(struct call *c, const char *type, struct json *d)
{
	struct event_ask  e = { .bot = c->bot, .type = slice_of(type),
		.d = d, .expect = -1 };
	struct event_told told;

	e.kind = kind_of(e.type);
	if (d == NULL || platform_event(&c->sim->platform, &e, c->now_us,
	        &told) != ERR_OK)
		log_warn("call.untold", KV("type", type));
	json_free(&d);
}

struct slice
call_query(const struct call *c, const char *name)
{
	return request_query(c->request, name);
}

uint64_t
call_query_number(const struct call *c, const char *name, uint64_t otherwise)
{
	unsigned long long n;

	return slice_u64(call_query(c, name), &n) ? n : otherwise;
}

struct slice
call_text(const struct call *c, const char *name)
{
	return json_text(json_get(c->body, name));
}

struct world *
call_world(const struct call *c)
{
	return &c->bot->world;
}

struct slice
call_time(const struct call *c, char out[32])
{
	platform_timestamp(&c->sim->platform, c->now_us, out);
	return slice_of(out);
}
