// links: common/slice.c common/buf.c common/backoff.c common/secret.c common/err.c
/*
 * slice, buf, backoff, secret, err: the small things everything stands on.
 */
#include "test.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "backoff.h"
#include "buf.h"
#include "err.h"
#include "secret.h"
#include "slice.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

TEST(slices_compare_by_bytes)
{
	static const struct {
		struct slice a, b;
		bool         equal, starts;
	} rows[] = {
		{ { NULL, 0 }, { NULL, 0 }, true, true },
		{ { NULL, 0 }, { "", 0 }, true, true },
		{ { "a", 1 }, { NULL, 0 }, false, true },
		{ { "ab", 2 }, { "a", 1 }, false, true },
		{ { "a", 1 }, { "ab", 2 }, false, false },
		{ { "a\0b", 3 }, { "a\0c", 3 }, false, false },
		{ { "a\0b", 3 }, { "a\0b", 3 }, true, true },
		{ { "A", 1 }, { "a", 1 }, false, false },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		EXPECT(slice_eq(rows[i].a, rows[i].b) == rows[i].equal);
		EXPECT(slice_starts(rows[i].a, rows[i].b) == rows[i].starts);
	}
	EXPECT(slice_is(SLICE("x"), "x") && !slice_is(SLICE("x"), NULL));
	EXPECT(slice_is((struct slice){ NULL, 0 }, NULL));
}

TEST(slices_are_cut)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" }, { "  ", "" }, { "\t\r\n x y \n", "x y" },
		{ "x", "x" }, { " x", "x" }, { "x\v", "x\v" },
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		EXPECT_SLICE(slice_trim(slice_of(rows[i].in)), rows[i].out);
	EXPECT_SLICE(slice_from(SLICE("abc"), 1), "bc");
	EXPECT_SLICE(slice_from(SLICE("abc"), 3), "");
	EXPECT_SLICE(slice_from(SLICE("abc"), SIZE_MAX), "");
	EXPECT_SLICE(slice_from((struct slice){ NULL, 0 }, 1), "");
}

TEST(slices_are_copied)
{
	char *z = slice_dup((struct slice){ "a\0b", 3 });

	EXPECT(z != NULL && memcmp(z, "a\0b", 4) == 0);
	free(z);
	z = slice_dup((struct slice){ NULL, 0 });
	EXPECT_STR(z, "");
	free(z);
}

TEST(numbers_are_digits_only)
{
	static const struct {
		const char        *in;
		bool               good;
		unsigned long long v;
	} rows[] = {
		{ "0", true, 0 },
		{ "007", true, 7 },
		{ "18446744073709551615", true, ULLONG_MAX },
		{ "18446744073709551616", false, 0 },
		{ "18446744073709551620", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "", false, 0 },     { "-1", false, 0 },
		{ "+1", false, 0 },   { " 1", false, 0 },
		{ "1 ", false, 0 },   { "0x10", false, 0 },
		{ "1e3", false, 0 },  { "1.0", false, 0 },
		{ "\xd9\xa1", false, 0 },        /* ARABIC-INDIC DIGIT ONE */
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		unsigned long long v = 4711;

		EXPECT(slice_u64(slice_of(rows[i].in), &v) == rows[i].good);
		EXPECT(v == (rows[i].good ? rows[i].v : 4711));
	}
}

TEST(hashes_are_fnv)
{
	/* the published vectors of FNV-1a, 32 bits */
	EXPECT(slice_hash(SLICE("")) == 0x811c9dc5u);
	EXPECT(slice_hash(SLICE("a")) == 0xe40c292cu);
	EXPECT(slice_hash(SLICE("foobar")) == 0xbf9cf968u);
}

TEST(buffers_grow)
{
	struct buf b = { 0 };

	EXPECT_SLICE(buf_slice(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_putf(&b, "%d,", i % 10);
	EXPECT_INT(b.n, 2000);
	EXPECT(b.p[2000] == '\0' && memcmp(b.p + 1998, "9,", 2) == 0);
	buf_drop(&b, 1998);
	EXPECT_SLICE(buf_slice(&b), "9,");
	buf_drop(&b, 3);
	EXPECT_SLICE(buf_slice(&b), "");
	buf_puts(&b, NULL);
	buf_put(&b, (struct slice){ NULL, 0 });
	buf_puts(&b, "x");
	EXPECT_SLICE(buf_slice(&b), "x");
	buf_reset(&b);
	EXPECT(b.n == 0 && b.cap > 0 && b.p[0] == '\0' && !b.failed);
	buf_free(&b);
	EXPECT(b.p == NULL && b.cap == 0);
	buf_drop(&b, 1);
	buf_reset(&b);
	EXPECT(b.p == NULL);
}

TEST(buffers_refuse_the_impossible)
{
	struct buf b = { 0 };

	buf_puts(&b, "kept");
	EXPECT(buf_room(&b, SIZE_MAX) == NULL && b.failed);
	b.failed = false;
	EXPECT(buf_room(&b, SIZE_MAX / 2 + 2) == NULL && b.failed);
	b.failed = false;
	EXPECT(buf_room(&b, SIZE_MAX - 5) == NULL && b.failed);
	EXPECT_SLICE(buf_slice(&b), "kept");
	buf_reset(&b);
	EXPECT(!b.failed);
	buf_free(&b);
}

TEST(delays_grow_and_spread)
{
	static const uint32_t steps[] = { 1000, 2000, 5000, 0 };
	static const struct {
		uint32_t chance;
		uint64_t least, most;
	} rows[] = {
		{ 0, 800, 800 },
		{ UINT32_MAX, 2399, 2400 },        /* of 2000 */
		{ UINT32_MAX / 2, 4999, 5000 },
		{ 0, 4000, 4000 },                 /* the last for ever */
		{ UINT32_MAX, 5999, 6000 },
	};
	struct backoff b = { .steps_ms = steps };

	for (size_t i = 0; i < ROWS(rows); i++) {
		uint64_t ms = backoff_next(&b, rows[i].chance);

		EXPECT(ms >= rows[i].least && ms <= rows[i].most);
	}
	backoff_reset(&b);
	EXPECT_INT(backoff_next(&b, 0), 800);
	EXPECT_INT(backoff_spread(0, 20, UINT32_MAX), 0);
	EXPECT_INT(backoff_spread(1, 20, 0), 1);
	EXPECT_INT(backoff_spread(86400000ull * 6, 0, 77), 86400000ull * 6);
	for (uint32_t chance = 0; chance < 4000000000u; chance += 7919 * 97)
		EXPECT(backoff_spread(600000, 10, chance) >= 540000 &&
		    backoff_spread(600000, 10, chance) <= 660000);
}

TEST(chance_differs)
{
	uint32_t first = backoff_chance(), same = 0;

	for (int i = 0; i < 8; i++)
		same += backoff_chance() == first;
	EXPECT(same < 8);
}

TEST(secrets_are_compared_whole)
{
	struct secret s = { 0 }, t = { 0 };

	EXPECT(secret_eq(&s, SLICE("")) && !secret_eq(&s, SLICE("x")));
	EXPECT(secret_set(&s, SLICE("hunter2")) == ERR_OK);
	EXPECT(secret_eq(&s, SLICE("hunter2")));
	EXPECT(!secret_eq(&s, SLICE("hunter")));
	EXPECT(!secret_eq(&s, SLICE("hunter22")));
	EXPECT(!secret_eq(&s, SLICE("Hunter2")));
	EXPECT(!secret_eq(&s, SLICE("hunter3")));
	EXPECT(!secret_eq(&s, SLICE("")));
	EXPECT(secret_reveal(&s).p[7] == '\0');
	secret_move(&t, &s);
	EXPECT(s.p == NULL && s.n == 0 && secret_eq(&t, SLICE("hunter2")));
	secret_wipe(&t);
	secret_wipe(&t);
	EXPECT(t.p == NULL && t.n == 0);
}

/* One page exactly: the NUL must have a page of its own. */
TEST(secrets_of_any_size_end_in_nul)
{
	static const size_t sizes[] = { 1, 4095, 4096, 4097, 65536 };
	char               *text = calloc(1, 65536);
	struct secret       s = { 0 };

	for (size_t i = 0; text != NULL && i < ROWS(sizes); i++) {
		memset(text, 'k', sizes[i]);
		EXPECT(secret_set(&s, (struct slice){ text, sizes[i] }) ==
		    ERR_OK);
		EXPECT(s.n == sizes[i] && s.p[sizes[i]] == '\0');
		EXPECT(strlen(s.p) == sizes[i]);
	}
	EXPECT(secret_set(&s, (struct slice){ NULL, 0 }) == ERR_OK);
	EXPECT(s.p == NULL);
	free(text);
}

TEST(errors_have_words)
{
	for (int i = 0; i < ERR_COUNT; i++) {
		EXPECT(err_name((enum err)i)[0] != '\0');
		EXPECT(err_text((enum err)i)[0] != '\0');
		for (int k = 0; k < i; k++)
			EXPECT(strcmp(err_name((enum err)i),
			    err_name((enum err)k)) != 0);
	}
	EXPECT_STR(err_name(ERR_OK), "OK");
	EXPECT_STR(err_name(ERR_NETWORK), "NETWORK");
	EXPECT(err_action(ERR_NETWORK) == ERR_RETRY);
	EXPECT(err_action(ERR_SYNTAX) == ERR_DROP);
	EXPECT(err_action(ERR_CONFIG) == ERR_STOP);
	EXPECT_STR(err_name((enum err)ERR_COUNT), "SYSTEM");
	EXPECT_STR(err_name((enum err)-1), "SYSTEM");
}

int
main(void)
{
	RUN(slices_compare_by_bytes);
	RUN(slices_are_cut);
	RUN(slices_are_copied);
	RUN(numbers_are_digits_only);
	RUN(hashes_are_fnv);
	RUN(buffers_grow);
	RUN(buffers_refuse_the_impossible);
	RUN(delays_grow_and_spread);
	RUN(chance_differs);
	RUN(secrets_are_compared_whole);
	RUN(secrets_of_any_size_end_in_nul);
	RUN(errors_have_words);
	return test_done();
}
