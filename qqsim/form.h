/*
 * form: what a body or a query may hold, from one line of a table.
 *
 * A line is members with blanks between: NAME:TYPE, and ! after those that
 * must be there.  A dot in NAME goes into an object, or into each object of a
 * list.  An object without members of its own in the line may hold anything.
 *
 *   str       a string                str<=32    of at most 32 characters
 *   id        a string of digits      =a|b       one of these strings
 *   int       a number                0..5       one within these bounds
 *   num       a number, or a string of digits
 *   bool obj any
 *   arr       a list                  arr<=20    of at most 20
 *   strs      a list of strings       strs<=20
 *
 * null counts as not there.  No I/O.
 */
#ifndef FORM_H
#define FORM_H

#include "json.h"

enum form_type { FORM_STR, FORM_ID, FORM_WORD, FORM_INT, FORM_NUM, FORM_BOOL,
	FORM_OBJ, FORM_ANY, FORM_ARR, FORM_STRS };

struct form_row {
	struct slice   name, type;   /* on loan from the line */
	size_t         own;          /* where the last part of name begins */
	enum form_type type_is;
	int64_t        min, max;
	bool           need, parent; /* parent: others go into it */
};

struct form {
	struct form_row *rows;
	size_t           n;
};

enum form_verdict { FORM_FITS, FORM_UNKNOWN, FORM_MISSING, FORM_WRONG };

/* The line must outlive it.  SYNTAX: the table is wrong; NOMEM. */
enum err form_make(struct form *, const char *line);
void form_free(struct form *);

enum { FORM_WHY_MAX = 160 };
/* why: a sentence that names the member.  NULL is the empty object. */
enum form_verdict form_check(const struct form *, const struct json *,
    char why[FORM_WHY_MAX]);
/* items: "name=value", decoded. */
enum form_verdict form_check_query(const struct form *,
    const struct slice *items, size_t n, char why[FORM_WHY_MAX]);

#endif
