// links: apid/sent.c apid/peers.c apid/table.c common
/*
 * The memories: what was sent, and who was heard.
 */
#include "test.h"

#include "peers.h"
#include "sent.h"

static struct slice
key(char *to, size_t i)
{
	return (struct slice){ to, (size_t)sprintf(to, "key %zu", i) };
}

TEST(first_outcome_stays)
{
	static struct sent  s;
	struct sent_outcome a = { .status = 200, .data = SLICE("one"),
		.trace = SLICE("t") };
	struct sent_outcome b = { .status = 500, .data = SLICE("two") }, got;

	EXPECT(!sent_find(&s, SLICE("k"), &got));
	EXPECT_INT(sent_put(&s, SLICE("k"), &a), ERR_OK);
	EXPECT_INT(sent_put(&s, SLICE("k"), &b), ERR_DUPLICATE);
	EXPECT(sent_find(&s, SLICE("k"), &got));
	EXPECT_SLICE(got.data, "one");
	EXPECT_SLICE(got.trace, "t");
	EXPECT_INT(got.status, 200);
	EXPECT(!sent_find(&s, SLICE("kk"), &got));
	sent_close(&s);
	EXPECT_INT(s.n, 0);
	EXPECT_INT(s.bytes, 0);
}

TEST(the_oldest_goes)
{
	static struct sent  s;
	struct sent_outcome o = { .data = SLICE("x") }, got;
	char                k[32];

	for (size_t i = 0; i < SENT_MAX + 10; i++)
		EXPECT_INT(sent_put(&s, key(k, i), &o), ERR_OK);
	EXPECT_INT(s.n, SENT_MAX);
	EXPECT(!sent_find(&s, key(k, 9), &got));
	EXPECT(sent_find(&s, key(k, 10), &got));
	EXPECT(sent_find(&s, key(k, SENT_MAX + 9), &got));
	sent_close(&s);
}

TEST(bytes_are_bounded)
{
	static struct sent  s;
	static char         big[1 << 20];
	struct sent_outcome o = { .data = { big, sizeof big } };
	char                k[32];

	for (size_t i = 0; i < 40; i++)
		EXPECT_INT(sent_put(&s, key(k, i), &o), ERR_OK);
	EXPECT(s.bytes <= SENT_BYTES_MAX);
	EXPECT(s.n >= 15 && s.n < 17);
	sent_close(&s);
}

TEST(newcomers_and_the_silent)
{
	static struct peers p;
	char                k[32];

	EXPECT(peers_heard(&p, SLICE("a"), 0));
	EXPECT(!peers_heard(&p, SLICE("a"), 5000));
	EXPECT(peers_heard(&p, SLICE("b"), 5000));
	EXPECT(!peers_heard(&p, SLICE("a"), 14000));
	EXPECT(peers_heard(&p, SLICE("b"), 15000)); /* silent for 10 s */
	for (size_t i = 0; i < 3 * PEERS_MAX; i++)
		EXPECT(peers_heard(&p, key(k, i), 15000));
	EXPECT(p.table.n <= PEERS_MAX + 1);
	EXPECT(!peers_heard(&p, key(k, 3 * PEERS_MAX - 1), 15000));
	EXPECT(peers_heard(&p, key(k, 0), 15000));
	peers_close(&p);
	EXPECT_INT(p.table.n, 0);
}

int
main(void)
{
	RUN(first_outcome_stays);
	RUN(the_oldest_goes);
	RUN(bytes_are_bounded);
	RUN(newcomers_and_the_silent);
	return test_done();
}
