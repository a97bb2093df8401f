/*
 * What status and watch show.  Ages, not clock times: a reader need not share
 * our clock.
 */
#include "snapshot.h"

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
	put_text(e, "text", child_last_exit(c, text, sizeof text));
	json_put_take(o, "last_exit", e);
}

struct json *
snapshot_child(const struct child *c, uint64_t now_ms)
{
	const struct service *s = &c->service;
	struct json          *o = json_new_object();
	char                  remedy[CHILD_REMEDY_MAX];
	bool                  works = s->state == SERVICE_READY ||
	    s->state == SERVICE_DEGRADED;

	put_text(o, "name", c->name);
	put_text(o, "service", service_kind(c->id)->name);
	put_text(o, "desired", s->wanted ? "up" : "down");
	put_text(o, "state", service_state_name(s->state));
	put_age(o, "since_ms", s->since_ms, now_ms);
	json_put_int(o, "pid", c->pid);
	json_put_int(o, "generation", s->generation);
	json_put_int(o, "restarts", s->restarts);
	json_put_int(o, "watchdogs", s->watchdogs);
	put_last_exit(o, c);
	if (s->state == SERVICE_BACKOFF)
		put_age(o, "next_restart_ms", now_ms, s->deadline_ms);
	json_put_bool(o, "ready", works);
	if (works)
		put_age(o, "beat_age_ms", s->beat_at_ms, now_ms);
	json_put_bool(o, "stuck", s->stuck);
	json_put_int(o, "rss_kib", (int64_t)child_rss_kib(c));
	put_text(o, "remedy", child_remedy(c, remedy, sizeof remedy));
	json_put_int(o, "dropped_log_lines", (int64_t)c->lines.dropped);
	put_text(o, "word", c->word);
	if (c->app != NULL)
		json_put_ref(o, "app", c->app);
	return o;
}

void
snapshot_put(struct json *answer, struct family *f)
{
	struct json *supervisor = json_new_object();
	struct json *children = json_new_array();
	char        *url = settings_chat_url(f->settings);
	uint64_t     now = loop_now(f->loop);

	put_text(answer, "state", plan_state_name(family_state(f)));
	json_put_int(supervisor, "pid", getpid());
	put_text(supervisor, "version", ROOKERY_VERSION);
	put_age(supervisor, "uptime_ms", f->opened_ms, now);
	json_put_bool(supervisor, "simulator", f->settings->needs_sim);
	json_put_int(supervisor, "strangers_reaped", (int64_t)f->strangers);
	json_put_int(supervisor, "unclaimed_answers", (int64_t)f->unclaimed);
	json_put_int(supervisor, "dropped_log_lines",
	    (int64_t)f->output->dropped);
	json_put_take(answer, "supervisor", supervisor);
	if (url != NULL)
		put_text(answer, "chat", url);
	free(url);
	for (size_t i = 0; i < f->nchildren; i++)
		json_push_take(children, snapshot_child(f->children[i], now));
	json_put_take(answer, "children", children);
}
