/*
 * A plugin that answers everything, and of a thousand events one at its first
 * attempt with a crash: before the reply, after it, or when its result is
 * there.  Which ones follows from their ids.
 */
#include <signal.h>
#include <unistd.h>

#include "rookery.h"

enum { CRASHES_OF = 1000 };

static const rk_host *host;

static void
die(void)
{
	kill(getpid(), SIGKILL);
	pause();
}

static unsigned
number_of(const rk_event *ev)
{
	unsigned n = 2166136261u;

	for (size_t i = 0; i < ev->id.n; i++)
		n = (n ^ (unsigned char)ev->id.p[i]) * 16777619u;
	return n;
}

static int
init(const rk_host *h, void **state)
{
	*state = NULL;
	host = h;
	return 0;
}

static void
on_sent(rk_ctx *ctx, const rk_result *r, void *dies)
{
	(void)r;
	if (dies != NULL)
		die();
	host->finish(ctx, RK_ACK);
}

static rk_rc
on_event(void *state, rk_ctx *ctx, const rk_event *ev)
{
	static const char text[] = "{\"text\":\"pong\"}";
	static char       yes;
	unsigned          n = number_of(ev), where = n / CRASHES_OF % 3;
	int               dies = ev->attempt == 1 && n % CRASHES_OF == 0;

	(void)state;
	if (dies && where == 0)
		die();
	if (n % 2 == 0 || (dies && where == 2)) {
		host->reply(ctx, text, sizeof text - 1, on_sent,
		    dies && where == 2 ? &yes : NULL);
		if (dies && where == 1)
			die();
		return RK_LATER;
	}
	host->reply_text(ctx, "pong", 4);
	if (dies)
		die();
	return RK_ACK;
}

static const rk_plugin plugin = {
	RK_ABI, sizeof plugin, "chaos", "1.0", "message.*", init, on_event, NULL
};

const rk_plugin *
rk_plugin_entry(uint32_t host_abi)
{
	return host_abi == RK_ABI ? &plugin : NULL;
}
