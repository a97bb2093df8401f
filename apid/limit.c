/*
 * Buckets in a table, in a list by their last use, and, while somebody waits,
 * in a list of those with a line.
 */
#include "limit.h"

#include <stdlib.h>

enum { BOT = 0, TARGET = 1, KEPT = 0, FREE = 1 };

static const struct limit_info infos[LIMITS] = {
#define LIMIT(name, count, per_ms, by, sandbox, meaning)                     \
	{ #name, meaning, count, per_ms, by == TARGET, sandbox == FREE },
#include "limits.def"
#undef LIMIT
};

/* Requests overtake each other on their way: what leaves a whole span after
 * another must not arrive less than one after it. */
enum { WAY_PART = 20, WAY_MOST_MS = 500 };

static const struct slice nobody = { NULL, 0 };

const struct limit_info *
limit_info(enum limit row)
{
	return &infos[row];
}

enum limit
limit_named(const char *name)
{
	for (int i = 0; i < LIMITS; i++)
		if (strcmp(infos[i].name, name) == 0)
			return (enum limit)i;
	return LIMIT_none;
}

/* --- buckets -------------------------------------------------------------- */

static struct slice
key_of(struct limits *ls, struct slice bot, enum limit row,
    struct slice target)
{
	char head[2] = { (char)row, (char)bot.n };

	buf_reset(&ls->scratch);
	buf_put(&ls->scratch, (struct slice){ head, sizeof head });
	buf_put(&ls->scratch, bot);
	buf_put(&ls->scratch, target);
	return ls->scratch.failed ? nobody : buf_slice(&ls->scratch);
}

static struct limit_bucket *
find(struct limits *ls, struct slice bot, enum limit row, struct slice target)
{
	return (struct limit_bucket *)(void *)table_find(&ls->table,
	    key_of(ls, bot, row, target));
}

static void
age_out(struct limits *ls, struct limit_bucket *b)
{
	*(b->older != NULL ? &b->older->newer : &ls->oldest) = b->newer;
	*(b->newer != NULL ? &b->newer->older : &ls->newest) = b->older;
}

static void
age_in(struct limits *ls, struct limit_bucket *b)
{
	b->newer = NULL;
	b->older = ls->newest;
	*(ls->newest != NULL ? &ls->newest->newer : &ls->oldest) = b;
	ls->newest = b;
}

static void
bucket_free(struct limits *ls, struct limit_bucket *b)
{
	table_remove(&ls->table, &b->entry);
	age_out(ls, b);
	ls->n--;
	free(b->back_ms);
	free(b);
}

static uint64_t
last_back_ms(const struct limit_bucket *b)
{
	if (b->used == 0)
		return 0;
	return b->back_ms[(b->oldest + b->used - 1) % b->count];
}

/* Those that are as good as new are at the front, or else something is lost.
 * A line is never lost. */
static void
bound(struct limits *ls, uint64_t now_ms)
{
	struct limit_bucket *b = ls->oldest, *next;

	for (; b != NULL && ls->n >= LIMIT_BUCKETS_MAX; b = next) {
		next = b->newer;
		if (b->waiting > 0)
			continue;
		ls->forgotten += b->paused_ms > now_ms ||
		    last_back_ms(b) > now_ms;
		bucket_free(ls, b);
	}
}

/* A row that is the bot's has no count for a single conversation: a bucket of
 * that kind is there to be paused. */
static unsigned
count_of(const struct limits *ls, enum limit row, struct slice target)
{
	uint64_t n = (uint64_t)infos[row].count * ls->percent / 100;

	if (infos[row].count == 0 || ls->percent == 0 ||
	    (!infos[row].by_target && target.n > 0))
		return 0;
	return n > 0 ? (unsigned)n : 1;
}

static struct limit_bucket *
make(struct limits *ls, struct slice bot, enum limit row, struct slice target,
    uint64_t now_ms)
{
	struct limit_bucket *b = find(ls, bot, row, target);
	struct slice         key = buf_slice(&ls->scratch);
	uint64_t             per = infos[row].per_ms, way = per / WAY_PART;

	if (b != NULL || ls->scratch.failed)
		return b;
	bound(ls, now_ms);
	if ((b = calloc(1, sizeof *b + key.n)) == NULL)
		return NULL;
	b->row = row;
	b->count = count_of(ls, row, target);
	b->per_ms = per + (way < WAY_MOST_MS ? way : WAY_MOST_MS);
	if (b->count > 0 &&
	    (b->back_ms = calloc(b->count, sizeof *b->back_ms)) == NULL) {
		free(b);
		return NULL;
	}
	memcpy(b->key, key.p, key.n);
	b->entry.key = (struct slice){ b->key, key.n };
	b->bot = (struct slice){ b->key + 2, bot.n };
	b->target = slice_from(b->entry.key, 2 + bot.n);
	table_put(&ls->table, &b->entry);
	age_in(ls, b);
	ls->n++;
	return b;
}

/* --- tokens --------------------------------------------------------------- */

static void
take_back(struct limit_bucket *b, uint64_t now_ms)
{
	while (b->used > 0 && b->back_ms[b->oldest] <= now_ms) {
		b->oldest = (b->oldest + 1) % b->count;
		b->used--;
	}
}

/* When it has a token; 0: now. */
static uint64_t
ready_ms(const struct limit_bucket *b)
{
	uint64_t at = 0;

	if (b->count > 0 && b->used == b->count)
		at = b->back_ms[b->oldest];
	return at > b->paused_ms ? at : b->paused_ms;
}

static void
take(struct limits *ls, struct limit_bucket *b, uint64_t now_ms)
{
	age_out(ls, b);
	age_in(ls, b);
	if (b->count == 0)
		return;
	take_back(b, now_ms);
	if (b->used < b->count)
		b->back_ms[(b->oldest + b->used++) % b->count] =
		    now_ms + b->per_ms;
}

static struct slice
target_of(enum limit row, struct slice target)
{
	return infos[row].by_target ? target : nobody;
}

/* Without limits there is no bucket but of what was paused. */
static bool
is_wanted(const struct limits *ls, const struct limit_waiter *w,
    enum limit row)
{
	return ls->percent > 0 && infos[row].count > 0 &&
	    !(w->sandbox && infos[row].free);
}

static void
worse(struct limit_bucket *b, uint64_t now_ms, struct limit_bucket **worst)
{
	if (b == NULL)
		return;
	if (b->count > 0)
		take_back(b, now_ms);
	if (ready_ms(b) > now_ms &&
	    (*worst == NULL || ready_ms(b) > ready_ms(*worst)))
		*worst = b;
}

/* The bucket it has to wait for longest; NULL: all have a token. */
static struct limit_bucket *
blocked_by(struct limits *ls, const struct limit_waiter *w, uint64_t now_ms)
{
	struct limit_bucket *worst = NULL;

	for (size_t i = 0; i < w->nuses; i++) {
		enum limit row = w->uses[i];

		worse(find(ls, w->bot, row, target_of(row, w->target)),
		    now_ms, &worst);
		if (!infos[row].by_target && w->target.n > 0)
			worse(find(ls, w->bot, row, w->target), now_ms,
			    &worst);
	}
	return worst;
}

static void
take_all(struct limits *ls, const struct limit_waiter *w, uint64_t now_ms)
{
	for (size_t i = 0; i < w->nuses; i++) {
		enum limit           row = w->uses[i];
		struct limit_bucket *b;

		if (!is_wanted(ls, w, row))
			continue;
		b = make(ls, w->bot, row, target_of(row, w->target), now_ms);
		if (b != NULL)
			take(ls, b, now_ms);
	}
}

/* --- lines ---------------------------------------------------------------- */

static void
enter(struct limits *ls, struct limit_bucket *b, struct limit_waiter *w)
{
	struct limit_line *l = &b->lines[w->single];

	w->next = NULL;
	w->in = b;
	*(l->last != NULL ? &l->last->next : &l->first) = w;
	l->last = w;
	ls->waiting++;
	if (b->waiting++ > 0)
		return;
	b->before = NULL;
	b->after = ls->lined;
	if (ls->lined != NULL)
		ls->lined->before = b;
	ls->lined = b;
}

void
limit_leave(struct limits *ls, struct limit_waiter *w)
{
	struct limit_bucket  *b = w->in;
	struct limit_line    *l;
	struct limit_waiter **at, *last = NULL;

	if (b == NULL)
		return;
	l = &b->lines[w->single];
	for (at = &l->first; *at != w; at = &(*at)->next)
		last = *at;
	*at = w->next;
	if (l->last == w)
		l->last = last;
	w->in = NULL;
	ls->waiting--;
	if (--b->waiting > 0)
		return;
	*(b->before != NULL ? &b->before->after : &ls->lined) = b->after;
	if (b->after != NULL)
		b->after->before = b->before;
}

/* Conversations and others by turns. */
static struct limit_waiter *
first_of(struct limit_bucket *b)
{
	b->turn = !b->turn;
	if (b->lines[b->turn].first == NULL)
		b->turn = !b->turn;
	return b->lines[b->turn].first;
}

/* Nobody passes those who stand in a line already. */
static struct limit_bucket *
line_of(struct limits *ls, const struct limit_waiter *w)
{
	struct limit_bucket *b;

	for (size_t i = 0; i < w->nuses; i++) {
		enum limit row = w->uses[i];

		b = find(ls, w->bot, row, target_of(row, w->target));
		if (b != NULL && b->waiting > 0)
			return b;
	}
	return NULL;
}

bool
limit_ask(struct limits *ls, struct limit_waiter *w, uint64_t now_ms)
{
	struct limit_bucket *b = blocked_by(ls, w, now_ms);

	w->in = NULL;
	if (b == NULL)
		b = line_of(ls, w);
	if (b == NULL)
		take_all(ls, w, now_ms);
	else
		enter(ls, b, w);
	return b == NULL;
}

struct limit_waiter *
limit_next(struct limits *ls, uint64_t now_ms)
{
	struct limit_bucket *b = ls->lined, *next, *other;
	struct limit_waiter *w;

	while (b != NULL) {
		next = b->after;
		if (b->count > 0)
			take_back(b, now_ms);
		/* One bucket after the other has a token for him, or he
		 * stands in another line, whose bucket has none. */
		while (b->waiting > 0 && ready_ms(b) <= now_ms) {
			limit_leave(ls, w = first_of(b));
			if ((other = blocked_by(ls, w, now_ms)) == NULL) {
				take_all(ls, w, now_ms);
				return w;
			}
			enter(ls, other, w);
		}
		b = next;
	}
	return NULL;
}

uint64_t
limit_when(const struct limits *ls)
{
	uint64_t at, first = 0;

	for (const struct limit_bucket *b = ls->lined; b != NULL;
	     b = b->after) {
		at = ready_ms(b);
		if (at == 0)
			at = 1;
		if (first == 0 || at < first)
			first = at;
	}
	return first;
}

/* --- pauses --------------------------------------------------------------- */

/* Afterwards the tokens come back one by one, none earlier than it would. */
static void
spread(struct limit_bucket *b, uint64_t until_ms)
{
	uint64_t back[2];

	for (unsigned i = 0; i < b->count; i++) {
		unsigned at = (b->oldest + i) % b->count;

		back[0] = i < b->used ? b->back_ms[at] : 0;
		back[1] = until_ms + (b->per_ms * i + b->count - 1) / b->count;
		b->back_ms[at] = back[back[1] > back[0]];
	}
	b->used = b->count;
}

void
limit_pause(struct limits *ls, struct slice bot, enum limit row,
    struct slice target, uint64_t wait_ms, uint64_t now_ms)
{
	struct limit_bucket *b = make(ls, bot, row, target, now_ms);

	if (b == NULL)
		return;
	if (b->paused_ms <= now_ms) {
		bool soon = b->paused_ms > 0 &&
		    now_ms - b->paused_ms < LIMIT_SOON_MS;

		b->pauses = soon && b->pauses < 6 ? b->pauses + 1
		                                  : soon ? b->pauses : 0;
		wait_ms <<= b->pauses;
	}
	if (wait_ms > LIMIT_PAUSE_MAX_MS)
		wait_ms = LIMIT_PAUSE_MAX_MS;
	if (now_ms + wait_ms <= b->paused_ms)
		return;
	b->paused_ms = now_ms + wait_ms;
	if (b->count > 0)
		spread(b, b->paused_ms);
	age_out(ls, b);
	age_in(ls, b);
}

uint64_t
limit_paused_ms(struct limits *ls, const struct limit_waiter *w)
{
	struct limit_bucket *b;
	uint64_t             most = 0;

	for (size_t i = 0; i < w->nuses; i++)
		for (int k = 0; k < 2; k++) {
			b = find(ls, w->bot, w->uses[i],
			    k == 0 ? nobody : w->target);
			if (b != NULL && b->paused_ms > most)
				most = b->paused_ms;
		}
	return most;
}

unsigned
limit_left(struct limits *ls, struct slice bot, enum limit row,
    uint64_t now_ms, const struct limit_bucket **found)
{
	struct limit_bucket *b = find(ls, bot, row, nobody);

	*found = b;
	if (b == NULL)
		return count_of(ls, row, nobody);
	if (b->count > 0)
		take_back(b, now_ms);
	return b->paused_ms > now_ms ? 0 : b->count - b->used;
}

void
limits_close(struct limits *ls)
{
	while (ls->lined != NULL)
		limit_leave(ls, first_of(ls->lined));
	while (ls->oldest != NULL)
		bucket_free(ls, ls->oldest);
	buf_free(&ls->scratch);
}
