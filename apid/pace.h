/*
 * pace: what a call counts against, whether it may go, and what a refusal of
 * it means for the calls that come after.  limits.def, allowances.def and
 * pauses.def are the tables.  No I/O and no clock.
 */
#ifndef PACE_H
#define PACE_H

#include "allowance.h"
#include "limit.h"

enum pace_scope { PACE_C2C, PACE_GROUP, PACE_CHANNEL, PACE_DM, PACE_NONE };

struct pace {
	struct limits     limits;
	struct allowances allowances;
};

/* A member of the call's.  All slices are loans for as long as it lives. */
struct pace_call {
	struct slice        bot, conv;       /* conv: "u:..."; empty: none */
	enum pace_scope     scope;
	enum limit          row;             /* what its route counts against */
	bool                active;          /* a message that answers nothing */
	bool                wakeup;          /* and calls its user back */
	bool                verified;        /* the bot is */
	bool                sandbox;
	struct limit_waiter waiter;
	bool                counted;         /* in the allowances of the day */
	int64_t             day;             /* which that was */
};

/* What is set above is put into its waiter. */
void pace_prepare(struct pace_call *);

/* OK; QUOTA or MUTED_OR_GONE with the reason, for it cannot go today. */
enum result pace_check(struct pace *, struct pace_call *, int64_t day,
    char *why, size_t size);
/* It goes; a day's allowance is one less.  It was not sent: one more. */
void pace_count(struct pace *, struct pace_call *, int64_t day);
void pace_uncount(struct pace *, struct pace_call *);
/* A reply to a user went out, so the user has said something: what the
 * platform refused before, it may take now. */
void pace_heard(struct pace *, const struct pace_call *, int64_t day);

/* The platform has refused it for now or for today; wait_ms is what the call
 * itself would wait, and at least what the answer asks for. */
void pace_refused(struct pace *, const struct pace_call *,
    const struct reply *, uint64_t wait_ms, uint64_t now_ms, int64_t day);

/* Why it waits: the row, in words. */
void pace_why(const struct pace_call *, char *why, size_t size);

#endif
