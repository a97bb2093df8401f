/*
 * args: a command line against the tables of commands and options.  No I/O.
 */
#ifndef ARGS_H
#define ARGS_H

#include "cli.h"

struct command {
	const char  *name, *arguments, *meaning;
	unsigned     least, most, options;
	enum status (*run)(struct cli *);
};

struct option_row {
	const char *name, *letter, *value, *meaning;
};

extern const struct command    commands[];
extern const size_t            commands_count;
extern const struct option_row options[OPT_COUNT];

/* The command, with given, number and arg filled in; NULL: *why is what is
 * wrong, a loan. */
const struct command *args_read(struct cli *, int argc, char *argv[],
    char why[160]);
const struct command *args_command(const char *name);

#endif
