// links: common
/*
 * date: every form that has been seen, and what is none.
 */
#include "test.h"

#include "date.h"

#define SENT 1767294245000

TEST(times_of_all_forms)
{
	static const struct {
		const char *text;
		int64_t     ms;
	} rows[] = {
		{ "2026-01-02T03:04:05+08:00", SENT },
		{ "2026-01-01T19:04:05Z", SENT },
		{ "2026-01-01T19:04:05z", SENT },
		{ "2026-01-01T19:04:05", SENT },
		{ "2026-01-01 14:04:05 -0500", SENT },
		{ "2026-01-01T13:34:05-05:30", SENT },
		{ "2026-01-01T13:34:05.5-05:30", SENT + 500 },
		{ "2026-01-01T19:04:05.678Z", SENT + 678 },
		{ "2026-01-02T03:04:05.1+08:00", SENT + 100 },
		{ "2026-01-02T03:04:05.123456789+08:00", SENT + 123 },
		{ "2026-01-02 03:04:05.123456789 +0800 CST m=+12.0",
		    SENT + 123 },
		{ "2000-02-29T00:00:00Z", 951782400000 },
		{ " 1767294245 ", SENT }, { "1767294245", SENT },
		{ "1767294245123", SENT + 123 },
		{ "1970-01-01T00:00:00Z", 0 }, { "0", 0 },
		{ "1969-12-31T23:59:59Z", 0 },
		{ "1970-01-01T03:00:00+08:00", 0 },
		{ "0026-01-02T03:04:05+08:00", 0 },
		{ "20x6-01-02T03:04:05Z", 0 },
		{ "yesterday, about four o'clock", 0 },
		{ "", 0 }, { "x", 0 }, { "2026", 2026000 }, { "2026-", 0 },
		{ "2026-01-02", 0 }, { "2026-13-02T03:04:05Z", 0 },
		{ "2026-00-02T03:04:05Z", 0 }, { "2026-01-00T03:04:05Z", 0 },
		{ "2026-01-02X03:04:05Z", 0 }, { "2026-01-02T03:04Z", 0 },
		{ "2026-01-02T03:04:0xZ", 0 }, { "-1767294245", 0 },
		{ "99999999999999999999", 0 }, { "9999999999999999", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t ms = date_ms(slice_of(rows[i].text));

		if (ms != rows[i].ms)
			printf("# %s\n", rows[i].text);
		EXPECT_INT(ms, rows[i].ms);
	}
}

TEST(dates_of_http)
{
	static const struct {
		const char *text;
		int64_t     ms;
	} rows[] = {
		{ "Wed, 21 Oct 2099 07:28:00 GMT", 4096250880000 },
		{ "Thu, 01 Jan 1970 00:00:01 GMT", 1000 },
		{ "Wed, 21 Okt 2099 07:28:00 GMT", 0 },
		{ "Wed, xx Oct 2099 07:28:00 GMT", 0 },
		{ "Wed, 21 Oct 20 9 07:28:00 GMT", 0 },
		{ "Wednesday, 21-Oct-99 07:28:00", 0 }, { "", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		EXPECT_INT(date_http_ms(slice_of(rows[i].text)), rows[i].ms);
}

int
main(void)
{
	RUN(times_of_all_forms);
	RUN(dates_of_http);
	return test_done();
}
