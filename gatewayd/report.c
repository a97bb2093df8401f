/*
 * What `rookery status` shows of us.
 */
#include "gateway.h"

static void
put_dropped(struct json *o, uint32_t dropped)
{
	struct buf names = { 0 };

	rights_names(dropped, &names);
	json_put_text(o, "dropped", buf_slice(&names));
	buf_free(&names);
}

static struct json *
session_json(const struct link *l, uint64_t now)
{
	const struct session *s = &l->session;
	struct json          *o = json_new_object();

	json_put_text(o, "bot", slice_of(s->bot));
	json_put_text(o, "shard", slice_of(l->name));
	json_put_text(o, "state", session_stale(s, now) ? SLICE("stale")
	        : session_silent(s, now)
	        ? SLICE("silent")
	        : slice_of(session_state_name(s->state)));
	if (l->leaving)
		json_put_bool(o, "leaving", true);
	json_put_int(o, "since_ms", (int64_t)(now - s->since_ms));
	if (s->retry_ms != 0)
		json_put_int(o, "retry_in_ms", (int64_t)(s->retry_ms > now
		        ? s->retry_ms - now : 0));
	json_put_text(o, "why", slice_of(s->why));
	if (s->remedy[0] != '\0')
		json_put_text(o, "remedy", slice_of(s->remedy));
	if (s->ready_ms != 0)
		json_put_int(o, "session_age_s",
		    (int64_t)((now - s->ready_ms) / 1000));
	json_put_int(o, "seq", s->seq);
	json_put_int(o, "events", (int64_t)l->events);
	if (l->last_dispatch_ms != 0)
		json_put_int(o, "last_dispatch_s",
		    (int64_t)((now - l->last_dispatch_ms) / 1000));
	if (l->last_event_ms != 0)
		json_put_int(o, "last_event_s",
		    (int64_t)((now - l->last_event_ms) / 1000));
	if (l->url != NULL)
		json_put_text(o, "url", slice_of(l->url));
	if (l->proxy != NULL && l->proxy[0] != '\0')
		json_put_text(o, "proxy", net_proxy_name(l->proxy));
	json_put_int(o, "intents", s->intents);
	put_dropped(o, l->bot->rights.dropped);
	json_put_int(o, "identifies", (int64_t)s->identifies);
	json_put_int(o, "resumes", (int64_t)s->resumes);
	json_put_int(o, "renewals", (int64_t)s->renewals);
	json_put_int(o, "replacements", (int64_t)s->replacements);
	json_put_int(o, "last_close", s->last_close);
	if (l->bot->budget.total > 0)
		json_put_int(o, "identifies_left",
		    (int64_t)l->bot->budget.remaining);
	return o;
}

static struct json *
worker_json(const struct delivery_worker *w, uint64_t now)
{
	struct delivery_worker_info i = delivery_worker_info(w);
	struct json                *o = json_new_object();

	json_put_text(o, "name", i.name);
	json_put_int(o, "pid", (int64_t)i.pid);
	json_put_text(o, "handler", i.handler);
	json_put_int(o, "window", (int64_t)i.window);
	json_put_int(o, "in_flight", (int64_t)i.in_flight);
	json_put_int(o, "done", (int64_t)i.done);
	json_put_int(o, "connected_s", (int64_t)((now - i.since_ms) / 1000));
	return o;
}

static struct json *
queue_json(const struct gateway *g, uint64_t now)
{
	const struct delivery_counts *c = delivery_counts(g->delivery);
	struct json                  *o = json_new_object();

	const struct {
		const char *key;
		uint64_t    v;
	} rows[] = {
		{ "events", c->events }, { "bytes", c->bytes },
		{ "in_flight", c->in_flight }, { "appended", c->appended },
		{ "done", c->done }, { "duplicates", c->duplicates },
		{ "redelivered", c->redelivered }, { "unwanted", c->unwanted },
		{ "timeouts", c->timeouts }, { "stale_acks", c->stale },
		{ "refused", c->refused }, { "dead", c->dead },
		{ "unparsable", g->unparsable },
		{ "oldest_ms", delivery_oldest_ms(g->delivery, now) },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		json_put_int(o, rows[i].key, (int64_t)rows[i].v);
	return o;
}

static struct json *
journal_json(struct gateway *g)
{
	struct json        *o = json_new_object();
	struct journal_info i;

	json_put_text(o, "durability", slice_of(g->conf.durability));
	json_put_bool(o, "open", g->journal != NULL);
	if (g->journal == NULL)
		return o;
	i = journal_info(g->journal);
	json_put_text(o, "file", slice_of(i.file));
	if (i.moved != NULL || g->moved != NULL)
		json_put_text(o, "moved",
		    slice_of(i.moved != NULL ? i.moved : g->moved));
	json_put_int(o, "bytes", (int64_t)i.bytes);
	json_put_int(o, "disk_free", (int64_t)i.disk_free);
	json_put_int(o, "commits", (int64_t)i.commits);
	json_put_int(o, "dead", (int64_t)journal_dead_count(g->journal));
	json_put_int(o, "dead_lost", (int64_t)journal_dead_lost(g->journal));
	return o;
}

static struct json *
webhook_json(const struct gateway *g)
{
	struct json *o = json_new_object(), *by = json_new_object();
	int64_t      keys = 0;

	json_put_text(o, "listen", slice_of(g->conf.webhook_listen));
	json_put_int(o, "port", net_port(g->net));
	json_put_int(o, "requests", (int64_t)g->webhook.requests);
	json_put_int(o, "events", (int64_t)g->webhook.events);
	json_put_int(o, "duplicates", (int64_t)g->webhook.duplicates);
	json_put_int(o, "validations", (int64_t)g->webhook.validations);
	json_put_int(o, "refused", (int64_t)g->webhook.refused);
	for (size_t i = 0; i < REFUSED_COUNT; i++)
		if (g->webhook.refusals.count[i] > 0)
			json_put_int(by, webhook_refusals[i].name,
			    (int64_t)g->webhook.refusals.count[i]);
	json_put_take(o, "refused_by", by);
	json_put_int(o, "evicted", (int64_t)net_evicted(g->net));
	for (size_t i = 0; i < g->nbots; i++)
		keys += g->webhook_bots[i].key != NULL;
	json_put_int(o, "keys", keys);
	return o;
}

/* Callbacks of a bot whose key nobody has told are refused. */
static const char *
key_trouble(const struct gateway *g)
{
	for (size_t i = 0; g->conf.webhook_listen[0] != '\0' && i < g->nbots;
	     i++)
		if (g->webhook_bots[i].key == NULL)
			return "apid has not told the keys that verify "
			       "callbacks: see what is wrong with it";
	return "";
}

/* One word for all sessions: the worst of them. */
static const char *
state_of(struct gateway *g, const char **remedy)
{
	const char    *state = "ready";
	struct link_at at = { 0, 0 };
	struct link   *l;

	*remedy = keep_trouble(g);
	if (**remedy == '\0')
		*remedy = key_trouble(g);
	if (**remedy != '\0')
		state = "degraded";
	else
		*remedy = feed_hint(g);
	if (**remedy == '\0')
		*remedy = keep_hint(g);
	for (size_t b = 0; b < g->nbots; b++)
		if (strcmp(state, "ready") == 0 && g->bots[b]->remedy.n > 0)
			*remedy = g->bots[b]->remedy.p;
	while ((l = link_each(g, &at)) != NULL) {
		const struct session *s = &l->session;

		if (s->remedy[0] != '\0')
			*remedy = s->remedy;
		if (s->state == SESSION_PARKED)
			return "parked";
		if (s->state != SESSION_LIVE)
			state = "degraded";
	}
	return g->draining ? "draining" : state;
}

void
report_send(struct gateway *g)
{
	uint64_t     now = loop_clock_ms();
	struct json *app, *sessions, *workers;
	struct link *l;
	struct link_at at = { 0, 0 };
	const char  *remedy, *state = state_of(g, &remedy);

	if (!g->proc.ready || g->proc.fd < 0)
		return;
	app = json_new_object();
	sessions = json_new_array();
	workers = json_new_array();
	g->told_ms = now;
	g->told = 0;
	for (; (l = link_each(g, &at)) != NULL; g->told++)
		json_push_take(sessions, session_json(l, now));
	for (struct delivery_worker *w =
	         delivery_worker_next(g->delivery, NULL);
	    w != NULL; w = delivery_worker_next(g->delivery, w))
		json_push_take(workers, worker_json(w, now));
	json_put_take(app, "sessions", sessions);
	json_put_take(app, "workers", workers);
	json_put_take(app, "queue", queue_json(g, now));
	json_put_take(app, "journal", journal_json(g));
	json_put_take(app, "feed", feed_json(g));
	if (g->conf.webhook_listen[0] != '\0')
		json_put_take(app, "webhook", webhook_json(g));
	proc_report(&g->proc, slice_of(state), slice_of(remedy), app);
	json_free(&app);
}
