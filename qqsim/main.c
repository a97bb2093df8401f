/*
 * qqsim: the QQ bot platform on one port of this machine.  Opens everything,
 * turns the loop, closes everything; what it does stands in platform.c,
 * gate.c and send.c, how it is asked for in rest.c and control.c.
 */
#include "sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "log.h"

enum { TICK_MS = 50 };

static const char usage[] =
	"usage: qqsim [--listen ADDRESS:PORT] [--dir FOLDER]\n"
	"       qqsim --help | --version\n"
	"\n"
	"The QQ bot platform on your own machine: token endpoint, API,\n"
	"gateway and webhook, a ledger of what bots do, faults on demand,\n"
	"and a chat page for a browser. Settings: ROOKERY_SIM_LISTEN,\n"
	"ROOKERY_SIM_DIR, ROOKERY_SIM_TLS, ROOKERY_SIM_NAME; see qqsim(1).\n";

int64_t
sim_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
sim_wall_ms(const struct sim *s, int64_t now_us)
{
	return now_us / 1000 + s->platform.wall_offset_ms;
}

static void
on_request(void *self, struct exchange *x, const struct request *r)
{
	struct sim *s = self;

	if (slice_starts(r->path, SLICE("/sim/")))
		control_on_request(s, x, r);
	else if (!www_on_request(x, r) && !show_on_request(s, x, r))
		rest_on_request(s, x, r);
}

static void *
on_head(void *self, const struct request *r)
{
	return rest_on_head(self, r);
}

static bool
on_part(void *self, void *sink, struct slice data)
{
	(void)self;
	return rest_on_part(sink, data);
}

static void
on_gone(void *self, void *sink)
{
	(void)self;
	rest_on_gone(sink);
}

static void
on_tick(void *self)
{
	struct sim *s = self;

	gate_tick(&s->platform, sim_now_us() / 1000);
	loop_after(s->loop, &s->tick, TICK_MS, on_tick, s);
}

/* --- settings ----------------------------------------------------------- */

static bool
set_text(char **member, const char *value)
{
	char *copy = slice_dup(slice_of(value));

	if (copy == NULL)
		return false;
	free(*member);
	*member = copy;
	return true;
}

/* 0: go on; otherwise leave with *status. */
static bool
read_options(struct sim *s, int argc, char *argv[], int *status)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "dir", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 }
	};
	int o;

	*status = EXIT_DONE;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'l' && set_text(&s->conf.sim_listen, optarg))
			continue;
		if (o == 'd' && set_text(&s->conf.sim_dir, optarg))
			continue;
		if (o == 'h')
			fputs(usage, stdout);
		else if (o == 'v')
			puts("qqsim (rookery) " ROOKERY_VERSION);
		else
			*status = EXIT_USAGE_ERROR;
		if (*status != EXIT_DONE)
			fputs(usage, stderr);
		return false;
	}
	if (optind == argc)
		return true;
	fputs(usage, stderr);
	*status = EXIT_USAGE_ERROR;
	return false;
}

static enum err
read_settings(struct sim *s)
{
	char               *listen = s->conf.sim_listen;
	char               *dir = s->conf.sim_dir;
	enum err            e;

	/* What the options said stands above what the environment says. */
	s->conf.sim_listen = s->conf.sim_dir = NULL;
	proc_guard(); /* it may be given the secret of a real bot */
	e = conf_load(&s->conf, CONF_Q);
	proc_log(&s->conf, "qqsim");
	if (listen != NULL) {
		free(s->conf.sim_listen);
		s->conf.sim_listen = listen;
	}
	if (dir != NULL) {
		free(s->conf.sim_dir);
		s->conf.sim_dir = dir;
	}
	if (e == ERR_CONFIG)
		conf_log_problems(&s->conf);
	return e;
}

/* --- opening ------------------------------------------------------------ */

static void
name_origin(struct sim *s, const char *host)
{
	const char *name = s->conf.sim_name;
	bool        v6;

	if (name[0] == '\0')
		name = host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 ||
		    strcmp(host, "::") == 0 ? "127.0.0.1" : host;
	v6 = strchr(name, ':') != NULL;
	snprintf(s->origin, sizeof s->origin, "http%s://%s%s%s:%u",
	    s->conf.sim_tls ? "s" : "", v6 ? "[" : "", name, v6 ? "]" : "",
	    server_port(s->server));
}

static enum err
listen_failed(const struct sim *s, enum err e)
{
	log_error("sim.listen", KV("setting", "ROOKERY_SIM_LISTEN"),
	    KV("value", s->conf.sim_listen),
	    KV("why", "the address cannot be taken: another program listens "
	              "there, or this machine does not have it"),
	    KV("remedy", "set ROOKERY_SIM_LISTEN to another address, such as "
	                 "127.0.0.1:8485"));
	return e == ERR_BUSY ? ERR_CONFIG : e;
}

static enum err
listen_on(struct sim *s)
{
	struct server_options o = { .handlers = {
		.self = s, .on_request = on_request, .on_head = on_head,
		.on_part = on_part, .on_gone = on_gone,
		.on_upgrade = gateway_on_upgrade,
		.on_open = gateway_on_open, .on_frame = gateway_on_frame,
		.on_writable = gateway_on_writable,
		.on_leave = gateway_on_leave, .on_closed = gateway_on_closed,
	} };
	char    *ca = NULL, *cert = NULL, *key = NULL;
	char     host[256];
	enum err e = ERR_CONFIG;

	if (!conf_listen(s->conf.sim_listen, host, sizeof host, &o.port)) {
		log_error("sim.listen", KV("setting", "ROOKERY_SIM_LISTEN"),
		    KV("value", s->conf.sim_listen),
		    KV("why", "not ADDRESS:PORT"));
		return ERR_CONFIG;
	}
	if (s->conf.sim_tls &&
	    (e = tls_make(s->dir, s->conf.sim_name[0] != '\0'
	        ? s->conf.sim_name : host[0] != '\0' ? host : "localhost",
	        &ca, &cert, &key)) != ERR_OK)
		goto out;
	o.host = host;
	o.cert = cert;
	o.key = key;
	if ((e = server_open(&s->server, s->loop, &o)) != ERR_OK) {
		e = listen_failed(s, e);
		goto out;
	}
	name_origin(s, host);
	e = home_announce(s, ca);
out:
	free(ca);
	free(cert);
	free(key);
	return e;
}

static enum err
sim_open(struct sim *s)
{
	enum err e;

	if ((e = read_settings(s)) != ERR_OK ||
	    (e = loop_new(&s->loop)) != ERR_OK ||
	    (e = proc_open(&s->proc, s->loop, &s->conf, NULL, NULL)) !=
	        ERR_OK ||
	    (e = platform_open(&s->platform, loop_wall_ms() -
	        (int64_t)loop_clock_ms())) != ERR_OK ||
	    (e = home_open(s)) != ERR_OK)
		return e;
	gateway_open(s);
	if ((e = rest_open(s)) != ERR_OK ||
	    (e = webhooks_open(s)) != ERR_OK || (e = listen_on(s)) != ERR_OK ||
	    (e = loop_after(s->loop, &s->tick, TICK_MS, on_tick, s)) != ERR_OK)
		return e;
	log_info("sim.listen", KV("url", s->origin),
	    KV("port", server_port(s->server)),
	    KV("bot", platform_bot(&s->platform, SLICE(""))->app_id),
	    KV("env", s->dir));
	proc_ready(&s->proc);
	return ERR_OK;
}

static void
sim_close(struct sim *s)
{
	if (s->server != NULL) {
		load_stop(s);
		wait_close(s);
		rest_stop(s);
		webhooks_close(s);
		server_close(&s->server);
	}
	rest_close(s);
	webhooks_close(s);
	stream_close(&s->stream);
	samples_close(&s->samples);
	files_close(&s->files);
	platform_close(&s->platform);
	buf_free(&s->frame);
	if (s->loop != NULL)
		proc_close(&s->proc);
	loop_free(&s->loop);
	free(s->dir);
	conf_free(&s->conf);
}

int
main(int argc, char *argv[])
{
	struct sim s = { 0 };
	enum err   e;
	int        status;
	bool       more = false;

	log_open("qqsim", LOG_INFO, false);
	if (!read_options(&s, argc, argv, &status)) {
		free(s.conf.sim_listen);
		free(s.conf.sim_dir);
		return status;
	}
	if ((e = sim_open(&s)) == ERR_OK) {
		while (e == ERR_OK && !proc_stopping(&s.proc)) {
			e = server_turn(s.server, !more);
			if (e == ERR_OK)
				e = loop_turn(s.loop, 0, &more);
			wait_look(&s);
		}
	}
	sim_close(&s);
	return proc_leave(e);
}
