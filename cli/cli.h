/*
 * cli: what the commands of rookery(1) share.  Unlike the daemons it may
 * wait: there is a person, and nobody else, who waits with it.
 */
#ifndef CLI_H
#define CLI_H

#include "conf.h"
#include "json.h"
#include "link.h"

/* rookery.1 documents them. */
enum status {
	STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_TIMEOUT = 2,
	STATUS_NO_SUPERVISOR = 3, STATUS_USAGE = 64, STATUS_CONFIG = 78,
};

enum option_number {
#define OPTION(ID, ...) OPT_NUMBER_##ID,
#include "options.def"
#undef OPTION
	OPT_COUNT
};
enum option {
#define OPTION(ID, ...) OPT_##ID = 1 << OPT_NUMBER_##ID,
#include "options.def"
#undef OPTION
};

struct cli {
	struct conf  conf;
	enum err     conf_err;          /* CONFIG: problems are in conf */
	unsigned     given;             /* OPT_ bits */
	uint64_t     number[OPT_COUNT]; /* value of those that have one */
	const char  *text[OPT_COUNT];   /* the same, when it is no number */
	const char  *arg[2];
	char       **words;             /* all arguments, those two first */
	unsigned     nwords;
	bool         colour;
};

#define COMMAND(id, ...) enum status command_##id(struct cli *);
#include "commands.def"
#undef COMMAND

/* To the supervisor of this run folder; says so when there is none, with
 * --json on stdout too. */
enum status cli_connect(struct cli *, struct link *);
/* {"v":1,"id":1,"cmd":..}, to be completed and sent. */
struct json *cli_request(const char *cmd);
/* Prints an answer that is not ok; its exit status. */
enum status cli_verdict(const struct json *answer);
/* One request, one answer: the exit status.  Takes the request. */
enum status cli_ask(struct cli *, struct json *request);
/* By its app id, or the name of its file without .env. */
enum status cli_restart_bot(struct cli *, const char *name);
/* timeout_ms of the request, from --timeout; and how long to wait for the
 * answer to it. */
void cli_put_timeout(struct cli *, struct json *request);
/* Every problem of the configuration, with its remedy, on stderr. */
void cli_print_problems(const struct cli *);

/* What rookery call knows, from the tables; USAGE: no such operation. */
enum status explain_operations(struct cli *);
enum status explain_operation(const char *name);

/* "1 h 2 m", "350 ms"; "12.3 MiB". */
const char *cli_age(int64_t ms, char *text, size_t size);
const char *cli_kib(int64_t kib, char *text, size_t size);

#endif
