/*
 * What status and watch show.  Ages, not clock times: a reader need not share
 * our clock.
 */
#include "snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proc.h"

static void
put_text(struct json *o, const char *key, const char *text)
{
	json_put_text(o, key, slice_of(text));
}

static void
put_age(struct json *o, const char *key, uint64_t at_ms, uint64_t now_ms)
{
	json_put_int(o, key, now_ms > at_ms ? (int64_t)(now_ms - at_ms) : 0);
}

static void
put_last_exit(struct json *o, const struct child *c)
{
	const struct service_exit *x = &c->service.last;
	struct json               *e;
	char                       text[80];

	if (x->end == SERVICE_NEVER_ENDED)
		return;
	e = json_new_object();
	if (x->end == SERVICE_BY_CODE)
		json_put_int(e, "code", x->number);
	else if (x->end == SERVICE_BY_SIGNAL)
		json_put_int(e, "signal", x->number);
	else
		json_put_int(e, "errno", x->number);
	put_text(e, "cause", service_cause_name(x->cause));
	json_put_bool(e, "core", x->core);
	json_put_bool(e, "oom", x->oom);
	put_text(e, "text", child_last_exit(c, text, sizeof text));
	json_put_take(o, "last_exit", e);
}

struct json *
snapshot_child(struct child *c, uint64_t now_ms)
{
	const struct service *s = &c->service;
	struct json          *o = json_new_object();
	char                  remedy[CHILD_REMEDY_MAX];
	bool                  works = s->state == SERVICE_READY ||
	    s->state == SERVICE_DEGRADED;

	child_look(c);
	put_text(o, "name", c->name);
	put_text(o, "service", service_kind(c->id)->name);
	json_put_int(o, "instance", c->number);
	put_text(o, "restart", service_restart_name(s->limits->restart));
	put_text(o, "desired", s->wanted ? "up" : "down");
	put_text(o, "state", service_state_name(s->state));
	put_age(o, "since_ms", s->since_ms, now_ms);
	json_put_int(o, "since", loop_wall_ms() -
	    (int64_t)(now_ms - s->since_ms));
	json_put_int(o, "pid", c->pid);
	json_put_int(o, "generation", s->generation);
	json_put_int(o, "restarts", s->restarts);
	json_put_int(o, "restarts_recent", service_recent_ends(s, now_ms));
	json_put_int(o, "watchdogs", s->watchdogs);
	put_last_exit(o, c);
	if (!service_alive(s) && s->wanted && s->deadline_ms != SERVICE_NEVER)
		put_age(o, "next_restart_ms", now_ms, s->deadline_ms);
	json_put_bool(o, "ready", works);
	if (works)
		put_age(o, "beat_age_ms", s->beat_at_ms, now_ms);
	json_put_bool(o, "stuck", child_stuck(c) != NULL);
	json_put_int(o, "rss_kib", (int64_t)c->vitals.rss_kib);
	json_put_int(o, "fds", (int64_t)c->vitals.fds);
	json_put_int(o, "cpu_ms", (int64_t)c->vitals.cpu_ms);
	json_put_int(o, "cpu_percent", (int64_t)c->share.percent);
	put_text(o, "remedy", child_remedy(c, remedy, sizeof remedy));
	json_put_int(o, "dropped_log_lines", (int64_t)c->lines.dropped);
	put_text(o, "word", c->word);
	json_put_int(o, "kept_fds", (int64_t)c->kept.n);
	if (c->app != NULL)
		json_put_ref(o, "app", c->app);
	return o;
}

void
snapshot_put_supervisor(struct json *answer, struct family *f)
{
	struct json *o = json_new_object();
	char         hash[24];

	snprintf(hash, sizeof hash, "%016llx",
	    (unsigned long long)f->settings->hash);
	json_put_int(o, "pid", getpid());
	put_text(o, "version", ROOKERY_VERSION);
	json_put_int(o, "generation", f->generation);
	put_text(o, "config", hash);
	put_age(o, "uptime_ms", f->opened_ms, loop_now(f->loop));
	json_put_bool(o, "simulator", f->settings->needs_sim);
	put_text(o, "rolling",
	    f->rolling != NULL ? f->rolling->name : "");
	json_put_text(o, "remedy", buf_slice(&f->settings->trouble));
	json_put_int(o, "strangers_reaped", (int64_t)f->strangers);
	json_put_int(o, "unclaimed_answers", (int64_t)f->unclaimed);
	json_put_int(o, "dropped_log_lines", (int64_t)f->output->dropped);
	json_put_take(answer, "supervisor", o);
}

void
snapshot_put(struct json *answer, struct family *f)
{
	struct json *children = json_new_array();
	char        *url = settings_chat_url(f->settings);
	uint64_t     now = loop_now(f->loop);

	put_text(answer, "state", plan_state_name(family_state(f)));
	snapshot_put_supervisor(answer, f);
	if (url != NULL)
		put_text(answer, "chat", url);
	free(url);
	for (size_t i = 0; i < f->nchildren; i++)
		json_push_take(children, snapshot_child(f->children[i], now));
	json_put_take(answer, "children", children);
}

/* --- dump --------------------------------------------------------------- */

static struct json *
dump_child(const struct child *c, uint64_t now)
{
	const struct service *s = &c->service;
	struct json          *o = json_new_object();
	const char            state[2] = { c->vitals.state, '\0' };

	put_text(o, "name", c->name);
	put_text(o, "state", service_state_name(s->state));
	put_text(o, "process", state);
	json_put_int(o, "pidfd", c->pidfd);
	json_put_int(o, "socket", c->socket);
	json_put_int(o, "output", c->output[0]);
	json_put_int(o, "deadline_in_ms", s->deadline_ms == SERVICE_NEVER ? -1
	    : (int64_t)(s->deadline_ms - now));
	json_put_bool(o, "timer", c->timer.slot != 0);
	put_age(o, "beat_age_ms", s->beat_at_ms, now);
	json_put_int(o, "pressure", s->pressure);
	json_put_int(o, "streak", s->streak);
	json_put_int(o, "delay_step", (int64_t)s->delay.at);
	json_put_bool(o, "again", s->again);
	json_put_bool(o, "tripped", s->tripped);
	json_put_bool(o, "rolls", c->rolls);
	json_put_bool(o, "surplus", c->surplus);
	json_put_bool(o, "remains", c->ended_pid != 0);
	json_put_int(o, "refused_packets", (int64_t)c->refused);
	json_put_int(o, "lines_kept", (int64_t)c->lines.count);
	return o;
}

void
snapshot_put_dump(struct json *answer, struct family *f)
{
	struct json  *dump = json_new_object(), *list = json_new_array();
	struct vitals own;

	vitals_read(getpid(), &own);
	json_put_int(dump, "rss_kib", (int64_t)own.rss_kib);
	json_put_int(dump, "fds", (int64_t)own.fds);
	json_put_int(dump, "cpu_ms", (int64_t)own.cpu_ms);
	json_put_int(dump, "oom_kills", (int64_t)f->oom_kills);
	put_text(dump, "groups", f->kin.base);
	json_put_int(dump, "stop_signals", f->stop_signals);
	json_put_int(dump, "log_files_put_aside",
	    (int64_t)f->output->file.turned);
	json_put_int(dump, "unwritten", (int64_t)f->output->pending.n);
	for (size_t i = 0; i < f->nchildren; i++)
		json_push_take(list, dump_child(f->children[i],
		    loop_now(f->loop)));
	json_put_take(dump, "children", list);
	json_put_take(answer, "dump", dump);
}
