/*
 * The children together.  Decisions are made once per turn, in family_turn(),
 * from the states that the turn has left.
 */
#include "family.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handover.h"
#include "log.h"
#include "proc.h"
#include "spawn.h"

enum { SIM_LOOK_MS = 200, HURRY_MS = 300, REMAINS_MS = 2000, ROLL_TRIES = 2 };

/* --- lent to child.c ---------------------------------------------------- */

struct loop *
family_loop(struct family *f)
{
	return f->loop;
}

const struct settings *
family_settings(const struct family *f)
{
	return f->settings;
}

const struct service_limits *
family_limits(const struct family *f, enum service_id id)
{
	return &f->limits[id];
}

const char *
family_bin_dir(const struct family *f)
{
	return f->bin_dir;
}

uint64_t
family_files(const struct family *f)
{
	return f->files;
}

char *
family_scratch(struct family *f)
{
	return f->scratch;
}

uint64_t *
family_line_number(struct family *f)
{
	return &f->line_number;
}

void
family_heard(struct family *f, struct child *c, struct slice line,
    uint64_t number)
{
	output_line(f->output, c->name, line);
	if (f->listener.heard != NULL)
		f->listener.heard(f->listener.self, c, line, number);
}

void
family_answered(struct family *f, struct child *c, const struct msg_answer *m)
{
	if (f->listener.answered == NULL ||
	    !f->listener.answered(f->listener.self, c, m))
		f->unclaimed++;
}

void
family_look_at_memory(struct family *f)
{
	uint64_t now = loop_now(f->loop);

	if (now < f->oom_looked_ms + CHILD_LOOK_MS)
		return;
	f->oom_looked_ms = now;
	f->oom_before = f->oom_kills;
	f->oom_kills = vitals_oom_kills();
}

bool
family_saw_oom(struct family *f)
{
	if (vitals_oom_kills() <= f->oom_before)
		return false;
	f->oom_before++;
	return true;
}

void
family_started(struct family *f, struct child *c)
{
	kin_adopt(&f->kin, c->name, c->pid);
}

/* --- who there is ------------------------------------------------------- */

bool
family_matches(const struct child *c, struct slice name)
{
	return name.n == 0 || slice_is(name, "all") ||
	    slice_is(name, c->name) ||
	    slice_is(name, service_kind(c->id)->name);
}

struct child *
family_find(struct family *f, struct slice name)
{
	for (size_t i = 0; i < f->nchildren; i++)
		if (family_matches(f->children[i], name))
			return f->children[i];
	return NULL;
}

struct child *
family_child(struct family *f, struct slice name)
{
	for (size_t i = 0; i < f->nchildren; i++)
		if (slice_is(name, f->children[i]->name))
			return f->children[i];
	return NULL;
}

static struct child *
find_pid(struct family *f, pid_t pid)
{
	for (size_t i = 0; i < f->nchildren; i++)
		if (f->children[i]->pid == pid)
			return f->children[i];
	return NULL;
}

static struct child *
find_member(struct family *f, enum service_id id, unsigned number)
{
	for (size_t i = 0; i < f->nchildren; i++)
		if (f->children[i]->id == id &&
		    f->children[i]->number == number)
			return f->children[i];
	return NULL;
}

static bool
is_child(void *self, pid_t pid)
{
	return find_pid(self, pid) != NULL;
}

static void
on_remains_late(void *self)
{
	struct child *c = self;

	log_warn("family.remains", KV("name", c->name),
	    KV("why", "the kernel has not ended what it left; it is started "
	              "all the same"));
	c->ended_pid = 0;
}

/* What is left of its last process has been killed, and is not gone yet: its
 * end is told by SIGCHLD, as it is ours by then. */
static bool
has_remains(struct family *f, struct child *c)
{
	if (c->ended_pid == 0)
		return false;
	if (kin_left(&f->kin, c->name, c->ended_pid, is_child, f)) {
		/* what it has started since, too */
		kin_kill(&f->kin, c->name, c->ended_pid, is_child, f);
		if (c->remains.slot == 0)
			loop_after(f->loop, &c->remains, REMAINS_MS,
			    on_remains_late, c);
		return true;
	}
	loop_cancel(f->loop, &c->remains);
	c->ended_pid = 0;
	return false;
}

/* Kept in the order of services.def, workers by number. */
static enum err
add(struct family *f, enum service_id id, unsigned number)
{
	struct child *c = find_member(f, id, number);
	size_t        at = f->nchildren;
	enum err      e;

	if (c != NULL) {
		c->surplus = false;
		child_step(c, SERVICE_START);
		return ERR_OK;
	}
	if (f->nchildren == FAMILY_MAX)
		return ERR_FULL;
	if ((e = child_new(&c, f, id, number)) != ERR_OK)
		return e;
	while (at > 0 && (f->children[at - 1]->id > id ||
	                     (f->children[at - 1]->id == id &&
	                         f->children[at - 1]->number > number))) {
		f->children[at] = f->children[at - 1];
		at--;
	}
	f->children[at] = c;
	f->nchildren++;
	child_step(c, SERVICE_START);
	return ERR_OK;
}

static void
make_surplus(struct child *c)
{
	c->surplus = true;
	child_step(c, SERVICE_STOP);
}

static void
drop_surplus(struct family *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->nchildren; i++) {
		struct child *c = f->children[i];

		if (!c->surplus || service_alive(&c->service)) {
			f->children[kept++] = c;
			continue;
		}
		if (f->rolling == c)
			f->rolling = NULL;
		kin_forget(&f->kin, c->name);
		child_free(&c);
	}
	f->nchildren = kept;
}

enum err
family_scale(struct family *f, unsigned workers)
{
	enum err e = ERR_OK;

	if (!settings_runs(f->settings, SERVICE_ID_worker))
		return ERR_NOT_FOUND;
	for (unsigned n = 1; n <= workers && e == ERR_OK; n++)
		if (find_member(f, SERVICE_ID_worker, n) == NULL ||
		    find_member(f, SERVICE_ID_worker, n)->surplus)
			e = add(f, SERVICE_ID_worker, n);
	for (size_t i = f->nchildren; i-- > 0;)
		if (f->children[i]->id == SERVICE_ID_worker &&
		    f->children[i]->number > workers)
			make_surplus(f->children[i]);
	f->settings->conf.workers = workers;
	return e;
}

/* The children that the configuration asks for. */
static enum err
arrange(struct family *f)
{
	enum err e = ERR_OK;

	for (enum service_id id = 0; id < SERVICE_IDS && e == ERR_OK; id++) {
		bool runs = settings_runs(f->settings, id);

		if (service_kind(id)->many && runs)
			e = family_scale(f,
			    (unsigned)f->settings->conf.workers);
		else if (runs && find_member(f, id, 0) == NULL)
			e = add(f, id, 0);
		for (size_t i = 0; i < f->nchildren && !runs; i++)
			if (f->children[i]->id == id)
				make_surplus(f->children[i]);
	}
	return e;
}

/* --- the plan, once per turn -------------------------------------------- */

static size_t
rows_of(const struct family *f, struct plan_row rows[FAMILY_MAX])
{
	for (size_t i = 0; i < f->nchildren; i++) {
		const struct service_kind *kind =
		    service_kind(f->children[i]->id);

		rows[i] = (struct plan_row){ &f->children[i]->service,
			kind->rank, kind->retires };
	}
	return f->nchildren;
}

enum plan_state
family_state(const struct family *f)
{
	struct plan_row rows[FAMILY_MAX];

	return plan_state(rows, rows_of(f, rows), f->stopping);
}

bool
family_is_down(const struct family *f)
{
	struct plan_row rows[FAMILY_MAX];

	return f->stopping &&
	    (f->abandons || plan_is_down(rows, rows_of(f, rows)));
}

static void
start_what_may(struct family *f)
{
	struct plan_row rows[FAMILY_MAX];
	size_t          n = rows_of(f, rows);

	for (size_t i = 0; i < n; i++)
		if (settings_know(f->settings, f->children[i]->id) &&
		    plan_may_go(rows, n, i, loop_now(f->loop)) &&
		    !has_remains(f, f->children[i]))
			child_step(f->children[i], SERVICE_GO);
}

static void
stop_what_must(struct family *f)
{
	struct plan_row    rows[FAMILY_MAX];
	size_t             n = rows_of(f, rows);
	enum service_input input;

	for (size_t i = n; i-- > 0;) {
		struct child *c = f->children[i];
		uint64_t      share = service_kind(c->id)->stop_by;

		if (!plan_stop(rows, n, i, &input))
			continue;
		child_step(c, input);
		child_hasten(c,
		    f->stop_at_ms + f->settings->conf.stop_ms * share / 100);
	}
}

static bool
is_replaced(const struct child *c)
{
	return c->service.generation > c->roll_from &&
	    (c->service.state == SERVICE_READY ||
	        c->service.state == SERVICE_DEGRADED);
}

/* The new one did not come up, and not by chance. */
static bool
roll_failed(const struct child *c)
{
	enum service_state s = c->service.state;

	return s == SERVICE_FAILED || !c->service.wanted ||
	    (s == SERVICE_BACKOFF &&
	        c->service.generation >= c->roll_from + ROLL_TRIES);
}

static void
cancel_roll(struct family *f)
{
	for (size_t i = 0; i < f->nchildren; i++)
		f->children[i]->rolls = false;
	f->rolling = NULL;
}

static enum service_restart
restart_of(const struct conf *c, enum service_id id)
{
	struct slice word = conf_restart(c->restart, service_kind(id)->name);

	return slice_is(word, "never") ? SERVICE_NOT_AGAIN
	    : slice_is(word, "on-failure") ? SERVICE_ON_FAILURE
	                                   : SERVICE_ALWAYS;
}

static void
take_limits(struct family *f)
{
	const struct conf *c = &f->settings->conf;

	for (enum service_id id = 0; id < SERVICE_IDS; id++)
		f->limits[id] = (struct service_limits){
			.ready_ms = c->ready_ms,
			.watchdog_ms = c->watchdog_ms,
			/* one event may take so long */
			.drain_ms = c->event_timeout_ms + 1000,
			.stop_ms = c->stop_ms,
			.restart = restart_of(c, id),
			.ends_max = (unsigned)c->restarts,
		};
}

static void
roll(struct child *c)
{
	c->rolls = true;
	c->roll_from = c->service.generation;
}

/* Replaces those whose environment would be another now: one by one, or all
 * at once. */
static void
renew(struct family *f, bool secret_changed, bool rolling)
{
	struct buf env = { 0 };

	for (size_t i = 0; i < f->nchildren; i++) {
		struct child *c = f->children[i];
		bool          holds = settings_vault(f->settings, c->id) >= 0;

		if (!service_alive(&c->service))
			continue;
		buf_reset(&env);
		settings_environment(f->settings, c->id, c->name,
		    SPAWN_SOCKET_FD, holds ? SPAWN_SECRET_FD : -1, &env);
		if (slice_eq(buf_slice(&env), buf_slice(&c->environment)) &&
		    !(holds && secret_changed))
			continue;
		log_info("family.renew", KV("name", c->name));
		if (rolling)
			roll(c);
		else
			child_step(c, SERVICE_RESTART);
	}
	buf_free(&env);
}

/* What a reload has brought does not work: what was there before does. */
static void
take_back(struct family *f, struct child *failed)
{
	bool changed = false;
	char why[CHILD_REMEDY_MAX + 100];

	snprintf(why, sizeof why, "%s did not become ready with what was read "
	    "last%s%s", failed->name,
	    failed->last_line[0] != '\0' ? " and said: " : "",
	    failed->last_line);
	settings_note_trouble(f->settings, why);
	settings_take_back(f->settings, &changed);
	take_limits(f);
	log_error("family.taken_back", KV("name", failed->name),
	    KV("why", "it does not become ready with the new configuration; "
	              "the old one is in force again"),
	    KV("remedy", "see what it said, correct it, and reload"));
	arrange(f);
	renew(f, changed, true);
	if (!service_alive(&failed->service) && failed->service.wanted)
		child_step(failed, SERVICE_START);
}

static void
roll_on(struct family *f)
{
	struct child *c = f->rolling;

	if (c != NULL && roll_failed(c)) {
		log_warn("family.roll", KV("name", c->name),
		    KV("why", "the new process did not become ready; the "
		              "others are not touched"));
		cancel_roll(f);
		if (f->settings->has_was)
			take_back(f, c);
		return;
	}
	if (c != NULL && !is_replaced(c))
		return;
	if (c != NULL)
		c->rolls = false;
	f->rolling = NULL;
	for (size_t i = 0; i < f->nchildren; i++)
		if (f->children[i]->rolls) {
			f->rolling = f->children[i];
			child_step(f->rolling, SERVICE_RESTART);
			return;
		}
	settings_keep(f->settings); /* all that it changed is ready */
}

bool
family_rolls(const struct family *f)
{
	for (size_t i = 0; i < f->nchildren; i++)
		if (f->children[i]->rolls)
			return true;
	return f->rolling != NULL;
}

void
family_roll(struct family *f, struct slice name)
{
	for (size_t i = 0; i < f->nchildren; i++) {
		struct child *c = f->children[i];

		if (family_matches(c, name) && !c->rolls && !c->surplus)
			roll(c);
	}
}

/* Up, even if somebody has a lack to report: that is for status to show, and
 * no reason for whoever started us to give up. */
static void
note_up(struct family *f)
{
	struct plan_row rows[FAMILY_MAX];
	char           *url;

	if (f->was_up || !plan_is_up(rows, rows_of(f, rows)))
		return;
	f->was_up = true;
	log_info("family.up", KV("children", f->nchildren),
	    KV("state", plan_state_name(family_state(f))),
	    KV("ms", loop_now(f->loop) - f->opened_ms));
	if ((url = settings_chat_url(f->settings)) != NULL) {
		printf("rookery: chat with the bot at %s\n", url);
		fflush(stdout);
	}
	free(url);
}

void
family_turn(struct family *f)
{
	drop_surplus(f);
	if (f->stopping) {
		stop_what_must(f);
		return;
	}
	roll_on(f);
	start_what_may(f);
	note_up(f);
}

/* --- stopping ----------------------------------------------------------- */

/* Out of order: each told now, and forced after this time. */
static void
stop_all(struct family *f, uint64_t grace_ms)
{
	uint64_t until = loop_now(f->loop) + grace_ms;

	for (size_t i = 0; i < f->nchildren; i++) {
		child_step(f->children[i], SERVICE_STOP);
		child_hasten(f->children[i], until);
	}
}

/* What the kernel does not let go of must not keep us: whoever waits for us
 * has a limit of its own. */
static void
on_stop_abandon(void *self)
{
	struct family *f = self;

	f->abandons = true;
	for (size_t i = 0; i < f->nchildren; i++)
		if (f->children[i]->pid != 0)
			log_error("family.stuck",
			    KV("name", f->children[i]->name),
			    KV("pid", (int)f->children[i]->pid));
}

static void
on_stop_late(void *self)
{
	struct family *f = self;

	stop_all(f, 0);
	loop_after(f->loop, &f->stop_late, SERVICE_KILL_MS, on_stop_abandon,
	    f);
}

void
family_stop(struct family *f)
{
	if (f->stop_signals++ > 0) {
		log_info("family.hurry", KV("signals", f->stop_signals));
		stop_all(f, f->stop_signals > 2 ? 0 : HURRY_MS);
		return;
	}
	f->stopping = true;
	f->stop_at_ms = loop_now(f->loop);
	loop_cancel(f->loop, &f->sim_wait);
	cancel_roll(f);
	log_info("family.stop", KV("within_ms", f->settings->conf.stop_ms));
	loop_after(f->loop, &f->stop_late, f->settings->conf.stop_ms,
	    on_stop_late, f);
	stop_what_must(f);
}

/* Give up as a whole: nothing can work. */
static void
give_up(struct family *f, enum err why)
{
	f->failed = why;
	if (!f->stopping)
		family_stop(f);
}

/* --- the simulator ------------------------------------------------------ */

static void
load_sim(struct family *f)
{
	bool     changed = false;
	enum err e = settings_load_sim(f->settings, &changed);

	if (e != ERR_OK)
		give_up(f, e);
	else
		renew(f, changed, false);
}

static void
on_look_for_sim(void *self)
{
	struct family *f = self;
	uint64_t       waited = loop_now(f->loop) - f->sim_since_ms;

	if (settings_sim_is_there(f->settings)) {
		load_sim(f);
	} else if (waited < f->settings->conf.ready_ms) {
		loop_after(f->loop, &f->sim_wait, SIM_LOOK_MS,
		    on_look_for_sim, f);
	} else {
		log_error("config.bad", KV("setting", "QQ_APP_ID"),
		    KV("why", "is not set, and no simulator has left its file"),
		    KV("file", f->settings->sim_env),
		    KV("remedy", "set QQ_APP_ID and QQ_CLIENT_SECRET, or "
		                 "start the simulator (ROOKERY_SERVICES=sim) "
		                 "with the same ROOKERY_SIM_DIR"));
		give_up(f, ERR_CONFIG);
	}
}

/* A simulator that is not ours leaves its file when it likes. */
static enum err
await_sim(struct family *f)
{
	const struct settings *s = f->settings;

	if (!s->needs_sim || s->runs_sim || s->has_sim)
		return ERR_OK;
	log_info("family.wait_sim", KV("file", s->sim_env),
	    KV("ms", f->settings->conf.ready_ms));
	f->sim_since_ms = loop_now(f->loop);
	return loop_after(f->loop, &f->sim_wait, 0, on_look_for_sim, f);
}

/* --- what happened ------------------------------------------------------ */

static void
tell_level(struct child *c, enum log_level level)
{
	struct msg_log_level m = { .level = slice_of(log_level_name(level)) };

	child_tell(c, MSG_log_level, &m);
}

void
family_changed(struct family *f, struct child *c, enum service_state was)
{
	enum service_state is = c->service.state;
	char               remedy[CHILD_REMEDY_MAX];

	bool ready = was == SERVICE_STARTING &&
	    (is == SERVICE_READY || is == SERVICE_DEGRADED);

	if (ready && c->id == SERVICE_ID_sim)
		load_sim(f);
	if (ready && f->has_level)
		tell_level(c, f->log_level);
	if (is == SERVICE_FAILED)
		log_error("child.failed", KV("name", c->name),
		    KV("remedy", child_remedy(c, remedy, sizeof remedy)));
	/* Nothing can work without it, so the person at the terminal is told
	 * at once. */
	if (c->id == SERVICE_ID_sim && is == SERVICE_FAILED &&
	    !f->settings->has_sim)
		give_up(f, ERR_CONFIG);
	if (f->listener.changed != NULL)
		f->listener.changed(f->listener.self, c, was);
	/* For whoever restarts us as a whole. */
	if (is == SERVICE_FAILED && f->failed == ERR_OK &&
	    strcmp(f->settings->conf.on_failed, "exit") == 0)
		give_up(f, c->service.tripped ? ERR_SYSTEM : ERR_CONFIG);
}

/* gatewayd takes a dead worker's events back at once. */
void
family_lost(struct family *f, struct child *c, pid_t pid)
{
	char            how[64];
	struct msg_gone gone = { .name = slice_of(c->name),
		.pid = (uint64_t)pid,
		.how = slice_of(child_last_exit(c, how, sizeof how)) };
	struct child   *gateway = find_member(f, SERVICE_ID_gateway, 0);

	c->ended_pid = pid;
	kin_kill(&f->kin, c->name, pid, is_child, f);
	if (c->id == SERVICE_ID_worker && gateway != NULL)
		child_tell(gateway, MSG_gone, &gone);
}

static void
set_level(struct family *f, enum log_level level)
{
	log_set_level(level);
	for (size_t i = 0; i < f->nchildren; i++)
		tell_level(f->children[i], level);
}

void
family_log_level(struct family *f, enum log_level level)
{
	f->has_level = true;
	f->log_level = level;
	set_level(f, level);
}

/* The child itself, or a process in its session, as it leads one. */
static void
on_notified(void *self, pid_t pid, struct slice words, struct notify_fds *fds)
{
	struct family *f = self;
	struct child  *c = find_pid(f, pid);
	pid_t          leader = c == NULL ? getsid(pid) : 0;

	if (c == NULL && leader > 0)
		c = find_pid(f, leader);
	if (c != NULL)
		child_words(c, words, fds);
}

static void
on_child_signal(void *self, int signal)
{
	struct family *f = self;

	(void)signal;
	for (;;) {
		siginfo_t     si = { 0 };
		struct child *c;

		/* Looked at first, so that the number stays taken. */
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    si.si_pid == 0)
			return;
		if ((c = find_pid(f, si.si_pid)) != NULL) {
			child_reap(c, &si);
			continue;
		}
		if (f->trial.pid == si.si_pid) {
			f->trial.pid = 0;
			f->trial.ended = true;
			f->trial.how = si;
		} else {
			f->strangers++; /* an orphan, left to us */
			kin_reaped(&f->kin, si.si_pid);
		}
		waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
	}
}

/* --- configuration ------------------------------------------------------ */

enum err
family_reload(struct family *f)
{
	struct msg_reload reload = { .reason = SLICE("asked to") };
	enum log_level    level;
	bool              changed = false;
	enum err          e = settings_reload(f->settings, &changed);

	if (e != ERR_OK) {
		log_error("family.reload", KV("err", err_name(e)),
		    KV("why", "the configuration has problems; the old one "
		              "stays in force"));
		return e;
	}
	if ((e = output_reopen(f->output, &f->settings->conf)) != ERR_OK) {
		settings_note_trouble(f->settings,
		    "ROOKERY_LOG_PATH cannot be written (rookery logs)");
		settings_take_back(f->settings, &changed);
		take_limits(f);
		renew(f, changed, true); /* of a reload before this one */
		return e;
	}
	take_limits(f);
	f->has_level = false;
	if (log_level_of(slice_of(f->settings->conf.log_level), &level))
		set_level(f, level);
	if ((e = arrange(f)) != ERR_OK || (e = await_sim(f)) != ERR_OK)
		return e;
	renew(f, changed, true);
	for (size_t i = 0; i < f->nchildren; i++) {
		struct child *c = f->children[i];

		if (c->service.state == SERVICE_FAILED && c->service.wanted)
			child_step(c, SERVICE_START);
		else
			child_tell(c, MSG_reload, &reload);
	}
	log_info("family.reload", KV("children", f->nchildren));
	return ERR_OK;
}

/* --- life --------------------------------------------------------------- */

/* Our predecessor may have left a signal unanswered, and it may have seen the
 * simulator's file. */
static enum err
resume(struct family *f, const struct json *state)
{
	bool     changed = false;
	int64_t  vault = -1;
	enum err e = handover_family(f, state);

	json_int_at(state, "vault", &vault);
	settings_resume(f->settings, (int)vault);
	if (e == ERR_OK && f->settings->needs_sim &&
	    settings_sim_is_there(f->settings))
		e = settings_load_sim(f->settings, &changed);
	if (e != ERR_OK)
		return e;
	if (f->has_level)
		log_set_level(f->log_level);
	on_child_signal(f, SIGCHLD);
	log_info("family.resume", KV("children", f->nchildren),
	    KV("generation", f->generation));
	return await_sim(f);
}

enum err
family_open(struct family *f, struct loop *loop, struct settings *settings,
    struct output *output, uint64_t files, const struct json *state)
{
	int64_t  notify = -1;
	enum err e;

	json_int_at(state, "notify", &notify);
	*f = (struct family){ .loop = loop, .settings = settings,
		.output = output, .files = files, .opened_ms = loop_clock_ms() };
	take_limits(f);
	f->oom_kills = f->oom_before = vitals_oom_kills();
	f->generation = 1;
	kin_open(&f->kin, settings->conf.run_dir, state == NULL);
	f->bin_dir = proc_bin_dir();
	f->scratch = malloc(FAMILY_SCRATCH);
	if (f->bin_dir == NULL || f->scratch == NULL)
		return ERR_NOMEM;
	if ((e = loop_signal(loop, SIGCHLD, on_child_signal, f)) != ERR_OK ||
	    (e = notify_open(&f->notify, loop, settings->conf.run_dir,
	         (int)notify, on_notified, f)) != ERR_OK)
		return e;
	if (state != NULL)
		return resume(f, state);
	return (e = arrange(f)) != ERR_OK ? e : await_sim(f);
}

void
family_close(struct family *f)
{
	if (f->loop == NULL)
		return;
	loop_cancel(f->loop, &f->sim_wait);
	loop_cancel(f->loop, &f->stop_late);
	for (size_t i = 0; i < f->nchildren; i++)
		child_free(&f->children[i]);
	f->nchildren = 0;
	kin_kill_orphans(&f->kin, is_child, f);
	kin_close(&f->kin);
	notify_close(&f->notify);
	free(f->bin_dir);
	free(f->scratch);
}
