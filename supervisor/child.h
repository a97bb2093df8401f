/*
 * child: one process of ours with all that belongs to it: its state machine,
 * its pidfd, the socket it reports on, the pipe it talks into.  It does what
 * the state machine says and tells the family what happened.
 */
#ifndef CHILD_H
#define CHILD_H

#include <signal.h>
#include <sys/types.h>

#include "json.h"
#include "lines.h"
#include "loop.h"
#include "messages.h"
#include "notify.h"
#include "service.h"
#include "settings.h"
#include "vitals.h"

enum { CHILD_NAME_MAX = 32, CHILD_REMEDY_MAX = 512 };

struct family;

struct child {
	struct family  *family;
	enum service_id id;
	unsigned        number;            /* worker/2: 2; else 0 */
	char            name[CHILD_NAME_MAX];
	struct service  service;
	struct timer    timer;             /* the service's deadline */
	pid_t           pid;               /* 0: no process */
	int             pidfd, socket;     /* -1 */
	int             output[2];         /* kept over restarts */
	struct kept     kept;              /* for the next process */
	struct buf      environment;       /* of the process that runs */
	struct lines    lines;
	struct json    *app;               /* as it reported, or NULL */
	char            word[32];          /* its own word for its state */
	char            remedy[CHILD_REMEDY_MAX];
	char            last_line[400];    /* what it said at its end */
	uint64_t        refused;           /* packets that were none */
	uint64_t        dropped_told_ms;
	struct vitals   vitals;
	struct vitals_share share;
	uint64_t        looked_ms;         /* when these were read */
	pid_t           ended_pid;         /* whose remains may be alive */
	struct timer    remains;
	unsigned        roll_from;         /* rolling restart: generation */
	bool            rolls, surplus;    /* surplus: goes when stopped */
};

enum err child_new(struct child **, struct family *, enum service_id,
    unsigned number);
/* Without its pipe, to be completed; NULL: out of memory. */
struct child *child_bare(struct family *, enum service_id, unsigned number);
/* It has got a process and descriptors from elsewhere: goes on with them. */
enum err child_resume(struct child *);
/* What is left of its process is killed. */
void child_free(struct child **);

void child_step(struct child *, enum service_input);
/* It said READY=1, or other words of sd_notify(3), one a line. */
void child_words(struct child *, struct slice, struct notify_fds *);
/* Its process ended: reaps it.  Group and last words are taken care of. */
void child_reap(struct child *, const siginfo_t *);
void child_hasten(struct child *, uint64_t at_ms);
/* Messages of MSG_CHILD_DOWN; when it fails the message is lost.  CLOSED: there
 * is no process, or it has hung up; TOO_LARGE; FULL: it does not read. */
enum err child_tell(struct child *, enum msg_kind, const void *msg);
/* Looks at the process, at most so often, when a beat comes or somebody asks;
 * and holds it to its limits. */
enum { CHILD_LOOK_MS = 2000 };
void child_look(struct child *);
/* Killed but not ended, stopped, or for long in the kernel; a word for it, or
 * NULL. */
const char *child_stuck(const struct child *);
/* Any signal: to the process, or to its whole group. */
enum err child_signal(struct child *, int signal, bool group);
/* What a person must do, or "". */
const char *child_remedy(const struct child *, char *text, size_t size);
/* How the last process ended, in words, or "". */
const char *child_last_exit(const struct child *, char *text, size_t size);

#endif
