/*
 * conf: the settings.  conf.def is the table; it makes this struct, the
 * reader, the messages, .env.example and the manual page.  Everything is
 * checked before anything starts, and every problem is reported at once.
 */
#ifndef CONF_H
#define CONF_H

#include <stdint.h>
#include <stdio.h>

#include "buf.h"
#include "err.h"
#include "secret.h"

/* Who reads: a program is only given its own settings, so that a worker that
 * finds an .env with the app secret in it does not keep the secret. */
enum conf_reader {
	CONF_S = 1, CONF_G = 2, CONF_A = 4, CONF_W = 8, CONF_C = 16,
	CONF_Q = 32, CONF_B = 64, CONF_N = 128
};

typedef char         *conf_text;
typedef uint64_t      conf_num;
typedef bool          conf_flag;
typedef struct secret conf_secret;

enum conf_id {
#define CONF(type, NAME, member, ...) CONF_##NAME,
#include "conf.def"
#undef CONF
	CONF_COUNT
};

struct conf_problem {
	char *name, *value, *why, *remedy;   /* value masked for secrets */
};

struct conf {
#define CONF(type, NAME, member, ...) conf_##type member;
#include "conf.def"
#undef CONF
	/* Where each value came from: "default", "environment", ".env", or
	 * the name of a file.  Owned. */
	char                *from[CONF_COUNT];
	struct conf_problem *problems;
	size_t               nproblems;
	/* One per bot, in the order of their names, each with its own QQ_*
	 * values and everything else as here; empty where no app id is set. */
	struct conf         *bots;
	size_t               nbots;
	char                *bot_name;   /* of a bot: its file's name; or "" */
};

/* Reads what `who` may read.  CONFIG when there are problems: they are in
 * the struct, which is filled with defaults in their place.  NOMEM. */
enum err conf_load(struct conf *, enum conf_reader who);
/* As conf_load, with the lines of this file in place of ROOKERY_ENV_FILE; the
 * environment's QQ_* do not count then.  For the simulator's sim.env. */
enum err conf_load_file(struct conf *, enum conf_reader who,
    const char *env_file);
void conf_free(struct conf *);

/* All that this reader sees of two bots is equal. */
bool conf_same_bot(const struct conf *, const struct conf *,
    enum conf_reader);

/* One line of the log each. */
void conf_log_problems(const struct conf *);
/* The first of them in a sentence, with its remedy, and how many more. */
void conf_tell_problem(const struct conf *, struct buf *);

/* --- readers of single values, each with its own errors ------------------- */

/* "public", a number, or names with commas or blanks.  false: not so, and
 * *unknown (if not NULL) is the offending word, a loan. */
bool conf_intents(const char *text, uint32_t *mask, struct slice *unknown);
/* ADDRESS:PORT; *:PORT, :PORT or PORT, with no host; [v6]:PORT.  Buffers as
 * for getnameinfo. */
bool conf_listen(const char *text, char *host, size_t host_size,
    unsigned *port);
/* What ROOKERY_RESTART says of this service, a loan; "" of an unknown one. */
struct slice conf_restart(const char *text, const char *service);
/* A bus endpoint by its setting or, empty, by its default.  The caller's. */
char *conf_bus(const struct conf *, const char *setting,
    const char *socket_name);
/* dir/name; the caller's to free. */
char *conf_path(const char *dir, const char *name);
/* The host of scheme://host[:port][/...], brackets kept, a loan; empty: none,
 * or a user before it. */
struct slice conf_url_host(struct slice url);
/* https:// or wss:// anywhere, http:// or ws:// to loopback only; no blank and
 * no control character in it. */
bool conf_url_allowed(struct slice url);
/* Base address of the API: the setting, or the platform's by QQ_SANDBOX. */
const char *conf_api_url(const struct conf *);

/* --- the table, for those who print it -------------------------------------- */

struct conf_info {
	const char *type, *name, *fallback, *check, *meaning;
	uint64_t    min, max;
	unsigned    readers;
	size_t      offset;
};
const struct conf_info *conf_info(enum conf_id);
/* The value as text, secrets masked; the caller's to free. */
char *conf_value(const struct conf *, enum conf_id);
/* The same, secrets not masked: for the supervisor, which hands them on. */
const struct secret *conf_secret_of(const struct conf *, enum conf_id);

#endif
