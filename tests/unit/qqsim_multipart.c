// links: qqsim/multipart.c qqsim/send.c qqsim/ledger.c qqsim/kind.c qqsim/map.c common
/*
 * Forms with a picture: whole, cut short anywhere, with any byte changed.
 */
#include "test.h"

#include <stdlib.h>

#include "multipart.h"

static const char type[] = "multipart/form-data; boundary=\"B\"";
static const char whole[] =
	"--B\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\nx\r\n"
	"--B\r\nContent-Disposition: form-data; name=\"embed\"\r\n\r\n"
	"{\"title\":\"t\"}\r\n"
	"--B\r\nContent-Disposition: form-data; name=\"file_image\"; "
	"filename=\"a.jpg\"\r\n\r\n\xff\xd8\xff" "data\r\n--B--\r\n";

static const struct refusal *
get(struct json **out, const char *head, struct slice body, uint64_t max)
{
	*out = NULL;
	return multipart_read(out, slice_of(head), body, max);
}

TEST(whole_one)
{
	struct json *j;

	EXPECT(get(&j, type, SLICE(whole), 100) == NULL);
	EXPECT_SLICE(json_text_at(j, "content"), "x");
	EXPECT_SLICE(json_text_at(j, "embed.title"), "t");
	EXPECT_SLICE(json_text_at(j, "file_image.bytes"), "7");
	EXPECT_SLICE(json_text_at(j, "file_image.type"), "jpg");
	EXPECT_SLICE(json_text_at(j, "file_image.name"), "a.jpg");
	json_free(&j);
	EXPECT(get(&j, type, SLICE(whole), 6) == &refusal_image_large);
	EXPECT(get(&j, "multipart/form-data", SLICE(whole), 9) ==
	    &refusal_multipart);
	EXPECT(get(&j, "multipart/form-data; boundary=C", SLICE(whole), 9) ==
	    &refusal_multipart);
}

/* In memory of its very size, so that a step beyond is seen. */
TEST(cut_short)
{
	size_t n = sizeof whole - 1;

	for (size_t i = 0; i + 4 < n; i++) {
		char        *part = malloc(i + 1);
		struct json *j;

		memcpy(part, whole, i);
		EXPECT(get(&j, type, (struct slice){ part, i }, 100) != NULL);
		EXPECT(j == NULL);
		free(part);
	}
}

TEST(changed)
{
	static const char bytes[] = { 0, '\r', '\n', '-', '"', '=', ';' };
	size_t            n = sizeof whole - 1;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sizeof bytes; k++) {
			char        *text = malloc(n);
			struct json *j;

			memcpy(text, whole, n);
			text[i] = bytes[k];
			get(&j, type, (struct slice){ text, n }, 100);
			json_free(&j);
			free(text);
		}
}

int
main(void)
{
	RUN(whole_one);
	RUN(cut_short);
	RUN(changed);
	return test_done();
}
