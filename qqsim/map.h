/*
 * map: from a key to a thing.  The key is a loan from the thing, which must
 * outlive its entry; the map owns neither.  Open addressing, no tombstones.
 */
#ifndef MAP_H
#define MAP_H

#include "err.h"
#include "slice.h"

struct map_slot {
	struct slice key;
	void        *value;     /* NULL: free */
	unsigned     hash;
};

struct map {
	struct map_slot *slots;
	size_t           n, cap;    /* cap: a power of two, or 0 */
};

/* NULL when there is none. */
void *map_get(const struct map *, struct slice key);
/* DUPLICATE when the key is there already; NOMEM. */
enum err map_put(struct map *, struct slice key, void *value);
/* What was there, or NULL. */
void *map_take(struct map *, struct slice key);
void map_free(struct map *);

/* The next one at or after *at, which moves past it; NULL at the end.  The
 * map must not change meanwhile. */
void *map_next(const struct map *, size_t *at);

#endif
