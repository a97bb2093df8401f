// links: gatewayd/rights.c common
/*
 * rights: against a platform that allows some intents and says no more than
 * yes or no.
 */
#include "test.h"

#include <stdlib.h>

#include "conf.h"
#include "rights.h"

enum { WALL = 1000000 };

/* Identifies until a session stays; how often.  0: parked. */
static unsigned
settle(struct rights *r, uint32_t allowed)
{
	for (unsigned n = 1; n < 100; n++) {
		uint32_t mask = rights_mask(r);

		EXPECT((mask & ~r->wanted) == 0);
		if (mask == 0 || (mask & ~allowed) != 0) {
			if (!rights_refused(r, mask, false))
				return 0;
		} else if (!rights_taken(r, mask, false))
			return n;
	}
	EXPECT(!"it ends");
	return 0;
}

static uint32_t
mask_of(const char *text)
{
	uint32_t mask = 0;

	EXPECT(conf_intents(text, &mask, NULL));
	return mask;
}

TEST(what_is_refused_is_found)
{
	static const struct {
		const char *wanted, *refused;
		unsigned    most;       /* Identifies it may take */
	} rows[] = {
		{ "public", "", 1 },
		{ "GUILDS", "", 1 },
		{ "public,GUILD_MESSAGES", "GUILD_MESSAGES", 4 },
		{ "public,GUILD_MESSAGES,FORUMS_EVENT",
		  "GUILD_MESSAGES,FORUMS_EVENT", 6 },
		{ "public", "MESSAGE_AUDIT", 7 },
		{ "public", "INTERACTION,DIRECT_MESSAGE", 10 },
		{ "GUILDS,INTERACTION", "INTERACTION", 2 },
		{ "GROUP_AND_C2C_EVENT,GUILDS", "GUILDS", 3 },
		{ "GROUP_AND_C2C_EVENT,GUILDS", "GROUP_AND_C2C_EVENT", 3 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct rights r = { .wanted = mask_of(rows[i].wanted) };
		uint32_t refused = rows[i].refused[0] == '\0' ? 0
		    : mask_of(rows[i].refused);
		unsigned n = settle(&r, ~refused);

		if (n == 0 || n > rows[i].most)
			printf("# %s without %s: %u\n", rows[i].wanted,
			    rows[i].refused, n);
		EXPECT(n > 0 && n <= rows[i].most);
		EXPECT_INT(r.dropped, refused);
		EXPECT_INT(rights_mask(&r), r.wanted & ~refused);
		EXPECT(r.news == (refused != 0));
		EXPECT_INT(settle(&r, ~refused), 1);
	}
}

/* Any rights: never more is kept than is allowed, never more tries than there
 * may be, and where the tries suffice nothing is missed. */
TEST(whatever_is_allowed)
{
	unsigned seed = 7, exact = 0, all = 3000;

	for (unsigned i = 0; i < all; i++) {
		struct rights r = { .wanted = mask_of("public") };
		uint32_t      allowed = (uint32_t)rand_r(&seed) |
		    (uint32_t)rand_r(&seed) << 1;
		unsigned      n = settle(&r, allowed);

		EXPECT(n <= RIGHTS_TRIALS + 2);
		EXPECT(n > 0 || (r.hopeless && r.dropped == 0));
		if (n > 0)
			EXPECT((rights_mask(&r) & ~allowed) == 0);
		exact += n > 0 &&
		    rights_mask(&r) == (r.wanted & allowed);
	}
	EXPECT(exact > all / 10);
}

TEST(when_all_is_refused_a_person_must_act)
{
	struct rights r = { .wanted = mask_of("public") };

	EXPECT_INT(settle(&r, 0), 0);
	EXPECT(r.hopeless);
	/* later one try is enough to see that nothing has changed */
	EXPECT_INT(rights_mask(&r), r.wanted);
	EXPECT(!rights_refused(&r, r.wanted, false));
	EXPECT_INT(rights_mask(&r), r.wanted);
	EXPECT_INT(settle(&r, ~0u), 1);
	EXPECT(!r.hopeless);
	r = (struct rights){ .wanted = 3, .strict = true };
	EXPECT_INT(settle(&r, 1), 0);
	EXPECT_INT(rights_mask(&r), 3);
}

TEST(few_sessions_left_end_the_search)
{
	struct rights r = { .wanted = mask_of("public,GUILD_MESSAGES") };

	EXPECT(rights_refused(&r, r.wanted, false));
	EXPECT(rights_searching(&r));
	EXPECT(!rights_taken(&r, rights_mask(&r), true));
	EXPECT(!rights_searching(&r));
	EXPECT_INT(rights_mask(&r), r.granted);
	EXPECT(r.dropped & mask_of("GUILD_MESSAGES"));
}

TEST(what_is_remembered_is_asked_again_after_a_day)
{
	uint32_t      refused = mask_of("MESSAGE_AUDIT,AUDIO_ACTION");
	int64_t       day = (int64_t)RIGHTS_AGAIN_S * 1000;
	struct rights r = { .wanted = mask_of("public") };

	rights_recall(&r, refused | mask_of("FORUMS_EVENT"), WALL);
	EXPECT_INT(r.dropped, refused); /* the other is not wanted now */
	EXPECT_INT(settle(&r, ~refused), 1);
	EXPECT(!rights_retry(&r, WALL + day - 1, false));
	EXPECT(rights_retry(&r, WALL + day, false));
	EXPECT_INT(rights_mask(&r), r.wanted);
	/* it knows whom to suspect */
	EXPECT(settle(&r, ~refused) <= 5);
	EXPECT_INT(r.dropped, refused);
	EXPECT(rights_retry(&r, WALL, true));
	EXPECT_INT(settle(&r, ~0u), 1);
	EXPECT_INT(r.dropped, 0);
	EXPECT(!rights_retry(&r, WALL, true));
	/* nothing else is wanted now */
	r = (struct rights){ .wanted = refused };
	rights_recall(&r, refused, WALL);
	EXPECT_INT(rights_mask(&r), refused);
}

TEST(a_right_may_be_withdrawn)
{
	struct rights r = { .wanted = mask_of("public") };

	EXPECT_INT(settle(&r, ~0u), 1);
	EXPECT(settle(&r, ~mask_of("INTERACTION")) > 1);
	EXPECT_INT(r.dropped, mask_of("INTERACTION"));
}

TEST(names_of_a_mask)
{
	struct buf b = { 0 };

	rights_names(mask_of("GUILDS,INTERACTION") | 1u << 31, &b);
	EXPECT_SLICE(buf_slice(&b), "GUILDS, INTERACTION, 2147483648");
	buf_free(&b);
}

int
main(void)
{
	RUN(what_is_refused_is_found);
	RUN(whatever_is_allowed);
	RUN(when_all_is_refused_a_person_must_act);
	RUN(few_sessions_left_end_the_search);
	RUN(what_is_remembered_is_asked_again_after_a_day);
	RUN(a_right_may_be_withdrawn);
	RUN(names_of_a_mask);
	return test_done();
}
