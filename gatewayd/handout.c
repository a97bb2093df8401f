/*
 * The queue and the workers: registration, credit, acks, and who is gone.
 */
#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "pack.h"

enum {
	WORKER_SILENT_MS = 4 * BUS_BEAT_MS,
	READY_NAME_MAX = 128, READY_WORDS_MAX = 16384,
	SET_BY_MAX_MS = 12 * 3600 * 1000,   /* of a deadline, in the journal */
};

/* --- what a worker says ----------------------------------------------------------- */

static void
greet(struct gateway *g, msg_peer to)
{
	struct msg_hello hello = { .v = 1, .session = slice_of(g->run),
		.beat_ms = BUS_BEAT_MS, .max = MSG_MAX };

	bus_send(g->events, to, MSG_hello, &hello);
}

static void
on_heard(void *self, msg_peer from)
{
	struct gateway         *g = self;
	struct delivery_worker *w = delivery_worker_find(g->delivery, from);

	/* Not known: we are a new run, or had given it up. */
	if (w == NULL)
		greet(g, from);
	else
		delivery_worker_heard(w, loop_now(g->loop));
}

/* A packed list of texts as words with blanks; false when it is not one. */
static bool
words_of(struct slice packed, struct buf *out)
{
	struct unpack      u;
	struct unpack_item it;

	unpack_open(&u, packed);
	if (packed.n == 0 || unpack_next(&u, &it) != ERR_OK ||
	    it.type != UNPACK_ARRAY)
		return packed.n == 0;
	for (size_t n = it.count; n > 0; n--) {
		if (unpack_next(&u, &it) != ERR_OK || it.type != UNPACK_STR ||
		    memchr(it.bytes.p, ' ', it.bytes.n) != NULL)
			return false;
		if (out->n > 0)
			buf_puts(out, " ");
		buf_put(out, it.bytes);
	}
	return !out->failed;
}

static bool
has_word(struct slice words, const char *word)
{
	return words.n > 0 && memmem(words.p, words.n, word, strlen(word)) !=
	    NULL;
}

static void
drop_worker(struct gateway *g, struct delivery_worker *w, const char *why)
{
	struct delivery_worker_info i = delivery_worker_info(w);

	log_warn("worker.gone", KV("name", i.name), KV("why", why),
	    KV("in_flight", i.in_flight));
	delivery_worker_gone(g->delivery, w, why, loop_now(g->loop));
}

/* Status and log show the words of a READY, and every event is held against
 * its patterns: they have bounds.  NULL: nothing is wrong. */
static const char *
wrong_with(const struct msg_ready *m, struct buf *patterns, struct buf *want)
{
	if (m->v != 1)
		return "READY is not of version 1";
	if (m->name.n == 0 || m->name.n > READY_NAME_MAX)
		return "READY: name has 1 to 128 bytes";
	if (m->handler.n > READY_WORDS_MAX)
		return "READY: handler is longer than 16 KiB";
	if (!words_of(m->events, patterns) || patterns->n > READY_WORDS_MAX)
		return "READY: events is no list of words, or longer than "
		       "16 KiB";
	if (!words_of(m->want, want))
		return "READY: want is no list of words";
	return NULL;
}

static void
on_ready(void *self, msg_peer from, const struct msg_ready *m)
{
	struct gateway         *g = self;
	struct buf              patterns = { 0 }, want = { 0 };
	struct delivery_worker *old, *w;
	bool                    is_new;
	const char             *wrong = wrong_with(m, &patterns, &want);

	if (wrong != NULL) {
		struct msg_bye bye = { .reason = slice_of(wrong) };

		log_warn("worker.refused", KV("name", m->name), KV("v", m->v),
		    KV("why", wrong));
		bus_send(g->events, from, MSG_bye, &bye);
		goto out;
	}
	if (patterns.n == 0)
		buf_puts(&patterns, "message.*");
	is_new = delivery_worker_find(g->delivery, from) == NULL;
	/* The same name from another peer is the next life of that worker; or
	 * its last one, which has found us as it leaves, and wants nothing. */
	old = delivery_worker_named(g->delivery, m->name, 0);
	if (is_new && old != NULL && m->window == 0 &&
	    delivery_worker_info(old).pid != m->pid)
		goto out;
	if (is_new && old != NULL)
		drop_worker(g, old, "another took its name");
	w = delivery_worker_set(g->delivery, from, m->name, m->pid, m->handler,
	    buf_slice(&patterns), m->window, m->timeout_ms,
	    has_word(buf_slice(&want), "raw"), m->late, loop_now(g->loop));
	if (w != NULL) {
		delivery_worker_apart(w, m->apart);
		delivery_worker_ends(w, m->ends);
	}
	if (w != NULL && is_new)
		log_info("worker.ready", KV("name", m->name), KV("pid", m->pid),
		    KV("events", buf_slice(&patterns)),
		    KV("window", m->window));
	handout_soon(g);
out:
	buf_free(&patterns);
	buf_free(&want);
}

static void
on_ack(void *self, msg_peer from, const struct msg_ack *m)
{
	struct gateway *g = self;
	enum err        e = delivery_ack(g->delivery,
	    delivery_worker_find(g->delivery, from), m->ev, loop_now(g->loop));

	if (e != ERR_OK)
		log_warn("event.ack", KV("id", m->ev),
		    KV("bot", keep_bot_of(m->ev)), KV("why", err_text(e)));
	handout_soon(g);
}

/* With the event until it is done, or lies among the dead letters. */
static void
keep_capsule(struct gateway *g, struct delivery_worker *w,
    const struct msg_nack *m)
{
	uint64_t no;

	if (m->capsule.n == 0 || m->capsule.n > JOURNAL_CAPSULE_MAX ||
	    delivery_number(g->delivery, w, m->ev, &no) != ERR_OK)
		return;
	keep_note(g, journal_capsule(g->journal, no, m->capsule));
}

static void
on_nack(void *self, msg_peer from, const struct msg_nack *m)
{
	struct gateway         *g = self;
	struct delivery_worker *w = delivery_worker_find(g->delivery, from);
	enum err                e;

	if (m->unbegun) {
		e = delivery_return(g->delivery, w, m->ev, m->after_ms,
		    loop_now(g->loop));
		log_debug("event.returned", KV("id", m->ev),
		    KV("bot", keep_bot_of(m->ev)),
		    KV("err", err_name(e)));
	} else {
		keep_capsule(g, w, m);
		e = delivery_nack(g->delivery, w, m->ev, m->after_ms, m->drop,
		    m->why, loop_now(g->loop));
		log_warn("event.nack", KV("id", m->ev),
		    KV("bot", keep_bot_of(m->ev)), KV("why", m->why),
		    KV("drop", m->drop), KV("err", err_name(e)));
	}
	handout_soon(g);
}

static void
on_waits(void *self, msg_peer from, const struct msg_waits *m)
{
	struct gateway *g = self;

	/* Who has lost it meanwhile is told so by its ack. */
	(void)delivery_waits(g->delivery,
	    delivery_worker_find(g->delivery, from), m->ev, loop_now(g->loop));
}

static void
on_bye(void *self, msg_peer from, const struct msg_bye *m)
{
	struct gateway         *g = self;
	struct delivery_worker *w = delivery_worker_find(g->delivery, from);

	(void)m;
	if (w != NULL)
		drop_worker(g, w, "it said bye");
	handout_soon(g);
}

/* The supervisor saw a process end: sooner than any silence could tell. */
void
handout_on_gone(void *self, msg_peer from, const struct msg_gone *m)
{
	struct gateway         *g = self;
	struct delivery_worker *w = delivery_worker_named(g->delivery, m->name,
	    m->pid);
	char why[128];

	(void)from;
	snprintf(why, sizeof why, "its process ended: %.*s", (int)m->how.n,
	    m->how.n > 0 ? m->how.p : "");
	if (w != NULL)
		drop_worker(g, w, why);
	handout_soon(g);
}

/* --- what goes out ------------------------------------------------------------------- */

/* In memory, or read back from the journal. */
static enum err
body_of(struct gateway *g, const struct delivery_item *item,
    struct slice *body, int64_t *set_by_ms)
{
	enum err e;

	*body = item->body;
	*set_by_ms = wall_set_since(&g->wall, item->came_ms);
	if (!item->body_away)
		return ERR_OK;
	buf_reset(&g->away);
	if ((e = journal_body(g->journal, item->no, &g->away, set_by_ms)) !=
	    ERR_OK)
		keep_note(g, e == ERR_NOT_FOUND ? ERR_DAMAGED : e);
	*body = buf_slice(&g->away);
	return e;
}

/* An event keeps its window when the wall clock is set.  Of a second attempt,
 * and of one that may be a second one since an earlier run had it, there may be
 * replies already: apid believes its record of them for a day beyond their
 * time, and so they are known while this stays well below.  A clock that goes
 * further had no time to speak of. */
static int64_t
deadline_of(const struct delivery_item *item, int64_t deadline,
    int64_t set_by_ms)
{
	if (deadline == 0 || item->attempt > 1 ||
	    (item->body_away && (set_by_ms > SET_BY_MAX_MS ||
	                            set_by_ms < -SET_BY_MAX_MS)))
		return deadline;
	return deadline + set_by_ms;
}

static enum err
send_event(struct gateway *g, const struct delivery_item *item)
{
	struct delivery_worker_info w = delivery_worker_info(item->worker);
	struct msg_event            ev;
	struct slice                body;
	int64_t                     set_by_ms;
	enum err                    e;

	if ((e = body_of(g, item, &body, &set_by_ms)) != ERR_OK ||
	    (e = msg_decode(MSG_event, body, &ev)) != ERR_OK)
		return e;
	ev.attempt = item->attempt;
	ev.over = item->over;
	ev.deadline = deadline_of(item, ev.deadline, set_by_ms);
	if (!w.want_raw)
		ev.raw = (struct slice){ NULL, 0 };
	if (!w.late && !ev.over && ev.deadline != 0 && ev.deadline < loop_wall_ms())
		return ERR_STALE;
	e = bus_send(g->events, w.peer, MSG_event, &ev);
	if (e == ERR_OK && log_enabled(LOG_DEBUG))
		log_debug("event.out", KV("id", ev.id), KV("bot", ev.bot),
		    KV("worker", w.name),
		    KV("attempt", item->attempt));
	return e;
}

static bool
is_unsent(void *self)
{
	return ((struct gateway *)self)->unsent;
}

/* Once a turn and not once an event: what goes out together wakes the
 * worker, and our own sending thread, once. */
static void
pump(void *self)
{
	struct gateway      *g = self;
	struct delivery_item item;

	g->unsent = false;
	keep_clock(g);
	while (!proc_stopping(&g->proc) && g->journal_err == ERR_OK &&
	    delivery_offer(g->delivery, loop_now(g->loop), &item)) {
		enum err e = send_event(g, &item);

		if (e == ERR_OK && item.attempt > 1 && !item.over)
			keep_note(g, journal_attempt(g->journal, item.no,
			    item.attempt));
		if (e == ERR_OK)
			continue;
		if (e == ERR_STALE) { /* past its window, and not wanted so */
			log_info("event.late", KV("id", item.id),
			    KV("bot", keep_bot_of(item.id)));
			delivery_ack(g->delivery, item.worker, item.id,
			    loop_now(g->loop));
			continue;
		}
		if (e == ERR_SYNTAX || e == ERR_TOO_LARGE) {
			/* No worker would make more of it, and its
			 * conversation must go on. */
			delivery_nack(g->delivery, item.worker, item.id, 0,
			    true, SLICE("its body in the journal cannot be "
			                "read"), loop_now(g->loop));
			continue;
		}
		delivery_unsend(g->delivery, &item);
		if (e != ERR_NOT_FOUND)
			break; /* the tick tries again */
		drop_worker(g, item.worker, "its connection is gone");
	}
	link_flow_all(g);
}

void
handout_soon(struct gateway *g)
{
	g->unsent = true;
}

static void
drop_silent(struct gateway *g)
{
	struct delivery_worker *w = delivery_worker_next(g->delivery, NULL);

	while (w != NULL) {
		struct delivery_worker     *next =
		    delivery_worker_next(g->delivery, w);
		struct delivery_worker_info i = delivery_worker_info(w);

		if (loop_now(g->loop) - i.heard_ms > WORKER_SILENT_MS)
			drop_worker(g, w, "nothing heard of it");
		w = next;
	}
}

void
handout_tick(struct gateway *g)
{
	drop_silent(g);
	delivery_tick(g->delivery, loop_now(g->loop));
	handout_soon(g);
}

static const struct msg_handlers takes = {
	.ready = on_ready,
	.ack = on_ack,
	.nack = on_nack,
	.waits = on_waits,
	.bye = on_bye,
};

enum err
handout_open(struct gateway *g)
{
	char *url = conf_bus(&g->conf, g->conf.bus_events, "events.sock");
	struct bus_options o = {
		.side = BUS_SERVER, .url = url,
		.sends = MSG_EVENTS_DOWN, .takes = MSG_EVENTS_UP,
		.keys_dir = g->conf.keys_dir, .name = "gateway",
		.admit = { "worker" },
		.handlers = &takes, .self = g, .on_heard = on_heard,
	};
	struct loop_source out = { is_unsent, pump, g };
	enum err           e = ERR_NOMEM;

	g->delivery = keep_new_queue(g);
	if (url != NULL && g->delivery != NULL)
		e = bus_open(&g->events, g->loop, &o);
	if (e == ERR_OK) /* behind the bus: acks of this turn count */
		e = loop_add_source(g->loop, &out);
	free(url);
	return e;
}

void
handout_close(struct gateway *g)
{
	struct msg_bye bye = { .reason = SLICE("the gateway stops") };

	for (struct delivery_worker *w = g->delivery == NULL
	         ? NULL
	         : delivery_worker_next(g->delivery, NULL);
	    g->events != NULL && w != NULL;
	    w = delivery_worker_next(g->delivery, w))
		bus_send(g->events, delivery_worker_info(w).peer, MSG_bye,
		    &bye);
	loop_remove_source(g->loop, g);
	bus_close(&g->events);
	delivery_free(&g->delivery);
}
