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

/* What /users/@me was answered last: a token alone proves nothing. */
static void
put_health(const struct report *r, const struct bot *b, struct json *o)
{
	static const char *const breakers[] = {
		[BREAKER_CLOSED] = "closed", [BREAKER_REFUSED] = "refused",
		[BREAKER_CONFIG] = "config" };
	struct json *h;

	json_put_text(o, "breaker", slice_of(breakers[b->breaker.state]));
	if (b->breaker.state != BREAKER_CLOSED) {
		json_put_int(o, "refused_code", (int64_t)b->refused_code);
		json_put_text(o, "refused_why", slice_of(b->refused_why));
	}
	if (!b->health.known)
		return;
	h = json_new_object();
	json_put_bool(h, "ok", b->health.ok);
	json_put_int(h, "status", (int64_t)b->health.status);
	json_put_int(h, "code", (int64_t)b->health.code);
	json_put_int(h, "age_s",
	    (int64_t)(loop_now(r->loop) - b->health.at_ms) / 1000);
	json_put_take(o, "me", h);
}

static struct json *
bot_object(const struct report *r, const struct bot *b)
{
	struct json *o = token_object(r, b);

	json_put_text(o, "name", slice_of(b->conf->bot_name));
	put_health(r, b, o);
	return o;
}

static struct json *
bots_object(const struct report *r)
{
	struct json *o = json_new_object();

	for (size_t i = 0; i < r->nbots; i++)
		if (r->bots[i].conf != NULL && !r->bots[i].leaving)
			json_put_take(o, r->bots[i].conf->qq_app_id,
			    bot_object(r, &r->bots[i]));
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
	json_put_int(o, "as_text", (int64_t)rs->counts.plain);
	json_put_int(o, "unasked", (int64_t)rs->counts.unasked);
	return o;
}

/* --- what is left ----------------------------------------------------------- */

static struct json *
limits_object(const struct report *r)
{
	const struct limits *ls = &r->requests->pace.limits;
	struct json         *o = json_new_object();

	json_put_int(o, "percent", (int64_t)ls->percent);
	json_put_int(o, "waiting", (int64_t)ls->waiting);
	json_put_int(o, "forgotten", (int64_t)ls->forgotten);
	return o;
}

static struct json *
audits_object(const struct report *r)
{
	const struct audits *as = &r->requests->audits;
	struct json         *o = json_new_object();

	json_put_int(o, "pending", (int64_t)as->pending);
	json_put_int(o, "passed", (int64_t)as->passed);
	json_put_int(o, "rejected", (int64_t)as->rejected);
	return o;
}

static struct json *
quota_new(const struct bot *b, const char *name, int64_t left, int64_t of,
    const char *per)
{
	struct json *o = json_new_object();

	json_put_text(o, "bot", b->app);
	json_put_text(o, "name", slice_of(name));
	json_put_int(o, "left", left);
	json_put_int(o, "of", of);
	json_put_text(o, "per", slice_of(per));
	return o;
}

/* The rows of the bot that have been used, those of single conversations
 * being too many. */
static void
add_limits(const struct report *r, const struct bot *b, struct json *list)
{
	struct limits *ls = &r->requests->pace.limits;
	uint64_t       now = loop_now(r->loop);

	for (int i = 0; i < LIMITS; i++) {
		const struct limit_info   *info = limit_info((enum limit)i);
		const struct limit_bucket *k;
		unsigned left = limit_left(ls, b->app, (enum limit)i, now, &k);
		struct json *o;

		if (k == NULL)
			continue;
		o = quota_new(b, info->name, left, k->count,
		    info->per_ms < 60000 ? "second" : "minute");
		json_put_int(o, "waiting", (int64_t)k->waiting);
		if (k->paused_ms > now)
			json_put_int(o, "paused_ms",
			    (int64_t)(k->paused_ms - now));
		json_push_take(list, o);
	}
}

/* left: of the bot; of conversations, how many have none left. */
static void
add_allowances(const struct report *r, const struct bot *b,
    struct json *list)
{
	struct allowance_sum sum;

	allowance_sum(&r->requests->pace.allowances, b->app,
	    allowance_day(loop_wall_ms()), &sum);
	for (int i = 0; i < ALLOWANCES; i++) {
		const struct allowance_info *info;
		int64_t                      left;
		struct json                 *o;

		info = allowance_info((enum allowance)i);
		if (sum.used[i] == 0 && sum.empty[i] == 0)
			continue;
		left = sum.empty[i] > 0 || info->by_target
		    ? 0 : (int64_t)info->count - (int64_t)sum.used[i];
		o = quota_new(b, info->name, left < 0 ? 0 : left,
		    info->count, "day");
		json_put_int(o, "used", (int64_t)sum.used[i]);
		if (info->by_target)
			json_put_int(o, "empty", (int64_t)sum.empty[i]);
		json_push_take(list, o);
	}
}

static struct json *
quotas_array(const struct report *r)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < r->nbots; i++) {
		if (r->bots[i].conf == NULL || r->bots[i].leaving)
			continue;
		add_limits(r, &r->bots[i], list);
		add_allowances(r, &r->bots[i], list);
	}
	return list;
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
media_object(const struct report *r)
{
	struct json        *o = json_new_object();
	struct media_counts m = media_counts(r->media);
	struct fetch_counts f = fetch_counts(r->fetch);

	json_put_int(o, "waiting", (int64_t)media_orders(r->media));
	json_put_int(o, "held", (int64_t)m.held);
	json_put_int(o, "uploaded", (int64_t)m.uploads);
	json_put_int(o, "parts", (int64_t)m.parts);
	json_put_int(o, "bytes", (int64_t)m.bytes);
	json_put_int(o, "cached", (int64_t)m.cached);
	json_put_int(o, "joined", (int64_t)m.joined);
	json_put_int(o, "resumed", (int64_t)m.resumed);
	json_put_int(o, "retried", (int64_t)m.retried);
	json_put_int(o, "failed", (int64_t)m.failed);
	json_put_int(o, "fetched", (int64_t)f.fetched);
	json_put_int(o, "fetch_failed", (int64_t)f.failed);
	json_put_int(o, "inbox_removed", (int64_t)f.removed);
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
	json_put_take(o, "limits", limits_object(r));
	json_put_take(o, "quotas", quotas_array(r));
	json_put_take(o, "audits", audits_object(r));
	json_put_take(o, "record", record_object(r));
	json_put_take(o, "media", media_object(r));
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
