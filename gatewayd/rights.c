/*
 * Group testing: `granted` are known to be allowed together; `bad` is the
 * smallest set known to hold one that is not.
 */
#include "rights.h"

#include <stddef.h>

static const struct {
	unsigned    bit;
	const char *name;
	enum { PUBLIC, RARE, PRIVATE } who;
} intents[] = {
#define INTENT(bit, name, who, meaning) { bit, #name, who },
#include "intents.def"
#undef INTENT
};
enum { INTENTS = sizeof intents / sizeof *intents, LEVELS = 5 };

/* Given to every bot of the kind, without asking in the console. */
static const uint32_t usual = 1u << 0 | 1u << 1 | 1u << 25 | 1u << 30;

/* 0: hardly ever refused. */
static unsigned
level(const struct rights *r, uint32_t bit)
{
	if (r->suspects & bit)
		return LEVELS - 1;
	if (usual & bit)
		return 0;
	for (size_t i = 0; i < INTENTS; i++)
		if (1u << intents[i].bit == bit)
			return 1 + intents[i].who;
	return 1 + PRIVATE;
}

/* The part of the set that is most likely to be allowed: without those that
 * were refused before; of the rest its lowest level, or half of it when there
 * is but one. */
static uint32_t
calmer(const struct rights *r, uint32_t set)
{
	uint32_t levels[LEVELS] = { 0 }, half = 0;
	size_t   n = 0;
	unsigned i = 0;

	if ((set & r->suspects) != 0 && (set & ~r->suspects) != 0)
		return set & ~r->suspects;
	for (uint32_t b = 1; b != 0; b <<= 1)
		if (set & b)
			levels[level(r, b)] |= b;
	while (i < LEVELS - 1 && levels[i] == 0)
		i++;
	if (levels[i] != set)
		return levels[i];
	n = (size_t)__builtin_popcount(set) / 2;
	for (uint32_t b = 1; b != 0 && n > 0; b <<= 1)
		if (set & b) {
			half |= b;
			n--;
		}
	return half;
}

static uint32_t
unknown(const struct rights *r)
{
	return r->wanted & ~r->dropped & ~r->granted;
}

uint32_t
rights_mask(const struct rights *r)
{
	if (r->trials == 0)
		return r->wanted & ~r->dropped;
	return r->granted | (r->bad != 0 ? calmer(r, r->bad) : unknown(r));
}

bool
rights_searching(const struct rights *r)
{
	return r->trials > 0;
}

void
rights_recall(struct rights *r, uint32_t dropped, int64_t wall_ms)
{
	r->suspects = dropped & r->wanted;
	r->dropped_wall_ms = wall_ms;
	/* All refused was no result, or there is nothing else now. */
	if (r->suspects != r->wanted && !r->strict)
		r->dropped = r->suspects;
}

bool
rights_retry(struct rights *r, int64_t wall_ms, bool at_once)
{
	int64_t age = wall_ms - r->dropped_wall_ms;

	if (r->trials > 0 || (r->dropped == 0 && !r->hopeless) ||
	    (!at_once && age >= 0 && age < (int64_t)RIGHTS_AGAIN_S * 1000))
		return false;
	/* What is granted stays so: sessions with less than that would miss
	 * what others have. */
	r->dropped = 0;
	r->hopeless = false;
	r->bad = 0;
	return true;
}

static void
drop(struct rights *r, uint32_t set)
{
	if ((r->dropped & set) != set)
		r->news = true;
	r->dropped |= set;
	r->suspects |= set;
}

static void
end_search(struct rights *r)
{
	drop(r, unknown(r));
	r->bad = 0;
	r->trials = 0;
}

/* One that stands alone needs no trial; when time or money is up, the rest is
 * done without. */
static void
go_on(struct rights *r, bool poor)
{
	if (__builtin_popcount(r->bad) == 1) {
		drop(r, r->bad);
		r->bad = 0;
	}
	if (unknown(r) == 0 || poor || r->trials >= RIGHTS_TRIALS)
		end_search(r);
	else
		r->trials++;
}

bool
rights_refused(struct rights *r, uint32_t mask, bool poor)
{
	if (r->strict || r->hopeless)
		return false;
	/* What was allowed once may not be any more. */
	if ((mask & ~r->granted) == 0)
		r->granted = 0;
	if (r->trials == 0)
		r->trials = 1;
	r->bad = mask & ~r->granted;
	go_on(r, poor);
	if (r->trials > 0 || r->granted != 0)
		return true;
	r->hopeless = true; /* it is not about intents, perhaps */
	r->dropped = 0;
	r->news = false;
	return false;
}

bool
rights_taken(struct rights *r, uint32_t mask, bool poor)
{
	bool searching = r->trials > 0;

	r->granted |= mask;
	r->hopeless = false;
	r->suspects &= ~mask;
	r->bad &= ~mask;
	if (!searching)
		return false;
	go_on(r, poor);
	return r->trials > 0;
}

void
rights_names(uint32_t mask, struct buf *out)
{
	const char *between = "";

	for (size_t i = 0; i < INTENTS; i++)
		if (mask & 1u << intents[i].bit) {
			buf_putf(out, "%s%s", between, intents[i].name);
			mask &= ~(1u << intents[i].bit);
			between = ", ";
		}
	if (mask != 0)
		buf_putf(out, "%s%lu", between, (unsigned long)mask);
}
