// links: qqsim/token.c common
// libs: libcrypto
/*
 * The platform's refresh rule, second by second.
 */
#include "test.h"

#include "token.h"

static struct tokens
two_hours(void)
{
	return (struct tokens){ .life_ms = 7200000 };
}

static const char *
ask(struct tokens *t, int64_t now_ms, uint64_t *left_s, bool *made)
{
	const char *text = "";

	EXPECT_INT(tokens_ask(t, now_ms, &text, left_s, made), ERR_OK);
	return text;
}

TEST(same_until_the_last_minute)
{
	static const struct {
		int64_t  at_ms;
		uint64_t left_s;
		bool     made;
	} rows[] = {
		{ 0, 7200, true },
		{ 1000, 7199, false },
		{ 7139000, 61, false },
		{ 7139999, 60, false },
		{ 7140000, 7200, true },
		{ 7141000, 7199, false },
	};
	struct tokens t = two_hours();

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t left_s;
		bool     made;

		ask(&t, rows[i].at_ms, &left_s, &made);
		EXPECT_INT(left_s, rows[i].left_s);
		EXPECT_INT(made, rows[i].made);
	}
}

TEST(both_valid_in_the_overlap)
{
	struct tokens t = two_hours();
	char          first[64];
	uint64_t      left_s;
	bool          made;
	const char   *second;

	snprintf(first, sizeof first, "%s", ask(&t, 0, &left_s, &made));
	second = ask(&t, 7150000, &left_s, &made);
	EXPECT(strcmp(first, second) != 0);
	EXPECT_INT(tokens_check(&t, slice_of(first), 7199999), TOKEN_VALID);
	EXPECT_INT(tokens_check(&t, slice_of(second), 7199999), TOKEN_VALID);
	EXPECT_INT(tokens_check(&t, slice_of(first), 7200000), TOKEN_EXPIRED);
	EXPECT_INT(tokens_check(&t, slice_of(second), 7200000), TOKEN_VALID);
}

TEST(wrong_and_none)
{
	struct tokens t = two_hours();
	uint64_t      left_s;
	bool          made;

	EXPECT_INT(tokens_check(&t, SLICE(""), 0), TOKEN_WRONG);
	EXPECT_INT(tokens_check(&t, SLICE("x"), 0), TOKEN_WRONG);
	ask(&t, 0, &left_s, &made);
	EXPECT_INT(tokens_check(&t, SLICE(""), 0), TOKEN_WRONG);
	EXPECT_INT(tokens_check(&t, SLICE("x"), 0), TOKEN_WRONG);
}

TEST(revoked)
{
	struct tokens t = two_hours();
	char          first[64];
	uint64_t      left_s;
	bool          made;

	snprintf(first, sizeof first, "%s", ask(&t, 0, &left_s, &made));
	tokens_revoke(&t, 5000);
	EXPECT_INT(tokens_check(&t, slice_of(first), 5000), TOKEN_EXPIRED);
	ask(&t, 5000, &left_s, &made);
	EXPECT(made);
	EXPECT_INT(left_s, 7200);
}

/* A life shorter than the overlap must still end, and must not give a new
 * token at every request. */
TEST(short_life)
{
	struct tokens t = { .life_ms = 2000 };
	uint64_t      left_s;
	bool          made;

	ask(&t, 0, &left_s, &made);
	ask(&t, 500, &left_s, &made);
	EXPECT(!made);
	ask(&t, 1000, &left_s, &made);
	EXPECT(made);
	EXPECT_INT(left_s, 2);
}

TEST(random_text)
{
	char a[49], b[49];

	EXPECT_INT(token_random(a, 48), ERR_OK);
	EXPECT_INT(token_random(b, 48), ERR_OK);
	EXPECT_INT(strlen(a), 48);
	EXPECT(strcmp(a, b) != 0);
}

int
main(void)
{
	RUN(same_until_the_last_minute);
	RUN(both_valid_in_the_overlap);
	RUN(wrong_and_none);
	RUN(revoked);
	RUN(short_life);
	RUN(random_text);
	return test_done();
}
