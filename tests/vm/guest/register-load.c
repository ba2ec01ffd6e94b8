// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * register-load: reads and writes of the same few blocks at the same time, and a log of
 * them, for labkit/register.py to say whether each block was a linearizable register.
 *
 *	register-load [-1] [-s SEED] [-d SECONDS] [-b BLOCKS] [-t THREADS] [-w PERCENT] DEVICE...
 *
 * Every thread picks a disk, a block of the first BLOCKS, and in PERCENT of the cases a write.
 * With -1 each block has one thread that writes it, and the rest only read it. Devices are opened with O_DIRECT, and their first blocks are zeroed before anything begins.
 * Each write has a value of its own, the thread in the upper bits and a sequence
 * number below, and fills all of the block: what belongs to another run, disk, block or write,
 * or was put together from two of them, is seen. A write that fails may have been executed or
 * not, or be executed later, and goes to the log as that; the thread rests for a moment then.
 *
 * The log goes to standard output when all threads are done, after SECONDS or SIGTERM.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		4096
#define MOST_DISKS	16
#define REST_NS		10000000
#define WORDS		(BLOCK / sizeof(uint64_t))

/* the start of a block; the rest follows from it */
struct stamp {
	uint64_t run, disk, block, value;
};

struct op {
	uint64_t value, began, ended;
	uint32_t block;
	uint8_t disk;
	char what;
};

struct worker {
	pthread_t thread;
	unsigned int number;
	uint64_t random;
	uint64_t next;		/* value */
	struct op *ops;
	size_t nr, room;
	void *buf, *expected;
};

static struct {
	uint64_t seed, run;
	unsigned int seconds, blocks, threads, percent, nr_disks;
	int disks[MOST_DISKS];
	bool one_writer;
} cfg = { .seed = 1, .seconds = 10, .blocks = 4, .threads = 8, .percent = 50 };

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Every word of a block depends on all of its stamp. */
static void fill(uint64_t *buf, const struct stamp *stamp)
{
	uint64_t state = stamp->run ^ stamp->disk << 56 ^ stamp->block << 40 ^ stamp->value;
	size_t i;

	memcpy(buf, stamp, sizeof(*stamp));
	for (i = sizeof(*stamp) / sizeof(*buf); i < WORDS; i++)
		buf[i] = next_random(&state);
}

static bool is_zero(const char *buf)
{
	return !buf[0] && !memcmp(buf, buf + 1, BLOCK - 1);
}

static struct op *new_op(struct worker *w)
{
	if (w->nr == w->room) {
		w->room = w->room ? 2 * w->room : 1024;
		w->ops = realloc(w->ops, w->room * sizeof(*w->ops));
		if (!w->ops)
			err(1, "the log");
	}
	return &w->ops[w->nr++];
}

static void rest(void)
{
	const struct timespec ts = { .tv_nsec = REST_NS };

	nanosleep(&ts, NULL);
}

static void do_write(struct worker *w, struct op *op)
{
	const struct stamp stamp = { cfg.run, op->disk, op->block, w->next++ };
	ssize_t done;

	op->value = stamp.value;
	fill(w->buf, &stamp);
	op->began = now();
	done = pwrite(cfg.disks[op->disk], w->buf, BLOCK, (off_t)op->block * BLOCK);
	op->ended = now();
	op->what = done == BLOCK ? 'w' : 'f';
}

static void judge(struct worker *w, struct op *op)
{
	struct stamp stamp;

	op->what = 'r';
	op->value = 0;
	if (is_zero(w->buf))
		return;
	memcpy(&stamp, w->buf, sizeof(stamp));
	op->value = stamp.value;
	stamp.run = cfg.run;
	stamp.disk = op->disk;
	stamp.block = op->block;
	fill(w->expected, &stamp);
	if (memcmp(w->buf, w->expected, BLOCK))
		op->what = 't';
}

static void do_read(struct worker *w, struct op *op)
{
	ssize_t done;

	op->began = now();
	done = pread(cfg.disks[op->disk], w->buf, BLOCK, (off_t)op->block * BLOCK);
	op->ended = now();
	if (done == BLOCK)
		judge(w, op);
	else
		op->what = 0;	/* says nothing */
}

/* Does the operation write? With one writer that is the thread of the block's number. */
static bool pick(struct worker *w, struct op *op)
{
	op->disk = next_random(&w->random) % cfg.nr_disks;
	op->block = next_random(&w->random) % cfg.blocks;
	if (next_random(&w->random) % 100 >= cfg.percent)
		return false;
	if (!cfg.one_writer)
		return true;
	if (w->number < cfg.blocks)
		op->block = w->number;
	return w->number < cfg.blocks;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t end = now() + cfg.seconds * 1000000000ull;
	struct op *op;

	while (!stopped && now() < end) {
		op = new_op(w);
		if (pick(w, op))
			do_write(w, op);
		else
			do_read(w, op);
		if (op->what == 'f' || !op->what)
			rest();
		if (!op->what)
			w->nr--;
	}
	return NULL;
}

static void start(struct worker *w, unsigned int number)
{
	w->number = number;
	w->random = cfg.seed + number;
	w->next = ((uint64_t)number + 1) << 40 | 1;
	if (posix_memalign(&w->buf, BLOCK, BLOCK) ||
	    posix_memalign(&w->expected, BLOCK, BLOCK))
		errx(1, "no memory");
	if (pthread_create(&w->thread, NULL, work, w))
		errx(1, "no thread");
}

static void print(const struct worker *w)
{
	const struct op *op;

	for (op = w->ops; op < w->ops + w->nr; op++)
		printf("%u %u %c %llx %llu %llu\n", op->disk, op->block, op->what,
		       (unsigned long long)op->value, (unsigned long long)op->began,
		       (unsigned long long)op->ended);
}

static void open_disk(const char *name)
{
	static char zeroes[BLOCK] __attribute__((aligned(BLOCK)));
	unsigned int block;
	int fd = open(name, O_RDWR | O_DIRECT);

	if (fd < 0)
		err(1, "%s", name);
	if (cfg.nr_disks == MOST_DISKS)
		errx(1, "more than %u devices", MOST_DISKS);
	for (block = 0; block < cfg.blocks; block++)
		if (pwrite(fd, zeroes, BLOCK, (off_t)block * BLOCK) != BLOCK)
			err(1, "%s: block %u cannot be zeroed", name, block);
	cfg.disks[cfg.nr_disks++] = fd;
}

static unsigned long long number(const char *text, unsigned long long most)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 0);

	if (*end || end == text || n > most)
		errx(1, "%s is not a number up to %llu", text, most);
	return n;
}

static void parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "1s:d:b:t:w:")) != -1) {
		switch (opt) {
		case '1':
			cfg.one_writer = true;
			break;
		case 's':
			cfg.seed = number(optarg, UINT64_MAX);
			break;
		case 'd':
			cfg.seconds = number(optarg, 86400);
			break;
		case 'b':
			cfg.blocks = number(optarg, 65535);
			break;
		case 't':
			cfg.threads = number(optarg, 1024);
			break;
		case 'w':
			cfg.percent = number(optarg, 100);
			break;
		default:
			exit(1);
		}
	}
	if (optind == argc || !cfg.blocks || !cfg.threads)
		errx(1, "usage: [-1] [-s SEED] [-d SECONDS] [-b BLOCKS] [-t THREADS] [-w PERCENT] DEVICE...");
}

int main(int argc, char **argv)
{
	struct worker *workers;
	unsigned int i;

	parse(argc, argv);
	signal(SIGTERM, stop);
	cfg.run = now() ^ (uint64_t)getpid() << 32;
	for (i = optind; i < (unsigned int)argc; i++)
		open_disk(argv[i]);
	workers = calloc(cfg.threads, sizeof(*workers));
	if (!workers)
		err(1, "threads");
	for (i = 0; i < cfg.threads; i++)
		start(&workers[i], i);
	for (i = 0; i < cfg.threads; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < cfg.threads; i++)
		print(&workers[i]);
	if (fflush(stdout))
		err(1, "the log");
	return 0;
}
