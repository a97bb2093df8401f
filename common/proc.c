/*
 * What every program is to the system and to its parent.
 */
#include "proc.h"

#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

enum { BEAT_MS = 1000, ORPHAN_S = 5 };

static const char notify_socket[] = "NOTIFY_SOCKET";

/* --- to the parent ------------------------------------------------------------ */

static void
tell_parent(struct proc *p, enum msg_kind kind, const void *msg)
{
	char       head[MSG_HEAD];
	struct buf packet = { 0 };

	if (p->fd < 0)
		return;
	buf_put(&packet, (struct slice){ "RK1?", MSG_HEAD });
	if (msg_encode(kind, msg, head, &packet) == ERR_OK) {
		memcpy(packet.p, head, MSG_HEAD);
		/* A parent that does not read loses a beat or a report; it
		 * never holds us up. */
		(void)!send(p->fd, packet.p, packet.n,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	buf_free(&packet);
}

static void
tell_systemd(const char *text)
{
	const char        *path = getenv(notify_socket);
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t             n = path != NULL ? strlen(path) : 0;
	int                fd;

	if (n == 0 || n >= sizeof to.sun_path)
		return;
	memcpy(to.sun_path, path, n);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return;
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL,
	    (struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

static void
on_beat(void *self)
{
	struct proc    *p = self;
	struct msg_beat beat = { .t = loop_now(p->loop) };

	tell_parent(p, MSG_beat, &beat);
	tell_systemd("WATCHDOG=1");
	loop_after(p->loop, &p->beat, BEAT_MS, on_beat, p);
}

void
proc_ready(struct proc *p)
{
	struct msg_up up = { .version = SLICE(ROOKERY_VERSION) };

	if (p->ready)
		return;
	p->ready = true;
	tell_parent(p, MSG_up, &up);
	tell_systemd("READY=1");
	on_beat(p);
}

void
proc_report(struct proc *p, struct slice state, struct slice remedy,
    const struct json *app)
{
	struct msg_report r = { .state = state, .remedy = remedy };
	struct buf        packed = { 0 };

	if (p->fd < 0)
		return;
	if (app != NULL && json_to_msgpack(app, &packed) == ERR_OK)
		r.app = buf_slice(&packed);
	tell_parent(p, MSG_report, &r);
	buf_free(&packed);
}

void
proc_keep(struct proc *p, const char *name, int fd)
{
	char text[80];
	union {
		struct cmsghdr head;
		char           room[CMSG_SPACE(sizeof fd)];
	} control = { 0 };
	struct iovec  iov = { text, 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (p->fd < 0)
		return;
	iov.iov_len = (size_t)snprintf(text, sizeof text,
	    "%s=1\nFDNAME=%.31s", fd >= 0 ? "FDSTORE" : "FDSTOREREMOVE", name);
	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof control;
		control.head = (struct cmsghdr){ CMSG_LEN(sizeof fd),
			SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
	}
	if (sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_warn("proc.keep", KV("name", name),
		    KV("why", strerror(errno)));
}

int
proc_kept(const struct conf *conf, const char *name)
{
	const char *p = conf->child_kept;
	size_t      n = strlen(name);

	while (*p != '\0') {
		if (strncmp(p, name, n) == 0 && p[n] == '=') {
			int fd = atoi(p + n + 1);

			return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
		}
		p += strcspn(p, " ");
		p += *p == ' ';
	}
	return -1;
}

/* --- from the parent ------------------------------------------------------------ */

static void
on_log_level(void *self, msg_peer from, const struct msg_log_level *m)
{
	enum log_level level;

	(void)self, (void)from;
	if (log_level_of(m->level, &level))
		log_set_level(level);
}

/* So that who asks need not wait for an answer that will not come. */
static void
on_needless_ask(void *self, msg_peer from, const struct msg_ask *m)
{
	(void)from;
	proc_answer(self, m->id, ERR_NOT_FOUND,
	    SLICE("this program answers no questions"), NULL);
}

static void
take_packet(struct proc *p, struct slice packet)
{
	static const struct msg_handlers ours = { .log_level = on_log_level };
	static const struct msg_handlers rest = { .ask = on_needless_ask };
	struct slice head = { packet.p, MSG_HEAD };
	struct slice body = slice_from(packet, MSG_HEAD);
	enum err     e;

	if (packet.n < MSG_HEAD)
		return;
	e = msg_dispatch(head, body, MSG_CHILD_DOWN, &ours, p,
	    (msg_peer){ NULL, 0 });
	if (e == ERR_FORBIDDEN && p->takes != NULL)
		e = msg_dispatch(head, body, MSG_CHILD_DOWN, p->takes, p->self,
		    (msg_peer){ NULL, 0 });
	if (e == ERR_FORBIDDEN)
		msg_dispatch(head, body, MSG_CHILD_DOWN, &rest, p,
		    (msg_peer){ NULL, 0 });
}

static void
on_parent(void *self, int fd, unsigned what)
{
	struct proc *p = self;
	char         packet[PROC_PACKET_MAX];
	ssize_t      n = 0;

	(void)what;
	while ((n = recv(fd, packet, sizeof packet, MSG_DONTWAIT)) > 0)
		take_packet(p, (struct slice){ packet, (size_t)n });
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	log_warn("proc.orphan", KV("why", "the supervisor is gone"));
	loop_unwatch(p->loop, fd);
	close(fd);
	p->fd = -1;
	p->orphaned = true;
	proc_stop(p);
}

enum err
proc_answer(struct proc *p, uint64_t id, enum err why, struct slice message,
    const struct json *data)
{
	struct msg_answer a = { .id = id, .ok = why == ERR_OK,
		.message = message };
	struct buf        packed = { 0 };
	enum err          e = ERR_OK;

	if (why != ERR_OK)
		a.code = slice_of(err_name(why));
	if (data != NULL && (e = json_to_msgpack(data, &packed)) == ERR_OK)
		a.data = buf_slice(&packed);
	if (packed.n > PROC_ANSWER_MAX)
		e = ERR_FULL;
	if (e != ERR_OK) {
		a = (struct msg_answer){ .id = id,
			.code = slice_of(err_name(e)),
			.message = SLICE("the answer is too long") };
	}
	tell_parent(p, MSG_answer, &a);
	buf_free(&packed);
	return e;
}

/* --- life ------------------------------------------------------------------------ */

int
proc_options(int argc, char *argv[], const char *program,
    void (*more)(FILE *))
{
	bool  help = argc == 2 && strcmp(argv[1], "--help") == 0;
	FILE *to = help ? stdout : stderr;

	if (argc == 1)
		return -1;
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("%s " ROOKERY_VERSION "\n", program);
		return EXIT_DONE;
	}
	fprintf(to,
	    "usage: %s [--help | --version]\n"
	    "Settings come from the environment and .env: see %s(8) and "
	    "rookery.env(5).\n",
	    program, program);
	if (more != NULL)
		more(to);
	return help ? EXIT_DONE : EXIT_USAGE_ERROR;
}

void
proc_log(const struct conf *conf, const char *program)
{
	enum log_level level = LOG_INFO;

	log_level_of(slice_of(conf->log_level), &level);
	log_open(program, level, slice_is(slice_of(conf->log_format), "json"));
}

static void
on_orphaned(int signal)
{
	(void)signal;
	alarm(ORPHAN_S);
}

/* A parent that dies closes its socket, and we stop; a loop that hangs does not
 * notice, but its process gets this signal, and in the end another. */
static void
watch_over_orphan(void)
{
	struct sigaction sa = { .sa_handler = on_orphaned,
		.sa_flags = SA_RESTART };

	sigaction(SIGVTALRM, &sa, NULL);
	prctl(PR_SET_PDEATHSIG, SIGVTALRM);
}

static void
on_stop_signal(void *self, int signal)
{
	log_info("proc.signal", KV("signal", signal));
	proc_stop(self);
}

/* A message passes through six threads on its way.  By default each wake-up
 * interrupts whoever runs, so that under load every message pays for all its
 * switches alone; this way those who wait are served when a turn has ended,
 * and many messages share a switch.  With a processor idle it changes
 * nothing.  Threads and children inherit it. */
static void
interrupt_nobody(void)
{
	struct sched_param none = { 0 };

	if (sched_setscheduler(0, SCHED_BATCH, &none) < 0)
		log_debug("proc.policy", KV("why", strerror(errno)));
}

static void
nothing(int signal)
{
	(void)signal;
}

enum err
proc_open(struct proc *p, struct loop *loop, const struct conf *conf,
    const struct msg_handlers *takes, void *self)
{
	enum err e;

	*p = (struct proc){ .loop = loop, .fd = -1, .takes = takes,
		.self = self };
	/* Not ignored: that would be inherited by what a plugin starts. */
	signal(SIGPIPE, nothing);
	signal(SIGXFSZ, SIG_IGN); /* a file over its limit is an error */
	interrupt_nobody();
	if ((e = loop_signal(loop, SIGTERM, on_stop_signal, p)) != ERR_OK ||
	    (e = loop_signal(loop, SIGINT, on_stop_signal, p)) != ERR_OK)
		return e;
	if (conf->child_fd == 0)
		return ERR_OK;
	p->fd = (int)conf->child_fd;
	/* Our messages say all that its words could, and more. */
	unsetenv(notify_socket);
	if (fcntl(p->fd, F_SETFD, FD_CLOEXEC) < 0) {
		log_error("config.bad", KV("setting", "ROOKERY_CHILD_FD"),
		    KV("why", "is no open descriptor"));
		p->fd = -1;
		return ERR_CONFIG;
	}
	watch_over_orphan();
	return loop_watch(loop, p->fd, LOOP_READ, on_parent, p);
}

void
proc_close(struct proc *p)
{
	if (p->loop == NULL)
		return;
	loop_cancel(p->loop, &p->beat);
	if (p->fd >= 0) {
		loop_unwatch(p->loop, p->fd);
		close(p->fd);
	}
	p->fd = -1;
}

bool
proc_stopping(const struct proc *p)
{
	return p->stopping;
}

bool
proc_orphaned(const struct proc *p)
{
	return p->orphaned;
}

void
proc_stop(struct proc *p)
{
	struct msg_stopping m = { 0 };

	if (p->stopping)
		return;
	p->stopping = true;
	tell_parent(p, MSG_stopping, &m);
	tell_systemd("STOPPING=1");
}

int
proc_leave(enum err e)
{
	if (e == ERR_OK)
		return EXIT_DONE;
	log_error("proc.leave", KV("err", err_name(e)), KV("why", err_text(e)));
	return e == ERR_CONFIG ? EXIT_CONFIG : EXIT_AGAIN;
}

void
proc_guard(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}

char *
proc_bin_dir(void)
{
	char    path[4096], *slash;
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	if ((slash = strrchr(path, '/')) == NULL)
		return NULL;
	*slash = '\0';
	return strdup(path);
}

/* 0: the folder is there and ours; else why it is not. */
static int
make_dir(char *path, unsigned mode)
{
	struct stat st;
	int         why = 0;

	for (char *p = path + 1; *p != '\0'; p++)
		if (*p == '/') {
			*p = '\0';
			if (mkdir(path, 0755) < 0 && errno != EEXIST && !why)
				why = errno;
			*p = '/';
		}
	if (mkdir(path, mode) < 0 && errno != EEXIST && !why)
		why = errno;
	if (stat(path, &st) < 0)
		return why != 0 ? why : errno;
	if (!S_ISDIR(st.st_mode))
		return ENOTDIR;
	return access(path, W_OK | X_OK) == 0 ? 0 : errno;
}

enum err
proc_make_dir(const char *setting, const char *dir, unsigned mode)
{
	char path[1024], remedy[160];
	int  why;

	if (strlen(dir) >= sizeof path)
		why = ENAMETOOLONG;
	else if (dir[0] == '\0')
		why = ENOENT;
	else
		why = make_dir(strcpy(path, dir), mode);
	if (why == 0)
		return ERR_OK;
	snprintf(remedy, sizeof remedy, "make it a folder that this user may "
	    "write to, or set another %s", setting);
	log_error("proc.dir", KV("setting", setting), KV("value", dir),
	    KV("why", strerror(why)), KV("remedy", remedy));
	return ERR_CONFIG;
}

enum err
proc_lock(const char *path, int *out)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return ERR_SYSTEM;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		enum err e = errno == EWOULDBLOCK ? ERR_BUSY : ERR_SYSTEM;

		close(fd);
		return e;
	}
	if (out != NULL)
		*out = fd;
	return ERR_OK;
}
