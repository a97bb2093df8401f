// links: apid/signature.c common
// libs: libcrypto
/*
 * Keys and signatures against vectors made with two other implementations,
 * and what must not be signed.
 */
#include "test.h"

#include <stdlib.h>

#include "signature.h"

struct vector {
	char *name, *secret, *seed, *key, *time, *message, *signature;
};

/* Fields with tabs between; false at the end of the file. */
static bool
next_vector(FILE *f, char *line, int size, struct vector *v)
{
	char **fields[] = { &v->name, &v->secret, &v->seed, &v->key, &v->time,
		&v->message, &v->signature };

	if (fgets(line, size, f) == NULL)
		return false;
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		*fields[i] = line;
		line += strcspn(line, "\t\n");
		if (*line != '\0')
			*line++ = '\0';
	}
	return true;
}

static void
to_hex(const unsigned char *p, size_t n, char *hex)
{
	for (size_t i = 0; i < n; i++)
		sprintf(hex + 2 * i, "%02x", p[i]);
}

/* "TOKEN" with its quotes: a validation; anything else (an empty one too) is
 * an event's body, which this side must never sign. */
static void
check_vector(const struct vector *v)
{
	struct signature *s = NULL;
	unsigned char     key[SIGNATURE_KEY];
	char              hex[2 * SIGNATURE_KEY + 1];
	char              got[SIGNATURE_HEX + 1] = "";
	size_t            n = strlen(v->message);
	struct slice      text = { v->message + 1, n - 2 };
	bool event = strchr(v->message, '{') != NULL || text.n == 0;

	EXPECT(n >= 2 && v->message[0] == '"' && v->message[n - 1] == '"');
	EXPECT(signature_new(&s, slice_of(v->secret)) == ERR_OK);
	EXPECT(signature_public_key(s, key) == ERR_OK);
	to_hex(key, sizeof key, hex);
	EXPECT_STR(hex, v->key);
	EXPECT(signature_sign(s, slice_of(v->time), text, got) ==
	    (event ? ERR_FORBIDDEN : ERR_OK));
	EXPECT_STR(got, event ? "" : v->signature);
	signature_free(&s);
}

TEST(agrees_with_the_vectors)
{
	static char   line[8192];
	FILE         *f = fopen("tests/vectors/ed25519-vectors.tsv", "r");
	struct vector v;
	int           signatures = 0, events = 0;

	EXPECT(f != NULL);
	if (f == NULL)
		return;
	EXPECT(fgets(line, sizeof line, f) != NULL); /* names of the columns */
	while (next_vector(f, line, sizeof line, &v)) {
		check_vector(&v);
		*(strchr(v.message, '{') ? &events : &signatures) += 1;
	}
	EXPECT(signatures > 5);
	EXPECT(events > 5);
	fclose(f);
}

#define T64 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"

static const struct {
	const char *event_ts, *plain_token;
	bool        ok;
} asks[] = {
	{ "1725442341", "Arq0D5A61EgUu4OxUvOp", true },
	{ "1", "a", true },
	{ "12345678901234567890", T64 T64, true },
	{ "1725442341", T64 T64 "x", false },
	{ "123456789012345678901", "a", false },
	{ "", "a", false },
	{ "1", "", false },
	{ "1725442341", "{\"op\":0}", false },
	{ "1725442341{", "a", false },
	{ "-1", "a", false },
	{ "1 ", "a", false },
	{ "1", "a b", false },
	{ "1", "a\n", false },
	{ "1", "a.b", false },
	{ "1", "\xc3\xa9", false },
};

TEST(signs_nothing_that_could_be_an_event)
{
	struct signature *s = NULL;
	char              hex[SIGNATURE_HEX + 1];

	EXPECT(signature_new(&s, SLICE("secret")) == ERR_OK);
	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++)
		EXPECT_INT(signature_sign(s, slice_of(asks[i].event_ts),
		               slice_of(asks[i].plain_token), hex),
		    asks[i].ok ? ERR_OK : ERR_FORBIDDEN);
	EXPECT(signature_sign(s, SLICE("1"), (struct slice){ "a\0b", 3 },
	           hex) == ERR_FORBIDDEN);
	signature_free(&s);
	EXPECT(s == NULL);
}

TEST(refuses_an_empty_secret)
{
	struct signature *s = NULL;

	EXPECT(signature_new(&s, SLICE("")) == ERR_CONFIG);
	EXPECT(s == NULL);
}

int
main(void)
{
	RUN(agrees_with_the_vectors);
	RUN(signs_nothing_that_could_be_an_event);
	RUN(refuses_an_empty_secret);
	return test_done();
}
