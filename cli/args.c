/*
 * The tables of commands and options, and their reader.
 */
#include "args.h"

#include <stdio.h>

enum { NUMBER_MAX = 1000000 };

const struct command commands[] = {
#define COMMAND(id, name, arguments, least, most, options, meaning)          \
	{ name, arguments, meaning, least, most, options, command_##id },
#include "commands.def"
#undef COMMAND
};
const size_t commands_count = sizeof commands / sizeof *commands;

const struct option_row options[OPT_COUNT] = {
#define OPTION(ID, name, letter, value, meaning)                             \
	{ name, letter, value, meaning },
#include "options.def"
#undef OPTION
};

const struct command *
args_command(const char *name)
{
	for (size_t i = 0; i < commands_count; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* What people type at every program. */
static const char *
usual_name(const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return "help";
	return strcmp(word, "--version") == 0 ? "version" : word;
}

/* --name, --name=value, -n value, -nvalue.  *value: what stands in the same
 * word, or NULL. */
static bool
matches(const struct option_row *o, const char *word, const char **value)
{
	size_t name = strlen(o->name), letter = strlen(o->letter);

	*value = NULL;
	if (strncmp(word, o->name, name) == 0 &&
	    (word[name] == '\0' || word[name] == '=')) {
		*value = word[name] == '=' ? word + name + 1 : NULL;
		return true;
	}
	if (letter == 0 || strncmp(word, o->letter, letter) != 0 ||
	    (word[letter] != '\0' && o->value[0] == '\0'))
		return false;
	*value = word[letter] != '\0' ? word + letter : NULL;
	return true;
}

static bool
is_numeric(const struct option_row *o)
{
	return strcmp(o->value, "SECONDS") == 0 ||
	    strcmp(o->value, "NUMBER") == 0;
}

static bool
take_option(struct cli *cli, const struct command *cmd, char *argv[], int *at,
    char why[160])
{
	const char        *word = argv[*at], *value;
	unsigned long long number;

	for (size_t i = 0; i < OPT_COUNT; i++) {
		if (!(cmd->options & 1u << i) ||
		    !matches(&options[i], word, &value))
			continue;
		cli->given |= 1u << i;
		if (options[i].value[0] == '\0') {
			snprintf(why, 160, "%s takes no value", word);
			return value == NULL;
		}
		if (value == NULL && argv[*at + 1] != NULL)
			value = argv[++*at];
		if (!is_numeric(&options[i])) {
			snprintf(why, 160, "%s needs %s", options[i].name,
			    options[i].value);
			cli->text[i] = value;
			return value != NULL;
		}
		snprintf(why, 160, "%s needs a number up to %d",
		    options[i].name, NUMBER_MAX);
		if (value == NULL || !slice_u64(slice_of(value), &number) ||
		    number > NUMBER_MAX)
			return false;
		cli->number[i] = number;
		return true;
	}
	snprintf(why, 160, "rookery %s knows no option %s", cmd->name, word);
	return false;
}

const struct command *
args_read(struct cli *cli, int argc, char *argv[], char why[160])
{
	const struct command *cmd;
	unsigned              n = 0;
	bool                  plain = false;

	if (argc < 2) {
		snprintf(why, 160, "which command?");
		return NULL;
	}
	if ((cmd = args_command(usual_name(argv[1]))) == NULL) {
		snprintf(why, 160, "there is no command %.100s", argv[1]);
		return NULL;
	}
	cli->words = &argv[2];
	for (int i = 2; i < argc; i++) {
		if (!plain && strcmp(argv[i], "--") == 0) {
			plain = true;
		} else if (!plain && strcmp(usual_name(argv[i]), "help") == 0 &&
		    argv[i][0] == '-') {
			cli->arg[1] = cli->arg[0];
			cli->arg[0] = cmd->name;
			return args_command("help");
		} else if (!plain && argv[i][0] == '-' && argv[i][1] != '\0') {
			if (!take_option(cli, cmd, argv, &i, why))
				return NULL;
		} else if (n < cmd->most) {
			if (n < sizeof cli->arg / sizeof *cli->arg)
				cli->arg[n] = argv[i];
			cli->words[n++] = argv[i]; /* never before its place */
			cli->nwords = n;
		} else {
			snprintf(why, 160, "rookery %s: %.100s is too much",
			    cmd->name, argv[i]);
			return NULL;
		}
	}
	if (n >= cmd->least)
		return cmd;
	snprintf(why, 160, "rookery %s needs %s", cmd->name, cmd->arguments);
	return NULL;
}
