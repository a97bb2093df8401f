/*
 * The state machine of one child: steps[state][input].  An empty cell is an
 * input that means nothing in that state.  Only become() changes the state.
 */
#include "service.h"

#include <stddef.h>

/* The exit statuses after which only a person can help; see proc.h. */
enum { STATUS_USAGE = 64, STATUS_CONFIG = 78 };

static const uint32_t delays_ms[] = { 100, 200, 400, 800, 1600, 3200, 6400,
	12800, 25600, 30000, 0 };

static const struct {
	const char *name;
	bool        alive;
} states[] = {
#define AS_ROW(NAME, word, alive, meaning) { word, alive },
	SERVICE_STATES(AS_ROW)
#undef AS_ROW
};

static const char *const causes[] = { "itself", "asked", "not ready in time",
	"watchdog", "over a limit" };

/* What a step may need besides the service. */
struct now {
	uint64_t ms;
	uint32_t chance;
};

typedef enum service_action step_fn(struct service *, const struct now *);

const char *
service_state_name(enum service_state state)
{
	return states[state].name;
}

const char *
service_restart_name(enum service_restart restart)
{
	static const char *const words[] = { "always", "on-failure", "never" };

	return words[restart];
}

const char *
service_cause_name(enum service_cause cause)
{
	return causes[cause];
}

bool
service_alive(const struct service *s)
{
	return states[s->state].alive;
}

bool
service_wants_go(const struct service *s, uint64_t now_ms)
{
	return s->wanted &&
	    (s->state == SERVICE_STOPPED ||
	        ((s->state == SERVICE_BACKOFF || s->state == SERVICE_FAILED) &&
	            s->deadline_ms != SERVICE_NEVER &&
	            now_ms >= s->deadline_ms));
}

unsigned
service_recent_ends(const struct service *s, uint64_t now_ms)
{
	unsigned n = 0;

	while (n < s->ends && n < SERVICE_ENDS_MAX &&
	    now_ms - s->ends_ms[(s->ends - 1 - n) % SERVICE_ENDS_MAX] <=
	        SERVICE_WINDOW_MS)
		n++;
	return n;
}

static void
become(struct service *s, enum service_state state, uint64_t deadline_ms,
    const struct now *now)
{
	if (s->state != state)
		s->since_ms = now->ms;
	s->state = state;
	s->deadline_ms = deadline_ms;
}

static uint64_t
next_beat_due(const struct service *s, const struct now *now)
{
	return s->limits->watchdog_ms > 0 ? now->ms + s->limits->watchdog_ms
	                                  : SERVICE_NEVER;
}

/* --- towards a process -------------------------------------------------- */

static enum service_action
want(struct service *s, const struct now *now)
{
	(void)now;
	s->wanted = true;
	return SERVICE_NOTHING;
}

static void
forgive(struct service *s)
{
	s->streak = s->ends = 0;
	s->tripped = false;
	backoff_reset(&s->delay);
}

/* An operator's word ends a delay and pardons what was. */
static enum service_action
revive(struct service *s, const struct now *now)
{
	s->wanted = true;
	forgive(s);
	become(s, SERVICE_STOPPED, SERVICE_NEVER, now);
	return SERVICE_NOTHING;
}

static enum service_action
pardon(struct service *s, const struct now *now)
{
	forgive(s);
	if (!service_alive(s))
		become(s, SERVICE_STOPPED, SERVICE_NEVER, now);
	return SERVICE_NOTHING;
}

static enum service_action
go(struct service *s, const struct now *now)
{
	if (!service_wants_go(s, now->ms))
		return SERVICE_NOTHING;
	s->generation++;
	s->cause = SERVICE_ITSELF;
	s->pressure = SERVICE_CALM;
	s->again = s->ill = s->was_ready = s->stuck = false;
	s->beat_at_ms = now->ms;
	become(s, SERVICE_STARTING, now->ms + s->limits->ready_ms, now);
	return SERVICE_DO_SPAWN;
}

static enum service_action
up(struct service *s, const struct now *now)
{
	s->ever_ready = s->was_ready = true;
	s->ready_at_ms = s->beat_at_ms = now->ms;
	become(s, s->ill ? SERVICE_DEGRADED : SERVICE_READY,
	    next_beat_due(s, now), now);
	return SERVICE_NOTHING;
}

static enum service_action
beat(struct service *s, const struct now *now)
{
	s->beat_at_ms = now->ms;
	s->deadline_ms = next_beat_due(s, now);
	return SERVICE_NOTHING;
}

static enum service_action
note_ill(struct service *s, const struct now *now)
{
	s->ill = true;
	if (s->state == SERVICE_READY)
		become(s, SERVICE_DEGRADED, next_beat_due(s, now), now);
	return SERVICE_NOTHING;
}

static enum service_action
note_well(struct service *s, const struct now *now)
{
	s->ill = false;
	if (s->state == SERVICE_DEGRADED)
		become(s, SERVICE_READY, next_beat_due(s, now), now);
	return SERVICE_NOTHING;
}

/* --- towards the end of a process --------------------------------------- */

static enum service_action
end(struct service *s, enum service_cause cause, enum service_pressure pressure,
    uint64_t grace_ms, const struct now *now)
{
	static const enum service_action said[] = {
		[SERVICE_DRAINING] = SERVICE_DO_DRAIN,
		[SERVICE_TOLD] = SERVICE_DO_TERM,
		[SERVICE_FORCED] = SERVICE_DO_KILL,
	};

	s->cause = cause;
	s->pressure = pressure;
	become(s, SERVICE_STOPPING, now->ms + grace_ms, now);
	return said[pressure];
}

static enum service_action
stop(struct service *s, const struct now *now)
{
	s->wanted = s->again = false;
	return end(s, SERVICE_ASKED, SERVICE_TOLD, s->limits->stop_ms, now);
}

static enum service_action
replace(struct service *s, const struct now *now)
{
	s->wanted = s->again = true;
	return end(s, SERVICE_ASKED, SERVICE_TOLD, s->limits->stop_ms, now);
}

static enum service_action
drain(struct service *s, const struct now *now)
{
	s->again = true;
	return end(s, SERVICE_ASKED, SERVICE_DRAINING, s->limits->drain_ms,
	    now);
}

static enum service_action
retire(struct service *s, const struct now *now)
{
	s->wanted = s->again = false;
	return end(s, SERVICE_ASKED, SERVICE_DRAINING, s->limits->drain_ms,
	    now);
}

/* It leaves by itself: told by somebody else, or at its wits' end. */
static enum service_action
leave(struct service *s, const struct now *now)
{
	end(s, SERVICE_ITSELF, SERVICE_TOLD, s->limits->stop_ms, now);
	return SERVICE_NOTHING;
}

static enum service_action
too_slow(struct service *s, const struct now *now)
{
	return end(s, SERVICE_NOT_READY, SERVICE_FORCED, SERVICE_KILL_MS, now);
}

/* ABORT rather than KILL at first: it leaves a trace of where it hung. */
static enum service_action
silent(struct service *s, const struct now *now)
{
	s->watchdogs++;
	end(s, SERVICE_WATCHDOG, SERVICE_TOLD, SERVICE_KILL_MS, now);
	return SERVICE_DO_ABORT;
}

/* Not one that has just started: what is over at once would be for ever. */
static enum service_action
over(struct service *s, const struct now *now)
{
	if (now->ms - s->ready_at_ms < SERVICE_FORGIVEN_MS)
		return SERVICE_NOTHING;
	s->again = true;
	return end(s, SERVICE_OVER_LIMIT, SERVICE_DRAINING,
	    s->limits->drain_ms, now);
}

static enum service_action
far_over(struct service *s, const struct now *now)
{
	return end(s, SERVICE_OVER_LIMIT, SERVICE_FORCED, SERVICE_KILL_MS, now);
}

static enum service_action
push(struct service *s, const struct now *now)
{
	if (s->pressure == SERVICE_DRAINING)
		return end(s, s->cause, SERVICE_TOLD, s->limits->stop_ms, now);
	s->stuck = s->pressure == SERVICE_FORCED;
	return end(s, s->cause, SERVICE_FORCED, SERVICE_KILL_MS, now);
}

static enum service_action
stop_stopping(struct service *s, const struct now *now)
{
	s->wanted = s->again = false;
	s->cause = SERVICE_ASKED;
	if (s->pressure == SERVICE_DRAINING)
		return end(s, SERVICE_ASKED, SERVICE_TOLD, s->limits->stop_ms,
		    now);
	return SERVICE_NOTHING;
}

static enum service_action
want_again(struct service *s, const struct now *now)
{
	(void)now;
	s->wanted = s->again = true;
	return SERVICE_NOTHING;
}

static enum service_action
rest(struct service *s, const struct now *now)
{
	s->wanted = false;
	become(s, SERVICE_STOPPED, SERVICE_NEVER, now);
	return SERVICE_NOTHING;
}

/* --- after the end ------------------------------------------------------ */

static bool
is_hopeless(const struct service_exit *x)
{
	return x->end == SERVICE_BY_CODE && x->cause == SERVICE_ITSELF &&
	    (x->number == STATUS_CONFIG || x->number == STATUS_USAGE);
}

static uint64_t
worked_ms(const struct service *s, const struct now *now)
{
	return s->was_ready ? now->ms - s->ready_at_ms : 0;
}

/* Counts an early end; more than so many in the window trip it, until it has
 * worked for a while. */
static void
note_end(struct service *s, const struct now *now)
{
	unsigned most = s->limits->ends_max;

	if (worked_ms(s, now) >= SERVICE_SOLID_MS) {
		s->tripped = false;
		return;
	}
	s->ends_ms[s->ends++ % SERVICE_ENDS_MAX] = now->ms;
	s->tripped = s->tripped ||
	    (most > 0 && service_recent_ends(s, now->ms) >= most);
}

/* At once for one that did work, if it is the first time in a while. */
static uint64_t
delay_ms(struct service *s, const struct now *now)
{
	uint64_t worked = worked_ms(s, now);
	bool     at_once;

	if (worked >= SERVICE_FORGIVEN_MS)
		forgive(s);
	at_once = s->was_ready &&
	    (s->streak == 0 || worked >= SERVICE_SOLID_MS);
	s->streak++;
	return at_once ? 0 : backoff_next(&s->delay, now->chance);
}

static void
start_again(struct service *s, const struct now *now)
{
	uint64_t ms = delay_ms(s, now);

	s->restarts++;
	note_end(s, now);
	if (s->tripped)
		become(s, SERVICE_FAILED, now->ms +
		    backoff_spread(SERVICE_PROBE_MS, 20, now->chance), now);
	else
		become(s, SERVICE_BACKOFF, now->ms + ms, now);
}

/* It stays down: as it should be, or for a person to look at. */
static void
stay_down(struct service *s, bool clean, const struct now *now)
{
	s->wanted = !clean;
	become(s, clean ? SERVICE_STOPPED : SERVICE_FAILED, SERVICE_NEVER, now);
}

static enum service_action
exited(struct service *s, const struct now *now)
{
	bool clean = s->last.end == SERVICE_BY_CODE && s->last.number == 0 &&
	    s->cause == SERVICE_ITSELF;

	s->last.cause = s->cause;
	s->stuck = false;
	if (!s->wanted) {
		become(s, SERVICE_STOPPED, SERVICE_NEVER, now);
	} else if (s->again) {
		s->restarts++;
		become(s, SERVICE_STOPPED, SERVICE_NEVER, now);
	} else if (is_hopeless(&s->last)) {
		become(s, SERVICE_FAILED, SERVICE_NEVER, now);
	} else if (s->limits->restart == SERVICE_NOT_AGAIN ||
	    (s->limits->restart == SERVICE_ON_FAILURE && clean)) {
		stay_down(s, clean, now);
	} else {
		start_again(s, now);
	}
	return SERVICE_NOTHING;
}

/* --- the table ---------------------------------------------------------- */

#define ALIVE_STEPS                                                          \
	[SERVICE_START] = want, [SERVICE_STOP] = stop,                       \
	[SERVICE_RESTART] = replace, [SERVICE_DRAIN] = drain,                \
	[SERVICE_RETIRE] = retire, [SERVICE_WELL] = note_well,               \
	[SERVICE_ILL] = note_ill, [SERVICE_LEAVING] = leave,                 \
	[SERVICE_EXITED] = exited, [SERVICE_RESET] = pardon,                 \
	[SERVICE_FAR_OVER] = far_over
#define WORKING_STEPS                                                        \
	[SERVICE_BEAT] = beat, [SERVICE_DUE] = silent, [SERVICE_OVER] = over
#define DOWN_STEPS                                                           \
	[SERVICE_START] = revive, [SERVICE_RESTART] = revive,                \
	[SERVICE_STOP] = rest, [SERVICE_RETIRE] = rest,                      \
	[SERVICE_RESET] = pardon, [SERVICE_GO] = go

static step_fn *const steps[SERVICE_STATE_COUNT][SERVICE_INPUT_COUNT] = {
	[SERVICE_STOPPED] = { DOWN_STEPS },
	[SERVICE_STARTING] = { ALIVE_STEPS, [SERVICE_UP] = up,
		[SERVICE_DUE] = too_slow, [SERVICE_SPAWN_FAILED] = exited },
	[SERVICE_READY] = { ALIVE_STEPS, WORKING_STEPS },
	[SERVICE_DEGRADED] = { ALIVE_STEPS, WORKING_STEPS },
	[SERVICE_STOPPING] = { [SERVICE_START] = want_again,
		[SERVICE_RESTART] = want_again,
		[SERVICE_STOP] = stop_stopping,
		[SERVICE_RETIRE] = stop_stopping,
		[SERVICE_EXITED] = exited, [SERVICE_DUE] = push,
		[SERVICE_RESET] = pardon },
	[SERVICE_BACKOFF] = { DOWN_STEPS },
	[SERVICE_FAILED] = { DOWN_STEPS },
};

void
service_open(struct service *s, const struct service_limits *limits,
    uint64_t now_ms)
{
	*s = (struct service){
		.limits = limits,
		.delay = { .steps_ms = delays_ms },
		.since_ms = now_ms,
		.deadline_ms = SERVICE_NEVER,
	};
}

static enum service_action
take(struct service *s, enum service_input input, const struct now *now)
{
	step_fn *step = steps[s->state][input];

	return step != NULL ? step(s, now) : SERVICE_NOTHING;
}

enum service_action
service_step(struct service *s, enum service_input input, uint64_t now_ms)
{
	const struct now now = { now_ms, 0 };

	return take(s, input, &now);
}

void
service_exited(struct service *s, enum service_end how, int number,
    uint64_t now_ms, uint32_t chance)
{
	const struct now now = { now_ms, chance };

	if (!service_alive(s))
		return;
	s->last.end = how;
	s->last.number = number;
	take(s, how == SERVICE_BY_SPAWN ? SERVICE_SPAWN_FAILED
	                                : SERVICE_EXITED, &now);
}

void
service_hasten(struct service *s, uint64_t at_ms)
{
	if (s->state == SERVICE_STOPPING && at_ms < s->deadline_ms)
		s->deadline_ms = at_ms;
}
