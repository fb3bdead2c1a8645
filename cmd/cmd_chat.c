// zaya chat: a conversation on the terminal, or line by line through a pipe.
#include "chat.h"
#include "chat_cmds.h"
#include "chat_files.h"
#include "chat_term.h"
#include "chat_turn.h"
#include "commands.h"
#include "common.h"
#include "opt.h"
#include "sampling.h"

#include <stdlib.h>
#include <string.h>

typedef struct ChatOptions {
  const char *dir, *system, *tools, *thinking, *reasoning, *session, *cache_dir, *kv;
  SamplingOptions sampling;
  int n, ctx, threads, budget;
  size_t cache_ram, cache_disk;
  bool resume, private, no_cache_dir, exact, json;
} ChatOptions;

// --- opening -------------------------------------------------------------------------------------

// The folder where what was read stays between runs; NULL: none. To be freed.
static char *cache_folder(const ChatOptions *o, bool interactive, zaya_error *err) {
  if (o->no_cache_dir || o->private) return NULL;
  if (o->cache_dir) return strdup(o->cache_dir);
  if (!interactive) return NULL; // a script's text is not left lying about unasked
  char *path = chat_store_home("XDG_CACHE_HOME", ".cache", "zaya/kv", err);
  if (path && chat_store_make_folder(path, err)) return path;
  free(path);
  return NULL;
}

static bool open_engine(Chat *c, const ChatOptions *o, zaya_error *err) {
  zaya_error no_folder = {0};
  const zaya_model_params params = {
      .n_threads = o->threads, .exact = o->exact, .kv_q8 = o->kv && !strcmp(o->kv, "q8")};
  c->tok = zaya_tokenizer_open(c->dir, err);
  c->format = c->tok ? zaya_chat_open(c->dir, err) : NULL;
  c->model = c->format ? zaya_model_open(c->dir, &params, err) : NULL;
  if (!c->model) return false;
  print_notes("chat", c->model);
  char *folder = cache_folder(o, c->interactive, &no_folder);
  if (no_folder.status) chat_say(c, "note: no cache on disk: %s", no_folder.message);
  const zaya_engine_params e = {.ctx = (size_t)o->ctx,
                                .parallel = 1,
                                .cache_bytes = o->cache_ram,
                                .cache_dir = folder,
                                .cache_dir_bytes = o->cache_disk};
  c->engine = zaya_engine_new(c->model, c->tok, &e, err);
  free(folder);
  return c->engine != NULL;
}

// The bundle's settings, those of the session, and what the command line says: each goes before the last.
static bool apply_options(Chat *c, const ChatOptions *o, const OptSpec *spec, zaya_error *err) {
  ChatSet *s = &c->set;
  zaya_text tools = {0};
  sampling_apply(&o->sampling, spec, &s->sampling);
  if (opt_seen(spec, "seed")) s->fixed_seed = true;
  if (opt_seen(spec, "think-budget")) s->budget = o->budget;
  if (opt_seen(spec, "max-tokens")) s->max_tokens = o->n;
  if (o->thinking) chat_set_thinking_parse(o->thinking, &s->thinking);
  if (o->reasoning) s->show_thinking = !strcmp(o->reasoning, "show");
  bool ok = !o->system || chat_set_text(&s->system, o->system, err);
  if (ok && o->tools)
    ok = chat_files_read(o->tools, &tools, err) && chat_set_tools_check(tools.data, tools.len, err) &&
         chat_set_text(&s->tools, tools.data, err);
  zaya_text_free(&tools);
  return ok;
}

static bool open_session(Chat *c, const ChatOptions *o, zaya_error *err) {
  if (o->resume && !chat_store_open_newest(&c->store, err)) return false;
  if (o->session && !chat_store_open(&c->store, o->session, err)) return false;
  if (!c->store.path) return true;
  if (chat_store_exists(&c->store)) return chat_store_load(&c->store, &c->set, &c->talk, err);
  chat_say(c, "a new session: %s", c->store.name);
  return true;
}

static bool open_line(Chat *c, const ChatOptions *o, zaya_error *err) {
  zaya_error no_history = {0};
  char *folder = NULL, *history = NULL;
  if (c->interactive && !o->private) {
    folder = chat_store_home("XDG_DATA_HOME", ".local/share", "zaya", &no_history);
    if (folder && chat_store_make_folder(folder, &no_history))
      history = chat_store_home("XDG_DATA_HOME", ".local/share", "zaya/history", &no_history);
    if (!history) chat_say(c, "note: no history is kept: %s", no_history.message);
  }
  const ChatLineParams params = {.interactive = c->interactive,
                                 .colour = c->colour,
                                 .history = history,
                                 .complete = chat_cmds_complete,
                                 .user = c};
  c->line = chat_line_new(&params, err);
  free(folder);
  free(history);
  return c->line != NULL;
}

static bool open_chat(Chat *c, const ChatOptions *o, const OptSpec *spec, zaya_error *err) {
  c->set.budget = -1;
  if (!chat_talk_init(&c->talk, err) || !open_engine(c, o, err)) return false;
  if (!sampling_read(&(SamplingOptions){0}, &(OptSpec){.command = "chat", .opts = &(Opt)OPTION_END}, c->dir,
                     &c->set.sampling_default, err))
    return false;
  c->set.sampling = c->set.sampling_default;
  return open_session(c, o, err) && apply_options(c, o, spec, err) && open_line(c, o, err);
}

static void close_chat(Chat *c) {
  chat_line_free(c->line);
  zaya_engine_free(c->engine);
  zaya_model_close(c->model);
  zaya_chat_close(c->format);
  zaya_tokenizer_close(c->tok);
  chat_store_free(&c->store);
  chat_talk_free(&c->talk);
  chat_set_free(&c->set);
  json_decref(c->before);
  chat_drop_files(c);
}

// --- talking -------------------------------------------------------------------------------------

static void fail_answer(Chat *c, const zaya_error *err) {
  if (err->status == ZAYA_E_CANCELLED && c->interactive)
    chat_say(c, "(%s)", err->message);
  else
    chat_fail_error(c, err);
  if (!c->json) return;
  json_t *root =
      json_pack("{s:{s:s, s:s}}", "error", "message", err->message, "status", zaya_status_name(err->status));
  json_dumpf(root, stdout, JSON_COMPACT);
  putchar('\n');
  fflush(stdout);
  json_decref(root);
}

static void answer(Chat *c) {
  zaya_error err = {0};
  if (chat_turn_answer(c, &err)) {
    chat_drop_files(c);
    chat_turn_prepare(c, NULL);
  } else {
    fail_answer(c, &err);
    const bool too_long = err.status == ZAYA_E_LIMIT;
    if (c->before && (c->restore || too_long)) chat_talk_set(&c->talk, json_incref(c->before), NULL);
    if (!too_long) chat_drop_files(c); // they stand in the question, which stays
  }
  json_decref(c->before);
  c->before = NULL;
  chat_keep(c);
}

// What a message or a command asks for.
static ChatNext take(Chat *c, const zaya_text *line) {
  zaya_error err = {0};
  const char *text = line->data;
  const size_t slash = line->len > 1 && text[0] == '/' && text[1] == '/'; // two stand for one
  if (strspn(text, " \t\n") == line->len) return CHAT_NEXT_READ;
  if (*text == '/' && !slash) return chat_cmds_run(c, text);
  const bool edit = c->editing;
  c->editing = false;
  if (chat_ask(c, text + slash, line->len - slash, edit, &err)) return CHAT_NEXT_ANSWER;
  fail_answer(c, &err);
  return CHAT_NEXT_READ;
}

// Ctrl-C at the prompt; false: leave.
static bool take_interrupt(Chat *c, bool typed, bool again) {
  if (!c->interactive || (again && !typed)) return false;
  if (c->editing)
    chat_say(c, "(the message stays as it was)");
  else if (!typed)
    chat_say(c, "(Ctrl-C again or Ctrl-D leaves)");
  c->editing = false;
  return true;
}

static void talk(Chat *c) {
  zaya_text line = {0};
  zaya_error err = {0};
  bool interrupted = false;
  for (;;) {
    const ChatLineEvent event = chat_line_read(c->line, &line, &err);
    if (event == CHAT_LINE_FAILED) chat_fail_error(c, &err);
    if (event == CHAT_LINE_FAILED || event == CHAT_LINE_END) break;
    if (event == CHAT_LINE_INTERRUPT) {
      if (!take_interrupt(c, line.len > 0, interrupted)) break;
      interrupted = line.len == 0;
      continue;
    }
    interrupted = false;
    const ChatNext next = take(c, &line);
    if (next == CHAT_NEXT_LEAVE) break;
    if (next == CHAT_NEXT_ANSWER) answer(c);
    if (chat_term_leaving() || ferror(stdout) || (!c->interactive && chat_term_interrupted())) break;
  }
  zaya_text_free(&line);
}

static void greet(Chat *c) {
  if (c->interactive) {
    const zaya_model_info i = zaya_model_get_info(c->model);
    chat_say(c, "%s, %s, %d threads, %zu tokens of context. /help lists the commands.", c->name, i.format,
             i.n_threads, zaya_engine_context(c->engine));
  }
  chat_cmds_show(c);
}

static void say_goodbye(const Chat *c) {
  if (!c->interactive || !c->store.path || chat_talk_empty(&c->talk)) return;
  chat_say(c, "saved as %s (zaya chat --session %s goes on with it)", c->store.name, c->store.name);
}

static int chat(const ChatOptions *o, const OptSpec *spec, const char *name) {
  zaya_error err = {0};
  Chat c = {.dir = o->dir, .name = name, .json = o->json};
  c.interactive = stdin_is_terminal() && stdout_is_terminal() && !o->json;
  c.colour = c.interactive && !getenv("NO_COLOR");
  c.autosave = c.interactive && !o->private;
  chat_term_start(c.interactive);
  const bool ok = open_chat(&c, o, spec, &err);
  if (ok) {
    greet(&c);
    talk(&c);
    say_goodbye(&c);
    if (!c.files && !chat_term_leaving())
      zaya_engine_settle(c.engine); // what was read reaches the cache folder
  }
  chat_term_end();
  close_chat(&c);
  if (!ok) return fail("chat", &err);
  return c.failed && !c.interactive ? EXIT_FAILED : EXIT_OK;
}

int cmd_chat(int argc, char **argv) {
  ChatOptions o = {.dir = NULL};
  Opt opts[] = {
      OPTION_STRING("model", 'm', &o.dir, "DIR", "the bundle or checkpoint"),
      OPTION_STRING("system", 0, &o.system, "TEXT", "a system message in front"),
      OPTION_STRING("tools", 0, &o.tools, "FILE", "tools the model may call, as OpenAI-style JSON"),
      OPTION_ENUM("thinking", 0, &o.thinking, "on|off|auto",
                  "think before answering (auto: the template's default)"),
      OPTION_INT("think-budget", 0, &o.budget, "N", 0, 1e9,
                 "at most N tokens of thinking; from 3/4 of them on it ends where\nthe model is ready to"),
      OPTION_ENUM("reasoning", 0, &o.reasoning, "show|hide", "print the thinking, or fold it (default)"),
      OPTION_STRING("session", 0, &o.session, "NAME|FILE",
                    "go on with a saved conversation, or begin one\nthat is saved after every answer"),
      OPTION_FLAG("resume", 'r', &o.resume, "go on with the conversation that was saved last"),
      OPTION_FLAG("private", 0, &o.private, "write nothing: no history, session or cache"),
      OPTION_STRING("cache-dir", 0, &o.cache_dir, "DIR",
                    "keeps what was read, so that a session goes on at once\n(default on a terminal: "
                    "~/.cache/zaya/kv)"),
      OPTION_FLAG("no-cache-dir", 0, &o.no_cache_dir, "keeps nothing of it"),
      OPTION_SIZE("cache-disk", 0, &o.cache_disk, "SIZE", "of that folder at most (default: 4G)"),
      OPTION_SIZE("cache-ram", 0, &o.cache_ram, "SIZE", "of the same in memory (default: 1G)"),
      OPTION_INT("max-tokens", 'n', &o.n, "N", 1, 1e9, "end an answer after N tokens"),
      OPTION_INT("ctx", 0, &o.ctx, "N", 1, 1e9, "room for N tokens (default: 32768, or what the model has)"),
      SAMPLING_OPTIONS(&o.sampling),
      OPTION_INT("threads", 't', &o.threads, "N", 1, 1024, "threads (default: all cores)"),
      OPTION_ENUM("kv", 0, &o.kv, "f16|q8",
                  "keep the context in float16 or in int8, which takes half the memory\n(default: f16)"),
      OPTION_FLAG("exact", 0, &o.exact, "the float32 path: slower, for checking"),
      OPTION_FLAG("json", 0, &o.json, "one JSON object per answer, a line each"),
      OPTION_END};
  OptSpec spec = {
      .command = "chat",
      .usage = "-m DIR [options]",
      .about = "A conversation on the terminal; /help lists its commands. Through a pipe: a message a\n"
               "line, or lines between \"\"\" and \"\"\"; answers go to standard output.",
      .examples = "  zaya chat -m models/nano\n"
                  "  zaya chat -m DIR --session notes --system 'Be brief.'\n"
                  "  printf 'Hello.\\n/retry\\n' | zaya chat -m DIR --json",
      .opts = opts};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  const char *name = o.dir;
  if (!o.dir)
    code = opt_usage_error(&spec, "which model? give -m DIR");
  else if (o.session && o.resume)
    code = opt_usage_error(&spec, "give one of --session and --resume");
  else if (o.private && (o.session || o.resume || o.cache_dir))
    code = opt_usage_error(&spec, "--private writes nothing: no --session, --resume or --cache-dir with it");
  else if (o.cache_dir && o.no_cache_dir)
    code = opt_usage_error(&spec, "give one of --cache-dir and --no-cache-dir");
  else if (!find_model("chat", &o.dir))
    code = EXIT_FAILED;
  else
    code = chat(&o, &spec, name);
  opt_free(&spec);
  return code;
}
