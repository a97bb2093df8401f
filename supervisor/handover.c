/*
 * The state of a supervisor, out and in.  Numbers are listed once, by the
 * place they have in their struct.
 */
#include "handover.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FAMILY_NUMBERS(F)                                                    \
	F(opened_ms) F(generation) F(was_up) F(has_level) F(log_level)       \
	F(strangers) F(unclaimed) F(line_number) F(oom_before)               \
	F(settings->conf.workers) F(settings->has_unseen) F(output->dropped)

#define CHILD_NUMBERS(F)                                                     \
	F(number) F(pid) F(pidfd) F(socket) F(output[0]) F(output[1])        \
	F(share.at_ms) F(share.cpu_ms) F(share.percent)                      \
	F(refused) F(surplus) F(ended_pid)                                   \
	F(lines.dropped) F(lines.dropped_told)                               \
	F(service.state) F(service.cause) F(service.pressure)                \
	F(service.last.end) F(service.last.number) F(service.last.cause)     \
	F(service.last.core) F(service.last.oom) F(service.delay.at)         \
	F(service.wanted) F(service.again) F(service.ill)                    \
	F(service.ever_ready) F(service.was_ready) F(service.stuck)          \
	F(service.tripped) F(service.since_ms) F(service.deadline_ms)        \
	F(service.ready_at_ms) F(service.beat_at_ms) F(service.generation)   \
	F(service.restarts) F(service.streak) F(service.watchdogs)           \
	F(service.ends)

/* Those among them that must stay open. */
static const char *const child_fds[] = { "pidfd", "socket", "output[0]",
	"output[1]" };
static const char *const fds[] = { "lock", "listener", "asker", "secret",
	"vault", "notify" };

/* --- out ---------------------------------------------------------------- */

#define PUT(member) json_put_int(o, #member, (int64_t)from->member);

static void
push_line(void *self, struct slice line, uint64_t number)
{
	struct json *pair = json_new_array();

	json_push_int(pair, (int64_t)number);
	json_push_text(pair, line);
	json_push_take(self, pair);
}

/* What may be any bytes: two letters for each. */
static void
put_bytes(struct json *o, const char *key, struct slice bytes)
{
	struct buf text = { 0 };

	for (size_t i = 0; i < bytes.n; i++)
		buf_putf(&text, "%02x", (unsigned char)bytes.p[i]);
	json_put_text(o, key, buf_slice(&text));
	buf_free(&text);
}

static void
get_bytes(struct buf *to, struct slice text)
{
	for (size_t i = 0; i + 1 < text.n; i += 2) {
		const char two[3] = { text.p[i], text.p[i + 1], '\0' };
		const char byte = (char)strtoul(two, NULL, 16);

		buf_put(to, (struct slice){ &byte, 1 });
	}
}

/* NAME=value strings, each ending in NUL. */
static struct json *
environment_of(const struct child *c)
{
	struct json *list = json_new_array();

	for (size_t at = 0; at < c->environment.n;
	     at += strlen(c->environment.p + at) + 1)
		json_push_text(list, slice_of(c->environment.p + at));
	return list;
}

static struct json *
child_state(const struct child *from)
{
	struct json *o = json_new_object(), *lines = json_new_array();
	struct json *ends = json_new_array(), *kept = json_new_array();

	CHILD_NUMBERS(PUT)
	json_put_text(o, "service", slice_of(service_kind(from->id)->name));
	json_put_text(o, "word", slice_of(from->word));
	json_put_text(o, "remedy", slice_of(from->remedy));
	json_put_text(o, "last_line", slice_of(from->last_line));
	if (from->app != NULL)
		json_put_ref(o, "app", from->app);
	json_put_take(o, "environment", environment_of(from));
	lines_last(&from->lines, LINES_KEPT, push_line, lines);
	json_put_take(o, "lines", lines);
	for (size_t i = 0; i < from->kept.n; i++) {
		struct json *one = json_new_object();

		json_put_text(one, "name", slice_of(from->kept.row[i].name));
		json_put_int(one, "fd", from->kept.row[i].fd);
		json_push_take(kept, one);
	}
	json_put_take(o, "kept", kept);
	put_bytes(o, "partial", buf_slice(&from->lines.partial));
	for (size_t i = 0; i < SERVICE_ENDS_MAX; i++)
		json_push_int(ends, (int64_t)from->service.ends_ms[i]);
	json_put_take(o, "ends_ms", ends);
	return o;
}

static struct json *
whole_state(const struct family *from, const struct control *ctl, int lock)
{
	struct json *o = json_new_object(), *children = json_new_array();
	struct json *guests = json_new_array();

	json_put_int(o, "format", HANDOVER_FORMAT);
	FAMILY_NUMBERS(PUT)
	json_put_int(o, "lock", lock);
	json_put_int(o, "notify", from->notify.fd);
	json_put_int(o, "secret", settings_named_vault(from->settings));
	json_put_int(o, "vault", from->settings->secret);
	put_bytes(o, "unwritten", buf_slice(&from->output->pending));
	control_put(ctl, o);
	for (size_t i = 0; i < from->nchildren; i++)
		json_push_take(children, child_state(from->children[i]));
	json_put_take(o, "children", children);
	for (size_t i = 0; i < from->kin.nguests; i++)
		json_push_int(guests, from->kin.guests[i]);
	json_put_take(o, "guests", guests);
	return o;
}

static enum err
to_memory(struct slice text, int *out)
{
	int fd = memfd_create("rookeryd", MFD_CLOEXEC);

	if (fd < 0)
		return ERR_SYSTEM;
	while (text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n <= 0) {
			close(fd);
			return ERR_SYSTEM;
		}
		text = slice_from(text, (size_t)n);
	}
	lseek(fd, 0, SEEK_SET);
	*out = fd;
	return ERR_OK;
}

enum err
handover_write(const struct family *f, const struct control *ctl, int lock,
    int *fd)
{
	struct json *o = whole_state(f, ctl, lock), *again = NULL;
	struct slice text = json_print(o);
	enum err     e = text.n > 0 ? ERR_OK : ERR_NOMEM;

	/* What we could not read ourselves is not left to another. */
	if (e == ERR_OK && (e = json_parse(&again, text)) == ERR_OK)
		e = to_memory(text, fd);
	json_free(&again);
	json_free(&o);
	return e;
}

/* --- in ----------------------------------------------------------------- */

enum err
handover_read(int fd, struct json **state)
{
	struct stat st;
	char       *text;
	int64_t     format = 0;
	enum err    e = ERR_SYNTAX;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return ERR_SYNTAX;
	if ((text = malloc((size_t)st.st_size)) == NULL)
		return ERR_NOMEM;
	if (pread(fd, text, (size_t)st.st_size, 0) == st.st_size)
		e = json_parse(state, (struct slice){ text,
		    (size_t)st.st_size });
	free(text);
	close(fd);
	if (e == ERR_OK && (!json_int_at(*state, "format", &format) ||
	                       format != HANDOVER_FORMAT)) {
		json_free(state);
		e = ERR_SYNTAX;
	}
	return e;
}

static void
keep(const struct json *o, const char *key, bool stays)
{
	int64_t fd = -1;

	if (json_int(json_get(o, key), &fd) && fd >= 0)
		fcntl((int)fd, F_SETFD, stays ? 0 : FD_CLOEXEC);
}

void
handover_keep(const struct json *state, bool stays)
{
	const struct json *children = json_get(state, "children");

	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		keep(state, fds[i], stays);
	for (size_t i = 0; i < json_count(children); i++) {
		const struct json *c = json_at(children, i);
		const struct json *kept = json_get(c, "kept");

		for (size_t k = 0; k < sizeof child_fds / sizeof *child_fds;
		     k++)
			keep(c, child_fds[k], stays);
		for (size_t k = 0; k < json_count(kept); k++)
			keep(json_at(kept, k), "fd", stays);
	}
}

/* A number that is missing is a 0: there is none in the same format. */
#define GET(member)                                                          \
	if (json_int(json_get(o, #member), &v))                              \
		to->member = (__typeof__(to->member))v;

static void
get_text(const struct json *o, const char *key, char *to, size_t size)
{
	struct slice s = json_text(json_get(o, key));

	snprintf(to, size, "%.*s", (int)s.n, s.n > 0 ? s.p : "");
}

static void
get_lists(struct child *to, const struct json *o)
{
	const struct json *ends = json_get(o, "ends_ms");
	const struct json *lines = json_get(o, "lines");
	const struct json *env = json_get(o, "environment");
	const struct json *kept = json_get(o, "kept");
	int64_t            v;

	for (size_t i = 0; i < SERVICE_ENDS_MAX; i++)
		if (json_int(json_at(ends, i), &v))
			to->service.ends_ms[i] = (uint64_t)v;
	for (size_t i = 0; i < json_count(lines); i++)
		if (json_int(json_at(json_at(lines, i), 0), &v))
			lines_keep(&to->lines,
			    json_text(json_at(json_at(lines, i), 1)),
			    (uint64_t)v);
	for (size_t i = 0; i < json_count(kept); i++)
		if (json_int_at(json_at(kept, i), "fd", &v))
			kept_put(&to->kept, json_text_at(json_at(kept, i),
			    "name"), (int)v);
	get_bytes(&to->lines.partial, json_text_at(o, "partial"));
	for (size_t i = 0; i < json_count(env); i++) {
		buf_put(&to->environment, json_text(json_at(env, i)));
		buf_put(&to->environment, (struct slice){ "", 1 });
	}
}

static enum err
get_child(struct family *f, const struct json *o)
{
	struct slice    kind = json_text_at(o, "service");
	enum service_id id = 0;
	struct child   *to;
	int64_t         v = 0;

	while (id < SERVICE_IDS && !slice_is(kind, service_kind(id)->name))
		id++;
	if (id == SERVICE_IDS || f->nchildren == FAMILY_MAX)
		return ERR_SYNTAX;
	json_int(json_get(o, "number"), &v);
	if ((to = child_bare(f, id, (unsigned)v)) == NULL)
		return ERR_NOMEM;
	f->children[f->nchildren++] = to;
	CHILD_NUMBERS(GET)
	get_text(o, "word", to->word, sizeof to->word);
	get_text(o, "remedy", to->remedy, sizeof to->remedy);
	get_text(o, "last_line", to->last_line, sizeof to->last_line);
	get_lists(to, o);
	if (json_get(o, "app") != NULL &&
	    json_parse(&to->app, json_print(json_get(o, "app"))) != ERR_OK)
		return ERR_NOMEM;
	return child_resume(to);
}

enum err
handover_family(struct family *to, const struct json *o)
{
	const struct json *children = json_get(o, "children");
	const struct json *guests = json_get(o, "guests");
	int64_t            v;
	enum err           e = ERR_OK;

	FAMILY_NUMBERS(GET)
	for (size_t i = 0; i < KIN_GUESTS_MAX; i++)
		if (json_int(json_at(guests, i), &v))
			to->kin.guests[to->kin.nguests++] = (pid_t)v;
	get_bytes(&to->output->pending, json_text_at(o, "unwritten"));
	to->generation++;
	for (size_t i = 0; i < json_count(children) && e == ERR_OK; i++)
		e = get_child(to, json_at(children, i));
	return e;
}
