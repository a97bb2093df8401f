/*
 * secret: bytes that must not be logged, dumped or left behind.  They live on
 * pages of their own, locked where the limit allows, kept out of core files,
 * and are wiped before they are given back.
 */
#ifndef SECRET_H
#define SECRET_H

#include "err.h"
#include "slice.h"

struct secret {
	char  *p;     /* NUL follows the last byte; NULL when empty */
	size_t n;
};

/* Copies; what was there before is wiped.  NOMEM leaves it empty. */
enum err secret_set(struct secret *, struct slice);
/* to's old value is wiped; from is left empty. */
void secret_move(struct secret *to, struct secret *from);
void secret_wipe(struct secret *);

/* In constant time. */
bool secret_eq(const struct secret *, struct slice);

/* The only way to the bytes; named so that a reader notices. */
static inline struct slice
secret_reveal(const struct secret *s)
{
	return (struct slice){ s->p, s->n };
}

#endif
