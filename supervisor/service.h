/*
 * service: what becomes of one child, as a state machine.  Inputs in, at most
 * one action out, time and chance as parameters; it does no I/O and knows no
 * process ids, so that all of it is tested with a fake clock.
 *
 * A child that ends by itself is replaced: the first time at once, then with
 * growing delay; one that ends too often within a window counts as failed, and
 * is tried again slowly.  Only an exit status that says "a person must act"
 * parks it until its configuration changes or an operator starts it.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "backoff.h"

/* S(NAME, word, has a process, meaning) */
#define SERVICE_STATES(S)                                                    \
	S(STOPPED, "stopped", false, "no process; if wanted, waits its turn") \
	S(STARTING, "starting", true, "spawned, not yet ready")              \
	S(READY, "ready", true, "works")                                     \
	S(DEGRADED, "degraded", true, "works, but reports a lack")           \
	S(STOPPING, "stopping", true, "told to leave, or leaving")           \
	S(BACKOFF, "backoff", false, "ended by itself; will be started again") \
	S(FAILED, "failed", false, "ended too often, or parked: a person must act")

enum service_state {
#define AS_ENUM(NAME, ...) SERVICE_##NAME,
	SERVICE_STATES(AS_ENUM)
#undef AS_ENUM
	SERVICE_STATE_COUNT
};

enum service_input {
	SERVICE_START,          /* an operator, or the plan: be up */
	SERVICE_STOP,           /* be down */
	SERVICE_RESTART,        /* be replaced */
	SERVICE_DRAIN,          /* finish what is in flight, be replaced */
	SERVICE_RETIRE,         /* finish what is in flight, be down */
	SERVICE_RESET,          /* an operator: forget how it failed */
	SERVICE_OVER,           /* over a limit: be replaced, in peace */
	SERVICE_FAR_OVER,       /* far over it: be killed */
	SERVICE_GO,             /* the plan: your turn to be spawned */
	SERVICE_SPAWN_FAILED,   /* by service_exited() only */
	SERVICE_UP,             /* the child: ready */
	SERVICE_WELL,           /* the child: nothing lacks */
	SERVICE_ILL,            /* the child: something lacks */
	SERVICE_BEAT,           /* the child: alive */
	SERVICE_LEAVING,        /* the child: on my way out */
	SERVICE_EXITED,         /* by service_exited() only */
	SERVICE_DUE,            /* deadline_ms has come */
	SERVICE_INPUT_COUNT
};

enum service_action {
	SERVICE_NOTHING,
	SERVICE_DO_SPAWN,
	SERVICE_DO_DRAIN,       /* the message */
	SERVICE_DO_TERM,
	SERVICE_DO_ABORT,
	SERVICE_DO_KILL         /* the whole process group */
};

/* Why a process was ended; ITSELF: nobody told it to. */
enum service_cause {
	SERVICE_ITSELF, SERVICE_ASKED, SERVICE_NOT_READY, SERVICE_WATCHDOG,
	SERVICE_OVER_LIMIT
};

enum service_end {
	SERVICE_NEVER_ENDED, SERVICE_BY_CODE, SERVICE_BY_SIGNAL,
	SERVICE_BY_SPAWN        /* never ran; number is an errno */
};

struct service_exit {
	enum service_end   end;
	int                number;
	enum service_cause cause;
	bool               core, oom;   /* left one; for want of memory */
};

/* Which ends by itself are followed by a new start. */
enum service_restart {
	SERVICE_ALWAYS,         /* permanent */
	SERVICE_ON_FAILURE,     /* transient: status 0 is an end */
	SERVICE_NOT_AGAIN       /* temporary: left as it lies */
};

struct service_limits {
	uint64_t ready_ms, watchdog_ms, drain_ms, stop_ms;
	enum service_restart restart;
	unsigned ends_max;      /* in the window; 0: any number */
};

enum { SERVICE_KILL_MS = 1000, SERVICE_SOLID_MS = 10000,
	SERVICE_FORGIVEN_MS = 60000, SERVICE_WINDOW_MS = 120000,
	SERVICE_PROBE_MS = 60000, SERVICE_ENDS_MAX = 64 };
#define SERVICE_NEVER UINT64_MAX

enum service_pressure { SERVICE_CALM, SERVICE_DRAINING, SERVICE_TOLD,
	SERVICE_FORCED };

struct service {
	const struct service_limits *limits;
	enum service_state    state;
	enum service_cause    cause;       /* of the end under way */
	enum service_pressure pressure;
	struct service_exit   last;        /* how the last process ended */
	struct backoff        delay;
	bool     wanted;                   /* desired state: up */
	bool     again;                    /* ends in order to be replaced */
	bool     ill, ever_ready, was_ready;
	bool     stuck;                    /* killed, and still there */
	bool     tripped;                  /* ended too often */
	uint64_t since_ms, deadline_ms, ready_at_ms, beat_at_ms;
	unsigned generation, restarts, streak, watchdogs;
	uint64_t ends_ms[SERVICE_ENDS_MAX];  /* a ring: of early ends */
	unsigned ends;                     /* how many there were */
};

void service_open(struct service *, const struct service_limits *,
    uint64_t now_ms);
enum service_action service_step(struct service *, enum service_input,
    uint64_t now_ms);
/* The process ended: end and number, the cause is known here.  chance: 32
 * random bits, for the delay. */
void service_exited(struct service *, enum service_end, int number,
    uint64_t now_ms, uint32_t chance);
/* An end under way is forced at this time at the latest. */
void service_hasten(struct service *, uint64_t at_ms);
/* Would take a SERVICE_GO now. */
bool service_wants_go(const struct service *, uint64_t now_ms);
bool service_alive(const struct service *);
/* Early ends within the window. */
unsigned service_recent_ends(const struct service *, uint64_t now_ms);

const char *service_state_name(enum service_state);
const char *service_restart_name(enum service_restart);
const char *service_cause_name(enum service_cause);

#endif
