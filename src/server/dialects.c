// dialects: the table of dialects, and what their answers have in common.
#include "base/utf8.h"
#include "server/dialect.h"

#include <math.h>

const Dialect *const dialects[] = {&dialect_chat, &dialect_completions, &dialect_responses, &dialect_messages,
                                   NULL};

static int add_chunk(const char *data, size_t len, void *user) {
  return buf_add(user, data, len, NULL) ? 0 : -1;
}

bool dialect_sse(Buf *out, const char *event, json_t *json, zaya_error *err) {
  const size_t before = out->len;
  bool ok =
      json &&
      (!event || (buf_puts(out, "event: ", err) && buf_puts(out, event, err) && buf_putc(out, '\n', err))) &&
      buf_puts(out, "data: ", err) &&
      json_dump_callback(json, add_chunk, out, JSON_COMPACT | JSON_REAL_PRECISION(12)) == 0 &&
      buf_puts(out, "\n\n", err);
  json_decref(json);
  if (ok) return true;
  out->len = before;
  return err_memory(err, 0, "an event");
}

// What clients look at first.
static const char *error_type(int status) {
  switch (status) {
  case 401: return "authentication_error";
  case 403: return "permission_error";
  case 429: return "rate_limit_error";
  default: return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

json_t *dialect_openai_error(const AskFault *fault) {
  return json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", fault->error.message, "type",
                   error_type(fault->status), "param", *fault->field ? fault->field : NULL, "code",
                   fault->code);
}

json_t *dialect_token_text(const Tok *tok, int32_t id) {
  size_t n = 0;
  const char *bytes = tok_bytes(tok, id, &n);
  Buf text = {0};
  json_t *v = NULL;
  if (utf8_repair(&text, bytes ? bytes : "", n, NULL)) v = json_stringn(text.data ? text.data : "", text.len);
  buf_free(&text);
  return v;
}

json_t *dialect_logprob(double logprob) { return json_real(isfinite(logprob) ? logprob : -9999.0); }

// {"token", "logprob", "bytes"}
static json_t *token_json(const Tok *tok, int32_t id, double logprob) {
  size_t n = 0;
  const char *text = tok_bytes(tok, id, &n);
  json_t *bytes = json_array();
  for (size_t i = 0; i < n; i++) json_array_append_new(bytes, json_integer((unsigned char)text[i]));
  return json_pack("{s:o, s:o, s:o}", "token", dialect_token_text(tok, id), "logprob",
                   dialect_logprob(logprob), "bytes", bytes);
}

json_t *dialect_logprobs(const Tok *tok, const AnswerToken *tokens, size_t n) {
  json_t *list = json_array();
  for (size_t i = 0; i < n; i++) {
    json_t *entry = token_json(tok, tokens[i].id, tokens[i].logprob), *top = json_array();
    for (size_t k = 0; k < tokens[i].n_top; k++)
      json_array_append_new(top, token_json(tok, tokens[i].top[k].id, tokens[i].top[k].logprob));
    json_object_set_new(entry, "top_logprobs", top);
    json_array_append_new(list, entry);
  }
  return list;
}

json_t *dialect_usage(const ReplyHead *head, const Answer *answers, size_t n) {
  const size_t drawn = answer_tokens(answers, n), total = head->prompt_tokens + drawn;
  size_t thinking = 0;
  for (size_t i = 0; i < n; i++) thinking += answer_thinking_tokens(&answers[i]);
  return json_pack("{s:I, s:I, s:I, s:{s:I}, s:{s:I}}", "prompt_tokens", (json_int_t)head->prompt_tokens,
                   "completion_tokens", (json_int_t)drawn, "total_tokens", (json_int_t)total,
                   "prompt_tokens_details", "cached_tokens", (json_int_t)head->cached_tokens,
                   "completion_tokens_details", "reasoning_tokens", (json_int_t)thinking);
}

const char *dialect_finish(const Answer *answer) {
  return answer->end == ANSWER_LENGTH ? "length" : answer->end == ANSWER_CALLS ? "tool_calls" : "stop";
}
