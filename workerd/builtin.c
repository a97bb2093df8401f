/*
 * The handlers we bring along.
 */
#include "handler.h"

#include "log.h"

static void
say(struct worker *w, struct job *j, struct slice text)
{
	struct job_order o = { .do_ = SLICE("reply"), .text = text };

	job_call(w, j, &o);
}

/* Says what it was told, with a prefix.  Nothing to say: nothing is said;
 * and other bots are left alone, for two that echo never end. */
static void
echo(struct worker *w, struct job *j, const struct msg_event *ev)
{
	struct buf text = { 0 };

	if (!slice_starts(ev->type, SLICE("message.")) || ev->from_bot) {
		log_debug("echo.ignored", KV("id", ev->id),
		    KV("type", ev->type));
		return;
	}
	buf_puts(&text, w->conf.echo_prefix);
	buf_put(&text, ev->text);
	if (slice_trim(buf_slice(&text)).n > 0 && !text.failed)
		say(w, j, buf_slice(&text));
	buf_free(&text);
}

/* A test of the whole way: how old the message was when it was here. */
static void
ping(struct worker *w, struct job *j, const struct msg_event *ev)
{
	struct buf text = { 0 };
	int64_t    age = loop_wall_ms() - ev->time;

	if (!slice_starts(ev->type, SLICE("message.")) || ev->from_bot ||
	    !slice_starts(ev->text, SLICE("/ping")))
		return;
	buf_puts(&text, "pong");
	if (ev->time > 0)
		buf_putf(&text, ": %lld ms from the platform to the handler",
		    (long long)(age > 0 ? age : 0));
	buf_putf(&text, "; %s, attempt %llu", w->name,
	    (unsigned long long)ev->attempt);
	if (!text.failed)
		say(w, j, buf_slice(&text));
	buf_free(&text);
}

static const struct builtin {
	const char *name, *events;
	void      (*answer)(struct worker *, struct job *,
	    const struct msg_event *);
} builtins[] = {
	{ "echo", "*", echo },
	{ "ping", "message.*", ping },
};

static enum err
builtin_open(struct handler *h)
{
	for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
		if (strcmp(builtins[i].name, h->row->arg) == 0)
			return handler_set_events(h, builtins[i].events);
	return ERR_CONFIG;
}

static bool
builtin_begin(struct handler *h, struct job *j, const struct msg_event *ev)
{
	for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
		if (strcmp(builtins[i].name, h->row->arg) == 0)
			builtins[i].answer(h->worker, j, ev);
	job_done(h->worker, j);
	return true;
}

static uint64_t
builtin_slots(const struct handler *h)
{
	return h->worker->conf.window;
}

const struct handler_kind builtin_kind = {
	.name = "builtin",
	.open = builtin_open,
	.begin = builtin_begin,
	.slots = builtin_slots,
	.meaning = "builtin:echo repeats the text of a message after "
	           "ROOKERY_ECHO_PREFIX; builtin:ping answers /ping",
};
