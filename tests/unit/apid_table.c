// links: apid/table.c common
/*
 * Many entries, found after each doubling and after the one that there was
 * no memory for; what the buckets take, and that nothing stays of them.
 */
#include "test.h"

#include <stdlib.h>

#include "table.h"

/* 262144 buckets are more than one allocation may be, see below. */
enum { MANY = 200000, RECORD = 32768, BUCKETS_MOST = 131072 };

struct thing {
	struct table_entry entry;       /* first: found by it */
	char               key[12];
};

static struct table t;
static struct thing things[MANY];

/* The sanitizer is to do as an allocator without memory does. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1:max_allocation_size_mb=1";
}

static void
fill(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		snprintf(things[i].key, sizeof things[i].key, "k%zu", i);
		things[i].entry.key = slice_of(things[i].key);
		table_put(&t, &things[i].entry);
	}
}

static void
drain(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		table_remove(&t, &things[i].entry);
}

/* How many of them are found. */
static size_t
found(size_t from, size_t to)
{
	size_t n = 0;
	char   key[12];

	for (size_t i = from; i < to; i++) {
		snprintf(key, sizeof key, "k%zu", i);
		n += table_find(&t, slice_of(key)) == &things[i].entry;
	}
	return n;
}

static size_t
longest(void)
{
	size_t most = 0;

	for (size_t i = 0; i < t.size; i++) {
		size_t n = 0;

		for (const struct table_entry *e = t.buckets[i]; e != NULL;
		     e = e->next)
			n++;
		most = n > most ? n : most;
	}
	return most;
}

static void
expect_empty(void)
{
	EXPECT_INT(t.n, 0);
	EXPECT_INT(t.size, 0);
	EXPECT(t.buckets == NULL && t.chain == NULL);
}

TEST(few_take_no_memory)
{
	EXPECT(table_find(&t, SLICE("k0")) == NULL);
	fill(0, TABLE_FEW - 1);
	EXPECT(t.buckets == NULL);
	EXPECT_INT(found(0, TABLE_FEW), TABLE_FEW - 1);
	drain(0, 3);
	EXPECT_INT(found(0, TABLE_FEW), TABLE_FEW - 4);
	table_remove(&t, &things[0].entry); /* is not in it */
	EXPECT_INT(t.n, TABLE_FEW - 4);
	drain(3, TABLE_FEW - 1);
	expect_empty();
}

TEST(buckets_grow_with_the_entries)
{
	size_t n = 0;

	for (size_t to = 1; to <= RECORD; to *= 2) {
		for (; n < to; n++) {
			fill(n, n + 1);
			EXPECT(t.size <= 2 * t.n);
			EXPECT(t.n < TABLE_FEW || t.n <= t.size);
		}
		EXPECT_INT(found(0, 2 * to), to);
	}
	EXPECT_INT(t.size, 2 * RECORD);
	EXPECT(longest() <= 8);
	/* At the edge of a doubling nothing swings to and fro. */
	drain(RECORD - 1, RECORD);
	fill(RECORD - 1, RECORD);
	EXPECT_INT(t.size, 2 * RECORD);
	drain(0, RECORD / 2);
	EXPECT_INT(found(0, RECORD), RECORD / 2);
	drain(RECORD / 2, RECORD);
	expect_empty();
}

TEST(without_memory_all_are_found)
{
	fill(0, MANY);
	EXPECT_INT(t.n, MANY);
	EXPECT_INT(t.size, BUCKETS_MOST);
	EXPECT_INT(found(0, MANY), MANY);
	drain(0, MANY);
	expect_empty();
}

int
main(void)
{
	RUN(few_take_no_memory);
	RUN(buckets_grow_with_the_entries);
	RUN(without_memory_all_are_found);
	return test_done();
}
