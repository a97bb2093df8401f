// links: apid/format.c common
/* What bytes are by their beginning, and what is said of those that will not
 * do. */
#include "test.h"

#include "buf.h"
#include "format.h"

static const char *
name_of(const char *bytes, size_t n)
{
	const struct format *f = format_of((struct slice){ bytes, n });

	return f != NULL ? f->name : "none";
}

#define NAME(lit) name_of(lit, sizeof(lit) - 1)

TEST(beginnings)
{
	EXPECT_STR(NAME("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "png");
	EXPECT_STR(NAME("\xff\xd8\xff\xe0\0\x10JFIF"), "jpg");
	EXPECT_STR(NAME("GIF89a"), "gif");
	EXPECT_STR(NAME("RIFF\1\2\3\4WEBPVP8 "), "webp");
	EXPECT_STR(NAME("RIFF\1\2\3\4WAVEfmt "), "wav");
	EXPECT_STR(NAME("\0\0\0\x20" "ftypisom"), "mp4");
	EXPECT_STR(NAME("\x02#!SILK_V3x"), "silk");
	EXPECT_STR(NAME("#!SILK_V3x"), "silk");
	EXPECT_STR(NAME("OggS\0"), "ogg");
	EXPECT_STR(NAME("ID3\4"), "mp3");
	EXPECT_STR(NAME("\xff\xfb\x90"), "mp3");
	EXPECT_STR(NAME("hello"), "none");
	EXPECT_STR(NAME("\x89PNG"), "none");
	EXPECT_STR(name_of(NULL, 0), "none");
}

static const char *
wrong(enum kind kind, const char *head, uint64_t size)
{
	static struct buf why;

	buf_reset(&why);
	if (!format_wrong(kind, format_of(slice_of(head)), size, &why))
		return "";
	return why.p;
}

TEST(what_is_wrong)
{
	EXPECT_STR(wrong(KIND_PICTURE, "GIF89a", 100), "");
	EXPECT_STR(wrong(KIND_PICTURE, "GIF89a", 0), "image: is empty");
	EXPECT_STR(wrong(KIND_PICTURE, "OggS", 9),
	    "image: is ogg, not png jpg gif webp bmp");
	EXPECT_STR(wrong(KIND_VIDEO, "what", 9),
	    "video: is of no known format, not mp4");
	EXPECT_STR(wrong(KIND_FILE, "what", 200 << 20), "");
	EXPECT_STR(wrong(KIND_FILE, "what", (200 << 20) + 1),
	    "file: has 209715201 bytes, the platform takes 209715200");
	EXPECT(kind_info(0) == NULL && kind_info(5) == NULL);
	EXPECT_STR(kind_info(3)->word, "audio");
}

/* Soft limits are what makes a file of it; they are below the hard ones. */
TEST(limits)
{
	for (unsigned i = 1; i < KINDS; i++) {
		EXPECT(kind_info(i)->soft > 0);
		EXPECT(kind_info(i)->soft <= kind_info(i)->hard);
	}
	EXPECT_INT(kind_info(KIND_VIDEO)->soft, 30 << 20);
	EXPECT_INT(kind_info(KIND_VIDEO)->hard, 200 << 20);
}

int
main(void)
{
	RUN(beginnings);
	RUN(what_is_wrong);
	RUN(limits);
	return test_done();
}
