/*
 * Events from a few words: what a person types, in the form the platform
 * gives it.
 */
#include "sim.h"

#include <stdio.h>

static const char default_user[] = "0A1B2C3D4E5F60718293A4B5C6D7E8F1";
static const char default_group[] = "3D4E5F60718293A4B5C6D7E8F10A1B2C";
static const char default_channel[] = "1600001";
static const char default_guild[] = "4700000000000000001";
static const char default_dm[] = "1870000000000000001";

/* What a simulator that nobody has told anything knows. */
static const struct {
	enum scope  scope;
	const char *id, *name;
} world[] = {
	{ SCOPE_C2C, default_user, "小明 Ming" },
	{ SCOPE_C2C, "1B2C3D4E5F60718293A4B5C6D7E8F10A", "小红 Hong" },
	{ SCOPE_GROUP, default_group, "开发群 Developers" },
	{ SCOPE_GROUP, "4E5F60718293A4B5C6D7E8F10A1B2C3D", "闲聊群 Lounge" },
	{ SCOPE_CHANNEL, default_channel, "综合 General" },
	{ SCOPE_DM, default_dm, "小明 Ming" },
};

void
inject_defaults(struct sim *s, struct bot *b)
{
	for (size_t i = 0; i < sizeof world / sizeof world[0]; i++) {
		struct conversation *c = ledger_conversation(
		    &s->platform.ledger, b->app_id, world[i].scope,
		    slice_of(world[i].id), true);

		if (c != NULL)
			snprintf(c->name, sizeof c->name, "%s", world[i].name);
	}
}

static struct slice
or_default(struct slice given, const char *otherwise)
{
	return given.n > 0 ? given : slice_of(otherwise);
}

/* Guild text arrives with &, < and > escaped. */
static void
escape(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		switch (text.p[i]) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		default:
			buf_put(out, (struct slice){ text.p + i, 1 });
		}
}

static void
put_scene(struct sim *s, struct json *d)
{
	struct json *scene = json_new_object(), *ext = json_new_array();
	char         ref[64];

	platform_id(&s->platform, ref, sizeof ref, "msg_idx=REFIDX_");
	json_put_text(scene, "source", SLICE("default"));
	json_push_text(ext, slice_of(ref));
	json_put_take(scene, "ext", ext);
	json_put_int(d, "message_type", 0);
	json_put_take(d, "message_scene", scene);
}

static void
put_c2c(struct sim *s, const struct words *w, struct json *d)
{
	struct json *author = json_new_object();
	struct slice user = or_default(w->user, default_user);

	json_put_text(author, "id", user);
	json_put_text(author, "user_openid", user);
	if (w->name.n > 0)
		json_put_text(author, "username", w->name);
	json_put_take(d, "author", author);
	json_put_text(d, "content", w->text);
	put_scene(s, d);
}

static void
put_group(struct sim *s, const struct words *w, struct json *d)
{
	struct json *author = json_new_object(), *me = json_new_object();
	struct json *mentions = json_new_array();
	struct slice user = or_default(w->user, default_user);
	struct slice group = or_default(w->group, default_group);
	struct buf   text = { 0 };

	json_put_text(author, "id", user);
	json_put_text(author, "member_openid", user);
	json_put_text(author, "username", or_default(w->name, "tester"));
	json_put_bool(author, "bot", false);
	json_put_text(author, "member_role", SLICE("member"));
	json_put_take(d, "author", author);
	/* The mention is cut out of the text; a blank is left. */
	buf_puts(&text, " ");
	buf_put(&text, w->text);
	json_put_text(d, "content", buf_slice(&text));
	buf_free(&text);
	json_put_text(d, "group_id", group);
	json_put_text(d, "group_openid", group);
	put_scene(s, d);
	json_put_text(me, "scope", SLICE("single"));
	json_put_text(me, "id", slice_of(w->bot->user_id));
	json_put_text(me, "member_openid", slice_of(w->bot->user_id));
	json_put_text(me, "username", slice_of(w->bot->name));
	json_put_bool(me, "bot", true);
	json_put_bool(me, "is_you", true);
	json_push_take(mentions, me);
	json_put_take(d, "mentions", mentions);
}

static void
put_guild(struct sim *s, const struct words *w, struct json *d)
{
	struct json *author = json_new_object(), *mentions, *me;
	struct slice guild = or_default(w->guild, default_guild);
	struct buf   text = { 0 };

	(void)s;
	json_put_text(author, "id", or_default(w->user,
	    "1440000000000000001"));
	json_put_text(author, "username", or_default(w->name, "tester"));
	json_put_bool(author, "bot", false);
	json_put_take(d, "author", author);
	json_put_text(d, "channel_id", or_default(w->channel,
	    default_channel));
	if (w->scope == SCOPE_DM) {
		json_put_text(d, "guild_id", or_default(w->guild, default_dm));
		json_put_bool(d, "direct_message", true);
		json_put_text(d, "src_guild_id", slice_of(default_guild));
	} else {
		json_put_text(d, "guild_id", guild);
		buf_putf(&text, "<@!%s> ", w->bot->user_id);
		mentions = json_new_array();
		me = json_new_object();
		json_put_text(me, "id", slice_of(w->bot->user_id));
		json_put_text(me, "username", slice_of(w->bot->name));
		json_put_bool(me, "bot", true);
		json_push_take(mentions, me);
		json_put_take(d, "mentions", mentions);
	}
	escape(&text, w->text);
	json_put_text(d, "content", buf_slice(&text));
	buf_free(&text);
	json_put_text(d, "seq_in_channel", SLICE("101"));
}

/* Somebody has clicked a button. */
static void
put_click(const struct words *w, struct json *d)
{
	static const char *const scenes[] = { "c2c", "group", "guild",
		"guild" };
	static const int chat_types[] = { 2, 1, 0, 0 };
	struct json *data = json_new_object(), *resolved = json_new_object();
	struct slice user = or_default(w->user, default_user);

	json_put_text(d, "application_id", slice_of(w->bot->app_id));
	json_put_int(d, "type", 11);
	json_put_text(d, "scene", slice_of(scenes[w->scope]));
	json_put_int(d, "chat_type", chat_types[w->scope]);
	json_put_int(d, "version", 1);
	json_put_text(resolved, "button_data", w->button);
	json_put_text(resolved, "button_id", SLICE("1"));
	if (w->scope == SCOPE_C2C) {
		json_put_text(d, "user_openid", user);
	} else if (w->scope == SCOPE_GROUP) {
		json_put_text(d, "group_openid", or_default(w->group,
		    default_group));
		json_put_text(d, "group_member_openid", user);
	} else {
		json_put_text(d, "guild_id", or_default(w->guild,
		    default_guild));
		json_put_text(d, "channel_id", or_default(w->channel,
		    default_channel));
		json_put_text(resolved, "user_id", user);
	}
	json_put_int(data, "type", 11);
	json_put_take(data, "resolved", resolved);
	json_put_take(d, "data", data);
}

static const char *
type_of(const struct words *w)
{
	static const char *const types[SCOPES] = {
		[SCOPE_C2C] = "C2C_MESSAGE_CREATE",
		[SCOPE_GROUP] = "GROUP_AT_MESSAGE_CREATE",
		[SCOPE_CHANNEL] = "AT_MESSAGE_CREATE",
		[SCOPE_DM] = "DIRECT_MESSAGE_CREATE",
	};

	return w->button.n > 0 ? "INTERACTION_CREATE" : types[w->scope];
}

static struct json *
d_of(struct sim *s, const struct words *w, int64_t now_us)
{
	static void (*const put[SCOPES])(struct sim *, const struct words *,
	    struct json *) = {
		[SCOPE_C2C] = put_c2c, [SCOPE_GROUP] = put_group,
		[SCOPE_CHANNEL] = put_guild, [SCOPE_DM] = put_guild,
	};
	struct json *d = json_new_object();
	char         id[64], at[32];

	platform_id(&s->platform, id, sizeof id,
	    w->button.n > 0 ? "interaction-" : "ROBOT1.0_");
	platform_timestamp(&s->platform, now_us, at);
	json_put_text(d, "id", or_default(w->id, id));
	json_put_text(d, "timestamp", slice_of(at));
	if (w->button.n > 0)
		put_click(w, d);
	else
		put[w->scope](s, w, d);
	return d;
}

static void
tell_chat(struct sim *s, const struct words *w, const struct event *e,
    int64_t now_us)
{
	struct json *j = json_new_object();

	json_put_text(j, "type", SLICE("chat"));
	json_put_int(j, "at_ms", sim_wall_ms(s, now_us));
	json_put_text(j, "bot", slice_of(w->bot->app_id));
	json_put_text(j, "conversation",
	    slice_of(strchr(e->conversation->key, '/') + 1));
	json_put_text(j, "who", SLICE("user"));
	json_put_text(j, "id", slice_of(e->msg[0] != '\0' ? e->msg
	                                                  : e->interaction));
	json_put_text(j, "text", w->button.n > 0 ? w->button : w->text);
	json_put_text(j, "name", or_default(w->name, "tester"));
	stream_put_chat(&s->stream, j);
}

enum err
inject_words(struct sim *s, const struct words *w, int64_t now_us,
    struct event_told *told)
{
	struct event_ask a = { .bot = w->bot, .expect = w->expect,
		.type = slice_of(type_of(w)) };
	enum err e;

	a.kind = kind_of(a.type);
	a.d = d_of(s, w, now_us);
	e = a.d != NULL ? platform_event(&s->platform, &a, now_us, told)
	                : ERR_NOMEM;
	json_free(&a.d);
	if (e != ERR_OK)
		return e;
	told->event->load = w->load;
	if (w->load == 0)
		tell_chat(s, w, told->event, now_us);
	return ERR_OK;
}
