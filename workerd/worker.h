/*
 * worker: the state of this program.
 *   job.c       an event from delivery to ack, and its calls
 *   handler.c   which handler answers, and the built-in ones
 */
#ifndef WORKER_H
#define WORKER_H

#include "bus.h"
#include "conf.h"
#include "proc.h"

struct worker;
struct job;

/* What answers events.  on_event may call job_reply() any number of times;
 * the event is acknowledged when it has returned and every reply has its
 * result. */
struct handler {
	const char *name;              /* as in ROOKERY_HANDLER */
	const char *events;            /* patterns, words with blanks */
	void      (*on_event)(struct worker *, struct job *,
	    const struct msg_event *);
	const char *meaning;
};

struct worker {
	struct conf           conf;
	struct loop          *loop;
	struct proc           proc;
	struct bus           *events, *api;
	const struct handler *handler;
	struct job           *jobs;
	uint64_t              njobs, stop_by_ms;
	uint64_t              done, replies, failed, repeated;
	uint64_t              unsent;         /* calls apid did not take yet */
	struct timer          reporting;
	char                  name[80];
	char                  api_run[40];   /* the run of apid we know */
	bool                  paused;
};

/* handler.c */
/* NULL: not known. */
const struct handler *handler_find(const char *name);
size_t handler_all(const struct handler **);

/* job.c */
void job_on_event(void *self, msg_peer, const struct msg_event *);
void job_on_result(void *self, msg_peer, const struct msg_result *);
/* The next reply to the job's event; the text is copied. NOMEM. */
enum err job_reply(struct worker *, struct job *, struct slice text);
/* Calls without a result are made again: apid may be another run. */
void job_call_again(struct worker *);
void jobs_free(struct worker *);

#endif
