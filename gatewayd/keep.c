/*
 * The queue and the sessions, kept in the journal: what comes in is written
 * in the turn in which it came, and acknowledged after the commit.  When a
 * write fails memory and journal no longer agree, and this process ends; the
 * next one begins with what the journal holds, and the platform sends the
 * rest again, because it was never acknowledged.
 */
#include "gateway.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

enum {
	REOPEN_MS = 2000, PRUNE_MS = 10000,
	GATHER_MS = 2,
	BODIES_IN_MEMORY = 8 << 20,
	BYTES_MAX_IN_MEMORY = 64 << 20,   /* durability none */
	DISK_LOW = 128 << 20,             /* bytes free: alarm */
};

void
keep_note(struct gateway *g, enum err e)
{
	if (e == ERR_OK || g->journal_err != ERR_OK)
		return;
	g->journal_err = e;
	log_error("journal.failed", KV("err", err_name(e)),
	    KV("why", store_why(e)),
	    KV("remedy", "gatewayd begins anew from what the journal holds; "
	                 "look at the disk of ROOKERY_STATE_DIR"));
}

/* --- the queue ------------------------------------------------------------ */

struct slice
keep_bot_of(struct slice id)
{
	const char *at = id.n > 0 ? memrchr(id.p, '@', id.n) : NULL;
	const char *slash = at == NULL
	    ? NULL
	    : memchr(at, '/', id.n - (size_t)(at - id.p));

	return slash == NULL ? (struct slice){ NULL, 0 }
	                     : (struct slice){ at + 1,
		                     (size_t)(slash - at - 1) };
}

static void
on_end(void *self, const struct delivery_end *end)
{
	struct gateway *g = self;

	if (end->dead)
		log_error("event.dead", KV("id", end->id),
		    KV("bot", keep_bot_of(end->id)), KV("type", end->type),
		    KV("attempts", end->attempts), KV("worker", end->worker), KV("why", end->why));
	keep_note(g, journal_end(g->journal, end, loop_wall_ms()));
}

struct delivery *
keep_new_queue(struct gateway *g)
{
	bool none = store_durability_of(slice_of(g->conf.durability)) ==
	    STORE_NONE;
	struct delivery_limits limits = {
		.events = g->conf.queue_events,
		.bytes = none && g->conf.queue_bytes > BYTES_MAX_IN_MEMORY
		    ? BYTES_MAX_IN_MEMORY : g->conf.queue_bytes,
		.body_bytes = BODIES_IN_MEMORY,
		.remembered = g->conf.dedup_events,
		.attempts = g->conf.attempts,
		.timeout_ms = g->conf.event_timeout_ms,
	};
	struct delivery *d = delivery_new(&limits);

	if (d == NULL)
		return NULL;
	delivery_on_end(d, on_end, g);
	for (size_t b = 0; b < g->nbots; b++)
		delivery_owner(d, slice_of(g->bots[b]->conf.qq_app_id), true);
	return d;
}

/* --- taking back ---------------------------------------------------------- */

bool
keep_knows_old(const struct gateway *g, const struct msg_event *ev)
{
	size_t       bot = 1 + ev->bot.n, conv = 1 + ev->conv.n;
	struct slice id = ev->id;

	if (!g->old_ids || id.n <= bot + conv)
		return false;
	id.n -= conv;
	if (delivery_knows(g->delivery, id))
		return true;
	id.n -= bot;
	return delivery_knows(g->delivery, id);
}

/* "u:..." of an earlier version, instead of "BOT/u:..."; it must not overtake
 * what comes now. */
enum err
keep_conv(struct gateway *g, struct slice body, struct slice *conv)
{
	struct msg_event ev;

	if (conv->n < 2 || conv->p[1] != ':' ||
	    msg_decode(MSG_event, body, &ev) != ERR_OK)
		return ERR_OK;
	buf_reset(&g->conv);
	buf_put(&g->conv, ev.bot);
	buf_puts(&g->conv, "/");
	buf_put(&g->conv, *conv);
	*conv = buf_slice(&g->conv);
	return g->conv.failed ? ERR_NOMEM : ERR_OK;
}

static enum err
on_done(void *self, uint64_t no, struct slice id)
{
	struct gateway *g = self;
	enum err        e = delivery_remember(g->delivery, id, no);

	delivery_expect_workers(g->delivery);
	g->old_ids |= keep_bot_of(id).n == 0;
	return e == ERR_DUPLICATE ? ERR_OK : e;
}

/* Where its conversation must be looked for in its body. */
static enum err
conv_of(struct gateway *g, const struct journal_event *ev, struct slice *conv)
{
	int64_t  set_by_ms;
	enum err e;

	*conv = ev->conv;
	if (keep_bot_of(ev->id).n > 0)
		return ERR_OK;
	g->old_ids = true;
	buf_reset(&g->away);
	e = journal_body(g->journal, ev->no, &g->away, &set_by_ms);
	return e != ERR_OK ? e : keep_conv(g, buf_slice(&g->away), conv);
}

static enum err
on_event(void *self, const struct journal_event *ev)
{
	struct gateway *g = self;
	uint64_t        now = loop_clock_ms();
	int64_t         age = loop_wall_ms() - ev->came_wall_ms;
	struct slice    conv;
	enum err        e = conv_of(g, ev, &conv);

	if (e != ERR_OK)
		return e;
	e = delivery_restore(g->delivery, ev->no, ev->id, conv, ev->type,
	    ev->body_n, ev->attempt,
	    age > 0 && (uint64_t)age < now ? now - (uint64_t)age : now);
	if (e == ERR_DUPLICATE)
		log_error("journal.twice", KV("id", ev->id), KV("no", ev->no));
	return e == ERR_DUPLICATE ? ERR_OK : e;
}

static void
on_session(void *self, const struct session_memory *m)
{
	struct gateway *g = self;
	int64_t         wall = loop_wall_ms();

	if (!bots_recall(g, m, wall))
		return;
	delivery_expect_workers(g->delivery); /* before the replay */
	log_info("session.recalled", KV("bot", (const char *)m->bot),
	    KV("shard", m->shard), KV("seq", m->seq),
	    KV("age_ms", wall - m->saved_wall_ms));
}

static enum err
recall_rights(struct gateway *g, struct bot *bot)
{
	uint32_t dropped;
	int64_t  wall_ms;
	enum err e = journal_recall_rights(g->journal, bot->conf.qq_app_id,
	    &dropped, &wall_ms);

	if (e == ERR_OK) {
		link_recall_rights(bot, dropped, wall_ms);
		bot->kept_dropped = dropped;
	}
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err
recall_bot(struct gateway *g, struct bot *bot)
{
	struct budget_memory m;
	enum err e = journal_recall_budget(g->journal, bot->conf.qq_app_id,
	    &m);

	if (e == ERR_OK)
		budget_recall(&bot->budget, &m, loop_clock_ms(),
		    loop_wall_ms());
	else if (e != ERR_NOT_FOUND)
		return e;
	return recall_rights(g, bot);
}

void
keep_recall_bot(struct gateway *g, struct bot *bot)
{
	keep_note(g, recall_bot(g, bot));
}

static enum err
recall_sessions(struct gateway *g)
{
	enum err e = ERR_OK;

	for (size_t b = 0; b < g->nbots && e == ERR_OK; b++)
		e = recall_bot(g, g->bots[b]);
	if (e != ERR_OK)
		return e;
	return journal_recall_sessions(g->journal, on_session, g);
}

static enum err
recall(struct gateway *g)
{
	const struct delivery_counts *c = delivery_counts(g->delivery);
	enum err e = journal_recall(g->journal, on_done, on_event, g);

	if (e == ERR_OK)
		e = recall_sessions(g);
	if (e != ERR_OK)
		return e;
	log_info("journal.open", KV("file", journal_info(g->journal).file),
	    KV("events", c->events), KV("bytes", c->bytes),
	    KV("dead", journal_dead_count(g->journal)));
	return ERR_OK;
}

/* --- opening -------------------------------------------------------------- */

static void
move_journal(struct gateway *g)
{
	char *moved = NULL;

	journal_abandon(&g->journal, "it cannot be read to its end", &moved);
	if (moved == NULL)
		return;
	free(g->moved);
	g->moved = moved;
}

static enum err
open_journal(struct gateway *g)
{
	struct journal_options o = { g->conf.state_dir,
		store_durability_of(slice_of(g->conf.durability)),
		g->conf.dead_max, loop_wall_ms() };
	enum err e;

	/* A disk that became read-only is mended without us. */
	if ((e = proc_make_dir("ROOKERY_STATE_DIR", g->conf.state_dir,
	         0700)) != ERR_OK ||
	    (e = journal_open(&g->journal, &o)) != ERR_OK ||
	    (e = recall(g)) == ERR_OK)
		return e;
	if (e == ERR_DAMAGED)
		move_journal(g);
	else
		journal_close(&g->journal);
	/* Workers that are here already will say so again. */
	delivery_free(&g->delivery);
	if ((g->delivery = keep_new_queue(g)) == NULL)
		return ERR_NOMEM;
	return e;
}

static void
on_reopen(void *self)
{
	keep_try(self);
}

void
keep_try(struct gateway *g)
{
	enum err e = open_journal(g);

	if (e == ERR_DAMAGED) /* it is out of the way now */
		e = open_journal(g);
	g->shut = e;
	if (e != ERR_OK) {
		loop_after(g->loop, &g->reopening, REOPEN_MS, on_reopen, g);
		report_send(g);
		return;
	}
	g->opened_ms = loop_clock_ms();
	loop_cancel(g->loop, &g->reopening);
	if (!g->draining)
		link_start_all(g);
	handout_soon(g);
	report_send(g);
}

enum err
keep_open(struct gateway *g)
{
	keep_try(g);
	return g->delivery != NULL ? ERR_OK : ERR_NOMEM;
}

void
keep_close(struct gateway *g)
{
	if (g->loop != NULL)
		loop_cancel(g->loop, &g->reopening);
	journal_close(&g->journal);
	free(g->moved);
	buf_free(&g->acks);
	buf_free(&g->away);
}

/* --- the wall clock ------------------------------------------------------- */

/* The platform's windows do not move with our clock, nor does a session age by
 * an hour when it is set so. */
void
keep_clock(struct gateway *g)
{
	int64_t by = wall_read(&g->wall, loop_wall_ms(), loop_boot_ms(),
	    loop_now(g->loop));

	if (by == 0)
		return;
	log_warn("clock.set", KV("by_ms", by),
	    KV("why", "the wall clock was set: deadlines of what waits, and "
	              "the ages of sessions, are set with it"));
	if (g->journal != NULL && g->journal_err == ERR_OK)
		keep_note(g, journal_set_clock(g->journal, by));
	for (size_t b = 0; b < g->nbots; b++)
		g->bots[b]->budget.memory_version++;
}

/* --- after each turn ------------------------------------------------------ */

static void
keep_session(struct gateway *g, struct link *l, bool anyway)
{
	struct session_memory m;

	if (!anyway && l->kept == l->session.memory_version &&
	    l->kept_seq == l->session.seq)
		return;
	l->kept = l->session.memory_version;
	l->kept_seq = l->session.seq;
	session_remember(&l->session, loop_wall_ms(), &m);
	keep_note(g, journal_keep_session(g->journal, &m));
}

/* Those that are being replaced have missed nothing yet; the new ones may
 * have.  So the old ones are what our next run resumes; but where the number is
 * the same, the platform has ended the old one in favour of the new. */
static void
keep_bot(struct gateway *g, struct bot *bot)
{
	size_t n = bot->nold > 0 ? bot->nold : bot->nlinks;

	if (bot->forget)
		keep_note(g, journal_forget_sessions(g->journal,
		    bot->conf.qq_app_id));
	for (size_t i = 0; i < n; i++) {
		struct link *l = bot->nold > 0 ? &bot->old[i] : &bot->links[i];

		if (bot->nold == bot->nlinks &&
		    bot->links[i].session.id[0] != '\0')
			l = &bot->links[i];
		keep_session(g, l, bot->forget);
	}
	bot->forget = false;
}

/* Not in the middle of a search. */
static void
keep_rights(struct gateway *g, struct bot *bot)
{
	const struct rights *r = &bot->rights;

	if (rights_searching(r) || r->hopeless ||
	    r->dropped == bot->kept_dropped || r->granted == 0)
		return;
	bot->kept_dropped = r->dropped;
	keep_note(g, journal_keep_rights(g->journal, bot->conf.qq_app_id,
	    r->dropped, r->dropped_wall_ms));
}

static void
keep_sessions(struct gateway *g)
{
	struct budget_memory m;

	for (size_t b = 0; b < g->nbots; b++) {
		struct bot *bot = g->bots[b];

		keep_bot(g, bot);
		keep_rights(g, bot);
		if (bot->kept == bot->budget.memory_version)
			continue;
		bot->kept = bot->budget.memory_version;
		budget_remember(&bot->budget, loop_clock_ms(), loop_wall_ms(),
		    &m);
		keep_note(g, journal_keep_budget(g->journal,
		    bot->conf.qq_app_id, &m));
	}
}

enum err
keep_ack(struct gateway *g, uint64_t request)
{
	buf_put(&g->acks, (struct slice){ (const char *)&request,
	    sizeof request });
	if (!g->acks.failed)
		return ERR_OK;
	buf_free(&g->acks);
	return ERR_NOMEM;
}

static void
answer(struct gateway *g)
{
	struct buf text = { 0 };
	uint64_t   request;

	if (g->acks.n == 0)
		return;
	payload_callback_ack(&text, true);
	for (size_t at = 0; at < g->acks.n; at += sizeof request) {
		memcpy(&request, g->acks.p + at, sizeof request);
		net_answer(g->net, request, 200, buf_slice(&text));
	}
	buf_reset(&g->acks);
	buf_free(&text);
}

enum err
keep_commit(struct gateway *g)
{
	if (g->journal == NULL)
		return ERR_OK;
	g->gather_ms = 0;
	keep_clock(g);
	keep_sessions(g);
	if (g->journal_err == ERR_OK && journal_is_urgent(g->journal))
		keep_note(g, journal_commit(g->journal));
	if (g->journal_err == ERR_OK) {
		answer(g);
		feed_settle(g);
	}
	return g->journal_err;
}

static bool
has_news(const struct link *links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (links[i].kept != links[i].session.memory_version)
			return true;
	return false;
}

/* Is there more to keep than events, and how far they go? */
static bool
keeps_more(const struct gateway *g)
{
	for (size_t b = 0; b < g->nbots; b++) {
		const struct bot *bot = g->bots[b];

		if (bot->forget || bot->kept != bot->budget.memory_version ||
		    has_news(bot->links, bot->nlinks) ||
		    has_news(bot->old, bot->nold))
			return true;
	}
	return false;
}

/* A commit costs as much for a dozen events as for two: while they come one
 * upon the other, it waits a moment for more.  Not so what the platform is
 * told meanwhile: a seq or the answer to a callback says that all up to there
 * is kept. */
static bool
gathers(struct gateway *g)
{
	uint64_t appended = delivery_counts(g->delivery)->appended;
	bool     came = appended != g->gathered;

	g->gathered = appended;
	if (!came || g->journal == NULL || g->journal_err != ERR_OK ||
	    g->acks.n > 0 || net_has_sent(g->net) || keeps_more(g))
		return false;
	if (g->gather_ms == 0)
		g->gather_ms = loop_clock_ms() + GATHER_MS;
	return loop_clock_ms() < g->gather_ms;
}

enum err
keep_settle(struct gateway *g)
{
	if (!gathers(g))
		return keep_commit(g);
	net_hurry(g->net);
	return ERR_OK;
}

/* --- alarms --------------------------------------------------------------- */

static void
watch_size(struct gateway *g)
{
	bool half = delivery_is_filling(g->delivery);

	if (half && !g->filling)
		log_error("journal.filling",
		    KV("events", delivery_counts(g->delivery)->events),
		    KV("bytes", delivery_counts(g->delivery)->bytes),
		    KV("why", "half of what may be held is full"),
		    KV("remedy", "workers are missing or too slow: see "
		                 "rookery events"));
	else if (!half && g->filling)
		log_info("journal.drained",
		    KV("events", delivery_counts(g->delivery)->events));
	g->filling = half;
}

/* Seldom, for it walks through all the ids. */
static void
prune(struct gateway *g)
{
	if (loop_now(g->loop) < g->prune_ms)
		return;
	g->prune_ms = loop_now(g->loop) + PRUNE_MS;
	keep_note(g, journal_prune(g->journal,
	    delivery_oldest_remembered(g->delivery)));
}

void
keep_tick(struct gateway *g)
{
	if (g->journal == NULL || g->journal_err != ERR_OK)
		return;
	prune(g);
	keep_clock(g); /* before a session is noted by it */
	keep_sessions(g);
	if (g->journal_err == ERR_OK)
		keep_note(g, journal_commit(g->journal));
	watch_size(g);
}

const char *
keep_trouble(struct gateway *g)
{
	struct journal_info i;

	if (g->journal == NULL && g->shut == ERR_BUSY)
		return "another process has the journal open: give each system "
		       "a ROOKERY_STATE_DIR of its own";
	if (g->journal == NULL && g->shut == ERR_FULL)
		return "the journal cannot be opened, the disk is full: make "
		       "room in ROOKERY_STATE_DIR";
	if (g->journal == NULL)
		return "the journal cannot be opened: look at the log, at the "
		       "disk and at the rights of ROOKERY_STATE_DIR";
	i = journal_info(g->journal);
	if (i.moved != NULL || g->moved != NULL)
		return "a damaged journal was moved aside; see moved in "
		       "rookery status --json";
	if (i.disk_free != 0 && i.disk_free < DISK_LOW)
		return "the disk of ROOKERY_STATE_DIR is nearly full";
	if (g->filling)
		return "half of what may be held is full: workers are missing "
		       "or too slow, see rookery events";
	return "";
}

bool
keep_outlives(const struct gateway *g)
{
	return g->journal != NULL &&
	    store_durability_of(slice_of(g->conf.durability)) != STORE_NONE;
}

/* It takes no harm, but a person should know. */
const char *
keep_hint(struct gateway *g)
{
	if (g->journal != NULL && journal_dead_count(g->journal) > 0)
		return "events have failed and lie in the dead letters: see "
		       "rookery dead, then try them again or drop them";
	return "";
}
