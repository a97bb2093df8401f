/*
 * Plugins: a shared object with the functions of include/rookery.h.  Its
 * functions run from a timer and never from within the reading of a socket,
 * so that call_wait() may turn the loop meanwhile.
 */
#include <sys/time.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "frame.h"
#include "handler.h"
#include "log.h"
#include "rookery.h"

enum { SLOTS = 1024, SLOT_BITS = 10, POSTS_A_TURN = 256 };

/* A call that somebody waits for, or asked to hear of. */
struct asked {
	struct asked *next;
	rk_done       done;
	void         *arg;
	bool          ready, waited, ok;
	struct buf    code, message, data;
};

/* One delivery; an rk_ctx is its number and generation, never its address. */
struct slot {
	uint64_t      generation;
	struct job   *job;             /* NULL: over */
	bool          used, over, fresh;
	rk_rc         fate;            /* of finish(), to be carried out */
	bool          fated;
	struct asked *asked, **last;
	struct asked *kept;            /* the last result of call_wait() */
};

struct plugin {
	struct handler   *h;
	void             *library, *state;
	const rk_plugin  *it;
	bool              inited;
	bool              inside, again;   /* it runs; and has to once more */
	bool              deaf;            /* what it posts waits meanwhile */
	int               posts[2];
	struct slot       slots[SLOTS];
	struct timer      running, posting;
	struct buf        config;      /* NAME=VALUE, each with its NUL */
};

/* The functions of the interface are given no self, and one process hosts one
 * plugin: this is it. */
static struct plugin *the;

static void run_soon(struct plugin *);

/* --- contexts ----------------------------------------------------------------- */

static rk_ctx *
ctx_of(const struct plugin *p, const struct slot *s)
{
	uintptr_t n = (uintptr_t)(s - p->slots);

	return (rk_ctx *)(s->generation << (SLOT_BITS + 1) | n << 1 | 1);
}

/* NULL: over. */
static struct slot *
slot_of(rk_ctx *ctx)
{
	uintptr_t    n = (uintptr_t)ctx;
	struct slot *s = &the->slots[n >> 1 & (SLOTS - 1)];

	return s->used && s->job != NULL && !s->over && !s->fated &&
	        ctx_of(the, s) == ctx ? s : NULL;
}

static void
asked_free(struct asked *a)
{
	if (a == NULL)
		return;
	buf_free(&a->code);
	buf_free(&a->message);
	buf_free(&a->data);
	free(a);
}

static void
release_if_over(struct slot *s)
{
	if (!s->used || s->job != NULL || s->asked != NULL)
		return;
	asked_free(s->kept);
	s->kept = NULL;
	s->used = false;
	s->generation++;
}

/* --- its time ------------------------------------------------------------------ */

/* Nobody can interrupt it: the process goes, and its events go to others.  By
 * this signal, so that who looks on can tell it from what else may end us. */
_Noreturn static void
end_hung(void)
{
	signal(SIGALRM, SIG_DFL);
	raise(SIGALRM);
	_exit(EXIT_AGAIN);
}

static void
on_alarm(int signal)
{
	static const char last[] = "workerd: plugin.hung: a function of it has "
	                           "not returned in time\n";

	(void)signal;
	(void)!write(STDERR_FILENO, last, sizeof last - 1);
	end_hung();
}

static void
set_alarm(uint64_t ms)
{
	struct itimerval t = { .it_value = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000) * 1000 } };

	setitimer(ITIMER_REAL, &t, NULL);
}

/* --- results ------------------------------------------------------------------ */

static rk_str
str_of(const struct buf *b, const char *fallback)
{
	return b->p != NULL ? (rk_str){ b->p, b->n }
	                    : (rk_str){ fallback, strlen(fallback) };
}

static rk_result
result_of(const struct asked *a)
{
	return (rk_result){ .size = sizeof(rk_result), .ok = a->ok,
		.code = str_of(&a->code, a->ok ? "" : "PLATFORM"),
		.message = str_of(&a->message, ""),
		.data = str_of(&a->data, "null") };
}

static void
note_result(struct asked *a, const struct msg_result *m)
{
	struct json *data = NULL;

	a->ready = true;
	a->ok = m->ok;
	if (m->code.n > 0)
		buf_put(&a->code, m->code);
	if (m->message.n > 0)
		buf_put(&a->message, m->message);
	if (m->data.n > 0 && json_from_msgpack(&data, m->data) == ERR_OK)
		json_write(data, &a->data);
	json_free(&data);
}

/* In the order of the calls: one without a result holds those behind it. */
static void
deliver(struct plugin *p, struct slot *s)
{
	rk_ctx *ctx = ctx_of(p, s);

	while (s->asked != NULL && s->asked->ready && !s->asked->waited) {
		struct asked *a = s->asked;
		rk_result     r = result_of(a);

		s->asked = a->next;
		if (s->asked == NULL)
			s->last = &s->asked;
		if (a->done != NULL) {
			set_alarm(p->h->timeout_ms);
			a->done(ctx, &r, a->arg);
			set_alarm(0);
		}
		asked_free(a);
	}
}

static void
plugin_on_result(struct handler *h, struct job *j, struct call *c,
    const struct msg_result *m)
{
	struct asked **box = c->ref;

	(void)j;
	if (box == NULL)
		return;
	note_result(*box, m);
	run_soon(h->own);
}

/* --- what a plugin asks of us --------------------------------------------------- */

static struct asked *
ask(struct slot *s, rk_done done, void *arg)
{
	struct asked *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->done = done;
	a->arg = arg;
	*s->last = a;
	s->last = &a->next;
	return a;
}

static void
unask(struct slot *s, struct asked *a)
{
	struct asked **at = &s->asked;

	while (*at != NULL && *at != a)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = a->next;
	if (s->last == &a->next)
		s->last = at;
	asked_free(a);
}

/* An object of its arguments as a frame. */
static enum err
frame_of(const char *action, const char *json, size_t n, struct frame *f)
{
	struct json *with = NULL;
	enum err     e = ERR_OK;

	if (json != NULL)
		e = json_parse(&with, (struct slice){ json, n });
	if (e == ERR_OK && with != NULL && !json_is_object(with))
		e = ERR_SYNTAX;
	if (e != ERR_OK) {
		json_free(&with);
		return e;
	}
	if (action == NULL) {
		*f = (struct frame){ VERB_REPLY, with, { NULL, 0 } };
		return with != NULL ? ERR_OK : ERR_SYNTAX;
	}
	*f = (struct frame){ VERB_CALL, json_new_object(), { NULL, 0 } };
	json_put_text(f->doc, "do", slice_of(action));
	json_put_take(f->doc, "with", with);
	return f->doc != NULL ? ERR_OK : ERR_NOMEM;
}

static int
refuse(const char *why)
{
	log_warn("plugin.refused", KV("handler", the->h->row->name),
	    KV("why", why));
	return -1;
}

/* *asked: who is told; NULL when nobody is to be. */
static int
order(struct slot *s, const struct frame *f, struct asked *asked)
{
	struct frame_order fo;
	struct job_order   o;
	struct asked     **box = NULL;
	const char        *wrong = frame_order(&fo, f);
	enum err           e = ERR_NOMEM;

	if (asked != NULL && (box = malloc(sizeof *box)) != NULL)
		*box = asked;
	o = (struct job_order){ .do_ = fo.do_, .text = fo.text,
		.conv = fo.conv, .msg = fo.msg, .bot = fo.bot, .key = fo.key,
		.n = fo.n, .with = buf_slice(&fo.with), .ref = box };
	if (wrong == NULL && (asked == NULL || box != NULL))
		e = job_call(the->h->worker, s->job, &o);
	if (wrong == NULL && e != ERR_OK)
		wrong = e == ERR_DUPLICATE ? "n: this number is used already"
		                           : err_text(e);
	frame_order_free(&fo);
	if (wrong == NULL)
		return 0;
	free(box);
	return refuse(wrong);
}

/* The slot's list holds what was asked until its result is told. */
static int
make_call(rk_ctx *ctx, const char *action, const char *json, size_t n,
    rk_done done, void *arg, struct asked **waited)
{
	struct slot  *s = slot_of(ctx);
	struct frame  f;
	struct asked *a = NULL;
	int           failed;

	if (s == NULL)
		return -1;
	if (frame_of(action, json, n, &f) != ERR_OK)
		return refuse("the arguments are no JSON object");
	if ((done != NULL || waited != NULL) &&
	    (a = ask(s, done, arg)) == NULL) {
		frame_free(&f);
		return refuse(err_text(ERR_NOMEM));
	}
	if (a != NULL)
		a->waited = waited != NULL;
	failed = order(s, &f, a);
	frame_free(&f);
	if (failed && a != NULL)
		unask(s, a);
	if (!failed && waited != NULL)
		*waited = a;
	return failed;
}

static int
host_reply(rk_ctx *ctx, const char *json, size_t n, rk_done done, void *arg)
{
	return make_call(ctx, NULL, json, n, done, arg, NULL);
}

static int
host_reply_text(rk_ctx *ctx, const char *text, size_t n)
{
	struct json *o = json_new_object();
	struct slice line;
	int          failed = -1;

	json_put_text(o, "text", (struct slice){ text, n });
	line = json_print(o);
	if (line.n > 0)
		failed = host_reply(ctx, line.p, line.n, NULL, NULL);
	json_free(&o);
	return failed;
}

static int
host_call(rk_ctx *ctx, const char *action, const char *json, size_t n,
    rk_done done, void *arg)
{
	return make_call(ctx, action != NULL ? action : "", json, n, done, arg,
	    NULL);
}

static int
host_call_wait(rk_ctx *ctx, const char *action, const char *json, size_t n,
    int timeout_ms, rk_result *out)
{
	struct asked *a = NULL;
	struct slot  *s = slot_of(ctx);
	uint64_t      now, end;

	if (s == NULL || make_call(ctx, action != NULL ? action : "", json, n,
	        NULL, NULL, &a) != 0)
		return -1;
	end = loop_clock_ms() + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0);
	while (!a->ready && (now = loop_clock_ms()) < end)
		if (loop_turn(the->h->worker->loop, (int)(end - now), NULL) !=
		    ERR_OK)
			break;
	if (!a->ready) {
		/* Its result may still come, to nobody. */
		a->waited = false;
		*out = (rk_result){ .size = sizeof *out,
			.code = { "TIMEOUT", 7 },
			.message = { "no answer in time", 17 },
			.data = { "null", 4 } };
		return 0;
	}
	asked_free(s->kept);
	s->kept = calloc(1, sizeof *s->kept);
	if (s->kept == NULL) {
		unask(s, a);
		return refuse(err_text(ERR_NOMEM));
	}
	*s->kept = *a;
	a->code = a->message = a->data = (struct buf){ 0 };
	s->kept->next = NULL;
	unask(s, a);
	*out = result_of(s->kept);
	return 0;
}

static void
host_finish(rk_ctx *ctx, rk_rc rc)
{
	struct slot *s = slot_of(ctx);

	if (s == NULL || rc == RK_LATER)
		return;
	s->fate = rc;
	s->fated = true;
	run_soon(the);
}

struct posted {
	void (*fn)(void *);
	void  *arg;
};

/* A write of so few bytes is whole or not at all, whoever else writes. */
static int
host_post(void (*fn)(void *), void *arg)
{
	const struct posted p = { fn, arg };

	return write(the->posts[1], &p, sizeof p) == sizeof p ? 0 : -1;
}

static void
host_log(int level, const char *text, size_t n)
{
	enum log_level l = level <= 3 ? LOG_ERROR : level <= 4 ? LOG_WARN
	    : level <= 6 ? LOG_INFO : LOG_DEBUG;

	if (log_enabled(l))
		log_write(l, "handler.says", (const struct kv[]){
		    KV("handler", the->h->row->name),
		    KV("msg", ((struct slice){ text, n })), { .key = NULL } });
}

static const char *
host_config(const char *key)
{
	const struct buf *c = &the->config;

	for (size_t at = 0; at < c->n;) {
		size_t n = strcspn(c->p + at, "=");

		if (n == strlen(key) && memcmp(c->p + at, key, n) == 0)
			return c->p + at + n + 1;
		at += strlen(c->p + at) + 1;
	}
	return NULL;
}

static const rk_host host = {
	.abi = RK_ABI, .size = sizeof host,
	.reply = host_reply, .reply_text = host_reply_text,
	.call = host_call, .call_wait = host_call_wait,
	.finish = host_finish, .post = host_post,
	.log = host_log, .config = host_config,
};

/* --- running it ----------------------------------------------------------------- */

static void
on_late(void *self)
{
	struct job *j = self;

	/* It may be waiting for the result, as we are. */
	if (job_waits(j, job_timeout_ms(j) / 2)) {
		loop_after(j->handler->worker->loop, &j->late,
		    job_timeout_ms(j), on_late, j);
		return;
	}
	log_error("plugin.hung", KV("handler", j->handler->row->name),
	    KV("id", j->id),
	    KV("why", "finish() was not called in time"));
	log_flush();
	end_hung();
}

static rk_str
member(const struct json *doc, const char *key)
{
	struct slice s = json_text_at(doc, key);

	return s.n > 0 ? (rk_str){ s.p, s.n } : (rk_str){ "", 0 };
}

static int64_t
number(const struct json *doc, const char *key)
{
	int64_t n = 0;

	json_int_at(doc, key, &n);
	return n;
}

static rk_rc
hand_over(struct plugin *p, struct slot *s, const struct json *doc)
{
	struct job *j = s->job;
	rk_event    ev = { .size = sizeof ev, .attempt = j->attempt,
		   .flags = (json_truth(json_get(doc, "to_me")) ? RK_EV_TO_ME
		                                                : 0u) |
		       (json_truth(json_get(doc, "from_bot")) ? RK_EV_FROM_BOT
		                                              : 0u),
		   .replies_left = (uint32_t)number(doc, "replies_left"),
		   .time_ms = number(doc, "time"), .deadline_ms = j->deadline,
		   .id = member(doc, "id"), .type = member(doc, "type"),
		   .bot = member(doc, "bot"), .conv = member(doc, "conv"),
		   .user = member(doc, "user"), .text = member(doc, "text"),
		   .json = { j->line.p, j->line.n } };
	rk_rc rc;

	set_alarm(job_timeout_ms(j));
	rc = p->it->on_event(p->state, ctx_of(p, s), &ev);
	set_alarm(0);
	return rc;
}

static void
carry_out(struct plugin *p, struct slot *s, rk_rc rc)
{
	struct worker *w = p->h->worker;
	struct job    *j = s->job;
	char           why[80];

	s->over = true;
	s->fated = false;
	snprintf(why, sizeof why, "handler %s: no", p->h->row->name);
	if (rc == RK_ACK)
		job_done(w, j);
	else /* and whatever is none of the four: nothing is lost by it */
		job_fail(w, j, 0, rc == RK_FAIL, why,
		    (struct slice){ NULL, 0 });
}

static void
run_fresh(struct plugin *p, struct slot *s)
{
	struct job  *j = s->job;
	struct json *doc = NULL;
	rk_rc        rc = RK_RETRY;

	s->fresh = false;
	j->line.n -= j->line.n > 0; /* its line end */
	j->line.p[j->line.n] = '\0';
	if (json_parse(&doc, buf_slice(&j->line)) == ERR_OK)
		rc = hand_over(p, s, doc);
	json_free(&doc);
	buf_free(&j->line);
	if (s->fated)
		rc = s->fate;
	if (rc != RK_LATER)
		carry_out(p, s, rc);
	else
		loop_after(p->h->worker->loop, &j->late, job_timeout_ms(j),
		    on_late, j);
}

static void on_posts(void *, int, unsigned);

static void
leave_plugin(struct plugin *p)
{
	p->inside = false;
	if (p->deaf)
		loop_watch(p->h->worker->loop, p->posts[0], LOOP_READ,
		    on_posts, p);
	p->deaf = false;
	if (p->again)
		run_soon(p);
}

/* Everything that calls into the plugin, but for what it posts. */
static void
on_run(void *self)
{
	struct plugin *p = self;

	if (p->inside)
		return; /* call_wait() turns the loop: afterwards */
	p->inside = true;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &p->slots[i];

		if (!s->used)
			continue;
		deliver(p, s);
		if (s->job != NULL && s->fated)
			carry_out(p, s, s->fate);
		if (s->job != NULL && s->fresh)
			run_fresh(p, s);
		release_if_over(s);
	}
	leave_plugin(p);
}

static void
run_soon(struct plugin *p)
{
	p->again = p->inside;
	if (!p->inside && p->running.slot == 0)
		loop_after(p->h->worker->loop, &p->running, 0, on_run, p);
}

static void
on_posted(void *self)
{
	struct plugin *p = self;
	struct posted  m;

	for (int i = 0; i < POSTS_A_TURN && !p->inside &&
	     read(p->posts[0], &m, sizeof m) == sizeof m; i++) {
		p->inside = true;
		set_alarm(p->h->timeout_ms);
		m.fn(m.arg);
		set_alarm(0);
		leave_plugin(p);
	}
	run_soon(p);
}

static void
on_posts(void *self, int fd, unsigned what)
{
	struct plugin *p = self;

	(void)what;
	if (p->inside) {
		loop_unwatch(p->h->worker->loop, fd);
		p->deaf = true;
	} else if (p->posting.slot == 0)
		loop_after(p->h->worker->loop, &p->posting, 0, on_posted, p);
}

/* --- the kind ------------------------------------------------------------------- */

static bool
plugin_begin(struct handler *h, struct job *j, const struct msg_event *ev)
{
	struct plugin *p = h->own;

	(void)ev;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &p->slots[i];

		if (s->used)
			continue;
		*s = (struct slot){ .generation = s->generation + 1,
			.job = j, .used = true, .fresh = true,
			.last = &s->asked };
		j->own = s;
		run_soon(p);
		return true;
	}
	return false;
}

static void
plugin_on_end(struct handler *h, struct job *j)
{
	struct slot *s = j->own;

	s->job = NULL;
	/* Calls that were not answered any more: nobody is told. */
	for (struct asked *a = s->asked; a != NULL; a = a->next)
		if (!a->ready)
			note_result(a, &(struct msg_result){
			    .code = SLICE("TIMEOUT"),
			    .message = SLICE("the event is over") });
	run_soon(h->own);
}

static uint64_t
plugin_slots(const struct handler *h)
{
	const struct plugin *p = h->own;

	return p != NULL && p->inited ? h->worker->conf.window : 0;
}

static enum err
fail(struct handler *h, const char *why)
{
	log_error("plugin.bad", KV("handler", h->row->name),
	    KV("file", h->row->arg), KV("why", why),
	    KV("remedy", "build it against this version's rookery.h"));
	return ERR_CONFIG;
}

static enum err
check_plugin(struct handler *h, struct plugin *p)
{
	char why[120];

	if (p->it == NULL)
		return fail(h, "it refuses this host");
	if (p->it->abi != RK_ABI) {
		snprintf(why, sizeof why, "it was built for version %u of the "
		    "interface, we have %u", p->it->abi, RK_ABI);
		return fail(h, why);
	}
	if (!RK_HAS(p->it, rk_plugin, on_event) || p->it->on_event == NULL)
		return fail(h, "it has no on_event()");
	return handler_set_events(h, p->it->events != NULL ? p->it->events
	                                                   : "message.*");
}

static enum err
load(struct handler *h, struct plugin *p)
{
	const rk_plugin *(*entry)(uint32_t);
	const char        *dir = h->worker->conf.handler_dir;
	char               path[PATH_MAX];
	void              *symbol;
	enum err           e;

	snprintf(path, sizeof path, "%s%s%s", h->row->arg[0] == '/' ? ""
	    : dir[0] != '\0' ? dir : ".", h->row->arg[0] == '/' ? "" : "/",
	    h->row->arg);
	if ((p->library = dlopen(path, RTLD_NOW | RTLD_LOCAL)) == NULL)
		return fail(h, dlerror());
	if ((symbol = dlsym(p->library, "rk_plugin_entry")) == NULL)
		return fail(h, "it exports no rk_plugin_entry()");
	memcpy(&entry, &symbol, sizeof entry);
	p->it = entry(RK_ABI);
	if ((e = check_plugin(h, p)) != ERR_OK)
		return e;
	if (RK_HAS(p->it, rk_plugin, init) && p->it->init != NULL &&
	    p->it->init(&host, &p->state) != 0)
		return fail(h, "its init() says no");
	p->inited = true;
	return ERR_OK;
}

static enum err
plugin_open(struct handler *h)
{
	struct plugin   *p = calloc(1, sizeof *p);
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_NODEFER };
	enum err         e;

	if (p == NULL)
		return ERR_NOMEM;
	h->own = p;
	p->h = h;
	p->posts[0] = p->posts[1] = -1;
	the = p;
	handlers_settings(&h->worker->conf, &p->config);
	sigaction(SIGALRM, &sa, NULL);
	if (pipe2(p->posts, O_CLOEXEC | O_NONBLOCK) < 0)
		return ERR_SYSTEM;
	if ((e = loop_watch(h->worker->loop, p->posts[0], LOOP_READ, on_posts,
	         p)) != ERR_OK)
		return e;
	return load(h, p);
}

static void
free_slots(struct plugin *p)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &p->slots[i];

		while (s->used && s->asked != NULL) {
			struct asked *a = s->asked;

			s->asked = a->next;
			asked_free(a);
		}
		if (s->used)
			asked_free(s->kept);
	}
}

static void
plugin_close(struct handler *h)
{
	struct plugin *p = h->own;

	if (p == NULL)
		return;
	if (p->inited && RK_HAS(p->it, rk_plugin, fini) && p->it->fini != NULL)
		p->it->fini(p->state);
	loop_cancel(h->worker->loop, &p->running);
	loop_cancel(h->worker->loop, &p->posting);
	for (int i = 0; i < 2; i++)
		if (p->posts[i] >= 0) {
			loop_unwatch(h->worker->loop, p->posts[i]);
			close(p->posts[i]);
		}
	free_slots(p);
	buf_free(&p->config);
	if (p->library != NULL)
		dlclose(p->library);
	free(p);
	h->own = NULL;
	the = NULL;
}

static void
plugin_report(const struct handler *h, struct json *o)
{
	const struct plugin *p = h->own;

	if (p == NULL || p->it == NULL)
		return;
	if (p->it->name != NULL)
		json_put_text(o, "plugin", slice_of(p->it->name));
	if (p->it->version != NULL)
		json_put_text(o, "version", slice_of(p->it->version));
}

const struct handler_kind plugin_kind = {
	.name = "plugin",
	.reads_lines = true,
	.open = plugin_open,
	.begin = plugin_begin,
	.on_result = plugin_on_result,
	.on_end = plugin_on_end,
	.slots = plugin_slots,
	.report = plugin_report,
	.close = plugin_close,
	.meaning = "plugin:FILE is a shared object in C, see rookery.h",
};
