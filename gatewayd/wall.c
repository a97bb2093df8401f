/*
 * A setting is a change of the distance between two clocks.
 */
#include "wall.h"

#include <string.h>

enum { SLOW_MS = 2000 };    /* less than this is no setting */

int64_t
wall_read(struct wall *w, int64_t wall_ms, uint64_t boot_ms, uint64_t now_ms)
{
	int64_t ahead = wall_ms - (int64_t)boot_ms;
	int64_t by = ahead - w->ahead_ms;

	if (w->ahead_ms == 0 || (by > -SLOW_MS && by < SLOW_MS)) {
		w->ahead_ms = ahead;
		return 0;
	}
	w->ahead_ms = ahead;
	if (w->n == WALL_SETTINGS)
		memmove(w->set, w->set + 1, --w->n * sizeof *w->set);
	w->set[w->n].at_ms = now_ms;
	w->set[w->n++].by_ms = by;
	return by;
}

int64_t
wall_set_since(const struct wall *w, uint64_t since_ms)
{
	int64_t by = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->set[i].at_ms > since_ms)
			by += w->set[i].by_ms;
	return by;
}
