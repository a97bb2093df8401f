/*
 * What is due once a turn: tokens and places that have become free, and the
 * commit that lets what is held leave.
 */
#include "life.h"

#include "log.h"

/* By so much a timer may be set late, as time passes while it is set. */
enum { LIMIT_LATE_MS = 20 };

static const uint32_t reopen_ms[] = { 1000, 2000, 5000, 0 };

static void
release(struct request *r)
{
	if (r->state == HANDING_OVER)
		request_hand_over(r);
	else if (!r->owner->closed && bot_may_send(r->bot))
		request_submit(r);
	else {
		request_unsay(r);
		r->state = PAUSING;
		request_go(r);
	}
}

/* What the platform tells doubles of may leave; the rest waits on. */
static void
release_held(struct requests *rs, bool all)
{
	struct request *r = rs->held, *next;

	rs->held = rs->held_last = NULL;
	for (; r != NULL; r = next) {
		next = r->held_next;
		r->held = false;
		if (all || r->rules.has_seq)
			release(r);
		else {
			held_enter(r);
			request_wait_until(r, r->rules.until_ms);
		}
	}
}

/* It was sent, or may have been, by an earlier run. */
static void
end_as_recorded(struct request *r, const struct sent_outcome *o)
{
	r->appears = false; /* and is recorded as it is */
	if (o != NULL) {
		r->status = o->status;
		buf_put(&r->data, o->data);
		request_copy(r->trace, sizeof r->trace, o->trace);
		r->owner->counts.repeated++;
	} else
		request_copy(r->message, sizeof r->message, slice_of(request_unknown));
	request_finish(r, o != NULL ? o->result : RESULT_TIMEOUT);
}

/* What the file holds is known at last. */
static void
compare_with_file(struct requests *rs)
{
	struct request     *r = rs->all, *next;
	struct sent_outcome o;
	enum sent_state     was;

	for (; r != NULL; r = next) {
		next = r->after;
		if (r->state != WANTS_FILE)
			continue;
		loop_cancel(rs->loop, &r->timer);
		was = request_was(rs, r->entry.key, r->rules.part, &o);
		r->state = PAUSING;
		if (was == SENT_ENDED)
			end_as_recorded(r, &o);
		else if (was == SENT_UNDER_WAY && !rs->again)
			end_as_recorded(r, NULL);
		else {
			r->begun = r->attempt.unsure = was == SENT_UNDER_WAY;
			request_go(r);
		}
	}
}

static void
reopen(void *self)
{
	struct requests *rs = self;

	if (sent_reopen(&rs->sent, requests_steady_ms(rs)) != ERR_OK) {
		loop_after(rs->loop, &rs->commit,
		    backoff_next(&rs->reopen, backoff_chance()), reopen, rs);
		return;
	}
	log_info("record.back", KV("file", (const char *)rs->sent.path),
	    KV("rows", rs->sent.n));
	backoff_reset(&rs->reopen);
	rs->on_record(rs->self);
	release_held(rs, true);
	compare_with_file(rs);
}

/* In the order in which they came to the line. */
static void
give_places(struct requests *rs)
{
	struct request *r;

	while ((r = rs->lined) != NULL && has_place(rs)) {
		place_leave(r);
		loop_cancel(rs->loop, &r->timer);
		r->state = PAUSING;
		if (bot_may_send(r->bot) && !r->refused)
			request_ask_limit(r);
		else
			request_go(r);
	}
}

/* Somebody's tokens are back, or nobody has seen to it that we wake then: who
 * came to the line, or who made room, may have been alone in doing so. */
static bool
limit_is_due(const struct requests *rs)
{
	uint64_t at;

	if (rs->pace.limits.waiting == 0 || !has_place(rs))
		return false;
	at = limit_when(&rs->pace.limits);
	return at <= loop_now(rs->loop) || rs->limit.slot == 0 ||
	    rs->limit.at_ms > at + LIMIT_LATE_MS;
}

static void on_limit(void *);

/* Whose tokens have come back leaves, while there are places. */
static void
give_tokens(struct requests *rs)
{
	struct limits       *ls = &rs->pace.limits;
	uint64_t             now = loop_now(rs->loop), at;
	struct limit_waiter *w;

	while (ls->waiting > 0 && has_place(rs) &&
	    (w = limit_next(ls, now)) != NULL)
		w->go(w);
	if (ls->waiting == 0 || !has_place(rs))
		return;
	at = limit_when(ls);
	now = loop_clock_ms();
	loop_after(rs->loop, &rs->limit, at > now ? at - now : 0, on_limit, rs);
}

/* The turn does it. */
static void
on_limit(void *self)
{
	(void)self;
}

static void
commit(void *self)
{
	struct requests *rs = self;
	enum err         e = sent_commit(&rs->sent, requests_steady_ms(rs));

	loop_cancel(rs->loop, &rs->commit);
	if (e != ERR_OK) {
		log_error("record.failed",
		    KV("file", (const char *)rs->sent.path),
		    KV("err", err_name(e)),
		    KV("remedy", "make room in ROOKERY_STATE_DIR, or mend its "
		                 "rights; until then nothing goes to "
		                 "channels and direct conversations"));
		loop_after(rs->loop, &rs->commit,
		    backoff_next(&rs->reopen, backoff_chance()), reopen, rs);
		rs->on_record(rs->self);
	}
	release_held(rs, e == ERR_OK);
}

static bool
must_commit(const struct requests *rs)
{
	return rs->held != NULL && rs->sent.trouble == ERR_OK;
}

static bool
turn_pending(void *self)
{
	const struct requests *rs = self;

	return must_commit(rs) || (rs->lined != NULL && has_place(rs)) ||
	    limit_is_due(rs);
}

static void
turn(void *self)
{
	struct requests *rs = self;

	give_tokens(rs);
	give_places(rs);
	if (rs->pace.limits.waiting > 0)
		give_tokens(rs);
	if (must_commit(rs))
		commit(rs);
}

/* Nobody waits for it, but it shall not be lost either. */
void
requests_commit_soon(struct requests *rs)
{
	if (rs->sent.trouble == ERR_OK && rs->commit.slot == 0)
		loop_after(rs->loop, &rs->commit, RECORD_LATE_MS, commit, rs);
}

enum err
requests_open_turns(struct requests *rs)
{
	struct loop_source src = { turn_pending, turn, rs };

	rs->reopen.steps_ms = reopen_ms;
	if (rs->sent.trouble != ERR_OK)
		loop_after(rs->loop, &rs->commit,
		    backoff_next(&rs->reopen, backoff_chance()), reopen, rs);
	return loop_add_source(rs->loop, &src);
}
