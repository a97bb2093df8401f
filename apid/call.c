/*
 * The checking of a call and the making of its request.  catalog.def and
 * operations.def are the tables.  When and how often the request is sent is
 * request.c's.
 */
#include "call.h"

#include <stdarg.h>
#include <stdio.h>

#include "body.h"
#include "pack.h"
#include "params.h"

static const char prefixes[SCOPES] = {
	[SCOPE_C2C] = 'u', [SCOPE_GROUP] = 'g', [SCOPE_CHANNEL] = 'c',
	[SCOPE_DM] = 'd',
};

/* What stands in no table, by its method. */
static const struct catalog_row raw_rows[] = {
#define RAW_ROW(method, form, effect)                                        \
	{ "raw", method, "", form, effect, SCOPE_APP, "none", "200",         \
	    STATUS_CURRENT, "a request as it is given", false, false }
	RAW_ROW("GET", FORM_NONE, EFFECT_READS),
	RAW_ROW("POST", FORM_JSON, EFFECT_MAKES),
	RAW_ROW("PUT", FORM_JSON, EFFECT_MAKES),
	RAW_ROW("PATCH", FORM_JSON, EFFECT_MAKES),
	RAW_ROW("DELETE", FORM_JSON, EFFECT_SETS),
#undef RAW_ROW
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

const char *
call_scope_name(const struct call *c)
{
	return c->target.n > 0 ? catalog_scope_name(c->scope) : "none";
}

enum result
call_wrong(struct call *c, enum result result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->wrong, sizeof c->wrong, fmt, ap);
	va_end(ap);
	return result;
}

/* --- checks --------------------------------------------------------------- */

bool
call_is_utf8(struct slice s)
{
	return slice_utf8(s) == s.n;
}

bool
call_is_id(struct slice s)
{
	return s.n > 0 && s.n <= CALL_ID_MAX && call_is_utf8(s) &&
	    memchr(s.p, '\0', s.n) == NULL;
}

/* Servers undo the coding of a / before they look at . and .. between them. */
bool
call_climbs(struct slice s)
{
	for (size_t at = 0, n; at <= s.n; at += n + 1) {
		const struct slice rest = slice_from(s, at);

		for (n = 0; n < rest.n && rest.p[n] != '/' &&
		     rest.p[n] != '\\'; n++)
			;
		if ((n == 1 || n == 2) && rest.p[0] == '.' &&
		    rest.p[n - 1] == '.')
			return true;
	}
	return false;
}

static bool
is_optional_id(struct slice s)
{
	return s.n == 0 || call_is_id(s);
}

static bool
read_conv(struct call *c, struct slice conv)
{
	if (conv.n < 3 || conv.p[1] != ':')
		return false;
	for (int i = 0; i < SCOPES; i++)
		if (prefixes[i] == conv.p[0]) {
			c->scope = (enum call_scope)i;
			c->target = slice_from(conv, 2);
			return call_is_id(c->target);
		}
	return false;
}

static const char *
check_fields(struct call *c)
{
	const struct msg_call *m = c->args;
	unsigned               needs = c->operation->needs;

	if (needs & NEEDS_EV && m->ev.n == 0)
		return "ev: a reply names its event";
	if ((needs & NEEDS_N && m->n < 1) || m->n > INT32_MAX)
		return "n: replies are numbered 1, 2, ...";
	if (needs & NEEDS_CONV && !read_conv(c, m->conv))
		return "conv: not a conversation (u: g: c: d: and its id)";
	if (needs & NEEDS_ANCHOR && m->msg.n == 0 && m->event.n == 0)
		return "msg: a reply names the message or event it answers";
	if (!is_optional_id(m->msg) || !is_optional_id(m->event))
		return m->msg.n > 0 ? "msg: not an id" : "event: not an id";
	if (needs & NEEDS_MSG && m->msg.n == 0)
		return "msg: which message";
	if (!call_is_utf8(m->text))
		return "text: is not UTF-8";
	return NULL;
}

/* --- arguments -------------------------------------------------------------- */

static enum result
read_with(struct call *c)
{
	struct slice with = c->args->with;
	enum err     e;

	if (with.n == 0)
		return RESULT_OK;
	if ((e = json_from_msgpack(&c->with, with)) == ERR_NOMEM)
		return call_wrong(c, RESULT_RATE_LIMITED, "out of memory");
	if (e == ERR_OK && (c->with == NULL || json_is_object(c->with)))
		return RESULT_OK;
	return call_wrong(c, RESULT_BAD_ARG, "with: is not a map");
}

static bool
is_list(const struct json *v)
{
	return json_is_array(v) || json_is_string(v);
}

/* Of one of the types, which are separated by slashes? */
static bool
is_of_type(const char *types, const struct json *v)
{
	bool    flag = !json_is_string(v) && !json_is_number(v) &&
	    json_text(v).n > 0;
	int64_t n;

	for (; *types != '\0'; types += *types == '/') {
		size_t       len = strcspn(types, "/");
		struct slice t = { types, len };

		if ((slice_is(t, "TEXT") &&
		        (json_is_string(v) || json_is_number(v))) ||
		    (slice_is(t, "INTEGER") && json_int(v, &n)) ||
		    (slice_is(t, "FLAG") && (flag || json_text(v).n > 0)) ||
		    (slice_is(t, "IDS") && is_list(v)) ||
		    (slice_is(t, "OBJECT") &&
		        (json_is_object(v) || json_is_array(v))))
			return true;
		types += len;
	}
	return false;
}

struct naming {
	struct call *call;
	enum result  result;
};

static void
check_argument(void *self, const char *key, const struct json *v)
{
	struct naming              *k = self;
	struct call                *c = k->call;
	size_t                      n;
	const struct call_argument *a = call_arguments(&n), *end = a + n;

	if (k->result != RESULT_OK)
		return;
	for (; a < end; a++)
		if (a->makes == c->operation->makes &&
		    strcmp(a->name, key) == 0)
			break;
	if (a == end)
		k->result = call_wrong(c, RESULT_UNSUPPORTED,
		    "%.80s: %s has no such argument", key, c->operation->name);
	else if (v != NULL && c->target.n > 0 &&
	    strchr(a->scopes, prefixes[c->scope]) == NULL)
		k->result = call_wrong(c, RESULT_UNSUPPORTED,
		    "%s: not in a conversation of this kind (%s)", key,
		    catalog_scope_name(c->scope));
	else if (v != NULL && !is_of_type(a->type, v))
		k->result = call_wrong(c, RESULT_BAD_ARG, "%s: is no %s", key,
		    a->type);
}

/* What stands for nothing is as good as absent. */
static enum result
check_arguments(struct call *c)
{
	struct naming k = { c, RESULT_OK };

	json_each(c->with, check_argument, &k);
	return k.result;
}

/* --- operations by conversation ------------------------------------------------ */

static struct slice
argument(const struct call *c, const char *name)
{
	return json_text(json_get(c->with, name));
}

static enum result
need_id(struct call *c, const char *name, struct slice *to)
{
	*to = argument(c, name);
	if (call_is_id(*to))
		return RESULT_OK;
	return call_wrong(c, RESULT_BAD_ARG, "%s: %s", name,
	    to->n == 0 ? "is missing" : "not an id");
}

static enum result
read_upload(struct call *c)
{
	static const char *const types[] = { "", "image", "video", "audio",
		"file" };
	struct slice type = argument(c, "type");
	unsigned     i = 1;

	while (i < COUNT(types) && !slice_is(type, types[i]))
		i++;
	if (i == COUNT(types))
		return call_wrong(c, RESULT_BAD_ARG,
		    "type: image, video, audio or file");
	if (argument(c, "source").n == 0)
		return call_wrong(c, RESULT_BAD_ARG, "source: is missing");
	c->work = WORK_UPLOAD;
	c->media = (struct media_want){ .wanted = true, .type = i,
		.source = argument(c, "source"),
		.name = argument(c, "name") };
	return RESULT_OK;
}

/* The scheme may be missing (fetch.c), the host may not. */
static bool
is_address(struct slice s)
{
	if (slice_starts(s, SLICE("https://")))
		s = slice_from(s, 8);
	else if (slice_starts(s, SLICE("http://")))
		s = slice_from(s, 7);
	else if (slice_starts(s, SLICE("//")))
		s = slice_from(s, 2);
	else if (memmem(s.p, s.n, "://", 3) != NULL)
		return false;
	return s.n > 0 && s.p[0] != '/' && s.p[0] != '.';
}

static enum result
read_download(struct call *c)
{
	c->work = WORK_DOWNLOAD;
	c->media.source = argument(c, "url");
	return c->media.source.n > 0 && is_address(c->media.source)
	    ? RESULT_OK
	    : call_wrong(c, RESULT_BAD_ARG, "url: an address with https://");
}

static enum result
read_interaction(struct call *c)
{
	const struct json *given = json_get(c->with, "code");
	int64_t            code = 0;
	enum result        result = need_id(c, "id", &c->segments[0]);

	if (result != RESULT_OK)
		return result;
	if (given != NULL && (!json_int(given, &code) || code < 0 || code > 5))
		return call_wrong(c, RESULT_BAD_ARG, "code: 0 to 5");
	c->body = json_new_object();
	json_put_int(c->body, "code", code);
	json_put_ref(c->body, "data", json_get(c->with, "data"));
	return RESULT_OK;
}

static enum result
read_member(struct call *c)
{
	enum result result = RESULT_OK;

	c->segments[0] = c->target;
	if (c->scope == SCOPE_CHANNEL)
		result = need_id(c, "guild", &c->segments[0]);
	c->whole = true;
	return result != RESULT_OK ? result
	    : need_id(c, "user", &c->segments[1]);
}

/* A path of ours would be read as another: no dots that lead elsewhere, and
 * nothing that ends the request's line. */
static bool
is_path(struct slice s)
{
	if (s.n < 2 || s.n > 4 * CALL_ID_MAX || s.p[0] != '/' ||
	    s.p[1] == '/')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '#' ||
		    s.p[i] == '\\')
			return false;
	while (s.n > 0 && s.p[0] == '/') {
		size_t n = 1;

		while (n < s.n && s.p[n] != '/' && s.p[n] != '?')
			n++;
		if ((n == 2 && s.p[1] == '.') ||
		    (n == 3 && s.p[1] == '.' && s.p[2] == '.'))
			return false;
		s = slice_from(s, n);
	}
	return true;
}

static enum result
read_raw(struct call *c)
{
	const struct json *body = json_get(c->with, "body");
	struct slice       method = argument(c, "method");
	size_t             i = 0;

	while (i < COUNT(raw_rows) && !slice_is(method, raw_rows[i].method))
		i++;
	if (i == COUNT(raw_rows))
		return call_wrong(c, RESULT_BAD_ARG,
		    "method: GET, POST, PUT, PATCH or DELETE");
	if (!is_path(argument(c, "path")))
		return call_wrong(c, RESULT_BAD_ARG,
		    "path: begins with / and is a path of the platform's");
	if (body != NULL && raw_rows[i].form == FORM_NONE)
		return call_wrong(c, RESULT_BAD_ARG, "body: not with GET");
	c->row = &raw_rows[i];
	c->appears = raw_rows[i].effect == EFFECT_MAKES;
	c->whole = true;
	c->segments[0] = argument(c, "path");
	c->body = json_share(body);
	return RESULT_OK;
}

/* --- operations of the catalog ---------------------------------------------------- */

static bool
is_given(const struct call *c, const char *name)
{
	return json_get(c->with, name) != NULL;
}

/* What somebody will see is a message, in whatever words it was asked for. */
static bool
is_message(enum call_id id)
{
	return id == CALL_c2c_message_send || id == CALL_group_message_send ||
	    id == CALL_channel_message_send || id == CALL_dm_message_send ||
	    id == CALL_c2c_stream_send;
}

/* Does its path begin with a conversation of its scope? */
static bool
leads_to_conversation(const struct call *c)
{
	static const char *const begins[SCOPES] = {
		[SCOPE_C2C] = "/v2/users/{", [SCOPE_GROUP] = "/v2/groups/{",
		[SCOPE_CHANNEL] = "/channels/{", [SCOPE_DM] = "/dms/{",
	};

	return c->scope < SCOPES &&
	    slice_starts(slice_of(c->row->path), slice_of(begins[c->scope]));
}

static enum result
read_params(struct call *c, enum call_id id)
{
	enum result result = params_read(c, id);
	bool        sent_along = json_truth(json_get(c->with, "srv_send_msg"));

	if (result != RESULT_OK)
		return result;
	c->whole = true;
	c->scope = c->row->scope;
	c->appears = c->row->effect == EFFECT_MAKES || sent_along;
	c->speaks = is_message(id) || sent_along;
	c->passive = is_given(c, "msg_id") || is_given(c, "event_id");
	c->has_seq = c->passive && is_given(c, "msg_seq") &&
	    (id == CALL_c2c_message_send || id == CALL_group_message_send ||
	        slice_is(argument(c, "input_mode"), "replace"));
	if (leads_to_conversation(c))
		c->target = c->segments[0];
	return RESULT_OK;
}

/* --- the whole --------------------------------------------------------------------- */

static enum result
find_operation(struct call *c)
{
	size_t                          n;
	const struct catalog_withdrawn *w = catalog_withdrawn(&n);
	struct slice                    name = c->args->do_;

	c->operation = call_operation(name);
	for (size_t i = 0; i < n; i++)
		if (slice_is(name, w[i].name))
			return call_wrong(c, RESULT_UNSUPPORTED,
			    "do: %s: the platform has withdrawn it",
			    w[i].name);
	if (c->operation == NULL)
		return call_wrong(c, RESULT_UNSUPPORTED,
		    "do: no such operation in this version");
	if (c->operation->makes == MAKES_PARAMS &&
	    catalog_row(c->operation->requests[0])->status == STATUS_OURS)
		return call_wrong(c, RESULT_UNSUPPORTED,
		    "do: %s: only apid asks for that", c->operation->name);
	return RESULT_OK;
}

static enum result
make(struct call *c)
{
	switch (c->operation->makes) {
	case MAKES_PARAMS:
		return read_params(c, c->operation->requests[0]);
	case MAKES_MESSAGE:
		c->appears = true;
		return body_message(c);
	case MAKES_STREAM:
		c->appears = true;
		c->whole = true;
		return body_stream(c);
	case MAKES_TYPING:
		return body_typing(c);
	case MAKES_UPLOAD:
		return read_upload(c);
	case MAKES_DOWNLOAD:
		return read_download(c);
	case MAKES_INTERACTION:
		return read_interaction(c);
	case MAKES_MEMBER:
		return read_member(c);
	case MAKES_RAW:
		return read_raw(c);
	case MAKES_RECALL:
	case MAKES_NOTHING:
		c->whole = c->operation->makes == MAKES_NOTHING;
		break;
	}
	return RESULT_OK;
}

/* What is about the call, and not about its request. */
static enum result
read_manner(struct call *c)
{
	int64_t wait = 0;

	c->wakeup = json_truth(json_get(c->with, "wakeup")) ||
	    json_truth(json_get(c->with, "is_wakeup"));
	if (c->operation->makes != MAKES_MESSAGE)
		return RESULT_OK;
	c->own_key = argument(c, "key");
	if (c->own_key.n > 0 && !call_is_id(c->own_key))
		return call_wrong(c, RESULT_BAD_ARG, "key: not an id");
	json_int_at(c->with, "audit_wait_ms", &wait);
	if (wait < 0 || wait > CALL_AUDIT_MAX_MS)
		return call_wrong(c, RESULT_BAD_ARG,
		    "audit_wait_ms: 0 to %d", CALL_AUDIT_MAX_MS);
	c->audit_wait_ms = (uint64_t)wait;
	return RESULT_OK;
}

static enum result
read_call(struct call *c, bool raw)
{
	const char *wrong;
	enum result result;
	enum call_id id;

	if ((result = find_operation(c)) != RESULT_OK)
		return result;
	if (c->operation->makes == MAKES_RAW && !raw)
		return call_wrong(c, RESULT_UNSUPPORTED,
		    "do: raw calls need ROOKERY_RAW_CALLS=yes");
	if ((wrong = check_fields(c)) != NULL)
		return call_wrong(c, RESULT_BAD_ARG, "%s", wrong);
	id = c->operation->requests[c->scope];
	if (id == CALL_none && c->operation->needs & NEEDS_CONV)
		return call_wrong(c, RESULT_UNSUPPORTED,
		    "conv: no %s in a conversation of this kind (%s)",
		    c->operation->name, catalog_scope_name(c->scope));
	c->row = id != CALL_none ? catalog_row(id) : NULL;
	c->segments[0] = c->target;
	c->segments[1] = c->args->msg;
	if ((result = read_with(c)) != RESULT_OK ||
	    (c->operation->makes != MAKES_PARAMS &&
	        (result = check_arguments(c)) != RESULT_OK) ||
	    (result = read_manner(c)) != RESULT_OK ||
	    (result = make(c)) != RESULT_OK)
		return result;
	/* Text and ids were checked; what else came in is checked as a whole,
	 * where it ends up. */
	if (c->with != NULL && !call_is_utf8(json_print(c->body)))
		return call_wrong(c, RESULT_BAD_ARG,
		    "with: a text in it is not UTF-8");
	return RESULT_OK;
}

enum result
call_read(struct call *c, const struct msg_call *m, bool raw,
    const char **wrong)
{
	enum result result;

	*c = (struct call){ .args = m };
	result = read_call(c, raw);
	*wrong = result != RESULT_OK ? c->wrong : NULL;
	return result;
}

void
call_free(struct call *c)
{
	json_free(&c->body);
	json_free(&c->with);
}

/* --- the request ---------------------------------------------------------- */

enum err
call_url(const struct call *c, struct slice base, struct buf *url)
{
	const char *p;
	size_t      segment = 0;

	buf_put(url, base);
	if (c->row == NULL)
		return url->failed ? ERR_NOMEM : ERR_OK;
	if (c->row->path[0] == '\0')
		buf_put(url, c->segments[0]);
	for (p = c->row->path; *p != '\0';) {
		size_t       n = strcspn(p, "{");
		struct slice value;

		buf_put(url, (struct slice){ p, n });
		if (p[n] == '\0')
			break;
		value = c->segments[segment++];
		if (value.n == 0 || call_climbs(value))
			return ERR_SYNTAX;
		params_encode(url, value);
		p += n + strcspn(p + n, "}") + 1;
	}
	if (c->operation->makes == MAKES_PARAMS)
		params_query(c->with, c->operation->requests[0], url);
	else if (c->operation->makes == MAKES_RECALL && c->with != NULL)
		params_query(c->with, c->operation->requests[c->scope], url);
	return url->failed ? ERR_NOMEM : ERR_OK;
}

enum err
call_body(const struct call *c, struct buf *body)
{
	if (c->body == NULL)
		return ERR_OK;
	json_write(c->body, body);
	return body->failed || body->n == 0 ? ERR_NOMEM : ERR_OK;
}

enum err
call_put_media(enum call_scope scope, struct slice body, struct slice value,
    struct buf *out)
{
	struct json *o = NULL, *media;
	enum err     e = json_parse(&o, body);

	if (e != ERR_OK)
		return e;
	if (scope == SCOPE_C2C || scope == SCOPE_GROUP) {
		media = json_new_object();
		json_put_text(media, "file_info", value);
		json_put_take(o, "media", media);
	} else {
		json_put_text(o, "image", value);
	}
	json_write(o, out);
	json_free(&o);
	return out->failed || out->n == 0 ? ERR_NOMEM : ERR_OK;
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
		put_part(key, (struct slice){ NULL, 0 });
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

void
call_conv(const struct call *c, struct buf *conv)
{
	char prefix[2] = { 0, ':' };

	if (c->target.n == 0 || c->scope >= SCOPES)
		return;
	prefix[0] = prefixes[c->scope];
	buf_put(conv, (struct slice){ prefix, 2 });
	buf_put(conv, c->target);
}

void
call_lane(const struct call *c, struct buf *lane)
{
	char prefix[2] = { ' ' };

	if (c->target.n == 0 ||
	    !(c->speaks || c->operation->needs & NEEDS_CONV))
		return;
	prefix[1] = prefixes[c->scope];
	buf_put(lane, c->args->bot);
	buf_put(lane, (struct slice){ prefix, 2 });
	buf_put(lane, c->target);
}
