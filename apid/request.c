/*
 * The life of a call.  States: in line behind another call of its
 * conversation, waiting for a session, for the token, for its turn in the
 * limits, for a place, for the record (or for what the record's file holds),
 * being sent, waiting to be sent again, under review, done and handed to
 * whoever asked.  The decisions are attempt.c's, pace.c's and token.c's, the
 * meaning of answers reply.c's.
 */
#include "life.h"

#include <stddef.h>
#include <stdlib.h>

#include "log.h"
#include "pack.h"

enum { SUBMIT_AGAIN_MS = 200, LIMITED_MS = 1000 };

static const struct slice nothing = { NULL, 0 };
const char request_unknown[] =
    "being sent when an earlier run of apid ended; not sent again";

/* Milliseconds since 1970 by a clock that nobody sets. */
int64_t
requests_steady_ms(const struct requests *rs)
{
	return rs->born_wall_ms +
	    (int64_t)(loop_boot_ms() - rs->born_boot_ms);
}

int64_t
requests_today(void)
{
	return allowance_day(loop_wall_ms());
}

/* --- results -------------------------------------------------------------- */

/* False: the asker's pipe is full. */
static bool
tell(struct request *r, struct asker *a)
{
	bool ok = r->result == RESULT_OK;
	struct msg_result m = { .id = { a->bytes + a->npeer, a->nid },
		.ok = ok, .code = slice_of(result_name(r->result)),
		.message = ok ? nothing : slice_of(r->message),
		.data = buf_slice(&r->data), .platform_code = r->code,
		.status = r->status, .trace = slice_of(r->trace),
		.tries = r->attempt.tries };

	return r->owner->send(r->owner->self, (msg_peer){ a->bytes, a->npeer },
	           &m) != ERR_FULL;
}

/* He is the first in the list; what he takes no longer counts. */
static void
asker_drop(struct request *r)
{
	struct asker *a = r->askers;
	size_t        n = sizeof *a + a->npeer + a->nid;

	r->askers = a->next;
	r->bytes -= n;
	r->owner->bytes -= n;
	free(a);
}

static struct asker *
asker_add(struct request *r, msg_peer from, struct slice id)
{
	struct asker **at = &r->askers, *a;
	size_t         n = 0, bytes = sizeof *a + from.n + id.n;

	for (; *at != NULL; at = &(*at)->next, n++)
		if (slice_eq((struct slice){ (*at)->bytes, (*at)->npeer },
		        from) &&
		    slice_eq((struct slice){ (*at)->bytes + (*at)->npeer,
		                 (*at)->nid }, id))
			return *at;
	if ((a = malloc(bytes)) == NULL)
		return NULL;
	r->bytes += bytes;
	r->owner->bytes += bytes;
	*a = (struct asker){ .npeer = from.n, .nid = id.n };
	memcpy(a->bytes, from.p, from.n);
	if (id.n > 0)
		memcpy(a->bytes + from.n, id.p, id.n);
	*at = a;
	/* Who asks again over a new pipe has left the old one. */
	if (n >= CALL_ASKERS_MAX ||
	    (n > 0 && r->owner->bytes >= CALLS_BYTES_MAX))
		asker_drop(r);
	return a;
}

/* --- waiting -------------------------------------------------------------- */

static void on_time(void *);

void
request_wait_until(struct request *r, uint64_t at_ms)
{
	uint64_t now = loop_now(r->owner->loop);

	loop_after(r->owner->loop, &r->timer, at_ms > now ? at_ms - now : 0,
	    on_time, r);
}

/* Its window is over, it may go without it: from where it stood. */
static void
go_unasked(struct request *r)
{
	held_leave(r);
	request_unsay(r);
	r->message[0] = '\0';
	if (r->lane != NULL && r->lane->first != r) {
		r->state = IN_LINE;
		request_wait_until(r, r->rules.until_ms);
		return;
	}
	r->state = PAUSING;
	request_go(r);
}

/* The window has closed over a call that waited. */
static void
expire(struct request *r)
{
	if (r->state == WANTS_TOKEN)
		token_leave(r);
	if (r->state == WANTS_PLACE)
		place_leave(r);
	if (r->state == WANTS_FILES) {
		attach_cancel(r);
		r->result = RESULT_MEDIA;
		request_copy(r->message, sizeof r->message,
		    SLICE("its file was not ready in time"));
	}
	if (r->state == WANTS_LIMIT) {
		/* Whatever it was told before, this is why it has ended. */
		pace_why(&r->pace, r->message, sizeof r->message);
		r->result = RESULT_RATE_LIMITED;
		limit_leave(&r->owner->pace.limits, &r->pace.waiter);
	}
	if (r->rules.window && !r->attempt.unsure &&
	    request_make_unasked(r, 0)) {
		go_unasked(r);
		return;
	}
	if (r->message[0] == '\0' &&
	    (r->state == WANTS_RECORD || r->state == WANTS_FILE))
		snprintf(r->message, sizeof r->message,
		    "nothing is sent that cannot be recorded: "
		    "ROOKERY_STATE_DIR: %s", err_text(r->owner->sent.trouble));
	else if (r->message[0] == '\0' && r->state == WANTS_TOKEN)
		bot_why(r->bot, r->message, sizeof r->message);
	if (r->message[0] == '\0')
		snprintf(r->message, sizeof r->message,
		    "its turn did not come in time");
	if (r->code == 0 && r->state == WANTS_TOKEN)
		r->code = r->bot->breaker.state != BREAKER_CLOSED
		    ? r->bot->refused_code
		    : (uint64_t)r->bot->trouble_code;
	request_finish(r, attempt_expired(&r->attempt, &r->rules, r->result));
}

/* --- sending -------------------------------------------------------------- */

static void on_answer(void *, const struct http_answer *);

static void
on_leave(void *self)
{
	struct request *r = self;

	/* The library sends it anew: its connection broke after the first
	 * byte, and nobody knows how far the request came. */
	if (r->left)
		r->attempt.unsure = true;
	r->left = true;
	if (r->begun)
		sent_leaves(&r->owner->sent, r->entry.key);
}

void
request_submit(struct request *r)
{
	struct requests *rs = r->owner;
	enum err         e = ERR_NOMEM;

	loop_cancel(rs->loop, &r->timer);
	r->state = SENDING;
	r->left = false;
	r->generation = r->bot->token.generation;
	r->http = (struct http_request){
		.method = r->row->method, .url = r->url,
		.headers = bot_headers(r->bot, r->row->callback),
		.proxy = r->bot->proxy,
		.until_ms = r->rules.until_ms,
		.slow_ms = r->row->slow ? rs->slow_ms : 0,
		.once = r->body.n > 0 && !r->rules.has_seq && !rs->again,
		.on_leave = on_leave, .on_done = on_answer, .self = r };
	if (r->files.form != NULL)
		r->http.form = &r->files.form->http;
	else
		r->http.body = r->body;
	if (r->http.headers != NULL)
		e = http_start(r->bot->http, &r->http);
	if (e == ERR_OK) {
		rs->running++;
		return;
	}
	/* Out of memory: it stays at the head of its lane a little longer. */
	snprintf(r->message, sizeof r->message, "%s", err_text(e));
	r->state = PAUSING;
	request_wait_until(r, loop_now(rs->loop) + SUBMIT_AGAIN_MS);
}

/* There is a token and a place.  The record must say so first; where it
 * cannot, that is for the platform to tell doubles by, or else for later. */
static void
leave_a_word(struct request *r)
{
	struct requests *rs = r->owner;
	enum err         e;

	/* What an earlier run has sent is not known yet. */
	if (!rs->sent.loaded && !r->rules.has_seq) {
		r->state = WANTS_FILE;
		request_wait_until(r, r->rules.until_ms);
		return;
	}
	e = sent_begin(&rs->sent, r->entry.key, r->window_ms, requests_steady_ms(rs));
	if (e != ERR_OK && e != ERR_DUPLICATE) {
		snprintf(r->message, sizeof r->message, "%s", err_text(e));
		r->state = PAUSING;
		request_wait_until(r, loop_now(rs->loop) + SUBMIT_AGAIN_MS);
		return;
	}
	r->begun = true;
	if (rs->sent.trouble != ERR_OK && r->rules.has_seq) {
		request_submit(r);
		return;
	}
	r->state = WANTS_RECORD;
	held_enter(r);
	if (rs->sent.trouble != ERR_OK)
		request_wait_until(r, r->rules.until_ms);
}

/* Its tokens are taken. */
static void
request_leave(struct request *r)
{
	pace_count(&r->owner->pace, &r->pace, requests_today());
	if (!r->appears || r->begun)
		request_submit(r);
	else
		leave_a_word(r);
}

static void
on_tokens(struct limit_waiter *w)
{
	struct request *r = (struct request *)(void *)((char *)w -
	    offsetof(struct request, pace.waiter));

	loop_cancel(r->owner->loop, &r->timer);
	r->state = PAUSING;
	if (bot_may_send(r->bot) && !r->refused)
		request_leave(r);
	else
		request_go(r);
}

void
request_ask_limit(struct request *r)
{
	struct requests *rs = r->owner;

	r->state = WANTS_LIMIT;
	if (limit_ask(&rs->pace.limits, &r->pace.waiter, loop_now(rs->loop)))
		request_leave(r);
	else
		request_wait_until(r, r->rules.until_ms);
}

/* The calls to one message: what their keys begin with.  Keys of replies end
 * in their number; see call_key(). */
static struct slice
family_of(struct slice key)
{
	struct slice rest = key;
	size_t       n;

	for (int part = 0; part < 3; part++) {
		if (rest.n < sizeof n)
			return nothing;
		memcpy(&n, rest.p, sizeof n);
		if (rest.n - sizeof n < n)
			return nothing;
		rest = slice_from(rest, sizeof n + n);
	}
	return rest.n == sizeof(uint64_t)
	    ? (struct slice){ key.p, key.n - rest.n }
	    : nothing;
}

/* All replies that the platform allows to its message have been sent. */
static bool
is_one_too_many(const struct request *r)
{
	const struct requests *rs = r->owner;
	unsigned               most = rs->replies[r->to];
	struct slice           family = family_of(r->entry.key);

	return r->rules.has_seq && !r->begun && most > 0 && family.n > 0 &&
	    sent_family(&rs->sent, family) >= most;
}

/* False: it has ended, for it may not go, not in time at any rate. */
static bool
may_go(struct request *r)
{
	struct requests *rs = r->owner;
	enum result      result = RESULT_OK;
	uint64_t paused = limit_paused_ms(&rs->pace.limits, &r->pace.waiter);

	if (is_one_too_many(r)) {
		result = RESULT_QUOTA;
		snprintf(r->message, sizeof r->message, "refused here: %u "
		    "replies to this message have been sent, and the platform "
		    "allows no more (%s)", rs->replies[r->to],
		    r->to == SCOPE_C2C ? "ROOKERY_C2C_REPLIES"
		                       : "ROOKERY_GROUP_REPLIES");
	} else if (paused >= r->rules.until_ms) {
		result = RESULT_RATE_LIMITED;
		snprintf(r->message, sizeof r->message, "refused here: the "
		    "platform wants a pause that is longer than the time it "
		    "has");
	} else
		result = pace_check(&rs->pace, &r->pace, requests_today(), r->message,
		    sizeof r->message);
	if (result == RESULT_OK)
		return true;
	request_finish(r, r->attempt.unsure ? RESULT_TIMEOUT : result);
	return false;
}

static void
depart(struct request *r)
{
	struct requests *rs = r->owner;

	if (!r->attempt.unsure &&
	    r->bot->plain_until_ms[r->to] > loop_now(rs->loop))
		request_make_plain(r, r->bot->plain_code[r->to]);
	if (!may_go(r))
		return;
	if (attach_is_due(r))
		attach_start(r);
	else if (!r->appears || r->begun || (rs->lined == NULL && has_place(rs)))
		request_ask_limit(r);
	else {
		place_enter(r);
		request_wait_until(r, r->rules.until_ms);
	}
}

/* Until when it waits for a live session of its bot; 0: it does not. */
static uint64_t
session_patience(const struct request *r)
{
	const struct requests *rs = r->owner;
	uint64_t               until = r->bot->away_ms + rs->hold_ms;

	if (r->bot->away_ms == 0 || !r->appears || rs->hold == HOLD_NONE ||
	    (rs->hold == HOLD_GUILD && !r->guild) ||
	    until <= loop_now(rs->loop))
		return 0;
	return until < r->rules.until_ms ? until : r->rules.until_ms;
}

static void
session_wait(struct request *r, uint64_t until_ms)
{
	r->state = WANTS_SESSION;
	r->owner->without_session++;
	request_wait_until(r, until_ms);
}

static void
session_leave(struct request *r)
{
	if (r->state != WANTS_SESSION)
		return;
	r->owner->without_session--;
	r->state = PAUSING;
}

/* It is this call's turn.  Of a bot that goes only what had left before is
 * brought to its end; nobody else would. */
void
request_go(struct request *r)
{
	uint64_t patience;

	if (r->owner->closed || (r->bot->leaving && r->attempt.tries == 0))
		return;
	session_leave(r);
	if ((patience = session_patience(r)) > 0) {
		session_wait(r, patience);
		return;
	}
	/* To fetch what anybody may have, no token is needed. */
	if (r->files.work == WORK_DOWNLOAD ||
	    (bot_may_send(r->bot) && !r->refused)) {
		depart(r);
		return;
	}
	token_enter(r);
	request_wait_until(r, r->rules.until_ms);
}


static void
on_time(void *self)
{
	struct request *r = self;

	session_leave(r); /* it has waited for long enough */
	if (r->state == PAUSING &&
	    loop_now(r->owner->loop) < r->rules.until_ms)
		request_go(r);
	else if (r->state == HANDING_OVER)
		request_hand_over(r);
	else if (r->state == WANTS_REVIEW)
		request_tell_all(r);
	else
		expire(r);
}

/* --- answers -------------------------------------------------------------- */

void
request_copy(char *to, size_t size, struct slice s)
{
	size_t n = s.n < size ? s.n : size - 1;

	/* Not in the middle of a character. */
	while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	if (n > 0)
		memcpy(to, s.p, n);
	to[n] = '\0';
}

static void
note_error(struct request *r)
{
	struct request_counts *c = &r->owner->counts;

	c->error_code = r->code;
	c->error_status = r->status;
	c->error_wall_ms = loop_wall_ms();
	request_copy(c->error_trace, sizeof c->error_trace, slice_of(r->trace));
	request_copy(c->error_message, sizeof c->error_message, slice_of(r->message));
}

static void
note(struct request *r, const struct reply *p)
{
	r->status = p->status;
	r->code = p->code;
	r->result = p->result;
	request_copy(r->message, sizeof r->message, p->message);
	request_copy(r->trace, sizeof r->trace, p->trace);
	if (p->cls != CLASS_DONE && p->cls != CLASS_NEEDS_AUDIT &&
	    p->cls != CLASS_DUPLICATE)
		note_error(r);
}

static void
copy_member(void *self, const char *key, const struct json *value)
{
	json_put_ref(self, key, value);
}

/* What the user sees of a stream: who goes on with it after a crash must know,
 * for it can only grow. */
static bool
pack_shown(struct request *r, const struct json *told)
{
	struct json *doc = NULL, *made;
	bool         ok;

	if (r->operation->makes != MAKES_STREAM ||
	    json_parse(&doc, r->body) != ERR_OK)
		return false;
	made = json_new_object();
	json_put_ref(made, "id", json_get(doc, "stream_msg_id"));
	json_each(told, copy_member, made);
	if (slice_is(json_text_at(doc, "input_mode"), "replace"))
		json_put_ref(made, "shown", json_get(doc, "content_raw"));
	else
		json_put_bool(made, "append", true);
	if (slice_is(json_text_at(doc, "content_type"), "text"))
		json_put_ref(made, "format", json_get(doc, "content_type"));
	ok = json_to_msgpack(made, &r->data) == ERR_OK &&
	    r->data.n <= CALL_DATA_MAX;
	if (!ok)
		buf_free(&r->data);
	json_free(&made);
	json_free(&doc);
	return ok;
}

/* {msg time audit}, or the object itself where that was asked for. */
static void
pack_data(struct request *r, const struct reply *p)
{
	struct pack k;
	/* What refuses a double tells nothing of the first. */
	const struct json *told = p->cls == CLASS_DONE ||
	        p->cls == CLASS_NEEDS_AUDIT ? p->doc : NULL;

	if (r->whole) {
		if (pack_shown(r, told))
			return;
		if (told != NULL && json_to_msgpack(told, &r->data) != ERR_OK)
			r->data.failed = true;
		return;
	}
	pack_open(&k, &r->data);
	pack_map(&k, (p->msg.n > 0) + (size_t)(p->time_ms != 0) +
	        (p->audit.n > 0) + r->plain + r->unasked);
	if (p->msg.n > 0) {
		pack_str(&k, SLICE("msg"));
		pack_str(&k, p->msg);
	}
	if (p->time_ms != 0) {
		pack_str(&k, SLICE("time"));
		pack_int(&k, p->time_ms);
	}
	if (p->audit.n > 0) {
		pack_str(&k, SLICE("audit"));
		pack_str(&k, p->audit);
	}
	if (r->plain) {
		pack_str(&k, SLICE("plain"));
		pack_uint(&k, r->plain_after);
	}
	if (r->unasked) {
		pack_str(&k, SLICE("unasked"));
		pack_uint(&k, r->unasked_after);
	}
}

/* What a result could not carry would keep the result itself from its asker. */
static void
keep_data(struct request *r, const struct reply *p)
{
	pack_data(r, p);
	if (r->data.failed || r->data.n > CALL_DATA_MAX)
		buf_free(&r->data);
}

/* Nothing of it has reached anybody: the record need not say that it has. */
void
request_unsay(struct request *r)
{
	pace_uncount(&r->owner->pace, &r->pace);
	if (!r->begun)
		return;
	r->begun = false;
	sent_undo(&r->owner->sent, r->entry.key);
	requests_commit_soon(r->owner);
}

/* The platform refuses the token: the token is asked for anew, and the call
 * is sent once more, be it with the same one.  A second refusal is final. */
static void
want_token(struct request *r)
{
	r->refused = bot_doubt(r->bot, r->generation) == TOKEN_WAIT;
	r->answers = r->bot->token.answers;
	request_go(r);
}

/* What the answer says about the bot, and about the calls after this one. */
static void
tell_others(struct request *r, const struct reply *p,
    const struct attempt_verdict *v, uint64_t wait_ms)
{
	struct requests *rs = r->owner;

	if (p->cls == CLASS_CONFIG ||
	    (p->cls == CLASS_REFRESH_TOKEN && v->next == NEXT_DONE))
		bot_refused(r->bot, p->cls == CLASS_CONFIG, p->code,
		    p->message);
	else if (p->status > 0 && p->cls != CLASS_REFRESH_TOKEN &&
	    p->cls != CLASS_RETRY_LATER && p->cls != CLASS_UNSURE)
		bot_taken(r->bot);
	if (p->cls == CLASS_DONE)
		return;
	pace_refused(&rs->pace, &r->pace, p, wait_ms, loop_now(rs->loop),
	    requests_today());
	if (sent_is_unsaved(&rs->sent))
		requests_commit_soon(rs);
}

static void
send_again(struct request *r, const struct reply *p, uint64_t wait_ms)
{
	struct requests *rs = r->owner;

	rs->counts.retried++;
	log_warn("call.retry", KV("bot", r->bot->app),
	    KV("op", r->operation->name), KV("scope", r->scope),
	    KV("class", class_name(p->cls)), KV("status", r->status),
	    KV("code", r->code), KV("trace", (const char *)r->trace),
	    KV("why", (const char *)r->message),
	    KV("try", r->attempt.tries), KV("wait_ms", wait_ms));
	r->state = PAUSING;
	request_wait_until(r, loop_now(rs->loop) + wait_ms);
}

/* It had left before it was known that no call of its bot is taken: as those
 * after it, it waits until that is over. */
static void
wait_with_others(struct request *r)
{
	request_unsay(r);
	r->attempt.refreshed = false;
	token_enter(r);
	request_wait_until(r, r->rules.until_ms);
}

/* Done, it says: but what appears unasked has an id, or is held for review; and
 * a stream cannot go on without. */
static bool
names_nothing(const struct request *r, const struct reply *p)
{
	return (r->pace.active || r->rules.part == PART_FIRST) &&
	    p->cls == CLASS_DONE && p->msg.n == 0 && p->audit.n == 0;
}

/* Refused, unless it may leave once more in another form.  When we are
 * leaving ourselves it is not told so: the next of us is asked again. */
static void
end(struct request *r, const struct reply *p, enum result result, bool known)
{
	if (known && !r->attempt.unsure &&
	    (p->cls == CLASS_REFRESH_TOKEN || p->cls == CLASS_CONFIG)) {
		wait_with_others(r);
		return;
	}
	if (result == RESULT_OK && names_nothing(r, p)) {
		result = RESULT_TIMEOUT;
		request_copy(r->message, sizeof r->message,
		    SLICE("done, the platform says, and names no message: "
		          "nobody knows whether there is one"));
	} else if (result == RESULT_OK) {
		keep_data(r, p);
		request_note_audit(r, p->audit);
	} else if (attach_renew(r, p->code) || request_change_form(r, p)) {
		request_unsay(r);
		r->message[0] = '\0';
		r->state = PAUSING;
		request_go(r);
		return;
	}
	request_finish(r, result);
}

static void
act(struct request *r, const struct reply *p)
{
	struct requests       *rs = r->owner;
	struct attempt_verdict v;
	uint64_t               wait_ms, now = loop_now(rs->loop);
	bool known = r->bot->breaker.state != BREAKER_CLOSED;

	/* Asking the kernel for chance costs a call: not for a mere success. */
	v = attempt_judge(&r->attempt, &r->rules, p, now,
	    p->cls == CLASS_DONE ? 0 : backoff_chance());
	wait_ms = reply_retry_ms(p->retry_after, loop_wall_ms());
	if (wait_ms < v.wait_ms)
		wait_ms = v.wait_ms;
	if (v.next == NEXT_WAIT && now + wait_ms >= r->rules.until_ms)
		v = (struct attempt_verdict){ .next = NEXT_DONE,
			.result = attempt_expired(&r->attempt, &r->rules,
			    p->result) };
	tell_others(r, p, &v, wait_ms > 0 ? wait_ms : LIMITED_MS);
	if (v.next != NEXT_DONE && !r->attempt.unsure)
		request_unsay(r); /* it surely was not sent; it may be yet */
	if (v.next != NEXT_DONE && rs->closed)
		/* We leave; the worker will ask the next of us. */
		r->state = PAUSING;
	else if (v.next == NEXT_DONE)
		end(r, p, v.result, known);
	else if (v.next == NEXT_WAIT)
		send_again(r, p, wait_ms);
	else
		want_token(r);
}

static void
on_answer(void *self, const struct http_answer *a)
{
	struct request    *r = self;
	struct reply       p;

	r->owner->running--;
	/* Its turn for a connection came too late. */
	if (a->err == ERR_TIMEOUT && !a->reached &&
	    loop_now(r->owner->loop) >= r->rules.until_ms) {
		expire(r);
		return;
	}
	reply_read(&p, a);
	note(r, &p);
	act(r, &p);
	reply_free(&p);
}

/* --- the end -------------------------------------------------------------- */

static void
request_free(struct request *r)
{
	struct requests *rs = r->owner;

	loop_cancel(rs->loop, &r->timer);
	session_leave(r);
	if (r->state == WANTS_TOKEN)
		token_leave(r);
	if (r->state == WANTS_PLACE)
		place_leave(r);
	limit_leave(&rs->pace.limits, &r->pace.waiter);
	held_leave(r);
	attach_free(r);
	if (r->known)
		table_remove(&rs->calls, &r->entry);
	if (rs->walk == r)
		rs->walk = r->before;
	*(r->before != NULL ? &r->before->after : &rs->all) = r->after;
	if (r->after != NULL)
		r->after->before = r->before;
	while (r->askers != NULL)
		asker_drop(r);
	rs->n--;
	rs->bytes -= r->bytes;
	buf_free(&r->data);
	buf_free(&r->own_body);
	free(r);
}

/* First outcomes that must stay so: what was sent, and what may have been. */
static void
record(struct request *r)
{
	struct requests    *rs = r->owner;
	struct sent_outcome o = { .result = r->result, .status = r->status,
		.data = buf_slice(&r->data), .trace = slice_of(r->trace) };

	if (!r->appears)
		return;
	if (r->result != RESULT_OK && r->result != RESULT_TIMEOUT) {
		request_unsay(r);
		return;
	}
	sent_end(&rs->sent, r->entry.key, &o, requests_steady_ms(rs));
	requests_commit_soon(rs);
}

static void
log_done(struct request *r)
{
	struct asker *a = r->askers;
	struct slice  id = a != NULL
	    ? (struct slice){ a->bytes + a->npeer, a->nid } : nothing;

	log_info("call.done", KV("id", id), KV("bot", r->bot->app),
	    KV("op", r->operation->name), KV("scope", r->scope),
	    KV("status", r->status), KV("code", result_name(r->result)),
	    KV("platform_code", r->code), KV("trace", (const char *)r->trace),
	    KV("ms", loop_now(r->owner->loop) - r->began_ms),
	    KV("tries", r->attempt.tries));
}

static void
conclude(struct request *r, enum result result)
{
	struct request_counts *c = &r->owner->counts;

	r->result = result;
	r->state = HANDING_OVER;
	c->results[result]++;
	*(result == RESULT_OK ? &c->done : &c->failed) += 1;
	if (result == RESULT_TIMEOUT)
		buf_free(&r->data);
	if (result == RESULT_OK)
		pace_heard(&r->owner->pace, &r->pace, requests_today());
	if (r->message[0] == '\0')
		request_copy(r->message, sizeof r->message,
		    slice_of(result_meaning(result)));
	record(r);
	log_done(r);
	lane_leave(r);
}

/* Tells those who asked; where a pipe is full, again in a moment. */
void
request_hand_over(struct request *r)
{
	struct requests *rs = r->owner;
	uint64_t         now = loop_now(rs->loop);
	bool             all = true;

	held_leave(r);
	if (r->give_up_ms == 0)
		r->give_up_ms = now + CALL_GIVE_UP_MS;
	for (struct asker *a = r->askers; a != NULL; a = a->next) {
		a->told = a->told || tell(r, a);
		all = all && a->told;
	}
	if (all || now >= r->give_up_ms)
		request_free(r);
	else
		request_wait_until(r, now + CALL_HAND_OVER_MS);
}

/* Once its worker knows, the event may be acknowledged and never come back.
 * So where the platform would show a double, the record comes first; but not
 * for longer than its window, after which a repeat is refused anyway. */
void
request_tell_all(struct request *r)
{
	struct requests *rs = r->owner;
	bool             hold = r->begun && !r->rules.has_seq;

	r->state = HANDING_OVER;
	if (!hold || !sent_is_unsaved(&rs->sent) ||
	    loop_now(rs->loop) >= r->rules.until_ms) {
		request_hand_over(r);
		return;
	}
	held_enter(r);
	if (rs->sent.trouble != ERR_OK)
		request_wait_until(r, r->rules.until_ms);
}

void
request_finish(struct request *r, enum result result)
{
	uint64_t now = loop_now(r->owner->loop);

	conclude(r, result);
	if (result == RESULT_OK && r->audit[0] != '\0' &&
	    r->audit_wait_ms > 0) {
		r->state = WANTS_REVIEW;
		request_wait_until(r, now + r->audit_wait_ms);
	} else
		request_tell_all(r);
}

/* --- calls that end where they begin ----------------------------------------- */

static void
request_link(struct request *r, struct requests *rs, size_t bytes)
{
	r->owner = rs;
	r->bytes = bytes;
	r->after = rs->all;
	if (rs->all != NULL)
		rs->all->before = r;
	rs->all = r;
	rs->n++;
	rs->bytes += bytes;
}

/* Told at once; where the pipe is full, as the end of a call that did nothing
 * else. */
static void
answer_now(struct requests *rs, msg_peer from, const struct msg_result *m,
    enum result result)
{
	struct request *r;

	if (rs->send(rs->self, from, m) != ERR_FULL || rs->n >= CALLS_MAX ||
	    (r = calloc(1, sizeof *r)) == NULL)
		return;
	request_link(r, rs, sizeof *r + m->data.n);
	r->state = HANDING_OVER;
	r->result = result;
	r->status = (unsigned)m->status;
	buf_put(&r->data, m->data);
	request_copy(r->message, sizeof r->message, m->message);
	request_copy(r->trace, sizeof r->trace, m->trace);
	if (asker_add(r, from, m->id) == NULL)
		request_free(r);
	else
		request_hand_over(r);
}

static void
refuse(struct requests *rs, msg_peer from, const struct msg_call *m,
    enum result result, const char *why)
{
	struct msg_result no = { .id = m->id,
		.code = slice_of(result_name(result)),
		.message = slice_of(why) };

	rs->counts.failed++;
	rs->counts.results[result]++;
	log_info("call.done", KV("id", m->id), KV("bot", m->bot),
	    KV("op", m->do_), KV("code", result_name(result)),
	    KV("why", why), KV("tries", 0));
	answer_now(rs, from, &no, result);
}

/* What became of it before.  That a first part was taken is of no use without
 * its id, which may have gone with an earlier run of ours. */
enum sent_state
request_was(struct requests *rs, struct slice key, enum attempt_part part,
    struct sent_outcome *o)
{
	enum sent_state was = sent_find(&rs->sent, key, o);

	if (was == SENT_ENDED && part == PART_FIRST && o->data.n == 0)
		o->result = RESULT_TIMEOUT;
	return was;
}

static void
repeat(struct requests *rs, msg_peer from, const struct msg_call *m,
    const struct sent_outcome *o)
{
	struct msg_result r = { .id = m->id, .ok = o->result == RESULT_OK,
		.code = slice_of(result_name(o->result)),
		.message = SLICE("the outcome of the first time"),
		.data = o->data, .status = o->status, .trace = o->trace };

	rs->counts.repeated++;
	log_info("call.repeated", KV("id", m->id), KV("bot", m->bot),
	    KV("op", m->do_), KV("code", result_name(o->result)));
	answer_now(rs, from, &r, o->result);
}

/* It was never sent, or an earlier run of ours was sending it. */
static void
tell_unknown(struct requests *rs, msg_peer from, const struct msg_call *m)
{
	const struct msg_result no = { .id = m->id,
		.code = slice_of(result_name(RESULT_UNKNOWN_TARGET)),
		.message = SLICE("not known to have been sent") };

	answer_now(rs, from, &no, RESULT_UNKNOWN_TARGET);
}

/* --- the beginning -------------------------------------------------------- */

/* The end of the window on our clock; false when it is over. */
static bool
set_window(struct attempt_rules *rules, const struct call *c, uint64_t now_ms)
{
	int64_t deadline = c->args->deadline;
	bool    file = c->work != WORK_REQUEST || c->media.wanted;
	int64_t left = file ? CALL_FILE_PATIENCE_MS : CALL_PATIENCE_MS;

	rules->window = deadline != 0;
	if (rules->window)
		left = deadline > 0 ? deadline - loop_wall_ms() : 0;
	if (left > CALL_WINDOW_MAX_MS)
		left = CALL_WINDOW_MAX_MS;
	rules->until_ms = now_ms + (left > 0 ? (uint64_t)left : 0);
	return left > 0;
}

/* What it counts against. */
static void
set_pace(struct request *r, const struct call *c)
{
	r->pace = (struct pace_call){ .bot = r->bot->app, .conv = r->pace.conv,
		.scope = r->pace.conv.n > 0 ? (enum pace_scope)c->scope
		                            : PACE_NONE,
		/* What an upload needs is its errands' to take. */
		.row = c->row != NULL && c->work == WORK_REQUEST
		    ? limit_named(c->row->limit) : LIMIT_none,
		.waiter.go = on_tokens,
		.active = c->speaks && c->appears && !c->passive,
		.wakeup = c->wakeup,
		.verified = r->bot->conf->qq_verified,
		.sandbox = r->bot->conf->qq_sandbox };
	pace_prepare(&r->pace);
}

/* A copy in the store, which is moved behind it. */
static struct slice
keep_slice(char **at, struct slice s)
{
	struct slice kept = { *at, s.n };

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return kept;
}

/* Key, address and body are in the scratch buffers. */
static struct request *
request_new(struct requests *rs, struct bot *b, const struct call *c)
{
	size_t n = rs->key.n + rs->conv.n + rs->url.n + 1 + rs->body.n +
	    c->media.source.n + c->media.name.n;
	struct request *r = calloc(1, sizeof *r + n);
	char           *at;

	if (r == NULL)
		return NULL;
	at = r->store;
	r->entry.key = keep_slice(&at, buf_slice(&rs->key));
	r->pace.conv = keep_slice(&at, buf_slice(&rs->conv));
	r->url = keep_slice(&at, (struct slice){ rs->url.p, rs->url.n + 1 }).p;
	r->body = keep_slice(&at, buf_slice(&rs->body));
	r->files.work = c->work;
	r->files.want = c->media;
	r->files.want.source = keep_slice(&at, c->media.source);
	r->files.want.name = keep_slice(&at, c->media.name);
	r->bot = b;
	r->operation = c->operation;
	r->scope = call_scope_name(c);
	r->to = c->scope;
	r->row = c->row;
	r->whole = c->whole;
	r->appears = c->appears && c->work == WORK_REQUEST;
	r->replies = c->speaks && c->passive;
	r->guild = c->scope == SCOPE_CHANNEL || c->scope == SCOPE_DM;
	r->audit_wait_ms = c->audit_wait_ms;
	r->rules.has_seq = c->has_seq;
	r->rules.part = c->part;
	r->rules.again = rs->again || !c->appears;
	r->began_ms = loop_now(rs->loop);
	set_pace(r, c);
	attempt_open(&r->attempt);
	request_link(r, rs, sizeof *r + n);
	return r;
}

/* Into the lane of its conversation; false: out of memory. */
static bool
join_lane(struct request *r, const struct call *c)
{
	struct requests *rs = r->owner;
	struct lane     *l;

	buf_reset(&rs->url);
	call_lane(c, &rs->url);
	if (rs->url.n == 0 && !rs->url.failed)
		return true;
	if (rs->url.failed || (l = lane_of(rs, buf_slice(&rs->url))) == NULL)
		return false;
	r->lane = l;
	if (l->last != NULL)
		l->last->lane_next = r;
	else
		l->first = r;
	l->last = r;
	return true;
}

static enum result
prepare(struct requests *rs, struct bot *b, const struct call *c,
    msg_peer from, const char **why)
{
	buf_reset(&rs->key);
	buf_reset(&rs->url);
	buf_reset(&rs->body);
	buf_reset(&rs->conv);
	*why = "an id in it makes no path";
	if (call_url(c, b->api, &rs->url) == ERR_SYNTAX)
		return RESULT_BAD_ARG;
	call_key(c, from, &rs->key);
	call_conv(c, &rs->conv);
	*why = "out of memory";
	if (call_body(c, &rs->body) != ERR_OK || rs->key.failed ||
	    rs->url.failed || rs->conv.failed)
		return RESULT_RATE_LIMITED;
	return RESULT_OK;
}

/* Its window is over: what is said, unless it may go without one. */
static bool
is_too_late(struct requests *rs, msg_peer from, const struct call *c,
    bool unsure)
{
	if (!unsure && rs->expired_active && c->speaks && c->passive)
		return false;
	refuse(rs, from, c->args, unsure ? RESULT_TIMEOUT : RESULT_REPLY_EXPIRED,
	    unsure ? request_unknown : "the window for replies is over; nothing was "
	                       "sent");
	return true;
}

/* It is known, and its turn has come or will. */
static void
line_up(struct request *r, const struct attempt_rules *window, bool late)
{
	struct requests *rs = r->owner;

	r->rules.window = window->window;
	r->rules.until_ms = window->until_ms;
	if (window->window)
		r->window_ms = requests_steady_ms(rs) +
		    (int64_t)(window->until_ms - loop_now(rs->loop));
	table_put(&rs->calls, &r->entry);
	r->known = true;
	if (late && !request_make_unasked(r, 0)) {
		snprintf(r->message, sizeof r->message,
		    "the window for replies is over; nothing was sent");
		request_finish(r, RESULT_REPLY_EXPIRED);
	} else if (r->lane == NULL || r->lane->first == r)
		request_go(r);
	else
		request_wait_until(r, r->rules.until_ms);
}

/* unsure: an earlier run of ours was sending it when it ended. */
static void
begin(struct requests *rs, struct bot *b, const struct call *c, msg_peer from,
    bool unsure)
{
	const struct msg_call *m = c->args;
	struct request        *r = NULL;
	struct attempt_rules   window;
	bool                   late;

	if (unsure && !c->has_seq && !rs->again) {
		refuse(rs, from, m, RESULT_TIMEOUT, request_unknown);
		return;
	}
	late = !set_window(&window, c, loop_now(rs->loop));
	if (late && is_too_late(rs, from, c, unsure))
		return;
	if (rs->n >= CALLS_MAX || rs->bytes >= CALLS_BYTES_MAX) {
		refuse(rs, from, m, RESULT_RATE_LIMITED,
		    "busy: too many calls wait");
		return;
	}
	if ((r = request_new(rs, b, c)) == NULL ||
	    asker_add(r, from, m->id) == NULL || !join_lane(r, c)) {
		if (r != NULL)
			request_free(r);
		refuse(rs, from, m, RESULT_RATE_LIMITED, "out of memory");
		return;
	}
	r->begun = r->attempt.unsure = unsure;
	line_up(r, &window, late);
}

/* It is under way: one more who is told.  Who asks again was not reached. */
static void
join(struct requests *rs, struct request *r, msg_peer from, struct slice id)
{
	struct asker *a = asker_add(r, from, id);

	rs->counts.joined++;
	if (a != NULL)
		a->told = false;
}

static void
take(struct requests *rs, struct bot *b, const struct call *c, msg_peer from)
{
	const struct msg_call *m = c->args;
	struct table_entry    *e;
	struct sent_outcome    first;
	enum sent_state        was;
	const char            *why;
	enum result            result = prepare(rs, b, c, from, &why);

	if (result != RESULT_OK) {
		refuse(rs, from, m, result, why);
		return;
	}
	if ((e = table_find(&rs->calls, buf_slice(&rs->key))) != NULL) {
		join(rs, (struct request *)(void *)e, from, m->id);
		return;
	}
	was = request_was(rs, buf_slice(&rs->key), c->part, &first);
	if (was == SENT_ENDED)
		repeat(rs, from, m, &first);
	else if (c->known)
		tell_unknown(rs, from, m);
	else
		begin(rs, b, c, from, was == SENT_UNDER_WAY);
}

void
requests_take(struct requests *rs, msg_peer from, const struct msg_call *m)
{
	struct bot *b = rs->find_bot(rs->self, m->bot);
	struct call c;
	const char *why;
	enum result result;

	if (rs->closed)
		return; /* unanswered: it will be asked of the next of us */
	if (b == NULL) {
		refuse(rs, from, m, RESULT_UNKNOWN_TARGET, m->bot.n == 0
		    ? "bot: is missing (whose call is it)"
		    : "bot: no such bot here");
		return;
	}
	result = call_read(&c, m, rs->raw, &why);
	if (result != RESULT_OK)
		refuse(rs, from, m, result, c.wrong);
	else
		take(rs, b, &c, from);
	call_free(&c);
}

/* --- from outside --------------------------------------------------------- */

enum err
requests_open(struct requests *rs)
{
	rs->born_wall_ms = loop_wall_ms();
	rs->born_boot_ms = loop_boot_ms();
	sent_count_families(&rs->sent, family_of);
	return requests_open_turns(rs);
}

void
requests_on_token(struct requests *rs, struct bot *b)
{
	struct request *r = b->first, *next;

	if (rs->closed || !bot_may_send(b))
		return;
	b->first = b->last = NULL;
	for (; r != NULL; r = next) {
		next = r->token_next;
		r->state = PAUSING;
		if (r->refused && r->answers == b->token.answers) {
			token_enter(r); /* its doubt is not settled yet */
			continue;
		}
		r->refused = false;
		depart(r);
	}
}

/* They stand in the list latest first, and leave first come first.  One that
 * ends at once may take those behind it with it, so the walk is known to
 * whoever frees them. */
void
requests_on_live(struct requests *rs, struct bot *b)
{
	struct request *r = rs->all;

	while (r != NULL && r->after != NULL)
		r = r->after;
	for (; r != NULL; r = rs->walk) {
		rs->walk = r->before;
		if (r->bot == b && r->state == WANTS_SESSION)
			request_go(r);
	}
}

void
requests_let_go(struct requests *rs, struct bot *b)
{
	struct request *r, *next;

	for (r = rs->all; r != NULL; r = next) {
		next = r->after;
		if (r->bot != b || r->state == SENDING ||
		    r->state == WANTS_REVIEW || r->state == HANDING_OVER)
			continue;
		if (!r->attempt.unsure)
			request_unsay(r);
		lane_leave(r);
		request_free(r);
	}
}

bool
requests_use(const struct requests *rs, const struct bot *b)
{
	for (const struct request *r = rs->all; r != NULL; r = r->after)
		if (r->bot == b)
			return true;
	return false;
}

void
requests_stop(struct requests *rs)
{
	rs->closed = true;
}

bool
requests_idle(const struct requests *rs)
{
	if (rs->running > 0)
		return false;
	for (const struct request *r = rs->all; r != NULL; r = r->after)
		if (r->state == HANDING_OVER)
			return false;
	return true;
}

void
requests_close(struct requests *rs)
{
	struct request *r;

	rs->closed = true;
	while ((r = rs->all) != NULL) {
		bool kept = r->state == WANTS_RECORD ||
		    (r->state == SENDING && r->http.waiting);

		if (r->bot != NULL)
			http_cancel(r->bot->http, &r->http);
		if (kept && !r->attempt.unsure)
			request_unsay(r);
		lane_leave(r);
		request_free(r);
	}
	if (rs->loop != NULL) {
		loop_remove_source(rs->loop, rs);
		loop_cancel(rs->loop, &rs->commit);
		loop_cancel(rs->loop, &rs->limit);
	}
	limits_close(&rs->pace.limits);
	audits_close(&rs->audits);
	sent_close(&rs->sent);
	allowances_close(&rs->pace.allowances);
	buf_free(&rs->key);
	buf_free(&rs->url);
	buf_free(&rs->body);
	buf_free(&rs->conv);
}
