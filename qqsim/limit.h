/*
 * limit: how many calls and active messages are let through in a time.
 * quotas.def is the table for messages, routes.def has the routes' own.
 * Arithmetic only.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "kind.h"

/* So many from a moment on, then anew. */
struct window {
	int64_t  from_us;
	unsigned n;
};
bool window_take(struct window *, unsigned most, unsigned seconds,
    int64_t now_us);

enum quota_per { PER_BOT, PER_TARGET };
struct quota {
	enum scope     scope;
	enum quota_per per;
	bool           active;      /* counts only what answers nothing */
	unsigned       most, seconds, code;
	const char    *message;
};
enum quota_id {
#define QUOTA(scope, per, which, most, seconds, code, message) \
	QUOTA_##scope##_##per##_##seconds,
#include "quotas.def"
#undef QUOTA
	QUOTAS
};
extern const struct quota quotas[QUOTAS];

/* NULL: let through, and counted.  of_bot, of_target: QUOTAS windows each. */
const struct quota *quota_take(enum scope, bool active, struct window *of_bot,
    struct window *of_target, int64_t now_us);

#endif
