/*
 * What is in channels: reactions, pins, announcements, schedules, threads.
 */
#include "things.h"

#include <stdio.h>
#include <stdlib.h>

enum { PINS_MAX = 20, RECOMMENDED_MAX = 3,
	WEEK_MS = 7 * 86400000 };

/* The guild of the channel that the first argument names; empty when there is
 * no such channel, which was answered. */
static struct slice
guild_of_channel(struct call *c)
{
	struct world_row *r = world_get(call_world(c), WORLD_channel,
	    SLICE(""), c->args[0]);

	if (r != NULL)
		return r->parent;
	call_error(c, 400, world_kinds[WORLD_channel].missing,
	    "channel does not exist");
	return SLICE("");
}

/* --- reactions ---------------------------------------------------------- */

/* One row for each message and emoji: those who reacted, {"users": [ids]}. */
static struct slice
reaction_key(const struct call *c, struct buf *out)
{
	for (size_t i = 0; i < 4; i++)
		buf_putf(out, "%.*s/", (int)c->args[i].n, c->args[i].p);
	return buf_slice(out);
}

static void
tell_reaction(struct call *c, const char *type, struct slice guild)
{
	struct json *d = json_new_object(), *part = json_new_object();
	int64_t      kind = c->args[2].p[0] - '0';

	json_put_text(d, "user_id", slice_of(c->bot->user_id));
	json_put_text(d, "guild_id", guild);
	json_put_text(d, "channel_id", c->args[0]);
	json_put_text(part, "id", c->args[1]);
	json_put_int(part, "type", 0);
	json_put_take(d, "target", part);
	part = json_new_object();
	json_put_text(part, "id", c->args[3]);
	json_put_int(part, "type", kind);
	json_put_take(d, "emoji", part);
	call_tell(c, type, d);
}

static void
react(struct call *c, bool add)
{
	struct slice guild = guild_of_channel(c);
	struct slice me = slice_of(c->bot->user_id);
	struct buf   key = { 0 };
	struct json *row, *users;
	bool         mine;

	if (guild.n == 0)
		return;
	if (!slice_is(c->args[2], "1") && !slice_is(c->args[2], "2")) {
		call_wrong(c, FORM_WRONG, "type must be 1 or 2");
		return;
	}
	row = world_object(call_world(c), WORLD_reaction, SLICE(""),
	    reaction_key(c, &key));
	users = json_get(row, "users");
	mine = strings_hold(users, me);
	if (mine == add) {
		call_error(c, 400, add ? 620003 : 620004,
		    add ? "reaction already set" : "reaction not set");
	} else {
		users = add ? strings_with(users, me)
		            : strings_without(users, me);
		row = json_new_object();
		json_put_take(row, "users", users);
		world_put_take(call_world(c), WORLD_reaction, SLICE(""),
		    buf_slice(&key), row);
		tell_reaction(c, add ? "MESSAGE_REACTION_ADD"
		                     : "MESSAGE_REACTION_REMOVE", guild);
		call_done(c, NULL);
	}
	buf_free(&key);
}

void
on_reaction_add(struct call *c)
{
	react(c, true);
}

void
on_reaction_remove(struct call *c)
{
	react(c, false);
}

void
on_reaction_users(struct call *c)
{
	struct buf   key = { 0 };
	struct json *users = json_get(world_object(call_world(c),
	    WORLD_reaction, SLICE(""), reaction_key(c, &key)), "users");
	uint64_t     at = call_query_number(c, "cookie", 0);
	uint64_t     end = at + call_query_number(c, "limit", 20);
	struct json *j = json_new_object(), *list = json_new_array();
	char         cookie[24] = "";

	for (; at < end && at < json_count(users); at++) {
		struct json *who = json_new_object();

		json_put_text(who, "id", json_text(json_at(users, at)));
		json_put_text(who, "username", SLICE(""));
		json_push_take(list, who);
	}
	if (at < json_count(users))
		snprintf(cookie, sizeof cookie, "%llu",
		    (unsigned long long)at);
	json_put_take(j, "users", list);
	json_put_text(j, "cookie", slice_of(cookie));
	json_put_bool(j, "is_end", at >= json_count(users));
	call_done(c, j);
	buf_free(&key);
}

/* --- pins --------------------------------------------------------------- */

static struct json *
pins_of(struct call *c)
{
	return json_get(world_object(call_world(c), WORLD_pins, SLICE(""),
	    c->args[0]), "message_ids");
}

/* Takes the ids. */
static struct json *
pins_set(struct call *c, struct slice guild, struct json *ids)
{
	struct json *j = json_new_object();

	json_put_text(j, "guild_id", guild);
	json_put_text(j, "channel_id", c->args[0]);
	json_put_take(j, "message_ids", ids);
	return world_put_take(call_world(c), WORLD_pins, SLICE(""),
	    c->args[0], j) == ERR_OK ? j : NULL;
}

void
on_pins_get(struct call *c)
{
	struct slice guild = guild_of_channel(c);
	struct json *j;

	if (guild.n == 0)
		return;
	j = world_object(call_world(c), WORLD_pins, SLICE(""), c->args[0]);
	call_show(c, j != NULL ? j : pins_set(c, guild, json_new_array()));
}

void
on_pin_add(struct call *c)
{
	struct slice guild = guild_of_channel(c);

	if (guild.n == 0)
		return;
	if (!strings_hold(pins_of(c), c->args[1]) &&
	    json_count(pins_of(c)) >= PINS_MAX)
		call_error(c, 400, 501013, "too many pins");
	else
		call_show(c, pins_set(c, guild,
		    strings_with(pins_of(c), c->args[1])));
}

void
on_pin_delete(struct call *c)
{
	struct slice guild = guild_of_channel(c);
	bool         all = slice_is(c->args[1], "all");

	if (guild.n == 0)
		return;
	if (!all && !strings_hold(pins_of(c), c->args[1])) {
		call_error(c, 400, 501008, "message is not pinned");
		return;
	}
	pins_set(c, guild, all ? json_new_array()
	    : strings_without(pins_of(c), c->args[1]));
	call_done(c, NULL);
}

/* --- announcements ------------------------------------------------------ */

void
on_announce(struct call *c)
{
	bool         of_guild = c->route->id == ROUTE_guild_announce_create;
	struct slice message = call_text(c, "message_id");
	size_t       channels = json_count(json_get(c->body,
	    "recommend_channels"));
	struct json *j;

	if (of_guild ? world_get(call_world(c), WORLD_guild, SLICE(""),
	        c->args[0]) == NULL : guild_of_channel(c).n == 0) {
		if (of_guild)
			call_error(c, 400, 10004, "guild does not exist");
		return;
	}
	if (channels > RECOMMENDED_MAX) {
		call_error(c, 400, 501016, "too many recommended channels");
		return;
	}
	if (of_guild && (message.n > 0 ? call_text(c, "channel_id").n == 0
	                               : channels == 0)) {
		call_error(c, 400, 501001, "message_id with channel_id, or "
		    "recommend_channels is needed");
		return;
	}
	j = object_copy(c->body);
	json_put_text(j, of_guild ? "guild_id" : "channel_id", c->args[0]);
	call_put(c, CHANGE_CREATE, message, j);
}

void
on_unannounce(struct call *c)
{
	struct world     *w = call_world(c);
	struct world_row *r;

	if (!slice_is(c->args[1], "all")) {
		if (call_row(c) == NULL)
			return;
		world_drop(w, WORLD_announce, c->args[0], c->args[1]);
	}
	while (slice_is(c->args[1], "all") &&
	    (r = world_next(w, WORLD_announce, c->args[0], NULL)) != NULL)
		world_drop(w, WORLD_announce, r->parent, r->id);
	call_done(c, NULL);
}

/* --- schedules ---------------------------------------------------------- */

void
on_schedules(struct call *c)
{
	uint64_t     since = call_query_number(c, "since", 0);
	struct json *list;

	if (!call_parent_known(c))
		return;
	list = json_new_array();
	for (struct world_row *r = NULL; (r = world_next(call_world(c),
	    WORLD_schedule, call_parent(c), r)) != NULL;) {
		int64_t end = 0;

		if (json_int_at(r->object, "end_timestamp", &end) &&
		    (uint64_t)end >= since)
			json_push_take(list, object_copy(r->object));
	}
	call_done(c, list);
}

static const char *
schedule_times(struct call *c, int *code)
{
	int64_t start = 0, end = 0;

	json_int_at(c->body, "schedule.start_timestamp", &start);
	json_int_at(c->body, "schedule.end_timestamp", &end);
	*code = 302015;
	if (start < sim_wall_ms(c->sim, c->now_us))
		return "start before now";
	*code = 302016;
	if (end < start)
		return "end before start";
	*code = 302014;
	return end - start > WEEK_MS ? "longer than 7 days" : NULL;
}

void
on_schedule_set(struct call *c)
{
	const struct json *asked = json_get(c->body, "schedule");
	struct world_row  *r = NULL;
	struct json       *j, *who;
	const char        *why;
	int                code;
	char               text[24];
	struct slice       id;

	if (!call_parent_known(c) ||
	    (c->route->id == ROUTE_schedule_update &&
	        (r = call_row(c)) == NULL))
		return;
	if ((why = schedule_times(c, &code)) != NULL) {
		call_error(c, 400, code, why);
		return;
	}
	id = r != NULL ? r->id : world_id(call_world(c), text);
	j = json_new_object();
	json_put_text(j, "description", SLICE(""));
	json_put_text(j, "jump_channel_id", SLICE("0"));
	json_put_text(j, "remind_type", SLICE("0"));
	who = json_new_object();
	json_put_take(j, "creator", json_new_object());
	json_put_text(who, "id", slice_of(c->bot->user_id));
	json_put_text(who, "username", slice_of(c->bot->name));
	json_put_bool(who, "bot", true);
	json_put_take(json_get(j, "creator"), "user", who);
	world_merge(j, asked);
	json_put_text(j, "id", id);
	call_put(c, r != NULL ? CHANGE_UPDATE : CHANGE_CREATE, id, j);
}

/* --- the forum ---------------------------------------------------------- */

void
on_threads(struct call *c)
{
	struct json *j, *list;

	if (!call_parent_known(c))
		return;
	j = json_new_object();
	list = json_new_array();
	for (struct world_row *r = NULL; (r = world_next(call_world(c),
	    WORLD_thread, call_parent(c), r)) != NULL;)
		json_push_take(list, object_copy(r->object));
	json_put_take(j, "threads", list);
	json_put_int(j, "is_finish", 1);
	call_done(c, j);
}

void
on_thread_get(struct call *c)
{
	struct world_row *r = call_row(c);
	struct json      *j;

	if (r == NULL)
		return;
	j = json_new_object();
	json_put_take(j, "thread", object_copy(r->object));
	call_done(c, j);
}

static void
task_done(struct call *c)
{
	struct json *j = json_new_object();
	char         at[24];

	snprintf(at, sizeof at, "%lld",
	    (long long)(sim_wall_ms(c->sim, c->now_us) / 1000));
	json_put_text(j, "task_id", slice_of(c->trace));
	json_put_text(j, "create_time", slice_of(at));
	call_done(c, j);
}

static void
tell_published(struct call *c, struct slice guild, struct slice thread,
    int type)
{
	struct json *d = json_new_object();

	json_put_text(d, "task_id", slice_of(c->trace));
	json_put_text(d, "guild_id", guild);
	json_put_text(d, "channel_id", c->args[0]);
	json_put_text(d, "author_id", slice_of(c->bot->user_id));
	json_put_text(d, "thread_id", thread);
	json_put_int(d, "type", type);
	json_put_int(d, "result", 0);
	json_put_text(d, "err_msg", SLICE(""));
	call_tell(c, "FORUM_PUBLISH_AUDIT_RESULT", d);
}

void
on_thread_create(struct call *c)
{
	struct slice guild = guild_of_channel(c), id;
	struct slice title = call_text(c, "title");
	struct json *j, *info;
	char         text[24], at[32];

	if (guild.n == 0)
		return;
	if (title.n == 0 || call_text(c, "content").n == 0) {
		call_error(c, 400, title.n == 0 ? 503005 : 503006,
		    title.n == 0 ? "title is empty" : "content is empty");
		return;
	}
	id = world_id(call_world(c), text);
	j = json_new_object();
	info = json_new_object();
	json_put_text(j, "guild_id", guild);
	json_put_text(j, "channel_id", c->args[0]);
	json_put_text(j, "author_id", slice_of(c->bot->user_id));
	json_put_text(info, "thread_id", id);
	json_put_text(info, "title", title);
	json_put_text(info, "content", call_text(c, "content"));
	json_put_text(info, "date_time", call_time(c, at));
	json_put_take(j, "thread_info", info);
	if (world_put_take(call_world(c), WORLD_thread, c->args[0], id, j) !=
	    ERR_OK) {
		call_refuse(c, &refusal_full);
		return;
	}
	things_tell(c, WORLD_thread, CHANGE_CREATE, c->args[0], j);
	tell_published(c, guild, id, 1);
	task_done(c);
}

void
on_thread_comment(struct call *c)
{
	struct slice guild = guild_of_channel(c);

	if (guild.n == 0)
		return;
	if (world_get(call_world(c), WORLD_thread, c->args[0], c->args[1]) ==
	    NULL) {
		call_missing(c);
		return;
	}
	tell_published(c, guild, c->args[1], 2);
	task_done(c);
}
