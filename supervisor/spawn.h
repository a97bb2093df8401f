/*
 * spawn: one process, set up so that it can neither see nor disturb what is
 * not its own: a session of its own, no descriptor but those it is given,
 * signals as at birth.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"
#include "kept.h"

/* Where the child finds what it is given. */
enum { SPAWN_SOCKET_FD = 3, SPAWN_SECRET_FD = 4, SPAWN_KEPT_FD = 5 };

/* As many descriptors as may be had, for this process; those it starts, and
 * one that takes its place after spawn_give_back_files(), have what it was
 * given. */
void spawn_take_files(void);
void spawn_give_back_files(void);

struct spawn {
	const char *path, *program;
	struct buf *env;            /* NAME=value strings, each ending in NUL */
	int         output, socket, secret;    /* secret: -1 for none */
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
