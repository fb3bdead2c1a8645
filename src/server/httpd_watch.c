// httpd_watch: a thread that looks after the requests which are being worked on: notices clients that went
// away, also while libmicrohttpd does not look at their connection, and ticks. See httpd_impl.h.
#include "server/httpd_impl.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

// What one round looks at: entry i of `fds` is of requests[i]; entry 0 is the pipe.
typedef struct Round {
  struct pollfd *fds;
  HttpRequest **requests;
  size_t n, cap_fds, cap_requests;
} Round;

static void wake(Http *h) {
  const char c = 0;
  ssize_t n = write(h->wake[1], &c, 1); // a full pipe wakes as well
  (void)n;
}

void watch_add(HttpRequest *r) {
  Http *h = r->http;
  pthread_mutex_lock(&h->mu);
  r->next = h->kept;
  r->link = &h->kept;
  if (r->next) r->next->link = &r->next;
  h->kept = r;
  pthread_mutex_unlock(&h->mu);
  wake(h);
}

void watch_remove(HttpRequest *r) {
  pthread_mutex_lock(&r->http->mu);
  if (r->link) {
    *r->link = r->next;
    if (r->next) r->next->link = r->link;
    r->link = NULL;
  }
  pthread_mutex_unlock(&r->http->mu);
}

void watch_tell_gone(HttpRequest *r) {
  pthread_mutex_lock(&r->hook_mu);
  const bool tell = r->kept && !r->told;
  r->told = true;
  if (tell && r->hooks.gone) r->hooks.gone(r->hooks.user);
  pthread_mutex_unlock(&r->hook_mu);
}

static void tick(HttpRequest *r, double now) {
  pthread_mutex_lock(&r->hook_mu);
  if (r->kept && !r->told && r->hooks.tick) r->hooks.tick(r->hooks.user, now);
  pthread_mutex_unlock(&r->hook_mu);
}

// Takes a reference to every kept request. False when the thread is to end.
static bool gather(Http *h, Round *round) {
  pthread_mutex_lock(&h->mu);
  const bool go_on = !h->stop;
  round->n = 1;
  for (HttpRequest *r = h->kept; go_on && r; r = r->next) {
    if (!buf_grow((void **)&round->fds, &round->cap_fds, round->n + 1, sizeof *round->fds, NULL) ||
        !buf_grow((void **)&round->requests, &round->cap_requests, round->n + 1, sizeof(void *), NULL))
      break; // the rest is looked at when memory is there again
    httpd_ref(r);
    round->requests[round->n] = r;
    round->fds[round->n++] = (struct pollfd){.fd = r->deaf ? -1 : r->fd, .events = POLLIN};
  }
  pthread_mutex_unlock(&h->mu);
  round->fds[0] = (struct pollfd){.fd = h->wake[0], .events = POLLIN};
  return go_on;
}

// The socket has something to say: the end, or more requests.
static void look(HttpRequest *r) {
  char c;
  bool left = false;
  pthread_mutex_lock(&r->mu);
  const bool answered = r->status && (!r->streams || r->ended);
  if (answered) {
    r->deaf = true;     // what it does now is its own affair
  } else if (r->conn) { // else it is over, and the descriptor may be another's
    const ssize_t n = recv(r->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    left = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    if (n > 0) r->deaf = true;
    if (left) r->gone = true;
  }
  pthread_mutex_unlock(&r->mu);
  if (left) watch_tell_gone(r);
}

static void *watch_main(void *arg) {
  Http *h = arg;
  Round round = {0};
  double ticked = clock_now();
  bool ok = buf_grow((void **)&round.fds, &round.cap_fds, 64, sizeof *round.fds, NULL) &&
            buf_grow((void **)&round.requests, &round.cap_requests, 64, sizeof(void *), NULL);
  while (ok && gather(h, &round)) {
    const double left = ticked + 1 - clock_now();
    poll(round.fds, (nfds_t)round.n, left > 0 ? (int)(left * 1000) + 1 : 0);
    char drain[256];
    while (read(h->wake[0], drain, sizeof drain) > 0) continue;
    const double now = clock_now();
    const bool tick_now = now >= ticked + 1;
    if (tick_now) ticked = now;
    for (size_t i = 1; i < round.n; i++) {
      if (round.fds[i].fd >= 0 && round.fds[i].revents) look(round.requests[i]);
      if (tick_now) tick(round.requests[i], now);
      httpd_unref(round.requests[i]);
    }
  }
  free(round.fds);
  free(round.requests);
  return NULL;
}

static bool make_pipe(int fds[2], zaya_error *err) {
  if (pipe(fds)) return err_errno(err, errno, "cannot make a pipe");
  for (int i = 0; i < 2; i++) {
    fcntl(fds[i], F_SETFL, O_NONBLOCK);
    fcntl(fds[i], F_SETFD, FD_CLOEXEC);
  }
  return true;
}

bool watch_start(Http *h, zaya_error *err) {
  if (!make_pipe(h->wake, err)) return false;
  const int rc = pthread_create(&h->watcher, NULL, watch_main, h);
  h->watching = rc == 0;
  return rc == 0 || err_errno(err, rc, "cannot start a thread");
}

void watch_stop(Http *h) {
  if (!h->watching) return;
  pthread_mutex_lock(&h->mu);
  h->stop = true;
  pthread_mutex_unlock(&h->mu);
  wake(h);
  pthread_join(h->watcher, NULL);
  h->watching = false;
}
