// http: requests in, replies out, by libmicrohttpd. Owns connections, bodies and their limit, keys, origins,
// streams and noticing clients that went away; does not own what a path means. One thread of libmicrohttpd's
// own moves bytes, one more watches; whoever answers may do so from any thread. Depends on base, Jansson not
// at all.
//
// Life of a request: `fn` is called on the HTTP thread when the request is whole. It answers at once
// (http_reply) or keeps the request (http_keep) and answers later from any thread: http_reply, or http_stream
// and then http_write .. http_end. Whoever keeps a request ends with http_release.
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef struct Http Http;
typedef struct HttpRequest HttpRequest;

// When a request is over, for logs and counters.
typedef struct HttpDone {
  const char *method, *path, *endpoint; // endpoint: what http_label gave, else NULL
  const char *peer;                     // address of the client
  const char *note;                     // http_note's, else ""
  int status;                           // 0: the client went away before there was one
  bool gone;                            // it went away before all was sent
  uint64_t bytes_in, bytes_out;         // of bodies
  double seconds;
} HttpDone;

typedef struct HttpParams {
  const char *host;               // address or name to listen on
  int port;                       // 0: any free one
  const char *const *keys;        // one of these in Authorization: Bearer or x-api-key, but for `open` paths
  size_t n_keys;                  // 0: no key is needed
  bool (*open)(const char *path); // paths that need none
  const char *cors;               // origin that pages of other origins may have, "*": any; NULL: none
  size_t max_body;                // bytes; more is 413
  size_t max_buffer;              // bytes a stream may be ahead of its client; more ends it
  int idle_seconds;               // without progress of the client, before a connection is closed
  // Called on the HTTP thread; a request that it neither answered nor kept gets a 500.
  void (*fn)(void *user, HttpRequest *r);
  // Makes the body of an error that http itself answers with (401, 403, 413, ...); freed with buf_free.
  void (*error)(void *user, const char *path, int status, const char *message, Buf *out);
  void (*done)(void *user, const HttpDone *done);
  void *user;
} HttpParams;

Http *http_new(const HttpParams *params, zaya_error *err);
int http_port(const Http *h);
size_t http_connections(const Http *h);
// No new connections; requests on old ones get 503.
void http_quiesce(Http *h);
// Waits until every reply is sent, at most `seconds`; then closes what is left. All kept requests must have
// been answered and released.
void http_free(Http *h, double seconds);

// --- a request ----------------------------------------------------------------------------------
const char *http_method(const HttpRequest *r);
const char *http_path(const HttpRequest *r); // without the query
const Buf *http_body(const HttpRequest *r);
double http_started(const HttpRequest *r);             // clock_now() when its first line was read
void http_label(HttpRequest *r, const char *endpoint); // a literal
void http_note(HttpRequest *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); // for the log line

typedef struct HttpReply {
  int status;
  const char *type;        // Content-Type; a literal
  const char *extra[4][2]; // further headers, literals or copied at once; NULL: none
  bool no_store;
} HttpReply;

// The whole reply; takes the content of `body` over. Only the first reply of a request counts.
void http_reply(HttpRequest *r, const HttpReply *reply, Buf *body);
// Static bytes, not copied.
void http_reply_static(HttpRequest *r, const HttpReply *reply, const void *data, size_t len);

// The request outlives the call of `fn`. `gone` is called once, from any thread, when the client goes away
// before the reply is complete; `tick` about every second while the reply is not complete. Neither is called
// after http_release has returned, nor do they come while the holder is inside of one of them.
typedef struct HttpHooks {
  void (*gone)(void *user);
  void (*tick)(void *user, double now);
  void *user;
} HttpHooks;
void http_keep(HttpRequest *r, const HttpHooks *hooks);
void http_release(HttpRequest *r);

// Begins a reply of unknown length.
void http_stream(HttpRequest *r, const HttpReply *reply);
// Appends; false when the client is gone or too slow (then the stream is cut: nothing more need be done for
// it).
bool http_write(HttpRequest *r, const void *data, size_t len);
void http_end(HttpRequest *r);
// Nothing was written for so long.
double http_silence(HttpRequest *r, double now);
