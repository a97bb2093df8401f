/*
 * Growing, jittered delays.
 */
#include "backoff.h"

#include <sys/random.h>

uint64_t
backoff_spread(uint64_t ms, unsigned percent, uint32_t chance)
{
	uint64_t width = ms * 2 * percent / 100;

	return ms - width / 2 + (width * chance >> 32);
}

uint64_t
backoff_next(struct backoff *b, uint32_t chance)
{
	uint64_t ms = b->steps_ms[b->at];

	if (b->steps_ms[b->at + 1] != 0)
		b->at++;
	return backoff_spread(ms, 20, chance);
}

uint32_t
backoff_chance(void)
{
	uint32_t v = 0;

	/* 4 bytes are always given whole once the pool is ready. */
	(void)!getrandom(&v, sizeof v, 0);
	return v;
}
