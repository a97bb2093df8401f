/*
 * plan: in which order the children start and stop, as questions about an
 * array of services.  No I/O, no clock.
 */
#ifndef PLAN_H
#define PLAN_H

#include <stddef.h>

#include "service.h"

/* At most so many children are on their way up at once. */
enum { PLAN_STARTS_MAX = 8 };

struct plan_row {
	struct service *service;
	unsigned        rank;        /* starts after all lower ones are ready */
	bool            retires;     /* drains as soon as the system stops */
};

/* May row i be spawned?  Those of lower rank that are wanted must have been
 * ready once; later a sick one does not hold up the others. */
bool plan_may_go(const struct plan_row *, size_t n, size_t i,
    uint64_t now_ms);

/* While the system stops: what row i is told now; false: nothing yet. */
bool plan_stop(const struct plan_row *, size_t n, size_t i,
    enum service_input *);

enum plan_state { PLAN_STARTING, PLAN_READY, PLAN_DEGRADED, PLAN_FAILED,
	PLAN_STOPPING };
enum plan_state plan_state(const struct plan_row *, size_t n, bool stopping);
const char *plan_state_name(enum plan_state);

/* Each that is wanted has been ready once. */
bool plan_is_up(const struct plan_row *, size_t n);
/* No process is left. */
bool plan_is_down(const struct plan_row *, size_t n);

#endif
