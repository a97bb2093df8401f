/*
 * stream: the messages of one event that come in parts.  Each has a number of
 * its own, in the order in which they begin, so that it is the same on every
 * attempt; all parts of it go by that number.  No I/O.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "slice.h"

/* What a call says of its part. */
struct part {
	int64_t index;               /* -1: none was given */
	bool    first, final, append, text;
	char   *id;                  /* of the stream; NULL: the first part */
};

struct stream {
	struct stream *next;
	uint64_t       n;            /* 1, 2, ... of the event */
	char          *id;           /* NULL: the platform has not told it */
	int64_t        index;        /* of the last part that was taken */
	bool           failed;       /* its first part was not taken */
	struct buf     before;       /* other words, of an earlier attempt,
	                                that must stay before ours */
	bool           over;         /* or to be left alone */
	bool           append, text; /* as it began; text: not markdown */
	struct buf     shown;        /* what the user sees, if not append */
};

/* SYNTAX: it is no map.  NOMEM.  To be freed when OK. */
enum err part_read(struct slice with, struct part *);
void part_free(struct part *);

/* The stream of this part; a first part begins one: n is its number, 0 the
 * next.  One whose first part failed is begun anew.  NULL: a stream that is
 * not of this event, or out of memory. */
struct stream *stream_of(struct stream **first, const struct part *,
    uint64_t n);
/* A part was taken: text is what it carried, data what came back, packed. */
void stream_taken(struct stream *, const struct part *, struct slice text,
    struct slice data);
/* The words of a part as they may be sent, appended: what the user sees of a
 * stream can only grow.  What an earlier attempt has shown and this one does
 * not say stays before it. */
enum err stream_words(struct stream *, const struct part *, struct slice text,
    struct buf *out);
/* The arguments of a part of this stream at another place, or (known) of the
 * question what became of that, packed; appended. */
enum err part_write(const struct stream *, struct slice with, int64_t index,
    bool final, bool known, struct buf *out);
void streams_free(struct stream **first);

/* Arguments of the part that ends it as it is, packed; appended. */
enum err stream_last(const struct stream *, struct buf *with);
/* Arguments that ask what became of the part behind the last that is known, or
 * (end) of an only one; stream NULL: of a first.  Packed; appended. */
enum err stream_asked(const struct stream *, bool end, struct buf *with);

#endif
