// links: cli/table.c common
/*
 * Columns for a person: aligned, whatever the cells hold.
 */
#include "test.h"

#include <stdlib.h>

#include "../../cli/table.h"

static char *
printed(const struct table *t, bool colours)
{
	char  *text = NULL;
	size_t n;
	FILE  *f = open_memstream(&text, &n);

	table_print(t, f, colours);
	fclose(f);
	return text;
}

static void
expect_table(const char *const cells[][3], size_t rows, const char *want)
{
	static const char *const titles[] = { "A", "BB", "C", NULL };
	struct table t;
	char        *text;

	table_open(&t, titles);
	for (size_t r = 0; r < rows; r++) {
		table_row(&t);
		for (size_t c = 0; c < 3; c++)
			table_set(&t, c, slice_of(cells[r][c]));
	}
	text = printed(&t, false);
	EXPECT_STR(text, want);
	free(text);
	table_free(&t);
}

TEST(aligned)
{
	static const char *const cells[][3] = {
		{ "one", "2", "three" }, { "x", "", "y" },
		{ "long one", "", "" },
	};

	expect_table(cells, 0, "A  BB  C\n");
	expect_table(cells, 1, "A    BB  C\none  2   three\n");
	expect_table(cells, 3,
	    "A         BB  C\none       2   three\nx             y\n"
	    "long one\n");
}

TEST(no_json_steers_a_terminal)
{
	struct json *doc = NULL, *same = NULL;
	char        *text = NULL;
	size_t       n;
	FILE        *f = open_memstream(&text, &n);

	json_parse(&doc, SLICE("{\"a\":\"\\u001b[2J\x7f \xc2\x9b"
	    "31m \xe4\xbd\xa0 \xc2\xa0\"}"));
	table_put_json(f, doc);
	fclose(f);
	EXPECT_STR(text, "{\"a\":\"\\u001b[2J\\u007f \\u009b31m "
	    "\xe4\xbd\xa0 \xc2\xa0\"}\n");
	EXPECT_INT(json_parse(&same, (struct slice){ text, n }), ERR_OK);
	EXPECT(slice_eq(json_text_at(doc, "a"), json_text_at(same, "a")));
	json_free(&doc);
	json_free(&same);
	free(text);
}

TEST(empty_columns_go)
{
	static const char *const cells[][3] = { { "a", "", "c" },
		{ "b", NULL, "d" } };

	expect_table(cells, 2, "A  C\na  c\nb  d\n");
}

TEST(wide_and_hostile_cells)
{
	static const char *const cells[][3] = {
		{ "\xe6\xb6\x88\xe6\x81\xaf", "1", "" },        /* 4 columns */
		{ "caf\xc3\xa9", "2", "" },
		{ "\033[31m", "3", "" },
		{ "a\nb", "4", "" },
		{ "\xc2\x9b" "1m", "5", "" },         /* CSI as one */
	};

	expect_table(cells, 5,
	    "A      BB\n\xe6\xb6\x88\xe6\x81\xaf   1\ncaf\xc3\xa9   2\n"
	    "?[31m  3\na?b    4\n?\?1m   5\n");
}

TEST(too_long_cells_are_cut_between_characters)
{
	static const char *const titles[] = { "A", NULL };
	struct table t;
	char         text[200] = "";

	for (int i = 0; i < 50; i++)
		strcat(text, "\xe6\xb6\x88");
	table_open(&t, titles);
	table_row(&t);
	table_set(&t, 0, slice_of(text));
	EXPECT_INT(strlen(t.rows[1][0].text), (TABLE_CELL - 1) / 3 * 3);
	table_set(&t, 0, slice_of(text + 1)); /* half a character */
	EXPECT(strlen(t.rows[1][0].text) < TABLE_CELL);
	table_set(&t, 9, SLICE("x"));         /* no such column */
	table_free(&t);
}

TEST(colours_do_not_count)
{
	static const char *const titles[] = { "A", "B", NULL };
	struct table t;
	char        *text;

	table_open(&t, titles);
	table_row(&t);
	table_set(&t, 0, SLICE("ok"));
	table_colour(&t, 0, GOOD);
	table_set(&t, 1, SLICE("x"));
	text = printed(&t, true);
	EXPECT(strstr(text, "\033[32mok\033[0m  x\n") != NULL);
	free(text);
	text = printed(&t, false);
	EXPECT(strchr(text, '\033') == NULL);
	free(text);
	table_free(&t);
}

int
main(void)
{
	RUN(aligned);
	RUN(no_json_steers_a_terminal);
	RUN(empty_columns_go);
	RUN(wide_and_hostile_cells);
	RUN(too_long_cells_are_cut_between_characters);
	RUN(colours_do_not_count);
	return test_done();
}
