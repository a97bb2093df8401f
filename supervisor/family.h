/*
 * family: all children together: who there is, in which order they start,
 * stop and are replaced, and whose death is whose news.
 */
#ifndef FAMILY_H
#define FAMILY_H

#include "child.h"
#include "kin.h"
#include "notify.h"
#include "log.h"
#include "output.h"
#include "plan.h"

enum { FAMILY_WORKERS_MAX = 256,
	FAMILY_MAX = FAMILY_WORKERS_MAX + SERVICE_IDS,
	FAMILY_SCRATCH = 256 * 1024 /* bytes */ };

/* Who is told, when not NULL. */
struct family_listener {
	void (*changed)(void *self, struct child *, enum service_state was);
	void (*heard)(void *self, const struct child *, struct slice line,
	    uint64_t number);
	/* false: nobody asked */
	bool (*answered)(void *self, const struct child *,
	    const struct msg_answer *);
	void  *self;
};

struct family {
	struct loop           *loop;
	struct settings       *settings;
	struct output         *output;
	struct family_listener listener;
	char                  *bin_dir, *scratch;
	struct service_limits  limits[SERVICE_IDS];
	struct child          *children[FAMILY_MAX];   /* in starting order */
	size_t                 nchildren;
	struct child          *rolling;     /* being replaced by a roll */
	struct timer           sim_wait, stop_late;
	uint64_t               opened_ms, sim_since_ms, stop_at_ms;
	uint64_t               line_number, strangers, unclaimed;
	uint64_t               oom_kills, oom_before, oom_looked_ms;
	struct kin             kin;
	struct notify          notify;
	uint64_t               files;       /* for each child */
	struct {
		pid_t     pid;               /* of a new program on trial */
		bool      ended;
		siginfo_t how;
	} trial;
	unsigned               stop_signals, generation;  /* of its settings */
	bool                   stopping, was_up;
	bool                   abandons;    /* what KILL does not end */
	bool                   has_level;   /* overrules the setting */
	enum log_level         log_level;
	enum err               failed;      /* why it stops, if not asked to */
};

/* files: how many descriptors each child may have.
 * state: what another program has left (handover.h), or NULL. */
enum err family_open(struct family *, struct loop *, struct settings *,
    struct output *, uint64_t files, const struct json *state);
void family_close(struct family *);

/* After each turn of the loop: what may start, what must stop now. */
void family_turn(struct family *);
/* Stops everything, in order; called again it hurries. */
void family_stop(struct family *);
/* Stopped, and no process is left. */
bool family_is_down(const struct family *);
enum plan_state family_state(const struct family *);

/* By name (worker/2), service (worker: all of them) or "": all. */
bool family_matches(const struct child *, struct slice name);
struct child *family_find(struct family *, struct slice name);
/* The one child of this very name. */
struct child *family_child(struct family *, struct slice name);
/* Replaces these one by one, each once the one before is ready. */
void family_roll(struct family *, struct slice name);
/* Some are still to be replaced so. */
bool family_rolls(const struct family *);
/* How many workers there shall be. */
enum err family_scale(struct family *, unsigned workers);
/* For this program and all children, until the next reload. */
void family_log_level(struct family *, enum log_level);
/* Reads the configuration again and acts on what is different; when a child
 * does not become ready with it, the old one is in force again. */
enum err family_reload(struct family *);

/* --- for child.c -------------------------------------------------------- */

struct loop *family_loop(struct family *);
const struct settings *family_settings(const struct family *);
const struct service_limits *family_limits(const struct family *,
    enum service_id);
const char *family_bin_dir(const struct family *);
uint64_t family_files(const struct family *);
/* Room for one read of FAMILY_SCRATCH bytes, shared by all. */
char *family_scratch(struct family *);
uint64_t *family_line_number(struct family *);
void family_heard(struct family *, struct child *, struct slice line,
    uint64_t number);
void family_answered(struct family *, struct child *,
    const struct msg_answer *);
void family_changed(struct family *, struct child *, enum service_state was);
/* Has memory run out lately, and no death been explained by it yet?  The look
 * is for those who have beats. */
bool family_saw_oom(struct family *);
void family_look_at_memory(struct family *);
/* A process started, and one that ended and has been reaped. */
void family_started(struct family *, struct child *);
void family_lost(struct family *, struct child *, pid_t);

#endif
