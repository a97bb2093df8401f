/*
 * rookery up, config and check: the settings, seen by a person before any
 * daemon starts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "handlers.h"
#include "proc.h"
#include "table.h"

/* --- check -------------------------------------------------------------- */

void
cli_print_problems(const struct cli *cli)
{
	const struct conf *c = &cli->conf;

	for (size_t i = 0; i < c->nproblems; i++) {
		const struct conf_problem *p = &c->problems[i];

		fprintf(stderr, "%s", p->name);
		if (p->value[0] != '\0') {
			fputs(" = ", stderr);
			table_put_clean(stderr, slice_of(p->value));
		}
		fprintf(stderr, " %s\n    ", p->why);
		table_put_clean(stderr, slice_of(p->remedy));
		fputc('\n', stderr);
	}
	if (c->nproblems > 0)
		fprintf(stderr, "%zu problem%s; rookery.env(5) explains every "
		    "setting\n", c->nproblems, c->nproblems > 1 ? "s" : "");
}

static void
print_handler_problem(void *self, const char *where, const char *value,
    const char *why, const char *remedy)
{
	(void)self;
	fprintf(stderr, "%s", where);
	if (value[0] != '\0') {
		fputs(": ", stderr);
		table_put_clean(stderr, slice_of(value));
	}
	fprintf(stderr, " %s\n    ", why);
	table_put_clean(stderr, slice_of(remedy));
	fputc('\n', stderr);
}

/* Only an exec handler has a file that can change while it runs. */
static enum status
check_watch(const struct cli *cli, const struct handlers *all)
{
	if (!(cli->given & OPT_WATCH))
		return STATUS_DONE;
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->rows[i].kind, "exec") == 0)
			return STATUS_DONE;
	fprintf(stderr, "rookery: --watch: there is no exec handler");
	if (all->n > 0)
		fprintf(stderr, ": the first is %s:%s", all->rows[0].kind,
		    all->rows[0].arg);
	fputs("\n  name the bot, as in ROOKERY_HANDLER=exec:./bot.py, or leave "
	      "--watch out\n", stderr);
	return STATUS_USAGE;
}

/* What the workers would find, where this configuration runs any. */
static enum status
check_handlers(const struct cli *cli)
{
	struct handlers all = { 0 };
	enum status     status = STATUS_DONE;
	enum err        e = ERR_OK;

	if (strstr(cli->conf.services, "worker") != NULL)
		e = handlers_load(&all, &cli->conf, print_handler_problem,
		    NULL);
	if (e == ERR_OK)
		e = handlers_check(&all, &cli->conf, print_handler_problem,
		    NULL);
	if (e == ERR_OK)
		status = check_watch(cli, &all);
	handlers_free(&all);
	return e == ERR_OK ? status
	    : e == ERR_CONFIG ? STATUS_CONFIG : STATUS_FAILED;
}

static enum status
check(struct cli *cli)
{
	if (cli->conf_err == ERR_OK)
		return check_handlers(cli);
	cli_print_problems(cli);
	if (cli->conf_err == ERR_CONFIG)
		return STATUS_CONFIG;
	fprintf(stderr, "rookery: %s\n", err_text(cli->conf_err));
	return STATUS_FAILED;
}

enum status
command_check(struct cli *cli)
{
	enum status status = check(cli);

	if (status != STATUS_DONE)
		return status;
	if (cli->conf.nbots == 0)
		puts("the configuration is good; no QQ_APP_ID is set, so the "
		     "simulator is used");
	else
		printf("the configuration is good; %zu bot%s\n",
		    cli->conf.nbots, cli->conf.nbots > 1 ? "s" : "");
	return STATUS_DONE;
}

/* --- up ----------------------------------------------------------------- */

static void
print_banner(const struct cli *cli)
{
	const struct conf *c = &cli->conf;

	printf("rookery %s: ", ROOKERY_VERSION);
	if (cli->given & OPT_SIM)
		printf("the simulator plays the platform (--sim)");
	else if (c->nbots == 0)
		printf("no QQ_APP_ID is set, so the simulator plays the "
		       "platform");
	for (size_t i = 0; i < c->nbots && !(cli->given & OPT_SIM); i++)
		printf("%s%s", i == 0 ? "bot " : ", ", c->bots[i].qq_app_id);
	printf("; handler %s, %llu worker%s\n",
	    access(c->handlers_file, F_OK) == 0 ? c->handlers_file
	                                        : c->handler,
	    (unsigned long long)c->workers, c->workers == 1 ? "" : "s");
	puts("rookery status tells how it is; Ctrl-C or rookery stop ends it");
	fflush(stdout);
}

enum status
command_up(struct cli *cli)
{
	enum status status = check(cli);
	char       *dir = proc_bin_dir(), *path = NULL;
	char        name[] = "rookeryd", sim[] = "--sim";
	char       *argv[] = { name, cli->given & OPT_SIM ? sim : NULL, NULL };

	if (cli->given & OPT_WATCH)
		setenv("ROOKERY_HANDLER_WATCH", "yes", 1);
	if (status == STATUS_DONE) {
		path = dir != NULL ? conf_path(dir, name) : NULL;
		print_banner(cli);
		if (path != NULL)
			execv(path, argv);
		fprintf(stderr, "rookery: %s: %s\n  it must stand beside "
		    "rookery\n", path != NULL ? path : name, strerror(errno));
		status = STATUS_FAILED;
	}
	free(path);
	free(dir);
	return status;
}

/* --- config ------------------------------------------------------------- */

static bool
is_shown(const struct conf *c, enum conf_id id)
{
	const struct conf_info *info = conf_info(id);

	/* A further bot differs by what belongs to a bot. */
	return c->bot_name[0] == '\0' || (info->readers & CONF_B) != 0;
}

static bool
is_readable(enum conf_id id)
{
	return (conf_info(id)->readers & CONF_C) != 0;
}

static void
print_settings(const struct cli *cli, const struct conf *c)
{
	static const char *const titles[] = { "SETTING", "VALUE", "FROM",
		NULL };
	struct table t;

	table_open(&t, titles);
	for (size_t i = 0; i < CONF_COUNT; i++) {
		char *value;

		if (!is_shown(c, (enum conf_id)i) ||
		    !is_readable((enum conf_id)i))
			continue;
		value = conf_value(c, (enum conf_id)i);
		table_row(&t);
		table_set(&t, 0, slice_of(conf_info((enum conf_id)i)->name));
		table_set(&t, 1, slice_of(value));
		table_set(&t, 2, slice_of(c->from[i]));
		if (strcmp(c->from[i], "default") == 0)
			table_colour(&t, 2, FAINT);
		free(value);
	}
	table_print(&t, stdout, cli->colour);
	table_free(&t);
}

static struct json *
settings_json(const struct conf *c)
{
	struct json *all = json_new_object();

	for (size_t i = 0; i < CONF_COUNT; i++) {
		struct json *one;
		char        *value;

		if (!is_shown(c, (enum conf_id)i) ||
		    !is_readable((enum conf_id)i))
			continue;
		one = json_new_object();
		value = conf_value(c, (enum conf_id)i);
		json_put_text(one, "value", slice_of(value));
		json_put_text(one, "from", slice_of(c->from[i]));
		json_put_take(all, conf_info((enum conf_id)i)->name, one);
		free(value);
	}
	return all;
}

static void
print_json_settings(const struct conf *c)
{
	struct json *doc = json_new_object(), *bots = json_new_object();

	json_put_take(doc, "settings", settings_json(c));
	for (size_t i = 0; i < c->nbots; i++)
		if (c->bots[i].bot_name[0] != '\0')
			json_put_take(bots, c->bots[i].bot_name,
			    settings_json(&c->bots[i]));
	json_put_take(doc, "bots", bots);
	table_put_json(stdout, doc);
	json_free(&doc);
}

enum status
command_config(struct cli *cli)
{
	const struct conf *c = &cli->conf;

	if (cli->conf_err != ERR_OK && cli->conf_err != ERR_CONFIG)
		return check(cli);
	if (cli->given & OPT_JSON) {
		print_json_settings(c);
		return check(cli);
	}
	print_settings(cli, c);
	for (size_t i = 0; i < c->nbots; i++)
		if (c->bots[i].bot_name[0] != '\0') {
			printf("\nbot %s\n", c->bots[i].bot_name);
			print_settings(cli, &c->bots[i]);
		}
	return check(cli);
}
