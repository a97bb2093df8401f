/*
 * notify: for programs that are none of ours: the socket of sd_notify(3), on
 * which READY=1, WATCHDOG=1, STATUS=, STOPPING=1 and FDSTORE=1 mean what our own messages
 * do.  Who spoke is told by the kernel.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "kept.h"
#include "loop.h"
#include "slice.h"

/* Descriptors that came with the words; whoever takes some takes them out. */
struct notify_fds {
	int    fd[KEPT_MAX];
	size_t n;
};
typedef void notify_fn(void *self, pid_t, struct slice words,
    struct notify_fds *);

struct notify {
	struct loop *loop;
	int          fd;              /* -1: none */
	char        *path;
	notify_fn   *heard;
	void        *self;
};

/* fd: a socket that is bound there already, or -1. */
enum err notify_open(struct notify *, struct loop *, const char *run_dir,
    int fd, notify_fn *heard, void *self);
void notify_close(struct notify *);

/* One packet of any socket, without waiting: its length, more than size if it
 * was cut; -1.  *pid 0: nobody's. */
ssize_t notify_receive(int fd, char *text, size_t size, pid_t *pid,
    struct notify_fds *);
/* Closes those that nobody took. */
void notify_drop(struct notify_fds *);

#endif
