// Requests to Asks and answers to bodies, without sockets: field readers, the chat and completions dialects,
// the gathering of answers, the small caches.
#include "server/dialect.h"
#include "server/lru.h"
#include "server/recall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const zaya_sampling defaults = {.temperature = 0.5, .top_p = 0.9, .repetition_penalty = 1};

static Tok *tok;

static int open_tok(void **state) {
  (void)state;
  zaya_error err = {0};
  tok = tok_open(ZAYA_TEST_DATA "/../models/nano", &err);
  if (!tok) print_error("%s\n", err.message);
  return tok ? 0 : -1;
}

static int close_tok(void **state) {
  (void)state;
  tok_close(tok);
  return 0;
}

static DialectEnv env_of(void) { return (DialectEnv){.defaults = &defaults, .tok = tok, .model = "m"}; }

static bool parse(const Dialect *d, const char *text, Ask *ask, AskFault *fault) {
  const DialectEnv env = env_of();
  json_t *body = json_loads(text, JSON_ALLOW_NUL, NULL);
  assert_non_null(body);
  *fault = (AskFault){0};
  const bool ok = d->parse(&env, body, ask, fault);
  json_decref(body);
  return ok;
}

// --- fields ----------------------------------------------------------------------------------------

static void refuses(const Dialect *d, const char *text, const char *field) {
  Ask ask = {0};
  AskFault fault;
  assert_false(parse(d, text, &ask, &fault));
  assert_int_equal(fault.status, 400);
  assert_string_equal(fault.field, field);
  if (*field) assert_memory_equal(fault.error.message, field, strlen(field)); // the message begins with it
  ask_free(&ask);
}

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void test_fields_are_named(void **state) {
  (void)state;
  const Dialect *d = &dialect_chat;
  refuses(d, "{}", "messages");
  refuses(d, "{\"messages\":null}", "messages");
  refuses(d, "{" MESSAGES ",\"temperature\":\"1\"}", "temperature");
  refuses(d, "{" MESSAGES ",\"seed\":1.5}", "seed");
  refuses(d, "{" MESSAGES ",\"model\":\"a\\u0000b\"}", "model");
  refuses(d, "{" MESSAGES ",\"stream_options\":{\"include_usage\":1}}", "stream_options.include_usage");
  refuses(d, "{" MESSAGES ",\"response_format\":{\"type\":\"json_schema\"}}", "response_format.schema");
  refuses(d, "{" MESSAGES ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}}",
          "response_format.json_schema.schema");
  refuses(d, "{" MESSAGES ",\"response_format\":{\"type\":\"json_object\"},\"regex\":\"x\"}", "regex");
  refuses(d, "{" MESSAGES ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":5}}]}",
          "tools[0].function.name");
  refuses(d, "{" MESSAGES ",\"tools\":[1]}", "tools[0]");
  refuses(d, "{" MESSAGES ",\"chat_template_kwargs\":{\"enable_thinking\":\"no\"}}",
          "chat_template_kwargs.enable_thinking");
  refuses(d, "{" MESSAGES ",\"reasoning_effort\":\"none\",\"thinking_budget\":5}", "thinking_budget");
  refuses(&dialect_completions, "{\"prompt\":[1,-1]}", "prompt");
  refuses(&dialect_completions, "{}", "prompt");
  refuses(&dialect_completions, "{\"prompt\":[]}", "prompt");
  refuses(&dialect_completions, "{\"prompt\":[\"a\",[]]}", "prompt[1]");
  refuses(&dialect_completions, "{\"prompt\":[[1],[2,\"x\"]]}", "prompt[1]");
  refuses(&dialect_completions, "{\"prompt\":[[1],{}]}", "prompt[1]");
  refuses(&dialect_completions, "{\"prompt\":[\"a\",3]}", "prompt[1]");
}

static void test_null_is_absent(void **state) {
  (void)state;
  Ask ask = {0};
  AskFault fault;
  assert_true(
      parse(&dialect_chat,
            "{" MESSAGES ",\"temperature\":null,\"stop\":null,\"tools\":null,\"seed\":null,\"n\":null,"
            "\"response_format\":null,\"tool_choice\":null,\"max_tokens\":null,\"unknown\":{\"x\":[]}}",
            &ask, &fault));
  assert_true(ask.sampling.temperature == 0.5);
  assert_false(ask.has_seed);
  assert_int_equal(ask.n, 1);
  assert_int_equal(ask.max_tokens, 0);
  assert_null(ask.tools);
  assert_int_equal(ask.top_logprobs, -1);
  ask_free(&ask);
}

static void test_chat_request(void **state) {
  (void)state;
  Ask ask = {0};
  AskFault fault;
  assert_true(parse(
      &dialect_chat,
      "{\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"assistant\",\"content\":\"a\","
      "\"reasoning\":\"r\"}],\"max_completion_tokens\":7,\"stop\":[\"a\",\"b\"],\"seed\":-1,"
      "\"logit_bias\":{\"5\":-100,\"6\":3},\"logprobs\":true,\"top_logprobs\":2,\"stream\":true,"
      "\"parallel_tool_calls\":false,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
      "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"thinking_budget\":40,"
      "\"chat_template_kwargs\":{\"enable_thinking\":true,\"other\":1}}",
      &ask, &fault));
  assert_string_equal(json_string_value(json_object_get(json_array_get(ask.messages, 0), "role")), "system");
  assert_string_equal(
      json_string_value(json_object_get(json_array_get(ask.messages, 1), "reasoning_content")), "r");
  assert_int_equal(ask.max_tokens, 7);
  assert_int_equal(ask.n_stops, 2);
  assert_string_equal(ask.stops[1], "b");
  assert_true(ask.has_seed && ask.sampling.seed == UINT64_MAX);
  assert_int_equal(ask.sampling.n_bias, 2);
  assert_true(ask.sampling.bias[0].id == 5 && ask.sampling.bias[0].bias <= -1e6); // never, not only seldom
  assert_int_equal(ask.top_logprobs, 2);
  assert_int_equal(ask.tool_choice, ASK_TOOLS_NAMED);
  assert_string_equal(ask.tool_name, "f");
  assert_false(ask.parallel_tools);
  assert_int_equal(ask.thinking, ZAYA_THINK_ON);
  assert_true(ask.budget.has_limit && ask.budget.limit == 40 && ask.budget.soft_limit == 30);
  assert_null(json_object_get(ask.kwargs, "enable_thinking"));
  assert_non_null(json_object_get(ask.kwargs, "other"));
  // The request itself is as it was: what was changed is a copy.
  assert_string_equal(
      json_string_value(json_object_get(json_array_get(json_object_get(ask.body, "messages"), 0), "role")),
      "developer");
  ask_free(&ask);
}

static void test_thinking_off(void **state) {
  (void)state;
  Ask ask = {0};
  AskFault fault;
  assert_true(parse(&dialect_chat, "{" MESSAGES ",\"reasoning_effort\":\"none\"}", &ask, &fault));
  assert_int_equal(ask.thinking, ZAYA_THINK_OFF);
  assert_true(ask.budget.has_limit && ask.budget.limit == 0);
  ask_free(&ask);
}

// --- answers ---------------------------------------------------------------------------------------

static void gather(Answer *a) {
  const zaya_output_event call = {.kind = ZAYA_OUTPUT_CALL_DONE,
                                  .name = "f",
                                  .text = "{\"x\":1}",
                                  .len = 7,
                                  .raw = "<raw>",
                                  .raw_len = 5};
  assert_true(answer_add_reasoning(a, true, "one", 3, NULL));
  assert_true(answer_add_reasoning(a, false, "!", 1, NULL));
  assert_true(answer_add_content(a, "text", 4, NULL));
  assert_true(answer_add_reasoning(a, true, "two", 3, NULL));
  assert_true(answer_add_call(a, "call_1", &call, NULL));
  assert_true(answer_add_content(a, "end", 3, NULL));
  a->done = true;
  a->end = ANSWER_CALLS;
  a->result.tokens = 9;
  a->result.turn.thinking = 4;
}

static void test_parts_in_order(void **state) {
  (void)state;
  static const AnswerPartKind kinds[] = {ANSWER_REASONING, ANSWER_CONTENT, ANSWER_REASONING, ANSWER_CALL,
                                         ANSWER_CONTENT};
  static const char *const texts[] = {"one!", "text", "two", "", "end"};
  Answer a = {0};
  gather(&a);
  assert_string_equal(a.reasoning.data, "one!\n\ntwo");
  assert_string_equal(a.content.data, "textend");
  assert_int_equal(a.n_parts, 5);
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(a.parts[i].kind, kinds[i]);
    if (kinds[i] == ANSWER_CALL) continue;
    size_t n;
    const char *text = answer_part_text(&a, &a.parts[i], &n);
    assert_int_equal(n, strlen(texts[i]));
    assert_memory_equal(text, texts[i], n);
  }
  answer_free(&a);
}

static void test_chat_body(void **state) {
  (void)state;
  const DialectEnv env = env_of();
  const ReplyHead head = {.id = "i", .model = "m", .created = 5, .prompt_tokens = 10, .cached_tokens = 6};
  Ask ask = {0};
  AskFault fault;
  Answer a = {0};
  assert_true(parse(&dialect_chat, "{" MESSAGES "}", &ask, &fault));
  gather(&a);
  void *s = dialect_chat.open(&env, &ask, &head, NULL);
  json_t *v = dialect_chat.body(s, &a, 1, NULL), *choice = json_array_get(json_object_get(v, "choices"), 0);
  json_t *want =
      json_loads("{\"role\":\"assistant\",\"refusal\":null,\"content\":\"textend\",\"reasoning_content\":"
                 "\"one!\\n\\ntwo\",\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\",\"function\":"
                 "{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]}",
                 0, NULL);
  assert_true(json_equal(json_object_get(choice, "message"), want));
  assert_string_equal(json_string_value(json_object_get(choice, "finish_reason")), "tool_calls");
  json_decref(want);
  want = json_loads(
      "{\"prompt_tokens\":10,\"completion_tokens\":9,\"total_tokens\":19,\"prompt_tokens_details\":"
      "{\"cached_tokens\":6},\"completion_tokens_details\":{\"reasoning_tokens\":4}}",
      0, NULL);
  assert_true(json_equal(json_object_get(v, "usage"), want));
  json_decref(want);
  json_decref(v);
  dialect_chat.close(s);
  answer_free(&a);
  ask_free(&ask);
}

static void test_chat_stream(void **state) {
  (void)state;
  const DialectEnv env = env_of();
  const ReplyHead head = {.id = "i", .model = "m", .created = 5, .prompt_tokens = 10};
  Ask ask = {0};
  AskFault fault;
  Answer a = {0};
  Buf out = {0};
  assert_true(parse(&dialect_chat, "{" MESSAGES ",\"stream\":true}", &ask, &fault));
  gather(&a);
  void *s = dialect_chat.open(&env, &ask, &head, NULL);
  const ReplyEvent events[] = {
      {.kind = REPLY_REASONING, .text = "one", .len = 3, .begins = true},
      {.kind = REPLY_REASONING, .text = "two", .len = 3, .begins = true},
      {.kind = REPLY_CONTENT, .text = "a\n\nb", .len = 4, .begins = true},
      {.kind = REPLY_CALL, .text = "", .call = &a.calls[0], .index = 0, .begins = true},
  };
  assert_true(dialect_chat.begin(s, &out, NULL));
  for (size_t i = 0; i < 4; i++) assert_true(dialect_chat.event(s, &events[i], &out, NULL));
  assert_true(dialect_chat.end(s, &a, 1, &out, NULL));
  assert_non_null(strstr(out.data, "{\"role\":\"assistant\",\"content\":\"\"}"));
  assert_non_null(strstr(out.data, "{\"reasoning_content\":\"one\"}"));
  assert_non_null(strstr(out.data, "{\"reasoning_content\":\"\\n\\ntwo\"}"));
  assert_non_null(strstr(out.data, "{\"content\":\"a\\n\\nb\"}")); // one line: an event cannot be forged
  assert_non_null(strstr(out.data, "\"arguments\":\"{\\\"x\\\":1}\""));
  assert_non_null(strstr(out.data, "\"finish_reason\":\"tool_calls\""));
  assert_string_equal(out.data + out.len - 14, "data: [DONE]\n\n");
  dialect_chat.close(s);
  buf_free(&out);
  answer_free(&a);
  ask_free(&ask);
}

// --- caches ----------------------------------------------------------------------------------------

static int alive;

static void *copy_number(const void *value) {
  int *copy = malloc(sizeof *copy);
  *copy = *(const int *)value;
  alive++;
  return copy;
}

static void free_number(void *value) {
  alive--;
  free(value);
}

static void test_lru(void **state) {
  (void)state;
  static const LruType type = {.copy = copy_number, .free = free_number};
  static const int numbers[] = {0, 1, 2, 3, 4};
  Lru *l = lru_new(3, 1000, &type, NULL);
  for (int i = 0; i < 3; i++) lru_put(l, (char[]){(char)('a' + i)}, 1, copy_number(&numbers[i]), 10);
  int *a = lru_find(l, "a", 1); // asked for: b is now the oldest
  assert_int_equal(*a, 0);
  free_number(a);
  lru_put(l, "d", 1, copy_number(&numbers[3]), 10);
  assert_null(lru_find(l, "b", 1));
  lru_put(l, "a", 1, copy_number(&numbers[4]), 10); // in its own place
  assert_int_equal(lru_count(l), 3);
  a = lru_find(l, "a", 1);
  assert_int_equal(*a, 4);
  free_number(a);
  lru_put(l, "big", 3, copy_number(&numbers[1]), 2000); // never fits
  assert_int_equal(lru_count(l), 3);
  lru_put(l, "most", 4, copy_number(&numbers[1]), 990); // takes all the room
  assert_int_equal(lru_count(l), 1);
  lru_free(l);
  assert_int_equal(alive, 0);
}

static void test_recall(void **state) {
  (void)state;
  Recall *r = recall_new(NULL);
  recall_put(r, "c1", "f", "{\"x\": 1}", "<raw>", 5);
  static const struct {
    const char *call;
    bool known;
  } cases[] = {
      {"{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}", true},
      {"{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}", true},
      {"{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":2}\"}}", false}, // edited
      {"{\"id\":\"c1\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"x\\\":1}\"}}", false},
      {"{\"id\":\"c2\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}", false},
      {"{\"function\":{\"name\":\"f\",\"arguments\":\"no JSON\"}}", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *call = json_loads(cases[i].call, 0, NULL);
    Buf raw = {0};
    assert_int_equal(recall_find(r, call, &raw), cases[i].known);
    if (cases[i].known) assert_string_equal(raw.data, "<raw>");
    buf_free(&raw);
    json_decref(call);
  }
  recall_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fields_are_named), cmocka_unit_test(test_null_is_absent),
      cmocka_unit_test(test_chat_request),     cmocka_unit_test(test_thinking_off),
      cmocka_unit_test(test_parts_in_order),   cmocka_unit_test(test_chat_body),
      cmocka_unit_test(test_chat_stream),      cmocka_unit_test(test_lru),
      cmocka_unit_test(test_recall),
  };
  return cmocka_run_group_tests(tests, open_tok, close_tok);
}
