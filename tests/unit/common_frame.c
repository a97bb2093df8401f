// links: common
/*
 * frame: bytes into lines, lines into frames, events into frames.
 */
#include "test.h"

#include <stdlib.h>

#include "frame.h"

TEST(lines_come_whole_however_they_are_cut)
{
	static const char text[] = "one\ntwo\r\n\n{\"a\":1}\nrest";
	static const char *const want[] = { "one", "two", "", "{\"a\":1}" };

	for (size_t size = 1; size <= sizeof text; size++) {
		struct lines l = { 0 };
		struct slice line;
		size_t       n = 0;

		for (size_t at = 0; at < sizeof text - 1; at += size) {
			size_t left = sizeof text - 1 - at;

			EXPECT_INT(lines_put(&l, (struct slice){ text + at,
			    left < size ? left : size }), ERR_OK);
			while (lines_next(&l, &line) == ERR_OK && n < 4)
				EXPECT_SLICE(line, want[n++]);
		}
		EXPECT_INT(n, 4);
		EXPECT_INT(lines_next(&l, &line), ERR_AGAIN);
		EXPECT_INT(lines_left(&l), 4);
		lines_free(&l);
	}
}

TEST(a_line_has_a_bound)
{
	static char  big[FRAME_MAX + 1];
	struct lines l = { 0 };
	struct slice line;

	memset(big, 'x', sizeof big);
	big[FRAME_MAX - 1] = '\n';
	EXPECT_INT(lines_put(&l, (struct slice){ big, FRAME_MAX }), ERR_OK);
	EXPECT_INT(lines_next(&l, &line), ERR_OK);
	EXPECT_INT(line.n, FRAME_MAX - 1);
	big[FRAME_MAX - 1] = 'x';
	EXPECT_INT(lines_put(&l, (struct slice){ big, FRAME_MAX }), ERR_OK);
	EXPECT_INT(lines_next(&l, &line), ERR_TOO_LARGE);
	EXPECT_INT(lines_next(&l, &line), ERR_TOO_LARGE);
	lines_put(&l, SLICE("\n"));
	EXPECT_INT(lines_next(&l, &line), ERR_TOO_LARGE);
	lines_free(&l);
}

TEST(frames_by_their_verb)
{
	static const struct {
		const char *line;
		enum err    err;
		enum verb   verb;
	} rows[] = {
		{ "{\"op\":\"ack\",\"ev\":\"E\"}", ERR_OK, VERB_ACK },
		{ "{\"op\":\"hello\"}", ERR_OK, VERB_HELLO },
		{ "{\"op\":\"of the future\"}", ERR_OK, VERB_UNKNOWN },
		{ "{\"op\":7}", ERR_OK, VERB_UNKNOWN },
		{ "{}", ERR_OK, VERB_UNKNOWN },
		{ "", ERR_OK, VERB_STRAY },
		{ "\xef\xbb\xbf{\"op\":\"hello\"}", ERR_OK, VERB_HELLO },
		{ "\xef\xbb\xbf", ERR_OK, VERB_STRAY },
		{ "hello", ERR_OK, VERB_STRAY },
		{ "[1]", ERR_OK, VERB_STRAY },
		{ "7", ERR_OK, VERB_STRAY },
		{ "{", ERR_SYNTAX, VERB_STRAY },
		{ "{\"op\":\"ack\"", ERR_SYNTAX, VERB_STRAY },
		{ "{\"op\":\"ack\"} x", ERR_SYNTAX, VERB_STRAY },
		{ "{\"op\":\"\xff\"}", ERR_SYNTAX, VERB_STRAY },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct frame f;

		EXPECT_INT(frame_read(&f, slice_of(rows[i].line)),
		    rows[i].err);
		if (rows[i].err == ERR_OK)
			EXPECT_INT(f.verb, rows[i].verb);
		frame_free(&f);
	}
}

static const char *
with_of(const struct frame_order *o)
{
	static char  text[512];
	struct json *j = NULL;
	struct slice s;

	text[0] = '\0';
	if (o->with.n > 0 &&
	    json_from_msgpack(&j, buf_slice(&o->with)) == ERR_OK) {
		s = json_print(j);
		snprintf(text, sizeof text, "%.*s", (int)s.n, s.p);
	}
	json_free(&j);
	return text;
}

TEST(orders)
{
	static const struct {
		const char *line, *wrong, *do_, *text, *with, *ref;
		unsigned    n;
	} rows[] = {
		{ "{\"op\":\"reply\",\"ev\":\"E\",\"text\":\"hi\"}", NULL,
		    "reply", "hi", "", "", 0 },
		{ "{\"op\":\"reply\",\"ev\":\"E\",\"text\":7,\"n\":2,\"id\":9,"
		  "\"keyboard\":{\"id\":\"K\"},\"quote\":true}", NULL,
		    "reply", "7", "{\"keyboard\":{\"id\":\"K\"},\"quote\":true}",
		    "9", 2 },
		{ "{\"op\":\"reply\",\"markdown\":\"*a*\",\"id\":\"x\"}", NULL,
		    "reply", "", "{\"markdown\":\"*a*\"}", "\"x\"", 0 },
		{ "{\"op\":\"reply\",\"id\" : 340282366920938463463374607431"
		  "768211455 ,\"a\":1}", NULL, "reply", "", "{\"a\":1}",
		    "340282366920938463463374607431768211455", 0 },
		{ "{\"op\":\"reply\",\"id\":1,\"id\":2.50}", NULL, "reply", "",
		    "", "2.50", 0 },
		{ "{\"op\":\"reply\",\"\\u0069d\":5}", NULL, "reply", "", "",
		    "5", 0 },
		{ "{\"op\":\"reply\",\"text\":[]}", "text: is no text", "", "",
		    "", "", 0 },
		{ "{\"op\":\"reply\",\"n\":0}", "n: replies are numbered 1, 2, "
		    "...", "", "", "", "", 0 },
		{ "{\"op\":\"reply\",\"id\":{}}",
		    "id: is neither a number nor a text", "", "", "", "", 0 },
		{ "{\"op\":\"call\",\"do\":\"typing\",\"with\":{\"seconds\":5,"
		  "\"text\":\"t\"}}", NULL, "typing", "",
		    "{\"seconds\":5,\"text\":\"t\"}", "", 0 },
		{ "{\"op\":\"call\",\"do\":\"send\",\"with\":{\"conv\":\"g:1\","
		  "\"text\":\"t\",\"key\":\"k\",\"n\":2}}", NULL, "send", "t",
		    "{\"key\":\"k\"}", "", 2 },
		{ "{\"op\":\"call\",\"do\":\"me\"}", NULL, "me", "", "", "",
		    0 },
		{ "{\"op\":\"call\"}", "do: which operation", "", "", "", "",
		    0 },
		{ "{\"op\":\"call\",\"do\":\"me\",\"with\":[]}",
		    "with: is not an object", "", "", "", "", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct frame       f;
		struct frame_order o;
		const char        *wrong;

		EXPECT_INT(frame_read(&f, slice_of(rows[i].line)), ERR_OK);
		wrong = frame_order(&o, &f);
		EXPECT_STR(wrong != NULL ? wrong : "",
		    rows[i].wrong != NULL ? rows[i].wrong : "");
		if (wrong == NULL) {
			EXPECT_SLICE(o.do_, rows[i].do_);
			EXPECT_SLICE(o.text, rows[i].text);
			EXPECT_SLICE(o.ref, rows[i].ref);
			EXPECT_STR(with_of(&o), rows[i].with);
			EXPECT_INT(o.n, rows[i].n);
		}
		frame_order_free(&o);
		frame_free(&f);
	}
}

TEST(an_event_as_handlers_read_it)
{
	struct buf       packed = { 0 }, out = { 0 };
	struct json     *list = NULL;
	struct msg_event ev = { .id = SLICE("m:1"), .attempt = 2,
		.type = SLICE("message.group"), .bot = SLICE("1"),
		.conv = SLICE("g:G"), .user = SLICE("U"), .msg = SLICE("M"),
		.time = 9007199254740993, .raw = SLICE("{\"x\":1}") };

	json_parse(&list, SLICE("[{\"kind\":\"image\"}]"));
	json_to_msgpack(list, &packed);
	json_free(&list);
	ev.attachments = buf_slice(&packed);
	frame_event(&ev, false, &out);
	EXPECT_SLICE(buf_slice(&out),
	    "{\"op\":\"event\",\"attempt\":2,\"id\":\"m:1\","
	    "\"type\":\"message.group\",\"bot\":\"1\",\"conv\":\"g:G\","
	    "\"time\":9007199254740993,\"user\":\"U\",\"name\":\"\","
	    "\"role\":\"\",\"to_me\":false,\"text\":\"\",\"msg\":\"M\","
	    "\"attachments\":[{\"kind\":\"image\"}]}\n");
	buf_reset(&out);
	ev = (struct msg_event){ .id = SLICE("E"), .type = SLICE("friend.add"),
		.deadline = 5, .raw = SLICE("{\"x\":1}") };
	frame_event(&ev, true, &out);
	EXPECT_SLICE(buf_slice(&out),
	    "{\"op\":\"event\",\"attempt\":0,\"id\":\"E\","
	    "\"type\":\"friend.add\",\"bot\":\"\",\"conv\":\"\",\"time\":0,"
	    "\"text\":\"\",\"deadline\":5,\"replies_left\":0,"
	    "\"raw\":{\"x\":1}}\n");
	buf_free(&out);
	buf_free(&packed);
}

TEST(results)
{
	struct buf        out = { 0 };
	struct msg_result good = { .ok = true }, bad = { .code = SLICE("QUOTA"),
		.message = SLICE("5 of 5"), .platform_code = 22009 };

	frame_result(&good, SLICE("7"), &out);
	frame_result(&bad, SLICE("\"a\""), &out);
	frame_result(&good, SLICE("18446744073709551616"), &out);
	EXPECT_SLICE(buf_slice(&out),
	    "{\"op\":\"result\",\"id\":7,\"ok\":true}\n"
	    "{\"op\":\"result\",\"id\":\"a\",\"ok\":false,\"code\":\"QUOTA\","
	    "\"message\":\"5 of 5\",\"platform_code\":22009}\n"
	    "{\"op\":\"result\",\"id\":18446744073709551616,\"ok\":true}\n");
	buf_free(&out);
}

int
main(void)
{
	RUN(lines_come_whole_however_they_are_cut);
	RUN(a_line_has_a_bound);
	RUN(frames_by_their_verb);
	RUN(orders);
	RUN(an_event_as_handlers_read_it);
	RUN(results);
	return test_done();
}
