// links: common
/*
 * What an exec handler writes: lines, frames, orders.  Cut in any way the
 * bytes are the same lines; what is taken of a frame can be packed and read.
 */
#include <stdint.h>
#include <stdlib.h>

#include "frame.h"
#include "handlers.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
take(struct slice line)
{
	struct frame       f;
	struct frame_order o;
	struct buf         words = { 0 };
	struct json       *with = NULL;

	if (frame_read(&f, line) != ERR_OK)
		return;
	must((f.verb == VERB_STRAY) == (f.doc == NULL));
	if (f.verb == VERB_REPLY || f.verb == VERB_CALL) {
		if (frame_order(&o, &f) == NULL && o.with.n > 0)
			must(json_from_msgpack(&with, buf_slice(&o.with)) ==
			    ERR_OK && json_is_object(with));
		json_free(&with);
		frame_order_free(&o);
	}
	if (f.doc != NULL)
		frame_words(json_get(f.doc, "events"), &words);
	buf_free(&words);
	frame_free(&f);
}

static unsigned
lines_of(struct slice in, size_t step)
{
	struct lines l = { 0 };
	struct slice line;
	unsigned     hash = 0;

	for (; in.n > 0; in = slice_from(in, step)) {
		must(lines_put(&l, (struct slice){ in.p,
		    in.n < step ? in.n : step }) == ERR_OK);
		while (lines_next(&l, &line) == ERR_OK) {
			hash = hash * 31 + slice_hash(line) + 1;
			if (step > 7)
				take(line);
		}
	}
	lines_free(&l);
	return hash;
}

static void
on_problem(void *self, const char *where, const char *value, const char *why,
    const char *remedy)
{
	(void)self, (void)where, (void)value, (void)why, (void)remedy;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice    in = { (const char *)data, n };
	struct handlers all;
	char           *text = slice_dup(in);

	must(lines_of(in, n + 8) == lines_of(in, 7));
	take(in);
	if (handlers_parse(&all, in, "x", on_problem, NULL) == ERR_OK)
		handlers_free(&all);
	if (text != NULL)
		free(handlers_argv(text));
	free(text);
	return 0;
}
