/*
 * stream: what passes, for those who look on.  Nothing is made or parsed
 * while nobody does, but for the latest chat objects, which are kept.
 */
#ifndef STREAM_H
#define STREAM_H

#include "json.h"

enum { STREAM_CHATS = 200, STREAM_KEPT_MAX = 128 << 10,
	STREAM_BEHIND_MAX = 4 << 20 };

struct socket;
struct viewer;
struct shared;      /* one object as text, for all viewers */

struct stream {
	struct viewer *viewers;
	struct shared *chats[STREAM_CHATS];   /* a ring */
	size_t         nchats;                /* ever */
};

struct viewer *stream_join(struct stream *, struct socket *);
void stream_leave(struct stream *, struct viewer *);
/* true: call again when the socket takes more. */
bool stream_write(struct viewer *);
static inline bool
stream_watched(const struct stream *s)
{
	return s->viewers != NULL;
}

/* Takes the object. */
void stream_put(struct stream *, struct json *);
/* Takes it, and keeps it for those who come later unless it is huge. */
void stream_put_chat(struct stream *, struct json *);
void stream_forget(struct stream *);
void stream_close(struct stream *);

/* Text as a JSON value if it is one, else as a string. */
void stream_put_value(struct json *object, const char *key, struct slice text);
/* Replaces the value of a secret member, wherever it stands. */
void stream_mask(struct json *);

#endif
