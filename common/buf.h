/*
 * buf: bytes we own and append to.  A failed append (out of memory) is
 * remembered, so a chain of appends is checked once, at its end.
 */
#ifndef BUF_H
#define BUF_H

#include "slice.h"

struct buf {
	char  *p;      /* NUL follows the last byte once anything was put */
	size_t n, cap;
	bool   failed;
};

void buf_put(struct buf *, struct slice);
void buf_puts(struct buf *, const char *);
void buf_putf(struct buf *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Room for n more bytes, and where they go; NULL when out of memory. */
char *buf_room(struct buf *, size_t n);

/* Forget the first n bytes. */
void buf_drop(struct buf *, size_t n);

/* Empty again, memory kept. */
void buf_reset(struct buf *);
/* Memory given back. */
void buf_free(struct buf *);

/* A loan, good until the next put. */
static inline struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){ b->p, b->n };
}

#endif
