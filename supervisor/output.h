/*
 * output: our standard error, for the words of many children.  Written in
 * bulk, once per turn; a reader that does not keep up costs lines, which are
 * counted, and never holds us up.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "buf.h"
#include "loop.h"

enum { OUTPUT_PENDING_MAX = 1 << 20 };

struct output {
	struct loop *loop;
	struct buf   pending;
	uint64_t     dropped;
	bool         nonblocking, watched, json;
};

void output_open(struct output *, struct loop *, bool json);
void output_close(struct output *);
/* from: who said it, put before lines that do not tell themselves. */
void output_line(struct output *, const char *from, struct slice line);
/* As much as goes without waiting. */
void output_flush(struct output *);

#endif
