/*
 * posix_spawn and pidfds.  posix_spawn rather than fork: it shares the memory
 * until the exec, so a start costs the same however large the parent is, and
 * a failed exec is an error here and not an exit there.
 */
#include "spawn.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t
spawn_files(uint64_t soft)
{
	struct rlimit l;
	uint64_t      was;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return soft;
	was = l.rlim_cur;
	l.rlim_cur = soft < l.rlim_max ? soft : l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l);
	return was;
}

/* The array that exec wants, pointing into the block; last: one more string,
 * or NULL. */
static char **
vector_of(struct buf *env, char *last)
{
	size_t n = 0, i = 0;
	char **v;

	for (size_t at = 0; at < env->n; at++)
		n += env->p[at] == '\0';
	if (env->failed || (v = calloc(n + 2, sizeof *v)) == NULL)
		return NULL;
	for (size_t at = 0; at < env->n; at += strlen(env->p + at) + 1)
		v[i++] = env->p + at;
	v[i] = last;
	return v;
}

static int
put_kept(posix_spawn_file_actions_t *fa, const struct kept *k)
{
	int e = 0;

	for (size_t i = 0; i < k->n && e == 0; i++)
		e = posix_spawn_file_actions_adddup2(fa, k->row[i].fd,
		    SPAWN_KEPT_FD + (int)i);
	return e;
}

static int
set_actions(posix_spawn_file_actions_t *fa, const struct spawn *s)
{
	int e;

	if ((e = posix_spawn_file_actions_addopen(fa, STDIN_FILENO,
	         "/dev/null", O_RDONLY, 0)) != 0 ||
	    (e = posix_spawn_file_actions_adddup2(fa, s->output,
	         STDOUT_FILENO)) != 0 ||
	    (e = posix_spawn_file_actions_adddup2(fa, s->output,
	         STDERR_FILENO)) != 0 ||
	    (e = posix_spawn_file_actions_adddup2(fa, s->socket,
	         SPAWN_SOCKET_FD)) != 0)
		return e;
	e = s->secret >= 0
	    ? posix_spawn_file_actions_adddup2(fa, s->secret, SPAWN_SECRET_FD)
	    : posix_spawn_file_actions_addclose(fa, SPAWN_SECRET_FD);
	if (e != 0 || (e = put_kept(fa, s->kept)) != 0)
		return e;
	return posix_spawn_file_actions_addclosefrom_np(fa,
	    SPAWN_KEPT_FD + (int)s->kept->n);
}

static int
set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int      e;

	sigemptyset(&none);
	sigfillset(&all);
	if ((e = posix_spawnattr_setflags(attr,
	         POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
	             POSIX_SPAWN_SETSIGDEF)) != 0 ||
	    (e = posix_spawnattr_setsigmask(attr, &none)) != 0)
		return e;
	return posix_spawnattr_setsigdefault(attr, &all);
}

static int
run(const struct spawn *s, char **env, pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t          attr;
	char                      *name = strdup(s->program);
	char *argv[2] = { name, NULL };
	int   e = name == NULL ? ENOMEM : 0;

	if (e == 0 && (e = posix_spawn_file_actions_init(&fa)) == 0) {
		if ((e = posix_spawnattr_init(&attr)) == 0) {
			if ((e = set_actions(&fa, s)) == 0 &&
			    (e = set_attributes(&attr)) == 0)
				e = posix_spawn(pid, s->path, &fa, &attr, argv,
				    env);
			posix_spawnattr_destroy(&attr);
		}
		posix_spawn_file_actions_destroy(&fa);
	}
	free(name);
	return e;
}

int
spawn_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

enum err
spawn_start(const struct spawn *s, pid_t *pid, int *pidfd)
{
	struct buf kept = { 0 };
	char     **env = NULL;
	uint64_t   ours;
	int        e = ENOMEM;

	if (s->kept->n > 0) {
		buf_puts(&kept, "ROOKERY_CHILD_KEPT=");
		kept_print(s->kept, SPAWN_KEPT_FD, &kept);
		buf_put(&kept, (struct slice){ "", 1 });
	}
	if (!kept.failed)
		env = vector_of(s->env, kept.p);
	ours = spawn_files(s->files);
	if (env != NULL)
		e = run(s, env, pid);
	spawn_files(ours);
	buf_free(&kept);
	free(env);
	if (e != 0) {
		errno = e;
		return ERR_SYSTEM;
	}
	/* It may have ended already; its number is not free until we reap it,
	 * so this cannot be another process. */
	*pidfd = spawn_pidfd(*pid);
	if (*pidfd >= 0)
		return ERR_OK;
	e = errno;
	kill(-*pid, SIGKILL);
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	errno = e;
	return ERR_SYSTEM;
}

bool
spawn_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0;
}

/* Only while its leader runs or is not reaped: the number is its own then. */
void
spawn_kill_group(pid_t pid)
{
	kill(-pid, SIGKILL);
}
