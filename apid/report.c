/*
 * The report to the parent: one object, made anew each time.
 */
#include "report.h"

static const char *const state_names[] = {
	[BOT_READY] = "ready", [BOT_DEGRADED] = "degraded",
	[BOT_PARKED] = "parked",
};

/* The bot that is worst off speaks for all. */
static const struct bot *
worst(const struct report *r)
{
	const struct bot *b = &r->bots[0];

	for (size_t i = 1; i < r->nbots; i++)
		if (bot_state(&r->bots[i]) > bot_state(b))
			b = &r->bots[i];
	return b;
}

/* The bot's, unless the record is worse off. */
static enum bot_state
state_now(const struct report *r)
{
	enum bot_state s = bot_state(worst(r));

	return s == BOT_READY && r->requests->sent.trouble != ERR_OK
	    ? BOT_DEGRADED : s;
}

static struct json *
token_object(const struct report *r, const struct bot *b)
{
	struct json *o = json_new_object();
	uint64_t     left = token_left_ms(&b->token, loop_now(r->loop));

	json_put_text(o, "state", slice_of(state_names[bot_state(b)]));
	json_put_int(o, "left_s", (int64_t)(left / 1000));
	if (b->trouble != NULL)
		json_put_text(o, "trouble", slice_of(b->trouble));
	if (b->trouble_code != 0)
		json_put_int(o, "code", b->trouble_code);
	return o;
}

static struct json *
bots_object(const struct report *r)
{
	struct json *o = json_new_object();

	for (size_t i = 0; i < r->nbots; i++)
		json_put_take(o, r->bots[i].conf->qq_app_id,
		    token_object(r, &r->bots[i]));
	return o;
}

static struct json *
calls_object(const struct report *r)
{
	const struct requests *rs = r->requests;
	struct json           *o = json_new_object();
	size_t running = rs->running;

	json_put_int(o, "waiting", (int64_t)(rs->n - running));
	json_put_int(o, "running", (int64_t)running);
	json_put_int(o, "without_session",
	    (int64_t)rs->without_session);
	json_put_int(o, "done", (int64_t)rs->counts.done);
	json_put_int(o, "failed", (int64_t)rs->counts.failed);
	json_put_int(o, "retried", (int64_t)rs->counts.retried);
	json_put_int(o, "joined", (int64_t)rs->counts.joined);
	json_put_int(o, "repeated", (int64_t)rs->counts.repeated);
	return o;
}

static struct json *
codes_object(const struct report *r)
{
	struct json *o = json_new_object();

	for (int i = RESULT_OK + 1; i < RESULT_COUNT; i++)
		if (r->requests->counts.results[i] > 0)
			json_put_int(o, result_name((enum result)i),
			    (int64_t)r->requests->counts.results[i]);
	return o;
}

static struct json *
platform_object(const struct report *r)
{
	const struct request_counts *c = &r->requests->counts;
	struct json                 *o = json_new_object(), *e;

	json_put_int(o, "requests", (int64_t)http_running(r->http));
	json_put_int(o, "queued", (int64_t)http_waiting(r->http));
	if (c->error_wall_ms == 0)
		return o;
	e = json_new_object();
	json_put_int(e, "at", c->error_wall_ms);
	json_put_int(e, "status", (int64_t)c->error_status);
	json_put_int(e, "code", (int64_t)c->error_code);
	json_put_text(e, "message", slice_of(c->error_message));
	json_put_text(e, "trace", slice_of(c->error_trace));
	json_put_take(o, "last_error", e);
	return o;
}

static struct json *
record_object(const struct report *r)
{
	struct sent *s = &r->requests->sent;
	struct json *o = json_new_object();

	json_put_text(o, "state", slice_of(s->trouble == ERR_OK
	    ? "ready" : "failing"));
	json_put_int(o, "rows", (int64_t)s->n);
	json_put_int(o, "bytes", (int64_t)sent_file_bytes(s));
	json_put_int(o, "commits", (int64_t)s->commits);
	if (s->trouble != ERR_OK)
		json_put_text(o, "trouble", slice_of(store_why(s->trouble)));
	if (s->moved != NULL)
		json_put_text(o, "moved", slice_of(s->moved));
	return o;
}

static void
record_remedy(const struct report *r, struct buf *out)
{
	const struct sent *s = &r->requests->sent;

	if (s->trouble != ERR_OK)
		buf_putf(out, "%s%s cannot be written: %s; make room in "
		    "ROOKERY_STATE_DIR, or mend its rights; nothing is sent "
		    "to channels and direct conversations meanwhile",
		    out->n > 0 ? "; " : "", s->path, store_why(s->trouble));
}

struct json *
report_make(const struct report *r)
{
	struct json *o = json_new_object();

	json_put_take(o, "token", token_object(r, worst(r)));
	json_put_take(o, "bots", bots_object(r));
	json_put_take(o, "calls", calls_object(r));
	json_put_take(o, "codes", codes_object(r));
	json_put_take(o, "record", record_object(r));
	json_put_take(o, "platform", platform_object(r));
	return o;
}

static void
tell(struct report *r)
{
	struct json *app = report_make(r);
	struct buf   remedy = { 0 };

	bot_remedy(worst(r), &remedy);
	record_remedy(r, &remedy);
	r->state = state_now(r);
	r->told = true;
	proc_report(r->proc, slice_of(state_names[r->state]),
	    buf_slice(&remedy), app);
	buf_free(&remedy);
	json_free(&app);
}

static void
on_timer(void *self)
{
	tell(self);
}

void
report_touch(struct report *r)
{
	if (r->timer.slot == 0)
		loop_after(r->loop, &r->timer, REPORT_MS, on_timer, r);
}

void
report_state(struct report *r)
{
	if (!r->told || state_now(r) != r->state)
		tell(r);
	else
		report_touch(r);
}

void
report_close(struct report *r)
{
	if (r->loop != NULL)
		loop_cancel(r->loop, &r->timer);
}
