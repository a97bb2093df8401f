/*
 * The gateway as its page on opcodes and close codes has it.  A session's log
 * is its queue: a connection writes from the cursor on, a Resume sets the
 * cursor back.
 */
#include "gate.h"

#include <stdio.h>
#include <stdlib.h>

enum { OP_DISPATCH = 0, OP_HEARTBEAT = 1, OP_IDENTIFY = 2, OP_RESUME = 6,
	OP_RECONNECT = 7, OP_INVALID_SESSION = 9, OP_HELLO = 10, OP_ACK = 11 };

static const char invalid_session[][24] = {
	[FAULT_D_FALSE] = "{\"op\":9,\"d\":false}",
	[FAULT_D_TRUE] = "{\"op\":9,\"d\":true}",
	[FAULT_D_ABSENT] = "{\"op\":9}",
};

static const char reconnect[] = "{\"op\":7}";

/* --- what is to be written ---------------------------------------------- */

static void
wake(struct platform *p, struct conn *c)
{
	if (p->out.wake != NULL && !c->stalled)
		p->out.wake(p->out.self, c);
}

static void
say(struct platform *p, struct conn *c, struct slice text)
{
	struct frame *f = NULL;

	if (c->state == CONN_CLOSING)
		return;
	if (c->nframes < FRAMES_QUEUED_MAX)
		f = malloc(sizeof *f + text.n);
	if (f == NULL) {
		gate_close(p, c, CLOSE_EXPIRED);
		return;
	}
	f->next = NULL;
	f->n = text.n;
	memcpy(f->text, text.p, text.n);
	*c->end = f;
	c->end = &f->next;
	c->nframes++;
	wake(p, c);
}

static void
forget_frames(struct conn *c)
{
	while (c->first != NULL) {
		struct frame *f = c->first;

		c->first = f->next;
		free(f);
	}
	c->end = &c->first;
	c->nframes = 0;
}

void
gate_close(struct platform *p, struct conn *c, int code)
{
	if (c->state == CONN_CLOSING)
		return;
	c->state = CONN_CLOSING;
	c->close_code = code;
	wake(p, c);
}

static void
refuse(struct platform *p, struct conn *c, enum violation v, int code)
{
	ledger_violation(&p->ledger, v);
	gate_close(p, c, code);
}

/* --- a session's log ---------------------------------------------------- */

void
payload_release(struct payload **at)
{
	if (*at != NULL && --(*at)->refs == 0)
		free(*at);
	*at = NULL;
}

static struct payload **
log_slot(const struct session *s, uint64_t seq)
{
	return &s->log[(s->start + (size_t)(seq - s->first_s)) % s->cap];
}

static void
log_drop_oldest(struct platform *p, struct session *s)
{
	struct payload **slot = log_slot(s, s->first_s);
	struct event    *e = ledger_event_at(&p->ledger, (*slot)->event);

	if (s->first_s > s->sent_s && e != NULL && e->state == EVENT_KEPT)
		ledger_state(&p->ledger, e, EVENT_LOST);
	s->bytes -= (*slot)->n;
	payload_release(slot);
	s->start = (s->start + 1) % s->cap;
	s->first_s++;
	s->n--;
	if (s->cursor < s->first_s)
		s->cursor = s->first_s;
}

static bool
log_grow(struct session *s)
{
	size_t           cap = s->cap > 0 ? s->cap * 2 : 64;
	struct payload **log = calloc(cap, sizeof *log);

	if (log == NULL)
		return false;
	for (size_t i = 0; i < s->n; i++)
		log[i] = s->log[(s->start + i) % s->cap];
	free(s->log);
	s->log = log;
	s->cap = cap;
	s->start = 0;
	return true;
}

static bool
log_append(struct platform *p, struct session *s, struct payload *y)
{
	while (s->n > 0 && (s->n >= SESSION_LOG_MAX ||
	    s->bytes + y->n > SESSION_LOG_BYTES))
		log_drop_oldest(p, s);
	if (s->n == s->cap && !log_grow(s))
		return false;
	s->n++;
	*log_slot(s, s->next_s++) = y;
	s->bytes += y->n;
	y->refs++;
	return true;
}

/* READY, RESUMED: in the log for their place, never replayed. */
static void
append_own(struct platform *p, struct session *s, const char *type,
    const struct json *d)
{
	struct json    *j = json_new_object();
	struct slice    text;
	struct payload *y;

	json_put_text(j, "t", slice_of(type));
	if (d != NULL)
		json_put_ref(j, "d", d);
	else
		json_put_text(j, "d", SLICE(""));
	text = json_print(j);
	if (text.n > 0 && (y = malloc(sizeof *y + text.n)) != NULL) {
		*y = (struct payload){ .refs = 1, .n = text.n - 1 };
		memcpy(y->text, text.p + 1, y->n);
		log_append(p, s, y);
		payload_release(&y);
	}
	json_free(&j);
}

enum sent
session_give(struct platform *p, struct session *s, struct payload *y,
    int64_t now_ms)
{
	struct fault  f;
	struct event *e = ledger_event_at(&p->ledger, y->event);
	int           times = 1;

	if (s->mute)
		return SENT_NOBODY;
	if (faults_strike(&p->faults, FAULT_duplicate, s->bot->app_id, "",
	    now_ms, &f))
		times = 2;
	while (times-- > 0)
		if (!log_append(p, s, y))
			return SENT_NOBODY;
	if (e != NULL && e->state == EVENT_NEW)
		ledger_state(&p->ledger, e, EVENT_KEPT);
	if (s->conn == NULL || s->conn->stalled ||
	    s->conn->state != CONN_LIVE)
		return SENT_KEPT;
	wake(p, s->conn);
	return SENT_LIVE;
}

static void
session_detach(struct platform *p, struct session *s, int64_t now_ms)
{
	if (s->conn == NULL)
		return;
	s->conn->session = NULL;
	s->conn = NULL;
	s->away_ms = now_ms;
	ledger_drop(&p->ledger, COUNT_live);
}

void
session_end(struct platform *p, struct session **at)
{
	struct session  *s = *at;
	struct session **link = &s->bot->sessions;

	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	if (s->conn != NULL)
		session_detach(p, s, 0);
	while (s->n > 0)
		log_drop_oldest(p, s);
	free(s->log);
	free(s);
	*at = NULL;
}

/* --- writing ------------------------------------------------------------ */

bool
gate_pending(const struct conn *c)
{
	return !c->stalled && (c->first != NULL ||
	    c->state == CONN_CLOSING ||
	    (c->session != NULL && c->session->cursor < c->session->next_s));
}

static void
note_dispatch(struct platform *p, struct session *s, uint64_t seq,
    const struct payload *y)
{
	struct event *e = ledger_event_at(&p->ledger, y->event);

	ledger_count(&p->ledger, COUNT_dispatched);
	if (seq <= s->sent_s)
		ledger_count(&p->ledger, COUNT_replayed);
	else
		s->sent_s = seq;
	if (e == NULL)
		return;
	e->dispatched++;
	ledger_state(&p->ledger, e, EVENT_GIVEN);
}

static bool
next_dispatch(struct platform *p, struct session *s, struct buf *out)
{
	while (s->cursor < s->next_s) {
		uint64_t              seq = s->cursor++;
		const struct payload *y = *log_slot(s, seq);

		if (y->event == 0 && seq <= s->sent_s)
			continue;
		buf_putf(out, "{\"op\":0,\"s\":%llu,",
		    (unsigned long long)seq);
		buf_put(out, (struct slice){ y->text, y->n });
		note_dispatch(p, s, seq, y);
		return true;
	}
	return false;
}

bool
gate_next(struct platform *p, struct conn *c, struct buf *out)
{
	buf_reset(out);
	if (c->stalled)
		return false;
	if (c->first != NULL) {
		struct frame *f = c->first;

		buf_put(out, (struct slice){ f->text, f->n });
		if ((c->first = f->next) == NULL)
			c->end = &c->first;
		c->nframes--;
		free(f);
	} else if (c->state != CONN_LIVE || c->session == NULL ||
	    !next_dispatch(p, c->session, out)) {
		return false;
	}
	if (p->out.frame != NULL)
		p->out.frame(p->out.self, c, false, buf_slice(out));
	return !out->failed;
}

/* --- coming and going --------------------------------------------------- */

static void
greet(struct platform *p, struct conn *c, int64_t now_ms)
{
	struct bot  *bot = platform_bot(p, SLICE(""));
	struct fault f, says;
	char         hello[80];
	int          n;

	c->interval_ms = bot != NULL ? bot->heartbeat_ms : 45000;
	if (faults_strike(&p->faults, FAULT_hello_interval, "", "", now_ms,
	    &f))
		c->interval_ms = (uint64_t)f.ms;
	n = snprintf(hello, sizeof hello,
	    "{\"op\":10,\"d\":{\"heartbeat_interval\":%llu}}",
	    (unsigned long long)c->interval_ms);
	c->state = CONN_GREETED;
	c->since_ms = c->heard_ms = now_ms;
	c->hello_due_ms = 0;
	say(p, c, faults_strike(&p->faults, FAULT_hello_says, "", "", now_ms,
	    &says)
	    ? slice_of(says.text) : (struct slice){ hello, (size_t)n });
}

void
gate_open(struct platform *p, struct conn *c, int64_t now_ms)
{
	struct fault f;

	c->end = &c->first;
	c->state = CONN_FRESH;
	c->since_ms = c->heard_ms = c->rate_from_ms = now_ms;
	c->next = p->conns;
	p->conns = c;
	ledger_count(&p->ledger, COUNT_connects);
	if (faults_strike(&p->faults, FAULT_no_hello, "", "", now_ms, &f))
		return;
	if (faults_strike(&p->faults, FAULT_op7_early, "", "", now_ms, &f))
		say(p, c, slice_of(reconnect));
	else if (faults_strike(&p->faults, FAULT_hello_slow, "", "", now_ms,
	    &f))
		c->hello_due_ms = now_ms + f.ms;
	else
		greet(p, c, now_ms);
}

void
gate_leave(struct platform *p, struct conn *c, int64_t now_ms)
{
	struct session *s = c->session;

	c->state = CONN_CLOSING;
	if (s == NULL)
		return;
	session_detach(p, s, now_ms);
	if (s->forgotten)
		session_end(p, &s);
}

void
gate_closed(struct platform *p, struct conn *c, int64_t now_ms)
{
	struct conn **at = &p->conns;

	gate_leave(p, c, now_ms);
	forget_frames(c);
	while (*at != NULL && *at != c)
		at = &(*at)->next;
	if (*at == c) {
		*at = c->next;
		ledger_count(&p->ledger, COUNT_disconnects);
	}
}

/* --- Identify ----------------------------------------------------------- */

/* "QQBot TOKEN" -> whose it is; NULL: refused, and closed. */
static struct bot *
judge_token(struct platform *p, struct conn *c, const struct json *d,
    int64_t now_ms)
{
	struct slice     text = json_text(json_get(d, "token"));
	enum token_state state = TOKEN_WRONG;
	struct bot      *bot = NULL;

	if (slice_starts(text, SLICE("QQBot ")))
		bot = platform_bot_by_token(p, slice_from(text, 6), now_ms,
		    &state);
	if (bot == NULL && state == TOKEN_WRONG)
		ledger_violation(&p->ledger, VIOLATION_bad_token);
	if (bot == NULL)
		gate_close(p, c, CLOSE_TOKEN);
	return bot;
}

static bool
read_shard(const struct json *d, unsigned *shard, unsigned *shards)
{
	const struct json *pair = json_get(d, "shard");
	int64_t            index = 0, count = 1;

	if (pair != NULL && (json_count(pair) != 2 ||
	    !json_is_number(json_at(pair, 0)) ||
	    !json_is_number(json_at(pair, 1)) ||
	    !json_int(json_at(pair, 0), &index) ||
	    !json_int(json_at(pair, 1), &count)))
		return false;
	if (count < 1 || count > 4096 || index < 0 || index >= count)
		return false;
	*shard = (unsigned)index;
	*shards = (unsigned)count;
	return true;
}

/* More Identifies within the window than may be?  Notes this one. */
static bool
over_pace(struct bot *bot, int64_t now_ms)
{
	size_t   recent = 0;
	uint64_t most = bot->max_concurrency;

	for (size_t i = 0; i < bot->npaced && i < PACE_MAX; i++)
		recent += now_ms - bot->paced_ms[i] < PACE_WINDOW_MS;
	bot->paced_ms[bot->npaced++ % PACE_MAX] = now_ms;
	return recent >= (most > 0 ? most : 1);
}

static bool
may_identify(struct platform *p, struct conn *c, struct bot *bot,
    int64_t now_ms)
{
	int64_t reset_ms;
	bool    fast = over_pace(bot, now_ms);

	if (bot_remaining(bot, now_ms, &reset_ms) == 0) {
		refuse(p, c, VIOLATION_identify_over_budget, CLOSE_TOO_FAST);
		return false;
	}
	if (bot->identify_used++ == 0)
		bot->day_from_ms = now_ms;
	if (!fast)
		return true;
	ledger_violation(&p->ledger, VIOLATION_identify_too_fast);
	if (bot->pace_op9)
		say(p, c, slice_of(invalid_session[FAULT_D_FALSE]));
	else
		gate_close(p, c, CLOSE_TOO_FAST);
	return false;
}

static bool
identify_fault(struct platform *p, struct conn *c, const struct bot *bot,
    int64_t now_ms)
{
	struct fault f;

	if (faults_strike(&p->faults, FAULT_identify_close, bot->app_id, "",
	    now_ms, &f))
		gate_close(p, c, f.code > 0 ? (int)f.code : CLOSE_WITHDRAWN);
	else if (faults_strike(&p->faults, FAULT_identify_op9, bot->app_id,
	    "", now_ms, &f))
		say(p, c, slice_of(invalid_session[f.d]));
	else if (!faults_strike(&p->faults, FAULT_no_ready, bot->app_id, "",
	    now_ms, &f))
		return false;
	c->since_ms = now_ms;
	return true;
}

/* A new session takes the place of all others of its shard. */
static void
replace_sessions(struct platform *p, struct bot *bot, unsigned shard,
    unsigned shards)
{
	struct session *s = bot->sessions, *next;

	for (; s != NULL; s = next) {
		struct conn *old = s->conn;

		next = s->next;
		if (s->shard != shard || s->shards != shards)
			continue;
		if (old != NULL && !old->stalled &&
		    old->state != CONN_CLOSING)
			refuse(p, old, VIOLATION_two_live_sockets,
			    CLOSE_REPLACED);
		session_end(p, &s);
	}
}

static void
attach(struct platform *p, struct conn *c, struct session *s, int64_t now_ms)
{
	s->conn = c;
	c->session = s;
	c->state = CONN_LIVE;
	c->since_ms = c->heard_ms = now_ms;
	ledger_count(&p->ledger, COUNT_live);
	wake(p, c);
}

static void
append_ready(struct platform *p, struct session *s)
{
	struct json *d = json_new_object(), *user = json_new_object();
	struct json *shard = json_new_array();

	json_put_int(d, "version", 1);
	json_put_text(d, "session_id", slice_of(s->id));
	json_put_text(user, "id", slice_of(s->bot->user_id));
	json_put_text(user, "username", slice_of(s->bot->name));
	json_put_bool(user, "bot", true);
	json_put_int(user, "status", 1);
	json_put_take(d, "user", user);
	json_push_int(shard, s->shard);
	json_push_int(shard, s->shards);
	json_put_take(d, "shard", shard);
	append_own(p, s, "READY", d);
	json_free(&d);
}

static void
begin_session(struct platform *p, struct conn *c, struct bot *bot,
    const struct session *like, int64_t now_ms)
{
	struct session *s = calloc(1, sizeof *s);
	struct fault    f;
	char            id[33];

	replace_sessions(p, bot, like->shard, like->shards);
	if (s == NULL || token_random(id, 32) != ERR_OK) {
		free(s);
		gate_close(p, c, CLOSE_EXPIRED);
		return;
	}
	*s = *like;
	s->bot = bot;
	memcpy(s->id, id, sizeof id);
	s->first_s = s->next_s = s->cursor = 1;
	s->next = bot->sessions;
	bot->sessions = s;
	if (faults_strike(&p->faults, FAULT_ready_says, bot->app_id, "",
	    now_ms, &f)) {
		s->first_s = s->next_s = s->cursor = 2; /* it is number 1 */
		s->sent_s = 1;
		say(p, c, slice_of(f.text));
	} else
		append_ready(p, s);
	ledger_count(&p->ledger, COUNT_identifies);
	attach(p, c, s, now_ms);
}

static void
on_identify(struct platform *p, struct conn *c, const struct json *d,
    int64_t now_ms)
{
	struct session like = { 0 };
	struct bot    *bot;
	int64_t        intents;

	if ((bot = judge_token(p, c, d, now_ms)) == NULL)
		goto refused;
	if (!json_is_number(json_get(d, "intents")) ||
	    !json_int_at(d, "intents", &intents)) {
		refuse(p, c, VIOLATION_bad_payload, CLOSE_PAYLOAD);
		goto refused;
	}
	if (!may_identify(p, c, bot, now_ms))
		goto refused;
	if (!read_shard(d, &like.shard, &like.shards)) {
		refuse(p, c, VIOLATION_bad_shard, CLOSE_SHARD);
		goto refused;
	}
	if (intents <= 0 || intents & ~(int64_t)kind_intents_known()) {
		refuse(p, c, VIOLATION_bad_intents, CLOSE_INTENTS);
		goto refused;
	}
	like.intents = (uint32_t)intents;
	if (like.intents & ~bot->granted) {
		refuse(p, c, VIOLATION_ungranted_intents, CLOSE_UNGRANTED);
		goto refused;
	}
	if (identify_fault(p, c, bot, now_ms))
		goto refused;
	begin_session(p, c, bot, &like, now_ms);
	return;
refused:
	ledger_count(&p->ledger, COUNT_identify_refused);
}

/* --- Resume ------------------------------------------------------------- */

static struct session *
session_find(const struct bot *bot, struct slice id)
{
	for (struct session *s = bot->sessions; s != NULL; s = s->next)
		if (!s->forgotten && slice_is(id, s->id))
			return s;
	return NULL;
}

static void
refuse_resume(struct platform *p, struct conn *c, int code, enum fault_d d,
    int64_t now_ms)
{
	ledger_count(&p->ledger, COUNT_resume_refused);
	c->since_ms = now_ms;
	if (code > 0)
		gate_close(p, c, code);
	else
		say(p, c, slice_of(invalid_session[d]));
}

/* The session is refused from now on, unless it is said to be good. */
static bool
resume_fault(struct platform *p, struct conn *c, struct session *s,
    int64_t now_ms)
{
	struct fault f;

	if (faults_strike(&p->faults, FAULT_refuse_resume, s->bot->app_id, "",
	    now_ms, &f)) {
		if (f.d != FAULT_D_TRUE && f.code != CLOSE_EXPIRED &&
		    f.code != CLOSE_TOO_FAST)
			session_end(p, &s);
		refuse_resume(p, c, (int)f.code, f.d, now_ms);
		return true;
	}
	if (faults_strike(&p->faults, FAULT_resume_op7, s->bot->app_id, "",
	    now_ms, &f)) {
		c->since_ms = now_ms;
		say(p, c, slice_of(reconnect));
		return true;
	}
	if (faults_strike(&p->faults, FAULT_no_resumed, s->bot->app_id, "",
	    now_ms, &f)) {
		c->since_ms = now_ms;
		return true;
	}
	if (faults_strike(&p->faults, FAULT_resume_mute, s->bot->app_id, "",
	    now_ms, &f))
		s->mute = true;
	return false;
}

static void
take_over(struct platform *p, struct session *s, int64_t now_ms)
{
	struct conn *old = s->conn;

	if (old == NULL)
		return;
	if (!old->stalled && old->state != CONN_CLOSING)
		refuse(p, old, VIOLATION_two_live_sockets, CLOSE_REPLACED);
	session_detach(p, s, now_ms);
	old->state = CONN_CLOSING;
	if (old->close_code == 0)
		old->close_code = CLOSE_EXPIRED;
}

static void
on_resume(struct platform *p, struct conn *c, const struct json *d,
    int64_t now_ms)
{
	struct session *s;
	struct bot     *bot;
	int64_t         seq;

	if ((bot = judge_token(p, c, d, now_ms)) == NULL) {
		ledger_count(&p->ledger, COUNT_resume_refused);
		return;
	}
	if (!json_is_string(json_get(d, "session_id")) ||
	    !json_is_number(json_get(d, "seq")) ||
	    !json_int_at(d, "seq", &seq) || seq < 0) {
		ledger_count(&p->ledger, COUNT_resume_refused);
		refuse(p, c, VIOLATION_bad_payload, CLOSE_PAYLOAD);
		return;
	}
	s = session_find(bot, json_text_at(d, "session_id"));
	if (s == NULL || (uint64_t)seq + 1 < s->first_s) {
		refuse_resume(p, c, (int)bot->resume_refusal, FAULT_D_FALSE,
		    now_ms);
		return;
	}
	if ((uint64_t)seq > s->sent_s) {
		ledger_violation(&p->ledger, VIOLATION_seq_ahead);
		refuse_resume(p, c, CLOSE_SEQ, FAULT_D_FALSE, now_ms);
		return;
	}
	/* It beats with what it has while its Resume waits for an answer. */
	c->known_s = s->sent_s;
	if (resume_fault(p, c, s, now_ms))
		return;
	take_over(p, s, now_ms);
	s->cursor = (uint64_t)seq + 1;
	append_own(p, s, "RESUMED", NULL);
	ledger_count(&p->ledger, COUNT_resumes);
	attach(p, c, s, now_ms);
}

/* --- frames in ---------------------------------------------------------- */

static void
on_heartbeat(struct platform *p, struct conn *c, const struct json *d,
    int64_t now_ms)
{
	uint64_t     most = c->session != NULL ? c->session->sent_s
	                                       : c->known_s;
	const char  *bot = c->session != NULL ? c->session->bot->app_id : "";
	struct fault f;
	int64_t      seq;

	ledger_count(&p->ledger, COUNT_heartbeats);
	if (d != NULL && (!json_is_number(d) || !json_int(d, &seq) ||
	    seq < 0)) {
		refuse(p, c, VIOLATION_bad_payload, CLOSE_PAYLOAD);
		return;
	}
	if (d != NULL && (uint64_t)seq > most) {
		refuse(p, c, VIOLATION_heartbeat_ahead, CLOSE_PAYLOAD);
		return;
	}
	c->heard_ms = now_ms;
	if (faults_strike(&p->faults, FAULT_lost_acks, bot, "", now_ms, &f))
		return;
	say(p, c, SLICE("{\"op\":11}"));
	if (faults_strike(&p->faults, FAULT_extra_acks, bot, "", now_ms, &f))
		say(p, c, SLICE("{\"op\":11}"));
}

static void
on_login(struct platform *p, struct conn *c, int64_t op, const struct json *d,
    int64_t now_ms)
{
	if (c->state == CONN_LIVE) {
		refuse(p, c, VIOLATION_identified_twice, CLOSE_IDENTIFIED);
		return;
	}
	if (!json_is_object(d) || !json_is_string(json_get(d, "token"))) {
		refuse(p, c, VIOLATION_bad_payload, CLOSE_PAYLOAD);
		return;
	}
	if (op == OP_IDENTIFY)
		on_identify(p, c, d, now_ms);
	else
		on_resume(p, c, d, now_ms);
}

static bool
too_fast(struct platform *p, struct conn *c, int64_t now_ms)
{
	const struct bot *bot = c->session != NULL ? c->session->bot
	                                           : platform_bot(p,
	                                                 SLICE(""));

	if (now_ms - c->rate_from_ms >= 1000) {
		c->rate_from_ms = now_ms;
		c->rate = 0;
	}
	return bot != NULL && ++c->rate > bot->frames_per_s;
}

void
gate_frame(struct platform *p, struct conn *c, struct slice text,
    int64_t now_ms)
{
	struct json *j = NULL;
	int64_t      op;

	if (c->state == CONN_CLOSING)
		return;
	if (p->out.frame != NULL)
		p->out.frame(p->out.self, c, true, text);
	if (too_fast(p, c, now_ms)) {
		refuse(p, c, VIOLATION_frames_too_fast, CLOSE_TOO_FAST);
		return;
	}
	if (json_parse(&j, text) != ERR_OK || !json_is_object(j) ||
	    !json_is_number(json_get(j, "op")) ||
	    !json_int_at(j, "op", &op)) {
		refuse(p, c, VIOLATION_bad_payload, CLOSE_PAYLOAD);
	} else if (op == OP_HEARTBEAT) {
		on_heartbeat(p, c, json_get(j, "d"), now_ms);
	} else if (op == OP_IDENTIFY || op == OP_RESUME) {
		on_login(p, c, op, json_get(j, "d"), now_ms);
	} else {
		refuse(p, c, VIOLATION_unknown_opcode, CLOSE_OPCODE);
	}
	json_free(&j);
}

/* --- time --------------------------------------------------------------- */

static void
heal(struct platform *p, struct conn *c, int64_t now_ms)
{
	c->stalled = false;
	c->stall_ends_ms = 0;
	c->heard_ms = c->since_ms = now_ms;
	wake(p, c);
}

static void
conn_tick(struct platform *p, struct conn *c, int64_t now_ms)
{
	if (c->stalled) {
		if (c->stall_ends_ms != 0 && c->stall_ends_ms <= now_ms)
			heal(p, c, now_ms);
		return;
	}
	if (c->state == CONN_FRESH && c->hello_due_ms != 0 &&
	    c->hello_due_ms <= now_ms)
		greet(p, c, now_ms);
	if (c->state == CONN_GREETED &&
	    now_ms - c->since_ms > IDENTIFY_WITHIN_MS)
		refuse(p, c, VIOLATION_not_identified, CLOSE_NOT_IDENTIFIED);
	if (c->state == CONN_LIVE &&
	    now_ms - c->heard_ms > (int64_t)(c->interval_ms * 3 / 2))
		refuse(p, c, VIOLATION_heartbeat_missed, CLOSE_EXPIRED);
}

void
gate_tick(struct platform *p, int64_t now_ms)
{
	for (struct conn *c = p->conns; c != NULL; c = c->next)
		conn_tick(p, c, now_ms);
	for (size_t i = 0; i < p->nbots; i++) {
		struct session *s = p->bots[i]->sessions, *next;

		for (; s != NULL; s = next) {
			next = s->next;
			if (s->conn == NULL && now_ms - s->away_ms >
			    (int64_t)p->bots[i]->resume_window_ms)
				session_end(p, &s);
		}
	}
}

/* --- faults that strike now --------------------------------------------- */

static void
strike(struct platform *p, struct conn *c, const struct fault *f,
    int64_t now_ms)
{
	struct session *s = c->session;

	switch (f->name) {
	case FAULT_close:
		gate_close(p, c, f->code > 0 ? (int)f->code : CLOSE_EXPIRED);
		break;
	case FAULT_reset:
		c->reset = true;
		gate_close(p, c, CLOSE_EXPIRED);
		break;
	case FAULT_stall:
		c->stalled = true;
		c->stall_ends_ms = f->for_ms > 0
		    ? now_ms + (int64_t)f->for_ms : 0;
		p->out.wake(p->out.self, c);
		break;
	case FAULT_op7:
		say(p, c, slice_of(reconnect));
		break;
	case FAULT_op9:
		say(p, c, slice_of(invalid_session[f->d]));
		if (f->d == FAULT_D_TRUE)
			break;
		/* A beat that crosses this one carries its last s. */
		c->known_s = s->sent_s;
		session_end(p, &s);
		c->state = CONN_GREETED;
		c->since_ms = now_ms;
		break;
	case FAULT_drop_session:
		s->forgotten = true;
		break;
	default:
		break;
	}
}

void
gate_fault(struct platform *p, const struct fault *f, int64_t now_ms)
{
	faults_note(&p->faults, f->name);
	if (f->name == FAULT_token_revoke) {
		for (size_t i = 0; i < p->nbots; i++)
			if (f->bot[0] == '\0' ||
			    strcmp(f->bot, p->bots[i]->app_id) == 0)
				tokens_revoke(&p->bots[i]->tokens, now_ms);
		return;
	}
	for (struct conn *c = p->conns; c != NULL; c = c->next)
		if (c->state == CONN_LIVE && c->session != NULL &&
		    (f->bot[0] == '\0' ||
		        strcmp(f->bot, c->session->bot->app_id) == 0) &&
		    (f->shard < 0 || f->shard == c->session->shard))
			strike(p, c, f, now_ms);
}

void
gate_heal(struct platform *p, int64_t now_ms)
{
	for (struct conn *c = p->conns; c != NULL; c = c->next)
		if (c->stalled)
			heal(p, c, now_ms);
}

unsigned
gate_raw(struct platform *p, const struct bot *bot, struct slice text)
{
	unsigned n = 0;

	for (struct conn *c = p->conns; c != NULL; c = c->next)
		if (c->state == CONN_LIVE && c->session != NULL &&
		    c->session->bot == bot) {
			say(p, c, text);
			n++;
		}
	return n;
}
