// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz-driver RUNS SEED...: stands in for libFuzzer where there is none. Each run changes
 * one of the seeds a few times; the same each time, so that what fails once always does.
 * The input of a run that aborts is in build/fuzz-input.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define DRIVER_SIZE_MAX	4096
#define DRIVER_SEEDS_MAX	64
#define DRIVER_CHANGES_MAX	8

struct driver_text {
	uint8_t	data[DRIVER_SIZE_MAX];
	size_t	size;
};

static struct driver_text driver_seeds[DRIVER_SEEDS_MAX], driver_input;
static size_t driver_nr_seeds;

static uint32_t driver_random(uint32_t below)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 20) % below;
}

static void driver_read(const char *name)
{
	struct driver_text *seed = &driver_seeds[driver_nr_seeds];
	FILE *file = fopen(name, "re");

	if (!file || driver_nr_seeds == DRIVER_SEEDS_MAX) {
		fprintf(stderr, "fuzz-driver: %s: %s\n", name, strerror(file ? E2BIG : errno));
		exit(2);
	}
	seed->size = fread(seed->data, 1, sizeof(seed->data), file);
	fclose(file);
	driver_nr_seeds++;
}

static void driver_flip(struct driver_text *text)
{
	static const char bytes[] = "\0\t\n\f \"#%&'*,-:!?@[]{|}\\\177\200\303\377";

	if (text->size)
		text->data[driver_random(text->size)] = bytes[driver_random(sizeof(bytes) - 1)];
}

static void driver_cut(struct driver_text *text)
{
	size_t at, len;

	if (!text->size)
		return;
	at = driver_random(text->size);
	len = 1 + driver_random(text->size - at);
	memmove(text->data + at, text->data + at + len, text->size - at - len);
	text->size -= len;
}

/* A piece of a seed goes somewhere into the text. */
static void driver_splice(struct driver_text *text)
{
	const struct driver_text *from = &driver_seeds[driver_random(driver_nr_seeds)];
	size_t at = driver_random(text->size + 1), start, len;

	if (!from->size)
		return;
	start = driver_random(from->size);
	len = 1 + driver_random(from->size - start);
	if (len > 40)
		len = 1 + driver_random(40);
	if (text->size + len > DRIVER_SIZE_MAX)
		return;
	memmove(text->data + at + len, text->data + at, text->size - at);
	memcpy(text->data + at, from->data + start, len);
	text->size += len;
}

static void driver_change(struct driver_text *text)
{
	static void (* const changes[])(struct driver_text *text) = {
		driver_flip, driver_cut, driver_splice, driver_splice,
	};

	changes[driver_random(sizeof(changes) / sizeof(changes[0]))](text);
}

/* Only what may be called in the middle of anything. */
static void driver_keep_input(int sig)
{
	int fd = open("build/fuzz-input", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, driver_input.data, driver_input.size) < 0)
		_exit(3);
	signal(sig, SIG_DFL);
	raise(sig);
}

int main(int argc, char **argv)
{
	long runs = argc > 2 ? atol(argv[1]) : 0, run;
	int i;

	if (runs <= 0) {
		fputs("usage: fuzz-driver RUNS SEED...\n", stderr);
		return 2;
	}
	signal(SIGABRT, driver_keep_input);
	for (i = 2; i < argc; i++)
		driver_read(argv[i]);
	for (run = 0; run < runs; run++) {
		uint32_t changes = driver_random(DRIVER_CHANGES_MAX);

		driver_input = driver_seeds[driver_random(driver_nr_seeds)];
		while (changes--)
			driver_change(&driver_input);
		LLVMFuzzerTestOneInput(driver_input.data, driver_input.size);
	}
	printf("[  PASSED  ] 1 test(s).\n");
	return 0;
}
