// links: workerd/job.c workerd/stream.c workerd/builtin.c common/frame.c common/buf.c common/slice.c common/err.c common/json.c common/pack.c
/*
 * job: from an event to its ack.  The bus is ours here: what a worker says
 * goes into a list of lines, and so does every line of the log.
 */
#include "test.h"

#include <stdlib.h>

#include "json.h"
#include "log.h"
#include "handler.h"

static char       said[4096];   /* what went over the bus, a line each */
static enum err   bus_says;     /* what a send returns */
static unsigned   replies_per_event = 1;
static char       logged[4096];

enum err
bus_send(struct bus *b, msg_peer to, enum msg_kind kind, const void *msg)
{
	size_t                 n = strlen(said);
	const struct msg_call *c = msg;

	(void)b, (void)to;
	if (bus_says != ERR_OK)
		return bus_says;
	if (kind == MSG_call)
		snprintf(said + n, sizeof said - n,
		    "call %.*s n=%u ev=%.*s conv=%.*s msg=%.*s%s%.*s "
		    "\"%.*s\"\n",
		    (int)c->id.n, c->id.p, (unsigned)c->n, (int)c->ev.n,
		    c->ev.p, (int)c->conv.n, c->conv.p, (int)c->msg.n,
		    c->msg.p, c->ref.n > 0 ? " ref=" : "", (int)c->ref.n,
		    c->ref.n > 0 ? c->ref.p : "", (int)c->text.n, c->text.p);
	else if (kind == MSG_nack)
		snprintf(said + n, sizeof said - n, "nack %.*s%s%s %.*s\n",
		    (int)((const struct msg_nack *)msg)->ev.n,
		    ((const struct msg_nack *)msg)->ev.p,
		    ((const struct msg_nack *)msg)->drop ? " drop" : "",
		    ((const struct msg_nack *)msg)->unbegun ? " unbegun" : "",
		    (int)((const struct msg_nack *)msg)->why.n,
		    ((const struct msg_nack *)msg)->why.p);
	else if (kind == MSG_ack)
		snprintf(said + n, sizeof said - n, "ack %.*s\n",
		    (int)((const struct msg_ack *)msg)->ev.n,
		    ((const struct msg_ack *)msg)->ev.p);
	else
		snprintf(said + n, sizeof said - n, "other\n");
	return ERR_OK;
}

bool
log_enabled(enum log_level level)
{
	(void)level;
	return true;
}

void
log_write(enum log_level level, const char *name, const struct kv *kv)
{
	size_t n = strlen(logged);

	(void)level;
	n += (size_t)snprintf(logged + n, sizeof logged - n, "%s", name);
	for (; kv->key != NULL; kv++)
		n += (size_t)snprintf(logged + n, sizeof logged - n, " %.*s",
		    (int)kv->text.n, kv->text.n > 0 ? kv->text.p : "");
	snprintf(logged + n, sizeof logged - n, "\n");
}

/* What was said since the last time. */
static const char *
heard(void)
{
	static char copy[sizeof said];

	memcpy(copy, said, sizeof copy);
	said[0] = '\0';
	return copy;
}

/* Takes every event, and is done with it at once unless it is to be kept. */
static bool      keeps;
static unsigned  ended, results;
static char      own;

static bool
many_begin(struct handler *h, struct job *j, const struct msg_event *ev)
{
	char text[32];

	(void)ev;
	j->own = &own;
	for (unsigned i = 1; i <= replies_per_event; i++) {
		struct job_order o = { .do_ = SLICE("reply") };

		snprintf(text, sizeof text, "reply %u", i);
		o.text = slice_of(text);
		job_call(h->worker, j, &o);
	}
	if (!keeps)
		job_done(h->worker, j);
	return true;
}

static void
many_on_end(struct handler *h, struct job *j)
{
	(void)h, (void)j;
	ended++;
}

static void
many_on_result(struct handler *h, struct job *j, struct call *c,
    const struct msg_result *m)
{
	(void)h, (void)j, (void)c, (void)m;
	results++;
}

static const struct handler_kind many = { .name = "test",
	.begin = many_begin, .on_end = many_on_end,
	.on_result = many_on_result };

/* --- what is not tested here ---------------------------------------------------- */

static struct handler      hosted;
static struct handlers_row row;

struct handler *
host_route(struct worker *w, const struct msg_event *ev)
{
	(void)w;
	return slice_is(ev->type, "nobody's") ? NULL : &hosted;
}

void
host_take(struct handler *h, struct job *j, const struct msg_event *ev)
{
	j->begun = j->busy = true;
	h->kind->begin(h, j, ev);
	j->busy = false;
	if (j->done)
		job_done(h->worker, j);
}

void
host_freed(struct handler *h, bool done)
{
	(void)h, (void)done;
}

void
host_unwait(struct handler *h, struct job *j)
{
	(void)h, (void)j;
}

enum err
handler_set_events(struct handler *h, const char *words)
{
	(void)h, (void)words;
	return ERR_OK;
}

void
loop_cancel(struct loop *l, struct timer *t)
{
	(void)l, (void)t;
}

uint64_t
loop_clock_ms(void)
{
	return 1;
}

int64_t
loop_wall_ms(void)
{
	return 5000;
}

static void
worker_new(struct worker *w, const struct handler_kind *k, const char *arg)
{
	static char prefix[] = "got: ";
	static char copy[16];

	*w = (struct worker){ .name = "worker/1" };
	w->conf.echo_prefix = prefix;
	snprintf(copy, sizeof copy, "%s", arg);
	row = (struct handlers_row){ .arg = copy };
	hosted = (struct handler){ .kind = k, .worker = w, .row = &row };
	bus_says = ERR_OK;
	keeps = false;
	ended = results = 0;
	said[0] = logged[0] = '\0';
}

static void
event(struct worker *w, const char *id, const char *type, const char *text,
    bool from_bot)
{
	struct msg_event ev = { .id = slice_of(id), .bot = SLICE("1"),
		.type = slice_of(type), .conv = SLICE("u:A"),
		.msg = SLICE("M"), .text = slice_of(text), .attempt = 1,
		.from_bot = from_bot };

	job_on_event(w, (msg_peer){ NULL, 0 }, &ev);
}

/* As it comes from the platform, or (tries 0) from the record. */
static void
part_result(struct worker *w, const char *id, bool ok, unsigned tries,
    const char *data)
{
	struct json      *doc = NULL;
	struct buf        packed = { 0 };
	struct msg_result r = { .id = slice_of(id), .ok = ok,
		.tries = tries, .status = ok ? 200 : 400 };

	if (json_parse(&doc, slice_of(data)) == ERR_OK)
		json_to_msgpack(doc, &packed);
	r.data = buf_slice(&packed);
	job_on_result(w, (msg_peer){ NULL, 0 }, &r);
	json_free(&doc);
	buf_free(&packed);
}

static enum err
part(struct worker *w, struct job *j, const char *text, const char *with)
{
	struct json     *doc = NULL;
	struct buf       packed = { 0 };
	struct job_order o = { .do_ = SLICE("stream"),
		.text = slice_of(text) };
	enum err         e;

	json_parse(&doc, slice_of(with));
	json_to_msgpack(doc, &packed);
	o.with = buf_slice(&packed);
	e = job_call(w, j, &o);
	json_free(&doc);
	buf_free(&packed);
	return e;
}

static void
result(struct worker *w, const char *id, bool ok)
{
	struct msg_result r = { .id = slice_of(id), .ok = ok };

	job_on_result(w, (msg_peer){ NULL, 0 }, &r);
}

TEST(the_ack_waits_for_every_result)
{
	struct worker w;

	worker_new(&w, &many, "");
	replies_per_event = 3;
	event(&w, "m:1", "message.c2c", "x", false);
	EXPECT_STR(heard(),
	    "call m:1#1 n=1 ev=m:1 conv=u:A msg=M \"reply 1\"\n"
	    "call m:1#2 n=2 ev=m:1 conv=u:A msg=M \"reply 2\"\n"
	    "call m:1#3 n=3 ev=m:1 conv=u:A msg=M \"reply 3\"\n");
	result(&w, "m:1#2", true);
	result(&w, "m:1#1", true);
	result(&w, "m:1#1", true); /* twice: once */
	EXPECT_STR(heard(), "");
	EXPECT_INT(w.njobs, 1);
	result(&w, "m:1#3", false); /* an answer, if not the wished one */
	EXPECT_STR(heard(), "ack m:1\n");
	EXPECT_INT(w.njobs, 0);
	EXPECT_INT(w.replies, 2);
	EXPECT_INT(w.failed, 1);
	EXPECT(w.jobs == NULL);
}

/* An answer names the message's index, by which it can be quoted. */
TEST(what_is_answered_can_be_quoted)
{
	static const struct {
		struct slice data;
		const char  *ref;
	} rows[] = {
		{ SLICE("\x82\xa4type\x03\xa3ref\xa8REFIDX_7"),
		    " ref=REFIDX_7" },
		{ SLICE("\x81\xa3ref\x07"), "" },
		{ SLICE("\x81\xa4type\x03"), "" },
		{ SLICE("\x82\xa4type\x03\xa3re"), "" },
		{ SLICE("\x82\xa4type\x93\xa3ref"), "" },
		{ SLICE("\x90"), "" }, { SLICE("\xc1"), "" },
	};
	struct worker w;
	char          says[128];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct msg_event ev = { .id = SLICE("m:1"), .bot = SLICE("1"),
			.type = SLICE("message.c2c"), .conv = SLICE("u:A"),
			.msg = SLICE("M"), .data = rows[i].data };

		worker_new(&w, &many, "");
		replies_per_event = 1;
		job_on_event(&w, (msg_peer){ NULL, 0 }, &ev);
		snprintf(says, sizeof says, "call m:1#1 n=1 ev=m:1 conv=u:A "
		    "msg=M%s \"reply 1\"\n", rows[i].ref);
		EXPECT_STR(heard(), says);
		jobs_free(&w);
	}
}

TEST(an_event_without_replies_is_done_at_once)
{
	struct worker w;

	worker_new(&w, &many, "");
	replies_per_event = 0;
	event(&w, "E", "friend.add", "", false);
	EXPECT_STR(heard(), "ack E\n");
	EXPECT_INT(w.done, 1);
}

TEST(a_second_delivery_meanwhile_is_the_same_event)
{
	struct worker w;

	worker_new(&w, &many, "");
	replies_per_event = 1;
	event(&w, "m:1", "message.c2c", "x", false);
	EXPECT_STR(heard(),
	    "call m:1#1 n=1 ev=m:1 conv=u:A msg=M \"reply 1\"\n");
	event(&w, "m:1", "message.c2c", "other words", false);
	EXPECT_STR(heard(), /* as first said: not a second reply */
	    "call m:1#1 n=1 ev=m:1 conv=u:A msg=M \"reply 1\"\n");
	EXPECT_INT(w.njobs, 1);
	result(&w, "m:1#1", true);
	EXPECT_STR(heard(), "ack m:1\n");
	/* afterwards the same numbers are used again */
	event(&w, "m:1", "message.c2c", "x", false);
	EXPECT_STR(heard(),
	    "call m:1#1 n=1 ev=m:1 conv=u:A msg=M \"reply 1\"\n");
	jobs_free(&w);
	EXPECT(w.jobs == NULL);
}

TEST(what_has_no_result_is_called_again)
{
	struct worker w;

	worker_new(&w, &many, "");
	replies_per_event = 2;
	event(&w, "m:1", "message.c2c", "x", false);
	result(&w, "m:1#1", true);
	heard();
	job_call_again(&w);
	EXPECT_STR(heard(),
	    "call m:1#2 n=2 ev=m:1 conv=u:A msg=M \"reply 2\"\n");
	result(&w, "m:1#2", true);
	EXPECT_STR(heard(), "ack m:1\n");
	job_call_again(&w);
	EXPECT_STR(heard(), "");
	/* one that could not be sent stays open until then */
	bus_says = ERR_FULL;
	event(&w, "m:2", "message.c2c", "x", false);
	EXPECT_INT(w.njobs, 1);
	bus_says = ERR_OK;
	job_call_again(&w);
	result(&w, "m:2#1", true);
	result(&w, "m:2#2", true);
	EXPECT(strstr(heard(), "ack m:2\n") != NULL);
}

/* apid lives and its pipe was full: no greeting will come. */
TEST(what_was_not_taken_goes_with_the_next_result)
{
	struct worker w;

	worker_new(&w, &many, "");
	replies_per_event = 1;
	event(&w, "m:1", "message.c2c", "x", false);
	replies_per_event = 2;
	bus_says = ERR_FULL;
	event(&w, "m:2", "message.c2c", "x", false);
	EXPECT(strstr(logged, "call.unsent m:2#1") != NULL);
	heard();
	/* still full */
	result(&w, "m:1#9", true);
	EXPECT_STR(heard(), "");
	bus_says = ERR_OK;
	replies_per_event = 1;
	event(&w, "m:3", "message.c2c", "x", false);
	heard();
	result(&w, "m:1#1", true);
	EXPECT_STR(heard(),
	    "ack m:1\n"
	    "call m:2#1 n=1 ev=m:2 conv=u:A msg=M \"reply 1\"\n"
	    "call m:2#2 n=2 ev=m:2 conv=u:A msg=M \"reply 2\"\n");
	result(&w, "m:3#1", true);
	EXPECT_STR(heard(), "ack m:3\n");
	result(&w, "m:2#2", true);
	result(&w, "m:2#1", true);
	EXPECT_STR(heard(), "ack m:2\n");
}

TEST(results_of_nothing_are_ignored)
{
	static const char *const ids[] = { "", "#", "m:1", "m:1#", "m:1#x",
		"m:1#0", "m:1#2", "m:1#-1", "m:1#1#1", "m:1#01x", "m:2#1",
		"#1", "m:1#99999999999999999999" };
	struct worker w;

	worker_new(&w, &many, "");
	replies_per_event = 1;
	event(&w, "m:1", "message.c2c", "x", false);
	heard();
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		result(&w, ids[i], true);
		EXPECT_STR(heard(), "");
	}
	EXPECT_INT(w.njobs, 1);
	result(&w, "m:1#1", true);
	EXPECT_STR(heard(), "ack m:1\n");
	/* an id may hold the mark itself */
	event(&w, "h:#7#", "message.c2c", "x", false);
	heard();
	result(&w, "h:#7##1", true);
	EXPECT_STR(heard(), "ack h:#7#\n");
}

TEST(echo_repeats_messages_of_people)
{
	static const struct {
		const char *type, *text;
		bool        from_bot;
		const char *want;
	} rows[] = {
		{ "message.c2c", "hi", false, "got: hi" },
		{ "message.group", "hi", false, "got: hi" },
		{ "message.guild", "a\nb", false, "got: a\nb" },
		{ "message.c2c", "", false, "got: " },
		{ "message.group", "hi", true, "" },
		{ "interaction", "hi", false, "" },
		{ "friend.add", "", false, "" },
		{ "raw.message.x", "hi", false, "" },
	};
	struct worker w;
	char          want[128];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		worker_new(&w, &builtin_kind, "echo");
		event(&w, "E", rows[i].type, rows[i].text, rows[i].from_bot);
		snprintf(want, sizeof want,
		    "call E#1 n=1 ev=E conv=u:A msg=M \"%s\"\n", rows[i].want);
		EXPECT_STR(heard(), rows[i].want[0] != '\0' ? want
		                                            : "ack E\n");
		jobs_free(&w);
	}
	/* nothing to say: nothing is said */
	worker_new(&w, &builtin_kind, "echo");
	w.conf.echo_prefix = want;
	want[0] = '\0';
	event(&w, "E", "message.c2c", "", false);
	EXPECT_STR(heard(), "ack E\n");
}

/* Users' words are theirs. */
TEST(no_text_gets_into_the_log)
{
	struct worker w;

	worker_new(&w, &builtin_kind, "echo");
	event(&w, "E1", "message.c2c", "my secret words", false);
	event(&w, "E2", "message.c2c", "my secret words", true);
	bus_says = ERR_FULL;
	event(&w, "E3", "message.c2c", "my secret words", false);
	result(&w, "E1#1", false);
	EXPECT(strstr(logged, "reply.failed") != NULL);
	EXPECT(strstr(logged, "call.unsent") != NULL);
	EXPECT(strstr(logged, "secret") == NULL);
	jobs_free(&w);
}

/* Numbers by hand, in any order; the same one twice is refused. */
TEST(a_number_is_given_away_once)
{
	struct worker    w;
	struct job      *j;
	struct job_order o = { .do_ = SLICE("reply"), .text = SLICE("a"),
		.n = 3 };

	worker_new(&w, &many, "");
	keeps = true;
	replies_per_event = 0;
	event(&w, "m:1", "message.c2c", "x", false);
	j = job_find(&w, SLICE("m:1"));
	EXPECT_INT(job_call(&w, j, &o), ERR_OK);
	EXPECT_INT(job_call(&w, j, &o), ERR_DUPLICATE);
	o.n = 0; /* the next after the largest */
	EXPECT_INT(job_call(&w, j, &o), ERR_OK);
	EXPECT_STR(heard(),
	    "call m:1#3 n=3 ev=m:1 conv=u:A msg=M \"a\"\n"
	    "call m:1#4 n=4 ev=m:1 conv=u:A msg=M \"a\"\n");
	job_done(&w, j);
	EXPECT_INT(job_call(&w, j, &o), ERR_STALE);
	result(&w, "m:1#3", true);
	result(&w, "m:1#4", true);
	EXPECT_STR(heard(), "ack m:1\n");
	EXPECT_INT(ended, 1);
	EXPECT_INT(results, 2);
}

#define HEAD " ev=m:1 conv=u:A msg=M "

/* A stream has a number for all its parts, and a place for each. */
TEST(streams_have_numbers)
{
	struct worker w;
	struct job   *j;

	worker_new(&w, &many, "");
	keeps = true;
	replies_per_event = 1;
	event(&w, "m:1", "message.c2c", "x", false);
	j = job_find(&w, SLICE("m:1"));
	heard();
	EXPECT_INT(part(&w, j, "a", "{\"index\":0}"), ERR_OK);
	part_result(&w, "m:1~1.0", true, 1, "{\"id\":\"S1\"}");
	EXPECT_INT(part(&w, j, "x", "{\"index\":0}"), ERR_OK);
	part_result(&w, "m:1~2.0", false, 1, "");
	EXPECT_INT(part(&w, j, "x", "{\"index\":0}"), ERR_OK);
	part_result(&w, "m:1~2.0", true, 1, "{\"id\":\"S2\"}");
	EXPECT_INT(part(&w, j, "ab", "{\"index\":1,\"id\":\"S1\"}"), ERR_OK);
	EXPECT_INT(part(&w, j, "ab", "{\"index\":1,\"id\":\"S1\"}"),
	    ERR_DUPLICATE);
	EXPECT_INT(part(&w, j, "xy",
	    "{\"index\":1,\"id\":\"S2\",\"final\":true}"), ERR_OK);
	EXPECT_STR(heard(), "call m:1~1.0 n=1" HEAD "\"a\"\n"
	    "call m:1~2.0 n=2" HEAD "\"x\"\n"
	    "call m:1~2.0 n=2" HEAD "\"x\"\n"
	    "call m:1~1.1 n=1" HEAD "\"ab\"\n"
	    "call m:1~2.end n=2" HEAD "\"xy\"\n");
	/* the first was left: it ends as it is, and then the ack goes */
	job_done(&w, j);
	result(&w, "m:1#1", true);
	part_result(&w, "m:1~2.end", true, 1, "{}");
	EXPECT_STR(heard(), "");
	part_result(&w, "m:1~1.1", true, 1, "{}");
	EXPECT_STR(heard(), "call m:1~1.end n=1" HEAD "\"ab\"\n");
	part_result(&w, "m:1~1.end", false, 1, "{}");
	EXPECT_STR(heard(), "ack m:1\n");
}

/* What an earlier attempt has shown stays; the end finds its place. */
TEST(a_stream_goes_on_where_it_was)
{
	struct worker w;
	struct job   *j;

	worker_new(&w, &many, "");
	keeps = true;
	replies_per_event = 0;
	event(&w, "m:1", "message.c2c", "x", false);
	j = job_find(&w, SLICE("m:1"));
	j->attempt = 2;
	EXPECT_INT(part(&w, j, "x", "{\"index\":0}"), ERR_OK);
	part_result(&w, "m:1~1.0", true, 0,
	    "{\"id\":\"S1\",\"shown\":\"a\"}");
	EXPECT_INT(part(&w, j, "xy",
	    "{\"index\":1,\"id\":\"S1\",\"final\":true}"), ERR_OK);
	part_result(&w, "m:1~1.end", false, 1, "");
	part_result(&w, "m:1~1.1", true, 0, "{\"shown\":\"ab\"}");
	part_result(&w, "m:1~1.2", true, 1, "{\"shown\":\"ab\n\nxy\"}");
	EXPECT_INT(results, 1);
	part_result(&w, "m:1~1.end", true, 1, "{}");
	EXPECT_INT(results, 2);
	EXPECT_STR(heard(), "call m:1~1.0 n=1" HEAD "\"x\"\n"
	    "call m:1~1.end n=1" HEAD "\"a\n\nxy\"\n"
	    "call m:1~1.1 n=1" HEAD "\"a\n\nxy\"\n"
	    "call m:1~1.2 n=1" HEAD "\"ab\n\nxy\"\n"
	    "call m:1~1.end n=1" HEAD "\"ab\n\nxy\"\n");
	job_done(&w, j);
	EXPECT_STR(heard(), "call m:1~2.0 n=2" HEAD "\"\"\n");
	part_result(&w, "m:1~2.0", false, 0, "");
	EXPECT_STR(heard(), "call m:1~2.end n=2" HEAD "\"\"\n");
	part_result(&w, "m:1~2.end", false, 0, "");
	EXPECT_STR(heard(), "ack m:1\n");
}

/* Given up: no handler has it.  What the record knows of its streams is asked
 * part by part; the first was ended by its first part, the second was not. */
TEST(what_is_given_up_is_ended)
{
	struct worker    w;
	struct msg_event ev = { .id = SLICE("m:1"), .bot = SLICE("1"),
		.type = SLICE("message.c2c"), .conv = SLICE("u:A"),
		.msg = SLICE("M"), .attempt = 5, .over = true };

	worker_new(&w, &many, "");
	replies_per_event = 1;
	job_on_event(&w, (msg_peer){ NULL, 0 }, &ev);
	part_result(&w, "m:1~1.0", false, 0, "");
	part_result(&w, "m:1~1.end", true, 0, "{\"id\":\"S1\"}");
	part_result(&w, "m:1~2.0", true, 0,
	    "{\"id\":\"S2\",\"shown\":\"a\",\"format\":\"text\"}");
	part_result(&w, "m:1~2.1", true, 0, "{\"shown\":\"ab\"}");
	part_result(&w, "m:1~2.2", false, 0, "");
	part_result(&w, "m:1~3.0", false, 0, "");
	part_result(&w, "m:1~3.end", false, 0, "");
	EXPECT_STR(heard(), "call m:1~1.0 n=1" HEAD "\"\"\n"
	    "call m:1~1.end n=1" HEAD "\"\"\n"
	    "call m:1~2.0 n=2" HEAD "\"\"\n"
	    "call m:1~2.1 n=2" HEAD "\"a\"\n"
	    "call m:1~2.2 n=2" HEAD "\"ab\"\n"
	    "call m:1~3.0 n=3" HEAD "\"\"\n"
	    "call m:1~3.end n=3" HEAD "\"\"\n"
	    "call m:1~2.end n=2" HEAD "\"ab\"\n");
	part_result(&w, "m:1~2.end", true, 1, "{}");
	EXPECT_STR(heard(), "ack m:1\n");
	EXPECT_INT(results, 0);
	EXPECT_INT(w.done, 0);
}

/* Given up while its handler still has it: what that says is heard, and when
 * it fails there is no other attempt. */
TEST(what_is_given_up_under_way_ends_with_its_handler)
{
	struct worker    w;
	struct job      *j;
	struct msg_event ev = { .id = SLICE("m:1"), .attempt = 5,
		.over = true };

	worker_new(&w, &many, "");
	keeps = true;
	replies_per_event = 0;
	event(&w, "m:1", "message.c2c", "x", false);
	j = job_find(&w, SLICE("m:1"));
	job_on_event(&w, (msg_peer){ NULL, 0 }, &ev);
	EXPECT_STR(heard(), "");
	job_fail(&w, j, 0, false, "no", (struct slice){ NULL, 0 });
	EXPECT_STR(heard(), "call m:1~1.0 n=1" HEAD "\"\"\n");
	part_result(&w, "m:1~1.0", false, 0, "");
	part_result(&w, "m:1~1.end", false, 0, "");
	EXPECT_STR(heard(), "call m:1~1.end n=1" HEAD "\"\"\nack m:1\n");
}

/* Other operations: their ids stay the same on every attempt, and those that
 * answer nothing carry nothing of the event. */
TEST(operations_that_are_no_replies)
{
	struct worker    w;
	struct job      *j;
	struct job_order send = { .do_ = SLICE("send"), .text = SLICE("hi"),
		.conv = SLICE("g:B") };
	struct job_order keyed = { .do_ = SLICE("send"), .text = SLICE("hi"),
		.conv = SLICE("g:B"), .key = SLICE("mine") };
	struct job_order place = { .do_ = SLICE("send"), .text = SLICE("hi"),
		.conv = SLICE("g:B"), .key = SLICE("1") };
	struct job_order typing = { .do_ = SLICE("typing") };

	worker_new(&w, &many, "");
	keeps = true;
	replies_per_event = 0;
	event(&w, "m:1", "message.c2c", "x", false);
	j = job_find(&w, SLICE("m:1"));
	EXPECT_INT(job_call(&w, j, &send), ERR_OK);
	EXPECT_INT(job_call(&w, j, &keyed), ERR_OK);
	EXPECT_INT(job_call(&w, j, &keyed), ERR_DUPLICATE);
	EXPECT_INT(job_call(&w, j, &typing), ERR_OK);
	EXPECT_INT(job_call(&w, j, &place), ERR_OK);
	EXPECT_STR(heard(),
	    "call m:1/1 n=0 ev=m:1 conv=g:B msg= \"hi\"\n"
	    "call m:1/mine n=0 ev=m:1 conv=g:B msg= \"hi\"\n"
	    "call m:1/4 n=0 ev=m:1 conv=u:A msg=M \"\"\n"
	    "call m:1/=1 n=0 ev=m:1 conv=g:B msg= \"hi\"\n");
	job_fail(&w, j, 0, false, "why not", (struct slice){ NULL, 0 });
	EXPECT_STR(heard(), "nack m:1 why not\n");
	result(&w, "m:1/1", true); /* to nobody */
	EXPECT(w.jobs == NULL);
}

TEST(no_longer_than_a_reply_may_take)
{
	struct worker    w;
	struct msg_event ev = { .id = SLICE("m:1"), .bot = SLICE("1"),
		.type = SLICE("message.group"), .conv = SLICE("g:A"),
		.msg = SLICE("M"), .text = SLICE("x"), .attempt = 1,
		.time = 1000, .deadline = 301000 };

	worker_new(&w, &many, "");
	keeps = true;
	replies_per_event = 0;
	hosted.timeout_ms = 3600000;
	job_on_event(&w, (msg_peer){ NULL, 0 }, &ev);
	EXPECT_INT(job_timeout_ms(w.jobs), 300000);
	hosted.timeout_ms = 30000;
	EXPECT_INT(job_timeout_ms(w.jobs), 30000);
	jobs_free(&w);
	ev.deadline = 0; /* nothing can be said to it, but done */
	job_on_event(&w, (msg_peer){ NULL, 0 }, &ev);
	hosted.timeout_ms = 3600000;
	EXPECT_INT(job_timeout_ms(w.jobs), 3600000);
	jobs_free(&w);
}

TEST(what_is_given_back_is_unbegun)
{
	struct worker w;

	worker_new(&w, &many, "");
	keeps = true;
	replies_per_event = 0;
	event(&w, "m:1", "message.c2c", "x", false);
	job_return(&w, job_find(&w, SLICE("m:1")), 250);
	EXPECT_STR(heard(), "nack m:1 unbegun its handler has no room\n");
	EXPECT_INT(w.returned, 1);
	event(&w, "m:2", "nobody's", "x", false);
	EXPECT_STR(heard(), "ack m:2\n");
	EXPECT_INT(w.unowned, 1);
}

/* Calls of a child's own, tied to no event, are forgotten when answered. */
TEST(loose_calls)
{
	struct worker    w;
	struct job      *j;
	struct job_order me = { .do_ = SLICE("me"), .bot = SLICE("7") };

	worker_new(&w, &many, "");
	j = job_loose(&w, &hosted, "~x");
	EXPECT(j != NULL);
	for (int i = 0; i < 3; i++)
		EXPECT_INT(job_call(&w, j, &me), ERR_OK);
	EXPECT_STR(heard(), "call ~x/1 n=0 ev= conv= msg= \"\"\n"
	                    "call ~x/2 n=0 ev= conv= msg= \"\"\n"
	                    "call ~x/3 n=0 ev= conv= msg= \"\"\n");
	result(&w, "~x/3", true);
	result(&w, "~x/1", true);
	EXPECT_INT(job_call(&w, j, &me), ERR_OK);
	result(&w, "~x/2", true);
	result(&w, "~x/4", true);
	EXPECT(j->calls == NULL && j->open == 0 && j->bytes == 0);
	EXPECT_INT(w.njobs, 0);
	job_drop_loose(&w, j);
	EXPECT(w.jobs == NULL);
}

TEST(what_is_over_the_bounds_is_refused)
{
	static char      big[MSG_MAX];
	struct worker    w;
	struct job      *j;
	struct job_order o = { .do_ = SLICE("reply"),
		.text = { big, sizeof big } };
	unsigned         n = 0;

	memset(big, 'x', sizeof big);
	worker_new(&w, &many, "");
	keeps = true;
	replies_per_event = 0;
	event(&w, "m:1", "message.c2c", "x", false);
	j = job_find(&w, SLICE("m:1"));
	EXPECT_INT(job_call(&w, j, &o), ERR_TOO_LARGE);
	EXPECT_INT(j->open, 0);
	o.text = SLICE("x");
	while (job_call(&w, j, &o) == ERR_OK)
		n++;
	EXPECT_INT(n, 1000);
	EXPECT_INT(job_call(&w, j, &o), ERR_FULL);
	jobs_free(&w);
}

TEST(ping_tells_how_long_it_took)
{
	struct worker    w;
	struct msg_event ev = { .id = SLICE("E"), .bot = SLICE("1"),
		.type = SLICE("message.c2c"), .conv = SLICE("u:A"),
		.msg = SLICE("M"), .text = SLICE("/ping"), .attempt = 2,
		.time = 4958 };

	worker_new(&w, &builtin_kind, "ping");
	job_on_event(&w, (msg_peer){ NULL, 0 }, &ev);
	EXPECT_STR(heard(), "call E#1 n=1 ev=E conv=u:A msg=M \"pong: 42 ms "
	    "from the platform to the handler; worker/1, attempt 2\"\n");
	ev.id = SLICE("F");
	ev.attempt = 1;
	ev.text = SLICE("hello");
	job_on_event(&w, (msg_peer){ NULL, 0 }, &ev);
	EXPECT_STR(heard(), "ack F\n");
	jobs_free(&w);
}

int
main(void)
{
	RUN(the_ack_waits_for_every_result);
	RUN(what_is_answered_can_be_quoted);
	RUN(an_event_without_replies_is_done_at_once);
	RUN(a_second_delivery_meanwhile_is_the_same_event);
	RUN(what_has_no_result_is_called_again);
	RUN(what_was_not_taken_goes_with_the_next_result);
	RUN(results_of_nothing_are_ignored);
	RUN(echo_repeats_messages_of_people);
	RUN(no_text_gets_into_the_log);
	RUN(a_number_is_given_away_once);
	RUN(streams_have_numbers);
	RUN(a_stream_goes_on_where_it_was);
	RUN(what_is_given_up_is_ended);
	RUN(what_is_given_up_under_way_ends_with_its_handler);
	RUN(operations_that_are_no_replies);
	RUN(no_longer_than_a_reply_may_take);
	RUN(what_is_given_back_is_unbegun);
	RUN(loose_calls);
	RUN(what_is_over_the_bounds_is_refused);
	RUN(ping_tells_how_long_it_took);
	return test_done();
}
