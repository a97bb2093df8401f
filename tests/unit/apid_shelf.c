// links: apid/shelf.c apid/table.c common
/* Values by key and time, over restarts, and without a file to keep them. */
#include "test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "shelf.h"

static char         dir[] = "/tmp/rookery-shelf-XXXXXX";
static struct shelf s;

static void
setup(void)
{
	log_open("test", LOG_ERROR, false);
	EXPECT_INT(shelf_open(&s, dir, STORE_PROCESS, 1000), ERR_OK);
}

static const char *
get(const char *key, int64_t now)
{
	static char  text[64];
	struct slice v;

	if (!shelf_find(&s, slice_of(key), now, &v))
		return "none";
	snprintf(text, sizeof text, "%.*s", (int)v.n, v.p);
	return text;
}

static void
put(const char *key, const char *value, int64_t until)
{
	EXPECT_INT(shelf_put(&s, slice_of(key), slice_of(value), until, 1000),
	    ERR_OK);
}

TEST(until_its_time_is_over)
{
	setup();
	put("fa", "1", 2000);
	put("fb", "2", 0);
	EXPECT_STR(get("fa", 1999), "1");
	EXPECT_STR(get("fa", 2000), "none");
	EXPECT_STR(get("fa", 1000), "none"); /* it is gone for good */
	EXPECT_STR(get("fb", INT64_MAX), "2");
	put("fb", "3", 0);
	EXPECT_STR(get("fb", 1), "3");
	EXPECT_INT(s.n, 1);
	shelf_drop(&s, SLICE("fb"), 1000);
	EXPECT_STR(get("fb", 1), "none");
	EXPECT_INT(s.bytes, 0);
	shelf_close(&s);
}

TEST(over_a_restart)
{
	setup();
	put("fa", "1", 2000);
	put("fb", "2", 0);
	put("fb", "two", 0);
	put("fc", "3", 0);
	shelf_drop(&s, SLICE("fc"), 1000);
	shelf_close(&s);
	EXPECT_INT(shelf_open(&s, dir, STORE_PROCESS, 3000), ERR_OK);
	EXPECT_STR(get("fa", 1000), "none");
	EXPECT_STR(get("fb", 3000), "two");
	EXPECT_STR(get("fc", 3000), "none");
	EXPECT_INT(shelf_drop_value(&s, 'u', SLICE("two"), 3000), 0);
	EXPECT_INT(shelf_drop_value(&s, 'f', SLICE("two"), 3000), 1);
	shelf_close(&s);
	setup();
	EXPECT_INT(s.n, 0);
	shelf_close(&s);
}

TEST(bounded)
{
	char key[16];

	setup();
	for (int i = 0; i <= SHELF_MAX; i++) {
		snprintf(key, sizeof key, "f%d", i);
		put(key, "v", 0);
	}
	EXPECT_INT(s.n, SHELF_MAX);
	EXPECT_STR(get("f0", 1000), "none");
	EXPECT_STR(get("f1", 1000), "v");
	EXPECT_INT(shelf_drop_value(&s, 'f', SLICE("v"), 1000), SHELF_MAX);
	shelf_close(&s);
}

/* Memory serves, and the file gets all of it when it is back. */
TEST(without_a_file)
{
	char away[64];

	snprintf(away, sizeof away, "%s/away", dir);
	EXPECT_INT(shelf_open(&s, away, STORE_PROCESS, 1000), ERR_OK);
	put("fa", "1", 0);
	EXPECT_STR(get("fa", 1000), "1");
	EXPECT(mkdir(away, 0700) == 0);
	put("fb", "2", 0); /* too early for another try */
	EXPECT(s.store == NULL);
	EXPECT_INT(shelf_put(&s, SLICE("fc"), SLICE("3"), 0,
	    1000 + SHELF_AGAIN_MS), ERR_OK);
	EXPECT(s.store != NULL);
	shelf_close(&s);
	EXPECT_INT(shelf_open(&s, away, STORE_PROCESS, 1000), ERR_OK);
	EXPECT_INT(s.n, 3);
	EXPECT_STR(get("fa", 1000), "1");
	EXPECT_STR(get("fc", 1000), "3");
	shelf_close(&s);
}

int
main(void)
{
	char command[80];

	if (mkdtemp(dir) == NULL)
		return 1;
	RUN(until_its_time_is_over);
	RUN(over_a_restart);
	RUN(bounded);
	RUN(without_a_file);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	if (system(command) != 0)
		return 1;
	return test_done();
}
