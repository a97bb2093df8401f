/*
 * orphan: processes that their parents have left to us, a subreaper: who they
 * are, and the end of them.
 */
#ifndef ORPHAN_H
#define ORPHAN_H

#include <stdbool.h>
#include <sys/types.h>

typedef void orphan_fn(void *self, pid_t);

/* Each child of the process, by any of its threads. */
void orphan_each(pid_t parent, orphan_fn *, void *self);
/* It was started with this NAME=VALUE in its environment. */
bool orphan_has(pid_t, const char *pair);
/* A child of ours, and what it has started: killed, not reaped. */
void orphan_kill(pid_t);

#endif
