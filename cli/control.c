/*
 * rookery start, stop, restart ...: one request each, answered when it is
 * done.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "loop.h"
#include "table.h"

enum { LOOK_AGAIN_MS = 100, LOOK_MS = 1000, WAIT_DEFAULT_S = 60, STOP_RESERVE_MS = 10000 };

static enum status
ask_about(struct cli *cli, const char *cmd)
{
	struct json *r = cli_request(cmd);

	if (cli->arg[0] != NULL)
		json_put_text(r, "name", slice_of(cli->arg[0]));
	if (cli->given & OPT_ROLLING)
		json_put_bool(r, "rolling", true);
	cli_put_timeout(cli, r);
	return cli_ask(cli, r);
}

enum status
command_start(struct cli *cli)
{
	return ask_about(cli, "start");
}

enum status
command_restart(struct cli *cli)
{
	static const char bot[] = "bot/";

	if (strncmp(cli->arg[0], bot, sizeof bot - 1) == 0)
		return cli_restart_bot(cli, cli->arg[0] + sizeof bot - 1);
	return ask_about(cli, "restart");
}

enum status
command_drain(struct cli *cli)
{
	return ask_about(cli, "drain");
}

enum status
command_reset_failed(struct cli *cli)
{
	return ask_about(cli, "reset-failed");
}

enum status
command_signal(struct cli *cli)
{
	struct json *r = cli_request("signal");

	json_put_text(r, "name", slice_of(cli->arg[0]));
	json_put_text(r, "signal", slice_of(cli->arg[1]));
	json_put_bool(r, "group", (cli->given & OPT_GROUP) != 0);
	return cli_ask(cli, r);
}

enum status
command_reload(struct cli *cli)
{
	return ask_about(cli, "reload");
}

enum status
command_upgrade(struct cli *cli)
{
	return ask_about(cli, "upgrade");
}

enum status
command_log_level(struct cli *cli)
{
	struct json *r = cli_request("log-level");

	json_put_text(r, "level", slice_of(cli->arg[0]));
	return cli_ask(cli, r);
}

enum status
command_scale(struct cli *cli)
{
	struct json       *r;
	unsigned long long n;

	if (!slice_u64(slice_of(cli->arg[0]), &n) || n > 256) {
		fprintf(stderr, "rookery: %s is not a number from 0 to 256\n",
		    cli->arg[0]);
		return STATUS_USAGE;
	}
	r = cli_request("scale");
	json_put_int(r, "workers", (int64_t)n);
	cli_put_timeout(cli, r);
	return cli_ask(cli, r);
}

/* The connection ends when the last child and the supervisor have. */
static enum status
stop_all(struct cli *cli)
{
	struct link  link;
	struct json *answer = NULL;
	enum status  status = cli_connect(cli, &link);
	int          ms = (int)cli->conf.stop_ms + STOP_RESERVE_MS;
	bool         agreed = false;
	enum err     e;

	if (status != STATUS_DONE)
		return status;
	if (cli->given & OPT_TIMEOUT)
		ms = (int)cli->number[OPT_NUMBER_TIMEOUT] * 1000;
	e = link_send(&link, cli_request("shutdown"));
	while (e == ERR_OK && status == STATUS_DONE &&
	    (e = link_next(&link, ms, &answer)) == ERR_OK) {
		status = cli_verdict(answer);
		agreed = status == STATUS_DONE;
		json_free(&answer);
	}
	link_close(&link);
	if (e == ERR_OK || (e == ERR_CLOSED && agreed))
		return status;
	fprintf(stderr, "rookery: the supervisor: %s\n", err_text(e));
	return e == ERR_TIMEOUT ? STATUS_TIMEOUT : STATUS_FAILED;
}

enum status
command_stop(struct cli *cli)
{
	return cli->arg[0] != NULL ? ask_about(cli, "stop") : stop_all(cli);
}

/* Also for a supervisor that is still on its way up. */
enum status
command_wait(struct cli *cli)
{
	uint64_t     s = cli->given & OPT_TIMEOUT
	        ? cli->number[OPT_NUMBER_TIMEOUT]
	        : WAIT_DEFAULT_S;
	uint64_t     now = loop_clock_ms(), until = now + s * 1000;
	struct link  link;
	struct json *r;

	while (link_open(&link, cli->conf.run_dir, LOOK_MS) != ERR_OK) {
		if ((now = loop_clock_ms()) >= until)
			return cli_connect(cli, &link);
		poll(NULL, 0, LOOK_AGAIN_MS);
	}
	link_close(&link);
	now = loop_clock_ms();
	r = cli_request("wait");
	json_put_bool(r, "stopped", (cli->given & OPT_STOPPED) != 0);
	if (cli->arg[0] != NULL)
		json_put_text(r, "name", slice_of(cli->arg[0]));
	json_put_int(r, "timeout_ms",
	    until > now ? (int64_t)(until - now) : 1);
	return cli_ask(cli, r);
}

/* --- logs --------------------------------------------------------------- */

static void
print_line(const struct json *a)
{
	struct slice name = json_text_at(a, "name");

	printf("%-9.*s ", (int)name.n, name.n > 0 ? name.p : "");
	table_put_clean(stdout, json_text_at(a, "line"));
	fputc('\n', stdout);
	fflush(stdout);
}

enum status
command_logs(struct cli *cli)
{
	struct link  link;
	struct json *r, *a = NULL;
	enum status  status = cli_connect(cli, &link);
	enum err     e;

	if (status != STATUS_DONE)
		return status;
	r = cli_request("logs");
	if (cli->arg[0] != NULL)
		json_put_text(r, "name", slice_of(cli->arg[0]));
	if (cli->given & OPT_LINES)
		json_put_int(r, "lines",
		    (int64_t)cli->number[OPT_NUMBER_LINES]);
	json_put_bool(r, "follow", (cli->given & OPT_FOLLOW) != 0);
	e = link_send(&link, r);
	while (e == ERR_OK && !ferror(stdout) &&
	    (e = link_next(&link, -1, &a)) == ERR_OK &&
	    json_get(a, "ok") == NULL) {
		print_line(a);
		json_free(&a);
	}
	if (ferror(stdout))
		status = STATUS_FAILED;
	else if (e == ERR_OK)
		status = cli_verdict(a);
	else
		status = STATUS_NO_SUPERVISOR; /* it went while we followed */
	json_free(&a);
	link_close(&link);
	return status;
}
