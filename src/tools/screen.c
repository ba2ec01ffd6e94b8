// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A view that is drawn again and again in its place, cut to the window, until "q", Ctrl-C
 * or another signal ends it. The terminal is as it was then, and while the view is
 * suspended.
 *
 * What is not drawn, because it goes to a file or a pipe, needs the signals only.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "screen.h"
#include "text.h"

static struct {
	bool		drawn;
	bool		reads;		/* keys */
	struct termios	before;
	int		signals;
} screen;

/* Whether there is a terminal that can be drawn on. */
bool screen_is_there(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb");
}

static void screen_take(void)
{
	struct termios mode;

	if (!screen.drawn)
		return;
	screen.reads = !tcgetattr(STDIN_FILENO, &screen.before);
	if (screen.reads) {
		mode = screen.before;
		mode.c_lflag &= ~(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &mode);
	}
	/* without a cursor */
	fputs("\033[?25l\033[H\033[2J", stdout);
	fflush(stdout);
}

static void screen_give_back(void)
{
	if (!screen.drawn)
		return;
	fputs("\n\033[?25h", stdout);
	fflush(stdout);
	if (screen.reads)
		tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

/* Begin; @drawn: on the terminal. False: there is no descriptor for the signals. */
bool screen_begin(bool drawn)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	if (drawn) {
		sigaddset(&signals, SIGWINCH);
		sigaddset(&signals, SIGTSTP);
	}
	sigprocmask(SIG_BLOCK, &signals, NULL);
	screen.drawn = drawn;
	screen.signals = signalfd(-1, &signals, SFD_CLOEXEC);
	if (screen.signals < 0)
		return false;
	screen_take();
	return true;
}

void screen_end(void)
{
	screen_give_back();
	close(screen.signals);
}

/* How many bytes of a line fit into the window. */
static size_t screen_fitting(const char *line, size_t len, size_t width)
{
	size_t used = 0, bytes = 0, step;
	uint32_t code;
	int columns;

	while (bytes < len) {
		step = text_char(line + bytes, &code);
		columns = step ? wcwidth(code) : 1;
		used += columns > 0 ? columns : 0;
		if (used > width)
			break;
		bytes += step ? step : 1;
	}
	return bytes;
}

static void screen_line(const char *line, size_t len, size_t width, bool bold)
{
	size_t fitting = screen_fitting(line, len, width);

	printf(bold ? "\033[1m%.*s\033[0m\033[K" : "%.*s\033[K", (int)fitting, line);
}

static struct winsize screen_size(void)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	if (!size.ws_row || !size.ws_col)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	return size;
}

/* Draw a text, the first line of which is a heading. */
void screen_draw(const char *text, size_t len)
{
	const char *end = text + len, *more = "(the window is too small for the rest)";
	struct winsize size = screen_size();
	const char *none = getenv("NO_COLOR");
	size_t row;

	fputs("\033[H", stdout);
	for (row = 1; text < end && row <= size.ws_row; row++) {
		const char *newline = memchr(text, '\n', end - text);
		size_t line = (newline ? newline : end) - text;

		if (row > 1)
			putchar('\n');
		if (row == size.ws_row && text + line + 1 < end)
			screen_line(more, strlen(more), size.ws_col, false);
		else
			screen_line(text, line, size.ws_col, row == 1 && !(none && *none));
		text += line + 1;
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

static bool screen_key_ends(void)
{
	char key[64];
	ssize_t nr = read(STDIN_FILENO, key, sizeof(key));

	if (nr <= 0)
		screen.reads = false;	/* the terminal is gone, and SIGHUP comes */
	return nr > 0 && (memchr(key, 'q', nr) || memchr(key, 'Q', nr));
}

static enum screen_event screen_take_signal(void)
{
	struct signalfd_siginfo signal;

	if (read(screen.signals, &signal, sizeof(signal)) != sizeof(signal))
		return SCREEN_END;
	if (signal.ssi_signo == SIGTSTP) {
		screen_give_back();
		raise(SIGSTOP);
		screen_take();
		return SCREEN_DRAW;
	}
	return signal.ssi_signo == SIGWINCH ? SCREEN_DRAW : SCREEN_END;
}

/* Wait for what comes next, a time at most. */
enum screen_event screen_wait(long long ms)
{
	struct pollfd events[] = {
		{ .fd = screen.signals, .events = POLLIN },
		{ .fd = screen.drawn && screen.reads ? STDIN_FILENO : -1, .events = POLLIN },
	};

	if (poll(events, ARRAY_SIZE(events), ms > 0 ? ms : 0) <= 0)
		return SCREEN_TIME;
	if (events[0].revents)
		return screen_take_signal();
	if (screen_key_ends())
		return SCREEN_END;
	return SCREEN_DRAW;
}
