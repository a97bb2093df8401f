/*
 * What can be asked of the platform, in words: printed from the tables that
 * apid goes by.
 */
#include <stdio.h>

#include "catalog.h"
#include "cli.h"
#include "table.h"

static const char *const titles[] = { "OPERATION", "SCOPE", "REQUEST",
	"WHAT", NULL };
static const char prefixes[] = "ugcd";

static const char *
needed(enum param_need need)
{
	switch (need) {
	case NEED_MUST:
		return "must be there";
	case NEED_ONE:
		return "exactly one of these";
	case NEED_SOME:
		return "at least one of these";
	case NEED_MOST:
		return "at most one of these";
	case NEED_MAY:
		break;
	}
	return "";
}

static bool
is_ours(const struct call_operation *o)
{
	return o->makes == MAKES_PARAMS &&
	    catalog_row(o->requests[0])->status == STATUS_OURS;
}

/* --- all of them ------------------------------------------------------------ */

static void
list_operation(struct table *t, const struct call_operation *o)
{
	char scopes[24] = "", request[TABLE_CELL] = "";

	if (o->makes == MAKES_PARAMS) {
		const struct catalog_row *row = catalog_row(o->requests[0]);

		snprintf(request, sizeof request, "%s %s", row->method,
		    row->path);
		snprintf(scopes, sizeof scopes, "%s",
		    catalog_scope_name(row->scope));
	}
	for (int i = 0; o->needs & NEEDS_CONV && i < SCOPES; i++)
		if (o->requests[i] != CALL_none)
			snprintf(scopes + strlen(scopes),
			    sizeof scopes - strlen(scopes), "%c:",
			    prefixes[i]);
	table_row(t);
	table_set(t, 0, slice_of(o->name));
	table_set(t, 1, slice_of(scopes));
	table_set(t, 2, slice_of(request));
	table_set(t, 3, slice_of(o->meaning));
}

enum status
explain_operations(struct cli *cli)
{
	size_t                       n;
	const struct call_operation *o = call_operations(&n);
	struct table                 t;

	table_open(&t, titles);
	for (size_t i = 0; i < n; i++)
		if (!is_ours(&o[i]))
			list_operation(&t, &o[i]);
	table_print(&t, stdout, cli->colour);
	table_free(&t);
	puts("\nrookery call OPERATION --help tells its parameters; "
	     "rookery-calls(7) is the whole table");
	return STATUS_DONE;
}

/* --- one of them ------------------------------------------------------------- */

static void
print_item(const char *name, const char *type, const char *need,
    const char *meaning)
{
	printf("  %-28s %-14s %s%s%s\n", name, type, meaning,
	    need[0] != '\0' ? "; " : "", need);
}

static void
print_field(const struct call_operation *o, unsigned needs, const char *name,
    const char *type, const char *meaning)
{
	if (o->needs & needs)
		print_item(name, type, "must be there", meaning);
}

static void
print_fields(const struct call_operation *o)
{
	bool text = o->makes == MAKES_MESSAGE || o->makes == MAKES_STREAM;

	print_field(o, NEEDS_CONV, "conv", "text",
	    "conversation: u: g: c: or d: and its id");
	print_field(o, NEEDS_EV, "ev", "id", "the event that is answered");
	print_field(o, NEEDS_N, "n", "integer", "number of the answer, from 1");
	print_field(o, NEEDS_MSG, "msg", "id", "the message");
	if (o->needs & NEEDS_ANCHOR || o->makes == MAKES_STREAM) {
		print_item("msg", "id", "", "the message answered");
		print_item("event", "id", "",
		    "the event answered, when there is no message");
	}
	if (text)
		print_item("text", "text", "", "what is said");
}

static void
print_arguments(const struct call_operation *o)
{
	size_t                      n;
	const struct call_argument *a = call_arguments(&n);
	char                        where[40];

	print_fields(o);
	for (size_t i = 0; i < n; i++) {
		if (a[i].makes != o->makes)
			continue;
		snprintf(where, sizeof where, "only %s", a[i].scopes);
		print_item(a[i].name, a[i].type,
		    o->needs & NEEDS_CONV && strcmp(a[i].scopes, prefixes) != 0
		        ? where
		        : "",
		    a[i].meaning);
	}
}

static void
print_bounds(const struct catalog_param *p, char *text, size_t size)
{
	if (p->choices[0] != '\0')
		snprintf(text, size, "%s", p->choices);
	else if (p->max == 0 || p->type == TYPE_ID)
		snprintf(text, size, "%s", catalog_type_name(p->type));
	else
		snprintf(text, size, "%s %lld..%lld",
		    catalog_type_name(p->type), (long long)p->min,
		    (long long)p->max);
}

static void
print_params(enum call_id id)
{
	const struct catalog_row   *row = catalog_row(id);
	size_t                      n;
	const struct catalog_param *p = catalog_params(id, &n);
	char                        type[64];

	printf("%s %s\nanswers %s; counts against the limit %s\n\n",
	    row->method, row->path, row->success, row->limit);
	for (size_t i = 0; i < n; i++) {
		print_bounds(&p[i], type, sizeof type);
		print_item(p[i].name, type, needed(p[i].need), p[i].meaning);
	}
}

enum status
explain_operation(const char *name)
{
	const struct call_operation *o = call_operation(slice_of(name));

	if (o == NULL || is_ours(o)) {
		fprintf(stderr, "rookery call: there is no operation %s\n"
		    "  rookery call --list prints all of them\n", name);
		return STATUS_USAGE;
	}
	printf("usage: rookery call %s [KEY=VALUE...]\n\n%s\n%s", o->name,
	    o->meaning, o->makes == MAKES_PARAMS ? "" : "\n");
	if (o->makes == MAKES_PARAMS)
		print_params(o->requests[0]);
	else
		print_arguments(o);
	return STATUS_DONE;
}
