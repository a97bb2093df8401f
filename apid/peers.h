/*
 * peers: whom we have heard of lately, so that a newcomer is told that this
 * run of the program does not know its calls.  No I/O.
 */
#ifndef PEERS_H
#define PEERS_H

#include <stdint.h>

#include "table.h"

enum { PEERS_MAX = 1024, PEERS_SILENT_MS = 10000 };

struct peers {
	struct table table;
	struct peer *oldest, *newest;   /* by when they were heard last */
};

/* True when it is new, or has been silent for long. */
bool peers_heard(struct peers *, struct slice name, uint64_t now_ms);
void peers_close(struct peers *);

#endif
