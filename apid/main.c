/*
 * apid: talks to the platform's API.  The only holder of the app secrets and
 * the access tokens.  Workers hand it calls and get results; gatewayd asks it
 * for what a session or a webhook needs.  Keeps a record on disk of what was
 * sent.  Waits for: those two sockets, the platform's answers, the token's
 * next renewal, the record's next try when its disk is full.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bus.h"
#include "fetch.h"
#include "log.h"
#include "media.h"
#include "peers.h"
#include "report.h"
#include "request.h"
#include "trust.h"

enum {
	LEAVE_MS = 3000, RUN_MODE = 0750, TRUST_MODE = 0700,
	STATE_MODE = 0700, API, TRUST,
	BOTS_MAX = 1024, CLEAR_MS = 200
};

/* One of our two sockets, and who is on it. */
struct endpoint {
	struct apid *apid;
	struct bus  *bus;
	char        *url;
	struct peers peers;
};

struct apid {
	struct conf     conf;
	struct loop    *loop;
	struct proc     proc;
	struct http    *http;
	struct media   *media;
	struct fetch   *fetch;
	struct bot     *bots;           /* places; they never move */
	struct conf   **confs;          /* theirs; NULL: a free place */
	size_t          nbots;          /* places ever taken */
	struct timer    clearing;       /* of places */
	struct requests requests;
	struct trust    trust;
	struct report   report;
	struct endpoint api, trusted;
	char            session[17];    /* this run's name */
	bool            leaving, late;
	uint64_t        grace_ms;
	struct timer    leave;
};

/* --- what arrives --------------------------------------------------------- */

static struct bot *
find_bot(void *self, struct slice app)
{
	struct apid *a = self;

	for (size_t i = 0; i < a->nbots; i++)
		if (a->confs[i] != NULL && !a->bots[i].leaving &&
		    slice_eq(a->bots[i].app, app))
			return &a->bots[i];
	return NULL;
}

static void
on_call(void *self, msg_peer from, const struct msg_call *m)
{
	struct endpoint *p = self;

	requests_take(&p->apid->requests, from, m);
	report_touch(&p->apid->report);
}

static void
on_session_ask(void *self, msg_peer from, const struct msg_session_ask *m)
{
	struct endpoint *p = self;

	trust_session_ask(&p->apid->trust, from, m);
}

static void
on_key_ask(void *self, msg_peer from, const struct msg_key_ask *m)
{
	struct endpoint *p = self;

	trust_key_ask(&p->apid->trust, from, m);
}

static void
on_sign_ask(void *self, msg_peer from, const struct msg_sign_ask *m)
{
	struct endpoint *p = self;

	trust_sign_ask(&p->apid->trust, from, m);
}

static void
on_notice(void *self, msg_peer from, const struct msg_notice *m)
{
	struct endpoint *p = self;
	struct bot      *live = trust_notice(&p->apid->trust, m);

	(void)from;
	if (live != NULL)
		requests_on_live(&p->apid->requests, live);
	requests_on_notice(&p->apid->requests, m);
	report_touch(&p->apid->report);
}

/* A peer we do not know believes in an earlier run of ours: tell it, and it
 * asks again what that one has not answered. */
static void
on_heard(void *self, msg_peer from)
{
	struct endpoint *p = self;
	struct apid     *a = p->apid;
	struct msg_hello hello = { .v = 1, .session = slice_of(a->session),
		.beat_ms = BUS_BEAT_MS, .max = MSG_MAX };

	if (peers_heard(&p->peers, from, loop_now(a->loop)))
		bus_send(p->bus, from, MSG_hello, &hello);
}

/* --- what leaves ---------------------------------------------------------- */

static enum err
send_result(void *self, msg_peer to, const struct msg_result *m)
{
	struct apid *a = self;
	enum err     e = bus_send(a->api.bus, to, MSG_result, m);

	if (e != ERR_OK && e != ERR_FULL)
		log_warn("result.lost", KV("id", m->id),
		    KV("why", err_text(e)));
	report_touch(&a->report);
	return e;
}

static void
send_trust(void *self, msg_peer to, enum msg_kind kind, const void *m)
{
	struct apid *a = self;
	enum err     e = bus_send(a->trusted.bus, to, kind, m);

	if (e != ERR_OK)
		log_warn("answer.lost", KV("kind", msg_name(kind)),
		    KV("why", err_text(e)));
}

static void
on_token(void *self, struct bot *b)
{
	struct apid *a = self;

	requests_on_token(&a->requests, b);
	trust_on_token(&a->trust, b);
	report_state(&a->report);
}

static void
on_record(void *self)
{
	struct apid *a = self;

	report_state(&a->report);
}

static void
on_drain(void *self, msg_peer from, const struct msg_drain *m)
{
	struct apid *a = self;

	(void)from;
	if (m->grace_ms > 0 && m->grace_ms < a->grace_ms)
		a->grace_ms = m->grace_ms;
	proc_stop(&a->proc);
}

static void
name_session(struct apid *a)
{
	snprintf(a->session, sizeof a->session, "%08x%08x", backoff_chance(),
	    backoff_chance());
}

/* --- opening -------------------------------------------------------------- */

static const struct msg_handlers api_takes = { .call = on_call };
static const struct msg_handlers trust_takes = {
	.session_ask = on_session_ask, .key_ask = on_key_ask,
	.sign_ask = on_sign_ask, .notice = on_notice,
};

static enum err
open_endpoint(struct apid *a, struct endpoint *p, int which)
{
	bool               api = which == API;
	const struct conf *c = &a->conf;
	struct bus_options o = { .side = BUS_SERVER,
		.sends = api ? MSG_API_DOWN : MSG_TRUST_DOWN,
		.takes = api ? MSG_API_UP : MSG_TRUST_UP,
		.keys_dir = c->keys_dir, .name = "api",
		.admit = { api ? "worker" : "gateway" },
		.handlers = api ? &api_takes : &trust_takes,
		.self = p, .on_heard = on_heard };

	p->apid = a;
	p->url = conf_bus(c, api ? c->bus_api : c->bus_trust,
	    api ? "api.sock" : "trust/trust.sock");
	if (p->url == NULL)
		return ERR_NOMEM;
	o.url = p->url;
	return bus_open(&p->bus, a->loop, &o);
}

static enum err
make_folders(const struct conf *c)
{
	char    *trust = conf_path(c->run_dir, "trust");
	enum err e = ERR_NOMEM;

	if (trust != NULL &&
	    (e = proc_make_dir("ROOKERY_RUN_DIR", c->run_dir, RUN_MODE)) ==
	        ERR_OK &&
	    (e = proc_make_dir("ROOKERY_RUN_DIR", trust, TRUST_MODE)) ==
	        ERR_OK &&
	    proc_make_dir("ROOKERY_STATE_DIR", c->state_dir, STATE_MODE) !=
	        ERR_OK)
		e = ERR_SYSTEM; /* a disk comes back by itself */
	free(trust);
	return e;
}

static void
free_place(struct apid *a, size_t i)
{
	if (a->confs[i] == NULL)
		return;
	bot_close(&a->bots[i]);
	a->bots[i] = (struct bot){ 0 };
	conf_free(a->confs[i]);
	free(a->confs[i]);
	a->confs[i] = NULL;
}

/* Takes the settings. */
static enum err
add_bot(struct apid *a, struct conf *c)
{
	size_t       i = 0;
	struct conf *own = calloc(1, sizeof *own);
	enum err     e;

	while (i < a->nbots && a->confs[i] != NULL)
		i++;
	if (own == NULL || i == BOTS_MAX) {
		free(own);
		return own == NULL ? ERR_NOMEM : ERR_FULL;
	}
	*own = *c;
	*c = (struct conf){ 0 };
	a->confs[i] = own;
	if (i == a->nbots)
		a->nbots++;
	if ((e = bot_open(&a->bots[i], own, a->loop, a->http, on_token, a)) !=
	    ERR_OK)
		free_place(a, i);
	return e;
}

static enum err
open_bots(struct apid *a)
{
	enum err e = ERR_OK;

	if (a->conf.nbots == 0) {
		log_error("config.bad", KV("setting", "QQ_APP_ID"),
		    KV("why", "is empty"),
		    KV("remedy", "set QQ_APP_ID and QQ_CLIENT_SECRET, or run "
		                 "against the simulator: rookery up --sim"));
		return ERR_CONFIG;
	}
	a->bots = calloc(BOTS_MAX, sizeof *a->bots);
	a->confs = calloc(BOTS_MAX, sizeof *a->confs);
	if (a->bots == NULL || a->confs == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < a->conf.nbots && e == ERR_OK; i++)
		e = add_bot(a, &a->conf.bots[i]);
	return e;
}

/* --- bots that come, change and go ---------------------------------------- */

/* A place is free when nothing refers to its bot any more. */
static void
clear_places(void *self)
{
	struct apid *a = self;
	bool         more = false;

	for (size_t i = 0; i < a->nbots; i++) {
		if (a->confs[i] == NULL || !a->bots[i].leaving)
			continue;
		if (requests_use(&a->requests, &a->bots[i]))
			more = true;
		else
			free_place(a, i);
	}
	if (more)
		loop_after(a->loop, &a->clearing, CLEAR_MS, clear_places, a);
}

static void
let_go(struct apid *a, size_t i)
{
	a->bots[i].leaving = true;
	trust_let_go(&a->trust, &a->bots[i]);
	requests_let_go(&a->requests, &a->bots[i]);
}

static struct conf *
conf_of(struct conf *c, const char *app)
{
	for (size_t i = 0; i < c->nbots; i++)
		if (c->bots[i].qq_app_id != NULL &&
		    strcmp(c->bots[i].qq_app_id, app) == 0)
			return &c->bots[i];
	return NULL;
}

/* By its app id, or the name of its file. */
static bool
is_named(const struct conf *c, struct slice name)
{
	return slice_is(name, c->qq_app_id) ||
	    (c->bot_name[0] != '\0' && slice_is(name, c->bot_name));
}

/* Of all, or of the one with this name, which is let go in any case.  True:
 * some bot is another now, or not there any more. */
static bool
let_go_changed(struct apid *a, struct conf *fresh, struct slice only)
{
	bool any = false;

	for (size_t i = 0; i < a->nbots; i++) {
		struct conf *c;

		if (a->confs[i] == NULL || a->bots[i].leaving ||
		    (only.n > 0 && !is_named(a->confs[i], only)))
			continue;
		c = conf_of(fresh, a->confs[i]->qq_app_id);
		if (only.n == 0 && c != NULL &&
		    conf_same_bot(c, a->confs[i], CONF_A)) {
			char *name = c->bot_name; /* it may be renamed */

			c->bot_name = a->confs[i]->bot_name;
			a->confs[i]->bot_name = name;
			continue;
		}
		log_info(c == NULL       ? "bot.removed"
		        : only.n > 0 ? "bot.restarted"
		                     : "bot.changed",
		    KV("bot", a->bots[i].app));
		let_go(a, i);
		any = true;
	}
	return any;
}

static void
take_new(struct apid *a, struct conf *fresh, struct slice only)
{
	for (size_t i = 0; i < fresh->nbots; i++) {
		char *app = fresh->bots[i].qq_app_id;

		if (app == NULL || find_bot(a, slice_of(app)) != NULL ||
		    (only.n > 0 && !is_named(&fresh->bots[i], only)))
			continue;
		log_info("bot.added", KV("bot", app),
		    KV("file", fresh->bots[i].bot_name));
		if (add_bot(a, &fresh->bots[i]) != ERR_OK)
			log_error("bot.refused", KV("bot", app),
			    KV("why", "there is no room for it, or its "
			              "settings cannot be used"),
			    KV("remedy", "correct its file, then rookery "
			                 "reload"));
	}
}

/* Workers take us for another run, and ask again what was not answered. */
static void
greet_anew(struct apid *a)
{
	name_session(a);
	peers_close(&a->api.peers);
}

/* NOT_FOUND: no bot has the name; else the error of the settings. */
static enum err
read_bots(struct apid *a, struct slice only)
{
	struct conf fresh;
	enum err    e = conf_load(&fresh, CONF_A);
	bool        any;

	if (e != ERR_OK) {
		conf_log_problems(&fresh);
		log_error("bots.kept", KV("err", err_name(e)),
		    KV("why", "the settings have problems; the bots stay as "
		              "they are"),
		    KV("remedy", "correct them, then rookery reload"));
		conf_free(&fresh);
		return e;
	}
	any = let_go_changed(a, &fresh, only);
	if (any)
		greet_anew(a);
	take_new(a, &fresh, only);
	clear_places(a);
	a->report.nbots = a->nbots;
	report_state(&a->report);
	conf_free(&fresh);
	return any || only.n == 0 ? ERR_OK : ERR_NOT_FOUND;
}

static void
on_reload(void *self, msg_peer from, const struct msg_reload *m)
{
	struct apid *a = self;

	(void)from, (void)m;
	if (!proc_stopping(&a->proc))
		read_bots(a, (struct slice){ NULL, 0 });
	/* What a person has mended elsewhere is tried now. */
	for (size_t i = 0; i < a->nbots; i++)
		if (a->confs[i] != NULL && !a->bots[i].leaving)
			bot_wake(&a->bots[i]);
}

/* rookery restart bot/NAME: a new token, and nothing of what was known. */
static void
on_ask(void *self, msg_peer from, const struct msg_ask *m)
{
	struct apid *a = self;
	struct json *with = NULL;
	struct slice bot;
	const char  *why = "no such question";
	enum err     e = ERR_NOT_FOUND;

	(void)from;
	if (m->with.n > 0)
		json_from_msgpack(&with, m->with);
	bot = json_text_at(with, "bot");
	if (slice_is(m->what, "restart") && proc_stopping(&a->proc)) {
		why = "it stops";
		e = ERR_BUSY;
	} else if (slice_is(m->what, "restart") && bot.n > 0) {
		e = read_bots(a, bot);
		why = e == ERR_NOT_FOUND
		    ? "there is no bot of that name"
		    : "the settings have problems: see rookery check";
	}
	proc_answer(&a->proc, m->id, e, slice_of(e == ERR_OK ? "" : why),
	    NULL);
	json_free(&with);
}

static const struct msg_handlers parent_says = { .drain = on_drain,
	.reload = on_reload, .ask = on_ask };

static void
wire(struct apid *a)
{
	bool again = strcmp(a->conf.unsure_sends, "again") == 0;

	a->requests.http = a->http;
	a->requests.media = a->media;
	a->requests.fetch = a->fetch;
	a->requests.slow_ms = a->conf.media_timeout_ms;
	a->requests.again = again;
	a->requests.raw = a->conf.raw_calls;
	a->requests.places = a->conf.send_connections;
	a->requests.hold = strcmp(a->conf.hold_sends, "all") == 0
	    ? HOLD_ALL
	    : strcmp(a->conf.hold_sends, "guild") == 0 ? HOLD_GUILD
	                                               : HOLD_NONE;
	a->requests.hold_ms = a->conf.hold_ms;
	a->requests.expired_active =
	    strcmp(a->conf.expired_replies, "active") == 0;
	a->requests.markdown_plain = a->conf.markdown_fallback;
	a->requests.replies[SCOPE_C2C] = (unsigned)a->conf.c2c_replies;
	a->requests.replies[SCOPE_GROUP] = (unsigned)a->conf.group_replies;
	a->requests.pace.limits.percent = (unsigned)a->conf.limits;
	a->requests.find_bot = find_bot;
	a->requests.send = send_result;
	a->requests.on_record = on_record;
	a->requests.self = a;
	a->trust = (struct trust){ .loop = a->loop, .http = a->http,
		.find_bot = find_bot, .send = send_trust, .self = a };
	a->report = (struct report){ .proc = &a->proc, .loop = a->loop,
		.http = a->http, .media = a->media, .fetch = a->fetch,
		.bots = a->bots, .nbots = a->nbots,
		.requests = &a->requests };
	name_session(a);
	a->grace_ms = LEAVE_MS;
}

/* The loop serves these in this order, so that a call comes in, is recorded
 * and leaves in one turn. */
static enum err
open_path(struct apid *a, const struct http_options *http)
{
	enum err e;

	a->requests.loop = a->loop;
	if ((e = open_endpoint(a, &a->api, API)) == ERR_OK &&
	    (e = open_endpoint(a, &a->trusted, TRUST)) == ERR_OK &&
	    (e = requests_open(&a->requests)) == ERR_OK)
		e = http_new(&a->http, a->loop, http);
	return e;
}

/* A disk that is full is no reason not to start: it is tried again. */
static enum err
open_record(struct apid *a)
{
	struct requests  *rs = &a->requests;
	struct sent_guest allowances;
	enum err          e;

	allowances_open(&rs->pace.allowances);
	allowances = allowances_guest(&rs->pace.allowances);
	e = sent_open(&rs->sent, a->conf.state_dir,
	    store_durability_of(slice_of(a->conf.durability)),
	    loop_wall_ms());
	if (e == ERR_OK)
		e = sent_join(&rs->sent, &allowances);
	else if (e == ERR_FULL || e == ERR_SYSTEM)
		rs->sent.guest = allowances;
	if (rs->sent.path != NULL)
		sent_watch(&rs->sent);
	return e == ERR_FULL || e == ERR_SYSTEM ? ERR_OK : e;
}

static enum err
open_media(struct apid *a)
{
	const struct conf   *c = &a->conf;
	struct media_options media = { .loop = a->loop,
		.pace = &a->requests.pace, .dir = c->media_dir,
		.state_dir = c->state_dir,
		.durability = store_durability_of(slice_of(c->durability)),
		.ca_file = c->ca_file, .timeout_ms = c->media_timeout_ms,
		.inline_max = c->media_inline_max };
	struct fetch_options fetch = { .loop = a->loop, .dir = c->media_dir,
		.max = c->fetch_max, .timeout_ms = c->fetch_timeout_ms,
		.inbox_bytes = c->inbox_bytes, .private = c->fetch_private,
		.ca_file = c->ca_file };
	enum err             e = media_new(&a->media, &media);

	return e == ERR_OK ? fetch_new(&a->fetch, &fetch) : e;
}

static enum err
apid_open(struct apid *a)
{
	struct http_options http;
	enum err            e;

	e = conf_load(&a->conf, CONF_A);
	if (e != ERR_NOMEM) {
		proc_log(&a->conf, "apid");
		conf_log_problems(&a->conf);
	}
	if (e != ERR_OK)
		return e;
	http = (struct http_options){
		.connections = a->conf.send_connections,
		.timeout_ms = a->conf.send_timeout_ms,
		.ca_file = a->conf.ca_file };
	if ((e = loop_new(&a->loop)) != ERR_OK ||
	    (e = proc_open(&a->proc, a->loop, &a->conf, &parent_says, a)) !=
	        ERR_OK ||
	    (e = make_folders(&a->conf)) != ERR_OK ||
	    (e = open_record(a)) != ERR_OK ||
	    (e = open_path(a, &http)) != ERR_OK ||
	    (e = open_media(a)) != ERR_OK ||
	    (e = open_bots(a)) != ERR_OK)
		return e;
	wire(a);
	return ERR_OK;
}

/* --- leaving -------------------------------------------------------------- */

static void
on_late(void *self)
{
	struct apid *a = self;

	a->late = true;
}

/* The end: nothing new; what is under way gets its answer, for a while.  What
 * has not left is not answered: its worker will ask the next of us. */
static bool
apid_done(struct apid *a)
{
	if (!proc_stopping(&a->proc))
		return false;
	if (!a->leaving) {
		a->leaving = true;
		requests_stop(&a->requests);
		log_info("apid.leaving",
		    KV("running", a->requests.running),
		    KV("calls", a->requests.n));
		loop_after(a->loop, &a->leave, a->grace_ms, on_late, a);
	}
	return a->late || requests_idle(&a->requests);
}

static void
close_endpoint(struct endpoint *p)
{
	bus_close(&p->bus);
	peers_close(&p->peers);
	free(p->url);
}

static void
apid_close(struct apid *a)
{
	requests_close(&a->requests);
	trust_close(&a->trust);
	media_free(&a->media);
	fetch_free(&a->fetch);
	for (size_t i = 0; i < a->nbots; i++)
		free_place(a, i);
	http_free(&a->http);
	close_endpoint(&a->api);
	close_endpoint(&a->trusted);
	report_close(&a->report);
	if (a->loop != NULL)
		loop_cancel(a->loop, &a->leave);
	if (a->loop != NULL)
		loop_cancel(a->loop, &a->clearing);
	proc_close(&a->proc);
	loop_free(&a->loop);
	free(a->bots);
	free(a->confs);
	conf_free(&a->conf);
}

int
main(int argc, char *argv[])
{
	struct apid a = { 0 };
	int         status = proc_options(argc, argv, "apid", NULL);
	enum err    e;

	if (status >= 0)
		return status;
	proc_guard();
	if ((e = apid_open(&a)) == ERR_OK) {
		proc_ready(&a.proc);
		report_state(&a.report);
		log_info("apid.ready", KV("bots", a.nbots));
		while (e == ERR_OK && !apid_done(&a))
			e = loop_turn(a.loop, -1, NULL);
	}
	apid_close(&a);
	return proc_leave(e);
}
