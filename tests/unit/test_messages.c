// messages: Anthropic's format read, refused and written; what a stream adds up to is what the body says.
#include "dialects.h"

static const Dialect *const d = &dialect_messages;

#define HEAD "\"max_tokens\": 100, "
#define USER "\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]"

static void check_messages(const char *body, const char *want) {
  const DialectEnv env = env_of(NULL);
  Ask ask;
  read_ask(d, &env, body, &ask);
  assert_json(ask.messages, want);
  ask_free(&ask);
}

static void test_conversations(void **state) {
  (void)state;
  check_messages("{" HEAD USER "}", QUOTE([ {"role" : "user", "content" : "Hi"} ]));
  check_messages(
      "{" HEAD "\"system\": \"Be brief.\", " USER "}",
      QUOTE([ {"role" : "system", "content" : "Be brief."}, {"role" : "user", "content" : "Hi"} ]));
  // Blocks of a system prompt and of a user stand on lines of their own, messages of one role are one.
  check_messages(
      QUOTE({
        "max_tokens" : 5,
        "system" : [
          {"type" : "text", "text" : "One.", "cache_control" : {"type" : "ephemeral"}},
          {"type" : "text", "text" : "Two."}
        ],
        "messages" : [
          {"role" : "user", "content" : [ {"type" : "text", "text" : "a"}, {"type" : "text", "text" : "b"} ]},
          {"role" : "user", "content" : "c"}
        ]
      }),
      "[{\"role\": \"system\", \"content\": \"One.\\nTwo.\"}, {\"role\": \"user\", \"content\": "
      "\"a\\nb\\nc\"}]");
  // A system message in the middle.
  check_messages(QUOTE({
                   "max_tokens" : 5,
                   "messages" : [ {"role" : "user", "content" : "a"}, {"role" : "system", "content" : "s"} ]
                 }),
                 QUOTE([ {"role" : "user", "content" : "a"}, {"role" : "system", "content" : "s"} ]));
}

// An answer with everything in it comes back as it was written; a result follows.
static void test_history(void **state) {
  (void)state;
  check_messages(
      QUOTE({
        "max_tokens" : 5,
        "messages" : [
          {"role" : "user", "content" : "Weather?"}, {
            "role" : "assistant",
            "content" : [
              {"type" : "thinking", "thinking" : "Two cities.", "signature" : "x"},
              {"type" : "thinking", "thinking" : "", "signature" : "omitted"},
              {"type" : "redacted_thinking", "data" : "zz"}, {"type" : "text", "text" : "I look."},
              {"type" : "text", "text" : " Wait."},
              {"type" : "tool_use", "id" : "t1", "name" : "get_weather", "input" : {"city" : "Rome"}},
              {"type" : "tool_use", "id" : "t2", "name" : "get_time", "input" : {}}
            ]
          },
          {
            "role" : "user",
            "content" : [
              {"type" : "tool_result", "tool_use_id" : "t1", "content" : "17"}, {
                "type" : "tool_result",
                "tool_use_id" : "t2",
                "is_error" : true,
                "content" : [ {"type" : "text", "text" : "no"}, {"type" : "text", "text" : "clock"} ]
              },
              {"type" : "tool_result", "tool_use_id" : "t3"}, {"type" : "text", "text" : "Well?"}
            ]
          }
        ]
      }),
      "[{\"role\": \"user\", \"content\": \"Weather?\"},"
      " {\"role\": \"assistant\", \"content\": \"I look. Wait.\", \"reasoning_content\": \"Two cities.\","
      "  \"tool_calls\": [{\"id\": \"t1\", \"type\": \"function\", \"function\":"
      "   {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}},"
      "   {\"id\": \"t2\", \"type\": \"function\", \"function\": {\"name\": \"get_time\", \"arguments\": "
      "{}}}]},"
      " {\"role\": \"tool\", \"tool_call_id\": \"t1\", \"content\": \"17\"},"
      " {\"role\": \"tool\", \"tool_call_id\": \"t2\", \"content\": \"Error: no\\nclock\"},"
      " {\"role\": \"tool\", \"tool_call_id\": \"t3\", \"content\": \"\"},"
      " {\"role\": \"user\", \"content\": \"Well?\"}]");
}

static void test_options(void **state) {
  (void)state;
  const DialectEnv env = env_of(NULL);
  Ask a;
  read_ask(
      d, &env,
      "{\"max_tokens\": 4096, \"temperature\": 0.5, \"top_p\": 0.9, \"top_k\": 7, \"stream\": true, "
      "\"stop_sequences\": [\"END\", \"x\"], \"metadata\": {\"user_id\": \"u\"}, \"service_tier\": \"auto\", "
      "\"thinking\": {\"type\": \"enabled\", \"budget_tokens\": 1024}, " USER "}",
      &a);
  assert_int_equal(a.max_tokens, 4096);
  assert_true(a.sampling.temperature == 0.5 && a.sampling.top_p == 0.9 && a.sampling.top_k == 7);
  assert_true(a.stream);
  assert_int_equal(a.n_stops, 2);
  assert_string_equal(a.stops[0], "END");
  assert_int_equal(a.thinking, ZAYA_THINK_ON);
  assert_true(a.budget.has_limit);
  assert_int_equal(a.budget.limit, 1024);
  ask_free(&a);

  read_ask(d, &env, "{" HEAD USER "}", &a); // unasked, it does not think
  assert_int_equal(a.thinking, ZAYA_THINK_OFF);
  assert_false(a.stream);
  ask_free(&a);
  read_ask(d, &env, "{" HEAD "\"thinking\": {\"type\": \"disabled\"}, " USER "}", &a);
  assert_int_equal(a.thinking, ZAYA_THINK_OFF);
  ask_free(&a);
  read_ask(d, &env, "{" HEAD "\"thinking\": {\"type\": \"adaptive\"}, " USER "}", &a);
  assert_int_equal(a.thinking, ZAYA_THINK_AUTO);
  assert_false(a.budget.has_limit);
  ask_free(&a);
  read_ask(d, &env,
           "{" HEAD "\"thinking\": {\"type\": \"adaptive\"}, \"output_config\": {\"effort\": \"low\"}, " USER
           "}",
           &a);
  assert_int_equal(a.thinking, ZAYA_THINK_ON);
  assert_int_equal(a.budget.limit, 1024);
  ask_free(&a);
  read_ask(d, &env,
           "{" HEAD "\"output_config\": {\"format\": {\"type\": \"json_schema\", \"schema\": {\"type\": "
           "\"object\"}}}, " USER "}",
           &a);
  assert_int_equal(a.form, ASK_JSON_SCHEMA);
  assert_json(a.schema, "{\"type\": \"object\"}");
  ask_free(&a);

  DialectEnv counting = env;
  counting.counting = true;
  read_ask(d, &counting, "{" USER "}", &a); // no max_tokens to count a prompt
  ask_free(&a);
}

#define TOOLS                                                                                                \
  "\"tools\": [{\"name\": \"f\", \"description\": \"does\", \"input_schema\": {\"type\": \"object\"}}, "     \
  "{\"type\": \"custom\", \"name\": \"g\", \"input_schema\": {}}], "

static void test_tools(void **state) {
  (void)state;
  const DialectEnv env = env_of(NULL);
  Ask a;
  read_ask(d, &env, "{" HEAD TOOLS USER "}", &a);
  assert_json(a.tools, "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"does\", "
                       "\"parameters\": {\"type\": \"object\"}}}, {\"type\": \"function\", \"function\": "
                       "{\"name\": \"g\", \"parameters\": {}}}]");
  assert_int_equal(a.tool_choice, ASK_TOOLS_AUTO);
  assert_true(a.parallel_tools);
  ask_free(&a);
  static const struct {
    const char *choice;
    AskTools want;
    bool parallel;
  } cases[] = {
      {"{\"type\": \"auto\", \"disable_parallel_tool_use\": true}", ASK_TOOLS_AUTO, false},
      {"{\"type\": \"any\"}", ASK_TOOLS_REQUIRED, true},
      {"{\"type\": \"none\"}", ASK_TOOLS_NONE, true},
      {"{\"type\": \"tool\", \"name\": \"g\"}", ASK_TOOLS_NAMED, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[512];
    snprintf(text, sizeof text, "{" HEAD TOOLS "\"tool_choice\": %s, " USER "}", cases[i].choice);
    read_ask(d, &env, text, &a);
    assert_int_equal(a.tool_choice, cases[i].want);
    assert_int_equal(a.parallel_tools, cases[i].parallel);
    if (a.tool_choice == ASK_TOOLS_NAMED) assert_string_equal(a.tool_name, "g");
    ask_free(&a);
  }
}

// Every field that is read, of a wrong type or value: named.
static void test_refusals(void **state) {
  (void)state;
  const DialectEnv env = env_of(NULL);
  static const struct {
    const char *body, *field, *says;
  } cases[] = {
      {"{" USER "}", "max_tokens", "required"},
      {"{\"max_tokens\": 0, " USER "}", "max_tokens", "from 1"},
      {"{\"max_tokens\": \"5\", " USER "}", "max_tokens", "found a string"},
      {"{" HEAD "\"model\": 3, " USER "}", "model", "found a number"},
      {"{\"max_tokens\": 5}", "messages", "required"},
      {"{\"max_tokens\": 5, \"messages\": {}}", "messages", "found an object"},
      {"{\"max_tokens\": 5, \"messages\": []}", "messages", "at least one"},
      {"{\"max_tokens\": 5, \"messages\": [5]}", "messages[0]", "found a number"},
      {"{\"max_tokens\": 5, \"messages\": [{\"content\": \"x\"}]}", "messages[0].role", "required"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"tool\", \"content\": \"x\"}]}", "messages[0].role",
       "expected one of"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\"}]}", "messages[0].content", "required"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": 7}]}", "messages[0].content",
       "a string or a list of blocks, found a number"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [\"x\"]}]}",
       "messages[0].content[0]", "found a string"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [{}]}]}",
       "messages[0].content[0].type", "required"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}",
       "messages[0].content[0].type", "\"image\""},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
       "null}]}]}",
       "messages[0].content[0].text", "required"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
       "[]}]}]}",
       "messages[0].content[0].text", "found a list"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": "
       "\"tool_result\"}]}]}",
       "messages[0].content[0].tool_use_id", "required"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"tool_result\", "
       "\"tool_use_id\": \"a\", \"is_error\": 1}]}]}",
       "messages[0].content[0].is_error", "a boolean"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"tool_result\", "
       "\"tool_use_id\": \"a\", \"content\": 1}]}]}",
       "messages[0].content[0].content", "found a number"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"tool_result\", "
       "\"tool_use_id\": \"a\", \"content\": [{\"type\": \"image\"}]}]}]}",
       "messages[0].content[0].content[0].type", "\"image\""},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": "
       "\"tool_result\"}]}]}",
       "messages[0].content[0].type", "assistant"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": "
       "\"tool_use\"}]}]}",
       "messages[0].content[0].id", "required"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"tool_use\", "
       "\"id\": \"a\", \"name\": 4}]}]}",
       "messages[0].content[0].name", "found a number"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"tool_use\", "
       "\"id\": \"a\", \"name\": \"b\", \"input\": \"{}\"}]}]}",
       "messages[0].content[0].input", "found a string"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": "
       "\"thinking\"}]}]}",
       "messages[0].content[0].thinking", "required"},
      {"{\"max_tokens\": 5, \"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": "
       "\"assistant\", \"content\": \"b\"}]}",
       "messages", "the last message"},
      {"{" HEAD "\"system\": 5, " USER "}", "system", "found a number"},
      {"{" HEAD "\"system\": [{\"type\": \"image\"}], " USER "}", "system[0].type", "\"image\""},
      {"{" HEAD "\"temperature\": \"hot\", " USER "}", "temperature", "found a string"},
      {"{" HEAD "\"top_k\": 1.5, " USER "}", "top_k", "whole"},
      {"{" HEAD "\"stop_sequences\": [\"\"], " USER "}", "stop_sequences", "empty"},
      {"{" HEAD "\"stream\": \"yes\", " USER "}", "stream", "found a string"},
      {"{" HEAD "\"tools\": {}, " USER "}", "tools", "found an object"},
      {"{" HEAD "\"tools\": [{\"type\": \"web_search_20250305\", \"name\": \"web_search\"}], " USER "}",
       "tools[0].type", "web_search_20250305"},
      {"{" HEAD "\"tools\": [{\"input_schema\": {}}], " USER "}", "tools[0].name", "required"},
      {"{" HEAD "\"tools\": [{\"name\": \"f\"}], " USER "}", "tools[0].input_schema", "required"},
      {"{" HEAD "\"tools\": [{\"name\": \"f\", \"input_schema\": []}], " USER "}", "tools[0].input_schema",
       "found a list"},
      {"{" HEAD "\"tool_choice\": \"any\", " USER "}", "tool_choice", "found a string"},
      {"{" HEAD "\"tool_choice\": {\"type\": \"any\"}, " USER "}", "tool_choice.type", "no tools"},
      {"{" HEAD "\"tool_choice\": {\"type\": \"some\"}, " USER "}", "tool_choice.type", "expected one of"},
      {"{" HEAD TOOLS "\"tool_choice\": {\"type\": \"tool\"}, " USER "}", "tool_choice.name", "required"},
      {"{" HEAD TOOLS "\"tool_choice\": {\"type\": \"tool\", \"name\": \"h\"}, " USER "}", "tool_choice.name",
       "no tool is named \"h\""},
      {"{" HEAD TOOLS "\"tool_choice\": {\"type\": \"auto\", \"disable_parallel_tool_use\": 0}, " USER "}",
       "tool_choice.disable_parallel_tool_use", "a boolean"},
      {"{" HEAD "\"thinking\": true, " USER "}", "thinking", "found a boolean"},
      {"{" HEAD "\"thinking\": {}, " USER "}", "thinking.type", "required"},
      {"{" HEAD "\"thinking\": {\"type\": \"on\"}, " USER "}", "thinking.type", "expected one of"},
      {"{" HEAD "\"thinking\": {\"type\": \"enabled\"}, " USER "}", "thinking.budget_tokens", "required"},
      {"{" HEAD "\"thinking\": {\"type\": \"enabled\", \"budget_tokens\": 100}, " USER "}",
       "thinking.budget_tokens", "less than max_tokens (100)"},
      {"{" HEAD "\"thinking\": {\"type\": \"adaptive\", \"display\": \"no\"}, " USER "}", "thinking.display",
       "expected one of"},
      {"{" HEAD "\"output_config\": {\"format\": {\"type\": \"json_schema\"}}, " USER "}",
       "output_config.format.schema", "required"},
      {"{" HEAD "\"output_config\": {\"effort\": \"huge\"}, \"thinking\": {\"type\": \"adaptive\"}, " USER
       "}",
       "output_config.effort", "expected one of"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    refused(d, &env, cases[i].body, cases[i].field, cases[i].says);
}

// --- answers
// ------------------------------------------------------------------------------------------------

static const Step script[] = {{REPLY_REASONING, true, "Let me", NULL},
                              {REPLY_REASONING, false, " see.", NULL},
                              {REPLY_REASONING, true, "Again.", NULL},
                              {REPLY_CONTENT, true, "I look", NULL},
                              {REPLY_CONTENT, false, " \u00e9 it up.", NULL},
                              {REPLY_CALL, true, "{\"city\":\"Rome\"}", "get_weather"},
                              {REPLY_CALL, true, "{\"n\":123456789012345678901234567890}", "big"},
                              {SCRIPT_END, false, NULL, NULL}};

static const ReplyHead head = {
    .id = "msg_0123456789", .model = "zaya-nano", .created = 1, .prompt_tokens = 50, .cached_tokens = 48};

// What a client makes of the events: the message, as the body has it.
static json_t *accumulate(const json_t *events) {
  json_t *m = NULL, *event;
  size_t i;
  json_array_foreach(events, i, event) {
    const char *name = json_string_value(json_array_get(event, 0));
    json_t *data = json_array_get(event, 1), *delta = json_object_get(data, "delta");
    assert_string_equal(name, json_string_value(json_object_get(data, "type")));
    json_t *content = json_object_get(m, "content");
    json_t *block = json_array_get(content, (size_t)json_integer_value(json_object_get(data, "index")));
    if (!strcmp(name, "message_start")) {
      assert_null(m);
      m = json_deep_copy(json_object_get(data, "message"));
    } else if (!strcmp(name, "content_block_start")) {
      assert_null(block); // the next number
      json_array_append(content, json_object_get(data, "content_block"));
    } else if (!strcmp(name, "content_block_delta")) {
      static const char *const fields[] = {"text", "thinking", "signature", "partial_json"};
      for (size_t k = 0; k < 4; k++) {
        const char *piece = json_string_value(json_object_get(delta, fields[k]));
        const char *old = json_string_value(json_object_get(block, fields[k]));
        if (piece) json_object_set_new(block, fields[k], json_sprintf("%s%s", old ? old : "", piece));
      }
    } else if (!strcmp(name, "content_block_stop")) {
      const char *json = json_string_value(json_object_get(block, "partial_json"));
      json_t *input = json ? json_loads(json, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
      if (json) assert_non_null(input);
      if (json) json_object_set_new(block, "input", input);
      json_object_del(block, "partial_json");
    } else if (!strcmp(name, "message_delta")) {
      json_object_update(m, delta);
      json_object_update(json_object_get(m, "usage"), json_object_get(data, "usage"));
    }
  }
  return m;
}

static void run_both(const char *request, const Step *steps, AnswerEnd how, const char *stop, size_t tokens,
                     json_t **stream, json_t **whole) {
  const DialectEnv env = env_of(NULL);
  zaya_error err = {0};
  Ask ask;
  Answer a = {0}, b = {0};
  Buf out = {0};
  read_ask(d, &env, request, &ask);
  void *s = d->open(&env, &ask, &head, &err), *t = d->open(&env, &ask, &head, &err);
  assert_true(s && t);
  tell(d, s, steps, &a, &out);
  tell(d, t, steps, &b, NULL);
  a.end = b.end = how;
  a.stop_string = b.stop_string = stop;
  a.result.tokens = b.result.tokens = tokens;
  a.result.turn.thinking = b.result.turn.thinking = 4;
  assert_true(d->end(s, &a, 1, &out, &err));
  *stream = events_of(&out);
  *whole = d->body(t, &b, 1, &err);
  assert_non_null(*whole);
  d->close(s);
  d->close(t);
  answer_free(&a);
  answer_free(&b);
  ask_free(&ask);
  buf_free(&out);
}

static void test_answer(void **state) {
  (void)state;
  json_t *events, *whole;
  run_both("{" HEAD USER "}", script, ANSWER_CALLS, NULL, 30, &events, &whole);
  const json_t *content = json_object_get(whole, "content");
  assert_int_equal(json_array_size(content), 5);
  assert_json(json_array_get(content, 0), "{\"type\": \"thinking\", \"thinking\": \"Let me see.\", "
                                          "\"signature\": \"msg_0123456789-0\"}");
  assert_json(json_array_get(content, 2), "{\"type\": \"text\", \"text\": \"I look \u00e9 it up.\", "
                                          "\"citations\": null}");
  assert_json(json_array_get(content, 3), "{\"type\": \"tool_use\", \"id\": \"call_0\", \"name\": "
                                          "\"get_weather\", \"input\": {\"city\": \"Rome\"}}");
  assert_json(json_object_get(whole, "usage"),
              "{\"input_tokens\": 2, \"cache_read_input_tokens\": 48, \"cache_creation_input_tokens\": 0, "
              "\"output_tokens\": 30, \"output_tokens_details\": {\"thinking_tokens\": 4}}");
  assert_string_equal(json_string_value(json_object_get(whole, "stop_reason")), "tool_use");

  json_t *m = accumulate(events), *name, *event;
  char *got = json_dumps(m, JSON_SORT_KEYS), *want = json_dumps(whole, JSON_SORT_KEYS);
  assert_string_equal(got, want);
  free(got);
  free(want);
  // The order of events, and that nothing overlaps.
  char order[256] = "";
  size_t i;
  json_array_foreach(events, i, event) {
    name = json_array_get(event, 0);
    const char *n = json_string_value(name);
    const char *letter = !strcmp(n, "message_start")         ? "M"
                         : !strcmp(n, "ping")                ? "p"
                         : !strcmp(n, "content_block_start") ? "("
                         : !strcmp(n, "content_block_delta") ? "."
                         : !strcmp(n, "content_block_stop")  ? ")"
                         : !strcmp(n, "message_delta")       ? "d"
                         : !strcmp(n, "message_stop")        ? "E"
                                                             : "?";
    strcat(order, letter);
  }
  assert_string_equal(order, "Mp(...)(..)(..)(.)(.)dE");
  json_decref(m);
  json_decref(events);
  json_decref(whole);
}

static void test_ends(void **state) {
  (void)state;
  static const struct {
    AnswerEnd end;
    const char *stop;
    size_t tokens;
    const char *reason;
  } cases[] = {
      {ANSWER_STOP, NULL, 3, "end_turn"},       {ANSWER_STRING, "END", 3, "stop_sequence"},
      {ANSWER_LENGTH, NULL, 100, "max_tokens"}, {ANSWER_LENGTH, NULL, 60, "model_context_window_exceeded"},
      {ANSWER_CALLS, NULL, 3, "tool_use"},
  };
  static const Step empty[] = {{SCRIPT_END, false, NULL, NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *events, *whole;
    run_both("{" HEAD USER "}", empty, cases[i].end, cases[i].stop, cases[i].tokens, &events, &whole);
    json_t *m = accumulate(events);
    assert_true(json_equal(m, whole));
    assert_string_equal(json_string_value(json_object_get(m, "stop_reason")), cases[i].reason);
    const char *stop = json_string_value(json_object_get(m, "stop_sequence"));
    if (cases[i].stop)
      assert_string_equal(stop, cases[i].stop);
    else
      assert_null(stop);
    assert_int_equal(json_array_size(json_object_get(m, "content")), 0);
    json_decref(m);
    json_decref(events);
    json_decref(whole);
  }
}

// display "omitted": blocks with a signature and no text.
static void test_omitted(void **state) {
  (void)state;
  json_t *events, *whole;
  run_both("{" HEAD
           "\"thinking\": {\"type\": \"enabled\", \"budget_tokens\": 50, \"display\": \"omitted\"}, " USER
           "}",
           script, ANSWER_CALLS, NULL, 30, &events, &whole);
  const json_t *block = json_array_get(json_object_get(whole, "content"), 1);
  assert_json(block, "{\"type\": \"thinking\", \"thinking\": \"\", \"signature\": \"msg_0123456789-1\"}");
  json_t *m = accumulate(events);
  char *text = json_dumps(m, 0);
  assert_null(strstr(text, "Let me"));
  assert_string_equal(
      json_string_value(json_object_get(json_array_get(json_object_get(m, "content"), 1), "signature")),
      "msg_0123456789-1");
  free(text);
  json_decref(m);
  json_decref(events);
  json_decref(whole);
}

static void test_errors(void **state) {
  (void)state;
  static const struct {
    int status;
    const char *type;
  } cases[] = {{400, "invalid_request_error"},
               {401, "authentication_error"},
               {403, "permission_error"},
               {404, "not_found_error"},
               {413, "request_too_large"},
               {429, "rate_limit_error"},
               {500, "api_error"},
               {503, "overloaded_error"},
               {504, "timeout_error"},
               {529, "overloaded_error"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    AskFault fault = {0};
    zaya_error err = {0};
    Buf out = {0};
    fault_set(&fault, cases[i].status, NULL, "so it is");
    char want[200];
    snprintf(want, sizeof want,
             "{\"type\": \"error\", \"error\": {\"type\": \"%s\", \"message\": \"so it is\"}}",
             cases[i].type);
    json_t *v = d->error(&fault);
    assert_json(v, want);
    assert_true((d->fail)(NULL, &fault, &out, &err));
    json_t *events = events_of(&out), *event = json_array_get(events, 0);
    assert_string_equal(json_string_value(json_array_get(event, 0)), "error");
    assert_json(json_array_get(event, 1), want);
    json_decref(v);
    json_decref(events);
    buf_free(&out);
  }
  json_t *v = d->count(12);
  assert_json(v, "{\"input_tokens\": 12}");
  json_decref(v);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conversations), cmocka_unit_test(test_history),  cmocka_unit_test(test_options),
      cmocka_unit_test(test_tools),         cmocka_unit_test(test_refusals), cmocka_unit_test(test_answer),
      cmocka_unit_test(test_ends),          cmocka_unit_test(test_omitted),  cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
