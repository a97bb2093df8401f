/*
 * rookery.h: handlers in C: the plugin interface, version 1.
 *
 * A plugin is a shared object with one exported function, rk_plugin_entry().
 * workerd loads it (ROOKERY_HANDLER=plugin:./bot.so), hands it events one
 * after the other, and numbers and guards its replies: a reply appears once,
 * whatever dies in between.  docs/handlers.md tells the rules at length.
 *
 *   cc -std=c99 -fPIC -shared -fvisibility=hidden -o bot.so bot.c
 *
 * C99 or C++, no library needed.  Within one RK_ABI structs only grow at
 * their end and nothing changes its meaning; who reads a struct that the
 * other side made checks with RK_HAS() before it touches a field which its
 * own header has and the other's may lack.
 */
#ifndef ROOKERY_H
#define ROOKERY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RK_ABI 1u

/* UTF-8, counted.  p is never NULL, and p[n] is '\0'. */
typedef struct rk_str {
	const char *p;
	size_t      n;
} rk_str;

/* One delivery of one event.  The host's; valid until on_event() has returned
 * something other than RK_LATER, or until finish().  After that every call
 * with it fails, and nothing else happens. */
typedef struct rk_ctx rk_ctx;

/* Bits of rk_event.flags: the bot was addressed; written by another bot, which
 * had better not be answered. */
enum { RK_EV_TO_ME = 1u, RK_EV_FROM_BOT = 2u };

/* All that it points to is the host's and lives until on_event() returns. */
typedef struct rk_event {
	uint32_t size;          /* of the struct as the host knows it */
	uint32_t attempt;       /* 1, and one more for each redelivery */
	uint32_t flags;
	uint32_t replies_left;  /* replies the platform still allows */
	int64_t  time_ms;       /* when it happened, since 1970 */
	int64_t  deadline_ms;   /* no reply after it; 0: none */
	rk_str   id;            /* equal on every redelivery: the key for side
	                           effects of your own */
	rk_str   type;          /* message.c2c, message.group, interaction... */
	rk_str   bot;           /* app id */
	rk_str   conv;          /* the conversation: u: g: c: d: and its id */
	rk_str   user;          /* who did it */
	rk_str   text;          /* without the mention of the bot, trimmed */
	rk_str   json;          /* all of it, as exec handlers read it */
} rk_event;

/* What became of a call.  Lives during the callback; from call_wait(): until
 * the next call with the same ctx. */
typedef struct rk_result {
	uint32_t size;
	int32_t  ok;            /* 1 or 0 */
	rk_str   code;          /* "" or REPLY_EXPIRED, QUOTA, BAD_ARG, ... */
	rk_str   message;       /* for people */
	rk_str   data;          /* JSON; "null" when there is none */
} rk_result;

/* Comes once for each call that was given one, in the order of the calls of
 * its event.  The ctx may be over by then. */
typedef void (*rk_done)(rk_ctx *ctx, const rk_result *result, void *arg);

typedef enum rk_rc {
	RK_ACK = 0,             /* done, or nothing to do */
	RK_LATER = 1,           /* finish() will be called, once */
	RK_RETRY = 2,           /* deliver it again after a while */
	RK_FAIL = 3             /* never again: to the dead letters */
} rk_rc;

/* What the host does for a plugin; given to init(), valid until fini() has
 * returned.  Every function is for the host's thread, that is from within the
 * plugin's own functions and callbacks; post() alone is for any thread.  What
 * is handed in is copied. */
typedef struct rk_host {
	uint32_t abi, size;
	/* The next reply: an object with text, or markdown, image and the
	 * others of docs/handlers.md, with "n" if it is numbered by hand.
	 * done may be NULL.  0; -1: the ctx is over, or the object is wrong
	 * (the log says what). */
	int   (*reply)(rk_ctx *, const char *json, size_t n, rk_done done,
	    void *arg);
	int   (*reply_text)(rk_ctx *, const char *text, size_t n);
	/* Any other operation by its name: send, recall, typing, stream, ...;
	 * json: its arguments, an object, or NULL. */
	int   (*call)(rk_ctx *, const char *action, const char *json, size_t n,
	    rk_done done, void *arg);
	/* The same, and waits for the result; no other event is delivered to
	 * this plugin meanwhile.  0, and *out has it; -1 as above.  A result
	 * that does not come in time has the code TIMEOUT: what became of the
	 * call is not known then. */
	int   (*call_wait)(rk_ctx *, const char *action, const char *json,
	    size_t n, int timeout_ms, rk_result *out);
	void  (*finish)(rk_ctx *, rk_rc rc);
	/* Has fn called on the host's thread, soon.  0; -1: too many wait. */
	int   (*post)(void (*fn)(void *), void *arg);
	/* level: 3 error, 4 warning, 6 information, 7 for finding faults. */
	void  (*log)(int level, const char *text, size_t n);
	/* A value of ROOKERY_HANDLER_ENV_FILE, or NULL. */
	const char *(*config)(const char *key);
} rk_host;

/* What a plugin is. */
typedef struct rk_plugin {
	uint32_t    abi, size;
	const char *name, *version;
	const char *events;     /* words: exact type, prefix.* or *; NULL:
	                           message.* */
	/* Anything but 0 refuses, and is logged.  May be NULL. */
	int       (*init)(const rk_host *, void **state);
	rk_rc     (*on_event)(void *state, rk_ctx *, const rk_event *);
	void      (*fini)(void *state);         /* may be NULL */
} rk_plugin;

#if defined(__GNUC__)
#define RK_EXPORT __attribute__((visibility("default")))
#else
#define RK_EXPORT
#endif

/* The one symbol that a plugin exports.  NULL refuses this host. */
RK_EXPORT const rk_plugin *rk_plugin_entry(uint32_t host_abi);

/* The other side's struct is long enough to have this field. */
#define RK_HAS(s, type, field)                                               \
	((s)->size >= offsetof(type, field) + sizeof((s)->field))

#ifdef __cplusplus
}
#endif

#endif
