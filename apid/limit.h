/*
 * limit: how much of what the platform allows is left at this moment, who
 * waits for more, and whose turn it is.  limits.def is the table.  No I/O and
 * no clock.
 *
 * A bucket holds the tokens of one row for one bot, or for one conversation of
 * it; a token comes back so long after it was taken.  Hence no span of time
 * ever sees more than the row allows, wherever the platform lets it begin.  A
 * call takes one token from each of its buckets, or waits in the line of one
 * that has none.  A line is first come first served; calls of conversations
 * and calls of none leave by turns, and as a conversation has one call in line
 * at a time, conversations take turns too.
 *
 * Bounded: a bucket with no line is forgotten when there are too many.  What
 * it knew is lost then, and the platform's own refusal paces the calls.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include <stdint.h>

#include "buf.h"
#include "table.h"

enum { LIMIT_BUCKETS_MAX = 4096, LIMIT_USES_MAX = 6 };

enum limit {
#define LIMIT(name, count, per_ms, by, sandbox, meaning) LIMIT_##name,
#include "limits.def"
#undef LIMIT
	LIMITS
};

struct limit_info {
	const char *name, *meaning;
	unsigned    count;
	uint64_t    per_ms;
	bool        by_target;  /* else of the bot */
	bool        free;       /* in the sandbox */
};
const struct limit_info *limit_info(enum limit);
/* `none` when there is no such row. */
enum limit limit_named(const char *name);

struct limit_bucket;

/* Who wants to go: a member of the caller's. */
struct limit_waiter {
	/* The caller's; loans, good while it waits. */
	struct slice         bot, target;
	enum limit           uses[LIMIT_USES_MAX];
	size_t               nuses;
	bool                 single;    /* of no conversation */
	bool                 sandbox;   /* where not all is limited */
	/* Called by whoever asks limit_next() for the next. */
	void               (*go)(struct limit_waiter *);
	/* Ours. */
	struct limit_waiter *next;
	struct limit_bucket *in;        /* whose line; NULL: none */
};

struct limit_line {
	struct limit_waiter *first, *last;
};

struct limit_bucket {
	struct table_entry   entry;            /* first: found by it */
	struct limit_bucket *older, *newer;    /* by their last use */
	struct limit_bucket *before, *after;   /* of those with a line */
	enum limit           row;
	struct slice         bot, target;      /* in key */
	struct limit_line    lines[2];         /* conversations, others */
	unsigned             turn;             /* which is first */
	size_t               waiting;
	uint64_t             paused_ms;        /* nothing goes before it */
	unsigned             pauses;           /* one soon after the other */
	uint64_t             per_ms;
	unsigned             count, used, oldest;
	uint64_t            *back_ms;          /* ring: when each comes back */
	char                 key[];
};

struct limits {
	unsigned             percent;   /* of the table's counts; 0: no limits,
	                                   but for what the platform says */
	struct table         table;
	struct limit_bucket *oldest, *newest, *lined;
	size_t               n, waiting;
	uint64_t             forgotten;  /* buckets that still knew something */
	struct buf           scratch;
};

void limits_close(struct limits *);

/* True: its tokens are taken, it goes.  False: it stands in a line (nomem:
 * true, for a limit is no reason to fail). */
bool limit_ask(struct limits *, struct limit_waiter *, uint64_t now_ms);
/* The next in any line who goes now, tokens taken; NULL: nobody. */
struct limit_waiter *limit_next(struct limits *, uint64_t now_ms);
/* When limit_next() may have somebody; 0: nobody waits. */
uint64_t limit_when(const struct limits *);
/* Waits no longer. */
void limit_leave(struct limits *, struct limit_waiter *);

/* The platform has had enough: nothing of this row goes for wait_ms, and then
 * the tokens come one by one.  What was refused soon after a pause makes the
 * next one twice as long, up to LIMIT_PAUSE_MAX_MS; what was refused during
 * one had left before.  target: of this conversation only, also where the row
 * is the bot's; empty: as the row says. */
enum { LIMIT_PAUSE_MAX_MS = 60000, LIMIT_SOON_MS = 3000 };
void limit_pause(struct limits *, struct slice bot, enum limit row,
    struct slice target, uint64_t wait_ms, uint64_t now_ms);
/* What it must wait for at least: the end of the last pause; 0: none. */
uint64_t limit_paused_ms(struct limits *, const struct limit_waiter *);

/* Tokens left of a row of the bot's, and how many wait. */
unsigned limit_left(struct limits *, struct slice bot, enum limit row,
    uint64_t now_ms, const struct limit_bucket **);

#endif
