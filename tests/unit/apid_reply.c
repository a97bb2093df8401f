// links: apid/reply.c common
/*
 * What the platform's answers mean: its own, its proxies', and those of
 * nobody in particular.
 */
#include "test.h"

#include <stdlib.h>

#include "reply.h"

#define CLS(c) CLASS_##c
#define RES(r) RESULT_##r

static const struct {
	unsigned         status;
	const char      *body;
	enum reply_class cls;
	enum result      result;   /* 0: not looked at */
	uint64_t         code;
	const char      *msg, *audit;
} rows[] = {
	{ 200, "{\"id\":\"R1\",\"timestamp\":\"2026-01-02T03:04:05+08:00\"}",
	    CLS(DONE), 0, 0, "R1", "" },
	{ 200, "{\"id\":\"R1\",\"code\":0,\"err_code\":0}", CLS(DONE), 0, 0,
	    "R1", "" },
	{ 200, "{}", CLS(DONE), 0, 0, "", "" },
	{ 200, "", CLS(DONE), 0, 0, "", "" },
	{ 200, " \r\n", CLS(DONE), 0, 0, "", "" },
	{ 204, "", CLS(DONE), 0, 0, "", "" },
	{ 200, "{\"err_code\":40054005,\"message\":\"deduped\"}",
	    CLS(DUPLICATE), 0, 40054005, "", "" },
	{ 400, "{\"code\":40054005}", CLS(DUPLICATE), 0, 40054005, "", "" },
	{ 202, "{\"code\":304023,\"message\":\"push message is waiting\","
	       "\"data\":{\"message_audit\":{\"audit_id\":\"A1\"}}}",
	    CLS(NEEDS_AUDIT), 0, 304023, "", "A1" },
	{ 201, "{\"code\":304024}", CLS(NEEDS_AUDIT), 0, 304024, "", "" },
	{ 200, "{\"data\":{\"message_audit\":{\"audit_id\":\"A1\"}}}",
	    CLS(NEEDS_AUDIT), 0, 0, "", "A1" },
	{ 202, "{\"id\":\"R1\"}", CLS(DONE), 0, 0, "R1", "" },
	{ 202, "", CLS(DONE), 0, 0, "", "" },
	/* err_code wins over code, text over nothing, 0 is no error */
	{ 400, "{\"code\":11243,\"err_code\":40034128}", CLS(PERMANENT),
	    RES(REPLY_EXPIRED), 40034128, "", "" },
	{ 400, "{\"code\":\"40034005\",\"err_code\":0}", CLS(PERMANENT),
	    RES(REPLY_EXPIRED), 40034005, "", "" },
	{ 400, "{\"code\":-5}", CLS(PERMANENT), RES(REJECTED), UINT64_MAX,
	    "", "" },
	{ 200, "{\"code\":987654321}", CLS(PERMANENT), RES(PLATFORM),
	    987654321, "", "" },
	{ 400, "{\"code\":987654321}", CLS(PERMANENT), RES(REJECTED),
	    987654321, "", "" },
	{ 500, "{\"code\":987654321}", CLS(RETRY_LATER), RES(PLATFORM),
	    987654321, "", "" },
	{ 500, "{\"code\":50055001}", CLS(RETRY_LATER), RES(PLATFORM),
	    50055001, "", "" },
	{ 400, "{\"code\":1100499}", CLS(RETRY_LATER), RES(PLATFORM), 1100499,
	    "", "" },
	{ 400, "{\"code\":1100777}", CLS(PERMANENT), RES(REJECTED), 1100777,
	    "", "" },
	{ 400, "{\"code\":22009}", CLS(RATE_LIMITED), RES(QUOTA), 22009,
	    "", "" },
	{ 400, "{\"code\":40034100}", CLS(RATE_LIMITED), RES(RATE_LIMITED),
	    40034100, "", "" },
	{ 400, "{\"code\":304003}", CLS(PERMANENT), RES(REJECTED), 304003,
	    "", "" },
	{ 400, "{\"code\":40054007}", CLS(PERMANENT), RES(TOO_MUCH),
	    40054007, "", "" },
	{ 400, "{\"code\":40054013}", CLS(PERMANENT), RES(MUTED_OR_GONE),
	    40054013, "", "" },
	{ 401, "{\"code\":11244}", CLS(REFRESH_TOKEN), 0, 11244, "", "" },
	{ 401, "", CLS(REFRESH_TOKEN), 0, 0, "", "" },
	{ 401, "<html>", CLS(REFRESH_TOKEN), 0, 0, "", "" },
	{ 401, "{\"code\":11253}", CLS(REFRESH_TOKEN), 0, 11253, "", "" },
	{ 200, "{\"code\":11243}", CLS(REFRESH_TOKEN), 0, 11243, "", "" },
	{ 403, "{}", CLS(PERMANENT), RES(REJECTED), 0, "", "" },
	{ 404, "<html>not here</html>", CLS(PERMANENT), RES(PLATFORM), 0,
	    "", "" },
	{ 413, "", CLS(PERMANENT), RES(TOO_MUCH), 0, "", "" },
	{ 429, "<html>", CLS(RATE_LIMITED), RES(RATE_LIMITED), 0, "", "" },
	{ 429, "{\"code\":22009}", CLS(RATE_LIMITED), RES(RATE_LIMITED), 22009, "",
	    "" },
	{ 500, "", CLS(RETRY_LATER), RES(PLATFORM), 0, "", "" },
	{ 502, "<html>bad gateway", CLS(RETRY_LATER), RES(PLATFORM), 0,
	    "", "" },
	{ 503, "{\"half\":", CLS(RETRY_LATER), RES(PLATFORM), 0, "", "" },
	{ 504, "<html>", CLS(UNSURE), RES(PLATFORM), 0, "", "" },
	{ 302, "", CLS(RETRY_LATER), RES(PLATFORM), 0, "", "" },
	{ 308, "<html>over there", CLS(RETRY_LATER), RES(PLATFORM), 0, "", "" },
	/* a success that cannot be read is none, and no failure either */
	{ 200, "<html>please log in</html>", CLS(UNSURE), 0, 0, "", "" },
	{ 200, "{\"id\":\"R1\",\"timest", CLS(UNSURE), 0, 0, "", "" },
	{ 200, "{\"id\":\"R1\"}{\"id\":\"R2\"}", CLS(UNSURE), 0, 0, "", "" },
	{ 200, "42", CLS(UNSURE), 0, 0, "", "" },
	{ 200, "{\"id\":\"\xff\xfe\"}", CLS(UNSURE), 0, 0, "", "" },
	/* odd types */
	{ 200, "{\"id\":42}", CLS(DONE), 0, 0, "42", "" },
	{ 200, "{\"id\":null,\"timestamp\":null}", CLS(DONE), 0, 0, "", "" },
	{ 200, "{\"id\":{\"a\":1},\"data\":[]}", CLS(DONE), 0, 0, NULL, "" },
	{ 400, "{\"message\":{},\"code\":[1]}", CLS(PERMANENT), RES(REJECTED),
	    0, "", "" },
	{ 200, "[]", CLS(DONE), 0, 0, "", "" },
	{ 999, "{}", CLS(PERMANENT), RES(PLATFORM), 0, "", "" },
};

/* AP04: an answer that broke off says what it says, not what it would
 * have said. */
TEST(answers_that_broke_off)
{
	static const struct {
		unsigned         status;
		const char      *body;
		enum reply_class cls;
	} cut[] = {
		{ 200, "", CLASS_UNSURE },
		{ 204, "", CLASS_UNSURE },
		{ 200, " \n", CLASS_UNSURE },
		{ 200, "{\"id\":\"R1\"", CLASS_UNSURE },
		{ 200, "{\"id\":\"R1\"}", CLASS_UNSURE },
		{ 202, "", CLASS_UNSURE },
		{ 401, "", CLASS_REFRESH_TOKEN },
		{ 429, "", CLASS_RATE_LIMITED },
		{ 500, "", CLASS_RETRY_LATER },
		{ 400, "", CLASS_PERMANENT },
	};

	for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
		struct http_answer in = { .status = cut[i].status,
			.body = slice_of(cut[i].body), .reached = true,
			.err = ERR_CLOSED, .why = "cut" };
		struct reply       r;

		reply_read(&r, &in);
		EXPECT_INT(r.cls, cut[i].cls);
		reply_free(&r);
	}
}

TEST(classes)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct http_answer in = { .status = rows[i].status,
			.body = slice_of(rows[i].body), .reached = true };
		struct reply       r;

		reply_read(&r, &in);
		if (r.cls != rows[i].cls)
			printf("# %u %s: %s\n", rows[i].status, rows[i].body,
			    class_name(r.cls));
		EXPECT_INT(r.cls, rows[i].cls);
		EXPECT(r.code == rows[i].code);
		if (rows[i].result != 0)
			EXPECT_STR(result_name(r.result),
			    result_name(rows[i].result));
		if (rows[i].msg != NULL)
			EXPECT_SLICE(r.msg, rows[i].msg);
		EXPECT_SLICE(r.audit, rows[i].audit);
		reply_free(&r);
	}
}

/* Bodies cut anywhere: no row may crash, and half a success is unsure. */
TEST(cut_anywhere)
{
	static const char whole[] = "{\"code\":304023,\"message\":\"\\u4f60\","
	                            "\"data\":{\"message_audit\":{\"audit_id\":"
	                            "\"A1\"}},\"timestamp\":1767294245}";

	for (size_t n = 1; n < sizeof whole - 1; n++) {
		/* A copy of that length, so that the sanitizer sees a read
		 * beyond it. */
		char              *cut = malloc(n);
		struct http_answer in = { .status = 200, .body = { cut, n } };
		struct reply       r;

		memcpy(cut, whole, n);
		reply_read(&r, &in);
		EXPECT_INT(r.cls, CLASS_UNSURE);
		reply_free(&r);
		free(cut);
	}
}

TEST(silence)
{
	struct http_answer in = { .reached = false, .why = "refused" };
	struct reply       r;

	reply_read(&r, &in);
	EXPECT_INT(r.cls, CLASS_RETRY_LATER);
	EXPECT_SLICE(r.message, "refused");
	reply_free(&r);
	in.reached = true;
	reply_read(&r, &in);
	EXPECT_INT(r.cls, CLASS_UNSURE);
	reply_free(&r);
}

TEST(a_message_with_the_token_in_it_is_not_kept)
{
	static const struct {
		const char *message, *token;
		bool        kept;
	} said[] = {
		{ "no good", "abcd", true }, { "no abcd, no", "abcd", false },
		{ "abcd", "abcd", false },   { "abc", "abcd", true },
		{ "no good", "", true },     { "", "abcd", true },
	};

	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		struct http_answer in = { .status = 400, .reached = true,
			.token = slice_of(said[i].token) };
		struct buf         body = { 0 };
		struct reply       r;

		buf_putf(&body, "{\"code\":40034999,\"message\":\"%s\"}",
		    said[i].message);
		in.body = buf_slice(&body);
		reply_read(&r, &in);
		if (said[i].kept && said[i].message[0] != '\0')
			EXPECT_SLICE(r.message, said[i].message);
		EXPECT(memmem(r.message.p, r.message.n, "abcd", 4) == NULL);
		reply_free(&r);
		buf_free(&body);
	}
}

TEST(trace_from_header_then_body)
{
	struct http_answer in = { .status = 400, .trace = SLICE("head"),
		.body = SLICE("{\"code\":1,\"trace_id\":\"body\"}") };
	struct reply       r;

	reply_read(&r, &in);
	EXPECT_SLICE(r.trace, "head");
	reply_free(&r);
	in.trace.n = 0;
	reply_read(&r, &in);
	EXPECT_SLICE(r.trace, "body");
	reply_free(&r);
}

/* The table: each code once, in order, and a code before its range. */
TEST(table_of_codes)
{
	static const uint64_t codes[] = {
#define CODE(code, cls, result, meaning) code,
#include "codes.def"
	};
	enum reply_class cls;
	enum result      result;
	const char      *meaning;
	size_t           n = sizeof codes / sizeof *codes;

	EXPECT_INT(n, 349);
	for (size_t i = 0; i < n; i++) {
		EXPECT(i == 0 || codes[i] > codes[i - 1]);
		EXPECT(reply_code(codes[i], &cls, &result, &meaning));
		EXPECT(cls != CLASS_DONE && cls != CLASS_UNSURE);
		EXPECT(strlen(meaning) > 3);
		/* What is retried is never called permanent, and back. */
		EXPECT((cls == CLASS_RATE_LIMITED) ==
		    (result == RESULT_QUOTA || result == RESULT_RATE_LIMITED));
	}
	EXPECT(reply_code(301050, &cls, &result, &meaning));
	EXPECT_STR(meaning, "channel permission errors");
	EXPECT(reply_code(301001, &cls, &result, &meaning));
	EXPECT_INT(cls, CLASS_RETRY_LATER);
	EXPECT(!reply_code(1, &cls, &result, &meaning));
}

static const struct {
	const char      *name;
	enum reply_class cls;
} documented[] = {
	{ "permanent", CLASS_PERMANENT }, { "retry-later", CLASS_RETRY_LATER },
	{ "rate-limited", CLASS_RATE_LIMITED },
	{ "retry-after-token-refresh", CLASS_REFRESH_TOKEN },
	{ "needs-audit", CLASS_NEEDS_AUDIT },
};

/* What an answer with this code, or with this status and none, is taken for. */
static enum reply_class
class_of(const char *code)
{
	struct reply       r;
	struct buf         body = { 0 };
	struct http_answer in = { .status = 400, .reached = true };
	enum reply_class   cls;

	if (strncmp(code, "HTTP ", 5) == 0)
		in.status = (unsigned)strtoul(code + 5, NULL, 10);
	else
		buf_putf(&body, "{\"err_code\":%.*s}",
		    (int)strcspn(code, "-"), code);
	in.body = buf_slice(&body);
	if (in.status == 201)
		in.body = SLICE("{\"data\":{\"message_audit\":"
		                "{\"audit_id\":\"a\"}}}");
	reply_read(&r, &in);
	cls = r.cls;
	reply_free(&r);
	buf_free(&body);
	return cls;
}

/* Every code of the platform's pages leads to the class they name, but for a
 * double, which is known for what it is, and a 504, after which nobody knows.
 * The token endpoint's are token.c's. */
TEST(every_documented_code)
{
	FILE  *f = fopen("tests/vectors/errors.tsv", "r");
	char   line[128], code[64], name[64];
	size_t n = 0;

	EXPECT(f != NULL);
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		enum reply_class want = CLASS_COUNT;

		if (sscanf(line, "%63[^\t]\t%63s", code, name) != 2)
			continue;
		for (size_t i = 0; i < sizeof documented / sizeof *documented;
		     i++)
			if (strcmp(documented[i].name, name) == 0)
				want = documented[i].cls;
		if (want == CLASS_COUNT ||
		    (strlen(code) == 6 && strncmp(code, "1000", 4) == 0))
			continue;
		if (strcmp(code, "40054005") == 0)
			want = CLASS_DUPLICATE;
		if (strcmp(code, "HTTP 504") == 0)
			want = CLASS_UNSURE;
		if (class_of(code) != want) {
			printf("# %s is %s, not %s\n", code,
			    class_name(class_of(code)), name);
			test_bad = true;
		}
		n++;
	}
	EXPECT(n > 350);
	if (f != NULL)
		fclose(f);
}

static const struct {
	const char *value;
	uint64_t    ms;
} retries[] = {
	{ "1", 1000 }, { " 30 ", 30000 }, { "60", 60000 }, { "61", 60000 },
	{ "3600", 60000 }, { "3601", 0 }, { "0", 0 }, { "", 0 }, { "-1", 0 },
	{ "soon", 0 }, { "1.5", 0 }, { "99999999999999999999", 0 },
	{ "Thu, 01 Jan 1970 00:00:20 GMT", 10000 },
	{ "Thu, 01 Jan 1970 00:00:09 GMT", 0 },
	{ "Thu, 01 Jan 1970 00:30:00 GMT", 60000 },
	{ "Wed, 21 Oct 2099 07:28:00 GMT", 0 },
	{ "Wed, 21 Oct 20x9 07:28:00 GMT", 0 },
	{ "Wed, 21 Okt 2099 07:28:00 GMT", 0 },
	{ "Wednesday, 21-Oct-99 07:28:00 GMT", 0 },
};

TEST(when_to_come_back)
{
	for (size_t i = 0; i < sizeof retries / sizeof *retries; i++)
		EXPECT_INT(reply_retry_ms(slice_of(retries[i].value), 10000),
		    retries[i].ms);
	EXPECT_INT(reply_retry_ms((struct slice){ NULL, 0 }, 10000), 0);
}

int
main(void)
{
	RUN(classes);
	RUN(answers_that_broke_off);
	RUN(cut_anywhere);
	RUN(silence);
	RUN(a_message_with_the_token_in_it_is_not_kept);
	RUN(trace_from_header_then_body);
	RUN(table_of_codes);
	RUN(every_documented_code);
	RUN(when_to_come_back);
	return test_done();
}
