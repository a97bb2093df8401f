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
	static const struct {
		const char *id;
		enum err    err;
	} rows[] = {
		{ ".", ERR_SYNTAX },          { "..", ERR_SYNTAX },
		{ "../x", ERR_SYNTAX },       { "a/..", ERR_SYNTAX },
		{ "a/../../b", ERR_SYNTAX },  { "a/./b", ERR_SYNTAX },
		{ "..\\a", ERR_SYNTAX },     { "a\\..", ERR_SYNTAX },
		{ "...", ERR_OK },            { "a/..b/c..", ERR_OK },
		{ "a..b", ERR_OK },           { "/", ERR_OK },
		{ ".a/b.", ERR_OK },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct msg_call m = { .do_ = SLICE("recall"),
			.conv = SLICE("u:U"), .msg = slice_of(rows[i].id) };
		struct call     c;
		struct buf      url = { 0 };
		const char     *why;

		EXPECT_INT(call_read(&c, &m, false, &why), RESULT_OK);
		EXPECT_INT(call_url(&c, SLICE(""), &url), rows[i].err);
		buf_free(&url);
		call_free(&c);
	}
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

/* --- operations of the catalog ------------------------------------------------ */

/* A value that fits; NULL: the parameter is left out. */
static struct json *
fitting(const struct catalog_param *p)
{
	struct json *doc = NULL;
	char         text[256];
	size_t       n = p->min > 1 ? (size_t)p->min : 1;

	switch (p->type) {
	case TYPE_ID:
	case TYPE_TEXT:
		snprintf(text, sizeof text, "\"%.*s\"", (int)n,
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		break;
	case TYPE_INT:
	case TYPE_DIGITS:
		snprintf(text, sizeof text, "%lld", (long long)p->min);
		break;
	case TYPE_FLAG:
	case TYPE_ANY:
		snprintf(text, sizeof text, "true");
		break;
	case TYPE_CHOICE:
	case TYPE_NUMBER:
		snprintf(text, sizeof text, "\"%.*s\"",
		    (int)strcspn(p->choices, " "), p->choices);
		break;
	case TYPE_IDS:
		snprintf(text, sizeof text, "[\"a\",2]");
		break;
	case TYPE_OBJECTS:
		snprintf(text, sizeof text, "[{}]");
		break;
	case TYPE_PANEL:
	case TYPE_MENU:
		snprintf(text, sizeof text, "[{\"name\":\"n\",\"type\":"
		    "\"link\",\"link\":\"https://x\"}]");
		break;
	case TYPE_OBJECT:
		snprintf(text, sizeof text, "{}");
		break;
	case TYPE_MARKDOWN:
		snprintf(text, sizeof text, "{\"content\":\"x\"}");
		break;
	case TYPE_KEYBOARD:
		snprintf(text, sizeof text, "{\"id\":\"x\"}");
		break;
	case TYPE_ARK:
		snprintf(text, sizeof text, "{\"template_id\":1,\"kv\":["
		    "{\"key\":\"k\",\"value\":\"v\"}]}");
		break;
	case TYPE_EMBED:
		snprintf(text, sizeof text, "{\"title\":\"x\"}");
		break;
	}
	EXPECT_INT(json_parse(&doc, slice_of(text)), ERR_OK);
	return doc;
}

/* One that does not, whatever the type. */
static struct json *
unfitting(const struct catalog_param *p)
{
	struct json *doc = NULL;
	const char  *text = p->type >= TYPE_IDS ? "7.5" : "[[]]";

	if (p->type == TYPE_OBJECTS || p->type == TYPE_IDS ||
	    p->type == TYPE_PANEL || p->type == TYPE_MENU)
		text = "[[]]";
	if (p->type == TYPE_INT && p->max < INT32_MAX)
		text = "2147483647";
	EXPECT_INT(json_parse(&doc, slice_of(text)), ERR_OK);
	return doc;
}

/* All that must be there, but for `without`; `spoilt` has a wrong value. */
static struct json *
parameters(enum call_id id, const char *without, const char *spoilt)
{
	size_t                      n;
	const struct catalog_param *p = catalog_params(id, &n);
	struct json                *with = json_new_object();
	bool                        one = false, some = false;

	for (size_t i = 0; i < n && spoilt != NULL; i++)
		if (p[i].need == NEED_ONE && strcmp(p[i].name, spoilt) == 0)
			one = true;
	for (size_t i = 0; i < n; i++) {
		bool named = spoilt != NULL && strcmp(p[i].name, spoilt) == 0;
		bool taken = p[i].need == NEED_MUST || named ||
		    (p[i].need == NEED_ONE && !one) ||
		    (p[i].need == NEED_SOME && !some);

		one = one || (taken && p[i].need == NEED_ONE);
		some = some || (taken && p[i].need == NEED_SOME);
		if (taken && (without == NULL ||
		                 strcmp(p[i].name, without) != 0))
			json_put_take(with, p[i].name,
			    named ? unfitting(&p[i]) : fitting(&p[i]));
	}
	/* What its rules say. */
	if (id == CALL_guild_announce_create &&
	    json_get(with, "channel_id") == NULL)
		json_put_text(with, "channel_id", SLICE("C"));
	return with;
}

/* Takes `with`. */
static enum result
read_catalog(enum call_id id, struct json *with, char why[200])
{
	struct buf      packed = { 0 };
	struct call     c;
	struct msg_call m = { .do_ = slice_of(catalog_row(id)->name) };
	const char     *wrong;
	enum result     r;

	EXPECT_INT(json_to_msgpack(with, &packed), ERR_OK);
	m.with = buf_slice(&packed);
	r = call_read(&c, &m, false, &wrong);
	snprintf(why, 200, "%s", r != RESULT_OK ? wrong : "");
	call_free(&c);
	json_free(&with);
	buf_free(&packed);
	return r;
}

static bool
callable(enum call_id id)
{
	return catalog_row(id)->status != STATUS_OURS;
}

TEST(every_operation_takes_what_fits)
{
	char why[200];

	for (int i = 0; i < CALL_COUNT; i++) {
		enum call_id id = (enum call_id)i;
		struct json *with = parameters(id, NULL, NULL);

		if (!callable(id)) {
			EXPECT_INT(read_catalog(id, with, why),
			    RESULT_UNSUPPORTED);
			continue;
		}
		EXPECT_INT(read_catalog(id, with, why), RESULT_OK);
		if (why[0] != '\0')
			printf("# %s: %s\n", catalog_row(id)->name, why);
	}
}

TEST(every_missing_parameter_is_named)
{
	size_t n, refused = 0;
	char   why[200];

	for (int i = 0; i < CALL_COUNT; i++) {
		enum call_id                id = (enum call_id)i;
		const struct catalog_param *p = catalog_params(id, &n);

		for (size_t k = 0; k < n && callable(id); k++) {
			if (p[k].need != NEED_MUST)
				continue;
			EXPECT_INT(read_catalog(id,
			               parameters(id, p[k].name, NULL), why),
			    RESULT_BAD_ARG);
			EXPECT(strncmp(why, p[k].name,
			           strlen(p[k].name)) == 0);
			refused++;
		}
	}
	EXPECT(refused > 150);
}

TEST(every_wrong_parameter_is_named)
{
	size_t n, refused = 0;
	char   why[200];

	for (int i = 0; i < CALL_COUNT; i++) {
		enum call_id                id = (enum call_id)i;
		const struct catalog_param *p = catalog_params(id, &n);

		for (size_t k = 0; k < n && callable(id); k++) {
			if (p[k].type == TYPE_ANY)
				continue;
			EXPECT_INT(read_catalog(id,
			               parameters(id, NULL, p[k].name), why),
			    RESULT_BAD_ARG);
			EXPECT(strstr(why, p[k].name) != NULL);
			if (strstr(why, p[k].name) == NULL)
				printf("# %s %s: %s\n", catalog_row(id)->name,
				    p[k].name, why);
			refused++;
		}
	}
	EXPECT(refused > 250);
}

TEST(every_unknown_parameter_is_named)
{
	char why[200];

	for (int i = 0; i < CALL_COUNT; i++) {
		enum call_id id = (enum call_id)i;
		struct json *with = parameters(id, NULL, NULL);

		json_put_text(with, "sticker", SLICE("x"));
		EXPECT_INT(read_catalog(id, with, why), callable(id)
		    ? RESULT_BAD_ARG : RESULT_UNSUPPORTED);
		EXPECT(!callable(id) || strncmp(why, "sticker", 7) == 0);
	}
}

/* name, with, then what request.c goes by. */
static const struct {
	enum call_id id;
	const char  *with, *lane;
	bool speaks, passive, has_seq, appears;
} flags[] = {
	{ CALL_guild_get, "{\"guild_id\":\"G\"}", "", 0, 0, 0, 0 },
	{ CALL_channel_get, "{\"channel_id\":\"C\"}", "", 0, 0, 0, 0 },
	{ CALL_c2c_message_send, "{\"openid\":\"U\",\"msg_type\":0}",
	    "7 uU", 1, 0, 0, 1 },
	{ CALL_c2c_message_send, "{\"openid\":\"U\",\"msg_type\":0,"
	    "\"msg_id\":\"M\",\"msg_seq\":1}", "7 uU", 1, 1, 1, 1 },
	{ CALL_group_message_send, "{\"group_openid\":\"G\","
	    "\"msg_type\":0,\"msg_id\":\"M\"}", "7 gG", 1, 1, 0, 1 },
	{ CALL_dm_message_send, "{\"guild_id\":\"D\",\"content\":\"x\","
	    "\"event_id\":\"E\"}", "7 dD", 1, 1, 0, 1 },
	{ CALL_c2c_file_upload, "{\"openid\":\"U\",\"file_type\":1,"
	    "\"url\":\"u\"}", "", 0, 0, 0, 0 },
	{ CALL_c2c_file_upload, "{\"openid\":\"U\",\"file_type\":1,"
	    "\"url\":\"u\",\"srv_send_msg\":true}", "7 uU", 1, 0, 0, 1 },
	{ CALL_channel_create, "{\"guild_id\":\"G\",\"name\":\"n\","
	    "\"type\":0,\"position\":1}", "", 0, 0, 0, 1 },
	{ CALL_join_strategy_delete, "{\"strategy_id\":\"S\"}", "", 0, 0,
	    0, 0 },
};

TEST(what_a_call_is)
{
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		struct json    *with;
		struct buf      packed = { 0 }, lane = { 0 };
		struct msg_call m = { .bot = SLICE("7"),
			.do_ = slice_of(catalog_row(flags[i].id)->name) };
		struct call     c;
		const char     *why;

		EXPECT_INT(json_parse(&with, slice_of(flags[i].with)), ERR_OK);
		EXPECT_INT(json_to_msgpack(with, &packed), ERR_OK);
		m.with = buf_slice(&packed);
		EXPECT_INT(call_read(&c, &m, false, &why), RESULT_OK);
		call_lane(&c, &lane);
		EXPECT_SLICE(buf_slice(&lane), flags[i].lane);
		EXPECT_INT(c.speaks, flags[i].speaks);
		EXPECT_INT(c.passive, flags[i].passive);
		EXPECT_INT(c.has_seq, flags[i].has_seq);
		EXPECT_INT(c.appears, flags[i].appears);
		EXPECT(c.whole && c.row == catalog_row(flags[i].id));
		call_free(&c);
		json_free(&with);
		buf_free(&packed);
		buf_free(&lane);
	}
}

#define SEVEN "\u4f60\u4f60\u4f60\u4f60\u4f60\u4f60\u4f60"
#define TEN "0123456789"

/* An item of a panel, else of a menu; what is complained of. */
static const struct {
	bool        panel;
	const char *item, *wrong;
} items[] = {
	{ true, "{\"name\":\"" SEVEN "\",\"type\":\"command\"}", "" },
	{ true, "{\"name\":\"" TEN "0123\",\"desc\":\"" TEN TEN TEN "\","
	    "\"type\":\"command\"}", "" },
	{ true, "{\"type\":\"command\"}", "an item has name" },
	{ true, "{\"name\":\"" SEVEN "a\",\"type\":\"command\"}",
	    "name of" },
	{ true, "{\"name\":\"a\",\"desc\":\"" TEN TEN TEN "a\","
	    "\"type\":\"command\"}", "desc of" },
	{ true, "{\"name\":\"a\",\"type\":\"switch\"}", "type of" },
	{ true, "{\"name\":\"a\",\"type\":\"link\"}", "an item of" },
	{ true, "{\"name\":\"a\",\"type\":\"link\",\"link\":\"http://x\"}",
	    "link of" },
	{ false, "{\"name\":\"" TEN "\",\"type\":\"switch\"}", "" },
	{ false, "{\"name\":\"" TEN "a\",\"type\":\"switch\"}", "name of" },
	{ false, "{\"name\":\"a\",\"type\":\"command\"}", "type of" },
	{ false, "{\"name\":\"a\",\"type\":\"link\"}", "an item of" },
	{ false, "{\"name\":\"a\",\"type\":\"menu\",\"sub_menu_items\":["
	    "{\"name\":\"" TEN "0123\",\"type\":\"send_message\"}]}", "" },
	{ false, "{\"name\":\"a\",\"type\":\"menu\",\"sub_menu_items\":["
	    "{\"name\":\"" TEN "01234\",\"type\":\"send_message\"}]}",
	    "name of an inner" },
	{ false, "{\"name\":\"a\",\"type\":\"menu\",\"sub_menu_items\":["
	    "{\"name\":\"b\",\"type\":\"menu\"}]}", "type of an inner" },
	{ false, "{\"name\":\"a\",\"type\":\"menu\",\"sub_menu_items\":["
	    "{\"type\":\"link\"}]}", "an item has" },
	{ false, "{\"name\":\"a\",\"type\":\"menu\",\"sub_menu_items\":["
	    "{},{},{},{},{},{}]}", "sub_menu_items" },
};

TEST(items_of_panels_and_menus)
{
	for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
		struct json    *with;
		struct buf      text = { 0 }, packed = { 0 };
		struct msg_call m = { .bot = SLICE("7"), .do_ = items[i].panel
		        ? SLICE("panel_create") : SLICE("menu_set") };
		struct call     c;
		const char     *why, *colon;

		buf_putf(&text, "{%s\"%s\":{\"items\":[%s]}}",
		    items[i].panel ? "\"scope\":\"c2c\"," : "",
		    items[i].panel ? "panel" : "menu", items[i].item);
		EXPECT_INT(json_parse(&with, buf_slice(&text)), ERR_OK);
		EXPECT_INT(json_to_msgpack(with, &packed), ERR_OK);
		m.with = buf_slice(&packed);
		EXPECT_INT(call_read(&c, &m, false, &why),
		    items[i].wrong[0] == '\0' ? RESULT_OK : RESULT_BAD_ARG);
		colon = why != NULL ? strchr(why, ' ') : NULL;
		EXPECT((colon != NULL) == (items[i].wrong[0] != '\0'));
		if (colon != NULL && strncmp(colon + 1, items[i].wrong,
		        strlen(items[i].wrong)) != 0)
			EXPECT_STR(colon + 1, items[i].wrong);
		call_free(&c);
		json_free(&with);
		buf_free(&text);
		buf_free(&packed);
	}
}

/* method, path; allowed where raw calls are, and good. */
static const struct {
	const char *method, *path;
	bool        good;
} raw[] = {
	{ "GET", "/users/@me?x=%20", true }, { "DELETE", "/a/...", true },
	{ "get", "/a", false },       { "TRACE", "/a", false },
	{ "GET", "a", false },        { "GET", "/", false },
	{ "GET", "//evil/a", false }, { "GET", "/a/../b", false },
	{ "GET", "/..", false },      { "GET", "/./a", false },
	{ "GET", "/a/..?x", false },  { "GET", "/a#b", false },
	{ "GET", "/a b", false },     { "GET", "/a\r\nX: y", false },
	{ "GET", "/\xe4\xbd\xa0", false },
	{ "GET", "http://evil/", false },
};

TEST(raw_calls)
{
	for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
		struct json    *with = json_new_object();
		struct buf      packed = { 0 }, url = { 0 };
		struct msg_call m = { .do_ = SLICE("raw") };
		struct call     c;
		const char     *why;

		json_put_text(with, "method", slice_of(raw[i].method));
		json_put_text(with, "path", slice_of(raw[i].path));
		json_to_msgpack(with, &packed);
		m.with = buf_slice(&packed);
		EXPECT_INT(call_read(&c, &m, false, &why), RESULT_UNSUPPORTED);
		call_free(&c);
		EXPECT_INT(call_read(&c, &m, true, &why), raw[i].good
		    ? RESULT_OK : RESULT_BAD_ARG);
		if (raw[i].good) {
			EXPECT_INT(call_url(&c, SLICE("B"), &url), ERR_OK);
			EXPECT(strcmp(url.p + 1, raw[i].path) == 0);
			EXPECT_STR(c.row->method, raw[i].method);
		}
		call_free(&c);
		json_free(&with);
		buf_free(&packed);
		buf_free(&url);
	}
}

int
main(void)
{
	RUN(replies_become_requests);
	RUN(other_operations);
	RUN(complaints_name_the_argument);
	RUN(a_path_cannot_be_left);
	RUN(keys);
	RUN(every_operation_takes_what_fits);
	RUN(every_missing_parameter_is_named);
	RUN(every_wrong_parameter_is_named);
	RUN(every_unknown_parameter_is_named);
	RUN(what_a_call_is);
	RUN(items_of_panels_and_menus);
	RUN(raw_calls);
	return test_done();
}
