/*
 * notify: for programs that are none of ours: the socket of sd_notify(3), on
 * which READY=1, WATCHDOG=1, STATUS= and STOPPING=1 mean what our own messages
 * do.  Who spoke is told by the kernel.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "loop.h"
#include "slice.h"

struct notify {
	struct loop *loop;
	int          fd;              /* -1: none */
	char        *path;
	void       (*heard)(void *self, pid_t, struct slice words);
	void        *self;
};

/* fd: a socket that is bound there already, or -1. */
enum err notify_open(struct notify *, struct loop *, const char *run_dir,
    int fd, void (*heard)(void *self, pid_t, struct slice words), void *self);
void notify_close(struct notify *);

#endif
