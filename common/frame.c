/*
 * Lines and frames.  What an event has is the table of messages.def, so that
 * a key added there is a key here.
 */
#include "frame.h"

#include <stdlib.h>

/* --- bytes into lines --------------------------------------------------------- */

enum err
lines_put(struct lines *l, struct slice bytes)
{
	buf_drop(&l->bytes, l->at);
	l->looked -= l->at;
	l->at = 0;
	buf_put(&l->bytes, bytes);
	return l->bytes.failed ? ERR_NOMEM : ERR_OK;
}

enum err
lines_next(struct lines *l, struct slice *line)
{
	const char *from = l->bytes.p != NULL ? l->bytes.p + l->looked : NULL;
	const char *nl = l->bytes.n > l->looked
	    ? memchr(from, '\n', l->bytes.n - l->looked) : NULL;
	size_t      end;

	if (nl == NULL) {
		l->looked = l->bytes.n;
		return l->bytes.n - l->at >= FRAME_MAX ? ERR_TOO_LARGE
		                                       : ERR_AGAIN;
	}
	end = (size_t)(nl - l->bytes.p);
	if (end - l->at >= FRAME_MAX)
		return ERR_TOO_LARGE;
	*line = (struct slice){ l->bytes.p + l->at, end - l->at };
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	l->at = l->looked = end + 1;
	return ERR_OK;
}

size_t
lines_left(const struct lines *l)
{
	return l->bytes.n - l->at;
}

void
lines_free(struct lines *l)
{
	buf_free(&l->bytes);
	*l = (struct lines){ 0 };
}

/* --- lines into frames -------------------------------------------------------- */

static const char *const verbs[] = {
	[VERB_HELLO] = "hello", [VERB_REPLY] = "reply", [VERB_CALL] = "call",
	[VERB_ACK] = "ack",     [VERB_NACK] = "nack",   [VERB_LOG] = "log",
	[VERB_PONG] = "pong",
};

enum err
frame_read(struct frame *f, struct slice line)
{
	struct slice op;
	enum err     e;

	/* which some languages write once, before all else */
	if (slice_starts(line, SLICE("\xef\xbb\xbf")))
		line = slice_from(line, 3);
	*f = (struct frame){ VERB_STRAY, NULL, line };
	if (line.n == 0 || line.p[0] != '{')
		return ERR_OK;
	if ((e = json_parse(&f->doc, line)) != ERR_OK)
		return e;
	op = json_text_at(f->doc, "op");
	f->verb = VERB_UNKNOWN;
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (slice_is(op, verbs[i]))
			f->verb = (enum verb)i;
	return ERR_OK;
}

void
frame_free(struct frame *f)
{
	json_free(&f->doc);
}

/* --- orders ------------------------------------------------------------------- */

struct rest {
	struct json             *to;
	const char *const       *taken;
	size_t                   n;
};

static void
keep_rest(void *self, const char *key, const struct json *value)
{
	struct rest *r = self;

	for (const char *const *t = r->taken; *t != NULL; t++)
		if (strcmp(*t, key) == 0)
			return;
	json_put_ref(r->to, key, value);
	r->n++;
}

/* The members that are none of these, packed. */
static bool
pack_rest(const struct json *from, const char *const *taken, struct buf *out)
{
	struct rest r = { json_new_object(), taken, 0 };
	bool        good = r.to != NULL;

	if (good)
		json_each(from, keep_rest, &r);
	if (good && r.n > 0)
		good = json_to_msgpack(r.to, out) == ERR_OK;
	json_free(&r.to);
	return good;
}

static bool
is_scalar(const struct json *v)
{
	return v == NULL || json_is_string(v) || json_is_number(v);
}

static const char *
read_n(struct frame_order *o, const struct json *from)
{
	int64_t n;

	if (json_get(from, "n") == NULL)
		return NULL;
	if (!json_int_at(from, "n", &n) || n < 1 || n > INT32_MAX)
		return "n: replies are numbered 1, 2, ...";
	o->n = (uint64_t)n;
	return NULL;
}

static const char *
read_reply(struct frame_order *o, const struct json *doc)
{
	static const char *const taken[] = { "op", "ev", "n", "id", "text",
		NULL };

	o->do_ = SLICE("reply");
	if (!is_scalar(json_get(doc, "text")))
		return "text: is no text";
	o->text = json_text_at(doc, "text");
	if (!pack_rest(doc, taken, &o->with))
		return "its arguments are too deep or too large";
	return read_n(o, doc);
}

static const char *
read_call(struct frame_order *o, const struct json *doc)
{
	/* Of a message; elsewhere a text is an argument like any other. */
	static const char *const of_message[] = { "conv", "msg", "bot", "n",
		"text", NULL };
	static const char *const of_others[] = { "conv", "msg", "bot", "n",
		NULL };
	const struct json *with = json_get(doc, "with");
	bool               message;

	o->do_ = json_text_at(doc, "do");
	message = slice_is(o->do_, "send") || slice_is(o->do_, "stream");
	if (o->do_.n == 0 || o->do_.n > 64)
		return "do: which operation";
	if (with == NULL)
		return NULL;
	if (!json_is_object(with))
		return "with: is not an object";
	if (!is_scalar(json_get(with, "text")))
		return "text: is no text";
	if (message)
		o->text = json_text(json_get(with, "text"));
	o->conv = json_text(json_get(with, "conv"));
	o->msg = json_text(json_get(with, "msg"));
	o->bot = json_text(json_get(with, "bot"));
	o->key = json_text(json_get(with, "key"));
	if (o->key.n > 128)
		return "key: is longer than 128 bytes";
	if (!pack_rest(with, message ? of_message : of_others, &o->with))
		return "with: is too deep or too large";
	return read_n(o, with);
}

const char *
frame_order(struct frame_order *o, const struct frame *f)
{
	const struct json *id = json_get(f->doc, "id");

	*o = (struct frame_order){ 0 };
	if (id != NULL && !is_scalar(id))
		return "id: is neither a number nor a text";
	/* As it is written: a number may be larger than we can count. */
	if (json_is_number(id))
		o->ref = json_member_text(f->line, "id");
	if (id != NULL && o->ref.n == 0) {
		json_write(id, &o->texts);
		o->ref = buf_slice(&o->texts);
	}
	if (o->ref.n > 256)
		return "id: is longer than 256 bytes";
	return f->verb == VERB_REPLY ? read_reply(o, f->doc)
	                             : read_call(o, f->doc);
}

void
frame_order_free(struct frame_order *o)
{
	buf_free(&o->with);
	buf_free(&o->texts);
}

bool
frame_words(const struct json *list, struct buf *words)
{
	if (!json_is_array(list))
		return false;
	for (size_t i = 0; i < json_count(list); i++) {
		struct slice w = json_text(json_at(list, i));

		if (w.n == 0 || w.n > 64 || memchr(w.p, ' ', w.n) != NULL)
			return false;
		if (words->n > 0)
			buf_puts(words, " ");
		buf_put(words, w);
	}
	return !words->failed && words->n > 0 && words->n < 2048;
}

/* --- to the handler ----------------------------------------------------------- */

void
frame_put(struct json *doc, struct buf *out)
{
	if (doc == NULL)
		out->failed = true;
	json_write(doc, out);
	buf_puts(out, "\n");
	json_free(&doc);
}

static void
put_packed(struct json *o, const char *key, struct slice packed)
{
	struct json *v = NULL;

	if (packed.n > 0 && json_from_msgpack(&v, packed) == ERR_OK)
		json_put_take(o, key, v);
}

static void
put_raw(struct json *o, const char *key, struct slice text)
{
	struct json *v = NULL;

	if (json_parse(&v, text) == ERR_OK)
		json_put_take(o, key, v);
}

struct writer {
	struct json *o;
	bool         message, raw, late;
};

/* Keys that are there whatever the event is; of a message some more. */
static bool
is_always(const struct writer *w, const char *key)
{
	static const char *const all[] = { "id", "type", "bot", "conv",
		"text", "time", "attempt", NULL };
	static const char *const messages[] = { "user", "name", "role", "msg",
		"to_me", NULL };

	for (const char *const *k = all; *k != NULL; k++)
		if (strcmp(*k, key) == 0)
			return true;
	for (const char *const *k = messages; w->message && *k != NULL; k++)
		if (strcmp(*k, key) == 0)
			return true;
	return strcmp(key, "replies_left") == 0 && w->late;
}

static void
put_str(struct writer *w, const char *key, struct slice v)
{
	if (v.n > 0 || is_always(w, key))
		json_put_text(w->o, key,
		    v.n > 0 ? v : (struct slice){ "", 0 });
}

static void
put_i64(struct writer *w, const char *key, int64_t v)
{
	if (v != 0 || is_always(w, key))
		json_put_int(w->o, key, v);
}

static void
put_u64(struct writer *w, const char *key, uint64_t v)
{
	put_i64(w, key, v <= INT64_MAX ? (int64_t)v : INT64_MAX);
}

static void
put_flag(struct writer *w, const char *key, bool v)
{
	if (v || is_always(w, key))
		json_put_bool(w->o, key, v);
}

static void
put_any(struct writer *w, const char *key, struct slice v)
{
	put_packed(w->o, key, v);
}

static void
put_bin(struct writer *w, const char *key, struct slice v)
{
	if (w->raw && v.n > 0)
		put_raw(w->o, key, v);
}

void
frame_event(const struct msg_event *ev, bool raw, struct buf *out)
{
	struct writer w = { .o = json_new_object(), .raw = raw,
		.message = slice_starts(ev->type, SLICE("message.")),
		.late = ev->deadline != 0 };

	json_put_text(w.o, "op", SLICE("event"));
#define FIELD(M, type, key, meaning) put_##type(&w, #key, ev->key);
	MESSAGE_event(FIELD, event)
#undef FIELD
	frame_put(w.o, out);
}

void
frame_result(const struct msg_result *r, struct slice ref, struct buf *out)
{
	struct json *o = json_new_object();
	size_t       from;

	buf_puts(out, "{\"op\":\"result\",\"id\":");
	buf_put(out, ref);
	from = out->n;
	json_put_bool(o, "ok", r->ok);
	if (!r->ok) {
		json_put_text(o, "code", r->code);
		json_put_text(o, "message", r->message.n > 0
		        ? r->message : (struct slice){ "", 0 });
	}
	if (r->platform_code != 0)
		json_put_int(o, "platform_code", (int64_t)r->platform_code);
	put_packed(o, "data", r->data);
	frame_put(o, out);
	if (!out->failed)
		out->p[from] = ','; /* for the { of what follows */
}
