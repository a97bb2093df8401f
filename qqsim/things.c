/*
 * Operations that only show, list, change or drop an object of the world.
 */
#include "things.h"

#include <stdio.h>

enum { PAGE_MEMBERS = 30, PAGE = 20 };

/* --- which object ------------------------------------------------------- */

struct slice
call_id(const struct call *c)
{
	size_t n = 0;

	while (n < ROUTE_ARGS_MAX && c->args[n].n > 0)
		n++;
	return n > 0 ? c->args[n - 1] : SLICE("");
}

struct slice
call_parent(const struct call *c)
{
	return c->args[0];
}

struct world_row *
call_row(struct call *c)
{
	struct world_row *r = world_get(call_world(c), c->route->kind,
	    call_parent(c), call_id(c));

	if (r == NULL)
		call_missing(c);
	return r;
}

bool
call_parent_known(struct call *c)
{
	enum world_kind kind = world_kinds[c->route->kind].parent;

	if (kind == WORLD_none || world_get(call_world(c), kind, SLICE(""),
	    call_parent(c)) != NULL)
		return true;
	call_error(c, 400, world_kinds[kind].missing,
	    kind == WORLD_guild ? "guild does not exist"
	    : kind == WORLD_channel ? "channel does not exist"
	                            : "group does not exist");
	return false;
}

/* --- lists of strings, objects ------------------------------------------ */

bool
strings_hold(const struct json *list, struct slice text)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (slice_eq(json_text(json_at(list, i)), text))
			return true;
	return false;
}

struct json *
strings_without(const struct json *list, struct slice text)
{
	struct json *j = json_new_array();

	for (size_t i = 0; i < json_count(list); i++)
		if (!slice_eq(json_text(json_at(list, i)), text))
			json_push_text(j, json_text(json_at(list, i)));
	return j;
}

struct json *
strings_with(const struct json *list, struct slice text)
{
	struct json *j = strings_without(list, text);

	json_push_text(j, text);
	return j;
}

struct json *
object_copy(const struct json *from)
{
	struct json *j = json_new_object();

	world_merge(j, from);
	return j;
}

/* --- what the platform tells -------------------------------------------- */

void
things_tell(struct call *c, enum world_kind kind, enum change what,
    struct slice parent, const struct json *object)
{
	static const struct {
		enum world_kind kind;
		const char     *types[3];
	} rows[] = {
		{ WORLD_channel, { "CHANNEL_CREATE", "CHANNEL_UPDATE",
		    "CHANNEL_DELETE" } },
		{ WORLD_member, { "GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE",
		    "GUILD_MEMBER_REMOVE" } },
		{ WORLD_thread, { "FORUM_THREAD_CREATE",
		    "FORUM_THREAD_UPDATE", "FORUM_THREAD_DELETE" } },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json *d;

		if (rows[i].kind != kind)
			continue;
		d = object_copy(object);
		if (kind == WORLD_member)
			json_put_text(d, "guild_id", parent);
		json_put_text(d, "op_user_id", slice_of(c->bot->user_id));
		call_tell(c, rows[i].types[what], d);
	}
}

void
call_put(struct call *c, enum change what, struct slice id,
    struct json *object)
{
	enum world_kind kind = c->route->kind;
	struct world   *w = call_world(c);

	if (world_put_take(w, kind, call_parent(c), id, object) != ERR_OK) {
		call_refuse(c, &refusal_full);
		return;
	}
	things_tell(c, kind, what, call_parent(c), object);
	call_show(c, object);
}

/* --- operations --------------------------------------------------------- */

void
on_get(struct call *c)
{
	struct world_row *r = call_row(c);

	if (r != NULL)
		call_show(c, r->object);
}

void
on_list(struct call *c)
{
	struct json *list;

	if (!call_parent_known(c))
		return;
	list = json_new_array();
	for (struct world_row *r = NULL; (r = world_next(call_world(c),
	    c->route->kind, call_parent(c), r)) != NULL;)
		json_push_take(list, object_copy(r->object));
	call_done(c, list);
}

/* Some of a list, and a cursor that leads on; "" at its end. */
void
on_page(struct call *c)
{
	static const char *const names[WORLD_KINDS] = {
		[WORLD_group_member] = "members", [WORLD_blacklist] = "users",
		[WORLD_join_request] = "list", [WORLD_strategy] = "strategies",
	};
	enum world_kind   kind = c->route->kind;
	uint64_t          from = call_query_number(c, "cursor", 0), at = 0;
	uint64_t          most = call_query_number(c, "limit",
	    kind == WORLD_group_member ? PAGE_MEMBERS : PAGE);
	struct json      *j, *list;
	struct world_row *r = NULL;
	char              cursor[24] = "";

	if (!call_parent_known(c))
		return;
	j = json_new_object();
	list = json_new_array();
	while ((r = world_next(call_world(c), kind, call_parent(c), r)) !=
	    NULL && at < from + most)
		if (at++ >= from)
			json_push_take(list, object_copy(r->object));
	if (r != NULL)
		snprintf(cursor, sizeof cursor, "%llu",
		    (unsigned long long)at);
	json_put_take(j, names[kind], list);
	json_put_text(j, "next_cursor", slice_of(cursor));
	call_done(c, j);
}

void
on_update(struct call *c)
{
	struct world_row *r = call_row(c);

	if (r == NULL)
		return;
	world_merge(r->object, c->body);
	things_tell(c, r->kind, CHANGE_UPDATE, r->parent, r->object);
	call_show(c, r->object);
}

void
on_delete(struct call *c)
{
	struct world_row    *r = call_row(c);
	struct conversation *with;
	struct json         *object;

	if (r == NULL)
		return;
	if (c->route->kind == WORLD_channel && (with = ledger_conversation(
	        &c->sim->platform.ledger, c->bot->app_id, SCOPE_CHANNEL,
	        r->id, false)) != NULL)
		with->gone = true;
	object = object_copy(r->object);
	world_drop(call_world(c), r->kind, r->parent, r->id);
	things_tell(c, c->route->kind, CHANGE_DELETE, call_parent(c), object);
	json_free(&object);
	call_done(c, json_new_object());
}

/* Something begins of which nothing is seen here. */
void
on_touch(struct call *c)
{
	if (call_row(c) != NULL)
		call_done(c, json_new_object());
}
