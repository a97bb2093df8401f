// links: supervisor/child.c supervisor/control.c supervisor/family.c supervisor/handover.c supervisor/kept.c supervisor/kin.c supervisor/lines.c supervisor/logfile.c supervisor/notify.c supervisor/output.c supervisor/plan.c supervisor/service.c supervisor/settings.c supervisor/snapshot.c supervisor/spawn.c supervisor/status.c supervisor/vault.c supervisor/vitals.c common
/*
 * What a client writes to the status socket, whole and in pieces.  Behind it
 * stands the supervisor as it is, with workers to scale that cannot be started
 * (there is no workerd beside this program).  Each answer is a line with an
 * object; whoever sends no line, or one too long, is cut off.
 */
#include <sys/socket.h>

#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "log.h"

enum { TURNS = 4, ANSWERS_MAX = 1 << 20 };

struct world {
	struct loop    *loop;
	struct settings settings;
	struct output   output;
	struct family   family;
	struct control  control;
	char            answers[ANSWERS_MAX];
	size_t          n;
};

static struct world w;
static char         folder[] = "/tmp/rk-fuzz-XXXXXX";

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool good)
{
	if (!good)
		abort();
}

/* The supervisor logs to descriptor 2; the sanitizers go on with ours. */
static void
be_quiet(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int ours = dup(2);

	must(null >= 0 && ours >= 0 && dup2(null, 2) == 2);
	close(null);
	__sanitizer_set_report_fd((void *)(intptr_t)ours);
}

static void
clear_up(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", folder);
	if (system(command) != 0)
		perror(folder);
}

static void
begin(void)
{
	if (mkdtemp(folder) == NULL)
		abort();
	atexit(clear_up);
	be_quiet();
	setenv("ROOKERY_ENV_FILE", "", 1);
	setenv("ROOKERY_RUN_DIR", folder, 1);
	setenv("ROOKERY_STATE_DIR", folder, 1);
	setenv("ROOKERY_SERVICES", "worker", 1);
	setenv("ROOKERY_WORKERS", "0", 1);
	setenv("ROOKERY_LOG", "error", 1);
	log_open("rookeryd", LOG_ERROR, false);
}

static void
world_open(void)
{
	w = (struct world){ 0 };
	must(settings_open(&w.settings, false) == ERR_OK);
	must(loop_new(&w.loop) == ERR_OK);
	must(output_open(&w.output, w.loop, &w.settings.conf) == ERR_OK);
	must(family_open(&w.family, w.loop, &w.settings, &w.output, 1024,
	         NULL) == ERR_OK);
	must(control_open(&w.control, &w.family, w.loop, folder, NULL) ==
	    ERR_OK);
}

static void
world_close(void)
{
	family_close(&w.family);
	output_close(&w.output);
	control_close(&w.control);
	loop_free(&w.loop);
	settings_close(&w.settings);
}

static void
turn(int fd)
{
	ssize_t n;

	family_turn(&w.family);
	control_turn(&w.control);
	must(loop_turn(w.loop, 0, NULL) == ERR_OK);
	while (w.n < sizeof w.answers &&
	    (n = read(fd, w.answers + w.n, sizeof w.answers - w.n)) > 0)
		w.n += (size_t)n;
}

/* The last may not be whole yet. */
static void
judge(void)
{
	const char *p = w.answers, *end = p + w.n, *nl;

	for (; (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1) {
		struct json *j = NULL;

		must(json_parse(&j, (struct slice){ p, (size_t)(nl - p) }) ==
		    ERR_OK);
		must(json_is_object(j));
		json_free(&j);
	}
}

static void
say(struct slice text, size_t step)
{
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	         pair) == 0);
	if (status_take(&w.control.status, pair[0]) == NULL)
		abort();
	for (size_t at = 0; at < text.n; at += step) {
		struct slice part = slice_from(text, at);

		if (part.n > step)
			part.n = step;
		if (send(pair[1], part.p, part.n, MSG_NOSIGNAL) < 0)
			break;
		turn(pair[1]);
	}
	for (int i = 0; i < TURNS; i++)
		turn(pair[1]);
	close(pair[1]);
	turn(-1);
	judge();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool  begun;
	struct slice in = { (const char *)data, n };

	if (!begun)
		begin();
	begun = true;
	world_open();
	say(in, n > 4096 ? n / 4 : 4096);
	say(in, n / 3 + 1);
	world_close();
	return 0;
}
