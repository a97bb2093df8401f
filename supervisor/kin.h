/*
 * kin: all that descends from one child, so that nothing of a process that
 * has ended is alive when the next one starts.  With a control group of its
 * own (cgroup v2, where we may make some) the kernel keeps the account; there,
 * too, the orphans that are left to us, a subreaper, tell by their process
 * group or by the name in their environment whose they are.
 */
#ifndef KIN_H
#define KIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { KIN_PATH_MAX = 600, KIN_GUESTS_MAX = 64 };

struct kin {
	char   base[KIN_PATH_MAX];    /* of our control groups; "": none */
	/* Children of a shell that then became us: none of ours to kill. */
	pid_t  guests[KIN_GUESTS_MAX];
	size_t nguests;
};

/* fresh: what an earlier run has left in these groups is killed, and whoever is
 * our child already is a guest. */
void kin_open(struct kin *, const char *run_dir, bool fresh);
void kin_close(struct kin *);

/* A process has just been started as this child. */
void kin_adopt(const struct kin *, const char *name, pid_t);
/* The child is no more. */
void kin_forget(const struct kin *, const char *name);

/* group: of the process that has ended.  is_child tells those that are not to
 * be taken for orphans. */
typedef bool kin_fn(void *self, pid_t);
void kin_kill(const struct kin *, const char *name, pid_t group, kin_fn *,
    void *self);
bool kin_left(const struct kin *, const char *name, pid_t group, kin_fn *,
    void *self);
/* Every orphan that is left to us, and what it has started. */
void kin_kill_orphans(const struct kin *, kin_fn *, void *self);
/* A child that is none of those we started has been reaped. */
void kin_reaped(struct kin *, pid_t);

#endif
