// links: apid/body.c apid/call.c apid/params.c apid/shape.c common
/*
 * Calls: what is refused, and what request the others become.
 */
#include "test.h"

#include "call.h"

/* A good reply, to be spoilt. */
static struct msg_call
good(void)
{
	return (struct msg_call){ .id = SLICE("1"), .bot = SLICE("7"),
		.do_ = SLICE("reply"), .ev = SLICE("m:1"), .n = 1,
		.conv = SLICE("u:U1"), .msg = SLICE("M1"),
		.text = SLICE("hi") };
}

static const struct {
	const char *conv, *msg, *event, *text;
	uint64_t    n;
	const char *url, *body;
} requests[] = {
	{ "u:U1", "M1", "", "hi", 1, "/v2/users/U1/messages",
	    "{\"msg_type\":0,\"content\":\"hi\",\"msg_id\":\"M1\","
	    "\"msg_seq\":1}" },
	{ "g:G1", "", "E1", "hi", 2, "/v2/groups/G1/messages",
	    "{\"msg_type\":0,\"content\":\"hi\",\"event_id\":\"E1\","
	    "\"msg_seq\":2}" },
	{ "g:G1", "M1", "E1", "hi", 2147483647, "/v2/groups/G1/messages",
	    "{\"msg_type\":0,\"content\":\"hi\",\"msg_id\":\"M1\","
	    "\"msg_seq\":2147483647}" },
	{ "c:C1", "M1", "", "\"\\\n\xe4\xbd\xa0", 3, "/channels/C1/messages",
	    "{\"content\":\"\\\"\\\\\\n\xe4\xbd\xa0\",\"msg_id\":\"M1\"}" },
	{ "d:D1", "", "E1", " hi ", 1, "/dms/D1/messages",
	    "{\"content\":\" hi \",\"event_id\":\"E1\"}" },
	{ "u:a:b/c", "M1", "", "x", 1, "/v2/users/a%3Ab%2Fc/messages",
	    "{\"msg_type\":0,\"content\":\"x\",\"msg_id\":\"M1\","
	    "\"msg_seq\":1}" },
};

TEST(replies_become_requests)
{
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		struct msg_call m = good();
		struct call     c;
		struct buf      url = { 0 }, body = { 0 };
		const char     *why;

		m.conv = slice_of(requests[i].conv);
		m.msg = slice_of(requests[i].msg);
		m.event = slice_of(requests[i].event);
		m.text = slice_of(requests[i].text);
		m.n = requests[i].n;
		EXPECT_INT(call_read(&c, &m, false, &why), RESULT_OK);
		EXPECT_INT(call_url(&c, SLICE(""), &url), ERR_OK);
		EXPECT_INT(call_body(&c, &body), ERR_OK);
		EXPECT_STR(url.p, requests[i].url);
		EXPECT_STR(body.p, requests[i].body);
		EXPECT(c.has_seq == (m.conv.p[0] == 'u' || m.conv.p[0] == 'g'));
		EXPECT(c.appears);
		buf_free(&url);
		buf_free(&body);
		call_free(&c);
	}
}

static const struct {
	const char *do_, *conv, *msg, *text, *url, *body;
	bool        has_seq, appears;
} others[] = {
	{ "send", "u:U", "", "hi", "/v2/users/U/messages",
	    "{\"msg_type\":0,\"content\":\"hi\"}", false, true },
	{ "send", "c:C", "M", "hi", "/channels/C/messages",
	    "{\"content\":\"hi\"}", false, true },
	{ "recall", "g:G", "R1", "", "/v2/groups/G/messages/R1", "", false,
	    false },
	{ "recall", "d:D", "R1", "", "/dms/D/messages/R1", "", false, false },
	{ "me", "", "", "", "/users/@me", "", false, false },
};

TEST(other_operations)
{
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct msg_call m = { .do_ = slice_of(others[i].do_),
			.conv = slice_of(others[i].conv),
			.msg = slice_of(others[i].msg),
			.text = slice_of(others[i].text) };
		struct call     c;
		struct buf      url = { 0 }, body = { 0 };
		const char     *why;

		EXPECT_INT(call_read(&c, &m, false, &why), RESULT_OK);
		EXPECT_INT(call_url(&c, SLICE(""), &url), ERR_OK);
		EXPECT_INT(call_body(&c, &body), ERR_OK);
		EXPECT_STR(url.p, others[i].url);
		EXPECT_SLICE(buf_slice(&body), others[i].body);
		EXPECT_INT(c.has_seq, others[i].has_seq);
		EXPECT_INT(c.appears, others[i].appears);
		buf_free(&url);
		buf_free(&body);
		call_free(&c);
	}
}

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID520 ID64 ID64 ID64 ID64 ID64 ID64 ID64 ID64 "12345678"

enum field { DO, EV, N, CONV, MSG, TEXT, WITH };

/* One field of a good reply spoilt; starts: what the complaint begins with. */
static const struct {
	enum field   field;
	struct slice value;
	enum result  result;
	const char  *starts;
} bad[] = {
	{ DO, SLICE("dance"), RESULT_UNSUPPORTED, "do:" },
	{ DO, SLICE(""), RESULT_UNSUPPORTED, "do:" },
	{ DO, SLICE("replyx"), RESULT_UNSUPPORTED, "do:" },
	{ EV, SLICE(""), RESULT_BAD_ARG, "ev:" },
	{ N, SLICE("0"), RESULT_BAD_ARG, "n:" },
	{ N, SLICE("2147483648"), RESULT_BAD_ARG, "n:" },
	{ N, SLICE("18446744073709551615"), RESULT_BAD_ARG, "n:" },
	{ CONV, SLICE(""), RESULT_BAD_ARG, "conv:" },
	{ CONV, SLICE("u:"), RESULT_BAD_ARG, "conv:" },
	{ CONV, SLICE("u"), RESULT_BAD_ARG, "conv:" },
	{ CONV, SLICE("x:1"), RESULT_BAD_ARG, "conv:" },
	{ CONV, SLICE("U1"), RESULT_BAD_ARG, "conv:" },
	{ CONV, SLICE("u:\xff"), RESULT_BAD_ARG, "conv:" },
	{ CONV, SLICE("u:a\0b"), RESULT_BAD_ARG, "conv:" },
	{ CONV, SLICE("u:" ID520), RESULT_BAD_ARG, "conv:" },
	{ MSG, SLICE(""), RESULT_BAD_ARG, "msg:" },
	{ MSG, SLICE("\xc0\xaf"), RESULT_BAD_ARG, "msg:" },
	{ MSG, SLICE(ID520), RESULT_BAD_ARG, "msg:" },
	{ TEXT, SLICE(""), RESULT_BAD_ARG, "text:" },
	{ TEXT, SLICE(" \t\n"), RESULT_BAD_ARG, "text:" },
	{ TEXT, SLICE("\xed\xa0\x80"), RESULT_BAD_ARG, "text:" },
	{ TEXT, SLICE("\xf4\x90\x80\x80"), RESULT_BAD_ARG, "text:" },
	{ TEXT, SLICE("\xe0\x80\x80"), RESULT_BAD_ARG, "text:" },
	{ TEXT, SLICE("cut \xe4\xbd"), RESULT_BAD_ARG, "text:" },
	{ TEXT, SLICE("\x80"), RESULT_BAD_ARG, "text:" },
	{ WITH, SLICE("\x81\xa5imago\xa1x"), RESULT_UNSUPPORTED, "imago:" },
	{ WITH, SLICE("\xc1"), RESULT_BAD_ARG, "with:" },
	{ WITH, SLICE("\x91\xc0"), RESULT_BAD_ARG, "with:" },
	{ WITH, SLICE("\x80"), RESULT_OK, NULL },
	{ WITH, SLICE("\xc0"), RESULT_OK, NULL },
	{ TEXT, SLICE("\xf0\x9f\x98\x80 \xe4\xbd\xa0 \xc3\xa9"), RESULT_OK,
	    NULL },
};

TEST(complaints_name_the_argument)
{
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct msg_call    m = good();
		struct call        c;
		const char        *why = "";
		unsigned long long n;
		struct slice *fields[] = { &m.do_, &m.ev, NULL, &m.conv,
			&m.msg, &m.text, &m.with };

		if (bad[i].field != N)
			*fields[bad[i].field] = bad[i].value;
		else if (slice_u64(bad[i].value, &n))
			m.n = n;
		EXPECT_INT(call_read(&c, &m, false, &why), bad[i].result);
		if (bad[i].starts != NULL) {
			EXPECT(strncmp(why, bad[i].starts,
			           strlen(bad[i].starts)) == 0);
		}
		call_free(&c);
	}
}

TEST(a_path_cannot_be_left)
{
	struct msg_call m = good();
	struct call     c;
	struct buf      url = { 0 };
	const char     *why;

	m.conv = SLICE("u:..");
	EXPECT_INT(call_read(&c, &m, false, &why), RESULT_OK);
	EXPECT_INT(call_url(&c, SLICE(""), &url), ERR_SYNTAX);
	buf_free(&url);
	call_free(&c);
}

/* Are two calls from these peers the same one? */
static bool
same(const struct msg_call *a, const char *pa, const struct msg_call *b,
    const char *pb)
{
	struct call ca, cb;
	struct buf  ka = { 0 }, kb = { 0 };
	const char *why;
	bool        eq;

	EXPECT_INT(call_read(&ca, a, false, &why), RESULT_OK);
	EXPECT_INT(call_read(&cb, b, false, &why), RESULT_OK);
	call_key(&ca, slice_of(pa), &ka);
	call_key(&cb, slice_of(pb), &kb);
	call_free(&ca);
	call_free(&cb);
	eq = slice_eq(buf_slice(&ka), buf_slice(&kb));
	buf_free(&ka);
	buf_free(&kb);
	return eq;
}

TEST(keys)
{
	struct msg_call a = good(), b = good();

	b.id = SLICE("2");
	b.text = SLICE("worded differently");
	EXPECT(same(&a, "p", &b, "q")); /* reply n of an event is one */
	b.n = 2;
	EXPECT(!same(&a, "p", &b, "p"));
	b = good();
	b.ev = SLICE("m:2");
	EXPECT(!same(&a, "p", &b, "p"));
	b = good();
	b.bot = SLICE("8");
	EXPECT(!same(&a, "p", &b, "p"));
	/* No two ways to cut the same bytes. */
	a.bot = SLICE("1");
	a.ev = SLICE("23");
	b.bot = SLICE("12");
	b.ev = SLICE("3");
	EXPECT(!same(&a, "p", &b, "p"));
	/* A send belongs to its event, else to its peer. */
	a = b = (struct msg_call){ .id = SLICE("1"), .do_ = SLICE("send"),
		.conv = SLICE("u:U"), .text = SLICE("x") };
	EXPECT(same(&a, "p", &b, "p"));
	EXPECT(!same(&a, "p", &b, "q"));
	a.ev = b.ev = SLICE("m:1");
	EXPECT(same(&a, "p", &b, "q"));
	b.id = SLICE("2");
	EXPECT(!same(&a, "p", &b, "p"));
}

int
main(void)
{
	RUN(replies_become_requests);
	RUN(other_operations);
	RUN(complaints_name_the_argument);
	RUN(a_path_cannot_be_left);
	RUN(keys);
	return test_done();
}
