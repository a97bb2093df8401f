/*
 * Events from a few words: what a person does, in the form the platform
 * gives it.
 */
#include "sim.h"

#include <stdio.h>

static const char default_user[] = "0A1B2C3D4E5F60718293A4B5C6D7E8F1";
static const char default_person[] = "1440000000000000001";
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

/* What a member may do in a group, and the role that this is in a guild. */
static void
put_role(const struct words *w, struct sample_words *out)
{
	static const char *const roles[][2] = {
		{ "member", "1" }, { "admin", "2" }, { "owner", "4" } };

	out->grouprole = or_default(w->role, "member");
	out->role = SLICE("1");
	for (size_t i = 0; i < 3; i++)
		if (slice_is(w->role, roles[i][0]))
			out->role = slice_of(roles[i][1]);
}

static struct slice
type_of(const struct words *w)
{
	static const char *const types[SCOPES] = {
		[SCOPE_C2C] = "C2C_MESSAGE_CREATE",
		[SCOPE_GROUP] = "GROUP_AT_MESSAGE_CREATE",
		[SCOPE_CHANNEL] = "AT_MESSAGE_CREATE",
		[SCOPE_DM] = "DIRECT_MESSAGE_CREATE",
		[SCOPE_OTHER] = "C2C_MESSAGE_CREATE",
	};

	if (w->type.n > 0)
		return w->type;
	return slice_of(w->button.n > 0 ? "INTERACTION_CREATE"
	                                : types[w->scope]);
}

/* A click in a direct conversation is one in a channel of its guild. */
static enum scope
scope_of_sample(enum scope s, struct slice type)
{
	return s == SCOPE_DM && slice_is(type, "INTERACTION_CREATE")
	    ? SCOPE_CHANNEL : s;
}

struct json *
inject_sample(struct sim *s, const struct words *w, int64_t now_us)
{
	struct slice type = type_of(w);
	char         serial[64], id[96], at[32];
	struct sample_words words = {
		.app = slice_of(w->bot->app_id),
		.bot = slice_of(w->bot->user_id),
		.botname = slice_of(w->bot->name),
		.user = or_default(w->user, default_user),
		.person = or_default(w->user, default_person),
		.group = or_default(w->group, default_group),
		.channel = or_default(w->channel, default_channel),
		.guild = or_default(w->guild, default_guild),
		.dm = or_default(w->guild, default_dm),
		.name = or_default(w->name, "tester"),
		.text = w->text, .button = w->button,
		.message = or_default(w->message, "ROBOT1.0_unknown"),
		.emoji = or_default(w->emoji, "4"),
		.emojitype = w->emoji_type > 0 ? w->emoji_type : 1,
		.seconds = sim_wall_ms(s, now_us) / 1000, .odd = w->odd };
	struct json *d;

	platform_id(&s->platform, serial, sizeof serial, "");
	snprintf(id, sizeof id, "%s%s", slice_is(type, "INTERACTION_CREATE")
	    ? "interaction-" : "ROBOT1.0_", serial);
	platform_timestamp(&s->platform, now_us, at);
	words.id = or_default(w->id, id);
	words.serial = slice_of(serial);
	words.time = slice_of(at);
	put_role(w, &words);
	d = sample_make(&s->samples, type, scope_of_sample(w->scope, type),
	    &words);
	if (d != NULL)
		sample_over(d, w->with);
	return d;
}

enum err
inject_event(struct sim *s, const struct event_ask *a, const struct words *w,
    int64_t now_us, struct event_told *told)
{
	enum err e = platform_event(&s->platform, a, now_us, told);

	if (e != ERR_OK)
		return e;
	told->event->load = w != NULL ? w->load : 0;
	if (told->event->load == 0)
		show_event(s, a, told->event, w);
	return ERR_OK;
}

enum err
inject_words(struct sim *s, const struct words *w, int64_t now_us,
    struct event_told *told)
{
	struct event_ask a = { .bot = w->bot, .expect = w->expect,
		.type = type_of(w), .id = w->event };
	enum err e;

	a.kind = kind_of(a.type);
	if (a.kind == &kind_unknown)
		return ERR_NOT_FOUND;
	a.d = inject_sample(s, w, now_us);
	e = a.d != NULL ? inject_event(s, &a, w, now_us, told) : ERR_NOMEM;
	json_free(&a.d);
	return e;
}
