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

enum { PIPED_GROUPS_MAX = 64 };

/* Whose process it is to be. */
struct piped_user {
	uid_t uid;
	gid_t gid, groups[PIPED_GROUPS_MAX];
	int   ngroups;
	char  home[512];
};

struct piped_order {
	const char *path;            /* of the program */
	char      **argv;
	struct buf *env;             /* NAME=VALUE, each with its NUL */
	const char *dir;             /* "": ours */
	uint64_t    memory_mib;      /* of data; 0: no limit */
	const struct piped_user *user;   /* NULL: ours */
};

struct piped {
	pid_t pid;
	int   pidfd, to, from, err;  /* ours: not blocking, closed on exec */
};

/* NOT_FOUND: no such user; SYSTEM: it is not us, and only root may become
 * another. */
enum err piped_user_find(const char *name, struct piped_user *);

/* SYSTEM, NOMEM: errno says why; what was opened is closed again. */
enum err piped_start(const struct piped_order *, struct piped *);

#endif
