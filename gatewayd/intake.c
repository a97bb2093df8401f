/*
 * Events in: from a session or from a callback, normalised the same way, into
 * the queue.  A callback is acknowledged only once its event is ours.
 */
#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"

enum {
	SIGNS_MAX = 64, SIGN_MS = 5000,
	KEYS_MS = 1000,      /* for the keys of all bots */
};

/* Into the queue and the journal. */
static enum err
keep_event(struct gateway *g, const struct msg_event *ev, int64_t wall_ms)
{
	struct slice body = buf_slice(&g->body), conv;
	uint64_t     no;
	enum err     e;

	buf_reset(&g->conv);
	buf_put(&g->conv, ev->bot);
	buf_puts(&g->conv, "/");
	buf_put(&g->conv, ev->conv);
	if (g->conv.failed)
		return ERR_NOMEM;
	conv = buf_slice(&g->conv);
	if (g->journal == NULL)
		return ERR_FULL;
	if (keep_knows_old(g, ev))
		return ERR_DUPLICATE;
	e = delivery_append(g->delivery, ev->id, conv, ev->type, body,
	    loop_now(g->loop), &no);
	if (e == ERR_OK)
		keep_note(g, journal_append(g->journal, no, ev->id, conv,
		    ev->type, body, wall_ms));
	return e;
}

enum err
intake_event(struct gateway *g, const struct bot *bot, const char *user,
    const char *shard, const struct payload *p)
{
	struct normal_context ctx = { &g->rules, bot->conf.qq_app_id, user,
		shard, 0 };
	struct msg_event ev;
	char             head[MSG_HEAD];
	enum err         e;

	keep_clock(g);
	ctx.now_ms = loop_wall_ms();
	if ((e = normal_event(p, &ctx, &g->scratch, &ev)) != ERR_OK)
		return e;
	buf_reset(&g->body);
	e = msg_encode(MSG_event, &ev, head, &g->body);
	/* The platform's own form is the part that can be done without. */
	if (e == ERR_TOO_LARGE) {
		ev.raw = (struct slice){ NULL, 0 };
		buf_reset(&g->body);
		e = msg_encode(MSG_event, &ev, head, &g->body);
	}
	if (e == ERR_OK)
		e = keep_event(g, &ev, ctx.now_ms);
	if (e == ERR_TOO_LARGE) {
		log_error("event.too_large", KV("id", ev.id),
		    KV("bot", ev.bot), KV("type", ev.type), KV("bytes", g->body.n));
		return ERR_OK; /* a replay would not make it smaller */
	}
	if (e == ERR_FULL || e == ERR_NOMEM)
		return e;
	if (e == ERR_OK) {
		notice_event(g, &ev, p->d);
		feed_event(g, &ev, buf_slice(&g->body));
	}
	log_info(e == ERR_DUPLICATE ? "event.duplicate" : "event.in",
	    KV("id", ev.id), KV("type", ev.type), KV("bot", ev.bot),
	    KV("shard", shard), KV("text_bytes", ev.text.n));
	handout_soon(g);
	link_flow_all(g);
	return e;
}

/* --- callbacks ----------------------------------------------------------------------- */

/* What a session of this bot was told at READY, if it has one. */
static const char *
user_of(const struct bot *bot)
{
	const struct link *l;

	for (size_t i = 0; (l = bot_link(bot, i)) != NULL; i++)
		if (l->session.user[0] != '\0')
			return l->session.user;
	return "";
}

static void
take_event(struct gateway *g, uint64_t request, struct webhook_result *r)
{
	struct buf answer = { 0 };
	enum err   e = ERR_FULL;

	/* On the way out it is kept for the next run, if anything is. */
	if ((!g->draining || keep_outlives(g)) &&
	    delivery_has_room(g->delivery,
	        slice_of(g->bots[r->bot]->conf.qq_app_id)))
		e = intake_event(g, g->bots[r->bot],
		    user_of(g->bots[r->bot]), "webhook", &r->payload);
	if (e == ERR_OK || e == ERR_DUPLICATE) {
		g->webhook.events++;
		g->webhook.duplicates += e == ERR_DUPLICATE;
		e = keep_ack(g, request);
	}
	if (e == ERR_OK)
		return;
	/* Not ours: the platform is to deliver it again. */
	payload_callback_ack(&answer, false);
	net_answer(g->net, request, 503, buf_slice(&answer));
	buf_free(&answer);
}

static void
ask_sign(struct gateway *g, uint64_t request, const struct webhook_result *r)
{
	struct pending_sign *p = NULL;
	size_t               n = 0;
	char                 id[32];
	struct msg_sign_ask  ask = {
		.bot = slice_of(g->webhook_bots[r->bot].app_id),
		.event_ts = r->event_ts, .plain_token = r->plain_token };

	for (p = g->signs; p != NULL; p = p->next)
		n++;
	snprintf(id, sizeof id, "%llu", (unsigned long long)request);
	ask.id = slice_of(id);
	if (n >= SIGNS_MAX || (p = calloc(1, sizeof *p)) == NULL ||
	    bus_send(g->trust, (msg_peer){ NULL, 0 }, MSG_sign_ask, &ask) !=
	        ERR_OK) {
		free(p);
		net_answer(g->net, request, 503, SLICE("{}"));
		return;
	}
	p->request = request;
	p->until_ms = loop_clock_ms() + SIGN_MS;
	snprintf(p->bot, sizeof p->bot, "%s",
	    g->webhook_bots[r->bot].app_id);
	memcpy(p->plain_token, r->plain_token.p, r->plain_token.n);
	p->next = g->signs;
	g->signs = p;
	g->webhook.validations++;
}

static void
refuse(struct gateway *g, uint64_t request, const struct webhook_request *q,
    const struct webhook_result *r)
{
	uint64_t times = webhook_count(&g->webhook.refusals, r->refusal,
	    loop_clock_ms());

	g->webhook.refused++;
	if (times > 0)
		log_warn("webhook.refused", KV("status", r->status),
		    KV("why", r->why), KV("times", times),
		    KV("app_id", q->app_id), KV("bytes", q->body.n),
		    KV("trace", q->trace));
	/* The reason is for the log: a forger learns nothing. */
	net_answer(g->net, request, r->status, (struct slice){ NULL, 0 });
}

size_t
intake_on_head(void *self, const struct webhook_request *q)
{
	struct gateway *g = self;

	return webhook_worth(q, g->webhook_bots, g->nbots,
	    g->conf.webhook_body_max);
}

void
intake_on_request(void *self, uint64_t request,
    const struct webhook_request *q)
{
	struct gateway       *g = self;
	struct webhook_result r;
	struct buf            answer = { 0 };

	g->webhook.requests++;
	webhook_decide(q, g->webhook_bots, g->nbots, loop_wall_ms() / 1000,
	    g->conf.webhook_skew_s, &answer, &r);
	if (r.skew_s > 600)
		log_warn("webhook.skew", KV("bot", q->app_id),
		    KV("seconds", r.skew_s),
		    KV("trace", q->trace));
	switch (r.verdict) {
	case WEBHOOK_REFUSE:
		refuse(g, request, q, &r);
		break;
	case WEBHOOK_ANSWER:
		net_answer(g->net, request, 200, buf_slice(&answer));
		break;
	case WEBHOOK_EVENT:
		take_event(g, request, &r);
		break;
	case WEBHOOK_SIGN:
		ask_sign(g, request, &r);
		break;
	}
	payload_free(&r.payload);
	buf_free(&answer);
}

void
intake_on_sign(void *self, msg_peer from, const struct msg_sign_answer *m)
{
	struct gateway       *g = self;
	struct pending_sign **at = &g->signs, *p;
	unsigned long long    request;
	struct buf            answer = { 0 };

	(void)from;
	if (!slice_u64(m->id, &request))
		return;
	while (*at != NULL && (*at)->request != request)
		at = &(*at)->next;
	if ((p = *at) == NULL)
		return;
	*at = p->next;
	if (m->ok)
		payload_validation(&answer, slice_of(p->plain_token),
		    m->signature);
	net_answer(g->net, request, m->ok ? 200 : 400, buf_slice(&answer));
	log_info("webhook.validated", KV("bot", (const char *)p->bot),
	    KV("ok", m->ok));
	buf_free(&answer);
	free(p);
}

/* With the key of each bot, so that no callback is refused for lack of one
 * while we are new; but one that does not come keeps nobody out for long. */
static void
let_in(struct gateway *g)
{
	size_t known = 0;

	for (size_t i = 0; i < g->nbots; i++)
		known += g->webhook_bots[i].key != NULL;
	if (!g->draining && (known == g->nbots ||
	        loop_clock_ms() - g->began_ms >= KEYS_MS))
		net_let_in(g->net);
}

void
intake_tick(struct gateway *g)
{
	struct pending_sign **at = &g->signs, *p;
	uint64_t              now = loop_clock_ms();

	let_in(g);
	while ((p = *at) != NULL) {
		if (p->until_ms > now) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		log_warn("webhook.unsigned", KV("bot", (const char *)p->bot),
		    KV("why", "no answer of apid"));
		net_answer(g->net, p->request, 503, SLICE("{}"));
		free(p);
	}
}

/* --- keys ------------------------------------------------------------------------------ */

void
intake_ask_keys(struct gateway *g)
{
	if (g->conf.webhook_listen[0] == '\0')
		return;
	for (size_t i = 0; i < g->nbots; i++) {
		struct msg_key_ask ask = { .id = SLICE("key"),
			.bot = slice_of(g->webhook_bots[i].app_id) };

		if (g->webhook_bots[i].key == NULL)
			bus_send(g->trust, (msg_peer){ NULL, 0 }, MSG_key_ask,
			    &ask);
	}
}

void
intake_on_key(void *self, msg_peer from, const struct msg_key_answer *m)
{
	struct gateway *g = self;

	(void)from;
	for (size_t i = 0; i < g->nbots; i++) {
		struct webhook_bot   *b = &g->webhook_bots[i];
		struct signature_key *key;

		if (!m->ok || !slice_is(m->bot, b->app_id) ||
		    signature_key_new(&key, m->public_key) != ERR_OK)
			continue;
		signature_key_free(&b->key);
		b->key = key;
		log_info("webhook.key", KV("bot", b->app_id));
	}
	let_in(g);
}

void
intake_close(struct gateway *g)
{
	while (g->signs != NULL) {
		struct pending_sign *p = g->signs;

		g->signs = p->next;
		free(p);
	}
	normal_free(&g->scratch);
	buf_free(&g->body);
	buf_free(&g->conv);
}
