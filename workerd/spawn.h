/*
 * spawn: a process for an exec handler: three pipes, a process group and
 * limits of its own, no descriptor, signal or privilege of ours.
 */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

struct spawn {
	const char *path;            /* of the program */
	char      **argv;
	struct buf *env;             /* NAME=VALUE, each with its NUL */
	const char *dir;             /* "": ours */
	uint64_t    memory_mib;      /* of data; 0: no limit */
};

struct spawned {
	pid_t pid;
	int   pidfd, to, from, err;  /* ours: not blocking, closed on exec */
};

/* SYSTEM, NOMEM: errno says why; what was opened is closed again. */
enum err spawn(const struct spawn *, struct spawned *);

#endif
