// links: apid/form.c common
/* A body becomes fields; the file outlives who opened it. */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "form.h"

static struct media_file file;

static enum err
make(struct form *f, const char *body)
{
	file = (struct media_file){ .fd = fileno(tmpfile()), .size = 7,
		.name = SLICE("a.png"), .mime = SLICE("image/png") };
	return form_make(f, slice_of(body), &file);
}

TEST(members_are_fields)
{
	struct form              f;
	const struct http_field *x = f.fields;

	EXPECT_INT(make(&f, "{\"content\":\"h\\u00e9\",\"msg_seq\":3,"
	    "\"message_reference\":{\"message_id\":\"1\"},\"b\":true,"
	    "\"empty\":\"\"}"), ERR_OK);
	EXPECT_INT(f.http.n, 6);
	EXPECT_STR(x[0].name, "content");
	EXPECT_SLICE(x[0].text, "h\xc3\xa9");
	EXPECT_SLICE(x[1].text, "3");
	EXPECT_SLICE(x[2].text, "{\"message_id\":\"1\"}");
	EXPECT_SLICE(x[3].text, "true");
	EXPECT_SLICE(x[4].text, "");
	EXPECT_STR(x[5].name, "file_image");
	EXPECT_STR(x[5].file_name, "a.png");
	EXPECT_STR(x[5].mime, "image/png");
	EXPECT(x[5].file->fd != file.fd && lseek(x[5].file->fd, 0, SEEK_CUR) ==
	    0);
	EXPECT_INT(x[5].file->n, 7);
	form_free(&f);
	form_free(&f);
}

TEST(what_is_no_form)
{
	struct form f;
	char        many[2000] = "{\"m\":1";

	for (int i = 0; i < FORM_FIELDS; i++)
		snprintf(many + strlen(many), 16, ",\"m%d\":1", i);
	strcat(many, "}");
	EXPECT_INT(make(&f, many), ERR_TOO_LARGE);
	EXPECT_INT(make(&f, "{"), ERR_SYNTAX);
	EXPECT_INT(make(&f, "{}"), ERR_OK);
	EXPECT_INT(f.http.n, 1);
	form_free(&f);
}

int
main(void)
{
	RUN(members_are_fields);
	RUN(what_is_no_form);
	return test_done();
}
