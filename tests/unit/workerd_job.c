// links: workerd/job.c workerd/handler.c common/buf.c common/slice.c common/err.c
/*
 * job: from an event to its ack.  The bus is ours here: what a worker says
 * goes into a list of lines, and so does every line of the log.
 */
#include "test.h"

#include <stdlib.h>

#include "log.h"
#include "worker.h"

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
		    "call %.*s n=%u ev=%.*s conv=%.*s msg=%.*s \"%.*s\"\n",
		    (int)c->id.n, c->id.p, (unsigned)c->n, (int)c->ev.n,
		    c->ev.p, (int)c->conv.n, c->conv.p, (int)c->msg.n,
		    c->msg.p, (int)c->text.n, c->text.p);
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

static void
on_event(struct worker *w, struct job *j, const struct msg_event *ev)
{
	char text[32];

	(void)ev;
	for (unsigned i = 1; i <= replies_per_event; i++) {
		snprintf(text, sizeof text, "reply %u", i);
		job_reply(w, j, slice_of(text));
	}
}

static const struct handler many = { "test", "*", on_event, "" };

static void
worker_new(struct worker *w, const struct handler *h)
{
	static char prefix[] = "got: ";

	*w = (struct worker){ .handler = h };
	w->conf.echo_prefix = prefix;
	bus_says = ERR_OK;
	said[0] = logged[0] = '\0';
}

static void
event(struct worker *w, const char *id, const char *type, const char *text,
    bool from_bot)
{
	struct msg_event ev = { .id = slice_of(id), .bot = SLICE("1"),
		.type = slice_of(type), .conv = SLICE("u:A"),
		.msg = SLICE("M"), .text = slice_of(text),
		.from_bot = from_bot };

	job_on_event(w, (msg_peer){ NULL, 0 }, &ev);
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

	worker_new(&w, &many);
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

TEST(an_event_without_replies_is_done_at_once)
{
	struct worker w;

	worker_new(&w, &many);
	replies_per_event = 0;
	event(&w, "E", "friend.add", "", false);
	EXPECT_STR(heard(), "ack E\n");
	EXPECT_INT(w.done, 1);
}

TEST(a_second_delivery_meanwhile_is_the_same_event)
{
	struct worker w;

	worker_new(&w, &many);
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

	worker_new(&w, &many);
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

	worker_new(&w, &many);
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

	worker_new(&w, &many);
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
		worker_new(&w, handler_find("builtin:echo"));
		event(&w, "E", rows[i].type, rows[i].text, rows[i].from_bot);
		snprintf(want, sizeof want,
		    "call E#1 n=1 ev=E conv=u:A msg=M \"%s\"\n", rows[i].want);
		EXPECT_STR(heard(), rows[i].want[0] != '\0' ? want
		                                            : "ack E\n");
		jobs_free(&w);
	}
	/* nothing to say: nothing is said */
	worker_new(&w, handler_find("builtin:echo"));
	w.conf.echo_prefix = want;
	want[0] = '\0';
	event(&w, "E", "message.c2c", "", false);
	EXPECT_STR(heard(), "ack E\n");
	EXPECT(handler_find("builtin:none") == NULL);
	EXPECT(handler_find("") == NULL);
}

/* Users' words are theirs. */
TEST(no_text_gets_into_the_log)
{
	struct worker w;

	worker_new(&w, handler_find("builtin:echo"));
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

int
main(void)
{
	RUN(the_ack_waits_for_every_result);
	RUN(an_event_without_replies_is_done_at_once);
	RUN(a_second_delivery_meanwhile_is_the_same_event);
	RUN(what_has_no_result_is_called_again);
	RUN(what_was_not_taken_goes_with_the_next_result);
	RUN(results_of_nothing_are_ignored);
	RUN(echo_repeats_messages_of_people);
	RUN(no_text_gets_into_the_log);
	return test_done();
}
