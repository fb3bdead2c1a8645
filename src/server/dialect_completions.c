// dialect_completions: POST /v1/completions, OpenAI's old format: a text is continued, no chat format, no
// markup. Depends on dialect.
#include "server/dialect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct State {
  const DialectEnv *env;
  const Ask *ask;
  const ReplyHead *head;
  size_t offset[]; // [choices of all prompts] characters of the text so far, for text_offset
} State;

// --- requests --------------------------------------------------------------------------------------

// A string or a list of ids; `name`: "prompt", or one of them.
static bool check_prompt(const Fields *f, const char *name, const json_t *p) {
  size_t i;
  json_t *v;
  if (json_is_string(p)) return true;
  if (!json_is_array(p))
    return field_refuse(f, name, "expected a string or a list of token ids, found %s", json_kind(p));
  if (!json_array_size(p)) return field_refuse(f, name, "it is empty");
  json_array_foreach(p, i, v) {
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
      return field_refuse(f, name, "expected a string or a list of token ids; item %zu is %s", i,
                          json_is_integer(v) ? "no id" : json_kind(v));
  }
  return true;
}

static bool read_prompt(const Fields *f, Ask *a) {
  const json_t *p = field_get(f, "prompt");
  if (!field_required(f, "prompt")) return false;
  const json_t *first = json_array_get(p, 0);
  a->prompt = p;
  if (!json_is_string(first) && !json_is_array(first)) return check_prompt(f, "prompt", p);
  a->many_prompts = true;
  a->n_prompts = json_array_size(p);
  if (a->n_prompts > ASK_MAX_PROMPTS)
    return field_refuse(f, "prompt", "at most %d prompts, found %zu", ASK_MAX_PROMPTS, a->n_prompts);
  for (size_t i = 0; i < a->n_prompts; i++) {
    char name[32];
    snprintf(name, sizeof name, "prompt[%zu]", i);
    if (!check_prompt(f, name, json_array_get(p, i))) return false;
  }
  return true;
}

static bool read_counts(const Fields *f, Ask *a) {
  Fields options;
  size_t best_of = 0, logprobs = SIZE_MAX;
  if (!field_size(f, "max_tokens", 1, INT32_MAX, &a->max_tokens) ||
      !field_size(f, "n", 1, ASK_MAX_CHOICES, &a->n) ||
      !field_size(f, "best_of", 1, ASK_MAX_CHOICES, &best_of) ||
      !field_size(f, "logprobs", 0, ASK_MAX_LOGPROBS, &logprobs) || !field_bool(f, "echo", &a->echo) ||
      !field_bool(f, "stream", &a->stream) || !field_enter(f, "stream_options", &options) ||
      !field_bool(&options, "include_usage", &a->include_usage))
    return false;
  if (best_of && best_of != a->n)
    return field_refuse(f, "best_of", "not supported, but for best_of equal to n");
  if (logprobs != SIZE_MAX) a->top_logprobs = (int)logprobs;
  if (a->echo && a->top_logprobs >= 0)
    return field_refuse(f, "echo", "log probabilities of the prompt are not computed: give echo or logprobs");
  return true;
}

static bool parse(const DialectEnv *env, json_t *body, Ask *a, AskFault *fault) {
  ask_init(a, env->defaults, body);
  const Fields f = fields_of(body, fault);
  const char *model = NULL, *suffix = NULL;
  if (!field_string(&f, "model", &model) || !field_string(&f, "suffix", &suffix)) return false;
  if (suffix && *suffix) return field_refuse(&f, "suffix", "this model cannot fill in the middle");
  a->max_tokens = 16; // the format's default
  return read_prompt(&f, a) && ask_read_sampling(&f, a) && ask_read_stops(&f, "stop", a) &&
         ask_read_bias(&f, "logit_bias", a) && read_counts(&f, a) &&
         ask_read_format(&f, "response_format", a) && ask_read_extras(&f, a);
}

// --- answers ----------------------------------------------------------------------------------------

static void *open_state(const DialectEnv *env, const Ask *ask, const ReplyHead *head, zaya_error *err) {
  State *s = calloc(1, sizeof *s + ask->n_prompts * ask->n * sizeof *s->offset);
  if (!s) {
    err_memory(err, sizeof *s, "an answer");
    return NULL;
  }
  s->env = env;
  s->ask = ask;
  s->head = head;
  return s;
}

static size_t characters(const char *text, size_t n) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) count += ((unsigned char)text[i] & 0xC0) != 0x80;
  return count;
}

// {"token": logprob, ...} of the likeliest; of tokens that look the same the likelier one counts.
static json_t *top_json(const Tok *tok, const AnswerToken *t) {
  json_t *top = json_object();
  for (size_t k = 0; k < t->n_top; k++) {
    json_t *text = dialect_token_text(tok, t->top[k].id);
    if (text && strlen(json_string_value(text)) == json_string_length(text) &&
        !json_object_get(top, json_string_value(text)))
      json_object_set_new(top, json_string_value(text), dialect_logprob(t->top[k].logprob));
    json_decref(text);
  }
  return top;
}

// Tokens side by side in lists. *offset: where the first begins, in characters.
static json_t *logprobs_json(const State *s, const AnswerToken *tokens, size_t n, size_t *offset) {
  if (s->ask->top_logprobs < 0) return json_null();
  json_t *texts = json_array(), *values = json_array(), *tops = json_array(), *offsets = json_array();
  for (size_t i = 0; i < n; i++) {
    size_t len = 0;
    const char *bytes = tok_bytes(s->env->tok, tokens[i].id, &len);
    json_array_append_new(texts, dialect_token_text(s->env->tok, tokens[i].id));
    json_array_append_new(values, dialect_logprob(tokens[i].logprob));
    json_array_append_new(tops, tokens[i].n_top ? top_json(s->env->tok, &tokens[i]) : json_null());
    json_array_append_new(offsets, json_integer((json_int_t)*offset));
    *offset += bytes ? characters(bytes, len) : 0;
  }
  return json_pack("{s:o, s:o, s:o, s:o}", "tokens", texts, "token_logprobs", values, "top_logprobs", tops,
                   "text_offset", offsets);
}

static json_t *choice_json(size_t i, json_t *text, json_t *logprobs, const char *finish) {
  return json_pack("{s:I, s:o, s:o, s:s?}", "index", (json_int_t)i, "text", text, "logprobs", logprobs,
                   "finish_reason", finish);
}

// Takes `choices` and `usage` over.
static json_t *frame(const State *s, json_t *choices, json_t *usage) {
  json_t *v = json_pack("{s:s, s:s, s:I, s:s, s:o}", "id", s->head->id, "object", "text_completion",
                        "created", (json_int_t)s->head->created, "model", s->head->model, "choices", choices);
  if (usage) json_object_set_new(v, "usage", usage);
  return v;
}

static bool send(const State *s, json_t *choice, Buf *out, zaya_error *err) {
  return dialect_sse(out, NULL,
                     frame(s, json_pack("[o]", choice), s->ask->include_usage ? json_null() : NULL), err);
}

// What echo puts in front of a choice.
static json_t *prompt_text(const State *s, size_t choice) {
  const json_t *prompt = ask_prompt(s->ask, choice / s->ask->n);
  Buf text = {0};
  json_t *v = NULL;
  if (json_is_string(prompt)) return json_incref((json_t *)(uintptr_t)prompt);
  bool ok = true;
  size_t i;
  json_t *id;
  TokDecoder d = tok_decoder(s->env->tok, 0);
  json_array_foreach(prompt, i, id) {
    ok = ok && tok_decoder_push(&d, (int32_t)json_integer_value(id), &text, NULL);
  }
  if (ok && tok_decoder_flush(&d, &text, NULL)) v = json_stringn(text.data ? text.data : "", text.len);
  buf_free(&text);
  return v;
}

static bool begin(void *state, Buf *out, zaya_error *err) {
  State *s = state;
  if (!s->ask->echo) return true;
  bool ok = true;
  for (size_t i = 0; ok && i < s->ask->n_prompts * s->ask->n; i++) {
    json_t *text = prompt_text(s, i);
    ok = text ? send(s, choice_json(i, text, json_null(), NULL), out, err)
              : err_memory(err, 0, "the prompt's text");
  }
  return ok;
}

static bool event(void *state, const ReplyEvent *e, Buf *out, zaya_error *err) {
  State *s = state;
  if (e->kind != REPLY_CONTENT) return true; // a plain text has no other parts
  return send(s,
              choice_json(e->choice, json_stringn(e->text, e->len),
                          logprobs_json(s, e->tokens, e->n_tokens, &s->offset[e->choice]), NULL),
              out, err);
}

static bool end(void *state, const Answer *answers, size_t n, Buf *out, zaya_error *err) {
  const State *s = state;
  for (size_t i = 0; i < n; i++)
    if (!send(s, choice_json(i, json_string(""), json_null(), dialect_finish(&answers[i])), out, err))
      return false;
  if (s->ask->include_usage &&
      !dialect_sse(out, NULL, frame(s, json_array(), dialect_usage(s->head, answers, n)), err))
    return false;
  return buf_puts(out, "data: [DONE]\n\n", err);
}

static bool fail(void *state, const AskFault *fault, Buf *out, zaya_error *err) {
  (void)state;
  return dialect_sse(out, NULL, dialect_openai_error(fault), err) && buf_puts(out, "data: [DONE]\n\n", err);
}

static json_t *text_json(const State *s, size_t choice, const Answer *a) {
  json_t *prompt = s->ask->echo ? prompt_text(s, choice) : NULL, *v;
  Buf text = {0};
  if ((prompt && !buf_add(&text, json_string_value(prompt), json_string_length(prompt), NULL)) ||
      !buf_add(&text, a->content.data, a->content.len, NULL))
    v = NULL;
  else
    v = json_stringn(text.data ? text.data : "", text.len);
  json_decref(prompt);
  buf_free(&text);
  return v;
}

static json_t *body(void *state, const Answer *answers, size_t n, zaya_error *err) {
  const State *s = state;
  json_t *choices = json_array();
  for (size_t i = 0; i < n; i++) {
    size_t offset = 0;
    json_array_append_new(choices,
                          choice_json(i, text_json(s, i, &answers[i]),
                                      logprobs_json(s, answers[i].tokens, answers[i].n_tokens, &offset),
                                      dialect_finish(&answers[i])));
  }
  json_t *v = frame(s, choices, dialect_usage(s->head, answers, n));
  if (!v) err_memory(err, 0, "an answer");
  return v;
}

const Dialect dialect_completions = {.path = "/v1/completions",
                                     .name = "completions",
                                     .id_prefix = "cmpl-",
                                     .parse = parse,
                                     .open = open_state,
                                     .close = free,
                                     .begin = begin,
                                     .event = event,
                                     .end = end,
                                     .fail = fail,
                                     .body = body,
                                     .error = dialect_openai_error};
