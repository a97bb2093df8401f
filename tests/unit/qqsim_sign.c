// links: qqsim/sign.c common
// libs: libcrypto
/*
 * Signatures, against the vectors of the platform's own pages and of its SDK.
 */
#include "test.h"

#include "sign.h"

static const struct {
	const char *secret, *a, *b, *signature;
} rows[] = {
	{ "DG5g3B4j9X2KOErG", "1725442341", "Arq0D5A61EgUu4OxUvOp",
	    "87befc99c42c651b3aac0278e71ada338433ae26fcb24307bdc5ad38c1adc2d0"
	    "1bcfcadc0842edac85e85205028a1132afe09280305f13aa6909ffc2d652c706" },
	{ "naOC0ocQE3shWLAfffVLB1rhYPG7", "1725442341",
	    "{\n  \"op\": 0,\n  \"d\": {},\n  \"t\": \"GATEWAY_EVENT_NAME\"\n}",
	    "865ad13a61752ca65e26bde6676459cd36cf1be609375b37bd62af366e1dc25a"
	    "8dc789ba7f14e017ada3d554c671a911bfdf075ba54835b23391d509579ed002" },
	{ "a", "1700000000", "PlainToken0123456789",
	    "fd7920abbf0d1e7b21f0e513dd8d491969eebc7b164e6e5cb764c1bbfafc1209"
	    "045ace888ea256e09a213c89b0c76ea6278acf02cbf94e3725920bd4c7e66e0a" },
	{ "abcdefghijklmnopqrstuvwxyz0123456", "1700000000",
	    "PlainToken0123456789",
	    "9f0dd3aff09fd8f43a97229845d1465a8c1077a8e911c55c9c5e96722f50bbdb"
	    "108d301460fd8551d6f4aa9cfc195ec0979811203da7ef5d6d5cea902e58c400" },
};

TEST(vectors)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct sign_key *k = NULL;
		char             hex[SIGNATURE_HEX + 1];
		struct slice     a = slice_of(rows[i].a);
		struct slice     b = slice_of(rows[i].b);
		struct slice     right = slice_of(rows[i].signature);

		EXPECT_INT(sign_key_new(&k, slice_of(rows[i].secret)), ERR_OK);
		EXPECT_INT(sign(k, a, b, hex), ERR_OK);
		EXPECT_STR(hex, rows[i].signature);
		EXPECT(sign_verify(k, a, b, right));
		EXPECT(!sign_verify(k, b, a, right));
		EXPECT(!sign_verify(k, a, b, SLICE("")));
		hex[5] = hex[5] == '0' ? '1' : '0';
		EXPECT(!sign_verify(k, a, b, slice_of(hex)));
		right.n--;
		EXPECT(!sign_verify(k, a, b, right));
		sign_key_free(&k);
	}
}

TEST(no_secret)
{
	struct sign_key *k = NULL;

	EXPECT_INT(sign_key_new(&k, SLICE("")), ERR_CONFIG);
}

int
main(void)
{
	RUN(vectors);
	RUN(no_secret);
	return test_done();
}
