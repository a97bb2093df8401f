// links: common
/*
 * proc: what a program says to its parent, and when it takes the hint.
 */
#include "test.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "proc.h"

struct rig {
	struct loop *loop;
	struct proc  proc;
	struct conf  conf;
	int          parent;          /* our end */
	char         said[256];       /* kinds that arrived, in order */
	char         drained[64];
	size_t       drains;
};

static void
on_drain(void *self, msg_peer from, const struct msg_drain *m)
{
	struct rig *r = self;

	(void)from;
	r->drains++;
	snprintf(r->drained, sizeof r->drained, "%d", (int)m->grace_ms);
}

static const struct msg_handlers takes = { .drain = on_drain };

static void
rig_open(struct rig *r)
{
	int pair[2];

	*r = (struct rig){ .parent = -1 };
	EXPECT(loop_new(&r->loop) == ERR_OK);
	EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	r->parent = pair[0];
	r->conf.child_fd = (uint64_t)pair[1];
	EXPECT(proc_open(&r->proc, r->loop, &r->conf, &takes, r) == ERR_OK);
	EXPECT(fcntl(pair[1], F_GETFD) & FD_CLOEXEC);
}

static void
rig_close(struct rig *r)
{
	proc_close(&r->proc);
	loop_free(&r->loop);
	if (r->parent >= 0)
		close(r->parent);
}

/* Kinds of what has come up, appended to r->said; the last body decoded. */
static void
hear(struct rig *r, enum msg_kind kind, void *msg)
{
	static char packet[MSG_HEAD + 4096];
	ssize_t     n;

	while ((n = recv(r->parent, packet, sizeof packet, MSG_DONTWAIT)) > 0) {
		struct slice body = { packet + MSG_HEAD,
			(size_t)n - MSG_HEAD };
		size_t       at = strlen(r->said);

		EXPECT(n >= MSG_HEAD && memcmp(packet, "RK1", 3) == 0);
		if (at + 1 < sizeof r->said)
			r->said[at] = packet[3];
		if (packet[3] == msg_info(kind)->kind)
			EXPECT(msg_decode(kind, body, msg) == ERR_OK);
	}
}

static void
tell(struct rig *r, enum msg_kind kind, const void *msg)
{
	struct buf packet = { 0 };
	char       head[MSG_HEAD];

	buf_puts(&packet, "RK1?");
	EXPECT(msg_encode(kind, msg, head, &packet) == ERR_OK);
	packet.p[3] = head[3];
	EXPECT(send(r->parent, packet.p, packet.n, 0) == (ssize_t)packet.n);
	buf_free(&packet);
}

TEST(wake_ups_interrupt_nobody)
{
	struct rig r;

	rig_open(&r);
	EXPECT(sched_getscheduler(0) == SCHED_BATCH);
	rig_close(&r);
}

TEST(readiness_is_told_once)
{
	struct msg_up up = { { 0 } };
	struct rig    r;

	rig_open(&r);
	hear(&r, MSG_up, &up);
	EXPECT_STR(r.said, "");
	proc_ready(&r.proc);
	proc_ready(&r.proc);
	hear(&r, MSG_up, &up);
	EXPECT_STR(r.said, "UB");
	EXPECT_SLICE(up.version, ROOKERY_VERSION);
	/* the next beat comes by itself, within about a second */
	for (int i = 0; i < 60 && strcmp(r.said, "UB") == 0; i++) {
		struct msg_beat beat;

		loop_turn(r.loop, 50, NULL);
		hear(&r, MSG_beat, &beat);
	}
	EXPECT_STR(r.said, "UBB");
	rig_close(&r);
}

TEST(reports_carry_what_the_program_says)
{
	struct msg_report m = { .remedy = { NULL, 0 } };
	struct json      *app = json_new_object(), *back = NULL;
	struct rig        r;

	rig_open(&r);
	json_put_int(app, "n", 9007199254740993);
	proc_report(&r.proc, SLICE("parked"), SLICE("do this"), app);
	hear(&r, MSG_report, &m);
	EXPECT_STR(r.said, "M");
	EXPECT_SLICE(m.state, "parked");
	EXPECT_SLICE(m.remedy, "do this");
	EXPECT(json_from_msgpack(&back, m.app) == ERR_OK);
	EXPECT_SLICE(json_print(back), "{\"n\":9007199254740993}");
	json_free(&back);
	proc_report(&r.proc, SLICE(""), SLICE(""), NULL);
	hear(&r, MSG_report, &m);
	EXPECT_STR(r.said, "MM");
	json_free(&app);
	rig_close(&r);
}

TEST(the_parent_is_obeyed)
{
	struct msg_drain     drain = { .grace_ms = 1234 };
	struct msg_log_level level = { .level = SLICE("error") };
	struct msg_up        up = { { 0 } };
	struct rig           r;

	rig_open(&r);
	log_set_level(LOG_INFO);
	tell(&r, MSG_drain, &drain);
	tell(&r, MSG_log_level, &level);
	loop_turn(r.loop, 100, NULL);
	EXPECT_STR(r.drained, "1234");
	EXPECT(!log_enabled(LOG_INFO));
	log_set_level(LOG_INFO);
	/* nonsense, the wrong way, and nothing: passed over */
	tell(&r, MSG_up, &up);
	EXPECT(send(r.parent, "RK1D", 4, 0) == 4);
	EXPECT(send(r.parent, "RK1D\xc1", 5, 0) == 5);
	EXPECT(send(r.parent, "x", 1, 0) == 1);
	level.level = SLICE("loud");
	tell(&r, MSG_log_level, &level);
	tell(&r, MSG_drain, &drain);
	loop_turn(r.loop, 100, NULL);
	EXPECT_INT(r.drains, 2);
	EXPECT(log_enabled(LOG_INFO) && !proc_stopping(&r.proc));
	rig_close(&r);
}

TEST(without_the_parent_it_stops)
{
	struct rig r;

	rig_open(&r);
	proc_ready(&r.proc);
	close(r.parent);
	r.parent = -1;
	EXPECT(!proc_stopping(&r.proc));
	for (int i = 0; i < 10 && !proc_stopping(&r.proc); i++)
		loop_turn(r.loop, 100, NULL);
	EXPECT(proc_stopping(&r.proc));
	/* and whatever it says now is said to nobody */
	proc_report(&r.proc, SLICE("x"), SLICE(""), NULL);
	proc_stop(&r.proc);
	rig_close(&r);
}

TEST(signals_mean_stop)
{
	static const int signals[] = { SIGTERM, SIGINT };

	for (int i = 0; i < 2; i++) {
		struct msg_stopping m;
		struct rig          r;

		rig_open(&r);
		raise(signals[i]);
		for (int k = 0; k < 10 && !proc_stopping(&r.proc); k++)
			loop_turn(r.loop, 100, NULL);
		EXPECT(proc_stopping(&r.proc));
		proc_stop(&r.proc);
		hear(&r, MSG_stopping, &m);
		EXPECT_STR(r.said, "Z"); /* once */
		rig_close(&r);
	}
}

/* A parent that does not read costs a beat, never a wait. */
TEST(a_deaf_parent_holds_nobody_up)
{
	uint64_t   start = loop_clock_ms();
	struct rig r;

	rig_open(&r);
	for (int i = 0; i < 5000; i++)
		proc_report(&r.proc, SLICE("ready"), SLICE(""), NULL);
	EXPECT(loop_clock_ms() - start < 5000);
	rig_close(&r);
}

TEST(alone_it_says_nothing)
{
	struct loop *loop;
	struct conf  conf = { .child_fd = 0 };
	struct proc  p;

	EXPECT(loop_new(&loop) == ERR_OK);
	EXPECT(proc_open(&p, loop, &conf, NULL, NULL) == ERR_OK);
	proc_ready(&p);
	proc_report(&p, SLICE("x"), SLICE(""), NULL);
	EXPECT(!proc_stopping(&p));
	proc_close(&p);
	conf.child_fd = 1000; /* not open */
	EXPECT(proc_open(&p, loop, &conf, NULL, NULL) == ERR_CONFIG);
	proc_close(&p);
	loop_free(&loop);
}

TEST(systemd_hears_its_own_words)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct loop       *loop;
	struct conf        conf = { .child_fd = 0 };
	struct proc        p;
	char               said[200] = "", one[64];
	ssize_t            n;
	int                fd;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	strcpy(a.sun_path, "notify.sock");
	EXPECT(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
	setenv("NOTIFY_SOCKET", "notify.sock", 1);
	EXPECT(loop_new(&loop) == ERR_OK);
	EXPECT(proc_open(&p, loop, &conf, NULL, NULL) == ERR_OK);
	proc_ready(&p);
	proc_stop(&p);
	while ((n = recv(fd, one, sizeof one - 1, 0)) > 0) {
		one[n] = '\0';
		strcat(strcat(said, one), ";");
	}
	EXPECT_STR(said, "READY=1;WATCHDOG=1;STOPPING=1;");
	unsetenv("NOTIFY_SOCKET");
	proc_close(&p);
	loop_free(&loop);
	close(fd);
}

TEST(how_it_ends_is_a_status)
{
	EXPECT_INT(proc_leave(ERR_OK), 0);
	EXPECT_INT(proc_leave(ERR_CONFIG), 78);
	EXPECT_INT(proc_leave(ERR_NETWORK), 75);
	EXPECT_INT(proc_leave(ERR_NOMEM), 75);
	EXPECT_INT(proc_leave(ERR_BUSY), 75);
}

TEST(locks_hold_one)
{
	int   fd = -1, status = -1;
	pid_t child;

	EXPECT(proc_lock("lock", &fd) == ERR_OK && fd >= 0);
	EXPECT(proc_lock("lock", NULL) == ERR_BUSY);
	if ((child = fork()) == 0)
		_exit(proc_lock("lock", NULL) == ERR_BUSY ? 0 : 1);
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	close(fd);
	EXPECT(proc_lock("lock", &fd) == ERR_OK);
	close(fd);
	EXPECT(proc_lock("no/such/folder/lock", &fd) == ERR_SYSTEM);
}

TEST(folders_are_made)
{
	static const char dir[] = "ROOKERY_STATE_DIR";
	char              deep[1100];
	struct stat       st;
	FILE             *f = fopen("file", "w");

	fclose(f);
	EXPECT(proc_make_dir(dir, "a/b/c", 0700) == ERR_OK);
	EXPECT(stat("a/b/c", &st) == 0 && (st.st_mode & 0777) == 0700);
	EXPECT(proc_make_dir(dir, "a/b/c", 0700) == ERR_OK);
	EXPECT(proc_make_dir(dir, "file/x", 0700) == ERR_CONFIG);
	EXPECT(proc_make_dir(dir, "", 0700) == ERR_CONFIG);
	EXPECT(proc_make_dir(dir, "file", 0700) == ERR_CONFIG);
	memset(deep, 'x', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	EXPECT(proc_make_dir(dir, deep, 0700) == ERR_CONFIG);
}

TEST(it_knows_where_it_stands)
{
	char *dir = proc_bin_dir();

	EXPECT(dir != NULL && dir[0] == '/' && access(dir, X_OK) == 0);
	EXPECT(dir != NULL && strstr(dir, "common_proc") == NULL);
	free(dir);
}

static int
on_left(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int
main(void)
{
	char dir[] = "/tmp/rookery-proc-XXXXXX";

	if (mkdtemp(dir) == NULL || chdir(dir) < 0)
		return 1;
	unsetenv("NOTIFY_SOCKET");
	RUN(wake_ups_interrupt_nobody);
	RUN(readiness_is_told_once);
	RUN(reports_carry_what_the_program_says);
	RUN(the_parent_is_obeyed);
	RUN(without_the_parent_it_stops);
	RUN(signals_mean_stop);
	RUN(a_deaf_parent_holds_nobody_up);
	RUN(alone_it_says_nothing);
	RUN(systemd_hears_its_own_words);
	RUN(how_it_ends_is_a_status);
	RUN(locks_hold_one);
	RUN(folders_are_made);
	RUN(it_knows_where_it_stands);
	nftw(dir, on_left, 8, FTW_DEPTH | FTW_PHYS);
	return test_done();
}
