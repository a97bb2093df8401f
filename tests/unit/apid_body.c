// links: apid/body.c apid/call.c apid/params.c apid/shape.c common
/*
 * Messages: what becomes of the words of handlers in each kind of
 * conversation, and what is refused, by name.
 */
#include "test.h"

#include "call.h"

#define BUTTON(id)                                                           \
	"{\"id\":\"" id "\",\"render_data\":{\"label\":\"go\"},"             \
	"\"action\":{\"type\":1,\"permission\":{\"type\":2}}}"
#define FIVE                                                                 \
	BUTTON("1") "," BUTTON("2") "," BUTTON("3") "," BUTTON("4") ","      \
	BUTTON("5")
#define KEYS(rows) "{\"content\":{\"rows\":[" rows "]}}"
#define ROW "{\"buttons\":[" BUTTON("") "]}"

/* m: a call of message M1; e: of event E1. */
static const struct {
	const char *do_, *conv;
	char        anchor;
	const char *text, *with;
	enum result result;
	const char *says;       /* the body, or how the complaint begins */
} rows[] = {
	/* text */
	{ "reply", "u:U", 'm', "a<b&c>", "", RESULT_OK,
	    "{\"msg_type\":0,\"content\":\"a<b&c>\",\"msg_id\":\"M1\","
	    "\"msg_seq\":2}" },
	{ "reply", "c:C", 'm', "a<b&c> &amp;", "", RESULT_OK,
	    "{\"content\":\"a&lt;b&amp;c&gt; &amp;amp;\",\"msg_id\":\"M1\"}" },
	{ "send", "d:D", 0, "<@!1> & co", "{\"markup\":true}", RESULT_OK,
	    "{\"content\":\"<@!1> & co\"}" },
	{ "send", "g:G", 0, "hi", "{\"at\":[\"U1\",\"U2\"]}", RESULT_OK,
	    "{\"msg_type\":0,\"content\":\"<qqbot-at-user id=\\\"U1\\\" /> "
	    "<qqbot-at-user id=\\\"U2\\\" /> hi\"}" },
	{ "send", "c:C", 0, "a<b", "{\"at\":\"all\"}", RESULT_OK,
	    "{\"content\":\"<qqbot-at-everyone /> a&lt;b\"}" },
	{ "send", "c:C", 0, "", "{\"at\":[\"1\"]}", RESULT_OK,
	    "{\"content\":\"<qqbot-at-user id=\\\"1\\\" /> \"}" },
	{ "send", "g:G", 0, "x", "{\"at\":[\"all\"]}", RESULT_UNSUPPORTED,
	    "at:" },
	{ "send", "u:U", 0, "x", "{\"at\":[\"1\"]}", RESULT_UNSUPPORTED,
	    "at:" },
	{ "send", "c:C", 0, "x", "{\"at\":[\"\\\"><\"]}", RESULT_BAD_ARG,
	    "at:" },
	{ "send", "u:U", 0, "", "", RESULT_BAD_ARG, "text:" },
	{ "send", "u:U", 0, " \n", "{\"quote\":\"REFIDX_1\"}", RESULT_BAD_ARG,
	    "text:" },
	{ "send", "u:U", 0, "x", "{\"sticker\":1}", RESULT_UNSUPPORTED,
	    "sticker:" },
	/* markdown */
	{ "reply", "g:G", 'e', "", "{\"markdown\":\"# x\"}", RESULT_OK,
	    "{\"msg_type\":2,\"markdown\":{\"content\":\"# x\"},"
	    "\"event_id\":\"E1\",\"msg_seq\":2}" },
	{ "send", "c:C", 0, "", "{\"markdown\":\"a<b\",\"keyboard\":\"K1\"}",
	    RESULT_OK,
	    "{\"markdown\":{\"content\":\"a<b\"},"
	    "\"keyboard\":{\"id\":\"K1\"}}" },
	{ "send", "u:U", 0, "", "{\"markdown\":{\"custom_template_id\":\"1_2\","
	    "\"params\":[{\"key\":\"t\",\"values\":[\"v\"]}]}}", RESULT_OK,
	    "{\"msg_type\":2,\"markdown\":{\"custom_template_id\":\"1_2\","
	    "\"params\":[{\"key\":\"t\",\"values\":[\"v\"]}]}}" },
	{ "send", "g:G", 0, "", "{\"markdown\":\"x\",\"at\":[\"U1\"]}",
	    RESULT_OK,
	    "{\"msg_type\":2,\"markdown\":{\"content\":"
	    "\"<qqbot-at-user id=\\\"U1\\\" /> x\"}}" },
	{ "send", "u:U", 0, "x", "{\"markdown\":\"y\"}", RESULT_TOO_MUCH,
	    "text and markdown" },
	{ "send", "u:U", 0, "", "{\"markdown\":\"\"}", RESULT_BAD_ARG,
	    "markdown:" },
	{ "send", "u:U", 0, "", "{\"markdown\":{}}", RESULT_BAD_ARG,
	    "markdown:" },
	{ "send", "u:U", 0, "", "{\"markdown\":{\"content\":\"a\","
	    "\"custom_template_id\":\"b\"}}", RESULT_BAD_ARG, "markdown:" },
	{ "send", "u:U", 0, "", "{\"markdown\":{\"custom_template_id\":\"b\","
	    "\"params\":[{\"key\":\"k\",\"values\":[\"\"]}]}}",
	    RESULT_BAD_ARG, "markdown:" },
	{ "send", "u:U", 0, "", "{\"markdown\":true}", RESULT_BAD_ARG,
	    "markdown:" },
	/* keyboard */
	{ "send", "g:G", 0, "", "{\"keyboard\":\"K1\"}", RESULT_OK,
	    "{\"msg_type\":2,\"keyboard\":{\"id\":\"K1\"}}" },
	{ "send", "u:U", 0, "", "{\"markdown\":\"x\",\"keyboard\":"
	    KEYS("{\"buttons\":[" FIVE "]}") "}", RESULT_OK, NULL },
	{ "send", "u:U", 0, "", "{\"markdown\":\"x\",\"keyboard\":"
	    KEYS("{\"buttons\":[" FIVE "," BUTTON("6") "]}") "}",
	    RESULT_BAD_ARG, "keyboard: a row has 5" },
	{ "send", "u:U", 0, "", "{\"markdown\":\"x\",\"keyboard\":"
	    KEYS(ROW "," ROW "," ROW "," ROW "," ROW) "}", RESULT_OK, NULL },
	{ "send", "u:U", 0, "", "{\"markdown\":\"x\",\"keyboard\":"
	    KEYS(ROW "," ROW "," ROW "," ROW "," ROW "," ROW) "}",
	    RESULT_BAD_ARG, "keyboard: has 5 rows" },
	{ "send", "u:U", 0, "", "{\"markdown\":\"x\",\"keyboard\":"
	    KEYS("{\"buttons\":[" BUTTON("1") "," BUTTON("1") "]}") "}",
	    RESULT_BAD_ARG, "keyboard: two buttons" },
	{ "send", "u:U", 0, "", "{\"markdown\":\"x\",\"keyboard\":"
	    KEYS("{\"buttons\":[{\"render_data\":{\"label\":\"a\"},"
	         "\"action\":{\"type\":5}}]}") "}",
	    RESULT_BAD_ARG, "keyboard: a button has action" },
	{ "send", "u:U", 0, "", "{\"markdown\":\"x\",\"keyboard\":"
	    "{\"id\":\"1\",\"content\":{}}}", RESULT_BAD_ARG, "keyboard:" },
	{ "send", "u:U", 0, "x", "{\"keyboard\":\"K1\"}", RESULT_UNSUPPORTED,
	    "keyboard:" },
	{ "send", "u:U", 0, "", "{\"keyboard\":\"K1\",\"image\":\"a.png\"}",
	    RESULT_UNSUPPORTED, "keyboard:" },
	/* cards */
	{ "send", "g:G", 0, "", "{\"ark\":{\"template_id\":23,\"kv\":[{\"key\":"
	    "\"#DESC#\",\"value\":\"d\"},{\"key\":\"#LIST#\",\"obj\":[{"
	    "\"obj_kv\":[{\"key\":\"desc\",\"value\":\"x\"}]}]}]}}",
	    RESULT_OK,
	    "{\"msg_type\":3,\"ark\":{\"template_id\":23,\"kv\":[{\"key\":"
	    "\"#DESC#\",\"value\":\"d\"},{\"key\":\"#LIST#\",\"obj\":[{"
	    "\"obj_kv\":[{\"key\":\"desc\",\"value\":\"x\"}]}]}]}}" },
	{ "send", "g:G", 0, "", "{\"ark\":{\"template_id\":23,\"kv\":[{\"key\":"
	    "\"k\"}]}}", RESULT_BAD_ARG, "ark:" },
	{ "send", "g:G", 0, "", "{\"ark\":{\"kv\":[]}}", RESULT_BAD_ARG,
	    "ark:" },
	{ "send", "g:G", 0, "x", "{\"ark\":{\"template_id\":23}}",
	    RESULT_TOO_MUCH, "text and ark" },
	{ "reply", "d:D", 'm', "", "{\"embed\":{\"title\":\"t\",\"fields\":[{"
	    "\"name\":\"f\"}]}}", RESULT_OK,
	    "{\"embed\":{\"title\":\"t\",\"fields\":[{\"name\":\"f\"}]},"
	    "\"msg_id\":\"M1\"}" },
	{ "send", "u:U", 0, "", "{\"embed\":{\"title\":\"t\"}}",
	    RESULT_UNSUPPORTED, "embed:" },
	{ "send", "c:C", 0, "", "{\"embed\":{\"fields\":[{}]}}",
	    RESULT_BAD_ARG, "embed:" },
	/* files */
	{ "reply", "u:U", 'm', "see", "{\"image\":\"a.png\"}", RESULT_OK,
	    "{\"msg_type\":7,\"content\":\"see\",\"msg_id\":\"M1\","
	    "\"msg_seq\":2}" },
	{ "send", "c:C", 0, "see", "{\"image\":\"a.png\"}", RESULT_OK,
	    "{\"content\":\"see\"}" },
	{ "send", "u:U", 0, "", "{\"media\":\"FI\"}", RESULT_OK,
	    "{\"msg_type\":7,\"media\":{\"file_info\":\"FI\"}}" },
	{ "send", "u:U", 0, "x", "{\"audio\":\"a.silk\"}", RESULT_TOO_MUCH,
	    "text and audio" },
	{ "send", "u:U", 0, "", "{\"audio\":\"a\",\"image\":\"b\"}",
	    RESULT_TOO_MUCH, "image and audio" },
	{ "send", "c:C", 0, "", "{\"video\":\"a.mp4\"}", RESULT_UNSUPPORTED,
	    "video:" },
	{ "send", "d:D", 0, "", "{\"file\":\"a.zip\"}", RESULT_UNSUPPORTED,
	    "file:" },
	{ "send", "u:U", 0, "", "{\"image\":\"\"}", RESULT_BAD_ARG, "image:" },
	{ "send", "u:U", 0, "", "{\"image\":{}}", RESULT_BAD_ARG, "image:" },
	/* quotes */
	{ "reply", "c:C", 'm', "x", "{\"quote\":true}", RESULT_OK,
	    "{\"content\":\"x\",\"message_reference\":{\"message_id\":\"M1\","
	    "\"ignore_get_message_error\":true},\"msg_id\":\"M1\"}" },
	{ "reply", "u:U", 'm', "x", "{\"quote\":true,\"ref\":\"REFIDX_7\"}",
	    RESULT_OK,
	    "{\"msg_type\":0,\"content\":\"x\",\"message_reference\":{"
	    "\"message_id\":\"REFIDX_7\",\"ignore_get_message_error\":true},"
	    "\"msg_id\":\"M1\",\"msg_seq\":2}" },
	{ "reply", "u:U", 'm', "x", "{\"quote\":true}", RESULT_OK,
	    "{\"msg_type\":0,\"content\":\"x\",\"msg_id\":\"M1\","
	    "\"msg_seq\":2}" },
	{ "reply", "u:U", 'm', "x", "{\"quote\":false}", RESULT_OK,
	    "{\"msg_type\":0,\"content\":\"x\",\"msg_id\":\"M1\","
	    "\"msg_seq\":2}" },
	{ "send", "g:G", 0, "x", "{\"quote\":\"ROBOT1.0_x\"}", RESULT_BAD_ARG,
	    "quote:" },
	{ "send", "g:G", 0, "x", "{\"quote\":true}", RESULT_BAD_ARG,
	    "quote:" },
	{ "send", "c:C", 0, "x", "{\"reference\":{\"message_id\":\"9\"}}",
	    RESULT_OK,
	    "{\"content\":\"x\",\"message_reference\":{\"message_id\":\"9\"}}" },
	{ "send", "c:C", 0, "x", "{\"reference\":{\"message_id\":\"9\"},"
	    "\"quote\":\"9\"}", RESULT_BAD_ARG, "quote, reference:" },
	/* what else */
	{ "send", "u:U", 0, "x", "{\"wakeup\":true}", RESULT_OK,
	    "{\"msg_type\":0,\"content\":\"x\",\"is_wakeup\":true}" },
	{ "reply", "u:U", 'm', "x", "{\"wakeup\":true}", RESULT_BAD_ARG,
	    "wakeup:" },
	{ "send", "g:G", 0, "x", "{\"wakeup\":true}", RESULT_UNSUPPORTED,
	    "wakeup:" },
	{ "send", "u:U", 0, "x", "{\"prompt_keyboard\":{\"keyboard\":"
	    KEYS(ROW) "},\"subscribe_id\":\"S\"}", RESULT_OK, NULL },
	{ "send", "u:U", 0, "x", "{\"prompt_keyboard\":{}}", RESULT_BAD_ARG,
	    "prompt_keyboard:" },
	/* typing */
	{ "typing", "u:U", 'm', "", "{\"seconds\":5}", RESULT_OK, NULL },
	{ "typing", "u:U", 'm', "", "{\"seconds\":61}", RESULT_BAD_ARG,
	    "seconds:" },
	{ "typing", "u:U", 0, "", "", RESULT_BAD_ARG, "msg:" },
	{ "typing", "c:C", 'm', "", "", RESULT_UNSUPPORTED, "conv:" },
	/* streams */
	{ "stream", "u:U", 'm', "so", "{\"index\":0}", RESULT_OK,
	    "{\"input_mode\":\"replace\",\"input_state\":1,\"index\":0,"
	    "\"content_type\":\"markdown\",\"content_raw\":\"so\","
	    "\"msg_id\":\"M1\",\"msg_seq\":16386}" },
	{ "stream", "u:U", 'm', "so far", "{\"index\":\"3\",\"id\":\"S1\","
	    "\"final\":true,\"append\":true,\"format\":\"text\"}", RESULT_OK,
	    "{\"input_mode\":\"append\",\"input_state\":10,\"index\":3,"
	    "\"content_type\":\"text\",\"content_raw\":\"so far\","
	    "\"msg_id\":\"M1\",\"stream_msg_id\":\"S1\",\"msg_seq\":16386}" },
	{ "stream", "u:U", 'm', "x", "", RESULT_BAD_ARG, "index:" },
	{ "stream", "u:U", 'm', "x", "{\"index\":1}", RESULT_BAD_ARG, "id:" },
	{ "stream", "u:U", 'm', "x", "{\"index\":0,\"id\":\"S\"}",
	    RESULT_BAD_ARG, "id:" },
	{ "stream", "u:U", 'm', "", "{\"index\":0}", RESULT_BAD_ARG, "text:" },
	{ "stream", "u:U", 'm', "", "{\"index\":2,\"id\":\"S\",\"final\":true,"
	    "\"append\":true}", RESULT_OK, NULL },
	{ "stream", "u:U", 'm', "x", "{\"index\":0,\"wakeup\":true}",
	    RESULT_BAD_ARG, "wakeup:" },
	{ "stream", "u:U", 'm', "x", "{\"index\":0,\"format\":\"html\"}",
	    RESULT_BAD_ARG, "format:" },
	{ "stream", "g:G", 'm', "x", "{\"index\":0}", RESULT_UNSUPPORTED,
	    "conv:" },
	/* others */
	{ "interaction", "", 0, "", "{\"id\":\"I1\"}", RESULT_OK,
	    "{\"code\":0}" },
	{ "interaction", "", 0, "", "{\"id\":\"I1\",\"code\":6}",
	    RESULT_BAD_ARG, "code:" },
	{ "interaction", "", 0, "", "", RESULT_BAD_ARG, "id:" },
	{ "member", "g:G", 0, "", "{\"user\":\"U\"}", RESULT_OK, "" },
	{ "member", "c:C", 0, "", "{\"user\":\"U\"}", RESULT_BAD_ARG,
	    "guild:" },
	{ "member", "u:U", 0, "", "{\"user\":\"U\"}", RESULT_UNSUPPORTED,
	    "conv:" },
	{ "upload", "u:U", 0, "", "{\"type\":\"image\",\"source\":\"a\"}",
	    RESULT_OK, "" },
	{ "upload", "u:U", 0, "", "{\"type\":\"card\",\"source\":\"a\"}",
	    RESULT_BAD_ARG, "type:" },
	{ "upload", "c:C", 0, "", "{\"type\":\"image\",\"source\":\"a\"}",
	    RESULT_UNSUPPORTED, "conv:" },
	{ "download", "", 0, "", "{\"url\":\"https://x.example/a\"}",
	    RESULT_OK, "" },
	{ "download", "", 0, "", "{\"url\":\"x.example/a\"}", RESULT_OK, "" },
	{ "download", "", 0, "", "{\"url\":\"//x.example/a\"}", RESULT_OK, "" },
	{ "download", "", 0, "", "{\"url\":\"/etc/passwd\"}", RESULT_BAD_ARG,
	    "url:" },
	{ "download", "", 0, "", "{\"url\":\"file:///etc/passwd\"}",
	    RESULT_BAD_ARG, "url:" },
	{ "download", "", 0, "", "{\"url\":\"https://\"}", RESULT_BAD_ARG,
	    "url:" },
};

/* A call of row i; `packed` keeps its arguments. */
static struct msg_call
call_of(size_t i, struct buf *packed)
{
	struct json    *with = NULL;
	struct msg_call m = { .id = SLICE("1"), .bot = SLICE("7"),
		.ev = SLICE("m:1"), .n = 2, .do_ = slice_of(rows[i].do_),
		.conv = slice_of(rows[i].conv),
		.text = slice_of(rows[i].text) };

	if (rows[i].anchor == 'm')
		m.msg = SLICE("M1");
	if (rows[i].anchor == 'e')
		m.event = SLICE("E1");
	if (rows[i].with[0] != '\0') {
		EXPECT_INT(json_parse(&with, slice_of(rows[i].with)), ERR_OK);
		EXPECT_INT(json_to_msgpack(with, packed), ERR_OK);
		m.with = buf_slice(packed);
		json_free(&with);
	}
	return m;
}

TEST(messages)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf      packed = { 0 }, body = { 0 };
		struct msg_call m = call_of(i, &packed);
		struct call     c;
		const char     *why, *says = rows[i].says;
		enum result     r = call_read(&c, &m, false, &why);

		EXPECT_INT(r, rows[i].result);
		if (r != rows[i].result)
			printf("# row %zu: %s %s %s: %s\n", i, rows[i].do_,
			    rows[i].conv, rows[i].with, why ? why : "");
		if (r == RESULT_OK)
			EXPECT_INT(call_body(&c, &body), ERR_OK);
		if (r == RESULT_OK && says != NULL)
			EXPECT_SLICE(buf_slice(&body), says);
		if (r != RESULT_OK && says != NULL &&
		    strncmp(why, says, strlen(says)) != 0)
			EXPECT_STR(why, says);
		call_free(&c);
		buf_free(&packed);
		buf_free(&body);
	}
}

/* The index comes along with the call; the argument wins. */
TEST(the_message_answered_is_quoted)
{
	static const struct {
		const char  *conv;
		struct slice with;
		const char  *quotes;
	} quotes[] = {
		{ "u:U", SLICE("\x81\xa5quote\xc3"), "REFIDX_7" },
		{ "g:G", SLICE("\x82\xa5quote\xc3\xa3ref\xa8REFIDX_8"),
		    "REFIDX_8" },
		{ "c:C", SLICE("\x81\xa5quote\xc3"), "M1" },
		{ "u:U", SLICE("\x80"), "" },
	};

	for (size_t i = 0; i < sizeof quotes / sizeof *quotes; i++) {
		struct msg_call m = { .id = SLICE("a"), .do_ = SLICE("reply"),
			.ev = SLICE("m:1"), .n = 1, .msg = SLICE("M1"),
			.conv = slice_of(quotes[i].conv), .text = SLICE("x"),
			.ref = SLICE("REFIDX_7"), .with = quotes[i].with };
		struct call     c;
		const char     *why;

		EXPECT_INT(call_read(&c, &m, false, &why), RESULT_OK);
		EXPECT_SLICE(json_text_at(c.body,
		    "message_reference.message_id"), quotes[i].quotes);
		call_free(&c);
	}
}

/* The number of a sign of typing is no reply's, the same for the same call. */
TEST(typing_has_a_number_of_its_own)
{
	int64_t seq[3];

	for (size_t i = 0; i < 3; i++) {
		struct msg_call m = { .id = i < 2 ? SLICE("a") : SLICE("b"),
			.do_ = SLICE("typing"), .conv = SLICE("u:U"),
			.msg = SLICE("M") };
		struct call     c;
		const char     *why;

		EXPECT_INT(call_read(&c, &m, false, &why), RESULT_OK);
		EXPECT(json_int_at(c.body, "msg_seq", &seq[i]));
		EXPECT(json_int_at(c.body, "msg_type", &(int64_t){ 0 }));
		EXPECT(!c.appears && c.passive && !c.speaks);
		EXPECT(seq[i] >= 32768 && seq[i] < 65536);
		call_free(&c);
	}
	EXPECT(seq[0] == seq[1] && seq[0] != seq[2]);
}

TEST(files_that_are_wanted)
{
	static const struct {
		const char *do_, *with;
		unsigned    type;
		enum call_work work;
	} wants[] = {
		{ "send", "{\"image\":\"a\",\"name\":\"n\"}", 1, WORK_REQUEST },
		{ "send", "{\"video\":\"a\",\"name\":\"n\"}", 2, WORK_REQUEST },
		{ "send", "{\"audio\":\"a\",\"name\":\"n\"}", 3, WORK_REQUEST },
		{ "send", "{\"file\":\"a\",\"name\":\"n\"}", 4, WORK_REQUEST },
		{ "upload", "{\"type\":\"file\",\"source\":\"a\","
		    "\"name\":\"n\"}", 4, WORK_UPLOAD },
	};

	for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
		struct buf      packed = { 0 };
		struct json    *with;
		struct msg_call m = { .do_ = slice_of(wants[i].do_),
			.conv = SLICE("g:G") };
		struct call     c;
		const char     *why;

		EXPECT_INT(json_parse(&with, slice_of(wants[i].with)), ERR_OK);
		json_to_msgpack(with, &packed);
		m.with = buf_slice(&packed);
		EXPECT_INT(call_read(&c, &m, false, &why), RESULT_OK);
		EXPECT(c.media.wanted);
		EXPECT_INT(c.media.type, wants[i].type);
		EXPECT_SLICE(c.media.source, "a");
		EXPECT_SLICE(c.media.name, "n");
		EXPECT_INT(c.work, wants[i].work);
		call_free(&c);
		json_free(&with);
		buf_free(&packed);
	}
}

TEST(what_became_of_a_file_goes_into_the_body)
{
	struct buf out = { 0 };

	EXPECT_INT(call_put_media(SCOPE_GROUP, SLICE("{\"msg_type\":7}"),
	               SLICE("F\"I"), &out), ERR_OK);
	EXPECT_STR(out.p, "{\"msg_type\":7,\"media\":{\"file_info\":"
	                  "\"F\\\"I\"}}");
	buf_reset(&out);
	EXPECT_INT(call_put_media(SCOPE_DM, SLICE("{}"),
	               SLICE("https://a.example/b"), &out), ERR_OK);
	EXPECT_STR(out.p, "{\"image\":\"https://a.example/b\"}");
	buf_free(&out);
}

/* with: one value that is not UTF-8, and one that is no number. */
TEST(nothing_unreadable_is_sent)
{
	static const struct slice bad[] = {
		SLICE("\x81\xa8markdown\xa2\xff\xfe"),
		SLICE("\x81\xa3""ark\xcb\x7f\xf8\0\0\0\0\0\0"),
	};

	for (size_t i = 0; i < 2; i++) {
		struct msg_call m = { .do_ = SLICE("send"),
			.conv = SLICE("u:U"), .with = bad[i] };
		struct call     c;
		const char     *why;

		EXPECT_INT(call_read(&c, &m, false, &why), RESULT_BAD_ARG);
		call_free(&c);
	}
}

int
main(void)
{
	RUN(messages);
	RUN(the_message_answered_is_quoted);
	RUN(typing_has_a_number_of_its_own);
	RUN(files_that_are_wanted);
	RUN(what_became_of_a_file_goes_into_the_body);
	RUN(nothing_unreadable_is_sent);
	return test_done();
}
