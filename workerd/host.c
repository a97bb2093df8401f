/*
 * The handlers side by side in one worker.  The first whose conditions hold
 * owns an event.  Each has slots of its own, and a little room for events
 * that wait for one; what is beyond goes back to gatewayd, where it waits
 * without using up an attempt.  So a handler that is stuck holds its own
 * events and nobody else's.
 */
#include "handler.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

enum {
	ROOM = 3,             /* beside as many as it has slots */
	KEPT_FREE = 4,        /* of the window, for the last that is well */
	PATIENCE_MS = 1000,   /* that an event waits here for a slot */
	AGAIN_MS = 250,       /* then it is offered again */
	LOOK_MS = 500,        /* at the files of handlers */
	MARGIN_MS = 12000,    /* our time-out comes before gatewayd's */
};

static const struct handler_kind *const kinds[] = { &builtin_kind, &exec_kind,
	&plugin_kind };

uint64_t
handler_timeout_ms(const struct handler *h)
{
	return h->row->timeout_ms > 0 ? h->row->timeout_ms
	                              : h->worker->conf.handler_timeout_ms;
}

/* What one handler may hold of our window: so much that all the others
 * together, stuck, leave it some. */
static uint64_t
share_of(const struct handler *h)
{
	const struct worker *w = h->worker;
	uint64_t             rest = w->conf.window > KEPT_FREE
	    ? w->conf.window - KEPT_FREE : 1;

	if (w->list.n < 2)
		return w->conf.window;
	rest /= w->list.n - 1;
	return rest > 0 ? rest : 1;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
slots_of(const struct handler *h)
{
	return least(h->kind->slots(h), share_of(h));
}

/* Where events wait, beside those that the handler has. */
static uint64_t
room_of(const struct handler *h)
{
	uint64_t slots = slots_of(h);

	return slots == 0 || h->stuck ? 0
	    : least(slots + ROOM, share_of(h) - slots);
}

/* --- routing ------------------------------------------------------------------ */

struct handler *
host_route(struct worker *w, const struct msg_event *ev)
{
	const struct handlers_event e = { .type = ev->type, .text = ev->text,
		.user = ev->user, .conv = ev->conv, .bot = ev->bot };

	for (size_t i = 0; i < w->nhandlers; i++) {
		struct handler *h = &w->handlers[i];

		if (handlers_match(h->row, &e) &&
		    handlers_wants(h->events, ev->type))
			return h;
	}
	return NULL;
}

/* --- waiting ------------------------------------------------------------------ */

static struct job *
take_first(struct handler *h)
{
	struct job *j = h->waiting;

	h->waiting = j->after;
	j->after = NULL;
	h->nwaiting--;
	if (h->waiting == NULL)
		h->waiting_last = &h->waiting;
	return j;
}

void
host_unwait(struct handler *h, struct job *j)
{
	struct job **at = &h->waiting;

	while (*at != NULL && *at != j)
		at = &(*at)->after;
	if (*at == NULL)
		return;
	*at = j->after;
	j->after = NULL;
	h->nwaiting--;
	if (*at == NULL)
		h->waiting_last = at;
}

/* Those that wait for a handler that now wants others are routed anew. */
enum err
handler_set_events(struct handler *h, const char *words)
{
	char *mine = strdup(words);
	bool  other = h->events == NULL || strcmp(h->events, words) != 0;

	if (mine == NULL)
		return ERR_NOMEM;
	free(h->events);
	h->events = mine;
	while (other && h->waiting != NULL)
		job_return(h->worker, take_first(h), 0);
	return ERR_OK;
}

static void
give_back(struct handler *h, struct job *j)
{
	h->stuck = true;
	job_return(h->worker, j, AGAIN_MS);
}

static void
on_patience(void *self)
{
	struct handler *h = self;
	uint64_t        now = loop_clock_ms();

	while (h->waiting != NULL &&
	    now - h->waiting->since_ms >= PATIENCE_MS)
		give_back(h, take_first(h));
	if (h->waiting != NULL)
		loop_after(h->worker->loop, &h->patience, PATIENCE_MS -
		    (now - h->waiting->since_ms), on_patience, h);
	host_changed(h->worker);
}

static void
let_wait(struct handler *h, struct job *j)
{
	*h->waiting_last = j;
	h->waiting_last = &j->after;
	h->nwaiting++;
	if (h->patience.slot == 0)
		loop_after(h->worker->loop, &h->patience, PATIENCE_MS,
		    on_patience, h);
}

static bool
is_late(const struct handler *h, const struct msg_event *ev)
{
	return h->early && ev->deadline != 0 && ev->deadline < loop_wall_ms();
}

void
host_take(struct handler *h, struct job *j, const struct msg_event *ev)
{
	struct worker *w = h->worker;

	if (is_late(h, ev)) {
		log_info("event.late", KV("id", ev->id));
		job_done(w, j);
		return;
	}
	if (j->line.n > MSG_MAX) {
		job_fail(w, j, 0, true,
		    "it is over 1 MiB as a line for its handler",
		    (struct slice){ NULL, 0 });
		return;
	}
	if (!w->left && h->held <= share_of(h)) {
		/* It may be over before begin() returns. */
		j->begun = j->busy = true;
		if (h->kind->begin(h, j, ev)) {
			j->busy = false;
			if (j->done)
				job_done(w, j);
			return;
		}
		j->begun = j->busy = false;
	}
	if (h->nwaiting >= room_of(h) || h->held > share_of(h))
		give_back(h, j);
	else
		let_wait(h, j);
}

/* All of them are asked: one may wait for a process of its own that is busy,
 * while the process of the next is free. */
static void
begin_waiting(struct handler *h)
{
	struct job **at = &h->waiting, *j;

	while ((j = *at) != NULL && !h->worker->left) {
		j->begun = true;
		if (!h->kind->begin(h, j, NULL)) {
			j->begun = false;
			at = &j->after;
			continue;
		}
		*at = j->after;
		j->after = NULL;
		h->nwaiting--;
	}
	if (*at == NULL)
		h->waiting_last = at;
}

static void
on_changed(void *self)
{
	struct worker *w = self;

	for (size_t i = 0; i < w->nhandlers; i++)
		begin_waiting(&w->handlers[i]);
	worker_register(w, false);
}

void
host_changed(struct worker *w)
{
	if (w->registering.slot == 0)
		loop_after(w->loop, &w->registering, 0, on_changed, w);
}

/* Most of the time nothing waits, and nobody need be told. */
void
host_freed(struct handler *h, bool done)
{
	if (!h->stuck && h->waiting == NULL)
		return;
	h->stuck &= !done;
	host_changed(h->worker);
}

/* --- for READY ---------------------------------------------------------------- */

static bool
has_word(struct slice words, struct slice word)
{
	while (words.n > 0) {
		const char *end = memchr(words.p, ' ', words.n);
		size_t      n = end != NULL ? (size_t)(end - words.p) : words.n;

		if (slice_eq((struct slice){ words.p, n }, word))
			return true;
		words = slice_from(words, n + 1);
	}
	return false;
}

static void
add_words(struct buf *all, const char *words)
{
	while (*words != '\0') {
		size_t       n = strcspn(words, " ");
		struct slice word = { words, n };

		if (!has_word(buf_slice(all), word)) {
			if (all->n > 0)
				buf_puts(all, " ");
			buf_put(all, word);
		}
		words += n + (words[n] == ' ');
	}
}

/* What is wider goes out too; what it does not want is done here. */
void
host_words(const struct worker *w, struct buf *patterns)
{
	for (size_t i = 0; i < w->nhandlers; i++) {
		const struct handler *h = &w->handlers[i];

		add_words(patterns, h->row->events[0] != '\0' ? h->row->events
		                                              : h->events);
	}
	buf_puts(patterns, "");
}

uint64_t
host_window(const struct worker *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->nhandlers; i++)
		sum += slots_of(&w->handlers[i]) + room_of(&w->handlers[i]);
	return sum < w->conf.window ? sum : w->conf.window;
}

uint64_t
host_timeout_ms(const struct worker *w)
{
	uint64_t most = 0;

	for (size_t i = 0; i < w->nhandlers; i++)
		if (w->handlers[i].kind != &builtin_kind &&
		    w->handlers[i].timeout_ms > most)
			most = w->handlers[i].timeout_ms;
	return most > 0 ? most + MARGIN_MS : 0;
}

bool
host_wants_raw(const struct worker *w)
{
	for (size_t i = 0; i < w->nhandlers; i++)
		if (w->handlers[i].raw)
			return true;
	return false;
}

/* --- the list ------------------------------------------------------------------ */

static void
on_problem(void *self, const char *where, const char *value, const char *why,
    const char *remedy)
{
	(void)self;
	log_error("config.bad", KV("setting", where), KV("value", value),
	    KV("why", why), KV("remedy", remedy));
}

static enum err
open_handler(struct worker *w, struct handlers_row *row)
{
	struct handler *h = &w->handlers[w->nhandlers];

	*h = (struct handler){ .worker = w, .row = row,
		.waiting_last = &h->waiting };
	h->timeout_ms = handler_timeout_ms(h);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(row->kind, kinds[i]->name) == 0)
			h->kind = kinds[i];
	if (h->kind == NULL)
		return ERR_CONFIG;
	w->nhandlers++;
	/* Until it has said what it wants, all that comes waits for it. */
	if (handler_set_events(h, row->events[0] != '\0' ? row->events
	                                                 : "*") != ERR_OK)
		return ERR_NOMEM;
	return h->kind->open(h);
}

static void
on_look(void *self)
{
	struct worker *w = self;
	bool           again = w->conf.handler_watch;

	for (size_t i = 0; i < w->nhandlers; i++) {
		struct handler *h = &w->handlers[i];

		if ((w->conf.handler_watch || h->broken[0] != '\0') &&
		    h->kind->reload != NULL)
			h->kind->reload(h, false);
		again |= h->broken[0] != '\0';
	}
	if (again)
		host_look(w);
}

void
host_look(struct worker *w)
{
	loop_after(w->loop, &w->looking, LOOK_MS, on_look, w);
}

enum err
host_open(struct worker *w)
{
	enum err e = handlers_load(&w->list, &w->conf, on_problem, NULL);

	if (e == ERR_OK && (w->handlers = calloc(w->list.n,
	        sizeof *w->handlers)) == NULL)
		e = ERR_NOMEM;
	for (size_t i = 0; i < w->list.n && e == ERR_OK; i++)
		e = open_handler(w, &w->list.rows[i]);
	if (e == ERR_OK && w->conf.handler_watch)
		host_look(w);
	return e;
}

/* A plugin takes all others in the process with it. */
bool
host_keeps_apart(const struct worker *w)
{
	for (size_t i = 0; i < w->nhandlers; i++)
		if (w->handlers[i].kind == &plugin_kind)
			return false;
	return true;
}

void
host_reload(struct worker *w)
{
	for (size_t i = 0; i < w->nhandlers; i++)
		if (w->handlers[i].kind->reload != NULL)
			w->handlers[i].kind->reload(&w->handlers[i], true);
}

void
host_leave(struct worker *w)
{
	if (w->left)
		return;
	w->left = true;
	for (size_t i = 0; i < w->nhandlers; i++)
		if (w->handlers[i].kind->leave != NULL)
			w->handlers[i].kind->leave(&w->handlers[i]);
}

bool
host_gone(const struct worker *w)
{
	for (size_t i = 0; i < w->nhandlers; i++)
		if (w->handlers[i].kind->gone != NULL &&
		    !w->handlers[i].kind->gone(&w->handlers[i]))
			return false;
	return true;
}

void
host_close(struct worker *w)
{
	for (size_t i = 0; i < w->nhandlers; i++) {
		struct handler *h = &w->handlers[i];

		if (h->kind->close != NULL)
			h->kind->close(h);
		loop_cancel(w->loop, &h->patience);
		free(h->events);
	}
	free(w->handlers);
	w->handlers = NULL;
	w->nhandlers = 0;
	handlers_free(&w->list);
	if (w->loop != NULL) {
		loop_cancel(w->loop, &w->registering);
		loop_cancel(w->loop, &w->looking);
	}
}

/* --- status ------------------------------------------------------------------- */

static struct json *
handler_json(const struct handler *h)
{
	struct json *o = json_new_object();

	json_put_text(o, "name", slice_of(h->row->name));
	json_put_text(o, "kind", slice_of(h->kind->name));
	json_put_text(o, "events", slice_of(h->events));
	json_put_int(o, "slots", (int64_t)slots_of(h));
	json_put_int(o, "waiting", (int64_t)h->nwaiting);
	json_put_int(o, "taken", (int64_t)h->taken);
	json_put_int(o, "done", (int64_t)h->done);
	json_put_int(o, "failed", (int64_t)h->failed);
	json_put_int(o, "returned", (int64_t)h->returned);
	if (h->broken[0] != '\0')
		json_put_text(o, "broken", slice_of(h->broken));
	if (h->kind->report != NULL)
		h->kind->report(h, o);
	return o;
}

void
host_report(const struct worker *w, struct json *app, struct buf *remedy)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < w->nhandlers; i++) {
		const struct handler *h = &w->handlers[i];

		json_push_take(list, handler_json(h));
		if (h->broken[0] != '\0' && remedy->n == 0)
			buf_putf(remedy, "handler %s does not run: %s",
			    h->row->name, h->broken);
		if (h->kind->trouble != NULL && remedy->n == 0)
			h->kind->trouble(h, remedy);
	}
	json_put_take(app, "handlers", list);
}
