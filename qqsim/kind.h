/*
 * kind: the kinds of event the platform has, which right each needs, whom it
 * concerns and how it may be answered.  events.def is the table.
 */
#ifndef KIND_H
#define KIND_H

#include <stdint.h>

#include "json.h"

enum scope { SCOPE_C2C, SCOPE_GROUP, SCOPE_CHANNEL, SCOPE_DM, SCOPE_OTHER,
	SCOPES };

enum kind_reply { REPLY_NONE, REPLY_MSG, REPLY_EVENT };

struct kind {
	const char     *type;
	uint32_t        intent;     /* one bit; 0: a kind we do not know */
	const char     *where;
	enum kind_reply reply;
};

/* Kinds not in the table: every session gets them. */
extern const struct kind kind_unknown;
const struct kind *kind_of(struct slice type);
/* The i-th of the table; NULL: there are no more. */
const struct kind *kind_at(size_t i);

/* Every right the platform knows, and those that a bot has unless it is said
 * otherwise: what a public bot may be granted. */
uint32_t kind_intents_known(void);
#define KIND_GRANTED                                                         \
	(1u << 0 | 1u << 1 | 1u << 10 | 1u << 12 | 1u << 18 | 1u << 19 |     \
	    1u << 23 | 1u << 24 | 1u << 25 | 1u << 26 | 1u << 27 |           \
	    1u << 29 | 1u << 30)

/* Whom an event concerns: its scope, and the target's id on loan from d. */
enum scope kind_target(const struct kind *, const struct json *d,
    struct slice *id);
/* The shard its session must have: guilds by their id, all else 0. */
unsigned kind_shard(const struct json *d, enum scope, unsigned count);

const char *scope_name(enum scope);
bool scope_of(struct slice name, enum scope *);
/* 'u', 'g', 'c', 'd', 'x': how a conversation is written. */
char scope_letter(enum scope);

#endif
