/*
 * The checking of a call and the making of its request.  operations.def is
 * the table.  When and how often the request is sent is request.c's.
 */
#include "call.h"

#include "pack.h"

#define BODY_text true
#define BODY_none false
static const struct call_operation operations[] = {
#define OPERATION(name, needs, body, c2c, group, channel, dm, meaning)       \
	{ #name, meaning, needs, BODY_##body,                                \
	    { ROUTE_##c2c, ROUTE_##group, ROUTE_##channel, ROUTE_##dm } },
#include "operations.def"
#undef OPERATION
};

static const struct slice nothing = { NULL, 0 };

enum { OPERATIONS = sizeof operations / sizeof *operations };

static const struct {
	char        prefix;
	const char *name;
} scopes[SCOPES] = {
	[SCOPE_C2C] = { 'u', "c2c" },
	[SCOPE_GROUP] = { 'g', "group" },
	[SCOPE_CHANNEL] = { 'c', "channel" },
	[SCOPE_DM] = { 'd', "dm" },
};

const struct call_operation *
call_operations(size_t *n)
{
	*n = OPERATIONS;
	return operations;
}

const char *
call_scope_name(const struct call *c)
{
	return c->operation->needs & NEEDS_CONV ? scopes[c->scope].name
	                                        : "none";
}

/* --- checks --------------------------------------------------------------- */

/* Well-formed UTF-8, no over-long forms, no surrogates. */
static bool
is_utf8(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

	while (p < end) {
		unsigned char c = *p++;
		unsigned      more = c < 0x80 ? 0 : c < 0xe0 ? 1
		                              : c < 0xf0     ? 2
		                                             : 3;
		unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

		if ((c >= 0x80 && c < 0xc2) || c > 0xf4 ||
		    (size_t)(end - p) < more)
			return false;
		for (; more > 0; more--, p++) {
			if (*p < low || *p > high)
				return false;
			low = 0x80;
			high = 0xbf;
		}
	}
	return true;
}

static bool
is_id(struct slice s)
{
	return s.n > 0 && s.n <= CALL_ID_MAX && is_utf8(s) &&
	    memchr(s.p, '\0', s.n) == NULL;
}

static bool
is_optional_id(struct slice s)
{
	return s.n == 0 || is_id(s);
}

static bool
read_conv(struct call *c, struct slice conv)
{
	if (conv.n < 3 || conv.p[1] != ':')
		return false;
	for (int i = 0; i < SCOPES; i++)
		if (scopes[i].prefix == conv.p[0]) {
			c->scope = (enum call_scope)i;
			c->target = slice_from(conv, 2);
			return is_id(c->target);
		}
	return false;
}

/* nil, or a map of what every operation knows. */
static bool
read_with(struct call *c, struct slice packed)
{
	struct unpack      u;
	struct unpack_item map, key, value;

	if (packed.n == 0)
		return true;
	unpack_open(&u, packed);
	if (unpack_next(&u, &map) != ERR_OK ||
	    (map.type != UNPACK_NIL && map.type != UNPACK_MAP))
		return false;
	for (size_t i = 0; map.type == UNPACK_MAP && i < map.count; i++) {
		if (unpack_next(&u, &key) != ERR_OK ||
		    unpack_next(&u, &value) != ERR_OK)
			return false;
		if (slice_is(key.bytes, "key") && value.type == UNPACK_STR)
			c->own_key = value.bytes;
		else if (slice_is(key.bytes, "audit_wait_ms") &&
		    value.type == UNPACK_UINT)
			c->audit_wait_ms = value.u;
		else
			return false;
	}
	return true;
}

static const char *
check(struct call *c)
{
	const struct msg_call *m = c->args;
	unsigned               needs = c->operation->needs;

	if (needs & NEEDS_EV && m->ev.n == 0)
		return "ev: a reply names its event";
	if (needs & NEEDS_N && (m->n < 1 || m->n > INT32_MAX))
		return "n: replies are numbered 1, 2, ...";
	if (needs & NEEDS_CONV && !read_conv(c, m->conv))
		return "conv: not a conversation (u: g: c: d: and its id)";
	if (needs & NEEDS_ANCHOR && m->msg.n == 0 && m->event.n == 0)
		return "msg: a reply names the message or event it answers";
	if (!is_optional_id(m->msg) || !is_optional_id(m->event))
		return m->msg.n > 0 ? "msg: not an id" : "event: not an id";
	if (needs & NEEDS_MSG && m->msg.n == 0)
		return "msg: which message";
	if (needs & NEEDS_TEXT && slice_trim(m->text).n == 0)
		return "text: is empty";
	if (needs & NEEDS_TEXT && !is_utf8(m->text))
		return "text: is not UTF-8";
	return NULL;
}

enum result
call_read(struct call *c, const struct msg_call *m, const char **wrong)
{
	*c = (struct call){ .args = m };
	for (size_t i = 0; i < OPERATIONS; i++)
		if (slice_is(m->do_, operations[i].name))
			c->operation = &operations[i];
	*wrong = "do: no such operation in this version";
	if (c->operation == NULL)
		return RESULT_UNSUPPORTED;
	*wrong = "with: this version sends text only";
	if (c->operation->needs & NEEDS_TEXT && !read_with(c, m->with))
		return RESULT_UNSUPPORTED;
	if ((*wrong = check(c)) != NULL)
		return RESULT_BAD_ARG;
	c->route = c->operation->routes[c->scope];
	c->appears = c->operation->has_body;
	c->has_seq = c->operation->needs & NEEDS_N &&
	    (c->scope == SCOPE_C2C || c->scope == SCOPE_GROUP);
	c->whole = c->route == ROUTE_me;
	return RESULT_OK;
}

/* --- the request ---------------------------------------------------------- */

enum err
call_url(const struct call *c, struct slice base, struct buf *url)
{
	return route_fill(c->route, base, c->target, c->args->msg, url);
}

/* A user or group is told msg_type and, with a reply, msg_seq; channels and
 * direct conversations know neither.  The message answered wins over the
 * event: the platform takes one of them. */
enum err
call_body(const struct call *c, struct buf *body)
{
	const struct msg_call *m = c->args;
	struct json           *o;
	bool reply = c->operation->needs & NEEDS_ANCHOR;

	if (!c->operation->has_body)
		return ERR_OK;
	o = json_new_object();
	if (c->scope == SCOPE_C2C || c->scope == SCOPE_GROUP)
		json_put_int(o, "msg_type", 0);
	json_put_text(o, "content", m->text);
	if (reply && m->msg.n > 0)
		json_put_text(o, "msg_id", m->msg);
	else if (reply)
		json_put_text(o, "event_id", m->event);
	if (c->has_seq)
		json_put_int(o, "msg_seq", (int64_t)m->n);
	json_write(o, body);
	json_free(&o);
	return body->failed || body->n == 0 ? ERR_NOMEM : ERR_OK;
}

/* Lengths go before, so that no two lists of parts are the same bytes. */
static void
put_part(struct buf *key, struct slice part)
{
	buf_put(key, (struct slice){ (const char *)&part.n, sizeof part.n });
	buf_put(key, part);
}

void
call_key(const struct call *c, struct slice peer, struct buf *key)
{
	const struct msg_call *m = c->args;

	put_part(key, m->bot);
	put_part(key, slice_of(c->operation->name));
	if (c->own_key.n > 0 && !(c->operation->needs & NEEDS_N)) {
		put_part(key, SLICE("key"));
		put_part(key, c->own_key);
		put_part(key, nothing);
		return;
	}
	put_part(key, m->ev);
	if (c->operation->needs & NEEDS_N) {
		buf_put(key, (struct slice){ (const char *)&m->n,
		    sizeof m->n });
		return;
	}
	if (m->ev.n == 0)
		put_part(key, peer);
	put_part(key, m->id);
}
