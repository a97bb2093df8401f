/*
 * breaker: when a bot's calls are no longer tried, because the platform refuses
 * its authorisation again and again, and when it is asked once whether that is
 * over.  No I/O and no clock.
 */
#ifndef BREAKER_H
#define BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "backoff.h"

enum {
	BREAKER_STRIKES = 3,        /* refusals with no success in between */
	BREAKER_CONFIG_MS = 60000  /* a person is not as quick */
};

enum breaker_state {
	BREAKER_CLOSED,
	BREAKER_REFUSED,   /* the token, though it was asked for anew */
	BREAKER_CONFIG     /* until a person has acted */
};

struct breaker {
	enum breaker_state state;
	unsigned           strikes;
	bool               asking;     /* a probe is under way */
	uint64_t           next_ms;    /* of the next one, while not closed */
	struct backoff     backoff;
};

void breaker_open(struct breaker *);
/* A call, or the probe, was refused for good; config: only a person can mend
 * it.  True: calls wait from now on. */
bool breaker_strike(struct breaker *, bool config, uint64_t now_ms,
    uint32_t chance);
/* One was taken.  True: calls need not wait any more. */
bool breaker_pass(struct breaker *);
/* The probe had no answer that says either. */
void breaker_unclear(struct breaker *, uint64_t now_ms, uint32_t chance);

#endif
