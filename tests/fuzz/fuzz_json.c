// links: common
/*
 * JSON: what is taken is printed, and taken again as the same; and the small
 * texts of the settings.
 */
#include <stdint.h>
#include <stdlib.h>

#include "conf.h"
#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
again(const struct json *j)
{
	struct buf   text = { 0 }, packed = { 0 };
	struct json *back = NULL;

	json_write(j, &text);
	must(json_parse(&back, buf_slice(&text)) == ERR_OK);
	must(slice_eq(json_print(back), buf_slice(&text)));
	json_free(&back);
	must(json_to_msgpack(j, &packed) == ERR_OK);
	must(json_from_msgpack(&back, buf_slice(&packed)) == ERR_OK);
	json_free(&back);
	buf_free(&packed);
	buf_free(&text);
}

/* A member's text is that member's value, whatever else the text holds. */
static void
member(struct slice in, const struct json *j, const char *key)
{
	struct slice text = json_member_text(in, key);
	struct json *v = NULL;

	must(text.n == 0 || (text.p >= in.p && text.p + text.n <=
	    in.p + in.n));
	if (j == NULL || text.n == 0)
		return;
	must(json_parse(&v, text) == ERR_OK);
	must(slice_eq(json_print(v), json_print(json_get(j, key))));
	json_free(&v);
}

static void
settings(struct slice in)
{
	char         *text = slice_dup(in), host[128];
	uint32_t      mask;
	unsigned      port;
	struct slice  unknown;

	if (text == NULL)
		return;
	conf_intents(text, &mask, &unknown);
	if (conf_listen(text, host, sizeof host, &port))
		must(port <= 65535 && strlen(host) < sizeof host);
	conf_url_allowed(in);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = { (const char *)data, n };
	struct json *j = NULL;

	if (json_parse(&j, in) == ERR_OK && j != NULL)
		again(j);
	member(in, j, "d");
	member(in, j, "op");
	json_free(&j);
	settings(in);
	return 0;
}
