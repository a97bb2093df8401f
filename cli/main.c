/*
 * rookery: what a person types.  It reads the same settings as the daemons
 * and asks the supervisor for everything else; it holds no state of its own.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "args.h"
#include "log.h"
#include "proc.h"

enum { ANSWER_MS = 10000 };

/* --- help --------------------------------------------------------------- */

static void
print_commands(FILE *to)
{
	fputs("usage: rookery COMMAND [ARGUMENTS]\n\n", to);
	for (size_t i = 0; i < commands_count; i++) {
		char left[40];

		snprintf(left, sizeof left, "%s %s", commands[i].name,
		    commands[i].arguments);
		fprintf(to, "  %-18s %s\n", left, commands[i].meaning);
	}
	fputs("\nNAME is a child (worker/2), a service (worker), or all; they "
	      "are in rookery status.\nMore in rookery(1); the settings are "
	      "in rookery.env(5).\n", to);
}

enum status
command_help(struct cli *cli)
{
	const struct command *c;

	if (cli->arg[0] == NULL) {
		print_commands(stdout);
		return STATUS_DONE;
	}
	if ((c = args_command(cli->arg[0])) == NULL) {
		fprintf(stderr, "rookery: there is no command %s\n",
		    cli->arg[0]);
		return STATUS_USAGE;
	}
	if (cli->arg[1] != NULL && c->run == command_call)
		return explain_operation(cli->arg[1]);
	printf("usage: rookery %s%s%s%s\n\n%s\n", c->name,
	    c->arguments[0] != '\0' ? " " : "", c->arguments,
	    c->options != 0 ? " [OPTIONS]" : "", c->meaning);
	for (size_t i = 0; i < OPT_COUNT; i++) {
		const struct option_row *o = &options[i];
		char                     left[48];

		if (!(c->options & 1u << i))
			continue;
		snprintf(left, sizeof left, "%s%s%s %s", o->letter,
		    o->letter[0] != '\0' ? ", " : "", o->name, o->value);
		printf("  %-24s %s\n", left, o->meaning);
	}
	return STATUS_DONE;
}

enum status
command_version(struct cli *cli)
{
	(void)cli;
	puts("rookery " ROOKERY_VERSION);
	return STATUS_DONE;
}

/* --- asking ------------------------------------------------------------- */

enum status
cli_connect(struct cli *cli, struct link *link)
{
	uint64_t s = cli->number[OPT_NUMBER_TIMEOUT];
	int      ms = (cli->given & OPT_TIMEOUT) && s * 1000 < ANSWER_MS
	         ? (int)s * 1000 + 1 : ANSWER_MS;
	enum err e = link_open(link, cli->conf.run_dir, ms);

	if (e == ERR_OK)
		return STATUS_DONE;
	if (e == ERR_TIMEOUT) {
		fprintf(stderr, "rookery: the supervisor at %s/status.sock "
		    "does not answer: it is stopped (SIGSTOP), or hangs\n"
		    "  who it is:  cat %s/rookeryd.lock\n",
		    cli->conf.run_dir, cli->conf.run_dir);
		if (cli->given & OPT_JSON)
			puts("{\"v\":1,\"ok\":false,\"error\":\"TIMEOUT\"}");
		return STATUS_TIMEOUT;
	}
	if (e == ERR_FORBIDDEN)
		fprintf(stderr, "rookery: %s/status.sock is not for this "
		    "user\n", cli->conf.run_dir);
	else
		fprintf(stderr, "rookery: no supervisor runs here (nobody "
		    "answers at %s/status.sock)\n"
		    "  start one:  rookery up\n", cli->conf.run_dir);
	if (cli->conf_err != ERR_OK)
		fputs("  the settings have problems, perhaps it runs "
		      "elsewhere:  rookery check\n", stderr);
	if (cli->given & OPT_JSON)
		puts("{\"v\":1,\"ok\":false,\"error\":\"NO_SUPERVISOR\"}");
	return STATUS_NO_SUPERVISOR;
}

struct json *
cli_request(const char *cmd)
{
	struct json *r = json_new_object();

	json_put_int(r, "v", 1);
	json_put_int(r, "id", 1);
	json_put_text(r, "cmd", slice_of(cmd));
	return r;
}

void
cli_put_timeout(struct cli *cli, struct json *request)
{
	if (cli->given & OPT_TIMEOUT)
		json_put_int(request, "timeout_ms",
		    (int64_t)cli->number[OPT_NUMBER_TIMEOUT] * 1000);
}

enum status
cli_verdict(const struct json *answer)
{
	struct slice error = json_text_at(answer, "error");
	struct slice message = json_text_at(answer, "message");

	if (json_truth(json_get(answer, "ok")))
		return STATUS_DONE;
	fprintf(stderr, "rookery: %.*s (%.*s)\n", (int)message.n,
	    message.n > 0 ? message.p : "", (int)error.n,
	    error.n > 0 ? error.p : "");
	return slice_is(error, "TIMEOUT") ? STATUS_TIMEOUT : STATUS_FAILED;
}

enum status
cli_ask(struct cli *cli, struct json *request)
{
	struct link  link;
	struct json *answer = NULL;
	enum status  status = cli_connect(cli, &link);
	int64_t      ms;
	int          wait_ms = -1;
	enum err     e;

	if (status != STATUS_DONE) {
		json_free(&request);
		return status;
	}
	if (json_int_at(request, "timeout_ms", &ms))
		wait_ms = (int)ms + ANSWER_MS;
	if ((e = link_send(&link, request)) == ERR_OK &&
	    (e = link_next(&link, wait_ms, &answer)) == ERR_OK) {
		status = cli_verdict(answer);
	} else {
		fprintf(stderr, "rookery: the supervisor: %s\n", err_text(e));
		status = e == ERR_TIMEOUT ? STATUS_TIMEOUT : STATUS_FAILED;
	}
	json_free(&answer);
	link_close(&link);
	return status;
}

/* --- words for numbers -------------------------------------------------- */

const char *
cli_age(int64_t ms, char *text, size_t size)
{
	long long s = ms / 1000;

	if (ms < 1000)
		snprintf(text, size, "%lld ms", (long long)ms);
	else if (s < 60)
		snprintf(text, size, "%lld s", s);
	else if (s < 3600)
		snprintf(text, size, "%lld m %lld s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, size, "%lld h %lld m", s / 3600, s / 60 % 60);
	else
		snprintf(text, size, "%lld d %lld h", s / 86400,
		    s / 3600 % 24);
	return text;
}

const char *
cli_kib(int64_t kib, char *text, size_t size)
{
	text[0] = '\0';
	if (kib > 0)
		snprintf(text, size, "%.1f MiB", (double)kib / 1024);
	return text;
}

int
main(int argc, char *argv[])
{
	struct cli            cli = { 0 };
	const struct command *cmd;
	const char           *no_colour = getenv("NO_COLOR");
	char                  why[160];
	enum status           status;

	log_open("rookery", LOG_WARN, false);
	signal(SIGPIPE, SIG_DFL);
	if ((cmd = args_read(&cli, argc, argv, why)) == NULL) {
		fprintf(stderr, "rookery: %s\n", why);
		if (argc < 2)
			print_commands(stderr);
		else
			fputs("  rookery help lists the commands\n", stderr);
		return STATUS_USAGE;
	}
	cli.colour = isatty(STDOUT_FILENO) &&
	    (no_colour == NULL || no_colour[0] == '\0');
	cli.conf_err = conf_load(&cli.conf, CONF_C);
	status = cmd->run(&cli);
	conf_free(&cli.conf);
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "rookery: standard output: %s\n",
		    errno != 0 ? strerror(errno) : "cannot be written");
		status = status == STATUS_DONE ? STATUS_FAILED : status;
	}
	return status;
}
