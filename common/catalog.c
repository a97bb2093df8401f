/*
 * The tables of calls, and how to find a row.
 */
#include "catalog.h"

static const struct catalog_row rows[CALL_COUNT] = {
#define CALL(name, METHOD, path, form, effect, scope, limit, success, status, \
    meaning)                                                                 \
	[CALL_##name] = { #name, #METHOD, path, FORM_##form,                 \
	    EFFECT_##effect, SCOPE_##scope, #limit, success,                 \
	    STATUS_##status, meaning, FORM_##form == FORM_FILE,              \
	    FORM_##form == FORM_CALLBACK },
#include "catalog.def"
};

#define PARAM_ID TYPE_ID, ""
#define PARAM_TEXT TYPE_TEXT, ""
#define PARAM_INT TYPE_INT, ""
#define PARAM_DIGITS TYPE_DIGITS, ""
#define PARAM_FLAG TYPE_FLAG, ""
#define PARAM_CHOICE(words) TYPE_CHOICE, words
#define PARAM_NUMBER(words) TYPE_NUMBER, words
#define PARAM_IDS TYPE_IDS, ""
#define PARAM_OBJECT TYPE_OBJECT, ""
#define PARAM_OBJECTS TYPE_OBJECTS, ""
#define PARAM_PANEL TYPE_PANEL, ""
#define PARAM_MENU TYPE_MENU, ""
#define PARAM_ANY TYPE_ANY, ""
#define PARAM_MARKDOWN TYPE_MARKDOWN, ""
#define PARAM_KEYBOARD TYPE_KEYBOARD, ""
#define PARAM_ARK TYPE_ARK, ""
#define PARAM_EMBED TYPE_EMBED, ""

static const struct catalog_param params[] = {
#define PARAM(call, place, name, type, min, max, need, meaning)              \
	{ CALL_##call, PLACE_##place, #name, PARAM_##type, min, max,         \
	    NEED_##need, meaning },
#include "catalog.def"
};

static const struct catalog_rule rules[] = {
#define RULE(call, name, value, needs) { CALL_##call, #name, value, #needs },
#include "catalog.def"
};

static const struct catalog_withdrawn withdrawn[] = {
#define WITHDRAWN(name, METHOD, path, meaning) { #name, #METHOD, path, meaning },
#include "catalog.def"
};

static const struct call_operation operations[] = {
#define OPERATION(name, needs, makes, c2c, group, channel, dm, meaning)      \
	{ #name, meaning, needs, MAKES_##makes,                              \
	    { CALL_##c2c, CALL_##group, CALL_##channel, CALL_##dm } },
#include "operations.def"
#define CALL(name, METHOD, path, form, effect, scope, limit, success, status, \
    meaning)                                                                 \
	{ #name, meaning, 0, MAKES_PARAMS,                                   \
	    { CALL_##name, CALL_##name, CALL_##name, CALL_##name } },
#include "catalog.def"
};

static const struct call_argument arguments[] = {
#define ARGUMENT(makes, name, type, scopes, meaning)                         \
	{ MAKES_##makes, #name, #type, scopes, meaning },
#include "operations.def"
};

static const char *const scope_names[] = {
	[SCOPE_C2C] = "c2c", [SCOPE_GROUP] = "group",
	[SCOPE_CHANNEL] = "channel", [SCOPE_DM] = "dm",
	[SCOPE_GUILD] = "guild", [SCOPE_APP] = "app",
};

static const char *const type_names[] = {
	[TYPE_ID] = "id", [TYPE_TEXT] = "text", [TYPE_INT] = "integer",
	[TYPE_DIGITS] = "digits", [TYPE_FLAG] = "flag",
	[TYPE_CHOICE] = "word", [TYPE_NUMBER] = "number", [TYPE_IDS] = "ids",
	[TYPE_OBJECT] = "object", [TYPE_OBJECTS] = "objects",
	[TYPE_PANEL] = "objects", [TYPE_MENU] = "objects",
	[TYPE_ANY] = "any", [TYPE_MARKDOWN] = "markdown",
	[TYPE_KEYBOARD] = "keyboard", [TYPE_ARK] = "ark",
	[TYPE_EMBED] = "embed",
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

const struct catalog_row *
catalog_row(enum call_id id)
{
	return &rows[id];
}

enum call_id
catalog_find(struct slice name)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (slice_is(name, rows[i].name))
			return (enum call_id)i;
	return CALL_none;
}

/* The rows of a call stand together, calls in the order of their numbers. */
const struct catalog_param *
catalog_params(enum call_id id, size_t *n)
{
	size_t from = 0, to;

	while (from < COUNT(params) && params[from].call != id)
		from++;
	for (to = from; to < COUNT(params) && params[to].call == id;)
		to++;
	*n = to - from;
	return &params[from < COUNT(params) ? from : 0];
}

const struct catalog_rule *
catalog_rules(size_t *n)
{
	*n = COUNT(rules);
	return rules;
}

const struct catalog_withdrawn *
catalog_withdrawn(size_t *n)
{
	*n = COUNT(withdrawn);
	return withdrawn;
}

const char *
catalog_scope_name(enum call_scope s)
{
	return scope_names[s];
}

const char *
catalog_type_name(enum param_type t)
{
	return type_names[t];
}

const struct call_operation *
call_operations(size_t *n)
{
	*n = COUNT(operations);
	return operations;
}

const struct call_operation *
call_operation(struct slice name)
{
	for (size_t i = 0; i < COUNT(operations); i++)
		if (slice_is(name, operations[i].name))
			return &operations[i];
	return NULL;
}

const struct call_argument *
call_arguments(size_t *n)
{
	*n = COUNT(arguments);
	return arguments;
}
