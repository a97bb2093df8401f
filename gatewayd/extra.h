/*
 * extra: what a message carries beside its text, in one form for handlers:
 * faces within the text, and the keys of `data`.
 */
#ifndef EXTRA_H
#define EXTRA_H

#include "json.h"

/* A face at the start of s, as the platform writes it in the text of users and
 * groups: <faceType=1,faceId="14",ext="BASE64 of {"text":"..."}">.  Appends
 * its name as [name] and returns how much of s it was; 0: there is none, or
 * one that cannot be read. */
size_t extra_face(struct buf *out, struct slice s);

/* The value of key in the list of key=value in message_scene.ext; on loan. */
struct slice extra_ext(const struct json *d, const char *key);

/* "image", "video", "audio" or "file". */
const char *extra_kind(struct slice content_type, struct slice name);
/* The list of d's attachments as handlers see it; NULL: none. */
struct json *extra_attachments(const struct json *d);

/* The data of a message; NULL: nothing. */
struct json *extra_data(const struct json *d);

#endif
