/*
 * Lookups in the table of events.
 */
#include "kind.h"


static const struct kind kinds[] = {
#define EVENT(type, bit, where, reply) \
	{ #type, 1u << (bit), where, REPLY_##reply },
#include "events.def"
#undef EVENT
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

const struct kind kind_unknown = { "", 0,
	"g=group_openid u=author.user_openid u=openid u=user_openid "
	"c=channel_id n=guild_id", REPLY_EVENT };

static const struct {
	const char *name;
	char        letter;
} scopes[SCOPES] = {
	[SCOPE_C2C] = { "c2c", 'u' },
	[SCOPE_GROUP] = { "group", 'g' },
	[SCOPE_CHANNEL] = { "channel", 'c' },
	[SCOPE_DM] = { "dm", 'd' },
	[SCOPE_OTHER] = { "other", 'x' },
};

const struct kind *
kind_of(struct slice type)
{
	for (size_t i = 0; i < KINDS; i++)
		if (slice_is(type, kinds[i].type))
			return &kinds[i];
	return &kind_unknown;
}

const struct kind *
kind_at(size_t i)
{
	return i < KINDS ? &kinds[i] : NULL;
}

uint32_t
kind_intents_known(void)
{
	uint32_t known = 0;

	for (size_t i = 0; i < KINDS; i++)
		known |= kinds[i].intent;
	return known;
}

static enum scope
scope_of_letter(char letter)
{
	for (unsigned i = 0; i < SCOPES; i++)
		if (scopes[i].letter == letter)
			return (enum scope)i;
	return SCOPE_OTHER;
}

enum scope
kind_target(const struct kind *k, const struct json *d, struct slice *id)
{
	const char *p = k->where;

	while (*p != '\0') {
		char   path[32];
		size_t n = strcspn(p, " ");

		memcpy(path, p + 2, n - 2);
		path[n - 2] = '\0';
		*id = json_text_at(d, path);
		if (id->n > 0)
			return scope_of_letter(p[0]);
		p += n;
		p += *p == ' ';
	}
	*id = SLICE("");
	return SCOPE_OTHER;
}

unsigned
kind_shard(const struct json *d, enum scope scope, unsigned count)
{
	/* Of a guild itself only its id tells. */
	static const char *const where[] = { "guild_id", "message.guild_id",
		"id" };
	int64_t guild;

	if (count < 2 || scope == SCOPE_C2C || scope == SCOPE_GROUP)
		return 0;
	for (size_t i = 0; i < sizeof where / sizeof where[0]; i++)
		if (json_int_at(d, where[i], &guild))
			return (unsigned)(((uint64_t)guild >> 22) % count);
	return 0;
}

const char *
scope_name(enum scope s)
{
	return scopes[s].name;
}

bool
scope_of(struct slice name, enum scope *out)
{
	for (unsigned i = 0; i < SCOPES; i++)
		if (slice_is(name, scopes[i].name)) {
			*out = (enum scope)i;
			return true;
		}
	return false;
}

char
scope_letter(enum scope s)
{
	return scopes[s].letter;
}
