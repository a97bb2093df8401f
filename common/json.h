/*
 * json: documents in and out; the one place that knows the JSON library.
 * Parsing is strict (one value, no comments, UTF-8 checked, depth at most 30)
 * and exact for 64-bit integers; the readers are lenient about scalar types,
 * because the platform is (a number where a string was documented, and the
 * other way round).
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "slice.h"

struct json;

/* SYNTAX, NOMEM.  The document is the caller's, to be freed. */
enum err json_parse(struct json **, struct slice text);
void json_free(struct json **);

/* The value of an object's member as it is written in a text that
 * json_parse() has taken: the last of equal ones.  Empty when there is none,
 * or when a key of the object is written with escapes. */
struct slice json_member_text(struct slice object, const char *key);

/* Readers: all take NULL, and what they return is on loan from the document.
 * json_get: NULL when absent, JSON null, or when it is not an object. */
struct json *json_get(const struct json *, const char *key);
/* a.b.c in one word: "author.user_openid". */
struct json *json_path(const struct json *, const char *dotted);
bool json_is_object(const struct json *);
bool json_is_array(const struct json *);
bool json_is_string(const struct json *);
bool json_is_number(const struct json *);
size_t json_count(const struct json *);                 /* of an array */
struct json *json_at(const struct json *, size_t i);
/* Calls fn for each member of an object, in order. */
void json_each(const struct json *,
    void (*fn)(void *self, const char *key, const struct json *), void *self);

/* A string's text; a number's or true/false's as written; else empty. */
struct slice json_text(const struct json *);
/* A number, or a string of digits with an optional minus sign; fractions and
 * anything else are false. */
bool json_int(const struct json *, int64_t *);
/* true, 1 and "true" are true. */
bool json_truth(const struct json *);
double json_double(const struct json *);

/* json_text(json_path(doc, dotted)). */
struct slice json_text_at(const struct json *, const char *dotted);
bool json_int_at(const struct json *, const char *dotted, int64_t *);

/* Builders: NULL when out of memory; the putters take a NULL value as "do
 * nothing", so a chain is checked at json_print(). */
struct json *json_new_object(void);
struct json *json_new_array(void);
void json_put_text(struct json *object, const char *key, struct slice);
void json_put_int(struct json *object, const char *key, int64_t);
void json_put_bool(struct json *object, const char *key, bool);
void json_put_null(struct json *object, const char *key);
/* Takes the value. */
void json_put_take(struct json *object, const char *key, struct json *value);
/* Puts another reference to a value that stays its owner's. */
void json_put_ref(struct json *object, const char *key,
    const struct json *value);
/* Another reference, to be freed like the first; NULL of NULL. */
struct json *json_share(const struct json *value);
void json_push_take(struct json *array, struct json *value);
void json_push_text(struct json *array, struct slice);
void json_push_int(struct json *array, int64_t);

/* Compact text, on loan until the document changes or is freed. */
struct slice json_print(const struct json *);
/* Appends the compact text. */
void json_write(const struct json *, struct buf *);

/* The same value as MessagePack (objects as maps with string keys), appended;
 * and back, with the bounds of messages.h.  SYNTAX, NOMEM. */
enum err json_to_msgpack(const struct json *, struct buf *);
enum err json_from_msgpack(struct json **, struct slice);

#endif
