/*
 * The control interface: what a test, a person or the chat page asks of the
 * simulator beside the platform's own API.  controls.def is the table.
 */
#include "sim.h"

#include <stdlib.h>

#include "talk.h"


enum { EVENTS_LISTED = 10000, MESSAGES_LISTED = 1000,
	CONVERSATIONS_LISTED = 200, EVENTS_AT_ONCE = 100000 };

struct ask {
	struct sim           *sim;
	struct exchange      *exchange;
	const struct request *request;
	const struct json    *body;       /* NULL for GET and DELETE */
	struct bot           *bot;        /* as named, or the first */
};

/* --- answering ---------------------------------------------------------- */

void
control_answer(struct exchange *x, int status, struct json *j)
{
	exchange_answer(x, status, "application/json",
	    SLICE("Cache-Control: no-store\r\n"), json_print(j));
	json_free(&j);
}

void
control_failed(struct exchange *x, int status, const char *why)
{
	struct json *j = json_new_object();

	json_put_text(j, "error", slice_of(why));
	control_answer(x, status, j);
}

static void
failed(struct ask *a, const char *why)
{
	control_failed(a->exchange, 400, why);
}

static void
done(struct ask *a)
{
	struct json *j = json_new_object();

	json_put_bool(j, "ok", true);
	control_answer(a->exchange, 200, j);
}

static struct slice
member(const struct ask *a, const char *name)
{
	return json_text(json_get(a->body, name));
}

/* false: it is there and not a number within these bounds. */
static bool
number(const struct ask *a, const char *name, int64_t min, int64_t max,
    int64_t *out)
{
	const struct json *v = json_get(a->body, name);

	return v == NULL || (json_int(v, out) && *out >= min && *out <= max);
}

/* --- state -------------------------------------------------------------- */

static struct json *
session_json(const struct session *s)
{
	struct json *j = json_new_object();

	json_put_text(j, "session", slice_of(s->id));
	json_put_int(j, "shard", s->shard);
	json_put_int(j, "shards", s->shards);
	json_put_int(j, "intents", s->intents);
	json_put_bool(j, "live", s->conn != NULL);
	json_put_bool(j, "stalled", s->conn != NULL && s->conn->stalled);
	json_put_int(j, "sent_s", (int64_t)s->sent_s);
	json_put_int(j, "waiting", (int64_t)(s->next_s - s->cursor));
	return j;
}

static struct json *
bot_json(struct bot *b)
{
	struct json *j = json_new_object(), *sessions = json_new_array();
	int64_t      reset_ms;

	json_put_text(j, "bot", slice_of(b->app_id));
	json_put_text(j, "name", slice_of(b->name));
	json_put_text(j, "user_id", slice_of(b->user_id));
	json_put_int(j, "granted", b->granted);
	json_put_int(j, "identify_remaining", (int64_t)bot_remaining(b,
	    sim_now_us() / 1000, &reset_ms));
	json_put_text(j, "webhook", slice_of(webhook_url(b)));
	for (const struct session *s = b->sessions; s != NULL; s = s->next)
		json_push_take(sessions, session_json(s));
	json_put_take(j, "sessions", sessions);
	return j;
}

static struct json *
conversations_json(const struct ledger *l)
{
	struct json               *list = json_new_array();
	const struct conversation *c;
	size_t                     at = 0, n = 0;

	while (n < CONVERSATIONS_LISTED &&
	    (c = map_next(&l->conversations, &at)) != NULL) {
		struct json *j;

		if (c->scope == SCOPE_OTHER)
			continue;
		j = json_new_object();
		json_put_text(j, "bot", slice_of(c->bot));
		json_put_text(j, "conversation",
		    slice_of(strchr(c->key, '/') + 1));
		json_put_text(j, "scope", slice_of(scope_name(c->scope)));
		json_put_text(j, "id", slice_of(c->id));
		json_put_text(j, "name", slice_of(c->name));
		json_put_int(j, "events", (int64_t)c->events);
		json_push_take(list, j);
		n++;
	}
	return list;
}

static void
control_state(struct ask *a)
{
	struct sim  *s = a->sim;
	struct json *j = json_new_object(), *bots = json_new_array();

	json_put_text(j, "url", slice_of(s->origin));
	for (size_t i = 0; i < s->platform.nbots; i++)
		json_push_take(bots, bot_json(s->platform.bots[i]));
	json_put_take(j, "bots", bots);
	json_put_take(j, "conversations",
	    conversations_json(&s->platform.ledger));
	json_put_take(j, "load", load_json(s));
	control_answer(a->exchange, 200, j);
}

/* --- events ------------------------------------------------------------- */

static void
told_answer(struct ask *a, const struct event_told *t)
{
	struct json *j = json_new_object();

	json_put_text(j, "msg", slice_of(t->event->msg));
	json_put_text(j, "event", slice_of(t->event->event));
	json_put_text(j, "interaction", slice_of(t->event->interaction));
	json_put_int(j, "serial", (int64_t)t->event->serial);
	json_put_text(j, "sent", slice_of(sent_name(t->sent)));
	control_answer(a->exchange, 200, j);
}

static void
event_verbatim(struct ask *a, int64_t expect)
{
	struct event_ask  e = { .bot = a->bot, .type = member(a, "t"),
		.id = member(a, "id"), .d = json_get(a->body, "d"),
		.expect = (int)expect };
	struct event_told told;

	e.kind = kind_of(e.type);
	if (inject_event(a->sim, &e, NULL, sim_now_us(), &told) != ERR_OK)
		failed(a, "an id is too long, or there is no room");
	else
		told_answer(a, &told);
}

/* Forms with blanks or commas between them; false: no such form. */
static bool
read_odd(struct slice text, unsigned *odd)
{
	size_t from = 0;

	for (size_t i = 0; i <= text.n; i++) {
		struct slice word = { text.p + from, i - from };
		enum odd     one;

		if (i < text.n && text.p[i] != ' ' && text.p[i] != ',')
			continue;
		from = i + 1;
		if (word.n == 0)
			continue;
		if (!odd_of(word, &one))
			return false;
		*odd |= 1u << one;
	}
	return true;
}

/* NULL: they can be used. */
static const char *
read_words(struct ask *a, struct words *w)
{
	struct slice scope = member(a, "scope");
	bool         scoped = scope_of(scope, &w->scope) &&
	    w->scope != SCOPE_OTHER;

	if (!scoped && (w->type.n == 0 || scope.n > 0))
		return "scope is c2c, group, channel or dm";
	if (!scoped)
		w->scope = SCOPE_OTHER;
	if (w->type.n > 0 && kind_of(w->type) == &kind_unknown)
		return "t is no kind of event that has a sample: give d";
	if (w->with != NULL && !json_is_object(w->with))
		return "with is not an object";
	if (!read_odd(member(a, "odd"), &w->odd))
		return "odd names a form that there is not";
	if (!number(a, "emoji_type", 1, 2, &w->emoji_type))
		return "emoji_type is 1 or 2";
	return NULL;
}

static void
event_words(struct ask *a, int64_t expect)
{
	bool         typed = member(a, "t").n > 0;
	struct words w = { .bot = a->bot, .type = member(a, "t"),
		.user = member(a, "user"), .group = member(a, "group"),
		.channel = member(a, "channel"), .guild = member(a, "guild"),
		.name = member(a, "name"), .role = member(a, "role"),
		.text = member(a, "text"), .button = member(a, "button"),
		.message = member(a, "message"), .emoji = member(a, "emoji"),
		.with = json_get(a->body, "with"), .expect = (int)expect };
	struct event_told told;
	const char       *why = read_words(a, &w);
	int64_t           count = 1;

	/* The envelope's id, or without t the message's. */
	*(typed ? &w.event : &w.id) = member(a, "id");
	if (why == NULL && !number(a, "count", 1, EVENTS_AT_ONCE, &count))
		why = "count is a number from 1 to 100000";
	while (why == NULL && count-- > 0)
		if (inject_words(a->sim, &w, sim_now_us(), &told) != ERR_OK)
			why = "an id is too long, or there is no room";
	if (why != NULL)
		failed(a, why);
	else
		told_answer(a, &told);
}

static void
control_event(struct ask *a)
{
	bool         typed = json_get(a->body, "t") != NULL;
	int64_t      expect = typed ? 0 : 1;
	struct slice t = member(a, "t");
	struct json *j;

	if (!number(a, "expect", -1, 100, &expect)) {
		failed(a, "expect is a number from -1 to 100");
	} else if (json_get(a->body, "raw") != NULL) {
		j = json_new_object();
		json_put_int(j, "sockets", gate_raw(&a->sim->platform, a->bot,
		    member(a, "raw")));
		control_answer(a->exchange, 200, j);
	} else if (typed && (t.n == 0 || t.n > 64)) {
		failed(a, "t is not an event type");
	} else if (typed && json_member_text(a->request->body, "d").n > 0) {
		event_verbatim(a, expect);
	} else {
		event_words(a, expect);
	}
}

/* Every kind, with d as it is without further words. */
static void
control_event_list(struct ask *a)
{
	struct json       *j = json_new_object(), *kinds = json_new_array();
	struct json       *forms = json_new_object();
	const struct kind *k;

	for (size_t i = 0; (k = kind_at(i)) != NULL; i++) {
		struct words w = { .bot = a->bot, .scope = SCOPE_OTHER,
			.type = slice_of(k->type) };
		struct json *row = json_new_object();
		struct json *d = inject_sample(a->sim, &w, sim_now_us());
		struct slice target;

		json_put_text(row, "t", slice_of(k->type));
		json_put_int(row, "intent", k->intent);
		json_put_text(row, "scope",
		    slice_of(scope_name(kind_target(k, d, &target))));
		json_put_take(row, "d", d);
		json_push_take(kinds, row);
	}
	for (unsigned i = 0; i < ODDS; i++)
		json_put_text(forms, odd_name((enum odd)i),
		    slice_of(odd_meaning((enum odd)i)));
	json_put_take(j, "kinds", kinds);
	json_put_take(j, "odd", forms);
	control_answer(a->exchange, 200, j);
}

/* A person uploads something. */
static void
control_file(struct ask *a)
{
	struct file_new    n = { .name = member(a, "name") };
	const struct file *f;
	struct json       *j;
	char               url[400];

	if (n.name.n == 0 || n.name.n > 255) {
		failed(a, "name is the file's name");
		return;
	}
	if (show_keep_file(a->sim, &n, member(a, "data"), &f) != ERR_OK) {
		failed(a, "data is not base64, or too much");
		return;
	}
	show_file_url(a->sim, f, url, sizeof url);
	j = json_new_object();
	json_put_text(j, "url", slice_of(url));
	json_put_text(j, "filename", n.name);
	json_put_text(j, "content_type",
	    slice_of(files_attachment_type(f->type)));
	json_put_int(j, "size", (int64_t)f->n);
	control_answer(a->exchange, 200, j);
}

/* --- messages ----------------------------------------------------------- */

static struct json *
message_json(const struct message *m)
{
	struct json *j = json_new_object(), *body = NULL;

	json_put_int(j, "serial", (int64_t)m->serial);
	json_put_text(j, "bot", slice_of(m->conversation->bot));
	json_put_text(j, "conversation",
	    slice_of(strchr(m->conversation->key, '/') + 1));
	json_put_text(j, "id", slice_of(m->id));
	json_put_int(j, "event", (int64_t)m->event);
	json_put_int(j, "msg_seq", m->seq);
	json_put_int(j, "at_ms", m->at_wall_ms);
	json_put_bool(j, "recalled", m->recalled);
	if (m->body != NULL &&
	    json_parse(&body, slice_of(m->body)) == ERR_OK) {
		json_put_text(j, "text", send_words(body));
		json_put_take(j, "body", body);
	}
	return j;
}

static void
control_messages(struct ask *a)
{
	const struct ledger *l = &a->sim->platform.ledger;
	struct slice         which = request_query(a->request, "conversation");
	unsigned long long   after = 0, limit = MESSAGES_LISTED;
	struct json         *j = json_new_object(), *list = json_new_array();

	slice_u64(request_query(a->request, "after"), &after);
	slice_u64(request_query(a->request, "limit"), &limit);
	if (l->next_message > LEDGER_MESSAGES &&
	    after < l->next_message - LEDGER_MESSAGES)
		after = l->next_message - LEDGER_MESSAGES;
	for (uint64_t i = after + 1; i < l->next_message && limit > 0; i++) {
		const struct message *m = &l->messages[i % LEDGER_MESSAGES];

		if (m->serial != i || (which.n > 0 && !slice_is(which,
		    strchr(m->conversation->key, '/') + 1)))
			continue;
		json_push_take(list, message_json(m));
		limit--;
	}
	json_put_take(j, "messages", list);
	control_answer(a->exchange, 200, j);
}

/* --- the ledger --------------------------------------------------------- */

struct json *
sim_report(const struct sim *s)
{
	const struct platform *p = &s->platform;
	struct json           *j = ledger_json(&p->ledger);
	struct json           *faults = json_new_object();

	for (unsigned i = 0; i < FAULT_COUNT; i++)
		if (p->faults.struck[i] > 0)
			json_put_int(faults, fault_infos[i].name,
			    (int64_t)p->faults.struck[i]);
	json_put_take(j, "faults", faults);
	json_put_take(j, "load", load_json(s));
	return j;
}

static void
control_report(struct ask *a)
{
	static const struct {
		const char      *word;
		enum ledger_rows rows;
	} words[] = { { "1", ROWS_ALL }, { "missing", ROWS_MISSING },
		{ "doubled", ROWS_DOUBLED }, { "kept", ROWS_KEPT } };
	struct json *j = sim_report(a->sim);
	struct slice events = request_query(a->request, "events");

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (slice_is(events, words[i].word))
			json_put_take(j, "events", ledger_rows_json(
			    &a->sim->platform.ledger, words[i].rows,
			    EVENTS_LISTED));
	control_answer(a->exchange, 200, j);
}

static void
control_wait(struct ask *a)
{
	wait_on_request(a->sim, a->exchange, a->request);
}

static void
control_reset(struct ask *a)
{
	struct sim *s = a->sim;

	load_stop(s);
	faults_clear(&s->platform.faults);
	memset(s->platform.faults.struck, 0,
	    sizeof s->platform.faults.struck);
	s->platform.faults.strikes = 0;
	gate_heal(&s->platform, sim_now_us() / 1000);
	ledger_reset(&s->platform.ledger);
	wire_reset(s->wire);
	memset(s->asked, 0, ROUTES * sizeof *s->asked);
	audits_close(&s->audits);
	for (size_t i = 0; i < s->platform.nbots; i++)
		talks_close(&s->platform.bots[i]->talks);
	stream_forget(&s->stream);
	done(a);
}

/* --- load --------------------------------------------------------------- */

static bool
read_load(struct ask *a, struct load *l)
{
	struct slice prefix = member(a, "prefix");
	int64_t count = 0, outstanding = 0, rate = 0, conversations = 64;

	if (!number(a, "count", 1, 1000000000, &count) ||
	    !number(a, "outstanding", 1, 100000, &outstanding) ||
	    !number(a, "rate", 1, 1000000, &rate) ||
	    !number(a, "conversations", 1, LEDGER_CONVERSATIONS / 2,
	        &conversations) || count == 0 ||
	    (outstanding == 0) == (rate == 0) ||
	    prefix.n >= sizeof l->prefix || member(a, "text").n > 400)
		return false;
	l->count = (uint64_t)count;
	l->outstanding = (uint64_t)outstanding;
	l->rate = (uint64_t)rate;
	l->conversations = (uint64_t)conversations;
	if (prefix.n == 0)
		prefix = SLICE("10000");
	memcpy(l->prefix, prefix.p, prefix.n);
	return true;
}

static void
control_load(struct ask *a)
{
	struct load  l = { .bot = a->bot, .scope = SCOPE_C2C };
	struct slice scope = member(a, "scope"), text = member(a, "text");

	if (!read_load(a, &l)) {
		failed(a, "give count, and either outstanding or rate");
		return;
	}
	if (slice_is(scope, "all")) {
		l.scope = SCOPE_OTHER;
	} else if (scope.n > 0 && (!scope_of(scope, &l.scope) ||
	    l.scope == SCOPE_OTHER)) {
		failed(a, "scope is c2c, group, channel, dm or all");
		return;
	}
	l.text = slice_dup(text.n > 0 ? text : SLICE("load"));
	if (l.text == NULL || load_start(a->sim, &l) != ERR_OK) {
		control_failed(a->exchange, 500, "out of memory, or room");
		return;
	}
	control_answer(a->exchange, 200, load_json(a->sim));
}

static void
control_load_stop(struct ask *a)
{
	load_stop(a->sim);
	control_answer(a->exchange, 200, load_json(a->sim));
}

/* --- faults ------------------------------------------------------------- */

static void
control_fault_list(struct ask *a)
{
	struct json *j = json_new_object(), *known = json_new_array();

	for (unsigned i = 0; i < FAULT_COUNT; i++) {
		const struct fault_info *f = &fault_infos[i];
		struct json             *k = json_new_object();

		json_put_text(k, "fault", slice_of(f->name));
		json_put_text(k, "when", slice_of(f->point_name));
		json_put_text(k, "takes", slice_of(f->arguments));
		json_put_text(k, "meaning", slice_of(f->meaning));
		json_push_take(known, k);
	}
	json_put_take(j, "active", faults_json(&a->sim->platform.faults,
	    sim_now_us() / 1000));
	json_put_take(j, "known", known);
	control_answer(a->exchange, 200, j);
}

static void
tell_fault(struct sim *s, const struct fault *f)
{
	struct json *j = json_new_object();

	json_put_text(j, "type", SLICE("fault"));
	json_put_int(j, "at_ms", sim_wall_ms(s, sim_now_us()));
	json_put_text(j, "fault", slice_of(fault_infos[f->name].name));
	stream_put(&s->stream, j);
}

/* One of a list, or the one; parse only, or act. */
static const char *
each_fault(struct ask *a, bool act)
{
	bool        many = json_is_array(a->body);
	size_t      n = many ? json_count(a->body) : 1;
	int64_t     now_ms = sim_now_us() / 1000;
	const char *why;

	if (n > FAULTS_MAX)
		return "too many faults";
	for (size_t i = 0; i < n; i++) {
		struct fault f;

		if (fault_parse(&f, many ? json_at(a->body, i) : a->body,
		        now_ms, &why) != ERR_OK)
			return why;
		if (!act)
			continue;
		if (fault_infos[f.name].point == POINT_NOW)
			gate_fault(&a->sim->platform, &f, now_ms);
		else if (faults_arm(&a->sim->platform.faults, &f) != ERR_OK)
			return "too many faults";
		tell_fault(a->sim, &f);
	}
	return NULL;
}

static void
control_fault_add(struct ask *a)
{
	const char *why;

	if ((why = each_fault(a, false)) != NULL ||
	    (why = each_fault(a, true)) != NULL)
		failed(a, why);
	else
		done(a);
}

static void
control_fault_clear(struct ask *a)
{
	faults_clear(&a->sim->platform.faults);
	gate_heal(&a->sim->platform, sim_now_us() / 1000);
	done(a);
}

/* --- bots --------------------------------------------------------------- */

static bool
set_numbers(struct ask *a, struct bot *b)
{
	const struct {
		const char *name;
		uint64_t   *at;
		int64_t     min, max;
	} rows[] = {
		{ "token_life_s", &b->tokens.life_ms, 1, 7200 },
		{ "heartbeat_ms", &b->heartbeat_ms, 50, 3600000 },
		{ "frames_per_s", &b->frames_per_s, 1, 1000000 },
		{ "identify_total", &b->identify_total, 0, 1000000 },
		{ "max_concurrency", &b->max_concurrency, 0, PACE_MAX },
		{ "shards", &b->shards, 1, 4096 },
		{ "resume_window_ms", &b->resume_window_ms, 0, DAY_MS },
		{ "resume_refusal", &b->resume_refusal, 0, 4999 },
		{ "c2c_window_s", &b->rules.c2c_window_s, 0, 86400 },
		{ "group_window_s", &b->rules.group_window_s, 0, 86400 },
		{ "c2c_replies", &b->rules.c2c_replies, 1, 1000 },
		{ "group_replies", &b->rules.group_replies, 1, 1000 },
		{ "block_size", &b->media.block_size, 1, UPLOAD_MAX },
		{ "index_base", &b->media.index_base, 0, 1 },
		{ "upload_numbers", &b->media.numbers, 0, 1 },
		{ "upload_concurrency", &b->media.concurrency, 1, 64 },
		{ "upload_retry_s", &b->media.retry_timeout_s, 0, 3600 },
		{ "url_life_s", &b->media.url_life_s, 0, 86400 },
		{ "file_ttl_s", &b->media.ttl_s, 0, 86400 },
		{ "image_max", &b->media.image_max, 1, BODY_MAX },
		{ "stream_gap_ms", &b->stream_gap_ms, 0, 60000 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t n = -1;

		if (!number(a, rows[i].name, rows[i].min, rows[i].max, &n))
			return false;
		if (n >= 0)
			*rows[i].at = rows[i].at == &b->tokens.life_ms
			    ? (uint64_t)n * 1000 : (uint64_t)n;
	}
	return true;
}

static bool
set_words(struct ask *a, struct bot *b)
{
	struct slice pace = member(a, "identify_pace");
	struct slice name = member(a, "name");
	int64_t      remaining = -1, granted = -1;

	if (!number(a, "identify_remaining", 0, 1000000, &remaining) ||
	    !number(a, "granted", 0, UINT32_MAX, &granted) ||
	    (pace.n > 0 && !slice_is(pace, "close") &&
	        !slice_is(pace, "op9")) ||
	    name.n >= sizeof b->name)
		return false;
	if (pace.n > 0)
		b->pace_op9 = slice_is(pace, "op9");
	if (granted >= 0)
		b->granted = (uint32_t)granted;
	if (remaining >= 0) {
		b->identify_used = (uint64_t)remaining < b->identify_total
		    ? b->identify_total - (uint64_t)remaining : 0;
		b->day_from_ms = sim_now_us() / 1000;
	}
	if (name.n > 0) {
		memcpy(b->name, name.p, name.n);
		b->name[name.n] = '\0';
	}
	return true;
}

static void
control_bot(struct ask *a)
{
	struct slice secret = member(a, "secret");
	struct bot  *b = a->bot;
	struct json *j;
	char         made[33] = "";
	bool         fresh = b == NULL;

	if (fresh && platform_bot_add(&a->sim->platform, member(a, "bot"),
	        &b) != ERR_OK) {
		failed(a, "bot is not an app id, or there are too many");
		return;
	}
	if (fresh)
		inject_defaults(a->sim, b);
	if (fresh && secret.n == 0 && token_random(made, 32) == ERR_OK)
		secret = slice_of(made);
	if (secret.n > 0 && secret_set(&b->secret, secret) != ERR_OK) {
		control_failed(a->exchange, 500, "out of memory");
		return;
	}
	if (!set_numbers(a, b) || !set_words(a, b)) {
		failed(a, "a member has a value it cannot have");
		return;
	}
	j = bot_json(b);
	if (made[0] != '\0')
		json_put_text(j, "secret", slice_of(made));
	control_answer(a->exchange, 200, j);
}

static void
control_webhook(struct ask *a)
{
	struct hook_options o = { .url = member(a, "url"),
		.websocket = json_truth(json_get(a->body, "websocket")) };
	int64_t tries = 5, spacing = 1000, timeout = 5000, parallel = 16;

	if (!number(a, "tries", 1, 1000, &tries) ||
	    !number(a, "spacing_ms", 0, 3600000, &spacing) ||
	    !number(a, "timeout_ms", 10, 600000, &timeout) ||
	    !number(a, "parallel", 1, 1024, &parallel)) {
		failed(a, "a member has a value it cannot have");
		return;
	}
	o.tries = (uint64_t)tries;
	o.spacing_ms = (uint64_t)spacing;
	o.timeout_ms = (uint64_t)timeout;
	o.parallel = (uint64_t)parallel;
	if (json_get(a->body, "url") != NULL &&
	    webhook_set(a->sim, a->bot, &o) != ERR_OK) {
		failed(a, "url is not http://... or https://...");
		return;
	}
	if (!json_truth(json_get(a->body, "validate")))
		done(a);
	else if (a->bot->hook == NULL)
		failed(a, "there is no callback address");
	else
		webhook_validate(a->sim, a->bot, a->exchange);
}

/* --- the API as it was used, and the world behind it --------------------- */

static void
control_requests(struct ask *a)
{
	unsigned long long after = 0, limit = WIRE_SLOTS;
	struct json       *j = json_new_object();

	slice_u64(request_query(a->request, "after"), &after);
	slice_u64(request_query(a->request, "limit"), &limit);
	json_put_take(j, "requests", wire_json(a->sim->wire, after, limit,
	    request_query(a->request, "op")));
	control_answer(a->exchange, 200, j);
}

static void
control_operations(struct ask *a)
{
	struct json *j = json_new_object(), *list = json_new_array();

	for (size_t i = 0; i < ROUTES; i++) {
		struct json *row = json_new_object();

		json_put_text(row, "op", slice_of(routes[i].op));
		json_put_text(row, "method",
		    slice_of(method_name(routes[i].method)));
		json_put_text(row, "path", slice_of(routes[i].path));
		json_put_text(row, "scope",
		    slice_of(scope_name(routes[i].scope)));
		json_put_text(row, "query", slice_of(routes[i].query));
		json_put_text(row, "body", slice_of(routes[i].body));
		json_put_int(row, "status", routes[i].status);
		json_put_int(row, "calls", routes[i].calls);
		json_put_int(row, "seconds", routes[i].seconds);
		json_put_int(row, "asked", (int64_t)a->sim->asked[i]);
		json_push_take(list, row);
	}
	json_put_take(j, "operations", list);
	control_answer(a->exchange, 200, j);
}

static void
control_world(struct ask *a)
{
	struct slice    named = request_query(a->request, "bot");
	struct bot     *b = platform_bot(&a->sim->platform, named);
	struct json    *j, *list;
	enum world_kind kind;

	if (b == NULL || !world_kind_of(request_query(a->request, "kind"),
	    &kind)) {
		failed(a, b == NULL ? "no such bot" : "no such kind");
		return;
	}
	j = json_new_object();
	list = json_new_array();
	for (struct world_row *r = NULL; (r = world_next(&b->world, kind,
	    request_query(a->request, "parent"), r)) != NULL;) {
		struct json *row = json_new_object();

		json_put_text(row, "parent", r->parent);
		json_put_text(row, "id", r->id);
		json_put_ref(row, "object", r->object);
		json_push_take(list, row);
	}
	json_put_take(j, "objects", list);
	control_answer(a->exchange, 200, j);
}

/* What a bot may write to is a conversation too. */
static void
world_conversation(struct ask *a, enum world_kind kind, struct slice id)
{
	static const struct {
		enum world_kind kind;
		enum scope      scope;
	} rows[] = {
		{ WORLD_user, SCOPE_C2C }, { WORLD_group, SCOPE_GROUP },
		{ WORLD_channel, SCOPE_CHANNEL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].kind == kind)
			ledger_conversation(&a->sim->platform.ledger,
			    a->bot->app_id, rows[i].scope, id, true);
}

static void
control_world_put(struct ask *a)
{
	struct slice    parent = member(a, "parent"), id = member(a, "id");
	struct json    *object = json_get(a->body, "object"), *copy;
	struct world   *w = &a->bot->world;
	enum world_kind kind;

	if (!world_kind_of(member(a, "kind"), &kind) || id.n == 0) {
		failed(a, "no such kind, or no id");
		return;
	}
	if (object == NULL) {
		if (world_drop(w, kind, parent, id))
			done(a);
		else
			failed(a, "there is no such object");
		return;
	}
	if (!json_is_object(object)) {
		failed(a, "object is not an object");
		return;
	}
	copy = json_new_object();
	world_merge(copy, object);
	if (world_put_take(w, kind, parent, id, copy) != ERR_OK) {
		control_failed(a->exchange, 500, "out of memory, or room");
		return;
	}
	world_conversation(a, kind, id);
	done(a);
}

/* --- messages that wait for a verdict ------------------------------------ */

/* The message is there now.  Its id; empty when it cannot be. */
static enum err
pass_audit(struct ask *a, const struct audit *held, struct bot *b,
    char id[64])
{
	struct platform *p = &a->sim->platform;
	struct json     *body = NULL;
	struct message  *m = NULL;
	struct send      s = { .bot = b->app_id, .scope = held->scope,
		.text = slice_of(held->text), .seq = held->seq,
		.visible = true, .now_us = sim_now_us() };
	enum err         e;

	s.conversation = ledger_conversation(&p->ledger, b->app_id,
	    held->scope, slice_of(held->target), true);
	s.event = ledger_event_at(&p->ledger, held->event);
	platform_id(p, id, 64, "ROBOT1.0_");
	if ((e = json_parse(&body, s.text)) != ERR_OK ||
	    (e = s.conversation != NULL ? ERR_OK : ERR_FULL) != ERR_OK)
		goto out;
	s.body = body;
	e = send_take(&p->ledger, &s, slice_of(id),
	    sim_wall_ms(a->sim, s.now_us), &m);
out:
	json_free(&body);
	return e;
}

static struct json *
verdict_json(struct ask *a, const struct audit *held, const char *message)
{
	bool         dm = held->scope == SCOPE_DM;
	struct json *d = json_new_object();
	char         at[32];

	platform_timestamp(&a->sim->platform, sim_now_us(), at);
	json_put_text(d, "audit_id", slice_of(held->id));
	json_put_text(d, "audit_time", slice_of(at));
	json_put_text(d, "create_time", slice_of(at));
	json_put_text(d, dm ? "guild_id" : "channel_id",
	    slice_of(held->target));
	if (message[0] != '\0')
		json_put_text(d, "message_id", slice_of(message));
	return d;
}

static void
control_audit_list(struct ask *a)
{
	struct json *j = json_new_object();

	json_put_take(j, "audits", audits_json(&a->sim->audits));
	control_answer(a->exchange, 200, j);
}

static void
control_audit(struct ask *a)
{
	bool              pass = slice_is(member(a, "verdict"), "pass");
	struct audit     *held;
	struct event_ask  e = { .expect = 0 };
	struct event_told told;
	char              id[64] = "";

	if (!pass && !slice_is(member(a, "verdict"), "reject")) {
		failed(a, "verdict is pass or reject");
		return;
	}
	held = audit_take(&a->sim->audits, member(a, "audit_id"));
	e.bot = held != NULL ? platform_bot(&a->sim->platform,
	    slice_of(held->bot)) : NULL;
	if (e.bot == NULL ||
	    (pass && pass_audit(a, held, e.bot, id) != ERR_OK)) {
		failed(a, "no such message waits, or there is no room");
		audit_free(&held);
		return;
	}
	e.type = pass ? SLICE("MESSAGE_AUDIT_PASS")
	              : SLICE("MESSAGE_AUDIT_REJECT");
	e.kind = kind_of(e.type);
	e.d = verdict_json(a, held, id);
	if (platform_event(&a->sim->platform, &e, sim_now_us(), &told) ==
	    ERR_OK)
		told_answer(a, &told);
	else
		failed(a, "there is no room");
	json_free(&e.d);
	audit_free(&held);
}

static void
control_stream(struct ask *a)
{
	failed(a, "a WebSocket is needed");
}

/* --- routing ------------------------------------------------------------ */

static const struct {
	enum method method;
	const char *path;
	void      (*fn)(struct ask *);
} controls[] = {
#define CONTROL(method, path, function, arguments, meaning) \
	{ METHOD_##method, path, control_##function },
#include "controls.def"
#undef CONTROL
};
enum { CONTROLS = sizeof controls / sizeof controls[0] };

static void
run(struct ask *a, void (*fn)(struct ask *))
{
	const struct request *r = a->request;
	struct json          *body = NULL;
	struct slice          named;

	if (r->method == METHOD_POST) {
		if (!slice_starts(r->content_type,
		        SLICE("application/json"))) {
			control_failed(a->exchange, 415,
			    "Content-Type is not application/json");
			return;
		}
		if (json_parse(&body, r->body.n > 0 ? r->body : SLICE("{}")) !=
		    ERR_OK) {
			failed(a, "the body is not JSON");
			return;
		}
	}
	a->body = body;
	named = member(a, "bot");
	a->bot = platform_bot(&a->sim->platform, named);
	if (a->bot == NULL && fn != control_bot)
		failed(a, "no such bot");
	else
		fn(a);
	json_free(&body);
}

void
control_on_request(struct sim *s, struct exchange *x, const struct request *r)
{
	struct ask a = { .sim = s, .exchange = x, .request = r };
	bool       path = false;

	if (r->no_length || r->too_large) {
		control_failed(x, r->no_length ? 411 : 413,
		    "the body has no length, or is too large");
		return;
	}
	for (size_t i = 0; i < CONTROLS; i++) {
		if (!slice_is(r->path, controls[i].path))
			continue;
		path = true;
		if (r->method == controls[i].method) {
			run(&a, controls[i].fn);
			return;
		}
	}
	control_failed(x, path ? 405 : 404,
	    path ? "another method is needed" : "no such thing");
}
