/*
 * piped: a process on three pipes, with a process group and limits of its own
 * and no descriptor, signal or privilege of ours: how exec handlers run.
 */
#ifndef PIPED_H
#define PIPED_H

#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

struct piped_order {
	const char *path;            /* of the program */
	char      **argv;
	struct buf *env;             /* NAME=VALUE, each with its NUL */
	const char *dir;             /* "": ours */
	uint64_t    memory_mib;      /* of data; 0: no limit */
};

struct piped {
	pid_t pid;
	int   pidfd, to, from, err;  /* ours: not blocking, closed on exec */
};

/* SYSTEM, NOMEM: errno says why; what was opened is closed again. */
enum err piped_start(const struct piped_order *, struct piped *);

#endif
