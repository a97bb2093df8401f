/*
 * The commands of the status socket.  A client has at most one job at a time:
 * an answer that is still to come, or a stream.
 */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "snapshot.h"

enum { LINES_DEFAULT = 50, TIMEOUT_MAX_MS = 3600000, ASK_MS = 5000 };

enum goal { GOAL_NONE, GOAL_UP, GOAL_READY, GOAL_DOWN, GOAL_STOPPED };

/* What one child has to become before the answer is due. */
struct due {
	char     name[CHILD_NAME_MAX];
	unsigned generation;          /* at least */
	bool     rolling;             /* it has its turn, unless it fails */
};

struct job {
	struct control *control;
	struct client  *client;
	struct json    *id;
	enum goal       goal;
	bool            watches, follows, upgrades;
	char            name[CHILD_NAME_MAX];  /* of those followed, or asked */
	uint64_t        question;              /* its id; 0: none */
	unsigned        generation;            /* of the process asked */
	struct timer    timer;
	struct due     *due;
	size_t          ndue;
};

/* --- answers ------------------------------------------------------------ */

static struct json *
new_answer(const struct json *id)
{
	struct json *a = json_new_object();

	json_put_int(a, "v", 1);
	if (id != NULL)
		json_put_ref(a, "id", id);
	return a;
}

static struct json *
yes(const struct json *id)
{
	struct json *a = new_answer(id);

	json_put_bool(a, "ok", true);
	return a;
}

static void
say_no(struct client *c, const struct json *id, const char *error,
    const char *message)
{
	struct json *a = new_answer(id);

	json_put_bool(a, "ok", false);
	json_put_text(a, "error", slice_of(error));
	json_put_text(a, "message", slice_of(message));
	client_send(c, a);
}

static void
say_err(struct client *c, const struct json *id, enum err e)
{
	if (e == ERR_OK)
		client_send(c, yes(id));
	else
		say_no(c, id, err_name(e), err_text(e));
}

/* --- jobs --------------------------------------------------------------- */

static void
end_job(struct client *c)
{
	struct job *j = c->job;

	if (j == NULL)
		return;
	c->job = NULL;
	loop_cancel(j->control->family->loop, &j->timer);
	json_free(&j->id);
	free(j->due);
	free(j);
}

/* A copy: the request goes when its handler returns. */
static struct json *
copy_of(const struct json *value)
{
	struct json *box = json_new_object(), *copy = NULL;

	json_put_ref(box, "id", value);
	if (box != NULL)
		json_parse(&copy, json_print(box));
	json_free(&box);
	return copy;
}

static const struct json *
job_id(const struct job *j)
{
	return json_get(j->id, "id");
}

static struct job *
new_job(struct control *ctl, struct client *c, const struct json *req)
{
	struct job *j = calloc(1, sizeof *j);

	if (j == NULL) {
		say_err(c, json_get(req, "id"), ERR_NOMEM);
		return NULL;
	}
	j->control = ctl;
	j->client = c;
	j->id = copy_of(json_get(req, "id"));
	c->job = j;
	return j;
}

static void
on_job_late(void *self)
{
	struct job    *j = self;
	struct client *c = j->client;

	say_no(c, job_id(j), "TIMEOUT", j->question != 0
	        ? "it has not answered; an older program may not know the "
	          "question"
	        : "not done before the deadline");
	end_job(c);
}

enum verdict { PENDING, DONE, FAILED };

static enum verdict
judge_up(const struct child *c, const struct due *d, enum goal goal)
{
	const struct service *s = &c->service;

	if (d->rolling && c->rolls)
		return PENDING; /* its turn has not come */
	if (s->state == SERVICE_FAILED)
		return FAILED;
	if (!s->wanted)
		return goal == GOAL_READY ? DONE : FAILED;
	if (s->generation >= d->generation &&
	    (s->state == SERVICE_READY ||
	        (goal == GOAL_UP && s->state == SERVICE_DEGRADED)))
		return DONE;
	return d->rolling ? FAILED : PENDING;
}

static enum verdict
judge(const struct job *j, const struct due *d)
{
	const struct child *c = family_child(j->control->family,
	    slice_of(d->name));

	if (c == NULL)
		return j->goal >= GOAL_DOWN ? DONE : FAILED;
	if (j->goal < GOAL_DOWN)
		return judge_up(c, d, j->goal);
	if (j->goal == GOAL_STOPPED)
		return service_alive(&c->service) || service_wants_go(
		    &c->service, UINT64_MAX) ? PENDING : DONE;
	if (c->service.wanted)
		return FAILED;
	return service_alive(&c->service) ? PENDING : DONE;
}

/* Answers if the goal is reached, or out of reach. */
static void
look_at_job(struct job *j)
{
	struct client *c = j->client;
	bool           pending = false;
	char           message[160], text[80];

	for (size_t i = 0; i < j->ndue; i++) {
		enum verdict  v = judge(j, &j->due[i]);
		struct child *child;

		pending |= v == PENDING;
		if (v != FAILED)
			continue;
		child = family_child(j->control->family,
		    slice_of(j->due[i].name));
		snprintf(message, sizeof message, "%s is %s%s%s",
		    j->due[i].name, child != NULL
		        ? service_state_name(child->service.state)
		        : "gone", child != NULL ? "; last: " : "",
		    child != NULL ? child_last_exit(child, text, sizeof text)
		                  : "");
		say_no(c, job_id(j), "FAILED", message);
		end_job(c);
		return;
	}
	if (pending)
		return;
	client_send(c, yes(job_id(j)));
	end_job(c);
}

/* How long this request waits for its goal; 0: not at all. */
static uint64_t
timeout_of(struct control *ctl, const struct json *req)
{
	/* but for restarts they are the same for all */
	const struct service_limits *l = family_limits(ctl->family, 0);
	int64_t                      ms;

	if (!json_int_at(req, "timeout_ms", &ms))
		return l->ready_ms + l->stop_ms + l->drain_ms;
	return ms < 0 ? 0 : ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS
	                                        : (uint64_t)ms;
}

static bool
job_selects(const struct child *c, struct slice name, enum goal goal)
{
	return family_matches(c, name) && (goal >= GOAL_DOWN || !c->surplus);
}

/* fresh: a process started from now on counts, not the one that runs. */
static void
answer_when(struct control *ctl, struct client *c, const struct json *req,
    struct slice name, enum goal goal, bool fresh)
{
	struct family *f = ctl->family;
	uint64_t       ms = timeout_of(ctl, req);
	struct job    *j;

	if (ms == 0) {
		client_send(c, yes(json_get(req, "id")));
		return;
	}
	if ((j = new_job(ctl, c, req)) == NULL)
		return;
	j->goal = goal;
	if ((j->due = calloc(f->nchildren + 1, sizeof *j->due)) == NULL ||
	    loop_after(f->loop, &j->timer, ms, on_job_late, j) != ERR_OK) {
		say_err(c, job_id(j), ERR_NOMEM);
		end_job(c);
		return;
	}
	for (size_t i = 0; i < f->nchildren; i++) {
		const struct child *child = f->children[i];
		struct due         *d = &j->due[j->ndue];

		if (!job_selects(child, name, goal))
			continue;
		memcpy(d->name, child->name, sizeof d->name);
		d->generation = child->service.generation + (fresh ? 1 : 0);
		d->rolling = fresh && child->rolls;
		j->ndue++;
	}
	/* judged in control_turn(), when the plan has had its say */
}

/* --- commands ----------------------------------------------------------- */

static void
do_status(struct control *ctl, struct client *c, const struct json *req)
{
	struct json *a = yes(json_get(req, "id"));

	json_put_int(a, "seq", (int64_t)ctl->seq);
	snapshot_put(a, ctl->family);
	client_send(c, a);
}

static void
do_watch(struct control *ctl, struct client *c, const struct json *req)
{
	struct job *j;

	do_status(ctl, c, req);
	if ((j = new_job(ctl, c, req)) != NULL)
		j->watches = true;
}

/* The name, which must be there and somebody's. */
static bool
name_of(struct control *ctl, struct client *c, const struct json *req,
    struct slice *name)
{
	*name = json_text_at(req, "name");
	if (name->n > 0 && family_find(ctl->family, *name) != NULL)
		return true;
	say_no(c, json_get(req, "id"), "NOT_FOUND",
	    name->n > 0 ? "no child or service of that name"
	                : "name is missing: a child, a service, or all");
	return false;
}

static void
step_all(struct control *ctl, struct slice name, enum service_input input)
{
	struct family *f = ctl->family;

	for (size_t i = 0; i < f->nchildren; i++)
		if (family_matches(f->children[i], name) &&
		    !f->children[i]->surplus)
			child_step(f->children[i], input);
}

static void
do_start(struct control *ctl, struct client *c, const struct json *req)
{
	struct slice name;

	if (!name_of(ctl, c, req, &name))
		return;
	step_all(ctl, name, SERVICE_START);
	answer_when(ctl, c, req, name, GOAL_UP, false);
}

static void
do_stop(struct control *ctl, struct client *c, const struct json *req)
{
	struct slice name;

	if (!name_of(ctl, c, req, &name))
		return;
	step_all(ctl, name, SERVICE_STOP);
	answer_when(ctl, c, req, name, GOAL_DOWN, false);
}

static void
do_restart(struct control *ctl, struct client *c, const struct json *req)
{
	struct slice name;

	if (!name_of(ctl, c, req, &name))
		return;
	if (json_truth(json_get(req, "rolling")))
		family_roll(ctl->family, name);
	answer_when(ctl, c, req, name, GOAL_UP, true);
	if (!json_truth(json_get(req, "rolling")))
		step_all(ctl, name, SERVICE_RESTART);
}

static void
do_drain(struct control *ctl, struct client *c, const struct json *req)
{
	struct slice name;

	if (!name_of(ctl, c, req, &name))
		return;
	answer_when(ctl, c, req, name, GOAL_UP, true);
	step_all(ctl, name, SERVICE_DRAIN);
}

static void
do_scale(struct control *ctl, struct client *c, const struct json *req)
{
	int64_t  n;
	enum err e;

	if (!json_int_at(req, "workers", &n) || n < 0 ||
	    n > FAMILY_WORKERS_MAX) {
		say_no(c, json_get(req, "id"), "SYNTAX",
		    "workers must be a number from 0 to 256");
		return;
	}
	if ((e = family_scale(ctl->family, (unsigned)n)) != ERR_OK) {
		say_no(c, json_get(req, "id"), err_name(e),
		    e == ERR_NOT_FOUND ? "this supervisor runs no workers"
		                       : err_text(e));
		return;
	}
	answer_when(ctl, c, req, SLICE("worker"), GOAL_UP, false);
}

static void
do_wait(struct control *ctl, struct client *c, const struct json *req)
{
	struct slice name = json_text_at(req, "name");

	if (name.n > 0 && !name_of(ctl, c, req, &name))
		return;
	answer_when(ctl, c, req, name, json_truth(json_get(req, "stopped"))
	        ? GOAL_STOPPED : GOAL_READY, false);
}

static void
do_reset_failed(struct control *ctl, struct client *c, const struct json *req)
{
	struct slice name;

	if (!name_of(ctl, c, req, &name))
		return;
	step_all(ctl, name, SERVICE_RESET);
	client_send(c, yes(json_get(req, "id")));
}

/* TERM, SIGTERM or 15; 0: none of them. */
static int
signal_of(struct slice text)
{
	unsigned long long n;

	if (slice_u64(text, &n))
		return n < NSIG ? (int)n : 0;
	if (slice_starts(text, SLICE("SIG")))
		text = slice_from(text, 3);
	for (int i = 1; i < NSIG; i++)
		if (sigabbrev_np(i) != NULL && slice_is(text, sigabbrev_np(i)))
			return i;
	return 0;
}

static void
do_signal(struct control *ctl, struct client *c, const struct json *req)
{
	const struct json *id = json_get(req, "id");
	int                number = signal_of(json_text_at(req, "signal"));
	bool               group = json_truth(json_get(req, "group"));
	struct slice       name;
	size_t             reached = 0;

	if (!name_of(ctl, c, req, &name))
		return;
	if (number == 0) {
		say_no(c, id, "SYNTAX", "signal must be one of signal(7): "
		    "HUP, SIGHUP or 1");
		return;
	}
	for (size_t i = 0; i < ctl->family->nchildren; i++)
		if (family_matches(ctl->family->children[i], name))
			reached += child_signal(ctl->family->children[i],
			    number, group) == ERR_OK;
	if (reached > 0)
		client_send(c, yes(id));
	else
		say_no(c, id, "CLOSED", "it is not running");
}

static void
do_dump(struct control *ctl, struct client *c, const struct json *req)
{
	struct json *a = yes(json_get(req, "id"));

	json_put_int(a, "seq", (int64_t)ctl->seq);
	snapshot_put(a, ctl->family);
	snapshot_put_dump(a, ctl->family);
	client_send(c, a);
}

static void
do_log_level(struct control *ctl, struct client *c, const struct json *req)
{
	enum log_level level;

	if (!log_level_of(json_text_at(req, "level"), &level)) {
		say_no(c, json_get(req, "id"), "SYNTAX",
		    "level must be error, warn, info or debug");
		return;
	}
	family_log_level(ctl->family, level);
	client_send(c, yes(json_get(req, "id")));
}

static void
do_reload(struct control *ctl, struct client *c, const struct json *req)
{
	const struct buf *trouble = &ctl->family->settings->trouble;
	enum err          e = family_reload(ctl->family);

	if (e == ERR_CONFIG && trouble->n > 0)
		say_no(c, json_get(req, "id"), err_name(e), trouble->p);
	else
		say_err(c, json_get(req, "id"), e);
}

static void
do_shutdown(struct control *ctl, struct client *c, const struct json *req)
{
	client_send(c, yes(json_get(req, "id")));
	family_stop(ctl->family);
}

static void do_help(struct control *, struct client *, const struct json *);

/* --- another program in our place ---------------------------------------- */

static struct client *
asker_of(const struct control *ctl)
{
	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++) {
		const struct client *c = &ctl->status.clients[i];
		const struct job    *j = c->job;

		if (c->fd >= 0 && j != NULL && j->upgrades)
			return j->client;
	}
	return NULL;
}

bool
control_wants_upgrade(const struct control *ctl)
{
	return asker_of(ctl) != NULL;
}

void
control_upgraded(struct control *ctl, const char *why_not)
{
	struct client *c = asker_of(ctl);

	if (c == NULL)
		return;
	say_no(c, job_id(c->job), "FAILED", why_not);
	end_job(c);
}

static void
do_upgrade(struct control *ctl, struct client *c, const struct json *req)
{
	const struct buf *trouble = &ctl->family->settings->trouble;
	struct job       *j;

	const char *why = ctl->family->stopping ? "the system stops"
	    : family_rolls(ctl->family) ? "a rolling restart is under way"
	    : asker_of(ctl) != NULL     ? "an upgrade is under way"
	                                : NULL;

	/* The next program reads the files, and would take what we did not. */
	if (why == NULL && trouble->n > 0) {
		say_no(c, json_get(req, "id"), "CONFIG", trouble->p);
		return;
	}
	if (why != NULL) {
		say_no(c, json_get(req, "id"), "BUSY", why);
		return;
	}
	if ((j = new_job(ctl, c, req)) != NULL)
		j->upgrades = true;
}

void
control_put(const struct control *ctl, struct json *state)
{
	const struct client *c = asker_of(ctl);

	json_put_int(state, "seq", (int64_t)ctl->seq);
	json_put_int(state, "questions", (int64_t)ctl->questions);
	json_put_int(state, "listener", ctl->status.fd);
	json_put_int(state, "asker", c != NULL ? c->fd : -1);
	if (c != NULL && job_id(c->job) != NULL)
		json_put_ref(state, "asker_id", job_id(c->job));
}

static void
resume(struct control *ctl, const struct json *state)
{
	int64_t        n = -1;
	struct client *c;
	struct json   *a;

	if (json_int_at(state, "questions", &n))
		ctl->questions = (uint64_t)n;
	if (json_int_at(state, "seq", &n))
		ctl->seq = (uint64_t)n;
	n = -1;
	if (!json_int_at(state, "asker", &n) || n < 0 ||
	    (c = status_take(&ctl->status, (int)n)) == NULL)
		return;
	a = yes(json_get(state, "asker_id"));
	snapshot_put_supervisor(a, ctl->family);
	client_send(c, a);
}

/* --- questions to a child ----------------------------------------------- */

static const char *
why_not_asked(enum err e)
{
	return e == ERR_CLOSED ? "it is not running"
	    : e == ERR_FULL    ? "it does not read its messages"
	                       : err_text(e);
}

static enum err
put_question(struct job *j, struct child *child, struct slice what,
    const struct json *with, uint64_t ms)
{
	struct msg_ask ask = { .id = j->question, .what = what };
	struct buf     packed = { 0 };
	enum err       e = ERR_OK;

	if (with != NULL && (e = json_to_msgpack(with, &packed)) == ERR_OK)
		ask.with = buf_slice(&packed);
	if (e == ERR_OK)
		e = child_tell(child, MSG_ask, &ask);
	if (e == ERR_OK)
		e = loop_after(j->control->family->loop, &j->timer, ms,
		    on_job_late, j);
	buf_free(&packed);
	return e;
}

static void
do_ask(struct control *ctl, struct client *c, const struct json *req)
{
	const struct json *id = json_get(req, "id");
	const struct json *with = json_get(req, "with");
	struct slice       what = json_text_at(req, "what");
	struct child      *child = family_child(ctl->family,
	    json_text_at(req, "name"));
	struct job        *j;
	int64_t            ms = ASK_MS;
	enum err           e;

	json_int_at(req, "timeout_ms", &ms);
	ms = ms < 1 ? 1 : ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : ms;
	if (what.n == 0 || (with != NULL && !json_is_object(with))) {
		say_no(c, id, "SYNTAX", "a question has name, what, and "
		    "perhaps an object with");
		return;
	}
	if (child == NULL) {
		say_no(c, id, "NOT_FOUND", "this supervisor runs no child of "
		    "that name; ask the one that does");
		return;
	}
	if ((j = new_job(ctl, c, req)) == NULL)
		return;
	memcpy(j->name, child->name, sizeof j->name);
	j->generation = child->service.generation;
	j->question = ++ctl->questions;
	if ((e = put_question(j, child, what, with, (uint64_t)ms)) == ERR_OK)
		return;
	say_no(c, job_id(j), err_name(e), why_not_asked(e));
	end_job(c);
}

static void
pass_on(struct client *c, const struct json *id, const struct msg_answer *m)
{
	char         code[40], message[512];
	struct json *data = NULL, *a;

	snprintf(code, sizeof code, "%.*s", (int)m->code.n,
	    m->code.n > 0 ? m->code.p : "");
	snprintf(message, sizeof message, "%.*s", (int)m->message.n,
	    m->message.n > 0 ? m->message.p : "");
	lines_clean(code, strlen(code));
	lines_clean(message, strlen(message));
	if (!m->ok) {
		say_no(c, id, code[0] != '\0' ? code : "FAILED", message);
	} else if (m->data.n > 0 &&
	    json_from_msgpack(&data, m->data) != ERR_OK) {
		say_no(c, id, "SYNTAX", "its answer cannot be read");
	} else {
		a = yes(id);
		json_put_take(a, "data",
		    data != NULL ? data : json_new_object());
		client_send(c, a);
	}
}

static bool
on_answered(void *self, const struct child *child, const struct msg_answer *m)
{
	struct control *ctl = self;

	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++) {
		struct client *c = &ctl->status.clients[i];
		struct job    *j = c->job;

		if (c->fd < 0 || j == NULL || j->question == 0 ||
		    j->question != m->id || strcmp(j->name, child->name) != 0)
			continue;
		pass_on(c, job_id(j), m);
		end_job(c);
		return true;
	}
	return false;
}

/* Whoever was asked may have ended since. */
static void
look_at_question(struct job *j)
{
	struct client      *c = j->client;
	const struct child *child = family_child(j->control->family,
	    slice_of(j->name));

	if (child != NULL && child->socket >= 0 &&
	    child->service.generation == j->generation)
		return;
	say_no(c, job_id(j), "CLOSED", "it ended before it had answered");
	end_job(c);
}

/* --- logs --------------------------------------------------------------- */

static void
send_line(struct client *c, const struct json *id, const char *name,
    struct slice line)
{
	struct json *a = new_answer(id);

	json_put_text(a, "name", slice_of(name));
	json_put_text(a, "line", line);
	client_send(c, a);
}

/* Of the children's newest lines not counted yet, the one said last. */
static bool
step_back(const struct family *f, struct slice name,
    size_t counted[FAMILY_MAX], size_t *bytes)
{
	size_t   best = FAMILY_MAX, n = 0;
	uint64_t latest = 0;

	for (size_t i = 0; i < f->nchildren; i++) {
		struct slice line;
		uint64_t     number;

		if (family_matches(f->children[i], name) &&
		    lines_from_end(&f->children[i]->lines, counted[i], &line,
		        &number) && number > latest) {
			latest = number;
			best = i;
			n = line.n;
		}
	}
	if (best == FAMILY_MAX || n > *bytes)
		return false;
	*bytes -= n;
	counted[best]++;
	return true;
}

/* The reverse: the oldest of those counted. */
static bool
step_forward(const struct family *f, struct client *c,
    const struct json *id, size_t counted[FAMILY_MAX])
{
	size_t       best = FAMILY_MAX;
	uint64_t     first = UINT64_MAX;
	struct slice said = { NULL, 0 };

	for (size_t i = 0; i < f->nchildren; i++) {
		struct slice line;
		uint64_t     number;

		if (counted[i] > 0 &&
		    lines_from_end(&f->children[i]->lines, counted[i] - 1,
		        &line, &number) && number < first) {
			first = number;
			best = i;
			said = line;
		}
	}
	if (best == FAMILY_MAX)
		return false;
	counted[best]--;
	send_line(c, id, f->children[best]->name, said);
	return true;
}

static void
do_logs(struct control *ctl, struct client *c, const struct json *req)
{
	const struct json *id = json_get(req, "id");
	struct slice       name = json_text_at(req, "name");
	size_t             counted[FAMILY_MAX] = { 0 };
	/* All of it waits to be read at first. */
	size_t             bytes = STATUS_UNREAD_MAX / 4;
	int64_t            n = LINES_DEFAULT;
	struct job        *j;

	json_int_at(req, "lines", &n);
	if (name.n > 0 && family_find(ctl->family, name) == NULL) {
		say_no(c, id, "NOT_FOUND", "no child or service of that name");
		return;
	}
	while (n-- > 0 && step_back(ctl->family, name, counted, &bytes))
		;
	while (step_forward(ctl->family, c, id, counted))
		;
	if (!json_truth(json_get(req, "follow"))) {
		client_send(c, yes(id));
		return;
	}
	if ((j = new_job(ctl, c, req)) == NULL)
		return;
	j->follows = true;
	snprintf(j->name, sizeof j->name, "%.*s", (int)name.n,
	    name.n > 0 ? name.p : "");
}

/* --- the table ---------------------------------------------------------- */

static void
do_ping(struct control *ctl, struct client *c, const struct json *req)
{
	(void)ctl;
	client_send(c, yes(json_get(req, "id")));
}

static const struct command {
	const char *name, *arguments, *meaning;
	void      (*fn)(struct control *, struct client *, const struct json *);
} commands[] = {
#define COMMAND(id, name, arguments, meaning)                                \
	{ name, arguments, meaning, do_##id },
#include "commands.def"
#undef COMMAND
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void
do_help(struct control *ctl, struct client *c, const struct json *req)
{
	struct json *a = yes(json_get(req, "id")), *list = json_new_array();

	(void)ctl;
	for (size_t i = 0; i < COMMANDS; i++) {
		struct json *o = json_new_object();

		json_put_text(o, "cmd", slice_of(commands[i].name));
		json_put_text(o, "arguments", slice_of(commands[i].arguments));
		json_put_text(o, "meaning", slice_of(commands[i].meaning));
		json_push_take(list, o);
	}
	json_put_take(a, "commands", list);
	client_send(c, a);
}

static void
run_command(struct control *ctl, struct client *c, const struct json *req)
{
	struct slice name = json_text_at(req, "cmd");
	int64_t      v = 1;

	json_int_at(req, "v", &v);
	if (!json_is_object(req) || v != 1) {
		say_no(c, json_get(req, "id"), "SYNTAX",
		    "a request is {\"v\":1,\"id\":..,\"cmd\":\"help\"}");
		return;
	}
	if (c->job != NULL) {
		say_no(c, json_get(req, "id"), "BUSY",
		    "one request at a time on a connection");
		return;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (slice_is(name, commands[i].name)) {
			commands[i].fn(ctl, c, req);
			return;
		}
	say_no(c, json_get(req, "id"), "NOT_FOUND",
	    "no such command; ask for help");
}

static void
on_request(void *self, struct client *c, struct slice line)
{
	struct json *req = NULL;

	if (json_parse(&req, line) != ERR_OK)
		say_no(c, NULL, "SYNTAX", "a request is one JSON object");
	else
		run_command(self, c, req);
	json_free(&req);
}

static void
on_client_gone(void *self, struct client *c)
{
	(void)self;
	end_job(c);
}

/* --- streams ------------------------------------------------------------ */

static void
on_changed(void *self, struct child *child, enum service_state was)
{
	struct control *ctl = self;
	uint64_t        now = loop_now(ctl->family->loop);

	ctl->seq++;
	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++) {
		struct client *c = &ctl->status.clients[i];
		struct job    *j = c->job;
		struct json   *a;

		if (c->fd < 0 || j == NULL || !j->watches)
			continue;
		a = new_answer(job_id(j));
		json_put_int(a, "seq", (int64_t)ctl->seq);
		json_put_text(a, "from", slice_of(service_state_name(was)));
		json_put_take(a, "child", snapshot_child(child, now));
		client_send(c, a);
	}
}

static void
on_heard(void *self, const struct child *child, struct slice line,
    uint64_t number)
{
	struct control *ctl = self;

	(void)number;
	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++) {
		struct client *c = &ctl->status.clients[i];
		struct job    *j = c->job;

		if (c->fd >= 0 && j != NULL && j->follows &&
		    family_matches(child, slice_of(j->name)))
			send_line(c, job_id(j), child->name, line);
	}
}

static void
tell_overall(struct control *ctl)
{
	enum plan_state is = family_state(ctl->family);

	if (is == ctl->shown)
		return;
	ctl->shown = is;
	ctl->seq++;
	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++) {
		struct client *c = &ctl->status.clients[i];
		struct job    *j = c->job;
		struct json   *a;

		if (c->fd < 0 || j == NULL || !j->watches)
			continue;
		a = new_answer(job_id(j));
		json_put_int(a, "seq", (int64_t)ctl->seq);
		json_put_text(a, "state", slice_of(plan_state_name(is)));
		client_send(c, a);
	}
}

/* --- life --------------------------------------------------------------- */

void
control_turn(struct control *ctl)
{
	tell_overall(ctl);
	for (size_t i = 0; i < STATUS_CLIENTS_MAX; i++) {
		struct client *c = &ctl->status.clients[i];
		struct job    *j = c->job;

		if (c->fd < 0 || j == NULL)
			continue;
		if (j->question != 0)
			look_at_question(j);
		else if (j->goal != GOAL_NONE)
			look_at_job(j);
	}
	status_sweep(&ctl->status);
}

enum err
control_open(struct control *ctl, struct family *f, struct loop *loop,
    const char *run_dir, const struct json *state)
{
	int64_t  listener = -1;
	enum err e;

	json_int_at(state, "listener", &listener);
	*ctl = (struct control){ .family = f };
	if ((ctl->path = conf_path(run_dir, "status.sock")) == NULL)
		return ERR_NOMEM;
	if ((e = status_open(&ctl->status, loop, ctl->path,
	         (int)listener)) != ERR_OK)
		return e;
	ctl->status.on_line = on_request;
	ctl->status.on_gone = on_client_gone;
	ctl->status.self = ctl;
	f->listener = (struct family_listener){ on_changed, on_heard,
		on_answered, ctl };
	if (state != NULL)
		resume(ctl, state);
	return ERR_OK;
}

void
control_close(struct control *ctl)
{
	if (ctl->family != NULL)
		ctl->family->listener = (struct family_listener){ 0 };
	status_close(&ctl->status);
	free(ctl->path);
}
