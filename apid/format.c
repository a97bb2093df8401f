/*
 * One pass over the table.  A file may be anything; of the others the bytes
 * decide, not the name: the platform looks at them too.
 */
#include "format.h"

#include "buf.h"

static const struct kind_info kinds[KINDS] = {
#define KIND(NAME, number, word, soft, hard, meaning)                        \
	[KIND_##NAME] = { word, meaning, soft, hard },
#include "formats.def"
};

#define KIND(NAME, number, ...)                                              \
	_Static_assert(KIND_##NAME == number, "the platform's number");
#include "formats.def"

#define FORM_yes true
#define FORM_no false
static const struct {
	struct format format;
	size_t        offset;
	struct slice  magic;
} formats[] = {
#define FORMAT(name, KIND, offset, magic, mime, form, meaning)               \
	{ { #name, mime, KIND_##KIND, FORM_##form }, offset,                 \
	    { magic, sizeof magic - 1 } },
#include "formats.def"
};

enum { FORMATS = sizeof formats / sizeof *formats };

const struct kind_info *
kind_info(unsigned kind)
{
	return kind > KIND_NONE && kind < KINDS ? &kinds[kind] : NULL;
}

const struct format *
format_of(struct slice head)
{
	for (size_t i = 0; i < FORMATS; i++)
		if (slice_starts(slice_from(head, formats[i].offset),
		        formats[i].magic))
			return &formats[i].format;
	return NULL;
}

void
format_names(enum kind kind, struct buf *out)
{
	const char *last = "";

	for (size_t i = 0; i < FORMATS; i++) {
		const struct format *f = &formats[i].format;

		if (f->kind != kind || strcmp(f->name, last) == 0)
			continue;
		buf_putf(out, "%s%s", *last != '\0' ? " " : "", f->name);
		last = f->name;
	}
}

bool
format_wrong(enum kind kind, const struct format *f, uint64_t size,
    struct buf *why)
{
	const struct kind_info *k = &kinds[kind];

	if (size == 0)
		buf_putf(why, "%s: is empty", k->word);
	else if (size > k->hard)
		buf_putf(why, "%s: has %llu bytes, the platform takes %llu",
		    k->word, (unsigned long long)size,
		    (unsigned long long)k->hard);
	else if (kind != KIND_FILE && (f == NULL || f->kind != kind)) {
		buf_putf(why, "%s: is %s, not ", k->word,
		    f != NULL ? f->name : "of no known format");
		format_names(kind, why);
	} else
		return false;
	return true;
}
