/*
 * Aligned columns.
 */
#include "table.h"

#include <stdlib.h>

static const char *const codes[] = { [PLAIN] = "", [GOOD] = "\033[32m",
	[WARN] = "\033[33m", [BAD] = "\033[31m", [FAINT] = "\033[2m" };

/* Bytes at p that a terminal might obey; C1 is two bytes in UTF-8. */
static size_t
controls(const char *p, size_t n)
{
	if ((unsigned char)p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	return n > 1 && (unsigned char)p[0] == 0xc2 &&
	    ((unsigned char)p[1] & 0xe0) == 0x80 ? 2 : 0;
}

/* Columns on a terminal: code points, those of East Asia twice. */
static size_t
width(const char *p)
{
	size_t n = 0;

	for (; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c & 0xc0) != 0x80)
			n += c >= 0xe3 ? 2 : 1;
	}
	return n;
}

void
table_open(struct table *t, const char *const *titles)
{
	*t = (struct table){ 0 };
	while (t->columns < TABLE_COLUMNS && titles[t->columns] != NULL)
		t->columns++;
	table_row(t);
	for (size_t i = 0; i < t->columns; i++) {
		table_set(t, i, slice_of(titles[i]));
		table_colour(t, i, FAINT);
	}
}

void
table_free(struct table *t)
{
	free(t->rows);
	*t = (struct table){ 0 };
}

void
table_row(struct table *t)
{
	void *more = realloc(t->rows, (t->n + 1) * sizeof *t->rows);

	if (more == NULL)
		return; /* the newest row is written over */
	t->rows = more;
	memset(t->rows[t->n++], 0, sizeof *t->rows);
}

void
table_set(struct table *t, size_t column, struct slice text)
{
	char  *to;
	size_t n = text.n < TABLE_CELL ? text.n : TABLE_CELL - 1;

	if (t->n == 0 || column >= t->columns)
		return;
	/* not in the middle of a character */
	while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	to = t->rows[t->n - 1][column].text;
	for (size_t i = 0, k; i < n; i += k > 0 ? k : 1) {
		k = controls(text.p + i, n - i);
		memcpy(to + i, k > 0 ? "??" : text.p + i, k > 0 ? k : 1);
	}
	to[n] = '\0';
}

void
table_colour(struct table *t, size_t column, enum colour colour)
{
	if (t->n > 0 && column < t->columns)
		t->rows[t->n - 1][column].colour = colour;
}

static void
print_row(const struct table *t, size_t row, const size_t widths[], FILE *to,
    bool colours)
{
	size_t last = 0;

	for (size_t c = 0; c < t->columns; c++)
		if (widths[c] > 0 && t->rows[row][c].text[0] != '\0')
			last = c;
	for (size_t c = 0; c <= last; c++) {
		const struct cell *cell = &t->rows[row][c];
		size_t             w = width(cell->text);

		if (widths[c] == 0)
			continue;
		if (colours && cell->colour != PLAIN)
			fprintf(to, "%s%s\033[0m", codes[cell->colour],
			    cell->text);
		else
			fputs(cell->text, to);
		if (c < last)
			fprintf(to, "%*s", (int)(widths[c] - w) + 2, "");
	}
	fputc('\n', to);
}

void
table_print(const struct table *t, FILE *to, bool colours)
{
	size_t widths[TABLE_COLUMNS] = { 0 };

	for (size_t c = 0; c < t->columns; c++) {
		bool used = t->n < 2;

		for (size_t r = 0; r < t->n; r++) {
			size_t w = width(t->rows[r][c].text);

			used = used || (r > 0 && w > 0);
			widths[c] = w > widths[c] ? w : widths[c];
		}
		if (!used)
			widths[c] = 0;
	}
	for (size_t r = 0; r < t->n; r++)
		print_row(t, r, widths, to, colours);
}

void
table_put_clean(FILE *to, struct slice text)
{
	for (size_t i = 0, k; i < text.n; i += k > 0 ? k : 1) {
		k = controls(text.p + i, text.n - i);
		fwrite(k > 0 ? "??" : text.p + i, 1, k > 0 ? k : 1, to);
	}
}

/* Those below 0x20 are never in it as they are. */
void
table_put_json(FILE *to, const struct json *doc)
{
	struct slice text = json_print(doc);

	for (size_t i = 0, k; i < text.n; i += k > 0 ? k : 1) {
		k = controls(text.p + i, text.n - i);
		if (k > 0)
			fprintf(to, "\\u%04x", (unsigned char)text.p[i + k - 1]);
		else
			fputc(text.p[i], to);
	}
	fputc('\n', to);
	fflush(to);
}

void
table_say(const char *mark, struct slice line)
{
	fputs(mark, stdout);
	table_put_clean(stdout, line);
	putchar('\n');
	fflush(stdout);
}
