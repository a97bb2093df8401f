/*
 * Linear probing; a removal shifts back what would no longer be found.
 */
#include "map.h"

#include <stdlib.h>

static size_t
slot_of(const struct map *m, struct slice key, unsigned hash)
{
	size_t i = hash & (m->cap - 1);

	while (m->slots[i].value != NULL &&
	    (m->slots[i].hash != hash || !slice_eq(m->slots[i].key, key)))
		i = (i + 1) & (m->cap - 1);
	return i;
}

static enum err
grow(struct map *m)
{
	struct map bigger = { .cap = m->cap > 0 ? m->cap * 2 : 64 };

	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (bigger.slots == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < m->cap; i++) {
		struct map_slot *s = &m->slots[i];

		if (s->value != NULL)
			bigger.slots[slot_of(&bigger, s->key, s->hash)] = *s;
	}
	bigger.n = m->n;
	free(m->slots);
	*m = bigger;
	return ERR_OK;
}

void *
map_get(const struct map *m, struct slice key)
{
	if (m->n == 0)
		return NULL;
	return m->slots[slot_of(m, key, slice_hash(key))].value;
}

enum err
map_put(struct map *m, struct slice key, void *value)
{
	unsigned hash = slice_hash(key);
	size_t   i;

	if (m->n >= m->cap / 2 && grow(m) != ERR_OK)
		return ERR_NOMEM;
	i = slot_of(m, key, hash);
	if (m->slots[i].value != NULL)
		return ERR_DUPLICATE;
	m->slots[i] = (struct map_slot){ key, value, hash };
	m->n++;
	return ERR_OK;
}

void *
map_take(struct map *m, struct slice key)
{
	size_t hole, i;
	void  *value;

	if (m->n == 0)
		return NULL;
	hole = slot_of(m, key, slice_hash(key));
	if ((value = m->slots[hole].value) == NULL)
		return NULL;
	for (i = (hole + 1) & (m->cap - 1); m->slots[i].value != NULL;
	    i = (i + 1) & (m->cap - 1)) {
		size_t home = m->slots[i].hash & (m->cap - 1);

		/* It may move into the hole if it would be looked for
		 * there before it is found here. */
		if (((i - home) & (m->cap - 1)) >=
		    ((i - hole) & (m->cap - 1))) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole].value = NULL;
	m->n--;
	return value;
}

void *
map_next(const struct map *m, size_t *at)
{
	while (*at < m->cap) {
		void *value = m->slots[(*at)++].value;

		if (value != NULL)
			return value;
	}
	return NULL;
}

void
map_free(struct map *m)
{
	free(m->slots);
	*m = (struct map){ 0 };
}
