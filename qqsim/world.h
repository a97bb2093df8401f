/*
 * world: what there is around a bot: guilds, channels, members, roles, groups,
 * panels, files, as JSON objects in the form in which the platform shows them.
 * worlds.def names the kinds.  No I/O.
 */
#ifndef WORLD_H
#define WORLD_H

#include "json.h"
#include "map.h"

enum world_kind {
#define KIND(name, parent, key, most, code, meaning) WORLD_##name,
#include "worlds.def"
#undef KIND
	WORLD_KINDS
};

struct world_kind_info {
	const char     *name;
	enum world_kind parent;
	bool            within;    /* its id is its own only in its parent */
	size_t          most;
	unsigned        missing;   /* the platform's code */
};
extern const struct world_kind_info world_kinds[WORLD_KINDS];
bool world_kind_of(struct slice name, enum world_kind *);

struct world_row {
	struct world_row *next;    /* of its kind, oldest first */
	enum world_kind   kind;
	char             *key;     /* the block that holds these: */
	struct slice      parent, id;
	struct json      *object;
};

struct world {
	struct world_row *first[WORLD_KINDS];
	size_t            n[WORLD_KINDS];
	struct map        rows;
	uint64_t          serial;   /* for ids that it makes */
};

void world_close(struct world *);
/* What a simulator that nobody has told anything knows. */
enum err world_defaults(struct world *, struct slice bot_user,
    struct slice bot_name);

/* NULL when there is none.  parent: ignored for what stands alone. */
struct world_row *world_get(const struct world *, enum world_kind,
    struct slice parent, struct slice id);
struct json *world_object(const struct world *, enum world_kind,
    struct slice parent, struct slice id);
/* Takes the object, which replaces one that is there.  NOMEM. */
enum err world_put_take(struct world *, enum world_kind, struct slice parent,
    struct slice id, struct json *);
/* false when there was none.  What belongs to it goes too. */
bool world_drop(struct world *, enum world_kind, struct slice parent,
    struct slice id);
/* The next of its kind and parent (empty: any) after this one; NULL: the
 * first. */
struct world_row *world_next(const struct world *, enum world_kind,
    struct slice parent, const struct world_row *after);
size_t world_count(const struct world *, enum world_kind,
    struct slice parent);
/* An id of digits that nobody has. */
struct slice world_id(struct world *, char out[24]);

/* Puts the members of one object into another, but those that are null. */
void world_merge(struct json *into, const struct json *from);

#endif
