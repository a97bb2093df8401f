/*
 * rookery dead, events and restart bot/NAME: asked of gatewayd, and apid, by
 * way of the supervisor.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "loop.h"
#include "table.h"

enum { PAGE = 50, ROWS_DEFAULT = 100, GATEWAY_MS = 5000, ANSWER_MS = 15000 };

/* --- asking ------------------------------------------------------------- */

/* One question to a child; takes `with`.  The answer is the caller's; its
 * data is what the child said.  What is wrong has been printed. */
static enum status
ask_child(struct link *link, const char *child, const char *what,
    struct json *with, struct json **answer)
{
	struct json *r = cli_request("ask");
	enum err     e;

	json_put_text(r, "name", slice_of(child));
	json_put_text(r, "what", slice_of(what));
	json_put_take(r, "with", with);
	json_put_int(r, "timeout_ms", GATEWAY_MS);
	if ((e = link_send(link, r)) == ERR_OK &&
	    (e = link_next(link, ANSWER_MS, answer)) == ERR_OK)
		return cli_verdict(*answer);
	fprintf(stderr, "rookery: the supervisor: %s\n", err_text(e));
	return e == ERR_TIMEOUT ? STATUS_TIMEOUT : STATUS_FAILED;
}

static enum status
ask_gateway(struct link *link, const char *what, struct json *with,
    struct json **answer)
{
	return ask_child(link, "gateway", what, with, answer);
}

static const struct json *
data_of(const struct json *answer)
{
	return json_get(answer, "data");
}

static enum status
usage(const char *why)
{
	fprintf(stderr, "rookery: %s\n  rookery help says more\n", why);
	return STATUS_USAGE;
}

/* --- dead letters ------------------------------------------------------- */

static struct json *
to_do(const char *what)
{
	struct json *with = json_new_object();

	json_put_text(with, "do", slice_of(what));
	return with;
}

/* Page by page, as one packet holds only so many. */
static enum status
read_all(struct link *link, struct json *all, int64_t *total)
{
	int64_t after = 0, last = 0;
	size_t  n = PAGE;

	while (n == PAGE) {
		struct json       *with = to_do("list"), *answer = NULL;
		const struct json *page;
		enum status        status;

		json_put_int(with, "after", after);
		json_put_int(with, "limit", PAGE);
		status = ask_gateway(link, "dead", with, &answer);
		page = json_get(data_of(answer), "dead");
		n = json_count(page);
		json_int_at(data_of(answer), "total", total);
		for (size_t i = 0; i < n; i++) {
			struct json *copy = NULL;

			json_int_at(json_at(page, i), "no", &last);
			if (json_parse(&copy, json_print(json_at(page, i))) ==
			    ERR_OK)
				json_push_take(all, copy);
		}
		json_free(&answer);
		if (status != STATUS_DONE)
			return status;
		if (last <= after)
			break; /* a page that does not lead on */
		after = last;
	}
	return STATUS_DONE;
}

static const char *const dead_titles[] = { "NO", "ID", "BOT", "CONVERSATION",
	"TYPE", "ATTEMPTS", "FOR", "WORKER", "WHY", NULL };
static const char *const dead_keys[] = { "no", "id", "bot", "conv", "type",
	"attempts", NULL, "worker", "why" };

static const char *
age_of(const struct json *row, char *text, size_t size)
{
	int64_t at, now = loop_wall_ms();

	if (!json_int_at(row, "at_ms", &at))
		return "";
	return cli_age(now > at ? now - at : 0, text, size);
}

static void
print_dead(const struct cli *cli, const struct json *all, int64_t total)
{
	struct table t;
	char         text[32];

	if (json_count(all) == 0) {
		puts("no dead letters");
		return;
	}
	table_open(&t, dead_titles);
	for (size_t i = 0; i < json_count(all); i++) {
		const struct json *row = json_at(all, i);

		table_row(&t);
		for (size_t c = 0; c < t.columns; c++)
			table_set(&t, c, dead_keys[c] != NULL
			        ? json_text_at(row, dead_keys[c])
			        : slice_of(age_of(row, text, sizeof text)));
	}
	table_print(&t, stdout, cli->colour);
	table_free(&t);
	printf("\n%lld dead letter%s; rookery dead retry NO gives one back to "
	    "the workers\n", (long long)total, total == 1 ? "" : "s");
}

static enum status
dead_list(struct cli *cli, struct link *link)
{
	struct json *all = json_new_array(), *doc = json_new_object();
	int64_t      total = 0;
	enum status  status = read_all(link, all, &total);

	json_put_int(doc, "total", total);
	json_put_take(doc, "dead", all);
	if (status == STATUS_DONE && (cli->given & OPT_JSON))
		table_put_json(stdout, doc);
	else if (status == STATUS_DONE)
		print_dead(cli, all, total);
	json_free(&doc);
	return status;
}

/* By its number in the list, or by the event's id. */
static void
put_which(struct json *with, const char *which)
{
	unsigned long long no;

	if (slice_u64(slice_of(which), &no) && no <= INT64_MAX)
		json_put_int(with, "no", (int64_t)no);
	else
		json_put_text(with, "id", slice_of(which));
}

static void
print_member(void *self, const char *key, const struct json *value)
{
	struct slice text = json_text(value);
	const bool  *within = self;

	if (json_is_object(value) || json_is_array(value))
		text = json_print(value);
	if (text.n == 0)
		return;
	printf("%s%-12s ", *within ? "  " : "", key);
	table_put_clean(stdout, text);
	fputc('\n', stdout);
}

static void
print_letter(void *self, const char *key, const struct json *value)
{
	bool within = strcmp(key, "event") == 0;

	(void)self;
	if (strcmp(key, "capsule") == 0)
		return;
	if (!within) {
		print_member(&within, key, value);
		return;
	}
	puts("event");
	json_each(value, print_member, &within);
}

/* +MS > what it was told, < what it said; its stderr without a sign. */
static void
print_lines(const struct json *lines, const char *title)
{
	if (json_count(lines) > 0)
		puts(title);
	for (size_t i = 0; i < json_count(lines); i++) {
		const struct json *l = json_at(lines, i), *from;
		int64_t            ms = 0;

		json_int_at(l, "ms", &ms);
		from = json_get(l, "from");
		printf("  %+7lld %s", (long long)ms, from == NULL ? ""
		    : json_truth(from) ? "< " : "> ");
		table_put_clean(stdout, json_text_at(l, "text"));
		puts(json_truth(json_get(l, "cut")) ? " ..." : "");
	}
}

static void
print_capsule(const struct json *capsule)
{
	print_lines(json_get(capsule, "frames"), "the last that its handler was "
	    "told (>) and said (<), ms after it had the event");
	print_lines(json_get(capsule, "stderr"), "its last words on stderr");
}

static enum status
dead_show(struct cli *cli, struct link *link)
{
	struct json *with = to_do("show"), *answer = NULL;
	enum status  status;

	put_which(with, cli->arg[1]);
	status = ask_gateway(link, "dead", with, &answer);
	if (status == STATUS_DONE && (cli->given & OPT_JSON))
		table_put_json(stdout, data_of(answer));
	else if (status == STATUS_DONE) {
		json_each(data_of(answer), print_letter, NULL);
		print_capsule(json_get(data_of(answer), "capsule"));
	}
	json_free(&answer);
	return status;
}

static enum status
dead_change(struct cli *cli, struct link *link, const char *what,
    const char *done)
{
	struct json *with = to_do(what), *answer = NULL;
	int64_t      n = 0;
	enum status  status;

	if (cli->given & OPT_ALL)
		json_put_bool(with, "all", true);
	else
		put_which(with, cli->arg[1]);
	status = ask_gateway(link, "dead", with, &answer);
	json_int_at(data_of(answer), "count", &n);
	if (status == STATUS_DONE && (cli->given & OPT_JSON))
		table_put_json(stdout, data_of(answer));
	else if (status == STATUS_DONE)
		printf("%lld dead letter%s %s\n", (long long)n,
		    n == 1 ? "" : "s", done);
	json_free(&answer);
	return status;
}

static enum status
dead_retry(struct cli *cli, struct link *link)
{
	return dead_change(cli, link, "retry", "given back to the workers");
}

static enum status
dead_drop(struct cli *cli, struct link *link)
{
	return dead_change(cli, link, "drop", "dropped");
}

static const struct {
	const char   *word;
	bool          wants_which, takes_all;
	enum status (*run)(struct cli *, struct link *);
} deeds[] = {
	{ "list", false, false, dead_list },
	{ "show", true, false, dead_show },
	{ "retry", true, true, dead_retry },
	{ "drop", true, true, dead_drop },
};

enum status
command_dead(struct cli *cli)
{
	const char *word = cli->arg[0] != NULL ? cli->arg[0] : "list";
	bool        all = (cli->given & OPT_ALL) != 0;
	struct link link;
	enum status status;

	for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
		if (strcmp(deeds[i].word, word) != 0)
			continue;
		if (all && !deeds[i].takes_all)
			return usage("--all belongs to retry and drop");
		if (deeds[i].wants_which && all == (cli->arg[1] != NULL))
			return usage(deeds[i].takes_all
			        ? "which one: its NO or its ID, or --all?"
			        : "which one: its NO or its ID?");
		if (!deeds[i].wants_which && cli->arg[1] != NULL)
			return usage("rookery dead list takes no argument");
		if ((status = cli_connect(cli, &link)) != STATUS_DONE)
			return status;
		status = deeds[i].run(cli, &link);
		link_close(&link);
		return status;
	}
	return usage("rookery dead knows list, show, retry and drop");
}

/* --- events under way --------------------------------------------------- */

static const char *const event_titles[] = { "BOT", "CONVERSATION", "QUEUED",
	"IN FLIGHT", "WORKER", "ATTEMPT", "OLDEST", "HEAD", NULL };
static const char *const event_keys[] = { "bot", "conv", "queued",
	"in_flight", "worker", "attempt", NULL, "head" };

static void
print_events(const struct cli *cli, const struct json *data)
{
	const struct json *rows = json_get(data, "rows");
	struct slice n = json_text_at(data, "events");
	struct slice flying = json_text_at(data, "in_flight");
	struct slice convs = json_text_at(data, "conversations");
	struct table t;
	char         text[32];
	int64_t      ms = 0, bytes = 0;

	json_int_at(data, "bytes", &bytes);
	json_int_at(data, "oldest_ms", &ms);
	printf("events %.*s, in flight %.*s, conversations %.*s, bytes %lld, "
	    "oldest %s\n", (int)n.n, n.p, (int)flying.n, flying.p,
	    (int)convs.n, convs.p, (long long)bytes,
	    cli_age(ms, text, sizeof text));
	if (json_count(rows) == 0)
		return;
	table_open(&t, event_titles);
	for (size_t i = 0; i < json_count(rows); i++) {
		const struct json *row = json_at(rows, i);

		table_row(&t);
		for (size_t c = 0; c < t.columns; c++)
			if (event_keys[c] != NULL)
				table_set(&t, c,
				    json_text_at(row, event_keys[c]));
			else if (json_int_at(row, "oldest_ms", &ms))
				table_set(&t, c, slice_of(cli_age(ms, text,
				    sizeof text)));
	}
	fputc('\n', stdout);
	table_print(&t, stdout, cli->colour);
	table_free(&t);
}

enum status
command_events(struct cli *cli)
{
	struct json *with = json_new_object(), *answer = NULL;
	const struct json *data;
	struct link  link;
	enum status  status = cli_connect(cli, &link);

	if (status != STATUS_DONE) {
		json_free(&with);
		return status;
	}
	if (cli->arg[0] != NULL)
		json_put_text(with, "conv", slice_of(cli->arg[0]));
	json_put_int(with, "limit", cli->given & OPT_LINES
	        ? (int64_t)cli->number[OPT_NUMBER_LINES] : ROWS_DEFAULT);
	status = ask_gateway(&link, "events", with, &answer);
	data = data_of(answer);
	if (status == STATUS_DONE && (cli->given & OPT_JSON))
		table_put_json(stdout, data);
	else if (status == STATUS_DONE &&
	    (cli->arg[0] == NULL || json_count(json_get(data, "rows")) > 0))
		print_events(cli, data);
	if (status == STATUS_DONE && cli->arg[0] != NULL &&
	    json_count(json_get(data, "rows")) == 0) {
		fprintf(stderr, "rookery: nothing of %s is held\n",
		    cli->arg[0]);
		status = STATUS_FAILED;
	}
	json_free(&answer);
	link_close(&link);
	return status;
}

/* --- one bot -------------------------------------------------------------- */

/* First the token, which its sessions begin with. */
enum status
cli_restart_bot(struct cli *cli, const char *name)
{
	static const char *const children[] = { "api", "gateway" };
	struct link link;
	enum status status = cli_connect(cli, &link);

	if (status != STATUS_DONE)
		return status;
	for (size_t i = 0; i < 2 && status == STATUS_DONE; i++) {
		struct json *with = json_new_object(), *answer = NULL;

		json_put_text(with, "bot", slice_of(name));
		status = ask_child(&link, children[i], "restart", with,
		    &answer);
		json_free(&answer);
	}
	link_close(&link);
	return status;
}
