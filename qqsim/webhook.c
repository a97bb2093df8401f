/*
 * The platform's callbacks: signs events and posts them, in order within a
 * conversation, until the bot acknowledges.  The only part that knows
 * libcurl.
 */
#include "sim.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "sign.h"

enum { ANSWER_MAX = 65536 };

/* What a bot's conversation still has to be told, one at a time. */
struct lane {
	struct lane     *next;          /* of those that are ready */
	char            *key;
	struct delivery *first, **end;
	bool             busy, ready;
};

struct delivery {
	struct delivery *next;
	struct hook     *hook;
	struct lane     *lane;
	struct payload  *payload;
	uint64_t         s;
	unsigned         tries;
	bool             again;         /* a second time, after its ack */
	bool             tampered;      /* this try */
	bool             was_tampered;  /* the try before */
	struct timer     timer;
};

/* One POST under way. */
struct post {
	struct post       *next;
	struct webhooks   *all;
	struct hook       *hook;
	struct delivery   *delivery;    /* NULL: an op 13 */
	struct exchange   *exchange;    /* of an op 13 */
	CURL              *easy;
	struct curl_slist *headers;
	struct buf         body, answer;
	char               plain[33], ts[24];
};

struct hook {
	struct hook     *next;
	struct webhooks *all;
	struct bot      *bot;
	struct sign_key *key;
	char            *url;
	uint64_t         tries, spacing_ms, timeout_ms, parallel, under_way;
	uint64_t         next_s;
	struct map       lanes;
	struct lane     *ready, **ready_end;
};

struct webhooks {
	struct sim   *sim;
	CURLM        *multi;
	struct timer  timer;
	struct hook  *hooks;
	struct post  *posts;
	uint64_t      pending;          /* deliveries not done with */
};

/* --- libcurl on our loop ------------------------------------------------ */

static void post_done(struct post *, CURLcode);

static void
reap(struct webhooks *h)
{
	CURLMsg *m;
	int      left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct post *p = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
		post_done(p, m->data.result);
	}
}

static void
on_curl_ready(void *self, int fd, unsigned what)
{
	struct webhooks *h = self;
	int              running;

	curl_multi_socket_action(h->multi, fd,
	    (what & LOOP_READ ? CURL_CSELECT_IN : 0) |
	        (what & LOOP_WRITE ? CURL_CSELECT_OUT : 0), &running);
	reap(h);
}

static int
on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *known)
{
	struct webhooks *h = self;

	(void)easy;
	(void)known;
	if (what == CURL_POLL_REMOVE)
		loop_unwatch(h->sim->loop, fd);
	else
		loop_watch(h->sim->loop, fd,
		    (what & CURL_POLL_IN ? LOOP_READ : 0) |
		        (what & CURL_POLL_OUT ? LOOP_WRITE : 0),
		    on_curl_ready, h);
	return 0;
}

static void
on_curl_due(void *self)
{
	struct webhooks *h = self;
	int              running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(h);
}

static int
on_curl_timer(CURLM *multi, long ms, void *self)
{
	struct webhooks *h = self;

	(void)multi;
	if (ms < 0)
		loop_cancel(h->sim->loop, &h->timer);
	else
		loop_after(h->sim->loop, &h->timer, (uint64_t)ms, on_curl_due,
		    h);
	return 0;
}

static size_t
on_answer_part(char *p, size_t one, size_t n, void *self)
{
	struct post *post = self;

	if (post->answer.n + one * n > ANSWER_MAX)
		return 0;
	buf_put(&post->answer, (struct slice){ p, one * n });
	return one * n;
}

/* --- one POST ----------------------------------------------------------- */

static void
post_free(struct post *p)
{
	struct post **at = &p->all->posts;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (p->easy != NULL) {
		curl_multi_remove_handle(p->all->multi, p->easy);
		curl_easy_cleanup(p->easy);
	}
	curl_slist_free_all(p->headers);
	buf_free(&p->body);
	buf_free(&p->answer);
	free(p);
}

static void
add_header(struct post *p, const char *name, const char *value)
{
	char                line[256];
	struct curl_slist *more;

	snprintf(line, sizeof line, "%s: %s", name, value);
	if ((more = curl_slist_append(p->headers, line)) != NULL)
		p->headers = more;
}

/* Signs the body, then spoils what the fault wants spoilt. */
static bool
sign_post(struct post *p, const struct fault *tamper)
{
	const char *how = tamper == NULL ? ""
		: tamper->how[0] != '\0' ? tamper->how : "signature";
	char        hex[SIGNATURE_HEX + 1];

	snprintf(p->ts, sizeof p->ts, "%lld",
	    (long long)(sim_wall_ms(p->all->sim, sim_now_us()) / 1000));
	if (sign(p->hook->key, slice_of(p->ts), buf_slice(&p->body), hex) !=
	    ERR_OK)
		return false;
	if (strcmp(how, "signature") == 0)
		hex[0] = hex[0] == '0' ? '1' : '0';
	if (strcmp(how, "body") == 0)
		buf_puts(&p->body, " ");
	if (strcmp(how, "timestamp") == 0)
		p->ts[0] = p->ts[0] == '1' ? '2' : '1';
	add_header(p, "Content-Type", "application/json");
	add_header(p, "X-Bot-Appid", strcmp(how, "appid") == 0
	    ? "999999999" : p->hook->bot->app_id);
	add_header(p, "X-Signature-Timestamp", p->ts);
	if (strcmp(how, "nosig") != 0)
		add_header(p, "X-Signature-Ed25519", hex);
	add_header(p, "Expect", "");
	return true;
}

static bool
post_start(struct post *p, const struct fault *tamper)
{
	if ((p->easy = curl_easy_init()) == NULL || p->body.failed ||
	    !sign_post(p, tamper))
		return false;
	curl_easy_setopt(p->easy, CURLOPT_URL, p->hook->url);
	curl_easy_setopt(p->easy, CURLOPT_PRIVATE, p);
	curl_easy_setopt(p->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, p->body.p);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDSIZE, (long)p->body.n);
	curl_easy_setopt(p->easy, CURLOPT_HTTPHEADER, p->headers);
	curl_easy_setopt(p->easy, CURLOPT_USERAGENT, "QQBot-Callback");
	curl_easy_setopt(p->easy, CURLOPT_WRITEFUNCTION, on_answer_part);
	curl_easy_setopt(p->easy, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(p->easy, CURLOPT_TIMEOUT_MS,
	    (long)p->hook->timeout_ms);
	curl_easy_setopt(p->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(p->easy, CURLOPT_NOPROXY, "*");
	ledger_count(&p->all->sim->platform.ledger, COUNT_webhook_posts);
	return curl_multi_add_handle(p->all->multi, p->easy) == CURLM_OK;
}

static struct post *
post_new(struct webhooks *h, struct hook *hook)
{
	struct post *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->all = h;
	p->hook = hook;
	p->next = h->posts;
	h->posts = p;
	return p;
}

static void
tell_post(const struct post *p, long status, unsigned tries)
{
	struct sim  *s = p->all->sim;
	struct json *j;

	if (!stream_watched(&s->stream))
		return;
	j = json_new_object();
	json_put_text(j, "type", SLICE("webhook"));
	json_put_int(j, "at_ms", sim_wall_ms(s, sim_now_us()));
	json_put_text(j, "bot", slice_of(p->hook->bot->app_id));
	json_put_int(j, "status", status);
	json_put_int(j, "try", tries);
	stream_put_value(j, "request", buf_slice(&p->body));
	stream_put_value(j, "response", buf_slice(&p->answer));
	stream_put(&s->stream, j);
}

/* --- lanes -------------------------------------------------------------- */

static void
lane_ready(struct lane *l)
{
	struct hook *h = l->first->hook;

	if (l->ready || l->busy)
		return;
	l->ready = true;
	l->next = NULL;
	*h->ready_end = l;
	h->ready_end = &l->next;
}

static struct lane *
lane_of(struct hook *h, const char *key)
{
	struct lane *l = map_get(&h->lanes, slice_of(key));

	if (l != NULL || (l = calloc(1, sizeof *l)) == NULL)
		return l;
	l->end = &l->first;
	if ((l->key = slice_dup(slice_of(key))) == NULL ||
	    map_put(&h->lanes, slice_of(l->key), l) != ERR_OK) {
		free(l->key);
		free(l);
		return NULL;
	}
	return l;
}

static struct event *
event_of(const struct delivery *d)
{
	return ledger_event_at(&d->hook->all->sim->platform.ledger,
	    d->payload->event);
}

static void
delivery_free(struct delivery *d)
{
	struct webhooks *h = d->hook->all;

	loop_cancel(h->sim->loop, &d->timer);
	payload_release(&d->payload);
	free(d);
	h->pending--;
	h->sim->platform.ledger.changes++;
}

static void hook_run(struct hook *);

/* The first of a lane is done with, one way or the other. */
static void
lane_advance(struct lane *l)
{
	struct delivery *d = l->first;
	struct hook     *hook = d->hook;

	if ((l->first = d->next) == NULL)
		l->end = &l->first;
	delivery_free(d);
	l->busy = false;
	if (l->first != NULL) {
		lane_ready(l);
	} else {
		map_take(&hook->lanes, slice_of(l->key));
		free(l->key);
		free(l);
	}
	hook_run(hook);
}

static void
give_up(struct delivery *d)
{
	struct ledger *l = &d->hook->all->sim->platform.ledger;
	struct event  *e = event_of(d);

	ledger_count(l, COUNT_webhook_given_up);
	if (e != NULL)
		ledger_state(l, e, EVENT_LOST);
	lane_advance(d->lane);
}

static void
deliver(struct delivery *d)
{
	struct webhooks *h = d->hook->all;
	struct post     *p = post_new(h, d->hook);
	struct fault     f;

	if (p == NULL) {
		give_up(d);
		return;
	}
	d->lane->busy = true;
	d->hook->under_way++;
	d->tries++;
	d->tampered = !d->was_tampered &&
	    faults_strike(&h->sim->platform.faults, FAULT_webhook_tamper,
	        d->hook->bot->app_id, "", sim_now_us() / 1000, &f);
	p->delivery = d;
	buf_putf(&p->body, "{\"op\":0,\"s\":%llu,", (unsigned long long)d->s);
	buf_put(&p->body, (struct slice){ d->payload->text, d->payload->n });
	if (!post_start(p, d->tampered ? &f : NULL))
		post_done(p, CURLE_FAILED_INIT);
}

static void
hook_run(struct hook *h)
{
	while (h->ready != NULL && h->under_way < h->parallel) {
		struct lane *l = h->ready;

		if ((h->ready = l->next) == NULL)
			h->ready_end = &h->ready;
		l->ready = false;
		deliver(l->first);
	}
}

static void
on_retry_due(void *self)
{
	struct delivery *d = self;
	struct hook     *h = d->hook;

	if (h->bot->hook != h) {
		give_up(d);
		return;
	}
	d->lane->busy = false;
	lane_ready(d->lane);
	hook_run(h);
}

/* --- what became of a POST ---------------------------------------------- */

static bool
is_ack(struct webhooks *h, struct slice answer, long status)
{
	struct json *j = NULL;
	int64_t      op = -1, d = -1;
	bool         ack;

	if (status != 200)
		return false;
	if (json_parse(&j, answer) == ERR_OK) {
		json_int_at(j, "op", &op);
		json_int_at(j, "d", &d);
	}
	ack = op == 12 && d == 0;
	if (!ack && (op != 12 || d != 1))
		ledger_violation(&h->sim->platform.ledger,
		    VIOLATION_webhook_answer);
	json_free(&j);
	return ack;
}

static void
delivery_acked(struct delivery *d)
{
	struct sim   *s = d->hook->all->sim;
	struct event *e = event_of(d);
	struct fault  f;

	ledger_count(&s->platform.ledger, COUNT_webhook_acked);
	if (e != NULL) {
		e->dispatched++;
		ledger_state(&s->platform.ledger, e, EVENT_GIVEN);
	}
	if (!d->again && faults_strike(&s->platform.faults,
	        FAULT_duplicate_webhook, d->hook->bot->app_id, "",
	        sim_now_us() / 1000, &f)) {
		d->again = true;
		d->lane->busy = false;
		lane_ready(d->lane);
	} else {
		lane_advance(d->lane);
	}
}

static void
delivery_failed(struct delivery *d)
{
	struct sim *s = d->hook->all->sim;

	ledger_count(&s->platform.ledger, COUNT_webhook_failed);
	if (d->hook->bot->hook == d->hook && d->tries < d->hook->tries)
		loop_after(s->loop, &d->timer, d->hook->spacing_ms,
		    on_retry_due, d);
	else
		give_up(d);
}

/* A spoilt callback is refused by a good bot; then the true one follows. */
static void
delivery_tampered(struct delivery *d, bool ack)
{
	struct ledger *l = &d->hook->all->sim->platform.ledger;

	if (ack) {
		ledger_count(l, COUNT_webhook_accepted_tampered);
		ledger_violation(l, VIOLATION_tampered_accepted);
	}
	d->was_tampered = true;
	d->tampered = false;
	d->tries--;
	d->lane->busy = false;
	lane_ready(d->lane);
}

static void
delivery_done(struct post *p, long status)
{
	struct delivery *d = p->delivery;
	struct hook     *h = d->hook;
	bool             ack = is_ack(p->all, buf_slice(&p->answer), status);

	h->under_way--;
	log_debug("webhook.done", KV("bot", h->bot->app_id),
	    KV("status", status), KV("ack", ack), KV("try", d->tries));
	if (d->tampered)
		delivery_tampered(d, ack);
	else if (ack)
		delivery_acked(d);
	else
		delivery_failed(d);
	hook_run(h);
}

static void
validation_done(struct post *p, long status)
{
	struct ledger *l = &p->all->sim->platform.ledger;
	struct json   *j = NULL, *verdict = json_new_object();
	bool           valid;

	valid = status == 200 &&
	    json_parse(&j, buf_slice(&p->answer)) == ERR_OK &&
	    slice_is(json_text(json_get(j, "plain_token")), p->plain) &&
	    sign_verify(p->hook->key, slice_of(p->ts), slice_of(p->plain),
	        json_text(json_get(j, "signature")));
	if (status == 200 && !valid)
		ledger_violation(l, VIOLATION_validation_wrong);
	json_free(&j);
	json_put_bool(verdict, "valid", valid);
	json_put_int(verdict, "status", status);
	control_answer(p->exchange, 200, verdict);
}

static void
post_done(struct post *p, CURLcode code)
{
	long status = 0;

	if (code == CURLE_OK)
		curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
	tell_post(p, status, p->delivery != NULL ? p->delivery->tries : 1);
	if (p->delivery != NULL)
		delivery_done(p, status);
	else
		validation_done(p, status);
	post_free(p);
}

/* --- what the others ask of us ------------------------------------------ */

static void
on_post(void *self, struct bot *bot, struct payload *y)
{
	struct sim         *s = self;
	struct hook        *h = bot->hook;
	const struct event *e = ledger_event_at(&s->platform.ledger, y->event);
	struct delivery    *d = calloc(1, sizeof *d);

	if (d == NULL || e == NULL ||
	    (d->lane = lane_of(h, e->conversation->key)) == NULL) {
		free(d);
		return;
	}
	d->hook = h;
	d->payload = y;
	y->refs++;
	d->s = h->next_s++;
	*d->lane->end = d;
	d->lane->end = &d->next;
	s->webhooks->pending++;
	lane_ready(d->lane);
	hook_run(h);
}

enum err
webhooks_open(struct sim *s)
{
	struct webhooks *h = calloc(1, sizeof *h);

	if (h == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		return ERR_NOMEM;
	}
	s->webhooks = h;
	s->platform.out.post = on_post;
	h->sim = s;
	if ((h->multi = curl_multi_init()) == NULL)
		return ERR_NOMEM;
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	return ERR_OK;
}

static struct hook *
hook_of(struct webhooks *all, struct bot *bot)
{
	struct hook *h = all->hooks;

	while (h != NULL && h->bot != bot)
		h = h->next;
	if (h != NULL || (h = calloc(1, sizeof *h)) == NULL)
		return h;
	h->all = all;
	h->bot = bot;
	h->next_s = 1;
	h->ready_end = &h->ready;
	h->next = all->hooks;
	all->hooks = h;
	return h;
}

/* What waits behind the first of a lane, which may be under way. */
static void
lane_drop_rest(struct lane *l)
{
	struct delivery *d = l->first->next, *next;

	for (; d != NULL; d = next) {
		struct event *e = event_of(d);

		next = d->next;
		if (e != NULL)
			ledger_state(&d->hook->all->sim->platform.ledger, e,
			    EVENT_LOST);
		delivery_free(d);
	}
	l->first->next = NULL;
	l->end = &l->first->next;
}

static void
hook_end(struct hook *h)
{
	struct lane *l;
	size_t       at = 0;

	h->bot->hook = NULL;
	while ((l = map_next(&h->lanes, &at)) != NULL)
		lane_drop_rest(l);
}

enum err
webhook_set(struct sim *s, struct bot *bot, const struct hook_options *o)
{
	struct hook *h;
	char        *url;
	enum err     e;

	if (o->url.n == 0) {
		if (bot->hook != NULL)
			hook_end(bot->hook);
		return ERR_OK;
	}
	if (!slice_starts(o->url, SLICE("http://")) &&
	    !slice_starts(o->url, SLICE("https://")))
		return ERR_SYNTAX;
	if ((h = hook_of(s->webhooks, bot)) == NULL ||
	    (url = slice_dup(o->url)) == NULL)
		return ERR_NOMEM;
	free(h->url);
	h->url = url;
	sign_key_free(&h->key);
	if ((e = sign_key_new(&h->key, secret_reveal(&bot->secret))) != ERR_OK)
		return e;
	h->tries = o->tries;
	h->spacing_ms = o->spacing_ms;
	h->timeout_ms = o->timeout_ms;
	h->parallel = o->parallel;
	bot->hook = h;
	bot->hook_and_socket = o->websocket;
	return ERR_OK;
}

void
webhook_validate(struct sim *s, struct bot *bot, struct exchange *x)
{
	struct post *p = post_new(s->webhooks, bot->hook);
	struct json *j = json_new_object(), *d = json_new_object();
	char         ts[24];

	if (p == NULL || token_random(p->plain, 32) != ERR_OK) {
		json_free(&j);
		json_free(&d);
		control_failed(x, 500, "out of memory");
		return;
	}
	p->exchange = x;
	snprintf(ts, sizeof ts, "%lld",
	    (long long)(sim_wall_ms(s, sim_now_us()) / 1000));
	json_put_text(d, "plain_token", slice_of(p->plain));
	json_put_text(d, "event_ts", slice_of(ts));
	json_put_int(j, "op", 13);
	json_put_take(j, "d", d);
	json_write(j, &p->body);
	json_free(&j);
	if (!post_start(p, NULL))
		post_done(p, CURLE_FAILED_INIT);
	else
		memcpy(p->ts, ts, sizeof ts);
}

bool
webhooks_idle(const struct sim *s)
{
	return s->webhooks->pending == 0 && s->webhooks->posts == NULL;
}

const char *
webhook_url(const struct bot *b)
{
	return b->hook != NULL ? b->hook->url : "";
}

static void
hook_free(struct hook *h)
{
	struct lane *l;
	size_t       at = 0;

	while ((l = map_next(&h->lanes, &at)) != NULL) {
		lane_drop_rest(l);
		delivery_free(l->first);
		free(l->key);
		free(l);
	}
	map_free(&h->lanes);
	sign_key_free(&h->key);
	free(h->url);
	free(h);
}

void
webhooks_close(struct sim *s)
{
	struct webhooks *h = s->webhooks;

	if (h == NULL)
		return;
	while (h->posts != NULL) {
		if (h->posts->exchange != NULL)
			exchange_drop(h->posts->exchange);
		post_free(h->posts);
	}
	while (h->hooks != NULL) {
		struct hook *next = h->hooks->next;

		hook_free(h->hooks);
		h->hooks = next;
	}
	curl_multi_cleanup(h->multi);
	loop_cancel(s->loop, &h->timer);
	curl_global_cleanup();
	free(h);
	s->webhooks = NULL;
}
