/*
 * What a person asks of us through the supervisor: what waits, and the dead
 * letters, which can be tried once more or dropped.
 */
#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

enum { ROWS_DEFAULT = 50, ROWS_MAX = 200 };

struct question {
	struct gateway    *g;
	const struct json *with;
	struct json       *answer;    /* NULL: out of memory */
	const char        *why;       /* when it fails */
};

static const struct slice nobody = { NULL, 0 };

/* A queue is named by its bot and its conversation; it was not always. */
static struct slice
conv_part(struct slice name)
{
	const char *slash = name.n > 0 ? memchr(name.p, '/', name.n) : NULL;

	return slash == NULL ? name
	                     : slice_from(name, (size_t)(slash - name.p) + 1);
}

static struct slice
bot_part(struct slice name)
{
	size_t n = conv_part(name).n;

	return n < name.n ? (struct slice){ name.p, name.n - n - 1 } : nobody;
}

static uint64_t
number_at(const struct question *q, const char *key, uint64_t missing)
{
	int64_t n;

	return json_int_at(q->with, key, &n) && n >= 0 ? (uint64_t)n : missing;
}

static unsigned
limit_of(const struct question *q)
{
	uint64_t n = number_at(q, "limit", ROWS_DEFAULT);

	return (unsigned)(n > ROWS_MAX ? ROWS_MAX : n);
}

/* --- what waits ----------------------------------------------------------- */

static struct json *
conv_json(const struct delivery_conv_info *c)
{
	struct json *o = json_new_object();

	json_put_text(o, "bot", bot_part(c->conv));
	json_put_text(o, "conv", conv_part(c->conv));
	json_put_int(o, "queued", (int64_t)c->queued);
	json_put_int(o, "in_flight", c->in_flight);
	json_put_text(o, "worker", c->worker);
	json_put_int(o, "attempt", c->attempt);
	json_put_int(o, "oldest_ms", (int64_t)c->oldest_ms_ago);
	json_put_text(o, "head", c->head_id);
	return o;
}

/* All, or of each bot the one that is asked for. */
static size_t
find_convs(struct question *q, struct delivery_conv_info *info, size_t max)
{
	struct gateway *g = q->g;
	struct slice    only = json_text_at(q->with, "conv");
	uint64_t        now = loop_clock_ms();
	size_t          n = 0;

	if (only.n == 0)
		return delivery_convs(g->delivery, nobody, info, max, now);
	for (size_t b = 0; b < g->nbots && n < max; b++) {
		struct buf name = { 0 };

		buf_putf(&name, "%s/", g->bots[b]->conf.qq_app_id);
		buf_put(&name, only);
		n += delivery_convs(g->delivery, buf_slice(&name), info + n,
		    max - n, now);
		buf_free(&name);
	}
	return n;
}

static enum err
ask_events(struct question *q)
{
	const struct delivery         *d = q->g->delivery;
	const struct delivery_counts  *c = delivery_counts(d);
	uint64_t                       now = loop_clock_ms();
	unsigned                       max = limit_of(q);
	struct json                   *rows = json_new_array();
	struct delivery_conv_info     *info = calloc(max + 1, sizeof *info);
	size_t n = info == NULL ? 0 : find_convs(q, info, max);

	json_put_int(q->answer, "events", (int64_t)c->events);
	json_put_int(q->answer, "bytes", (int64_t)c->bytes);
	json_put_int(q->answer, "in_flight", (int64_t)c->in_flight);
	json_put_int(q->answer, "oldest_ms",
	    (int64_t)delivery_oldest_ms(d, now));
	json_put_int(q->answer, "conversations", (int64_t)c->conversations);
	for (size_t i = 0; i < n; i++)
		json_push_take(rows, conv_json(&info[i]));
	json_put_take(q->answer, "rows", rows);
	free(info);
	return info == NULL ? ERR_NOMEM : ERR_OK;
}

/* --- dead letters --------------------------------------------------------- */

static void
put_dead(struct json *o, const struct journal_dead *d)
{
	struct msg_event ev;

	json_put_int(o, "no", (int64_t)d->no);
	json_put_text(o, "id", d->id);
	if (msg_decode(MSG_event, d->body, &ev) == ERR_OK)
		json_put_text(o, "bot", ev.bot);
	json_put_text(o, "conv", conv_part(d->conv));
	json_put_text(o, "type", d->type);
	json_put_int(o, "attempts", d->attempts);
	json_put_text(o, "why", d->why);
	json_put_text(o, "worker", d->worker);
	json_put_int(o, "at_ms", d->at_wall_ms);
	json_put_int(o, "bytes", (int64_t)d->body.n);
}

static void
on_row(void *self, const struct journal_dead *d)
{
	struct json *o = json_new_object();

	put_dead(o, d);
	json_push_take(self, o);
}

static enum err
dead_list(struct question *q)
{
	struct json *rows = json_new_array();
	enum err     e = journal_dead_list(q->g->journal,
	    number_at(q, "after", 0), limit_of(q), on_row, rows);

	json_put_int(q->answer, "total",
	    (int64_t)journal_dead_count(q->g->journal));
	json_put_take(q->answer, "dead", rows);
	return e;
}

/* The event as workers see it; the platform's own form may be long, and is
 * left out. */
static void
on_show(void *self, const struct journal_dead *d)
{
	struct json     *o = self, *event = NULL, *capsule = NULL;
	struct msg_event ev;
	struct buf       body = { 0 };
	char             head[MSG_HEAD];

	put_dead(o, d);
	if (msg_decode(MSG_event, d->body, &ev) == ERR_OK) {
		ev.raw = (struct slice){ NULL, 0 };
		ev.attempt = d->attempts;
		if (msg_encode(MSG_event, &ev, head, &body) == ERR_OK)
			json_from_msgpack(&event, buf_slice(&body));
	}
	json_put_take(o, "event", event);
	if (d->capsule.n > 0 && json_parse(&capsule, d->capsule) == ERR_OK)
		json_put_take(o, "capsule", capsule);
	buf_free(&body);
}

static enum err
dead_show(struct question *q)
{
	return journal_dead_show(q->g->journal, number_at(q, "no", 0),
	    json_text_at(q->with, "id"), on_show, q->answer);
}

struct letter {
	struct gateway *g;
	uint64_t        no;
	char            bot[SESSION_BOT_MAX];
	bool            again;
	enum err        err;
};

/* It becomes a new event with its old id: what was answered of it before is
 * known by that id, and not said twice. */
static void
on_retry(void *self, const struct journal_dead *d)
{
	struct letter *l = self;
	struct slice   conv = d->conv;
	struct slice   bot = keep_bot_of(d->id);
	uint64_t       no;

	l->no = d->no;
	snprintf(l->bot, sizeof l->bot, "%.*s", (int)bot.n,
	    bot.n > 0 ? bot.p : "");
	if (!l->again)
		return;
	if ((l->err = keep_conv(l->g, d->body, &conv)) != ERR_OK)
		return;
	/* Its id must not be forgotten for nothing. */
	if (!delivery_takes(l->g->delivery, d->body.n)) {
		l->err = ERR_FULL;
		return;
	}
	delivery_forget(l->g->delivery, d->id);
	l->err = delivery_append(l->g->delivery, d->id, conv, d->type,
	    d->body, loop_now(l->g->loop), &no);
	if (l->err == ERR_OK)
		l->err = journal_append(l->g->journal, no, d->id, conv,
		    d->type, d->body, loop_wall_ms());
	if (l->err == ERR_DUPLICATE) /* it is waiting or under way already */
		l->err = ERR_OK;
}

static enum err
take_letter(struct gateway *g, uint64_t no, struct slice id, bool again)
{
	struct letter l = { .g = g, .again = again };
	enum err      e = journal_dead_show(g->journal, no, id, on_retry, &l);

	if (e == ERR_OK)
		e = l.err;
	if (e == ERR_OK)
		e = journal_dead_drop(g->journal, l.no);
	if (e == ERR_OK)
		log_info(again ? "dead.retried" : "dead.dropped",
		    KV("no", l.no), KV("bot", (const char *)l.bot));
	return e;
}

static void
on_first(void *self, const struct journal_dead *d)
{
	*(uint64_t *)self = d->no;
}

static enum err
take_all(struct question *q, bool again, uint64_t *count)
{
	struct gateway *g = q->g;
	uint64_t        last = 0, no;
	enum err        e;

	for (*count = 0; *count < UINT64_MAX; ++*count) {
		if (again && !delivery_has_room(g->delivery, nobody))
			break;
		no = 0;
		e = journal_dead_list(g->journal, last, 1, on_first, &no);
		if (e != ERR_OK || no == 0)
			return e;
		if ((e = take_letter(g, no, (struct slice){ NULL, 0 },
		         again)) != ERR_OK)
			return e;
		last = no;
	}
	return ERR_OK;
}

static enum err
dead_take(struct question *q, bool again)
{
	uint64_t count = 1;
	enum err e;

	if (json_truth(json_get(q->with, "all")))
		e = take_all(q, again, &count);
	else
		e = take_letter(q->g, number_at(q, "no", 0),
		    json_text_at(q->with, "id"), again);
	json_put_int(q->answer, "count", (int64_t)count);
	if (e != ERR_OK && e != ERR_NOT_FOUND && e != ERR_FULL)
		keep_note(q->g, e);
	if (again)
		handout_soon(q->g);
	return e;
}

static enum err
ask_dead(struct question *q)
{
	struct slice what = json_text_at(q->with, "do");

	q->why = "no such dead letter";
	if (q->g->journal == NULL || q->g->journal_err != ERR_OK) {
		q->why = "the journal is not open";
		return ERR_BUSY;
	}
	if (slice_is(what, "list"))
		return dead_list(q);
	if (slice_is(what, "show"))
		return dead_show(q);
	if (slice_is(what, "retry"))
		return dead_take(q, true);
	if (slice_is(what, "drop"))
		return dead_take(q, false);
	q->why = "do must be list, show, retry or drop";
	return ERR_SYNTAX;
}

/* --- one bot -------------------------------------------------------------- */

static enum err
ask_restart(struct question *q)
{
	struct gateway *g = q->g;
	struct slice    name = json_text_at(q->with, "bot");

	q->why = "there is no bot of that name";
	for (size_t b = 0; b < g->nbots; b++) {
		struct bot *bot = g->bots[b];

		if (!slice_is(name, bot->conf.qq_app_id) &&
		    (bot->conf.bot_name[0] == '\0' ||
		        !slice_is(name, bot->conf.bot_name)))
			continue;
		log_info("bot.restarted", KV("bot", bot->conf.qq_app_id));
		if (bot->nlinks > 0 && !g->draining)
			bots_renew(bot);
		return ERR_OK;
	}
	return ERR_NOT_FOUND;
}

/* --- the table ------------------------------------------------------------ */

static const struct {
	const char *what;
	enum err  (*fn)(struct question *);
} questions[] = {
	{ "events", ask_events },
	{ "dead", ask_dead },
	{ "restart", ask_restart },
};

void
question_on_ask(void *self, msg_peer from, const struct msg_ask *m)
{
	struct gateway *g = self;
	struct json    *with = NULL;
	struct question q = { .g = g, .why = "" };
	enum err        e = ERR_NOT_FOUND;

	(void)from;
	if (m->with.n > 0)
		json_from_msgpack(&with, m->with);
	q.with = with;
	q.answer = json_new_object();
	q.why = "no such question";
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
		if (slice_is(m->what, questions[i].what))
			e = questions[i].fn(&q);
	if (q.why[0] == '\0' || (e != ERR_NOT_FOUND && e != ERR_SYNTAX &&
	                            e != ERR_BUSY))
		q.why = err_text(e);
	proc_answer(&g->proc, m->id, e,
	    e == ERR_OK ? (struct slice){ NULL, 0 } : slice_of(q.why),
	    e == ERR_OK ? q.answer : NULL);
	json_free(&q.answer);
	json_free(&with);
}
