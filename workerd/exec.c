/*
 * exec handlers: a command in any language, in so many processes, each of
 * which has its conversations.  What a process does is child.c's.
 */
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "child.h"
#include "log.h"
#include "orphan.h"

enum { TROUBLE_ENDS = 3,     /* one after the other */
	STAYS = 4096 };

/* A conversation that is not with the child it belongs to, which was away. */
struct stay {
	uint64_t conv, start;     /* its hash; which life of the child */
	size_t   child;
};

struct exec {
	struct stay  *stays;      /* by the hash; a later one takes its place */
	struct child *children;
	size_t        n;
	char        **argv;
	uint64_t      print;      /* of its files, as they were at the start */
	unsigned      files;      /* how many words of it are files */
	bool          missing;    /* one of them is gone, which has been said */
};

/* --- what it is started with ---------------------------------------------------- */

/* Whole, since it is looked for from another folder; but not resolved: some
 * programs go by the name of the link they are called by. */
static bool
whole_path(const char *path, char *full, size_t size)
{
	char cwd[PATH_MAX];
	int  n;

	if (path[0] != '/' && getcwd(cwd, sizeof cwd) == NULL)
		return false;
	n = path[0] == '/' ? snprintf(full, size, "%s", path)
	                   : snprintf(full, size, "%s/%s", cwd, path);
	return n > 0 && (size_t)n < size;
}

/* NULL: ours.  CONFIG: said in why. */
static enum err
user_of(const struct handler *h, struct piped_user *u,
    const struct piped_user **out, char *why, size_t size)
{
	const char *name = h->worker->conf.handler_user;
	enum err    e;

	*out = NULL;
	if (name[0] == '\0')
		return ERR_OK;
	*out = u;
	if ((e = piped_user_find(name, u)) == ERR_OK)
		return ERR_OK;
	snprintf(why, size, "ROOKERY_HANDLER_USER: %.64s: %s", name,
	    e == ERR_NOT_FOUND ? "there is no such user"
	                       : "only root may run a handler as another user");
	return ERR_CONFIG;
}

enum err
exec_spawn(struct handler *h, const char *run, struct piped *p, char *why,
    size_t size)
{
	struct exec      *x = h->own;
	const char       *dir = h->worker->conf.handler_dir;
	struct buf        env = { 0 };
	char              path[PATH_MAX], full[PATH_MAX];
	struct handlers_fault fault;
	struct piped_user user;
	struct piped_order s = { .path = full, .argv = x->argv, .env = &env,
		 .dir = dir, .memory_mib = h->worker->conf.handler_memory_mib };
	enum err          e;

	fault = handlers_fault(x->argv[0], dir);
	if (fault.why == NULL &&
	    (!handlers_find(x->argv[0], dir, path, sizeof path) ||
	        !whole_path(path, full, sizeof full)))
		fault.why = "is not there";
	if (fault.why != NULL) {
		snprintf(why, size, "%.100s %s", x->argv[0], fault.why);
		return ERR_CONFIG;
	}
	if ((e = user_of(h, &user, &s.user, why, size)) != ERR_OK)
		return e;
	handlers_environment(&h->worker->conf, h->row->name,
	    h->worker->last_bot, run, &env);
	if (s.user != NULL)
		handlers_set(&env, "HOME", user.home);
	e = piped_start(&s, p);
	if (e != ERR_OK)
		snprintf(why, size, "%.100s: %s", x->argv[0],
		    errno == ENOEXEC ? "is neither a program nor begins with "
		                       "#! and its interpreter"
		                     : strerror(errno));
	if (e != ERR_OK && (errno == ENOENT || errno == EACCES ||
	    errno == ENOEXEC || errno == ENOTDIR || errno == EPERM))
		e = ERR_CONFIG;
	explicit_bzero(env.p, env.n);
	buf_free(&env);
	return e;
}

/* --- what is left of a child --------------------------------------------------------- */

static bool
is_child(const struct worker *w, pid_t pid)
{
	for (size_t i = 0; i < w->nhandlers; i++) {
		const struct handler *h = &w->handlers[i];
		const struct exec    *x = h->own;

		for (size_t n = 0; h->kind == &exec_kind && x != NULL &&
		     x->children != NULL && n < x->n; n++)
			if (x->children[n].p.pid == pid)
				return true;
	}
	return false;
}

struct search {
	const struct worker *w;
	const char          *pair;
};

static void
kill_if_named(void *self, pid_t pid)
{
	struct search *s = self;

	if (!is_child(s->w, pid) && orphan_has(pid, s->pair))
		orphan_kill(pid);
}

/* Orphans that are left to us.  Each is looked at first, so that the number of
 * a child stays taken until its end is told; nothing else that runs here
 * starts processes, since a plugin keeps us from being a subreaper. */
static void
on_child_signal(void *self, int number)
{
	const struct worker *w = self;
	siginfo_t            si;

	(void)number;
	for (;;) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    si.si_pid == 0 || is_child(w, si.si_pid))
			return;
		waitpid(si.si_pid, NULL, WNOHANG);
	}
}

void
exec_sweep(struct handler *h, const char *run)
{
	struct search s = { h->worker, NULL };
	char          pair[160];

	if (!h->worker->reaps)
		return;
	snprintf(pair, sizeof pair, "ROOKERY_HANDLER_RUN=%s", run);
	s.pair = pair;
	orphan_each(getpid(), kill_if_named, &s);
	on_child_signal(h->worker, SIGCHLD);
}

/* What leaves the group of a handler is ours when its parent ends.  With a
 * plugin it is rookeryd's: the plugin may have children of its own. */
static void
reap(struct worker *w)
{
	for (size_t i = 0; i < w->list.n; i++)
		if (strcmp(w->list.rows[i].kind, plugin_kind.name) == 0)
			return;
	if (!w->reaps && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0)
		w->reaps = loop_signal(w->loop, SIGCHLD, on_child_signal, w) ==
		    ERR_OK;
}

/* --- its files -------------------------------------------------------------------- */

/* Is it a file? */
static bool
add_print(uint64_t *print, const char *path)
{
	struct stat st;
	uint64_t    parts[4] = { 0 };
	bool        is = stat(path, &st) == 0 && S_ISREG(st.st_mode);

	if (is) {
		parts[0] = st.st_ino;
		parts[1] = (uint64_t)st.st_size;
		parts[2] = (uint64_t)st.st_mtim.tv_sec;
		parts[3] = (uint64_t)st.st_mtim.tv_nsec;
	}
	for (size_t i = 0; i < 4; i++)
		*print = (*print ^ parts[i]) * 1099511628211u;
	return is;
}

/* Another number when one of the files of the command is another. */
static uint64_t
print_of(const struct handler *h, unsigned *files)
{
	const struct exec *x = h->own;
	const char        *dir = h->worker->conf.handler_dir;
	uint64_t           print = 14695981039346656037u;
	char               path[PATH_MAX];

	*files = 0;
	for (char **a = x->argv; *a != NULL; a++) {
		if (a == x->argv) {
			if (handlers_find(*a, dir, path, sizeof path))
				*files += add_print(&print, path);
			continue;
		}
		snprintf(path, sizeof path, "%s%s%s",
		    (*a)[0] == '/' || dir[0] == '\0' ? "" : dir,
		    (*a)[0] == '/' || dir[0] == '\0' ? "" : "/", *a);
		*files += add_print(&print, path);
	}
	add_print(&print, h->worker->conf.handler_env_file);
	return print;
}

/* The next one that is not yet of the new files: one after the other, so that
 * somebody is always there. */
static void
renew_next(struct handler *h)
{
	struct exec *x = h->own;

	for (size_t i = 0; i < x->n; i++)
		if (x->children[i].retiring)
			return;
	for (size_t i = 0; i < x->n; i++)
		if (x->children[i].old) {
			x->children[i].old = false;
			child_retire(&x->children[i]);
			return;
		}
}

static void
start_the_broken(struct exec *x)
{
	for (size_t i = 0; i < x->n; i++) {
		struct child *c = &x->children[i];

		if (c->state == CHILD_BROKEN || c->state == CHILD_DOWN) {
			backoff_reset(&c->backoff);
			child_start(c);
		}
	}
}

/* An editor that saves may move the file away first: nobody is there who could
 * take the place of those who run. */
static bool
is_missing(struct handler *h, unsigned files)
{
	struct exec *x = h->own;

	if (files < x->files && !x->missing)
		log_warn("handler.missing", KV("handler", h->row->name),
		    KV("why", "one of its files is gone; what runs goes on"));
	x->missing = files < x->files;
	return x->missing;
}

static void
exec_reload(struct handler *h, bool asked)
{
	struct exec *x = h->own;
	unsigned     files;
	uint64_t     print = print_of(h, &files);

	if (is_missing(h, files) && !asked)
		return;
	if (print == x->print && !(asked && h->broken[0] != '\0'))
		return;
	if (print == x->print) { /* what it lacked may be there by now */
		h->broken[0] = '\0';
		start_the_broken(x);
		return;
	}
	x->print = print;
	x->files = files;
	h->broken[0] = '\0';
	log_info("handler.renew", KV("handler", h->row->name),
	    KV("why", "its files have changed"));
	for (size_t i = 0; i < x->n; i++) {
		struct child *c = &x->children[i];

		c->old = c->state == CHILD_READY || c->state == CHILD_STARTING;
	}
	start_the_broken(x);
	renew_next(h);
}

/* --- what it hears of its children ------------------------------------------------- */

static bool
has_word(const struct json *list, const char *word)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (slice_is(json_text(json_at(list, i)), word))
			return true;
	return false;
}

void
exec_child_ready(struct handler *h, struct child *c, const struct json *hello)
{
	struct worker     *w = h->worker;
	const struct json *events = json_get(hello, "events");
	struct buf         words = { 0 };
	int64_t            ms;

	(void)c;
	if (events != NULL && !frame_words(events, &words)) {
		log_warn("handler.hello", KV("handler", h->row->name),
		    KV("why", "events: is not a list of patterns"));
		buf_reset(&words);
	}
	handler_set_events(h, words.n > 0 ? words.p : "message.*");
	buf_free(&words);
	h->timeout_ms = handler_timeout_ms(h);
	if (json_int_at(hello, "timeout_ms", &ms) && ms > 0)
		h->timeout_ms = (uint64_t)ms < w->conf.handler_timeout_max_ms
		    ? (uint64_t)ms : w->conf.handler_timeout_max_ms;
	h->raw = has_word(json_get(hello, "want"), "raw");
	h->early = json_get(hello, "late") != NULL &&
	    !json_truth(json_get(hello, "late"));
	renew_next(h);
	host_changed(w);
}

void
exec_child_down(struct handler *h, struct child *c)
{
	(void)c;
	host_changed(h->worker);
}

/* --- the kind --------------------------------------------------------------------- */

static enum err
exec_open(struct handler *h)
{
	struct exec *x = calloc(1, sizeof *x);

	if (x == NULL)
		return ERR_NOMEM;
	h->own = x;
	x->n = h->row->procs > 0 ? h->row->procs : h->worker->conf.handler_procs;
	x->argv = handlers_argv(h->row->arg);
	x->children = calloc(x->n, sizeof *x->children);
	x->stays = calloc(STAYS, sizeof *x->stays);
	if (x->argv == NULL || x->children == NULL || x->stays == NULL)
		return ERR_NOMEM;
	x->print = print_of(h, &x->files);
	reap(h->worker);
	for (size_t i = 0; i < x->n; i++) {
		child_open(&x->children[i], h, (unsigned)i);
		child_start(&x->children[i]);
	}
	return ERR_OK;
}

static bool
takes(const struct child *c)
{
	return c->state == CHILD_READY && !c->retiring;
}

/* A conversation has one child as long as that one lives: also when the one it
 * belongs to is back, for what was said meanwhile is in the memory of another. */
static struct child *
home_of(struct exec *x, const char *conv)
{
	uint64_t      hash = slice_hash(slice_of(conv));
	struct stay  *stay = &x->stays[hash / x->n % STAYS];
	struct child *c = &x->children[stay->child];

	if (stay->conv == hash && stay->start == c->starts && takes(c))
		return c;
	for (size_t i = 0; i < x->n; i++) {
		size_t n = (hash + i) % x->n;

		c = &x->children[n];
		if (!takes(c))
			continue;
		if (i > 0)
			*stay = (struct stay){ hash, c->starts, n };
		return c;
	}
	return NULL;
}

static bool
exec_begin(struct handler *h, struct job *j, const struct msg_event *ev)
{
	struct child *c = home_of(h->own, j->conv);

	(void)ev;
	if (c == NULL || !child_can_take(c, j))
		return false;
	child_event(c, j);
	return true;
}

static void
exec_on_result(struct handler *h, struct job *j, struct call *call,
    const struct msg_result *m)
{
	(void)h;
	child_result(j->own, call, m);
}

static void
exec_on_end(struct handler *h, struct job *j)
{
	(void)h;
	child_forget(j->own, j);
}

static uint64_t
exec_slots(const struct handler *h)
{
	const struct exec *x = h->own;
	uint64_t           sum = 0;

	for (size_t i = 0; x != NULL && i < x->n; i++)
		if (x->children[i].state == CHILD_READY &&
		    !x->children[i].retiring)
			sum += x->children[i].slots;
	return sum;
}

static void
exec_report(const struct handler *h, struct json *o)
{
	const struct exec *x = h->own;
	struct json       *list = json_new_array();

	for (size_t i = 0; i < x->n; i++)
		json_push_take(list, child_json(&x->children[i]));
	json_put_take(o, "children", list);
}

/* None runs, and it is not the first time: they end as soon as they begin. */
static void
exec_trouble(const struct handler *h, struct buf *text)
{
	const struct exec *x = h->own;

	for (size_t i = 0; i < x->n; i++)
		if (x->children[i].state == CHILD_READY ||
		    x->children[i].backoff.at < TROUBLE_ENDS)
			return;
	buf_putf(text, "handler %s does not stay: %s", h->row->name,
	    x->children[0].why);
}

static void
exec_leave(struct handler *h)
{
	struct exec *x = h->own;

	for (size_t i = 0; i < x->n; i++)
		child_leave(&x->children[i]);
}

static bool
exec_gone(const struct handler *h)
{
	const struct exec *x = h->own;

	for (size_t i = 0; i < x->n; i++)
		if (x->children[i].p.pid > 0)
			return false;
	return true;
}

static void
exec_close(struct handler *h)
{
	struct exec *x = h->own;

	if (x == NULL)
		return;
	for (size_t i = 0; x->children != NULL && i < x->n; i++)
		if (x->children[i].h != NULL)
			child_close(&x->children[i]);
	free(x->children);
	free(x->stays);
	free(x->argv);
	free(x);
	h->own = NULL;
}

const struct handler_kind exec_kind = {
	.name = "exec",
	.reads_lines = true,
	.open = exec_open,
	.begin = exec_begin,
	.on_result = exec_on_result,
	.on_end = exec_on_end,
	.slots = exec_slots,
	.report = exec_report,
	.trouble = exec_trouble,
	.reload = exec_reload,
	.leave = exec_leave,
	.gone = exec_gone,
	.close = exec_close,
	.meaning = "exec:COMMAND is a program in any language that reads and "
	           "writes JSON lines",
};
