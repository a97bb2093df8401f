/*
 * One process of apid's media, told what to do line by line: for tests that
 * play the platform, and kill it.
 *
 *   client API TOKEN_URL STATE_DIR MEDIA_DIR INLINE_MAX TIMEOUT_MS PRIVATE
 *          FETCH_MAX INBOX_BYTES LIMITS
 *
 *   media TAG SCOPE TARGET TYPE FOR_MS NAME SOURCE    (tabs between)
 *   fetch TAG FOR_MS URL
 *   cancel TAG
 *   forget FILE_INFO
 *   counts
 *   pss
 *
 * Answers are lines: TAG, result, status, code, file_info or path, message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../apid/fetch.h"
#include "../../apid/media.h"
#include "../../apid/request.h"
#include "log.h"

enum { WORDS = 8 };

struct task {
	struct task       *next;
	char              *line;
	const char        *tag;
	struct media_order media;
	struct fetch_order fetch;
	bool               fetches, done;
};

static struct {
	struct loop  *loop;
	struct http  *http;
	struct media *media;
	struct fetch *fetch;
	struct conf   conf;
	struct bot    bot;
	struct requests rs;   /* its limits and allowances */
	struct task  *tasks;
	struct buf    in;
	bool          end;
} w;

static void
on_token(void *self, struct bot *b)
{
	(void)self, (void)b;
}

static void
say(struct task *t, enum result result, unsigned status, uint64_t code,
    struct slice what, struct slice message)
{
	t->done = true;
	printf("%s\t%s\t%u\t%llu\t%.*s\t%.*s\n", t->tag,
	    result == RESULT_OK ? "OK" : result_name(result), status,
	    (unsigned long long)code, (int)what.n, what.n > 0 ? what.p : "",
	    (int)message.n, message.n > 0 ? message.p : "");
}

static void
on_media(void *self, const struct media_answer *a)
{
	char file[64] = "";

	if (a->file.fd >= 0)
		snprintf(file, sizeof file, "file %llu %.*s",
		    (unsigned long long)a->file.size, (int)a->file.mime.n,
		    a->file.mime.p);
	say(self, a->result, a->status, a->code,
	    file[0] != '\0' ? slice_of(file) : a->file_info, a->message);
}

static void
on_fetch(void *self, const struct fetch_answer *a)
{
	char text[600];

	snprintf(text, sizeof text, "%.*s %llu %.*s", (int)a->path.n,
	    a->path.n > 0 ? a->path.p : "", (unsigned long long)a->size,
	    (int)a->type.n, a->type.n > 0 ? a->type.p : "");
	say(self, a->result, a->status, 0, slice_of(text), a->message);
}

static enum call_scope
scope_of(const char *name)
{
	return *name == 'u' ? SCOPE_C2C : *name == 'g' ? SCOPE_GROUP
	    : *name == 'c' ? SCOPE_CHANNEL : SCOPE_DM;
}

static void
add_task(char *line, char *words[WORDS])
{
	struct task *t = calloc(1, sizeof *t);

	t->line = line;
	t->tag = words[1];
	t->next = w.tasks;
	w.tasks = t;
	t->fetches = *words[0] == 'f';
	if (t->fetches) {
		t->fetch = (struct fetch_order){ .url = slice_of(words[3]),
			.until_ms = loop_now(w.loop) +
			    strtoull(words[2], NULL, 10),
			.on_done = on_fetch, .self = t };
		fetch_start(w.fetch, &t->fetch);
		return;
	}
	t->media = (struct media_order){ .bot = &w.bot,
		.scope = scope_of(words[2]), .target = slice_of(words[3]),
		.want = { .wanted = true,
		    .type = (unsigned)strtoul(words[4], NULL, 10),
		    .source = slice_of(words[7]),
		    .name = slice_of(words[6]) },
		.until_ms = loop_now(w.loop) + strtoull(words[5], NULL, 10),
		.on_done = on_media, .self = t };
	media_start(w.media, &t->media);
}

static void
cancel(const char *tag)
{
	for (struct task *t = w.tasks; t != NULL; t = t->next)
		if (strcmp(t->tag, tag) == 0 && !t->done) {
			if (t->fetches)
				fetch_cancel(w.fetch, &t->fetch);
			else
				media_cancel(w.media, &t->media);
			t->done = true;
		}
}

static void
say_pss(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char  line[256];

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "Pss:", 4) == 0)
			printf("pss\t%lu\n", strtoul(line + 4, NULL, 10));
	if (f != NULL)
		fclose(f);
}

static void
say_counts(void)
{
	struct media_counts m = media_counts(w.media);

	printf("counts\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%zu\n",
	    (unsigned long long)m.uploads, (unsigned long long)m.parts,
	    (unsigned long long)m.cached, (unsigned long long)m.joined,
	    (unsigned long long)m.retried, (unsigned long long)m.resumed,
	    m.held);
}

static void
obey(char *line)
{
	static char none[1];
	char       *words[WORDS], *at = line;
	size_t      n = 0;

	for (size_t i = 0; i < WORDS; i++)
		words[i] = none;
	for (; n < WORDS - 1 && at != NULL; n++) {
		words[n] = at;
		if ((at = strchr(at, '\t')) != NULL)
			*at++ = '\0';
	}
	if (at != NULL)
		words[n] = at;
	if (strcmp(words[0], "media") == 0 || strcmp(words[0], "fetch") == 0) {
		add_task(line, words);
		return;
	}
	if (strcmp(words[0], "cancel") == 0)
		cancel(words[1]);
	else if (strcmp(words[0], "forget") == 0)
		media_forget(w.media, slice_of(words[1]));
	else if (strcmp(words[0], "pss") == 0)
		say_pss();
	else if (strcmp(words[0], "counts") == 0)
		say_counts();
	free(line);
}

static void
on_input(void *self, int fd, unsigned what)
{
	char  *to = buf_room(&w.in, 65536), *nl;
	ssize_t n = read(fd, to, 65536);

	(void)self, (void)what;
	if (n <= 0) {
		w.end = true;
		return;
	}
	w.in.n += (size_t)n;
	while (w.in.n > 0 && (nl = memchr(w.in.p, '\n', w.in.n)) != NULL) {
		size_t len = (size_t)(nl - w.in.p);

		obey(slice_dup((struct slice){ w.in.p, len }));
		buf_drop(&w.in, len + 1);
	}
	fflush(stdout);
}

static void
open_limits(const char *dir, const char *percent)
{
	struct sent_guest allowances;

	w.rs.loop = w.loop;
	w.rs.pace.limits.percent = (unsigned)strtoul(percent, NULL, 10);
	allowances_open(&w.rs.pace.allowances);
	allowances = allowances_guest(&w.rs.pace.allowances);
	if (sent_open(&w.rs.sent, dir, STORE_PROCESS, loop_wall_ms()) !=
	        ERR_OK || sent_join(&w.rs.sent, &allowances) != ERR_OK ||
	    requests_open(&w.rs) != ERR_OK)
		exit(70);
}

static void
open_all(char *argv[])
{
	struct http_options  http = { .connections = 8, .timeout_ms = 5000 };
	struct media_options media = { .pace = &w.rs.pace, .state_dir = argv[3], .dir = argv[4],
		.durability = STORE_PROCESS,
		.inline_max = strtoull(argv[5], NULL, 10),
		.timeout_ms = strtoull(argv[6], NULL, 10) };
	struct fetch_options fetch = { .dir = argv[4],
		.max = strtoull(argv[8], NULL, 10),
		.timeout_ms = strtoull(argv[6], NULL, 10),
		.inbox_bytes = strtoull(argv[9], NULL, 10),
		.private = argv[7][0] == 'y' };

	if (loop_new(&w.loop) != ERR_OK)
		exit(70);
	open_limits(argv[3], argv[10]);
	w.conf.qq_app_id = strdup("102000001");
	w.conf.qq_proxy = strdup("");
	w.conf.qq_api_url = argv[1];
	w.conf.qq_token_url = argv[2];
	w.conf.park_ms = 600000;
	secret_set(&w.conf.qq_client_secret, SLICE("secret"));
	media.loop = fetch.loop = w.loop;
	if (http_new(&w.http, w.loop, &http) != ERR_OK ||
	    media_new(&w.media, &media) != ERR_OK ||
	    fetch_new(&w.fetch, &fetch) != ERR_OK ||
	    bot_open(&w.bot, &w.conf, w.loop, w.http, on_token, NULL) !=
	        ERR_OK || loop_watch(w.loop, 0, LOOP_READ, on_input, NULL) !=
	        ERR_OK)
		exit(70);
}

static void
close_all(void)
{
	struct task *t;

	while ((t = w.tasks) != NULL) {
		if (!t->done)
			cancel(t->tag);
		w.tasks = t->next;
		free(t->line);
		free(t);
	}
	requests_close(&w.rs);
	media_free(&w.media);
	fetch_free(&w.fetch);
	bot_close(&w.bot);
	http_free(&w.http);
	loop_free(&w.loop);
	secret_wipe(&w.conf.qq_client_secret);
	free(w.conf.qq_app_id);
	free(w.conf.qq_proxy);
	buf_free(&w.in);
}

int
main(int argc, char *argv[])
{
	if (argc != 11)
		return 64;
	log_open("media", LOG_INFO, false);
	open_all(argv);
	while (!w.end && loop_turn(w.loop, -1, NULL) == ERR_OK)
		fflush(stdout);
	close_all();
	return 0;
}
