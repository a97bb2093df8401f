// links: qqsim/fault.c common
/*
 * Faults: what is refused, and when the others strike.
 */
#include "test.h"

#include "fault.h"

static enum err
parse(struct fault *f, const char *text)
{
	struct json *j = NULL;
	const char  *why = NULL;
	enum err     e;

	if (json_parse(&j, slice_of(text)) != ERR_OK)
		return ERR_SYNTAX;
	e = fault_parse(f, j, 1000, &why);
	EXPECT((e == ERR_OK) == (why == NULL));
	json_free(&j);
	return e;
}

TEST(forms)
{
	static const struct {
		const char *text;
		bool        good;
	} rows[] = {
		{ "{\"fault\":\"close\"}", true },
		{ "{\"fault\":\"close\",\"code\":4009}", true },
		{ "{\"fault\":\"close\",\"code\":\"4009\"}", true },
		{ "{\"fault\":\"close\",\"shard\":1}", true },
		{ "{\"fault\":\"op9\",\"shard\":1}", false },
		{ "{\"fault\":\"gateway_url\",\"port\":1}", true },
		{ "{\"fault\":\"gateway_url\",\"port\":0}", false },
		{ "{\"fault\":\"gateway_url\"}", false },
		{ "{\"fault\":\"close\",\"code\":70000}", false },
		{ "{\"fault\":\"close\",\"code\":-1}", false },
		{ "{\"fault\":\"close\",\"code\":[]}", false },
		{ "{\"fault\":\"close\",\"ms\":1}", false },
		{ "{\"fault\":\"close\",\"scope\":\"c2c\"}", false },
		{ "{\"fault\":\"clos\"}", false },
		{ "{\"fault\":\"\"}", false },
		{ "{}", false },
		{ "[]", false },
		{ "7", false },
		{ "{\"fault\":\"send_slow\"}", false },
		{ "{\"fault\":\"send_slow\",\"ms\":5}", true },
		{ "{\"fault\":\"send_slow\",\"ms\":5,\"scope\":\"dm\"}", true },
		{ "{\"fault\":\"send_slow\",\"ms\":5,\"scope\":"
		  "\"aaaaaaaaaaaaaaaaaaaaaaaa\"}", false },
		{ "{\"fault\":\"send_status\",\"status\":0}", false },
		{ "{\"fault\":\"send_status\",\"status\":502}", true },
		{ "{\"fault\":\"send_status\",\"body\":\"html\"}", true },
		{ "{\"fault\":\"send_status\",\"body\":\"xml\"}", false },
		{ "{\"fault\":\"refuse_connect\",\"status\":0}", true },
		{ "{\"fault\":\"token_form\",\"how\":\"zero\"}", true },
		{ "{\"fault\":\"token_form\",\"how\":\"ero\"}", false },
		{ "{\"fault\":\"hello_says\",\"text\":\"{}\"}", true },
		{ "{\"fault\":\"send_says\",\"status\":202}", true },
		{ "{\"fault\":\"hello_says\",\"status\":200}", false },
		{ "{\"fault\":\"op9\",\"text\":\"x\"}", false },
		{ "{\"fault\":\"op9\",\"d\":true}", true },
		{ "{\"fault\":\"op9\",\"d\":\"absent\"}", true },
		{ "{\"fault\":\"op9\",\"d\":7}", false },
		{ "{\"fault\":\"op9\",\"count\":99999999999}", false },
	};
	struct fault f;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if ((parse(&f, rows[i].text) == ERR_OK) != rows[i].good) {
			printf("# %s\n", rows[i].text);
			test_bad = true;
		}
}

TEST(defaults)
{
	struct fault f;

	EXPECT_INT(parse(&f, "{\"fault\":\"send_half\"}"), ERR_OK);
	EXPECT_INT(f.left, 1);
	EXPECT_INT(f.ends_ms, 0);
	EXPECT_INT(f.code, -1);
	EXPECT_INT(parse(&f, "{\"fault\":\"send_half\",\"for_ms\":50}"),
	    ERR_OK);
	EXPECT_INT(f.left, 0);
	EXPECT_INT(f.ends_ms, 1050);
	EXPECT_INT(parse(&f, "{\"fault\":\"send_half\",\"count\":3,"
	                     "\"for_ms\":50}"), ERR_OK);
	EXPECT_INT(f.left, 3);
	EXPECT_INT(f.ends_ms, 1050);
}

static void
arm(struct faults *all, const char *text)
{
	struct fault f;

	EXPECT_INT(parse(&f, text), ERR_OK);
	EXPECT_INT(faults_arm(all, &f), ERR_OK);
}

static bool
strikes(struct faults *all, const char *bot, const char *scope, int64_t now)
{
	struct fault f;

	return faults_strike(all, FAULT_send_half, bot, scope, now, &f);
}

TEST(counted)
{
	struct faults all = { 0 };

	EXPECT(!strikes(&all, "1", "c2c", 1000));
	arm(&all, "{\"fault\":\"send_half\",\"count\":2}");
	EXPECT(strikes(&all, "1", "c2c", 1000));
	EXPECT(strikes(&all, "2", "dm", 1000));
	EXPECT(!strikes(&all, "1", "c2c", 1000));
	EXPECT_INT(all.struck[FAULT_send_half], 2);
	EXPECT_INT(all.n, 0);
	EXPECT_INT(all.armed, 0);
}

TEST(timed)
{
	struct faults all = { 0 };

	arm(&all, "{\"fault\":\"send_half\",\"for_ms\":50}");
	EXPECT(strikes(&all, "1", "c2c", 1049));
	EXPECT(strikes(&all, "1", "c2c", 1049));
	EXPECT(!strikes(&all, "1", "c2c", 1050));
	EXPECT_INT(all.n, 0);
}

TEST(of_one_bot_and_scope)
{
	struct faults all = { 0 };

	arm(&all, "{\"fault\":\"send_half\",\"bot\":\"2\",\"count\":0}");
	EXPECT(!strikes(&all, "1", "c2c", 1000));
	EXPECT(strikes(&all, "2", "c2c", 1000));
	faults_clear(&all);
	EXPECT(!strikes(&all, "2", "c2c", 1000));
	arm(&all, "{\"fault\":\"send_half\",\"scope\":\"dm\",\"count\":0}");
	EXPECT(!strikes(&all, "1", "c2c", 1000));
	EXPECT(strikes(&all, "1", "dm", 1000));
	EXPECT(strikes(&all, "1", "", 1000));
	faults_clear(&all);
}

TEST(in_order_and_bounded)
{
	struct faults all = { 0 };
	struct fault  f, out;

	EXPECT_INT(parse(&f, "{\"fault\":\"send_slow\",\"ms\":1}"), ERR_OK);
	for (int i = 0; i < FAULTS_MAX; i++) {
		f.ms = i;
		EXPECT_INT(faults_arm(&all, &f), ERR_OK);
	}
	EXPECT_INT(faults_arm(&all, &f), ERR_FULL);
	for (int i = 0; i < FAULTS_MAX; i++) {
		EXPECT(faults_strike(&all, FAULT_send_slow, "", "", 1000,
		    &out));
		EXPECT_INT(out.ms, i);
	}
	EXPECT(!faults_strike(&all, FAULT_send_slow, "", "", 1000, &out));
}

TEST(names_are_unique)
{
	for (unsigned i = 0; i < FAULT_COUNT; i++)
		for (unsigned k = i + 1; k < FAULT_COUNT; k++)
			EXPECT(strcmp(fault_infos[i].name,
			    fault_infos[k].name) != 0);
}

int
main(void)
{
	RUN(forms);
	RUN(defaults);
	RUN(counted);
	RUN(timed);
	RUN(of_one_bot_and_scope);
	RUN(in_order_and_bounded);
	RUN(names_are_unique);
	return test_done();
}
