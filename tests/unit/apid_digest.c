// links: apid/digest.c
// libs: libcrypto
/* Sums of a pattern, against those another library has made; in pieces of any
 * size they are the same. */
#include "test.h"

#include <stdlib.h>

#include "digest.h"

static const struct {
	size_t      n;
	const char *md5, *sha1, *md5_10m;
} rows[] = {
	{ 0, "d41d8cd98f00b204e9800998ecf8427e",
	    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	    "d41d8cd98f00b204e9800998ecf8427e" },
	{ 1, "93b885adfe0da089cdf634904fd59f71",
	    "5ba93c9db0cff93f52b521d7420e43f6eda2784f",
	    "93b885adfe0da089cdf634904fd59f71" },
	{ 1000, "137d21fabb27e840e228579962bc2cdc",
	    "6c6beb6df1e44df7e38305e59f32c9de671140d4",
	    "137d21fabb27e840e228579962bc2cdc" },
	{ 10002431, "eff716a777207ae11c00e9841b8cb2c7",
	    "b64ea7a85b0b9f3036e0aef82892188f0b1b2a18",
	    "eff716a777207ae11c00e9841b8cb2c7" },
	{ 10002432, "a6cd5301ef7d096bb3164c68f9ee04a7",
	    "e9ff02ec75a9f3db69edb2ec0245a28195e22737",
	    "a6cd5301ef7d096bb3164c68f9ee04a7" },
	{ 10002433, "ebadd53d5a9a5150ce6e8b1e005273c2",
	    "1aa0e0c113e45822b1ec5082c1c248bf9129b0a7",
	    "a6cd5301ef7d096bb3164c68f9ee04a7" },
	{ 10007432, "a90bf3457f7f4ab2259f2be545f6e495",
	    "28c432e5d620f330b0fa3668a5c798324892ed42",
	    "a6cd5301ef7d096bb3164c68f9ee04a7" },
};

static char *
pattern(size_t n)
{
	char *p = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)((i * 7 + i / 251) % 256);
	return p;
}

TEST(sums)
{
	static const size_t pieces[] = { 4096, 65536, 1 << 20, 20 << 20 };
	char *p = pattern(DIGEST_10M + 5000);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t k = 0; k < 4; k++) {
			struct digest d;
			struct sums   s;

			EXPECT_INT(digest_open(&d), ERR_OK);
			for (size_t at = 0; at < rows[i].n; at += pieces[k])
				digest_add(&d, (struct slice){ p + at,
				    rows[i].n - at < pieces[k]
				        ? rows[i].n - at : pieces[k] });
			EXPECT_INT(digest_end(&d, &s), ERR_OK);
			EXPECT_STR(s.md5, rows[i].md5);
			EXPECT_STR(s.sha1, rows[i].sha1);
			EXPECT_STR(s.md5_10m, rows[i].md5_10m);
			digest_close(&d);
		}
	free(p);
}

TEST(a_part_begun_anew)
{
	struct sum m;
	char       hex[SUM_HEX];

	EXPECT_INT(sum_open(&m, SUM_MD5), ERR_OK);
	sum_add(&m, SLICE("gone"));
	sum_reset(&m);
	sum_add(&m, SLICE("a"));
	sum_add(&m, SLICE("bc"));
	EXPECT_INT(m.n, 3);
	sum_end(&m, hex);
	EXPECT_STR(hex, "900150983cd24fb0d6963f7d28e17f72");
	sum_close(&m);
	EXPECT_INT(sum_open(&m, SUM_SHA256), ERR_OK);
	sum_add(&m, SLICE("abc"));
	sum_end(&m, hex);
	EXPECT_STR(hex, "ba7816bf8f01cfea414140de5dae2223"
	                "b00361a396177a9cb410ff61f20015ad");
	sum_close(&m);
}

int
main(void)
{
	RUN(sums);
	RUN(a_part_begun_anew);
	return test_done();
}
