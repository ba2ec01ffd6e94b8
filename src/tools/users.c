// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who uses a disk or a partition of it, as far as the system tells: mounts, swap, and
 * other block devices (LVM, md, dm). Programs that have it open are not among them.
 */
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "users.h"

static void users_above(const char *disk, const char *dir, struct words *users)
{
	struct words names = { 0 };
	size_t i;

	files_list(text_format("%s/holders", dir), &names);
	for (i = 0; i < names.nr; i++)
		words_add(users, text_format("%s is part of %s", disk, names.word[i]));
}

static void users_mounts(const char *dir, struct words *users)
{
	FILE *mounts = fopen(files_path("/proc/self/mountinfo"), "re");
	char line[4096], number[32], place[2048];
	const char *dev = files_read(dir, "dev");

	while (mounts && dev && fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%*s %*s %31s %*s %2047s", number, place) == 2 &&
		    !strcmp(number, dev))
			words_add(users, text_format("it is mounted on %s", place));
	if (mounts)
		fclose(mounts);
}

static void users_swap(const char *disk, struct words *users)
{
	FILE *swaps = fopen(files_path("/proc/swaps"), "re");
	char line[4096], node[2048];

	while (swaps && fgets(line, sizeof(line), swaps))
		if (sscanf(line, "%2047s", node) == 1 &&
		    !strcmp(node, text_format("/dev/%s", disk)))
			words_add(users, text_format("%s is swap", disk));
	if (swaps)
		fclose(swaps);
}

static void users_of_one(const char *name, const char *dir, struct words *users)
{
	users_above(name, dir, users);
	users_mounts(dir, users);
	users_swap(name, users);
}

/* Who uses a disk, or a partition, in a sentence each. */
void users_of(const char *disk, struct words *users)
{
	const char *dir = files_path("/sys/class/block/%s", disk);
	struct words names = { 0 };
	size_t i;

	users_of_one(disk, dir, users);
	files_list(dir, &names);
	for (i = 0; i < names.nr; i++)
		if (!strncmp(names.word[i], disk, strlen(disk)))
			users_of_one(names.word[i], text_format("%s/%s", dir, names.word[i]),
				     users);
}
