/*
 * rookery call: one call, from the shell.  It is a worker for a moment: it
 * greets apid, asks once, and waits for the result.  Checking the parameters
 * is apid's; here they only get the form in which they travel.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus.h"
#include "catalog.h"
#include "cli.h"
#include "table.h"

enum {
	MEET_MS = 3000,           /* for apid to answer a greeting */
	ANSWER_MS = 70000,        /* apid itself gives up after 60 s */
	BEHIND_MS = 2000,         /* and tells it so much later */
	INPUT_MAX = 1 << 20
};

struct asking {
	struct cli                  *cli;
	const struct call_operation *operation;
	struct json                 *given;     /* parameters, as words gave */
	struct buf                   with;      /* those that go there, packed */
	struct msg_call              call;
	struct loop                 *loop;
	struct bus                  *bus;
	char                        *url;
	bool                         met, over;
	char                         id[64], bot[64];
	enum status                  status;
};

/* --- parameters -------------------------------------------------------------- */

static enum status
complain(const char *what, const char *why)
{
	fputs("rookery call: ", stderr);
	table_put_clean(stderr, slice_of(what));
	fprintf(stderr, "%s%s\n", why[0] != '\0' ? ": " : "", why);
	return STATUS_USAGE;
}

/* May its value be an object or a list? */
static bool
takes_json(const struct call_operation *o, const char *name)
{
	size_t                      n;
	const struct catalog_param *p = catalog_params(o->requests[0], &n);
	const struct call_argument *a;

	for (size_t i = 0; o->makes == MAKES_PARAMS && i < n; i++)
		if (strcmp(p[i].name, name) == 0)
			return p[i].type >= TYPE_IDS;
	a = call_arguments(&n);
	for (size_t i = 0; i < n; i++)
		if (a[i].makes == o->makes && strcmp(a[i].name, name) == 0)
			return strstr(a[i].type, "OBJECT") != NULL ||
			    strstr(a[i].type, "IDS") != NULL;
	/* An object whose members the table names: schedule={...}. */
	return o->makes == MAKES_PARAMS;
}

static enum status
take_word(struct asking *a, const char *word)
{
	const char  *equals = strchr(word, '=');
	struct slice value;
	struct json *doc = NULL;
	char         key[128];

	if (equals == NULL || equals == word ||
	    (size_t)(equals - word) >= sizeof key)
		return complain(word, "parameters are KEY=VALUE");
	snprintf(key, sizeof key, "%.*s", (int)(equals - word), word);
	value = slice_of(equals + 1);
	if (json_get(a->given, key) != NULL)
		return complain(key, "is given twice");
	if (value.n > 0 && (value.p[0] == '{' || value.p[0] == '[') &&
	    takes_json(a->operation, key)) {
		if (json_parse(&doc, value) != ERR_OK)
			return complain(key, "is not JSON");
		json_put_take(a->given, key, doc);
	} else {
		json_put_text(a->given, key, value);
	}
	return STATUS_DONE;
}

struct joining {
	struct json *to;
	const char  *twice;
};

static void
join(void *self, const char *key, const struct json *value)
{
	struct joining *j = self;

	if (json_get(j->to, key) != NULL)
		j->twice = key;
	json_put_ref(j->to, key, value);
}

/* Another object of parameters. */
static enum status
take_object(struct asking *a, struct slice text)
{
	struct joining j = { a->given, NULL };
	struct json   *doc = NULL;
	enum status    status = STATUS_DONE;

	if (json_parse(&doc, text) != ERR_OK || !json_is_object(doc))
		status = complain("the parameters are not a JSON object", "");
	json_each(doc, join, &j);
	if (j.twice != NULL)
		status = complain(j.twice, "is given twice");
	json_free(&doc);
	return status;
}

static enum status
take_input(struct asking *a)
{
	struct buf  text = { 0 };
	enum status status = STATUS_DONE;
	ssize_t     n = 1;

	while (n > 0 && text.n <= INPUT_MAX) {
		char *to = buf_room(&text, 65536);

		n = to != NULL ? read(STDIN_FILENO, to, 65536) : 0;
		if (n > 0)
			text.n += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (text.n > INPUT_MAX)
		status = complain("standard input is longer than a call", "");
	else if (slice_trim(buf_slice(&text)).n > 0)
		status = take_object(a, buf_slice(&text));
	buf_free(&text);
	return status;
}

/* --json and no parameters: they are in the pipe or file behind it. */
static bool
is_fed(const struct cli *cli)
{
	struct stat st;

	return cli->given & OPT_JSON && cli->nwords == 1 &&
	    fstat(STDIN_FILENO, &st) == 0 &&
	    (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode) ||
	        S_ISSOCK(st.st_mode));
}

static enum status
take_parameters(struct asking *a)
{
	const struct cli *cli = a->cli;
	enum status       status = STATUS_DONE;

	for (unsigned i = 1; i < cli->nwords && status == STATUS_DONE; i++) {
		const char *word = cli->words[i];

		if (strcmp(word, "-") == 0)
			status = take_input(a);
		else if (word[0] == '{')
			status = take_object(a, slice_of(word));
		else
			status = take_word(a, word);
	}
	if (status == STATUS_DONE && is_fed(cli))
		status = take_input(a);
	return status;
}

/* --- the call ------------------------------------------------------------------ */

/* What an operation by conversation has as a field of the call. */
static struct slice *
field(struct msg_call *c, const char *key)
{
	const struct {
		const char   *name;
		struct slice *to;
	} fields[] = {
		{ "conv", &c->conv }, { "text", &c->text }, { "msg", &c->msg },
		{ "event", &c->event }, { "ev", &c->ev },
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(key, fields[i].name) == 0)
			return fields[i].to;
	return NULL;
}

struct sorting {
	struct asking *asking;
	struct json   *with;
	const char    *wrong;
};

static void
sort_member(void *self, const char *key, const struct json *value)
{
	struct sorting  *s = self;
	struct msg_call *c = &s->asking->call;
	struct slice    *to = NULL;
	int64_t          n;

	if (s->asking->operation->makes != MAKES_PARAMS)
		to = field(c, key);
	if (to != NULL) {
		*to = json_text(value);
	} else if (s->asking->operation->makes != MAKES_PARAMS &&
	    (strcmp(key, "n") == 0 || strcmp(key, "deadline") == 0)) {
		if (!json_int(value, &n) || n < 0)
			s->wrong = key;
		else if (key[0] == 'n')
			c->n = (uint64_t)n;
		else
			c->deadline = n;
	} else {
		json_put_ref(s->with, key, value);
	}
}

static enum status
make_call(struct asking *a)
{
	struct sorting s = { a, json_new_object(), NULL };
	enum status    status = STATUS_DONE;

	a->call = (struct msg_call){ .id = slice_of(a->id),
		.bot = slice_of(a->bot),
		.do_ = slice_of(a->operation->name) };
	if (a->cli->given & OPT_TIMEOUT)
		a->call.deadline = loop_wall_ms() +
		    (int64_t)a->cli->number[OPT_NUMBER_TIMEOUT] * 1000;
	json_each(a->given, sort_member, &s);
	if (s.wrong != NULL)
		status = complain(s.wrong, "is a number");
	else if (json_to_msgpack(s.with, &a->with) != ERR_OK)
		status = complain("the parameters are too much", "");
	a->call.with = buf_slice(&a->with);
	json_free(&s.with);
	return status;
}

/* --- the bot --------------------------------------------------------------------- */

static void
use_bot(struct asking *a, const char *app)
{
	snprintf(a->bot, sizeof a->bot, "%s", app);
}

/* The simulator's, when no bot is set. */
static void
use_simulator(struct asking *a)
{
	const struct conf *c = &a->cli->conf;
	struct conf        sim;
	char               path[600];

	snprintf(path, sizeof path, "%s%s/sim.env",
	    c->sim_dir[0] != '\0' ? c->sim_dir : c->state_dir,
	    c->sim_dir[0] != '\0' ? "" : "/sim");
	if (access(path, R_OK) != 0)
		return;
	if (conf_load_file(&sim, CONF_C, path) != ERR_NOMEM && sim.nbots > 0)
		use_bot(a, sim.bots[0].qq_app_id);
	conf_free(&sim);
}

static enum status
choose_bot(struct asking *a)
{
	const struct conf *c = &a->cli->conf;

	if (a->cli->given & OPT_BOT)
		use_bot(a, a->cli->text[OPT_NUMBER_BOT]);
	else if (c->nbots == 1)
		use_bot(a, c->bots[0].qq_app_id);
	else if (c->nbots == 0)
		use_simulator(a);
	if (a->bot[0] != '\0')
		return STATUS_DONE;
	fputs("rookery call: which bot?  --bot APP_ID", stderr);
	for (size_t i = 0; i < c->nbots; i++)
		fprintf(stderr, "%s %s", i == 0 ? ":" : ",",
		    c->bots[i].qq_app_id);
	fputc('\n', stderr);
	return STATUS_USAGE;
}

/* --- the result -------------------------------------------------------------------- */

static void
print_whole(const struct msg_result *m, const struct json *data)
{
	struct json *o = json_new_object();

	json_put_bool(o, "ok", m->ok);
	if (!m->ok) {
		json_put_text(o, "code", m->code);
		json_put_text(o, "message", m->message);
	}
	if (data != NULL)
		json_put_ref(o, "data", data);
	json_put_int(o, "platform_code", (int64_t)m->platform_code);
	json_put_int(o, "status", (int64_t)m->status);
	json_put_text(o, "trace", m->trace);
	json_put_int(o, "tries", (int64_t)m->tries);
	table_put_json(stdout, o);
	json_free(&o);
}

static void
print_failure(const struct msg_result *m)
{
	fputs("rookery call: ", stderr);
	table_put_clean(stderr, m->code);
	fputs(": ", stderr);
	table_put_clean(stderr, m->message);
	if (m->platform_code != 0)
		fprintf(stderr, " (the platform's code %llu)",
		    (unsigned long long)m->platform_code);
	if (m->status != 0)
		fprintf(stderr, " (HTTP %llu)", (unsigned long long)m->status);
	if (m->trace.n > 0) {
		fputs(" trace ", stderr);
		table_put_clean(stderr, m->trace);
	}
	fputc('\n', stderr);
}

static void
on_result(void *self, msg_peer from, const struct msg_result *m)
{
	struct asking *a = self;
	struct json   *data = NULL;

	(void)from;
	if (!slice_is(m->id, a->id))
		return;
	a->over = true;
	if (m->data.n > 0)
		json_from_msgpack(&data, m->data);
	a->status = m->ok                        ? STATUS_DONE
	    : slice_is(m->code, "TIMEOUT")       ? STATUS_TIMEOUT
	    : slice_is(m->code, "BAD_ARG") ||
	        slice_is(m->code, "UNSUPPORTED") ? STATUS_USAGE
	                                         : STATUS_FAILED;
	if (a->cli->given & OPT_JSON)
		print_whole(m, data);
	else if (m->ok && data != NULL)
		table_put_json(stdout, data);
	else if (m->ok)
		puts("{}");
	else
		print_failure(m);
	json_free(&data);
}

/* --- apid ---------------------------------------------------------------------------- */

static void
give_up(struct asking *a, enum status status, const char *error,
    const char *why)
{
	a->over = true;
	a->status = status;
	fprintf(stderr, "rookery call: %s (%s)\n", why, a->url);
	if (a->cli->given & OPT_JSON)
		printf("{\"ok\":false,\"code\":\"%s\"}\n", error);
}

/* The answer to a peer it does not know: it is there.  Once it knows the call
 * a second one comes from another run of it, or over another pipe. */
static void
on_hello(void *self, msg_peer from, const struct msg_hello *m)
{
	struct asking *a = self;
	enum err       e;

	(void)from, (void)m;
	if (a->met) {
		give_up(a, STATUS_TIMEOUT, "TIMEOUT",
		    "apid was replaced meanwhile; what became of the call is "
		    "unknown");
		return;
	}
	a->met = true;
	e = bus_send(a->bus, (msg_peer){ NULL, 0 }, MSG_call, &a->call);
	if (e != ERR_OK)
		give_up(a, STATUS_FAILED, err_name(e), err_text(e));
}

static const struct msg_handlers takes = { .hello = on_hello,
	.result = on_result };

static enum status
meet(struct asking *a)
{
	struct cli        *cli = a->cli;
	struct msg_beat    beat = { 0 };
	struct bus_options o = { .side = BUS_CLIENT, .sends = MSG_API_UP,
		.takes = MSG_API_DOWN, .keys_dir = cli->conf.keys_dir,
		.name = "worker", .server = "api", .handlers = &takes,
		.self = a };
	enum err e = ERR_NOMEM;

	a->url = conf_bus(&cli->conf, cli->conf.bus_api, "api.sock");
	o.url = a->url;
	if (a->url != NULL && strncmp(a->url, "ipc://", 6) == 0 &&
	    access(a->url + 6, W_OK) != 0) {
		give_up(a, STATUS_NO_SUPERVISOR, "NO_API",
		    errno == EACCES ? "apid's socket is not for this user"
		                    : "apid does not run here: rookery up, or "
		                      "rookery start api");
		return a->status;
	}
	if (a->url == NULL || (e = loop_new(&a->loop)) != ERR_OK ||
	    (e = bus_open(&a->bus, a->loop, &o)) != ERR_OK ||
	    (e = bus_send(a->bus, (msg_peer){ NULL, 0 }, MSG_beat, &beat)) !=
	        ERR_OK) {
		fprintf(stderr, "rookery call: %s\n", err_text(e));
		return e == ERR_CONFIG ? STATUS_CONFIG : STATUS_FAILED;
	}
	return STATUS_DONE;
}

static void
await(struct asking *a)
{
	bool     timed = a->cli->given & OPT_TIMEOUT;
	uint64_t begun = loop_clock_ms(), now;
	uint64_t most = timed
	    ? a->cli->number[OPT_NUMBER_TIMEOUT] * 1000 + BEHIND_MS : ANSWER_MS;

	while (!a->over) {
		now = loop_clock_ms() - begun;
		if (!a->met && now >= MEET_MS)
			give_up(a, STATUS_NO_SUPERVISOR, "NO_API",
			    "apid does not answer");
		else if (now >= most)
			give_up(a, STATUS_TIMEOUT, "TIMEOUT",
			    "no result in time; what became of the call is "
			    "unknown");
		else if (loop_turn(a->loop, 200, NULL) != ERR_OK)
			give_up(a, STATUS_FAILED, "SYSTEM", strerror(errno));
	}
}

static enum status
ask(struct asking *a)
{
	enum status status;

	snprintf(a->id, sizeof a->id, "call:%d:%lld", (int)getpid(),
	    (long long)loop_wall_ms());
	if ((a->given = json_new_object()) == NULL)
		return STATUS_FAILED;
	if ((status = take_parameters(a)) != STATUS_DONE ||
	    (status = choose_bot(a)) != STATUS_DONE ||
	    (status = make_call(a)) != STATUS_DONE ||
	    (status = meet(a)) != STATUS_DONE)
		return status;
	await(a);
	return a->status;
}

enum status
command_call(struct cli *cli)
{
	struct asking a = { .cli = cli };
	enum status   status;

	if (cli->given & OPT_LIST)
		return explain_operations(cli);
	if (cli->nwords == 0)
		return complain("which operation?",
		    "rookery call --list prints all of them");
	a.operation = call_operation(slice_of(cli->words[0]));
	if (a.operation == NULL) {
		complain(cli->words[0], "there is no such operation");
		fputs("  rookery call --list prints all of them\n", stderr);
		return STATUS_USAGE;
	}
	status = ask(&a);
	bus_close(&a.bus);
	loop_free(&a.loop);
	buf_free(&a.with);
	json_free(&a.given);
	free(a.url);
	return status;
}
