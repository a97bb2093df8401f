/*
 * A plugin that does what it is told, for the stories: plugin-echo.case.
 *   OLD      built as if rk_plugin ended before fini and rk_event before json
 *   LONG     built for structs with more at their ends than ours
 *   ABI      of the interface it says to be built for
 */
#include <sys/wait.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rookery.h"

#ifndef ABI
#define ABI RK_ABI
#endif

struct late {
	const rk_host *host;
	rk_ctx        *ctx;
	char           text[64];
};

static const rk_host *host;

static int
init(const rk_host *h, void **state)
{
	const char *word = h->config("GREETING");

	host = h;
	*state = NULL;
	if (word != NULL)
		h->log(6, word, strlen(word));
	return 0;
}

static int
is(const rk_event *ev, const char *word)
{
	return ev->text.n >= strlen(word) &&
	    memcmp(ev->text.p, word, strlen(word)) == 0;
}

static void
say(rk_ctx *ctx, const char *text)
{
	host->reply_text(ctx, text, strlen(text));
}

/* On the host's thread again. */
static void
on_posted(void *arg)
{
	struct late *l = arg;

	say(l->ctx, l->text);
	host->finish(l->ctx, RK_ACK);
	/* it is over: nothing more goes, and nothing breaks */
	if (l->host->reply_text(l->ctx, "no", 2) == 0)
		abort();
	host->finish(l->ctx, RK_ACK);
	free(l);
}

static void *
work(void *arg)
{
	usleep(20000);
	while (host->post(on_posted, arg) != 0)
		usleep(1000);
	return NULL;
}

static rk_rc
later(rk_ctx *ctx, const rk_event *ev)
{
	struct late *l = calloc(1, sizeof *l);
	pthread_t    thread;

	l->host = host;
	l->ctx = ctx;
	snprintf(l->text, sizeof l->text, "later: attempt %u",
	    (unsigned)ev->attempt);
	if (pthread_create(&thread, NULL, work, l) != 0)
		abort();
	pthread_detach(thread);
	return RK_LATER;
}

static void
on_done(rk_ctx *ctx, const rk_result *r, void *arg)
{
	static int order;
	int        n = *(int *)arg;

	if (n != order % 3 + 1)
		abort();
	order++;
	free(arg);
	if (n == 3) {
		say(ctx, r->ok ? "three are sent" : "not sent");
		host->finish(ctx, RK_ACK);
	}
}

static rk_rc
three(rk_ctx *ctx)
{
	static const char *const json[] = { "{\"text\":\"1\"}",
		"{\"text\":\"2\"}", "{\"text\":\"3\",\"n\":3}" };

	for (int i = 0; i < 3; i++) {
		int *n = malloc(sizeof *n);

		*n = i + 1;
		host->reply(ctx, json[i], strlen(json[i]), on_done, n);
	}
	return RK_LATER;
}

static rk_rc
ask(rk_ctx *ctx)
{
	rk_result r;
	char      text[200];

	if (host->call_wait(ctx, "me", NULL, 0, 5000, &r) != 0)
		return RK_FAIL;
	snprintf(text, sizeof text, "ok %d %.*s", (int)r.ok, (int)r.code.n,
	    r.code.p);
	say(ctx, text);
	if (host->call_wait(ctx, "no such", "{}", 2, 5000, &r) != 0)
		return RK_FAIL;
	snprintf(text, sizeof text, "then %d %.*s", (int)r.ok, (int)r.code.n,
	    r.code.p);
	say(ctx, text);
	return RK_ACK;
}

/* What it starts ends at a pipe that nobody reads, as everywhere. */
static void
run(rk_ctx *ctx)
{
	int   status = system("kill -PIPE $$");
	FILE *f = popen("echo popen", "r");
	char  word[16] = "";

	say(ctx, WIFSIGNALED(status) ? "signalled" : "ignored");
	if (f == NULL || fgets(word, sizeof word, f) == NULL ||
	    pclose(f) != 0)
		abort();
	say(ctx, word);
}

#ifdef LONG
struct long_event {
	rk_event known;
	uint32_t size;
	rk_str   more;
};
#endif

/* Nothing is read that the host has not. */
static void
look_beyond(const rk_event *ev)
{
#ifdef LONG
	if (ev->size >= sizeof(struct long_event) ||
	    host->size > sizeof *host)
		abort();
#endif
#ifndef OLD
	if (!RK_HAS(ev, rk_event, json) || ev->json.p[0] != '{' ||
	    ev->json.p[ev->json.n] != '\0')
		abort();
#endif
	(void)ev;
}

/* Its reply is there, and nobody has been told that it is done. */
static void
on_result(rk_ctx *ctx, const rk_result *r, void *first)
{
	(void)r;
	if (first != NULL)
		abort();
	host->finish(ctx, RK_ACK);
}

/* Its worker is killed when the event is over for it. */
static void
be_killed(void *arg)
{
	(void)arg;
	raise(SIGKILL);
}

static void
get_stuck(void *arg)
{
	(void)arg;
	pause();
}

static rk_rc
on_event(void *state, rk_ctx *ctx, const rk_event *ev)
{
	(void)state;
	look_beyond(ev);
	if (is(ev, "/echo "))
		host->reply_text(ctx, ev->text.p + 6, ev->text.n - 6);
	else if (is(ev, "/later"))
		return later(ctx, ev);
	else if (is(ev, "/three"))
		return three(ctx);
	else if (is(ev, "/ask"))
		return ask(ctx);
	else if (is(ev, "/run"))
		run(ctx);
	else if (is(ev, "/exit") && ev->attempt == 1)
		exit(0);
	else if (is(ev, "/crash") && ev->attempt == 1)
		abort();
	else if (is(ev, "/hang") && ev->attempt == 1)
		pause();
	else if (is(ev, "/reply")) {
		say(ctx, "again");
		if (ev->attempt == 1)
			abort();
	} else if (is(ev, "/result")) {
		host->reply(ctx, "{\"text\":\"again\"}", 16, on_result,
		    ev->attempt == 1 ? &host : NULL);
		return RK_LATER;
	} else if (is(ev, "/between")) {
		say(ctx, "first of two");
		if (ev->attempt == 1)
			raise(SIGKILL);
		say(ctx, "again");
	} else if (is(ev, "/acked")) {
		say(ctx, "again");
		if (ev->attempt == 1)
			host->post(be_killed, NULL);
	} else if (is(ev, "/stuck") && ev->attempt == 1)
		host->post(get_stuck, NULL);
	else if (is(ev, "/odd") && ev->attempt == 1)
		return (rk_rc)17;
	else if (is(ev, "/retry") && ev->attempt == 1)
		return RK_RETRY;
	else if (is(ev, "/fail"))
		return RK_FAIL;
	else if (is(ev, "/bad"))
		say(ctx, host->reply(ctx, "[1]", 3, NULL, NULL) == -1
		        ? "refused" : "taken");
	else
		say(ctx, "again");
	return RK_ACK;
}

static const struct {
	rk_plugin known;
	void     *more[4];
} plugin = { {
	ABI,
#if defined OLD
	offsetof(rk_plugin, fini),
#elif defined LONG
	sizeof plugin,
#else
	sizeof(rk_plugin),
#endif
	"test", "1.0", "message.*", init, on_event,
#ifdef OLD
	(void (*)(void *))1     /* beyond what its size says */
#else
	NULL
#endif
}, { NULL } };

const rk_plugin *
rk_plugin_entry(uint32_t host_abi)
{
	return host_abi == RK_ABI ? &plugin.known : NULL;
}
