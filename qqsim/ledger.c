/*
 * The ledger: rings of events and messages, found by serial or by id.
 */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEY_MAX = LEDGER_ID_MAX + 64 };

static const char *const tally_names[TALLIES] = {
#define SCOPED(name, meaning) #name,
#define COUNTER(name, meaning)
#define VIOLATION(name, meaning)
#include "counters.def"
#undef SCOPED
#undef COUNTER
};
static const char *const count_names[COUNTS] = {
#define SCOPED(name, meaning)
#define COUNTER(name, meaning) #name,
#include "counters.def"
#undef COUNTER
#undef VIOLATION
};
static const char *const violation_names[VIOLATIONS] = {
#define COUNTER(name, meaning)
#define VIOLATION(name, meaning) #name,
#include "counters.def"
#undef SCOPED
#undef COUNTER
#undef VIOLATION
};

enum err
ledger_open(struct ledger *l)
{
	*l = (struct ledger){ .next_event = 1, .next_message = 1 };
	l->events = calloc(LEDGER_EVENTS, sizeof *l->events);
	l->messages = calloc(LEDGER_MESSAGES, sizeof *l->messages);
	if (l->events == NULL || l->messages == NULL) {
		ledger_close(l);
		return ERR_NOMEM;
	}
	return ERR_OK;
}

/* --- keys: "BOT" and a separator before the id, so that ids of two bots
 * may be equal.  Empty when too long, which is found nowhere. ------------- */

static struct slice
key_of(char *out, const char *bot, const char *between, struct slice id)
{
	int n = snprintf(out, KEY_MAX, "%s%s%.*s", bot, between, (int)id.n,
	    id.n > 0 ? id.p : "");

	if (n < 0 || n >= KEY_MAX || id.n == 0 || id.n > LEDGER_ID_MAX)
		return SLICE("");
	return (struct slice){ out, (size_t)n };
}

static void *
find(const struct map *m, const char *bot, struct slice id)
{
	char key[KEY_MAX];

	return map_get(m, key_of(key, bot, ":", id));
}

/* --- forgetting --------------------------------------------------------- */

/* The key stands right before the id it ends with. */
static struct slice
key_before(const char *id, const char *bot)
{
	size_t n = strlen(bot) + 1;

	return (struct slice){ id - n, n + strlen(id) };
}

static void
event_forget(struct ledger *l, struct event *e)
{
	const char *bot;

	if (e->serial == 0)
		return;
	bot = e->conversation->bot;
	if (e->state == EVENT_KEPT)
		ledger_state(l, e, EVENT_LOST);
	if (e->msg[0] != '\0')
		map_take(&l->by_msg, key_before(e->msg, bot));
	if (e->event[0] != '\0')
		map_take(&l->by_event, key_before(e->event, bot));
	if (e->interaction[0] != '\0')
		map_take(&l->by_interaction, key_before(e->interaction, bot));
	free(e->ids);
	free(e->replies);
	*e = (struct event){ 0 };
}

static void
message_forget(struct ledger *l, struct message *m)
{
	if (m->serial == 0)
		return;
	map_take(&l->message_ids, slice_of(m->key));
	free(m->key);
	free(m->body);
	*m = (struct message){ 0 };
}

static void
forget_all(struct ledger *l)
{
	for (size_t i = 0; l->events != NULL && i < LEDGER_EVENTS; i++)
		event_forget(l, &l->events[i]);
	for (size_t i = 0; l->messages != NULL && i < LEDGER_MESSAGES; i++)
		message_forget(l, &l->messages[i]);
}

void
ledger_reset(struct ledger *l)
{
	uint64_t             live = l->counts[COUNT_live];
	struct conversation *c;
	size_t               at = 0;

	forget_all(l);
	while ((c = map_next(&l->conversations, &at)) != NULL) {
		c->answered = 0;
		free(c->windows);
		c->windows = NULL;
	}
	memset(l->tallies, 0, sizeof l->tallies);
	memset(l->counts, 0, sizeof l->counts);
	memset(l->violations, 0, sizeof l->violations);
	l->latency = (struct histogram){ 0 };
	l->counts[COUNT_live] = live;
	l->changes++;
}

void
ledger_close(struct ledger *l)
{
	struct conversation *c;
	size_t               at = 0;

	forget_all(l);
	while ((c = map_next(&l->conversations, &at)) != NULL) {
		free(c->windows);
		free(c->key);
		free(c);
	}
	map_free(&l->by_msg);
	map_free(&l->by_event);
	map_free(&l->by_interaction);
	map_free(&l->message_ids);
	map_free(&l->conversations);
	free(l->events);
	free(l->messages);
	*l = (struct ledger){ 0 };
}

/* --- counting ----------------------------------------------------------- */

void
ledger_count(struct ledger *l, enum count c)
{
	l->counts[c]++;
	l->changes++;
}

void
ledger_drop(struct ledger *l, enum count c)
{
	if (l->counts[c] > 0)
		l->counts[c]--;
	l->changes++;
}

void
ledger_tally(struct ledger *l, enum scope s, enum tally t, int by)
{
	l->tallies[s][t] += (uint64_t)(int64_t)by;
	l->changes++;
}

void
ledger_violation(struct ledger *l, enum violation v)
{
	l->violations[v]++;
	l->changes++;
}

uint64_t
ledger_total(const struct ledger *l, enum tally t)
{
	uint64_t sum = 0;

	for (unsigned s = 0; s < SCOPES; s++)
		sum += l->tallies[s][t];
	return sum;
}

bool
ledger_value(const struct ledger *l, struct slice name, uint64_t *value)
{
	for (unsigned i = 0; i < TALLIES; i++)
		if (slice_is(name, tally_names[i])) {
			*value = ledger_total(l, (enum tally)i);
			return true;
		}
	for (unsigned i = 0; i < COUNTS; i++)
		if (slice_is(name, count_names[i])) {
			*value = l->counts[i];
			return true;
		}
	return false;
}

/* --- conversations ------------------------------------------------------ */

struct conversation *
ledger_conversation(struct ledger *l, const char *bot, enum scope scope,
    struct slice id, bool make)
{
	char                 text[KEY_MAX];
	char                 between[] = { '/', scope_letter(scope), ':', 0 };
	struct slice         key = key_of(text, bot, between, id);
	struct conversation *c = map_get(&l->conversations, key);

	if (c != NULL || !make || key.n == 0 ||
	    l->conversations.n >= LEDGER_CONVERSATIONS ||
	    strlen(bot) >= sizeof c->bot)
		return c;
	if ((c = calloc(1, sizeof *c)) == NULL)
		return NULL;
	if ((c->key = slice_dup(key)) == NULL) {
		free(c);
		return NULL;
	}
	c->id = c->key + strlen(bot) + strlen(between);
	c->scope = scope;
	memcpy(c->bot, bot, strlen(bot) + 1);
	if (map_put(&l->conversations, slice_of(c->key), c) != ERR_OK) {
		free(c->key);
		free(c);
		return NULL;
	}
	return c;
}

/* --- events ------------------------------------------------------------- */

struct event *
ledger_event_at(const struct ledger *l, uint64_t serial)
{
	struct event *e = &l->events[serial % LEDGER_EVENTS];

	return serial != 0 && e->serial == serial ? e : NULL;
}

struct event *
ledger_by_msg(const struct ledger *l, const char *bot, struct slice id)
{
	return find(&l->by_msg, bot, id);
}

struct event *
ledger_by_event(const struct ledger *l, const char *bot, struct slice id)
{
	return find(&l->by_event, bot, id);
}

struct event *
ledger_by_interaction(const struct ledger *l, const char *bot,
    struct slice id)
{
	return find(&l->by_interaction, bot, id);
}

/* Lays "BOT:ID" and a NUL at *p and returns where the id begins. */
static const char *
lay_id(char **p, const char *bot, struct slice id)
{
	size_t n = strlen(bot);
	char  *start = *p;

	memcpy(start, bot, n);
	start[n] = ':';
	if (id.n > 0)
		memcpy(start + n + 1, id.p, id.n);
	start[n + 1 + id.n] = '\0';
	*p = start + n + 2 + id.n;
	return start + n + 1;
}

static enum err
index_event(struct ledger *l, struct event *e)
{
	const char *bot = e->conversation->bot;
	const struct {
		struct map *map;
		const char *id;
	} ways[] = {
		{ &l->by_msg, e->msg },
		{ &l->by_event, e->event },
		{ &l->by_interaction, e->interaction },
	};

	for (size_t i = 0; i < 3; i++) {
		if (ways[i].id[0] == '\0')
			continue;
		switch (map_put(ways[i].map, key_before(ways[i].id, bot), e)) {
		case ERR_OK:
			break;
		case ERR_DUPLICATE:
			return ERR_DUPLICATE;
		default:
			return ERR_NOMEM;
		}
	}
	return ERR_OK;
}

enum err
ledger_event(struct ledger *l, const struct event_new *n,
    struct event **out, bool *known)
{
	const char   *bot = n->conversation->bot;
	struct event *e;
	char         *p;

	if (n->event.n > LEDGER_ID_MAX || n->msg.n > LEDGER_ID_MAX ||
	    n->interaction.n > LEDGER_ID_MAX)
		return ERR_TOO_LARGE;
	*out = n->msg.n > 0 ? ledger_by_msg(l, bot, n->msg)
	                    : ledger_by_event(l, bot, n->event);
	if (*out == NULL && n->interaction.n > 0)
		*out = ledger_by_interaction(l, bot, n->interaction);
	if ((*known = *out != NULL))
		return ERR_OK;
	p = malloc(n->event.n + n->msg.n + n->interaction.n +
	    3 * (strlen(bot) + 2));
	if (p == NULL)
		return ERR_NOMEM;
	e = &l->events[l->next_event % LEDGER_EVENTS];
	event_forget(l, e);
	*e = (struct event){ .serial = l->next_event++, .ids = p,
		.kind = n->kind, .conversation = n->conversation,
		.made_us = n->now_us, .replied_us = -1,
		.expect = n->expect };
	e->event = lay_id(&p, bot, n->event);
	e->msg = lay_id(&p, bot, n->msg);
	e->interaction = lay_id(&p, bot, n->interaction);
	/* A message given again under another event id is found by the
	 * first; an event id used again stays with its first event. */
	if (e->event[0] != '\0' &&
	    ledger_by_event(l, bot, slice_of(e->event)) != NULL)
		e->event = "";
	if (index_event(l, e) == ERR_NOMEM) {
		event_forget(l, e);
		return ERR_NOMEM;
	}
	e->place = ++n->conversation->events;
	n->conversation->heard_us = n->now_us;
	n->conversation->woken = 0;
	*out = e;
	return ERR_OK;
}

void
ledger_state(struct ledger *l, struct event *e, enum event_state to)
{
	enum scope s = e->conversation->scope;

	if (e->state == EVENT_GIVEN || e->state == to)
		return;
	if (e->state == EVENT_KEPT)
		ledger_tally(l, s, TALLY_kept, -1);
	if (e->state == EVENT_LOST)
		ledger_tally(l, s, TALLY_lost, -1);
	e->state = to;
	if (to == EVENT_KEPT)
		ledger_tally(l, s, TALLY_kept, 1);
	if (to == EVENT_LOST)
		ledger_tally(l, s, TALLY_lost, 1);
	if (to == EVENT_GIVEN) {
		ledger_tally(l, s, TALLY_sent, 1);
		if (e->expect > 0 && e->accepted < (unsigned)e->expect)
			ledger_tally(l, s, TALLY_missing, 1);
	}
}

/* Replies of one conversation come in the order of their events, and those
 * to one event in the order of their msg_seq. */
static bool
out_of_order(const struct event *e, int64_t seq)
{
	const struct conversation *c = e->conversation;

	return e->place < c->answered ||
	    (e->place == c->answered && seq < c->answered_seq &&
	        seq != LEDGER_NO_ORDER);
}

void
ledger_replied(struct ledger *l, struct event *e, int64_t seq, int64_t now_us)
{
	struct conversation *c = e->conversation;

	/* A bot may answer before its webhook has acknowledged. */
	ledger_state(l, e, EVENT_GIVEN);
	e->accepted++;
	if (e->accepted == 1) {
		e->replied_us = now_us;
		ledger_tally(l, c->scope, TALLY_replied, 1);
		histogram_add(&l->latency, (uint64_t)(now_us - e->made_us));
	}
	if (e->expect > 0 && e->accepted == (unsigned)e->expect)
		ledger_tally(l, c->scope, TALLY_missing, -1);
	if (e->expect >= 0 && e->accepted > (unsigned)e->expect) {
		e->doubled++;
		ledger_tally(l, c->scope, TALLY_doubled, 1);
	}
	if (out_of_order(e, seq)) {
		ledger_tally(l, c->scope, TALLY_out_of_order, 1);
		return;
	}
	if (seq != LEDGER_NO_ORDER || e->place != c->answered)
		c->answered_seq = seq;
	c->answered = e->place;
}

const struct event_reply *
ledger_seq_used(const struct event *e, int64_t seq)
{
	for (unsigned i = 0; i < e->nreplies; i++)
		if (e->replies[i].seq == seq)
			return &e->replies[i];
	return NULL;
}

enum err
ledger_seq_use(struct event *e, int64_t seq, unsigned body_hash)
{
	struct event_reply *more = realloc(e->replies,
	    (e->nreplies + 1) * sizeof *more);

	if (more == NULL)
		return ERR_NOMEM;
	e->replies = more;
	more[e->nreplies++] = (struct event_reply){ seq, body_hash };
	return ERR_OK;
}

/* --- messages ----------------------------------------------------------- */

enum err
ledger_message(struct ledger *l, const struct message_new *n,
    struct message **out)
{
	struct message *m = &l->messages[l->next_message % LEDGER_MESSAGES];
	char            text[KEY_MAX];
	struct slice    key = key_of(text, n->conversation->bot, ":", n->id);

	message_forget(l, m);
	*m = (struct message){ .serial = l->next_message,
		.conversation = n->conversation, .event = n->event,
		.seq = n->seq, .at_us = n->now_us,
		.at_wall_ms = n->wall_ms };
	m->key = slice_dup(key);
	m->body = n->body.n <= LEDGER_BODY_MAX ? slice_dup(n->body) : NULL;
	if (m->key == NULL || key.n == 0 ||
	    map_put(&l->message_ids, slice_of(m->key), m) != ERR_OK) {
		free(m->key);
		free(m->body);
		*m = (struct message){ 0 };
		return ERR_NOMEM;
	}
	m->id = m->key + strlen(n->conversation->bot) + 1;
	l->next_message++;
	ledger_tally(l, n->conversation->scope, TALLY_accepted, 1);
	if (n->event == 0)
		ledger_tally(l, n->conversation->scope, TALLY_active, 1);
	*out = m;
	return ERR_OK;
}

enum err
ledger_message_edit(struct message *m, struct slice body)
{
	char *copy = body.n <= LEDGER_BODY_MAX ? slice_dup(body) : NULL;

	if (copy == NULL)
		return body.n <= LEDGER_BODY_MAX ? ERR_NOMEM : ERR_TOO_LARGE;
	free(m->body);
	m->body = copy;
	return ERR_OK;
}

struct message *
ledger_message_by_id(const struct ledger *l, const char *bot, struct slice id)
{
	return find(&l->message_ids, bot, id);
}

/* --- durations ---------------------------------------------------------- */

void
histogram_add(struct histogram *h, uint64_t us)
{
	unsigned power = 0;
	size_t   bucket;

	while (us >> power >= 128)
		power++;
	bucket = power * 64 + (us >> power);
	if (bucket >= HISTOGRAM_BUCKETS)
		bucket = HISTOGRAM_BUCKETS - 1;
	h->buckets[bucket]++;
	h->count++;
	if (us > h->max_us)
		h->max_us = us;
}

uint64_t
histogram_quantile(const struct histogram *h, unsigned of_10000)
{
	uint64_t want = (h->count * of_10000 + 9999) / 10000, seen = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS && h->count > 0; i++) {
		unsigned power = i < 128 ? 0 : (unsigned)(i / 64 - 1);
		uint64_t top;

		seen += h->buckets[i];
		if (seen < want)
			continue;
		top = ((i - power * 64 + 1) << power) - 1;
		return top < h->max_us ? top : h->max_us;
	}
	return 0;
}

/* --- the report --------------------------------------------------------- */

static struct json *
tallies_json(const uint64_t *of)
{
	struct json *j = json_new_object();

	for (unsigned i = 0; i < TALLIES; i++)
		json_put_int(j, tally_names[i], (int64_t)of[i]);
	return j;
}

static struct json *
latency_json(const struct histogram *h)
{
	struct json *j = json_new_object();

	json_put_int(j, "count", (int64_t)h->count);
	json_put_int(j, "p50", (int64_t)histogram_quantile(h, 5000));
	json_put_int(j, "p99", (int64_t)histogram_quantile(h, 9900));
	json_put_int(j, "max", (int64_t)h->max_us);
	return j;
}

struct json *
ledger_json(const struct ledger *l)
{
	struct json *j = json_new_object(), *part = json_new_object();
	uint64_t     total[TALLIES];

	for (unsigned s = 0; s < SCOPES; s++)
		json_put_take(part, scope_name((enum scope)s),
		    tallies_json(l->tallies[s]));
	json_put_take(j, "scopes", part);
	for (unsigned i = 0; i < TALLIES; i++)
		total[i] = ledger_total(l, (enum tally)i);
	json_put_take(j, "total", tallies_json(total));
	part = json_new_object();
	for (unsigned i = 0; i < COUNTS; i++)
		json_put_int(part, count_names[i], (int64_t)l->counts[i]);
	json_put_take(j, "counters", part);
	part = json_new_object();
	for (unsigned i = 0; i < VIOLATIONS; i++)
		if (l->violations[i] > 0)
			json_put_int(part, violation_names[i],
			    (int64_t)l->violations[i]);
	json_put_take(j, "violations", part);
	json_put_take(j, "latency_us", latency_json(&l->latency));
	return j;
}

static bool
wanted(const struct event *e, enum ledger_rows which)
{
	switch (which) {
	case ROWS_MISSING:
		return e->state == EVENT_GIVEN && e->expect > 0 &&
		    e->accepted < (unsigned)e->expect;
	case ROWS_DOUBLED:
		return e->doubled > 0;
	case ROWS_KEPT:
		return e->state == EVENT_KEPT;
	default:
		return true;
	}
}

static struct json *
row_json(const struct event *e)
{
	struct json *j = json_new_object();

	json_put_int(j, "serial", (int64_t)e->serial);
	json_put_text(j, "event", slice_of(e->event));
	json_put_text(j, "msg", slice_of(e->msg));
	json_put_text(j, "t", slice_of(e->kind->type));
	json_put_text(j, "conversation",
	    slice_of(strchr(e->conversation->key, '/') + 1));
	json_put_int(j, "expect", e->expect);
	json_put_int(j, "dispatched", e->dispatched);
	json_put_int(j, "replies", e->accepted);
	json_put_int(j, "doubled", e->doubled);
	json_put_int(j, "made_ms", e->made_us / 1000);
	json_put_int(j, "latency_us",
	    e->replied_us >= 0 ? e->replied_us - e->made_us : -1);
	return j;
}

struct json *
ledger_rows_json(const struct ledger *l, enum ledger_rows which, size_t limit)
{
	struct json *list = json_new_array();
	uint64_t     from = l->next_event > LEDGER_EVENTS
	        ? l->next_event - LEDGER_EVENTS : 1;

	for (uint64_t s = from; s < l->next_event && limit > 0; s++) {
		const struct event *e = ledger_event_at(l, s);

		if (e != NULL && wanted(e, which)) {
			json_push_take(list, row_json(e));
			limit--;
		}
	}
	return list;
}
