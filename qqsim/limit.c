/*
 * Windows and the table of quotas.
 */
#include "limit.h"

enum { ACTIVE = 1, EVERY = 0 };

const struct quota quotas[QUOTAS] = {
#define QUOTA(scope, per, which, most, seconds, code, message)               \
	{ SCOPE_##scope, PER_##per, which, most, seconds, code, message },
#include "quotas.def"
#undef QUOTA
};

bool
window_take(struct window *w, unsigned most, unsigned seconds, int64_t now_us)
{
	if (w->n == 0 || now_us - w->from_us >= (int64_t)seconds * 1000000)
		*w = (struct window){ .from_us = now_us };
	if (w->n >= most)
		return false;
	w->n++;
	return true;
}

const struct quota *
quota_take(enum scope scope, bool active, struct window *of_bot,
    struct window *of_target, int64_t now_us)
{
	for (size_t i = 0; i < QUOTAS; i++) {
		const struct quota *q = &quotas[i];
		struct window      *w = q->per == PER_BOT ? of_bot : of_target;

		if (q->scope == scope && (active || !q->active) &&
		    !window_take(&w[i], q->most, q->seconds, now_us))
			return q;
	}
	return NULL;
}
