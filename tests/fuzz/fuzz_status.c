// links: supervisor/control.c supervisor/status.c supervisor/snapshot.c supervisor/lines.c supervisor/service.c supervisor/plan.c supervisor/vitals.c common
/*
 * What a client of the status socket says.  The children are none: whatever is
 * asked of them is taken and nothing starts.  Each answer is a line of JSON,
 * and what waits to be read stays bounded.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool good)
{
	if (!good)
		abort();
}

/* --- the family, and its children ----------------------------------------- */

static struct service_limits limits = {
	.ready_ms = 1000, .watchdog_ms = 1000, .drain_ms = 1000,
	.stop_ms = 1000
};
static struct child    one = { .name = "gateway" },
                       two = { .name = "worker/1" };
static struct settings settings;
static struct output   output;
static struct family   family = {
	.settings = &settings, .output = &output,
	.children = { &one, &two }, .nchildren = 2
};

bool
family_matches(const struct child *c, struct slice name)
{
	return name.n == 0 || slice_is(name, "all") ||
	    slice_is(name, c->name) ||
	    (slice_is(name, "worker") && c == &two);
}

struct child *
family_find(struct family *f, struct slice name)
{
	for (size_t i = 0; i < f->nchildren; i++)
		if (family_matches(f->children[i], name))
			return f->children[i];
	return NULL;
}

struct child *
family_child(struct family *f, struct slice name)
{
	for (size_t i = 0; i < f->nchildren; i++)
		if (slice_is(name, f->children[i]->name))
			return f->children[i];
	return NULL;
}

const struct service_limits *
family_limits(const struct family *f, enum service_id id)
{
	(void)f, (void)id;
	return &limits;
}

enum plan_state
family_state(const struct family *f)
{
	(void)f;
	return PLAN_READY;
}

enum err
family_reload(struct family *f)
{
	(void)f;
	return ERR_CONFIG;
}

void
family_roll(struct family *f, struct slice name)
{
	must(family_find(f, name) != NULL);
}

bool
family_rolls(const struct family *f)
{
	(void)f;
	return false;
}

enum err
family_scale(struct family *f, unsigned workers)
{
	(void)f;
	must(workers <= FAMILY_WORKERS_MAX);
	return ERR_OK;
}

void
family_log_level(struct family *f, enum log_level level)
{
	(void)f, (void)level;
}

void
family_stop(struct family *f)
{
	(void)f;
}

void
child_step(struct child *c, enum service_input input)
{
	must(c == &one || c == &two);
	(void)input;
}

enum err
child_signal(struct child *c, int number, bool group)
{
	must(c == &one || c == &two);
	must(number >= 0 && number <= SIGRTMAX);
	(void)group;
	return ERR_OK;
}

enum err
child_tell(struct child *c, enum msg_kind kind, const void *msg)
{
	must(c == &one || c == &two);
	must(kind == MSG_ask && ((const struct msg_ask *)msg)->what.n > 0);
	return ERR_OK;
}

const char *
child_last_exit(const struct child *c, char *text, size_t n)
{
	(void)c;
	snprintf(text, n, "status 0");
	return text;
}

const char *
child_remedy(const struct child *c, char *text, size_t n)
{
	(void)c;
	snprintf(text, n, "%s", "");
	return text;
}

const char *
child_stuck(const struct child *c)
{
	(void)c;
	return NULL;
}

void
child_look(struct child *c)
{
	(void)c;
}

const struct service_kind *
service_kind(enum service_id id)
{
	static const struct service_kind kind = { .name = "worker" };

	(void)id;
	return &kind;
}

char *
settings_chat_url(const struct settings *s)
{
	(void)s;
	return NULL;
}

/* --- a client --------------------------------------------------------------- */

static void
open_family(void)
{
	must(loop_new(&family.loop) == ERR_OK);
	for (size_t i = 0; i < family.nchildren; i++) {
		struct child *c = family.children[i];

		c->family = &family;
		c->pidfd = c->socket = c->output[0] = c->output[1] = -1;
		service_open(&c->service, &limits, loop_now(family.loop));
		lines_open(&c->lines, loop_now(family.loop));
		lines_keep(&c->lines, SLICE("2026-01-01T00:00:00.000Z info "
		    "x[1] a.line of=its \"own\" \t"), i);
	}
}

/* Takes what has been answered: whole lines, each of them JSON. */
static void
read_answers(int fd, struct buf *in)
{
	char         bytes[65536];
	struct json *doc = NULL;
	ssize_t      n;
	char        *nl;

	while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		buf_put(in, (struct slice){ bytes, (size_t)n });
	while (in->n > 0 && (nl = memchr(in->p, '\n', in->n)) != NULL) {
		size_t len = (size_t)(nl - in->p);

		must(json_parse(&doc, (struct slice){ in->p, len }) ==
		    ERR_OK && json_is_object(doc));
		json_free(&doc);
		buf_drop(in, len + 1);
	}
}

static void
talk(struct control *ctl, struct slice said)
{
	struct buf     in = { 0 };
	struct client *c;
	int            pair[2];
	bool           more = false;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	         pair) == 0);
	must((c = status_take(&ctl->status, pair[1])) != NULL);
	while (said.n > 0 && c->fd >= 0 && !c->dead) {
		ssize_t n = send(pair[0], said.p, said.n, MSG_NOSIGNAL);

		if (n > 0)
			said = slice_from(said, (size_t)n);
		must(loop_turn(family.loop, 0, &more) == ERR_OK);
		must(c->out.n <= STATUS_UNREAD_MAX || c->dead);
		must(c->in.n <= STATUS_LINE_MAX || c->dead);
		if (c->fd >= 0 && !c->dead)
			read_answers(pair[0], &in);
		control_turn(ctl);
	}
	while (!c->dead && c->fd >= 0 && c->out.n > 0) {
		read_answers(pair[0], &in);
		must(loop_turn(family.loop, 0, &more) == ERR_OK);
	}
	read_answers(pair[0], &in);
	close(pair[0]);
	for (int i = 0; i < 100 && c->fd >= 0; i++) {
		must(loop_turn(family.loop, 0, &more) == ERR_OK);
		control_turn(ctl);
	}
	must(c->fd < 0);
	buf_free(&in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct control ctl;
	static char           dir[] = "/tmp/rk-fuzz-XXXXXX";
	struct slice          said = { (const char *)data, n };

	if (family.loop == NULL) {
		open_family();
		must(mkdtemp(dir) != NULL);
		must(control_open(&ctl, &family, family.loop, dir, NULL) ==
		    ERR_OK);
		/* The path is not needed, and nothing is to stay. */
		must(unlink(ctl.path) == 0 && rmdir(dir) == 0);
	}
	talk(&ctl, said);
	return 0;
}
