// links: apid/pace.c apid/allowance.c apid/limit.c apid/reply.c apid/left.c apid/left.c apid/sent.c apid/table.c common
/*
 * What calls count against, the allowances of a day and who refuses, over
 * restarts; and what a refusal means for the calls after it.
 */
#include "test.h"

#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "pace.h"

enum { DAY = 20000 };
#define WALL ((int64_t)DAY * 86400000 - 8 * 3600000 + 5)

static struct pace p;
static struct sent sent;
static char        dir[] = "/tmp/rk-pace-XXXXXX";

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void
begin_run(void)
{
	struct sent_guest g;

	memset(&p, 0, sizeof p);
	p.limits.percent = 100;
	allowances_open(&p.allowances);
	g = allowances_guest(&p.allowances);
	EXPECT_INT(sent_open(&sent, dir, STORE_PROCESS, 1000), ERR_OK);
	EXPECT_INT(sent_join(&sent, &g), ERR_OK);
}

static void
end_run(void)
{
	limits_close(&p.limits);
	sent_close(&sent);
	allowances_close(&p.allowances);
}

static void
setup(void)
{
	log_open("test", LOG_ERROR, false);
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	EXPECT(mkdtemp(dir) != NULL);
	begin_run();
}

static void
teardown(void)
{
	end_run();
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct pace_call
call(enum pace_scope scope, const char *conv, bool active)
{
	struct pace_call c = { .bot = SLICE("7"), .conv = slice_of(conv),
		.scope = scope, .active = active,
		.row = scope == PACE_CHANNEL ? LIMIT_channel_send
		    : scope == PACE_DM       ? LIMIT_guild
		                             : LIMIT_c2c_group_send };

	pace_prepare(&c);
	return c;
}

static enum result
check(struct pace_call c, int64_t day)
{
	char why[256] = "";
	enum result r = pace_check(&p, &c, day, why, sizeof why);

	EXPECT((r == RESULT_OK) == (why[0] == '\0'));
	return r;
}

static void
refused(struct pace_call c, unsigned status, uint64_t code)
{
	struct reply r = { .status = status, .code = code,
		.result = status == 429 ? RESULT_RATE_LIMITED : RESULT_QUOTA };

	pace_refused(&p, &c, &r, 1000, 10, DAY);
}

static bool
goes(struct pace_call c, uint64_t now)
{
	bool ok = limit_ask(&p.limits, &c.waiter, now);

	limit_leave(&p.limits, &c.waiter);
	return ok;
}

TEST(days_are_those_of_beijing)
{
	EXPECT_INT(allowance_day(0), 0);
	EXPECT_INT(allowance_day(16 * 3600000 - 1), 0);
	EXPECT_INT(allowance_day(16 * 3600000), 1);
	EXPECT_INT(allowance_day(WALL), DAY);
	EXPECT_INT(allowance_day(WALL - 10), DAY - 1);
}

static const struct {
	enum pace_scope scope;
	const char     *conv;
	unsigned        most;
} days[] = {
	{ PACE_C2C, "u:A", 1000 }, { PACE_GROUP, "g:A", 1000 },
	{ PACE_CHANNEL, "c:A", 20 }, { PACE_DM, "d:A", 2 },
};

TEST(a_days_allowance_of_each)
{
	for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
		unsigned n = 0;

		setup();
		for (; n < 2000; n++) {
			struct pace_call c = call(days[i].scope, days[i].conv,
			    true);

			if (check(c, DAY) != RESULT_OK)
				break;
			pace_count(&p, &c, DAY);
			if (n == 0) { /* one that was not sent after all */
				struct pace_call other = call(days[i].scope,
				    days[i].conv, true);

				pace_uncount(&p, &c);
				pace_count(&p, &other, DAY);
			}
		}
		EXPECT_INT(n, days[i].most);
		EXPECT_INT(check(call(days[i].scope, days[i].conv, true), DAY),
		    RESULT_QUOTA);
		EXPECT_INT(check(call(days[i].scope, days[i].conv, false),
		    DAY), RESULT_OK);
		EXPECT_INT(check(call(days[i].scope, "x:B", true), DAY),
		    RESULT_OK);
		/* Kept over a restart; gone the next day. */
		sent_commit(&sent, 1000);
		end_run();
		begin_run();
		EXPECT_INT(check(call(days[i].scope, days[i].conv, true), DAY),
		    RESULT_QUOTA);
		EXPECT_INT(check(call(days[i].scope, days[i].conv, true),
		    DAY + 1), RESULT_OK);
		teardown();
	}
}

TEST(two_hundred_direct_conversations)
{
	static char names[201][8];

	setup();
	for (int i = 0; i < 200; i++) {
		struct pace_call c;

		snprintf(names[i], sizeof names[i], "d:%d", i);
		c = call(PACE_DM, names[i], true);
		EXPECT_INT(check(c, DAY), RESULT_OK);
		pace_count(&p, &c, DAY);
	}
	EXPECT_INT(check(call(PACE_DM, "d:new", true), DAY), RESULT_QUOTA);
	teardown();
}

TEST(without_limits_only_what_the_platform_says)
{
	struct pace_call c;

	setup();
	p.limits.percent = 0;
	for (int i = 0; i < 5; i++) {
		c = call(PACE_DM, "d:A", true);
		EXPECT_INT(check(c, DAY), RESULT_OK);
		pace_count(&p, &c, DAY);
	}
	refused(call(PACE_DM, "d:A", true), 400, 304049);
	EXPECT_INT(check(call(PACE_DM, "d:A", true), DAY), RESULT_QUOTA);
	EXPECT_INT(check(call(PACE_DM, "d:B", true), DAY), RESULT_OK);
	refused(call(PACE_DM, "d:A", true), 400, 304050);
	EXPECT_INT(check(call(PACE_DM, "d:B", true), DAY), RESULT_QUOTA);
	EXPECT_INT(check(call(PACE_DM, "d:B", true), DAY + 1), RESULT_OK);
	teardown();
}

TEST(who_wants_no_messages)
{
	struct allowance_of of = { SLICE("7"), SLICE("u:A") };

	setup();
	allowance_refuse(&p.allowances, &of, DAY, REFUSING_TOLD_DAYS);
	EXPECT_INT(check(call(PACE_C2C, "u:A", true), DAY),
	    RESULT_MUTED_OR_GONE);
	EXPECT_INT(check(call(PACE_C2C, "u:A", false), DAY), RESULT_OK);
	EXPECT_INT(check(call(PACE_C2C, "u:B", true), DAY), RESULT_OK);
	sent_commit(&sent, 1000);
	end_run();
	begin_run();
	EXPECT_INT(check(call(PACE_C2C, "u:A", true), DAY + 29),
	    RESULT_MUTED_OR_GONE);
	EXPECT_INT(check(call(PACE_C2C, "u:A", true), DAY + 30), RESULT_OK);
	allowance_refuse(&p.allowances, &of, DAY, 0);
	sent_commit(&sent, 1000);
	end_run();
	begin_run();
	EXPECT_INT(check(call(PACE_C2C, "u:A", true), DAY), RESULT_OK);
	/* Met by a send: until tomorrow, since the word may have been lost. */
	refused(call(PACE_C2C, "u:A", true), 400, 40054013);
	EXPECT_INT(check(call(PACE_C2C, "u:A", true), DAY),
	    RESULT_MUTED_OR_GONE);
	EXPECT_INT(check(call(PACE_C2C, "u:A", true), DAY + 1), RESULT_OK);
	refused(call(PACE_GROUP, "g:A", false), 400, 40034105);
	EXPECT_INT(check(call(PACE_GROUP, "g:A", true), DAY), RESULT_OK);
	teardown();
}

/* One in each of four periods, the first two of which may lie in one day; and
 * only the platform knows when they began. */
TEST(calls_back_until_the_platform_refuses)
{
	struct pace_call c = call(PACE_C2C, "u:A", true), other = c;

	c.wakeup = true;
	other.wakeup = true;
	other.conv = SLICE("u:B");
	setup();
	for (int i = 0; i < 4; i++) {
		EXPECT_INT(check(c, DAY), RESULT_OK);
		pace_count(&p, &c, DAY);
		c.counted = false;
	}
	EXPECT_INT(check(c, DAY), RESULT_OK);
	refused(c, 400, 40034123);
	EXPECT_INT(check(c, DAY), RESULT_OK);
	refused(c, 400, 40034122);
	sent_commit(&sent, 1000);
	end_run();
	begin_run();
	EXPECT_INT(check(c, DAY), RESULT_QUOTA);
	EXPECT_INT(check(other, DAY), RESULT_OK);
	EXPECT_INT(check(call(PACE_C2C, "u:A", true), DAY), RESULT_OK);
	EXPECT_INT(check(c, DAY + 1), RESULT_OK);
	pace_heard(&p, &(struct pace_call){ .bot = SLICE("7"),
	    .conv = SLICE("u:A"), .scope = PACE_C2C }, DAY);
	EXPECT_INT(check(c, DAY), RESULT_OK);
	teardown();
}

static const struct {
	unsigned        status;
	uint64_t        code;
	enum pace_scope scope;
	bool            active;
	/* Who waits then: the same conversation, passive and active, and
	 * another one. */
	bool            same, same_active, other;
} pauses[] = {
	{ 429, 0, PACE_C2C, false, true, true, true },
	{ 429, 0, PACE_CHANNEL, false, true, true, false },
	{ 429, 22009, PACE_GROUP, false, true, true, true },
	{ 429, 12345, PACE_GROUP, true, true, true, true },
	{ 400, 20028, PACE_CHANNEL, false, true, true, false },
	{ 400, 1100308, PACE_CHANNEL, false, true, true, false },
	{ 400, 1100100, PACE_C2C, false, true, true, true },
	{ 400, 50002, PACE_C2C, false, true, true, false },
	{ 429, 40034100, PACE_GROUP, true, false, true, false },
	{ 400, 304003, PACE_C2C, false, false, false, false },
	{ 500, 0, PACE_C2C, false, false, false, false },
};

TEST(a_refusal_pauses_what_it_is_about)
{
	for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
		enum pace_scope s = pauses[i].scope;

		setup();
		refused(call(s, "x:A", pauses[i].active), pauses[i].status,
		    pauses[i].code);
		EXPECT_INT(!goes(call(s, "x:A", false), 11), pauses[i].same);
		EXPECT_INT(!goes(call(s, "x:A", true), 11),
		    pauses[i].same_active);
		EXPECT_INT(!goes(call(s, "x:B", false), 11), pauses[i].other);
		EXPECT(goes(call(s, "x:A", false), 1010));
		teardown();
	}
}

TEST(the_verified_may_more)
{
	int plain = 0, verified = 0;

	setup();
	for (int i = 0; i < 40; i++) {
		struct pace_call c = call(PACE_C2C, "u:A", true);

		c.waiter.target = SLICE("u:A");
		plain += goes(c, 10);
		c.bot = SLICE("8");
		c.verified = true;
		pace_prepare(&c);
		verified += goes(c, 10);
	}
	EXPECT_INT(plain, 5);
	EXPECT_INT(verified, 10);
	teardown();
}

/* Many more conversations than are remembered: bounded, in the file too. */
TEST(bounded)
{
	static char name[32];
	struct allowance_of of = { SLICE("7"), { NULL, 0 } };

	setup();
	for (int i = 0; i < 3 * ALLOWANCES_MAX; i++) {
		snprintf(name, sizeof name, "u:%d", i);
		of.conv = slice_of(name);
		allowance_take(&p.allowances, ALLOWANCE_user_day, &of,
		    DAY + i / ALLOWANCES_MAX);
		if (i % 1000 == 0)
			EXPECT_INT(sent_commit(&sent, 1000), ERR_OK);
	}
	EXPECT(p.allowances.n <= ALLOWANCES_MAX);
	EXPECT_INT(sent_commit(&sent, 1000), ERR_OK);
	end_run();
	begin_run();
	EXPECT(p.allowances.n <= ALLOWANCES_MAX && p.allowances.n > 1000);
	EXPECT_INT(allowance_left(&p.allowances, ALLOWANCE_user_day, &of,
	    DAY + 2, true), 999);
	teardown();
}

/* Also what waits to be erased, while the file cannot be written. */
TEST(bounded_without_a_file)
{
	static char         name[32];
	struct allowance_of of = { SLICE("7"), { NULL, 0 } };

	setup();
	for (int i = 0; i < 3 * ALLOWANCES_MAX; i++) {
		snprintf(name, sizeof name, "u:%d", i);
		of.conv = slice_of(name);
		allowance_take(&p.allowances, ALLOWANCE_user_day, &of, DAY);
	}
	EXPECT_INT(p.allowances.n, ALLOWANCES_MAX);
	EXPECT_INT(p.allowances.erased, 0);
	EXPECT_INT(sent_commit(&sent, 1000), ERR_OK);
	allowance_renew(&p.allowances, ALLOWANCE_user_day, &of, DAY);
	EXPECT_INT(p.allowances.erased, 1);
	EXPECT_INT(sent_commit(&sent, 1000), ERR_OK);
	EXPECT_INT(p.allowances.erased, 0);
	teardown();
}

/* A clock that was years ahead for a while must not keep a conversation from
 * its messages for years; one set back over midnight makes no new day. */
TEST(days_of_a_clock_that_was_wrong)
{
	struct allowance_of of = { SLICE("7"), SLICE("u:A") };
	enum allowance      row = ALLOWANCE_user_day;

	setup();
	allowance_exhaust(&p.allowances, row, &of, DAY + 4000);
	allowance_refuse(&p.allowances, &of, DAY + 4000, REFUSING_TOLD_DAYS);
	EXPECT_INT(allowance_left(&p.allowances, row, &of, DAY, true), 1000);
	EXPECT(!allowance_refused(&p.allowances, &of, DAY));
	allowance_take(&p.allowances, row, &of, DAY);
	EXPECT_INT(allowance_left(&p.allowances, row, &of, DAY, true), 999);
	EXPECT_INT(allowance_left(&p.allowances, row, &of, DAY - 1, true),
	    999);
	EXPECT_INT(allowance_left(&p.allowances, row, &of, DAY + 1, true),
	    1000);
	allowance_refuse(&p.allowances, &of, DAY, REFUSING_TOLD_DAYS);
	EXPECT(allowance_refused(&p.allowances, &of, DAY - 1));
	EXPECT(allowance_refused(&p.allowances, &of, DAY + 29));
	EXPECT(!allowance_refused(&p.allowances, &of, DAY + 30));
	teardown();
}

int
main(void)
{
	RUN(days_are_those_of_beijing);
	RUN(a_days_allowance_of_each);
	RUN(days_of_a_clock_that_was_wrong);
	RUN(two_hundred_direct_conversations);
	RUN(without_limits_only_what_the_platform_says);
	RUN(who_wants_no_messages);
	RUN(calls_back_until_the_platform_refuses);
	RUN(a_refusal_pauses_what_it_is_about);
	RUN(the_verified_may_more);
	RUN(bounded);
	RUN(bounded_without_a_file);
	return test_done();
}
