/*
 * rookeryd: starts the daemons, watches them, replaces them, stops them.  Part
 * of every event's way only by keeping that way there: it sees no event, and
 * what it knows of a child is what the child reports.
 */
#include <sys/prctl.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handover.h"
#include "log.h"
#include "proc.h"
#include "spawn.h"
#include "upgrade.h"

struct rookeryd {
	struct loop    *loop;
	bool            has_terminal;
	struct settings settings;
	struct proc     proc;
	struct output   output;
	struct family   family;
	struct control  control;
	struct upgrade  upgrade;
	struct json    *left;       /* by the program before us, or NULL */
	int             lock;
	uint64_t        files;      /* descriptors we were started with */
};

struct options {
	bool sim;
	int  resume, try;           /* descriptor of a state, or -1 */
};

static const char usage[] =
    "usage: rookeryd [--sim]\n"
    "  --sim      run the simulator, and talk to it instead of the platform\n"
    "  --help     this text\n"
    "  --version  the version\n"
    "Settings are in rookery.env(5), the rest in rookeryd(8).\n";

/* -1: go on; else the exit status.  try and resume are for upgrade.c. */
static int
read_options(int argc, char *argv[], struct options *given)
{
	static const struct option options[] = {
		{ "sim", no_argument, NULL, 's' },
		{ "try", required_argument, NULL, 't' },
		{ "resume", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (o == 's') {
			given->sim = true;
		} else if (o == 't') {
			given->try = atoi(optarg);
		} else if (o == 'r') {
			given->resume = atoi(optarg);
		} else if (o == 'h') {
			fputs(usage, stdout);
			return EXIT_DONE;
		} else if (o == 'V') {
			puts("rookery " ROOKERY_VERSION);
			return EXIT_DONE;
		} else {
			fputs(usage, stderr);
			return EXIT_USAGE_ERROR;
		}
	}
	if (optind == argc)
		return -1;
	fputs(usage, stderr);
	return EXIT_USAGE_ERROR;
}

/* --- signals ------------------------------------------------------------ */

static void
on_stop(void *self, int signal)
{
	struct rookeryd *r = self;

	log_info("rookeryd.signal", KV("signal", signal));
	family_stop(&r->family);
}

/* One that our session belongs to, and not only one to write to. */
static bool
has_terminal(void)
{
	int tty = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	if (tty >= 0)
		close(tty);
	return tty >= 0;
}

/* From a person it means reload; from a terminal that was closed, the end. */
static void
on_hangup(void *self, int signal)
{
	struct rookeryd *r = self;

	if (r->has_terminal && !has_terminal())
		on_stop(r, signal);
	else
		family_reload(&r->family);
}

/* --- life --------------------------------------------------------------- */

/* One per run folder.  The file names who holds it. */
static enum err
lock(const char *run_dir, int *held)
{
	char    *path = conf_path(run_dir, "rookeryd.lock"), text[32] = "";
	enum err e = path != NULL ? proc_lock(path, held) : ERR_NOMEM;
	int      fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	ssize_t  n;

	if (e == ERR_BUSY && fd >= 0) {
		n = read(fd, text, sizeof text - 1);
		text[n > 0 ? n : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		log_error("rookeryd.busy", KV("run_dir", run_dir),
		    KV("pid", text),
		    KV("why", "a supervisor runs here already"),
		    KV("remedy", "rookery stop, or set another "
		                 "ROOKERY_RUN_DIR"));
	} else if (e == ERR_SYSTEM) {
		log_error("rookeryd.lock", KV("file", path),
		    KV("why", strerror(errno)),
		    KV("remedy", "remove it if another user has left it, or "
		                 "set another ROOKERY_RUN_DIR"));
	} else if (e == ERR_OK && fd >= 0) {
		n = snprintf(text, sizeof text, "%d\n", (int)getpid());
		if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)n) != n)
			e = ERR_SYSTEM;
	}
	if (fd >= 0)
		close(fd);
	free(path);
	return e;
}

static void
tell_what_runs(const struct settings *s)
{
	if (s->runs_sim && settings_have_bot(s))
		log_warn("rookeryd.simulator",
		    KV("why", "asked for: the configured bot is not used"));
	else if (s->runs_sim)
		log_info("rookeryd.simulator",
		    KV("why", "no QQ_APP_ID is set: the simulator plays the "
		              "platform"),
		    KV("remedy", "for a real bot set QQ_APP_ID and "
		                 "QQ_CLIENT_SECRET"));
	for (size_t i = 0; i < s->conf.nbots; i++)
		if (!s->needs_sim)
			log_info("rookeryd.bot",
			    KV("app_id", s->conf.bots[i].qq_app_id));
}

/* It is ours already if we take somebody's place. */
static enum err
take_lock(struct rookeryd *r)
{
	int64_t fd;

	if (r->left == NULL)
		return lock(r->settings.conf.run_dir, &r->lock);
	if (!json_int_at(r->left, "lock", &fd))
		return ERR_SYNTAX;
	r->lock = (int)fd;
	handover_keep(r->left, false);
	return ERR_OK;
}

static enum err
open_all(struct rookeryd *r)
{
	const struct conf *c = &r->settings.conf;
	enum err           e;

	r->has_terminal = has_terminal() &&
	    (isatty(STDIN_FILENO) || isatty(STDERR_FILENO));
	if ((e = proc_make_dir("ROOKERY_RUN_DIR", c->run_dir, 0750)) != ERR_OK ||
	    (e = proc_make_dir("ROOKERY_STATE_DIR", c->state_dir, 0700)) != ERR_OK ||
	    (e = take_lock(r)) != ERR_OK ||
	    (e = loop_new(&r->loop)) != ERR_OK ||
	    (e = proc_open(&r->proc, r->loop, c, NULL, NULL)) != ERR_OK)
		return e;
	/* proc's handler would only stop this process. */
	if ((e = loop_signal(r->loop, SIGTERM, on_stop, r)) != ERR_OK ||
	    (e = loop_signal(r->loop, SIGINT, on_stop, r)) != ERR_OK ||
	    (e = loop_signal(r->loop, SIGHUP, on_hangup, r)) != ERR_OK)
		return e;
	/* Orphans of our children are ours to reap, whatever pid we have. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return ERR_SYSTEM;
	if ((e = output_open(&r->output, r->loop, c)) != ERR_OK)
		return e;
	if (r->left == NULL)
		tell_what_runs(&r->settings);
	if ((e = family_open(&r->family, r->loop, &r->settings, &r->output,
	         r->files, r->left)) != ERR_OK ||
	    (e = control_open(&r->control, &r->family, r->loop, c->run_dir,
	         r->left)) != ERR_OK)
		return e;
	upgrade_open(&r->upgrade, &r->family, &r->control, r->lock);
	json_free(&r->left);
	return ERR_OK;
}

static enum err
run(struct rookeryd *r)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && !family_is_down(&r->family)) {
		family_turn(&r->family);
		control_turn(&r->control);
		upgrade_turn(&r->upgrade);
		output_flush(&r->output);
		if (r->family.was_up)
			proc_ready(&r->proc);
		if (r->family.stopping)
			proc_stop(&r->proc);
		if (!family_is_down(&r->family))
			e = loop_turn(r->loop, -1, NULL);
	}
	return e != ERR_OK ? e : r->family.failed;
}

static void
close_all(struct rookeryd *r)
{
	upgrade_close(&r->upgrade);
	json_free(&r->left);
	status_hide(&r->control.status);
	family_close(&r->family);
	output_close(&r->output);
	/* Whoever waits for our end may start the next one when it hears of
	 * it. */
	if (r->lock >= 0)
		close(r->lock);
	control_close(&r->control);
	proc_close(&r->proc);
	loop_free(&r->loop);
	settings_close(&r->settings);
}

/* A container that offers the simulator beside a bot that needs none. */
static bool
is_needless(const struct settings *s)
{
	return strcmp(s->conf.services, "sim") == 0 && !s->asked_sim &&
	    settings_have_bot(s);
}

int
main(int argc, char *argv[])
{
	struct rookeryd r = { .lock = -1 };
	struct options  given = { false, -1, -1 };
	int             status = read_options(argc, argv, &given);
	int             state = given.try >= 0 ? given.try : given.resume;
	enum err        e;

	if (status >= 0)
		return status;
	log_open("rookeryd", LOG_INFO, false);
	proc_guard();
	/* Four per child: 256 workers need more than the usual 1024. */
	r.files = spawn_files(SPAWN_FILES_ALL);
	if (state >= 0 && (e = handover_read(state, &r.left)) != ERR_OK) {
		log_error("rookeryd.state", KV("err", err_name(e)),
		    KV("why", "another version wrote it, or nobody did"));
		return proc_leave(e);
	}
	if (given.try >= 0)
		return upgrade_try(r.left);
	if ((e = settings_open(&r.settings, given.sim)) == ERR_OK) {
		proc_log(&r.settings.conf, "rookeryd");
		if (r.left == NULL && is_needless(&r.settings)) {
			log_info("rookeryd.needless",
			    KV("why", "QQ_APP_ID is set: no simulator is "
			              "needed"));
		} else if ((e = open_all(&r)) == ERR_OK) {
			e = run(&r);
		}
	}
	close_all(&r);
	return proc_leave(e);
}
