// chat_cmds: see chat_cmds.h.
#include "chat_cmds.h"

#include "chat_files.h"
#include "chat_turn.h"
#include "common.h"
#include "render.h"

#include <stdlib.h>
#include <string.h>

typedef struct Command {
  const char *name, *args, *about;
  ChatNext (*run)(Chat *chat, const char *arg); // arg: what stands behind the name, "" if nothing
  json_t *(*complete)(const char *begun);       // words for the argument; NULL: none
} Command;

static ChatNext done(Chat *c, const zaya_error *err) {
  if (err->status != ZAYA_OK) chat_fail_error(c, err);
  return CHAT_NEXT_READ;
}

// --- the conversation ----------------------------------------------------------------------------

static ChatNext run_new(Chat *c, const char *arg) {
  (void)arg;
  if (c->store.path && !chat_talk_empty(&c->talk)) chat_say(c, "saved as %s", c->store.name);
  chat_store_free(&c->store);
  chat_talk_clear(&c->talk);
  chat_drop_files(c);
  c->context_used = 0;
  chat_turn_prepare(c, NULL);
  chat_say(c, "a new conversation");
  return CHAT_NEXT_READ;
}

static ChatNext run_undo(Chat *c, const char *arg) {
  (void)arg;
  if (!chat_talk_undo(&c->talk)) {
    chat_fail(c, "there is nothing to take back");
    return CHAT_NEXT_READ;
  }
  chat_say(c, "the last turn is taken back: %zu messages are left", json_array_size(c->talk.messages));
  chat_keep(c);
  chat_turn_prepare(c, NULL);
  return CHAT_NEXT_READ;
}

// What the conversation is now comes back should the answer fail.
static bool remember(Chat *c) {
  json_decref(c->before);
  c->before = json_copy(c->talk.messages);
  return c->before != NULL;
}

static ChatNext run_retry(Chat *c, const char *arg) {
  zaya_error err = {0};
  if (*arg && !chat_set_value(&c->set, "seed", arg, &err)) return done(c, &err);
  if (!remember(c) || !chat_talk_rewind(&c->talk)) {
    chat_fail(c, "there is no question to ask again");
    return CHAT_NEXT_READ;
  }
  c->restore = true;
  return CHAT_NEXT_ANSWER;
}

static ChatNext run_edit(Chat *c, const char *arg) {
  zaya_error err = {0};
  const char *question = chat_talk_question(&c->talk);
  if (!question) {
    chat_fail(c, "there is no message to edit");
    return CHAT_NEXT_READ;
  }
  if (!*arg) {
    c->editing = chat_line_prefill(c->line, question);
    if (!c->editing) chat_fail(c, "lines are not edited here: /edit TEXT");
    return CHAT_NEXT_READ;
  }
  return chat_ask(c, arg, strlen(arg), true, &err) ? CHAT_NEXT_ANSWER : done(c, &err);
}

static ChatNext run_result(Chat *c, const char *arg) {
  zaya_error err = {0};
  if (!remember(c) || !chat_talk_result(&c->talk, arg, &err)) return done(c, &err);
  c->restore = false;
  const size_t open = chat_talk_calls_open(&c->talk);
  if (!open) return CHAT_NEXT_ANSWER;
  chat_say(c, "%zu more call%s wait%s for a result", open, open == 1 ? "" : "s", open == 1 ? "s" : "");
  return CHAT_NEXT_READ;
}

static ChatNext run_history(Chat *c, const char *arg) {
  (void)arg;
  if (c->set.system) fprintf(chat_out(c), "(system: %s)\n", c->set.system);
  chat_print(c, 0, chat_out(c));
  return CHAT_NEXT_READ;
}

// --- settings ------------------------------------------------------------------------------------

static ChatNext run_system(Chat *c, const char *arg) {
  zaya_error err = {0};
  if (!*arg) {
    fprintf(chat_out(c), "%s\n", c->set.system ? c->set.system : "(no system message)");
    return CHAT_NEXT_READ;
  }
  char *old = c->set.system;
  size_t n;
  c->set.system = NULL;
  const bool off = !strcmp(arg, "off");
  if (!chat_set_text(&c->set.system, off ? NULL : arg, &err) || !chat_turn_count(c, NULL, &n, &err)) {
    free(c->set.system);
    c->set.system = old;
    return done(c, &err);
  }
  free(old);
  chat_say(c, off ? "no system message" : "the system message is set: the conversation is read anew");
  chat_keep(c);
  chat_turn_prepare(c, NULL);
  return CHAT_NEXT_READ;
}

static void say_thinking(const Chat *c) {
  char budget[64] = "no budget";
  if (c->set.budget >= 0) snprintf(budget, sizeof budget, "a budget of %ld tokens", c->set.budget);
  chat_say(c, "thinking: %s, %s, %s", chat_set_thinking_name(c->set.thinking), budget,
           c->set.show_thinking ? "shown" : "folded");
}

static bool set_budget(Chat *c, const char *text) {
  char *end;
  if (!strcmp(text, "off")) {
    c->set.budget = -1;
    return true;
  }
  const long n = strtol(text, &end, 10);
  if (end == text || *end || n < 0 || n > 1000000000)
    return chat_fail(c, "a budget is a number of tokens, or 'off', not '%s'", text);
  c->set.budget = n;
  return true;
}

static ChatNext run_thinking(Chat *c, const char *arg) {
  const bool budget = !strncmp(arg, "budget ", 7);
  if (!strcmp(arg, "last")) {
    const char *text = chat_talk_reasoning(&c->talk);
    if (text)
      render_safe(chat_out(c), text, strlen(text)), fputc('\n', chat_out(c));
    else
      chat_fail(c, "the last answer holds no thinking");
    return CHAT_NEXT_READ;
  }
  if (budget && !set_budget(c, arg + 7)) return CHAT_NEXT_READ;
  if (!strcmp(arg, "show"))
    c->set.show_thinking = true;
  else if (!strcmp(arg, "hide"))
    c->set.show_thinking = false;
  else if (*arg && !budget && !chat_set_thinking_parse(arg, &c->set.thinking)) {
    chat_fail(c, "/thinking on, off, auto, show, hide, last, or budget N, not '%s'", arg);
    return CHAT_NEXT_READ;
  }
  if (*arg && !zaya_chat_uses(c->format, c->set.tools != NULL, "enable_thinking") &&
      c->set.thinking == ZAYA_THINK_ON)
    chat_say(c, "note: this model's chat template has no switch for thinking");
  say_thinking(c);
  chat_keep(c);
  return CHAT_NEXT_READ;
}

static ChatNext run_set(Chat *c, const char *arg) {
  zaya_error err = {0};
  char name[32] = "";
  const size_t n = strcspn(arg, " \t=");
  const char *value = arg + n + strspn(arg + n, " \t=");
  if (!*arg) {
    chat_set_print(&c->set, chat_out(c));
    return CHAT_NEXT_READ;
  }
  snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), arg);
  if (!*value) {
    chat_fail(c, "/set NAME VALUE ('default' for the model's own); /set lists them");
    return CHAT_NEXT_READ;
  }
  if (!chat_set_value(&c->set, name, value, &err)) return done(c, &err);
  chat_say(c, "%s: %s", name, value);
  chat_keep(c);
  return CHAT_NEXT_READ;
}

static ChatNext run_tools(Chat *c, const char *arg) {
  zaya_error err = {0};
  zaya_text text = {0};
  char *old = c->set.tools;
  size_t n;
  if (!*arg) {
    fprintf(chat_out(c), "%s\n", c->set.tools ? c->set.tools : "(no tools)");
    return CHAT_NEXT_READ;
  }
  const bool off = !strcmp(arg, "off");
  c->set.tools = NULL;
  const bool ok =
      off || (chat_files_read(arg, &text, &err) && chat_set_tools_check(text.data, text.len, &err) &&
              chat_set_text(&c->set.tools, text.data, &err) && chat_turn_count(c, NULL, &n, &err));
  zaya_text_free(&text);
  if (!ok) {
    free(c->set.tools);
    c->set.tools = old;
    return done(c, &err);
  }
  free(old);
  chat_say(c, off ? "no tools" : "the model may call these tools; you give the results with /result");
  chat_keep(c);
  chat_turn_prepare(c, NULL);
  return CHAT_NEXT_READ;
}

// --- files and sessions --------------------------------------------------------------------------

static ChatNext run_file(Chat *c, const char *arg) {
  zaya_error err = {0};
  zaya_text text = {0};
  size_t before = 0, after = 0;
  if (!*arg) {
    chat_fail(c, "/file PATH: whose text goes with the next message; /file off takes them back");
    return CHAT_NEXT_READ;
  }
  if (!strcmp(arg, "off")) {
    chat_drop_files(c);
    return CHAT_NEXT_READ;
  }
  char *files = NULL;
  const bool ok = chat_files_read(arg, &text, &err) && chat_files_quote(c->files, arg, &text, &files, &err) &&
                  chat_turn_count(c, c->files ? c->files : "", &before, &err) &&
                  chat_turn_count(c, files, &after, &err);
  zaya_text_free(&text);
  if (!ok) {
    free(files);
    return done(c, &err);
  }
  chat_drop_files(c);
  c->files = files;
  chat_say(c, "%s: %zu tokens, with the next message; %zu of %zu are left then", arg, after - before,
           zaya_engine_context(c->engine) - after, zaya_engine_context(c->engine));
  chat_turn_prepare(c, files); // read while the question is typed
  return CHAT_NEXT_READ;
}

// Saves to the session that the chat has.
static ChatNext save_here(Chat *c) {
  zaya_error err = {0};
  if (!c->store.path && !chat_store_open_auto(&c->store, &err)) return done(c, &err);
  if (!chat_store_save(&c->store, &c->set, &c->talk, c->name, &err)) return done(c, &err);
  chat_say(c, "saved as %s", c->store.name);
  return CHAT_NEXT_READ;
}

static ChatNext run_save(Chat *c, const char *arg) {
  zaya_error err = {0};
  const bool over = !strncmp(arg, "-f ", 3);
  const char *name = over ? arg + 3 : arg;
  ChatStore to = {0};
  if (!*name) return save_here(c);
  if (!chat_store_open(&to, name, &err)) return done(c, &err);
  const bool own = c->store.path && !strcmp(c->store.path, to.path);
  if (own && !over) {
    chat_store_free(&to);
    return save_here(c);
  }
  if (!over && chat_store_exists(&to)) {
    chat_fail(c, "there is a session %s already: /save -f %s takes its place", name, name);
    chat_store_free(&to);
    return CHAT_NEXT_READ;
  }
  if (!chat_store_save(&to, &c->set, &c->talk, c->name, &err)) {
    chat_store_free(&to);
    return done(c, &err);
  }
  if (!own) chat_store_drop_auto(&c->store); // the conversation has a name now
  chat_store_free(&c->store);
  c->store = to;
  chat_say(c, "saved as %s, from now on after every answer", name);
  return CHAT_NEXT_READ;
}

void chat_cmds_show(Chat *c) {
  zaya_error err = {0};
  size_t n = 0;
  const size_t messages = json_array_size(c->talk.messages);
  c->context_used = 0;
  if (messages) {
    if (chat_turn_count(c, NULL, &n, &err)) c->context_used = n;
    chat_say(c, "%s: %zu messages, %zu tokens", c->store.name, messages, n);
    if (err.status) chat_say(c, "note: %s", err.message);
    if (c->interactive) chat_print(c, messages > 2 ? messages - 2 : 0, stdout);
  }
  chat_turn_prepare(c, NULL);
}

static bool load(Chat *c, ChatStore *from) {
  zaya_error err = {0};
  if (!chat_store_load(from, &c->set, &c->talk, &err)) return chat_fail_error(c, &err);
  chat_store_free(&c->store);
  c->store = *from;
  chat_drop_files(c);
  chat_cmds_show(c);
  return true;
}

static ChatNext run_load(Chat *c, const char *arg) {
  zaya_error err = {0};
  ChatStore from = {0};
  if (!*arg) {
    chat_fail(c, "/load NAME; /list shows the saved sessions");
    return CHAT_NEXT_READ;
  }
  if (!chat_store_open(&from, arg, &err)) return done(c, &err);
  if (!chat_store_exists(&from))
    chat_fail(c, "there is no session %s; /list shows those there are", arg);
  else if (load(c, &from))
    return CHAT_NEXT_READ;
  chat_store_free(&from);
  return CHAT_NEXT_READ;
}

static ChatNext run_list(Chat *c, const char *arg) {
  zaya_error err = {0};
  json_t *list = chat_store_list(&err);
  const json_t *s;
  size_t i;
  (void)arg;
  if (!list) return done(c, &err);
  FILE *out = chat_out(c);
  json_array_foreach(list, i, s) {
    const char *title = json_string_value(json_object_get(s, "title"));
    fprintf(out, "  %-28s %s %4lld  ", json_string_value(json_object_get(s, "name")),
            json_string_value(json_object_get(s, "updated")),
            (long long)json_integer_value(json_object_get(s, "messages")));
    if (!title) title = "(damaged)";
    render_safe(out, title, strlen(title));
    fputc('\n', out);
  }
  if (!json_array_size(list)) chat_say(c, "no saved sessions");
  json_decref(list);
  return CHAT_NEXT_READ;
}

// --- the rest ------------------------------------------------------------------------------------

static double rate(size_t n, double seconds) { return seconds > 0 ? (double)n / seconds : 0; }

static ChatNext run_stats(Chat *c, const char *arg) {
  const zaya_generate_result *l = &c->last, *t = &c->total;
  FILE *out = chat_out(c);
  (void)arg;
  if (c->n_turns) {
    fprintf(out, "last answer:   prompt %zu tokens, %zu of them cached, %zu read in %.2f s\n",
            l->prompt_tokens, l->cached_tokens, l->prompt_tokens - l->cached_tokens, l->prompt_seconds);
    fprintf(out, "               %zu tokens in %.2f s, %.1f a second; %zu of thinking; %s; seed %llu\n",
            l->tokens, l->seconds, rate(l->tokens, l->seconds), l->turn.thinking + l->turn.forced,
            zaya_finish_name(l->finish), (unsigned long long)c->last_seed);
    fprintf(out, "since start:   %zu answers, %zu tokens; prompts %zu tokens, %zu of them cached\n",
            c->n_turns, t->tokens, t->prompt_tokens, t->cached_tokens);
  }
  fprintf(out, "conversation:  %zu messages, %zu of %zu tokens\n", json_array_size(c->talk.messages),
          c->context_used, zaya_engine_context(c->engine));
  fprintf(out, "session:       %s%s%s%s\n", c->store.path ? c->store.name : "not saved",
          c->store.path ? " (" : "", c->store.path ? c->store.path : "", c->store.path ? ")" : "");
  fflush(out);
  return CHAT_NEXT_READ;
}

static ChatNext run_quit(Chat *c, const char *arg) {
  (void)c;
  (void)arg;
  return CHAT_NEXT_LEAVE;
}

static ChatNext run_help(Chat *c, const char *arg);

static json_t *words(const char *const *list, const char *begun) {
  json_t *found = json_array();
  for (; *list; list++)
    if (!strncmp(*list, begun, strlen(begun))) json_array_append_new(found, json_string(*list));
  return found;
}

static json_t *complete_thinking(const char *begun) {
  static const char *const list[] = {"on", "off", "auto", "show", "hide", "last", "budget", NULL};
  return words(list, begun);
}

static json_t *complete_set(const char *begun) {
  const char *list[16];
  size_t n = 0;
  for (const char *name; n < 15 && (name = chat_set_name(n)); n++) list[n] = name;
  list[n] = NULL;
  return words(list, begun);
}

static json_t *complete_session(const char *begun) {
  json_t *list = chat_store_list(&(zaya_error){0}), *found = json_array();
  const json_t *s;
  size_t i;
  json_array_foreach(list, i, s) {
    json_t *name = json_object_get(s, "name");
    if (!strncmp(json_string_value(name), begun, strlen(begun))) json_array_append(found, name);
  }
  json_decref(list);
  return found;
}

static const Command commands[] = {
    {"help", "", "this list", run_help, NULL},
    {"system", "[TEXT|off]", "the system message", run_system, NULL},
    {"thinking", "[on|off|auto]", "think before answering", run_thinking, complete_thinking},
    {"thinking", "show|hide|last", "show thinking as it comes, fold it, or print the last", NULL, NULL},
    {"thinking", "budget N|off", "at most N tokens of it", NULL, NULL},
    {"set", "[NAME VALUE]", "how answers are drawn: temperature, top_p, seed, ...", run_set, complete_set},
    {"file", "PATH|off", "a file's text goes with the next message", run_file, chat_files_complete},
    {"tools", "[FILE|off]", "tools that the model may call (JSON)", run_tools, chat_files_complete},
    {"result", "TEXT", "what a tool call gave", run_result, NULL},
    {"retry", "[SEED]", "another answer to the last message", run_retry, NULL},
    {"edit", "[TEXT]", "change the last message and ask again", run_edit, NULL},
    {"undo", "", "take the last turn back", run_undo, NULL},
    {"new", "", "begin anew (also /clear)", run_new, NULL},
    {"clear", NULL, NULL, run_new, NULL},
    {"save", "[-f] [NAME]", "name and save the conversation (-f: over another)", run_save, complete_session},
    {"load", "NAME", "go on with a saved conversation", run_load, complete_session},
    {"list", "", "the saved conversations", run_list, NULL},
    {"history", "", "print the conversation", run_history, NULL},
    {"stats", "", "tokens, speed, what was cached", run_stats, NULL},
    {"quit", "", "leave (also /exit, Ctrl-D)", run_quit, NULL},
    {"exit", NULL, NULL, run_quit, NULL},
    {0},
};

static ChatNext run_help(Chat *c, const char *arg) {
  FILE *out = chat_out(c);
  (void)arg;
  for (const Command *k = commands; k->name; k++) {
    char left[64];
    if (!k->about) continue;
    snprintf(left, sizeof left, "/%s %s", k->name, k->args);
    fprintf(out, "  %-26s %s\n", left, k->about);
  }
  fputs("\nA message that begins with a slash: write two. Longer ones: a backslash at the end of a line, or "
        "lines\n"
        "between \"\"\" and \"\"\"; pasted lines stay together; Alt-Enter begins a line. Ctrl-C stops an "
        "answer.\n",
        out);
  fflush(out);
  return CHAT_NEXT_READ;
}

// The command of that name, or the only one that begins so.
static const Command *find(const char *name, size_t n) {
  const Command *found = NULL;
  bool several = false;
  for (const Command *k = commands; k->name; k++) {
    if (!k->run || strncmp(k->name, name, n) != 0) continue;
    if (strlen(k->name) == n) return k;
    several = several || found;
    found = k;
  }
  return several ? NULL : found;
}

ChatNext chat_cmds_run(Chat *c, const char *line) {
  const size_t n = strcspn(line + 1, " \t\n");
  const char *arg = line + 1 + n;
  const Command *k = n ? find(line + 1, n) : NULL;
  if (!k) {
    chat_fail(c, "there is no command /%.*s (/help lists them; a message that begins with a slash: //)",
              (int)n, line + 1);
    return CHAT_NEXT_READ;
  }
  arg += strspn(arg, " \t\n");
  char *copy = strdup(arg);
  if (!copy) {
    chat_fail(c, "out of memory");
    return CHAT_NEXT_READ;
  }
  for (size_t len = strlen(copy); len && strchr(" \t\n", copy[len - 1]);) copy[--len] = '\0';
  const ChatNext next = k->run(c, copy);
  free(copy);
  return next;
}

json_t *chat_cmds_complete(void *user, const char *line, size_t *start) {
  (void)user;
  if (*line != '/' || line[1] == '/') return NULL;
  const size_t n = strcspn(line, " ");
  if (!line[n]) {
    json_t *found = json_array();
    for (const Command *k = commands; k->name; k++) {
      char word[32];
      snprintf(word, sizeof word, "/%s", k->name);
      if (k->run && k->about && !strncmp(word, line, n)) json_array_append_new(found, json_string(word));
    }
    *start = 0;
    return found;
  }
  const Command *k = find(line + 1, n - 1);
  const char *begun = line + n + strspn(line + n, " ");
  *start = (size_t)(begun - line);
  return k && k->complete ? k->complete(begun) : NULL;
}
