/*
 * proc: what every program is to the system and to its parent: signals,
 * readiness, beats, exit status.
 *
 * The parent hands down one end of a SEQPACKET socketpair as
 * ROOKERY_CHILD_FD; each packet is one message of messages.def (head and body
 * in one).  Without it a program runs alone, and the same calls do nothing.
 * With NOTIFY_SOCKET set instead, readiness, beats and the stop are told to
 * systemd in its own words.
 */
#ifndef PROC_H
#define PROC_H

#include "conf.h"
#include "json.h"
#include "loop.h"
#include "messages.h"

/* Exit statuses: all a parent reads.  From sysexits(3). */
enum {
	EXIT_DONE = 0,
	EXIT_USAGE_ERROR = 64,   /* wrong options: do not restart */
	EXIT_SOFTWARE = 70,      /* our own mistake: restart with delay */
	EXIT_AGAIN = 75,         /* try me again: restart with delay */
	EXIT_CONFIG = 78,        /* a person must act: restart when the
	                            configuration has changed */
};

struct proc {
	struct loop               *loop;
	int                        fd;         /* to the parent; -1 */
	const struct msg_handlers *takes;      /* drain, reload, log_level, gone */
	void                      *self;
	struct timer               beat;
	bool                       ready, stopping, orphaned;
};

/* For a program without options of its own: answers --help (more: further
 * lines of it, or NULL), --version and what is wrong.  -1: go on; else the
 * exit status. */
int proc_options(int argc, char *argv[], const char *program,
    void (*more)(FILE *));

/* Logs from now on as the settings say. */
void proc_log(const struct conf *, const char *program);

/* SIGPIPE and SIGXFSZ ignored, SIGTERM and SIGINT mean stop, the parent's messages go to
 * `takes` (NULL: none; log_level is always handled here).  When the parent
 * goes away the program stops.  The loop must outlive it.  Threads started
 * after it inherit SCHED_BATCH. */
enum err proc_open(struct proc *, struct loop *, const struct conf *,
    const struct msg_handlers *takes, void *self);
void proc_close(struct proc *);

/* "I can work": once, after the last step that can fail.  Starts the beat. */
void proc_ready(struct proc *);
/* app: a JSON object or NULL (not taken). state, remedy may be empty. */
void proc_report(struct proc *, struct slice state, struct slice remedy,
    const struct json *app);

/* Answers an ask: OK with data (a JSON object, not taken, or NULL), or why
 * not.  FULL: data is larger than a packet can be (PROC_ANSWER_MAX). */
enum { PROC_ANSWER_MAX = 128 << 10 };
/* Largest packet a child takes from its parent. */
enum { PROC_PACKET_MAX = 4096 };
enum err proc_answer(struct proc *, uint64_t id, enum err,
    struct slice message, const struct json *data);

/* Leaves a descriptor with the parent, for the process that comes after this
 * one; the last of a name counts.  fd -1: that of this name is no longer
 * wanted.  Ours stays open. */
void proc_keep(struct proc *, const char *name, int fd);
/* What the process before has left under this name (close-on-exec), the
 * caller's from now on; -1: nothing. */
int proc_kept(const struct conf *, const char *name);

/* A signal, the parent, or proc_stop() asked for the end. */
bool proc_stopping(const struct proc *);
/* The parent has gone, and its next life waits for our locks and sockets:
 * leave at once, as if killed. */
bool proc_orphaned(const struct proc *);
void proc_stop(struct proc *);

/* Exit status for how the program ended; logs the error if it is one. */
int proc_leave(enum err);

/* No core file, no ptrace: for programs that hold a secret or a token. */
void proc_guard(void);

/* The folder this program's binary stands in; the caller's to free. */
char *proc_bin_dir(void);

/* Creates dir (and missing parents) with this mode; CONFIG with the reason
 * and the setting that names it logged when it cannot be made or written. */
enum err proc_make_dir(const char *setting, const char *dir, unsigned mode);

/* An exclusive lock on a file, held until exit; BUSY when another has it.
 * *fd may be NULL. */
enum err proc_lock(const char *path, int *fd);

/* "rookery 0.1.0"; and what --version and --help print. */
#define ROOKERY_VERSION "0.1.0"

#endif
