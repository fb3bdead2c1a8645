// metrics: see metrics.h.
#include "server/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SERIES = 128, MAX_BUCKETS = 16 };

// Requests by endpoint and status. Endpoints are literals, so that their number is bounded.
typedef struct Series {
  const char *endpoint;
  int status;
  uint64_t n;
} Series;

typedef struct Histogram {
  const double *bounds; // [n], ascending; one more bucket for what is above
  size_t n;
  uint64_t counts[MAX_BUCKETS + 1];
  double sum;
} Histogram;

struct Metrics {
  pthread_mutex_t mu;
  Series series[MAX_SERIES];
  size_t n_series;
  Histogram request, first_token, token;
  uint64_t gone, bad_calls, generations, prompt, cached, drawn;
  double generation_seconds;
};

static const double request_bounds[] = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};
static const double first_bounds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};
static const double token_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075,
                                      0.1,   0.15,   0.25,  0.5,  1,     2.5};

#define HISTOGRAM(bounds_)                                                                                   \
  { .bounds = (bounds_), .n = sizeof(bounds_) / sizeof *(bounds_) }

Metrics *metrics_new(zaya_error *err) {
  Metrics *m = calloc(1, sizeof *m);
  if (!m) {
    err_memory(err, sizeof *m, "metrics");
    return NULL;
  }
  pthread_mutex_init(&m->mu, NULL);
  m->request = (Histogram)HISTOGRAM(request_bounds);
  m->first_token = (Histogram)HISTOGRAM(first_bounds);
  m->token = (Histogram)HISTOGRAM(token_bounds);
  return m;
}

void metrics_free(Metrics *m) {
  if (!m) return;
  pthread_mutex_destroy(&m->mu);
  free(m);
}

static void observe(Histogram *h, double x) {
  size_t i = 0;
  while (i < h->n && x > h->bounds[i]) i++;
  h->counts[i]++;
  h->sum += x;
}

void metrics_request(Metrics *m, const char *endpoint, int status, double seconds) {
  size_t i = 0;
  if (!endpoint) endpoint = "other";
  pthread_mutex_lock(&m->mu);
  while (i < m->n_series && (m->series[i].status != status || strcmp(m->series[i].endpoint, endpoint))) i++;
  if (i == m->n_series && i < MAX_SERIES) m->series[m->n_series++] = (Series){endpoint, status, 0};
  if (i < MAX_SERIES) m->series[i].n++;
  observe(&m->request, seconds);
  pthread_mutex_unlock(&m->mu);
}

void metrics_first_token(Metrics *m, double seconds) {
  pthread_mutex_lock(&m->mu);
  observe(&m->first_token, seconds);
  pthread_mutex_unlock(&m->mu);
}

void metrics_token(Metrics *m, double seconds) {
  pthread_mutex_lock(&m->mu);
  observe(&m->token, seconds);
  pthread_mutex_unlock(&m->mu);
}

void metrics_generation(Metrics *m, size_t prompt, size_t cached, size_t drawn, double seconds) {
  pthread_mutex_lock(&m->mu);
  m->generations++;
  m->generation_seconds += seconds;
  m->prompt += prompt;
  m->cached += cached;
  m->drawn += drawn;
  pthread_mutex_unlock(&m->mu);
}

void metrics_gone(Metrics *m) {
  pthread_mutex_lock(&m->mu);
  m->gone++;
  pthread_mutex_unlock(&m->mu);
}

void metrics_bad_calls(Metrics *m, size_t n) {
  pthread_mutex_lock(&m->mu);
  m->bad_calls += n;
  pthread_mutex_unlock(&m->mu);
}

double metrics_mean_seconds(Metrics *m) {
  pthread_mutex_lock(&m->mu);
  const double mean = m->generations ? m->generation_seconds / (double)m->generations : 0;
  pthread_mutex_unlock(&m->mu);
  return mean;
}

// --- text ----------------------------------------------------------------------------------------

static bool head(Buf *out, const char *name, const char *type, const char *help, zaya_error *err) {
  return buf_printf(out, err, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static bool counter(Buf *out, const char *name, const char *help, uint64_t n, zaya_error *err) {
  return head(out, name, "counter", help, err) &&
         buf_printf(out, err, "%s %llu\n", name, (unsigned long long)n);
}

static bool gauge(Buf *out, const char *name, const char *help, uint64_t n, zaya_error *err) {
  return head(out, name, "gauge", help, err) &&
         buf_printf(out, err, "%s %llu\n", name, (unsigned long long)n);
}

static bool histogram(Buf *out, const char *name, const char *help, const Histogram *h, zaya_error *err) {
  uint64_t below = 0;
  bool ok = head(out, name, "histogram", help, err);
  for (size_t i = 0; ok && i < h->n; i++) {
    below += h->counts[i];
    ok = buf_printf(out, err, "%s_bucket{le=\"%g\"} %llu\n", name, h->bounds[i], (unsigned long long)below);
  }
  below += h->counts[h->n];
  return ok && buf_printf(out, err, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name,
                          (unsigned long long)below, name, h->sum, name, (unsigned long long)below);
}

static bool requests(const Metrics *m, Buf *out, zaya_error *err) {
  bool ok = head(out, "zaya_requests_total", "counter",
                 "Requests by endpoint and status; status 0: the client went away first.", err);
  for (size_t i = 0; ok && i < m->n_series; i++)
    ok = buf_printf(out, err, "zaya_requests_total{endpoint=\"%s\",status=\"%d\"} %llu\n",
                    m->series[i].endpoint, m->series[i].status, (unsigned long long)m->series[i].n);
  return ok;
}

// Steps by the number of sequences that generated in them.
static bool batch(const EngineStats *s, Buf *out, zaya_error *err) {
  uint64_t below = 0, sum = 0;
  bool ok =
      head(out, "zaya_batch_size", "histogram", "Sequences that generated in a step (16: 16 or more).", err);
  for (size_t i = 0; ok && i < 17; i++) {
    below += s->batch[i];
    sum += i * s->batch[i];
    if (i < 16)
      ok = buf_printf(out, err, "zaya_batch_size_bucket{le=\"%zu\"} %llu\n", i, (unsigned long long)below);
  }
  return ok && buf_printf(out, err,
                          "zaya_batch_size_bucket{le=\"+Inf\"} %llu\nzaya_batch_size_sum %llu\n"
                          "zaya_batch_size_count %llu\n",
                          (unsigned long long)below, (unsigned long long)sum, (unsigned long long)below);
}

static bool engine(const EngineStats *s, Buf *out, zaya_error *err) {
  return gauge(out, "zaya_running", "Answers being read or written now.", s->running, err) &&
         gauge(out, "zaya_waiting", "Answers in the queue now.", s->waiting, err) &&
         counter(out, "zaya_engine_done_total", "Answers that came to their end.", s->done, err) &&
         counter(out, "zaya_engine_cancelled_total", "Answers that were cancelled.", s->cancelled, err) &&
         counter(out, "zaya_engine_failed_total", "Answers that failed.", s->failed, err) &&
         counter(out, "zaya_engine_refused_total", "Requests that the engine refused.", s->refused, err) &&
         counter(out, "zaya_engine_read_tokens_total", "Prompt tokens computed, prepared ones too.",
                 s->read_tokens, err) &&
         counter(out, "zaya_engine_drawn_tokens_total", "Tokens generated.", s->drawn_tokens, err) &&
         counter(out, "zaya_engine_steps_total", "Batch steps.", s->steps, err) &&
         counter(out, "zaya_engine_step_tokens_total", "Tokens in batch steps.", s->step_rows, err) &&
         batch(s, out, err) &&
         head(out, "zaya_engine_busy_seconds_total", "counter", "Time spent computing.", err) &&
         buf_printf(out, err, "zaya_engine_busy_seconds_total %.6f\n", s->busy_seconds) &&
         gauge(out, "zaya_kv_bytes", "KV of running sequences.", s->kv_bytes, err) &&
         gauge(out, "zaya_cache_bytes", "Prefix cache in memory.", s->cache_bytes, err) &&
         gauge(out, "zaya_cache_entries", "Entries of the prefix cache.", s->cache_entries, err) &&
         counter(out, "zaya_cache_hits_total", "Prompts that began with something cached.", s->cache_hits,
                 err) &&
         counter(out, "zaya_cache_misses_total", "Prompts that did not.", s->cache_misses, err) &&
         counter(out, "zaya_cache_evicted_total", "Entries dropped for want of room.", s->cache_evicted,
                 err) &&
         gauge(out, "zaya_store_bytes", "Prefix cache on disk.", s->store_bytes, err) &&
         counter(out, "zaya_store_hits_total", "Prompts continued from disk.", s->store_hits, err) &&
         counter(out, "zaya_store_writes_total", "Files written to the disk cache.", s->store_writes, err);
}

bool metrics_text(Metrics *m, const EngineStats *stats, size_t connections, Buf *out, zaya_error *err) {
  pthread_mutex_lock(&m->mu);
  const bool ok =
      requests(m, out, err) &&
      histogram(out, "zaya_request_seconds", "Duration of requests.", &m->request, err) &&
      histogram(out, "zaya_time_to_first_token_seconds", "From a request to its first token.",
                &m->first_token, err) &&
      histogram(out, "zaya_time_per_token_seconds", "From a token to the next.", &m->token, err) &&
      counter(out, "zaya_prompt_tokens_total", "Prompt tokens of answered requests.", m->prompt, err) &&
      counter(out, "zaya_cached_tokens_total", "Of these, taken from the prefix cache.", m->cached, err) &&
      counter(out, "zaya_answer_tokens_total", "Tokens of answers.", m->drawn, err) &&
      counter(out, "zaya_clients_gone_total", "Clients that went away while they were answered.", m->gone,
              err) &&
      counter(out, "zaya_bad_calls_total", "Malformed or truncated tool calls, kept from clients.",
              m->bad_calls, err) &&
      gauge(out, "zaya_connections", "Open connections.", connections, err) && engine(stats, out, err);
  pthread_mutex_unlock(&m->mu);
  return ok;
}
