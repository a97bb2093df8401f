/*
 * Groups, strategies for requests to join, the menu and the panels.
 */
#include "things.h"

#include <stdio.h>
#include <stdlib.h>

enum { PANEL_ITEMS_MAX = 20, MENU_ITEMS_MAX = 10, SUB_ITEMS_MAX = 5,
	PANEL_NAME_WIDTH = 14, PANEL_DESC_WIDTH = 30, MENU_NAME_WIDTH = 10,
	STRATEGIES_MAX = 20, PANELS_MAX = 20, WHITELIST_MAX = 100000 };

/* --- members ------------------------------------------------------------ */

void
on_group_members_v1(struct call *c)
{
	struct json      *j, *list;
	struct world_row *r = NULL;
	int64_t           limit = 20, start = 0, at = 0;

	if (!call_parent_known(c))
		return;
	json_int_at(c->body, "limit", &limit);
	json_int_at(c->body, "start_index", &start);
	j = json_new_object();
	list = json_new_array();
	while ((r = world_next(call_world(c), WORLD_group_member,
	    call_parent(c), r)) != NULL && at < start + limit) {
		struct json *who;

		if (at++ < start)
			continue;
		who = json_new_object();
		json_put_text(who, "member_openid", r->id);
		json_put_int(who, "join_timestamp", 1767319200);
		json_push_take(list, who);
	}
	json_put_take(j, "members", list);
	if (r != NULL)
		json_put_int(j, "next_index", at);
	call_done(c, j);
}

static bool
ban(struct call *c, struct slice who)
{
	struct json *member = world_object(call_world(c), WORLD_group_member,
	    c->args[0], who), *j = json_new_object();
	char         at[32];

	json_put_text(j, "union_openid", SLICE(""));
	json_put_text(j, "member_openid", who);
	json_put_text(j, "username", json_text(json_get(member, "username")));
	json_put_text(j, "banned_at", call_time(c, at));
	json_put_bool(j, "bot", false);
	return world_put_take(call_world(c), WORLD_blacklist, c->args[0], who,
	    j) == ERR_OK;
}

void
on_group_members_remove(struct call *c)
{
	struct json *ids = json_get(c->body, "member_openids"), *j, *list;
	bool         add = json_truth(json_get(c->body,
	    "add_to_member_blacklist"));

	if (!call_parent_known(c))
		return;
	j = json_new_object();
	list = json_new_array();
	for (size_t i = 0; i < json_count(ids); i++) {
		struct slice who = json_text(json_at(ids, i));
		struct json *row = json_new_object();

		if (add)
			ban(c, who);
		json_put_text(row, "member_openid", who);
		json_put_bool(row, "success", world_drop(call_world(c),
		    WORLD_group_member, c->args[0], who));
		json_push_take(list, row);
	}
	json_put_take(j, "remove_members_result", list);
	json_put_take(j, "add_to_member_blacklist_fail_openids",
	    json_new_array());
	call_done(c, j);
}

void
on_blacklist_update(struct call *c)
{
	struct json *ids = json_get(c->body, "member_openids"), *j, *failed;
	bool         add = slice_is(call_text(c, "op"), "add");

	if (!call_parent_known(c))
		return;
	j = json_new_object();
	failed = json_new_array();
	for (size_t i = 0; i < json_count(ids); i++) {
		struct slice who = json_text(json_at(ids, i));

		if (!(add ? ban(c, who) : world_drop(call_world(c),
		        WORLD_blacklist, c->args[0], who)))
			json_push_text(failed, who);
	}
	json_put_take(j, "fail_openids", failed);
	call_done(c, j);
}

/* --- requests to join --------------------------------------------------- */

static void
join(struct call *c, const struct json *request)
{
	struct json *j = json_new_object(), *d;
	char         at[32];

	json_put_text(j, "member_openid", c->args[1]);
	json_put_text(j, "username", json_text(json_get(request,
	    "username")));
	json_put_text(j, "member_role", SLICE("member"));
	json_put_bool(j, "bot", false);
	json_put_text(j, "joined_at", call_time(c, at));
	json_put_text(j, "union_openid", SLICE(""));
	world_put_take(call_world(c), WORLD_group_member, c->args[0],
	    c->args[1], j);
	d = json_new_object();
	json_put_text(d, "group_openid", c->args[0]);
	json_put_text(d, "member_openid", c->args[1]);
	json_put_int(d, "timestamp", sim_wall_ms(c->sim, c->now_us) / 1000);
	call_tell(c, "GROUP_MEMBER_ADD", d);
}

void
on_join_decide(struct call *c)
{
	struct world_row *r = call_row(c);

	if (r == NULL)
		return;
	if (!slice_eq(call_text(c, "join_request_id"),
	        json_text(json_get(r->object, "join_request_id")))) {
		call_error(c, 400, 11255, "join_request_id is of no request "
		    "of this member");
		return;
	}
	if (slice_is(call_text(c, "op"), "approve"))
		join(c, r->object);
	else if (json_truth(json_get(c->body, "add_to_member_blacklist")))
		ban(c, c->args[1]);
	world_drop(call_world(c), WORLD_join_request, r->parent, r->id);
	call_done(c, json_new_object());
}

/* --- mutes of a group --------------------------------------------------- */

static const struct json *
named(const struct json *list, struct slice who)
{
	for (size_t i = 0; i < json_count(list); i++)
		if (slice_eq(json_text_at(json_at(list, i), "member_openid"),
		    who))
			return json_at(list, i);
	return NULL;
}

/* Those that were muted and are not named now, then those now muted. */
void
on_restrict_set(struct call *c)
{
	struct world_row *r = call_row(c);
	struct json      *asked = json_get(c->body, "members"), *list, *old;

	if (r == NULL)
		return;
	old = json_get(r->object, "members");
	list = json_new_array();
	for (size_t i = 0; i < json_count(old); i++)
		if (named(asked, json_text_at(json_at(old, i),
		        "member_openid")) == NULL)
			json_push_take(list, object_copy(json_at(old, i)));
	for (size_t i = 0; i < json_count(asked); i++) {
		const struct json *one = json_at(asked, i);
		struct slice       who = json_text_at(one, "member_openid");
		struct json       *j;

		if (slice_is(json_text_at(one, "op"), "del"))
			continue;
		j = json_new_object();
		json_put_text(j, "member_openid", who);
		json_put_text(j, "mute_expire_at",
		    json_text_at(one, "mute_expire_at"));
		json_put_text(j, "username", json_text(json_get(world_object(
		    call_world(c), WORLD_group_member, c->args[0], who),
		    "username")));
		json_put_text(j, "union_openid", SLICE(""));
		json_push_take(list, j);
	}
	json_put_take(r->object, "members", list);
	call_done(c, json_new_object());
}

/* --- strategies --------------------------------------------------------- */

static void
strategy_done(struct call *c, struct slice id, const struct json *s)
{
	struct json *j = json_new_object();

	if (id.n > 0)
		json_put_text(j, "strategy_id", id);
	json_put_ref(j, "is_enable", json_get(s, "is_enable"));
	json_put_ref(j, "expire_at", json_get(s, "expire_at"));
	call_done(c, j);
}

void
on_strategy_create(struct call *c)
{
	struct world *w = call_world(c);
	struct json  *j;
	struct slice  id;
	char          text[24], at[32];

	if ((json_get(c->body, "group_openids") == NULL) ==
	    (json_get(c->body, "group_ids") == NULL)) {
		call_wrong(c, FORM_WRONG,
		    "either group_openids or group_ids is needed");
		return;
	}
	if (world_count(w, WORLD_strategy, SLICE("")) >= STRATEGIES_MAX) {
		call_wrong(c, FORM_WRONG, "at most 20 strategies");
		return;
	}
	id = world_id(w, text);
	j = json_new_object();
	json_put_text(j, "strategy_id", id);
	json_put_take(j, "group_openids", json_new_array());
	json_put_take(j, "group_ids", json_new_array());
	json_put_int(j, "whitelist_user_count", 0);
	json_put_text(j, "is_enable", SLICE("on"));
	json_put_text(j, "expire_at", SLICE("2027-01-01T00:00:00+08:00"));
	json_put_text(j, "created_at", call_time(c, at));
	json_put_text(j, "updated_at", call_time(c, at));
	world_merge(j, c->body);
	if (world_put_take(w, WORLD_strategy, SLICE(""), id, j) != ERR_OK)
		call_refuse(c, &refusal_full);
	else
		strategy_done(c, id, j);
}

static void
change_list(struct json *object, const char *name, const struct json *ids,
    bool add)
{
	for (size_t i = 0; i < json_count(ids); i++) {
		struct slice id = json_text(json_at(ids, i));
		struct json *old = json_get(object, name);

		json_put_take(object, name, add ? strings_with(old, id)
		                                : strings_without(old, id));
	}
}

void
on_strategy_update(struct call *c)
{
	static const char *const plain[] = { "is_enable", "expire_at",
		"remark" };
	struct world_row  *r = call_row(c);
	const struct json *action = json_get(c->body, "group_action");
	bool               add = slice_is(json_text_at(action, "op"), "add");
	char               at[32];

	if (r == NULL)
		return;
	for (size_t i = 0; i < 3; i++)
		if (json_get(c->body, plain[i]) != NULL)
			json_put_ref(r->object, plain[i],
			    json_get(c->body, plain[i]));
	change_list(r->object, "group_openids",
	    json_get(action, "group_openids"), add);
	change_list(r->object, "group_ids", json_get(action, "group_ids"),
	    add);
	json_put_text(r->object, "updated_at", call_time(c, at));
	strategy_done(c, SLICE(""), r->object);
}

/* Only how many there are is kept. */
void
on_strategy_whitelist(struct call *c)
{
	struct world_row *r = call_row(c);
	int64_t           n = (int64_t)json_count(json_get(c->body,
	    "whitelist_users")), have = 0;
	struct json      *j;
	char              at[32];

	if (r == NULL)
		return;
	json_int_at(r->object, "whitelist_user_count", &have);
	have += slice_is(call_text(c, "op"), "add") ? n : -n;
	if (have < 0)
		have = 0;
	if (have > WHITELIST_MAX) {
		call_wrong(c, FORM_WRONG, "at most 100000 whitelist_users");
		return;
	}
	json_put_int(r->object, "whitelist_user_count", have);
	j = json_new_object();
	json_put_text(j, "strategy_id", r->id);
	json_put_int(j, "whitelist_user_count", have);
	json_put_text(j, "updated_at", call_time(c, at));
	call_done(c, j);
}

/* --- menu and panels ---------------------------------------------------- */

/* A CJK character is two wide. */
static size_t
width(struct slice text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char b = (unsigned char)text.p[i];

		n += b < 0x80 || (b >= 0xc0 && b < 0xe0) ? 1
		    : b >= 0xe0 ? 2 : 0;
	}
	return n;
}

struct wrong {
	int         code;
	const char *why;
};

static bool
wrong_link(const struct json *item)
{
	struct slice link = json_text_at(item, "link");

	return link.n > 0 ? !slice_starts(link, SLICE("https://"))
	                  : slice_is(json_text_at(item, "type"), "link");
}

static struct wrong
judge_item(const struct json *item, size_t name_max, const char *types,
    int bad_type)
{
	struct slice type = json_text_at(item, "type");
	char         word[32];

	snprintf(word, sizeof word, " %.*s ", (int)type.n,
	    type.n > 0 ? type.p : "");
	if (width(json_text_at(item, "name")) > name_max)
		return (struct wrong){ 40030013, "name is too long" };
	if (width(json_text_at(item, "desc")) > PANEL_DESC_WIDTH)
		return (struct wrong){ 40030013, "desc is too long" };
	if (type.n == 0 || strstr(types, word) == NULL)
		return (struct wrong){ bad_type, "type is none of an item" };
	if (wrong_link(item))
		return (struct wrong){ 40030008, "link is not https://" };
	return (struct wrong){ 0 };
}

static struct wrong
judge_items(const struct json *items, size_t most, size_t name_max,
    const char *types, int bad_type)
{
	struct wrong w = { 0 };

	if (json_count(items) > most)
		return (struct wrong){ 40030013, "too many items" };
	for (size_t i = 0; i < json_count(items) && w.why == NULL; i++) {
		const struct json *item = json_at(items, i);

		w = judge_item(item, name_max, types, bad_type);
		if (w.why == NULL && json_get(item, "sub_menu_items") != NULL)
			w = judge_items(json_get(item, "sub_menu_items"),
			    SUB_ITEMS_MAX, PANEL_NAME_WIDTH,
			    " send_message link ", bad_type);
	}
	return w;
}

/* Answers when it is wrong. */
static bool
items_fit(struct call *c, struct wrong w)
{
	if (w.why != NULL)
		call_error(c, 400, w.code, w.why);
	return w.why == NULL;
}

void
on_menu_get(struct call *c)
{
	struct json *j = world_object(call_world(c), WORLD_menu, SLICE(""),
	    SLICE("menu"));
	struct json *menu;

	if (j != NULL) {
		call_show(c, j);
		return;
	}
	j = json_new_object();
	menu = json_new_object();
	json_put_take(menu, "items", json_new_array());
	json_put_take(j, "menu", menu);
	json_put_int(j, "version", 0);
	call_done(c, j);
}

static void
version_done(struct call *c, int64_t version)
{
	struct json *j = json_new_object();

	json_put_int(j, "version", version);
	call_done(c, j);
}

void
on_menu_set(struct call *c)
{
	struct json *old = world_object(call_world(c), WORLD_menu, SLICE(""),
	    SLICE("menu")), *j;
	int64_t      version = 0;

	if (!items_fit(c, judge_items(json_path(c->body, "menu.items"),
	        MENU_ITEMS_MAX, MENU_NAME_WIDTH,
	        " switch send_message link menu ", 40030014)))
		return;
	json_int_at(old, "version", &version);
	j = object_copy(c->body);
	json_put_int(j, "version", ++version);
	world_put_take(call_world(c), WORLD_menu, SLICE(""), SLICE("menu"),
	    j);
	version_done(c, version);
}

static struct wrong
judge_panel(const struct call *c)
{
	return judge_items(json_path(c->body, "panel.items"), PANEL_ITEMS_MAX,
	    PANEL_NAME_WIDTH, " command link ", 40030015);
}

void
on_panels(struct call *c)
{
	uint64_t          from = call_query_number(c, "cursor", 0), at = 0;
	uint64_t          end = from + call_query_number(c, "limit", 20);
	struct json      *j = json_new_object(), *list = json_new_array();
	struct world_row *r = NULL;
	char              cursor[24] = "";

	while ((r = world_next(call_world(c), WORLD_panel, SLICE(""), r)) !=
	    NULL && at < end)
		if (slice_eq(json_text_at(r->object, "scope"),
		        call_query(c, "scope")) && at++ >= from)
			json_push_take(list, object_copy(r->object));
	if (r != NULL)
		snprintf(cursor, sizeof cursor, "%llu",
		    (unsigned long long)at);
	json_put_take(j, "records", list);
	json_put_text(j, "next_cursor", slice_of(cursor));
	json_put_bool(j, "is_end", r == NULL);
	call_done(c, j);
}

static struct wrong
judge_new_panel(const struct call *c)
{
	struct slice type = call_text(c, "target_type");
	enum scope   scope;

	if (!scope_of(call_text(c, "scope"), &scope) || scope == SCOPE_OTHER)
		return (struct wrong){ 40030011, "scope invalid" };
	if (type.n > 0 && !slice_is(type, "all") &&
	    !slice_is(type, "specific"))
		return (struct wrong){ 40030012,
			"target_type invalid" };
	if (world_count(call_world(c), WORLD_panel, SLICE("")) >= PANELS_MAX)
		return (struct wrong){ 40030013,
			"at most 20 panels" };
	return judge_panel(c);
}

void
on_panel_create(struct call *c)
{
	struct json *j, *shown;
	struct slice id;
	char         text[24], at[32];

	if (!items_fit(c, judge_new_panel(c)))
		return;
	id = world_id(call_world(c), text);
	j = json_new_object();
	json_put_text(j, "panel_id", id);
	json_put_text(j, "target_type", SLICE("all"));
	json_put_text(j, "created_at", call_time(c, at));
	json_put_text(j, "updated_at", call_time(c, at));
	json_put_int(j, "version", 1);
	world_merge(j, c->body);
	if (world_put_take(call_world(c), WORLD_panel, SLICE(""), id, j) !=
	    ERR_OK) {
		call_refuse(c, &refusal_full);
		return;
	}
	shown = json_new_object();
	json_put_text(shown, "panel_id", id);
	call_done(c, shown);
}

void
on_panel_update(struct call *c)
{
	struct world_row *r = call_row(c);
	int64_t           version = 0;
	char              at[32];

	if (r == NULL || !items_fit(c, judge_panel(c)))
		return;
	json_int_at(r->object, "version", &version);
	world_merge(r->object, c->body);
	json_put_int(r->object, "version", ++version);
	json_put_text(r->object, "updated_at", call_time(c, at));
	version_done(c, version);
}

void
on_panel_target(struct call *c)
{
	struct world_row *r = call_row(c);
	struct slice      op = call_text(c, "op");
	bool              add = slice_is(op, "add");

	if (r == NULL)
		return;
	if (!add && !slice_is(op, "del")) {
		call_error(c, 400, 40030017, "op is add or del");
		return;
	}
	if (!slice_is(json_text_at(r->object, "target_type"), "specific")) {
		call_error(c, 400, 40030021,
		    "target change not possible for target_type all");
		return;
	}
	change_list(r->object, "user_openids",
	    json_get(c->body, "user_openids"), add);
	change_list(r->object, "group_openids",
	    json_get(c->body, "group_openids"), add);
	call_done(c, json_new_object());
}
