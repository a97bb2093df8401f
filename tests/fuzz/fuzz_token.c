// links: apid/token.c common
/*
 * What the token's endpoint answers: an answer is a token only when it has
 * one that is good for a time; no token is ever lost to a bad answer, and the
 * next question always has its moment.
 */
#include <stdint.h>
#include <stdlib.h>

#include "token.h"

enum { NOW = 1000, PARK = 600000, LASTS_MAX_S = 10 * 365 * 86400 };

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
judge(unsigned status, struct slice body, uint32_t chance)
{
	struct token       t;
	struct token_reply r;
	bool               given;

	token_read(&r, status, body);
	given = r.kind == TOKEN_GIVEN;
	must(given == (secret_reveal(&r.value).n > 0));
	must(!given || (r.lasts_ms > 0 &&
	        r.lasts_ms <= (uint64_t)LASTS_MAX_S * 1000));
	must(given || r.why != NULL);
	must((r.kind == TOKEN_REFUSED) == (r.refusal != NULL));
	token_open(&t, NOW, PARK);
	must(token_ask(&t, NOW));
	token_answer(&t, &r, NOW, chance);
	must(token_usable(&t, NOW) == given);
	must(token_next_ms(&t) > NOW);
	secret_wipe(&r.value);
	token_close(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const unsigned statuses[] = { 0, 200, 400, 500 };
	struct slice          in = { (const char *)data, n };
	unsigned              how = n > 0 ? data[0] : 0;

	judge(statuses[how & 3], in, how << 24);
	judge(200, slice_from(in, n > 0), ~0u);
	judge(200, in, 0);
	return 0;
}
