/*
 * handler: what answers events, whatever it is: a function of ours, a process
 * that speaks JSON lines, a shared object.  A kind is a table of functions;
 * job.c keeps the promise for all of them: replies are numbered, and an event
 * is acknowledged only after every call of it has its result.
 */
#ifndef HANDLER_H
#define HANDLER_H

#include "handlers.h"
#include "stream.h"
#include "worker.h"

/* --- a job: one delivery of one event -------------------------------------------- */

struct call {
	struct call *next;
	uint64_t     n;              /* of a reply or stream; 0: neither */
	bool         open, unsent;
	uint64_t     since_ms;
	char        *id, *do_, *text, *conv, *msg, *bot;
	struct buf   with;
	struct stream *stream;       /* the call is a part of it, or NULL */
	struct part  part;
	struct buf   words;          /* of the part, where they are not text */
	bool         looking;        /* an end that looks for its place */
	bool         sounding;       /* asks whether it is the first at all */
	bool         ours;           /* no handler has asked for it */
	bool         asks;           /* what became of an earlier one; see look */
	void        *ref;            /* the handler's, freed with the call */
};

struct job {
	struct job     *next, *after;  /* all; those who wait */
	struct handler *handler;
	void           *own;           /* the handler's: which child has it */
	struct call    *calls, **last;
	struct stream  *streams;
	uint64_t        replies, others, ncalls, open, unsent, bytes;
	bool            begun;         /* the handler has, or had, it */
	bool            done;          /* the handler has said so */
	bool            loose;         /* no event: calls of a child's own */
	bool            busy;          /* do not end it now: somebody is in it */
	uint64_t        since_ms;
	unsigned        attempt;
	struct buf      line;          /* the event as a frame, for those who read */
	char           *id, *bot, *conv, *msg, *event, *ref;
	int64_t         deadline;
	uint64_t        window_ms;     /* from the event to its deadline; 0: none */
	struct timer    late;
	uint64_t        given_ms;      /* to its child */
	unsigned        waits;         /* how often it was said to wait */
	bool            over;          /* given up: no handler has it again */
	/* Which part of an earlier attempt is asked about; n 0: not begun. */
	struct {
		uint64_t n;
		bool     end, ended;
	} look;
};

/* Loans, copied.  n 0: the next reply or stream, or neither; with: packed. */
struct job_order {
	struct slice do_, text, conv, msg, bot, key, with;
	uint64_t     n;
	bool         ours;             /* the job's own: also when it is done */
	bool         asks;             /* as in struct call */
	void        *ref;              /* taken when OK */
};

/* DUPLICATE: this number is given away; STALE: the job is done; FULL: it has
 * made a thousand; TOO_LARGE: over what a message may be; NOMEM. */
enum err job_call(struct worker *, struct job *, const struct job_order *);
/* The handler is done with it: acknowledged once all results are there. */
void job_done(struct worker *, struct job *);
/* Not done: delivered again after_ms from now, or (drop) never.  capsule: as
 * capsule_write() makes it, or empty. */
void job_fail(struct worker *, struct job *, uint64_t after_ms, bool drop,
    const char *why, struct slice capsule);
/* Not begun: this delivery does not count. */
void job_return(struct worker *, struct job *, uint64_t after_ms);
/* A job that is no event's; its calls end with it.  NULL: out of memory. */
struct job *job_loose(struct worker *, struct handler *, const char *id);
void job_drop_loose(struct worker *, struct job *);
/* How long its handler may take: as the handler has it, but no longer than the
 * platform takes replies to such an event. */
uint64_t job_timeout_ms(const struct job *);
struct job *job_find(struct worker *, struct slice id);

void job_on_event(void *self, msg_peer, const struct msg_event *);
void job_on_result(void *self, msg_peer, const struct msg_result *);
/* Calls without a result are made again: apid may be another run. */
void job_call_again(struct worker *);
/* One of its calls has waited so long for its result. */
bool job_waits(const struct job *, uint64_t ms);
/* Once a second. */
void job_say_waits(struct worker *);
void jobs_free(struct worker *);

/* --- a handler --------------------------------------------------------------------- */

struct handler_kind {
	const char *name;
	bool        reads_lines;       /* job.line is made for it */
	/* CONFIG: cannot run as it is configured; the reason is logged. */
	enum err  (*open)(struct handler *);
	/* Takes the job, or says that it has no room for it now.  ev is NULL
	 * for one that has waited. */
	bool      (*begin)(struct handler *, struct job *,
	    const struct msg_event *ev);
	/* What became of a call; NULL: nobody asks. */
	void      (*on_result)(struct handler *, struct job *, struct call *,
	    const struct msg_result *);
	/* The job ends, or is over for the handler: forget it. */
	void      (*on_end)(struct handler *, struct job *);
	/* Events it could have at once, now; 0: none at all. */
	uint64_t  (*slots)(const struct handler *);
	void      (*report)(const struct handler *, struct json *);
	/* What a person should look at, appended; nothing: it is well. */
	void      (*trouble)(const struct handler *, struct buf *);
	/* Its files may have changed; asked: a person wants what is broken
	 * tried again. */
	void      (*reload)(struct handler *, bool asked);
	void      (*leave)(struct handler *);
	bool      (*gone)(const struct handler *);
	void      (*close)(struct handler *);
	const char *meaning;
};

struct handler {
	const struct handler_kind *kind;
	struct worker             *worker;
	struct handlers_row       *row;
	void                      *own;
	char                      *events;   /* its own patterns, words */
	uint64_t                   timeout_ms;
	bool                       raw, early;   /* early: none past its deadline */
	struct job                *waiting, **waiting_last;
	uint64_t                   nwaiting;
	bool                       stuck;    /* what waited was given back */
	uint64_t                   held;     /* its jobs, now */
	uint64_t                   taken, done, failed, returned;
	char                       broken[200];  /* why it cannot run; "" */
	struct timer               patience;
};

extern const struct handler_kind builtin_kind, exec_kind, plugin_kind;

/* Before it has asked for another. */
uint64_t handler_timeout_ms(const struct handler *);
/* Replaces the handler's own patterns.  NOMEM. */
enum err handler_set_events(struct handler *, const char *words);

#endif
