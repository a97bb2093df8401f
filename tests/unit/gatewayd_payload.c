// links: gatewayd/payload.c common
/*
 * payload: frames in, however broken; and ours out, exactly as the platform's
 * samples have them.
 */
#include "test.h"

#include <stdlib.h>

#include "payload.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

TEST(the_envelope_is_read)
{
	static const struct {
		const char *text;
		int         op;
		int64_t     seq;
		const char *type, *id;
		bool        d;
	} rows[] = {
		{ "{\"op\":10,\"d\":{\"heartbeat_interval\":45000}}", 10, 0,
		  "", "", true },
		{ "{\"op\":0,\"s\":7,\"t\":\"X\",\"id\":\"E\",\"d\":1}", 0, 7,
		  "X", "E", true },
		{ "{\"op\":11}", 11, 0, "", "", false },
		{ "{\"op\":1,\"d\":null}", 1, 0, "", "", false },
		/* lenient about scalars, as the platform is */
		{ "{\"op\":\"7\"}", 7, 0, "", "", false },
		{ "{\"op\":0,\"s\":\"12\",\"t\":5,\"id\":6}", 0, 12, "5", "6",
		  false },
		{ "{\"op\":0,\"s\":-3}", 0, 0, "", "", false },
		{ "{\"op\":0,\"s\":0}", 0, 0, "", "", false },
		{ "{\"op\":0,\"s\":1.5}", 0, 0, "", "", false },
		{ "{\"op\":0,\"s\":{},\"t\":[],\"id\":{}}", 0, 0, "", "",
		  false },
		{ "{\"op\":0,\"s\":9223372036854775807}", 0, INT64_MAX, "", "",
		  false },
		{ "{\"op\":0,\"s\":9223372036854775808}", 0, 0, "", "", false },
		{ "{\"op\":0,\"s\":99999999999999999999999}", 0, 0, "", "",
		  false },
		{ "{\"op\":1000}", 1000, 0, "", "", false },
		/* the last of equal keys counts */
		{ "{\"op\":1,\"op\":2,\"s\":1,\"s\":2}", 2, 2, "", "", false },
		{ " \r\n{\"op\" : 0 }\t", 0, 0, "", "", false },
		{ "{\"unknown\":{\"op\":5},\"op\":7}", 7, 0, "", "", false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct payload p;

		EXPECT(payload_parse(&p, slice_of(rows[i].text)) == ERR_OK);
		if (p.op != rows[i].op || p.seq != rows[i].seq)
			printf("# %s\n", rows[i].text);
		EXPECT_INT(p.op, rows[i].op);
		EXPECT_INT(p.seq, rows[i].seq);
		EXPECT_SLICE(p.type, rows[i].type);
		EXPECT_SLICE(p.id, rows[i].id);
		EXPECT((p.d != NULL) == rows[i].d);
		payload_free(&p);
		EXPECT(p.doc == NULL);
	}
}

TEST(d_stays_as_it_came)
{
	struct payload p;

	EXPECT(payload_parse(&p, SLICE("{ \"op\": 0, \"d\": {\"a\": \"\\u6536\","
	                               " \"d\": 1.50} , \"s\": 1}")) == ERR_OK);
	EXPECT_SLICE(p.raw, "{\"a\": \"\\u6536\", \"d\": 1.50}");
	payload_free(&p);
	EXPECT(payload_parse(&p, SLICE("{\"op\":11}")) == ERR_OK);
	EXPECT_SLICE(p.raw, "");
	payload_free(&p);
}

TEST(what_is_no_frame_is_an_error)
{
	static const struct slice rows[] = {
		SLICE(""), SLICE(" "), SLICE("{"), SLICE("}"), SLICE("{}"),
		SLICE("[]"), SLICE("null"), SLICE("0"), SLICE("\"op\""),
		SLICE("[{\"op\":0}]"), SLICE("{\"op\":null}"),
		SLICE("{\"op\":true}"), SLICE("{\"op\":[]}"),
		SLICE("{\"op\":{}}"), SLICE("{\"op\":\"\"}"),
		SLICE("{\"op\":\"x\"}"), SLICE("{\"op\":-1}"),
		SLICE("{\"op\":1001}"), SLICE("{\"op\":1.5}"),
		SLICE("{\"op\":4294967296}"),
		SLICE("{\"op\":18446744073709551616}"),
		SLICE("{\"OP\":0}"), SLICE("{\"op\":0}x"),
		SLICE("{\"op\":0}{\"op\":1}"), SLICE("{'op':0}"),
		SLICE("{\"op\":0,}"), SLICE("{\"op\":0"),
		SLICE("{\"op\":0}\0"), SLICE("\0{\"op\":0}"),
		SLICE("{\"op\":0,\"t\":\"\xff\"}"),
		SLICE("{\"op\":0,\"t\":\"\xc0\x80\"}"),
		SLICE("{\"op\":0,\"t\":\"\xed\xa0\x80\"}"),
		SLICE("{\"op\":0,\"t\":\"a\nb\"}"),
		SLICE("{\"op\":NaN}"), SLICE("{\"op\":0x1}"),
		SLICE("{\"op\":01}"), SLICE("<html>502</html>"),
		SLICE("\xef\xbb\xbf{\"op\":0}"),
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct payload p;

		if (payload_parse(&p, rows[i]) != ERR_SYNTAX) {
			printf("# row %zu: %.*s\n", i, (int)rows[i].n,
			    rows[i].p);
			test_bad = true;
		}
		payload_free(&p);
	}
}

/* A frame cut off anywhere is an error, never half a frame. */
TEST(a_frame_cut_anywhere_is_none)
{
	static const char whole[] =
	    "{\"op\":0,\"s\":7,\"t\":\"X\",\"d\":{\"a\":[1,\"\\u6536\",null]}}";
	struct payload p;

	for (size_t n = 0; n < sizeof whole - 1; n++) {
		char *copy = malloc(n + 1); /* so that reading on is seen */

		memcpy(copy, whole, n);
		EXPECT(payload_parse(&p, (struct slice){ copy, n }) ==
		    ERR_SYNTAX);
		payload_free(&p);
		free(copy);
	}
	EXPECT(payload_parse(&p, SLICE(whole)) == ERR_OK);
	payload_free(&p);
}

TEST(depth_is_bounded)
{
	static const size_t depths[] = { 1, 20, 29, 40, 1000, 200000 };

	for (size_t i = 0; i < ROWS(depths); i++) {
		struct buf     b = { 0 };
		struct payload p;
		enum err       e;

		buf_puts(&b, "{\"op\":0,\"d\":");
		for (size_t k = 0; k < depths[i]; k++)
			buf_puts(&b, "[");
		for (size_t k = 0; k < depths[i]; k++)
			buf_puts(&b, "]");
		buf_puts(&b, "}");
		e = payload_parse(&p, buf_slice(&b));
		EXPECT(e == (depths[i] < 30 ? ERR_OK : ERR_SYNTAX));
		payload_free(&p);
		buf_free(&b);
	}
}

/* --- ours ------------------------------------------------------------------------ */

static struct json *
sample(const char *path)
{
	char         text[4096];
	FILE        *f = fopen(path, "r");
	size_t       n = f != NULL ? fread(text, 1, sizeof text, f) : 0;
	struct json *j = NULL;

	if (f != NULL)
		fclose(f);
	EXPECT(json_parse(&j, (struct slice){ text, n }) == ERR_OK);
	return j;
}

/* The bytes are those of the sample without its white space. */
static void
expect_sample(struct buf *b, const char *path)
{
	struct json *want = sample(path);

	EXPECT(!b->failed);
	EXPECT(slice_eq(buf_slice(b), json_print(want)));
	if (!slice_eq(buf_slice(b), json_print(want)))
		printf("# %s: %s\n", path, b->p);
	json_free(&want);
	buf_free(b);
}

TEST(our_frames_are_those_of_the_samples)
{
	struct buf   b = { 0 };
	struct json *want, *got = NULL;

	payload_heartbeat(&b, 251);
	expect_sample(&b, "tests/fixtures/out_heartbeat.json");
	payload_heartbeat(&b, 0);
	EXPECT_SLICE(buf_slice(&b), "{\"op\":1,\"d\":null}");
	buf_free(&b);
	payload_resume(&b, SLICE("ACCESS_TOKEN"),
	    "00000000-1111-4222-8333-444444444444", 1337);
	expect_sample(&b, "tests/fixtures/out_resume.json");
	payload_callback_ack(&b, true);
	expect_sample(&b, "tests/fixtures/op_callback_ack_reply.json");
	payload_callback_ack(&b, false);
	EXPECT_SLICE(buf_slice(&b), "{\"op\":12,\"d\":1}");
	buf_free(&b);
	payload_validation(&b, SLICE("PlainToken0123456789"),
	    SLICE("0a67c227b066247aea45a0ca61ea1e99f17c76f46b62de4557cc53f8"
	          "fac66a1df014eac979727049b4a4cdd234c9c34b8a21d09c573e74ea"
	          "2b8aa9b4f5ffd504"));
	expect_sample(&b, "tests/fixtures/op_callback_validation_reply.json");
	/* Identify: all but what names the program. */
	payload_identify(&b, SLICE("ACCESS_TOKEN"), 1107300352, 0, 1);
	want = sample("tests/fixtures/out_identify.json");
	EXPECT(json_parse(&got, buf_slice(&b)) == ERR_OK);
	EXPECT_SLICE(json_text_at(got, "d.properties.$browser"), "rookery");
	json_put_text(json_path(want, "d.properties"), "$browser",
	    SLICE("rookery"));
	json_put_text(json_path(want, "d.properties"), "$device",
	    SLICE("rookery"));
	EXPECT(slice_eq(json_print(got), json_print(want)));
	json_free(&got);
	json_free(&want);
	buf_free(&b);
}

TEST(what_goes_into_a_frame_is_escaped)
{
	struct buf     b = { 0 };
	struct payload p;

	payload_resume(&b, SLICE("a\"},\"op\":1,\"x\":{\""), "s\"\\\n", 5);
	EXPECT(payload_parse(&p, buf_slice(&b)) == ERR_OK);
	EXPECT_INT(p.op, OP_RESUME);
	EXPECT_SLICE(json_text_at(p.d, "token"),
	    "QQBot a\"},\"op\":1,\"x\":{\"");
	EXPECT_SLICE(json_text_at(p.d, "session_id"), "s\"\\\n");
	payload_free(&p);
	buf_free(&b);
	payload_identify(&b, SLICE("T"), UINT32_MAX, 63, 64);
	EXPECT(strstr(b.p, "\"intents\":4294967295") != NULL);
	EXPECT(strstr(b.p, "\"shard\":[63,64]") != NULL);
	buf_free(&b);
}

TEST(a_heartbeat_over_http_is_answered_with_its_number)
{
	static const struct {
		const char *frame, *answer;
	} rows[] = {
		{ "{\"op\":1,\"d\":7}", "{\"op\":11,\"d\":7}" },
		{ "{\"op\":1,\"d\":9223372036854775807}",
		  "{\"op\":11,\"d\":9223372036854775807}" },
		{ "{\"op\":1,\"d\":null}", "{\"op\":11}" },
		{ "{\"op\":1}", "{\"op\":11}" },
		{ "{\"op\":1,\"d\":{\"big\":[1]}}", "{\"op\":11}" },
		{ "{\"op\":1,\"d\":\"7\"}", "{\"op\":11}" },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf     b = { 0 };
		struct payload p;

		EXPECT(payload_parse(&p, slice_of(rows[i].frame)) == ERR_OK);
		payload_heartbeat_ack(&b, p.d);
		EXPECT_SLICE(buf_slice(&b), rows[i].answer);
		payload_free(&p);
		buf_free(&b);
	}
}

int
main(void)
{
	RUN(the_envelope_is_read);
	RUN(d_stays_as_it_came);
	RUN(what_is_no_frame_is_an_error);
	RUN(a_frame_cut_anywhere_is_none);
	RUN(depth_is_bounded);
	RUN(our_frames_are_those_of_the_samples);
	RUN(what_goes_into_a_frame_is_escaped);
	RUN(a_heartbeat_over_http_is_answered_with_its_number);
	return test_done();
}
