/*
 * catalog: the tables of what can be asked of the platform, as data:
 * catalog.def (every operation of its API) and operations.def (what handlers
 * ask for by conversation).  Reading parameters and making requests is
 * apid's; whoever explains calls to a person prints from here.
 */
#ifndef CATALOG_H
#define CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slice.h"

/* CALL_c2c_message_send; CALL_none: there is no such request. */
enum call_id {
#define CALL(name, ...) CALL_##name,
#include "catalog.def"
	CALL_COUNT, CALL_none = CALL_COUNT
};

enum call_scope {
	SCOPE_C2C, SCOPE_GROUP, SCOPE_CHANNEL, SCOPE_DM, SCOPES,
	SCOPE_GUILD = SCOPES, SCOPE_APP
};

enum call_form {
	FORM_NONE, FORM_JSON, FORM_FILE, FORM_PICTURE, FORM_CALLBACK,
	FORM_BYTES
};
enum call_effect { EFFECT_READS, EFFECT_SETS, EFFECT_MAKES };
enum call_status {
	STATUS_CURRENT, STATUS_SDK, STATUS_OLD, STATUS_DEPRECATED, STATUS_OURS
};

struct catalog_row {
	const char      *name, *method, *path;
	enum call_form   form;
	enum call_effect effect;
	enum call_scope  scope;
	const char      *limit;      /* name of a row of limits.def */
	const char      *success;    /* "200 201 202" */
	enum call_status status;
	const char      *meaning;
	bool             slow;       /* may take the platform minutes */
	bool             callback;   /* wants the header X-Callback-AppID */
};

enum param_place { PLACE_PATH, PLACE_QUERY, PLACE_BODY, PLACE_FILE };
enum param_type {
	TYPE_ID, TYPE_TEXT, TYPE_INT, TYPE_DIGITS, TYPE_FLAG, TYPE_CHOICE,
	TYPE_NUMBER, TYPE_IDS, TYPE_OBJECT, TYPE_OBJECTS, TYPE_PANEL,
	TYPE_MENU, TYPE_ANY, TYPE_MARKDOWN, TYPE_KEYBOARD, TYPE_ARK, TYPE_EMBED
};
enum param_need { NEED_MUST, NEED_MAY, NEED_ONE, NEED_SOME, NEED_MOST };

struct catalog_param {
	enum call_id     call;
	enum param_place place;
	const char      *name;
	enum param_type  type;
	const char      *choices;    /* of CHOICE and NUMBER, by blanks */
	int64_t          min, max;
	enum param_need  need;
	const char      *meaning;
};

struct catalog_rule {
	enum call_id call;
	const char  *name, *value, *needs;
};

struct catalog_withdrawn {
	const char *name, *method, *path, *meaning;
};

const struct catalog_row *catalog_row(enum call_id);
/* CALL_none: no such name. */
enum call_id catalog_find(struct slice name);
/* Its parameters, one after the other. */
const struct catalog_param *catalog_params(enum call_id, size_t *n);
/* All of them; withdrawn operations. */
const struct catalog_rule *catalog_rules(size_t *n);
const struct catalog_withdrawn *catalog_withdrawn(size_t *n);

const char *catalog_scope_name(enum call_scope);     /* "c2c" */
const char *catalog_type_name(enum param_type);      /* "text" */

/* --- by conversation --- */

enum call_needs {
	NEEDS_EV = 1, NEEDS_N = 2, NEEDS_CONV = 4, NEEDS_ANCHOR = 8,
	NEEDS_MSG = 16
};

enum call_makes {
	MAKES_PARAMS,      /* an operation of catalog.def, by its parameters */
	MAKES_NOTHING, MAKES_MESSAGE, MAKES_STREAM, MAKES_TYPING,
	MAKES_RECALL, MAKES_UPLOAD, MAKES_DOWNLOAD, MAKES_INTERACTION,
	MAKES_MEMBER, MAKES_RAW
};

struct call_operation {
	const char     *name, *meaning;
	unsigned        needs;
	enum call_makes makes;
	enum call_id    requests[SCOPES];
};

struct call_argument {
	enum call_makes makes;
	const char     *name, *type, *scopes, *meaning;
};

/* Those by conversation first, then one for each row of catalog.def. */
const struct call_operation *call_operations(size_t *n);
/* NULL: no such name. */
const struct call_operation *call_operation(struct slice name);
const struct call_argument *call_arguments(size_t *n);

#endif
