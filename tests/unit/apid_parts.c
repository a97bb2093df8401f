// links: apid/parts.c common
/* Both forms of the answer, counts that do not fit, and a plan that is kept. */
#include "test.h"

#include <stdlib.h>

#include "parts.h"

#define URL "\"presigned_url\":\"https://cos.example/u\""

static const char *
reads(const char *text, uint64_t size, struct parts *u)
{
	const char *why = "";

	return parts_read(u, slice_of(text), size, &why) == ERR_OK ? "" : why;
}

TEST(as_the_pages_say)
{
	struct parts u;
	struct part *a, *b;

	EXPECT_STR(reads("{\"upload_id\":\"u1\",\"block_size\":\"100\","
	    "\"parts\":[{\"index\":1," URL "},{\"index\":0," URL "},"
	    "{\"index\":2," URL "}],\"upload_config\":{\"concurrency\":2,"
	    "\"retry_timeout\":300,\"retry_delay\":3}}", 250, &u), "");
	EXPECT_INT(u.n, 3);
	EXPECT_INT(u.delay_ms, 3000);
	EXPECT_INT(u.patience_ms, 300000);
	a = parts_next(&u);
	b = parts_next(&u);
	EXPECT(parts_next(&u) == NULL);
	EXPECT_INT(a->order, 0);
	EXPECT_INT(parts_offset(&u, a), 0);
	EXPECT_INT(b->order, 1);
	EXPECT_INT(parts_offset(&u, b), 100);
	EXPECT_INT(parts_length(&u, b), 100);
	parts_done(&u, a);
	a = parts_next(&u);
	EXPECT_INT(a->order, 2);
	EXPECT_INT(parts_length(&u, a), 50);
	parts_again(&u, b);
	EXPECT(parts_next(&u) == b);
	EXPECT_INT(u.ndone, 1);
	parts_free(&u);
}

/* MU03: the other base, as the platform's own library has it. */
TEST(as_the_library_has_it)
{
	struct parts u;
	struct part *a;

	EXPECT_STR(reads("{\"upload_id\":\"u1\",\"block_size\":100,\"parts\":["
	    "{\"index\":\"2\"," URL "},{\"index\":\"1\"," URL "}],"
	    "\"concurrency\":9,\"retry_timeout\":9999}", 101, &u), "");
	EXPECT_INT(u.at_once, PARTS_AT_ONCE);
	EXPECT_INT(u.patience_ms, 600000);
	EXPECT_INT(u.delay_ms, 1000);
	a = parts_next(&u);
	EXPECT_SLICE(json_text(a->index), "1");
	EXPECT_INT(parts_offset(&u, a), 0);
	a = parts_next(&u);
	EXPECT_INT(parts_offset(&u, a), 100);
	EXPECT_INT(parts_length(&u, a), 1);
	parts_free(&u);
	EXPECT_STR(reads("{\"upload_id\":\"u\",\"parts\":[{\"index\":5," URL
	    "}]}", 77, &u), "");
	EXPECT_INT(u.block, 77);
	parts_free(&u);
}

TEST(what_makes_no_sense)
{
	static const char *const rows[][2] = {
		{ "[", "is no JSON object" },
		{ "{}", "upload_id: is missing" },
		{ "{\"upload_id\":\"u\"}", "parts: none, or too many" },
		{ "{\"upload_id\":\"u\",\"parts\":[{\"index\":0," URL "},"
		  "{\"index\":1," URL "}]}", "block_size: is missing" },
		{ "{\"upload_id\":\"u\",\"block_size\":-5,\"parts\":["
		  "{\"index\":0," URL "}]}", "block_size: is missing" },
		{ "{\"upload_id\":\"u\",\"block_size\":50,\"parts\":["
		  "{\"index\":0," URL "}]}",
		    "parts: so many blocks do not make the file" },
		{ "{\"upload_id\":\"u\",\"block_size\":100,\"parts\":["
		  "{\"index\":0}]}",
		    "parts: one has no presigned_url that may be used" },
		{ "{\"upload_id\":\"u\",\"block_size\":100,\"parts\":["
		  "{\"index\":0,\"presigned_url\":\"http://10.0.0.1/\"}]}",
		    "parts: one has no presigned_url that may be used" },
		{ "{\"upload_id\":\"u\",\"block_size\":100,\"parts\":[{" URL
		  "}]}", "parts: one has no index" },
		{ "{\"upload_id\":\"u\",\"block_size\":50,\"parts\":["
		  "{\"index\":1," URL "},{\"index\":1," URL "}]}",
		    "parts: two have the same index" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct parts u;

		EXPECT_STR(reads(rows[i][0], 100, &u), rows[i][1]);
	}
}

TEST(kept_and_gone_on_with)
{
	struct parts u, v;
	struct buf   kept = { 0 };

	EXPECT_STR(reads("{\"upload_id\":\"u1\",\"block_size\":\"100\","
	    "\"parts\":[{\"index\":1," URL "},{\"index\":0," URL "}]}", 200,
	    &u), "");
	parts_done(&u, parts_next(&u));
	parts_save(&u, &kept);
	EXPECT_STR(reads(kept.p, 200, &v), "");
	EXPECT_INT(v.ndone, 1);
	EXPECT_INT(parts_next(&v)->order, 1);
	EXPECT(parts_next(&v) == NULL);
	EXPECT_SLICE(v.id, "u1");
	parts_free(&u);
	parts_free(&v);
	buf_free(&kept);
}

int
main(void)
{
	RUN(as_the_pages_say);
	RUN(as_the_library_has_it);
	RUN(what_makes_no_sense);
	RUN(kept_and_gone_on_with);
	return test_done();
}
