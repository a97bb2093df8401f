/*
 * gatewayd: the platform talks to us.  Keeps the WebSocket sessions and the
 * webhook's listener, and hands events to workers until they are done.  It
 * never sees the app secret: what needs one it asks of apid.
 */
#include "gateway.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

enum {
	HOUSEKEEPING_MS = 100, REPORT_MS = 1000,
	REPORT_SESSIONS = 16,    /* so many are told of every second */
	STOP_MS = 2000,          /* for acks that are under way */
	REQUESTS_MS = 200,       /* for callbacks that are being read */
	CLOSE_MS = 200,          /* for close frames */
};

/* Another run of apid than the one we knew: what that one was asked is lost. */
static void
on_hello(void *self, msg_peer from, const struct msg_hello *m)
{
	struct gateway *g = self;
	bool            other = g->api_run[0] != '\0' &&
	    !slice_is(m->session, g->api_run);

	(void)from;
	snprintf(g->api_run, sizeof g->api_run, "%.*s", (int)m->session.n,
	    m->session.n > 0 ? m->session.p : "");
	if (other)
		link_ask_again(g);
	notice_again(g);
}

static const struct msg_handlers trust_takes = {
	.hello = on_hello,
	.session_answer = link_on_answer,
	.key_answer = intake_on_key,
	.sign_answer = intake_on_sign,
};

static void
on_trust_open(void *self)
{
	struct gateway *g = self;

	link_ask_again(g);
	intake_ask_keys(g);
}

/* Who calls the webhook waits for our next run, which has its socket. */
static void
take_no_more(struct gateway *g)
{
	g->draining = true;
	link_flow_all(g);
	net_shut(g->net);
}

/* Take nothing new; what is here goes on to workers. */
static void
on_drain(void *self, msg_peer from, const struct msg_drain *m)
{
	struct gateway *g = self;

	(void)from, (void)m;
	log_info("gateway.drain", KV("why", "the supervisor asked"));
	take_no_more(g);
	report_send(g);
}

/* Other settings than those of bots come with our next run; a person who has mended something
 * elsewhere does not wait for a backoff to end. */
static void
on_reload(void *self, msg_peer from, const struct msg_reload *m)
{
	struct gateway *g = self;

	(void)from, (void)m;
	log_info("gateway.reload", KV("why", "whoever waits tries now"));
	if (!g->draining)
		bots_reload(g);
	/* Without a journal nobody knows yet which sessions there are. */
	if (g->journal == NULL)
		keep_try(g);
	else if (!g->draining) {
		link_retry_rights(g);
		link_start_all(g);
	}
}

static const struct msg_handlers parent_takes = {
	.drain = on_drain,
	.reload = on_reload,
	.gone = handout_on_gone,
	.ask = question_on_ask,
};

static void
on_housekeeping(void *self)
{
	struct gateway *g = self;

	handout_tick(g);
	keep_tick(g);
	loop_after(g->loop, &g->housekeeping,
	    delivery_idle(g->delivery) ? 10 * HOUSEKEEPING_MS
	                               : HOUSEKEEPING_MS,
	    on_housekeeping, g);
}

/* Changes of state are told at once; this is for the counters, and a report
 * of a hundred sessions would be most of what an idle process does. */
static bool
report_is_due(const struct gateway *g)
{
	uint64_t every = REPORT_MS * (1 + g->told / REPORT_SESSIONS);

	return loop_clock_ms() + REPORT_MS / 2 >= g->told_ms + every;
}

static void
on_report(void *self)
{
	struct gateway *g = self;

	intake_ask_keys(g); /* those not answered yet */
	intake_tick(g);
	bots_tick(g);
	if (report_is_due(g))
		report_send(g);
	/* What handshakes needed, many at once, is in the way of nobody. */
	if (g->connected)
		malloc_trim(0);
	g->connected = false;
	loop_after(g->loop, &g->reporting, REPORT_MS, on_report, g);
}

static enum err
open_trust(struct gateway *g)
{
	char *url = conf_bus(&g->conf, g->conf.bus_trust, "trust/trust.sock");
	struct bus_options o = {
		.side = BUS_CLIENT, .url = url,
		.sends = MSG_TRUST_UP, .takes = MSG_TRUST_DOWN,
		.keys_dir = g->conf.keys_dir, .name = "gateway",
		.server = "api", .handlers = &trust_takes, .self = g,
		.on_open = on_trust_open,
	};
	enum err e = url == NULL ? ERR_NOMEM
	                         : bus_open(&g->trust, g->loop, &o);

	free(url);
	return e;
}

static const char listener_name[] = "webhook";

static enum err
open_net(struct gateway *g)
{
	struct net_options o = {
		.listen = g->conf.webhook_listen,
		/* callbacks wait at it while we are restarted */
		.listener = proc_kept(&g->conf, listener_name),
		.ca_file = g->conf.ca_file,
		.body_max = g->conf.webhook_body_max,
		.handlers = &link_net_handlers,
		.self = g,
	};
	enum err e = net_open(&g->net, g->loop, &o);

	if (e == ERR_OK)
		proc_keep(&g->proc, listener_name, net_listener(g->net));
	if (e == ERR_OK && o.listen[0] != '\0')
		log_info("webhook.listen", KV("address", o.listen),
		    KV("port", net_port(g->net)));
	return e;
}

static void
set_rules(struct gateway *g)
{
	g->rules = (struct normal_rules){
		.c2c_window_ms = g->conf.c2c_window_s * 1000,
		.group_window_ms = g->conf.group_window_s * 1000,
		.c2c_replies = g->conf.c2c_replies,
		.group_replies = g->conf.group_replies,
	};
	snprintf(g->run, sizeof g->run, "%x-%x", (unsigned)getpid(),
	    (unsigned)backoff_chance());
}

static enum err
gateway_open(struct gateway *g)
{
	enum err e;

	proc_guard(); /* a token passes through here */
	if ((e = conf_load(&g->conf, CONF_G)) != ERR_OK) {
		conf_log_problems(&g->conf);
		return e;
	}
	proc_log(&g->conf, "gatewayd");
	set_rules(g);
	g->began_ms = loop_clock_ms();
	if ((e = loop_new(&g->loop)) != ERR_OK ||
	    (e = proc_open(&g->proc, g->loop, &g->conf, &parent_takes, g)) !=
	        ERR_OK ||
	    (e = proc_make_dir("ROOKERY_RUN_DIR", g->conf.run_dir, 0750)) !=
	        ERR_OK ||
	    (e = bots_open(g)) != ERR_OK || (e = handout_open(g)) != ERR_OK ||
	    (e = feed_open(g)) != ERR_OK ||
	    (e = open_net(g)) != ERR_OK || (e = open_trust(g)) != ERR_OK)
		return e;
	proc_ready(&g->proc);
	on_housekeeping(g);
	on_report(g);
	return keep_open(g);
}

/* After the stop: only acks that are under way, and callbacks of those who
 * were let in. */
static bool
finished(struct gateway *g)
{
	uint64_t now = loop_clock_ms();

	if (!proc_stopping(&g->proc))
		return false;
	if (g->stop_by_ms == 0) {
		g->stop_by_ms = now + STOP_MS;
		take_no_more(g);
	}
	if (proc_orphaned(&g->proc) || now >= g->stop_by_ms)
		return true;
	return delivery_counts(g->delivery)->in_flight == 0 &&
	    (!net_has_callers(g->net) ||
	        now >= g->stop_by_ms - STOP_MS + REQUESTS_MS);
}

static void
gateway_close(struct gateway *g)
{
	if (g->net != NULL) {
		/* With a close frame the platform keeps the session. */
		link_stop_all(g);
		net_finish(g->net, CLOSE_MS);
	}
	if (g->journal_err == ERR_OK)
		keep_commit(g);
	if (g->delivery != NULL)
		handout_close(g);
	feed_close(g);
	keep_close(g);
	bus_close(&g->trust);
	net_close(&g->net);
	bots_close(g);
	intake_close(g);
	proc_close(&g->proc);
	loop_free(&g->loop);
	conf_free(&g->conf);
}

int
main(int argc, char *argv[])
{
	struct gateway g = { 0 };
	int            status = proc_options(argc, argv, "gatewayd", NULL);
	enum err       e;

	if (status >= 0)
		return status;
	log_open("gatewayd", LOG_INFO, false);
	if ((e = gateway_open(&g)) == ERR_OK)
		while (e == ERR_OK && !finished(&g))
			if ((e = net_turn(g.net)) == ERR_OK) {
				bots_settle(&g);
				e = keep_settle(&g);
			}
	gateway_close(&g);
	return proc_leave(e);
}
