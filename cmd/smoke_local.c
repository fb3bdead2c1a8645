// smoke_local: asks a bundle, through its own template, greedy.
#include "smoke.h"

#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ANSWER = 1024 }; // tokens

typedef struct Local {
  zaya_model *model;
  zaya_tokenizer *tok;
  zaya_chat *chat;
} Local;

// The answer's pieces as they come.
typedef struct Gather {
  SmokeAnswer *out;
  bool failed; // memory ran out
} Gather;

static bool append(char **text, const char *more, size_t len) {
  const size_t n = *text ? strlen(*text) : 0;
  char *grown = realloc(*text, n + len + 1);
  if (!grown) return false;
  memcpy(grown + n, more, len);
  grown[n + len] = '\0';
  *text = grown;
  return true;
}

static bool on_event(void *user, const zaya_output_event *e) {
  Gather *g = user;
  bool ok = true;
  if (e->kind == ZAYA_OUTPUT_CONTENT) ok = append(&g->out->text, e->text, e->len);
  if (e->kind == ZAYA_OUTPUT_REASONING) ok = append(&g->out->reasoning, e->text, e->len);
  if (e->kind == ZAYA_OUTPUT_CALL_DONE)
    json_array_append_new(g->out->calls, json_pack("{s:s, s:o}", "name", e->name, "arguments",
                                                   json_loadb(e->text, e->len, 0, NULL)));
  g->failed = g->failed || !ok;
  return ok;
}

static bool generate(Local *l, const zaya_ids *ids, const char *tools, bool thinks, SmokeAnswer *out,
                     zaya_error *err) {
  const size_t most = (size_t)zaya_model_get_info(l->model).max_position;
  const size_t room = ids->len + MAX_ANSWER < most ? ids->len + MAX_ANSWER : most;
  zaya_generate_params p = zaya_generate_params_default();
  zaya_generate_result result;
  Gather g = {.out = out};
  p.sampling.temperature = 0;
  p.max_tokens = MAX_ANSWER;
  p.output.tools = tools;
  p.output.thinking = thinks;
  zaya_session *s = zaya_session_new(l->model, room, err);
  bool ok = s && append(&out->text, "", 0) && append(&out->reasoning, "", 0) &&
            zaya_generate(s, l->tok, ids->data, ids->len, &p, on_event, &g, &result, err) && !g.failed;
  if (ok) snprintf(out->finish, sizeof out->finish, "%s", zaya_finish_name(result.finish));
  zaya_session_free(s);
  return ok;
}

static bool local_ask(void *self, const json_t *messages, const json_t *tools, SmokeThinking thinking,
                      SmokeAnswer *out, zaya_error *err) {
  static const zaya_think_mode modes[] = {
      [SMOKE_AUTO] = ZAYA_THINK_AUTO, [SMOKE_OFF] = ZAYA_THINK_OFF, [SMOKE_ON] = ZAYA_THINK_ON};
  Local *l = self;
  zaya_prompt prompt = {0};
  zaya_ids ids = {0};
  const double start = now_seconds();
  char *text = json_dumps(messages, JSON_COMPACT),
       *tool_text = tools ? json_dumps(tools, JSON_COMPACT) : NULL;
  const zaya_chat_params params = {.messages = text, .tools = tool_text, .thinking = modes[thinking]};
  out->calls = json_array();
  bool ok = text && zaya_chat_render(l->chat, &params, &prompt, err) &&
            zaya_prompt_encode(&prompt, l->tok, &ids, NULL, err);
  ok = ok && generate(l, &ids, tool_text,
                      zaya_output_prompt_thinks(NULL, NULL, prompt.text.data, prompt.text.len), out, err);
  out->seconds = now_seconds() - start;
  zaya_prompt_free(&prompt);
  zaya_ids_free(&ids);
  free(text);
  free(tool_text);
  return ok;
}

static void local_close(void *self) {
  Local *l = self;
  zaya_model_close(l->model);
  zaya_tokenizer_close(l->tok);
  zaya_chat_close(l->chat);
  free(l);
}

bool smoke_local_open(SmokeTarget *t, const char *dir, int threads, bool exact, zaya_error *err) {
  const zaya_model_params params = {.n_threads = threads, .exact = exact};
  Local *l = calloc(1, sizeof *l);
  if (!l) return false;
  *t = (SmokeTarget){.ask = local_ask, .close = local_close, .self = l};
  if ((l->model = zaya_model_open(dir, &params, err)) && (l->tok = zaya_tokenizer_open(dir, err)) &&
      (l->chat = zaya_chat_open(dir, err)))
    return true;
  local_close(l);
  return false;
}
