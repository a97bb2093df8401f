/*
 * rookery replay: a recording played to a handler.  The handler is in a worker
 * of its own (stage.h), as it will be in the system; here stand gatewayd and
 * apid, which give out one event of a conversation at a time, answer each call
 * as if it had been done, and note what became of each event.
 */
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "frame.h"
#include "handlers.h"
#include "loop.h"
#include "stage.h"
#include "table.h"

enum {
	OPEN_MAX = 64,          /* events at once */
	START_MS = 12000,       /* until the handler takes events */
	SILENT_MS = 10000,      /* then the worker hangs */
	AWAY_MS = 40000,        /* a handler is started again within 30 s */
	MARGIN_MS = 15000,      /* beyond its own limit for one event */
	WINDOW_MS = 300000,     /* for a reply, where the time is not known */
	TURN_MS = 200, PACKED_MAX = 8
};

/* An event that is with the handler, or to go there again. */
struct open {
	char    *line;
	char     id[512], conv[300];
	uint64_t began_ms, again_ms;    /* again: 0, or when it is due */
	unsigned replies, calls;
};

struct replay {
	struct cli  *cli;
	struct loop *loop;
	struct stage stage;
	const char  *path;
	FILE        *file;
	char        *line;
	size_t       line_size;
	bool         end;               /* no more are to come */
	struct json *next;              /* what it holds */
	struct open  open[OPEN_MAX];
	size_t       nopen;
	char         peer[300];
	size_t       peer_n;
	struct buf   wanted;            /* types, as words */
	uint64_t     window, limit_ms, began_ms, heard_ms, asked_ms;
	int64_t      first_time;        /* of the recording; 0: not known yet */
	uint64_t     speed;             /* 0: as fast as it goes */
	unsigned     events, done, failed, skipped, replies, sent;
	bool         ready, over;
	enum status  status;
};

static void
give_up(struct replay *r, const char *why)
{
	if (!r->over)
		fprintf(stderr, "rookery replay: %s\n", why);
	r->over = true;
	r->status = STATUS_FAILED;
}

/* --- the file: a line is an event, or the file is no recording ------------------- */

static enum status
complain(const struct replay *r, unsigned line, const char *why)
{
	fputs("rookery replay: ", stderr);
	table_put_clean(stderr, slice_of(r->path));
	if (line > 0)
		fprintf(stderr, " line %u", line);
	fprintf(stderr, ": %s\n", why);
	return STATUS_FAILED;
}

/* What is wrong with it, or NULL; doc is the caller's. */
static const char *
read_event(struct slice line, struct json **doc)
{
	static const char *const needed[] = { "id", "type", "conv" };
	static const char *const lacks[] = {
		"is no event: it has no id", "is no event: it has no type",
		"is no event: it has no conv" };

	*doc = NULL;
	if (line.n >= FRAME_MAX)
		return "is longer than 1 MiB";
	if (json_parse(doc, line) != ERR_OK)
		return "is no event: not JSON";
	if (!json_is_object(*doc))
		return "is no event: not an object";
	if (json_get(*doc, "op") != NULL &&
	    !slice_is(json_text_at(*doc, "op"), "event"))
		return "is no event: its op is another";
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (json_text_at(*doc, needed[i]).n == 0)
			return lacks[i];
	if (json_text_at(*doc, "id").n >= sizeof((struct open *)0)->id ||
	    json_text_at(*doc, "conv").n >= sizeof((struct open *)0)->conv)
		return "is no event: its id or conv is too long";
	return NULL;
}

/* The next that is not empty; false: the end. */
static bool
next_line(struct replay *r, unsigned *number, struct slice *line)
{
	ssize_t n;

	while ((n = getline(&r->line, &r->line_size, r->file)) >= 0) {
		++*number;
		*line = slice_trim((struct slice){ r->line, (size_t)n });
		if (line->n > 0)
			return true;
	}
	return false;
}

/* All of it before any of it is played. */
static enum status
check_file(struct replay *r)
{
	unsigned     number = 0, events = 0;
	struct slice line;

	if ((r->file = fopen(r->path, "re")) == NULL)
		return complain(r, 0, strerror(errno));
	for (; next_line(r, &number, &line); events++) {
		struct json *doc;
		const char  *why = read_event(line, &doc);

		json_free(&doc);
		if (why != NULL)
			return complain(r, number, why);
	}
	if (ferror(r->file))
		return complain(r, 0, strerror(errno));
	if (events == 0)
		return complain(r, 0, "holds no event");
	if (fseek(r->file, 0, SEEK_SET) < 0)
		return complain(r, 0, "is no file that can be read twice");
	return STATUS_DONE;
}

/* The next event is in r->next; false: there is none. */
static bool
look_ahead(struct replay *r)
{
	unsigned     number = 0;
	struct slice line;

	if (r->next != NULL)
		return true;
	if (r->end || !next_line(r, &number, &line) ||
	    read_event(line, &r->next) != NULL) {
		/* it was one when it was checked */
		json_free(&r->next);
		r->end = true;
		return false;
	}
	return true;
}

/* --- an event, from its frame ------------------------------------------------------- */

struct packed {
	struct buf any[PACKED_MAX];
	size_t     n;
};

/* By the table that frame_event() goes by, the other way. */
static void
read_fields(const struct json *doc, struct msg_event *ev, struct packed *p)
{
	const struct msg_info *info = msg_info(MSG_event);

	for (size_t i = 0; i < info->nfields; i++) {
		const struct msg_field *f = &info->fields[i];
		const struct json      *v = json_get(doc, f->key);
		void                   *at = (char *)ev + f->offset;
		int64_t                 n;

		if (v == NULL)
			continue;
		if (f->kind == FIELD_str)
			*(msg_str *)at = json_text(v);
		else if (f->kind == FIELD_flag || f->kind == FIELD_yes)
			*(msg_flag *)at = json_truth(v);
		else if (f->kind == FIELD_i64 && json_int(v, &n))
			*(msg_i64 *)at = n;
		else if (f->kind == FIELD_u64 && json_int(v, &n) && n >= 0)
			*(msg_u64 *)at = (uint64_t)n;
		else if (f->kind == FIELD_any && p->n < PACKED_MAX &&
		    json_to_msgpack(v, &p->any[p->n]) == ERR_OK)
			*(msg_any *)at = buf_slice(&p->any[p->n++]);
	}
}

/* It happens now, and may be answered for as long as it could be then. */
static void
set_times(struct msg_event *ev)
{
	int64_t now = loop_wall_ms();

	if (ev->deadline != 0)
		ev->deadline = ev->time > 0 && ev->deadline > ev->time
		    ? now + (ev->deadline - ev->time) : now + WINDOW_MS;
	if (ev->time != 0)
		ev->time = now;
	if (ev->attempt == 0)
		ev->attempt = 1;
}

static enum err
send_event(struct replay *r, const struct json *doc)
{
	struct msg_event ev = { 0 };
	struct packed    p = { .n = 0 };
	struct buf       line = { 0 };
	enum err         e;

	read_fields(doc, &ev, &p);
	set_times(&ev);
	e = bus_send(r->stage.events,
	    (msg_peer){ r->peer, r->peer_n }, MSG_event, &ev);
	if (e == ERR_OK) {
		frame_event(&ev, false, &line);
		table_say("> ", slice_trim(buf_slice(&line)));
	}
	buf_free(&line);
	for (size_t i = 0; i < p.n; i++)
		buf_free(&p.any[i]);
	return e;
}

/* --- what is open --------------------------------------------------------------------- */

static struct open *
find_open(struct replay *r, struct slice id)
{
	for (size_t i = 0; i < r->nopen; i++)
		if (slice_is(id, r->open[i].id))
			return &r->open[i];
	return NULL;
}

static bool
is_busy(const struct replay *r, struct slice conv)
{
	for (size_t i = 0; i < r->nopen; i++)
		if (slice_is(conv, r->open[i].conv))
			return true;
	return false;
}

static void
forget(struct replay *r, struct open *o)
{
	free(o->line);
	*o = r->open[--r->nopen];
}

static void
tell_end(const struct open *o, const char *what, struct slice why)
{
	fputs("= ", stdout);
	table_put_clean(stdout, slice_of(o->id));
	printf(": %s, %u %s, %u %s, %llu ms", what, o->replies,
	    o->replies == 1 ? "reply" : "replies", o->calls,
	    o->calls == 1 ? "call" : "calls",
	    (unsigned long long)(loop_clock_ms() - o->began_ms));
	if (why.n > 0)
		table_say(": ", why);
	else
		putchar('\n');
	fflush(stdout);
}

static void
end_failed(struct replay *r, struct open *o, struct slice why)
{
	tell_end(o, "not acknowledged", why);
	r->failed++;
	forget(r, o);
}

/* All that is with it has failed with it. */
static void
end_all(struct replay *r, const char *why)
{
	while (r->nopen > 0)
		end_failed(r, &r->open[0], slice_of(why));
}

/* --- what the worker says, to gatewayd ------------------------------------------------- */

static void
on_heard(void *self, msg_peer from)
{
	struct replay *r = self;

	(void)from;
	r->heard_ms = loop_clock_ms();
}

static void
on_ready(void *self, msg_peer from, const struct msg_ready *m)
{
	struct replay *r = self;
	struct json   *list = NULL;

	if (from.n > sizeof r->peer)
		return;
	memcpy(r->peer, from.p, from.n);
	r->peer_n = from.n;
	r->window = m->window < OPEN_MAX ? m->window : OPEN_MAX;
	r->limit_ms = m->timeout_ms;
	if (json_from_msgpack(&list, m->events) == ERR_OK) {
		buf_reset(&r->wanted);
		frame_words(list, &r->wanted);
	}
	json_free(&list);
	if (!r->ready && r->window > 0)
		r->began_ms = loop_clock_ms();
	r->ready |= r->window > 0;
	r->asked_ms = loop_clock_ms();
}

static void
on_ack(void *self, msg_peer from, const struct msg_ack *m)
{
	struct replay *r = self;
	struct open   *o = find_open(r, m->ev);

	(void)from;
	if (o == NULL)
		return;
	tell_end(o, "acknowledged", (struct slice){ NULL, 0 });
	r->done++;
	forget(r, o);
}

static void
on_nack(void *self, msg_peer from, const struct msg_nack *m)
{
	struct replay *r = self;
	struct open   *o = find_open(r, m->ev);

	(void)from;
	if (o == NULL)
		return;
	if (m->unbegun) /* it has had no place yet */
		o->again_ms = loop_clock_ms() + m->after_ms + 1;
	else
		end_failed(r, o, m->why.n > 0 ? m->why
		                              : SLICE("its handler said no"));
}

static const struct msg_handlers events_take = { .ready = on_ready,
	.ack = on_ack, .nack = on_nack };

/* --- and to apid ------------------------------------------------------------------------- */

static void
put_member(void *self, const char *key, const struct json *v)
{
	json_put_ref(self, key, v);
}

/* The frame that it was, but for the conversation that is understood. */
static void
show_call(const struct msg_call *m)
{
	bool         reply = slice_is(m->do_, "reply");
	struct json *o = json_new_object(), *with = NULL, *to = o;
	struct buf   line = { 0 };

	json_put_text(o, "op", reply ? SLICE("reply") : SLICE("call"));
	if (m->ev.n > 0)
		json_put_text(o, "ev", m->ev);
	if (m->n > 0)
		json_put_int(o, "n", (int64_t)m->n);
	if (!reply) {
		json_put_text(o, "do", m->do_);
		to = json_new_object();
		if (m->conv.n > 0)
			json_put_text(to, "conv", m->conv);
	}
	if (m->text.n > 0)
		json_put_text(to, "text", m->text);
	if (m->with.n > 0 && json_from_msgpack(&with, m->with) == ERR_OK)
		json_each(with, put_member, to);
	if (!reply)
		json_put_take(o, "with", to);
	json_free(&with);
	frame_put(o, &line);
	table_say("< ", slice_trim(buf_slice(&line)));
	buf_free(&line);
	if (m->text.n > 0)
		table_say("bot: ", m->text);
	else if (reply)
		puts("bot: (see the frame)");
}

/* As if it had been done; there is nobody to do it. */
static void
on_call(void *self, msg_peer from, const struct msg_call *m)
{
	struct replay    *r = self;
	struct open      *o = find_open(r, m->ev);
	struct json      *data = json_new_object();
	struct buf        packed = { 0 };
	struct msg_result result = { .id = m->id, .ok = true, .tries = 1 };
	char              msg[32];

	show_call(m);
	if (slice_is(m->do_, "reply")) {
		r->replies++;
		if (o != NULL)
			o->replies++;
	} else if (o != NULL) {
		o->calls++;
	}
	snprintf(msg, sizeof msg, "SENT%u", ++r->sent);
	json_put_text(data, "msg", slice_of(msg));
	if (json_to_msgpack(data, &packed) == ERR_OK)
		result.data = buf_slice(&packed);
	json_free(&data);
	bus_send(r->stage.api, from, MSG_result, &result);
	buf_free(&packed);
}

static const struct msg_handlers api_takes = { .call = on_call };

/* --- of the handler itself ------------------------------------------------------------------ */

static void
on_words(void *self, struct slice line)
{
	(void)self;
	table_say("! ", line);
}

static void
on_trouble(void *self, struct slice event, struct slice why, bool broken)
{
	struct replay *r = self;

	fputs("! ", stdout);
	table_put_clean(stdout, event);
	if (why.n > 0)
		fputs(": ", stdout);
	table_say("", why);
	if (broken) {
		end_all(r, "the handler is not started again");
		give_up(r, r->ready ? "the handler is not started again"
		                    : "the handler cannot start");
	}
}

static void
on_end(void *self, int status)
{
	struct replay *r = self;
	char           why[80];

	if (WIFSIGNALED(status))
		snprintf(why, sizeof why, "its worker was killed by signal %d",
		    WTERMSIG(status));
	else
		snprintf(why, sizeof why, "its worker ended with status %d",
		    WEXITSTATUS(status));
	end_all(r, why);
	if (!r->ready)
		give_up(r, "the handler cannot start");
	give_up(r, why);
}

static void
on_signal(void *self, int signal)
{
	(void)signal;
	give_up(self, "interrupted");
}

/* --- the play --------------------------------------------------------------------------------- */

/* When the next event is due, on the clock of the loop; the time between two
 * that have none, or that go back in time, is nothing. */
static uint64_t
due_ms(struct replay *r)
{
	int64_t time;

	if (r->speed == 0 || !json_int_at(r->next, "time", &time) || time <= 0)
		return 0;
	if (r->first_time == 0)
		r->first_time = time;
	return time <= r->first_time
	    ? 0
	    : r->began_ms + (uint64_t)(time - r->first_time) / r->speed;
}

static bool
is_skipped(struct replay *r)
{
	struct slice type = json_text_at(r->next, "type");

	if (r->wanted.n == 0 || handlers_wants(r->wanted.p, type))
		return false;
	fputs("= ", stdout);
	table_put_clean(stdout, json_text_at(r->next, "id"));
	table_say(": not asked for: ", type);
	r->skipped++;
	return true;
}

static void
begin(struct replay *r)
{
	struct open *o = &r->open[r->nopen];
	struct slice id = json_text_at(r->next, "id");
	struct slice conv = json_text_at(r->next, "conv");

	*o = (struct open){ .began_ms = loop_clock_ms(),
		.line = slice_dup(json_print(r->next)) };
	snprintf(o->id, sizeof o->id, "%.*s", (int)id.n, id.p);
	snprintf(o->conv, sizeof o->conv, "%.*s", (int)conv.n, conv.p);
	if (o->line == NULL) {
		give_up(r, "out of memory");
		return;
	}
	r->nopen++;
	if (send_event(r, r->next) != ERR_OK)
		o->again_ms = loop_clock_ms() + 1;
}

/* Gives out what is due; how long until there is more to do. */
static int
play(struct replay *r)
{
	uint64_t now = loop_clock_ms(), due;

	while (!r->over && r->nopen < r->window && look_ahead(r)) {
		if ((due = due_ms(r)) > now)
			return due - now < TURN_MS ? (int)(due - now)
			                           : TURN_MS;
		if (is_busy(r, json_text_at(r->next, "conv")))
			break;
		r->events++;
		if (!is_skipped(r))
			begin(r);
		json_free(&r->next);
	}
	return TURN_MS;
}

static void
send_again(struct replay *r)
{
	for (size_t i = 0; i < r->nopen; i++) {
		struct open *o = &r->open[i];
		struct json *doc = NULL;

		if (o->again_ms == 0 || o->again_ms > loop_clock_ms() ||
		    json_parse(&doc, slice_of(o->line)) != ERR_OK)
			continue;
		o->again_ms = send_event(r, doc) == ERR_OK
		    ? 0 : loop_clock_ms() + TURN_MS;
		json_free(&doc);
	}
}

/* The worker itself ends a handler that hangs, unless it hangs with it. */
static void
watch(struct replay *r)
{
	uint64_t now = loop_clock_ms(), limit = r->limit_ms > 0
	    ? r->limit_ms : r->cli->conf.handler_timeout_ms;
	bool     hangs = r->ready && now - r->heard_ms >= SILENT_MS;

	for (size_t i = 0; i < r->nopen && !hangs; i++)
		hangs = now - r->open[i].began_ms >= limit + MARGIN_MS;
	if (hangs) {
		end_all(r, "it hangs");
		if (r->stage.worker.pid != 0) /* it would not hear a word */
			kill(r->stage.worker.pid, SIGKILL);
		give_up(r, "the handler hangs, and its worker with it");
	} else if (!r->ready && now - r->began_ms >= START_MS) {
		give_up(r, "the handler does not start: it has said no hello");
	} else if (r->window == 0 && r->nopen == 0 &&
	    now - r->asked_ms >= AWAY_MS) {
		give_up(r, "the handler takes no more events");
	}
}

static void
run(struct replay *r)
{
	r->began_ms = r->heard_ms = r->asked_ms = loop_clock_ms();
	while (!r->over) {
		int wait_ms = TURN_MS;

		if (r->ready) {
			send_again(r);
			wait_ms = play(r);
		}
		if (r->ready && r->nopen == 0 && !look_ahead(r))
			break;
		if (!r->over &&
		    loop_turn(r->loop, wait_ms, NULL) != ERR_OK)
			give_up(r, strerror(errno));
		watch(r);
	}
	end_all(r, "it was not waited for");
	if (r->failed > 0)
		r->status = STATUS_FAILED;
	if (r->ready)
		printf("%u events: %u acknowledged, %u not, %u not asked "
		    "for; %u %s\n", r->events, r->done, r->failed, r->skipped,
		    r->replies, r->replies == 1 ? "reply" : "replies");
}

static enum status
take_pace(struct replay *r)
{
	const struct cli *cli = r->cli;

	r->speed = cli->given & OPT_FAST ? 0
	    : cli->given & OPT_SPEED     ? cli->number[OPT_NUMBER_SPEED]
	                                 : 1;
	if ((cli->given & OPT_SPEED) &&
	    (r->speed == 0 || (cli->given & OPT_FAST))) {
		fputs("rookery replay: --speed is 1 or more, and not with "
		      "--fast\n", stderr);
		return STATUS_USAGE;
	}
	return STATUS_DONE;
}

static enum status
set_up(struct replay *r)
{
	const struct stage_options o = { .cli = r->cli, .loop = r->loop,
		.handler = r->cli->arg[1], .events = &events_take,
		.api = &api_takes, .self = r, .on_heard = on_heard,
		.on_words = on_words, .on_trouble = on_trouble,
		.on_end = on_end };

	if (loop_signal(r->loop, SIGINT, on_signal, r) != ERR_OK ||
	    loop_signal(r->loop, SIGTERM, on_signal, r) != ERR_OK)
		return STATUS_FAILED;
	return stage_open(&r->stage, &o);
}

enum status
command_replay(struct cli *cli)
{
	struct replay r = { .cli = cli, .path = cli->arg[0] };

	signal(SIGPIPE, SIG_IGN);
	if ((r.status = take_pace(&r)) == STATUS_DONE &&
	    (r.status = check_file(&r)) == STATUS_DONE) {
		r.status = STATUS_FAILED;
		if (loop_new(&r.loop) == ERR_OK &&
		    (r.status = set_up(&r)) == STATUS_DONE)
			run(&r);
		if (r.loop != NULL)
			stage_close(&r.stage);
	}
	loop_free(&r.loop);
	if (r.file != NULL)
		fclose(r.file);
	json_free(&r.next);
	buf_free(&r.wanted);
	free(r.line);
	return r.status;
}
