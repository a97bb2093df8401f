/*
 * Viewers and their queues.  A text is shared between them; a viewer that is
 * too far behind loses its queue and its socket.
 */
#include "stream.h"

#include <stdlib.h>

#include "server.h"

struct shared {
	unsigned refs;
	size_t   n;
	char     text[];
};

struct queued {
	struct queued *next;
	struct shared *shared;
};

struct viewer {
	struct viewer *next;
	struct socket *socket;
	struct queued *first, **end;
	size_t         bytes;
	bool           cut;
};

static void
shared_release(struct shared **at)
{
	if (*at != NULL && --(*at)->refs == 0)
		free(*at);
	*at = NULL;
}

static void
queue_forget(struct viewer *v)
{
	while (v->first != NULL) {
		struct queued *q = v->first;

		v->first = q->next;
		shared_release(&q->shared);
		free(q);
	}
	v->end = &v->first;
	v->bytes = 0;
}

static void
queue(struct viewer *v, struct shared *sh)
{
	struct queued *q = NULL;

	if (v->cut)
		return;
	if (v->bytes + sh->n <= STREAM_BEHIND_MAX)
		q = malloc(sizeof *q);
	if (q == NULL) {
		queue_forget(v);
		v->cut = true;
	} else {
		*q = (struct queued){ .shared = sh };
		sh->refs++;
		*v->end = q;
		v->end = &q->next;
		v->bytes += sh->n;
	}
	socket_wake(v->socket);
}

struct viewer *
stream_join(struct stream *s, struct socket *socket)
{
	struct viewer *v = calloc(1, sizeof *v);

	if (v == NULL)
		return NULL;
	v->socket = socket;
	v->end = &v->first;
	v->next = s->viewers;
	s->viewers = v;
	for (size_t i = s->nchats > STREAM_CHATS ? s->nchats - STREAM_CHATS
	                                         : 0; i < s->nchats; i++)
		queue(v, s->chats[i % STREAM_CHATS]);
	return v;
}

void
stream_leave(struct stream *s, struct viewer *v)
{
	struct viewer **at = &s->viewers;

	while (*at != NULL && *at != v)
		at = &(*at)->next;
	if (*at == v)
		*at = v->next;
	queue_forget(v);
	free(v);
}

bool
stream_write(struct viewer *v)
{
	bool room = true;

	if (v->cut) {
		socket_close(v->socket, 1008);
		return false;
	}
	while (room && v->first != NULL) {
		struct queued *q = v->first;

		room = socket_write(v->socket,
		    (struct slice){ q->shared->text, q->shared->n });
		if ((v->first = q->next) == NULL)
			v->end = &v->first;
		v->bytes -= q->shared->n;
		shared_release(&q->shared);
		free(q);
	}
	return v->first != NULL;
}

static struct shared *
shared_make(struct json *j)
{
	struct slice   text = json_print(j);
	struct shared *sh = text.n > 0 ? malloc(sizeof *sh + text.n) : NULL;

	if (sh != NULL) {
		sh->refs = 1;
		sh->n = text.n;
		memcpy(sh->text, text.p, text.n);
	}
	json_free(&j);
	return sh;
}

static void
put_shared(struct stream *s, struct shared *sh)
{
	for (struct viewer *v = s->viewers; v != NULL; v = v->next)
		queue(v, sh);
}

void
stream_put(struct stream *s, struct json *j)
{
	struct shared *sh = shared_make(j);

	if (sh == NULL)
		return;
	put_shared(s, sh);
	shared_release(&sh);
}

void
stream_put_chat(struct stream *s, struct json *j)
{
	struct shared *sh = shared_make(j);
	struct shared **slot = &s->chats[s->nchats % STREAM_CHATS];

	if (sh == NULL)
		return;
	put_shared(s, sh);
	if (sh->n > STREAM_KEPT_MAX) {
		shared_release(&sh);
		return;
	}
	shared_release(slot);
	*slot = sh;
	s->nchats++;
}

void
stream_forget(struct stream *s)
{
	for (size_t i = 0; i < STREAM_CHATS; i++)
		shared_release(&s->chats[i]);
	s->nchats = 0;
}

void
stream_close(struct stream *s)
{
	while (s->viewers != NULL)
		stream_leave(s, s->viewers);
	stream_forget(s);
}

void
stream_put_value(struct json *object, const char *key, struct slice text)
{
	struct json *value;

	if (text.n == 0)
		return;
	if (json_parse(&value, text) != ERR_OK) {
		json_put_text(object, key, text);
		return;
	}
	stream_mask(value);
	json_put_take(object, key, value);
}

void
stream_mask(struct json *j)
{
	static const char *const secrets[] = { "token", "clientSecret",
		"access_token", "secret" };

	for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
		if (json_is_string(json_get(j, secrets[i])))
			json_put_text(j, secrets[i], SLICE("***"));
	if (json_get(j, "d") != NULL)
		stream_mask(json_get(j, "d"));
}
