/*
 * A plugin: answers "/echo TEXT" with TEXT.
 *
 *     cc -std=c99 -fPIC -shared -fvisibility=hidden -Iinclude \
 *         -o echo.so examples/echo.c
 *     ROOKERY_HANDLER=plugin:./echo.so rookery up
 */
#include <string.h>

#include "rookery.h"

/* What the plugin keeps: here only the way back to its host. */
static int
init(const rk_host *host, void **state)
{
	memcpy(state, &host, sizeof host);
	return 0;
}

static rk_rc
on_event(void *state, rk_ctx *ctx, const rk_event *ev)
{
	const rk_host *host = state;

	if (ev->text.n > 6 && memcmp(ev->text.p, "/echo ", 6) == 0)
		host->reply_text(ctx, ev->text.p + 6, ev->text.n - 6);
	return RK_ACK;
}

static const rk_plugin plugin = {
	RK_ABI, sizeof plugin, "echo", "1.0", "message.*", init, on_event, NULL
};

const rk_plugin *
rk_plugin_entry(uint32_t host_abi)
{
	return host_abi == RK_ABI ? &plugin : NULL;
}
