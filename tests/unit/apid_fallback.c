// links: apid/fallback.c apid/audit.c apid/breaker.c apid/table.c common
/*
 * Messages in another form; audits; and when a bot is no longer tried.
 */
#include "test.h"

#include "audit.h"
#include "breaker.h"
#include "fallback.h"

enum { HALF = 0x80000000u };

static const struct {
	const char *body, *active, *plain;   /* NULL: it cannot be one */
} bodies[] = {
	{ "{\"msg_type\":0,\"content\":\"a\",\"msg_id\":\"M\",\"msg_seq\":1}",
	    "{\"msg_type\":0,\"content\":\"a\"}", NULL },
	{ "{\"content\":\"a \\\"markdown\\\": b\",\"event_id\":\"E\"}",
	    "{\"content\":\"a \\\"markdown\\\": b\"}", NULL },
	{ "{\"msg_type\":6,\"input_notify\":{},\"msg_id\":\"M\"}", NULL, NULL },
	{ "{\"input_mode\":\"replace\",\"msg_id\":\"M\"}", NULL, NULL },
	{ "{\"msg_type\":2,\"markdown\":{\"content\":\"# T\\n**b**\"},"
	  "\"keyboard\":{\"id\":\"1\"},\"msg_id\":\"M\",\"msg_seq\":2}",
	    "{\"msg_type\":2,\"markdown\":{\"content\":\"# T\\n**b**\"},"
	    "\"keyboard\":{\"id\":\"1\"}}",
	    "{\"msg_id\":\"M\",\"msg_seq\":2,\"msg_type\":0,"
	    "\"content\":\"T\\nb\"}" },
	{ "{\"markdown\":{\"content\":\"x\"}}",
	    "{\"markdown\":{\"content\":\"x\"}}", "{\"content\":\"x\"}" },
	{ "{\"msg_type\":2,\"markdown\":{\"custom_template_id\":\"7\"}}",
	    "{\"msg_type\":2,\"markdown\":{\"custom_template_id\":\"7\"}}",
	    NULL },
	{ "not json", NULL, NULL },
};

static void
expect_form(enum err e, struct buf *out, const char *want)
{
	EXPECT_INT(e, want != NULL ? ERR_OK : ERR_SYNTAX);
	if (want != NULL)
		EXPECT_STR(out->p, want);
	buf_free(out);
}

TEST(bodies_in_another_form)
{
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct slice body = slice_of(bodies[i].body);
		struct buf   out = { 0 };
		enum err     e = fallback_active(body, &out);

		expect_form(e, &out, bodies[i].active);
		e = fallback_plain(body, &out);
		expect_form(e, &out, bodies[i].plain);
	}
	EXPECT(!fallback_has_markdown(slice_of(bodies[1].body)));
	EXPECT(fallback_has_markdown(slice_of(bodies[4].body)));
}

static const struct {
	const char *markdown, *text;
} marks[] = {
	{ "plain", "plain" },
	{ "# one\n## two\n###three #4", "one\ntwo\n###three #4" },
	{ "> quoted\n>more", "quoted\nmore" },
	{ "**b** and ~~s~~ *i*", "b and s *i*" },
	{ "see [here](https://x/?a=(1)", "see here" },
	{ "![a cat #208px #320px](https://x/c.png)!", "a cat!" },
	{ "[no link] (x) [open](", "[no link] (x) [open](" },
	{ "[a\n](b)", "[a\n](b)" },
	{ "", "" }, { "#", "" }, { "![", "![" }, { "[", "[" }, { "你好", "你好" },
};

TEST(roles_in_the_older_form)
{
	struct buf out = { 0 };

	EXPECT_INT(fallback_role(SLICE("{\"name\":\"n\",\"hoist\":0}"), &out),
	    ERR_OK);
	EXPECT_SLICE(buf_slice(&out), "{\"filter\":{\"name\":1,\"hoist\":1},"
	    "\"info\":{\"name\":\"n\",\"hoist\":0}}");
	EXPECT_INT(fallback_role(buf_slice(&out), &out), ERR_SYNTAX);
	EXPECT_INT(fallback_role(SLICE(""), &out), ERR_SYNTAX);
	buf_free(&out);
}

TEST(marks_are_taken_away)
{
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		struct buf out = { 0 };

		fallback_strip(slice_of(marks[i].markdown), &out);
		EXPECT_STR(out.n > 0 ? out.p : "", marks[i].text);
		buf_free(&out);
	}
}

TEST(which_codes)
{
	bool lasting = false;

	EXPECT(fallback_is_markdown(40034012, &lasting) && lasting);
	EXPECT(fallback_is_markdown(40034011, &lasting) && !lasting);
	EXPECT(!fallback_is_markdown(304003, &lasting));
	EXPECT(!fallback_is_markdown(0, &lasting));
}

TEST(audits_in_either_order)
{
	struct audits       as = { .pending = 0 };
	const struct audit *a;
	char                id[16];

	a = audit_held(&as, SLICE("7"), SLICE("x"));
	EXPECT_INT(a->state, AUDIT_PENDING);
	EXPECT_INT(as.pending, 1);
	a = audit_done(&as, SLICE("7"), SLICE("x"), true, SLICE("M"),
	    SLICE(""));
	EXPECT_INT(a->state, AUDIT_PASSED);
	EXPECT_STR(a->msg, "M");
	EXPECT(a->why == NULL);
	EXPECT_INT(as.pending, 0);
	/* The first word counts; another bot's is another. */
	a = audit_done(&as, SLICE("7"), SLICE("x"), false, SLICE(""),
	    SLICE("no"));
	EXPECT_INT(a->state, AUDIT_PASSED);
	a = audit_done(&as, SLICE("8"), SLICE("x"), false, SLICE(""),
	    SLICE("no"));
	EXPECT_STR(a->why, "no");
	a = audit_held(&as, SLICE("8"), SLICE("x"));
	EXPECT_INT(a->state, AUDIT_REJECTED);
	for (int i = 0; i < 3 * AUDITS_MAX; i++) {
		snprintf(id, sizeof id, "%d", i);
		audit_held(&as, SLICE("7"), slice_of(id));
	}
	EXPECT_INT(as.table.n, AUDITS_MAX);
	EXPECT_INT(as.pending, AUDITS_MAX);
	audits_close(&as);
	EXPECT_INT(as.pending, 0);
}

TEST(three_strikes_and_slow_questions)
{
	struct breaker b;

	breaker_open(&b);
	EXPECT(!breaker_strike(&b, false, 1000, HALF));
	EXPECT(!breaker_pass(&b)); /* in between: from the beginning */
	EXPECT(!breaker_strike(&b, false, 1000, HALF));
	EXPECT(!breaker_strike(&b, false, 1000, HALF));
	EXPECT(breaker_strike(&b, false, 1000, HALF));
	EXPECT_INT(b.state, BREAKER_REFUSED);
	EXPECT_INT(b.next_ms, 2000);
	/* What was under way says nothing new. */
	EXPECT(!breaker_strike(&b, false, 1500, HALF));
	EXPECT_INT(b.next_ms, 2000);
	b.asking = true;
	EXPECT(!breaker_strike(&b, false, 2100, HALF));
	EXPECT_INT(b.next_ms, 4100);
	for (int i = 0; i < 9; i++) {
		b.asking = true;
		breaker_unclear(&b, 10000, HALF);
	}
	EXPECT_INT(b.next_ms, 70000);
	EXPECT(!b.asking);
	EXPECT(breaker_pass(&b));
	EXPECT_INT(b.state, BREAKER_CLOSED);
	/* What only a person can mend is not tried three times, nor soon. */
	EXPECT(breaker_strike(&b, true, 1000, HALF));
	EXPECT_INT(b.state, BREAKER_CONFIG);
	EXPECT_INT(b.next_ms, 61000);
}

int
main(void)
{
	RUN(bodies_in_another_form);
	RUN(roles_in_the_older_form);
	RUN(marks_are_taken_away);
	RUN(which_codes);
	RUN(audits_in_either_order);
	RUN(three_strikes_and_slow_questions);
	return test_done();
}
