/*
 * rights: which of the intents that are wanted the platform allows.  It says
 * no to all of them together, so they are tried in parts: those that everybody
 * may have first, then by halves, until it is known which are refused.  No I/O
 * and no clock.
 */
#ifndef RIGHTS_H
#define RIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

enum {
	RIGHTS_TRIALS = 12,         /* then what is not known is done without */
	RIGHTS_AGAIN_S = 86400,     /* what was refused is asked for again */
};

/* Of one bot, shared by its sessions.  wanted and strict are the owner's. */
struct rights {
	uint32_t wanted;
	bool     strict;            /* no search: all or nothing */
	uint32_t granted, dropped;
	uint32_t bad;               /* refused beside granted: one of these is */
	uint32_t suspects;          /* refused when last asked */
	unsigned trials;            /* of the search under way; 0: none */
	bool     hopeless;          /* a search has found nothing */
	bool     news;              /* dropped has changed */
	int64_t  dropped_wall_ms;   /* when that was found out; 0 never */
	const void *searcher;       /* the session that tries; others wait;
	                               NULL: it has gone, whoever is next */
};

/* What an earlier run has found out. */
void rights_recall(struct rights *, uint32_t dropped, int64_t wall_ms);

/* To identify with now. */
uint32_t rights_mask(const struct rights *);
bool rights_searching(const struct rights *);
/* What was refused long ago is wanted again, or at once.  False: nothing was
 * refused, or it is too early. */
bool rights_retry(struct rights *, int64_t wall_ms, bool at_once);

/* The platform has closed on an Identify with this mask.  True: another mask
 * is to be tried; false: a person must act.  poor: there are few sessions
 * left today, so that this ends the search. */
bool rights_refused(struct rights *, uint32_t mask, bool poor);
/* It has begun a session with it.  True: the search goes on with another. */
bool rights_taken(struct rights *, uint32_t mask, bool poor);

/* "A, B" of this mask, appended. */
void rights_names(uint32_t mask, struct buf *);

#endif
