/*
 * The trial of a new program, and the exec.
 */
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handover.h"
#include "log.h"
#include "proc.h"
#include "spawn.h"

void
upgrade_open(struct upgrade *u, struct family *f, struct control *ctl, int lock)
{
	*u = (struct upgrade){ .family = f, .control = ctl, .lock = lock };
}

void
upgrade_close(struct upgrade *u)
{
	if (u->family != NULL && u->family->loop != NULL)
		loop_cancel(u->family->loop, &u->late);
	free(u->path);
	u->path = NULL;
}

static void
refuse(struct upgrade *u, const char *why)
{
	log_error("upgrade.refused", KV("program", u->path), KV("why", why));
	control_upgraded(u->control, why);
	upgrade_close(u);
}

/* --- the trial ---------------------------------------------------------- */

static void
on_late(void *self)
{
	struct upgrade *u = self;

	u->refused = true;
	if (u->family->trial.pid > 0)
		kill(u->family->trial.pid, SIGKILL);
}

/* Of our descriptors it gets the state and the secret it will find named in
 * its environment. */
static int
start_trial(struct upgrade *u, int state)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t          attr;
	sigset_t                   none;
	char  name[] = "rookeryd", try[] = "--try", fd[16];
	char *argv[] = { name, try, fd, NULL };
	int   secret = settings_named_vault(u->family->settings), e;

	snprintf(fd, sizeof fd, "%d", state);
	sigemptyset(&none);
	if ((e = posix_spawn_file_actions_init(&fa)) != 0)
		return e;
	if ((e = posix_spawnattr_init(&attr)) == 0) {
		posix_spawnattr_setsigmask(&attr, &none);
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
		/* the same number: it is no longer close-on-exec */
		e = posix_spawn_file_actions_adddup2(&fa, state, state);
		if (e == 0 && secret >= 0)
			e = posix_spawn_file_actions_adddup2(&fa, secret,
			    secret);
		if (e == 0)
			e = posix_spawn(&u->family->trial.pid, u->path, &fa,
			    &attr, argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&fa);
	return e;
}

static void
begin(struct upgrade *u)
{
	struct family *f = u->family;
	int            state = -1, e;

	u->refused = false;
	f->trial.ended = false;
	u->path = conf_path(f->bin_dir, "rookeryd");
	if (u->path == NULL ||
	    handover_write(f, u->control, u->lock, &state) != ERR_OK) {
		refuse(u, "its state cannot be written down");
		return;
	}
	log_info("upgrade.try", KV("program", u->path));
	e = start_trial(u, state);
	close(state);
	if (e != 0) {
		f->trial.pid = 0;
		refuse(u, strerror(e));
		return;
	}
	loop_after(f->loop, &u->late, f->settings->conf.ready_ms, on_late, u);
}

int
upgrade_try(struct json *state)
{
	struct settings s;
	enum err        e = settings_open(&s, false);

	settings_close(&s);
	json_free(&state);
	return proc_leave(e);
}

/* --- the exec ----------------------------------------------------------- */

static void
replace_us(struct upgrade *u)
{
	struct family *f = u->family;
	struct json   *doc = NULL;
	char  name[] = "rookeryd", resume[] = "--resume", fd[16];
	char  sim[] = "--sim";
	char *argv[] = { name, resume, fd,
		f->settings->asked_sim ? sim : NULL, NULL };
	char  why[80];
	int   state = -1, copy = -1;

	log_info("upgrade.go", KV("program", u->path));
	log_flush();
	/* what is not taken now is left to the next */
	output_flush(f->output);
	/* read again, for what must stay open, from another descriptor */
	if (handover_write(f, u->control, u->lock, &state) != ERR_OK ||
	    (copy = fcntl(state, F_DUPFD_CLOEXEC, 0)) < 0 ||
	    handover_read(copy, &doc) != ERR_OK) {
		if (state >= 0)
			close(state);
		refuse(u, "its state cannot be written down");
		return;
	}
	snprintf(fd, sizeof fd, "%d", state);
	handover_keep(doc, true);
	fcntl(state, F_SETFD, 0);
	spawn_files(f->files);
	output_give_back(f->output);
	execve(u->path, argv, environ);
	snprintf(why, sizeof why, "%s", strerror(errno));
	spawn_files(SPAWN_FILES_ALL);
	output_reopen(f->output, &f->settings->conf);
	handover_keep(doc, false);
	close(state);
	json_free(&doc);
	refuse(u, why);
}

void
upgrade_turn(struct upgrade *u)
{
	struct family *f = u->family;
	char           why[80];

	if (u->path == NULL) {
		if (control_wants_upgrade(u->control))
			begin(u);
		return;
	}
	if (!f->trial.ended)
		return;
	loop_cancel(f->loop, &u->late);
	if (f->stopping) {
		refuse(u, "the system stops");
	} else if (family_rolls(f)) {
		refuse(u, "a rolling restart is under way");
	} else if (u->refused) {
		refuse(u, "it was tried, and did not end");
	} else if (f->trial.how.si_code != CLD_EXITED ||
	    f->trial.how.si_status != 0) {
		snprintf(why, sizeof why, "it was tried, and ended with %s %d",
		    f->trial.how.si_code == CLD_EXITED ? "status" : "signal",
		    f->trial.how.si_status);
		refuse(u, why);
	} else {
		replace_us(u);
	}
}
