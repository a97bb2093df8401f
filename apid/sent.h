/*
 * sent: the record of what was sent, so that a call that comes again after
 * its end gets the first outcome and no second message.  In memory, bounded:
 * the oldest goes when it is full.  After a restart of this program the
 * platform's own refusal of doubles takes its place.
 */
#ifndef SENT_H
#define SENT_H

#include <stdint.h>

#include "reply.h"
#include "table.h"

enum { SENT_MAX = 16384, SENT_BYTES_MAX = 16 << 20 };

/* Loans from the record, good until the next sent_put. */
struct sent_outcome {
	enum result  result;
	unsigned     status;
	struct slice data, trace;
};

struct sent {
	struct table       table;
	struct sent_entry *oldest, *newest;
	size_t             n, bytes;
};

void sent_close(struct sent *);
bool sent_find(const struct sent *, struct slice key, struct sent_outcome *);
/* Copies.  A key that is there already keeps its first outcome. */
enum err sent_put(struct sent *, struct slice key,
    const struct sent_outcome *);

#endif
