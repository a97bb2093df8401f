// links: qqsim/map.c common
/*
 * The hash table, against a plain list of what should be in it.
 */
#include "test.h"

#include <stdlib.h>

#include "map.h"

enum { KEYS = 3000, ROUNDS = 60000 };

struct thing {
	char name[16];
	bool in;
};

TEST(empty)
{
	struct map m = { 0 };
	size_t     at = 0;

	EXPECT(map_get(&m, SLICE("x")) == NULL);
	EXPECT(map_take(&m, SLICE("x")) == NULL);
	EXPECT(map_next(&m, &at) == NULL);
	map_free(&m);
}

TEST(one_key_once)
{
	struct map m = { 0 };
	int        a, b;

	EXPECT_INT(map_put(&m, SLICE("k"), &a), ERR_OK);
	EXPECT_INT(map_put(&m, SLICE("k"), &b), ERR_DUPLICATE);
	EXPECT(map_get(&m, SLICE("k")) == &a);
	EXPECT(map_get(&m, SLICE("")) == NULL);
	EXPECT(map_take(&m, SLICE("k")) == &a);
	EXPECT(map_get(&m, SLICE("k")) == NULL);
	map_free(&m);
}

/* Whatever is put and taken in whatever order, the same is found. */
TEST(as_a_list_would)
{
	struct thing *all = calloc(KEYS, sizeof *all);
	struct map    m = { 0 };
	unsigned      seed = 7, n = 0, wrong = 0;
	size_t        at = 0, seen = 0;

	for (unsigned i = 0; i < KEYS; i++)
		snprintf(all[i].name, sizeof all[i].name, "%u", i);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct thing *t = &all[rand_r(&seed) % KEYS];
		struct slice  key = slice_of(t->name);

		wrong += map_get(&m, key) != (t->in ? t : NULL);
		if (t->in)
			wrong += map_take(&m, key) != t;
		else
			wrong += map_put(&m, key, t) != ERR_OK;
		t->in = !t->in;
		n += t->in ? 1 : -1u;
	}
	EXPECT_INT(wrong, 0);
	EXPECT_INT(m.n, n);
	for (unsigned i = 0; i < KEYS; i++)
		wrong += map_get(&m, slice_of(all[i].name)) !=
		    (all[i].in ? &all[i] : NULL);
	EXPECT_INT(wrong, 0);
	while (map_next(&m, &at) != NULL)
		seen++;
	EXPECT_INT(seen, n);
	map_free(&m);
	free(all);
}

int
main(void)
{
	RUN(empty);
	RUN(one_key_once);
	RUN(as_a_list_would);
	return test_done();
}
