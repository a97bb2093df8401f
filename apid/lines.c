/*
 * Where calls wait: behind another of their conversation, for a token, for a
 * place among those under way, for a commit.
 */
#include "life.h"

#include <stdlib.h>

enum { LANE_DEPTH = 8 };

/* --- lanes ---------------------------------------------------------------- */

struct lane *
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

/* It may end at once, and so may the next: not on one stack. */
static void
go_next(struct request *r)
{
	struct requests *rs = r->owner;

	if (rs->depth < LANE_DEPTH) {
		rs->depth++;
		request_go(r);
		rs->depth--;
	} else {
		r->state = PAUSING;
		request_wait_until(r, 0);
	}
}

/* The one at its head has its outcome: the next may leave. */
void
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
		go_next(l->first);
}

/* --- the line for a token ------------------------------------------------- */

void
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

void
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

void
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

void
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
bool
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

void
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

void
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
