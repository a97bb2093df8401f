/*
 * slice: bytes on loan.  A slice never owns what it points to; whoever handed
 * it out says how long it lives.  It need not end in NUL.
 */
#ifndef SLICE_H
#define SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *p;
	size_t      n;
};

/* A slice of a string literal, in one word. */
#define SLICE(lit) ((struct slice){ (lit), sizeof(lit) - 1 })

/* z may be NULL, which is the empty slice. */
static inline struct slice
slice_of(const char *z)
{
	return (struct slice){ z, z != NULL ? strlen(z) : 0 };
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
slice_is(struct slice a, const char *z)
{
	return slice_eq(a, slice_of(z));
}

static inline bool
slice_starts(struct slice a, struct slice with)
{
	return a.n >= with.n && slice_eq((struct slice){ a.p, with.n }, with);
}

static inline struct slice
slice_from(struct slice a, size_t at)
{
	return at >= a.n ? (struct slice){ NULL, 0 }
	                 : (struct slice){ a.p + at, a.n - at };
}

/* Without blanks, tabs and line ends at both ends. */
struct slice slice_trim(struct slice);

/* How many bytes it begins with are whole characters of well-formed UTF-8: no
 * over-long forms, no surrogates. */
size_t slice_utf8(struct slice);

/* A copy ending in NUL, the caller's to free; NULL when out of memory. */
char *slice_dup(struct slice);

/* Decimal digits only, no sign, no blanks; false when empty or too large. */
bool slice_u64(struct slice, unsigned long long *);

/* 32-bit FNV-1a: for hash tables of ours, not for anything hostile at scale:
 * tables that strangers can fill are bounded. */
unsigned slice_hash(struct slice);

#endif
