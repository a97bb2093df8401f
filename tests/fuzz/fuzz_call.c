// links: apid/call.c apid/body.c apid/params.c apid/shape.c common
/*
 * A worker's call: the first byte chooses the operation, the second the kind
 * of conversation, the rest is its arguments, as MessagePack or, read as JSON,
 * turned into it.  Whatever they say, the call is refused by name or becomes a
 * request: an address on the base that was given and a body that is JSON.
 */
#include <stdint.h>
#include <stdlib.h>

#include "call.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool good)
{
	if (!good)
		abort();
}

static bool
is_line(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

static void
check_request(const struct call *c)
{
	struct buf   url = { 0 }, body = { 0 };
	struct json *doc = NULL;
	enum err     e = call_url(c, SLICE("https://api"), &url);

	must(e == ERR_OK || e == ERR_SYNTAX);
	must(e != ERR_OK || is_line(buf_slice(&url)));
	must(slice_starts(buf_slice(&url), SLICE("https://api")));
	must(e != ERR_OK || url.n == 11 || url.p[11] == '/');
	must(call_body(c, &body) == ERR_OK);
	must(body.n == 0 || json_parse(&doc, buf_slice(&body)) == ERR_OK);
	must(!c->media.wanted || c->media.type > 0);
	json_free(&doc);
	buf_free(&url);
	buf_free(&body);
}

static void
try(struct msg_call *m, struct slice with)
{
	struct call c;
	const char *why;
	enum result r;

	m->with = with;
	r = call_read(&c, m, true, &why);
	must(r < RESULT_COUNT);
	if (r == RESULT_OK)
		check_request(&c);
	else
		must(why != NULL && strchr(why, ' ') != NULL);
	call_free(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const     convs[] = { "u:U", "g:G", "c:C", "d:D" };
	size_t                       count;
	const struct call_operation *o = call_operations(&count);
	struct slice    with = { (const char *)data + 2, n > 2 ? n - 2 : 0 };
	struct msg_call m = { .id = SLICE("1"), .bot = SLICE("7"),
		.ev = SLICE("m:1"), .n = 1, .msg = SLICE("M") };
	struct json    *doc = NULL;
	struct buf      packed = { 0 };

	if (n < 2)
		return 0;
	m.do_ = slice_of(o[data[0] % count].name);
	m.conv = slice_of(convs[data[1] % 4]);
	if (data[1] & 4)
		m.text = SLICE("<hi>");
	try(&m, with);
	if (json_parse(&doc, with) == ERR_OK &&
	    json_to_msgpack(doc, &packed) == ERR_OK)
		try(&m, buf_slice(&packed));
	json_free(&doc);
	buf_free(&packed);
	return 0;
}
