// links: gatewayd/wall.c
/*
 * wall: settings of the clock are told from its slow ways, and from a machine
 * that slept.
 */
#include "test.h"

#include "wall.h"

enum { SECOND = 1000, HOUR = 3600 * SECOND };
static const int64_t epoch = 1795638249000;

TEST(a_setting_is_told_once)
{
	struct wall w = { 0 };

	EXPECT_INT(wall_read(&w, epoch, 5000, 100), 0);
	EXPECT_INT(wall_read(&w, epoch + SECOND, 6000, 1100), 0);
	EXPECT_INT(wall_read(&w, epoch + HOUR + 2 * SECOND, 7000, 2100), HOUR);
	EXPECT_INT(wall_read(&w, epoch + HOUR + 3 * SECOND, 8000, 3100), 0);
	EXPECT_INT(wall_read(&w, epoch - HOUR, 8000, 4100),
	    -2 * HOUR - 3 * SECOND);
	EXPECT_INT(wall_set_since(&w, 100), -HOUR - 3 * SECOND);
	EXPECT_INT(wall_set_since(&w, 2099), -HOUR - 3 * SECOND);
	EXPECT_INT(wall_set_since(&w, 2100), -2 * HOUR - 3 * SECOND);
	EXPECT_INT(wall_set_since(&w, 4100), 0);
}

/* NTP turns it by a second in half an hour; and our own clock stood still
 * while the machine slept. */
TEST(slow_ways_and_sleep_are_no_settings)
{
	struct wall w = { 0 };

	for (int i = 0; i < 10000; i++)
		EXPECT_INT(wall_read(&w, epoch + i * 1001, 5000 +
		    (uint64_t)i * 1000, (uint64_t)i * 1000), 0);
	EXPECT_INT(wall_read(&w, epoch + 10009999 + 8 * HOUR,
	    5000 + 9999000 + 8 * HOUR, 9999001), 0);
	EXPECT_INT(wall_set_since(&w, 0), 0);
}

TEST(of_many_the_last_are_kept)
{
	struct wall w = { 0 };

	wall_read(&w, epoch, 5000, 0);
	for (int i = 1; i <= 100; i++)
		EXPECT_INT(wall_read(&w, epoch + (int64_t)i * HOUR, 5000,
		    (uint64_t)i), HOUR);
	EXPECT_INT(wall_set_since(&w, 99), HOUR);
	EXPECT_INT(wall_set_since(&w, 0), WALL_SETTINGS * HOUR);
}

int
main(void)
{
	RUN(a_setting_is_told_once);
	RUN(slow_ways_and_sleep_are_no_settings);
	RUN(of_many_the_last_are_kept);
	return test_done();
}
