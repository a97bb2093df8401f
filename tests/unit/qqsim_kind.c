// links: qqsim/kind.c common
/*
 * Kinds of event: whom they concern, what right they need, which shard.
 */
#include "test.h"

#include "kind.h"

TEST(targets)
{
	static const struct {
		const char *type, *d, *id;
		enum scope  scope;
	} rows[] = {
		{ "C2C_MESSAGE_CREATE",
		    "{\"author\":{\"user_openid\":\"U\"}}", "U", SCOPE_C2C },
		{ "C2C_MESSAGE_CREATE", "{\"author\":7}", "", SCOPE_OTHER },
		{ "C2C_MESSAGE_CREATE", "{}", "", SCOPE_OTHER },
		{ "GROUP_AT_MESSAGE_CREATE", "{\"group_openid\":\"G\"}", "G",
		    SCOPE_GROUP },
		{ "AT_MESSAGE_CREATE", "{\"channel_id\":5}", "5",
		    SCOPE_CHANNEL },
		{ "DIRECT_MESSAGE_CREATE", "{\"guild_id\":\"9\"}", "9",
		    SCOPE_DM },
		{ "FRIEND_ADD", "{\"openid\":\"U\"}", "U", SCOPE_C2C },
		{ "INTERACTION_CREATE", "{\"user_openid\":\"U\"}", "U",
		    SCOPE_C2C },
		{ "INTERACTION_CREATE",
		    "{\"user_openid\":\"U\",\"group_openid\":\"G\"}", "G",
		    SCOPE_GROUP },
		{ "INTERACTION_CREATE", "{\"channel_id\":\"C\"}", "C",
		    SCOPE_CHANNEL },
		{ "GUILD_MEMBER_ADD", "{\"guild_id\":\"N\"}", "N",
		    SCOPE_OTHER },
		{ "SOME_FUTURE_EVENT", "{\"group_openid\":\"G\"}", "G",
		    SCOPE_GROUP },
		{ "SOME_FUTURE_EVENT", "null", "", SCOPE_OTHER },
		{ "", "[]", "", SCOPE_OTHER },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct kind *k = kind_of(slice_of(rows[i].type));
		struct json       *d = NULL;
		struct slice       id;

		EXPECT_INT(json_parse(&d, slice_of(rows[i].d)), ERR_OK);
		EXPECT_INT(kind_target(k, d, &id), rows[i].scope);
		EXPECT_SLICE(id, rows[i].id);
		json_free(&d);
	}
}

TEST(rights)
{
	EXPECT_INT(kind_of(SLICE("C2C_MESSAGE_CREATE"))->intent, 1 << 25);
	EXPECT_INT(kind_of(SLICE("AT_MESSAGE_CREATE"))->intent, 1 << 30);
	EXPECT_INT(kind_of(SLICE("NEW_THING"))->intent, 0);
	EXPECT(kind_of(SLICE("NEW_THING")) == &kind_unknown);
	/* What is granted exists; private rights are not granted. */
	EXPECT_INT(KIND_GRANTED & ~kind_intents_known(), 0);
	EXPECT_INT(KIND_GRANTED & (1u << 9 | 1u << 28), 0);
	EXPECT_INT(kind_intents_known() & (1u << 2 | 1u << 31), 0);
}

TEST(shards)
{
	static const struct {
		const char *d;
		enum scope  scope;
		unsigned    count, shard;
	} rows[] = {
		{ "{\"guild_id\":\"4700000000000000001\"}", SCOPE_CHANNEL, 1,
		    0 },
		{ "{\"guild_id\":\"12582912\"}", SCOPE_CHANNEL, 2, 1 },
		{ "{\"guild_id\":12582912}", SCOPE_CHANNEL, 4, 3 },
		{ "{\"guild_id\":\"12582912\"}", SCOPE_C2C, 2, 0 },
		{ "{\"guild_id\":\"x\"}", SCOPE_DM, 2, 0 },
		{ "{}", SCOPE_OTHER, 2, 0 },
		{ "{\"id\":\"12582912\"}", SCOPE_OTHER, 2, 1 },
		{ "{\"message\":{\"guild_id\":\"12582912\"}}",
		    SCOPE_CHANNEL, 2, 1 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json *d = NULL;

		EXPECT_INT(json_parse(&d, slice_of(rows[i].d)), ERR_OK);
		EXPECT_INT(kind_shard(d, rows[i].scope, rows[i].count),
		    rows[i].shard);
		json_free(&d);
	}
}

TEST(scopes)
{
	for (unsigned i = 0; i < SCOPES; i++) {
		enum scope back;

		EXPECT(scope_of(slice_of(scope_name((enum scope)i)), &back));
		EXPECT_INT(back, i);
		for (unsigned k = i + 1; k < SCOPES; k++)
			EXPECT(scope_letter((enum scope)i) !=
			    scope_letter((enum scope)k));
	}
}

int
main(void)
{
	RUN(targets);
	RUN(rights);
	RUN(shards);
	RUN(scopes);
	return test_done();
}
