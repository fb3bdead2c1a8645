// metrics: counters and histograms of a server, and their text in Prometheus' format. Owns the numbers of
// requests and times; what the engine counts is read from it when the text is made. Any thread may use it.
// Depends on engine.
#pragma once

#include "engine/engine.h"

typedef struct Metrics Metrics;

Metrics *metrics_new(zaya_error *err);
void metrics_free(Metrics *m);
// A request is over. endpoint: a literal ("chat"); status 0: the client went away before there was one.
void metrics_request(Metrics *m, const char *endpoint, int status, double seconds);
void metrics_first_token(Metrics *m, double seconds); // since the request came
void metrics_token(Metrics *m, double seconds);       // since the token before
// A generation is complete, the client's or not.
void metrics_generation(Metrics *m, size_t prompt, size_t cached, size_t drawn, double seconds);
void metrics_gone(Metrics *m); // a client went away while it was answered
void metrics_bad_calls(Metrics *m, size_t n);
// Mean seconds of the requests that generated, 0 when there was none.
double metrics_mean_seconds(Metrics *m);
bool metrics_text(Metrics *m, const EngineStats *engine, size_t connections, Buf *out, zaya_error *err);
