/*
 * spawn: one process, set up so that it can neither see nor disturb what is
 * not its own: a session of its own, no descriptor but those it is given,
 * signals as at birth.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"
#include "kept.h"

/* Where the child finds what it is given. */
enum { SPAWN_SOCKET_FD = 3, SPAWN_SECRET_FD = 4, SPAWN_KEPT_FD = 5 };

/* How many descriptors this process, and one it starts or that takes its
 * place, may have; at most what may be had at all.  Returns how many it was
 * before; those that are open stay so. */
#define SPAWN_FILES_ALL UINT64_MAX
uint64_t spawn_files(uint64_t soft);

struct spawn {
	const char *path, *program;
	struct buf *env;            /* NAME=value strings, each ending in NUL */
	int         output, socket, secret;    /* secret: -1 for none */
	uint64_t    files;          /* how many it may open */
	const struct kept *kept;    /* ROOKERY_CHILD_KEPT tells of them */
};

/* *pidfd (close-on-exec) stays good for this process even when its number is
 * used again.  SYSTEM: errno says why it could not be run. */
enum err spawn_start(const struct spawn *, pid_t *, int *pidfd);
/* A pidfd (close-on-exec) of a process that is not reaped; -1. */
int spawn_pidfd(pid_t);
/* To the process, false: it has ended; KILL to its whole group. */
bool spawn_signal(int pidfd, int signal);
void spawn_kill_group(pid_t);

#endif
