// links: apid/reply.c common
/*
 * An answer of the platform's API, or of whatever stands before it.  The first
 * byte chooses the status and what became of the connection.  Whatever the
 * bytes say, there is a class, a result to name, and nothing points outside
 * what was read; a request that may have arrived is never "not done".
 */
#include <stdint.h>
#include <stdlib.h>

#include "reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool good)
{
	if (!good)
		abort();
}

static bool
is_sane(struct slice s)
{
	return s.n == 0 || s.p != NULL;
}

/* Every byte is read, so that a loan beyond its block is seen. */
static void
touch(struct slice s)
{
	volatile char sum = 0;

	must(is_sane(s));
	for (size_t i = 0; i < s.n; i++)
		sum = (char)(sum ^ s.p[i]);
	(void)sum;
}

static void
judge(const struct http_answer *in)
{
	struct reply r;

	reply_read(&r, in);
	must(r.cls < CLASS_COUNT && r.result < RESULT_COUNT);
	must(class_name(r.cls)[0] != '\0');
	must(r.cls == CLASS_DONE || r.cls == CLASS_NEEDS_AUDIT ||
	    r.result != RESULT_OK);
	must(r.status == (in->err != ERR_OK && in->status < 300 ? 0
	                                                         : in->status));
	must(r.time_ms >= 0);
	if (r.status == 0)
		must(r.cls == (in->reached ? CLASS_UNSURE
		                           : CLASS_RETRY_LATER));
	/* An error in the body is never taken for a success. */
	if (r.code != 0)
		must(r.cls != CLASS_DONE);
	touch(r.message);
	touch(r.trace);
	touch(r.msg);
	touch(r.audit);
	reply_free(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const unsigned statuses[] = { 0, 200, 201, 202, 204, 302, 400,
		401, 403, 404, 405, 429, 500, 502, 504, 999 };
	struct slice       in = { (const char *)data, n };
	struct http_answer i = { .why = "cut",
		.trace = SLICE("trace") };
	unsigned           how = n > 0 ? data[0] : 0;

	i.status = statuses[how & 15];
	i.reached = how & 16;
	i.err = how & 32 ? ERR_CLOSED : ERR_OK;
	i.body = in;
	judge(&i);
	i.body = slice_from(in, n > 0);
	judge(&i);
	i.status = 200;
	i.err = ERR_OK;
	judge(&i);
	return 0;
}
