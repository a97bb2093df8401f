// links: qqsim/route.c qqsim/form.c qqsim/world.c qqsim/map.c common
/*
 * The table of operations, the forms in it, and the world behind them.
 */
#include "test.h"

#include "route.h"

TEST(every_form_can_be_read)
{
	struct route_forms *f = NULL;

	EXPECT_INT(route_forms_new(&f), ERR_OK);
	route_forms_free(&f);
	for (size_t i = 0; i < ROUTES; i++)
		for (size_t k = 0; k < i; k++)
			EXPECT(routes[i].method != routes[k].method ||
			    strcmp(routes[i].path, routes[k].path) != 0);
}

TEST(paths)
{
	static const struct {
		enum method method;
		const char *path, *op, *arg;   /* op "": method; NULL: path */
	} rows[] = {
		{ METHOD_GET, "/gateway", "gateway_get", "" },
		{ METHOD_POST, "/v2/users/U.!-_/messages",
		    "c2c_message_send", "U.!-_" },
		{ METHOD_GET, "/v2/users/U/messages", "", "" },
		{ METHOD_GET, "/v2/users//messages", NULL, "" },
		{ METHOD_GET, "/v2/users/U/messages/", NULL, "" },
		{ METHOD_GET, "/nothing", NULL, "" },
		{ METHOD_GET, "/gatewayx", NULL, "" },
		{ METHOD_GET, "/v2/groups/join_approval_strategy",
		    "join_strategy_list", "" },
		{ METHOD_DELETE, "/v2/groups/join_approval_strategy/S",
		    "join_strategy_delete", "S" },
		{ METHOD_PUT, "/channels/1/messages/2/reactions/1/4",
		    "reaction_add", "4" },
		{ METHOD_PATCH, "/guilds/1/members/2/mute", "member_mute",
		    "2" },
		{ METHOD_POST, "/gateway/webhook/sessions", NULL, "" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct slice        args[ROUTE_ARGS_MAX] = { 0 };
		bool                known;
		const struct route *r = route_find(rows[i].method,
		    slice_of(rows[i].path), args, &known);
		size_t n = 0;

		if (rows[i].op == NULL || rows[i].op[0] == '\0') {
			EXPECT(r == NULL);
			EXPECT_INT(known, rows[i].op != NULL);
			continue;
		}
		EXPECT(r != NULL && strcmp(r->op, rows[i].op) == 0);
		while (n + 1 < ROUTE_ARGS_MAX && args[n + 1].n > 0)
			n++;
		EXPECT(slice_is(args[n], rows[i].arg));
	}
}

static const char line[] = "a:str! b:int c:=x|yy d:0..5 e:obj e.f:bool! "
    "g:arr<=2 g.h:id! i:strs<=2 j:num k:any l:str<=2 m:obj";

TEST(bodies)
{
	static const struct {
		const char       *body;
		enum form_verdict verdict;
		const char       *why;
	} rows[] = {
		{ "{\"a\":\"\"}", FORM_FITS, "" },
		{ "{}", FORM_MISSING, "a is missing" },
		{ "{\"a\":null}", FORM_MISSING, "a is missing" },
		{ "{\"a\":1}", FORM_WRONG, "a must be str" },
		{ "{\"a\":\"\",\"z\":1}", FORM_UNKNOWN,
		    "z is not a member the platform knows" },
		{ "{\"a\":\"\",\"b\":\"1\"}", FORM_WRONG, "b must be int" },
		{ "{\"a\":\"\",\"b\":1.5}", FORM_WRONG, "b must be int" },
		{ "{\"a\":\"\",\"c\":\"yy\"}", FORM_FITS, "" },
		{ "{\"a\":\"\",\"c\":\"y\"}", FORM_WRONG,
		    "c must be =x|yy" },
		{ "{\"a\":\"\",\"d\":5}", FORM_FITS, "" },
		{ "{\"a\":\"\",\"d\":6}", FORM_WRONG, "d must be 0..5" },
		{ "{\"a\":\"\",\"e\":{}}", FORM_MISSING, "e.f is missing" },
		{ "{\"a\":\"\",\"e\":{\"f\":1}}", FORM_WRONG,
		    "e.f must be bool" },
		{ "{\"a\":\"\",\"e\":{\"f\":true,\"x\":1}}", FORM_UNKNOWN,
		    "e.x is not a member the platform knows" },
		{ "{\"a\":\"\",\"e\":[]}", FORM_WRONG, "e must be obj" },
		{ "{\"a\":\"\",\"g\":[{\"h\":\"1\"}]}", FORM_FITS, "" },
		{ "{\"a\":\"\",\"g\":[{\"h\":\"1\"},{}]}", FORM_MISSING,
		    "g.h is missing" },
		{ "{\"a\":\"\",\"g\":[{\"h\":\"x\"}]}", FORM_WRONG,
		    "g.h must be id" },
		{ "{\"a\":\"\",\"g\":[1]}", FORM_WRONG,
		    "g must be a list of objects" },
		{ "{\"a\":\"\",\"g\":[{},{},{}]}", FORM_WRONG,
		    "g must be arr<=2" },
		{ "{\"a\":\"\",\"i\":[\"1\",\"2\"]}", FORM_FITS, "" },
		{ "{\"a\":\"\",\"i\":[1]}", FORM_WRONG,
		    "i must be strs<=2" },
		{ "{\"a\":\"\",\"j\":\"12\"}", FORM_FITS, "" },
		{ "{\"a\":\"\",\"j\":12}", FORM_FITS, "" },
		{ "{\"a\":\"\",\"j\":\"x\"}", FORM_WRONG, "j must be num" },
		{ "{\"a\":\"\",\"l\":\"\u597d\u597d\"}", FORM_FITS, "" },
		{ "{\"a\":\"\",\"l\":\"abc\"}", FORM_WRONG,
		    "l must be str<=2" },
		{ "{\"a\":\"\",\"m\":{\"any\":[1]}}", FORM_FITS, "" },
	};
	struct form f;

	EXPECT_INT(form_make(&f, line), ERR_OK);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct json *doc = NULL;
		char         why[FORM_WHY_MAX] = "";

		EXPECT_INT(json_parse(&doc, slice_of(rows[i].body)), ERR_OK);
		EXPECT_INT(form_check(&f, doc, why), rows[i].verdict);
		EXPECT_STR(why, rows[i].why);
		json_free(&doc);
	}
	form_free(&f);
	EXPECT_INT(form_make(&f, "a:strange"), ERR_SYNTAX);
	EXPECT_INT(form_make(&f, "a"), ERR_SYNTAX);
}

TEST(queries)
{
	static const struct {
		const char       *item;
		enum form_verdict verdict;
	} rows[] = {
		{ "limit=100", FORM_FITS }, { "limit=101", FORM_WRONG },
		{ "limit=0", FORM_WRONG }, { "limit=", FORM_WRONG },
		{ "after=12", FORM_FITS }, { "after=x", FORM_WRONG },
		{ "limits=1", FORM_UNKNOWN }, { "limit", FORM_WRONG },
	};
	struct form f;
	char        why[FORM_WHY_MAX];

	EXPECT_INT(form_make(&f, "limit:1..100 after:id"), ERR_OK);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct slice item = slice_of(rows[i].item);

		EXPECT_INT(form_check_query(&f, &item, 1, why),
		    rows[i].verdict);
	}
	EXPECT_INT(form_check_query(&f, NULL, 0, why), FORM_FITS);
	form_free(&f);
}

TEST(worlds)
{
	struct world      w = { 0 };
	struct world_row *r;
	char              id[24];

	EXPECT_INT(world_defaults(&w, SLICE("9"), SLICE("bot")), ERR_OK);
	EXPECT(world_get(&w, WORLD_channel, SLICE(""), SLICE("1600001")) !=
	    NULL);
	EXPECT(world_get(&w, WORLD_member, SLICE("4700000000000000001"),
	    SLICE("9")) != NULL);
	EXPECT(world_get(&w, WORLD_member, SLICE("1"), SLICE("9")) == NULL);
	EXPECT_INT(world_count(&w, WORLD_role,
	    SLICE("4700000000000000001")), 5);
	/* What belongs to it goes with it. */
	EXPECT(world_drop(&w, WORLD_guild, SLICE(""),
	    SLICE("4700000000000000001")));
	EXPECT(world_next(&w, WORLD_channel, SLICE(""), NULL) == NULL);
	EXPECT(world_next(&w, WORLD_thread, SLICE(""), NULL) == NULL);
	EXPECT(!world_drop(&w, WORLD_guild, SLICE(""), SLICE("x")));
	/* The oldest goes when there are too many. */
	for (int i = 0; i < 1001; i++)
		EXPECT_INT(world_put_take(&w, WORLD_file, SLICE(""),
		    world_id(&w, id), json_new_object()), ERR_OK);
	EXPECT_INT(w.n[WORLD_file], 1000);
	r = world_next(&w, WORLD_file, SLICE(""), NULL);
	EXPECT(slice_is(r->id, "9000002"));
	world_close(&w);
}

int
main(void)
{
	RUN(every_form_can_be_read);
	RUN(paths);
	RUN(bodies);
	RUN(queries);
	RUN(worlds);
	return test_done();
}
