/*
 * The platform's refresh rule, as its page on access tokens has it.
 */
#include "token.h"

#include <openssl/rand.h>

enum err
token_random(char *out, size_t n)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "abcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char     bytes[128];

	if (n > sizeof bytes || RAND_bytes(bytes, (int)n) != 1)
		return ERR_SYSTEM;
	for (size_t i = 0; i < n; i++)
		out[i] = letters[bytes[i] & 63];
	out[n] = '\0';
	return ERR_OK;
}

enum err
tokens_ask(struct tokens *t, int64_t now_ms, const char **text,
    uint64_t *left_s, bool *made)
{
	struct token *newest = &t->kept[0];
	int64_t       overlap = TOKEN_OVERLAP_MS;

	/* A token that lives shorter than the overlap still serves half its
	 * life alone. */
	if ((int64_t)t->life_ms < 2 * overlap)
		overlap = (int64_t)t->life_ms / 2;
	*made = newest->text[0] == '\0' || newest->ends_ms - now_ms <= overlap;
	if (*made) {
		struct token fresh = { .ends_ms = now_ms +
			                   (int64_t)t->life_ms };

		if (token_random(fresh.text, TOKEN_SIZE) != ERR_OK)
			return ERR_SYSTEM;
		memmove(t->kept + 1, t->kept,
		    (TOKENS_KEPT - 1) * sizeof t->kept[0]);
		*newest = fresh;
	}
	*text = newest->text;
	*left_s = (uint64_t)(newest->ends_ms - now_ms) / 1000;
	return ERR_OK;
}

enum token_state
tokens_check(const struct tokens *t, struct slice text, int64_t now_ms)
{
	for (size_t i = 0; text.n > 0 && i < TOKENS_KEPT; i++)
		if (slice_is(text, t->kept[i].text))
			return t->kept[i].ends_ms > now_ms ? TOKEN_VALID
			                                   : TOKEN_EXPIRED;
	return TOKEN_WRONG;
}

void
tokens_revoke(struct tokens *t, int64_t now_ms)
{
	for (size_t i = 0; i < TOKENS_KEPT; i++)
		if (t->kept[i].ends_ms > now_ms)
			t->kept[i].ends_ms = now_ms;
}
