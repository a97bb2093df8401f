/*
 * parts: what the platform has said about an upload in parts, and how far it
 * is.  No I/O: its answer goes in, which bytes go where comes out; what is
 * kept over a restart is the same text with marks in it.
 */
#ifndef PARTS_H
#define PARTS_H

#include <stdint.h>

#include "json.h"

enum {
	PARTS_MAX = 20000, PARTS_AT_ONCE = 4, PARTS_RETRY_S = 120,
	PARTS_RETRY_MAX_S = 600
};

struct part {
	struct json *object;      /* its own, as received */
	struct json *index;       /* likewise: a number, or digits */
	int64_t      order;
	const char  *url;         /* where its bytes go; a loan */
	bool         done, busy;
};

struct parts {
	struct json *doc;
	struct slice id;                 /* upload_id; a loan from doc */
	struct part *list;               /* in the order of the bytes */
	size_t       n, ndone;
	uint64_t     size, block;        /* bytes: of all, of all but the last */
	unsigned     at_once;
	uint64_t     delay_ms, patience_ms;   /* of 40093001 */
};

/* The answer to upload_prepare, or what parts_save() has kept, for a file of
 * this size.  SYNTAX: it makes no sense, *why (static) says where; NOMEM. */
enum err parts_read(struct parts *, struct slice text, uint64_t size,
    const char **why);
void parts_free(struct parts *);

/* A part nobody works at, now busy; NULL: none, or enough at once. */
struct part *parts_next(struct parts *);
uint64_t parts_offset(const struct parts *, const struct part *);
uint64_t parts_length(const struct parts *, const struct part *);
/* Has arrived; or shall be begun anew. */
void parts_done(struct parts *, struct part *);
void parts_again(struct parts *, struct part *);

/* Appended; good for parts_read(). */
void parts_save(const struct parts *, struct buf *);

#endif
