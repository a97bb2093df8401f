/*
 * One event from delivery to ack.  Its replies are numbered 1, 2, ... so that
 * a second attempt, here or in another worker, sends the same numbers, and
 * the platform sees each once.  The ack waits for every result.
 */
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

struct call {
	struct call *next;
	uint64_t     n;
	bool         open, unsent;
	char        *text;
};

struct job {
	struct job  *next;
	struct call *calls, **last;
	uint64_t     replies, open, unsent;
	bool         running;        /* its handler has not returned */
	char        *id, *bot, *conv, *msg, *event;
	int64_t      deadline;
};

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

static enum err
send_call(struct worker *w, struct job *j, struct call *c)
{
	struct buf id = { 0 };
	enum err   e = ERR_NOMEM;

	buf_putf(&id, "%s#%llu", j->id, (unsigned long long)c->n);
	if (!id.failed) {
		struct msg_call call = { .id = buf_slice(&id),
			.bot = slice_of(j->bot), .do_ = SLICE("reply"),
			.ev = slice_of(j->id), .n = c->n,
			.conv = slice_of(j->conv), .msg = slice_of(j->msg),
			.event = slice_of(j->event), .deadline = j->deadline,
			.text = slice_of(c->text) };

		/* It stays open; apid's next greeting or answer sends it
		 * again. */
		e = bus_send(w->api, (msg_peer){ NULL, 0 }, MSG_call, &call);
		if (e != ERR_OK && !c->unsent)
			log_warn("call.unsent", KV("id", call.id),
			    KV("why", err_text(e)));
	}
	buf_free(&id);
	set_unsent(w, j, c, e != ERR_OK);
	return e;
}

enum err
job_reply(struct worker *w, struct job *j, struct slice text)
{
	struct call *c = calloc(1, sizeof *c);

	if (c == NULL || (c->text = slice_dup(text)) == NULL) {
		free(c);
		return ERR_NOMEM;
	}
	c->n = ++j->replies;
	c->open = true;
	j->open++;
	*j->last = c;
	j->last = &c->next;
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

void
job_call_again(struct worker *w)
{
	for (struct job *j = w->jobs; j != NULL; j = j->next)
		call_again(w, j);
}

/* --- jobs ------------------------------------------------------------------------ */

static struct job *
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
		free(c->text);
		free(c);
	}
	free(j->id);
	free(j->bot);
	free(j->conv);
	free(j->msg);
	free(j->event);
	free(j);
}

static struct job *
job_new(const struct msg_event *ev)
{
	struct job *j = calloc(1, sizeof *j);

	if (j == NULL)
		return NULL;
	j->last = &j->calls;
	j->deadline = ev->deadline;
	j->id = slice_dup(ev->id);
	j->bot = slice_dup(ev->bot);
	j->conv = slice_dup(ev->conv);
	j->msg = slice_dup(ev->msg);
	j->event = slice_dup(ev->event);
	if (j->id != NULL && j->bot != NULL && j->conv != NULL &&
	    j->msg != NULL && j->event != NULL)
		return j;
	job_free(j);
	return NULL;
}

static void
job_finish_if_done(struct worker *w, struct job *j)
{
	struct msg_ack ack = { .ev = slice_of(j->id) };
	struct job   **at = &w->jobs;

	if (j->running || j->open > 0)
		return;
	bus_send(w->events, (msg_peer){ NULL, 0 }, MSG_ack, &ack);
	w->done++;
	w->njobs--;
	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	job_free(j);
}

void
job_on_event(void *self, msg_peer from, const struct msg_event *ev)
{
	struct worker  *w = self;
	struct msg_nack nack = { .ev = ev->id,
		.why = SLICE("worker out of memory") };
	struct job     *j;

	(void)from;
	/* Delivered again while we are at it: the ack will be for both.  A
	 * call or its result may have been lost; asking twice is free. */
	if ((j = job_find(w, ev->id)) != NULL) {
		call_again(w, j);
		return;
	}
	if ((j = job_new(ev)) == NULL) {
		bus_send(w->events, (msg_peer){ NULL, 0 }, MSG_nack, &nack);
		return;
	}
	j->next = w->jobs;
	w->jobs = j;
	w->njobs++;
	j->running = true;
	w->handler->on_event(w, j, ev);
	j->running = false;
	job_finish_if_done(w, j);
}

static struct call *
call_find(struct worker *w, struct slice id, struct job **job)
{
	const char        *hash = id.n > 0 ? memrchr(id.p, '#', id.n) : NULL;
	size_t             at = hash != NULL ? (size_t)(hash - id.p) : 0;
	unsigned long long n;

	if (hash == NULL || !slice_u64(slice_from(id, at + 1), &n) ||
	    (*job = job_find(w, (struct slice){ id.p, at })) == NULL)
		return NULL;
	for (struct call *c = (*job)->calls; c != NULL; c = c->next)
		if (c->n == n && c->open)
			return c;
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
	c->open = false;
	set_unsent(w, j, c, false);
	j->open--;
	if (m->ok)
		w->replies++;
	else {
		w->failed++;
		log_warn("reply.failed", KV("id", m->id), KV("code", m->code),
		    KV("message", m->message),
		    KV("platform_code", m->platform_code),
		    KV("trace", m->trace));
	}
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
		job_free(j);
	}
}
