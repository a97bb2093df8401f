/*
 * vitals: what the kernel knows of one process, and of memory that ran out.
 */
#ifndef VITALS_H
#define VITALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vitals {
	char     state;        /* as in ps(1): R S D T ...; '\0': no process */
	uint64_t rss_kib, cpu_ms, fds;
};

void vitals_read(pid_t, struct vitals *);

/* Processor time over windows that follow upon each other. */
struct vitals_share {
	uint64_t at_ms, cpu_ms;    /* when this one began, and with what */
	uint64_t percent;          /* of one core, in the last whole one */
};
/* True once a window is over and percent is new.  Zero it for a new process. */
bool vitals_share(struct vitals_share *, uint64_t cpu_ms, uint64_t now_ms,
    uint64_t window_ms);

/* How many processes have been killed for want of memory, as far as this
 * process's control group, or else the whole machine, tells. */
uint64_t vitals_oom_kills(void);

#endif
