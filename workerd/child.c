/*
 * The lives of a process, and its frames.
 */
#include "child.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

enum {
	HELLO_MS = 10000, GRACE_MS = 5000,
	PING_MS = 15000, PING_LEAST_MS = 500, PING_MOST_MS = 600000,
	HEALTHY_MS = 60000, EOF_MS = 200,
	CHUNK = 65536,
	OPEN_MAX_CALLS = 64,          /* waiting for apid; then we read no more */
	OPEN_BYTES = 4 << 20, OUT_BYTES = 4 << 20,
	ALONE_FROM = 3, KEPT_MS = 1200,
	STRAYS_MAX = 100, SLOTS_MAX = 256,
	WORDS_MAX = 8192, LINES_PER_S = 100, LOG_PIECE = 1500,
};

static const uint32_t delays_ms[] = { 200, 400, 800, 1600, 3200, 6400, 12800,
	25600, 30000, 0 };

static const char *const states[] = {
	[CHILD_DOWN] = "down",       [CHILD_STARTING] = "starting",
	[CHILD_READY] = "ready",     [CHILD_LEAVING] = "leaving",
	[CHILD_ENDING] = "ending",   [CHILD_BROKEN] = "broken",
};

static void read_on(struct child *);
static void on_out(void *, int, unsigned);

static struct loop *
loop_of(const struct child *c)
{
	return c->h->worker->loop;
}

static const char *
name_of(const struct child *c)
{
	return c->h->row->name;
}

static bool
is_alive(const struct child *c)
{
	return c->p.pid > 0;
}

/* --- its words in our log --------------------------------------------------------- */

static void
tell_muted(struct child *c)
{
	if (c->muted > 0)
		log_warn("handler.muted", KV("handler", name_of(c)),
		    KV("pid", c->p.pid), KV("lines", c->muted));
	c->muted = 0;
}

/* A hundred a second, then only their number. */
static bool
may_log(struct child *c)
{
	uint64_t second = loop_clock_ms() / 1000;

	if (second != c->second) {
		tell_muted(c);
		c->second = second;
		c->lines_of_second = 0;
	}
	if (c->lines_of_second++ < LINES_PER_S)
		return true;
	c->muted++;
	return false;
}

static void
keep_last(struct child *c, struct slice line)
{
	size_t n = 0;

	line = slice_trim(line);
	for (; n < line.n && n < sizeof c->last - 1; n++)
		c->last[n] = line.p[n] >= 0x20 && line.p[n] < 0x7f
		    ? line.p[n] : '?';
	c->last[n] = '\0';
}

static void
log_words(struct child *c, const char *event, struct slice line)
{
	if (line.n == 0 || !may_log(c))
		return;
	do {
		struct slice piece = { line.p, line.n < LOG_PIECE ? line.n
		                                                  : LOG_PIECE };

		log_write(LOG_INFO, event, (const struct kv[]){
		    KV("handler", name_of(c)), KV("pid", c->p.pid),
		    KV("line", piece), { .key = NULL } });
		line = slice_from(line, piece.n);
	} while (line.n > 0);
}

static void
take_words(struct child *c, struct slice bytes)
{
	while (bytes.n > 0) {
		const char  *nl = memchr(bytes.p, '\n', bytes.n);
		size_t       n = nl != NULL ? (size_t)(nl - bytes.p) : bytes.n;
		size_t       room = WORDS_MAX - c->words.n;

		buf_put(&c->words, (struct slice){ bytes.p,
		    n < room ? n : room });
		if (c->words.failed)
			buf_free(&c->words);
		bytes = slice_from(bytes, n + 1);
		if (nl == NULL)
			return; /* what is over the bound of a line is lost */
		if (c->words.n > 0) {
			keep_last(c, buf_slice(&c->words));
			capsule_words(&c->capsule, buf_slice(&c->words),
			    loop_now(loop_of(c)));
		}
		log_words(c, "handler.stderr", buf_slice(&c->words));
		buf_reset(&c->words);
	}
}

static void
on_err(void *self, int fd, unsigned what)
{
	struct child *c = self;
	char          chunk[CHUNK / 4];
	ssize_t       n = read(fd, chunk, sizeof chunk);

	(void)what;
	if (n > 0)
		take_words(c, (struct slice){ chunk, (size_t)n });
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		loop_unwatch(loop_of(c), fd);
}

/* --- to it ------------------------------------------------------------------------ */

static void on_writable(void *, int, unsigned);

static void
close_input(struct child *c)
{
	if (c->p.to < 0)
		return;
	loop_unwatch(loop_of(c), c->p.to);
	close(c->p.to);
	c->p.to = -1;
	buf_free(&c->out);
	c->written = 0;
}

static void
write_on(struct child *c)
{
	bool waits = false;

	while (c->p.to >= 0 && c->written < c->out.n) {
		ssize_t n = write(c->p.to, c->out.p + c->written,
		    c->out.n - c->written);

		if (n > 0) {
			c->written += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		waits = errno == EAGAIN;
		if (!waits) { /* it does not listen; its end tells more */
			buf_reset(&c->out);
			c->written = 0;
		}
		break;
	}
	if (c->written > CHUNK || c->written == c->out.n) {
		buf_drop(&c->out, c->written);
		c->written = 0;
	}
	if (c->p.to < 0)
		return;
	if (waits)
		loop_watch(loop_of(c), c->p.to, LOOP_WRITE, on_writable, c);
	else
		loop_unwatch(loop_of(c), c->p.to);
	if (!waits && c->state == CHILD_LEAVING)
		close_input(c);
}

static void
on_resume(void *self)
{
	read_on(self);
}

static void
resume_soon(struct child *c)
{
	if (c->held && c->resume.slot == 0)
		loop_after(loop_of(c), &c->resume, 0, on_resume, c);
}

static void
on_writable(void *self, int fd, unsigned what)
{
	struct child *c = self;

	(void)fd, (void)what;
	write_on(c);
	resume_soon(c);
}

static void
note_told(struct child *c, struct slice frame)
{
	if (frame.n > 0 && frame.p[frame.n - 1] == '\n')
		frame.n--;
	capsule_frame(&c->capsule, false, frame, loop_now(loop_of(c)));
}

static void
say(struct child *c, struct json *doc)
{
	size_t before = c->out.n;

	frame_put(doc, &c->out);
	if (!c->out.failed)
		note_told(c, slice_from(buf_slice(&c->out), before));
	write_on(c);
}

static struct json *
new_frame(const char *op)
{
	struct json *o = json_new_object();

	json_put_text(o, "op", slice_of(op));
	return o;
}

static void
say_hello(struct child *c)
{
	struct json   *o = new_frame("hello");
	struct worker *w = c->h->worker;

	json_put_int(o, "v", 1);
	json_put_int(o, "vmin", 1);
	json_put_text(o, "handler", slice_of(name_of(c)));
	if (w->last_bot[0] != '\0')
		json_put_text(o, "bot", slice_of(w->last_bot));
	json_put_int(o, "timeout_ms", (int64_t)c->h->timeout_ms);
	json_put_int(o, "max", FRAME_MAX);
	say(c, o);
}

/* --- its end ---------------------------------------------------------------------- */

static void
on_kill(void *self)
{
	struct child *c = self;

	if (is_alive(c))
		kill(-c->p.pid, SIGKILL);
}

/* It must go: it hangs, or does not keep to the protocol. */
static void
put_down(struct child *c, const char *cause)
{
	if (!is_alive(c) || c->state == CHILD_ENDING)
		return;
	if (c->cause[0] == '\0')
		snprintf(c->cause, sizeof c->cause, "%s", cause);
	c->state = CHILD_ENDING;
	kill(-c->p.pid, SIGTERM);
	loop_after(loop_of(c), &c->timer, GRACE_MS, on_kill, c);
	host_changed(c->h->worker);
}

static void
on_overstayed(void *self)
{
	put_down(self, "it did not leave when it was told bye");
}

static void
say_bye(struct child *c, const char *reason)
{
	struct json *o = new_frame("bye");

	json_put_text(o, "reason", slice_of(reason));
	json_put_int(o, "grace_ms", GRACE_MS);
	c->state = CHILD_LEAVING;
	loop_after(loop_of(c), &c->timer, GRACE_MS, on_overstayed, c);
	say(c, o);
}

static void
leave_if_idle(struct child *c)
{
	if (c->retiring && c->in_flight == 0 && c->state == CHILD_READY)
		say_bye(c, c->h->worker->left ? "shutdown" : "renewed");
}

static bool
says_config(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CONFIG;
}

static void
describe(struct child *c, int status)
{
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof how, "killed by signal %d",
		    WTERMSIG(status));
	else
		snprintf(how, sizeof how, "it ended with status %d",
		    WEXITSTATUS(status));
	snprintf(c->why, sizeof c->why, "%s%s%s%s%s%s",
	    c->cause[0] != '\0' ? c->cause : how,
	    c->cause[0] != '\0' ? " (" : "", c->cause[0] != '\0' ? how : "",
	    c->cause[0] != '\0' ? ")" : "",
	    c->last[0] != '\0' ? "; its last words: " : "", c->last);
}

static void
fail_with_capsule(struct child *c, struct job *j)
{
	struct buf   text = { 0 };
	struct slice capsule = { NULL, 0 };

	if (capsule_write(&c->capsule, c->why, j->given_ms, &text) == ERR_OK)
		capsule = buf_slice(&text);
	job_fail(c->h->worker, j, 0, false, c->why, capsule);
	buf_free(&text);
}

/* What it had and did not close is for another try; its replies stay sent. */
static void
give_up_jobs(struct child *c)
{
	struct worker *w = c->h->worker;
	struct job    *j, *next;

	for (j = w->jobs; j != NULL; j = next) {
		next = j->next;
		if (j->own != c)
			continue;
		j->own = NULL;
		if (j->loose)
			job_drop_loose(w, j);
		else if (!j->done)
			fail_with_capsule(c, j);
	}
	c->loose = NULL;
	c->in_flight = 0;
}

static void
close_fd(struct child *c, int *fd)
{
	if (*fd >= 0) {
		loop_unwatch(loop_of(c), *fd);
		close(*fd);
	}
	*fd = -1;
}

static void
shut(struct child *c)
{
	close_input(c);
	close_fd(c, &c->p.from);
	close_fd(c, &c->p.err);
	close_fd(c, &c->p.pidfd);
	lines_free(&c->said);
	buf_free(&c->words);
	loop_cancel(loop_of(c), &c->timer);
	loop_cancel(loop_of(c), &c->ping);
	loop_cancel(loop_of(c), &c->resume);
	c->p.pid = 0;
}

static void
on_start_due(void *self)
{
	child_start(self);
}

static void
start_later(struct child *c)
{
	uint64_t ms = 0;

	if (!c->at_once)
		ms = backoff_next(&c->backoff, backoff_chance());
	c->at_once = false;
	loop_after(loop_of(c), &c->timer, ms, on_start_due, c);
}

static void
break_down(struct child *c, const char *why)
{
	snprintf(c->h->broken, sizeof c->h->broken, "%s", why);
	log_error("handler.broken", KV("handler", name_of(c)), KV("why", why),
	    KV("remedy", "correct the program or its settings; it is started "
	                 "again when its file changes, or at rookery reload"));
	c->state = CHILD_BROKEN;
	host_look(c->h->worker);
}

/* Everything that it said before it went counts. */
static void
hear_last(struct child *c)
{
	char    chunk[CHUNK / 4];
	ssize_t n;

	for (int i = 0; i < 16 && c->p.err >= 0 &&
	     (n = read(c->p.err, chunk, sizeof chunk)) > 0; i++)
		take_words(c, (struct slice){ chunk, (size_t)n });
	take_words(c, SLICE("\n"));
	tell_muted(c);
	c->held = false;
	for (int i = 0; i < 16 && c->p.from >= 0; i++)
		on_out(c, c->p.from, LOOP_READ);
}

static void
on_ended(void *self, int fd, unsigned what)
{
	struct child *c = self;
	bool          wanted = c->state == CHILD_LEAVING || c->retiring;
	bool          healthy = c->ready_ms != 0 &&
	    loop_clock_ms() - c->ready_ms >= HEALTHY_MS;
	int           status = 0;
	bool          renew = c->retiring;

	(void)fd, (void)what;
	kill(-c->p.pid, SIGKILL); /* what it has left behind */
	hear_last(c);
	waitpid(c->p.pid, &status, 0);
	describe(c, status);
	if (wanted)
		log_info("handler.end", KV("handler", name_of(c)),
		    KV("pid", c->p.pid), KV("why", c->why));
	else
		log_warn("handler.end", KV("handler", name_of(c)),
		    KV("pid", c->p.pid), KV("why", c->why),
		    KV("in_flight", c->in_flight));
	if (healthy) {
		backoff_reset(&c->backoff);
		c->at_once = true;
	}
	shut(c);
	exec_sweep(c->h, c->run);
	c->state = CHILD_DOWN;
	c->retiring = false;
	give_up_jobs(c);
	if (says_config(status))
		break_down(c, c->why);
	else if (!c->h->worker->left && c->h->broken[0] == '\0') {
		c->restarts += !renew;
		c->at_once |= renew;
		start_later(c);
	} else if (!c->h->worker->left) {
		c->state = CHILD_BROKEN;
	}
	exec_child_down(c->h, c);
}

/* --- its start -------------------------------------------------------------------- */

static void
on_no_hello(void *self)
{
	put_down(self, "it has not said hello in 10 s");
}

static void on_ping_due(void *);

static void
forget_hidden(struct child *c)
{
	if (c->hidden.n > 0)
		explicit_bzero(c->hidden.p, c->hidden.n);
	buf_free(&c->hidden);
}

void
child_start(struct child *c)
{
	struct loop *l = loop_of(c);
	char         why[200];
	enum err     e;

	if (is_alive(c) || c->h->worker->left)
		return;
	loop_cancel(l, &c->timer);
	c->cause[0] = c->last[0] = '\0';
	forget_hidden(c);
	handlers_settings(&c->h->worker->conf, &c->hidden);
	capsule_open(&c->capsule, buf_slice(&c->hidden));
	c->strays_in_a_row = 0;
	c->alone = c->held = c->retiring = c->heard = c->pinged = false;
	c->slots = 1;
	c->ready_ms = 0;
	snprintf(c->run, sizeof c->run, "%s.%u.%llu", name_of(c), c->index,
	    (unsigned long long)++c->starts);
	e = exec_spawn(c->h, c->run, &c->p, why, sizeof why);
	if (e != ERR_OK) {
		c->p = (struct piped){ 0, -1, -1, -1, -1 };
		snprintf(c->why, sizeof c->why, "%s", why);
		if (e == ERR_CONFIG) {
			break_down(c, why);
		} else {
			log_warn("handler.unstarted", KV("handler",
			    name_of(c)), KV("why", why));
			start_later(c);
		}
		exec_child_down(c->h, c);
		return;
	}
	c->state = CHILD_STARTING;
	log_info("handler.start", KV("handler", name_of(c)),
	    KV("pid", c->p.pid));
	loop_watch(l, c->p.pidfd, LOOP_READ, on_ended, c);
	loop_watch(l, c->p.from, LOOP_READ, on_out, c);
	loop_watch(l, c->p.err, LOOP_READ, on_err, c);
	loop_after(l, &c->timer, HELLO_MS, on_no_hello, c);
	say_hello(c);
}

void
child_open(struct child *c, struct handler *h, unsigned index)
{
	*c = (struct child){ .h = h, .index = index, .at_once = true,
		.p = { 0, -1, -1, -1, -1 }, .backoff = { delays_ms, 0 } };
}

void
child_retire(struct child *c)
{
	c->retiring = true;
	if (c->state == CHILD_STARTING)
		put_down(c, "it is replaced");
	leave_if_idle(c);
}

void
child_leave(struct child *c)
{
	loop_cancel(loop_of(c), &c->timer);
	c->retiring = true;
	if (c->state == CHILD_READY)
		say_bye(c, "shutdown");
	else if (c->state == CHILD_STARTING)
		put_down(c, "it is to leave");
}

void
child_close(struct child *c)
{
	if (is_alive(c)) {
		kill(-c->p.pid, SIGKILL);
		waitpid(c->p.pid, NULL, 0);
	}
	exec_sweep(c->h, c->run);
	shut(c);
	forget_hidden(c);
}

/* --- liveness --------------------------------------------------------------------- */

static void
on_ping_due(void *self)
{
	struct child *c = self;

	char cause[60];

	c->heard |= c->held; /* who is not read cannot be heard */
	if (c->pinged && !c->heard) {
		snprintf(cause, sizeof cause, "it hangs: no pong in %llu ms",
		    (unsigned long long)c->ping_ms);
		put_down(c, cause);
		return;
	}
	if (!c->heard && c->state == CHILD_READY) {
		struct json *o = new_frame("ping");

		json_put_int(o, "t", loop_wall_ms());
		say(c, o);
		c->pinged = true;
	} else {
		c->pinged = false;
	}
	c->heard = false;
	loop_after(loop_of(c), &c->ping, c->ping_ms, on_ping_due, c);
}

/* true, or how long a silence may be. */
static uint64_t
ping_wish(const struct json *hello)
{
	int64_t ms = 0;

	if (!json_int_at(hello, "ping", &ms))
		return json_truth(json_get(hello, "ping")) ? PING_MS : 0;
	return ms <= 0 ? 0 : ms < PING_LEAST_MS ? PING_LEAST_MS
	    : ms > PING_MOST_MS                 ? PING_MOST_MS
	                                        : (uint64_t)ms;
}

static void
on_job_late(void *self)
{
	struct job   *j = self;
	struct child *c = j->own;
	char          cause[160];

	if (c == NULL)
		return;
	/* It may be waiting for the result, as we are. */
	if (job_waits(j, job_timeout_ms(j) / 2)) {
		loop_after(loop_of(c), &j->late, job_timeout_ms(j),
		    on_job_late, j);
		return;
	}
	snprintf(cause, sizeof cause, "it hangs: no ack of %.60s in %llu ms",
	    j->id, (unsigned long long)job_timeout_ms(j));
	put_down(c, cause);
}

/* --- events and results ----------------------------------------------------------- */

/* What has failed twice goes alone, so that it takes no other with it; the
 * child is kept for it as long as events wait for a slot. */
bool
child_can_take(struct child *c, const struct job *j)
{
	bool     alone = j->attempt >= ALONE_FROM;
	uint64_t now = loop_clock_ms();

	if (c->state != CHILD_READY || c->retiring || c->alone ||
	    c->in_flight >= c->slots)
		return false;
	if (!alone)
		return now >= c->kept_until_ms;
	if (c->in_flight > 0)
		c->kept_until_ms = now + KEPT_MS;
	return c->in_flight == 0;
}

/* One less; with none left it is for everybody again. */
static void
closed_one(struct child *c)
{
	c->in_flight--;
	c->alone &= c->in_flight > 0;
	leave_if_idle(c);
}

void
child_event(struct child *c, struct job *j)
{
	j->own = c;
	c->in_flight++;
	c->alone = j->attempt >= ALONE_FROM;
	if (c->alone)
		c->kept_until_ms = 0;
	j->given_ms = loop_now(loop_of(c));
	note_told(c, buf_slice(&j->line));
	buf_put(&c->out, buf_slice(&j->line));
	buf_free(&j->line);
	write_on(c);
	loop_after(loop_of(c), &j->late, job_timeout_ms(j), on_job_late, j);
}

static void
say_result(struct child *c, const struct msg_result *m, struct slice ref)
{
	size_t before = c->out.n;

	if (c->p.to < 0)
		return;
	frame_result(m, ref, &c->out);
	if (!c->out.failed)
		note_told(c, slice_from(buf_slice(&c->out), before));
	write_on(c);
}

void
child_result(struct child *c, struct call *call, const struct msg_result *m)
{
	if (call->ref != NULL)
		say_result(c, m, slice_of(call->ref));
	resume_soon(c);
}

void
child_forget(struct child *c, struct job *j)
{
	if (!j->done && !j->loose)
		closed_one(c);
	resume_soon(c);
}

/* --- frames from it --------------------------------------------------------------- */

static void
refuse(struct child *c, struct slice ref, const char *code, const char *message)
{
	const struct msg_result r = { .code = slice_of(code),
		.message = slice_of(message) };

	if (ref.n > 0 && c->p.to >= 0) {
		say_result(c, &r, ref);
	} else if (may_log(c)) {
		log_warn("handler.refused", KV("handler", name_of(c)),
		    KV("pid", c->p.pid), KV("code", code),
		    KV("why", message));
	}
}

/* The job that a frame is about; NULL: not with this child any more. */
static struct job *
job_of(struct child *c, const struct frame *f)
{
	struct job *j = job_find(c->h->worker, json_text_at(f->doc, "ev"));

	if (j == NULL || j->own != c || j->done || j->loose) {
		c->stale++;
		return NULL;
	}
	return j;
}

static struct job *
loose_of(struct child *c)
{
	struct worker *w = c->h->worker;
	char           id[160];

	if (c->loose == NULL) {
		snprintf(id, sizeof id, "~%s.%s.%d.%llu", w->name, name_of(c),
		    (int)c->p.pid, (unsigned long long)loop_clock_ms());
		if ((c->loose = job_loose(w, c->h, id)) != NULL)
			c->loose->own = c;
	}
	return c->loose;
}

static void
order(struct child *c, struct job *j, const struct frame_order *fo)
{
	struct worker   *w = c->h->worker;
	struct job_order o = { .do_ = fo->do_, .text = fo->text,
		.conv = fo->conv, .msg = fo->msg, .bot = fo->bot,
		.key = fo->key, .n = fo->n, .with = buf_slice(&fo->with),
		.ref = fo->ref.n > 0 ? slice_dup(fo->ref) : NULL };
	enum err         e;

	if (j->loose && o.bot.n == 0)
		o.bot = slice_of(w->last_bot);
	e = job_call(w, j, &o);
	if (e == ERR_OK)
		return;
	free(o.ref);
	refuse(c, fo->ref, e == ERR_TOO_LARGE ? "TOO_MUCH" : "BAD_ARG",
	    e == ERR_DUPLICATE ? "n: this number is used already"
	                       : err_text(e));
}

static void
on_order(struct child *c, const struct frame *f)
{
	struct frame_order o;
	const char        *wrong = frame_order(&o, f);
	bool               tied = json_get(f->doc, "ev") != NULL;
	struct job        *j = NULL;

	if (wrong == NULL && !tied && f->verb == VERB_REPLY)
		wrong = "ev: which event is answered";
	if (wrong == NULL) {
		j = tied ? job_of(c, f) : loose_of(c);
		if (j == NULL)
			wrong = tied ? "ev: that event is not in flight here"
			             : "out of memory";
	}
	if (wrong != NULL)
		refuse(c, o.ref, "BAD_ARG", wrong);
	else
		order(c, j, &o);
	frame_order_free(&o);
}

static void
on_ack(struct child *c, const struct frame *f)
{
	struct job *j = job_of(c, f);

	if (j == NULL)
		return;
	job_done(c->h->worker, j);
	closed_one(c);
	host_freed(c->h, true);
}

static void
on_nack(struct child *c, const struct frame *f)
{
	struct job  *j = job_of(c, f);
	struct slice why = json_text_at(f->doc, "why");
	int64_t      after = 0;
	char         text[200];

	if (j == NULL)
		return;
	json_int_at(f->doc, "after_ms", &after);
	snprintf(text, sizeof text, "handler %s: %.*s", name_of(c),
	    why.n > 0 ? (int)(why.n < 150 ? why.n : 150) : 3,
	    why.n > 0 ? why.p : "no.");
	job_fail(c->h->worker, j, after > 0 ? (uint64_t)after : 0,
	    json_truth(json_get(f->doc, "drop")), text, (struct slice){ NULL, 0 });
}

static void
on_log(struct child *c, const struct frame *f)
{
	enum log_level level = LOG_INFO;
	struct slice   msg = json_text_at(f->doc, "msg");

	log_level_of(json_text_at(f->doc, "level"), &level);
	if (msg.n > LOG_PIECE)
		msg.n = LOG_PIECE;
	if (log_enabled(level) && may_log(c))
		log_write(level, "handler.says", (const struct kv[]){
		    KV("handler", name_of(c)), KV("pid", c->p.pid),
		    KV("msg", msg), { .key = NULL } });
}

static void
on_hello(struct child *c, const struct frame *f)
{
	int64_t v = 0, slots = 1;
	char    why[160];

	if (c->state != CHILD_STARTING)
		return;
	json_int_at(f->doc, "v", &v);
	if (v != 1) {
		snprintf(why, sizeof why, "it speaks version %lld of the "
		    "protocol, we speak 1 to 1", (long long)v);
		break_down(c, why);
		c->state = CHILD_STARTING;
		put_down(c, why);
		return;
	}
	json_int_at(f->doc, "slots", &slots);
	c->slots = slots < 1 ? 1 : slots > SLOTS_MAX ? SLOTS_MAX
	                                             : (uint64_t)slots;
	c->ping_ms = ping_wish(f->doc);
	c->state = CHILD_READY;
	c->ready_ms = loop_clock_ms();
	loop_cancel(loop_of(c), &c->timer);
	if (c->ping_ms > 0)
		loop_after(loop_of(c), &c->ping, c->ping_ms, on_ping_due, c);
	exec_child_ready(c->h, c, f->doc);
	log_info("handler.ready", KV("handler", name_of(c)),
	    KV("pid", c->p.pid), KV("events", c->h->events),
	    KV("slots", c->slots));
}

static void
take_frame(struct child *c, const struct frame *f)
{
	switch (f->verb) {
	case VERB_HELLO:
		on_hello(c, f);
		return;
	case VERB_REPLY:
	case VERB_CALL:
		on_order(c, f);
		return;
	case VERB_ACK:
		on_ack(c, f);
		return;
	case VERB_NACK:
		on_nack(c, f);
		return;
	case VERB_LOG:
		on_log(c, f);
		return;
	default: /* pong: it was heard */
		return;
	}
}

static void
take_line(struct child *c, struct slice line)
{
	struct frame f;
	enum err     e = frame_read(&f, line);

	c->heard = true;
	capsule_frame(&c->capsule, true, line, loop_now(loop_of(c)));
	if (e != ERR_OK) {
		put_down(c, "it wrote a line that begins with { and is no "
		            "JSON object");
		return;
	}
	if (f.verb != VERB_STRAY) {
		c->strays_in_a_row = 0;
		take_frame(c, &f);
		frame_free(&f);
		return;
	}
	c->strays++;
	log_words(c, "handler.stray", line);
	if (++c->strays_in_a_row >= STRAYS_MAX)
		put_down(c, "it wrote 100 lines in a row that are no frames");
}

/* More than this of it is under way: it may wait. */
static bool
is_full(const struct child *c)
{
	uint64_t open = 0, bytes = 0;

	for (const struct job *j = c->h->worker->jobs; j != NULL; j = j->next)
		if (j->own == c) {
			open += j->open;
			bytes += j->bytes;
		}
	return open >= OPEN_MAX_CALLS || bytes >= OPEN_BYTES ||
	    c->out.n - c->written >= OUT_BYTES;
}

/* All lines that are there, as long as there is room for what they ask. */
static void
read_on(struct child *c)
{
	struct slice line;
	enum err     e = ERR_OK;

	while (c->p.from >= 0 && !(c->held = is_full(c)) &&
	    (e = lines_next(&c->said, &line)) == ERR_OK)
		take_line(c, line);
	if (c->p.from < 0)
		return;
	if (e == ERR_TOO_LARGE) {
		put_down(c, "it wrote a line of more than 1 MiB");
		c->held = true; /* and is not read any more */
	}
	if (c->held)
		loop_unwatch(loop_of(c), c->p.from);
	else
		loop_watch(loop_of(c), c->p.from, LOOP_READ, on_out, c);
}

/* The last line may lack its end; half of one is nothing. */
static void
take_rest(struct child *c)
{
	struct slice line;
	struct frame f;

	if (lines_left(&c->said) == 0 ||
	    lines_put(&c->said, SLICE("\n")) != ERR_OK)
		return;
	while (!is_full(c) && lines_next(&c->said, &line) == ERR_OK) {
		if (frame_read(&f, line) == ERR_OK)
			take_line(c, line);
		frame_free(&f);
	}
}

static void
on_mute(void *self)
{
	put_down(self, "it closed its output");
}

static void
on_out(void *self, int fd, unsigned what)
{
	struct child *c = self;
	char          chunk[CHUNK];
	ssize_t       n = read(fd, chunk, sizeof chunk);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_fd(c, &c->p.from);
		take_rest(c);
		/* Its end is told in a moment, unless it goes on without. */
		if (c->state == CHILD_STARTING || c->state == CHILD_READY)
			loop_after(loop_of(c), &c->timer, EOF_MS, on_mute, c);
		return;
	}
	if (lines_put(&c->said, (struct slice){ chunk, (size_t)n }) != ERR_OK)
		put_down(c, "out of memory");
	else
		read_on(c);
}

/* --- status ----------------------------------------------------------------------- */

struct json *
child_json(const struct child *c)
{
	struct json *o = json_new_object();

	json_put_text(o, "state", slice_of(states[c->state]));
	if (is_alive(c))
		json_put_int(o, "pid", c->p.pid);
	json_put_int(o, "in_flight", (int64_t)c->in_flight);
	json_put_int(o, "restarts", (int64_t)c->restarts);
	json_put_int(o, "strays", (int64_t)c->strays);
	json_put_int(o, "stale", (int64_t)c->stale);
	if (c->held)
		json_put_bool(o, "held", true);
	if (c->why[0] != '\0')
		json_put_text(o, "last_end", slice_of(c->why));
	return o;
}
