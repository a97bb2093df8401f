/*
 * Numbers from /proc and the control groups.
 */
#include "vitals.h"

#include <sys/stat.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "slice.h"

/* Since Linux 6.2 the size of the folder; before, who counts must look. */
static uint64_t
count_fds(pid_t pid)
{
	char        path[40];
	struct stat st;
	uint64_t    n = 0;
	DIR        *d;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	if (stat(path, &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	if ((d = opendir(path)) == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n > 2 ? n - 2 : 0;
}

void
vitals_read(pid_t pid, struct vitals *v)
{
	char               path[40], text[1024], *p;
	unsigned long long user = 0, system = 0;
	long               rss = 0;

	*v = (struct vitals){ 0 };
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	/* The name may hold anything, a bracket too. */
	if (pid <= 0 || !file_read(path, text, sizeof text) ||
	    (p = strrchr(text, ')')) == NULL ||
	    sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu "
	                  "%llu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
	        &v->state, &user, &system, &rss) != 4)
		return;
	v->cpu_ms = (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	v->rss_kib = (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
	v->fds = count_fds(pid);
}

bool
vitals_share(struct vitals_share *s, uint64_t cpu_ms, uint64_t now_ms,
    uint64_t window_ms)
{
	bool over = s->at_ms != 0 && now_ms >= s->at_ms + window_ms;

	if (s->at_ms != 0 && !over)
		return false;
	if (over) /* what could not be read is 0 */
		s->percent = cpu_ms < s->cpu_ms ? 0
		    : (cpu_ms - s->cpu_ms) * 100 / (now_ms - s->at_ms);
	s->at_ms = now_ms;
	s->cpu_ms = cpu_ms;
	return over;
}

/* --- memory that ran out ------------------------------------------------ */

/* The number behind "oom_kill ". */
static bool
oom_kill_of(const char *path, uint64_t *n)
{
	char        text[16384];
	const char *p;

	if (!file_read(path, text, sizeof text) ||
	    (p = strstr(text, "oom_kill ")) == NULL)
		return false;
	*n = strtoull(p + 9, NULL, 10);
	return true;
}

/* Our path in the hierarchy whose line in /proc/self/cgroup has this mark. */
static bool
own_group(const char *mark, char *path, size_t size)
{
	char  text[4096];
	char *p;

	if (!file_read("/proc/self/cgroup", text, sizeof text) ||
	    (p = strstr(text, mark)) == NULL)
		return false;
	p += strlen(mark);
	p[strcspn(p, "\n")] = '\0';
	return (size_t)snprintf(path, size, "%s", p) < size;
}

uint64_t
vitals_oom_kills(void)
{
	static const struct {
		const char *mark, *root, *file;
	} rows[] = {
		{ "0::", "/sys/fs/cgroup", "memory.events" },
		{ ":memory:", "/sys/fs/cgroup/memory", "memory.oom_control" },
	};
	char     group[512], path[600];
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!own_group(rows[i].mark, group, sizeof group))
			continue;
		snprintf(path, sizeof path, "%s%s/%s", rows[i].root, group,
		    rows[i].file);
		if (oom_kill_of(path, &n))
			return n;
	}
	oom_kill_of("/proc/vmstat", &n);
	return n;
}
