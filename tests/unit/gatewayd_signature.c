// links: gatewayd/signature.c common/buf.c common/slice.c common/json.c common/pack.c
// libs: libcrypto
/*
 * signature: every vector of tests/vectors, made with two other programs, and
 * everything next to a good signature, which must not pass.
 */
#include "test.h"

#include <stdlib.h>

#include "json.h"
#include "signature.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

struct vector {
	char          name[64], timestamp[32], signature[160];
	unsigned char key[SIGNATURE_KEY];
	char          body[4096];
	size_t        body_n;
};

/* The next column of a line, in place; NULL when there is none. */
static char *
column(char **line)
{
	char *at = *line, *end;

	if (at == NULL)
		return NULL;
	if ((end = strchr(at, '\t')) != NULL)
		*end++ = '\0';
	*line = end;
	return at;
}

static bool
read_hex(const char *hex, unsigned char *out, size_t n)
{
	unsigned v;

	for (size_t i = 0; i < n; i++) {
		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return false;
		out[i] = (unsigned char)v;
	}
	return hex[2 * n] == '\0';
}

/* name secret seed public_key timestamp message(JSON) signature source */
static bool
read_vector(char *line, struct vector *v)
{
	struct json *message = NULL;
	char        *cells[7];
	bool         good;

	for (size_t i = 0; i < ROWS(cells); i++)
		if ((cells[i] = column(&line)) == NULL)
			return false;
	snprintf(v->name, sizeof v->name, "%s", cells[0]);
	snprintf(v->timestamp, sizeof v->timestamp, "%s", cells[4]);
	snprintf(v->signature, sizeof v->signature, "%s", cells[6]);
	good = json_parse(&message, slice_of(cells[5])) == ERR_OK &&
	    json_text(message).n < sizeof v->body &&
	    read_hex(cells[3], v->key, sizeof v->key);
	if (good) {
		v->body_n = json_text(message).n;
		if (v->body_n > 0)
			memcpy(v->body, json_text(message).p, v->body_n);
	}
	json_free(&message);
	return good;
}

static bool
verify(const struct vector *v)
{
	struct signature_key *k = NULL;
	bool                  good;

	EXPECT(signature_key_new(&k, (struct slice){ (const char *)v->key,
	    sizeof v->key }) == ERR_OK);
	good = signature_verify(k, slice_of(v->timestamp),
	    (struct slice){ v->body, v->body_n }, slice_of(v->signature));
	signature_key_free(&k);
	EXPECT(k == NULL);
	return good;
}

/* One vector, by name or, NULL, each; how many there were. */
static size_t
each_vector(const char *name, void (*fn)(struct vector *))
{
	static char line[16384];
	FILE       *f = fopen("tests/vectors/ed25519-vectors.tsv", "r");
	size_t      n = 0;

	EXPECT(f != NULL);
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		struct vector v = { .name = "" };

		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "name\t", 5) == 0)
			continue;
		EXPECT(read_vector(line, &v));
		if (name != NULL && strcmp(name, v.name) != 0)
			continue;
		fn(&v);
		n++;
	}
	if (f != NULL)
		fclose(f);
	return n;
}

static void
must_pass(struct vector *v)
{
	if (!verify(v)) {
		printf("# %s\n", v->name);
		test_bad = true;
	}
	for (char *c = v->signature; *c != '\0'; c++)
		*c = (char)(*c >= 'a' && *c <= 'f' ? *c - 32 : *c);
	EXPECT(verify(v)); /* in capitals too */
}

TEST(every_vector_verifies)
{
	EXPECT_INT(each_vector(NULL, must_pass), 25);
}

/* One changed bit anywhere. */
static void
flip_bits(struct vector *v)
{
	struct vector bad;

	for (size_t i = 0; i < v->body_n; i++)
		for (int bit = 0; bit < 8; bit += 3) {
			bad = *v;
			bad.body[i] = (char)(bad.body[i] ^ 1 << bit);
			EXPECT(!verify(&bad));
		}
	for (size_t i = 0; v->timestamp[i] != '\0'; i++) {
		bad = *v;
		bad.timestamp[i] = (char)(bad.timestamp[i] ^ 1);
		EXPECT(!verify(&bad));
	}
	for (size_t i = 0; i < SIGNATURE_HEX; i++) {
		bad = *v;
		bad.signature[i] = bad.signature[i] == '0' ? '1' : '0';
		EXPECT(!verify(&bad));
	}
	for (size_t i = 0; i < SIGNATURE_KEY; i++) {
		bad = *v;
		bad.key[i] ^= 4;
		/* some bytes are no key at all */
		EXPECT(!verify(&bad));
	}
}

TEST(one_changed_bit_does_not)
{
	EXPECT_INT(each_vector("own_dispatch_len16", flip_bits), 1);
}

static void
odd_signatures(struct vector *v)
{
	static const char *const made[] = { "", "0", "zz", "0x" };
	struct vector            bad;
	char                     good[160];

	snprintf(good, sizeof good, "%s", v->signature);
	for (size_t n = 0; n < SIGNATURE_HEX; n++) {
		bad = *v;
		bad.signature[n] = '\0';
		EXPECT(!verify(&bad));
	}
	for (size_t i = 0; i < ROWS(made); i++) {
		bad = *v;
		snprintf(bad.signature, sizeof bad.signature, "%s%.100s",
		    made[i], i < 2 ? "" : good);
		EXPECT(!verify(&bad));
	}
	bad = *v;
	memcpy(bad.signature + SIGNATURE_HEX, "00", 3); /* 130 */
	EXPECT(!verify(&bad));
	bad = *v;
	bad.signature[64] = 'g';
	EXPECT(!verify(&bad));
	bad.signature[64] = ' ';
	EXPECT(!verify(&bad));
	for (unsigned top = 1; top < 8; top++) { /* sig[63] & 0xe0 */
		unsigned char last = 0;

		bad = *v;
		sscanf(good + 126, "%2hhx", &last);
		last = (unsigned char)(last | top << 5);
		snprintf(bad.signature + 126, 3, "%02x", last);
		EXPECT(!verify(&bad));
	}
	bad = *v;
	memset(bad.signature, '0', SIGNATURE_HEX);
	EXPECT(!verify(&bad));
	bad = *v;
	bad.timestamp[0] = '\0';
	EXPECT(!verify(&bad));
}

TEST(odd_signatures_do_not)
{
	EXPECT_INT(each_vector("own_dispatch_len16", odd_signatures), 1);
}

static void
other_body(struct vector *v)
{
	static const char *const bodies[] = { "",
		"{\"op\":0,\"d\":{},\"t\":\"GATEWAY_EVENT_NAME\"}",
		"{ \"op\": 0, \"d\": {}, \"t\": \"GATEWAY_EVENT_NAME\" }" };
	struct vector            bad;

	/* the one-line body printed beside this vector was not signed */
	for (size_t i = 0; i < ROWS(bodies); i++) {
		bad = *v;
		bad.body_n = strlen(bodies[i]);
		memcpy(bad.body, bodies[i], bad.body_n);
		EXPECT(!verify(&bad));
	}
	bad = *v;
	bad.body[bad.body_n++] = '\n';
	EXPECT(!verify(&bad));
	bad = *v;
	bad.body_n--;
	EXPECT(!verify(&bad));
}

TEST(a_body_written_differently_does_not)
{
	EXPECT_INT(each_vector("doc_dispatch_pretty", other_body), 1);
}

static unsigned char other_key[SIGNATURE_KEY];

static void
keep_key(struct vector *v)
{
	memcpy(other_key, v->key, sizeof other_key);
}

static void
with_other_key(struct vector *v)
{
	memcpy(v->key, other_key, sizeof other_key);
	EXPECT(!verify(v));
}

TEST(the_key_of_another_bot_does_not)
{
	EXPECT_INT(each_vector("own_dispatch_len17", keep_key), 1);
	EXPECT_INT(each_vector("own_dispatch_len16", with_other_key), 1);
}

/* The same bytes, all of them body: signed, but at no time. */
static void
without_time(struct vector *v)
{
	v->body_n = strlen(v->timestamp);
	memcpy(v->body, v->timestamp, v->body_n);
	v->timestamp[0] = '\0';
	EXPECT(!verify(v));
}

TEST(a_signature_without_a_time_does_not)
{
	EXPECT_INT(each_vector("own_empty_body", without_time), 1);
}

TEST(a_key_has_32_bytes)
{
	struct signature_key *k = NULL;
	char                  bytes[64] = { 1 };

	for (size_t n = 0; n < sizeof bytes; n++)
		if (n != SIGNATURE_KEY)
			EXPECT(signature_key_new(&k,
			    (struct slice){ bytes, n }) == ERR_SYNTAX);
	EXPECT(k == NULL);
	signature_key_free(&k);
}

int
main(void)
{
	RUN(every_vector_verifies);
	RUN(one_changed_bit_does_not);
	RUN(odd_signatures_do_not);
	RUN(a_body_written_differently_does_not);
	RUN(the_key_of_another_bot_does_not);
	RUN(a_signature_without_a_time_does_not);
	RUN(a_key_has_32_bytes);
	return test_done();
}
