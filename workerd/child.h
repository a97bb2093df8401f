/*
 * child: one process of an exec handler, through all its lives: started,
 * greeted, given events, asked to leave or killed, and started again.  What
 * it says is read without ever waiting for it.
 */
#ifndef CHILD_H
#define CHILD_H

#include "backoff.h"
#include "capsule.h"
#include "frame.h"
#include "handler.h"
#include "piped.h"

enum child_state {
	CHILD_DOWN,        /* not running; timer: when to start */
	CHILD_STARTING,    /* runs; timer: when its hello is overdue */
	CHILD_READY,
	CHILD_LEAVING,     /* was told bye; timer: then SIGTERM */
	CHILD_ENDING,      /* SIGTERM; timer: then SIGKILL */
	CHILD_BROKEN,      /* not started until its files change */
};

struct child {
	struct handler  *h;
	unsigned         index;
	enum child_state state;
	struct piped   p;
	struct lines     said;
	struct buf       out, words;    /* to it; of its stderr */
	size_t           written;
	bool             held;          /* its stdout is not read now */
	bool             retiring;      /* gets nothing new, then leaves */
	bool             alone;         /* has an event that goes alone */
	uint64_t         kept_until_ms; /* takes no other, for such a one */
	bool             old;           /* runs files that have changed since */
	bool             heard, pinged;
	uint64_t         ping_ms;       /* of silence; 0: it is not pinged */
	uint64_t         slots, in_flight, ready_ms, restarts, strays, stale;
	unsigned         strays_in_a_row;
	struct timer     timer, ping, resume;
	struct backoff   backoff;
	bool             at_once;       /* the next start after an end */
	char             run[100];      /* name, index, start: as it is told */
	uint64_t         starts;
	struct job      *loose;
	char             cause[160];    /* why we end it */
	char             last[120];     /* its last words on stderr */
	char             why[400];      /* of its last end */
	struct capsule   capsule;
	struct buf       hidden;        /* settings that are covered in it */
	uint64_t         second, lines_of_second, muted;
};

void child_open(struct child *, struct handler *, unsigned index);
void child_start(struct child *);
/* Takes no more events; leaves when it has none. */
void child_retire(struct child *);
/* As child_retire, and does not wait for its events. */
void child_leave(struct child *);
void child_close(struct child *);

bool child_can_take(struct child *, const struct job *);
void child_event(struct child *, struct job *);
void child_result(struct child *, struct call *, const struct msg_result *);
/* The job is over; whether it was still the child's is job->done. */
void child_forget(struct child *, struct job *);
struct json *child_json(const struct child *);

/* exec.c: what it starts, and what it hears of its children. */
enum err exec_spawn(struct handler *, const char *run, struct piped *,
    char *why, size_t size);
/* A run has ended: what has left its group is killed too. */
void exec_sweep(struct handler *, const char *run);
void exec_child_ready(struct handler *, struct child *,
    const struct json *hello);
void exec_child_down(struct handler *, struct child *);

#endif
