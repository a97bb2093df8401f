/*
 * Guilds: what is more than an object shown or changed.
 */
#include "things.h"

#include <stdio.h>
#include <stdlib.h>

enum { CATEGORY = 4, ROLE_CHANNEL_ADMIN = 5 };

static uint64_t
number_of(struct slice text)
{
	unsigned long long n = 0;

	slice_u64(text, &n);
	return n;
}

/* --- the bot's guilds, direct conversations, links ----------------------- */

void
on_guilds(struct call *c)
{
	uint64_t     after = call_query_number(c, "after", 0);
	uint64_t     before = call_query_number(c, "before", 0);
	uint64_t     left = call_query_number(c, "limit", 100);
	struct json *list = json_new_array();

	for (struct world_row *r = NULL; left > 0 && (r = world_next(
	    call_world(c), WORLD_guild, SLICE(""), r)) != NULL;) {
		uint64_t id = number_of(r->id);

		if (before > 0 ? id >= before : id <= after)
			continue;
		json_push_take(list, object_copy(r->object));
		left--;
	}
	call_done(c, list);
}

void
on_dm_create(struct call *c)
{
	struct world *w = call_world(c);
	struct slice  guild = call_text(c, "source_guild_id");
	struct slice  user = call_text(c, "recipient_id"), id;
	struct json  *j;
	char          text[24], created[24];

	if (world_get(w, WORLD_member, guild, user) == NULL) {
		call_error(c, 400, world_kinds[WORLD_member].missing,
		    "recipient_id is no member of source_guild_id");
		return;
	}
	id = world_id(w, text);
	ledger_conversation(&c->sim->platform.ledger, c->bot->app_id,
	    SCOPE_DM, id, true);
	snprintf(created, sizeof created, "%lld",
	    (long long)(sim_wall_ms(c->sim, c->now_us) / 1000));
	j = json_new_object();
	json_put_text(j, "guild_id", id);
	json_put_text(j, "channel_id", world_id(w, text));
	json_put_text(j, "create_time", slice_of(created));
	call_done(c, j);
}

void
on_url_link(struct call *c)
{
	struct json *j = json_new_object();
	struct buf   url = { 0 };

	buf_putf(&url, "%s/link/%s", c->sim->origin, c->trace);
	json_put_text(j, "url_link", buf_slice(&url));
	buf_free(&url);
	call_done(c, j);
}

/* --- channels ----------------------------------------------------------- */

void
on_channel_create(struct call *c)
{
	int64_t      type = 0, position = 0;
	struct json *j;
	struct slice id;
	char         text[24];

	if (!call_parent_known(c))
		return;
	json_int_at(c->body, "type", &type);
	json_int_at(c->body, "position", &position);
	if (call_text(c, "name").n == 0) {
		call_error(c, 400, 200016, "name is empty");
		return;
	}
	if (type == CATEGORY && position < 2) {
		call_error(c, 400, 200017,
		    "position of a category is at least 2");
		return;
	}
	id = world_id(call_world(c), text);
	j = json_new_object();
	json_put_text(j, "id", id);
	json_put_text(j, "guild_id", call_parent(c));
	json_put_int(j, "sub_type", 0);
	json_put_text(j, "parent_id", SLICE("0"));
	json_put_text(j, "owner_id", slice_of(c->bot->user_id));
	json_put_int(j, "private_type", 0);
	json_put_int(j, "speak_permission", 1);
	json_put_text(j, "application_id", SLICE(""));
	json_put_text(j, "permissions", SLICE("7"));
	world_merge(j, c->body);
	ledger_conversation(&c->sim->platform.ledger, c->bot->app_id,
	    SCOPE_CHANNEL, id, true);
	call_put(c, CHANGE_CREATE, id, j);
}

void
on_online_nums(struct call *c)
{
	struct world_row *r = call_row(c);
	struct json      *j;

	if (r == NULL)
		return;
	j = json_new_object();
	json_put_int(j, "online_nums", (int64_t)world_count(call_world(c),
	    WORLD_voice_member, r->id));
	call_done(c, j);
}

void
on_audio(struct call *c)
{
	static const char *const types[] = { "AUDIO_START", NULL, NULL,
		"AUDIO_FINISH" };
	struct world_row *r = call_row(c);
	const char       *type;
	struct json      *d;
	int64_t           status = 0;

	if (r == NULL)
		return;
	json_int_at(c->body, "status", &status);
	type = c->route->id == ROUTE_mic_on ? "AUDIO_ON_MIC"
	    : c->route->id == ROUTE_mic_off ? "AUDIO_OFF_MIC" : types[status];
	if (type != NULL) {
		d = json_new_object();
		json_put_text(d, "channel_id", r->id);
		json_put_text(d, "guild_id", r->parent);
		json_put_text(d, "audio_url", call_text(c, "audio_url"));
		json_put_text(d, "text", call_text(c, "text"));
		call_tell(c, type, d);
	}
	call_done(c, json_new_object());
}

/* --- members and roles -------------------------------------------------- */

/* Those that come next after this id, in the order of their ids. */
static struct json *
members_after(struct call *c, struct slice role, uint64_t after,
    uint64_t most, uint64_t *last)
{
	struct json *list = json_new_array();

	*last = after;
	while (most-- > 0) {
		struct world_row *next = NULL;

		for (struct world_row *r = NULL; (r = world_next(
		    call_world(c), WORLD_member, call_parent(c), r)) != NULL;)
			if (number_of(r->id) > *last && (next == NULL ||
			        number_of(r->id) < number_of(next->id)) &&
			    (role.n == 0 || strings_hold(json_get(r->object,
			        "roles"), role)))
				next = r;
		if (next == NULL)
			break;
		*last = number_of(next->id);
		json_push_take(list, object_copy(next->object));
	}
	return list;
}

void
on_members(struct call *c)
{
	uint64_t last;

	if (call_parent_known(c))
		call_done(c, members_after(c, SLICE(""),
		    call_query_number(c, "after", 0),
		    call_query_number(c, "limit", 1), &last));
}

void
on_role_members(struct call *c)
{
	struct json *j, *list;
	uint64_t     last;
	char         next[24];

	if (!call_parent_known(c))
		return;
	if (world_get(call_world(c), WORLD_role, c->args[0], c->args[1]) ==
	    NULL) {
		call_error(c, 400, world_kinds[WORLD_role].missing,
		    "role does not exist");
		return;
	}
	list = members_after(c, c->args[1],
	    call_query_number(c, "start_index", 0),
	    call_query_number(c, "limit", 1), &last);
	snprintf(next, sizeof next, "%llu", (unsigned long long)last);
	j = json_new_object();
	json_put_take(j, "data", list);
	json_put_text(j, "next", slice_of(next));
	call_done(c, j);
}

void
on_roles(struct call *c)
{
	struct json *j, *list;

	if (!call_parent_known(c))
		return;
	j = json_new_object();
	list = json_new_array();
	for (struct world_row *r = NULL; (r = world_next(call_world(c),
	    WORLD_role, call_parent(c), r)) != NULL;)
		json_push_take(list, object_copy(r->object));
	json_put_text(j, "guild_id", call_parent(c));
	json_put_take(j, "roles", list);
	json_put_text(j, "role_num_limit", SLICE("30"));
	call_done(c, j);
}

/* The flat form, and the older one with a filter that says what of info is
 * to be set. */
static void
merge_role(struct json *role, const struct json *body)
{
	static const char *const names[] = { "name", "color", "hoist" };
	const struct json *info = json_get(body, "info");
	const struct json *filter = json_get(body, "filter");

	for (size_t i = 0; i < 3; i++) {
		const struct json *v = json_get(info != NULL ? info : body,
		    names[i]);

		if (v != NULL && (filter == NULL ||
		    json_truth(json_get(filter, names[i]))))
			json_put_ref(role, names[i], v);
	}
}

static void
role_done(struct call *c, struct slice id, const struct json *role)
{
	struct json *j = json_new_object();

	json_put_text(j, "guild_id", call_parent(c));
	json_put_text(j, "role_id", id);
	json_put_ref(j, "role", role);
	call_done(c, j);
}

void
on_role_set(struct call *c)
{
	struct world_row *r;
	struct json      *role;
	struct slice      id;
	char              text[24];

	if (!call_parent_known(c))
		return;
	if (c->route->id == ROUTE_role_update) {
		if ((r = call_row(c)) == NULL)
			return;
		merge_role(r->object, c->body);
		role_done(c, r->id, r->object);
		return;
	}
	id = world_id(call_world(c), text);
	role = json_new_object();
	json_put_text(role, "id", id);
	json_put_text(role, "name", SLICE("new role"));
	json_put_int(role, "color", 4278245297);
	json_put_int(role, "hoist", 0);
	json_put_int(role, "number", 0);
	json_put_int(role, "member_limit", 1000);
	merge_role(role, c->body);
	if (world_put_take(call_world(c), WORLD_role, call_parent(c), id,
	        role) != ERR_OK)
		call_refuse(c, &refusal_full);
	else
		role_done(c, id, role);
}

void
on_member_role(struct call *c)
{
	struct world    *w = call_world(c);
	bool             add = c->route->id == ROUTE_member_role_add;
	struct json     *member = world_object(w, WORLD_member, c->args[0],
	    c->args[1]);
	struct slice     role = c->args[2];

	if (member == NULL) {
		call_missing(c);
		return;
	}
	if (world_get(w, WORLD_role, c->args[0], role) == NULL) {
		call_error(c, 400, world_kinds[WORLD_role].missing,
		    "role does not exist");
		return;
	}
	if (number_of(role) == ROLE_CHANNEL_ADMIN &&
	    world_get(w, WORLD_channel, SLICE(""),
	        json_text_at(c->body, "channel.id")) == NULL) {
		call_error(c, 400, 12002, "channel.id is needed for role 5");
		return;
	}
	json_put_take(member, "roles", add
	    ? strings_with(json_get(member, "roles"), role)
	    : strings_without(json_get(member, "roles"), role));
	things_tell(c, WORLD_member, CHANGE_UPDATE, c->args[0], member);
	call_done(c, NULL);
}

/* --- what somebody may do in a channel ----------------------------------- */

static bool
of_role(const struct call *c)
{
	return c->route->kind == WORLD_role_permissions;
}

/* 7, everything, when nothing was set. */
static uint64_t
permissions_of(struct call *c)
{
	struct json *j = world_object(call_world(c), c->route->kind,
	    c->args[0], c->args[1]);

	return j != NULL ? number_of(json_text(json_get(j, "permissions")))
	                 : 7;
}

static struct json *
permissions_json(struct call *c, uint64_t bits)
{
	struct json *j = json_new_object();
	char         text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)bits);
	json_put_text(j, "channel_id", c->args[0]);
	json_put_text(j, of_role(c) ? "role_id" : "user_id", c->args[1]);
	json_put_text(j, "permissions", slice_of(text));
	return j;
}

static bool
permissions_target_known(struct call *c)
{
	struct world     *w = call_world(c);
	struct world_row *channel;

	if (!call_parent_known(c))
		return false;
	channel = world_get(w, WORLD_channel, SLICE(""), c->args[0]);
	if (world_get(w, of_role(c) ? WORLD_role : WORLD_member,
	        channel->parent, c->args[1]) != NULL)
		return true;
	call_missing(c);
	return false;
}

void
on_permissions_get(struct call *c)
{
	if (permissions_target_known(c))
		call_done(c, permissions_json(c, permissions_of(c)));
}

void
on_permissions_set(struct call *c)
{
	uint64_t bits;

	if (!permissions_target_known(c))
		return;
	bits = (permissions_of(c) | number_of(call_text(c, "add"))) &
	    ~number_of(call_text(c, "remove"));
	world_put_take(call_world(c), c->route->kind, c->args[0], c->args[1],
	    permissions_json(c, bits));
	call_done(c, NULL);
}

/* --- mutes -------------------------------------------------------------- */

/* Absolute seconds, "0" for none; the absolute one of two wins. */
static void
mute_end(struct call *c, char out[24])
{
	struct slice at = call_text(c, "mute_end_timestamp");
	uint64_t     lasts = number_of(call_text(c, "mute_seconds"));
	uint64_t     now_s = (uint64_t)sim_wall_ms(c->sim, c->now_us) / 1000;

	snprintf(out, 24, "%llu", (unsigned long long)(at.n > 0
	    ? number_of(at) : lasts > 0 ? now_s + lasts : 0));
}

static bool
mute_one(struct call *c, struct slice user, const char *end)
{
	struct json *member = world_object(call_world(c), WORLD_member,
	    c->args[0], user);

	if (member != NULL)
		json_put_text(member, "mute_end_timestamp", slice_of(end));
	return member != NULL;
}

static void
mute_many(struct call *c, const struct json *users, const char *end)
{
	struct json *j = json_new_object(), *done = json_new_array();

	for (size_t i = 0; i < json_count(users); i++) {
		struct slice user = json_text(json_at(users, i));

		if (mute_one(c, user, end))
			json_push_text(done, user);
	}
	json_put_take(j, "user_ids", done);
	call_answer(c, 200, j);
}

void
on_mute(struct call *c)
{
	struct json *users = json_get(c->body, "user_ids");
	struct json *guild = world_object(call_world(c), WORLD_guild,
	    SLICE(""), c->args[0]);
	char         end[24];

	if (guild == NULL) {
		call_error(c, 400, 502001, "guild id invalid");
		return;
	}
	if (call_text(c, "mute_end_timestamp").n == 0 &&
	    call_text(c, "mute_seconds").n == 0) {
		call_error(c, 400, 502006,
		    "mute_end_timestamp or mute_seconds is needed");
		return;
	}
	mute_end(c, end);
	if (users != NULL) {
		mute_many(c, users, end);
	} else if (c->route->id == ROUTE_member_mute) {
		if (mute_one(c, c->args[1], end))
			call_done(c, NULL);
		else
			call_error(c, 400, 502003, "user id invalid");
	} else {
		json_put_text(guild, "mute_end_timestamp", slice_of(end));
		call_done(c, NULL);
	}
}

/* --- what a guild lets the bot do ---------------------------------------- */

void
on_grants(struct call *c)
{
	struct json *j, *list;

	if (!call_parent_known(c))
		return;
	j = json_new_object();
	list = json_new_array();
	for (struct world_row *r = NULL; (r = world_next(call_world(c),
	    WORLD_grant, call_parent(c), r)) != NULL;)
		json_push_take(list, object_copy(r->object));
	json_put_take(j, "apis", list);
	call_done(c, j);
}

void
on_grant_demand(struct call *c)
{
	struct json *j;

	if (!call_parent_known(c))
		return;
	if (world_get(call_world(c), WORLD_channel, SLICE(""),
	        call_text(c, "channel_id")) == NULL) {
		call_error(c, 400, world_kinds[WORLD_channel].missing,
		    "channel_id is no channel");
		return;
	}
	j = object_copy(c->body);
	json_put_text(j, "guild_id", call_parent(c));
	json_put_text(j, "title", SLICE("a permission is asked for"));
	call_done(c, j);
}
