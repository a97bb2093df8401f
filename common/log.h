/*
 * log: one event per line on stderr: a fixed name and named values, never
 * prose with values glued in.  key=value for people, JSON by
 * ROOKERY_LOG_FORMAT=json.
 *
 *   log_info("call.done", KV("id", c->id), KV("ms", ms));
 *
 * error = a person must act; warn = we coped; info = one line per event or
 * call; debug = for finding faults.  Users' text is logged by length only.
 * There is no KV for a struct secret, so a token in a log line does not
 * compile.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct kv {
	const char *key;      /* NULL ends a list */
	enum { KV_TEXT, KV_INT, KV_UINT, KV_BOOL } type;
	struct slice text;
	int64_t      i;
	uint64_t     u;
};

/* program: static string put into every line.  Call once, first. */
void log_open(const char *program, enum log_level, bool json);
void log_set_level(enum log_level);
bool log_enabled(enum log_level);
/* "error" ...; false when text names no level. */
bool log_level_of(struct slice text, enum log_level *);
const char *log_level_name(enum log_level);

void log_write(enum log_level, const char *name, const struct kv *);

/* While held, info and debug lines gather and leave together at log_flush(),
 * at the latest when a warning or an error does: a busy process would spend
 * more on writing lines than on the events they tell of.  The loop holds,
 * and flushes before it sleeps. */
void log_hold(bool);
void log_flush(void);

static inline struct kv
kv_slice(const char *k, struct slice v)
{
	return (struct kv){ .key = k, .type = KV_TEXT, .text = v };
}
static inline struct kv
kv_text(const char *k, const char *v)
{
	return kv_slice(k, slice_of(v));
}
static inline struct kv
kv_int(const char *k, int64_t v)
{
	return (struct kv){ .key = k, .type = KV_INT, .i = v };
}
static inline struct kv
kv_uint(const char *k, uint64_t v)
{
	return (struct kv){ .key = k, .type = KV_UINT, .u = v };
}
static inline struct kv
kv_bool(const char *k, bool v)
{
	return (struct kv){ .key = k, .type = KV_BOOL, .u = v };
}

#define KV(k, v)                                                             \
	_Generic((v),                                                        \
	    char *: kv_text, const char *: kv_text, struct slice: kv_slice,  \
	    bool: kv_bool, int: kv_int, long: kv_int, long long: kv_int,     \
	    unsigned: kv_uint, unsigned long: kv_uint,                       \
	    unsigned long long: kv_uint)(k, v)

#define LOG_AT(level, name, ...)                                             \
	do {                                                                 \
		if (log_enabled(level))                                      \
			log_write(level, name,                               \
			    (const struct kv[]){ __VA_ARGS__ __VA_OPT__(,)   \
			    { .key = NULL } });                              \
	} while (0)

#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_info(...)  LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)

#endif
