/*
 * The folder, the sockets, the settings and the process.  What the worker logs
 * is read as JSON: the words of its handler are shown, and what goes wrong.
 */
#include "stage.h"

#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handlers.h"
#include "proc.h"
#include "table.h"

enum { CHUNK = 65536, LEAVE_MS = 8000 };

static const char *const files[] = { "events.sock", "events.sock.lock",
	"api.sock", "api.sock.lock", "handlers" };

static enum status
complain(const char *what, const char *why, const char *remedy)
{
	fputs("rookery: ", stderr);
	table_put_clean(stderr, slice_of(what));
	fprintf(stderr, ": %s%s%s\n", why, remedy[0] != '\0' ? "\n  " : "",
	    remedy);
	return STATUS_FAILED;
}

/* --- the folder ------------------------------------------------------------------ */

static enum status
make_folder(struct stage *s)
{
	const char *base = getenv("TMPDIR");
	int         n = snprintf(s->dir, sizeof s->dir,
	    "%s/rookery-replay-XXXXXX",
	    base != NULL && base[0] == '/' ? base : "/tmp");

	if (n > 0 && (size_t)n < sizeof s->dir && mkdtemp(s->dir) != NULL)
		return STATUS_DONE;
	s->dir[0] = '\0';
	return complain("TMPDIR", "no folder can be made there",
	    strerror(errno));
}

static void
remove_folder(struct stage *s)
{
	for (size_t i = 0; s->dir[0] != '\0' &&
	     i < sizeof files / sizeof *files; i++) {
		char *path = conf_path(s->dir, files[i]);

		if (path != NULL)
			unlink(path);
		free(path);
	}
	if (s->dir[0] != '\0')
		rmdir(s->dir);
	s->dir[0] = '\0';
}

/* --- the handler ------------------------------------------------------------------- */

static void
on_problem(void *self, const char *where, const char *value, const char *why,
    const char *remedy)
{
	(void)self, (void)where;
	complain(value, why, remedy);
}

/* A list of one, so that no other list counts. */
static enum status
write_list(struct stage *s, char **path)
{
	struct buf  line = { 0 };
	FILE       *f;
	enum status status = STATUS_FAILED;

	buf_puts(&line, "handler replay ");
	for (const char *p = s->o.handler; *p != '\0'; p++)
		buf_putf(&line, "\\%c", *p);
	buf_puts(&line, "\n");
	if (strchr(s->o.handler, '\n') != NULL)
		status = complain("the handler", "has more than one line", "");
	else if (!line.failed &&
	    (*path = conf_path(s->dir, "handlers")) != NULL &&
	    (f = fopen(*path, "we")) != NULL) {
		status = fwrite(line.p, 1, line.n, f) == line.n
		    ? STATUS_DONE : STATUS_FAILED;
		if (fclose(f) != 0)
			status = STATUS_FAILED;
		if (status != STATUS_DONE)
			complain(*path, strerror(errno), "");
	}
	buf_free(&line);
	return status;
}

static enum status
check_list(struct stage *s, const char *path)
{
	struct handlers list = { 0 };
	struct conf     c = s->o.cli->conf;    /* on loan, but for the path */
	char           *mine = strdup(path);
	enum err        e = ERR_NOMEM;

	c.handlers_file = mine;
	if (mine != NULL)
		e = handlers_load(&list, &c, on_problem, NULL);
	if (e == ERR_OK)
		e = handlers_check(&list, &c, on_problem, NULL);
	handlers_free(&list);
	free(mine);
	return e == ERR_OK ? STATUS_DONE : STATUS_FAILED;
}

/* Its own settings, as rookeryd would give them, and ours in front. */
static void
environment(const struct stage *s, const char *list, struct buf *env)
{
	static const char *const names[] = { "PATH", "HOME", "LANG", "LC_ALL",
		"TZ" };
	const struct conf *c = &s->o.cli->conf;
	char               url[128];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (getenv(names[i]) != NULL)
			handlers_set(env, names[i], getenv(names[i]));
	for (size_t i = 0; i < CONF_COUNT; i++) {
		const struct conf_info *info = conf_info((enum conf_id)i);
		bool  ours = (info->readers & CONF_W) &&
		    (info->readers & CONF_C) && c->from[i] != NULL &&
		    strcmp(c->from[i], "default") != 0;
		char *value = ours ? conf_value(c, (enum conf_id)i) : NULL;

		if (value != NULL)
			handlers_set(env, info->name, value);
		free(value);
	}
	handlers_set(env, "ROOKERY_ENV_FILE", "");
	handlers_set(env, "ROOKERY_RUN_DIR", s->dir);
	handlers_set(env, "ROOKERY_KEYS_DIR", "");
	handlers_set(env, "ROOKERY_HANDLERS_FILE", list);
	handlers_set(env, "ROOKERY_HANDLER_WATCH", "no");
	handlers_set(env, "ROOKERY_LOG", "info");
	handlers_set(env, "ROOKERY_LOG_FORMAT", "json");
	snprintf(url, sizeof url, "ipc://%s/events.sock", s->dir);
	handlers_set(env, "ROOKERY_BUS_EVENTS", url);
	snprintf(url, sizeof url, "ipc://%s/api.sock", s->dir);
	handlers_set(env, "ROOKERY_BUS_API", url);
}

/* --- the worker --------------------------------------------------------------------- */

static void
on_log(struct stage *s, struct slice line)
{
	struct json *doc = NULL;
	struct slice event, level;

	if (json_parse(&doc, line) != ERR_OK) {
		s->o.on_words(s->o.self, line); /* a sanitizer, a library */
		return;
	}
	event = json_text_at(doc, "event");
	level = json_text_at(doc, "level");
	if (slice_is(event, "handler.stderr"))
		s->o.on_words(s->o.self, json_text_at(doc, "line"));
	else if (slice_is(level, "warn") || slice_is(level, "error"))
		s->o.on_trouble(s->o.self, event, json_text_at(doc, "why"),
		    slice_is(event, "handler.broken"));
	json_free(&doc);
}

/* false: its end. */
static bool
read_log(struct stage *s)
{
	char         chunk[CHUNK];
	ssize_t      n = read(s->worker.err, chunk, sizeof chunk);
	struct slice line;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0 ||
	    lines_put(&s->log, (struct slice){ chunk, (size_t)n }) != ERR_OK)
		return false;
	while (lines_next(&s->log, &line) == ERR_OK)
		on_log(s, line);
	return true;
}

static void
on_err(void *self, int fd, unsigned what)
{
	struct stage *s = self;

	(void)what;
	if (!read_log(s))
		loop_unwatch(s->o.loop, fd);
}

static void
let_go(struct stage *s)
{
	loop_unwatch(s->o.loop, s->worker.pidfd);
	loop_unwatch(s->o.loop, s->worker.err);
	close(s->worker.pidfd);
	close(s->worker.err);
	close(s->worker.from);
	s->worker = (struct piped){ 0 };
}

static void
on_ended(void *self, int fd, unsigned what)
{
	struct stage *s = self;
	int           status = 0;

	(void)fd, (void)what;
	read_log(s);
	waitpid(s->worker.pid, &status, 0);
	kill(-s->worker.pid, SIGKILL);
	let_go(s);
	s->o.on_end(s->o.self, status);
}

static enum status
start_worker(struct stage *s, const char *list)
{
	char       *dir = proc_bin_dir();
	char       *path = dir != NULL ? conf_path(dir, "workerd") : NULL;
	char        name[] = "workerd", *argv[] = { name, NULL };
	struct buf  env = { 0 };
	enum status status = STATUS_FAILED;

	environment(s, list, &env);
	if (path != NULL && !env.failed &&
	    piped_start(&(struct piped_order){ .path = path, .argv = argv,
	        .env = &env, .dir = "" }, &s->worker) == ERR_OK) {
		close(s->worker.to);
		status = STATUS_DONE;
	} else {
		s->worker = (struct piped){ 0 };
		complain(path != NULL ? path : "workerd", strerror(errno), "");
	}
	if (status == STATUS_DONE &&
	    (loop_watch(s->o.loop, s->worker.err, LOOP_READ, on_err, s) !=
	            ERR_OK ||
	        loop_watch(s->o.loop, s->worker.pidfd, LOOP_READ, on_ended,
	            s) != ERR_OK))
		status = complain("workerd", "cannot be watched", "");
	buf_free(&env);
	free(path);
	free(dir);
	return status;
}

static enum status
open_socket(struct stage *s, const char *name, enum msg_way sends,
    enum msg_way takes, const struct msg_handlers *handlers, struct bus **bus)
{
	char               url[128];
	struct bus_options o = { .side = BUS_SERVER, .url = url,
		.sends = sends, .takes = takes, .handlers = handlers,
		.self = s->o.self, .on_heard = s->o.on_heard };
	enum err           e;

	snprintf(url, sizeof url, "ipc://%s/%s", s->dir, name);
	e = bus_open(bus, s->o.loop, &o);
	return e == ERR_OK ? STATUS_DONE : complain(url, err_text(e), "");
}

enum status
stage_open(struct stage *s, const struct stage_options *o)
{
	char       *list = NULL;
	enum status status;

	*s = (struct stage){ .o = *o };
	if ((status = make_folder(s)) == STATUS_DONE &&
	    (status = write_list(s, &list)) == STATUS_DONE &&
	    (status = check_list(s, list)) == STATUS_DONE &&
	    (status = open_socket(s, "events.sock", MSG_EVENTS_DOWN,
	         MSG_EVENTS_UP, o->events, &s->events)) == STATUS_DONE &&
	    (status = open_socket(s, "api.sock", MSG_API_DOWN, MSG_API_UP,
	         o->api, &s->api)) == STATUS_DONE)
		status = start_worker(s, list);
	free(list);
	return status;
}

/* It may have handlers that do not leave: they have their time, and no more. */
static void
await_end(struct stage *s)
{
	uint64_t until = loop_clock_ms() + LEAVE_MS, now;
	bool     log = true;

	kill(s->worker.pid, SIGTERM);
	while ((now = loop_clock_ms()) < until) {
		struct pollfd f[] = { { s->worker.pidfd, POLLIN, 0 },
			{ log ? s->worker.err : -1, POLLIN, 0 } };

		poll(f, 2, (int)(until - now));
		if (f[1].revents != 0)
			log = read_log(s);
		if (f[0].revents != 0)
			break;
	}
	kill(-s->worker.pid, SIGKILL);
	waitpid(s->worker.pid, NULL, 0);
	read_log(s);
}

void
stage_close(struct stage *s)
{
	if (s->worker.pid != 0) {
		await_end(s);
		let_go(s);
	}
	bus_close(&s->events);
	bus_close(&s->api);
	lines_free(&s->log);
	remove_folder(s);
}
