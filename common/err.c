/*
 * The error table, readable.
 */
#include "err.h"

static const struct {
	const char     *name, *text;
	enum err_action action;
} table[ERR_COUNT] = {
	[ERR_OK] = { "OK", "no error", ERR_RETRY },
#define ERROR(name, action, sentence)                                        \
	[ERR_##name] = { #name, sentence, ERR_##action },
#include "errors.def"
#undef ERROR
};

static enum err
known(enum err e)
{
	return (unsigned)e < ERR_COUNT ? e : ERR_SYSTEM;
}

const char *
err_name(enum err e)
{
	return table[known(e)].name;
}

const char *
err_text(enum err e)
{
	return table[known(e)].text;
}

enum err_action
err_action(enum err e)
{
	return table[known(e)].action;
}
