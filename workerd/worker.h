/*
 * worker: the state of this program.
 *   host.c      the handlers side by side: which owns an event, what waits
 *   job.c       an event from delivery to ack, and its calls
 *   handler.h   what is between them; behind it builtin.c, exec.c, plugin.c
 *   child.c     one process of an exec handler
 */
#ifndef WORKER_H
#define WORKER_H

#include "bus.h"
#include "conf.h"
#include "handlers.h"
#include "proc.h"

struct worker;
struct handler;

struct worker {
	struct conf      conf;
	struct loop     *loop;
	struct proc      proc;
	struct bus      *events, *api;
	struct handlers  list;           /* the rows of handlers */
	struct handler  *handlers;       /* in their order */
	size_t           nhandlers;
	struct job      *jobs;
	uint64_t         njobs, stop_by_ms;
	uint64_t         done, replies, failed, repeated, returned, unowned;
	uint64_t         unsent;         /* calls apid did not take yet */
	struct timer     reporting, registering, looking;
	char             name[80];
	char             api_run[40];    /* the run of apid we know */
	char             last_bot[40];   /* for calls that belong to no event */
	struct buf       registered;     /* the last READY, as text */
	bool             paused, left;
	bool             reaps;        /* orphans: exec.c */
};

/* --- host.c ------------------------------------------------------------------ */

/* CONFIG: told in the log. */
enum err host_open(struct worker *);
/* No handler begins anything any more; each ends what it holds. */
void host_leave(struct worker *);
/* All have left. */
bool host_gone(const struct worker *);
void host_close(struct worker *);

/* Which handler owns it; NULL: none. */
struct handler *host_route(struct worker *, const struct msg_event *);
/* Begins the job, or lets it wait, or gives it back. */
void host_take(struct handler *, struct job *, const struct msg_event *);
/* It does not wait any more, if it did. */
void host_unwait(struct handler *, struct job *);
/* A handler is other than it was: what waits may begin, and gatewayd may have
 * to know. */
void host_changed(struct worker *);
/* A slot of it has become free; done: by an event that it has ended. */
void host_freed(struct handler *, bool done);
/* Every pattern, and how many events we take now. */
void host_words(const struct worker *, struct buf *patterns);
uint64_t host_window(const struct worker *);
uint64_t host_timeout_ms(const struct worker *);
bool host_wants_raw(const struct worker *);
bool host_keeps_apart(const struct worker *);
void host_reload(struct worker *);
/* Looks at the files of what cannot run, or is watched, from time to time. */
void host_look(struct worker *);
/* Into the report; the remedy of the first that is broken. */
void host_report(const struct worker *, struct json *app, struct buf *remedy);

/* --- main.c ------------------------------------------------------------------ */

/* READY, if it differs from the last. */
void worker_register(struct worker *, bool anew);

#endif
