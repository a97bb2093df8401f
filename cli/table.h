/*
 * table: rows of cells, printed in columns.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "json.h"
#include "slice.h"

enum { TABLE_COLUMNS = 9, TABLE_CELL = 96 };

enum colour { PLAIN, GOOD, WARN, BAD, FAINT };

struct cell {
	char        text[TABLE_CELL];
	enum colour colour;
};

struct table {
	struct cell (*rows)[TABLE_COLUMNS];
	size_t        n, columns;
};

/* Titles, as many as there are columns, NULL at the end. */
void table_open(struct table *, const char *const *titles);
void table_free(struct table *);
/* Begins a row. */
void table_row(struct table *);
/* A cell of the newest row; control bytes are shown as '?'. */
void table_set(struct table *, size_t column, struct slice);
void table_colour(struct table *, size_t column, enum colour);
/* Columns that are empty but for their title are left out. */
void table_print(const struct table *, FILE *, bool colours);
/* Text with control bytes shown as '?'. */
void table_put_clean(FILE *, struct slice);
/* A document on a line that is out at once; what a terminal might obey stands
 * in it as \u007f and the like, which is the same JSON. */
void table_put_json(FILE *, const struct json *);
/* A mark and such a text, on a line that is out at once. */
void table_say(const char *mark, struct slice);

#endif
