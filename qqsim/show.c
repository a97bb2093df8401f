/*
 * What the chat page is told: what people did, what bots made of it, and the
 * pictures and files that go with it.
 */
#include "sim.h"

#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>

/* --- chat objects ------------------------------------------------------- */

static struct json *
object(const struct sim *s, const char *type, const struct conversation *c)
{
	struct json *j = json_new_object();

	json_put_text(j, "type", slice_of(type));
	json_put_int(j, "at_ms", sim_wall_ms(s, sim_now_us()));
	json_put_text(j, "bot", slice_of(c->bot));
	json_put_text(j, "conversation", slice_of(strchr(c->key, '/') + 1));
	return j;
}

void
show_event(struct sim *s, const struct event_ask *a, const struct event *e,
    const struct words *w)
{
	struct json *j = object(s, "chat", e->conversation);

	json_put_text(j, "who", SLICE("user"));
	json_put_text(j, "id", slice_of(e->msg[0] != '\0' ? e->msg
	    : e->interaction[0] != '\0' ? e->interaction : e->event));
	json_put_text(j, "t", a->type);
	if (w != NULL) {
		json_put_text(j, "text", w->button.n > 0 ? w->button
		                                         : w->text);
		json_put_text(j, "name", w->name);
	}
	if (a->d != NULL)
		json_put_ref(j, "d", a->d);
	stream_put_chat(&s->stream, j);
}

static struct json *
media_json(const struct sim *s, const struct file *f)
{
	struct json *j = json_new_object();
	char         url[400];

	show_file_url(s, f, url, sizeof url);
	json_put_text(j, "type", slice_of(f->type));
	json_put_text(j, "name", slice_of(f->name));
	json_put_text(j, "url", slice_of(f->n > 0 ? url : f->url));
	json_put_bool(j, "here", f->n > 0);
	return j;
}

void
show_sent(struct sim *s, const struct send *sent, const char *id,
    const char *name)
{
	struct json       *j = object(s, "chat", sent->conversation);
	const struct file *f = files_by_info(&s->files, slice_of(sent->bot),
	    json_text_at(sent->body, "media.file_info"));

	json_put_text(j, "who", SLICE("bot"));
	json_put_text(j, "id", slice_of(id));
	json_put_text(j, "reply_to", sent->event != NULL
	    ? slice_of(sent->event->msg) : SLICE(""));
	json_put_text(j, "text", send_words(sent->body));
	json_put_int(j, "kind", sent->type);
	json_put_text(j, "name", slice_of(name));
	json_put_ref(j, "body", sent->body);
	if (f != NULL)
		json_put_take(j, "media", media_json(s, f));
	stream_put_chat(&s->stream, j);
}

void
show_typing(struct sim *s, const struct send *sent)
{
	struct json *j = object(s, "typing", sent->conversation);
	int64_t      seconds = 0;

	json_int_at(sent->body, "input_notify.input_second", &seconds);
	json_put_int(j, "seconds", seconds);
	stream_put(&s->stream, j);
}

void
show_recalled(struct sim *s, const struct conversation *c, const char *id)
{
	struct json *j = object(s, "recall", c);

	json_put_text(j, "id", slice_of(id));
	stream_put_chat(&s->stream, j);
}

void
show_acknowledged(struct sim *s, const struct event *e, int64_t code)
{
	struct json *j = object(s, "ack", e->conversation);

	json_put_text(j, "id", slice_of(e->interaction));
	json_put_int(j, "code", code);
	stream_put_chat(&s->stream, j);
}

/* --- files -------------------------------------------------------------- */

void
show_file_url(const struct sim *s, const struct file *f, char *out,
    size_t size)
{
	snprintf(out, size, "%s/files/%llu", s->origin,
	    (unsigned long long)f->number);
}

/* Base64 as JSON carries it; SYNTAX when it is none. */
static enum err
decode(struct slice text, char **out, size_t *n)
{
	int got, padding = 0;

	while (padding < 2 && text.n > (size_t)padding &&
	    text.p[text.n - 1 - (size_t)padding] == '=')
		padding++;
	if (text.n % 4 != 0 || text.n > INT32_MAX)
		return ERR_SYNTAX;
	if ((*out = malloc(text.n / 4 * 3 + 1)) == NULL)
		return ERR_NOMEM;
	got = EVP_DecodeBlock((unsigned char *)*out,
	    (const unsigned char *)text.p, (int)text.n);
	if (text.n > 0 && got < padding) {
		free(*out);
		*out = NULL;
		return ERR_SYNTAX;
	}
	*n = text.n > 0 ? (size_t)(got - padding) : 0;
	return ERR_OK;
}

enum err
show_keep_file(struct sim *s, const struct file_new *new, struct slice base64,
    const struct file **out)
{
	struct file_new whole = *new;
	char           *data = NULL;
	size_t          n = 0;
	enum err        e = decode(base64, &data, &n);

	if (e == ERR_OK) {
		whole.data = (struct slice){ data, n };
		e = files_keep(&s->files, &whole, out);
	}
	free(data);
	return e;
}

bool
show_on_request(struct sim *s, struct exchange *x, const struct request *r)
{
	static const char  prefix[] = "/files/";
	unsigned long long number;
	const struct file *f;

	if (r->method != METHOD_GET ||
	    !slice_starts(r->path, slice_of(prefix)) ||
	    !slice_u64(slice_from(r->path, sizeof prefix - 1), &number) ||
	    (f = files_at(&s->files, number)) == NULL)
		return false;
	/* Whatever it is: nothing of it is run. */
	exchange_answer(x, 200, f->type,
	    SLICE("Content-Security-Policy: default-src 'none'; sandbox\r\n"
	          "X-Content-Type-Options: nosniff\r\n"
	          "Cache-Control: private, max-age=3600\r\n"),
	    (struct slice){ f->data, f->n });
	return true;
}
