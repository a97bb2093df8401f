/*
 * Sessions and their connections: performs what session.c decides, and feeds
 * it what the platform and apid say.
 */
#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

static void link_feed(struct link *, enum session_input,
    const struct session_data *);

/* --- what the session wants done ----------------------------------------------------- */

static void
do_ask(struct link *l, bool fresh)
{
	char                   id[32];
	struct msg_session_ask ask = { .bot = slice_of(l->session.bot),
		.fresh = fresh };
	struct session_data    none = { .chance = backoff_chance() };

	if (l->session.id[0] == '\0')
		rights_retry(&l->bot->rights, loop_wall_ms(), false);
	l->asked = ++l->g->asks;
	snprintf(id, sizeof id, "%llu", (unsigned long long)l->asked);
	ask.id = slice_of(id);
	if (bus_send(l->g->trust, (msg_peer){ NULL, 0 }, MSG_session_ask,
	        &ask) != ERR_OK)
		link_feed(l, IN_NO_ANSWER, &none);
}

static void
do_connect(struct link *l)
{
	struct session_data closed = { .number = 1006,
		.text = SLICE("no connection could be begun"),
		.chance = backoff_chance() };

	l->reading = true;
	if (net_connect(l->g->net, l->url, l->proxy, l, &l->conn) != ERR_OK) {
		l->conn = NULL;
		link_feed(l, IN_CLOSED, &closed);
	}
}

static void
do_send(struct link *l, enum session_action_kind kind)
{
	struct session *s = &l->session;
	struct buf      b = { 0 };

	if (kind == DO_BEAT)
		payload_heartbeat(&b, s->seq);
	else if (kind == DO_IDENTIFY)
		payload_identify(&b, secret_reveal(&l->token), s->intents,
		    s->shard, s->shards);
	else
		payload_resume(&b, secret_reveal(&l->token), s->id, s->seq);
	if (l->conn != NULL && !b.failed)
		net_send(l->conn, buf_slice(&b));
	if (kind != DO_BEAT && b.p != NULL)
		explicit_bzero(b.p, b.cap);
	buf_free(&b);
}

static void
do_close(struct link *l, unsigned code)
{
	if (l->conn != NULL)
		net_drop(l->conn, code);
	l->conn = NULL;
}

static void
perform(struct link *l, const struct session_action *a)
{
	switch (a->kind) {
	case DO_ASK:
		do_ask(l, a->fresh);
		break;
	case DO_CONNECT:
		do_connect(l);
		break;
	case DO_IDENTIFY:
	case DO_RESUME:
	case DO_BEAT:
		do_send(l, a->kind);
		break;
	case DO_CLOSE:
		do_close(l, a->code);
		break;
	case DO_DELIVER: /* done already: take_dispatch() */
	case DO_RESHARD: /* the next answer tells: bots_shards() */
		break;
	}
}

static void on_due(void *self);

static void
arm(struct link *l)
{
	uint64_t due = session_due(&l->session), now = loop_clock_ms();

	if (due == 0)
		loop_cancel(l->g->loop, &l->timer);
	else
		loop_after(l->g->loop, &l->timer, due > now ? due - now : 0,
		    on_due, l);
}

/* A search is over, and something was refused. */
static void
tell_dropped(struct bot *bot)
{
	struct rights *r = &bot->rights;
	struct buf     names = { 0 };

	if (rights_searching(r) || (!r->news && r->dropped != 0))
		return;
	buf_reset(&bot->remedy);
	if (r->dropped == 0)
		return;
	r->news = false;
	r->dropped_wall_ms = loop_wall_ms();
	rights_names(r->dropped, &names);
	buf_putf(&bot->remedy, "bot %s: the platform does not allow %s: ask "
	    "for it in the console, then rookery reload; or remove it from "
	    "QQ_INTENTS", bot->conf.qq_app_id, names.p);
	log_error("intents.dropped", KV("bot", bot->conf.qq_app_id),
	    KV("intents", buf_slice(&names)),
	    KV("why", "the platform refuses them; the bot runs without"),
	    KV("remedy", buf_slice(&bot->remedy)));
	buf_free(&names);
}

/* Its session is over, and another is not its to begin. */
static bool
is_done(const struct link *l)
{
	return l->leaving && l->session.id[0] == '\0';
}

/* First the old ones come back: bots_settle(). */
static bool
has_to_wait(const struct link *l)
{
	const struct session *s;

	for (size_t i = 0; !l->leaving && i < l->bot->nold; i++) {
		s = &l->bot->old[i].session;
		if (s->id[0] != '\0' && s->state != SESSION_LIVE)
			return true;
	}
	return false;
}

static void
link_feed(struct link *l, enum session_input input,
    const struct session_data *data)
{
	struct session_action todo[SESSION_ACTIONS];
	enum session_state    before = l->session.state;
	size_t                n;

	if ((is_done(l) && input != IN_STOP) ||
	    (input == IN_START && has_to_wait(l)))
		return;
	n = session_step(&l->session, input, data, loop_clock_ms(), todo);
	for (size_t i = 0; i < n; i++)
		perform(l, &todo[i]);
	/* It is here from the answer until Hello has been answered. */
	if (l->session.state != SESSION_CONNECTING)
		secret_wipe(&l->token);
	arm(l);
	if (is_done(l) && l->session.state != SESSION_IDLE) {
		link_tell(l, IN_STOP, 1);
		return;
	}
	if (l->session.state == before)
		return;
	l->g->connected = true;
	tell_dropped(l->bot);
	notice_sessions(l->g, l->bot);
	report_send(l->g);
}

static void
on_due(void *self)
{
	struct session_data none = { .chance = backoff_chance() };

	link_feed(self, IN_DUE, &none);
}

/* --- what the platform says ------------------------------------------------------------ */

/* The journal before the seq: an event that cannot be taken must not count as
 * received, so the connection ends here and the platform replays it.  That is
 * no failure of the session, however often it happens. */
static void
put_off(struct link *l, enum err why)
{
	struct session_data closed = { .number = 1006,
		.text = SLICE("no room for its events"),
		.chance = backoff_chance() };

	log_warn("intake.full", KV("bot", l->session.bot),
	    KV("shard", l->session.shard), KV("why", err_text(why)));
	do_close(l, 0);
	session_hold(&l->session, true, loop_clock_ms());
	link_feed(l, IN_CLOSED, &closed);
}

static void
take_dispatch(struct link *l, const struct payload *p,
    const struct session_data *data)
{
	enum session_state state = l->session.state;
	enum err           e;

	if (state == SESSION_LIVE || state == SESSION_RESUMING ||
	    state == SESSION_IDENTIFYING) {
		e = intake_event(l->g, l->bot, l->session.user, l->name, p);
		if (e == ERR_FULL || e == ERR_NOMEM) {
			put_off(l, e);
			return;
		}
		l->last_event_ms = loop_clock_ms();
		l->events++;
	}
	link_feed(l, IN_DISPATCH, data);
}

static void
take_frame(struct link *l, const struct payload *p)
{
	struct session_data data = { .seq = p->seq };

	/* Chance is the kernel's, and an event needs none. */
	if (p->op == OP_DISPATCH)
		l->last_dispatch_ms = loop_clock_ms();
	else
		data.chance = backoff_chance();
	switch (p->op) {
	case OP_HELLO:
		json_int_at(p->d, "heartbeat_interval", &data.number);
		link_feed(l, IN_HELLO, &data);
		break;
	case OP_DISPATCH:
		if (slice_is(p->type, "READY")) {
			data.text = json_text_at(p->d, "session_id");
			data.more = json_text_at(p->d, "user.id");
			link_feed(l, IN_READY, &data);
		} else if (slice_is(p->type, "RESUMED"))
			link_feed(l, IN_RESUMED, &data);
		else
			take_dispatch(l, p, &data);
		break;
	case OP_HEARTBEAT:
		link_feed(l, IN_BEAT_ASKED, &data);
		break;
	case OP_HEARTBEAT_ACK:
		link_feed(l, IN_ACK, &data);
		break;
	case OP_RECONNECT:
		link_feed(l, IN_RECONNECT, &data);
		break;
	case OP_INVALID:
		data.number = slice_is(json_text(p->d), "true");
		link_feed(l, IN_INVALID, &data);
		break;
	default:
		log_info("gateway.opcode", KV("bot", l->session.bot),
		    KV("op", p->op),
		    KV("why", "not known, ignored"));
		break;
	}
}

static void
on_frame(void *owner, struct slice text)
{
	struct link   *l = owner;
	struct payload p;
	enum err       e;

	session_heard(&l->session, loop_clock_ms());
	e = payload_parse(&p, text);
	if (e == ERR_OK)
		take_frame(l, &p);
	else if (e == ERR_NOMEM)
		put_off(l, e);
	else {
		struct session_data none = { .chance = backoff_chance() };

		l->g->unparsable++;
		log_warn("gateway.garbage", KV("bot", l->session.bot),
		    KV("bytes", text.n));
		link_feed(l, IN_GARBAGE, &none);
	}
	payload_free(&p);
}

static void
on_closed(void *owner, unsigned code, struct slice reason)
{
	struct link        *l = owner;
	struct session_data data = { .number = code, .text = reason,
		.chance = backoff_chance() };

	l->conn = NULL;
	link_feed(l, IN_CLOSED, &data);
}

const struct net_handlers link_net_handlers = {
	.on_frame = on_frame,
	.on_closed = on_closed,
	.on_head = intake_on_head,
	.on_request = intake_on_request,
};

/* Until events flow, reading goes on: Hello and READY need no room. */
static void
link_flow(struct link *l, bool room)
{
	enum session_state state = l->session.state;
	bool               read = room ||
	    (state != SESSION_LIVE && state != SESSION_RESUMING);

	if (l->conn == NULL || l->reading == read)
		return;
	l->reading = read;
	session_hold(&l->session, !read, loop_clock_ms());
	net_flow(l->conn, read);
}

void
link_flow_all(struct gateway *g)
{
	for (size_t b = 0; b < g->nbots; b++) {
		struct bot  *bot = g->bots[b];
		struct link *l;
		bool         room = !g->draining &&
		    delivery_has_room(g->delivery,
		        slice_of(bot->conf.qq_app_id));

		for (size_t i = 0; (l = bot_link(bot, i)) != NULL; i++)
			link_flow(l, room);
	}
}

/* --- what apid says ------------------------------------------------------------------------ */

static struct link *
find_asked(struct gateway *g, struct slice id)
{
	struct link_at     at = { 0, 0 };
	struct link       *l;
	unsigned long long n;

	if (!slice_u64(id, &n) || n == 0)
		return NULL;
	while ((l = link_each(g, &at)) != NULL && l->asked != n)
		continue;
	return l;
}

static void
forget_way(struct link *l)
{
	free(l->url);
	if (l->proxy != NULL) /* a password may be in it */
		explicit_bzero(l->proxy, strlen(l->proxy));
	free(l->proxy);
	l->url = l->proxy = NULL;
}

void
link_on_answer(void *self, msg_peer from, const struct msg_session_answer *m)
{
	struct gateway     *g = self;
	struct link        *l = find_asked(g, m->id);
	struct session_data data = { .text = m->message, .total = m->total,
		.remaining = m->remaining,
		.reset_after_ms = m->reset_after_ms,
		.max_concurrency = m->max_concurrency, .shards = m->shards,
		.chance = backoff_chance() };

	(void)from;
	if (l == NULL)
		return;
	l->asked = 0;
	if (m->ok)
		bots_shards(l->bot, m->shards);
	if (l->session.state != SESSION_ASKING && !l->session.renewing)
		return;
	if (m->ok) {
		forget_way(l);
		l->url = slice_dup(m->url);
		l->proxy = slice_dup(m->proxy);
		if (l->url == NULL || l->proxy == NULL ||
		    secret_set(&l->token, m->token) != ERR_OK)
			link_feed(l, IN_NO_ANSWER, &data);
		else
			link_feed(l, IN_ANSWER, &data);
		return;
	}
	log_warn("session.no_answer", KV("bot", l->session.bot),
	    KV("shard", l->session.shard), KV("why", m->message));
	data.number = m->again_ms > INT32_MAX ? INT32_MAX
	                                      : (int64_t)m->again_ms;
	link_feed(l, m->fatal ? IN_FATAL : IN_NO_ANSWER, &data);
}

void
link_tell(struct link *l, enum session_input input, int64_t number)
{
	struct session_data data = { .number = number,
		.chance = backoff_chance() };

	link_feed(l, input, &data);
}

/* What all sessions are told at once. */
static void
tell_all(struct gateway *g, enum session_input input)
{
	struct link_at at = { 0, 0 };
	struct link   *l;

	while ((l = link_each(g, &at)) != NULL)
		link_tell(l, input, 0);
}

void
link_ask(struct link *l)
{
	if (l->asked == 0)
		do_ask(l, false);
}

void
link_ask_again(struct gateway *g)
{
	struct link_at at = { 0, 0 };
	struct link   *l;

	while ((l = link_each(g, &at)) != NULL)
		if (l->session.state == SESSION_ASKING)
			do_ask(l, l->session.fresh);
		else if (l->session.unanswered)
			link_tell(l, IN_ASKABLE, 0);
		else
			l->asked = 0; /* it is lost, and can do without */
}

/* --- life ------------------------------------------------------------------------------------- */

void
link_init(struct link *l, struct gateway *g, struct bot *bot, unsigned shard,
    unsigned shards)
{
	l->g = g;
	l->bot = bot;
	session_init(&l->session);
	l->session.bot = bot->conf.qq_app_id;
	l->session.shard = shard;
	l->session.shards = shards;
	l->session.intents = rights_mask(&bot->rights);
	l->session.rights = &bot->rights;
	l->session.budget = &bot->budget;
	l->session.hello_timeout_ms = g->conf.hello_timeout_ms;
	l->session.park_ms = g->conf.park_ms;
	l->session.age_ms = g->conf.session_age_s * 1000;
	l->session.silent_ms = g->conf.silent_s * 1000;
	l->session.auto_shards = bot->auto_shards;
	snprintf(l->name, sizeof l->name, "%u/%u", shard, shards);
}

void
link_leave(struct link *l)
{
	l->leaving = true;
	l->session.rights = NULL;
	if (l->bot->rights.searcher == &l->session)
		l->bot->rights.searcher = NULL;
	if (l->session.id[0] == '\0')
		link_tell(l, IN_STOP, 1);
}

void
link_stay(struct link *l)
{
	l->leaving = false;
	l->session.rights = &l->bot->rights;
}

void
link_free(struct link *l)
{
	loop_cancel(l->g->loop, &l->timer);
	if (l->bot->rights.searcher == &l->session)
		l->bot->rights.searcher = NULL;
	if (l->conn != NULL)
		net_drop(l->conn, 0);
	l->conn = NULL;
	secret_wipe(&l->token);
	forget_way(l);
}

void
link_recall_rights(struct bot *bot, uint32_t dropped, int64_t wall_ms)
{
	rights_recall(&bot->rights, dropped, wall_ms);
	bot->rights.news = bot->rights.dropped != 0; /* said again */
	tell_dropped(bot);
	bot->rights.dropped_wall_ms = wall_ms;
	for (size_t i = 0; i < bot->nlinks; i++)
		bot->links[i].session.intents = rights_mask(&bot->rights);
}

void
link_retry_rights(struct gateway *g)
{
	for (size_t b = 0; b < g->nbots; b++) {
		struct bot *bot = g->bots[b];

		if (bot->nlinks > 0 &&
		    rights_retry(&bot->rights, loop_wall_ms(), true))
			bots_look(bot);
	}
}

void
link_start_all(struct gateway *g)
{
	tell_all(g, IN_START);
}

void
link_stop_all(struct gateway *g)
{
	tell_all(g, IN_STOP);
}
