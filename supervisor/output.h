/*
 * output: our standard error, or a file in its place, for the words of many
 * children.  Written in
 * bulk, once per turn; a reader that does not keep up costs lines, which are
 * counted, and never holds us up.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "buf.h"
#include "logfile.h"
#include "loop.h"

enum { OUTPUT_PENDING_MAX = 1 << 20 };

struct output {
	struct logfile file;
	struct loop *loop;
	struct buf   pending;
	uint64_t     dropped;
	bool         nonblocking, watched, json;
};

/* CONFIG: the file that is asked for cannot be opened. */
enum err output_open(struct output *, struct loop *, const struct conf *);
/* After a reload; CONFIG: it goes where it went. */
enum err output_reopen(struct output *, const struct conf *);
/* Standard error is again what it was, for a program in our place; what is
 * pending stays. */
void output_give_back(struct output *);
void output_close(struct output *);
/* from: who said it, put before lines that do not tell themselves. */
void output_line(struct output *, const char *from, struct slice line);
/* As much as goes without waiting. */
void output_flush(struct output *);

#endif
