// responses: OpenAI's Responses format read, refused and written; conversations continued by their id; what
// a stream adds up to is what the body says.
#include "dialects.h"

#include "server/history.h"

#define NANO ZAYA_TEST_DATA "/../models/nano"

static const Dialect *const d = &dialect_responses;

static void check_messages(const char *body, const char *want) {
  const DialectEnv env = env_of(NULL);
  Ask ask;
  read_ask(d, &env, body, &ask);
  assert_json(ask.messages, want);
  ask_free(&ask);
}

static void test_input(void **state) {
  (void)state;
  check_messages("{\"input\": \"Hi\"}", "[{\"role\": \"user\", \"content\": \"Hi\"}]");
  check_messages("{\"input\": \"Hi\", \"instructions\": \"Be brief.\"}",
                 "[{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": \"user\", \"content\": "
                 "\"Hi\"}]");
  check_messages("{\"instructions\": \"One.\", \"input\": [{\"role\": \"developer\", \"content\": \"Two.\"}, "
                 "{\"role\": \"user\", \"content\": [{\"type\": \"input_text\", \"text\": \"a\"}, {\"type\": "
                 "\"input_text\", \"text\": \"b\"}]}]}",
                 "[{\"role\": \"system\", \"content\": \"One.\\nTwo.\"}, {\"role\": \"user\", \"content\": "
                 "\"a\\nb\"}]");
  // What an answer consists of becomes one message; results follow.
  check_messages(
      "{\"input\": [{\"type\": \"message\", \"role\": \"user\", \"content\": \"Weather?\"},"
      "{\"type\": \"reasoning\", \"id\": \"rs_1\", \"summary\": [], \"content\": [{\"type\": "
      "\"reasoning_text\", \"text\": \"Hm.\"}]},"
      "{\"type\": \"message\", \"role\": \"assistant\", \"content\": [{\"type\": \"output_text\", \"text\": "
      "\"I look.\", \"annotations\": []}]},"
      "{\"type\": \"function_call\", \"call_id\": \"c1\", \"name\": \"f\", \"arguments\": \"{\\\"a\\\":1}\"},"
      "{\"type\": \"function_call\", \"call_id\": \"c2\", \"name\": \"g\", \"arguments\": \"\"},"
      "{\"type\": \"function_call_output\", \"call_id\": \"c1\", \"output\": \"17\"},"
      "{\"type\": \"function_call_output\", \"call_id\": \"c2\", \"output\": [{\"type\": \"input_text\", "
      "\"text\": \"x\"}, {\"type\": \"input_text\", \"text\": \"y\"}]}]}",
      "[{\"role\": \"user\", \"content\": \"Weather?\"},"
      "{\"role\": \"assistant\", \"content\": \"I look.\", \"reasoning_content\": \"Hm.\", \"tool_calls\": ["
      "{\"id\": \"c1\", \"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": {\"a\": 1}}},"
      "{\"id\": \"c2\", \"type\": \"function\", \"function\": {\"name\": \"g\", \"arguments\": {}}}]},"
      "{\"role\": \"tool\", \"tool_call_id\": \"c1\", \"content\": \"17\"},"
      "{\"role\": \"tool\", \"tool_call_id\": \"c2\", \"content\": \"x\\ny\"}]");
  // A summary counts where there is no more; a refusal is what was said.
  check_messages(
      "{\"input\": [{\"type\": \"reasoning\", \"summary\": [{\"type\": \"summary_text\", \"text\": "
      "\"S\"}]}, {\"role\": \"assistant\", \"content\": [{\"type\": \"refusal\", \"refusal\": "
      "\"No.\"}]}]}",
      "[{\"role\": \"assistant\", \"content\": \"No.\", \"reasoning_content\": \"S\"}]");
}

#define IN "\"input\": \"Hi\""
#define TOOLS                                                                                                \
  "\"tools\": [{\"type\": \"function\", \"name\": \"f\", \"description\": \"does\", \"parameters\": "        \
  "{\"type\": \"object\"}, \"strict\": true}, {\"type\": \"function\", \"name\": \"g\", \"parameters\": "    \
  "null}], "

static void test_options(void **state) {
  (void)state;
  const DialectEnv env = env_of(NULL);
  Ask a;
  read_ask(d, &env,
           "{\"temperature\": 0.5, \"top_p\": 0.9, \"max_output_tokens\": 64, \"stream\": true, "
           "\"reasoning\": {\"effort\": \"low\", \"summary\": \"auto\"}, \"metadata\": {\"a\": \"b\"}, "
           "\"truncation\": \"disabled\", \"service_tier\": \"auto\", " IN "}",
           &a);
  assert_int_equal(a.max_tokens, 64);
  assert_true(a.stream && a.sampling.temperature == 0.5 && a.sampling.top_p == 0.9);
  assert_int_equal(a.thinking, ZAYA_THINK_ON);
  assert_int_equal(a.budget.limit, 1024);
  assert_int_equal(a.top_logprobs, -1);
  ask_free(&a);
  read_ask(d, &env, "{\"reasoning\": {\"effort\": \"none\"}, " IN "}", &a);
  assert_int_equal(a.thinking, ZAYA_THINK_OFF);
  ask_free(&a);
  read_ask(d, &env, "{" IN "}", &a);
  assert_int_equal(a.thinking, ZAYA_THINK_AUTO);
  ask_free(&a);
  read_ask(d, &env, "{\"include\": [\"message.output_text.logprobs\"], " IN "}", &a);
  assert_int_equal(a.top_logprobs, 0);
  ask_free(&a);
  read_ask(d, &env, "{\"top_logprobs\": 3, " IN "}", &a);
  assert_int_equal(a.top_logprobs, 3);
  ask_free(&a);
  read_ask(d, &env, "{\"text\": {\"format\": {\"type\": \"json_object\"}, \"verbosity\": \"low\"}, " IN "}",
           &a);
  assert_int_equal(a.form, ASK_JSON_OBJECT);
  ask_free(&a);
  read_ask(d, &env,
           "{\"text\": {\"format\": {\"type\": \"json_schema\", \"name\": \"x\", \"schema\": {\"type\": "
           "\"object\"}, \"strict\": true}}, " IN "}",
           &a);
  assert_int_equal(a.form, ASK_JSON_SCHEMA);
  assert_json(a.schema, "{\"type\": \"object\"}");
  ask_free(&a);
}

static void test_tools(void **state) {
  (void)state;
  const DialectEnv env = env_of(NULL);
  Ask a;
  read_ask(d, &env, "{" TOOLS "\"parallel_tool_calls\": false, " IN "}", &a);
  assert_json(a.tools, "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"does\", "
                       "\"parameters\": {\"type\": \"object\"}, \"strict\": true}}, {\"type\": \"function\", "
                       "\"function\": {\"name\": \"g\"}}]");
  assert_false(a.parallel_tools);
  ask_free(&a);
  static const struct {
    const char *choice;
    AskTools want;
  } cases[] = {{"\"auto\"", ASK_TOOLS_AUTO},
               {"\"none\"", ASK_TOOLS_NONE},
               {"\"required\"", ASK_TOOLS_REQUIRED},
               {"{\"type\": \"function\", \"name\": \"g\"}", ASK_TOOLS_NAMED}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[512];
    snprintf(text, sizeof text, "{" TOOLS "\"tool_choice\": %s, " IN "}", cases[i].choice);
    read_ask(d, &env, text, &a);
    assert_int_equal(a.tool_choice, cases[i].want);
    if (a.tool_choice == ASK_TOOLS_NAMED) assert_string_equal(a.tool_name, "g");
    ask_free(&a);
  }
}

static void test_refusals(void **state) {
  (void)state;
  const DialectEnv env = env_of(NULL);
  static const struct {
    const char *body, *field, *says;
  } cases[] = {
      {"{}", "input", "at least one"},
      {"{\"input\": []}", "input", "at least one"},
      {"{\"input\": 5}", "input", "found a number"},
      {"{\"input\": [\"x\"]}", "input[0]", "found a string"},
      {"{\"input\": [{\"type\": 1}]}", "input[0].type", "found a number"},
      {"{\"input\": [{\"type\": \"item_reference\", \"id\": \"x\"}]}", "input[0].type", "item_reference"},
      {"{\"input\": [{\"content\": \"x\"}]}", "input[0].role", "required"},
      {"{\"input\": [{\"role\": \"tool\", \"content\": \"x\"}]}", "input[0].role", "expected one of"},
      {"{\"input\": [{\"role\": \"user\"}]}", "input[0].content", "required"},
      {"{\"input\": [{\"role\": \"user\", \"content\": {}}]}", "input[0].content", "found an object"},
      {"{\"input\": [{\"role\": \"user\", \"content\": [{\"text\": \"x\"}]}]}", "input[0].content[0].type",
       "required"},
      {"{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_image\"}]}]}",
       "input[0].content[0].type", "\"input_image\""},
      {"{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_text\", \"text\": 4}]}]}",
       "input[0].content[0].text", "found a number"},
      {"{\"input\": [{\"type\": \"function_call\"}]}", "input[0].call_id", "required"},
      {"{\"input\": [{\"type\": \"function_call\", \"call_id\": \"a\"}]}", "input[0].name", "required"},
      {"{\"input\": [{\"type\": \"function_call\", \"call_id\": \"a\", \"name\": \"f\"}]}",
       "input[0].arguments", "required"},
      {"{\"input\": [{\"type\": \"function_call\", \"call_id\": \"a\", \"name\": \"f\", \"arguments\": "
       "\"[]\"}]}",
       "input[0].arguments", "JSON object"},
      {"{\"input\": [{\"type\": \"function_call\", \"call_id\": \"a\", \"name\": \"f\", \"arguments\": "
       "\"{\"}]}",
       "input[0].arguments", "JSON object"},
      {"{\"input\": [{\"type\": \"function_call_output\", \"output\": \"\"}]}", "input[0].call_id",
       "required"},
      {"{\"input\": [{\"type\": \"function_call_output\", \"call_id\": \"a\"}]}", "input[0].output",
       "required"},
      {"{\"input\": [{\"type\": \"function_call_output\", \"call_id\": \"a\", \"output\": 5}]}",
       "input[0].output", "found a number"},
      {"{\"input\": [{\"type\": \"reasoning\", \"content\": [{\"type\": \"x\"}]}]}",
       "input[0].content[0].type", "reasoning_text"},
      {"{\"instructions\": [], " IN "}", "instructions", "found a list"},
      {"{\"model\": {}, " IN "}", "model", "found an object"},
      {"{\"previous_response_id\": 5, " IN "}", "previous_response_id", "found a number"},
      {"{\"previous_response_id\": \"resp_x\", " IN "}", "previous_response_id", "\"resp_x\""},
      {"{\"conversation\": \"c\", " IN "}", "conversation", "not supported"},
      {"{\"prompt\": {\"id\": \"p\"}, " IN "}", "prompt", "not supported"},
      {"{\"background\": true, " IN "}", "background", "not supported"},
      {"{\"background\": 1, " IN "}", "background", "a boolean"},
      {"{\"truncation\": \"x\", " IN "}", "truncation", "expected one of"},
      {"{\"tools\": 1, " IN "}", "tools", "found a number"},
      {"{\"tools\": [{\"name\": \"f\"}], " IN "}", "tools[0].type", "required"},
      {"{\"tools\": [{\"type\": \"web_search\"}], " IN "}", "tools[0].type", "\"web_search\""},
      {"{\"tools\": [{\"type\": \"function\"}], " IN "}", "tools[0].name", "required"},
      {"{\"tool_choice\": \"required\", " IN "}", "tool_choice", "no tools"},
      {"{\"tool_choice\": \"some\", " IN "}", "tool_choice", "expected one of"},
      {"{\"tool_choice\": {\"type\": \"mcp\"}, " IN "}", "tool_choice.type", "\"mcp\""},
      {"{" TOOLS "\"tool_choice\": {\"type\": \"function\", \"name\": \"h\"}, " IN "}", "tool_choice.name",
       "\"h\""},
      {"{\"parallel_tool_calls\": 0, " IN "}", "parallel_tool_calls", "a boolean"},
      {"{\"text\": {\"format\": {\"type\": \"xml\"}}, " IN "}", "text.format.type", "expected one of"},
      {"{\"text\": {\"format\": {\"type\": \"json_schema\"}}, " IN "}", "text.format.schema", "required"},
      {"{\"reasoning\": {\"effort\": 3}, " IN "}", "reasoning.effort", "found a number"},
      {"{\"max_output_tokens\": 0, " IN "}", "max_output_tokens", "from 1"},
      {"{\"store\": \"no\", " IN "}", "store", "found a string"},
      {"{\"stream\": 1, " IN "}", "stream", "found a number"},
      {"{\"metadata\": [], " IN "}", "metadata", "found a list"},
      {"{\"include\": [5], " IN "}", "include", "found a number"},
      {"{\"top_logprobs\": 21, " IN "}", "top_logprobs", "from 0 to 20"},
      {"{\"temperature\": [], " IN "}", "temperature", "found a list"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    refused(d, &env, cases[i].body, cases[i].field, cases[i].says);
}

// --- answers
// ------------------------------------------------------------------------------------------------

static const Step script[] = {{REPLY_REASONING, true, "Let me", NULL},
                              {REPLY_REASONING, false, " see.", NULL},
                              {REPLY_CONTENT, true, "I look", NULL},
                              {REPLY_CONTENT, false, " it up.", NULL},
                              {REPLY_CALL, true, "{\"city\":\"Rome\"}", "get_weather"},
                              {REPLY_CALL, true, "{}", "get_time"},
                              {SCRIPT_END, false, NULL, NULL}};
static const Step brief[] = {{REPLY_CONTENT, true, "Paris.", NULL}, {SCRIPT_END, false, NULL, NULL}};

static json_t *at(const json_t *list, json_t *index) {
  return json_array_get(list, (size_t)json_integer_value(index));
}

static void append(json_t *object, const char *name, const json_t *piece) {
  const char *old = json_string_value(json_object_get(object, name));
  json_object_set_new(object, name, json_sprintf("%s%s", old ? old : "", json_string_value(piece)));
}

// What a client makes of the events: a response built from the pieces alone. Checks the numbers, and that
// what `.done` events repeat is what came.
static json_t *accumulate(const json_t *events, json_t **final) {
  json_t *r = NULL, *event;
  size_t i;
  json_array_foreach(events, i, event) {
    const char *name = json_string_value(json_array_get(event, 0));
    json_t *e = json_array_get(event, 1);
    assert_string_equal(name, json_string_value(json_object_get(e, "type")));
    assert_int_equal(json_integer_value(json_object_get(e, "sequence_number")), i);
    json_t *output = json_object_get(r, "output"), *item = at(output, json_object_get(e, "output_index"));
    json_t *content = json_object_get(item, "content"),
           *part = at(content, json_object_get(e, "content_index"));
    if (item && json_object_get(e, "item_id"))
      assert_true(json_equal(json_object_get(item, "id"), json_object_get(e, "item_id")));
    if (!strcmp(name, "response.created")) {
      r = json_deep_copy(json_object_get(e, "response"));
    } else if (!strcmp(name, "response.output_item.added")) {
      assert_null(item); // the next number
      json_array_append_new(output, json_deep_copy(json_object_get(e, "item")));
    } else if (!strcmp(name, "response.content_part.added")) {
      assert_null(part);
      json_array_append_new(content, json_deep_copy(json_object_get(e, "part")));
    } else if (strstr(name, "text.delta")) {
      append(part, "text", json_object_get(e, "delta"));
      if (json_object_get(e, "logprobs"))
        json_array_extend(json_object_get(part, "logprobs"), json_object_get(e, "logprobs"));
    } else if (strstr(name, "arguments.delta")) {
      append(item, "arguments", json_object_get(e, "delta"));
    } else if (strstr(name, "text.done")) {
      assert_true(json_equal(json_object_get(e, "text"), json_object_get(part, "text")));
      if (strstr(name, "output"))
        assert_true(json_equal(json_object_get(e, "logprobs"), json_object_get(part, "logprobs")));
    } else if (strstr(name, "arguments.done")) {
      assert_true(json_equal(json_object_get(e, "arguments"), json_object_get(item, "arguments")));
      assert_true(json_equal(json_object_get(e, "name"), json_object_get(item, "name")));
    } else if (!strcmp(name, "response.content_part.done")) {
      assert_true(json_equal(json_object_get(e, "part"), part));
    } else if (!strcmp(name, "response.output_item.done")) {
      json_object_set(item, "status", json_object_get(json_object_get(e, "item"), "status"));
      assert_true(json_equal(json_object_get(e, "item"), item));
    } else if (strcmp(name, "response.in_progress")) {
      *final = json_object_get(e, "response"); // the last event
      assert_int_equal(i + 1, json_array_size(events));
    }
  }
  return r;
}

static const char *text_of(const json_t *object, const char *name) {
  return json_string_value(json_object_get(object, name));
}

typedef struct Both {
  json_t *events, *whole;
} Both;

// The answer to a request, streamed under `id` and, under another id, whole.
static Both run_both(const DialectEnv *env, const char *request, const Step *steps, AnswerEnd how,
                     const char *id) {
  const ReplyHead head = {
      .id = id, .model = "zaya-nano", .created = 7, .prompt_tokens = 50, .cached_tokens = 48};
  zaya_error err = {0};
  Ask ask;
  Answer a = {0}, b = {0};
  Buf out = {0};
  read_ask(d, env, request, &ask);
  void *s = d->open(env, &ask, &head, &err), *t = d->open(env, &ask, &head, &err);
  assert_true(s && t);
  tell(d, s, steps, &a, &out);
  tell(d, t, steps, &b, NULL);
  a.end = b.end = how;
  a.result.tokens = b.result.tokens = 30;
  a.result.turn.thinking = b.result.turn.thinking = 4;
  assert_true(d->end(s, &a, 1, &out, &err));
  Both v = {events_of(&out), d->body(t, &b, 1, &err)};
  assert_non_null(v.whole);
  d->close(s);
  d->close(t);
  answer_free(&a);
  answer_free(&b);
  ask_free(&ask);
  buf_free(&out);
  return v;
}

static void both_free(Both *v) {
  json_decref(v->events);
  json_decref(v->whole);
}

static void test_answer(void **state) {
  (void)state;
  const DialectEnv env = env_of(NULL);
  Both v = run_both(&env, "{\"metadata\": {\"a\": \"b\"}, \"instructions\": \"Be.\", " TOOLS IN "}", script,
                    ANSWER_CALLS, "resp_0123456789");
  const json_t *output = json_object_get(v.whole, "output");
  assert_int_equal(json_array_size(output), 4);
  assert_json(
      json_array_get(output, 0),
      "{\"id\": \"rs_0123456789_0\", \"type\": \"reasoning\", \"status\": \"completed\", \"summary\": "
      "[], \"content\": [{\"type\": \"reasoning_text\", \"text\": \"Let me see.\"}]}");
  assert_json(json_array_get(output, 1),
              "{\"id\": \"msg_0123456789_1\", \"type\": \"message\", \"status\": \"completed\", \"role\": "
              "\"assistant\", \"content\": [{\"type\": \"output_text\", \"text\": \"I look it up.\", "
              "\"annotations\": [], \"logprobs\": []}]}");
  assert_json(json_array_get(output, 2),
              "{\"id\": \"fc_0123456789_2\", \"type\": \"function_call\", \"status\": \"completed\", "
              "\"call_id\": \"call_0\", \"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\":"
              "\\\"Rome\\\"}\"}");
  assert_json(
      json_object_get(v.whole, "usage"),
      "{\"input_tokens\": 50, \"input_tokens_details\": {\"cached_tokens\": 48}, \"output_tokens\": 30, "
      "\"output_tokens_details\": {\"reasoning_tokens\": 4}, \"total_tokens\": 80}");
  assert_json(json_object_get(v.whole, "metadata"), "{\"a\": \"b\"}");
  assert_string_equal(text_of(v.whole, "status"), "completed");
  assert_string_equal(text_of(v.whole, "instructions"), "Be.");

  json_t *final = NULL, *r = accumulate(v.events, &final);
  assert_true(json_equal(json_object_get(r, "output"), output));
  assert_non_null(final);
  json_object_del(final, "completed_at"); // the clock
  json_object_del(v.whole, "completed_at");
  assert_true(json_equal(final, v.whole));
  const json_t *last = json_array_get(v.events, json_array_size(v.events) - 1);
  assert_string_equal(json_string_value(json_array_get(last, 0)), "response.completed");
  json_decref(r);
  both_free(&v);
}

static void test_incomplete(void **state) {
  (void)state;
  const DialectEnv env = env_of(NULL);
  Both v = run_both(&env, "{" IN "}", brief, ANSWER_LENGTH, "resp_0");
  assert_string_equal(text_of(v.whole, "status"), "incomplete");
  assert_json(json_object_get(v.whole, "incomplete_details"), "{\"reason\": \"max_output_tokens\"}");
  assert_string_equal(text_of(json_array_get(json_object_get(v.whole, "output"), 0), "status"), "incomplete");
  json_t *final = NULL, *r = accumulate(v.events, &final);
  assert_true(json_equal(final, v.whole));
  const json_t *last = json_array_get(v.events, json_array_size(v.events) - 1);
  assert_string_equal(json_string_value(json_array_get(last, 0)), "response.incomplete");
  json_decref(r);
  both_free(&v);
}

// Log probabilities stand with the text that they belong to, also when it is in two parts.
static void test_logprobs(void **state) {
  (void)state;
  zaya_error err = {0};
  Tok *tok = tok_open(NANO, &err);
  if (!tok) fail_msg("%s", err.message);
  DialectEnv env = env_of(NULL);
  env.tok = tok;
  zaya_ids ids = {0};
  assert_true(tok_encode(tok, "Paris Rome", 10, 0, &ids, &err));
  size_t first = 0, bytes = 0, len = 0;
  while (bytes < 5) {
    tok_bytes(tok, ids.data[first++], &len);
    bytes += len;
  }
  assert_true(first && first < ids.len && bytes == 5);
  const ReplyHead head = {.id = "resp_1", .model = "m"};
  const zaya_logprob top[2] = {{ids.data[0], -0.5}, {5, -1.5}};
  Ask ask;
  Answer a = {0};
  Buf out = {0};
  read_ask(d, &env, "{\"top_logprobs\": 2, " IN "}", &ask);
  void *s = d->open(&env, &ask, &head, &err);
  assert_true(d->begin(s, &out, &err));
  for (size_t i = 0; i < ids.len; i++) {
    const char *text = tok_bytes(tok, ids.data[i], &len);
    if (i == first) { // thinking in between
      assert_true(answer_add_reasoning(&a, true, "hm", 2, &err));
      assert_true(d->event(s, &(ReplyEvent){.kind = REPLY_REASONING, .text = "hm", .len = 2, .begins = true},
                           &out, &err));
    }
    assert_true(answer_add_content(&a, text, len, &err) &&
                answer_add_token(&a, ids.data[i], -0.5, top, 2, &err));
    const ReplyEvent e = {.kind = REPLY_CONTENT,
                          .text = text,
                          .len = len,
                          .begins = !i || i == first,
                          .tokens = &a.tokens[i],
                          .n_tokens = 1};
    assert_true(d->event(s, &e, &out, &err));
  }
  assert_true(d->end(s, &a, 1, &out, &err));
  json_t *events = events_of(&out), *final = NULL, *r = accumulate(events, &final);
  json_t *whole = d->body(s, &a, 1, &err);
  assert_true(json_equal(json_object_get(final, "output"), json_object_get(whole, "output")));
  const json_t *item = json_array_get(json_object_get(whole, "output"), 2);
  const json_t *part = json_array_get(json_object_get(item, "content"), 0);
  assert_int_equal(json_array_size(json_object_get(part, "logprobs")), ids.len - first);
  const json_t *token = json_array_get(json_object_get(part, "logprobs"), 0);
  assert_true(json_number_value(json_object_get(token, "logprob")) == -0.5);
  assert_int_equal(json_array_size(json_object_get(token, "top_logprobs")), 2);
  json_decref(r);
  json_decref(events);
  json_decref(whole);
  d->close(s);
  answer_free(&a);
  ask_free(&ask);
  buf_free(&out);
  zaya_ids_free(&ids);
  tok_close(tok);
}

// --- what is kept
// -------------------------------------------------------------------------------------------

static void test_continued(void **state) {
  (void)state;
  zaya_error err = {0};
  void *store = d->store_new(&err);
  assert_non_null(store);
  const DialectEnv env = env_of(store);
  Both v = run_both(&env, "{\"instructions\": \"Gone next time.\", \"input\": \"Capital of France?\"}", brief,
                    ANSWER_STOP, "resp_1");
  json_t *kept = d->fetch(store, "resp_1");
  assert_true(json_equal(kept, v.whole));
  json_decref(kept);
  both_free(&v);
  Ask ask;
  static const char second[] = "{\"previous_response_id\": \"resp_1\", \"input\": \"And of Italy?\"}";
  read_ask(d, &env, second, &ask);
  assert_json(ask.messages,
              "[{\"role\": \"user\", \"content\": \"Capital of France?\"}, {\"role\": "
              "\"assistant\", \"content\": \"Paris.\"}, {\"role\": \"user\", \"content\": \"And "
              "of Italy?\"}]");
  ask_free(&ask);
  // A chain: the second answer keeps all of the first.
  v = run_both(&env, second, script, ANSWER_CALLS, "resp_2");
  assert_string_equal(text_of(v.whole, "previous_response_id"), "resp_1");
  both_free(&v);
  read_ask(d, &env,
           "{\"previous_response_id\": \"resp_2\", \"input\": [{\"type\": \"function_call_output\", "
           "\"call_id\": \"call_0\", \"output\": \"17\"}]}",
           &ask);
  assert_int_equal(json_array_size(ask.messages), 5);
  assert_json(json_array_get(ask.messages, 4),
              "{\"role\": \"tool\", \"tool_call_id\": \"call_0\", \"content\": \"17\"}");
  assert_string_equal(text_of(json_array_get(ask.messages, 3), "reasoning_content"), "Let me see.");
  ask_free(&ask);
  json_t *gone = d->drop(store, "resp_1");
  assert_json(gone, "{\"id\": \"resp_1\", \"object\": \"response\", \"deleted\": true}");
  json_decref(gone);
  assert_null(d->drop(store, "resp_1"));
  assert_null(d->fetch(store, "resp_1"));
  refused(d, &env, second, "previous_response_id", "resp_1");
  // store: false keeps nothing.
  v = run_both(&env, "{\"store\": false, " IN "}", brief, ANSWER_STOP, "resp_3");
  both_free(&v);
  assert_null(d->fetch(store, "resp_3"));
  d->store_free(store);
}

static void test_failure(void **state) {
  (void)state;
  const DialectEnv env = env_of(NULL);
  const ReplyHead head = {.id = "resp_1", .model = "m"};
  zaya_error err = {0};
  AskFault fault = {0};
  Ask ask;
  Answer a = {0};
  Buf out = {0};
  read_ask(d, &env, "{" IN "}", &ask);
  void *s = d->open(&env, &ask, &head, &err);
  tell(d, s, brief, &a, &out);
  fault_set(&fault, 500, NULL, "it broke");
  assert_true((d->fail)(s, &fault, &out, &err));
  json_t *events = events_of(&out);
  const json_t *last = json_array_get(events, json_array_size(events) - 1);
  assert_string_equal(json_string_value(json_array_get(last, 0)), "response.failed");
  const json_t *r = json_object_get(json_array_get(last, 1), "response");
  assert_string_equal(text_of(r, "status"), "failed");
  assert_json(json_object_get(r, "error"), "{\"code\": \"server_error\", \"message\": \"it broke\"}");
  json_t *error = d->error(&fault);
  assert_json(error, "{\"error\": {\"message\": \"it broke\", \"type\": \"server_error\", \"param\": null, "
                     "\"code\": null}}");
  json_decref(error);
  json_decref(events);
  d->close(s);
  answer_free(&a);
  ask_free(&ask);
  buf_free(&out);
}

// The least recently used goes first; what is larger than the limit is not kept; bytes are accounted for.
static void test_history(void **state) {
  (void)state;
  zaya_error err = {0};
  History *h = history_new(4000, &err);
  json_t *record = json_pack("{s:s}", "text",
                             "some 100 bytes of text, more or less, to have a size: "
                             "0123456789012345678901234567890123456789");
  char id[16];
  for (int i = 0; i < 100; i++) {
    snprintf(id, sizeof id, "r%d", i);
    history_put(h, id, record);
    assert_true(history_bytes(h) <= 4000);
    json_t *first = history_get(h, "r0"); // keeps it in use
    assert_true(json_equal(first, record));
    json_decref(first);
  }
  json_t *v = history_get(h, "r99");
  assert_non_null(v);
  json_decref(v);
  assert_null(history_get(h, "r1"));
  const size_t before = history_bytes(h);
  history_put(h, "r99", record); // in place of the old one
  assert_int_equal(history_bytes(h), before);
  json_t *large = json_array();
  for (int i = 0; i < 100; i++) json_array_append(large, record);
  history_put(h, "large", large);
  assert_null(history_get(h, "large"));
  assert_false(history_drop(h, "large"));
  for (int i = 0; i < 100; i++) {
    snprintf(id, sizeof id, "r%d", i);
    history_drop(h, id);
  }
  assert_int_equal(history_bytes(h), 0);
  json_decref(large);
  json_decref(record);
  history_free(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_input),    cmocka_unit_test(test_options),   cmocka_unit_test(test_tools),
      cmocka_unit_test(test_refusals), cmocka_unit_test(test_answer),    cmocka_unit_test(test_incomplete),
      cmocka_unit_test(test_logprobs), cmocka_unit_test(test_continued), cmocka_unit_test(test_failure),
      cmocka_unit_test(test_history),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
