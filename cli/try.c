/*
 * rookery exec: a handler tried by hand.  Typed lines become its events; every
 * frame is shown, and what it replies as a person would see it.  Nothing is
 * sent anywhere, and no system has to run.
 */
#include <sys/wait.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "frame.h"
#include "handlers.h"
#include "piped.h"
#include "table.h"

enum { HELLO_MS = 10000, BYE_MS = 5000, CHUNK = 65536 };

struct try {
	struct cli  *cli;
	struct piped p;
	struct lines typed, said, words;
	unsigned     events, open, sent;   /* open: neither acked nor nacked */
	bool         ended, greeted, broken;
};

static int64_t
wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A handler that reads nothing makes us wait: here only a person waits too. */
static void
tell(struct try *t, struct buf *out)
{
	struct slice rest = buf_slice(out);

	table_say("> ", slice_trim(rest));
	while (rest.n > 0 && t->p.to >= 0) {
		struct pollfd f = { .fd = t->p.to, .events = POLLOUT };
		ssize_t       n = write(t->p.to, rest.p, rest.n);

		if (n > 0)
			rest = slice_from(rest, (size_t)n);
		else if (errno == EAGAIN)
			poll(&f, 1, 1000);
		else if (errno != EINTR)
			break;
	}
	buf_free(out);
}

static void
say_hello(struct try *t)
{
	struct json *o = json_new_object();
	struct buf   out = { 0 };

	json_put_text(o, "op", SLICE("hello"));
	json_put_int(o, "v", 1);
	json_put_int(o, "vmin", 1);
	json_put_text(o, "handler", SLICE("try"));
	json_put_int(o, "timeout_ms",
	    (int64_t)t->cli->conf.handler_timeout_ms);
	json_put_int(o, "max", FRAME_MAX);
	frame_put(o, &out);
	tell(t, &out);
}

static void
say_event(struct try *t, struct slice text)
{
	char             id[40], msg[32];
	struct buf       out = { 0 };
	struct msg_event ev = { .attempt = 1, .type = SLICE("message.c2c"),
		.bot = SLICE("100000001"), .conv = SLICE("u:YOU"),
		.user = SLICE("YOU"), .to_me = true, .text = slice_trim(text),
		.time = wall_ms(), .replies_left = 4 };

	if (t->p.to < 0)
		return;
	if (slice_starts(slice_trim(text), SLICE("{\"op\":\"event\""))) {
		buf_put(&out, slice_trim(text)); /* of a log: as it is */
		buf_puts(&out, "\n");
		t->open++;
		tell(t, &out);
		return;
	}
	snprintf(msg, sizeof msg, "TRY%u", ++t->events);
	snprintf(id, sizeof id, "m:%s", msg);
	ev.id = slice_of(id);
	ev.msg = slice_of(msg);
	ev.deadline = ev.time + 3600000;
	t->open++;
	frame_event(&ev, false, &out);
	tell(t, &out);
}

static void
say_bye(struct try *t)
{
	struct buf out = { 0 };

	buf_puts(&out, "{\"op\":\"bye\",\"reason\":\"end of input\","
	               "\"grace_ms\":5000}\n");
	tell(t, &out);
	close(t->p.to);
	t->p.to = -1;
}

/* As if it had been done; there is nobody to do it. */
static void
answer(struct try *t, struct slice ref)
{
	struct msg_result r = { .ok = true };
	struct json      *data = json_new_object();
	struct buf        packed = { 0 }, out = { 0 };
	char              msg[32];

	snprintf(msg, sizeof msg, "SENT%u", ++t->sent);
	json_put_text(data, "msg", slice_of(msg));
	if (json_to_msgpack(data, &packed) == ERR_OK)
		r.data = buf_slice(&packed);
	json_free(&data);
	frame_result(&r, ref, &out);
	buf_free(&packed);
	tell(t, &out);
}

static void
on_order(struct try *t, const struct frame *f)
{
	struct frame_order o;
	const char        *wrong = frame_order(&o, f);

	if (wrong == NULL && f->verb == VERB_REPLY && o.text.n > 0)
		table_say("bot: ", o.text);
	else if (wrong == NULL && f->verb == VERB_REPLY)
		puts("bot: (see the frame)");
	else if (wrong != NULL)
		printf("! refused: %s\n", wrong);
	if (wrong == NULL && o.ref.n > 0)
		answer(t, o.ref);
	frame_order_free(&o);
}

static void
on_line(struct try *t, struct slice line)
{
	struct frame f;
	int64_t      v = 0;

	table_say("< ", line);
	if (frame_read(&f, line) != ERR_OK) {
		puts("! no JSON object: a worker would end it for this");
		t->broken = true;
		return;
	}
	switch (f.verb) {
	case VERB_HELLO:
		t->greeted = json_int_at(f.doc, "v", &v) && v == 1;
		if (!t->greeted)
			puts("! hello: v is not 1");
		break;
	case VERB_REPLY:
	case VERB_CALL:
		on_order(t, &f);
		break;
	case VERB_ACK:
	case VERB_NACK:
		t->open -= t->open > 0;
		break;
	case VERB_STRAY:
		puts("! no frame; a worker logs it and goes on");
		break;
	default:
		break;
	}
	frame_free(&f);
}

static void
on_words(struct try *t, struct slice line)
{
	(void)t;
	table_say("! ", line);
}

/* false: the end of it. */
static bool
hear(struct try *t, int fd, struct lines *l,
    void (*fn)(struct try *, struct slice))
{
	char         chunk[CHUNK];
	ssize_t      n = read(fd, chunk, sizeof chunk);
	struct slice line;
	enum err     e;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0) {
		/* The last line may lack its end. */
		if (lines_left(l) > 0 && lines_put(l, SLICE("\n")) == ERR_OK &&
		    lines_next(l, &line) == ERR_OK)
			fn(t, line);
		return false;
	}
	if (lines_put(l, (struct slice){ chunk, (size_t)n }) != ERR_OK)
		return false;
	while ((e = lines_next(l, &line)) == ERR_OK)
		fn(t, line);
	if (e == ERR_TOO_LARGE)
		puts("! a line of more than 1 MiB");
	return e != ERR_TOO_LARGE;
}

/* Until it has ended, or is silent for long after the last typed line. */
static void
talk(struct try *t)
{
	int in = STDIN_FILENO, from = t->p.from, err = t->p.err;

	while (from >= 0 && !t->broken) {
		struct pollfd f[] = { { from, POLLIN, 0 }, { err, POLLIN, 0 },
			{ t->greeted ? in : -1, POLLIN, 0 } };
		int n = poll(f, 3, !t->greeted ? HELLO_MS
		                : t->p.to < 0  ? BYE_MS
		                : in < 0       ? (int)t->cli->conf.handler_timeout_ms
		                               : -1);

		if (n == 0) {
			puts(!t->greeted ? "! no hello in 10 s"
			    : t->p.to < 0 ? "! it does not leave"
			                  : "! no ack in time");
			t->broken = true;
			return;
		}
		if (f[1].revents != 0 && !hear(t, err, &t->words, on_words))
			err = -1;
		if (f[0].revents != 0 && !hear(t, from, &t->said, on_line))
			from = -1;
		if (f[2].revents != 0 && !hear(t, in, &t->typed, say_event))
			in = -1;
		if (in < 0 && t->open == 0 && t->p.to >= 0)
			say_bye(t);
	}
}

static enum status
finish(struct try *t)
{
	int status = 0;

	if (t->broken)
		kill(-t->p.pid, SIGKILL);
	waitpid(t->p.pid, &status, 0);
	kill(-t->p.pid, SIGKILL);
	close(t->p.pidfd);
	close(t->p.from);
	close(t->p.err);
	if (t->p.to >= 0)
		close(t->p.to);
	lines_free(&t->typed);
	lines_free(&t->said);
	lines_free(&t->words);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !t->broken &&
	    t->open == 0)
		return STATUS_DONE;
	if (WIFSIGNALED(status) && !t->broken)
		fprintf(stderr, "rookery: it was killed by signal %d\n",
		    WTERMSIG(status));
	else if (!t->broken)
		fprintf(stderr, "rookery: it ended with status %d, %u events "
		    "open\n", WEXITSTATUS(status), t->open);
	return STATUS_FAILED;
}

enum status
command_exec(struct cli *cli)
{
	struct try  t = { .cli = cli };
	char      **argv = handlers_argv(cli->arg[0]);
	const char *dir = cli->conf.handler_dir;
	char        path[PATH_MAX];
	struct buf  env = { 0 };
	enum err    e;
	struct handlers_fault fault = { "is no command",
		"quote what has blanks" };

	signal(SIGPIPE, SIG_IGN);
	if (argv != NULL)
		fault = handlers_fault(argv[0], dir);
	if (fault.why != NULL ||
	    !handlers_find(argv[0], dir, path, sizeof path)) {
		fprintf(stderr, "rookery: %s %s\n  %s\n",
		    argv != NULL ? argv[0] : cli->arg[0], fault.why,
		    fault.remedy);
		free(argv);
		return STATUS_FAILED;
	}
	handlers_environment(&cli->conf, "try", "", "try", &env);
	e = piped_start(&(struct piped_order){ .path = path, .argv = argv,
	    .env = &env, .dir = dir,
	    .memory_mib = cli->conf.handler_memory_mib }, &t.p);
	if (e != ERR_OK)
		fprintf(stderr, "rookery: %s: %s\n", path, strerror(errno));
	buf_free(&env);
	if (e == ERR_OK) {
		say_hello(&t);
		talk(&t);
	}
	free(argv);
	return e == ERR_OK ? finish(&t) : STATUS_FAILED;
}
