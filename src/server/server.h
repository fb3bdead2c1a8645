// server: one model behind HTTP: the parts put together, their life from start to orderly end. Gets
// everything it serves as parameters. Depends on http, job, routes and what they stand on.
#pragma once

#include "engine/engine.h"
#include "text/chat.h"

#include <jansson.h>

typedef struct Server Server;

typedef struct ServerParams { // all borrowed, and outliving the server
  Engine *engine;
  const Tok *tok;
  const Chat *chat; // NULL: the bundle has no chat template
  zaya_sampling defaults;
  const char *model;   // the name that clients see
  const json_t *props; // object: what /props tells of the model; copied
  size_t ctx, parallel;
  bool prepare; // read finished conversations into the prefix cache while the machine is idle
  const char *host;
  int port; // 0: any free one
  const char *const *keys;
  size_t n_keys;
  const char *cors;
  size_t max_body;
  int idle_seconds;
  int keep_alive; // seconds of silence behind which a stream gets a comment
  bool page;
  const char *log_path; // NULL: stderr
  bool log_json, log_text;
} ServerParams;

// Answers requests from now on.
Server *server_new(const ServerParams *params, zaya_error *err);
const char *server_url(const Server *s); // "http://127.0.0.1:8080"
// The log file is opened again, after it was moved away.
bool server_reopen_log(Server *s, zaya_error *err);
// No new requests; those that are being answered have so many seconds, then they are cancelled. Returns when
// none is left.
void server_stop(Server *s, double seconds);
void server_free(Server *s); // stops at once what server_stop has not
