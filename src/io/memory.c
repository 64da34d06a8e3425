/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  How much the page cache can hold.
 *
 * Pages that a process reads are charged to its control group, so in a
 * container or service with a memory limit that is what counts.  Which group
 * it is says /proc/self/cgroup, a line for each hierarchy:
 *
 *		0::/system.slice/postgresql.service		version 2
 *		4:memory:/docker/1234					version 1
 *
 * The limits of the groups above it hold, too.  In a container the path may
 * be one that only the host knows; then the group found at the root of the
 * mounted hierarchy is the container's own.  See "Memory" in the kernel's
 * Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
 *
 * Copyright (c) 2026, vecseg contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "storage/fd.h"

#include "io/memory.h"

/* The number in a file; UINT64_MAX if there is none ("max"). */
static uint64
read_limit(const char *path)
{
	FILE *file = AllocateFile(path, "r");
	unsigned long long limit;
	bool found;

	if (file == NULL)
		return PG_UINT64_MAX;
	found = fscanf(file, "%llu", &limit) == 1;
	FreeFile(file);
	return found ? limit : PG_UINT64_MAX;
}

/* The least limit of a group and those above it */
static uint64
group_limit(const char *mount, char *group, const char *name)
{
	uint64 limit = PG_UINT64_MAX;

	for (;;)
	{
		char path[MAXPGPATH];
		char *slash = strrchr(group, '/');
		uint64 found;

		snprintf(path, sizeof(path), "%s%s/%s", mount, group, name);
		found = read_limit(path);
		limit = Min(limit, found);
		if (slash == NULL)
			return limit;
		*slash = '\0';
	}
}

/* The limit that a line of /proc/self/cgroup leads to; the line is cut up */
static uint64
line_limit(char *line)
{
	char *controllers = strchr(line, ':');
	char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');

	if (group == NULL)
		return PG_UINT64_MAX;
	*group++ = '\0';
	group[strcspn(group, "\n")] = '\0';
	if (strcmp(controllers, ":") == 0)
		return group_limit("/sys/fs/cgroup", group, "memory.max");
	if (strcmp(controllers, ":memory") == 0)
		return group_limit("/sys/fs/cgroup/memory", group,
						   "memory.limit_in_bytes");
	return PG_UINT64_MAX;
}

uint64
vecseg_memory_limit(void)
{
	static uint64 limit = 0; /* a process stays in its group, as a rule */
	char line[MAXPGPATH];
	FILE *file;

	if (limit != 0)
		return limit;
	limit = (uint64) sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	file = AllocateFile("/proc/self/cgroup", "r");
	if (file != NULL)
	{
		while (fgets(line, sizeof(line), file) != NULL)
		{
			uint64 found = line_limit(line); /* Min() evaluates twice */

			limit = Min(limit, found);
		}
		FreeFile(file);
	}
	return limit;
}
