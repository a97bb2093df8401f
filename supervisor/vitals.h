/*
 * vitals: what the kernel knows of one process, and of memory that ran out.
 */
#ifndef VITALS_H
#define VITALS_H

#include <stdint.h>
#include <sys/types.h>

struct vitals {
	char     state;        /* as in ps(1): R S D T ...; '\0': no process */
	uint64_t rss_kib, cpu_ms, fds;
};

void vitals_read(pid_t, struct vitals *);
/* How many processes have been killed for want of memory, as far as this
 * process's control group, or else the whole machine, tells. */
uint64_t vitals_oom_kills(void);

#endif
