/*
 * Control groups, or a walk through /proc.
 */
#include "kin.h"

#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "log.h"
#include "orphan.h"

/* --- control groups ----------------------------------------------------- */

static bool
write_file(const char *dir, const char *file, const char *text)
{
	char path[KIN_PATH_MAX + 100];
	int  fd;
	bool ok;

	snprintf(path, sizeof path, "%s/%s", dir, file);
	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

/* Where the unified hierarchy is mounted; the second place beside v1. */
static const char *const mounts[] = { "/sys/fs/cgroup",
	"/sys/fs/cgroup/unified" };

/* The group we are in, when we may make groups within it.  The root of the
 * machine, which has no events, is not ours. */
static bool
own_group(char *path, size_t size)
{
	char  text[4096], events[PATH_MAX];
	char *p;

	file_read("/proc/self/cgroup", text, sizeof text);
	p = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (p == NULL)
		return false;
	p = strstr(p, "0::") + 3;
	p[strcspn(p, "\n")] = '\0';
	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
		if ((size_t)snprintf(path, size, "%s%s", mounts[i], p) >= size)
			continue;
		snprintf(events, sizeof events, "%s/cgroup.events", path);
		if (access(events, R_OK) == 0 && access(path, W_OK) == 0)
			return true;
	}
	return false;
}

static void
group_of(const struct kin *k, const char *name, char path[KIN_PATH_MAX + 64])
{
	size_t n = (size_t)snprintf(path, KIN_PATH_MAX + 64, "%s/", k->base);

	snprintf(path + n, KIN_PATH_MAX + 64 - n, "%s", name);
	for (char *p = path + n; *p != '\0'; p++)
		if (*p == '/')
			*p = '-';
}

static bool
is_populated(const char *group)
{
	char path[KIN_PATH_MAX + 100], text[256];

	snprintf(path, sizeof path, "%s/cgroup.events", group);
	file_read(path, text, sizeof text);
	return strstr(text, "populated 1") != NULL;
}

static void
each_group(const struct kin *k, void (*fn)(const char *group))
{
	DIR           *d = opendir(k->base);
	struct dirent *e;
	char           path[KIN_PATH_MAX + 64];

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		group_of(k, e->d_name, path);
		fn(path);
	}
	if (d != NULL)
		closedir(d);
}

static void
kill_group(const char *group)
{
	if (is_populated(group))
		log_warn("kin.left", KV("group", group));
	write_file(group, "cgroup.kill", "1");
}

static void
remove_group(const char *group)
{
	rmdir(group);
}

void
kin_close(struct kin *k)
{
	if (k->base[0] == '\0')
		return;
	each_group(k, remove_group);
	rmdir(k->base);
}

void
kin_adopt(const struct kin *k, const char *name, pid_t pid)
{
	char group[KIN_PATH_MAX + 64], text[24];

	if (k->base[0] == '\0')
		return;
	group_of(k, name, group);
	snprintf(text, sizeof text, "%d", (int)pid);
	mkdir(group, 0755);
	if (!write_file(group, "cgroup.procs", text))
		log_warn("kin.adopt", KV("name", name), KV("group", group));
}

void
kin_forget(const struct kin *k, const char *name)
{
	char group[KIN_PATH_MAX + 64];

	if (k->base[0] == '\0')
		return;
	group_of(k, name, group);
	rmdir(group);
}

/* --- orphans ------------------------------------------------------------ */

/* Started as this child, by its environment. */
static bool
is_named(pid_t pid, const char *name)
{
	char pair[80];

	snprintf(pair, sizeof pair, "ROOKERY_CHILD_NAME=%s", name);
	return orphan_has(pid, pair);
}

static bool
is_guest(const struct kin *k, pid_t pid)
{
	for (size_t i = 0; i < k->nguests; i++)
		if (k->guests[i] == pid)
			return true;
	return false;
}

struct search {
	const struct kin *kin;
	const char       *name; /* NULL: every orphan */
	pid_t             group;
	kin_fn           *is_child;
	void             *self;
	bool              kills;
	size_t            found;
};

static void
look_at(void *self, pid_t pid)
{
	struct search *s = self;

	if (s->is_child(s->self, pid) || is_guest(s->kin, pid))
		return;
	if (s->name != NULL && getpgid(pid) != s->group &&
	    !is_named(pid, s->name))
		return;
	s->found++;
	if (s->kills)
		orphan_kill(pid);
}

void
kin_kill(const struct kin *k, const char *name, pid_t group, kin_fn *is_child,
    void *self)
{
	struct search s = { k, name, group, is_child, self, true, 0 };
	char          path[KIN_PATH_MAX + 64];

	if (k->base[0] != '\0') {
		group_of(k, name, path);
		write_file(path, "cgroup.kill", "1");
	}
	/* It may have started some before it was moved into its group. */
	orphan_each(getpid(), look_at, &s);
}

bool
kin_left(const struct kin *k, const char *name, pid_t group, kin_fn *is_child,
    void *self)
{
	struct search s = { k, name, group, is_child, self, false, 0 };
	char          path[KIN_PATH_MAX + 64];

	if (k->base[0] != '\0') {
		group_of(k, name, path);
		if (is_populated(path))
			return true;
	}
	orphan_each(getpid(), look_at, &s);
	return s.found > 0;
}

void
kin_kill_orphans(const struct kin *k, kin_fn *is_child, void *self)
{
	struct search s = { k, NULL, 0, is_child, self, true, 0 };

	orphan_each(getpid(), look_at, &s);
}

/* --- those who were there before ----------------------------------------- */

static void
note_guest(void *self, pid_t pid)
{
	struct kin *k = self;

	if (k->nguests < KIN_GUESTS_MAX)
		k->guests[k->nguests++] = pid;
}

void
kin_reaped(struct kin *k, pid_t pid)
{
	for (size_t i = 0; i < k->nguests; i++)
		if (k->guests[i] == pid)
			k->guests[i] = k->guests[--k->nguests];
}

/* --- life --------------------------------------------------------------- */

/* Before Linux 5.14 a group cannot be killed; the walk does better then. */
static bool
may_kill(const char *group)
{
	char path[KIN_PATH_MAX + 100];

	snprintf(path, sizeof path, "%s/cgroup.kill", group);
	return access(path, W_OK) == 0;
}

void
kin_open(struct kin *k, const char *run_dir, bool fresh)
{
	char        own[KIN_PATH_MAX - 60];
	struct stat st;

	k->base[0] = '\0';
	if (fresh)
		orphan_each(getpid(), note_guest, k);
	if (stat(run_dir, &st) < 0 || !own_group(own, sizeof own))
		return;
	/* By the folder itself: in another mount namespace, and in our group
	 * all the same, somebody else's may have the same name. */
	snprintf(k->base, sizeof k->base, "%s/rookery-%jx-%jx", own,
	    (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	mkdir(k->base, 0755);
	if (access(k->base, W_OK) < 0 || !may_kill(k->base)) {
		rmdir(k->base);
		k->base[0] = '\0';
		return;
	}
	if (fresh)
		each_group(k, kill_group);
	log_info("kin.groups", KV("folder", k->base));
}
