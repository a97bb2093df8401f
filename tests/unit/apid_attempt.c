// links: apid/attempt.c apid/reply.c common
/*
 * Whether and when a request is sent again.
 */
#include "test.h"

#include "attempt.h"

enum { HALF = 0x80000000u, WINDOW = 300000 };

static const struct attempt_rules numbered = { .until_ms = WINDOW,
	.window = true, .has_seq = true };
static const struct attempt_rules once = { .until_ms = WINDOW,
	.window = true };
static const struct attempt_rules again = { .until_ms = WINDOW,
	.window = true, .again = true };
static const struct attempt_rules active = { .until_ms = WINDOW };

/* What is done after one answer of this class. */
static const struct {
	enum reply_class            cls;
	enum result                 result;
	const struct attempt_rules *rules;
	enum attempt_next           next;
	enum result                 told;
} first[] = {
	{ CLASS_DONE, RESULT_PLATFORM, &numbered, NEXT_DONE, RESULT_OK },
	{ CLASS_NEEDS_AUDIT, RESULT_PLATFORM, &once, NEXT_DONE, RESULT_OK },
	{ CLASS_DUPLICATE, RESULT_REJECTED, &numbered, NEXT_DONE, RESULT_OK },
	{ CLASS_DUPLICATE, RESULT_REJECTED, &once, NEXT_DONE,
	    RESULT_REJECTED },
	{ CLASS_PERMANENT, RESULT_TOO_MUCH, &numbered, NEXT_DONE,
	    RESULT_TOO_MUCH },
	{ CLASS_RATE_LIMITED, RESULT_QUOTA, &numbered, NEXT_DONE,
	    RESULT_QUOTA },
	{ CLASS_RATE_LIMITED, RESULT_RATE_LIMITED, &numbered, NEXT_WAIT, 0 },
	{ CLASS_RETRY_LATER, RESULT_PLATFORM, &once, NEXT_WAIT, 0 },
	{ CLASS_REFRESH_TOKEN, RESULT_PLATFORM, &numbered, NEXT_TOKEN, 0 },
	{ CLASS_UNSURE, RESULT_PLATFORM, &numbered, NEXT_WAIT, 0 },
	{ CLASS_UNSURE, RESULT_PLATFORM, &again, NEXT_WAIT, 0 },
	{ CLASS_UNSURE, RESULT_PLATFORM, &once, NEXT_DONE, RESULT_TIMEOUT },
};

TEST(first_answers)
{
	for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
		struct attempt         a;
		struct attempt_verdict v;
		struct reply r = { .cls = first[i].cls,
			.result = first[i].result };

		attempt_open(&a);
		v = attempt_judge(&a, first[i].rules, &r, 0, HALF);
		EXPECT_INT(v.next, first[i].next);
		EXPECT_INT(a.tries, 1);
		if (v.next == NEXT_DONE)
			EXPECT_INT(v.result, first[i].told);
		if (v.next == NEXT_WAIT)
			EXPECT_INT(v.wait_ms, 1000);
	}
}

TEST(waits_grow_and_stay_in_the_window)
{
	static const uint64_t  steps[] = { 1000, 2000, 4000, 5000, 5000 };
	struct reply r = { .cls = CLASS_RETRY_LATER,
		.result = RESULT_PLATFORM };
	struct attempt         a;
	struct attempt_verdict v = { .next = NEXT_WAIT };
	uint64_t               now = 0;

	attempt_open(&a);
	for (size_t i = 0; i < 5; i++) {
		v = attempt_judge(&a, &numbered, &r, now, HALF);
		EXPECT_INT(v.wait_ms, steps[i]);
		now += v.wait_ms;
	}
	while (v.next == NEXT_WAIT) {
		EXPECT(now < WINDOW);
		v = attempt_judge(&a, &numbered, &r, now, UINT32_MAX);
		now += v.wait_ms;
	}
	EXPECT_INT(v.result, RESULT_REPLY_EXPIRED);
	EXPECT(now > WINDOW - 6000 && now < WINDOW);
}

TEST(the_end_says_what_happened)
{
	struct reply   r = { .cls = CLASS_RATE_LIMITED,
		  .result = RESULT_RATE_LIMITED };
	struct attempt a;

	attempt_open(&a);
	EXPECT_INT(attempt_judge(&a, &numbered, &r, WINDOW - 1, HALF).result,
	    RESULT_RATE_LIMITED);
	r = (struct reply){ .cls = CLASS_RETRY_LATER,
		.result = RESULT_PLATFORM };
	EXPECT_INT(attempt_judge(&a, &active, &r, WINDOW - 1, HALF).result,
	    RESULT_PLATFORM);
	r.cls = CLASS_UNSURE;
	EXPECT_INT(attempt_judge(&a, &numbered, &r, WINDOW - 1, HALF).result,
	    RESULT_TIMEOUT);
	/* Once unsure, a later failure does not make it sure. */
	r.cls = CLASS_RETRY_LATER;
	EXPECT_INT(attempt_judge(&a, &numbered, &r, WINDOW - 1, HALF).result,
	    RESULT_TIMEOUT);
	r = (struct reply){ .cls = CLASS_PERMANENT,
		.result = RESULT_REPLY_EXPIRED };
	EXPECT_INT(attempt_judge(&a, &numbered, &r, 0, HALF).result,
	    RESULT_TIMEOUT);
	/* The first may have used the quota up, or the token may be gone. */
	r = (struct reply){ .cls = CLASS_RATE_LIMITED,
		.result = RESULT_QUOTA };
	EXPECT_INT(attempt_judge(&a, &numbered, &r, 0, HALF).result,
	    RESULT_TIMEOUT);
	r = (struct reply){ .cls = CLASS_REFRESH_TOKEN,
		.result = RESULT_PLATFORM };
	EXPECT_INT(attempt_judge(&a, &numbered, &r, 0, HALF).next, NEXT_TOKEN);
	EXPECT_INT(attempt_judge(&a, &numbered, &r, 0, HALF).result,
	    RESULT_TIMEOUT);
	/* But the platform's word that it has the message does. */
	r = (struct reply){ .cls = CLASS_DUPLICATE };
	EXPECT_INT(attempt_judge(&a, &numbered, &r, 0, HALF).result,
	    RESULT_OK);
}

/* A later part of a stream was sent, and nobody knows what became of it: what
 * refuses it now for its place says that the platform has it. */
static const struct {
	enum attempt_part part;
	bool              unsure;
	enum reply_class  cls;
	enum result       result;
	uint64_t          code;
	enum result       told;
} parts[] = {
	{ PART_LATER, true, CLASS_PERMANENT, RESULT_BAD_ARG, 12002, RESULT_OK },
	{ PART_LATER, true, CLASS_PERMANENT, RESULT_BAD_ARG, 40034018,
	    RESULT_OK },
	{ PART_LATER, true, CLASS_PERMANENT, RESULT_REJECTED, 99099099,
	    RESULT_OK },
	{ PART_LATER, true, CLASS_PERMANENT, RESULT_BAD_ARG, 40007,
	    RESULT_TIMEOUT },
	{ PART_LATER, true, CLASS_PERMANENT, RESULT_REJECTED, 40034006,
	    RESULT_TIMEOUT },
	{ PART_LATER, true, CLASS_PERMANENT, RESULT_REJECTED, 0,
	    RESULT_TIMEOUT },
	{ PART_LATER, true, CLASS_DUPLICATE, RESULT_REJECTED, 40054005,
	    RESULT_OK },
	{ PART_LATER, false, CLASS_PERMANENT, RESULT_BAD_ARG, 12002,
	    RESULT_BAD_ARG },
	{ PART_LATER, false, CLASS_PERMANENT, RESULT_BAD_ARG, 40034018,
	    RESULT_BAD_ARG },
	{ PART_FIRST, true, CLASS_PERMANENT, RESULT_BAD_ARG, 12002,
	    RESULT_TIMEOUT },
	{ PART_FIRST, true, CLASS_DUPLICATE, RESULT_REJECTED, 40054005,
	    RESULT_TIMEOUT },
	{ PART_NONE, true, CLASS_PERMANENT, RESULT_BAD_ARG, 12002,
	    RESULT_TIMEOUT },
};

TEST(a_part_out_of_its_place_was_taken)
{
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		struct attempt       a;
		struct attempt_rules rules = numbered;
		struct attempt_verdict v;
		struct reply r = { .cls = parts[i].cls,
			.result = parts[i].result, .code = parts[i].code };

		attempt_open(&a);
		a.unsure = parts[i].unsure;
		rules.part = parts[i].part;
		v = attempt_judge(&a, &rules, &r, 0, HALF);
		EXPECT_INT(v.next, NEXT_DONE);
		EXPECT_INT(v.result, parts[i].told);
	}
}

TEST(one_new_token_per_call)
{
	struct reply   r = { .cls = CLASS_REFRESH_TOKEN,
		  .result = RESULT_PLATFORM };
	struct attempt a;

	attempt_open(&a);
	EXPECT_INT(attempt_judge(&a, &numbered, &r, 0, HALF).next, NEXT_TOKEN);
	EXPECT_INT(attempt_judge(&a, &numbered, &r, 0, HALF).next, NEXT_DONE);
}

TEST(time_up_without_an_answer)
{
	struct attempt a;

	attempt_open(&a);
	EXPECT_INT(attempt_expired(&a, &numbered, RESULT_OK),
	    RESULT_REPLY_EXPIRED);
	EXPECT_INT(attempt_expired(&a, &active, RESULT_OK), RESULT_PLATFORM);
}

int
main(void)
{
	RUN(first_answers);
	RUN(waits_grow_and_stay_in_the_window);
	RUN(the_end_says_what_happened);
	RUN(a_part_out_of_its_place_was_taken);
	RUN(one_new_token_per_call);
	RUN(time_up_without_an_answer);
	return test_done();
}
