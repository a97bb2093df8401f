/*
 * rookery chat: a conversation with the bot through the simulator, as its chat
 * page has it, on a terminal or in a pipe.  What a person types becomes an
 * event by POST /sim/event; what the bot makes of it comes by /sim/stream.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "frame.h"
#include "loop.h"
#include "table.h"
#include "web.h"

enum {
	PATIENCE_S = 10,         /* for the bot, and for what is outstanding */
	LINGER_MS = 300,         /* for what an answer may be followed by */
	LOOK_MS = 100, STATUS_MS = 10000, CHUNK = 65536,
	SHOWN_MAX = 256, ID_MAX = 128,
};

/* What the platform calls a place, and where an event has it. */
struct scope {
	const char *name, *letter, *member, *type;
};

static const struct scope scopes[] = {
	{ "c2c",     "u:", "user",    "C2C_MESSAGE_CREATE" },
	{ "group",   "g:", "group",   "GROUP_AT_MESSAGE_CREATE" },
	{ "channel", "c:", "channel", "AT_MESSAGE_CREATE" },
	{ "dm",      "d:", "guild",   "DIRECT_MESSAGE_CREATE" },
};

static const struct slice press_word = { "/press ", 7 };

/* A message of the bot that is on the screen. */
struct shown {
	char       id[ID_MAX];
	struct buf text;
	bool       growing;
};

/* Something of ours: what the bot may answer. */
struct asked {
	char id[ID_MAX];
	bool answered;
};

struct chat {
	struct cli         *cli;
	struct web          web;
	struct web_ear      ear;
	struct lines        typed;
	struct buf          held;          /* a press that waits for its button */
	const struct scope *scope;
	char                bot[64], place[ID_MAX + 2]; /* u:ID */
	char                user[ID_MAX], name[ID_MAX];
	int64_t             since_ms;      /* what is older is not for us */
	uint64_t            heard_ms, until_ms;
	struct shown        shown[SHOWN_MAX];
	size_t              nshown;        /* ever */
	struct shown       *line;          /* whose line has no end yet */
	struct asked       *asked;
	size_t              nasked;
	struct json        *board;         /* the latest with buttons */
	bool                ended, leaving, gone, terminal;
};

/* --- on the screen -------------------------------------------------------------- */

static void
end_line(struct chat *c)
{
	if (c->line != NULL)
		putchar('\n');
	c->line = NULL;
}

static void
note(struct chat *c, const char *what, struct slice about)
{
	end_line(c);
	fputs(c->cli->colour ? "\033[2m(" : "(", stdout);
	fputs(what, stdout);
	table_put_clean(stdout, about);
	puts(c->cli->colour ? ")\033[0m" : ")");
}

/* Its further lines stand below the first. */
static void
put_text(struct slice text)
{
	while (text.n > 0) {
		const char  *end = memchr(text.p, '\n', text.n);
		size_t       n = end != NULL ? (size_t)(end - text.p) : text.n;
		struct slice line = { text.p, n };

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		table_put_clean(stdout, line);
		if (end != NULL)
			fputs("\n     ", stdout);
		text = slice_from(text, n + (end != NULL));
	}
}

static void
put_who(const struct chat *c, const char *who)
{
	printf("%s%s:%s ", c->cli->colour ? "\033[32m" : "", who,
	    c->cli->colour ? "\033[0m" : "");
}

static struct shown *
find_shown(struct chat *c, struct slice id)
{
	for (size_t i = 0; i < c->nshown && i < SHOWN_MAX; i++)
		if (slice_is(id, c->shown[i].id))
			return &c->shown[i];
	return NULL;
}

static struct shown *
new_shown(struct chat *c, struct slice id)
{
	struct shown *s = &c->shown[c->nshown++ % SHOWN_MAX];

	if (c->line == s)
		end_line(c);
	buf_reset(&s->text);
	snprintf(s->id, sizeof s->id, "%.*s", (int)id.n, id.p);
	s->growing = false;
	return s;
}

/* --- what a message consists of --------------------------------------------------- */

static void
add_line(struct buf *to, const char *before, struct slice text,
    const char *after)
{
	if (to->n > 0)
		buf_puts(to, "\n");
	buf_puts(to, before);
	buf_put(to, text);
	buf_puts(to, after);
}

static void
add_if(struct buf *to, const char *before, struct slice text,
    const char *after)
{
	if (text.n > 0)
		add_line(to, before, text, after);
}

/* Words first, then the addresses of what cannot be shown here. */
static void
text_of(const struct json *m, struct buf *to)
{
	const struct json *body = json_get(m, "body");
	const struct json *fields = json_path(body, "embed.fields");
	struct slice       image = json_text_at(body, "image");
	struct slice       type = json_text_at(m, "media.type");

	if (json_get(body, "markdown") != NULL &&
	    json_path(body, "markdown.content") == NULL)
		add_line(to, "", json_print(json_get(body, "markdown")), "");
	add_if(to, "", json_text_at(body, "markdown.content"), "");
	add_if(to, "", json_text_at(body, "content"), "");
	add_if(to, "", json_text_at(body, "embed.title"), "");
	for (size_t i = 0; i < json_count(fields); i++)
		add_if(to, "", json_text_at(json_at(fields, i), "name"), "");
	if (json_get(body, "ark") != NULL)
		add_line(to, "[ark] ", json_print(json_get(body, "ark")), "");
	add_if(to, "[image] ", image, "");
	if (json_get(m, "media") != NULL) {
		add_line(to, "[", type.n > 0 ? type : SLICE("file"), "] ");
		buf_put(to, json_text_at(m, "media.url"));
	}
}

static const struct json *
rows_of(const struct json *m)
{
	const struct json *body = json_get(m, "body");
	const struct json *rows = json_path(body, "keyboard.content.rows");

	return rows != NULL ? rows
	    : json_path(body, "prompt_keyboard.keyboard.content.rows");
}

/* The nth, from 1; NULL: there are fewer. */
static const struct json *
button_at(const struct json *rows, size_t n)
{
	for (size_t i = 0; i < json_count(rows); i++) {
		const struct json *b = json_get(json_at(rows, i), "buttons");

		if (n <= json_count(b))
			return json_at(b, n - 1);
		n -= json_count(b);
	}
	return NULL;
}

static struct slice
label_of(const struct json *button)
{
	struct slice s = json_text_at(button, "render_data.label");

	return s.n > 0 ? s : json_text_at(button, "id");
}

static void
put_buttons(struct chat *c, const struct json *m)
{
	const struct json *rows = rows_of(m), *b;

	if (button_at(rows, 1) == NULL)
		return;
	json_free(&c->board);
	c->board = json_share(m);
	fputs("    ", stdout);
	for (size_t n = 1; (b = button_at(rows, n)) != NULL; n++) {
		printf(" [%zu] ", n);
		table_put_clean(stdout, label_of(b));
	}
	putchar('\n');
}

/* --- what comes ------------------------------------------------------------------- */

static struct asked *
find_asked(struct chat *c, struct slice id)
{
	for (size_t i = 0; id.n > 0 && i < c->nasked; i++)
		if (slice_is(id, c->asked[i].id))
			return &c->asked[i];
	return NULL;
}

/* What has been said of it stays, and what is new of it follows; if it became
 * another text, or something came between, it is shown whole at its end.
 * false: there is more to come of it. */
static bool
show_message(struct chat *c, const struct json *m)
{
	struct shown *s = find_shown(c, json_text_at(m, "id"));
	const struct json *over = json_path(m, "body.stream_over");
	struct buf    text = { 0 };
	bool          growing = over != NULL && !json_truth(over);
	bool          edited = s != NULL && !s->growing;
	struct slice  now;

	text_of(m, &text);
	now = buf_slice(&text);
	if (s == NULL)
		s = new_shown(c, json_text_at(m, "id"));
	if (c->line == s && slice_starts(now, buf_slice(&s->text))) {
		put_text(slice_from(now, s->text.n));
	} else if (!growing || s->text.n == 0) {
		end_line(c);
		put_who(c, edited ? "bot, edited" : "bot");
		put_text(now);
	}
	s->growing = growing;
	if (growing && (c->line == s || s->text.n == 0)) {
		c->line = s;
	} else if (!growing) {
		c->line = s;
		end_line(c);
		put_buttons(c, m);
	}
	buf_reset(&s->text);
	buf_put(&s->text, now);
	buf_free(&text);
	return !growing;
}

static void
on_message(struct chat *c, const struct json *m)
{
	struct asked *a = find_asked(c, json_text_at(m, "reply_to"));
	struct slice  t = json_text_at(m, "t");

	if (slice_is(json_text_at(m, "who"), "bot")) {
		if (show_message(c, m) && a != NULL)
			a->answered = true;
		return;
	}
	if (find_asked(c, json_text_at(m, "id")) != NULL ||
	    !(t.n > 15 && slice_is(slice_from(t, t.n - 14), "MESSAGE_CREATE")))
		return;
	end_line(c);
	table_put_clean(stdout, json_text_at(m, "name"));
	fputs(": ", stdout);
	put_text(json_text_at(m, "text"));
	putchar('\n');
}

static void
on_recall(struct chat *c, const struct json *m)
{
	struct shown *s = find_shown(c, json_text_at(m, "id"));
	struct buf    text = { 0 };

	if (s == NULL)
		return;
	buf_put(&text, buf_slice(&s->text));
	if (text.n > 40)
		text.n = 40;
	while (text.n > 0 && s->text.n > text.n &&
	    ((unsigned char)s->text.p[text.n] & 0xc0) == 0x80)
		text.n--;
	note(c, "the bot has recalled: ", buf_slice(&text));
	buf_free(&text);
}

/* What the platform's clients say for these codes. */
static void
on_ack(struct chat *c, const struct json *m)
{
	static const char *const words[] = { "done", "failed", "too often",
		"repeated", "no right", "admins only" };
	struct asked *a = find_asked(c, json_text_at(m, "id"));
	int64_t       code = 0;

	if (a == NULL)
		return;
	a->answered = true;
	json_int_at(m, "code", &code);
	if (code < 0 || code >= (int64_t)(sizeof words / sizeof *words))
		code = 1;
	note(c, "the button: ", slice_of(words[code]));
}

static void
on_text(struct chat *c, struct slice text)
{
	struct json *m = NULL;
	struct slice type;
	int64_t      at_ms = 0;

	if (json_parse(&m, text) != ERR_OK)
		return;
	type = json_text_at(m, "type");
	json_int_at(m, "at_ms", &at_ms);
	if (at_ms >= c->since_ms &&
	    slice_is(json_text_at(m, "bot"), c->bot) &&
	    slice_is(json_text_at(m, "conversation"), c->place)) {
		c->heard_ms = loop_clock_ms();
		if (slice_is(type, "chat"))
			on_message(c, m);
		else if (slice_is(type, "recall"))
			on_recall(c, m);
		else if (slice_is(type, "ack"))
			on_ack(c, m);
		fflush(stdout);
	}
	json_free(&m);
}

static void
hear(struct chat *c)
{
	struct slice text;
	enum err     e = web_read(&c->ear);

	while (e == ERR_OK && (e = web_next(&c->ear, &text)) == ERR_OK)
		on_text(c, text);
	c->gone = e != ERR_AGAIN;
}

/* --- what is typed ------------------------------------------------------------------ */

static void
remember(struct chat *c, struct slice id, bool answered)
{
	struct asked *more = realloc(c->asked,
	    (c->nasked + 1) * sizeof *more);

	if (more == NULL)
		return;
	c->asked = more;
	c->asked[c->nasked].answered = answered;
	snprintf(c->asked[c->nasked++].id, ID_MAX, "%.*s", (int)id.n,
	    id.n > 0 ? id.p : "");
}

static struct json *
event_of(const struct chat *c, const char *type)
{
	struct json *o = json_new_object();

	json_put_text(o, "bot", slice_of(c->bot));
	json_put_text(o, "scope", slice_of(c->scope->name));
	json_put_text(o, "t", slice_of(type));
	json_put_int(o, "expect", -1);
	json_put_text(o, "role", SLICE("member"));
	json_put_text(o, "name", slice_of(c->name));
	if (c->user[0] != '\0')
		json_put_text(o, "user", slice_of(c->user));
	json_put_text(o, c->scope->member, slice_of(c->place + 2));
	return o;
}

/* Takes the event. */
static void
give(struct chat *c, struct json *event)
{
	struct json *told = NULL;
	struct slice id, sent;
	int          status = 0;
	enum err     e = web_ask(&c->web, "POST", "/sim/event", event, &status,
	    &told);

	json_free(&event);
	sent = json_text_at(told, "sent");
	id = json_text_at(told, "interaction");
	if (id.n == 0)
		id = json_text_at(told, "msg");
	if (e != ERR_OK && e != ERR_SYNTAX)
		c->gone = true;
	else if (status != 200)
		note(c, "the simulator refused: ", json_text_at(told, "error"));
	else
		remember(c, id, slice_is(sent, "nobody"));
	if (slice_is(sent, "nobody"))
		note(c, "nobody received it: no bot is connected", SLICE(""));
	else if (slice_is(sent, "kept"))
		note(c, "the bot is away: kept until it resumes", SLICE(""));
	json_free(&told);
}

static void
say(struct chat *c, struct slice text)
{
	struct json *event = event_of(c, c->scope->type);

	json_put_text(event, "text", text);
	give(c, event);
}

/* May a member press it? */
static bool
is_allowed(const struct chat *c, const struct json *permission)
{
	const struct json *ids = json_get(permission, "specify_user_ids");
	int64_t            type = 2;

	json_int_at(permission, "type", &type);
	for (size_t i = 0; type == 0 && i < json_count(ids); i++)
		if (slice_is(json_text(json_at(ids, i)), c->user))
			return true;
	return type == 2 || (type == 1 && c->place[0] == 'u');
}

/* Groups are not told of which message the button is. */
static void
call_back(struct chat *c, const struct json *button, struct slice data)
{
	struct json *event = event_of(c, "INTERACTION_CREATE");
	struct json *with = json_new_object(), *d = json_new_object();
	struct json *resolved = json_new_object();

	json_put_text(resolved, "button_id", json_text_at(button, "id"));
	if (c->place[0] != 'g')
		json_put_text(resolved, "message_id",
		    json_text_at(c->board, "id"));
	json_put_take(d, "resolved", resolved);
	json_put_take(with, "data", d);
	json_put_take(event, "with", with);
	json_put_text(event, "button", data);
	give(c, event);
}

static void
press(struct chat *c, struct slice number)
{
	const struct json *b = NULL, *action;
	unsigned long long n;
	struct slice       data;
	int64_t            type = 1;

	if (slice_u64(slice_trim(number), &n) && n > 0)
		b = button_at(rows_of(c->board), (size_t)n);
	if (b == NULL) {
		note(c, c->board == NULL ? "no button has been shown"
		    : "there is no such button", SLICE(""));
		return;
	}
	action = json_get(b, "action");
	data = json_text_at(action, "data");
	json_int_at(action, "type", &type);
	if (!is_allowed(c, json_get(action, "permission")))
		note(c, "this button is not for you", SLICE(""));
	else if (type == 0)
		note(c, "the button opens ", data);
	else if (type == 1)
		call_back(c, b, data);
	else if (type == 2 && json_truth(json_get(action, "enter")) &&
	    c->place[0] == 'u')
		say(c, data);
	else if (type == 2)
		note(c, "the button would have you type: ", data);
	else
		note(c, "a button of this kind only works in QQ itself",
		    SLICE(""));
}

static void
on_line(struct chat *c, struct slice line)
{
	line = slice_trim(line);
	if (slice_is(line, "/quit"))
		c->leaving = true;
	else if (slice_starts(line, press_word))
		press(c, slice_from(line, press_word.n));
	else if (line.n > 0)
		say(c, line);
	fflush(stdout);
}

/* Once there is something, or the end. */
static void
read_typed(struct chat *c)
{
	char    chunk[CHUNK];
	ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		lines_put(&c->typed, (struct slice){ chunk, (size_t)n });
	else if (lines_left(&c->typed) > 0)     /* the last may lack its end */
		lines_put(&c->typed, SLICE("\n"));
	c->ended = n <= 0;
}

static uint64_t
patience_ms(const struct chat *c)
{
	return 1000 * (c->cli->given & OPT_TIMEOUT
	    ? c->cli->number[OPT_NUMBER_TIMEOUT] : PATIENCE_S);
}

static size_t
outstanding(const struct chat *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nasked; i++)
		n += !c->asked[i].answered;
	return n;
}

/* How long yet, in ms, until what is outstanding has come, or it was waited
 * for in vain; 0: no longer. */
static int
settle(struct chat *c)
{
	uint64_t now = loop_clock_ms(), until;

	if (c->until_ms == 0)
		c->until_ms = now + patience_ms(c);
	until = c->until_ms;
	if (outstanding(c) == 0 && c->heard_ms + LINGER_MS < until)
		until = c->heard_ms + LINGER_MS;
	return c->nasked > 0 && until > now ? (int)(until - now) : 0;
}

/* One line of what was typed, so that what comes is read in between; false:
 * there is none.  In a script a button is pressed once it is there. */
static bool
take_line(struct chat *c)
{
	struct slice line;
	enum err     e = ERR_OK;

	if (c->leaving || (c->held.n > 0 && settle(c) > 0))
		return false;
	if (c->held.n > 0)
		line = buf_slice(&c->held);
	else
		e = lines_next(&c->typed, &line);
	if (e == ERR_OK && c->held.n == 0 && !c->terminal &&
	    slice_starts(line, press_word) && settle(c) > 0) {
		buf_put(&c->held, line);
		return false;
	}
	if (e == ERR_OK)
		on_line(c, line);
	else if (e == ERR_TOO_LARGE)
		note(c, "a line of more than 1 MiB: the end", SLICE(""));
	buf_reset(&c->held);
	c->until_ms = 0;
	c->leaving |= e == ERR_AGAIN ? c->ended : e != ERR_OK;
	return e == ERR_OK;
}

/* --- the conversation ------------------------------------------------------------------ */

static enum status
talk(struct chat *c)
{
	size_t left;

	while (!c->gone && (!c->leaving || settle(c) > 0)) {
		bool          typed = take_line(c);
		bool          waits = c->leaving || c->held.n > 0;
		struct pollfd f[] = { { c->ear.fd, POLLIN, 0 },
			{ typed || waits ? -1 : STDIN_FILENO, POLLIN, 0 } };

		if (poll(f, 2, typed ? 0 : waits ? settle(c) : -1) < 0 &&
		    errno != EINTR)
			break;
		if (f[0].revents != 0)
			hear(c);
		if (f[1].revents != 0 && !c->gone)
			read_typed(c);
	}
	end_line(c);
	fflush(stdout);
	if (c->gone) {
		fputs("rookery: the simulator has gone\n"
		      "  start it again:  rookery up --sim\n", stderr);
		return STATUS_NO_SUPERVISOR;
	}
	if ((left = outstanding(c)) == 0)
		return STATUS_DONE;
	fprintf(stderr, "rookery: %zu message%s without an answer\n", left,
	    left > 1 ? "s" : "");
	return STATUS_TIMEOUT;
}

/* --- with whom, and as whom --------------------------------------------------------------- */

/* Where the simulator is; its absence is explained. */
static enum status
find_simulator(struct chat *c)
{
	struct link  link;
	struct json *a = NULL;
	struct slice url;
	enum status  status = cli_connect(c->cli, &link);
	enum err     e;

	if (status != STATUS_DONE)
		return status;
	if ((e = link_send(&link, cli_request("status"))) == ERR_OK)
		e = link_next(&link, STATUS_MS, &a);
	link_close(&link);
	url = json_text_at(a, "chat");
	if (e != ERR_OK) {
		fprintf(stderr, "rookery: the supervisor: %s\n", err_text(e));
		status = e == ERR_TIMEOUT ? STATUS_TIMEOUT : STATUS_FAILED;
	} else if (url.n == 0) {
		fputs("rookery: no simulator runs here: this system talks to "
		      "the platform, where people write to the bot in QQ\n"
		      "  to try it here:  rookery stop, then rookery up --sim\n",
		    stderr);
		status = STATUS_NO_SUPERVISOR;
	} else if (!web_at(&c->web, url)) {
		fprintf(stderr, "rookery: the simulator is at %.*s, and this "
		    "is for plain http only (ROOKERY_SIM_TLS=no); a browser "
		    "can go there\n", (int)url.n, url.p);
		status = STATUS_FAILED;
	}
	json_free(&a);
	return status;
}

/* c2c, dm, group, channel, or one of these with :ID. */
static enum status
read_scope(struct chat *c, const char *in)
{
	size_t n = strcspn(in, ":");

	for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
		if (strlen(scopes[i].name) == n &&
		    strncmp(scopes[i].name, in, n) == 0)
			c->scope = &scopes[i];
	if (c->scope == NULL || (in[n] == ':' && (in[n + 1] == '\0' ||
	    c->scope == &scopes[0])) || strlen(in + n) >= ID_MAX) {
		fprintf(stderr, "rookery: --in %.100s: is c2c, dm, group:ID or "
		    "channel:ID (--as says which user)\n", in);
		return STATUS_USAGE;
	}
	snprintf(c->place, sizeof c->place, "%s%s", c->scope->letter,
	    in[n] == ':' ? in + n + 1 : "");
	return STATUS_DONE;
}

static enum status
choose_bot(struct chat *c, const struct json *bots)
{
	const char *wanted = c->cli->given & OPT_BOT
	    ? c->cli->text[OPT_NUMBER_BOT] : NULL;
	size_t      n = json_count(bots);

	for (size_t i = 0; i < n; i++) {
		struct slice id = json_text_at(json_at(bots, i), "bot");

		if (wanted != NULL ? slice_is(id, wanted) : n == 1)
			snprintf(c->bot, sizeof c->bot, "%.*s", (int)id.n,
			    id.p);
	}
	if (c->bot[0] != '\0')
		return STATUS_DONE;
	fprintf(stderr, "rookery: %s; --bot is one of", wanted != NULL
	    ? "the simulator has no such bot" : "there are several bots");
	for (size_t i = 0; i < n; i++) {
		struct slice id = json_text_at(json_at(bots, i), "bot");

		fprintf(stderr, " %.*s", (int)id.n, id.p);
	}
	fputc('\n', stderr);
	return STATUS_USAGE;
}

static void
keep_text(char *to, size_t size, struct slice s)
{
	snprintf(to, size, "%.*s", (int)s.n, s.n > 0 ? s.p : "");
}

/* Of what the simulator knows of this kind, that which is called so, or goes by
 * this id; NULL, where nothing is said, stands for the one whose id is the
 * first of those that have a name: it lists them in no order. */
static const struct json *
known_as(const struct chat *c, const struct json *known, const char *scope,
    const char *who)
{
	const struct json *best = NULL;

	for (size_t i = 0; i < json_count(known); i++) {
		const struct json *k = json_at(known, i);
		struct slice       id = json_text_at(k, "id");
		struct slice       name = json_text_at(k, "name");
		struct slice       first = json_text_at(best, "id");

		if (!slice_is(json_text_at(k, "bot"), c->bot) ||
		    !slice_is(json_text_at(k, "scope"), scope))
			continue;
		if (who != NULL ? slice_is(id, who) || slice_is(name, who)
		    : name.n > 0 && (best == NULL || strncmp(id.p, first.p,
		        id.n < first.n ? id.n : first.n) < 0))
			best = k;
	}
	return best;
}

static enum status
choose_place(struct chat *c, const struct json *known)
{
	const char        *as = c->cli->given & OPT_AS
	        ? c->cli->text[OPT_NUMBER_AS] : NULL;
	const struct json *user = known_as(c, known, "c2c", as), *place;

	/* In guilds people have other ids; the simulator has one to give. */
	if (as != NULL || c->scope == &scopes[0] || c->scope == &scopes[1])
		keep_text(c->user, ID_MAX, json_text_at(user, "id"));
	keep_text(c->name, ID_MAX, json_text_at(user, "name"));
	if (as != NULL && c->user[0] == '\0')
		keep_text(c->user, ID_MAX, slice_of(as));
	if (as != NULL && c->name[0] == '\0')
		keep_text(c->name, ID_MAX, slice_of(as));
	if (c->scope == &scopes[0]) {
		keep_text(c->place + 2, ID_MAX, slice_of(c->user));
	} else if (c->place[2] == '\0') {
		place = known_as(c, known, c->scope->name, NULL);
		keep_text(c->place + 2, ID_MAX, json_text_at(place, "id"));
	}
	if (c->place[2] != '\0')
		return STATUS_DONE;
	fprintf(stderr, "rookery: the simulator names no %s: say %s\n",
	    c->scope->name, c->scope == &scopes[0] ? "--as USER"
	    : "--in PLACE with an id");
	return STATUS_USAGE;
}

static bool
is_online(const struct chat *c, const struct json *bots)
{
	for (size_t i = 0; i < json_count(bots); i++) {
		const struct json *b = json_at(bots, i);
		const struct json *s = json_get(b, "sessions");

		if (!slice_is(json_text_at(b, "bot"), c->bot))
			continue;
		if (json_text_at(b, "webhook").n > 0)
			return true;
		for (size_t k = 0; k < json_count(s); k++)
			if (json_truth(json_get(json_at(s, k), "live")))
				return true;
	}
	return false;
}

/* The state of the simulator; a bot that is only being started is waited for,
 * since what it does not receive is lost. */
static enum status
meet(struct chat *c)
{
	uint64_t    until = loop_clock_ms() + patience_ms(c);
	enum status status = STATUS_DONE;
	bool        online = false;

	while (status == STATUS_DONE && !online) {
		struct json *state = NULL;
		int          code = 0;
		enum err     e = web_ask(&c->web, "GET", "/sim/state", NULL,
		    &code, &state);

		if (e != ERR_OK || code != 200) {
			fprintf(stderr, "rookery: the simulator at %s:%s: %s\n",
			    c->web.host, c->web.port, e != ERR_OK ? err_text(e)
			    : "it does not know /sim/state");
			status = STATUS_FAILED;
		} else if (c->bot[0] == '\0') {
			status = choose_bot(c, json_get(state, "bots"));
			if (status == STATUS_DONE)
				status = choose_place(c, json_get(state,
				    "conversations"));
		}
		online = loop_clock_ms() >= until ||
		    is_online(c, json_get(state, "bots"));
		json_free(&state);
		if (status == STATUS_DONE && !online)
			poll(NULL, 0, LOOK_MS);
	}
	return status;
}

static enum status
listen_in(struct chat *c)
{
	struct timespec now;
	enum err        e;

	clock_gettime(CLOCK_REALTIME, &now);
	c->since_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if ((e = web_listen(&c->ear, &c->web, "/sim/stream")) != ERR_OK) {
		fprintf(stderr, "rookery: the simulator's stream: %s\n",
		    err_text(e));
		return STATUS_FAILED;
	}
	if (c->terminal)
		printf("you are %s in %s %s; /press N presses a button, /quit "
		    "leaves\n", c->name[0] != '\0' ? c->name : "nobody known",
		    c->scope->name, c->place + 2);
	return STATUS_DONE;
}

enum status
command_chat(struct cli *cli)
{
	struct chat c = { .cli = cli, .ear = { .fd = -1 },
		.terminal = isatty(STDIN_FILENO) };
	enum status status = read_scope(&c, cli->given & OPT_IN
	    ? cli->text[OPT_NUMBER_IN] : "c2c");

	if (status == STATUS_DONE)
		status = find_simulator(&c);
	if (status == STATUS_DONE)
		status = meet(&c);
	if (status == STATUS_DONE)
		status = listen_in(&c);
	if (status == STATUS_DONE)
		status = talk(&c);
	web_close(&c.ear);
	for (size_t i = 0; i < SHOWN_MAX; i++)
		buf_free(&c.shown[i].text);
	lines_free(&c.typed);
	buf_free(&c.held);
	free(c.asked);
	json_free(&c.board);
	return status;
}
