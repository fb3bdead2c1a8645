// httpd_impl: the inside of http, for httpd.c (connections, bodies, replies), httpd_guard.c (who may ask) and
// httpd_watch.c (who is still there).
//
// Order of locks: HttpRequest.hook_mu, what a hook's owner locks, HttpRequest.mu, Http.mu.
#pragma once

#include "server/httpd.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct Http {
  HttpParams p;
  struct MHD_Daemon *daemon;
  int socket, port;
  bool local;        // listens on the loopback interface only
  atomic_bool quiet; // no new requests
  atomic_size_t n_connections;
  atomic_size_t body_now; // bytes of bodies that are being read or worked on

  pthread_mutex_t mu;
  pthread_cond_t idle; // n_requests has become 0
  size_t n_requests;   // between their first line and their end
  HttpRequest *kept;   // list of those that the watcher looks after
  pthread_t watcher;
  bool watching, stop;
  int wake[2]; // pipe: the list has grown, or stop
};

struct HttpRequest {
  Http *http;
  atomic_int refs; // libmicrohttpd's, the keeper's, the stream's, the watcher's
  char *method, *path, *cors;
  char peer[64], note[400];
  const char *endpoint;
  double started;
  Buf body;
  size_t n_in, counted; // bytes that came; of body_now
  int refused;          // status of an error that was found before the body was read
  const char *why;
  bool called; // fn was

  pthread_mutex_t hook_mu;
  HttpHooks hooks;
  bool kept, told; // the keeper has not released it; its `gone` was called

  pthread_mutex_t mu;
  struct MHD_Connection *conn;   // NULL once it is over
  struct MHD_Response *response; // until it is queued
  int status, fd;
  bool suspended, queued, gone;
  bool deaf; // the client has sent more: its leaving cannot be seen
  // a stream
  bool streams, ended, cut;
  Buf out;
  size_t sent;
  uint64_t n_out;
  double written; // clock_now() of the last write

  HttpRequest *next, **link; // in Http.kept; link NULL: not there
};

void httpd_ref(HttpRequest *r);
void httpd_unref(HttpRequest *r);

// --- httpd_guard.c ---------------------------------------------------------------------------------
// Checks host, origin, key and length before the body is read; sets refused and why. Notes the origin to
// allow.
void httpd_guard(HttpRequest *r, struct MHD_Connection *conn);

// --- httpd_watch.c ----------------------------------------------------------------------------------
bool watch_start(Http *h, zaya_error *err);
void watch_stop(Http *h);
void watch_add(HttpRequest *r);
void watch_remove(HttpRequest *r);
// Calls the keeper's `gone`, once.
void watch_tell_gone(HttpRequest *r);
