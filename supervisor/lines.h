/*
 * lines: what a child says, from bytes to lines: framed, cleaned of control
 * bytes, held to a rate, and the last of them remembered.  No I/O, time as a
 * parameter; the memory is fixed after the first line.
 */
#ifndef LINES_H
#define LINES_H

#include <stdint.h>

#include "buf.h"

enum {
	LINES_LINE_MAX = 8192,          /* bytes; a longer one is broken up */
	LINES_KEPT = 500, LINES_KEPT_BYTES = 64 * 1024,
	LINES_RATE_BYTES_S = 1 << 20, LINES_BURST_BYTES = 4 << 20,
};

struct lines_kept {
	uint32_t at, n;
	uint64_t number;
};

struct lines {
	struct buf partial;
	uint64_t   allowance, filled_ms;    /* bytes; when last refilled */
	uint64_t   dropped, dropped_told;   /* lines over the rate */
	/* The last lines: a ring of bytes and one of places in it. */
	char             *bytes;
	size_t            head;
	struct lines_kept kept[LINES_KEPT];
	size_t            first, count;
};

typedef void lines_fn(void *self, struct slice line, uint64_t number);

void lines_open(struct lines *, uint64_t now_ms);
void lines_close(struct lines *);
/* Calls fn for each whole line that the rate allows.  *number counts the
 * lines of all children, so that they can be put in order. */
void lines_feed(struct lines *, struct slice bytes, uint64_t now_ms,
    uint64_t *number, lines_fn *, void *self);
/* A line that will never end: the child has gone. */
void lines_end(struct lines *, uint64_t now_ms, uint64_t *number, lines_fn *,
    void *self);

/* Remembers a line that has been let through elsewhere. */
void lines_keep(struct lines *, struct slice line, uint64_t number);
/* The last `n` kept, oldest first. */
void lines_last(const struct lines *, size_t n, lines_fn *, void *self);
/* The i-th from the newest, 0 the newest; false: not kept. */
bool lines_from_end(const struct lines *, size_t i, struct slice *,
    uint64_t *number);
/* Since the last call, or 0. */
uint64_t lines_newly_dropped(struct lines *);

/* Control bytes, and what is no UTF-8, become '?'. */
void lines_clean(char *text, size_t n);

/* Written by log.h's logger, and so with its own program name and pid. */
bool lines_is_log(struct slice line);

#endif
