/*
 * RFC 7578: parts between boundaries, each with headers of its own.
 */
#include "multipart.h"

#include <stdio.h>
#include <stdlib.h>

enum { BOUNDARY_MAX = 70, NAME_MAX_BYTES = 64 };

/* What follows name= in a header, without its quotes. */
static struct slice
attribute(struct slice header, const char *name)
{
	const char *at = memmem(header.p, header.n, name, strlen(name));
	size_t      n = 0;
	struct slice rest;
	bool        quoted;

	if (at == NULL)
		return SLICE("");
	rest = slice_from(header, (size_t)(at - header.p) + strlen(name));
	quoted = rest.n > 0 && rest.p[0] == '"';
	if (quoted)
		rest = slice_from(rest, 1);
	while (n < rest.n && (quoted ? rest.p[n] != '"'
	    : rest.p[n] != ';' && rest.p[n] != '\r' && rest.p[n] != ' '))
		n++;
	return (struct slice){ rest.p, n };
}

static const char *
image_type(struct slice data)
{
	if (slice_starts(data, SLICE("\x89PNG\r\n\x1a\n")))
		return "png";
	return slice_starts(data, SLICE("\xff\xd8\xff")) ? "jpg" : NULL;
}

static const struct refusal *
put_image(struct json *into, struct slice head, struct slice data,
    uint64_t image_max)
{
	const char  *type = image_type(data);
	struct json *j;

	if (type == NULL)
		return &refusal_image_type;
	if (data.n > image_max)
		return &refusal_image_large;
	j = json_new_object();
	json_put_int(j, "bytes", (int64_t)data.n);
	json_put_text(j, "type", slice_of(type));
	json_put_text(j, "name", attribute(head, "filename="));
	json_put_take(into, "file_image", j);
	return NULL;
}

static bool
is_object_member(struct slice name)
{
	static const char *const names[] = { "embed", "ark", "markdown",
		"keyboard", "message_reference" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (slice_is(name, names[i]))
			return true;
	return false;
}

static const struct refusal *
put_part(struct json *into, struct slice part, uint64_t image_max)
{
	const char  *gap = memmem(part.p, part.n, "\r\n\r\n", 4);
	char         name[NAME_MAX_BYTES];
	struct slice head, data, field;
	struct json *value = NULL;

	if (gap == NULL)
		return &refusal_multipart;
	head = (struct slice){ part.p, (size_t)(gap - part.p) };
	data = slice_from(part, head.n + 4);
	field = attribute(head, " name=");
	if (field.n == 0 || field.n >= sizeof name)
		return &refusal_multipart;
	if (slice_is(field, "file_image"))
		return put_image(into, head, data, image_max);
	memcpy(name, field.p, field.n);
	name[field.n] = '\0';
	if (!is_object_member(field)) {
		json_put_text(into, name, data);
		return NULL;
	}
	if (json_parse(&value, data) != ERR_OK)
		return &refusal_multipart;
	json_put_take(into, name, value);
	return NULL;
}

/* The parts between one delimiter and the next. */
static const struct refusal *
read_parts(struct json *into, struct slice body, struct slice mark,
    uint64_t image_max)
{
	const struct refusal *r = NULL;

	while (r == NULL) {
		const char *next;
		size_t      n;

		if (!slice_starts(body, SLICE("\r\n")))
			return slice_starts(body, SLICE("--"))
			    ? NULL : &refusal_multipart;
		body = slice_from(body, 2);
		next = body.n > 0 ? memmem(body.p, body.n, mark.p, mark.n)
		                  : NULL;
		if (next == NULL)
			return &refusal_multipart;
		n = (size_t)(next - body.p);
		r = put_part(into, (struct slice){ body.p, n }, image_max);
		body = slice_from(body, n + mark.n);
	}
	return r;
}

const struct refusal *
multipart_read(struct json **out, struct slice type, struct slice body,
    uint64_t image_max)
{
	struct slice          boundary = attribute(type, "boundary=");
	char                  text[BOUNDARY_MAX + 8];
	struct slice          mark;
	const struct refusal *r;
	struct json          *j;

	if (boundary.n == 0 || boundary.n > BOUNDARY_MAX)
		return &refusal_multipart;
	snprintf(text, sizeof text, "\r\n--%.*s", (int)boundary.n,
	    boundary.p);
	mark = slice_of(text);
	/* The first delimiter has no line before it. */
	if (!slice_starts(body, slice_from(mark, 2)))
		return &refusal_multipart;
	j = json_new_object();
	r = read_parts(j, slice_from(body, mark.n - 2), mark, image_max);
	if (r != NULL)
		json_free(&j);
	*out = j;
	return r;
}
