// httpd: see httpd.h.
#include "server/httpd_impl.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  BLOCK = 32 << 10,    // of a stream, handed to libmicrohttpd at a time
  BODIES_AT_ONCE = 16, // times max_body, of all requests together
  SWALLOW = 64 << 20,  // bytes of a refused body that are read so that the client sees the answer
};

// --- requests ------------------------------------------------------------------------------------

void httpd_ref(HttpRequest *r) { atomic_fetch_add(&r->refs, 1); }

void httpd_unref(HttpRequest *r) {
  if (atomic_fetch_sub(&r->refs, 1) != 1) return;
  if (r->response) MHD_destroy_response(r->response);
  buf_free(&r->body);
  buf_free(&r->out);
  pthread_mutex_destroy(&r->mu);
  pthread_mutex_destroy(&r->hook_mu);
  free(r->method);
  free(r->path);
  free(r->cors);
  free(r);
}

static void note_peer(HttpRequest *r, struct MHD_Connection *conn) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  const struct sockaddr *a = info ? info->client_addr : NULL;
  if (a && a->sa_family == AF_INET)
    inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, r->peer, sizeof r->peer);
  if (a && a->sa_family == AF_INET6)
    inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, r->peer, sizeof r->peer);
  info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
  r->fd = info ? info->connect_fd : -1;
}

static HttpRequest *new_request(Http *h, struct MHD_Connection *conn, const char *method, const char *path) {
  HttpRequest *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  *r = (HttpRequest){.http = h, .conn = conn, .fd = -1, .started = clock_now()};
  atomic_init(&r->refs, 1);
  pthread_mutex_init(&r->mu, NULL);
  pthread_mutex_init(&r->hook_mu, NULL);
  r->method = strdup(method);
  r->path = strdup(path);
  if (!r->method || !r->path) {
    httpd_unref(r);
    return NULL;
  }
  r->written = r->started;
  note_peer(r, conn);
  pthread_mutex_lock(&h->mu);
  h->n_requests++;
  pthread_mutex_unlock(&h->mu);
  return r;
}

const char *httpd_method(const HttpRequest *r) { return r->method; }
const char *httpd_path(const HttpRequest *r) { return r->path; }
const Buf *httpd_body(const HttpRequest *r) { return &r->body; }

const char *httpd_header(HttpRequest *r, const char *name) {
  return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

double httpd_started(const HttpRequest *r) { return r->started; }
void httpd_label(HttpRequest *r, const char *endpoint) { r->endpoint = endpoint; }

void httpd_note(HttpRequest *r, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  pthread_mutex_lock(&r->mu);
  if (r->note[0]) snprintf(r->note + strlen(r->note), sizeof r->note - strlen(r->note), "; ");
  const size_t n = strlen(r->note);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // checked where it is called
  vsnprintf(r->note + n, sizeof r->note - n, fmt, args);
#pragma GCC diagnostic pop
  pthread_mutex_unlock(&r->mu);
  va_end(args);
}

// --- replies -------------------------------------------------------------------------------------

// With `mu` held: libmicrohttpd looks at the connection again.
static void wake(HttpRequest *r) {
  if (!r->suspended || !r->conn) return;
  r->suspended = false;
  MHD_resume_connection(r->conn);
}

static void add_headers(const HttpRequest *r, struct MHD_Response *response, const HttpReply *reply) {
  if (reply->type) MHD_add_response_header(response, "Content-Type", reply->type);
  for (int i = 0; i < 4 && reply->extra[i][0]; i++)
    MHD_add_response_header(response, reply->extra[i][0], reply->extra[i][1]);
  MHD_add_response_header(response, "Cache-Control", reply->cacheable ? "no-cache" : "no-store");
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  if (r->refused == 503 || atomic_load(&r->http->quiet))
    MHD_add_response_header(response, "Connection", "close");
  if (!r->cors) return;
  MHD_add_response_header(response, "Access-Control-Allow-Origin", r->cors);
  MHD_add_response_header(response, "Access-Control-Expose-Headers", "Retry-After");
  MHD_add_response_header(response, "Vary", "Origin");
}

// Takes the response over, NULL for a failure: the connection is then closed.
static void set_reply(HttpRequest *r, const HttpReply *reply, struct MHD_Response *response, size_t len) {
  if (response) add_headers(r, response, reply);
  pthread_mutex_lock(&r->mu);
  if (r->gone || !r->conn) r->cut = true; // nobody to answer
  if (r->status || r->cut) {
    if (response) MHD_destroy_response(response);
  } else if (response) {
    r->response = response;
    r->status = reply->status;
    r->n_out = len;
  } else {
    r->cut = true;
  }
  wake(r);
  pthread_mutex_unlock(&r->mu);
}

void httpd_reply(HttpRequest *r, const HttpReply *reply, Buf *body) {
  const size_t len = body->len;
  char *data = body->data;
  *body = (Buf){0};
  struct MHD_Response *response =
      MHD_create_response_from_buffer(len, data, data ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
  if (!response) free(data);
  set_reply(r, reply, response, len);
}

void httpd_reply_static(HttpRequest *r, const HttpReply *reply, const void *data, size_t len) {
  struct MHD_Response *response =
      MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, MHD_RESPMEM_PERSISTENT);
  set_reply(r, reply, response, len);
}

// libmicrohttpd wants bytes of a stream.
static ssize_t read_stream(void *cls, uint64_t pos, char *buf, size_t max) {
  HttpRequest *r = cls;
  ssize_t n = 0;
  (void)pos;
  pthread_mutex_lock(&r->mu);
  const size_t left = r->out.len - r->sent;
  if (r->cut) {
    n = MHD_CONTENT_READER_END_WITH_ERROR;
  } else if (left) {
    n = (ssize_t)(left < max ? left : max);
    memcpy(buf, r->out.data + r->sent, (size_t)n);
    r->sent += (size_t)n;
    r->n_out += (size_t)n;
    if (r->sent == r->out.len) {
      buf_clear(&r->out);
      r->sent = 0;
    }
  } else if (r->ended) {
    n = MHD_CONTENT_READER_END_OF_STREAM;
  } else {
    MHD_suspend_connection(r->conn);
    r->suspended = true;
  }
  pthread_mutex_unlock(&r->mu);
  return n;
}

static void free_stream(void *cls) { httpd_unref(cls); }

void httpd_stream(HttpRequest *r, const HttpReply *reply) {
  struct MHD_Response *response =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_stream, r, free_stream);
  if (response) httpd_ref(r); // read_stream's, until free_stream
  pthread_mutex_lock(&r->mu);
  r->streams = true;
  r->written = clock_now();
  pthread_mutex_unlock(&r->mu);
  set_reply(r, reply, response, 0);
}

bool httpd_write(HttpRequest *r, const void *data, size_t len) {
  pthread_mutex_lock(&r->mu);
  bool ok = !r->cut && !r->gone && !r->ended;
  if (ok && r->sent > r->out.len / 2) { // what was sent makes room
    memmove(r->out.data, r->out.data + r->sent, r->out.len - r->sent);
    r->out.len -= r->sent;
    r->sent = 0;
  }
  if (ok && r->out.len - r->sent + len > r->http->p.max_buffer) {
    r->cut = true;
    ok = false;
    if (!r->note[0]) snprintf(r->note, sizeof r->note, "cut: the client reads too slowly");
  }
  if (ok && !buf_add(&r->out, data, len, NULL)) {
    r->cut = true;
    ok = false;
  }
  r->written = clock_now();
  wake(r);
  pthread_mutex_unlock(&r->mu);
  return ok;
}

void httpd_end(HttpRequest *r) {
  pthread_mutex_lock(&r->mu);
  r->ended = true;
  wake(r);
  pthread_mutex_unlock(&r->mu);
}

double httpd_silence(HttpRequest *r, double now) {
  pthread_mutex_lock(&r->mu);
  const double silence = now - r->written;
  pthread_mutex_unlock(&r->mu);
  return silence;
}

void httpd_keep(HttpRequest *r, const HttpHooks *hooks) {
  httpd_ref(r);
  pthread_mutex_lock(&r->hook_mu);
  r->hooks = *hooks;
  r->kept = true;
  pthread_mutex_unlock(&r->hook_mu);
  watch_add(r);
}

void httpd_release(HttpRequest *r) {
  watch_remove(r);
  pthread_mutex_lock(&r->hook_mu);
  r->kept = false;
  pthread_mutex_unlock(&r->hook_mu);
  pthread_mutex_lock(&r->mu);
  if (!r->status || (r->streams && !r->ended)) r->cut = true; // released without an answer
  wake(r);
  pthread_mutex_unlock(&r->mu);
  httpd_unref(r);
}

// --- libmicrohttpd calls -----------------------------------------------------------------------------

static void reply_error(HttpRequest *r, int status, const char *message) {
  Buf body = {0};
  HttpReply reply = {.status = status, .type = "application/json"};
  if (status == 401) reply.extra[0][0] = "WWW-Authenticate", reply.extra[0][1] = "Bearer";
  r->http->p.error(r->http->p.user, r->path, status, message, &body);
  httpd_reply(r, &reply, &body);
}

static void reply_options(HttpRequest *r) {
  HttpReply reply = {.status = 204};
  if (r->cors) {
    reply.extra[0][0] = "Access-Control-Allow-Methods", reply.extra[0][1] = "GET, POST, DELETE, OPTIONS";
    reply.extra[1][0] = "Access-Control-Allow-Headers", reply.extra[1][1] = "*, Authorization";
    reply.extra[2][0] = "Access-Control-Max-Age", reply.extra[2][1] = "600";
  } else {
    reply.extra[0][0] = "Allow", reply.extra[0][1] = "GET, HEAD, POST, DELETE, OPTIONS";
  }
  httpd_reply_static(r, &reply, "", 0);
}

// A piece of the body. False: the connection is closed.
static bool take_body(HttpRequest *r, const char *data, size_t n) {
  Http *h = r->http;
  r->n_in += n;
  if (!r->refused && r->n_in > h->p.max_body) {
    r->refused = 413;
    r->why = "the request body is larger than this server takes";
  }
  if (!r->refused && atomic_load(&h->body_now) + n > h->p.max_body * BODIES_AT_ONCE) {
    r->refused = 503;
    r->why = "too many large requests at once";
  }
  if (r->refused) {
    buf_free(&r->body);
    return r->n_in <= h->p.max_body + SWALLOW;
  }
  atomic_fetch_add(&h->body_now, n);
  r->counted += n;
  return buf_add(&r->body, data, n, NULL);
}

static void call(HttpRequest *r) {
  r->called = true;
  if (r->refused)
    reply_error(r, r->refused, r->why);
  else if (!strcmp(r->method, "OPTIONS"))
    reply_options(r);
  else
    r->http->p.fn(r->http->p.user, r);
}

// The reply goes out if it is there; else the connection sleeps until it is.
static enum MHD_Result send_or_wait(HttpRequest *r, struct MHD_Connection *conn) {
  enum MHD_Result result = MHD_YES;
  pthread_mutex_lock(&r->mu);
  struct MHD_Response *response = r->queued ? NULL : r->response;
  if (response) {
    r->queued = true;
    r->response = NULL; // libmicrohttpd's now: a stream's holds a reference to the request
  } else if (r->cut) {
    result = MHD_NO;
  } else if (!r->queued) {
    MHD_suspend_connection(conn);
    r->suspended = true;
  }
  pthread_mutex_unlock(&r->mu);
  if (!response) return result;
  // Without `mu`: libmicrohttpd locks the response, as it does when it calls read_stream.
  result = MHD_queue_response(conn, (unsigned)r->status, response);
  MHD_destroy_response(response);
  return result;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                                 const char *version, const char *data, size_t *size, void **con_cls) {
  HttpRequest *r = *con_cls;
  (void)version;
  if (!r) {
    *con_cls = r = new_request(cls, conn, method, url);
    if (!r) return MHD_NO;
    httpd_guard(r, conn);
    return MHD_YES;
  }
  if (*size) {
    const size_t n = *size;
    *size = 0;
    return take_body(r, data, n) ? MHD_YES : MHD_NO;
  }
  if (!r->called) {
    call(r);
    pthread_mutex_lock(&r->hook_mu);
    const bool kept = r->kept;
    pthread_mutex_unlock(&r->hook_mu);
    pthread_mutex_lock(&r->mu);
    const bool answered = r->status || r->cut;
    pthread_mutex_unlock(&r->mu);
    if (!kept && !answered) reply_error(r, 500, "the request was not answered");
  }
  return send_or_wait(r, conn);
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                         enum MHD_RequestTerminationCode code) {
  Http *h = cls;
  HttpRequest *r = *con_cls;
  (void)conn;
  char note[sizeof r->note];
  if (!r) return;
  *con_cls = NULL;
  watch_remove(r);
  pthread_mutex_lock(&r->mu);
  memcpy(note, r->note, sizeof note);
  struct MHD_Response *unsent = r->response;
  r->response = NULL;
  r->conn = NULL;
  r->suspended = false;
  if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK || r->cut) r->gone = true;
  const HttpDone done = {.method = r->method,
                         .path = r->path,
                         .endpoint = r->endpoint,
                         .peer = r->peer,
                         .note = note,
                         .status = r->queued ? r->status : 0,
                         .gone = r->gone,
                         .bytes_in = r->n_in,
                         .bytes_out = r->n_out,
                         .seconds = clock_now() - r->started};
  pthread_mutex_unlock(&r->mu);
  if (unsent) MHD_destroy_response(unsent);
  if (done.gone) watch_tell_gone(r);
  h->p.done(h->p.user, &done);
  atomic_fetch_sub(&h->body_now, r->counted);
  httpd_unref(r);
  pthread_mutex_lock(&h->mu);
  if (--h->n_requests == 0) pthread_cond_broadcast(&h->idle);
  pthread_mutex_unlock(&h->mu);
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **context,
                          enum MHD_ConnectionNotificationCode code) {
  Http *h = cls;
  (void)conn, (void)context;
  if (code == MHD_CONNECTION_NOTIFY_STARTED)
    atomic_fetch_add(&h->n_connections, 1);
  else
    atomic_fetch_sub(&h->n_connections, 1);
}

// --- the server ------------------------------------------------------------------------------------

static bool is_loopback(const struct sockaddr *a) {
  if (a->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
  return a->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

static bool bind_to(Http *h, const struct addrinfo *a, zaya_error *err) {
  const int on = 1;
  h->socket = socket(a->ai_family, SOCK_STREAM, 0);
  if (h->socket < 0) return err_errno(err, errno, "cannot make a socket");
  fcntl(h->socket, F_SETFD, FD_CLOEXEC);
  fcntl(h->socket, F_SETFL, O_NONBLOCK);
  setsockopt(h->socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(h->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(h->socket, a->ai_addr, a->ai_addrlen) || listen(h->socket, 256))
    return err_errno(err, errno, "cannot listen on %s, port %d", h->p.host, h->p.port);
  struct sockaddr_storage bound;
  socklen_t len = sizeof bound;
  if (getsockname(h->socket, (struct sockaddr *)&bound, &len)) return err_errno(err, errno, "getsockname");
  h->local = is_loopback((const struct sockaddr *)&bound);
  h->port = ntohs(bound.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&bound)->sin6_port
                                              : ((const struct sockaddr_in *)&bound)->sin_port);
  return true;
}

static bool open_socket(Http *h, zaya_error *err) {
  char port[16];
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
  snprintf(port, sizeof port, "%d", h->p.port);
  const int rc = getaddrinfo(h->p.host, port, &hints, &list);
  if (rc) return err_set(err, ZAYA_E_NETWORK, "cannot listen on %s: %s", h->p.host, gai_strerror(rc));
  const bool ok = bind_to(h, list, err);
  freeaddrinfo(list);
  return ok;
}

// Half of the descriptors that the process may have, so that files can still be opened.
static unsigned connection_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 8192)
    return 4096;
  return limit.rlim_cur > 64 ? (unsigned)limit.rlim_cur / 2 : 16;
}

Http *httpd_new(const HttpParams *params, zaya_error *err) {
  Http *h = calloc(1, sizeof *h);
  if (!h) {
    err_memory(err, sizeof *h, "an HTTP server");
    return NULL;
  }
  h->p = *params;
  h->socket = h->wake[0] = h->wake[1] = -1;
  pthread_mutex_init(&h->mu, NULL);
  pthread_cond_init(&h->idle, NULL);
  if (open_socket(h, err) && watch_start(h, err)) return h;
  httpd_free(h);
  return NULL;
}

bool httpd_start(Http *h, zaya_error *err) {
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME;
  flags |= MHD_is_feature_supported(MHD_FEATURE_EPOLL) == MHD_YES ? MHD_USE_EPOLL : MHD_USE_POLL;
  h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_access, h, MHD_OPTION_LISTEN_SOCKET, h->socket,
                               MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION,
                               on_connection, h, MHD_OPTION_CONNECTION_LIMIT, connection_limit(),
                               MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)h->p.idle_seconds, MHD_OPTION_END);
  return h->daemon ||
         err_set(err, ZAYA_E_NETWORK, "cannot start an HTTP server on %s, port %d", h->p.host, h->port);
}

int httpd_port(const Http *h) { return h->port; }

size_t httpd_connections(const Http *h) { return atomic_load(&h->n_connections); }

void httpd_quiesce(Http *h) {
  if (atomic_exchange(&h->quiet, true) || !h->daemon) return;
  const MHD_socket s = MHD_quiesce_daemon(h->daemon);
  if (s != MHD_INVALID_SOCKET) close(s);
  h->socket = -1;
}

static void wait_idle(Http *h, double seconds) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += (time_t)seconds;
  until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  pthread_mutex_lock(&h->mu);
  while (h->n_requests && pthread_cond_timedwait(&h->idle, &h->mu, &until) == 0) continue;
  pthread_mutex_unlock(&h->mu);
}

// libmicrohttpd cannot stop while connections are suspended: cuts what is still kept.
static void cut_kept(Http *h) {
  for (HttpRequest *r;;) {
    pthread_mutex_lock(&h->mu);
    r = h->kept;
    if (r) {
      httpd_ref(r);
      h->kept = r->next;
      if (r->next) r->next->link = &h->kept;
      r->link = NULL;
    }
    pthread_mutex_unlock(&h->mu);
    if (!r) return;
    pthread_mutex_lock(&r->mu);
    r->cut = true;
    wake(r);
    pthread_mutex_unlock(&r->mu);
    watch_tell_gone(r);
    httpd_unref(r);
  }
}

void httpd_stop(Http *h, double seconds) {
  httpd_quiesce(h);
  if (!h->daemon) return;
  wait_idle(h, seconds);
  cut_kept(h);
  MHD_stop_daemon(h->daemon);
  h->daemon = NULL;
}

void httpd_free(Http *h) {
  if (!h) return;
  httpd_stop(h, 0);
  watch_stop(h);
  for (int i = 0; i < 2; i++)
    if (h->wake[i] >= 0) close(h->wake[i]);
  if (h->socket >= 0) close(h->socket);
  pthread_mutex_destroy(&h->mu);
  pthread_cond_destroy(&h->idle);
  free(h);
}
