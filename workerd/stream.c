/*
 * The streams of an event.
 */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

enum err
part_read(struct slice with, struct part *p)
{
	struct json *doc = NULL;
	struct slice id;
	enum err     e;

	*p = (struct part){ .index = -1 };
	if (with.n > 0 && (e = json_from_msgpack(&doc, with)) != ERR_OK)
		return e;
	id = json_text_at(doc, "id");
	if (!json_int_at(doc, "index", &p->index))
		p->index = -1;
	p->first = id.n == 0;
	p->final = json_truth(json_get(doc, "final"));
	p->append = json_truth(json_get(doc, "append"));
	p->text = slice_is(json_text_at(doc, "format"), "text");
	if (!p->first)
		p->id = slice_dup(id);
	e = p->first || p->id != NULL ? ERR_OK : ERR_NOMEM;
	json_free(&doc);
	return e;
}

void
part_free(struct part *p)
{
	free(p->id);
	p->id = NULL;
}

static struct stream *
begin(struct stream **at, uint64_t n)
{
	struct stream *s;
	uint64_t       most = 0;

	for (; *at != NULL; at = &(*at)->next) {
		s = *at;
		if (n == 0 ? s->failed : s->n == n) {
			s->failed = false;
			return s;
		}
		if (s->n > most)
			most = s->n;
	}
	if ((s = calloc(1, sizeof *s)) == NULL)
		return NULL;
	s->n = n > 0 ? n : most + 1;
	s->index = -1;
	return *at = s;
}

struct stream *
stream_of(struct stream **first, const struct part *p, uint64_t n)
{
	struct stream *s = *first;

	if (p->first)
		return begin(first, n);
	while (s != NULL && (s->id == NULL ||
	    !slice_is(slice_of(p->id), s->id)))
		s = s->next;
	return s;
}

void
stream_taken(struct stream *s, const struct part *p, struct slice text,
    struct slice data)
{
	struct json *doc = NULL;
	struct slice id, shown;

	if (data.n > 0)
		(void)json_from_msgpack(&doc, data);
	id = json_text_at(doc, "id");
	if (p->first && s->id == NULL && id.n > 0)
		s->id = slice_dup(id);
	if ((shown = json_text_at(doc, "shown")).n > 0)
		text = shown;
	s->append = p->append || json_truth(json_get(doc, "append"));
	s->text = p->text || slice_is(json_text_at(doc, "format"), "text");
	s->over = s->over || p->final;
	if (p->index > s->index) {
		s->index = p->index;
		buf_reset(&s->shown);
		if (!s->append)
			buf_put(&s->shown, text);
	}
	json_free(&doc);
}

enum err
stream_words(struct stream *s, const struct part *p, struct slice text,
    struct buf *out)
{
	struct slice shown = buf_slice(&s->shown);

	if (p->append || shown.n == 0) {
		buf_put(out, text);
		return out->failed ? ERR_NOMEM : ERR_OK;
	}
	buf_put(out, buf_slice(&s->before));
	buf_put(out, text);
	if (out->failed)
		return ERR_NOMEM;
	if (slice_starts(buf_slice(out), shown))
		return ERR_OK;
	if (slice_starts(shown, buf_slice(out))) {
		buf_reset(out);
		buf_put(out, shown);
		return out->failed ? ERR_NOMEM : ERR_OK;
	}
	buf_reset(&s->before);
	buf_put(&s->before, shown);
	buf_put(&s->before, SLICE("\n\n"));
	buf_reset(out);
	buf_put(out, buf_slice(&s->before));
	buf_put(out, text);
	return out->failed || s->before.failed ? ERR_NOMEM : ERR_OK;
}

static void
copy_member(void *self, const char *key, const struct json *value)
{
	static const char *const ours[] = { "index", "id", "final", "known" };

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strcmp(key, ours[i]) == 0)
			return;
	json_put_ref(self, key, value);
}

enum err
part_write(const struct stream *s, struct slice with, int64_t index,
    bool final, bool known, struct buf *out)
{
	struct json *doc = NULL, *to;
	enum err     e = json_from_msgpack(&doc, with);

	if (e != ERR_OK)
		return e;
	to = json_new_object();
	json_each(doc, copy_member, to);
	json_put_int(to, "index", index);
	json_put_bool(to, "final", final);
	if (index > 0 && s->id != NULL)
		json_put_text(to, "id", slice_of(s->id));
	if (known)
		json_put_bool(to, "known", true);
	e = to == NULL ? ERR_NOMEM : json_to_msgpack(to, out);
	json_free(&to);
	json_free(&doc);
	return e;
}

void
streams_free(struct stream **first)
{
	while (*first != NULL) {
		struct stream *s = *first;

		*first = s->next;
		free(s->id);
		buf_free(&s->shown);
		buf_free(&s->before);
		free(s);
	}
}

enum err
stream_last(const struct stream *s, struct buf *with)
{
	struct json *o = json_new_object();
	enum err     e;

	json_put_int(o, "index", s->index + 1);
	json_put_text(o, "id", slice_of(s->id));
	json_put_bool(o, "final", true);
	if (s->append)
		json_put_bool(o, "append", true);
	if (s->text)
		json_put_text(o, "format", SLICE("text"));
	e = o == NULL ? ERR_NOMEM : json_to_msgpack(o, with);
	json_free(&o);
	return e;
}

enum err
stream_asked(const struct stream *s, bool end, struct buf *with)
{
	struct json *o = json_new_object();
	enum err     e;

	json_put_int(o, "index", s != NULL ? s->index + 1 : 0);
	if (s != NULL && s->id != NULL)
		json_put_text(o, "id", slice_of(s->id));
	if (end)
		json_put_bool(o, "final", true);
	json_put_bool(o, "known", true);
	e = o == NULL ? ERR_NOMEM : json_to_msgpack(o, with);
	json_free(&o);
	return e;
}
