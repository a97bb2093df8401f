/*
 * From an HTTP answer to a decision.  The platform answers an error with
 * status 200, a success with nothing, a success that looks like an error with
 * 202, and behind it stand proxies that answer in HTML.
 */
#include "reply.h"

#include "date.h"

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

uint64_t
reply_retry_ms(struct slice value, int64_t wall_ms)
{
	static const int64_t   nonsense_ms = 3600000;
	unsigned long long     s;
	int64_t                ms = 0;

	value = slice_trim(value);
	if (slice_u64(value, &s))
		ms = s <= 3600 ? (int64_t)s * 1000 : 0;
	else if ((ms = date_http_ms(value)) != 0)
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
judge_unreadable(struct reply *r)
{
	const struct code_row *row = find(statuses, COUNT(statuses), r->status);

	r->cls = row->cls;
	r->result = row->result;
	r->message = slice_of(row->meaning);
	if (r->status < 300) {
		r->cls = CLASS_UNSURE;
		r->message = SLICE("the answer is not JSON");
	}
}

static void
judge_silence(struct reply *r, const struct http_answer *a)
{
	r->cls = a->reached ? CLASS_UNSURE : CLASS_RETRY_LATER;
	r->result = RESULT_PLATFORM;
	r->message = slice_of(a->why);
}

/* Messages are logged and handed on, and some who refuse a request repeat it,
 * with what authorised it. */
static struct slice
told(struct slice message, struct slice token)
{
	if (token.n == 0 || message.n < token.n ||
	    memmem(message.p, message.n, token.p, token.n) == NULL)
		return message;
	return SLICE("not repeated, as the access token is in it");
}

void
reply_read(struct reply *r, const struct http_answer *a)
{
	bool cut = a->err != ERR_OK;

	*r = (struct reply){ .status = a->status, .trace = a->trace,
		.retry_after = a->retry_after };
	/* A success that broke off is none: its rest may have said no. */
	if (cut && a->status < 300)
		r->status = 0;
	if (r->status == 0) {
		judge_silence(r, a);
		return;
	}
	/* Nothing is fine when it is all there is. */
	if (slice_trim(a->body).n == 0
	        ? cut
	        : json_parse(&r->doc, a->body) != ERR_OK ||
	            !(json_is_object(r->doc) || json_is_array(r->doc))) {
		judge_unreadable(r);
		return;
	}
	r->code = read_code(r->doc);
	r->message = told(json_text_at(r->doc, "message"), a->token);
	r->trace = first_of(r->trace, json_text_at(r->doc, "trace_id"));
	r->msg = json_text_at(r->doc, "id");
	r->time_ms = date_ms(json_text_at(r->doc, "timestamp"));
	r->audit = first_of(json_text_at(r->doc, "data.message_audit.audit_id"),
	    json_text_at(r->doc, "audit_id"));
	judge(r);
}

void
reply_free(struct reply *r)
{
	json_free(&r->doc);
}
