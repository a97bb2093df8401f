// links: cli/scrub.c common
// libs: libcrypto
/*
 * scrub: who is in an event, and who is not any more.
 */
#include "test.h"

#include <stdlib.h>

#include "json.h"
#include "scrub.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

static struct json *
scrubbed(const struct scrub *s, const char *line)
{
	struct buf   out = { 0 };
	struct json *doc = NULL;

	EXPECT(scrub_event(s, slice_of(line), &out) == ERR_OK);
	EXPECT(out.n > 0 && out.p[out.n - 1] == '\n');
	EXPECT(json_parse(&doc, slice_trim(buf_slice(&out))) == ERR_OK);
	buf_free(&out);
	return doc;
}

#define OPENID "0A1B2C3D4E5F60718293A4B5C6D7E8F1"
#define MESSAGE "{\"op\":\"event\",\"attempt\":1,"                            \
	"\"id\":\"m:ROBOT1.0_abc.123@102000001/g:" OPENID "\","              \
	"\"type\":\"message.group\",\"bot\":\"102000001\","                  \
	"\"conv\":\"g:" OPENID "\",\"time\":1699249038000,"                  \
	"\"user\":\"" OPENID "\",\"name\":\"Li Lei\",\"role\":\"owner\","    \
	"\"to_me\":true,\"text\":\"@Li Lei call 13812345678, ok 12?\","      \
	"\"msg\":\"ROBOT1.0_abc.123\",\"deadline\":1699249338000,"           \
	"\"replies_left\":5,\"attachments\":[{\"kind\":\"image\","           \
	"\"url\":\"https://example.org/a?rkey=SECRET\","                     \
	"\"name\":\"Li Lei.png\",\"size\":123456}],"                         \
	"\"mentions\":[{\"user\":\"" OPENID "\",\"name\":\"Han\"}],"         \
	"\"data\":{\"number\":1440000000000000001,\"few\":[1,-1,1.5,null],"  \
	"\"new\":\"Han Meimei\",\"avatar\":\"https://q.example/" OPENID      \
	"/640\"}}"

TEST(what_an_event_keeps_and_what_not)
{
	static const char *const gone[] = { OPENID, "Li Lei", "13812345678",
		"abc.123", "SECRET", "Han", "1440000000000000001" };
	static const char *const kept[] = { "\"102000001\"", "\"owner\"",
		"1699249038000", "1699249338000", "123456", ", ok 12?",
		"https://example.org/a\"", "\"replies_left\":5", ".png",
		"[1,-1,1.5,null]", "@102000001/g:", "\"m:" };
	struct scrub s;
	struct buf   out = { 0 };
	struct json *doc;
	struct slice user, conv, id;

	EXPECT(scrub_open(&s, false) == ERR_OK);
	EXPECT(scrub_event(&s, SLICE(MESSAGE), &out) == ERR_OK);
	for (size_t i = 0; i < ROWS(gone); i++)
		EXPECT(strstr(out.p, gone[i]) == NULL);
	for (size_t i = 0; i < ROWS(kept); i++) {
		EXPECT(strstr(out.p, kept[i]) != NULL);
		if (strstr(out.p, kept[i]) == NULL)
			printf("# %s\n", kept[i]);
	}
	/* one and the same wherever it stands */
	EXPECT(json_parse(&doc, slice_trim(buf_slice(&out))) == ERR_OK);
	user = json_text_at(doc, "user");
	conv = json_text_at(doc, "conv");
	id = json_text_at(doc, "id");
	EXPECT(user.n == 32 && slice_eq(user, slice_from(conv, 2)));
	EXPECT(slice_eq(user, json_text_at(json_at(json_get(doc, "mentions"),
	    0), "user")));
	EXPECT(id.n > conv.n &&
	    slice_eq(conv, slice_from(id, id.n - conv.n)));
	EXPECT(memmem(id.p, id.n, json_text_at(doc, "msg").p, 32) != NULL);
	EXPECT(json_count(json_get(doc, "attachments")) == 1);
	json_free(&doc);
	buf_free(&out);
	scrub_close(&s);
}

TEST(the_same_in_one_file_and_another_in_the_next)
{
	struct scrub a, b;
	struct buf   one = { 0 }, two = { 0 }, other = { 0 };

	EXPECT(scrub_open(&a, false) == ERR_OK);
	EXPECT(scrub_open(&b, false) == ERR_OK);
	EXPECT(scrub_event(&a, SLICE(MESSAGE), &one) == ERR_OK);
	EXPECT(scrub_event(&a, SLICE(MESSAGE), &two) == ERR_OK);
	EXPECT(scrub_event(&b, SLICE(MESSAGE), &other) == ERR_OK);
	EXPECT(slice_eq(buf_slice(&one), buf_slice(&two)));
	EXPECT(!slice_eq(buf_slice(&one), buf_slice(&other)));
	buf_free(&one);
	buf_free(&two);
	buf_free(&other);
}

TEST(texts_can_go)
{
	struct scrub s;
	struct json *doc;

	EXPECT(scrub_open(&s, true) == ERR_OK);
	doc = scrubbed(&s, MESSAGE);
	EXPECT(json_is_string(json_get(doc, "text")));
	EXPECT_INT(json_text_at(doc, "text").n, 0);
	EXPECT(json_text_at(doc, "user").n == 32);
	json_free(&doc);
}

/* An id of digits is one still, within what 63 bits hold. */
TEST(ids)
{
	static const struct {
		const char *id;
		size_t      kept, digits, n;
	} rows[] = {
		{ "", 0, 0, 0 }, { "4", 1, 1, 1 }, { "1234", 4, 4, 4 },
		{ "12345", 0, 18, 18 }, { "1440000000000000001", 0, 18, 18 },
		{ OPENID, 0, 0, 32 }, { "x", 0, 0, 32 },
		{ "GUILD_MEMBER_ADD:abc", 17, 0, 17 + 32 },
		{ "C2C_MESSAGE_CREATE:1", 20, 0, 20 },
	};
	struct scrub s;

	EXPECT(scrub_open(&s, false) == ERR_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf         out = { 0 };
		unsigned long long v;

		scrub_id(&s, slice_of(rows[i].id), &out);
		EXPECT_INT(out.n, rows[i].n);
		EXPECT(rows[i].kept == 0 ||
		    memcmp(out.p, rows[i].id, rows[i].kept) == 0);
		EXPECT(rows[i].digits == 0 ||
		    (slice_u64(buf_slice(&out), &v) && v <= INT64_MAX));
		EXPECT(rows[i].kept > 0 || out.n == 0 ||
		    !slice_is(buf_slice(&out), rows[i].id));
		buf_free(&out);
	}
}

TEST(texts)
{
	/* want: # is any digit, and % any of an id */
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "plain 中文, 1234!", "plain 中文, 1234!" },
		{ "a12345b", "a#####b" },
		{ "12345678901234", "##############" },
		{ "<@!1234> <#16> <@everyone>",
		    "<@!##################> <###################> "
		    "<@everyone>" },
		{ "<@> <#", "<@> <#" },
		{ "see " OPENID ".",
		    "see %%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%." },
		{ "1440000000000000001", "##################" },
	};
	struct scrub s;

	EXPECT(scrub_open(&s, false) == ERR_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *want = rows[i].want;
		struct buf  out = { 0 };
		bool        same;

		scrub_text(&s, slice_of(rows[i].text), &out);
		same = out.n == strlen(want);
		for (size_t k = 0; same && k < out.n; k++)
			same = want[k] == out.p[k] || want[k] == '%' ||
			    (want[k] == '#' && out.p[k] >= '0' &&
			        out.p[k] <= '9');
		EXPECT(same);
		if (!same)
			printf("# %s: %s\n", rows[i].text, out.p);
		buf_free(&out);
	}
}

TEST(what_is_no_event)
{
	static const char *const rows[] = { "", "x", "[]", "1", "{" };
	struct scrub s;

	EXPECT(scrub_open(&s, false) == ERR_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf out = { 0 };

		EXPECT(scrub_event(&s, slice_of(rows[i]), &out) ==
		    ERR_SYNTAX);
		buf_free(&out);
	}
}

/* Posts carry JSON in a text. */
TEST(a_text_that_is_json)
{
	struct scrub s;
	struct json *doc, *in = NULL;

	EXPECT(scrub_open(&s, false) == ERR_OK);
	doc = scrubbed(&s, "{\"data\":{\"content\":\"[{\\\"type\\\":1,"
	    "\\\"text\\\":\\\"Hello\\\",\\\"channel_id\\\":1505272}]\"}}");
	EXPECT(json_parse(&in, json_text_at(doc, "data.content")) == ERR_OK);
	EXPECT(slice_is(json_text_at(json_at(in, 0), "text"), "Hello"));
	EXPECT_INT(json_text_at(json_at(in, 0), "channel_id").n, 18);
	json_free(&in);
	json_free(&doc);
}

int
main(void)
{
	RUN(what_an_event_keeps_and_what_not);
	RUN(the_same_in_one_file_and_another_in_the_next);
	RUN(texts_can_go);
	RUN(ids);
	RUN(texts);
	RUN(what_is_no_event);
	RUN(a_text_that_is_json);
	return test_done();
}
