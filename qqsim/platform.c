/*
 * Bots, ids, and the way of an event to those it is for.
 */
#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gate.h"
#include "talk.h"

enum err
platform_open(struct platform *p, int64_t wall_offset_ms)
{
	enum err e;

	*p = (struct platform){ .wall_offset_ms = wall_offset_ms };
	if ((e = ledger_open(&p->ledger)) != ERR_OK)
		return e;
	return token_random(p->salt, sizeof p->salt - 1);
}

void
platform_close(struct platform *p)
{
	for (size_t i = 0; i < p->nbots; i++) {
		struct session *s;

		while ((s = p->bots[i]->sessions) != NULL)
			session_end(p, &s);
		secret_wipe(&p->bots[i]->secret);
		talks_close(&p->bots[i]->talks);
		world_close(&p->bots[i]->world);
		free(p->bots[i]);
	}
	p->nbots = 0;
	faults_clear(&p->faults);
	ledger_close(&p->ledger);
}

/* --- bots --------------------------------------------------------------- */

enum err
platform_bot_add(struct platform *p, struct slice app_id, struct bot **out)
{
	struct bot *b;

	if (app_id.n == 0 || app_id.n > APP_ID_MAX)
		return ERR_SYNTAX;
	for (size_t i = 0; i < app_id.n; i++)
		if (app_id.p[i] < '0' || app_id.p[i] > '9')
			return ERR_SYNTAX;
	if (p->nbots == BOTS_MAX)
		return ERR_FULL;
	if ((b = calloc(1, sizeof *b)) == NULL)
		return ERR_NOMEM;
	memcpy(b->app_id, app_id.p, app_id.n);
	snprintf(b->name, sizeof b->name, "bot-%s", b->app_id);
	snprintf(b->user_id, sizeof b->user_id, "90%017zu", p->nbots + 1);
	b->tokens.life_ms = 7200 * 1000;
	b->granted = KIND_GRANTED;
	b->heartbeat_ms = 45000;
	b->frames_per_s = 100;
	b->max_concurrency = 1;
	b->shards = 1;
	b->identify_total = 1000;
	b->resume_window_ms = 300000;
	b->rules = (struct send_rules){ .c2c_window_s = 3600,
		.group_window_s = 300, .c2c_replies = 4, .group_replies = 5 };
	b->stream_gap_ms = 100;
	b->media = (struct media_rules){ .block_size = 5 << 20, .ttl_s = 3600,
		.concurrency = 1, .retry_timeout_s = 300,
		.image_max = 10 << 20, .url_life_s = 3600 };
	if (world_defaults(&b->world, slice_of(b->user_id),
	        slice_of(b->name)) != ERR_OK) {
		world_close(&b->world);
		free(b);
		return ERR_NOMEM;
	}
	p->bots[p->nbots++] = b;
	*out = b;
	return ERR_OK;
}

struct bot *
platform_bot(const struct platform *p, struct slice app_id)
{
	if (app_id.n == 0)
		return p->nbots > 0 ? p->bots[0] : NULL;
	for (size_t i = 0; i < p->nbots; i++)
		if (slice_is(app_id, p->bots[i]->app_id))
			return p->bots[i];
	return NULL;
}

struct bot *
platform_bot_by_token(const struct platform *p, struct slice token,
    int64_t now_ms, enum token_state *state)
{
	*state = TOKEN_WRONG;
	for (size_t i = 0; i < p->nbots; i++) {
		enum token_state s = tokens_check(&p->bots[i]->tokens, token,
		    now_ms);

		if (s == TOKEN_WRONG)
			continue;
		*state = s;
		return s == TOKEN_VALID ? p->bots[i] : NULL;
	}
	return NULL;
}

uint64_t
bot_remaining(struct bot *b, int64_t now_ms, int64_t *reset_ms)
{
	if (b->identify_used > 0 && now_ms - b->day_from_ms >= DAY_MS)
		b->identify_used = 0;
	*reset_ms = b->identify_used > 0
	    ? b->day_from_ms + DAY_MS - now_ms : DAY_MS;
	return b->identify_used < b->identify_total
	    ? b->identify_total - b->identify_used : 0;
}

/* --- names and times ---------------------------------------------------- */

void
platform_id(struct platform *p, char *out, size_t size, const char *prefix)
{
	snprintf(out, size, "%s%s%010llx", prefix, p->salt,
	    (unsigned long long)++p->serial);
}

void
platform_timestamp(const struct platform *p, int64_t now_us, char *out)
{
	time_t    at = (time_t)((now_us / 1000 + p->wall_offset_ms) / 1000) +
	    8 * 3600;
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%S+08:00", &tm);
}

const char *
sent_name(enum sent s)
{
	static const char *const names[] = {
		[SENT_LIVE] = "live", [SENT_KEPT] = "kept",
		[SENT_WEBHOOK] = "webhook", [SENT_NOBODY] = "nobody",
	};

	return names[s];
}

/* --- events ------------------------------------------------------------- */

static struct payload *
payload_make(const struct event_ask *a, struct slice id, uint64_t serial)
{
	struct json    *j = json_new_object();
	struct payload *y = NULL;
	struct slice    text;

	json_put_text(j, "t", a->type);
	json_put_text(j, "id", id);
	if (a->d != NULL)
		json_put_ref(j, "d", a->d);
	else
		json_put_null(j, "d");
	text = json_print(j);
	if (text.n > 0 && (y = malloc(sizeof *y + text.n)) != NULL) {
		*y = (struct payload){ .refs = 1, .event = serial,
			.n = text.n - 1 };
		memcpy(y->text, text.p + 1, y->n);
	}
	json_free(&j);
	return y;
}

static enum sent
give_to_sessions(struct platform *p, const struct event_ask *a,
    enum scope scope, struct payload *y, int64_t now_ms)
{
	enum sent best = SENT_NOBODY;

	for (struct session *s = a->bot->sessions; s != NULL; s = s->next) {
		enum sent one;

		if (a->kind->intent != 0 &&
		    (s->intents & a->kind->intent) == 0)
			continue;
		if (kind_shard(a->d, scope, s->shards) != s->shard)
			continue;
		one = session_give(p, s, y, now_ms);
		if (one < best)
			best = one;
	}
	return best;
}

static enum sent
give(struct platform *p, const struct event_ask *a, struct event *e,
    struct payload *y, int64_t now_ms)
{
	enum scope   scope = e->conversation->scope;
	struct fault f;
	enum sent    sent;

	if (a->bot->hook == NULL) {
		sent = give_to_sessions(p, a, scope, y, now_ms);
	} else {
		if (e->state == EVENT_NEW)
			ledger_state(&p->ledger, e, EVENT_KEPT);
		p->out.post(p->out.self, a->bot, y);
		sent = SENT_WEBHOOK;
		if (a->bot->hook_and_socket ||
		    faults_strike(&p->faults, FAULT_event_both,
		        a->bot->app_id, "", now_ms, &f))
			give_to_sessions(p, a, scope, y, now_ms);
	}
	if (sent == SENT_NOBODY)
		ledger_state(&p->ledger, e, EVENT_LOST);
	return sent;
}

enum err
platform_event(struct platform *p, const struct event_ask *a, int64_t now_us,
    struct event_told *told)
{
	struct event_new n = { .kind = a->kind, .expect = a->expect,
		.now_us = now_us };
	struct slice     target, id = a->id;
	enum scope       scope = kind_target(a->kind, a->d, &target);
	struct payload  *y;
	char             made[LEDGER_ID_MAX];
	enum err         e;
	bool             known;

	if (id.n == 0) {
		char prefix[80];

		snprintf(prefix, sizeof prefix, "%.*s:", (int)a->type.n,
		    a->type.p);
		platform_id(p, made, sizeof made, prefix);
		id = slice_of(made);
	}
	n.event = id;
	if (a->kind->reply == REPLY_MSG)
		n.msg = json_text(json_get(a->d, "id"));
	if (slice_is(a->type, "INTERACTION_CREATE"))
		n.interaction = json_text(json_get(a->d, "id"));
	n.conversation = ledger_conversation(&p->ledger, a->bot->app_id,
	    scope, target.n > 0 ? target : SLICE("-"), true);
	if (n.conversation == NULL)
		return ERR_FULL;
	if ((e = ledger_event(&p->ledger, &n, &told->event, &known)) != ERR_OK)
		return e;
	if ((y = payload_make(a, id, told->event->serial)) == NULL)
		return ERR_NOMEM;
	told->sent = give(p, a, told->event, y, now_us / 1000);
	payload_release(&y);
	return ERR_OK;
}
