/*
 * Three strikes, then slow questions.
 */
#include "breaker.h"

static const uint32_t steps_ms[] = { 1000, 2000, 5000, 10000, 30000, 60000,
	0 };

void
breaker_open(struct breaker *b)
{
	*b = (struct breaker){ .backoff = { .steps_ms = steps_ms } };
}

static void
schedule(struct breaker *b, uint64_t now_ms, uint32_t chance)
{
	b->asking = false;
	b->next_ms = now_ms + (b->state == BREAKER_CONFIG
	        ? BREAKER_CONFIG_MS : backoff_next(&b->backoff, chance));
}

bool
breaker_strike(struct breaker *b, bool config, uint64_t now_ms,
    uint32_t chance)
{
	bool was = b->state != BREAKER_CLOSED;

	b->strikes++;
	if (was && !b->asking)
		return false; /* it left before we knew */
	if (!was && !config && b->strikes < BREAKER_STRIKES)
		return false;
	b->state = config ? BREAKER_CONFIG : BREAKER_REFUSED;
	schedule(b, now_ms, chance);
	return !was;
}

bool
breaker_pass(struct breaker *b)
{
	bool was = b->state != BREAKER_CLOSED;

	b->strikes = 0;
	b->asking = false;
	b->state = BREAKER_CLOSED;
	if (was)
		backoff_reset(&b->backoff);
	return was;
}

void
breaker_unclear(struct breaker *b, uint64_t now_ms, uint32_t chance)
{
	if (b->state != BREAKER_CLOSED)
		schedule(b, now_ms, chance);
	b->asking = false;
}
