/*
 * rookery record: what comes, in a file, as a handler would get it and without
 * whom it is about.  It looks on at gatewayd's feed, and slows nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus.h"
#include "cli.h"
#include "frame.h"
#include "handlers.h"
#include "scrub.h"
#include "table.h"

enum { MEET_MS = 3000, TURN_MS = 200 };

struct recording {
	struct cli  *cli;
	struct loop *loop;
	struct bus  *bus;
	char        *url;
	struct scrub scrub;
	struct buf   wanted, topics;     /* types: words; beginnings, each with
	                                    its NUL */
	const char **topic;
	struct buf   line, scrubbed;
	int          to;
	uint64_t     events;
	bool         met, over;
	enum status  status;
};

static void
fail(struct recording *r, enum status status, const char *what,
    const char *why)
{
	fputs("rookery record: ", stderr);
	table_put_clean(stderr, slice_of(what));
	fprintf(stderr, ": %s\n", why);
	r->over = true;
	r->status = status;
}

/* --- what is wanted ------------------------------------------------------------ */

/* message.* is what begins with message. */
static bool
take_types(struct recording *r)
{
	static const char *const all[] = { "*" };
	const struct cli  *cli = r->cli;
	const char *const *words = (const char *const *)cli->words;
	size_t             n = cli->nwords;
	const char        *at;

	if (n == 0) {
		words = all;
		n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(words[i], "*");

		if (words[i][0] == '\0' || strchr(words[i], ' ') != NULL ||
		    (words[i][len] == '*' && words[i][len + 1] != '\0')) {
			fail(r, STATUS_USAGE, words[i], "is no type of event: "
			     "exact, prefix.* or *");
			return false;
		}
		buf_putf(&r->wanted, i > 0 ? " %s" : "%s", words[i]);
		buf_put(&r->topics, (struct slice){ words[i], len });
		buf_put(&r->topics, (struct slice){ "", 1 });
	}
	r->topic = calloc(n + 1, sizeof *r->topic);
	if (r->topic == NULL || r->wanted.failed || r->topics.failed)
		return false;
	at = r->topics.p;
	for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
		r->topic[i] = at;
	return true;
}

static bool
take_options(struct recording *r)
{
	const char *v = r->cli->text[OPT_NUMBER_TEXTS];
	bool        drop = v != NULL && strcmp(v, "drop") == 0;

	if ((r->cli->given & OPT_LINES) &&
	    r->cli->number[OPT_NUMBER_LINES] == 0) {
		fail(r, STATUS_USAGE, "--lines", "is 1 or more");
		return false;
	}
	if (v != NULL && !drop && strcmp(v, "keep") != 0) {
		fail(r, STATUS_USAGE, "--texts", "is keep or drop");
		return false;
	}
	if (scrub_open(&r->scrub, drop) == ERR_OK)
		return true;
	fail(r, STATUS_FAILED, "the kernel's chance", strerror(errno));
	return false;
}

/* What an earlier recording holds stays until there is something to put in
 * its place.  It is people's talk: nobody else's to read. */
static bool
open_file(struct recording *r)
{
	const char *path = r->cli->text[OPT_NUMBER_OUTPUT];

	r->to = STDOUT_FILENO;
	if (path == NULL)
		return true;
	r->to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (r->to < 0)
		fail(r, STATUS_FAILED, path, strerror(errno));
	return r->to >= 0;
}

/* --- what comes ------------------------------------------------------------------ */

static void
write_line(struct recording *r, struct slice line)
{
	while (line.n > 0) {
		ssize_t n = write(r->to, line.p, line.n);

		if (n > 0)
			line = slice_from(line, (size_t)n);
		else if (n < 0 && errno != EINTR) {
			fail(r, STATUS_FAILED, "the recording cannot be "
			     "written", strerror(errno));
			return;
		}
	}
	r->events++;
}

static void
on_event(void *self, msg_peer topic, const struct msg_event *m)
{
	struct recording *r = self;
	const char       *bot = r->cli->text[OPT_NUMBER_BOT];

	(void)topic;
	/* A topic is a beginning: message.c2c would also be message.c2cx. */
	if (r->over || !handlers_wants(r->wanted.p, m->type) ||
	    (bot != NULL && !slice_is(m->bot, bot)))
		return;
	buf_reset(&r->line);
	buf_reset(&r->scrubbed);
	frame_event(m, false, &r->line);
	if (r->line.failed || scrub_event(&r->scrub,
	        slice_trim(buf_slice(&r->line)), &r->scrubbed) != ERR_OK)
		fail(r, STATUS_FAILED, "an event", "out of memory");
	else
		write_line(r, buf_slice(&r->scrubbed));
	if ((r->cli->given & OPT_LINES) &&
	    r->events >= r->cli->number[OPT_NUMBER_LINES])
		r->over = true;
}

static void
on_connected(void *self)
{
	struct recording *r = self;

	if (!r->met && r->to != STDOUT_FILENO && ftruncate(r->to, 0) < 0 &&
	    errno != EINVAL)  /* a pipe has no length */
		fail(r, STATUS_FAILED, r->cli->text[OPT_NUMBER_OUTPUT],
		    strerror(errno));
	r->met = true;
}

static void
on_signal(void *self, int signal)
{
	(void)signal;
	((struct recording *)self)->over = true;
}

static const struct msg_handlers takes = { .event = on_event };

/* --- the feed --------------------------------------------------------------------- */

static bool
meet(struct recording *r)
{
	const struct conf *c = &r->cli->conf;
	struct bus_options o = { .side = BUS_OBSERVER, .takes = MSG_FEED,
		.keys_dir = c->keys_dir, .name = "observer",
		.server = "gateway", .handlers = &takes, .self = r,
		.on_open = on_connected, .topics = r->topic };
	enum err e = ERR_NOMEM;

	o.url = r->url;
	if (strncmp(r->url, "ipc://", 6) == 0 &&
	    access(r->url + 6, W_OK) != 0) {
		fail(r, STATUS_NO_SUPERVISOR, r->url, errno == EACCES
		        ? "is not for this user"
		        : "no gatewayd shows its events there: start it "
		          "(rookery up), or correct ROOKERY_BUS_FEED");
		return false;
	}
	if (!open_file(r))
		return false;
	if ((e = loop_new(&r->loop)) == ERR_OK &&
	    (e = loop_signal(r->loop, SIGINT, on_signal, r)) == ERR_OK &&
	    (e = loop_signal(r->loop, SIGTERM, on_signal, r)) == ERR_OK &&
	    (e = bus_open(&r->bus, r->loop, &o)) == ERR_OK)
		return true;
	fail(r, e == ERR_CONFIG ? STATUS_CONFIG : STATUS_FAILED, r->url,
	    err_text(e));
	return false;
}

static void
look_on(struct recording *r)
{
	const struct cli *cli = r->cli;
	bool              timed = cli->given & OPT_TIMEOUT;
	uint64_t          begun = loop_clock_ms();

	while (!r->over) {
		uint64_t ms = loop_clock_ms() - begun;

		if (timed && ms >= cli->number[OPT_NUMBER_TIMEOUT] * 1000) {
			r->over = true;
			if (cli->given & OPT_LINES)
				r->status = STATUS_TIMEOUT;
		} else if (!r->met && ms >= MEET_MS) {
			fail(r, STATUS_NO_SUPERVISOR, r->url, "nobody answers "
			     "there, or not with our key: is gatewayd up, and "
			     "ROOKERY_BUS_FEED the same for it?");
		} else if (loop_turn(r->loop, TURN_MS, NULL) != ERR_OK) {
			fail(r, STATUS_FAILED, "waiting", strerror(errno));
		}
	}
}

enum status
command_record(struct cli *cli)
{
	struct recording r = { .cli = cli, .to = -1 };

	signal(SIGPIPE, SIG_IGN);
	r.url = conf_bus(&cli->conf, cli->conf.bus_feed, "feed.sock");
	if (r.url == NULL)
		return STATUS_FAILED;
	if (take_types(&r) && take_options(&r) && meet(&r))
		look_on(&r);
	if (r.met)
		fprintf(stderr, "rookery record: %llu events\n",
		    (unsigned long long)r.events);
	bus_close(&r.bus);
	loop_free(&r.loop);
	if (r.to >= 0 && close(r.to) < 0 && r.status == STATUS_DONE)
		fail(&r, STATUS_FAILED, "the recording cannot be written",
		    strerror(errno));
	scrub_close(&r.scrub);
	buf_free(&r.wanted);
	buf_free(&r.topics);
	buf_free(&r.line);
	buf_free(&r.scrubbed);
	free(r.topic);
	free(r.url);
	return r.status;
}
