/*
 * From an HTTP answer to a decision.  The platform answers an error with
 * status 200, a success with nothing, a success that looks like an error with
 * 202, and behind it stand proxies that answer in HTML.
 */
#include "reply.h"

#include <ctype.h>

struct code_row {
	uint64_t         first, last;
	enum reply_class cls;
	enum result      result;
	const char      *meaning;
};

static const struct code_row codes[] = {
#define CODE(code, cls, result, meaning)                                     \
	{ code, code, CLASS_##cls, RESULT_##result, meaning },
#include "codes.def"
};

static const struct code_row ranges[] = {
#define RANGE(first, last, cls, result, meaning)                             \
	{ first, last, CLASS_##cls, RESULT_##result, meaning },
#include "codes.def"
};

static const struct code_row statuses[] = {
#define STATUS(first, last, cls, result, meaning)                            \
	{ first, last, CLASS_##cls, RESULT_##result, meaning },
#include "codes.def"
};

static const char *const result_names[][2] = {
	{ "", "done" },
#define RESULT(name, meaning) { #name, meaning },
#include "results.def"
#undef RESULT
};

static const char *const class_names[] = {
#define CLASS(name, meaning) #name,
#include "classes.def"
#undef CLASS
};

enum { CODE_LIMIT = 22009 };

#define COUNT(a) (sizeof(a) / sizeof *(a))

const char *
result_name(enum result r)
{
	return result_names[r][0];
}

const char *
result_meaning(enum result r)
{
	return result_names[r][1];
}

const char *
class_name(enum reply_class c)
{
	return class_names[c];
}

static const struct code_row *
find(const struct code_row *rows, size_t n, uint64_t code)
{
	for (size_t i = 0; i < n; i++)
		if (code >= rows[i].first && code <= rows[i].last)
			return &rows[i];
	return NULL;
}

static const struct code_row *
find_code(uint64_t code)
{
	const struct code_row *row = find(codes, COUNT(codes), code);

	return row != NULL ? row : find(ranges, COUNT(ranges), code);
}

bool
reply_code(uint64_t code, enum reply_class *cls, enum result *result,
    const char **meaning)
{
	const struct code_row *row = find_code(code);

	if (row == NULL)
		return false;
	*cls = row->cls;
	*result = row->result;
	*meaning = row->meaning;
	return true;
}

/* --- times ---------------------------------------------------------------- */

/* n digits as a number; false when they are not digits. */
static bool
digits(const char *p, size_t n, int64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)p[i]))
			return false;
		*v = *v * 10 + (p[i] - '0');
	}
	return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t
days_to(int64_t y, int64_t m, int64_t d)
{
	int64_t era, in_era, in_year;

	y -= m <= 2;
	era = y / 400;
	in_era = y - era * 400;
	in_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 +
	    in_year - 719468;
}

/* +08:00, -05:30 or Z, as minutes. */
static bool
read_zone(struct slice z, int64_t *minutes)
{
	int64_t h, m;

	*minutes = 0;
	if (slice_is(z, "Z") || slice_is(z, "z"))
		return true;
	if (z.n != 6 || (z.p[0] != '+' && z.p[0] != '-') || z.p[3] != ':' ||
	    !digits(z.p + 1, 2, &h) || !digits(z.p + 4, 2, &m))
		return false;
	*minutes = (h * 60 + m) * (z.p[0] == '-' ? -1 : 1);
	return true;
}

/* 2026-01-02T03:04:05.678+08:00 */
static int64_t
read_rfc3339(struct slice s)
{
	int64_t y, mo, d, h, mi, sec, zone, ms = 0, unit = 100, when;
	size_t  at = 19;

	if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' ||
	    (s.p[10] != 'T' && s.p[10] != ' ') || s.p[13] != ':' ||
	    s.p[16] != ':' || !digits(s.p, 4, &y) ||
	    !digits(s.p + 5, 2, &mo) || !digits(s.p + 8, 2, &d) ||
	    !digits(s.p + 11, 2, &h) || !digits(s.p + 14, 2, &mi) ||
	    !digits(s.p + 17, 2, &sec) || mo < 1 || mo > 12 || d < 1 ||
	    d > 31 || h > 23 || mi > 59 || sec > 60)
		return 0;
	if (s.p[at] == '.')
		for (at++; at < s.n && isdigit((unsigned char)s.p[at]); at++) {
			ms += (s.p[at] - '0') * unit;
			unit /= 10;
		}
	if (!read_zone(slice_from(s, at), &zone))
		return 0;
	when = ((days_to(y, mo, d) * 24 + h) * 60 + mi - zone) * 60000 +
	    sec * 1000 + ms;
	return when > 0 ? when : 0;
}

int64_t
reply_time(const struct json *v)
{
	static const int64_t ms_from = 100000000000; /* in s: the year 5138 */
	int64_t              n;

	if (json_int(v, &n))
		return n <= 0 ? 0 : n < ms_from ? n * 1000 : n;
	return read_rfc3339(json_text(v));
}

/* Wed, 21 Oct 2099 07:28:00 GMT, as RFC 9110 wants it. */
static int64_t
read_http_date(struct slice s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t           y, d, h, mi, sec;

	if (s.n != 29 || s.p[3] != ',' || s.p[19] != ':' || s.p[22] != ':' ||
	    !digits(s.p + 5, 2, &d) || !digits(s.p + 12, 4, &y) ||
	    !digits(s.p + 17, 2, &h) || !digits(s.p + 20, 2, &mi) ||
	    !digits(s.p + 23, 2, &sec))
		return 0;
	for (int m = 0; m < 12; m++)
		if (memcmp(s.p + 8, months + 3 * m, 3) == 0)
			return (days_to(y, m + 1, d) * 86400 + h * 3600 +
			           mi * 60 + sec) * 1000;
	return 0;
}

uint64_t
reply_retry_ms(struct slice value, int64_t wall_ms)
{
	static const int64_t   nonsense_ms = 3600000;
	unsigned long long     s;
	int64_t                ms = 0;

	value = slice_trim(value);
	if (slice_u64(value, &s))
		ms = s <= 3600 ? (int64_t)s * 1000 : 0;
	else if ((ms = read_http_date(value)) != 0)
		ms -= wall_ms;
	if (ms <= 0 || ms > nonsense_ms)
		return 0;
	return ms < REPLY_RETRY_MAX_MS ? (uint64_t)ms : REPLY_RETRY_MAX_MS;
}

/* --- the answer ----------------------------------------------------------- */

/* err_code replaces code; either may be missing, text, or 0 for "fine". */
static uint64_t
read_code(const struct json *doc)
{
	int64_t n;

	if (json_int_at(doc, "err_code", &n) && n != 0)
		return n > 0 ? (uint64_t)n : UINT64_MAX;
	if (json_int_at(doc, "code", &n) && n != 0)
		return n > 0 ? (uint64_t)n : UINT64_MAX;
	return 0;
}

static struct slice
first_of(struct slice a, struct slice b)
{
	return a.n > 0 ? a : b;
}

static void
judge(struct reply *r)
{
	const struct code_row *row, *of_status;

	of_status = find(statuses, COUNT(statuses), r->status);
	row = r->code != 0 ? find_code(r->code) : NULL;
	if (row == NULL)
		row = of_status;
	/* Whatever its body says, 401 is about the token, unless no token will
	 * do; and an audit is an audit with or without its code. */
	if (of_status->cls == CLASS_REFRESH_TOKEN && row->cls != CLASS_CONFIG)
		row = of_status;
	/* It stands for the limit of a second as well as for a day's. */
	if (of_status->cls == CLASS_RATE_LIMITED && r->code == CODE_LIMIT)
		row = of_status;
	r->cls = row->cls;
	r->result = row->result;
	if (r->audit.n > 0 && of_status->cls <= CLASS_NEEDS_AUDIT)
		r->cls = CLASS_NEEDS_AUDIT;
	else if (r->code != 0 && r->cls == CLASS_DONE) {
		/* "Done", with an error nobody has documented. */
		r->cls = CLASS_PERMANENT;
		r->result = RESULT_PLATFORM;
	} else if (r->code == 0 && r->cls == CLASS_NEEDS_AUDIT)
		r->cls = CLASS_DONE;
	r->message = first_of(r->message, slice_of(row->meaning));
}

/* 2xx whose body is no JSON: somebody between us and the platform answered,
 * or the answer was cut.  Nobody knows what became of the request. */
static void
judge_unreadable(struct reply *r, const struct reply_input *in)
{
	const struct code_row *row = find(statuses, COUNT(statuses), r->status);

	r->cls = row->cls;
	r->result = row->result;
	r->message = slice_of(row->meaning);
	if (r->status < 300) {
		r->cls = CLASS_UNSURE;
		r->message = first_of(in->why, SLICE("the answer is not JSON"));
	}
}

static void
judge_silence(struct reply *r, const struct reply_input *in)
{
	r->cls = in->reached ? CLASS_UNSURE : CLASS_RETRY_LATER;
	r->result = RESULT_PLATFORM;
	r->message = in->why;
}

void
reply_read(struct reply *r, const struct reply_input *in)
{
	*r = (struct reply){ .status = in->status, .trace = in->trace,
		.retry_after = in->retry_after };
	if (in->status == 0) {
		judge_silence(r, in);
		return;
	}
	/* Nothing is fine when it is all there is. */
	if (slice_trim(in->body).n == 0
	        ? in->cut
	        : json_parse(&r->doc, in->body) != ERR_OK ||
	            !(json_is_object(r->doc) || json_is_array(r->doc))) {
		judge_unreadable(r, in);
		return;
	}
	r->code = read_code(r->doc);
	r->message = json_text_at(r->doc, "message");
	r->trace = first_of(r->trace, json_text_at(r->doc, "trace_id"));
	r->msg = json_text_at(r->doc, "id");
	r->time_ms = reply_time(json_get(r->doc, "timestamp"));
	r->audit = first_of(json_text_at(r->doc, "data.message_audit.audit_id"),
	    json_text_at(r->doc, "audit_id"));
	judge(r);
}

void
reply_free(struct reply *r)
{
	json_free(&r->doc);
}
