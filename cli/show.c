/*
 * rookery status and watch: the supervisor's snapshot, for a person.  What a
 * child reports of itself is its own business; what is not there is not
 * printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "table.h"

enum { SNAPSHOT_MS = 10000 };

static const struct {
	const char *state;
	enum colour colour;
} colours[] = {
	{ "ready", GOOD }, { "live", GOOD }, { "failed", BAD },
	{ "parked", BAD }, { "stopped", FAINT },
};

static enum colour
colour_of(struct slice state)
{
	for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
		if (slice_is(state, colours[i].state))
			return colours[i].colour;
	return WARN;
}

/* --- cells -------------------------------------------------------------- */

static void
set_text(struct table *t, size_t column, const struct json *o, const char *key)
{
	table_set(t, column, json_text_at(o, key));
}

static void
set_state(struct table *t, size_t column, struct slice state)
{
	table_set(t, column, state);
	table_colour(t, column, colour_of(state));
}

static void
set_age(struct table *t, size_t column, const struct json *o, const char *key,
    int64_t unit_ms)
{
	int64_t v;
	char    text[32];

	if (!json_int_at(o, key, &v) || v < 0 || v >= INT64_MAX / unit_ms)
		return;
	if (v == 0 && unit_ms == 1000)
		table_set(t, column, SLICE("0 s"));
	else
		table_set(t, column,
		    slice_of(cli_age(v * unit_ms, text, sizeof text)));
}

/* A number; 0 is left out. */
static void
set_count(struct table *t, size_t column, const struct json *o,
    const char *key)
{
	int64_t v;

	if (json_int_at(o, key, &v) && v != 0)
		set_text(t, column, o, key);
}

/* --- children ----------------------------------------------------------- */

static const char *const child_titles[] = { "NAME", "STATE", "FOR", "PID",
	"MEMORY", "RESTARTS", "LAST EXIT", NULL };

/* Its own word, where it says more than ours. */
static struct slice
state_of(const struct json *child, char *text, size_t size)
{
	struct slice state = json_text_at(child, "state");
	struct slice word = json_text_at(child, "word");

	if (!slice_is(state, "degraded") || word.n == 0 ||
	    slice_is(word, "degraded"))
		return state;
	snprintf(text, size, "degraded: %.*s", (int)word.n, word.p);
	return slice_of(text);
}

static void
add_child(struct table *t, const struct json *child)
{
	char    text[64];
	int64_t kib = 0, restarts = 0;

	table_row(t);
	set_text(t, 0, child, "name");
	set_state(t, 1, state_of(child, text, sizeof text));
	table_colour(t, 1, colour_of(json_text_at(child, "state")));
	set_age(t, 2, child, "since_ms", 1);
	set_count(t, 3, child, "pid");
	if (json_int_at(child, "rss_kib", &kib))
		table_set(t, 4, slice_of(cli_kib(kib, text, sizeof text)));
	set_count(t, 5, child, "restarts");
	if (json_int_at(child, "restarts", &restarts) && restarts > 0)
		table_colour(t, 5, WARN);
	set_text(t, 6, child, "last_exit.text");
}

static void
print_children(const struct cli *cli, const struct json *children)
{
	struct table t;

	table_open(&t, child_titles);
	for (size_t i = 0; i < json_count(children); i++)
		add_child(&t, json_at(children, i));
	table_print(&t, stdout, cli->colour);
	table_free(&t);
}

/* --- what gatewayd reports ---------------------------------------------- */

static const char *const session_titles[] = { "SESSION", "SHARD", "STATE",
	"FOR", "SEQ", "LAST EVENT", "IDENTIFIES LEFT", NULL };

static void
add_session(struct table *t, const struct json *s)
{
	table_row(t);
	set_text(t, 0, s, "bot");
	set_text(t, 1, s, "shard");
	set_state(t, 2, json_text_at(s, "state"));
	set_age(t, 3, s, "session_age_s", 1000);
	set_count(t, 4, s, "seq");
	set_age(t, 5, s, "last_event_s", 1000);
	set_text(t, 6, s, "identifies_left");
}

static const char *const worker_titles[] = { "WORKER", "WHERE", "HANDLER",
	"CONNECTED FOR", "WINDOW", "IN FLIGHT", "DONE", NULL };

static bool
is_child(const struct json *children, struct slice name)
{
	for (size_t i = 0; i < json_count(children); i++)
		if (slice_eq(json_text_at(json_at(children, i), "name"), name))
			return true;
	return false;
}

static void
add_worker(struct table *t, const struct json *w, const struct json *children)
{
	table_row(t);
	set_text(t, 0, w, "name");
	table_set(t, 1, is_child(children, json_text_at(w, "name"))
	        ? SLICE("here")
	        : SLICE("elsewhere"));
	set_text(t, 2, w, "handler");
	set_age(t, 3, w, "connected_s", 1000);
	set_text(t, 4, w, "window");
	set_text(t, 5, w, "in_flight");
	set_text(t, 6, w, "done");
}

/* --- what apid reports ---------------------------------------------------- */

static const char *const quota_titles[] = { "QUOTA", "BOT", "LEFT", "OF",
	"PER", "WAITING", "USED", "USED UP", NULL };

/* Of conversations, LEFT would be many numbers: USED UP is how many of them
 * have none. */
static void
add_quota(struct table *t, const struct json *q)
{
	bool    each = json_get(q, "empty") != NULL;
	int64_t left = 0, empty = 0;

	json_int_at(q, "left", &left);
	json_int_at(q, "empty", &empty);
	table_row(t);
	set_text(t, 0, q, "name");
	set_text(t, 1, q, "bot");
	if (!each)
		set_text(t, 2, q, "left");
	set_count(t, 3, q, "of");
	set_text(t, 4, q, "per");
	set_count(t, 5, q, "waiting");
	set_count(t, 6, q, "used");
	set_count(t, 7, q, "empty");
	if (empty > 0 || (!each && left == 0))
		table_colour(t, 0, WARN);
}

static void
print_quotas(const struct cli *cli, const struct json *quotas)
{
	struct table t;

	if (json_count(quotas) == 0)
		return;
	table_open(&t, quota_titles);
	for (size_t i = 0; i < json_count(quotas); i++)
		add_quota(&t, json_at(quotas, i));
	fputc('\n', stdout);
	table_print(&t, stdout, cli->colour);
	table_free(&t);
}

static const char *const bot_titles[] = { "BOT", "FILE", "STATE", "TOKEN FOR",
	"CALLS", "TROUBLE", NULL };

static void
add_bot(void *self, const char *app, const struct json *b)
{
	struct table *t = self;

	table_row(t);
	table_set(t, 0, slice_of(app));
	set_text(t, 1, b, "name");
	set_state(t, 2, json_text_at(b, "state"));
	set_age(t, 3, b, "left_s", 1000);
	table_set(t, 4, slice_is(json_text_at(b, "breaker"), "closed")
	        ? SLICE("sent") : SLICE("held"));
	set_text(t, 5, b, "trouble");
}

static void
print_bots(const struct cli *cli, const struct json *bots)
{
	struct table t;

	if (!json_is_object(bots))
		return;
	table_open(&t, bot_titles);
	json_each(bots, add_bot, &t);
	fputc('\n', stdout);
	table_print(&t, stdout, cli->colour);
	table_free(&t);
}

static void
print_app(const struct cli *cli, const struct json *app,
    const struct json *children)
{
	const struct json *sessions = json_get(app, "sessions");
	const struct json *workers = json_get(app, "workers");
	struct table       t;

	print_bots(cli, json_get(app, "bots"));
	print_quotas(cli, json_get(app, "quotas"));
	if (json_count(sessions) > 0) {
		table_open(&t, session_titles);
		for (size_t i = 0; i < json_count(sessions); i++)
			add_session(&t, json_at(sessions, i));
		fputc('\n', stdout);
		table_print(&t, stdout, cli->colour);
		table_free(&t);
	}
	if (json_count(workers) > 0) {
		table_open(&t, worker_titles);
		for (size_t i = 0; i < json_count(workers); i++)
			add_worker(&t, json_at(workers, i), children);
		fputc('\n', stdout);
		table_print(&t, stdout, cli->colour);
		table_free(&t);
	}
}

/* --- handlers that have ended ---------------------------------------------- */

static void
print_end(struct slice worker, const struct json *h, const struct json *p,
    bool *any)
{
	struct slice why = json_text_at(p, "last_end");
	struct slice broken = json_text_at(h, "broken");
	int64_t      restarts = 0;

	if (why.n == 0 && broken.n == 0)
		return;
	if (!*any)
		printf("\nhandlers that have ended:\n");
	*any = true;
	json_int_at(p, "restarts", &restarts);
	fputs("  ", stdout);
	table_put_clean(stdout, json_text_at(h, "name"));
	fputs(" of ", stdout);
	table_put_clean(stdout, worker);
	fputs(", ", stdout);
	table_put_clean(stdout, json_text_at(p, "state"));
	printf(", %lld restart%s: ", (long long)restarts,
	    restarts == 1 ? "" : "s");
	table_put_clean(stdout, why.n > 0 ? why : broken);
	fputc('\n', stdout);
}

static void
print_ends(const struct json *children)
{
	bool any = false;

	for (size_t i = 0; i < json_count(children); i++) {
		const struct json *c = json_at(children, i);
		const struct json *hs = json_path(c, "app.handlers");

		for (size_t k = 0; k < json_count(hs); k++) {
			const struct json *h = json_at(hs, k);
			const struct json *ps = json_get(h, "children");

			for (size_t m = 0; m < json_count(ps); m++)
				print_end(json_text_at(c, "name"), h,
				    json_at(ps, m), &any);
		}
	}
}

/* The members of a flat object, but for what is 0 or empty: queue, webhook,
 * token, calls. */
struct flat {
	const char *name;
	size_t      printed, lines;
};

static void
print_member(void *self, const char *key, const struct json *value)
{
	struct slice text = json_text(value);
	struct flat *f = self;

	if (json_is_object(value) || json_is_array(value) || text.n == 0 ||
	    slice_is(text, "0"))
		return;
	if (f->printed++ == 0)
		printf("%s%-9s %s ", f->lines++ == 0 ? "\n" : "", f->name,
		    key);
	else
		printf(", %s ", key);
	table_put_clean(stdout, text);
}

static void
print_flat(void *self, const char *key, const struct json *value)
{
	struct flat *f = self;

	if (!json_is_object(value) || slice_is(slice_of(key), "bots"))
		return;
	f->name = key;
	f->printed = 0;
	json_each(value, print_member, f);
	if (f->printed > 0)
		fputc('\n', stdout);
}

/* --- remedies ----------------------------------------------------------- */

static void
print_remedy(struct slice who, struct slice remedy, bool *any)
{
	if (remedy.n == 0)
		return;
	fputs(*any ? "  " : "\nto do:\n  ", stdout);
	table_put_clean(stdout, who);
	fputs(": ", stdout);
	table_put_clean(stdout, remedy);
	fputc('\n', stdout);
	*any = true;
}

static void
print_remedies(const struct json *answer)
{
	const struct json *children = json_get(answer, "children");
	bool               any = false;

	print_remedy(slice_of("rookeryd"),
	    json_text_at(json_get(answer, "supervisor"), "remedy"), &any);
	for (size_t i = 0; i < json_count(children); i++) {
		const struct json *c = json_at(children, i);
		const struct json *s = json_path(c, "app.sessions");
		struct slice       own = json_text_at(c, "remedy");

		print_remedy(json_text_at(c, "name"), own, &any);
		for (size_t k = 0; k < json_count(s); k++) {
			struct slice r = json_text_at(json_at(s, k), "remedy");

			if (!slice_eq(r, own))
				print_remedy(json_text_at(json_at(s, k),
				    "bot"), r, &any);
		}
	}
}

/* --- the whole ---------------------------------------------------------- */

static void
print_head(const struct cli *cli, const struct json *a)
{
	struct slice state = json_text_at(a, "state");
	struct slice chat = json_text_at(a, "chat");
	int64_t      up = 0;
	char         text[32];
	static const char *const escapes[] = { [PLAIN] = "",
		[GOOD] = "\033[32m", [WARN] = "\033[33m", [BAD] = "\033[31m",
		[FAINT] = "\033[2m" };

	json_int_at(a, "supervisor.uptime_ms", &up);
	printf("rookery is %s%.*s%s, up %s%s\n",
	    cli->colour ? escapes[colour_of(state)] : "", (int)state.n,
	    state.n > 0 ? state.p : "", cli->colour ? "\033[0m" : "",
	    cli_age(up, text, sizeof text),
	    json_truth(json_path(a, "supervisor.simulator"))
	        ? ", with the simulator"
	        : "");
	if (chat.n > 0)
		printf("chat with the bot at %.*s\n", (int)chat.n, chat.p);
	fputc('\n', stdout);
}

static void
print_snapshot(const struct cli *cli, const struct json *a)
{
	const struct json *children = json_get(a, "children");
	struct flat        flat = { 0 };

	print_head(cli, a);
	print_children(cli, children);
	for (size_t i = 0; i < json_count(children); i++)
		print_app(cli, json_get(json_at(children, i), "app"),
		    children);
	for (size_t i = 0; i < json_count(children); i++)
		json_each(json_get(json_at(children, i), "app"), print_flat,
		    &flat);
	print_ends(children);
	print_remedies(a);
}

static enum status
show_answer(struct cli *cli, const struct json *answer)
{
	if (cli->given & OPT_JSON)
		table_put_json(stdout, answer);
	else if (json_truth(json_get(answer, "ok")))
		print_snapshot(cli, answer);
	if (!json_truth(json_get(answer, "ok")))
		return cli_verdict(answer);
	return slice_is(json_text_at(answer, "state"), "ready")
	    ? STATUS_DONE
	    : STATUS_FAILED;
}

static enum status
broken(enum err e)
{
	fprintf(stderr, "rookery: the supervisor: %s\n", err_text(e));
	return e == ERR_TIMEOUT ? STATUS_TIMEOUT : STATUS_FAILED;
}

static enum status
show(struct cli *cli, const char *cmd)
{
	struct link  link;
	struct json *answer = NULL;
	enum status  status = cli_connect(cli, &link);
	enum err     e;

	if (status != STATUS_DONE)
		return status;
	if ((e = link_send(&link, cli_request(cmd))) == ERR_OK &&
	    (e = link_next(&link, SNAPSHOT_MS, &answer)) == ERR_OK)
		status = show_answer(cli, answer);
	else
		status = broken(e);
	json_free(&answer);
	link_close(&link);
	return status;
}

enum status
command_status(struct cli *cli)
{
	return show(cli, "status");
}

enum status
command_dump(struct cli *cli)
{
	cli->given |= OPT_JSON;
	return show(cli, "dump");
}

/* --- watch -------------------------------------------------------------- */

static void
print_change(const struct cli *cli, const struct json *change)
{
	const struct json *child = json_get(change, "child");
	struct slice       state = json_text_at(change, "state");
	static const char *const titles[] = { "", "", "", "", NULL };
	struct table       t;
	char               text[64];

	table_open(&t, titles);
	t.n = 0;
	table_row(&t);
	if (child == NULL) {
		table_set(&t, 0, SLICE("rookery"));
		set_state(&t, 2, state);
	} else {
		set_text(&t, 0, child, "name");
		set_text(&t, 1, change, "from");
		set_state(&t, 2, state_of(child, text, sizeof text));
		table_colour(&t, 2, colour_of(json_text_at(child, "state")));
		if (slice_is(json_text_at(child, "state"), "backoff") ||
		    slice_is(json_text_at(child, "state"), "failed"))
			set_text(&t, 3, child, "last_exit.text");
	}
	printf("%-12s %-9s -> ", t.rows[0][0].text, t.rows[0][1].text);
	memmove(t.rows[0], t.rows[0] + 2, 2 * sizeof t.rows[0][0]);
	t.columns = 2;
	table_print(&t, stdout, cli->colour);
	table_free(&t);
	fflush(stdout);
}

enum status
command_watch(struct cli *cli)
{
	struct link  link;
	struct json *next = NULL;
	enum status  status = cli_connect(cli, &link);
	enum err     e;

	if (status != STATUS_DONE)
		return status;
	if ((e = link_send(&link, cli_request("watch"))) == ERR_OK &&
	    (e = link_next(&link, SNAPSHOT_MS, &next)) == ERR_OK)
		show_answer(cli, next);
	if (e == ERR_OK && !(cli->given & OPT_JSON))
		fputc('\n', stdout);
	fflush(stdout);
	while (e == ERR_OK && !ferror(stdout)) {
		json_free(&next);
		if ((e = link_next(&link, -1, &next)) != ERR_OK)
			break;
		if (cli->given & OPT_JSON)
			table_put_json(stdout, next);
		else
			print_change(cli, next);
	}
	json_free(&next);
	link_close(&link);
	if (e == ERR_CLOSED) {
		fputs("rookery: the supervisor has gone\n", stderr);
		return STATUS_NO_SUPERVISOR;
	}
	return e == ERR_OK ? STATUS_FAILED : broken(e);
}
