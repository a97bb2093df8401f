/*
 * test: a test program is a list of functions; each row that fails prints
 * where and why, and the program goes on.  The last line is counted by
 * scripts/test.
 *
 *   TEST(parses_numbers) { EXPECT(f("7") == 7); EXPECT_STR(name, "x"); }
 *   int main(void) { RUN(parses_numbers); return test_done(); }
 */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int test_passed, test_failed;
static bool test_bad;

#define TEST(name) static void test_##name(void)
#define RUN(name)                                                            \
	do {                                                                 \
		test_bad = false;                                            \
		test_##name();                                               \
		printf("%s %s\n", test_bad ? "not ok" : "ok", #name);        \
		test_bad ? test_failed++ : test_passed++;                    \
		fflush(stdout);                                              \
	} while (0)

#define EXPECT(cond)                                                         \
	do {                                                                 \
		if (!(cond)) {                                               \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond);  \
			test_bad = true;                                     \
		}                                                            \
	} while (0)

#define EXPECT_INT(got, want)                                                \
	do {                                                                 \
		long long g_ = (long long)(got), w_ = (long long)(want);     \
									     \
		if (g_ != w_) {                                              \
			printf("# %s:%d: %s is %lld, not %lld\n", __FILE__,  \
			    __LINE__, #got, g_, w_);                         \
			test_bad = true;                                     \
		}                                                            \
	} while (0)

#define EXPECT_STR(got, want)                                                \
	do {                                                                 \
		const char *g_ = (got), *w_ = (want);                        \
									     \
		if (g_ == NULL || strcmp(g_, w_) != 0) {                     \
			printf("# %s:%d: %s is \"%s\", not \"%s\"\n",        \
			    __FILE__, __LINE__, #got, g_ ? g_ : "(null)",    \
			    w_);                                             \
			test_bad = true;                                     \
		}                                                            \
	} while (0)

#define EXPECT_SLICE(got, want)                                              \
	do {                                                                 \
		struct slice s_ = (got);                                     \
		const char  *z_ = (want);                                    \
									     \
		if (s_.n != strlen(z_) ||                                    \
		    (s_.n > 0 && memcmp(s_.p, z_, s_.n) != 0)) {             \
			printf("# %s:%d: %s is \"%.*s\", not \"%s\"\n",      \
			    __FILE__, __LINE__, #got, (int)s_.n,             \
			    s_.n ? s_.p : "", z_);                           \
			test_bad = true;                                     \
		}                                                            \
	} while (0)

static inline int
test_done(void)
{
	printf("# %d passed, %d failed\n", test_passed, test_failed);
	return test_failed > 0;
}

#endif
