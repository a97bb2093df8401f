/*
 * A child for the supervisor's tests, good or bad as the file NAME.behave
 * beside the program says (worker-1.behave for worker/1), one word per line.
 * It is built under the names of the real daemons.
 */
#include <sys/socket.h>
#include <sys/stat.h>

#include <netinet/in.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "proc.h"

enum { LETTERS_MAX = 200 };

/* At its end the sanitizer wants a process more: not as the user of whom one
 * test says that there may be no more. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return getuid() == 54321 ? "detect_leaks=0" : "";
}

static char *kept;      /* so that it is not taken for useless */

struct fake {
	int          letters[LETTERS_MAX];     /* numbers of dead letters */
	size_t       nletters;
	struct loop *loop;
	struct proc  proc;
	struct conf  conf;
	char         behave[256];
	char        *dir;
};

static bool
behaves(const struct fake *f, const char *word)
{
	const char *p = f->behave;
	size_t      n = strlen(word);

	for (; (p = strstr(p, word)) != NULL; p += n)
		if ((p == f->behave || p[-1] == '\n') &&
		    (p[n] == '\n' || p[n] == ' '))
			return true;
	return false;
}

static void
put_file(const struct fake *f, const char *kind, const char *text)
{
	char  path[512], name[64];
	FILE *to;

	snprintf(name, sizeof name, "%s", f->conf.child_name);
	for (char *p = name; *p != '\0'; p++)
		if (*p == '/')
			*p = '-';
	snprintf(path, sizeof path, "%s/%s.%s", f->dir, name, kind);
	if ((to = fopen(path, "a")) == NULL)
		return;
	fputs(text, to);
	fclose(to);
}

static void
read_behaviour(struct fake *f)
{
	char    path[512], name[64];
	int     fd;
	ssize_t n;

	snprintf(name, sizeof name, "%s", f->conf.child_name);
	for (char *p = name; *p != '\0'; p++)
		if (*p == '/')
			*p = '-';
	snprintf(path, sizeof path, "%s/%s.behave", f->dir, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return;
	n = read(fd, f->behave, sizeof f->behave - 1);
	f->behave[n > 0 ? n : 0] = '\0';
	close(fd);
}

/* --- what the supervisor tells ------------------------------------------ */

static void
on_drain(void *self, msg_peer from, const struct msg_drain *m)
{
	struct fake *f = self;

	(void)from, (void)m;
	put_file(f, "heard", "drain\n");
	/* gatewayd stays for the acks of the workers that still run */
	if (strcmp(f->conf.child_name, "gateway") != 0)
		proc_stop(&f->proc);
}

static void
on_reload(void *self, msg_peer from, const struct msg_reload *m)
{
	(void)from, (void)m;
	put_file(self, "heard", "reload\n");
}

static void
on_gone(void *self, msg_peer from, const struct msg_gone *m)
{
	char text[80];

	(void)from;
	snprintf(text, sizeof text, "gone %.*s %llu: %.*s\n", (int)m->name.n,
	    m->name.p, (unsigned long long)m->pid, (int)m->how.n, m->how.p);
	put_file(self, "heard", text);
}

/* --- what it is asked: the contract of gatewayd ------------------------- */

static struct json *
letter(int no)
{
	struct json *o = json_new_object();
	char         id[40];

	snprintf(id, sizeof id, "C2C_MESSAGE_CREATE:%d", no);
	json_put_int(o, "no", no);
	json_put_text(o, "id", slice_of(id));
	json_put_text(o, "bot", SLICE("102000001"));
	json_put_text(o, "conv", SLICE("u:\xe7\x94\xa8"));
	json_put_text(o, "type", SLICE("message.c2c"));
	json_put_int(o, "attempts", 5);
	json_put_text(o, "why", SLICE("no answer\033[31m in time"));
	json_put_int(o, "at_ms", loop_wall_ms() - 65000);
	json_put_text(o, "worker", SLICE("worker/1"));
	json_put_int(o, "bytes", 123);
	return o;
}

/* Its place, or nletters. */
static size_t
find_letter(const struct fake *f, const struct json *with)
{
	struct slice id = json_text_at(with, "id");
	int64_t      no = 0;
	size_t       i = 0;

	if (slice_starts(id, SLICE("C2C_MESSAGE_CREATE:")))
		no = atoi(id.p + 19);
	json_int_at(with, "no", &no);
	while (i < f->nletters && f->letters[i] != no)
		i++;
	return i;
}

static struct json *
list_letters(const struct fake *f, const struct json *with)
{
	struct json *o = json_new_object(), *list = json_new_array();
	int64_t      after = 0, limit = 0;

	json_int_at(with, "after", &after);
	json_int_at(with, "limit", &limit);
	for (size_t i = 0; i < f->nletters; i++)
		if (f->letters[i] > after && limit-- > 0)
			json_push_take(list, letter(f->letters[i]));
	json_put_int(o, "total", (int64_t)f->nletters);
	json_put_take(o, "dead", list);
	return o;
}

static struct json *
change_letters(struct fake *f, const struct json *with)
{
	struct json *o = json_new_object();
	size_t       at = find_letter(f, with), n = 1;

	if (json_truth(json_get(with, "all"))) {
		n = f->nletters;
		f->nletters = 0;
	} else {
		f->letters[at] = f->letters[--f->nletters];
	}
	json_put_int(o, "count", (int64_t)n);
	return o;
}

static void
on_ask_dead(struct fake *f, uint64_t id, const struct json *with)
{
	struct slice deed = json_text_at(with, "do");
	struct json *data;

	if (slice_is(deed, "list")) {
		data = list_letters(f, with);
	} else if (f->nletters == 0 || (!json_truth(json_get(with, "all")) &&
	    find_letter(f, with) == f->nletters)) {
		proc_answer(&f->proc, id, ERR_NOT_FOUND,
		    SLICE("there is no such dead letter"), NULL);
		return;
	} else if (slice_is(deed, "show")) {
		struct json *event = json_new_object();

		json_put_text(event, "text", SLICE("hello"));
		data = letter(f->letters[find_letter(f, with)]);
		json_put_take(data, "event", event);
	} else {
		data = change_letters(f, with);
	}
	proc_answer(&f->proc, id, ERR_OK, SLICE(""), data);
	json_free(&data);
}

static void
on_ask_events(struct fake *f, uint64_t id, const struct json *with)
{
	static const char text[] = "{\"events\":4,\"bytes\":4096,"
	    "\"in_flight\":1,\"oldest_ms\":61000,\"conversations\":1,"
	    "\"rows\":[{\"bot\":\"102000001\",\"conv\":\"g:7\","
	    "\"queued\":3,\"in_flight\":1,"
	    "\"worker\":\"worker/1\",\"attempt\":2,\"oldest_ms\":61000,"
	    "\"head\":\"m:abc\"}]}";
	static const char none[] = "{\"events\":4,\"rows\":[]}";
	struct slice conv = json_text_at(with, "conv");
	struct json *data = NULL;

	json_parse(&data, conv.n == 0 || slice_is(conv, "g:7")
	        ? slice_of(text) : slice_of(none));
	proc_answer(&f->proc, id, ERR_OK, SLICE(""), data);
	json_free(&data);
}

/* with.bytes of text: how much fits into an answer. */
static void
on_ask_bytes(struct fake *f, uint64_t id, const struct json *with)
{
	struct json *data = json_new_object();
	int64_t      n = 0;
	char        *text;

	json_int_at(with, "bytes", &n);
	text = malloc((size_t)n + 1);
	memset(text, 'x', (size_t)n);
	json_put_text(data, "text", (struct slice){ text, (size_t)n });
	proc_answer(&f->proc, id, ERR_OK, SLICE(""), data);
	json_free(&data);
	free(text);
}

static void
on_ask(void *self, msg_peer from, const struct msg_ask *m)
{
	struct fake *f = self;
	struct json *with = NULL;

	(void)from;
	if (m->with.n > 0)
		json_from_msgpack(&with, m->with);
	if (slice_is(m->what, "dead"))
		on_ask_dead(f, m->id, with);
	else if (slice_is(m->what, "events"))
		on_ask_events(f, m->id, with);
	else if (slice_is(m->what, "bytes"))
		on_ask_bytes(f, m->id, with);
	else if (slice_is(m->what, "end"))
		_exit(1);
	else if (slice_is(m->what, "other"))    /* that nobody has asked */
		proc_answer(&f->proc, m->id + 1000, ERR_OK, SLICE(""), NULL);
	else if (slice_is(m->what, "twice"))
		for (int i = 0; i < 2; i++)
			proc_answer(&f->proc, m->id, ERR_OK, SLICE(""), NULL);
	put_file(f, "heard", "asked\n");
	json_free(&with);
}

/* --- what it does before it is ready ------------------------------------ */

static void
write_sim_env(const struct fake *f)
{
	char  path[700], final[700];
	FILE *to;

	snprintf(path, sizeof path, "%s/sim", f->conf.state_dir);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/sim/sim.env.new", f->conf.state_dir);
	snprintf(final, sizeof final, "%s/sim/sim.env", f->conf.state_dir);
	if ((to = fopen(path, "w")) == NULL)
		return;
	fputs("QQ_APP_ID=102000001\nQQ_CLIENT_SECRET=simulated\n"
	      "QQ_API_URL=http://127.0.0.1:8484\n"
	      "QQ_TOKEN_URL=http://127.0.0.1:8484/app/getAppAccessToken\n",
	    to);
	fclose(to);
	rename(path, final);
}

/* What it was given: environment and descriptors, for the test to see. */
static void
tell_what_is_given(const struct fake *f)
{
	char line[1024];

	put_file(f, "given", "---\n");
	for (char **e = environ; *e != NULL; e++) {
		snprintf(line, sizeof line, "%s\n", *e);
		put_file(f, "given", line);
	}
	for (int fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0) {
			snprintf(line, sizeof line, "fd %d\n", fd);
			put_file(f, "given", line);
		}
	snprintf(line, sizeof line, "secret %zu\n",
	    f->conf.qq_client_secret.n);
	put_file(f, "given", line);
}

static void
leave_orphan(const struct fake *f, bool own_session)
{
	char text[40];

	if (fork() != 0)
		return;
	if (own_session)
		setsid();
	snprintf(text, sizeof text, "%d\n", (int)getpid());
	put_file(f, "orphan", text);
	signal(SIGTERM, SIG_IGN);
	for (;;)
		pause();
}

/* So many MiB, all of them used. */
static void
eat(size_t mib)
{
	char *p = malloc(mib << 20);

	if (p == NULL)
		return;
	for (size_t i = 0; i < mib << 20; i += 1024)
		p[i] = (char)i;
	kept = p;
}

static void
say_up_again(const struct fake *f)
{
	struct msg_up up = { .version = SLICE("2") };
	char          head[MSG_HEAD];
	struct buf    packet = { 0 };

	buf_put(&packet, (struct slice){ "RK1?", MSG_HEAD });
	if (msg_encode(MSG_up, &up, head, &packet) == ERR_OK) {
		memcpy(packet.p, head, MSG_HEAD);
		(void)!write((int)f->conf.child_fd, packet.p, packet.n);
	}
	buf_free(&packet);
}

/* Beside the loop, so that beats go on. */
static void *
spin(void *self)
{
	volatile unsigned n = 0;

	for (;;)
		n++;
	return self;
}

static void
misbehave_first(struct fake *f)
{
	if (behaves(f, "exit78")) {
		log_error("config.bad", KV("setting", "QQ_APP_ID"));
		_exit(proc_leave(ERR_CONFIG));
	}
	if (behaves(f, "exit1"))
		_exit(1);
	if (behaves(f, "abort"))
		abort();
	if (behaves(f, "eat-memory"))
		eat(400);
	if (behaves(f, "open-files"))
		for (int i = 0; i < 200; i++)
			(void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (behaves(f, "spin"))
		pthread_create(&(pthread_t){ 0 }, NULL, spin, NULL);
	if (behaves(f, "bad-prefix") && strcmp(f->conf.echo_prefix, "bad") == 0)
		_exit(1);
	if (behaves(f, "never-ready"))
		for (;;)
			pause();
	if (behaves(f, "deaf"))
		signal(SIGTERM, SIG_IGN);
	if (behaves(f, "orphan"))
		leave_orphan(f, false);
	if (behaves(f, "daemon"))
		leave_orphan(f, true);
	if (behaves(f, "grandchild-exits") && fork() == 0) {
		if (fork() == 0)
			_exit(0);   /* reaped by whoever inherits it */
		_exit(0);
	}
}

/* A listening socket, from the process before if that has left one. */
static void
keep_door(struct fake *f)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t          n = sizeof at;
	char               text[40];
	int                fd = proc_kept(&f->conf, "door");

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(fd, (struct sockaddr *)&at, n) < 0 ||
		    listen(fd, 100) < 0)
			_exit(1);
		proc_keep(&f->proc, "door", fd);
	}
	getsockname(fd, (struct sockaddr *)&at, &n);
	snprintf(text, sizeof text, "%d\n", ntohs(at.sin_port));
	put_file(f, "door", text);
}

static void
misbehave_later(struct fake *f)
{
	static char noise[65536];

	log_flush(); /* its own lines come before */
	if (behaves(f, "flood"))
		for (int i = 0; i < 16 * 12; i++) {
			memset(noise, i % 7 == 0 ? 0xff : 'x', sizeof noise);
			if (i % 3 == 0)
				noise[100] = '\n';
			if (write(STDERR_FILENO, noise, sizeof noise) < 0)
				break;
		}
	if (behaves(f, "keep-door"))
		keep_door(f);
	if (behaves(f, "keep-many"))
		for (int i = 0; i < 20; i++) {
			char name[8];

			snprintf(name, sizeof name, "no-%d", i);
			proc_keep(&f->proc, name, 0);
			proc_keep(&f->proc, "No Name", 0);
		}
	if (behaves(f, "talk"))
		fputs("plain words\n\033[31mred\033[0m\nno line end", stderr);
	if (behaves(f, "count-aloud"))
		for (int i = 0; i < 4000; i++)
			fprintf(stderr, "number %06d\n", i);
	if (behaves(f, "talk-json"))
		fputs("{\"time\":\"2025-01-31T12:00:00.000Z\",\"pid\":5,"
		      "\"event\":\"x\"}\n", stderr);
	if (behaves(f, "eat-all-memory"))
		eat(4096);
	if (behaves(f, "ready-twice"))
		say_up_again(f);
	if (behaves(f, "close-output")) {
		close(1);
		close(2);
	}
	if (behaves(f, "degraded"))
		proc_report(&f->proc, SLICE("parked"),
		    SLICE("set QQ_CLIENT_SECRET right"), NULL);
	if (behaves(f, "garbage"))
		(void)!write((int)f->conf.child_fd, "not a message", 13);
	if (behaves(f, "die-after-ready"))
		_exit(1);
	if (behaves(f, "silent"))
		for (;;)
			pause();
	if (behaves(f, "freeze"))
		raise(SIGSTOP);
}

static void
report(struct fake *f)
{
	struct json *app = json_new_object(), *list = json_new_array();
	struct json *one = json_new_object();

	json_put_text(one, "bot", SLICE("102000001"));
	json_put_text(one, "shard", SLICE("0/1"));
	json_put_text(one, "state", SLICE("ready"));
	json_put_int(one, "seq", 42);
	json_push_take(list, one);
	json_put_take(app, "sessions", list);
	list = json_new_array();
	one = json_new_object();
	json_put_text(one, "name", SLICE("far/7"));
	json_put_text(one, "handler", SLICE("builtin:echo"));
	json_push_take(list, one);
	json_put_take(app, "workers", list);
	proc_report(&f->proc, SLICE("ready"), SLICE(""), app);
	json_free(&app);
}

int
main(int argc, char *argv[])
{
	static const struct msg_handlers takes = { .drain = on_drain,
		.reload = on_reload, .gone = on_gone };
	static const struct msg_handlers answers = { .drain = on_drain,
		.reload = on_reload, .gone = on_gone, .ask = on_ask };
	struct fake f = { .dir = proc_bin_dir() };
	const char *base = strrchr(argv[0], '/');
	enum err    e;

	(void)argc;
	base = base != NULL ? base + 1 : argv[0];
	log_open(base, LOG_INFO, false);
	e = conf_load(&f.conf,
	    strcmp(base, "apid") == 0 ? CONF_A
	        : strcmp(base, "gatewayd") == 0 ? CONF_G
	        : strcmp(base, "qqsim") == 0 ? CONF_Q : CONF_W);
	if (e != ERR_OK) {
		conf_log_problems(&f.conf);
		return proc_leave(e);
	}
	read_behaviour(&f);
	while (behaves(&f, "dead-letters") && f.nletters < LETTERS_MAX) {
		f.letters[f.nletters] = (int)f.nletters + 1;
		f.nletters++;
	}
	tell_what_is_given(&f);
	misbehave_first(&f);
	if ((e = loop_new(&f.loop)) != ERR_OK ||
	    (e = proc_open(&f.proc, f.loop, &f.conf,
	         strcmp(base, "gatewayd") == 0 ? &answers : &takes, &f)) !=
	        ERR_OK)
		return proc_leave(e);
	if (strcmp(base, "qqsim") == 0)
		write_sim_env(&f);
	if (strcmp(base, "gatewayd") == 0)
		report(&f);
	proc_ready(&f.proc);
	log_info("fake.ready", KV("name", f.conf.child_name));
	misbehave_later(&f);
	while (e == ERR_OK && (!proc_stopping(&f.proc) || behaves(&f, "deaf")))
		e = loop_turn(f.loop, -1, NULL);
	put_file(&f, "heard", "end\n");
	proc_close(&f.proc);
	loop_free(&f.loop);
	conf_free(&f.conf);
	free(f.dir);
	return proc_leave(e);
}
