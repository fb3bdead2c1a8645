// chat_term: see chat_term.h. Signal handlers do nothing but set flags, write a byte to a pipe that the
// sleeper watches (whichever thread they hit), and put the terminal back.
#define _DEFAULT_SOURCE // SIGWINCH

#include "chat_term.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct {
  bool interactive;
  struct termios found; // the terminal's modes at the start
  int pipe[2];
} term = {.pipe = {-1, -1}};

static struct {
  unsigned char bytes[4096];
  size_t at, end;
} input;

static volatile sig_atomic_t interrupts, leaving, changed, mode;

static const char paste_on[] = "\033[?2004h", paste_off[] = "\033[?2004l", plain_text[] = "\033[0m";

static void put(const char *text, size_t n) {
  while (n) {
    const ssize_t k = write(STDOUT_FILENO, text, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return;
    text += k;
    n -= (size_t)k;
  }
}

static void wake(void) {
  const int saved = errno;
  const ssize_t ignored = write(term.pipe[1], "x", 1); // a full pipe wakes as well
  (void)ignored;
  errno = saved;
}

// As the program found it. Safe in a signal handler.
static void put_back(void) {
  if (!term.interactive) return;
  if (mode == CHAT_TERM_EDIT) put(paste_off, sizeof paste_off - 1);
  if (mode == CHAT_TERM_ANSWER) put(plain_text, sizeof plain_text - 1);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &term.found);
}

static void on_interrupt(int signum) {
  interrupts = interrupts + 1;
  if (interrupts >= 3 && mode != CHAT_TERM_EDIT) { // it does not listen any more
    put_back();
    _exit(128 + signum);
  }
  wake();
}

static void on_leave(int signum) {
  (void)signum;
  leaving = 1;
  wake();
}

static void on_change(int signum) {
  (void)signum;
  changed = 1;
  wake();
}

// Ctrl-Z: the shell gets the terminal as it knows it, and the program finds its own again.
static void on_stop(int signum) {
  const int saved = errno;
  struct termios own;
  (void)signum;
  const bool known = term.interactive && tcgetattr(STDIN_FILENO, &own) == 0;
  put_back();
  kill(getpid(), SIGSTOP);
  if (known) tcsetattr(STDIN_FILENO, TCSADRAIN, &own);
  if (known && mode == CHAT_TERM_EDIT) put(paste_on, sizeof paste_on - 1);
  changed = 1;
  wake();
  errno = saved;
}

static void catch_signal(int signum, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(signum, &action, NULL);
}

void chat_term_start(bool interactive) {
  if (pipe(term.pipe) == 0)
    for (int i = 0; i < 2; i++) {
      fcntl(term.pipe[i], F_SETFL, O_NONBLOCK);
      fcntl(term.pipe[i], F_SETFD, FD_CLOEXEC);
    }
  term.interactive = interactive && tcgetattr(STDIN_FILENO, &term.found) == 0;
  catch_signal(SIGINT, on_interrupt);
  catch_signal(SIGTERM, on_leave);
  catch_signal(SIGHUP, on_leave);
  catch_signal(SIGPIPE, SIG_IGN); // a reader that went away is seen where output is written
  if (!term.interactive) return;
  catch_signal(SIGWINCH, on_change);
  catch_signal(SIGTSTP, on_stop);
}

void chat_term_end(void) {
  put_back();
  mode = CHAT_TERM_PLAIN;
  static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGWINCH, SIGTSTP};
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) catch_signal(caught[i], SIG_DFL);
  for (int i = 0; i < 2; i++)
    if (term.pipe[i] >= 0) close(term.pipe[i]);
  term.pipe[0] = term.pipe[1] = -1;
}

void chat_term_set(ChatTermMode next) {
  if (!term.interactive || mode == (sig_atomic_t)next) return;
  put_back();
  mode = next;
  if (next == CHAT_TERM_EDIT) put(paste_on, sizeof paste_on - 1);
  if (next == CHAT_TERM_ANSWER) {
    struct termios quiet = term.found;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
  }
}

bool chat_term_interrupted(void) { return interrupts > 0; }

void chat_term_forget(void) { interrupts = 0; }

bool chat_term_leaving(void) { return leaving != 0; }

bool chat_term_changed(void) {
  const bool was = changed != 0;
  changed = 0;
  return was;
}

// Sleeps until standard input has something (true), or a signal came (false).
static bool wait_input(void) {
  struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = term.pipe[0], .events = POLLIN}};
  if (poll(fds, 2, -1) < 0) return errno != EINTR;
  char drain[64];
  bool signalled = false;
  while (fds[1].revents && read(term.pipe[0], drain, sizeof drain) > 0) signalled = true;
  return !signalled;
}

int chat_term_byte(void) {
  if (input.at < input.end) return input.bytes[input.at++];
  if (!wait_input()) return CHAT_TERM_SIGNAL;
  const ssize_t n = read(STDIN_FILENO, input.bytes, sizeof input.bytes);
  if (n < 0 && errno == EINTR) return CHAT_TERM_SIGNAL;
  if (n <= 0) return CHAT_TERM_EOF;
  input.at = 0;
  input.end = (size_t)n;
  return input.bytes[input.at++];
}

void chat_term_flush(void) {
  input.at = input.end = 0;
  if (term.interactive) tcflush(STDIN_FILENO, TCIFLUSH);
}
