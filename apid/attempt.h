/*
 * attempt: after each answer, what next: done, wait and send again, get a new
 * token first, or give up.  Arithmetic and rules only.
 */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include "backoff.h"
#include "reply.h"

/* A message in parts: the answer to the first tells the id that all others
 * name, and the platform takes each of those once, in their order. */
enum attempt_part { PART_NONE, PART_FIRST, PART_LATER };

/* What the call is, as far as it matters here. */
struct attempt_rules {
	uint64_t until_ms;        /* nothing is sent at or after it */
	bool     window;          /* until_ms is the end of a reply window */
	bool     has_seq;         /* the platform refuses doubles by itself */
	bool     again;           /* a send of unknown outcome is repeated */
	enum attempt_part part;
};

struct attempt {
	struct backoff backoff;
	unsigned       tries;     /* requests that were sent or tried */
	bool           refreshed; /* a new token has been asked for once */
	bool           unsure;    /* some try may have arrived */
};

void attempt_open(struct attempt *);

enum attempt_next { NEXT_DONE, NEXT_WAIT, NEXT_TOKEN };

struct attempt_verdict {
	enum attempt_next next;
	enum result       result;   /* DONE */
	uint64_t          wait_ms;  /* WAIT */
};

/* An answer has come. */
struct attempt_verdict attempt_judge(struct attempt *,
    const struct attempt_rules *, const struct reply *, uint64_t now_ms,
    uint32_t chance);

/* Time is up before another try: what the call has come to. */
enum result attempt_expired(const struct attempt *,
    const struct attempt_rules *, enum result last);

#endif
