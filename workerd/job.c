/*
 * One event from delivery to ack.  Its replies are numbered 1, 2, ... so that
 * a second attempt, here or in another worker, sends the same numbers, and
 * the platform sees each once.  Its streams are numbered likewise, and one that
 * the handler leaves unfinished, in this attempt or an earlier one, is ended as
 * it is, also when the event is given up.  The ack waits for every result.
 */
#include "handler.h"

#include <stdio.h>
#include <stdlib.h>

#include "frame.h"
#include "log.h"
#include "pack.h"

/* What surely fits into a message, with all that goes along; and how many
 * calls one event may make. */
enum {
	CALL_MAX = MSG_MAX - 16384, CALLS_MAX = 1000,
	WAITS_MS = 1000, ASKED_AGAIN = 30
};

static const msg_peer server = { NULL, 0 };

/* --- calls --------------------------------------------------------------------- */

static void
set_unsent(struct worker *w, struct job *j, struct call *c, bool unsent)
{
	if (c->unsent == unsent)
		return;
	c->unsent = unsent;
	if (unsent) {
		j->unsent++;
		w->unsent++;
	} else {
		j->unsent--;
		w->unsent--;
	}
}

/* Operations that answer the event carry what they answer.  Others name a
 * target of their own, and nothing of the event may stand in for it. */
static bool
answers(const struct call *c)
{
	return strcmp(c->do_, "send") != 0 && strcmp(c->do_, "recall") != 0;
}

static enum err
send_call(struct worker *w, struct job *j, struct call *c)
{
	bool            answer = answers(c) && !j->loose;
	struct msg_call call = { .id = slice_of(c->id),
		.bot = slice_of(c->bot != NULL ? c->bot : j->bot),
		.do_ = slice_of(c->do_),
		.ev = slice_of(j->loose ? "" : j->id), .n = c->n,
		.conv = slice_of(c->conv != NULL ? c->conv : j->conv),
		.msg = slice_of(c->msg != NULL ? c->msg
		        : answer               ? j->msg
		                               : ""),
		.event = slice_of(answer ? j->event : ""),
		.ref = slice_of(answer && c->msg == NULL ? j->ref : ""),
		/* What has begun may end at any time. */
		.deadline = answer && !c->ours ? j->deadline : 0,
		.text = c->words.n > 0 ? buf_slice(&c->words)
		                       : slice_of(c->text),
		.with = buf_slice(&c->with) };
	enum err e = bus_send(w->api, server, MSG_call, &call);

	/* It stays open; apid's next greeting or answer sends it again. */
	if (e != ERR_OK && !c->unsent)
		log_warn("call.unsent", KV("id", call.id),
		    KV("why", err_text(e)));
	set_unsent(w, j, c, e != ERR_OK);
	return e;
}

static void
call_free(struct call *c)
{
	free(c->id);
	free(c->do_);
	free(c->text);
	free(c->conv);
	free(c->msg);
	free(c->bot);
	free(c->ref);
	part_free(&c->part);
	buf_free(&c->words);
	buf_free(&c->with);
	free(c);
}

/* An optional text: NULL when it was not given. */
static bool
copy(struct slice from, char **to)
{
	return from.n == 0 || (*to = slice_dup(from)) != NULL;
}

static bool
is_number(struct slice key)
{
	unsigned long long n;

	return slice_u64(key, &n);
}

static char *
call_id(const struct job *j, const struct call *c, struct slice key)
{
	struct buf id = { 0 };

	if (strcmp(c->do_, "reply") == 0)
		buf_putf(&id, "%s#%llu", j->id, (unsigned long long)c->n);
	else if (c->stream != NULL && c->part.final) /* it has one end */
		buf_putf(&id, "%s~%llu.end", j->id, (unsigned long long)c->n);
	else if (c->stream != NULL)
		buf_putf(&id, "%s~%llu.%lld", j->id,
		    (unsigned long long)c->n, (long long)c->part.index);
	else if (key.n > 0) /* not to be taken for a place among the calls */
		buf_putf(&id, "%s/%s%.*s", j->id, is_number(key) ? "=" : "",
		    (int)key.n, key.p);
	else
		buf_putf(&id, "%s/%llu", j->id,
		    (unsigned long long)j->others);
	if (id.failed)
		buf_free(&id);
	return id.p;
}

/* The number of a part is its stream's.  Arguments that are none are apid's
 * to refuse. */
static void
find_stream(struct job *j, struct call *c, const struct job_order *o)
{
	if (j->loose || !slice_is(o->do_, "stream") ||
	    part_read(o->with, &c->part) != ERR_OK)
		return;
	if ((c->stream = stream_of(&j->streams, &c->part, o->n)) != NULL)
		c->n = c->stream->n;
}

/* On a later attempt an earlier one may have shown other words. */
static bool
set_words(const struct job *j, struct call *c)
{
	buf_reset(&c->words);
	return c->stream == NULL || j->attempt < 2 ||
	    stream_words(c->stream, &c->part, slice_of(c->text),
	        &c->words) == ERR_OK;
}

static struct call *
call_new(struct job *j, const struct job_order *o, uint64_t n)
{
	struct call *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->n = n;
	c->since_ms = loop_clock_ms();
	find_stream(j, c, o);
	c->text = slice_dup(o->text.n > 0 ? o->text : SLICE(""));
	c->do_ = slice_dup(o->do_);
	j->others += !slice_is(o->do_, "reply") && c->stream == NULL;
	c->id = call_id(j, c, o->key);
	buf_put(&c->with, o->with);
	if (c->text != NULL && c->do_ != NULL && c->id != NULL &&
	    !c->with.failed && copy(o->conv, &c->conv) &&
	    copy(o->msg, &c->msg) && copy(o->bot, &c->bot) && set_words(j, c))
		return c;
	call_free(c);
	return NULL;
}

/* A part that was not taken may be tried again, at the same place. */
static bool
is_given_away(const struct job *j, const char *id)
{
	for (const struct call *c = j->calls; c != NULL; c = c->next)
		if ((c->open || c->stream == NULL) && strcmp(c->id, id) == 0)
			return true;
	return false;
}

static size_t
weight(const struct call *c)
{
	return strlen(c->text) + c->with.n +
	    (c->conv != NULL ? strlen(c->conv) : 0) +
	    (c->msg != NULL ? strlen(c->msg) : 0);
}

static void
forget_call(struct job *j, struct call *c)
{
	struct call **at = &j->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (j->last == &c->next)
		j->last = at;
	call_free(c);
}

/* The same call at another place, or as its end, or only as a question. */
static bool
move_part(struct job *j, struct call *c, int64_t index, bool final,
    bool known)
{
	struct buf with = { 0 };
	char      *id;

	c->part.index = index;
	c->part.first = index == 0;
	c->part.final = final;
	if (part_write(c->stream, buf_slice(&c->with), index, final, known,
	        &with) != ERR_OK ||
	    !set_words(j, c) ||
	    (id = call_id(j, c, SLICE(""))) == NULL) {
		buf_free(&with);
		return false;
	}
	free(c->id);
	c->id = id;
	j->bytes -= c->with.n;
	j->bytes += with.n;
	buf_free(&c->with);
	c->with = with;
	return true;
}

/* The only part of a stream: an earlier attempt may have sent more of them, and
 * then it is the end of these. */
static bool
is_to_sound(const struct job *j, const struct call *c)
{
	return c->stream != NULL && j->attempt >= 2 && !c->asks &&
	    c->part.index == 0 && c->part.final && !c->part.append;
}

/* False: the result is the call's. */
static bool
on_sounded(struct worker *w, struct job *j, struct call *c,
    const struct msg_result *m)
{
	c->sounding = false;
	c->looking = m->ok;
	if (m->ok)
		stream_taken(c->stream, &c->part, slice_of(c->text), m->data);
	else if (slice_is(m->code, "TIMEOUT"))
		return false; /* another first part would be its double */
	if (!move_part(j, c, m->ok, !m->ok, false))
		return false;
	send_call(w, j, c);
	return true;
}

/* A part of a stream that appends may be there although its answer was lost: an
 * end of ours, which adds nothing, is tried behind it too. */
static bool
end_behind_doubt(struct worker *w, struct job *j, struct call *c,
    const struct msg_result *m)
{
	if (c->stream == NULL || !c->ours || c->asks || !c->part.append ||
	    c->looking || m->ok || m->status < 400)
		return false;
	c->looking = true;
	if (!move_part(j, c, c->part.index + 1, true, false))
		return false;
	send_call(w, j, c);
	return true;
}

/* An earlier attempt may have sent more parts than this one, and the platform
 * takes none but the next.  The end of the stream goes as a part until a place
 * is found where none was sent (parts that were are answered from the record),
 * and once more as the end behind that.  False: the result is the call's. */
static bool
look_for_place(struct worker *w, struct job *j, struct call *c,
    const struct msg_result *m)
{
	bool found;

	if (c->stream == NULL || c->asks ||
	    (j->attempt < 2 && !j->over) || c->part.append ||
	    c->part.index >= CALLS_MAX)
		return false;
	if (c->sounding)
		return on_sounded(w, j, c, m);
	if (!c->looking) {
		if (m->ok || !c->part.final || c->part.first ||
		    m->status < 400)
			return false;
		c->looking = true;
		if (!move_part(j, c, c->part.index, false, false))
			return false;
	} else {
		if (!m->ok || c->part.final)
			return false;
		found = m->tries > 0;
		stream_taken(c->stream, &c->part, c->words.n > 0
		    ? buf_slice(&c->words) : slice_of(c->text), m->data);
		if (!move_part(j, c, c->part.index + 1, found, false))
			return false;
	}
	send_call(w, j, c);
	return true;
}

/* What is known of a part of an earlier attempt, and so which is asked about
 * next. */
static void
note_asked(struct job *j, const struct call *c, bool known)
{
	bool first = c->part.index == 0;

	if (c->part.final) {
		j->look.end = false;
		j->look.n++;
		j->look.ended = !known;
	} else if (!known && first)
		j->look.end = true;
	else if (!known)
		j->look.n++;
}

static void
close_call(struct worker *w, struct job *j, struct call *c,
    const struct msg_result *m)
{
	if (look_for_place(w, j, c, m) || end_behind_doubt(w, j, c, m))
		return;
	c->open = false;
	set_unsent(w, j, c, false);
	j->open--;
	j->bytes -= weight(c);
	if (c->stream != NULL && m->ok)
		stream_taken(c->stream, &c->part, c->words.n > 0
		    ? buf_slice(&c->words) : slice_of(c->text), m->data);
	else if (c->stream != NULL)
		c->stream->failed = c->part.first && c->stream->id == NULL;
	if (c->asks)
		note_asked(j, c, m->ok);
	else if (m->ok)
		w->replies++;
	else {
		w->failed++;
		log_warn("reply.failed", KV("id", m->id), KV("code", m->code),
		    KV("message", m->message),
		    KV("platform_code", m->platform_code),
		    KV("trace", m->trace));
	}
	if (j->handler->kind->on_result != NULL && j->own != NULL && !c->ours)
		j->handler->kind->on_result(j->handler, j, c, m);
	free(c->text); /* what is kept is small: its id */
	c->text = NULL;
	buf_free(&c->words);
	buf_free(&c->with);
	if (j->loose) /* there is no repetition to be recognised */
		forget_call(j, c);
}

enum err
job_call(struct worker *w, struct job *j, const struct job_order *o)
{
	bool         reply = slice_is(o->do_, "reply");
	uint64_t     n = o->n > 0 || !reply ? o->n : j->replies + 1;
	struct call *c;

	if (j->done && !o->ours)
		return ERR_STALE;
	if (j->ncalls >= CALLS_MAX && !j->loose && !o->ours)
		return ERR_FULL;
	if ((c = call_new(j, o, n)) == NULL)
		return ERR_NOMEM;
	if (weight(c) > CALL_MAX || is_given_away(j, c->id)) {
		enum err e = weight(c) > CALL_MAX ? ERR_TOO_LARGE
		                                  : ERR_DUPLICATE;

		call_free(c);
		return e;
	}
	j->ncalls++;
	c->ours = o->ours;
	c->asks = o->asks;
	if (reply && n > j->replies)
		j->replies = n;
	c->ref = o->ref;
	c->open = true;
	j->open++;
	j->bytes += weight(c);
	*j->last = c;
	j->last = &c->next;
	if (is_to_sound(j, c))
		c->sounding = move_part(j, c, 0, false, true);
	if (j->unsent > 0) /* not before those it follows */
		set_unsent(w, j, c, true);
	else
		send_call(w, j, c);
	return ERR_OK;
}

static void
call_again(struct worker *w, struct job *j)
{
	for (struct call *c = j->calls; c != NULL; c = c->next)
		if (c->open) {
			w->repeated++;
			send_call(w, j, c);
		}
}

/* An answer has come, so there may be room again. */
static void
call_unsent(struct worker *w)
{
	for (struct job *j = w->jobs; j != NULL; j = j->next)
		for (struct call *c = j->calls; c != NULL; c = c->next)
			if (c->unsent && send_call(w, j, c) != ERR_OK)
				return;
}

bool
job_waits(const struct job *j, uint64_t ms)
{
	uint64_t now = loop_clock_ms();

	for (const struct call *c = j->calls; c != NULL; c = c->next)
		if (c->open && now - c->since_ms >= ms)
			return true;
	return false;
}

/* Whether a call waits for the platform's limits, or for a token that is not to
 * be had, is nothing that its event should be given up for, nor its handler:
 * that it waits is said for as long as it does.  An answer that was lost comes
 * by asking again. */
void
job_say_waits(struct worker *w)
{
	for (struct job *j = w->jobs; j != NULL; j = j->next) {
		struct msg_waits waits = { .ev = slice_of(j->id) };

		if (j->open == 0 || j->loose || !job_waits(j, WAITS_MS))
			continue;
		bus_send(w->events, server, MSG_waits, &waits);
		if (++j->waits % ASKED_AGAIN == 0)
			call_again(w, j);
	}
}

void
job_call_again(struct worker *w)
{
	for (struct job *j = w->jobs; j != NULL; j = j->next)
		call_again(w, j);
}

/* --- jobs ------------------------------------------------------------------------ */

struct job *
job_find(struct worker *w, struct slice id)
{
	struct job *j = w->jobs;

	while (j != NULL && !slice_is(id, j->id))
		j = j->next;
	return j;
}

static void
job_free(struct job *j)
{
	while (j->calls != NULL) {
		struct call *c = j->calls;

		j->calls = c->next;
		call_free(c);
	}
	streams_free(&j->streams);
	buf_free(&j->line);
	free(j->id);
	free(j->bot);
	free(j->conv);
	free(j->msg);
	free(j->event);
	free(j->ref);
	free(j);
}

/* What the platform calls the message where it is quoted: data.ref. */
static struct slice
index_of(const struct msg_event *ev)
{
	struct slice       none = { NULL, 0 }, skipped;
	struct unpack      u;
	struct unpack_item map, key, value;

	unpack_open(&u, ev->data);
	if (ev->data.n == 0 || unpack_next(&u, &map) != ERR_OK ||
	    map.type != UNPACK_MAP)
		return none;
	for (size_t i = 0; i < map.count; i++) {
		struct unpack at;

		if (unpack_next(&u, &key) != ERR_OK || key.type != UNPACK_STR)
			return none;
		at = u;
		if (slice_is(key.bytes, "ref"))
			return unpack_next(&at, &value) == ERR_OK &&
			        value.type == UNPACK_STR ? value.bytes : none;
		if (unpack_skip(&u, &skipped) != ERR_OK)
			return none;
	}
	return none;
}

static struct job *
job_new(struct handler *h, const struct msg_event *ev)
{
	struct job *j = calloc(1, sizeof *j);

	if (j == NULL)
		return NULL;
	j->last = &j->calls;
	j->handler = h;
	j->deadline = ev->deadline;
	if (ev->time > 0 && ev->deadline > ev->time)
		j->window_ms = (uint64_t)(ev->deadline - ev->time);
	j->attempt = (unsigned)ev->attempt;
	j->since_ms = loop_clock_ms();
	j->id = slice_dup(ev->id);
	j->bot = slice_dup(ev->bot);
	j->conv = slice_dup(ev->conv);
	j->msg = slice_dup(ev->msg);
	j->event = slice_dup(ev->event);
	j->ref = slice_dup(index_of(ev));
	if (h->kind->reads_lines)
		frame_event(ev, h->raw, &j->line);
	if (j->id != NULL && j->bot != NULL && j->conv != NULL &&
	    j->msg != NULL && j->event != NULL && j->ref != NULL &&
	    !j->line.failed)
		return j;
	job_free(j);
	return NULL;
}

uint64_t
job_timeout_ms(const struct job *j)
{
	uint64_t ms = j->handler->timeout_ms;

	return j->window_ms > 0 && j->window_ms < ms ? j->window_ms : ms;
}

/* It is over: nobody knows it any more. */
static void
job_end(struct worker *w, struct job *j)
{
	struct job **at = &w->jobs;

	for (struct call *c = j->calls; c != NULL; c = c->next)
		set_unsent(w, j, c, false);
	loop_cancel(w->loop, &j->late);
	if (j->handler->kind->on_end != NULL && j->own != NULL)
		j->handler->kind->on_end(j->handler, j);
	w->njobs -= !j->loose;
	j->handler->held -= !j->loose;
	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	job_free(j);
}

/* A message that its handler has left unfinished would be shown as one that
 * is being written, for ever: it ends as it is. */
static void
end_streams(struct worker *w, struct job *j)
{
	for (struct stream *s = j->streams; s != NULL; s = s->next) {
		struct buf       with = { 0 };
		struct job_order o = { .do_ = SLICE("stream"), .ours = true,
			.text = buf_slice(&s->shown) };

		if (s->over || s->id == NULL ||
		    (s->shown.n == 0 && !s->append))
			continue;
		s->over = true; /* once: the platform may not want it */
		if (stream_last(s, &with) == ERR_OK) {
			o.with = buf_slice(&with);
			job_call(w, j, &o);
		}
		buf_free(&with);
	}
}

static struct stream *
stream_numbered(const struct job *j, uint64_t n)
{
	struct stream *s = j->streams;

	while (s != NULL && s->n != n)
		s = s->next;
	return s;
}

/* An earlier attempt may have begun streams, or gone further in one, than this
 * one: apid's record tells, asked part by part.  True: it is being asked. */
static bool
look_back(struct worker *w, struct job *j)
{
	struct buf       with = { 0 };
	struct job_order o = { .do_ = SLICE("stream"), .ours = true,
		.asks = true };
	struct stream   *s;

	if ((j->attempt < 2 && !j->over) || j->look.ended ||
	    !slice_starts(slice_of(j->conv), SLICE("u:")))
		return false;
	if (j->look.n == 0)
		j->look.n = 1;
	while ((s = stream_numbered(j, j->look.n)) != NULL && s->over)
		j->look.n++;
	o.n = j->look.n;
	if (stream_asked(s, j->look.end, &with) == ERR_OK) {
		o.with = buf_slice(&with);
		if (job_call(w, j, &o) != ERR_OK)
			j->look.ended = true;
	}
	buf_free(&with);
	return j->open > 0;
}

static void
job_finish_if_done(struct worker *w, struct job *j)
{
	struct msg_ack  ack = { .ev = slice_of(j->id) };
	struct handler *h = j->handler;
	bool            over = j->over;

	if (!j->done || j->open > 0 || j->busy)
		return;
	if (look_back(w, j))
		return;
	end_streams(w, j);
	if (j->open > 0)
		return;
	bus_send(w->events, server, MSG_ack, &ack);
	w->done += !over;
	h->done += !over;
	job_end(w, j);
	host_freed(h, !over);
}

void
job_done(struct worker *w, struct job *j)
{
	j->done = true;
	loop_cancel(w->loop, &j->late);
	job_finish_if_done(w, j);
}

/* It is given up, and no handler has it any more: what it has begun to say is
 * ended. */
static void
job_over(struct worker *w, struct job *j)
{
	struct handler *h = j->handler;

	host_unwait(h, j);
	if (h->kind->on_end != NULL && j->own != NULL)
		h->kind->on_end(h, j);
	j->own = NULL;
	j->begun = true;
	job_done(w, j);
}

void
job_fail(struct worker *w, struct job *j, uint64_t after_ms, bool drop,
    const char *why, struct slice capsule)
{
	struct handler *h = j->handler;
	struct msg_nack nack = { .ev = slice_of(j->id), .after_ms = after_ms,
		.drop = drop, .why = slice_of(why), .capsule = capsule };

	if (j->over) {
		h->failed++;
		job_over(w, j);
		return;
	}
	bus_send(w->events, server, MSG_nack, &nack);
	h->failed++;
	job_end(w, j);
	host_freed(h, false);
}

void
job_return(struct worker *w, struct job *j, uint64_t after_ms)
{
	struct msg_nack nack = { .ev = slice_of(j->id), .after_ms = after_ms,
		.unbegun = true, .why = SLICE("its handler has no room") };

	bus_send(w->events, server, MSG_nack, &nack);
	j->handler->returned++;
	w->returned++;
	job_end(w, j);
}

struct job *
job_loose(struct worker *w, struct handler *h, const char *id)
{
	const struct msg_event none = { .id = slice_of(id),
		.bot = SLICE(""), .conv = SLICE(""), .msg = SLICE(""),
		.event = SLICE("") };
	struct job *j = job_new(h, &none);

	if (j == NULL)
		return NULL;
	j->loose = j->begun = true;
	buf_free(&j->line);
	j->next = w->jobs;
	w->jobs = j;
	return j;
}

void
job_drop_loose(struct worker *w, struct job *j)
{
	job_end(w, j);
}

/* Events of no handler's are done: gatewayd goes by types alone. */
static void
let_go(struct worker *w, const struct msg_event *ev)
{
	struct msg_ack ack = { .ev = ev->id };

	log_debug("event.unowned", KV("id", ev->id), KV("type", ev->type));
	w->unowned++;
	bus_send(w->events, server, MSG_ack, &ack);
}

void
job_on_event(void *self, msg_peer from, const struct msg_event *ev)
{
	struct worker  *w = self;
	struct msg_nack nack = { .ev = ev->id,
		.why = SLICE("worker out of memory") };
	struct handler *h;
	struct job     *j;

	(void)from;
	/* Delivered again while we are at it: the ack will be for both.  A
	 * call or its result may have been lost; asking twice is free. */
	if ((j = job_find(w, ev->id)) != NULL) {
		j->over |= ev->over;
		if (j->over && !j->begun)
			job_over(w, j);
		else
			call_again(w, j);
		return;
	}
	if ((h = host_route(w, ev)) == NULL) {
		let_go(w, ev);
		return;
	}
	if ((j = job_new(h, ev)) == NULL) {
		bus_send(w->events, server, MSG_nack, &nack);
		return;
	}
	snprintf(w->last_bot, sizeof w->last_bot, "%s", j->bot);
	j->next = w->jobs;
	w->jobs = j;
	w->njobs++;
	h->held++;
	if ((j->over = ev->over)) {
		job_over(w, j);
		return;
	}
	h->taken++;
	host_take(h, j, ev);
}

static struct call *
call_find(struct worker *w, struct slice id, struct job **job)
{
	for (struct job *j = w->jobs; j != NULL; j = j->next) {
		if (!slice_starts(id, slice_of(j->id)))
			continue;
		for (struct call *c = j->calls; c != NULL; c = c->next)
			if (c->open && slice_is(id, c->id)) {
				*job = j;
				return c;
			}
	}
	return NULL;
}

void
job_on_result(void *self, msg_peer from, const struct msg_result *m)
{
	struct worker *w = self;
	struct job    *j;
	struct call   *c = call_find(w, m->id, &j);

	(void)from;
	if (c == NULL) /* a second answer to a call made again */
		return;
	j->busy = true; /* what the handler does with it may end the job */
	close_call(w, j, c, m);
	j->busy = false;
	job_finish_if_done(w, j);
	if (w->unsent > 0)
		call_unsent(w);
}

void
jobs_free(struct worker *w)
{
	while (w->jobs != NULL) {
		struct job *j = w->jobs;

		w->jobs = j->next;
		loop_cancel(w->loop, &j->late);
		job_free(j);
	}
}
