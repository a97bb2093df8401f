/*
 * workerd: we answer.  Takes events from gatewayd by credit, gives each to the
 * one handler it hosts, has apid send the replies, and acknowledges.  Keeps
 * nothing between two events: it may be killed at any moment.
 */
#include "handler.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "pack.h"

enum { REPORT_MS = 1000, STOP_MS = 3500, LEAVE_MS = 1000 };

/* --- to gatewayd ------------------------------------------------------------------ */

/* Words with blanks as a packed list. */
static void
pack_words(struct buf *list, const char *words)
{
	struct pack p;
	size_t      n = words[0] != '\0';

	for (const char *c = words; *c != '\0'; c++)
		n += *c == ' ';
	pack_open(&p, list);
	pack_array(&p, n);
	while (n-- > 0) {
		size_t len = strcspn(words, " ");

		pack_str(&p, (struct slice){ words, len });
		words += len + (words[len] == ' ');
	}
}

/* For status: the kind and command of the only one, or all names. */
static void
name_handlers(struct worker *w, struct buf *text)
{
	for (size_t i = 0; i < w->nhandlers; i++)
		if (w->nhandlers == 1)
			buf_putf(text, "%s:%s", w->handlers[i].row->kind,
			    w->handlers[i].row->arg);
		else
			buf_putf(text, "%s%s", i > 0 ? " " : "",
			    w->handlers[i].row->name);
}

void
worker_register(struct worker *w, bool anew)
{
	struct buf words = { 0 }, list = { 0 }, want = { 0 }, text = { 0 },
		   names = { 0 };
	uint64_t   window = w->paused ? 0 : host_window(w);

	host_words(w, &words);
	name_handlers(w, &names);
	buf_putf(&text, "%s %llu %d", words.p, (unsigned long long)window,
	    host_wants_raw(w));
	if (anew || !slice_eq(buf_slice(&text), buf_slice(&w->registered))) {
		struct msg_ready ready = { .v = 1, .name = slice_of(w->name),
			.pid = (uint64_t)getpid(), .window = window,
			.late = true, .handler = buf_slice(&names),
			.apart = host_keeps_apart(w), .ends = true,
			.timeout_ms = host_timeout_ms(w) };

		pack_words(&list, words.p);
		pack_words(&want, host_wants_raw(w) ? "raw" : "");
		ready.events = buf_slice(&list);
		ready.want = buf_slice(&want);
		if (w->events != NULL && !list.failed && !want.failed)
			bus_send(w->events, (msg_peer){ NULL, 0 }, MSG_ready,
			    &ready);
		buf_free(&w->registered);
		w->registered = text;
	} else {
		buf_free(&text);
	}
	buf_free(&words);
	buf_free(&names);
	buf_free(&list);
	buf_free(&want);
}

static void
on_events_open(void *self)
{
	worker_register(self, true);
}

static void
on_events_hello(void *self, msg_peer from, const struct msg_hello *m)
{
	(void)from, (void)m;
	on_events_open(self);
}

static void
on_events_bye(void *self, msg_peer from, const struct msg_bye *m)
{
	(void)self, (void)from;
	log_info("gateway.bye", KV("reason", m->reason));
}

static const struct msg_handlers events_takes = {
	.event = job_on_event,
	.hello = on_events_hello,
	.bye = on_events_bye,
};

/* --- to apid ------------------------------------------------------------------------ */

static void
on_api_open(void *self)
{
	job_call_again(self);
}

/* Another run of apid than the one we knew: its calls are open again. */
static void
on_api_hello(void *self, msg_peer from, const struct msg_hello *m)
{
	struct worker *w = self;
	bool           other = w->api_run[0] != '\0' &&
	    !slice_is(m->session, w->api_run);

	(void)from;
	snprintf(w->api_run, sizeof w->api_run, "%.*s", (int)m->session.n,
	    m->session.n > 0 ? m->session.p : "");
	if (other)
		job_call_again(w);
}

static void
on_api_bye(void *self, msg_peer from, const struct msg_bye *m)
{
	(void)self, (void)from;
	log_info("api.bye", KV("reason", m->reason));
}

static const struct msg_handlers api_takes = {
	.result = job_on_result,
	.hello = on_api_hello,
	.bye = on_api_bye,
};

/* --- to the supervisor ---------------------------------------------------------------- */

static void
pause_intake(struct worker *w)
{
	if (w->paused)
		return;
	w->paused = true;
	worker_register(w, false);
}

static void
on_drain(void *self, msg_peer from, const struct msg_drain *m)
{
	struct worker *w = self;

	(void)from, (void)m;
	pause_intake(w);
	proc_stop(&w->proc);
}

/* Another list of handlers is for another process: rookeryd replaces us. */
static void
on_reload(void *self, msg_peer from, const struct msg_reload *m)
{
	(void)from, (void)m;
	host_reload(self);
}

static const struct msg_handlers parent_takes = {
	.drain = on_drain,
	.reload = on_reload,
};

static void
on_report(void *self)
{
	struct worker *w = self;
	struct json   *app = json_new_object();
	struct buf     remedy = { 0 }, names = { 0 };

	job_say_waits(w);
	name_handlers(w, &names);
	json_put_text(app, "handler", buf_slice(&names));
	json_put_int(app, "in_flight", (int64_t)w->njobs);
	json_put_int(app, "done", (int64_t)w->done);
	json_put_int(app, "replies", (int64_t)w->replies);
	json_put_int(app, "failed", (int64_t)w->failed);
	json_put_int(app, "repeated", (int64_t)w->repeated);
	json_put_int(app, "returned", (int64_t)w->returned);
	json_put_int(app, "unowned", (int64_t)w->unowned);
	host_report(w, app, &remedy);
	proc_report(&w->proc, remedy.n > 0 ? SLICE("degraded") : SLICE("ready"),
	    buf_slice(&remedy), app);
	json_free(&app);
	buf_free(&remedy);
	buf_free(&names);
	loop_after(w->loop, &w->reporting, REPORT_MS, on_report, w);
}

/* --- life ---------------------------------------------------------------------------------- */

static enum err
open_bus(struct worker *w, const char *setting, const char *socket_name,
    const struct bus_options *base, struct bus **out)
{
	char              *url = conf_bus(&w->conf, setting, socket_name);
	struct bus_options o = *base;
	enum err           e;

	if (url == NULL)
		return ERR_NOMEM;
	o.side = BUS_CLIENT;
	o.url = url;
	o.keys_dir = w->conf.keys_dir;
	o.name = "worker";
	o.self = w;
	e = bus_open(out, w->loop, &o);
	free(url);
	return e;
}

/* Unique among all workers of a gateway, on any host. */
static void
name_worker(struct worker *w)
{
	char host[40] = "worker";

	if (w->conf.child_name[0] != '\0' && w->conf.keys_dir[0] == '\0') {
		snprintf(w->name, sizeof w->name, "%s", w->conf.child_name);
		return;
	}
	gethostname(host, sizeof host - 1);
	if (w->conf.child_name[0] != '\0')
		snprintf(w->name, sizeof w->name, "%s@%s", w->conf.child_name,
		    host);
	else
		snprintf(w->name, sizeof w->name, "%s.%d", host,
		    (int)getpid());
}

static enum err
worker_open(struct worker *w)
{
	const struct bus_options events = { .sends = MSG_EVENTS_UP,
		.takes = MSG_EVENTS_DOWN, .server = "gateway",
		.handlers = &events_takes, .on_open = on_events_open };
	const struct bus_options api = { .sends = MSG_API_UP,
		.takes = MSG_API_DOWN, .server = "api",
		.handlers = &api_takes, .on_open = on_api_open };
	enum err e;

	if ((e = conf_load(&w->conf, CONF_W)) != ERR_OK) {
		conf_log_problems(&w->conf);
		return e;
	}
	proc_log(&w->conf, "workerd");
	name_worker(w);
	if ((e = loop_new(&w->loop)) != ERR_OK ||
	    (e = proc_open(&w->proc, w->loop, &w->conf, &parent_takes, w)) !=
	        ERR_OK ||
	    (e = host_open(w)) != ERR_OK ||
	    (e = open_bus(w, w->conf.bus_api, "api.sock", &api, &w->api)) !=
	        ERR_OK ||
	    (e = open_bus(w, w->conf.bus_events, "events.sock", &events,
	         &w->events)) != ERR_OK)
		return e;
	proc_ready(&w->proc);
	log_info("worker.start", KV("name", w->name),
	    KV("handlers", w->nhandlers), KV("window", w->conf.window));
	on_report(w);
	return ERR_OK;
}

/* After the stop: what is in hand is answered, new events go to others. */
static bool
finished(struct worker *w)
{
	if (!proc_stopping(&w->proc))
		return false;
	if (w->stop_by_ms == 0) {
		w->stop_by_ms = loop_clock_ms() + STOP_MS;
		pause_intake(w);
	}
	if (proc_orphaned(&w->proc))
		return true;
	/* Then the handlers: those that hang have had their time. */
	if (!w->left && (w->njobs == 0 || loop_clock_ms() >= w->stop_by_ms)) {
		w->stop_by_ms = loop_clock_ms() + LEAVE_MS;
		host_leave(w);
	}
	return w->left && (host_gone(w) || loop_clock_ms() >= w->stop_by_ms);
}

static void
worker_close(struct worker *w)
{
	struct msg_bye bye = { .reason = SLICE("the worker stops") };

	if (w->events != NULL)
		bus_send(w->events, (msg_peer){ NULL, 0 }, MSG_bye, &bye);
	bus_close(&w->events);
	bus_close(&w->api);
	jobs_free(w);
	host_close(w);
	buf_free(&w->registered);
	proc_close(&w->proc);
	if (w->loop != NULL)
		loop_cancel(w->loop, &w->reporting);
	loop_free(&w->loop);
	conf_free(&w->conf);
}

static void
list_handlers(FILE *to)
{
	static const struct handler_kind *const kinds[] = { &builtin_kind,
		&exec_kind, &plugin_kind };

	fputs("Handlers (ROOKERY_HANDLER, or lines of ROOKERY_HANDLERS_FILE):"
	      "\n", to);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		fprintf(to, "  %s\n", kinds[i]->meaning);
}

int
main(int argc, char *argv[])
{
	struct worker w = { 0 };
	int           status = proc_options(argc, argv, "workerd",
	    list_handlers);
	enum err      e;

	if (status >= 0)
		return status;
	log_open("workerd", LOG_INFO, false);
	if ((e = worker_open(&w)) == ERR_OK)
		while (e == ERR_OK && !finished(&w))
			e = loop_turn(w.loop, proc_stopping(&w.proc) ? 100 : -1,
			    NULL);
	worker_close(&w);
	return proc_leave(e);
}
