/*
 * audit: messages the platform holds for review, until an event says what
 * became of them.  The event may come before the answer that names the audit,
 * or never.  No I/O and no clock.
 *
 * Bounded: the oldest go first.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include <stdint.h>

#include "buf.h"
#include "table.h"

enum { AUDITS_MAX = 1024 };

enum audit_state { AUDIT_PENDING, AUDIT_PASSED, AUDIT_REJECTED };

struct audit {
	struct table_entry entry;          /* first: found by it */
	struct audit      *older, *newer;
	enum audit_state   state;
	char              *msg, *why;      /* NULL: not told */
	char               key[];
};

struct audits {
	struct table  table;
	struct audit *oldest, *newest;
	size_t        pending;
	uint64_t      passed, rejected;
	struct buf    scratch;
};

/* The platform holds a message: its audit, made or found; NULL when out of
 * memory.  Good until the next call of any of these. */
const struct audit *audit_held(struct audits *, struct slice bot,
    struct slice id);
/* It has come to this.  The same audit; NULL as above. */
const struct audit *audit_done(struct audits *, struct slice bot,
    struct slice id, bool passed, struct slice msg, struct slice why);
void audits_close(struct audits *);

#endif
