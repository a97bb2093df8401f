/*
 * allowance: what is left of the allowances of a day, and who wants no
 * messages unasked; kept over restarts in the file of the record (sent.h).
 * allowances.def is the table.  No clock: days are handed in.
 *
 * Memory decides, the file is its image.  Bounded: entries of past days go
 * first, then the one unused longest; what goes counts as unused.
 */
#ifndef ALLOWANCE_H
#define ALLOWANCE_H

#include <stdint.h>
#include <sys/queue.h>

#include "buf.h"
#include "sent.h"
#include "table.h"

enum {
	ALLOWANCES_MAX = 16384,
	REFUSING_TOLD_DAYS = 30,   /* by an event; the next one may be lost */
	REFUSING_MET_DAYS = 1      /* by a code, which a send may meet again */
};

enum allowance {
#define ALLOWANCE(name, count, by, meaning) ALLOWANCE_##name,
#include "allowances.def"
#undef ALLOWANCE
	ALLOWANCES
};

struct allowance_info {
	const char *name, *meaning;
	unsigned    count;
	bool        by_target;
};
const struct allowance_info *allowance_info(enum allowance);

struct allowance_entry;
TAILQ_HEAD(allowance_list, allowance_entry);

struct allowances {
	struct table          table;
	struct allowance_list all;       /* unused longest first */
	struct allowance_list unsaved;
	struct store_stmt    *save, *erase;
	bool                  loaded;
	size_t                n, erased;  /* erased: but for the file's row */
	struct buf            scratch;
};

/* Whose: a bot, and a conversation ("u:..."), which rows of the bot ignore. */
struct allowance_of {
	struct slice bot, conv;
};

/* Days since 1970 in Beijing. */
int64_t allowance_day(int64_t wall_ms);

void allowances_open(struct allowances *);
void allowances_close(struct allowances *);
/* What sent_join() takes: they are saved and read with the record. */
struct sent_guest allowances_guest(struct allowances *);

/* How many are left today; UINT_MAX: no end is known.  counts: the table's
 * figures hold; else only what the platform has said. */
unsigned allowance_left(struct allowances *, enum allowance,
    const struct allowance_of *, int64_t day, bool counts);
/* One is used; NOMEM costs the count of one. */
void allowance_take(struct allowances *, enum allowance,
    const struct allowance_of *, int64_t day);
/* It was not, after all. */
void allowance_give_back(struct allowances *, enum allowance,
    const struct allowance_of *, int64_t day);
/* The platform says that nothing is left of it today. */
void allowance_exhaust(struct allowances *, enum allowance,
    const struct allowance_of *, int64_t day);
/* As if none had been used. */
void allowance_renew(struct allowances *, enum allowance,
    const struct allowance_of *, int64_t day);

/* A conversation wants no messages unasked, for so many days from now, unless
 * it takes that back (0). */
void allowance_refuse(struct allowances *, const struct allowance_of *,
    int64_t day, unsigned days);
bool allowance_refused(struct allowances *, const struct allowance_of *,
    int64_t day);

/* For status, by row: used today (of the bot, or of all conversations), and
 * how many conversations have none left. */
struct allowance_sum {
	uint64_t used[ALLOWANCES], empty[ALLOWANCES];
};
void allowance_sum(const struct allowances *, struct slice bot, int64_t day,
    struct allowance_sum *);

#endif
