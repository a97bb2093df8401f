/*
 * The rules of trying again are attempt.c's; here they only get a bound by
 * number, because nobody may wait that long for a file the platform cannot
 * get.  Each try takes its own token of the route's limit (pace.h).
 */
#include "errand.h"

#include <stddef.h>

#include "log.h"
#include "params.h"

static const enum call_id requests[][2] = {
	[ERRAND_FILES] = { CALL_c2c_file_upload, CALL_group_file_upload },
	[ERRAND_PREPARE] = { CALL_c2c_upload_prepare,
	    CALL_group_upload_prepare },
	[ERRAND_FINISH] = { CALL_c2c_upload_part_finish,
	    CALL_group_upload_part_finish },
};

enum { LIMITED_MS = 1000 };    /* too much, and it does not say how long */

static void on_time(void *);
static void on_answer(void *, const struct http_answer *);

static void
again_in(struct errand *e, uint64_t ms)
{
	loop_after(e->loop, &e->timer, ms, on_time, e);
}

static void
end(struct errand *e, enum result result, const struct reply *r)
{
	struct errand_end x = { .result = result, .reply = r,
		.message = r != NULL ? r->message : slice_of(e->why),
		.tries = e->attempt.tries };

	loop_cancel(e->loop, &e->timer);
	limit_leave(&e->pace->limits, &e->count.waiter);
	e->under_way = false;
	/* Nothing appears by it: what nobody knows is as good as not done. */
	if (result == RESULT_TIMEOUT)
		x.result = RESULT_PLATFORM;
	e->on_done(e->self, &x);
}

static bool
wants_token(const struct errand *e)
{
	return !bot_may_send(e->bot) ||
	    (e->refused && e->answers == e->bot->token.answers);
}

/* Its time is over. */
static void
expire(struct errand *e)
{
	enum result result = RESULT_PLATFORM;

	if (e->count.waiter.in != NULL) {
		pace_why(&e->count, e->why, sizeof e->why);
		result = RESULT_RATE_LIMITED;
	} else if (e->why[0] == '\0')
		snprintf(e->why, sizeof e->why, "%s", wants_token(e)
		    ? "no access token in time" : "its time is over");
	end(e, result, NULL);
}

/* False: it stands in line, or it has ended. */
static bool
may_go(struct errand *e)
{
	int64_t     day = allowance_day(loop_wall_ms());
	enum result result = RESULT_OK;

	if (e->paid)
		return true;
	if (limit_paused_ms(&e->pace->limits, &e->count.waiter) >=
	    e->until_ms) {
		result = RESULT_RATE_LIMITED;
		snprintf(e->why, sizeof e->why, "refused here: the platform "
		    "wants a pause that is longer than the time it has");
	} else
		result = pace_check(e->pace, &e->count, day, e->why,
		    sizeof e->why);
	if (result != RESULT_OK) {
		end(e, result, NULL);
		return false;
	}
	e->paid = limit_ask(&e->pace->limits, &e->count.waiter,
	    loop_now(e->loop));
	if (!e->paid) /* extended times are seen when it rings */
		again_in(e, e->until_ms - loop_now(e->loop));
	return e->paid;
}

/* From the loop: its time may be over, its token not there yet. */
static void
on_time(void *self)
{
	struct errand *e = self;
	enum err       x = ERR_NOMEM;
	uint64_t       now = loop_now(e->loop);

	if (now >= e->until_ms) {
		expire(e);
		return;
	}
	if (e->count.waiter.in != NULL) {
		again_in(e, e->until_ms - now);
		return;
	}
	if (wants_token(e)) {
		again_in(e, ERRAND_TOKEN_MS);
		return;
	}
	if (!may_go(e))
		return;
	e->paid = e->refused = false;
	e->generation = e->bot->token.generation;
	e->request = (struct http_request){ .method = "POST",
		.url = e->url.p, .body = buf_slice(&e->body),
		.headers = bot_headers(e->bot, false),
		.proxy = e->bot->proxy, .until_ms = e->until_ms, .on_done = on_answer, .self = e };
	if (e->request.headers != NULL)
		x = http_start(e->http, &e->request);
	if (x == ERR_OK)
		return;
	snprintf(e->why, sizeof e->why, "%s", err_text(x));
	again_in(e, ERRAND_TOKEN_MS);
}

static void
on_tokens(struct limit_waiter *w)
{
	struct errand *e = (struct errand *)(void *)((char *)w -
	    offsetof(struct errand, count.waiter));

	loop_cancel(e->loop, &e->timer);
	e->paid = true;
	on_time(e);
}

static void
want_token(struct errand *e)
{
	e->refused = bot_doubt(e->bot, e->generation) == TOKEN_WAIT;
	e->answers = e->bot->token.answers;
	again_in(e, 0);
}

static void
act(struct errand *e, const struct reply *r)
{
	struct attempt_rules   rules = { .until_ms = e->until_ms,
		  .again = true };
	struct attempt_verdict v;
	uint64_t wait_ms = reply_retry_ms(r->retry_after, loop_wall_ms());

	if (e->told_code != 0 && r->code == e->told_code) {
		end(e, r->result, r);
		return;
	}
	v = attempt_judge(&e->attempt, &rules, r, loop_now(e->loop),
	    backoff_chance());
	if (wait_ms < v.wait_ms)
		wait_ms = v.wait_ms;
	if (r->cls != CLASS_DONE)
		pace_refused(e->pace, &e->count, r,
		    wait_ms > 0 ? wait_ms : LIMITED_MS, loop_now(e->loop),
		    allowance_day(loop_wall_ms()));
	if (v.next == NEXT_WAIT && r->cls != CLASS_RATE_LIMITED &&
	    e->attempt.tries >= ERRAND_TRIES) {
		end(e, r->result, r);
		return;
	}
	switch (v.next) {
	case NEXT_DONE:
		end(e, v.result, r);
		break;
	case NEXT_WAIT:
		log_warn("errand.retry", KV("bot", e->bot->app),
		    KV("class", class_name(r->cls)), KV("status", r->status),
		    KV("code", r->code), KV("trace", r->trace),
		    KV("why", r->message), KV("try", e->attempt.tries),
		    KV("wait_ms", wait_ms));
		again_in(e, wait_ms);
		break;
	case NEXT_TOKEN:
		want_token(e);
		break;
	}
}

static void
on_answer(void *self, const struct http_answer *a)
{
	struct errand     *e = self;
	struct reply       r;

	reply_read(&r, a);
	act(e, &r);
	reply_free(&r);
}

/* The path has one id in it, the target's. */
static enum err
put_url(struct errand *e, const char *path, struct slice target)
{
	size_t n = strcspn(path, "{");

	if (!call_is_id(target) || call_climbs(target))
		return ERR_SYNTAX;
	buf_put(&e->url, e->bot->api);
	buf_put(&e->url, (struct slice){ path, n });
	params_encode(&e->url, target);
	buf_puts(&e->url, path + n + strcspn(path + n, "}") + 1);
	return e->url.failed ? ERR_NOMEM : ERR_OK;
}

enum err
errand_start(struct errand *e, enum errand_to to, enum call_scope scope,
    struct slice target)
{
	const struct catalog_row *row =
	    catalog_row(requests[to][scope == SCOPE_GROUP]);
	enum err                  x;

	limit_leave(&e->pace->limits, &e->count.waiter);
	e->count = (struct pace_call){ .bot = e->bot->app,
		.scope = PACE_NONE, .row = limit_named(row->limit),
		.sandbox = e->bot->conf->qq_sandbox, .waiter.go = on_tokens };
	pace_prepare(&e->count);
	e->why[0] = '\0';
	e->paid = e->refused = false;
	attempt_open(&e->attempt);
	buf_reset(&e->url);
	x = put_url(e, row->path, target);
	if (x == ERR_OK && e->body.failed)
		x = ERR_NOMEM;
	if (x == ERR_OK)
		x = loop_after(e->loop, &e->timer, 0, on_time, e);
	e->under_way = x == ERR_OK;
	return x;
}

bool
errand_in_line(const struct errand *e)
{
	return e->count.waiter.in != NULL;
}

void
errand_close(struct errand *e)
{
	if (e->loop != NULL)
		loop_cancel(e->loop, &e->timer);
	if (e->http != NULL)
		http_cancel(e->http, &e->request);
	if (e->pace != NULL)
		limit_leave(&e->pace->limits, &e->count.waiter);
	e->under_way = false;
	buf_free(&e->url);
	buf_free(&e->body);
}
