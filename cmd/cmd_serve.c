// zaya serve: a model behind HTTP, until a signal ends it.
#include "commands.h"
#include "common.h"
#include "opt.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct ServeOptions {
  const char *dir, *host, *key, *key_file, *cors, *log_format, *log_file, *alias, *cache_dir, *kv;
  int port, ctx, parallel, queue, threads, timeout, keep_alive, drain;
  size_t cache_ram, cache_disk, max_body;
  bool log_text, no_page, exact;
} ServeOptions;

enum { MAX_KEYS = 64 };

// Keys from the file, one a line; empty lines and those that begin with # are none. They point into `text`.
static bool read_keys(const ServeOptions *o, zaya_text *text, const char **keys, size_t *n, zaya_error *err) {
  *n = 0;
  if (o->key) keys[(*n)++] = o->key;
  if (!o->key_file) return true;
  if (!read_input(o->key_file, text, err)) return false;
  char *rest = text->data;
  for (char *line; rest && (line = strtok_r(rest, "\r\n", &rest));) {
    line += strspn(line, " \t");
    line[strcspn(line, " \t")] = '\0';
    if (!*line || *line == '#') continue;
    if (*n == MAX_KEYS) {
      err->status = ZAYA_E_LIMIT;
      snprintf(err->message, sizeof err->message, "%s: more than %d keys", o->key_file, MAX_KEYS);
      return false;
    }
    keys[(*n)++] = line;
  }
  if (*n) return true;
  err->status = ZAYA_E_INVALID; // a file that protects nothing is a mistake
  snprintf(err->message, sizeof err->message, "%s: there is no key in it", o->key_file);
  return false;
}

// Signals are waited for, not handled: blocked before any thread is made.
static void block_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, set, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static void wait_for_end(zaya_server *s, const sigset_t *set) {
  for (int signum = 0;;) {
    if (sigwait(set, &signum)) continue;
    zaya_error err = {0};
    if (signum != SIGHUP) return;
    if (!zaya_server_reopen_log(s, &err)) fprintf(stderr, "zaya serve: %s\n", err.message);
  }
}

// The second signal finds its default action: it ends the program at once.
static void unblock_end(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static zaya_server_params params_of(const ServeOptions *o, const OptSpec *spec, const char *const *keys,
                                    size_t n) {
  return (zaya_server_params){.engine = {.ctx = (size_t)o->ctx,
                                         .parallel = (size_t)o->parallel,
                                         .queue = (size_t)o->queue,
                                         .cache_bytes = o->cache_ram,
                                         .no_cache = opt_seen(spec, "cache-ram") && o->cache_ram == 0,
                                         .cache_dir = o->cache_dir,
                                         .cache_dir_bytes = o->cache_disk},
                              .host = o->host,
                              .port = o->port,
                              .name = o->alias,
                              .api_keys = keys,
                              .n_api_keys = n,
                              .cors = o->cors,
                              .max_body = o->max_body,
                              .idle_seconds = o->timeout,
                              .keep_alive_seconds = o->keep_alive,
                              .no_page = o->no_page,
                              .log_path = o->log_file,
                              .log_json = o->log_format && !strcmp(o->log_format, "json"),
                              .log_text = o->log_text};
}

static void say_ready(const zaya_server *s, const zaya_model *m) {
  const zaya_model_info i = zaya_model_get_info(m);
  printf("zaya serve: %s: %s (%s, %d threads), context %zu tokens, memory %.2f GiB of weights and up to %.2f "
         "GiB\n",
         zaya_server_url(s), zaya_server_name(s), i.format, i.n_threads, zaya_server_context(s),
         (double)i.tensor_bytes / (1 << 30), (double)zaya_server_bytes(s) / (1 << 30));
  fflush(stdout);
}

static int serve(const ServeOptions *o, const OptSpec *spec) {
  zaya_error err = {0};
  zaya_text text = {0};
  const char *keys[MAX_KEYS + 1];
  size_t n_keys;
  sigset_t signals;
  if (!read_keys(o, &text, keys, &n_keys, &err)) return fail("serve", &err);
  block_signals(&signals);
  const zaya_model_params model_params = {
      .n_threads = o->threads, .exact = o->exact, .kv_q8 = o->kv && !strcmp(o->kv, "q8")};
  const zaya_server_params params = params_of(o, spec, keys, n_keys);
  zaya_model *m = zaya_model_open(o->dir, &model_params, &err);
  if (m) print_notes("serve", m);
  zaya_server *s = m ? zaya_server_new(m, o->dir, &params, &err) : NULL;
  if (s) {
    say_ready(s, m);
    wait_for_end(s, &signals);
    unblock_end();
    fprintf(stderr, "zaya serve: stopping; a second signal ends it at once\n");
    zaya_server_stop(s, o->drain);
    zaya_server_free(s);
  }
  zaya_model_close(m);
  zaya_text_free(&text);
  return s ? EXIT_OK : fail("serve", &err);
}

int cmd_serve(int argc, char **argv) {
  ServeOptions o = {.port = 8080, .drain = 30};
  Opt opts[] = {
      OPTION_STRING("model", 'm', &o.dir, "DIR", "the bundle or checkpoint"),
      OPTION_STRING("host", 0, &o.host, "ADDRESS", "where to listen (default: 127.0.0.1, this machine only)"),
      OPTION_INT("port", 0, &o.port, "N", 0, 65535, "default: 8080; 0: any free one, see the first line"),
      OPTION_STRING("api-key", 0, &o.key, "KEY", "ask clients for this key"),
      OPTION_STRING("api-key-file", 0, &o.key_file, "FILE", "the same for the keys in a file, one a line"),
      OPTION_INT("ctx", 0, &o.ctx, "N", 1, 1e9,
                 "tokens of a conversation (default: 32768, at most\nthe model's)"),
      OPTION_INT("parallel", 0, &o.parallel, "N", 1, 256, "answers written at the same time (default: 8)"),
      OPTION_INT("queue", 0, &o.queue, "N", 1, 1e6, "answers that may wait (default: 64); more get 429"),
      OPTION_SIZE("cache-ram", 0, &o.cache_ram, "SIZE", "prefix cache in memory (default: 1G; 0: none)"),
      OPTION_STRING("cache-dir", 0, &o.cache_dir, "DIR", "keep the prefix cache in this folder, too"),
      OPTION_SIZE("cache-disk", 0, &o.cache_disk, "SIZE", "of that folder at most (default: 4G)"),
      OPTION_STRING("cors", 0, &o.cors, "ORIGIN", "pages of this origin may use the server (*: all)"),
      OPTION_ENUM("log-format", 0, &o.log_format, "text|json", "of the log (default: text)"),
      OPTION_STRING("log-file", 0, &o.log_file, "FILE",
                    "log there (default: standard error); SIGHUP reopens it"),
      OPTION_FLAG("log-text", 0, &o.log_text, "log what is asked and answered"),
      OPTION_STRING("alias", 0, &o.alias, "NAME", "the model's name for clients (default: the folder's)"),
      OPTION_INT("timeout", 0, &o.timeout, "SECONDS", 1, 86400,
                 "a client may be silent so long while it sends or\nshould read (default: 60)"),
      OPTION_INT("keep-alive", 0, &o.keep_alive, "SECONDS", 1, 86400,
                 "a stream that is silent so long gets a comment\n(default: 5)"),
      OPTION_INT("drain", 0, &o.drain, "SECONDS", 0, 86400,
                 "at the end, answers may take so long to complete\n(default: 30)"),
      OPTION_SIZE("max-body", 0, &o.max_body, "SIZE", "of a request (default: 16M); more gets 413"),
      OPTION_FLAG("no-page", 0, &o.no_page, "no chat page at /"),
      OPTION_INT("threads", 't', &o.threads, "N", 1, 1024, "threads (default: all cores)"),
      OPTION_ENUM("kv", 0, &o.kv, "f16|q8",
                  "keep contexts in float16 or in int8, which takes half the memory\n(default: f16)"),
      OPTION_FLAG("exact", 0, &o.exact, "the float32 path: slower, for checking"),
      OPTION_END};
  OptSpec spec = {
      .command = "serve",
      .usage = "-m DIR [options]",
      .about = "Serves a model over HTTP: OpenAI's chat completions, completions and responses, Anthropic's\n"
               "messages, and a chat page at /. Ends with SIGTERM or Ctrl-C when all answers are out.",
      .examples = "  zaya serve -m models/nano\n"
                  "  zaya serve -m DIR --host 0.0.0.0 --api-key-file keys --cache-dir ~/.cache/zaya-serve",
      .opts = opts};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (!o.dir)
    code = opt_usage_error(&spec, "which model? give -m DIR");
  else if (o.key && !*o.key)
    code = opt_usage_error(&spec, "--api-key must not be empty");
  else if (!find_model("serve", &o.dir))
    code = EXIT_FAILED;
  else
    code = serve(&o, &spec);
  opt_free(&spec);
  return code;
}
