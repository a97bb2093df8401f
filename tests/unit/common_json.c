// links: common/json.c common/pack.c common/buf.c common/slice.c
/*
 * json: strict about form, exact about integers, lenient about types.
 */
#include "test.h"

#include <stdlib.h>

#include "json.h"
#include "pack.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

TEST(form_is_strict)
{
	static const struct {
		struct slice text;
		enum err     want;
	} rows[] = {
#define ROW(text, want) { SLICE(text), want }
		ROW("{}", ERR_OK),           ROW(" [1, 2] ", ERR_OK),
		ROW("null", ERR_OK),         ROW("0", ERR_OK),
		ROW("-12", ERR_OK),          ROW("true", ERR_OK),
		ROW("\"\\u6536\"", ERR_OK),  ROW("\"\xe6\x94\xb6\"", ERR_OK),
		ROW("{\"a\":1}\r\n", ERR_OK),
		ROW("", ERR_SYNTAX),         ROW(" ", ERR_SYNTAX),
		ROW("{", ERR_SYNTAX),        ROW("{\"a\":", ERR_SYNTAX),
		ROW("[1", ERR_SYNTAX),       ROW("[1,", ERR_SYNTAX),
		ROW("\"abc", ERR_SYNTAX),    ROW("tru", ERR_SYNTAX),
		ROW("-", ERR_SYNTAX),        ROW("{\"a\":1}x", ERR_SYNTAX),
		ROW("{} {}", ERR_SYNTAX),    ROW("[1,]", ERR_SYNTAX),
		ROW("{\"a\":1, }", ERR_SYNTAX), ROW("[1e]", ERR_SYNTAX),
		ROW("[01]", ERR_SYNTAX),     ROW("[1e+]", ERR_SYNTAX),
		ROW("[1e-07]", ERR_OK),
		ROW("[0.05]", ERR_OK),       ROW("[10,-0,100]", ERR_OK),
		ROW("{\"收到\":\"消息: ,]\"} \n", ERR_OK),
		ROW("{\"a\":1,}", ERR_SYNTAX), ROW("{a:1}", ERR_SYNTAX),
		ROW("{'a':1}", ERR_SYNTAX),  ROW("'a'", ERR_SYNTAX),
		ROW("// x\n1", ERR_SYNTAX),  ROW("/* x */1", ERR_SYNTAX),
		ROW("01", ERR_SYNTAX),       ROW("1.", ERR_SYNTAX),
		ROW("NaN", ERR_SYNTAX),      ROW("Infinity", ERR_SYNTAX),
		ROW("\"\xff\"", ERR_SYNTAX), ROW("\"\xe6\x94\"", ERR_SYNTAX),
		ROW("\"\xc0\xaf\"", ERR_SYNTAX),       /* overlong */
		ROW("{}\0", ERR_SYNTAX),     ROW("{\"a\0b\":1}", ERR_SYNTAX),
		ROW("<html>502</html>", ERR_SYNTAX),
		ROW("True", ERR_SYNTAX),     ROW("NULL", ERR_SYNTAX),
		ROW("\"a\nb\"", ERR_SYNTAX), ROW("\"\\x\"", ERR_SYNTAX),
#undef ROW
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct json *j = (struct json *)(void *)&j;
		enum err     e = json_parse(&j, rows[i].text);

		if (e != rows[i].want)
			printf("# row %zu: %.*s\n", i, (int)rows[i].text.n,
			    rows[i].text.p);
		EXPECT(e == rows[i].want);
		EXPECT(e == ERR_OK || j == NULL);
		json_free(&j);
		EXPECT(j == NULL);
	}
}

/* Brackets nested n deep. */
static enum err
parse_nested(unsigned n, const char *open, const char *inner, char close)
{
	struct buf   b = { 0 };
	struct json *j;
	enum err     e;

	for (unsigned i = 0; i < n; i++)
		buf_puts(&b, open);
	buf_puts(&b, inner);
	for (unsigned i = 0; i < n; i++)
		buf_put(&b, (struct slice){ &close, 1 });
	e = json_parse(&j, buf_slice(&b));
	json_free(&j);
	buf_free(&b);
	return e;
}

TEST(depth_is_bounded)
{
	EXPECT(parse_nested(30, "[", "1", ']') == ERR_OK);
	EXPECT(parse_nested(33, "[", "1", ']') == ERR_SYNTAX);
	EXPECT(parse_nested(30, "{\"a\":", "1", '}') == ERR_OK);
	EXPECT(parse_nested(33, "{\"a\":", "1", '}') == ERR_SYNTAX);
	EXPECT(parse_nested(100000, "[", "", ']') == ERR_SYNTAX);
	EXPECT(parse_nested(100000, "{\"a\":", "1", '}') == ERR_SYNTAX);
}

/* Every beginning of a good document is refused, and reads nothing beyond its
 * end (the copy is exactly as long as the text). */
TEST(truncations_are_refused)
{
	static const char text[] = "{\"op\":0,\"s\":42,\"d\":{\"id\":\"x\\u6536"
	                           "\\n\",\"list\":[1,2.5,null,true,-3e2]}}";

	for (size_t n = 0; n < sizeof text - 1; n++) {
		char        *copy = malloc(n > 0 ? n : 1);
		struct json *j;

		if (copy == NULL)
			break;
		memcpy(copy, text, n);
		EXPECT(json_parse(&j, (struct slice){ copy, n }) ==
		    ERR_SYNTAX);
		json_free(&j);
		free(copy);
	}
}

TEST(integers_are_exact)
{
	static const struct {
		const char *text, *out;
		bool        good;
		int64_t     v;
	} rows[] = {
		{ "9007199254740993", "9007199254740993", true,
		    9007199254740993 },
		{ "9223372036854775807", "9223372036854775807", true,
		    INT64_MAX },
		{ "18446744073709551615", "18446744073709551615", false, 0 },
		{ "-9223372036854775807", "-9223372036854775807", true,
		    -INT64_MAX },
		{ "\"9007199254740993\"", "9007199254740993", true,
		    9007199254740993 },
		{ "\"-5\"", "-5", true, -5 },
		{ "\"\"", "", false, 0 },
		{ "\"-\"", "-", false, 0 },
		{ "\"7200s\"", "7200s", false, 0 },
		{ "\" 7\"", " 7", false, 0 },
		{ "\"--7\"", "--7", false, 0 },
		{ "1.5", "1.5", false, 0 },
		{ "1e3", "1e3", false, 0 },
		{ "true", "true", false, 0 },
		{ "null", "", false, 0 },
		{ "[1]", "", false, 0 },
		{ "{}", "", false, 0 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct json *j;
		int64_t      v = 4711;

		EXPECT(json_parse(&j, slice_of(rows[i].text)) == ERR_OK);
		EXPECT_SLICE(json_text(j), rows[i].out);
		EXPECT(json_int(j, &v) == rows[i].good);
		EXPECT_INT(v, rows[i].good ? rows[i].v : 4711);
		json_free(&j);
	}
}

TEST(readers_take_anything)
{
	static const char text[] =
	    "{\"a\":{\"b\":{\"c\":\"deep\"},\"n\":\"17\"},\"list\":[\"x\",2,"
	    "null],\"t\":true,\"one\":1,\"s\":\"true\",\"f\":false,\"z\":null,"
	    "\"\":\"empty\",\"d\":2.5}";
	struct json *j;
	int64_t      v;

	EXPECT(json_parse(&j, SLICE(text)) == ERR_OK);
	EXPECT_SLICE(json_text_at(j, "a.b.c"), "deep");
	EXPECT_SLICE(json_text_at(j, "a.b.c.d"), "");
	EXPECT_SLICE(json_text_at(j, "a..c"), "");
	EXPECT_SLICE(json_text_at(j, ""), "empty");
	EXPECT_SLICE(json_text_at(j, "nope.c"), "");
	EXPECT(json_path(j, "this_key_is_longer_than_any_key_of_the_platform_"
	                    "could_ever_be_0123456789") == NULL);
	EXPECT(json_int_at(j, "a.n", &v) && v == 17);
	EXPECT(!json_int_at(j, "a", &v));
	EXPECT(json_count(json_get(j, "list")) == 3 && json_count(j) == 0);
	EXPECT_SLICE(json_text(json_at(json_get(j, "list"), 1)), "2");
	EXPECT(json_at(json_get(j, "list"), 2) == NULL);
	EXPECT(json_at(json_get(j, "list"), 3) == NULL);
	EXPECT(json_get(j, "z") == NULL && json_get(NULL, "z") == NULL);
	EXPECT(json_truth(json_get(j, "t")) && json_truth(json_get(j, "s")));
	EXPECT(json_truth(json_get(j, "one")));
	EXPECT(!json_truth(json_get(j, "f")) && !json_truth(NULL));
	EXPECT(json_is_object(j) && !json_is_object(NULL));
	EXPECT(json_is_array(json_get(j, "list")) && !json_is_array(j));
	EXPECT(json_is_string(json_get(j, "s")) && !json_is_string(NULL));
	EXPECT(json_is_number(json_get(j, "d")) && !json_is_number(j));
	EXPECT(json_double(json_get(j, "d")) > 2.4);
	json_free(&j);
}

static void
on_member(void *self, const char *key, const struct json *value)
{
	struct slice s = json_text(value);

	buf_putf(self, "%s=%.*s;", key, (int)s.n, s.n > 0 ? s.p : "");
}

TEST(members_come_in_order)
{
	struct buf   b = { 0 };
	struct json *j;

	EXPECT(json_parse(&j, SLICE("{\"z\":1,\"a\":null,\"m\":\"x\"}")) ==
	    ERR_OK);
	json_each(j, on_member, &b);
	json_each(NULL, on_member, &b);
	json_each(json_get(j, "z"), on_member, &b);
	EXPECT_SLICE(buf_slice(&b), "z=1;a=;m=x;");
	buf_free(&b);
	json_free(&j);
}

TEST(builders_escape)
{
	struct json *j = json_new_object(), *list = json_new_array();
	struct buf   b = { 0 };

	json_put_text(j, "t", (struct slice){ "a\"\\/\n\0\xe6\x94\xb6", 9 });
	json_put_text(j, "e", (struct slice){ NULL, 0 });
	json_put_int(j, "i", INT64_MIN);
	json_put_bool(j, "b", true);
	json_put_null(j, "z");
	json_push_text(list, SLICE("x"));
	json_push_int(list, -1);
	json_put_take(j, "l", list);
	json_put_ref(j, "again", list);
	json_put_take(j, "none", NULL); /* a builder that failed */
	json_put_text(NULL, "k", SLICE("v"));
	json_push_text(NULL, SLICE("v"));
	EXPECT_SLICE(json_print(j),
	    "{\"t\":\"a\\\"\\\\/\\n\\u0000\xe6\x94\xb6\",\"e\":\"\","
	    "\"i\":-9223372036854775808,\"b\":true,\"z\":null,"
	    "\"l\":[\"x\",-1],\"again\":[\"x\",-1]}");
	buf_puts(&b, "#");
	json_write(j, &b);
	EXPECT_INT(b.n, json_print(j).n + 1);
	buf_free(&b);
	json_free(&j);
}

TEST(msgpack_and_back)
{
	static const char *const rows[] = {
		"null", "true", "false", "0", "-1", "127", "128", "-33",
		"65536", "9007199254740993", "9223372036854775807",
		"18446744073709551615", "-9223372036854775808", "2.5",
		"\"\"", "\"\xe6\x94\xb6\"", "[]", "{}",
		"[1,[2,[3,{\"a\":[]}]]]",
		"{\"a\":null,\"b\":{\"c\":\"d\"},\"e\":[true,false]}",
		"[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]",
		"\"0123456789012345678901234567890123456789\"",
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct json *j, *back;
		struct buf   b = { 0 };

		EXPECT(json_parse(&j, slice_of(rows[i])) == ERR_OK);
		EXPECT(json_to_msgpack(j, &b) == ERR_OK);
		EXPECT(json_from_msgpack(&back, buf_slice(&b)) == ERR_OK);
		EXPECT_SLICE(json_print(back), rows[i]);
		json_free(&back);
		/* not one byte less, not one more */
		for (size_t n = 0; n < b.n; n++) {
			EXPECT(json_from_msgpack(&back,
			    (struct slice){ b.p, n }) == ERR_SYNTAX);
			EXPECT(back == NULL);
		}
		buf_puts(&b, "\xc0");
		EXPECT(json_from_msgpack(&back, buf_slice(&b)) == ERR_SYNTAX);
		json_free(&j);
		buf_free(&b);
	}
}

TEST(numbers_beyond_all_become_nothing)
{
	struct json *j, *back;
	struct buf   b = { 0 };

	EXPECT(json_parse(&j, SLICE("[1e999,-1e999]")) == ERR_OK);
	EXPECT(json_to_msgpack(j, &b) == ERR_OK);
	EXPECT(json_from_msgpack(&back, buf_slice(&b)) == ERR_OK);
	EXPECT_SLICE(json_print(back), "[null,null]");
	json_free(&back);
	json_free(&j);
	buf_free(&b);
}

TEST(msgpack_from_strangers)
{
	static const struct {
		struct slice bytes;
		enum err     want;
	} rows[] = {
		{ { "\xc4\x02hi", 4 }, ERR_OK },          /* bin: as text */
		{ { "\x81\x01\x02", 3 }, ERR_SYNTAX },    /* key is no text */
		{ { "\x81\xa1" "a\xa1" "b", 5 }, ERR_OK },
		{ { "\xdd\xff\xff\xff\xff\x01", 6 }, ERR_SYNTAX },
		{ { "\xdf\x7f\xff\xff\xff\xa1", 6 }, ERR_SYNTAX },
		{ { "\xdb\xff\xff\xff\xff" "a", 6 }, ERR_SYNTAX },
		{ { "\xc1", 1 }, ERR_SYNTAX },
		{ { "\xd4\x01\x02", 3 }, ERR_SYNTAX },    /* extension */
		{ { NULL, 0 }, ERR_SYNTAX },
	};
	struct json *j;
	char         deep[64];

	for (size_t i = 0; i < ROWS(rows); i++) {
		EXPECT(json_from_msgpack(&j, rows[i].bytes) == rows[i].want);
		json_free(&j);
	}
	memset(deep, '\x91', sizeof deep);
	deep[sizeof deep - 1] = '\xc0';
	EXPECT(json_from_msgpack(&j, (struct slice){ deep, sizeof deep }) ==
	    ERR_SYNTAX);
}

/* [{},{},...] of about n bytes, built in p. */
static enum err
parse_crowd(char *p, size_t n)
{
	struct json *j;
	size_t       at = 0;
	enum err     e;

	p[at++] = '[';
	for (; at + 4 < n; at += 3)
		memcpy(p + at, "{},", 3);
	p[at - 1] = ']';
	e = json_parse(&j, (struct slice){ p, at });
	json_free(&j);
	return e;
}

/* A frame of a megabyte must not become a gigabyte of objects. */
TEST(crowds_are_refused)
{
	enum { CROWD = 1000000 };
	char        *p = malloc(CROWD + 5);
	struct json *j;

	if (p == NULL)
		return;
	memcpy(p, "\xdd\x00\x0f\x42\x40", 5);
	memset(p + 5, '\x80', CROWD);
	EXPECT(json_from_msgpack(&j, (struct slice){ p, CROWD + 5 }) ==
	    ERR_SYNTAX);
	EXPECT(j == NULL);
	EXPECT(parse_crowd(p, CROWD) == ERR_SYNTAX);
	EXPECT(parse_crowd(p, 3 * 65000) == ERR_OK);
	free(p);
}

/* Each text also in a copy that is exactly as long, and each beginning of it:
 * what json_parse() would refuse must not be read beyond. */
static void
expect_member(struct slice text, const char *want)
{
	for (size_t n = 0; n <= text.n; n++) {
		char        *copy = malloc(n > 0 ? n : 1);
		struct slice cut = { copy, n }, got;

		if (copy == NULL)
			return;
		memcpy(copy, text.p, n);
		got = json_member_text(cut, "d");
		EXPECT(got.n == 0 ||
		    (got.p >= copy && got.p + got.n <= copy + n));
		if (n == text.n && !slice_is(got, want)) {
			printf("# %.*s: %.*s\n", (int)n, copy, (int)got.n,
			    got.p);
			test_bad = true;
		}
		free(copy);
	}
}

TEST(members_are_found_as_written)
{
	static const struct {
		struct slice text;
		const char  *want;
	} rows[] = {
#define ROW(text, want) { SLICE(text), want }
		ROW("{\"d\":{}}", "{}"),
		ROW("{\"op\":0,\"d\":{\"a\":[1, 2]} ,\"s\":1}",
		    "{\"a\":[1, 2]}"),
		ROW(" \r\n{ \"d\" :\t-1.50e3\n}", "-1.50e3"),
		ROW("{\"d\":null}", "null"), ROW("{\"d\":\"\"}", "\"\""),
		ROW("{\"d\":\"\\\"},d\\\\\",\"e\":1}", "\"\\\"},d\\\\\""),
		ROW("{\"d\":[\"]\",\"\\\\\",{\"}\":\"{\"}],\"d2\":2}",
		    "[\"]\",\"\\\\\",{\"}\":\"{\"}]"),
		/* only of the outermost object, and the last of equal ones */
		ROW("{\"a\":{\"d\":1},\"b\":\"\\\"d\\\":2\"}", ""),
		ROW("{\"d\":1,\"d\":[2]}", "[2]"),
		ROW("{\"d \":1,\" d\":2,\"D\":3,\"\":4,\"dd\":5}", ""),
		/* a key that only reads like d, or hides one */
		ROW("{\"d\":1,\"\\u0064\":2}", ""),
		ROW("{\"d\\u0000x\":1}", ""),
		ROW("{}", ""), ROW("[\"d\",1]", ""), ROW("\"d\"", ""),
		ROW("", ""), ROW("7", ""),
		/* no JSON at all */
		ROW("{\"d\"}", ""), ROW("{\"d\":", ""), ROW("{\"d", ""),
		ROW("{\"", ""), ROW("{\"\\", ""), ROW("{d:1}", ""),
		ROW("{\"d\":1,", "1"), ROW("{\"d\":}", ""),
		ROW("{\"d\":{\"a\"", "{\"a\""),
		ROW("{\"a\":]]]],\"d\":1}", ""), ROW("\0{\"d\":1}", ""),
#undef ROW
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		expect_member(rows[i].text, rows[i].want);
}

int
main(void)
{
	RUN(form_is_strict);
	RUN(depth_is_bounded);
	RUN(truncations_are_refused);
	RUN(integers_are_exact);
	RUN(readers_take_anything);
	RUN(members_come_in_order);
	RUN(builders_escape);
	RUN(members_are_found_as_written);
	RUN(msgpack_and_back);
	RUN(numbers_beyond_all_become_nothing);
	RUN(msgpack_from_strangers);
	RUN(crowds_are_refused);
	return test_done();
}
