// links: workerd/capsule.c common
/*
 * The last words of a handler: the newest are kept, bounded, and without
 * secrets.
 */
#include "test.h"

#include <string.h>

#include "capsule.h"
#include "json.h"

static struct capsule c;
static struct json   *doc;

static void
written(void)
{
	struct buf out = { 0 };

	json_free(&doc);
	EXPECT_INT(capsule_write(&c, "it ended", 1000, &out), ERR_OK);
	EXPECT_INT(json_parse(&doc, buf_slice(&out)), ERR_OK);
	buf_free(&out);
}

static struct slice
text_of(const char *list, size_t i)
{
	return json_text_at(json_at(json_get(doc, list), i), "text");
}

TEST(the_newest_are_kept)
{
	char    line[32];
	int64_t ms = 0;

	capsule_open(&c, (struct slice){ NULL, 0 });
	for (int i = 0; i < 30; i++) {
		snprintf(line, sizeof line, "line %d", i);
		capsule_frame(&c, i % 2, slice_of(line), 990 + (unsigned)i);
		capsule_words(&c, slice_of(line), 990 + (unsigned)i);
	}
	written();
	EXPECT_SLICE(json_text_at(doc, "end"), "it ended");
	EXPECT_INT(json_count(json_get(doc, "frames")), CAPSULE_FRAMES);
	EXPECT_INT(json_count(json_get(doc, "stderr")), CAPSULE_WORDS);
	EXPECT_SLICE(text_of("frames", 0), "line 22");
	EXPECT_SLICE(text_of("frames", 7), "line 29");
	EXPECT_SLICE(text_of("stderr", 0), "line 10");
	EXPECT(json_truth(json_get(json_at(json_get(doc, "frames"), 7),
	    "from")));
	EXPECT(json_int_at(json_at(json_get(doc, "stderr"), 0), "ms", &ms));
	EXPECT_INT(ms, 0);
	capsule_open(&c, (struct slice){ NULL, 0 });
	capsule_words(&c, SLICE("early"), 500);
	written();
	EXPECT_INT(json_count(json_get(doc, "frames")), 0);
	EXPECT(json_int_at(json_at(json_get(doc, "stderr"), 0), "ms", &ms));
	EXPECT_INT(ms, -500);
	json_free(&doc);
}

TEST(long_lines_end_between_characters)
{
	char line[3000];

	capsule_open(&c, (struct slice){ NULL, 0 });
	for (size_t i = 0; i < sizeof line; i += 3)
		memcpy(line + i, "群", 3);
	capsule_words(&c, (struct slice){ line, sizeof line }, 0);
	capsule_words(&c, SLICE("a\x01\xff\xe7\xbe z"), 0);
	capsule_words(&c, SLICE(""), 0);
	written();
	EXPECT_INT(text_of("stderr", 0).n, CAPSULE_WORD / 3 * 3);
	EXPECT(json_truth(json_get(json_at(json_get(doc, "stderr"), 0),
	    "cut")));
	EXPECT_SLICE(text_of("stderr", 1), "a???? z");
	EXPECT(!json_truth(json_get(json_at(json_get(doc, "stderr"), 1),
	    "cut")));
	EXPECT_SLICE(text_of("stderr", 2), "");
	json_free(&doc);
}

TEST(secrets_are_covered)
{
	static const char hidden[] = "A=geheim42\0B=xyz\0C=\0NOVALUE\0"
	                             "D=0123456789abcdef";
	char line[CAPSULE_WORD + 8];

	capsule_open(&c, (struct slice){ hidden, sizeof hidden });
	capsule_words(&c, SLICE("geheim42, xyz, 0123456789abcdef,geheim42"), 0);
	/* also where the end of it would be cut off */
	memset(line, '.', sizeof line);
	memcpy(line + CAPSULE_WORD - 8, "0123456789abcdef", 16);
	capsule_words(&c, (struct slice){ line, sizeof line }, 0);
	capsule_frame(&c, true, SLICE("{\"text\":\"geheim42\"}"), 0);
	written();
	EXPECT_SLICE(text_of("stderr", 0), "***, xyz, ***,***");
	EXPECT(memmem(text_of("stderr", 1).p, text_of("stderr", 1).n, "0123",
	    4) == NULL);
	EXPECT_SLICE(text_of("frames", 0), "{\"text\":\"***\"}");
	json_free(&doc);
}

int
main(void)
{
	RUN(the_newest_are_kept);
	RUN(long_lines_end_between_characters);
	RUN(secrets_are_covered);
	return test_done();
}
