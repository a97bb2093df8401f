// links: common
/*
 * The tables of calls: whole, and in keeping with each other.
 */
#include "test.h"

#include "catalog.h"

/* Is {name} in the path? */
static bool
in_path(const char *path, const char *name)
{
	char segment[64];

	snprintf(segment, sizeof segment, "{%s}", name);
	return strstr(path, segment) != NULL;
}

static size_t
count_braces(const char *path)
{
	size_t n = 0;

	for (; *path != '\0'; path++)
		n += *path == '{';
	return n;
}

TEST(every_operation_is_whole)
{
	for (int i = 0; i < CALL_COUNT; i++) {
		const struct catalog_row   *r = catalog_row((enum call_id)i);
		size_t                      n, segments = 0;
		const struct catalog_param *p = catalog_params(
		    (enum call_id)i, &n);

		EXPECT(r->path[0] == '/' || r->status == STATUS_OURS);
		EXPECT(strcmp(r->method, "GET") == 0 ||
		    strcmp(r->method, "POST") == 0 ||
		    strcmp(r->method, "PUT") == 0 ||
		    strcmp(r->method, "PATCH") == 0 ||
		    strcmp(r->method, "DELETE") == 0);
		EXPECT(strcmp(r->method, "GET") != 0 || r->form == FORM_NONE);
		EXPECT(r->success[0] == '2');
		EXPECT(strlen(r->meaning) > 5);
		EXPECT_INT(catalog_find(slice_of(r->name)), i);
		for (size_t k = 0; k < n; k++) {
			EXPECT(p[k].call == (enum call_id)i);
			EXPECT(p[k].place != PLACE_PATH ||
			    in_path(r->path, p[k].name));
			EXPECT(p[k].place != PLACE_PATH ||
			    p[k].need == NEED_MUST);
			EXPECT(p[k].place != PLACE_BODY ||
			    r->form != FORM_NONE);
			EXPECT(p[k].min <= p[k].max || p[k].max == 0);
			/* Words and lists have what they are chosen from. */
			EXPECT((p[k].type == TYPE_CHOICE ||
			           p[k].type == TYPE_NUMBER) ==
			    (p[k].choices[0] != '\0'));
			EXPECT((p[k].type != TYPE_IDS &&
			           p[k].type != TYPE_OBJECTS) || p[k].max > 0);
			segments += p[k].place == PLACE_PATH;
			for (size_t j = 0; j < k; j++)
				EXPECT(strcmp(p[j].name, p[k].name) != 0);
		}
		EXPECT(segments == count_braces(r->path) ||
		    r->status == STATUS_OURS);
	}
}

/* Path parameters stand in the order of the path: they fill it in so. */
TEST(paths_are_filled_in_order)
{
	for (int i = 0; i < CALL_COUNT; i++) {
		const struct catalog_row   *r = catalog_row((enum call_id)i);
		size_t                      n;
		const struct catalog_param *p = catalog_params(
		    (enum call_id)i, &n);
		const char                 *at = r->path;

		for (size_t k = 0; k < n; k++) {
			if (p[k].place != PLACE_PATH)
				continue;
			at = strchr(at, '{');
			EXPECT(at != NULL && strncmp(at + 1, p[k].name,
			                         strlen(p[k].name)) == 0);
			if (at++ == NULL)
				break;
		}
	}
}

TEST(rules_speak_of_parameters)
{
	size_t                     n, m;
	const struct catalog_rule *rules = catalog_rules(&n);

	EXPECT(n > 0);
	for (size_t i = 0; i < n; i++) {
		const struct catalog_param *p = catalog_params(rules[i].call,
		    &m);
		int found = 0;

		for (size_t k = 0; k < m; k++)
			found += strcmp(p[k].name, rules[i].name) == 0 ||
			    strcmp(p[k].name, rules[i].needs) == 0;
		EXPECT_INT(found, 2);
	}
}

TEST(all_113_operations_are_here)
{
	size_t n;

	catalog_withdrawn(&n);
	EXPECT_INT(CALL_COUNT + n, 113);
}

TEST(operations_by_conversation)
{
	size_t                       n, m;
	const struct call_operation *o = call_operations(&n);
	const struct call_argument  *a = call_arguments(&m);

	for (size_t i = 0; i < n; i++) {
		EXPECT(call_operation(slice_of(o[i].name)) == &o[i]);
		EXPECT(strlen(o[i].meaning) > 5);
		EXPECT(o[i].makes != MAKES_PARAMS || o[i].needs == 0);
	}
	EXPECT(call_operation(SLICE("")) == NULL);
	EXPECT(call_operation(SLICE("repl")) == NULL);
	for (size_t i = 0; i < m; i++) {
		EXPECT(strspn(a[i].scopes, "ugcd") == strlen(a[i].scopes));
		EXPECT(strspn(a[i].type, "TEXINGRFLAIDSOBJC/") ==
		    strlen(a[i].type));
		for (size_t k = 0; k < i; k++)
			EXPECT(a[k].makes != a[i].makes ||
			    strcmp(a[k].name, a[i].name) != 0);
	}
}

int
main(void)
{
	RUN(every_operation_is_whole);
	RUN(paths_are_filled_in_order);
	RUN(rules_speak_of_parameters);
	RUN(all_113_operations_are_here);
	RUN(operations_by_conversation);
	return test_done();
}
