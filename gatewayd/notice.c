/*
 * What apid is told unasked: whether a bot has a live session, and the events
 * that say what its sends will come to.  A notice may get lost with apid; the
 * state of the sessions is told again to its next run.
 */
#include "gateway.h"

#include "log.h"

static void
send_notice(struct gateway *g, const struct msg_notice *m)
{
	enum err e = bus_send(g->trust, (msg_peer){ NULL, 0 }, MSG_notice, m);

	if (e != ERR_OK)
		log_info("notice.lost", KV("bot", m->bot),
		    KV("what", m->what), KV("why", err_text(e)));
}

static bool
any_live(const struct bot *bot)
{
	const struct link *l;

	for (size_t i = 0; (l = bot_link(bot, i)) != NULL; i++)
		if (l->session.state == SESSION_LIVE)
			return true;
	return false;
}

void
notice_sessions(struct gateway *g, struct bot *bot)
{
	bool              live = any_live(bot);
	struct msg_notice m = { .bot = slice_of(bot->conf.qq_app_id),
		.what = live ? SLICE("live") : SLICE("away") };

	if (g->trust == NULL || bot->nlinks == 0 ||
	    bot->told == (live ? TOLD_LIVE : TOLD_AWAY))
		return;
	bot->told = live ? TOLD_LIVE : TOLD_AWAY;
	if (!live)
		m.why = slice_of(bot->links[0].session.why);
	send_notice(g, &m);
}

void
notice_again(struct gateway *g)
{
	for (size_t b = 0; b < g->nbots; b++) {
		g->bots[b]->told = TOLD_NOTHING;
		notice_sessions(g, g->bots[b]);
	}
}

void
notice_event(struct gateway *g, const struct msg_event *ev,
    const struct json *d)
{
	static const struct {
		const char  *type;
		struct slice what;
	} rows[] = {
		{ "friend.push_on", SLICE("push_on") },
		{ "group.push_on", SLICE("push_on") },
		{ "friend.push_off", SLICE("push_off") },
		{ "group.push_off", SLICE("push_off") },
		{ "audit.pass", SLICE("audit_pass") },
		{ "audit.reject", SLICE("audit_reject") },
	};
	struct msg_notice m = { .bot = ev->bot, .conv = ev->conv };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!slice_is(ev->type, rows[i].type))
			continue;
		m.what = rows[i].what;
		if (slice_starts(m.what, SLICE("audit"))) {
			m.audit = json_text_at(d, "audit_id");
			m.msg = json_text_at(d, "message_id");
		}
		send_notice(g, &m);
	}
}
