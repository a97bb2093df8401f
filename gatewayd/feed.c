/*
 * The feed: every new event, once, for those who only look on.  An event is
 * shown after the commit that made it ours, so that nobody is shown what is
 * then lost with us and comes again as new; what is between the commit and its
 * showing when we are killed, nobody is shown.  Whatever goes wrong here costs
 * the workers nothing.
 */
#include "gateway.h"

#include <stdlib.h>

#include "log.h"

enum { RETRY_MS = 2000, RETRY_MAX_MS = 60000 };

/* What stands before each event in what waits for the commit. */
struct waiting {
	size_t type_n, body_n;
};

void
feed_event(struct gateway *g, const struct msg_event *ev, struct slice body)
{
	struct feed   *f = &g->feed;
	struct waiting w = { ev->type.n, body.n };

	/* Nobody has asked for anything: then it shall cost nothing. */
	if (f->bus == NULL || bus_counts(f->bus)->topics == 0)
		return;
	if (f->waiting.n + body.n > FEED_BYTES ||
	    buf_room(&f->waiting, sizeof w + w.type_n + w.body_n) == NULL) {
		f->waiting.failed = false;
		f->dropped++;
		return;
	}
	buf_put(&f->waiting, (struct slice){ (const char *)&w, sizeof w });
	buf_put(&f->waiting, ev->type);
	buf_put(&f->waiting, body);
}

void
feed_settle(struct gateway *g)
{
	struct feed   *f = &g->feed;
	struct slice   rest = buf_slice(&f->waiting);
	struct waiting w;

	while (rest.n > 0) {
		memcpy(&w, rest.p, sizeof w);
		rest = slice_from(rest, sizeof w);
		/* What it cannot take it counts. */
		if (f->bus != NULL)
			bus_publish(f->bus, (struct slice){ rest.p, w.type_n },
			    MSG_event,
			    (struct slice){ rest.p + w.type_n, w.body_n });
		rest = slice_from(rest, w.type_n + w.body_n);
	}
	buf_reset(&f->waiting);
}

/* --- life ------------------------------------------------------------------------------- */

static const struct msg_handlers takes_nothing = { 0 };

/* A bot does not fall silent because nobody can look on: it is tried again,
 * and a person is told. */
static void
try_open(void *self)
{
	struct gateway    *g = self;
	struct feed       *f = &g->feed;
	struct bus_options o = {
		.side = BUS_FEED, .url = f->url, .sends = MSG_FEED,
		.keys_dir = g->conf.keys_dir, .name = "gateway",
		.admit = { "observer" }, .handlers = &takes_nothing,
	};
	enum err e = bus_open(&f->bus, g->loop, &o);

	if (e == ERR_OK) {
		buf_reset(&f->hint);
		return;
	}
	buf_reset(&f->hint);
	buf_putf(&f->hint, "nobody can observe: %s: %s; correct "
	    "ROOKERY_BUS_FEED, or free that address", f->url, err_text(e));
	log_error("feed.open", KV("url", f->url), KV("why", err_text(e)),
	    KV("remedy", "correct ROOKERY_BUS_FEED, or free that address"));
	f->retry_ms = f->retry_ms == 0              ? RETRY_MS
	    : f->retry_ms * 2 < RETRY_MAX_MS ? f->retry_ms * 2
	                                     : RETRY_MAX_MS;
	loop_after(g->loop, &f->retry, f->retry_ms, try_open, g);
}

enum err
feed_open(struct gateway *g)
{
	g->feed.url = conf_bus(&g->conf, g->conf.bus_feed, "feed.sock");
	if (g->feed.url == NULL)
		return ERR_NOMEM;
	try_open(g);
	return ERR_OK;
}

void
feed_close(struct gateway *g)
{
	struct feed *f = &g->feed;

	if (f->url == NULL)
		return;
	loop_cancel(g->loop, &f->retry);
	bus_close(&f->bus);
	buf_free(&f->waiting);
	buf_free(&f->hint);
	free(f->url);
	f->url = NULL;
}

const char *
feed_hint(const struct gateway *g)
{
	return g->feed.hint.n > 0 ? g->feed.hint.p : "";
}

struct json *
feed_json(const struct gateway *g)
{
	static const struct bus_counts none = { 0 };
	const struct feed       *f = &g->feed;
	const struct bus_counts *c = f->bus != NULL ? bus_counts(f->bus)
	                                            : &none;
	struct json             *o = json_new_object();

	json_put_text(o, "url", slice_of(f->url));
	json_put_bool(o, "open", f->bus != NULL);
	json_put_int(o, "published", (int64_t)c->sent);
	json_put_int(o, "dropped", (int64_t)(c->dropped + f->dropped));
	json_put_int(o, "slow", (int64_t)c->slow);
	json_put_int(o, "topics", (int64_t)c->topics);
	return o;
}
