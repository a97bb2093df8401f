/*
 * left: which of the calls that are on record have begun to leave.  The record
 * says before a request leaves that it may have; a process that is killed in
 * between would leave a doubt that nothing but this can lift.
 *
 * apid.left in the folder of the state: a page cache's worth of marks, which
 * outlive the process and are never written out for their own sake.  They say
 * nothing once the machine was started anew, or of rows from before the file.
 */
#ifndef LEFT_H
#define LEFT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* A mark says nothing once so many rows were begun after its own. */
enum { LEFT_MARKS = 8192 };

struct left_page;

struct left {
	struct left_page *page;     /* NULL: nothing can be noted */
};

/* next_id: that of the next row.  FULL, SYSTEM: it serves without, that is
 * left_mark() does nothing and left_never() is false. */
enum err left_open(struct left *, const char *dir, int64_t next_id);
void left_close(struct left *);

/* Its first byte is about to leave. */
void left_mark(struct left *, int64_t id);
/* It surely has not left: of a row that was begun while the file served. */
bool left_never(const struct left *, int64_t id);

#endif
