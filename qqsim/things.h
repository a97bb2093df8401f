/*
 * things: what the operations about the world's objects have in common.
 */
#ifndef THINGS_H
#define THINGS_H

#include "call.h"

enum change { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE };

/* The argument that names the object, and the one it belongs to. */
struct slice call_id(const struct call *);
struct slice call_parent(const struct call *);
/* The object the route is about; NULL: there is none, which was answered. */
struct world_row *call_row(struct call *);
/* What it belongs to is there; false: it is not, which was answered. */
bool call_parent_known(struct call *);
/* A new or another object of the route's kind; then it is shown, and the bot
 * is told where the platform tells. */
void call_put(struct call *, enum change, struct slice id, struct json *take);
/* The same for one of any kind, without an answer. */
void things_tell(struct call *, enum world_kind, enum change,
    struct slice parent, const struct json *);

/* Lists of strings. */
bool strings_hold(const struct json *list, struct slice);
/* A new list: one of these more, or less. */
struct json *strings_with(const struct json *list, struct slice);
struct json *strings_without(const struct json *list, struct slice);
/* A copy of an object that is nobody else's, but for what is in it. */
struct json *object_copy(const struct json *);

#endif
