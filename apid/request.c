/*
 * The life of a call.  States: in line behind another call of its
 * conversation, waiting for the token, waiting for the record, being sent,
 * waiting to be sent again, done and handed to whoever asked.  The decisions
 * are attempt.c's and token.c's, the meaning of answers reply.c's.
 */
#include "request.h"

#include <stdlib.h>

#include "log.h"
#include "pack.h"

enum state {
	IN_LINE, WANTS_SESSION, WANTS_TOKEN, WANTS_PLACE, WANTS_RECORD, SENDING, PAUSING,
	HANDING_OVER
};

/* One who waits for the outcome. */
struct asker {
	struct asker *next;
	size_t        npeer, nid;
	bool          told;
	char          bytes[];    /* peer, id */
};

/* The calls of one conversation, first to leave first. */
struct lane {
	struct table_entry entry;   /* first: found by it */
	struct request    *first, *last;
	char               name[];
};

struct request {
	struct table_entry    entry;   /* first: found by it */
	struct requests      *owner;
	struct request       *before, *after;            /* of all */
	struct request       *lane_next, *token_next, *place_next, *held_next;
	struct lane          *lane;
	struct bot           *bot;
	const struct call_operation *operation;
	const char           *scope;
	enum state            state;
	bool                  whole, known, refused;
	bool                  appears;    /* and is recorded, therefore */
	bool                  guild;      /* to a channel, or as dm */
	bool                  begun;      /* the record says so */
	bool                  held;       /* until a commit */
	enum route            route;
	struct attempt        attempt;
	struct attempt_rules  rules;
	struct asker         *askers;
	uint64_t              began_ms, generation, answers;
	uint64_t              give_up_ms;
	int64_t               window_ms;  /* its end, wall clock; 0: none */
	struct timer          timer;
	struct http_request   http;
	struct slice          body;
	size_t                bytes;
	/* What the last answer said. */
	enum result           result;
	unsigned              status;
	uint64_t              code;
	struct buf            data;
	char                  trace[128], message[256];
	const char           *url;
	char                  store[];      /* key, url, body */
};

enum { SUBMIT_AGAIN_MS = 200 };

static const uint32_t reopen_ms[] = { 1000, 2000, 5000, 0 };

static void go(struct request *);
static void finish(struct request *, enum result);
static void commit_soon(struct requests *);

static const struct slice nothing = { NULL, 0 };
static const char unknown[] =
    "being sent when an earlier run of apid ended; not sent again";

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

/* --- lanes ---------------------------------------------------------------- */

static struct lane *
lane_of(struct requests *rs, struct slice name)
{
	struct table_entry *e = table_find(&rs->lanes, name);
	struct lane        *l;

	if (e != NULL)
		return (struct lane *)(void *)e;
	if ((l = calloc(1, sizeof *l + name.n)) == NULL)
		return NULL;
	memcpy(l->name, name.p, name.n);
	l->entry.key = (struct slice){ l->name, name.n };
	table_put(&rs->lanes, &l->entry);
	return l;
}

static void
lane_free_if_empty(struct requests *rs, struct lane *l)
{
	if (l == NULL || l->first != NULL)
		return;
	table_remove(&rs->lanes, &l->entry);
	free(l);
}

/* The one at its head has its outcome: the next may leave. */
static void
lane_leave(struct request *r)
{
	struct lane     *l = r->lane;
	struct request **at, *last = NULL;

	if (l == NULL)
		return;
	r->lane = NULL;
	for (at = &l->first; *at != r; at = &(*at)->lane_next)
		last = *at;
	*at = r->lane_next;
	if (l->last == r)
		l->last = last;
	if (l->first == NULL)
		lane_free_if_empty(r->owner, l);
	else if (l->first->state == IN_LINE)
		go(l->first);
}

/* --- the line for a token ------------------------------------------------- */

static void
token_enter(struct request *r)
{
	struct bot *b = r->bot;

	r->state = WANTS_TOKEN;
	r->token_next = NULL;
	if (b->last != NULL)
		b->last->token_next = r;
	else
		b->first = r;
	b->last = r;
}

static void
token_leave(struct request *r)
{
	struct bot      *b = r->bot;
	struct request **at = &b->first, *last = NULL;

	for (; *at != NULL && *at != r; at = &(*at)->token_next)
		last = *at;
	if (*at == NULL)
		return;
	*at = r->token_next;
	if (b->last == r)
		b->last = last;
}

/* --- what is held until a commit -------------------------------------------- */

static void
held_enter(struct request *r)
{
	struct requests *rs = r->owner;

	r->held = true;
	r->held_next = NULL;
	if (rs->held != NULL)
		rs->held_last->held_next = r;
	else
		rs->held = r;
	rs->held_last = r;
}

static void
held_leave(struct request *r)
{
	struct requests *rs = r->owner;
	struct request **at = &rs->held, *last = NULL;

	if (!r->held)
		return;
	r->held = false;
	for (; *at != r; at = &(*at)->held_next)
		last = *at;
	*at = r->held_next;
	if (rs->held_last == r)
		rs->held_last = last;
}

/* --- the line for a place among those under way ------------------------------ */

/* What is recorded as under way is soon under way: when we are killed nobody
 * has to wonder about what had only waited. */
static bool
has_place(const struct requests *rs)
{
	size_t taken = rs->running;

	/* Without a record they wait for long, and not in others' way. */
	if (rs->sent.trouble == ERR_OK)
		for (const struct request *r = rs->held; r != NULL;
		     r = r->held_next)
			taken += r->state == WANTS_RECORD;
	return !rs->closed && (rs->places == 0 || taken < rs->places);
}

static void
place_enter(struct request *r)
{
	struct requests *rs = r->owner;

	r->state = WANTS_PLACE;
	r->place_next = NULL;
	if (rs->lined != NULL)
		rs->lined_last->place_next = r;
	else
		rs->lined = r;
	rs->lined_last = r;
}

static void
place_leave(struct request *r)
{
	struct requests *rs = r->owner;
	struct request **at = &rs->lined, *last = NULL;

	for (; *at != NULL && *at != r; at = &(*at)->place_next)
		last = *at;
	if (*at == NULL)
		return;
	*at = r->place_next;
	if (rs->lined_last == r)
		rs->lined_last = last;
}

/* --- waiting -------------------------------------------------------------- */

static void on_time(void *);

static void
wait_until(struct request *r, uint64_t at_ms)
{
	uint64_t now = loop_now(r->owner->loop);

	loop_after(r->owner->loop, &r->timer, at_ms > now ? at_ms - now : 0,
	    on_time, r);
}

/* The window has closed over a call that waited. */
static void
expire(struct request *r)
{
	if (r->state == WANTS_TOKEN)
		token_leave(r);
	if (r->state == WANTS_PLACE)
		place_leave(r);
	if (r->message[0] == '\0' && r->state == WANTS_RECORD)
		snprintf(r->message, sizeof r->message,
		    "nothing is sent that cannot be recorded: "
		    "ROOKERY_STATE_DIR: %s", err_text(r->owner->sent.trouble));
	else if (r->message[0] == '\0' && r->state == WANTS_TOKEN)
		snprintf(r->message, sizeof r->message,
		    "no access token: %s", r->bot->trouble != NULL
		        ? r->bot->trouble : "not in time");
	else if (r->message[0] == '\0')
		snprintf(r->message, sizeof r->message,
		    "its turn did not come in time");
	if (r->code == 0 && r->state == WANTS_TOKEN)
		r->code = (uint64_t)r->bot->trouble_code;
	finish(r, attempt_expired(&r->attempt, &r->rules, r->result));
}

/* --- sending -------------------------------------------------------------- */

static void on_answer(void *, const struct http_answer *);

static void
submit(struct request *r)
{
	struct requests *rs = r->owner;
	enum err         e = ERR_NOMEM;

	loop_cancel(rs->loop, &r->timer);
	r->state = SENDING;
	r->generation = r->bot->token.generation;
	r->http = (struct http_request){
		.method = route_info(r->route)->method,
		.url = r->url, .body = r->body, .headers = bot_headers(r->bot),
		.until_ms = r->rules.until_ms,
		.once = r->body.n > 0 && !r->rules.has_seq && !rs->again,
		.on_done = on_answer, .self = r };
	if (r->http.headers != NULL)
		e = http_start(r->bot->http, &r->http);
	if (e == ERR_OK) {
		rs->running++;
		return;
	}
	/* Out of memory: it stays at the head of its lane a little longer. */
	snprintf(r->message, sizeof r->message, "%s", err_text(e));
	r->state = PAUSING;
	wait_until(r, loop_now(rs->loop) + SUBMIT_AGAIN_MS);
}

/* There is a token and a place.  The record must say so first; where it
 * cannot, that is for the platform to tell doubles by, or else for later. */
static void
leave_a_word(struct request *r)
{
	struct requests *rs = r->owner;
	enum err         e;

	e = sent_begin(&rs->sent, r->entry.key, r->window_ms, loop_wall_ms());
	if (e != ERR_OK && e != ERR_DUPLICATE) {
		snprintf(r->message, sizeof r->message, "%s", err_text(e));
		r->state = PAUSING;
		wait_until(r, loop_now(rs->loop) + SUBMIT_AGAIN_MS);
		return;
	}
	r->begun = true;
	if (rs->sent.trouble != ERR_OK && r->rules.has_seq) {
		submit(r);
		return;
	}
	r->state = WANTS_RECORD;
	held_enter(r);
	if (rs->sent.trouble != ERR_OK)
		wait_until(r, r->rules.until_ms);
}

static void
depart(struct request *r)
{
	struct requests *rs = r->owner;

	if (!r->appears || r->begun)
		submit(r);
	else if (rs->lined == NULL && has_place(rs))
		leave_a_word(r);
	else {
		place_enter(r);
		wait_until(r, r->rules.until_ms);
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
	wait_until(r, until_ms);
}

static void
session_leave(struct request *r)
{
	if (r->state != WANTS_SESSION)
		return;
	r->owner->without_session--;
	r->state = PAUSING;
}

/* It is this call's turn. */
static void
go(struct request *r)
{
	uint64_t patience;

	if (r->owner->closed)
		return;
	session_leave(r);
	if ((patience = session_patience(r)) > 0) {
		session_wait(r, patience);
		return;
	}
	if (bot_has_token(r->bot) && !r->refused) {
		depart(r);
		return;
	}
	token_enter(r);
	wait_until(r, r->rules.until_ms);
}

static void hand_over(struct request *);

static void
on_time(void *self)
{
	struct request *r = self;

	session_leave(r); /* it has waited for long enough */
	if (r->state == PAUSING &&
	    loop_now(r->owner->loop) < r->rules.until_ms)
		go(r);
	else if (r->state == HANDING_OVER)
		hand_over(r);
	else
		expire(r);
}

/* --- answers -------------------------------------------------------------- */

static void
copy(char *to, size_t size, struct slice s)
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
	copy(c->error_trace, sizeof c->error_trace, slice_of(r->trace));
	copy(c->error_message, sizeof c->error_message, slice_of(r->message));
}

static void
note(struct request *r, const struct reply *p)
{
	r->status = p->status;
	r->code = p->code;
	r->result = p->result;
	copy(r->message, sizeof r->message, p->message);
	copy(r->trace, sizeof r->trace, p->trace);
	if (p->cls != CLASS_DONE && p->cls != CLASS_NEEDS_AUDIT &&
	    p->cls != CLASS_DUPLICATE)
		note_error(r);
}

/* {msg time audit}, or the object itself where that was asked for. */
static void
pack_data(struct request *r, const struct reply *p)
{
	struct pack k;

	if (r->whole) {
		if (p->doc != NULL && json_to_msgpack(p->doc, &r->data) !=
		        ERR_OK)
			r->data.failed = true;
		return;
	}
	pack_open(&k, &r->data);
	pack_map(&k, (p->msg.n > 0) + (size_t)(p->time_ms != 0) +
	        (p->audit.n > 0));
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
static void
unsay(struct request *r)
{
	if (!r->begun)
		return;
	r->begun = false;
	sent_undo(&r->owner->sent, r->entry.key);
	commit_soon(r->owner);
}

/* The platform refuses the token: the token is asked for anew, and the call
 * is sent once more, be it with the same one.  A second refusal is final. */
static void
want_token(struct request *r)
{
	r->refused = bot_doubt(r->bot, r->generation) == TOKEN_WAIT;
	r->answers = r->bot->token.answers;
	go(r);
}

static void
act(struct request *r, const struct reply *p)
{
	struct requests       *rs = r->owner;
	struct attempt_verdict v;

	/* Asking the kernel for chance costs a call: not for a mere success. */
	v = attempt_judge(&r->attempt, &r->rules, p, loop_now(rs->loop),
	    p->cls == CLASS_DONE ? 0 : backoff_chance());
	if (v.next != NEXT_DONE && !r->attempt.unsure)
		unsay(r); /* it surely was not sent; it may be yet */
	if (v.next != NEXT_DONE && rs->closed) {
		/* We leave; the worker will ask the next of us. */
		r->state = PAUSING;
		return;
	}
	switch (v.next) {
	case NEXT_DONE:
		if (v.result == RESULT_OK)
			keep_data(r, p);
		finish(r, v.result);
		break;
	case NEXT_WAIT:
		rs->counts.retried++;
		log_warn("call.retry", KV("bot", r->bot->app),
		    KV("op", r->operation->name), KV("scope", r->scope),
		    KV("class", class_name(p->cls)), KV("status", r->status),
		    KV("code", r->code), KV("trace", (const char *)r->trace),
		    KV("why", (const char *)r->message),
		    KV("try", r->attempt.tries), KV("wait_ms", v.wait_ms));
		r->state = PAUSING;
		wait_until(r, loop_now(rs->loop) + v.wait_ms);
		break;
	case NEXT_TOKEN:
		want_token(r);
		break;
	}
}

static void
on_answer(void *self, const struct http_answer *a)
{
	struct request    *r = self;
	struct reply       p;
	struct reply_input in = { .status = a->status, .body = a->body,
		.trace = a->trace, .reached = a->reached,
		.cut = a->err != ERR_OK, .why = slice_of(a->why) };

	r->owner->running--;
	/* A success that broke off is none: its body may have said no. */
	if (a->err != ERR_OK && a->status < 300)
		in.status = 0;
	/* Its turn for a connection came too late. */
	if (a->err == ERR_TIMEOUT && !a->reached &&
	    loop_now(r->owner->loop) >= r->rules.until_ms) {
		expire(r);
		return;
	}
	reply_read(&p, &in);
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
	held_leave(r);
	if (r->known)
		table_remove(&rs->calls, &r->entry);
	*(r->before != NULL ? &r->before->after : &rs->all) = r->after;
	if (r->after != NULL)
		r->after->before = r->before;
	while (r->askers != NULL)
		asker_drop(r);
	rs->n--;
	rs->bytes -= r->bytes;
	buf_free(&r->data);
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
		unsay(r);
		return;
	}
	sent_end(&rs->sent, r->entry.key, &o, loop_wall_ms());
	commit_soon(rs);
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
	if (r->message[0] == '\0')
		copy(r->message, sizeof r->message,
		    slice_of(result_meaning(result)));
	record(r);
	log_done(r);
	lane_leave(r);
}

/* Tells those who asked; where a pipe is full, again in a moment. */
static void
hand_over(struct request *r)
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
		wait_until(r, now + CALL_HAND_OVER_MS);
}

/* Once its worker knows, the event may be acknowledged and never come back.
 * So where the platform would show a double, the record comes first; but not
 * for longer than its window, after which a repeat is refused anyway. */
static void
finish(struct request *r, enum result result)
{
	struct requests *rs = r->owner;
	bool             hold;

	conclude(r, result);
	hold = r->begun && !r->rules.has_seq;
	if (!hold || loop_now(rs->loop) >= r->rules.until_ms) {
		hand_over(r);
		return;
	}
	held_enter(r);
	if (rs->sent.trouble != ERR_OK)
		wait_until(r, r->rules.until_ms);
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
	copy(r->message, sizeof r->message, m->message);
	copy(r->trace, sizeof r->trace, m->trace);
	if (asker_add(r, from, m->id) == NULL)
		request_free(r);
	else
		hand_over(r);
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

/* --- commits -------------------------------------------------------------- */

static void
release(struct request *r)
{
	if (r->state == HANDING_OVER)
		hand_over(r);
	else if (!r->owner->closed && bot_has_token(r->bot))
		submit(r);
	else {
		unsay(r);
		r->state = PAUSING;
		go(r);
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
			wait_until(r, r->rules.until_ms);
		}
	}
}

static void
reopen(void *self)
{
	struct requests *rs = self;

	if (sent_reopen(&rs->sent, loop_wall_ms()) != ERR_OK) {
		loop_after(rs->loop, &rs->commit,
		    backoff_next(&rs->reopen, backoff_chance()), reopen, rs);
		return;
	}
	log_info("record.back", KV("file", (const char *)rs->sent.path),
	    KV("rows", rs->sent.n));
	backoff_reset(&rs->reopen);
	rs->on_record(rs->self);
	release_held(rs, true);
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
		if (bot_has_token(r->bot) && !r->refused)
			leave_a_word(r);
		else
			go(r);
	}
}

static void
commit(void *self)
{
	struct requests *rs = self;
	enum err         e = sent_commit(&rs->sent, loop_wall_ms());

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

	return must_commit(rs) || (rs->lined != NULL && has_place(rs));
}

static void
turn(void *self)
{
	struct requests *rs = self;

	give_places(rs);
	if (must_commit(rs))
		commit(rs);
}

/* Nobody waits for it, but it shall not be lost either. */
static void
commit_soon(struct requests *rs)
{
	if (rs->sent.trouble == ERR_OK && rs->commit.slot == 0)
		loop_after(rs->loop, &rs->commit, RECORD_LATE_MS, commit, rs);
}

/* --- the beginning -------------------------------------------------------- */

/* The end of the window on our clock; false when it is over. */
static bool
set_window(struct attempt_rules *rules, int64_t deadline, uint64_t now_ms)
{
	int64_t left = CALL_PATIENCE_MS;

	rules->window = deadline != 0;
	if (rules->window)
		left = deadline > 0 ? deadline - loop_wall_ms() : 0;
	if (left > CALL_WINDOW_MAX_MS)
		left = CALL_WINDOW_MAX_MS;
	rules->until_ms = now_ms + (left > 0 ? (uint64_t)left : 0);
	return left > 0;
}

/* Key, address and body are in the scratch buffers. */
static struct request *
request_new(struct requests *rs, struct bot *b, const struct call *c)
{
	size_t n = rs->key.n + rs->url.n + 1 + rs->body.n;
	struct request *r = calloc(1, sizeof *r + n);
	char           *at;

	if (r == NULL)
		return NULL;
	at = r->store;
	r->entry.key = (struct slice){ memcpy(at, rs->key.p, rs->key.n),
		rs->key.n };
	at += rs->key.n;
	r->url = memcpy(at, rs->url.p, rs->url.n + 1);
	at += rs->url.n + 1;
	if (rs->body.n > 0)
		r->body = (struct slice){ memcpy(at, rs->body.p, rs->body.n),
			rs->body.n };
	r->bot = b;
	r->operation = c->operation;
	r->scope = call_scope_name(c);
	r->route = c->route;
	r->whole = c->whole;
	r->appears = c->appears;
	r->guild = c->scope == SCOPE_CHANNEL || c->scope == SCOPE_DM;
	r->rules.has_seq = c->has_seq;
	r->rules.again = rs->again || !c->appears;
	r->began_ms = loop_now(rs->loop);
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

	if (!(c->operation->needs & NEEDS_CONV))
		return true;
	buf_reset(&rs->url);
	buf_put(&rs->url, r->bot->app);
	buf_put(&rs->url, SLICE(" "));
	buf_put(&rs->url, c->args->conv);
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
	*why = "msg: not an id";
	if (call_url(c, b->api, &rs->url) == ERR_SYNTAX)
		return RESULT_BAD_ARG;
	call_key(c, from, &rs->key);
	*why = "out of memory";
	if (call_body(c, &rs->body) != ERR_OK || rs->key.failed ||
	    rs->url.failed)
		return RESULT_RATE_LIMITED;
	return RESULT_OK;
}

/* unsure: an earlier run of ours was sending it when it ended. */
static void
begin(struct requests *rs, struct bot *b, const struct call *c, msg_peer from,
    bool unsure)
{
	const struct msg_call *m = c->args;
	struct request        *r = NULL;
	struct attempt_rules   window;

	if (unsure && !c->has_seq && !rs->again) {
		refuse(rs, from, m, RESULT_TIMEOUT, unknown);
		return;
	}
	if (!set_window(&window, m->deadline, loop_now(rs->loop))) {
		refuse(rs, from, m,
		    unsure ? RESULT_TIMEOUT : RESULT_REPLY_EXPIRED,
		    unsure ? unknown : "the window for replies is over; "
		                       "nothing was sent");
		return;
	}
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
	r->rules.window = window.window;
	r->rules.until_ms = window.until_ms;
	if (window.window)
		r->window_ms = loop_wall_ms() +
		    (int64_t)(window.until_ms - loop_now(rs->loop));
	r->begun = r->attempt.unsure = unsure;
	table_put(&rs->calls, &r->entry);
	r->known = true;
	if (r->lane == NULL || r->lane->first == r)
		go(r);
	else
		wait_until(r, r->rules.until_ms);
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

void
requests_take(struct requests *rs, msg_peer from, const struct msg_call *m)
{
	struct bot         *b = rs->find_bot(rs->self, m->bot);
	struct table_entry *e;
	struct sent_outcome first;
	enum sent_state     was;
	struct call         c;
	const char         *why;
	enum result         result;

	if (rs->closed)
		return; /* unanswered: it will be asked of the next of us */
	if (b == NULL) {
		refuse(rs, from, m, RESULT_UNKNOWN_TARGET,
		    "bot: no such bot here");
		return;
	}
	if ((result = call_read(&c, m, &why)) != RESULT_OK ||
	    (result = prepare(rs, b, &c, from, &why)) != RESULT_OK) {
		refuse(rs, from, m, result, why);
		return;
	}
	if ((e = table_find(&rs->calls, buf_slice(&rs->key))) != NULL) {
		join(rs, (struct request *)(void *)e, from, m->id);
		return;
	}
	was = sent_find(&rs->sent, buf_slice(&rs->key), &first);
	if (was == SENT_ENDED)
		repeat(rs, from, m, &first);
	else
		begin(rs, b, &c, from, was == SENT_UNDER_WAY);
}

/* --- from outside --------------------------------------------------------- */

enum err
requests_open(struct requests *rs)
{
	struct loop_source src = { turn_pending, turn, rs };

	rs->reopen.steps_ms = reopen_ms;
	return loop_add_source(rs->loop, &src);
}

void
requests_on_token(struct requests *rs, struct bot *b)
{
	struct request *r = b->first, *next;

	if (rs->closed || !bot_has_token(b))
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

/* They stand in the list latest first, and leave first come first. */
void
requests_on_live(struct requests *rs, struct bot *b)
{
	struct request *r = rs->all, *before;

	while (r != NULL && r->after != NULL)
		r = r->after;
	for (; r != NULL; r = before) {
		before = r->before;
		if (r->bot == b && r->state == WANTS_SESSION)
			go(r);
	}
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
			unsay(r);
		lane_leave(r);
		request_free(r);
	}
	if (rs->loop != NULL) {
		loop_remove_source(rs->loop, rs);
		loop_cancel(rs->loop, &rs->commit);
	}
	sent_close(&rs->sent);
	buf_free(&rs->key);
	buf_free(&rs->url);
	buf_free(&rs->body);
}
