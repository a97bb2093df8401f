/*
 * left: how far the calls are that are on record.  The record says before a
 * request leaves that it may have, and learns a moment later how it ended; a
 * process that is killed in between would leave a doubt that nothing but this
 * can lift.
 *
 * apid.left in the folder of the state: a page cache's worth of marks, which
 * outlive the process and are never written out for their own sake.  They say
 * nothing once the machine was started anew, or of rows from before the file.
 */
#ifndef LEFT_H
#define LEFT_H

#include <stdint.h>

#include "err.h"

/* A mark says nothing once so many rows were begun after its own. */
enum { LEFT_MARKS = 8192 };

enum left_state {
	LEFT_UNKNOWN,    /* nothing is said of it */
	LEFT_NEVER,      /* it surely has not left, or was refused */
	LEFT_BEGUN,      /* it left, and no answer came: nobody knows */
	LEFT_DONE,       /* the platform said that it is done */
};

struct left_page;

struct left {
	struct left_page *page;     /* NULL: nothing can be noted */
};

/* next_id: that of the next row.  FULL, SYSTEM: it serves without, that is
 * marks do nothing and left_state() is UNKNOWN. */
enum err left_open(struct left *, const char *dir, int64_t next_id);
void left_close(struct left *);

/* As it happens: BEGUN when its first byte is about to leave; NEVER when the
 * platform has refused it. */
void left_mark(struct left *, int64_t id, enum left_state);
/* Of a row that was begun while the file served. */
enum left_state left_state(const struct left *, int64_t id);

#endif
