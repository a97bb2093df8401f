// links: apid/route.c common
/*
 * Paths: every value is one segment, whatever is in it.
 */
#include "test.h"

#include "route.h"

static const struct {
	enum route  route;
	const char *target, *message, *url;   /* url NULL: refused */
} rows[] = {
	{ ROUTE_gateway_bot, "", "", "B/gateway/bot" },
	{ ROUTE_me, "", "", "B/users/@me" },
	{ ROUTE_c2c_send, "U1", "", "B/v2/users/U1/messages" },
	{ ROUTE_group_send, "G1", "", "B/v2/groups/G1/messages" },
	{ ROUTE_channel_send, "123", "", "B/channels/123/messages" },
	{ ROUTE_dm_send, "9", "", "B/dms/9/messages" },
	{ ROUTE_group_recall, "G1", "ROBOT1.0_a-b_c!",
	    "B/v2/groups/G1/messages/ROBOT1.0_a-b_c%21" },
	{ ROUTE_dm_recall, "a/b", "c?d#e", "B/dms/a%2Fb/messages/c%3Fd%23e" },
	{ ROUTE_channel_recall, "\xe4\xbd\xa0", "%2e",
	    "B/channels/%E4%BD%A0/messages/%252e" },
	{ ROUTE_c2c_send, "{target}", "", "B/v2/users/%7Btarget%7D/messages" },
	{ ROUTE_c2c_send, "a b\r\nX: y", "",
	    "B/v2/users/a%20b%0D%0AX%3A%20y/messages" },
	{ ROUTE_c2c_send, "...", "", "B/v2/users/.../messages" },
	{ ROUTE_c2c_send, "..", "", NULL },
	{ ROUTE_c2c_send, ".", "", NULL },
	{ ROUTE_c2c_send, "", "", NULL },
	{ ROUTE_c2c_recall, "U1", "", NULL },
	{ ROUTE_c2c_recall, "U1", "..", NULL },
};

TEST(fills_paths)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf url = { 0 };
		enum err   e = route_fill(rows[i].route, SLICE("B"),
		      slice_of(rows[i].target), slice_of(rows[i].message),
		      &url);

		EXPECT_INT(e, rows[i].url != NULL ? ERR_OK : ERR_SYNTAX);
		if (rows[i].url != NULL)
			EXPECT_STR(url.p, rows[i].url);
		buf_free(&url);
	}
}

TEST(every_row_is_whole)
{
	for (int i = 0; i < ROUTE_COUNT; i++) {
		const struct route_info *r = route_info((enum route)i);

		EXPECT(r->path[0] == '/');
		EXPECT(strcmp(r->method, "GET") == 0 ||
		    strcmp(r->method, "POST") == 0 ||
		    strcmp(r->method, "DELETE") == 0);
		EXPECT(strlen(r->meaning) > 5);
		for (int k = 0; k < i; k++)
			EXPECT(strcmp(r->name,
			           route_info((enum route)k)->name) != 0);
	}
}

int
main(void)
{
	RUN(fills_paths);
	RUN(every_row_is_whole);
	return test_done();
}
