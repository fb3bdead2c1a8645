// httpd: requests in, replies out, by libmicrohttpd. Owns connections, bodies and their limit, keys, origins,
// streams and noticing clients that went away; does not own what a path means. One thread of libmicrohttpd's
// own moves bytes, one more watches; whoever answers may do so from any thread. Depends on base, Jansson not
// at all.
//
// Life of a request: `fn` is called on the HTTP thread when the request is whole. It answers at once
// (httpd_reply) or keeps the request (httpd_keep) and answers later from any thread: httpd_reply, or
// httpd_stream and then httpd_write .. httpd_end. Whoever keeps a request ends with httpd_release.
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef struct Http Http;
typedef struct HttpRequest HttpRequest;

// When a request is over, for logs and counters.
typedef struct HttpDone {
  const char *method, *path, *endpoint; // endpoint: what httpd_label gave, else NULL
  const char *peer;                     // address of the client
  const char *note;                     // httpd_note's, else ""
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

// Binds the address; connections are accepted from httpd_start on, when whatever `fn` needs is in its place.
Http *httpd_new(const HttpParams *params, zaya_error *err);
bool httpd_start(Http *h, zaya_error *err);
int httpd_port(const Http *h);
size_t httpd_connections(const Http *h);
// No new connections; requests on old ones get 503.
void httpd_quiesce(Http *h);
// Waits until every reply is sent, at most `seconds`; then closes what is left: keepers are told that it is
// gone.
void httpd_stop(Http *h, double seconds);
// Every kept request must have been released.
void httpd_free(Http *h);

// --- a request ----------------------------------------------------------------------------------
const char *httpd_method(const HttpRequest *r);
const char *httpd_path(const HttpRequest *r); // without the query
const Buf *httpd_body(const HttpRequest *r);
// A header of the request, NULL when there is none. On the HTTP thread only, inside of `fn`.
const char *httpd_header(HttpRequest *r, const char *name);
double httpd_started(const HttpRequest *r);             // clock_now() when its first line was read
void httpd_label(HttpRequest *r, const char *endpoint); // a literal
void httpd_note(HttpRequest *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); // for the log line, behind what was noted before

typedef struct HttpReply {
  int status;
  const char *type;        // Content-Type; a literal
  const char *extra[4][2]; // further headers, literals or copied at once; NULL: none
  bool cacheable;          // may be kept and asked for again with its ETag; else it is not stored
} HttpReply;

// The whole reply; takes the content of `body` over. Only the first reply of a request counts.
void httpd_reply(HttpRequest *r, const HttpReply *reply, Buf *body);
// Static bytes, not copied.
void httpd_reply_static(HttpRequest *r, const HttpReply *reply, const void *data, size_t len);

// The request outlives the call of `fn`. `gone` is called once, from any thread, when the client goes away
// before the reply is complete; `tick` about every second while the reply is not complete. Neither is called
// after httpd_release has returned, nor do they come while the holder is inside of one of them.
typedef struct HttpHooks {
  void (*gone)(void *user);
  void (*tick)(void *user, double now);
  void *user;
} HttpHooks;
void httpd_keep(HttpRequest *r, const HttpHooks *hooks);
void httpd_release(HttpRequest *r);

// Begins a reply of unknown length.
void httpd_stream(HttpRequest *r, const HttpReply *reply);
// Appends; false when the client is gone or too slow (then the stream is cut: nothing more need be done for
// it).
bool httpd_write(HttpRequest *r, const void *data, size_t len);
void httpd_end(HttpRequest *r);
// Nothing was written for so long.
double httpd_silence(HttpRequest *r, double now);
