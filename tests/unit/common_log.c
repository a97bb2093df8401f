// links: common/log.c common/slice.c common/json.c common/pack.c common/buf.c
/*
 * log: what a line looks like, whatever the values are made of.
 */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "json.h"
#include "log.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

static char   text[8192];
static size_t text_n;

/* What one call to log_write() leaves on stderr. */
static void
catch_line(enum log_level level, const char *name, const struct kv *kv)
{
	int pipes[2], saved = dup(STDERR_FILENO);

	text_n = 0;
	if (pipe(pipes) < 0 || dup2(pipes[1], STDERR_FILENO) < 0)
		return;
	log_write(level, name, kv);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipes[1]);
	text_n = (size_t)read(pipes[0], text, sizeof text - 1);
	text[text_n] = '\0';
	close(pipes[0]);
}

/* The part after the event's name, without the line end. */
static const char *
values(const char *name)
{
	char *at = strstr(text, name);

	if (text_n > 0 && text[text_n - 1] == '\n')
		text[text_n - 1] = '\0';
	return at != NULL ? at + strlen(name) : "(no name)";
}

TEST(text_lines)
{
	static const struct {
		struct kv   kv;
		const char *line;
	} rows[] = {
		{ { "k", KV_TEXT, { "plain", 5 }, 0, 0 }, " k=plain" },
		{ { "k", KV_TEXT, { "", 0 }, 0, 0 }, " k=\"\"" },
		{ { "k", KV_TEXT, { NULL, 0 }, 0, 0 }, " k=\"\"" },
		{ { "k", KV_TEXT, { "a b", 3 }, 0, 0 }, " k=\"a b\"" },
		{ { "k", KV_TEXT, { "a=b", 3 }, 0, 0 }, " k=\"a=b\"" },
		{ { "k", KV_TEXT, { "a\"b\\", 4 }, 0, 0 },
		    " k=\"a\\\"b\\\\\"" },
		{ { "k", KV_TEXT, { "a\nERROR x", 9 }, 0, 0 },
		    " k=\"a\\u000aERROR x\"" },
		{ { "k", KV_TEXT, { "\x1b[31m\x7f", 6 }, 0, 0 },
		    " k=\"\\u001b[31m\\u007f\"" },
		{ { "k", KV_TEXT, { "\xc2\x9b" "2J", 4 }, 0, 0 },
		    " k=\"\\u009b2J\"" },
		{ { "k", KV_TEXT, { "\xe6\x94\xb6", 3 }, 0, 0 },
		    " k=\"\xe6\x94\xb6\"" },
		{ { "k", KV_TEXT, { "\xff\xe6\x94", 3 }, 0, 0 },
		    " k=\"\\ufffd\\ufffd\\ufffd\"" },
		/* Over-long, half a pair, beyond Unicode. */
		{ { "k", KV_TEXT, { "\xe0\x80\x9b", 3 }, 0, 0 },
		    " k=\"\\ufffd\\ufffd\\ufffd\"" },
		{ { "k", KV_TEXT, { "\xed\xa0\x80", 3 }, 0, 0 },
		    " k=\"\\ufffd\\ufffd\\ufffd\"" },
		{ { "k", KV_TEXT, { "\xf0\x80\x80\x9b", 4 }, 0, 0 },
		    " k=\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ { "k", KV_TEXT, { "\xf4\x90\x80\x80", 4 }, 0, 0 },
		    " k=\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ { "k", KV_TEXT, { "\xf4\x8f\xbf\xbf", 4 }, 0, 0 },
		    " k=\"\xf4\x8f\xbf\xbf\"" },
		{ { "k", KV_TEXT, { "a\0b", 3 }, 0, 0 }, " k=\"a\\u0000b\"" },
		{ { "k", KV_INT, { NULL, 0 }, INT64_MIN, 0 },
		    " k=-9223372036854775808" },
		{ { "k", KV_UINT, { NULL, 0 }, 0, UINT64_MAX },
		    " k=18446744073709551615" },
		{ { "k", KV_BOOL, { NULL, 0 }, 0, 1 }, " k=true" },
		{ { "k", KV_BOOL, { NULL, 0 }, 0, 0 }, " k=false" },
	};

	log_open("prog", LOG_DEBUG, false);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct kv kv[2] = { rows[i].kv, { .key = NULL } };

		catch_line(LOG_INFO, "some.event", kv);
		EXPECT_STR(values("some.event"), rows[i].line);
	}
	catch_line(LOG_ERROR, "bare", (const struct kv[]){ { .key = NULL } });
	EXPECT(strstr(text, " error prog[") != NULL);
	EXPECT_STR(values("bare"), "");
}

TEST(json_lines_parse)
{
	static const struct slice rows[] = {
		{ "plain", 5 }, { "a b", 3 }, { "\"\\\n\x1b", 4 },
		{ "\xe6\x94\xb6", 3 }, { "", 0 }, { "a\x7f", 2 },
	};
	struct json *j;

	log_open("prog", LOG_INFO, true);
	for (size_t i = 0; i < ROWS(rows); i++) {
		catch_line(LOG_WARN, "some.event",
		    (const struct kv[]){ KV("k", rows[i]), KV("n", -7),
		        KV("b", true), { .key = NULL } });
		EXPECT(json_parse(&j, (struct slice){ text, text_n }) ==
		    ERR_OK);
		EXPECT(slice_eq(json_text_at(j, "k"), rows[i]));
		EXPECT_SLICE(json_text_at(j, "event"), "some.event");
		EXPECT_SLICE(json_text_at(j, "level"), "warn");
		EXPECT_SLICE(json_text_at(j, "n"), "-7");
		EXPECT(json_truth(json_get(j, "b")));
		json_free(&j);
	}
}

/* Every length around the limit, filled with what is worst to cut. */
static void
expect_cut(struct slice unit, bool as_json)
{
	static char long_text[4096];
	size_t      n = 0;
	struct json *j;

	while (n + unit.n <= sizeof long_text) {
		memcpy(long_text + n, unit.p, unit.n);
		n += unit.n;
	}
	for (size_t pad = 1800; pad < 2060; pad++) {
		struct slice fill = { long_text, n - n % unit.n };
		char         key[2100];

		memset(key, 'x', pad);
		key[pad] = '\0';
		catch_line(LOG_INFO, "e",
		    (const struct kv[]){ KV("a", key), KV("text", fill),
		        KV("after", 12345678), { .key = NULL } });
		EXPECT(text_n > 1700 && text_n <= 2048);
		EXPECT(text[text_n - 1] == '\n');
		EXPECT(memchr(text, '\n', text_n) == text + text_n - 1);
		if (as_json) {
			EXPECT(json_parse(&j,
			    (struct slice){ text, text_n }) == ERR_OK);
			EXPECT(json_truth(json_get(j, "cut")));
			json_free(&j);
		} else
			EXPECT(memcmp(text + text_n - 5, " ...\n", 5) == 0);
	}
}

TEST(long_lines_are_cut)
{
	static const struct slice units[] = {
		{ "y", 1 }, { "\"", 1 }, { "\\", 1 }, { "\n", 1 },
		{ "\xe6\x94\xb6", 3 }, { "\xf0\x9f\x90\xa7", 4 },
		{ "\xff", 1 },
	};

	for (size_t i = 0; i < ROWS(units); i++) {
		log_open("prog", LOG_INFO, false);
		expect_cut(units[i], false);
		log_open("prog", LOG_INFO, true);
		expect_cut(units[i], true);
	}
}

TEST(many_pairs_are_cut_between)
{
	struct kv    kv[200];
	struct json *j;

	for (size_t i = 0; i < 199; i++)
		kv[i] = kv_uint("number", UINT64_MAX - i);
	kv[199].key = NULL;
	log_open("prog", LOG_INFO, true);
	catch_line(LOG_INFO, "e", kv);
	EXPECT(json_parse(&j, (struct slice){ text, text_n }) == ERR_OK);
	EXPECT(json_truth(json_get(j, "cut")));
	json_free(&j);
}

TEST(levels)
{
	enum log_level level = LOG_DEBUG;

	log_open("prog", LOG_WARN, false);
	EXPECT(log_enabled(LOG_ERROR) && log_enabled(LOG_WARN));
	EXPECT(!log_enabled(LOG_INFO));
	log_set_level(LOG_DEBUG);
	EXPECT(log_enabled(LOG_DEBUG));
	for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
		EXPECT(log_level_of(slice_of(log_level_name(
		    (enum log_level)i)), &level));
		EXPECT_INT(level, i);
	}
	EXPECT(!log_level_of(SLICE("INFO"), &level));
	EXPECT(!log_level_of(SLICE(""), &level));
	EXPECT(!log_level_of(SLICE("infos"), &level));
}

int
main(void)
{
	RUN(text_lines);
	RUN(json_lines_parse);
	RUN(long_lines_are_cut);
	RUN(many_pairs_are_cut_between);
	RUN(levels);
	return test_done();
}
