/*
 * The rules of trying again.  A request is repeated only when the platform
 * has not done it, or knows a double when it sees one, or when the operator
 * has said that doubles are better than gaps.
 */
#include "attempt.h"

static const uint32_t steps_ms[] = { 1000, 2000, 4000, 5000, 0 };

void
attempt_open(struct attempt *a)
{
	*a = (struct attempt){ .backoff = { .steps_ms = steps_ms } };
}

static struct attempt_verdict
done(enum result r)
{
	return (struct attempt_verdict){ .next = NEXT_DONE, .result = r };
}

enum result
attempt_expired(const struct attempt *a, const struct attempt_rules *rules,
    enum result last)
{
	if (a->unsure)
		return RESULT_TIMEOUT;
	if (last == RESULT_RATE_LIMITED || last == RESULT_MEDIA)
		return last;
	return rules->window ? RESULT_REPLY_EXPIRED : RESULT_PLATFORM;
}

static struct attempt_verdict
again(struct attempt *a, const struct attempt_rules *rules, enum result last,
    uint64_t now_ms, uint32_t chance)
{
	uint64_t wait_ms = backoff_next(&a->backoff, chance);

	if (now_ms + wait_ms >= rules->until_ms)
		return done(attempt_expired(a, rules, last));
	return (struct attempt_verdict){ .next = NEXT_WAIT,
		.wait_ms = wait_ms };
}

/* The first request may have arrived.  If it has, the second is refused as a
 * double, or there are two messages. */
static struct attempt_verdict
unsure(struct attempt *a, const struct attempt_rules *rules, uint64_t now_ms,
    uint32_t chance)
{
	a->unsure = true;
	if (!rules->has_seq && !rules->again)
		return done(RESULT_TIMEOUT);
	return again(a, rules, RESULT_TIMEOUT, now_ms, chance);
}

struct attempt_verdict
attempt_judge(struct attempt *a, const struct attempt_rules *rules,
    const struct reply *r, uint64_t now_ms, uint32_t chance)
{
	a->tries++;
	switch (r->cls) {
	case CLASS_DONE:
	case CLASS_NEEDS_AUDIT:
		return done(RESULT_OK);
	case CLASS_DUPLICATE:
		return done(rules->has_seq ? RESULT_OK : r->result);
	case CLASS_REFRESH_TOKEN:
		if (a->refreshed)
			break;
		a->refreshed = true;
		return (struct attempt_verdict){ .next = NEXT_TOKEN };
	case CLASS_RATE_LIMITED:
		if (r->result == RESULT_QUOTA)
			break;
		return again(a, rules, r->result, now_ms, chance);
	case CLASS_RETRY_LATER:
		return again(a, rules, r->result, now_ms, chance);
	case CLASS_UNSURE:
		return unsure(a, rules, now_ms, chance);
	case CLASS_CONFIG:
	case CLASS_PERMANENT:
	case CLASS_COUNT:
		break;
	}
	/* A double refused by another name: expired since the first try, say.
	 * What became of that one nobody knows. */
	return done(a->unsure ? RESULT_TIMEOUT : r->result);
}
