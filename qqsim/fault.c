/*
 * The armed faults, in the order they were armed; the first that fits
 * strikes.
 */
#include "fault.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

const struct fault_info fault_infos[FAULT_COUNT] = {
#define FAULT(name, point, arguments, meaning) \
	[FAULT_##name] = { #name, POINT_##point, #point, arguments, meaning },
#include "faults.def"
#undef FAULT
};

_Static_assert(FAULT_COUNT <= 64, "a bit per fault");

/* The members every fault may have, and those its row names. */
static bool
may_have(const struct fault_info *info, const char *key)
{
	static const char *const always[] = { "fault", "bot", "count",
		"for_ms" };
	const char *p = info->arguments;
	size_t      n = strlen(key);

	for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
		if (strcmp(key, always[i]) == 0)
			return true;
	if (strcmp(key, "scope") == 0)
		return info->point == POINT_SEND || info->point == POINT_FILE;
	while ((p = strstr(p, key)) != NULL) {
		if ((p == info->arguments || p[-1] == ' ') &&
		    (p[n] == ' ' || p[n] == '\0'))
			return true;
		p += n;
	}
	return false;
}

struct checking {
	const struct fault_info *info;
	bool                     bad;
};

static void
check_member(void *self, const char *key, const struct json *value)
{
	struct checking *c = self;

	(void)value;
	if (!may_have(c->info, key))
		c->bad = true;
}

static bool
read_number(const struct json *j, const char *key, int64_t *out)
{
	if (json_get(j, key) == NULL)
		return true;
	return json_int(json_get(j, key), out) && *out >= 0 &&
	    *out <= INT_MAX;
}

static bool
read_word(const struct json *j, const char *key, char *out, size_t size)
{
	struct slice s = json_text(json_get(j, key));

	if (s.n >= size)
		return false;
	if (s.n > 0)
		memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

static bool
read_d(const struct json *j, enum fault_d *d)
{
	const struct json *v = json_get(j, "d");

	*d = FAULT_D_FALSE;
	if (v == NULL || slice_is(json_text(v), "false"))
		return true;
	*d = slice_is(json_text(v), "absent") ? FAULT_D_ABSENT : FAULT_D_TRUE;
	return *d == FAULT_D_ABSENT || slice_is(json_text(v), "true");
}

/* What a code or a status may be, so that no fault is silently none. */
static const char *
check_ranges(const struct fault *f)
{
	enum fault_point point = fault_infos[f->name].point;

	if (f->code != -1 && point <= POINT_RESUME && f->code != 0 &&
	    (f->code < 1000 || f->code > 4999))
		return "code is not a close code";
	if (f->status != -1 && f->status != 0 &&
	    (f->status < 200 || f->status > 599))
		return "status is not an HTTP status";
	if (f->status == 0 && f->name != FAULT_refuse_connect)
		return "status is not an HTTP status";
	if (f->ms == -1 && strcmp(fault_infos[f->name].arguments, "ms") == 0)
		return "ms is missing";
	if (f->name == FAULT_gateway_url &&
	    (f->port < 1 || f->port > 65535))
		return "port is missing, or none";
	return NULL;
}

static bool
known_how(const struct fault *f)
{
	static const struct {
		enum fault_name name;
		const char     *words;
	} hows[] = {
		{ FAULT_gateway_outage, " status close hang " },
		{ FAULT_token_outage, " status close hang " },
		{ FAULT_token_form,
		    " number fraction zero negative text empty absent " },
		{ FAULT_api_status, " seconds date zero junk " },
		{ FAULT_send_status, " seconds date zero junk " },
		{ FAULT_file_status, " seconds date zero junk " },
		{ FAULT_route_limits, " seconds date zero junk " },
		{ FAULT_webhook_tamper,
		    " signature body timestamp appid nosig " },
	};
	char word[sizeof f->how + 2];

	if (f->body[0] != '\0' && strcmp(f->body, "json") != 0 &&
	    strcmp(f->body, "html") != 0 && strcmp(f->body, "empty") != 0)
		return false;
	snprintf(word, sizeof word, " %s ", f->how);
	for (size_t i = 0; i < sizeof hows / sizeof hows[0]; i++)
		if (hows[i].name == f->name)
			return f->how[0] == '\0' ||
			    strstr(hows[i].words, word) != NULL;
	return true;
}

enum err
fault_parse(struct fault *f, const struct json *j, int64_t now_ms,
    const char **why)
{
	struct slice    name = json_text(json_get(j, "fault"));
	struct checking c = { 0 };
	int64_t         count = -1, for_ms = 0;
	size_t          i;

	*f = (struct fault){ .code = -1, .status = -1, .ms = -1, .port = -1,
		.shard = -1 };
	for (i = 0; i < FAULT_COUNT; i++)
		if (slice_is(name, fault_infos[i].name))
			break;
	*why = "no such fault";
	if (i == FAULT_COUNT)
		return ERR_SYNTAX;
	f->name = (enum fault_name)i;
	c.info = &fault_infos[i];
	json_each(j, check_member, &c);
	*why = "a member this fault does not take";
	if (c.bad)
		return ERR_SYNTAX;
	*why = "a member with a value it cannot have";
	if (!read_number(j, "count", &count) ||
	    !read_number(j, "for_ms", &for_ms) ||
	    !read_number(j, "code", &f->code) ||
	    !read_number(j, "status", &f->status) ||
	    !read_number(j, "ms", &f->ms) ||
	    !read_number(j, "port", &f->port) ||
	    !read_number(j, "shard", &f->shard) || !read_d(j, &f->d) ||
	    !read_word(j, "how", f->how, sizeof f->how) ||
	    !read_word(j, "scope", f->scope, sizeof f->scope) ||
	    !read_word(j, "body", f->body, sizeof f->body) ||
	    !read_word(j, "text", f->text, sizeof f->text) ||
	    !read_word(j, "bot", f->bot, sizeof f->bot) || !known_how(f))
		return ERR_SYNTAX;
	f->left = count >= 0 ? (uint64_t)count : for_ms > 0 ? 0 : 1;
	f->for_ms = (uint64_t)for_ms;
	f->ends_ms = for_ms > 0 ? now_ms + for_ms : 0;
	*why = check_ranges(f);
	return *why == NULL ? ERR_OK : ERR_SYNTAX;
}

enum err
faults_arm(struct faults *all, const struct fault *f)
{
	struct fault **end = &all->list;
	struct fault  *copy;

	if (all->n >= FAULTS_MAX)
		return ERR_FULL;
	if ((copy = malloc(sizeof *copy)) == NULL)
		return ERR_NOMEM;
	*copy = *f;
	copy->next = NULL;
	while (*end != NULL)
		end = &(*end)->next;
	*end = copy;
	all->n++;
	all->armed |= 1ull << f->name;
	return ERR_OK;
}

static void
fault_remove(struct faults *all, struct fault **at)
{
	struct fault *f = *at;

	*at = f->next;
	free(f);
	all->n--;
	all->armed = 0;
	for (f = all->list; f != NULL; f = f->next)
		all->armed |= 1ull << f->name;
}

static bool
fits(const struct fault *f, enum fault_name name, const char *bot,
    const char *scope)
{
	return f->name == name &&
	    (f->bot[0] == '\0' || bot[0] == '\0' ||
	        strcmp(f->bot, bot) == 0) &&
	    (f->scope[0] == '\0' || scope[0] == '\0' ||
	        strcmp(f->scope, scope) == 0);
}

void
faults_note(struct faults *all, enum fault_name name)
{
	all->struck[name]++;
	all->strikes++;
}

const struct fault *
faults_find(const struct faults *all, enum fault_name name, const char *bot,
    const char *scope, int64_t now_ms)
{
	if ((all->armed & 1ull << name) == 0)
		return NULL;
	for (const struct fault *f = all->list; f != NULL; f = f->next)
		if (fits(f, name, bot, scope) &&
		    (f->ends_ms == 0 || f->ends_ms > now_ms))
			return f;
	return NULL;
}

bool
faults_strike(struct faults *all, enum fault_name name, const char *bot,
    const char *scope, int64_t now_ms, struct fault *out)
{
	struct fault **at = &all->list;

	if ((all->armed & 1ull << name) == 0)
		return false;
	while (*at != NULL) {
		struct fault *f = *at;

		if (f->ends_ms != 0 && f->ends_ms <= now_ms) {
			fault_remove(all, at);
			continue;
		}
		if (fits(f, name, bot, scope)) {
			*out = *f;
			faults_note(all, name);
			if (f->left > 0 && --f->left == 0)
				fault_remove(all, at);
			return true;
		}
		at = &f->next;
	}
	return false;
}

void
faults_clear(struct faults *all)
{
	while (all->list != NULL)
		fault_remove(all, &all->list);
}

struct json *
faults_json(const struct faults *all, int64_t now_ms)
{
	struct json *list = json_new_array();

	for (const struct fault *f = all->list; f != NULL; f = f->next) {
		struct json *j = json_new_object();

		if (f->ends_ms != 0 && f->ends_ms <= now_ms) {
			json_free(&j);
			continue;
		}
		json_put_text(j, "fault", slice_of(fault_infos[f->name].name));
		json_put_int(j, "left", (int64_t)f->left);
		if (f->ends_ms != 0)
			json_put_int(j, "ends_in_ms", f->ends_ms - now_ms);
		if (f->bot[0] != '\0')
			json_put_text(j, "bot", slice_of(f->bot));
		if (f->scope[0] != '\0')
			json_put_text(j, "scope", slice_of(f->scope));
		json_push_take(list, j);
	}
	return list;
}
