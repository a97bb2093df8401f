/*
 * A ring of requests; the memory of each slot is used again.
 */
#include "wire.h"

#include <stdlib.h>

#include "json.h"

enum part { PART_PATH, PART_QUERY, PART_SCHEME, PART_TYPE, PART_UNION,
	PART_CALLBACK, PART_AGENT, PART_BODY };

const char *
method_name(enum method m)
{
	static const char *const names[] = { "GET", "POST", "PUT", "PATCH",
		"DELETE", "OTHER" };

	return names[m];
}

enum err
wire_new(struct wire **out)
{
	*out = calloc(1, sizeof **out);
	return *out != NULL ? ERR_OK : ERR_NOMEM;
}

void
wire_free(struct wire **at)
{
	if (*at == NULL)
		return;
	for (size_t i = 0; i < WIRE_SLOTS; i++)
		buf_free(&(*at)->slots[i].text);
	free(*at);
	*at = NULL;
}

void
wire_reset(struct wire *w)
{
	for (size_t i = 0; i < WIRE_SLOTS; i++)
		w->slots[i].serial = 0;
}

static void
put_part(struct wire_slot *s, enum part p, struct slice text)
{
	if (text.n > 0)
		buf_put(&s->text, text);
	s->parts[p] = s->text.n;
}

/* "QQBot TOKEN" is kept as "QQBot". */
static struct slice
scheme_of(struct slice authorization)
{
	const char *blank = memchr(authorization.p, ' ', authorization.n);

	return blank == NULL ? SLICE("") : (struct slice){ authorization.p,
		(size_t)(blank - authorization.p) };
}

uint64_t
wire_put(struct wire *w, const struct request *r, int64_t at_ms)
{
	struct wire_slot *s = &w->slots[++w->last % WIRE_SLOTS];
	struct slice      body = r->body;

	s->serial = w->last;
	s->at_ms = at_ms;
	s->method = r->method;
	s->op = "";
	s->status = 0;
	s->bot[0] = '\0';
	s->nbody = body.n;
	buf_reset(&s->text);
	put_part(s, PART_PATH, r->path);
	for (size_t i = 0; i < r->nquery; i++) {
		if (i > 0)
			buf_puts(&s->text, "&");
		buf_put(&s->text, r->query[i]);
	}
	put_part(s, PART_QUERY, SLICE(""));
	put_part(s, PART_SCHEME, r->authorization.n > 0
	    ? scheme_of(r->authorization) : SLICE(""));
	put_part(s, PART_TYPE, r->content_type);
	put_part(s, PART_UNION, r->union_appid);
	put_part(s, PART_CALLBACK, r->callback_appid);
	put_part(s, PART_AGENT, r->user_agent);
	if (body.n > WIRE_BODY_MAX)
		body.n = WIRE_BODY_MAX;
	put_part(s, PART_BODY, body);
	return s->serial;
}

void
wire_note(struct wire *w, uint64_t serial, const char *op, const char *bot,
    int status)
{
	struct wire_slot *s = &w->slots[serial % WIRE_SLOTS];

	if (serial == 0 || s->serial != serial)
		return;
	s->op = op;
	s->status = status;
	if (bot != NULL && strlen(bot) < sizeof s->bot)
		memcpy(s->bot, bot, strlen(bot) + 1);
}

static struct slice
part_of(const struct wire_slot *s, enum part p)
{
	size_t from = p == PART_PATH ? 0 : s->parts[p - 1];

	return (struct slice){ s->text.p + from, s->parts[p] - from };
}

/* A secret that a client says in a body is not for tests to see. */
static void
put_body(struct json *j, const struct wire_slot *s)
{
	struct slice text = part_of(s, PART_BODY);
	struct json *body = NULL;

	json_put_int(j, "bytes", (int64_t)s->nbody);
	if (s->nbody == 0 || s->nbody > WIRE_BODY_MAX ||
	    json_parse(&body, text) != ERR_OK)
		return;
	if (json_get(body, "clientSecret") != NULL)
		json_put_text(body, "clientSecret", SLICE("***"));
	json_put_take(j, "body", body);
}

static struct json *
slot_json(const struct wire_slot *s)
{
	static const struct {
		const char *name;
		enum part   part;
	} headers[] = {
		{ "authorization", PART_SCHEME },
		{ "content-type", PART_TYPE },
		{ "x-union-appid", PART_UNION },
		{ "x-callback-appid", PART_CALLBACK },
		{ "user-agent", PART_AGENT },
	};
	struct json *j = json_new_object(), *h = json_new_object();

	json_put_int(j, "serial", (int64_t)s->serial);
	json_put_int(j, "at_ms", s->at_ms);
	json_put_text(j, "bot", slice_of(s->bot));
	json_put_text(j, "op", slice_of(s->op));
	json_put_text(j, "method", slice_of(method_name(s->method)));
	json_put_text(j, "path", part_of(s, PART_PATH));
	json_put_text(j, "query", part_of(s, PART_QUERY));
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
		if (part_of(s, headers[i].part).n > 0)
			json_put_text(h, headers[i].name,
			    part_of(s, headers[i].part));
	json_put_take(j, "headers", h);
	put_body(j, s);
	json_put_int(j, "status", s->status);
	return j;
}

struct json *
wire_json(const struct wire *w, uint64_t after, size_t limit, struct slice op)
{
	struct json *list = json_new_array();

	if (w->last > WIRE_SLOTS && after < w->last - WIRE_SLOTS)
		after = w->last - WIRE_SLOTS;
	for (uint64_t i = after + 1; i <= w->last && limit > 0; i++) {
		const struct wire_slot *s = &w->slots[i % WIRE_SLOTS];

		if (s->serial != i || s->text.failed ||
		    (op.n > 0 && !slice_is(op, s->op)))
			continue;
		json_push_take(list, slot_json(s));
		limit--;
	}
	return list;
}
