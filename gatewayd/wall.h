/*
 * wall: notices when the wall clock is set, and by how much, so that what was
 * noted by it before still means the same instant.  No clock: readings go in.
 */
#ifndef WALL_H
#define WALL_H

#include <stddef.h>
#include <stdint.h>

enum { WALL_SETTINGS = 8 };

/* Zero it before the first reading. */
struct wall {
	int64_t ahead_ms;               /* of the time since the boot */
	size_t  n;
	struct {
		uint64_t at_ms;
		int64_t  by_ms;
	} set[WALL_SETTINGS];           /* the last ones */
};

/* Readings of one instant: the wall clock, the time since the boot (it goes on
 * while the machine sleeps), our clock.  By how much the wall clock was set
 * since the last call, 0 = not; what it gains slowly does not count. */
int64_t wall_read(struct wall *, int64_t wall_ms, uint64_t boot_ms,
    uint64_t now_ms);
/* By how much it was set after this instant of our clock. */
int64_t wall_set_since(const struct wall *, uint64_t since_ms);

#endif
