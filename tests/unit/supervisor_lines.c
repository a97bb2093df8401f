// links: supervisor/lines.c common
/*
 * From bytes of a child to lines: framing, cleaning, rate, memory.
 */
#include "test.h"

#include <stdlib.h>

#include "../../supervisor/lines.h"

static struct lines l;
static struct buf   got;
static uint64_t     number;

static void
on_line(void *self, struct slice line, uint64_t n)
{
	(void)self, (void)n;
	buf_put(&got, line);
	buf_puts(&got, "|");
}

static void
begin(void)
{
	lines_close(&l);
	lines_open(&l, 0);
	buf_reset(&got);
	number = 0;
}

static void
feed(const char *bytes, size_t n, uint64_t ms)
{
	lines_feed(&l, (struct slice){ bytes, n }, ms, &number, on_line, NULL);
}

TEST(framing)
{
	static const struct {
		const char *in, *out;
		size_t      n;
	} rows[] = {
#define ROW(in, out) { in, out, sizeof(in) - 1 }
		ROW("", ""),
		ROW("a", ""),
		ROW("a\n", "a|"),
		ROW("\n\n", "||"),
		ROW("a\nb\nc", "a|b|"),
		ROW("a\r\nb\n", "a|b|"),
		ROW("a\rb\n", "a?b|"),
		ROW("tab\tstays\n", "tab\tstays|"),
		ROW("\033[2J\a\x7f\n", "?[2J??|"),
		ROW("nul\0here\n", "nul?here|"),
		ROW("\xe6\xb6\x88\xe6\x81\xaf\n", "\xe6\xb6\x88\xe6\x81\xaf|"),
		ROW("\xf0\x9f\x90\xa6\n", "\xf0\x9f\x90\xa6|"),
		ROW("\xff\xfe\n", "??|"),
		ROW("\xe6\xb6\n", "??|"),               /* cut short */
		ROW("\xc0\x80\n", "??|"),               /* overlong */
		ROW("\xe0\x80\x80\n", "???|"),
		ROW("\xed\xa0\x80\n", "???|"),          /* surrogate */
		ROW("\xf4\x90\x80\x80\n", "????|"),     /* beyond Unicode */
		ROW("\xc2\x9b" "31m\n", "??31m|"),      /* CSI in one */
#undef ROW
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		begin();
		feed(rows[i].in, rows[i].n, 0);
		EXPECT_STR(got.p != NULL ? got.p : "", rows[i].out);
		/* and byte by byte */
		begin();
		for (size_t k = 0; k < rows[i].n; k++)
			feed(rows[i].in + k, 1, 0);
		EXPECT_STR(got.p != NULL ? got.p : "", rows[i].out);
	}
}

TEST(end_of_the_child)
{
	begin();
	feed("last words", 10, 0);
	EXPECT_STR(got.p != NULL ? got.p : "", "");
	lines_end(&l, 0, &number, on_line, NULL);
	EXPECT_STR(got.p, "last words|");
	lines_end(&l, 0, &number, on_line, NULL);
	EXPECT_STR(got.p, "last words|");
}

TEST(long_lines_are_broken_up)
{
	static char bytes[LINES_LINE_MAX * 2 + 11];

	begin();
	memset(bytes, 'x', sizeof bytes);
	bytes[sizeof bytes - 1] = '\n';
	feed(bytes, sizeof bytes, 0);
	EXPECT_INT(number, 3);
	EXPECT_INT(got.n, 2 * LINES_LINE_MAX + 10 + 3);
	/* exactly the limit is one line, not one and an empty one */
	begin();
	bytes[LINES_LINE_MAX] = '\n';
	feed(bytes, LINES_LINE_MAX - 1, 0);
	feed("\n", 1, 0);
	EXPECT_INT(number, 1);
}

TEST(rate)
{
	static char line[1024];
	uint64_t    said;

	memset(line, 'x', sizeof line);
	line[1023] = '\n';
	begin();
	for (int i = 0; i < 8 * 1024; i++)
		feed(line, sizeof line, 0);
	EXPECT_INT(number, LINES_BURST_BYTES / 1024);
	EXPECT_INT(l.dropped, 8 * 1024 - LINES_BURST_BYTES / 1024);
	EXPECT_INT(lines_newly_dropped(&l), l.dropped);
	EXPECT_INT(lines_newly_dropped(&l), 0);
	/* a second later, a second's worth */
	said = number;
	for (int i = 0; i < 8 * 1024; i++)
		feed(line, sizeof line, 1000);
	EXPECT_INT(number - said, LINES_RATE_BYTES_S / 1024);
	/* in small steps no less */
	said = number;
	for (int ms = 1001; ms <= 2000; ms++)
		for (int i = 0; i < 4; i++)
			feed(line, sizeof line, (uint64_t)ms);
	EXPECT(number - said >= LINES_RATE_BYTES_S / 1024 - 8);
	EXPECT(number - said <= LINES_RATE_BYTES_S / 1024 + 1);
	/* a year of silence is worth one burst, no more */
	said = number;
	for (int i = 0; i < 8 * 1024; i++)
		feed(line, sizeof line, 31536000000ull);
	EXPECT_INT(number - said, LINES_BURST_BYTES / 1024);
	EXPECT(got.n < 64u << 20);
}

TEST(last_lines)
{
	struct slice line;
	uint64_t     n;

	begin();
	EXPECT(!lines_from_end(&l, 0, &line, &n));
	feed("a\nb\nc\n", 6, 0);
	buf_reset(&got);
	lines_last(&l, 2, on_line, NULL);
	EXPECT_STR(got.p, "b|c|");
	buf_reset(&got);
	lines_last(&l, 99, on_line, NULL);
	EXPECT_STR(got.p, "a|b|c|");
	EXPECT(lines_from_end(&l, 2, &line, &n));
	EXPECT_SLICE(line, "a");
	EXPECT_INT(n, 1);
	EXPECT(!lines_from_end(&l, 3, &line, &n));
}

/* Lines of all lengths, far more than fit: the newest are there, whole and in
 * order, and nothing lies outside the ring. */
TEST(ring_holds_the_newest)
{
	static char text[LINES_LINE_MAX + 1];
	uint32_t    dice = 7;
	uint64_t    ms = 0;

	begin();
	for (unsigned i = 1; i <= 4000 && !test_bad; i++) {
		struct slice line;
		uint64_t     n, want = i;
		size_t       len;

		dice = dice * 1664525u + 1013904223u;
		len = dice >> 30 == 0 ? (dice >> 8) % LINES_LINE_MAX
		                      : (dice >> 8) % 120;
		memset(text, 'a' + (int)(i % 26), len);
		text[len] = '\n';
		buf_reset(&got);
		feed(text, len + 1, ms += 1000);
		EXPECT_INT(number, i);
		for (size_t k = 0; lines_from_end(&l, k, &line, &n); k++) {
			EXPECT_INT(n, want--);
			EXPECT(line.p >= l.bytes &&
			    line.p + line.n <= l.bytes + LINES_KEPT_BYTES);
			for (size_t b = 0; b < line.n; b++)
				if (line.p[b] != 'a' + (int)(n % 26))
					test_bad = true;
		}
		EXPECT(want < i);
		EXPECT(l.count <= LINES_KEPT);
	}
	/* short ones: as many as there are places */
	for (unsigned i = 0; i < 2000; i++)
		feed("ab\n", 3, ms);
	EXPECT_INT(l.count, LINES_KEPT);
}

TEST(whose_line)
{
	static const struct {
		const char *line;
		bool        ours;
	} rows[] = {
		{ "2026-11-23T20:56:24.123Z info  apid[7] call.done", true },
		{ "{\"time\":\"2026-11-23T20:56:24.123Z\"}", true },
		{ "2026-11-23T20:56:24.123Z", false },
		{ "2026-11-23 20:56:24.123Z info", false },
		{ "x2026-11-23T20:56:24.123Z info", false },
		{ "{\"msg\":1}", false },
		{ "", false },
		{ "plain", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		EXPECT_INT(lines_is_log(slice_of(rows[i].line)),
		    rows[i].ours);
}

int
main(void)
{
	RUN(framing);
	RUN(end_of_the_child);
	RUN(long_lines_are_broken_up);
	RUN(rate);
	RUN(last_lines);
	RUN(ring_holds_the_newest);
	RUN(whose_line);
	lines_close(&l);
	buf_free(&got);
	return test_done();
}
