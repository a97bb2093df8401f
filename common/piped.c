/*
 * fork and exec.  Between the two only calls that are safe in the child of a
 * process with threads; a step that fails is told through a pipe which a
 * successful exec closes.
 */
#include "piped.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILES = 1024, TELL_FD = 3 };

struct pipes {
	int to[2], from[2], err[2], tell[2];
};

static void
limit(int what, rlim_t n)
{
	struct rlimit l = { n, n };

	setrlimit(what, &l);
}

static bool
become_user(const struct piped_user *u)
{
	if (geteuid() == u->uid)
		return true;
	return setgroups((size_t)u->ngroups, u->groups) == 0 &&
	    setresgid(u->gid, u->gid, u->gid) == 0 &&
	    setresuid(u->uid, u->uid, u->uid) == 0;
}

/* In the child, up to the exec; errno says what failed. */
static void
become(const struct piped_order *s, const struct pipes *p, char **envp, pid_t parent)
{
	sigset_t none;

	setpgid(0, 0);
	for (int n = 1; n < NSIG; n++)
		signal(n, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (s->user != NULL && !become_user(s->user))
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* which another user would undo */
	if (getppid() != parent)
		_exit(0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return;
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, FILES);
	if (s->memory_mib > 0)
		limit(RLIMIT_DATA, (rlim_t)s->memory_mib << 20);
	if (dup2(p->to[0], STDIN_FILENO) < 0 ||
	    dup2(p->from[1], STDOUT_FILENO) < 0 ||
	    dup2(p->err[1], STDERR_FILENO) < 0)
		return;
	if (p->tell[1] != TELL_FD && dup3(p->tell[1], TELL_FD, O_CLOEXEC) < 0)
		return;
	syscall(SYS_close_range, TELL_FD + 1, ~0u, 0);
	if (s->dir[0] != '\0' && chdir(s->dir) < 0)
		return;
	execve(s->path, s->argv, envp);
}

static char **
vector_of(const struct buf *env)
{
	size_t n = 0, i = 0;
	char **v;

	for (size_t at = 0; at < env->n; at++)
		n += env->p[at] == '\0';
	if (env->failed || (v = calloc(n + 1, sizeof *v)) == NULL)
		return NULL;
	for (size_t at = 0; at < env->n; at += strlen(env->p + at) + 1)
		v[i++] = env->p + at;
	return v;
}

static void
close_pair(int fd[2])
{
	for (int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

static void
close_all(struct pipes *p)
{
	close_pair(p->to);
	close_pair(p->from);
	close_pair(p->err);
	close_pair(p->tell);
}

/* One end, kept; the other stays in the struct to be closed. */
static int
keep(int fd[2], int i)
{
	int kept = fd[i];

	fd[i] = -1;
	fcntl(kept, F_SETFL, fcntl(kept, F_GETFL) | O_NONBLOCK);
	return kept;
}

/* 0, or the errno that the child met. */
static int
verdict(struct pipes *p)
{
	int     e = 0;
	ssize_t n;

	close(p->tell[1]);
	p->tell[1] = -1;
	while ((n = read(p->tell[0], &e, sizeof e)) < 0 && errno == EINTR)
		continue;
	return n == sizeof e ? e : 0;
}

static enum err
start(const struct piped_order *s, struct pipes *p, char **envp, struct piped *out)
{
	pid_t parent = getpid(), pid = fork();
	int   e;

	if (pid < 0)
		return ERR_SYSTEM;
	if (pid == 0) {
		become(s, p, envp, parent);
		e = errno;
		(void)!write(p->tell[1] != TELL_FD ? TELL_FD : p->tell[1], &e,
		    sizeof e);
		_exit(127);
	}
	setpgid(pid, pid);
	out->pidfd = -1;
	if ((e = verdict(p)) == 0) {
		out->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		e = errno;
	}
	if (out->pidfd < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		errno = e;
		return ERR_SYSTEM;
	}
	out->pid = pid;
	out->to = keep(p->to, 1);
	out->from = keep(p->from, 0);
	out->err = keep(p->err, 0);
	return ERR_OK;
}

enum err
piped_user_find(const char *name, struct piped_user *u)
{
	const struct passwd *p = getpwnam(name);

	if (p == NULL)
		return ERR_NOT_FOUND;
	u->uid = p->pw_uid;
	u->gid = p->pw_gid;
	snprintf(u->home, sizeof u->home, "%s", p->pw_dir);
	u->ngroups = PIPED_GROUPS_MAX;
	/* Too many: the first of them will do. */
	if (getgrouplist(name, p->pw_gid, u->groups, &u->ngroups) < 0)
		u->ngroups = PIPED_GROUPS_MAX;
	return geteuid() == 0 || geteuid() == u->uid ? ERR_OK : ERR_SYSTEM;
}

enum err
piped_start(const struct piped_order *s, struct piped *out)
{
	struct pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	char       **envp = vector_of(s->env);
	enum err     e = envp != NULL ? ERR_SYSTEM : ERR_NOMEM;
	int          saved;

	if (envp != NULL && pipe2(p.to, O_CLOEXEC) == 0 &&
	    pipe2(p.from, O_CLOEXEC) == 0 && pipe2(p.err, O_CLOEXEC) == 0 &&
	    pipe2(p.tell, O_CLOEXEC) == 0)
		e = start(s, &p, envp, out);
	saved = errno;
	close_all(&p);
	free(envp);
	errno = saved;
	return e;
}
