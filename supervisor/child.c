/*
 * One child: the hands of its state machine.
 */
#include "child.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "family.h"
#include "log.h"
#include "proc.h"
#include "spawn.h"
#include "vault.h"

/* Bounds per turn, so that one child's flood leaves time for the others. */
enum { PACKET_MAX = FAMILY_SCRATCH, PACKETS_PER_TURN = 64,
	OUTPUT_PER_TURN = FAMILY_SCRATCH, SOCKET_BYTES = 2 * PROC_ANSWER_MAX };
_Static_assert(PROC_ANSWER_MAX + PROC_PACKET_MAX < PACKET_MAX,
    "an answer with its head fits into one read");

/* Ends in a row that are for a person to look at. */
enum { STUCK_MS = 3000, STREAK = 3 };

/* --- what it takes ------------------------------------------------------ */

/* value: 0 for one that has no limit. */
static void
hold_to(struct child *c, const char *what, uint64_t value, uint64_t limit)
{
	enum service_state was = c->service.state;
	bool               far = value > limit + limit / 2;

	if (limit == 0 || value <= limit)
		return;
	child_step(c, far ? SERVICE_FAR_OVER : SERVICE_OVER);
	if (c->service.state != was)
		log_warn("child.limit", KV("name", c->name), KV("what", what),
		    KV("value", value), KV("limit", limit),
		    KV("deed", far ? "kill" : "drain"));
}

void
child_look(struct child *c)
{
	const struct conf *conf = &family_settings(c->family)->conf;
	uint64_t           now = loop_now(family_loop(c->family));

	if (c->pid == 0 ||
	    (c->looked_ms != 0 && now < c->looked_ms + CHILD_LOOK_MS))
		return;
	c->looked_ms = now;
	family_look_at_memory(c->family);
	vitals_read(c->pid, &c->vitals);
	hold_to(c, "rss_kib", c->vitals.rss_kib, conf->child_rss_mib * 1024);
	hold_to(c, "fds", c->vitals.fds, conf->child_fds);
	if (vitals_share(&c->share, c->vitals.cpu_ms, now,
	        conf->child_cpu_s * 1000))
		hold_to(c, "cpu_percent", c->share.percent, conf->child_cpu);
}

/* --- what it says: messages --------------------------------------------- */

static void
on_up(void *self, msg_peer from, const struct msg_up *m)
{
	(void)from, (void)m;
	child_step(self, SERVICE_UP);
}

static void
on_beat(void *self, msg_peer from, const struct msg_beat *m)
{
	(void)self, (void)from, (void)m; /* any packet is one */
}

static void
copy_text(char *to, size_t size, struct slice text)
{
	snprintf(to, size, "%.*s", (int)text.n, text.n > 0 ? text.p : "");
	lines_clean(to, strlen(to));
}

static void
on_report(void *self, msg_peer from, const struct msg_report *m)
{
	struct child *c = self;
	struct json  *app = NULL;

	(void)from;
	if (m->app.n > 0 && json_from_msgpack(&app, m->app) == ERR_OK) {
		json_free(&c->app);
		c->app = app;
	}
	copy_text(c->remedy, sizeof c->remedy, m->remedy);
	if (m->state.n == 0)
		return;
	copy_text(c->word, sizeof c->word, m->state);
	child_step(c,
	    slice_is(m->state, "ready") ? SERVICE_WELL : SERVICE_ILL);
}

static void
on_leaving(void *self, msg_peer from, const struct msg_stopping *m)
{
	(void)from, (void)m;
	child_step(self, SERVICE_LEAVING);
}

static void
on_answer(void *self, msg_peer from, const struct msg_answer *m)
{
	struct child *c = self;

	(void)from;
	family_answered(c->family, c, m);
}

static const struct msg_handlers taken = {
	.up = on_up, .beat = on_beat, .report = on_report,
	.stopping = on_leaving, .answer = on_answer,
};

static void
take_word(struct child *c, struct slice word)
{
	static const struct slice status = SLICE("STATUS=");

	if (slice_is(word, "READY=1"))
		child_step(c, SERVICE_UP);
	else if (slice_is(word, "STOPPING=1"))
		child_step(c, SERVICE_LEAVING);
	else if (slice_starts(word, status))
		copy_text(c->word, sizeof c->word,
		    slice_from(word, status.n));
}

/* The next line of words, which loses it. */
static struct slice
next_line(struct slice *words)
{
	const char  *nl = memchr(words->p, '\n', words->n);
	size_t       n = nl != NULL ? (size_t)(nl - words->p) : words->n;
	struct slice line = { words->p, n };

	*words = slice_from(*words, nl != NULL ? n + 1 : n);
	return line;
}

/* Words about descriptors belong together, in whatever order they come. */
static void
keep_fds(struct child *c, struct slice words, struct notify_fds *fds)
{
	static const struct slice named = SLICE("FDNAME=");
	struct slice              name = SLICE("stored");
	bool                      keeps = false, removes = false;
	enum err                  e = ERR_OK;

	while (words.n > 0) {
		struct slice word = next_line(&words);

		keeps = keeps || slice_is(word, "FDSTORE=1");
		removes = removes || slice_is(word, "FDSTOREREMOVE=1");
		if (slice_starts(word, named))
			name = slice_from(word, named.n);
	}
	if (removes)
		kept_remove(&c->kept, name);
	while (keeps && e == ERR_OK && fds->n > 0)
		e = kept_put(&c->kept, name, fds->fd[--fds->n]);
	if (e != ERR_OK)
		log_warn("child.kept", KV("name", c->name),
		    KV("err", err_name(e)),
		    KV("why", "a descriptor it wants to leave with us has no "
		              "good name, or it has left as many as it may"));
}

void
child_words(struct child *c, struct slice words, struct notify_fds *fds)
{
	child_step(c, SERVICE_BEAT);
	child_look(c);
	keep_fds(c, words, fds);
	while (words.n > 0)
		take_word(c, next_line(&words));
}

/* Programs of others may say it in words here as well, as a shell does with
 * echo, or with an empty line as s6 wants it. */
static bool
is_words(struct slice packet)
{
	return packet.p[0] == '\n' || slice_starts(packet, SLICE("READY=")) ||
	    slice_starts(packet, SLICE("WATCHDOG=")) ||
	    slice_starts(packet, SLICE("STATUS=")) ||
	    slice_starts(packet, SLICE("STOPPING=")) ||
	    slice_starts(packet, SLICE("FD"));
}

static void
take_packet(struct child *c, struct slice packet, struct notify_fds *fds)
{
	struct slice head = { packet.p, MSG_HEAD };
	enum err     e = ERR_SYNTAX;

	if (is_words(packet)) {
		child_words(c, packet.p[0] == '\n' ? SLICE("READY=1") : packet,
		    fds);
		return;
	}
	child_step(c, SERVICE_BEAT);
	child_look(c);
	if (packet.n >= MSG_HEAD)
		e = msg_dispatch(head, slice_from(packet, MSG_HEAD),
		    MSG_CHILD_UP, &taken, c, (msg_peer){ NULL, 0 });
	if (e != ERR_OK && c->refused++ == 0)
		log_warn("child.packet", KV("name", c->name),
		    KV("err", err_name(e)), KV("bytes", packet.n));
}

static void
on_socket(void *self, int fd, unsigned what)
{
	struct child     *c = self;
	char             *packet = family_scratch(c->family);
	struct notify_fds fds;
	pid_t             pid;
	ssize_t           n = -1;

	(void)what;
	errno = EAGAIN;
	for (int i = 0; i < PACKETS_PER_TURN && c->socket == fd; i++) {
		n = notify_receive(fd, packet, PACKET_MAX, &pid, &fds);
		if (n <= 0)
			break;
		if (n > PACKET_MAX)
			c->refused++;
		else
			take_packet(c, (struct slice){ packet, (size_t)n },
			    &fds);
		notify_drop(&fds);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		/* It hung up; its end, or its silence, decides. */
		loop_unwatch(family_loop(c->family), fd);
		close(fd);
		c->socket = -1;
	}
}

/* --- what it says: lines ------------------------------------------------ */

static void
on_line(void *self, struct slice line, uint64_t number)
{
	struct child *c = self;

	family_heard(c->family, c, line, number);
}

/* Once a second at most: it must not become a flood itself. */
static void
tell_dropped(struct child *c, bool now)
{
	uint64_t ms = loop_now(family_loop(c->family)), n;

	if (!now && ms < c->dropped_told_ms + 1000)
		return;
	if ((n = lines_newly_dropped(&c->lines)) == 0)
		return;
	c->dropped_told_ms = ms;
	log_warn("child.output_dropped", KV("name", c->name), KV("lines", n));
}

static void
read_output(struct child *c, size_t most)
{
	char   *bytes = family_scratch(c->family);
	ssize_t n = 1;

	while (most > 0 && n > 0) {
		n = read(c->output[0], bytes, PACKET_MAX);
		if (n > 0) {
			lines_feed(&c->lines, (struct slice){ bytes,
			    (size_t)n }, loop_now(family_loop(c->family)),
			    family_line_number(c->family), on_line, c);
			most -= (size_t)n < most ? (size_t)n : most;
		}
	}
	tell_dropped(c, false);
}

static void
on_output(void *self, int fd, unsigned what)
{
	(void)fd, (void)what;
	read_output(self, OUTPUT_PER_TURN);
}

/* --- hands -------------------------------------------------------------- */

static void on_due(void *self);

/* A deadline that moves away, with each beat, leaves the timer as it is. */
static void
arm(struct child *c)
{
	struct loop *loop = family_loop(c->family);
	uint64_t     at = c->service.deadline_ms, now = loop_now(loop);

	/* What is over without a process waits for the plan, not for time. */
	if (at == SERVICE_NEVER || (at <= now && !service_alive(&c->service)))
		loop_cancel(loop, &c->timer);
	else if (c->timer.slot == 0 || at < c->timer.at_ms)
		loop_after(loop, &c->timer, at > now ? at - now : 0, on_due,
		    c);
}

static void
on_due(void *self)
{
	struct child *c = self;

	if (c->service.deadline_ms <= loop_now(family_loop(c->family)))
		child_step(c, SERVICE_DUE);
	else
		arm(c);
}

static bool
make_socket(struct child *c, int *theirs)
{
	int pair[2], bytes = SOCKET_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	/* The system's default may be less than one answer. */
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	*theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, FD_OURS);
	close(pair[1]);
	c->socket = pair[0];
	return *theirs >= 0 && loop_watch(family_loop(c->family), pair[0],
	    LOOP_READ, on_socket, c) == ERR_OK;
}

static void
forget_process(struct child *c)
{
	struct loop *loop = family_loop(c->family);

	if (c->socket >= 0) {
		loop_unwatch(loop, c->socket);
		close(c->socket);
	}
	if (c->pidfd >= 0)
		close(c->pidfd);
	c->socket = c->pidfd = -1;
	c->pid = 0;
	c->vitals = (struct vitals){ 0 };
	c->share = (struct vitals_share){ 0 };
	c->looked_ms = 0;
	json_free(&c->app);
	c->word[0] = '\0';
}

static void ended(struct child *, enum service_end, int number);

static void
start_process(struct child *c)
{
	const struct settings *s = family_settings(c->family);
	const struct service_kind *kind = service_kind(c->id);
	struct spawn spawn = { .program = kind->program,
		.env = &c->environment, .output = c->output[1], .socket = -1,
		.secret = settings_vault(s, c->id), .kept = &c->kept,
		.files = family_files(c->family) };
	char *path = conf_path(family_bin_dir(c->family), kind->program);
	int   why = 0;

	buf_reset(&c->environment);
	settings_environment(s, c->id, c->name, SPAWN_SOCKET_FD,
	    spawn.secret >= 0 ? SPAWN_SECRET_FD : -1, &c->environment);
	c->remedy[0] = c->last_line[0] = '\0';
	spawn.path = path;
	if (path == NULL || !make_socket(c, &spawn.socket) ||
	    spawn_start(&spawn, &c->pid, &c->pidfd) != ERR_OK)
		why = errno != 0 ? errno : ENOMEM;
	if (spawn.socket >= 0)
		close(spawn.socket);
	if (why != 0) {
		log_error("child.spawn", KV("name", c->name),
		    KV("program", path != NULL ? path : kind->program),
		    KV("why", strerror(why)));
		forget_process(c);
		ended(c, SERVICE_BY_SPAWN, why);
	} else {
		family_started(c->family, c);
	}
	free(path);
}

static void
act(struct child *c, enum service_action action)
{
	struct msg_drain drain = { .grace_ms = c->service.limits->drain_ms };

	switch (action) {
	case SERVICE_NOTHING:
		break;
	case SERVICE_DO_SPAWN:
		start_process(c);
		break;
	case SERVICE_DO_DRAIN:
		child_tell(c, MSG_drain, &drain);
		break;
	case SERVICE_DO_TERM:
		spawn_signal(c->pidfd, SIGTERM);
		break;
	case SERVICE_DO_ABORT:
		spawn_signal(c->pidfd, SIGABRT);
		break;
	case SERVICE_DO_KILL:
		spawn_kill_group(c->pid);
		break;
	}
}

static void
log_change(const struct child *c, enum service_state was)
{
	const struct service *s = &c->service;
	char                  text[80];

	if (s->state == SERVICE_BACKOFF || s->state == SERVICE_FAILED)
		log_warn("child.state", KV("name", c->name),
		    KV("from", service_state_name(was)),
		    KV("to", service_state_name(s->state)),
		    KV("exit", child_last_exit(c, text, sizeof text)),
		    KV("delay_ms", s->state == SERVICE_BACKOFF
		            ? s->deadline_ms - s->since_ms : 0),
		    KV("restarts", s->restarts));
	else
		log_info("child.state", KV("name", c->name),
		    KV("from", service_state_name(was)),
		    KV("to", service_state_name(s->state)),
		    KV("pid", (int)c->pid),
		    KV("generation", s->generation));
}

/* Everything that follows from one answer of the state machine. */
static void
follow(struct child *c, enum service_state was, enum service_action action)
{
	enum service_state is = c->service.state;

	act(c, action);
	arm(c);
	/* It comes back no more, or not soon: whoever connects shall know. */
	if (is == SERVICE_FAILED ||
	    (is == SERVICE_STOPPED && !c->service.wanted))
		kept_clear(&c->kept);
	if (c->service.state != is || is == was)
		return; /* a failed spawn has told its own story */
	log_change(c, was);
	if (was == SERVICE_STARTING)
		c->looked_ms = 0; /* it has grown since it was started */
	family_changed(c->family, c, was);
}

void
child_step(struct child *c, enum service_input input)
{
	enum service_state was = c->service.state;

	follow(c, was, service_step(&c->service, input,
	    loop_now(family_loop(c->family))));
}

static void
ended(struct child *c, enum service_end end, int number)
{
	enum service_state was = c->service.state;

	service_exited(&c->service, end, number,
	    loop_now(family_loop(c->family)), backoff_chance());
	follow(c, was, SERVICE_NOTHING);
}

/* What it said last, but for the line in which each program of ours tells that
 * it ends: the reason is in the one before. */
static void
note_last_line(struct child *c)
{
	static const char farewell[] = "proc.leave";
	struct slice      last = { NULL, 0 };
	uint64_t          number;

	for (size_t i = 0; lines_from_end(&c->lines, i, &last, &number); i++)
		if (memmem(last.p, last.n, farewell, sizeof farewell - 1) ==
		    NULL)
			break;
	copy_text(c->last_line, sizeof c->last_line, last);
}

/* Its group is killed while the dead leader still holds the number, so that
 * nothing of this generation is left when the next one starts. */
void
child_reap(struct child *c, const siginfo_t *how)
{
	siginfo_t si;
	pid_t     pid = c->pid;
	enum service_end end = how->si_code == CLD_EXITED ? SERVICE_BY_CODE
	                                                  : SERVICE_BY_SIGNAL;
	uint64_t  now = loop_now(family_loop(c->family));
	bool      oom = family_saw_oom(c->family) &&
	    how->si_code == CLD_KILLED && how->si_status == SIGKILL &&
	    c->service.cause == SERVICE_ITSELF;

	if (c->socket >= 0) /* its last report */
		on_socket(c, c->socket, LOOP_READ);
	spawn_kill_group(c->pid);
	waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG);
	read_output(c, OUTPUT_PER_TURN);
	lines_end(&c->lines, now, family_line_number(c->family), on_line, c);
	tell_dropped(c, true);
	note_last_line(c);
	forget_process(c);
	c->service.last = (struct service_exit){ end, how->si_status,
		c->service.cause, how->si_code == CLD_DUMPED, oom };
	family_lost(c->family, c, pid);
	ended(c, end, how->si_status);
}

enum err
child_signal(struct child *c, int signal, bool group)
{
	if (c->pid == 0)
		return ERR_CLOSED;
	if (group)
		return kill(-c->pid, signal) == 0 ? ERR_OK : ERR_CLOSED;
	return spawn_signal(c->pidfd, signal) ? ERR_OK : ERR_CLOSED;
}

void
child_hasten(struct child *c, uint64_t at_ms)
{
	service_hasten(&c->service, at_ms);
	arm(c);
}

enum err
child_tell(struct child *c, enum msg_kind kind, const void *msg)
{
	char       head[MSG_HEAD];
	struct buf packet = { 0 };
	enum err   e;

	if (c->socket < 0)
		return ERR_CLOSED;
	buf_put(&packet, (struct slice){ "RK1?", MSG_HEAD });
	e = msg_encode(kind, msg, head, &packet);
	if (e == ERR_OK && packet.n > PROC_PACKET_MAX)
		e = ERR_TOO_LARGE;
	if (e == ERR_OK) {
		memcpy(packet.p, head, MSG_HEAD);
		if (send(c->socket, packet.p, packet.n,
		        MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			e = errno == EAGAIN ? ERR_FULL : ERR_CLOSED;
	}
	buf_free(&packet);
	if (e != ERR_OK)
		log_warn("child.tell", KV("name", c->name),
		    KV("message", msg_name(kind)), KV("err", err_name(e)));
	return e;
}

/* --- for those who ask -------------------------------------------------- */

/* A stop by signal is seen at once; in the kernel a process may be for a
 * moment at any time, but not one that should have said something. */
const char *
child_stuck(const struct child *c)
{
	const struct service *s = &c->service;
	bool silent = loop_now(family_loop(c->family)) >
	    s->beat_at_ms + STUCK_MS;

	if (c->pid == 0)
		return NULL;
	if (s->stuck)
		return "killed, but the kernel has not ended it";
	if (c->vitals.state == 'T' || c->vitals.state == 't')
		return "stopped by a signal or a debugger";
	return c->vitals.state == 'D' && silent ? "waits in the kernel" : NULL;
}

const char *
child_last_exit(const struct child *c, char *text, size_t size)
{
	const struct service_exit *x = &c->service.last;
	const char *cause = service_cause_name(x->cause);
	const char *name = sigabbrev_np(x->number);

	text[0] = '\0';
	if (x->end == SERVICE_BY_CODE)
		snprintf(text, size, "exit %d, %s", x->number, cause);
	else if (x->end == SERVICE_BY_SIGNAL)
		snprintf(text, size, "SIG%s%s, %s", name != NULL ? name : "?",
		    x->core ? " (core)" : "", x->oom ? "out of memory" : cause);
	else if (x->end == SERVICE_BY_SPAWN)
		snprintf(text, size, "not started: %s", strerror(x->number));
	return text;
}

const char *
child_remedy(const struct child *c, char *text, size_t size)
{
	const struct service *s = &c->service;
	const char           *stuck = child_stuck(c);

	snprintf(text, size, "%s", c->remedy);
	if (text[0] != '\0')
		return text;
	if (s->state == SERVICE_FAILED && s->tripped)
		snprintf(text, size, "it has ended too often and is tried once "
		    "a minute: see rookery logs %s%s%s", c->name,
		    c->last_line[0] != '\0' ? "; it said: " : "",
		    c->last_line);
	else if (s->state == SERVICE_FAILED)
		snprintf(text, size, "put right what it said when it ended "
		    "(rookery logs %s), then rookery start %s%s%s", c->name,
		    c->name, c->last_line[0] != '\0' ? "; it said: " : "",
		    c->last_line);
	else if (stuck != NULL)
		snprintf(text, size, "process %d: %s%s", (int)c->pid, stuck,
		    c->vitals.state == 'T' || c->vitals.state == 't'
		        ? "; let it go on, or kill it"
		        : ": look at its disks and mounts");
	else if (s->state == SERVICE_BACKOFF &&
	    s->last.end == SERVICE_BY_SPAWN)
		snprintf(text, size, "the program %s must stand beside "
		    "rookeryd and be executable",
		    service_kind(c->id)->program);
	else if (s->state == SERVICE_BACKOFF && s->streak >= STREAK)
		snprintf(text, size, "it ends again and again: see rookery logs "
		    "%s%s%s", c->name,
		    c->last_line[0] != '\0' ? "; it said: " : "",
		    c->last_line);
	return text;
}

/* --- life --------------------------------------------------------------- */

static bool
make_pipe(struct child *c)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	c->output[0] = fds[0];
	c->output[1] = fcntl(fds[1], F_DUPFD_CLOEXEC, FD_OURS);
	close(fds[1]);
	return c->output[1] >= 0 &&
	    fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 &&
	    loop_watch(family_loop(c->family), fds[0], LOOP_READ, on_output,
	        c) == ERR_OK;
}

struct child *
child_bare(struct family *f, enum service_id id, unsigned number)
{
	struct child *c = calloc(1, sizeof *c);
	const char   *kind = service_kind(id)->name;

	if (c == NULL)
		return NULL;
	c->family = f;
	c->id = id;
	c->number = number;
	c->pidfd = c->socket = c->output[0] = c->output[1] = -1;
	if (number > 0)
		snprintf(c->name, sizeof c->name, "%s/%u", kind, number);
	else
		snprintf(c->name, sizeof c->name, "%s", kind);
	lines_open(&c->lines, loop_now(family_loop(f)));
	service_open(&c->service, family_limits(f, id),
	    loop_now(family_loop(f)));
	return c;
}

enum err
child_new(struct child **out, struct family *f, enum service_id id,
    unsigned number)
{
	struct child *c = child_bare(f, id, number);

	if (c == NULL)
		return ERR_NOMEM;
	if (!make_pipe(c)) {
		child_free(&c);
		return ERR_SYSTEM;
	}
	*out = c;
	return ERR_OK;
}

enum err
child_resume(struct child *c)
{
	struct loop *loop = family_loop(c->family);
	enum err     e = loop_watch(loop, c->output[0], LOOP_READ, on_output, c);

	if (e == ERR_OK && c->socket >= 0)
		e = loop_watch(loop, c->socket, LOOP_READ, on_socket, c);
	arm(c);
	return e;
}

void
child_free(struct child **cp)
{
	struct child *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	loop_cancel(family_loop(c->family), &c->timer);
	loop_cancel(family_loop(c->family), &c->remains);
	if (c->pid != 0)
		spawn_kill_group(c->pid);
	forget_process(c);
	if (c->output[0] >= 0) {
		loop_unwatch(family_loop(c->family), c->output[0]);
		close(c->output[0]);
	}
	if (c->output[1] >= 0)
		close(c->output[1]);
	kept_clear(&c->kept);
	lines_close(&c->lines);
	buf_free(&c->environment);
	free(c);
}
