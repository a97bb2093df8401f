/*
 * backoff: how long to wait before the next try.  A table of steps, the last
 * repeated for ever, each spread by +-20 % so that many peers do not return
 * in one instant.  No I/O, no clock: chance is handed in.
 */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stddef.h>
#include <stdint.h>

struct backoff {
	const uint32_t *steps_ms;   /* ends in 0; static */
	size_t          at;         /* the step to be used next */
};

/* chance: any 32 random bits.  Returns milliseconds. */
uint64_t backoff_next(struct backoff *, uint32_t chance);
static inline void
backoff_reset(struct backoff *b)
{
	b->at = 0;
}

/* ms spread by +-percent, chance as above. */
uint64_t backoff_spread(uint64_t ms, unsigned percent, uint32_t chance);

/* 32 random bits from the kernel, for the callers that have no fake. */
uint32_t backoff_chance(void);

#endif
