// links: common
/*
 * The manual page names every row of the tables, with its sentence.
 */
#include "test.h"

#include <ctype.h>
#include <stdlib.h>

#include "buf.h"

/* The page with every run of blanks as one, so that lines do not matter. */
static char *
page(void)
{
	FILE      *f = fopen("qqsim/qqsim.1", "r");
	struct buf b = { 0 };
	int        c, last = ' ';

	if (f == NULL)
		return NULL;
	while ((c = getc(f)) != EOF) {
		char one = isspace(c) ? ' ' : (char)c;

		if (one != ' ' || last != ' ')
			buf_put(&b, (struct slice){ &one, 1 });
		last = one;
	}
	fclose(f);
	return b.p;
}

static void
shows(const char *text, const char *name, const char *meaning)
{
	char item[512];

	snprintf(item, sizeof item, "%s ", name);
	if (strstr(text, item) == NULL || strstr(text, meaning) == NULL) {
		printf("# %s: %s\n", name, meaning);
		test_bad = true;
	}
}

TEST(faults)
{
	char *text = page();

	EXPECT(text != NULL);
#define FAULT(name, point, arguments, meaning)                               \
	shows(text, ".It Cm " #name, meaning);                               \
	shows(text, ".It Cm " #name, arguments);
#include "../../qqsim/faults.def"
#undef FAULT
	free(text);
}

TEST(counters)
{
	char *text = page();

	EXPECT(text != NULL);
#define SCOPED(name, meaning) shows(text, ".It Cm " #name, meaning);
#define COUNTER(name, meaning) shows(text, ".It Cm " #name, meaning);
#define VIOLATION(name, meaning) shows(text, ".It Cm " #name, meaning);
#include "../../qqsim/counters.def"
#undef SCOPED
#undef COUNTER
#undef VIOLATION
	free(text);
}

TEST(controls)
{
	char *text = page();

	EXPECT(text != NULL);
#define CONTROL(method, path, function, arguments, meaning)                  \
	shows(text, ".It Li \"" #method " " path "\"", meaning);             \
	shows(text, ".It Li \"" #method " " path "\"", arguments);
#include "../../qqsim/controls.def"
#undef CONTROL
	free(text);
}

TEST(odd_forms)
{
	char *text = page();

	EXPECT(text != NULL);
#define ODD(name, meaning) shows(text, ".It Cm " #name, meaning);
#include "../../qqsim/odds.def"
#undef ODD
	free(text);
}

int
main(void)
{
	RUN(faults);
	RUN(counters);
	RUN(controls);
	RUN(odd_forms);
	return test_done();
}
