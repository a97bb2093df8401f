/*
 * The simulator's own traffic: so many events unanswered, or so many per
 * second, in turn over a number of conversations.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

enum { RATE_STEP_MS = 5 };

static enum err
load_send(struct sim *s)
{
	struct load      *l = &s->load;
	bool              all = l->scope == SCOPE_OTHER;
	uint64_t          round = all ? l->sent / SCOPE_OTHER : l->sent;
	char              id[80], text[512];
	struct event_told told;
	struct words      w = { .bot = l->bot, .scope = l->scope, .expect = 1,
		.load = l->number };
	enum err          e;

	if (all)
		w.scope = (enum scope)(l->sent % SCOPE_OTHER);
	snprintf(id, sizeof id, "%s%llu", l->prefix,
	    (unsigned long long)(round % l->conversations));
	snprintf(text, sizeof text, "%s %llu", l->text,
	    (unsigned long long)l->sent);
	w.text = slice_of(text);
	if (w.scope == SCOPE_C2C)
		w.user = slice_of(id);
	else if (w.scope == SCOPE_GROUP)
		w.group = slice_of(id);
	else if (w.scope == SCOPE_CHANNEL)
		w.channel = slice_of(id);
	else
		w.guild = slice_of(id);
	if ((e = inject_words(s, &w, sim_now_us(), &told)) == ERR_OK)
		l->sent++;
	return e;
}

static void
end_if_done(struct sim *s, int64_t now_us)
{
	struct load *l = &s->load;

	if (!l->running || l->sent < l->count || l->replied < l->count)
		return;
	l->running = false;
	l->ended_us = now_us;
	loop_cancel(s->loop, &l->timer);
	s->platform.ledger.changes++;
}

static void
on_rate(void *self)
{
	struct sim  *s = self;
	struct load *l = &s->load;
	uint64_t     due = (uint64_t)(sim_now_us() - l->began_us) * l->rate /
	    1000000;

	while (l->sent < l->count && l->sent < due)
		if (load_send(s) != ERR_OK)
			break;
	if (l->sent < l->count)
		loop_after(s->loop, &l->timer, RATE_STEP_MS, on_rate, s);
}

void
load_stop(struct sim *s)
{
	struct load *l = &s->load;

	loop_cancel(s->loop, &l->timer);
	if (l->running)
		l->ended_us = sim_now_us();
	l->running = false;
	free(l->text);
	l->text = NULL;
	s->platform.ledger.changes++;
}

enum err
load_start(struct sim *s, const struct load *like)
{
	struct load *l = &s->load;
	unsigned     number = l->number + 1;
	enum err     e = ERR_OK;

	load_stop(s);
	*l = *like;
	l->number = number;
	l->running = true;
	l->began_us = sim_now_us();
	if (l->rate > 0) {
		on_rate(s);
		return ERR_OK;
	}
	for (uint64_t i = 0; i < l->outstanding && l->sent < l->count &&
	    e == ERR_OK; i++)
		e = load_send(s);
	if (e != ERR_OK)
		load_stop(s);
	return e;
}

void
load_replied(struct sim *s, const struct event *e, int64_t now_us)
{
	struct load *l = &s->load;

	if (!l->running || e->load != l->number || e->accepted != 1)
		return;
	l->replied++;
	if (l->rate == 0 && l->sent < l->count && load_send(s) != ERR_OK)
		load_stop(s);
	end_if_done(s, now_us);
}

struct json *
load_json(const struct sim *s)
{
	const struct load *l = &s->load;
	struct json       *j = json_new_object();
	int64_t            us = (l->running ? sim_now_us() : l->ended_us) -
	    l->began_us;

	json_put_bool(j, "running", l->running);
	json_put_int(j, "count", (int64_t)l->count);
	json_put_int(j, "sent", (int64_t)l->sent);
	json_put_int(j, "replied", (int64_t)l->replied);
	json_put_int(j, "elapsed_us", us);
	json_put_int(j, "replies_per_s",
	    us > 0 ? (int64_t)(l->replied * 1000000 / (uint64_t)us) : 0);
	return j;
}
