/*
 * The world's objects: a list per kind, and one map from kind, parent and id.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORLD_KEY_MAX = 400 };

const struct world_kind_info world_kinds[WORLD_KINDS] = {
#define ALONE false
#define WITHIN true
#define KIND(name, parent, key, most, code, meaning)                         \
	{ #name, WORLD_##parent, key, most, code },
#include "worlds.def"
#undef KIND
#undef ALONE
#undef WITHIN
};

bool
world_kind_of(struct slice name, enum world_kind *kind)
{
	for (unsigned i = WORLD_none + 1; i < WORLD_KINDS; i++)
		if (slice_is(name, world_kinds[i].name)) {
			*kind = (enum world_kind)i;
			return true;
		}
	return false;
}

/* "KIND/PARENT/ID"; empty when it is too long, which is found nowhere. */
static struct slice
key_of(char out[WORLD_KEY_MAX], enum world_kind kind, struct slice parent,
    struct slice id)
{
	int n;

	if (!world_kinds[kind].within)
		parent.n = 0;
	n = snprintf(out, WORLD_KEY_MAX, "%u/%.*s/%.*s", (unsigned)kind,
	    (int)parent.n, parent.n > 0 ? parent.p : "", (int)id.n,
	    id.n > 0 ? id.p : "");
	return n < 0 || n >= WORLD_KEY_MAX
	    ? SLICE("") : (struct slice){ out, (size_t)n };
}

struct world_row *
world_get(const struct world *w, enum world_kind kind, struct slice parent,
    struct slice id)
{
	char key[WORLD_KEY_MAX];

	return map_get(&w->rows, key_of(key, kind, parent, id));
}

struct json *
world_object(const struct world *w, enum world_kind kind,
    struct slice parent, struct slice id)
{
	struct world_row *r = world_get(w, kind, parent, id);

	return r != NULL ? r->object : NULL;
}

static void
row_free(struct world *w, struct world_row *r)
{
	struct world_row **at = &w->first[r->kind];

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	w->n[r->kind]--;
	map_take(&w->rows, slice_of(r->key));
	json_free(&r->object);
	free(r->key);
	free(r);
}

/* The block holds the key, then parent and id, each with its NUL. */
static struct world_row *
row_new(enum world_kind kind, struct slice key, struct slice parent,
    struct slice id)
{
	struct world_row *r = calloc(1, sizeof *r);
	char             *p;

	if (r == NULL)
		return NULL;
	if ((p = calloc(1, key.n + parent.n + id.n + 3)) == NULL) {
		free(r);
		return NULL;
	}
	r->kind = kind;
	r->key = p;
	memcpy(p, key.p, key.n);
	p += key.n + 1;
	if (parent.n > 0)
		memcpy(p, parent.p, parent.n);
	r->parent = (struct slice){ p, parent.n };
	p += parent.n + 1;
	if (id.n > 0)
		memcpy(p, id.p, id.n);
	r->id = (struct slice){ p, id.n };
	return r;
}

enum err
world_put_take(struct world *w, enum world_kind kind, struct slice parent,
    struct slice id, struct json *object)
{
	char              text[WORLD_KEY_MAX];
	struct slice      key = key_of(text, kind, parent, id);
	struct world_row *r = map_get(&w->rows, key), **at;

	if (r != NULL && object != NULL) {
		json_free(&r->object);
		r->object = object;
		return ERR_OK;
	}
	if (object == NULL || key.n == 0 ||
	    (r = row_new(kind, key, parent, id)) == NULL) {
		json_free(&object);
		return ERR_NOMEM;
	}
	if (map_put(&w->rows, slice_of(r->key), r) != ERR_OK) {
		free(r->key);
		free(r);
		json_free(&object);
		return ERR_NOMEM;
	}
	r->object = object;
	for (at = &w->first[kind]; *at != NULL; at = &(*at)->next)
		;
	*at = r;
	if (++w->n[kind] > world_kinds[kind].most)
		row_free(w, w->first[kind]);
	return ERR_OK;
}

bool
world_drop(struct world *w, enum world_kind kind, struct slice parent,
    struct slice id)
{
	struct world_row *r = world_get(w, kind, parent, id), *child;

	if (r == NULL)
		return false;
	for (unsigned k = 0; k < WORLD_KINDS; k++)
		while (world_kinds[k].parent == kind && (child = world_next(w,
		    (enum world_kind)k, r->id, NULL)) != NULL)
			world_drop(w, (enum world_kind)k, child->parent,
			    child->id);
	row_free(w, r);
	return true;
}

struct world_row *
world_next(const struct world *w, enum world_kind kind, struct slice parent,
    const struct world_row *after)
{
	struct world_row *r = after != NULL ? after->next : w->first[kind];

	while (r != NULL && parent.n > 0 && !slice_eq(r->parent, parent))
		r = r->next;
	return r;
}

size_t
world_count(const struct world *w, enum world_kind kind, struct slice parent)
{
	size_t n = 0;

	for (const struct world_row *r = NULL;
	    (r = world_next(w, kind, parent, r)) != NULL;)
		n++;
	return n;
}

struct slice
world_id(struct world *w, char out[24])
{
	int n = snprintf(out, 24, "%llu",
	    9000000ull + (unsigned long long)++w->serial);

	return (struct slice){ out, (size_t)n };
}

static void
merge_member(void *self, const char *key, const struct json *value)
{
	if (value != NULL)
		json_put_ref(self, key, value);
}

void
world_merge(struct json *into, const struct json *from)
{
	json_each(from, merge_member, into);
}

void
world_close(struct world *w)
{
	for (unsigned k = 0; k < WORLD_KINDS; k++)
		while (w->first[k] != NULL)
			row_free(w, w->first[k]);
	map_free(&w->rows);
	*w = (struct world){ 0 };
}

/* --- what is there at first --------------------------------------------- */

static const struct {
	enum world_kind kind;
	const char     *parent, *id, *object;
} things[] = {
#define THING(kind, parent, id, object) { WORLD_##kind, parent, id, object },
#include "things.def"
#undef THING
};
enum { THINGS = sizeof things / sizeof things[0] };

static enum err
put_text(struct world *w, enum world_kind kind, struct slice parent,
    struct slice id, const char *text)
{
	struct json *object = NULL;
	enum err     e = json_parse(&object, slice_of(text));

	return e != ERR_OK ? e : world_put_take(w, kind, parent, id, object);
}

/* The bot is a member wherever it is. */
static enum err
put_bot(struct world *w, struct slice user, struct slice name)
{
	struct json *j, *who;
	enum err     e = ERR_OK;

	for (struct world_row *r = NULL; e == ERR_OK &&
	    (r = world_next(w, WORLD_guild, SLICE(""), r)) != NULL;) {
		j = json_new_object();
		who = json_new_object();
		json_put_text(who, "id", user);
		json_put_text(who, "username", name);
		json_put_text(who, "avatar", SLICE(""));
		json_put_bool(who, "bot", true);
		json_put_take(j, "user", who);
		json_put_text(j, "nick", name);
		who = json_new_array();
		json_push_text(who, SLICE("2"));
		json_put_take(j, "roles", who);
		json_put_text(j, "joined_at",
		    SLICE("2026-01-02T10:00:00+08:00"));
		e = world_put_take(w, WORLD_member, r->id, user, j);
	}
	for (struct world_row *r = NULL; e == ERR_OK &&
	    (r = world_next(w, WORLD_group, SLICE(""), r)) != NULL;) {
		j = json_new_object();
		json_put_text(j, "member_openid", user);
		json_put_text(j, "joined_at",
		    SLICE("2026-01-02T10:00:00+08:00"));
		json_put_bool(j, "allow_proactive_msg", true);
		json_put_text(j, "recv_msg_setting", SLICE("only_mention"));
		json_put_text(j, "member_role", SLICE("admin"));
		e = world_put_take(w, WORLD_bot_state, SLICE(""), r->id, j);
	}
	return e;
}

enum err
world_defaults(struct world *w, struct slice bot_user, struct slice bot_name)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < THINGS && e == ERR_OK; i++)
		e = put_text(w, things[i].kind, slice_of(things[i].parent),
		    slice_of(things[i].id), things[i].object);
	return e == ERR_OK ? put_bot(w, bot_user, bot_name) : e;
}
