/*
 * The forms of dates that have been seen: of RFC 3339, of Go's time.String(),
 * numbers of either unit, and HTTP's.
 */
#include "date.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

/* n digits at *p, which moves on; -1 when they are not there. */
static int
digits(const char **p, const char *end, int n)
{
	int v = 0;

	while (n-- > 0) {
		if (*p == end || !isdigit((unsigned char)**p))
			return -1;
		v = v * 10 + *(*p)++ - '0';
	}
	return v;
}

static bool
skip(const char **p, const char *end, const char *any_of)
{
	if (*p == end || **p == '\0' || strchr(any_of, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

/* Z, +08:00 or +0800, minutes east; 0 when there is none. */
static int
zone_minutes(const char *p, const char *end)
{
	int sign, h, m;

	while (p < end && *p == ' ')
		p++;
	if (p == end || (*p != '+' && *p != '-'))
		return 0;
	sign = *p++ == '-' ? -1 : 1;
	h = digits(&p, end, 2);
	skip(&p, end, ":");
	m = digits(&p, end, 2);
	return h < 0 || m < 0 ? 0 : sign * (h * 60 + m);
}

static int64_t
time_of_date(struct slice s)
{
	const char *p = s.n > 0 ? s.p : "", *end = p + s.n;
	struct tm   tm = { 0 };
	int         ms = 0, scale = 100;
	int64_t     at;

	tm.tm_year = digits(&p, end, 4) - 1900;
	if (!skip(&p, end, "-"))
		return 0;
	tm.tm_mon = digits(&p, end, 2) - 1;
	if (!skip(&p, end, "-"))
		return 0;
	tm.tm_mday = digits(&p, end, 2);
	if (!skip(&p, end, "Tt "))
		return 0;
	tm.tm_hour = digits(&p, end, 2);
	if (!skip(&p, end, ":"))
		return 0;
	tm.tm_min = digits(&p, end, 2);
	if (!skip(&p, end, ":"))
		return 0;
	tm.tm_sec = digits(&p, end, 2);
	if (tm.tm_year < 0 || tm.tm_mon < 0 || tm.tm_mon > 11 ||
	    tm.tm_mday < 1 || tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0)
		return 0;
	if (skip(&p, end, "."))
		for (; p < end && isdigit((unsigned char)*p); p++) {
			ms += (*p - '0') * scale;
			scale /= 10;
		}
	at = (int64_t)timegm(&tm) - 60 * zone_minutes(p, end);
	return at > 0 ? at * 1000 + ms : 0;
}

int64_t
date_ms(struct slice s)
{
	unsigned long long n;

	s = slice_trim(s);
	if (!slice_u64(s, &n))
		return time_of_date(s);
	/* seconds; some send milliseconds: no date of ours is before 1973 */
	if (n > 9000000000000000ull)
		return 0;
	return (int64_t)(n > 100000000000ull ? n : n * 1000);
}

/* Wed, 21 Oct 2099 07:28:00 GMT */
int64_t
date_http_ms(struct slice s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm         tm = { 0 };
	const char       *p, *end;

	if (s.n != 29 || s.p[3] != ',' || s.p[19] != ':' || s.p[22] != ':')
		return 0;
	end = s.p + s.n;
	p = s.p + 5;
	tm.tm_mday = digits(&p, end, 2);
	p = s.p + 12;
	tm.tm_year = digits(&p, end, 4) - 1900;
	p = s.p + 17;
	tm.tm_hour = digits(&p, end, 2);
	p = s.p + 20;
	tm.tm_min = digits(&p, end, 2);
	p = s.p + 23;
	tm.tm_sec = digits(&p, end, 2);
	while (tm.tm_mon < 12 &&
	    memcmp(s.p + 8, months + 3 * tm.tm_mon, 3) != 0)
		tm.tm_mon++;
	if (tm.tm_mon == 12 || tm.tm_mday < 1 || tm.tm_year < 0 ||
	    tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0)
		return 0;
	return (int64_t)timegm(&tm) * 1000;
}
