/*
 * A child for the supervisor's tests, good or bad as the file NAME.behave
 * beside the program says (worker-1.behave for worker/1), one word per line.
 * It is built under the names of the real daemons.
 */
#include <sys/stat.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "proc.h"

struct fake {
	struct loop *loop;
	struct proc  proc;
	struct conf  conf;
	char         behave[256];
	char        *dir;
};

static bool
behaves(const struct fake *f, const char *word)
{
	const char *p = f->behave;
	size_t      n = strlen(word);

	for (; (p = strstr(p, word)) != NULL; p += n)
		if ((p == f->behave || p[-1] == '\n') &&
		    (p[n] == '\n' || p[n] == ' '))
			return true;
	return false;
}

static void
put_file(const struct fake *f, const char *kind, const char *text)
{
	char  path[512], name[64];
	FILE *to;

	snprintf(name, sizeof name, "%s", f->conf.child_name);
	for (char *p = name; *p != '\0'; p++)
		if (*p == '/')
			*p = '-';
	snprintf(path, sizeof path, "%s/%s.%s", f->dir, name, kind);
	if ((to = fopen(path, "a")) == NULL)
		return;
	fputs(text, to);
	fclose(to);
}

static void
read_behaviour(struct fake *f)
{
	char    path[512], name[64];
	int     fd;
	ssize_t n;

	snprintf(name, sizeof name, "%s", f->conf.child_name);
	for (char *p = name; *p != '\0'; p++)
		if (*p == '/')
			*p = '-';
	snprintf(path, sizeof path, "%s/%s.behave", f->dir, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return;
	n = read(fd, f->behave, sizeof f->behave - 1);
	f->behave[n > 0 ? n : 0] = '\0';
	close(fd);
}

/* --- what the supervisor tells ------------------------------------------ */

static void
on_drain(void *self, msg_peer from, const struct msg_drain *m)
{
	struct fake *f = self;

	(void)from, (void)m;
	put_file(f, "heard", "drain\n");
	/* gatewayd stays for the acks of the workers that still run */
	if (strcmp(f->conf.child_name, "gateway") != 0)
		proc_stop(&f->proc);
}

static void
on_reload(void *self, msg_peer from, const struct msg_reload *m)
{
	(void)from, (void)m;
	put_file(self, "heard", "reload\n");
}

static void
on_gone(void *self, msg_peer from, const struct msg_gone *m)
{
	char text[80];

	(void)from;
	snprintf(text, sizeof text, "gone %.*s %llu\n", (int)m->name.n,
	    m->name.p, (unsigned long long)m->pid);
	put_file(self, "heard", text);
}

/* --- what it does before it is ready ------------------------------------ */

static void
write_sim_env(const struct fake *f)
{
	char  path[700], final[700];
	FILE *to;

	snprintf(path, sizeof path, "%s/sim", f->conf.state_dir);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/sim/sim.env.new", f->conf.state_dir);
	snprintf(final, sizeof final, "%s/sim/sim.env", f->conf.state_dir);
	if ((to = fopen(path, "w")) == NULL)
		return;
	fputs("QQ_APP_ID=102000001\nQQ_CLIENT_SECRET=simulated\n"
	      "QQ_API_URL=http://127.0.0.1:8484\n"
	      "QQ_TOKEN_URL=http://127.0.0.1:8484/app/getAppAccessToken\n",
	    to);
	fclose(to);
	rename(path, final);
}

/* What it was given: environment and descriptors, for the test to see. */
static void
tell_what_is_given(const struct fake *f)
{
	char line[1024];

	put_file(f, "given", "---\n");
	for (char **e = environ; *e != NULL; e++) {
		snprintf(line, sizeof line, "%s\n", *e);
		put_file(f, "given", line);
	}
	for (int fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0) {
			snprintf(line, sizeof line, "fd %d\n", fd);
			put_file(f, "given", line);
		}
	snprintf(line, sizeof line, "secret %zu\n",
	    f->conf.qq_client_secret.n);
	put_file(f, "given", line);
}

static void
leave_orphan(const struct fake *f, bool own_session)
{
	char text[40];

	if (fork() != 0)
		return;
	if (own_session)
		setsid();
	snprintf(text, sizeof text, "%d\n", (int)getpid());
	put_file(f, "orphan", text);
	signal(SIGTERM, SIG_IGN);
	for (;;)
		pause();
}

static void
misbehave_first(struct fake *f)
{
	if (behaves(f, "exit78")) {
		log_error("config.bad", KV("setting", "QQ_APP_ID"));
		_exit(EXIT_CONFIG);
	}
	if (behaves(f, "exit1"))
		_exit(1);
	if (behaves(f, "abort"))
		abort();
	if (behaves(f, "never-ready"))
		for (;;)
			pause();
	if (behaves(f, "deaf"))
		signal(SIGTERM, SIG_IGN);
	if (behaves(f, "orphan"))
		leave_orphan(f, false);
	if (behaves(f, "daemon"))
		leave_orphan(f, true);
	if (behaves(f, "grandchild-exits") && fork() == 0) {
		if (fork() == 0)
			_exit(0);   /* reaped by whoever inherits it */
		_exit(0);
	}
}

static void
misbehave_later(struct fake *f)
{
	static char noise[65536];

	log_flush(); /* its own lines come before */
	if (behaves(f, "flood"))
		for (int i = 0; i < 16 * 12; i++) {
			memset(noise, i % 7 == 0 ? 0xff : 'x', sizeof noise);
			if (i % 3 == 0)
				noise[100] = '\n';
			if (write(STDERR_FILENO, noise, sizeof noise) < 0)
				break;
		}
	if (behaves(f, "talk"))
		fputs("plain words\n\033[31mred\033[0m\nno line end", stderr);
	if (behaves(f, "degraded"))
		proc_report(&f->proc, SLICE("parked"),
		    SLICE("set QQ_CLIENT_SECRET right"), NULL);
	if (behaves(f, "garbage"))
		(void)!write((int)f->conf.child_fd, "not a message", 13);
	if (behaves(f, "die-after-ready"))
		_exit(1);
	if (behaves(f, "silent"))
		for (;;)
			pause();
	if (behaves(f, "freeze"))
		raise(SIGSTOP);
}

static void
report(struct fake *f)
{
	struct json *app = json_new_object(), *list = json_new_array();
	struct json *one = json_new_object();

	json_put_text(one, "bot", SLICE("102000001"));
	json_put_text(one, "shard", SLICE("0/1"));
	json_put_text(one, "state", SLICE("ready"));
	json_put_int(one, "seq", 42);
	json_push_take(list, one);
	json_put_take(app, "sessions", list);
	list = json_new_array();
	one = json_new_object();
	json_put_text(one, "name", SLICE("far/7"));
	json_put_text(one, "handler", SLICE("builtin:echo"));
	json_push_take(list, one);
	json_put_take(app, "workers", list);
	proc_report(&f->proc, SLICE("ready"), SLICE(""), app);
	json_free(&app);
}

int
main(int argc, char *argv[])
{
	static const struct msg_handlers takes = { .drain = on_drain,
		.reload = on_reload, .gone = on_gone };
	struct fake f = { .dir = proc_bin_dir() };
	const char *base = strrchr(argv[0], '/');
	enum err    e;

	(void)argc;
	base = base != NULL ? base + 1 : argv[0];
	log_open(base, LOG_INFO, false);
	e = conf_load(&f.conf,
	    strcmp(base, "apid") == 0 ? CONF_A
	        : strcmp(base, "gatewayd") == 0 ? CONF_G
	        : strcmp(base, "qqsim") == 0 ? CONF_Q : CONF_W);
	if (e != ERR_OK) {
		conf_log_problems(&f.conf);
		return proc_leave(e);
	}
	read_behaviour(&f);
	tell_what_is_given(&f);
	misbehave_first(&f);
	if ((e = loop_new(&f.loop)) != ERR_OK ||
	    (e = proc_open(&f.proc, f.loop, &f.conf, &takes, &f)) != ERR_OK)
		return proc_leave(e);
	if (strcmp(base, "qqsim") == 0)
		write_sim_env(&f);
	if (strcmp(base, "gatewayd") == 0)
		report(&f);
	proc_ready(&f.proc);
	log_info("fake.ready", KV("name", f.conf.child_name));
	misbehave_later(&f);
	while (e == ERR_OK && (!proc_stopping(&f.proc) || behaves(&f, "deaf")))
		e = loop_turn(f.loop, -1, NULL);
	put_file(&f, "heard", "end\n");
	proc_close(&f.proc);
	loop_free(&f.loop);
	conf_free(&f.conf);
	free(f.dir);
	return proc_leave(e);
}
