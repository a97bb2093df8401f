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

/* How the platform says that a part is out of its place is not documented: the
 * request is wrong, or the message is at its end, or by a code that no page
 * knows. */
static bool
is_out_of_place(uint64_t code)
{
	enum { WRONG = 12002, ENDED = 40034018 };
	enum reply_class cls;
	enum result      result;
	const char      *meaning;

	return code == WRONG || code == ENDED ||
	    (code > 0 && !reply_code(code, &cls, &result, &meaning));
}

/* The platform has it, and will not have it twice. */
static bool
is_double(const struct attempt *a, const struct attempt_rules *rules,
    const struct reply *r)
{
	if (r->cls == CLASS_DUPLICATE)
		return rules->has_seq;
	return rules->part == PART_LATER && a->unsure &&
	    r->cls == CLASS_PERMANENT && is_out_of_place(r->code);
}

struct attempt_verdict
attempt_judge(struct attempt *a, const struct attempt_rules *rules,
    const struct reply *r, uint64_t now_ms, uint32_t chance)
{
	a->tries++;
	if (is_double(a, rules, r))
		/* Without its id nothing can be done with a first part. */
		return done(rules->part == PART_FIRST ? RESULT_TIMEOUT
		                                      : RESULT_OK);
	switch (r->cls) {
	case CLASS_DONE:
	case CLASS_NEEDS_AUDIT:
		return done(RESULT_OK);
	case CLASS_DUPLICATE:
		break;
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
