// chat: see chat.h.
#include "text/chat.h"

#include "base/jscan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_CONFIG = 64 << 20, MAX_TEMPLATE = 1 << 20 };

struct zaya_chat {
  Tmpl *plain, *tools;           // tools: NULL when one template serves both
  bool plain_parts, tools_parts; // the template reads a list of content parts by itself
  json_t *special;
};

// --- the folder --------------------------------------------------------------------------------

static const char *const token_names[] = {
    "bos_token", "eos_token", "unk_token",  "sep_token",
    "pad_token", "cls_token", "mask_token", "additional_special_tokens"};

static bool is_token_name(JStr key) {
  for (size_t i = 0; i < sizeof token_names / sizeof *token_names; i++)
    if (jstr_is(key, token_names[i])) return true;
  return false;
}

// "<bos>" or {"content": "<bos>"}; NULL for anything else.
static json_t *token_text(json_t *v) {
  json_t *text = json_is_object(v) ? json_object_get(v, "content") : v;
  return json_is_string(text) ? text : NULL;
}

static bool keep_token(json_t *special, const char *name, json_t *v) {
  if (json_object_get(special, name)) return true; // the first file wins
  if (!json_is_array(v)) return !token_text(v) || json_object_set(special, name, token_text(v)) == 0;
  json_t *list = json_array(), *item;
  size_t i;
  json_array_foreach(v, i, item) {
    if (token_text(item)) json_array_append(list, token_text(item));
  }
  return json_object_set_new(special, name, list) == 0;
}

// Takes the special tokens and the chat template out of a configuration file, which may be large.
static bool read_config(json_t *special, json_t **template, const char *path, const Buf *text,
                        zaya_error *err) {
  JScan j;
  jscan_init(&j, path, text->data, text->len);
  bool ok = jscan_enter(&j, '{', err);
  int more = 0;
  while (ok && (more = jscan_next(&j, err)) > 0) {
    JStr key, span;
    ok = jscan_key(&j, &key, err);
    if (!ok) break;
    bool is_template = jstr_is(key, "chat_template");
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(key.len < 63 ? key.len : 63), key.s);
    bool wanted = is_template || is_token_name(key);
    ok = jscan_skip(&j, &span, err);
    if (!ok || !wanted) continue;
    json_error_t why;
    json_t *v = json_loadb(span.s, span.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!v) {
      ok = err_set(err, ZAYA_E_FORMAT, "%s: %s: %s", path, name, why.text);
    } else if (is_template) {
      json_decref(*template);
      *template = json_incref(v);
    } else if (!keep_token(special, name, v)) {
      ok = err_memory(err, span.len, "a folder's special tokens");
    }
    json_decref(v);
  }
  jscan_free(&j);
  return ok && more == 0;
}

// Reads dir/name if it is there.
static bool read_optional(const char *dir, const char *name, size_t limit, Buf *path, Buf *text, bool *found,
                          zaya_error *err) {
  buf_clear(path);
  buf_clear(text);
  if (!buf_printf(path, err, "%s/%s", dir, name)) return false;
  *found = access(path->data, F_OK) == 0 || errno != ENOENT;
  return !*found || buf_read_file(text, path->data, limit, err);
}

static Tmpl *compile_json(const char *path, const char *name, const json_t *text, zaya_error *err) {
  char label[512];
  if (!json_is_string(text)) {
    err_set(err, ZAYA_E_FORMAT, "%s: chat_template%s%s: expected the template as a string", path,
            *name ? " " : "", name);
    return NULL;
  }
  snprintf(label, sizeof label, "%s: chat_template%s%s", path, *name ? " " : "", name);
  return tmpl_compile(label, json_string_value(text), json_string_length(text), err);
}

// chat_template of tokenizer_config.json.
static bool take_templates(Chat *c, const char *path, const json_t *v, zaya_error *err) {
  if (!json_is_array(v)) return (c->plain = compile_json(path, "", v, err)) != NULL;
  size_t i;
  json_t *entry;
  json_array_foreach(v, i, entry) {
    const char *name = json_string_value(json_object_get(entry, "name"));
    if (!name)
      return err_set(err, ZAYA_E_FORMAT, "%s: chat_template[%zu]: expected {\"name\", \"template\"}", path,
                     i);
    Tmpl **slot = !strcmp(name, "default") ? &c->plain : !strcmp(name, "tool_use") ? &c->tools : NULL;
    if (!slot) continue;
    if (*slot) return err_set(err, ZAYA_E_FORMAT, "%s: two chat templates named '%s'", path, name);
    if (!(*slot = compile_json(path, name, json_object_get(entry, "template"), err))) return false;
  }
  return c->plain || err_set(err, ZAYA_E_UNSUPPORTED, "%s: no chat template is named 'default'", path);
}

static bool open_folder(Chat *c, const char *dir, Buf *path, Buf *text, json_t **template, zaya_error *err) {
  bool config, map, jinja;
  if (!read_optional(dir, "tokenizer_config.json", MAX_CONFIG, path, text, &config, err) ||
      (config && !read_config(c->special, template, path->data, text, err)) ||
      !read_optional(dir, "special_tokens_map.json", MAX_CONFIG, path, text, &map, err))
    return false;
  json_t *ignored = NULL;
  bool ok = !map || read_config(c->special, &ignored, path->data, text, err);
  json_decref(ignored);
  if (!ok || !read_optional(dir, "chat_template.jinja", MAX_TEMPLATE, path, text, &jinja, err)) return false;
  if (jinja)
    return (c->plain = tmpl_compile(path->data, text->data ? text->data : "", text->len, err)) != NULL;
  buf_clear(path);
  if (*template && !json_is_null(*template))
    return buf_printf(path, err, "%s/tokenizer_config.json", dir) &&
           take_templates(c, path->data, *template, err);
  return err_set(err, ZAYA_E_UNSUPPORTED, "%s has no chat template: no chat_template.jinja, and %s", dir,
                 config ? "no chat_template in tokenizer_config.json" : "no tokenizer_config.json");
}

// Whether the template turns a list of text parts into their text: tried, not guessed from its source. One
// that does not know lists and prints them whole shows the other member, too.
static bool reads_parts(const Tmpl *t, const json_t *special) {
  static const char text[] = "zq7text", other[] = "zq8other";
  json_t *values =
      json_pack("{s:[{s:s,s:[{s:s,s:s,s:s}]}],s:n,s:n,s:b}", "messages", "role", "user", "content", "type",
                "text", "text", text, "note", other, "tools", "documents", "add_generation_prompt", 1);
  static const int64_t epoch = 0;
  TmplInput in = {.values = values, .trusted = special, .now = &epoch};
  TmplOut out = {0};
  bool ok = values && tmpl_render(t, &in, &out, NULL) && out.text.data && strstr(out.text.data, text) &&
            !strstr(out.text.data, other);
  tmpl_out_free(&out);
  json_decref(values);
  return ok;
}

static Chat *finish(Chat *c, bool ok) {
  if (!ok) {
    chat_close(c);
    return NULL;
  }
  c->plain_parts = reads_parts(c->plain, c->special);
  c->tools_parts = c->tools ? reads_parts(c->tools, c->special) : c->plain_parts;
  return c;
}

Chat *chat_open(const char *dir, zaya_error *err) {
  Chat *c = calloc(1, sizeof *c);
  Buf path = {0}, text = {0};
  json_t *template = NULL;
  bool ok = c && (c->special = json_object());
  if (!ok) err_memory(err, sizeof *c, "a chat template");
  ok = ok && open_folder(c, dir, &path, &text, &template, err);
  json_decref(template);
  buf_free(&path);
  buf_free(&text);
  return finish(c, ok);
}

Chat *chat_compile(const char *name, const char *text, size_t len, const json_t *special, zaya_error *err) {
  Chat *c = calloc(1, sizeof *c);
  bool ok = c && (c->special = special ? json_deep_copy(special) : json_object());
  if (!ok) err_memory(err, sizeof *c, "a chat template");
  return finish(c, ok && (c->plain = tmpl_compile(name, text, len, err)));
}

void chat_close(Chat *c) {
  if (!c) return;
  tmpl_free(c->plain);
  tmpl_free(c->tools);
  json_decref(c->special);
  free(c);
}

bool chat_uses(const Chat *c, bool with_tools, const char *variable) {
  return tmpl_uses(with_tools && c->tools ? c->tools : c->plain, variable);
}

// --- messages ----------------------------------------------------------------------------------

// "the pointer: what is wrong".
static bool bad(zaya_error *err, const char *what, const char *fmt, size_t i, size_t k) {
  char pointer[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // `fmt` is one of the literals below
  snprintf(pointer, sizeof pointer, fmt, i, k);
#pragma GCC diagnostic pop
  return err_set(err, ZAYA_E_INVALID, "%s: %s", pointer, what);
}

// Checks a list of content parts; joins their texts, with newlines, if the template wants one string.
static json_t *content_parts(const json_t *parts, size_t i, bool join, zaya_error *err) {
  Buf text = {0};
  size_t k;
  json_t *part, *v = NULL;
  json_array_foreach(parts, k, part) {
    const json_t *type = json_object_get(part, "type"), *s = json_object_get(part, "text");
    const char *name = json_string_value(type);
    if (!json_is_object(part)) {
      bad(err, "expected a content part, {\"type\": \"text\", \"text\": ...}", "/messages/%zu/content/%zu", i,
          k);
      goto done;
    }
    if (!name || (strcmp(name, "text") && strcmp(name, "input_text") && strcmp(name, "output_text"))) {
      bad(err, name ? "only parts of type \"text\" can be read" : "expected the type of the part",
          "/messages/%zu/content/%zu/type", i, k);
      goto done;
    }
    if (!json_is_string(s)) {
      bad(err, "expected a string", "/messages/%zu/content/%zu/text", i, k);
      goto done;
    }
    if ((k && !buf_putc(&text, '\n', err)) ||
        !buf_add(&text, json_string_value(s), json_string_length(s), err))
      goto done;
  }
  v = join ? json_stringn(text.data ? text.data : "", text.len) : json_deep_copy(parts);
  for (k = 0; v && !join && k < json_array_size(v); k++)
    json_object_set_new(json_array_get(v, k), "type", json_string("text"));
  if (!v) err_memory(err, text.len, "a message");
done:
  buf_free(&text);
  return v;
}

static bool fix_content(json_t *m, size_t i, bool parts, zaya_error *err) {
  const json_t *content = json_object_get(m, "content");
  json_t *v;
  if (json_is_string(content)) return true;
  if (!content || json_is_null(content)) // what comes with tool calls; "None" must not be printed
    v = json_string("");
  else if (json_is_array(content))
    v = content_parts(content, i, !parts || json_array_size(content) < 2, err);
  else
    return bad(err, "expected a string or a list of text parts", "/messages/%zu/content", i, 0);
  return v && (json_object_set_new(m, "content", v) == 0 || err_memory(err, 0, "a message"));
}

// function.arguments: a JSON text becomes what it says.
static bool fix_arguments(json_t *function, size_t i, size_t k, zaya_error *err) {
  static const char *const at = "/messages/%zu/tool_calls/%zu/function/arguments";
  const json_t *a = json_object_get(function, "arguments");
  if (json_is_object(a)) return true;
  json_t *v = NULL;
  if (!a || json_is_null(a) || (json_is_string(a) && json_string_length(a) == 0)) {
    v = json_object();
  } else if (json_is_string(a)) {
    json_error_t why;
    v = json_loadb(json_string_value(a), json_string_length(a), JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
                   &why);
    if (!json_is_object(v)) {
      json_decref(v);
      return bad(err, v ? "expected the text of a JSON object" : "expected JSON", at, i, k);
    }
  } else {
    return bad(err, "expected an object, or the text of one", at, i, k);
  }
  return json_object_set_new(function, "arguments", v) == 0 || err_memory(err, 0, "a tool call");
}

static bool fix_tool_calls(json_t *m, size_t i, zaya_error *err) {
  json_t *calls = json_object_get(m, "tool_calls"), *call;
  size_t k;
  if (json_is_null(calls)) json_object_del(m, "tool_calls");
  if (!calls || json_is_null(calls)) return true;
  if (!json_is_array(calls)) return bad(err, "expected a list", "/messages/%zu/tool_calls", i, 0);
  json_array_foreach(calls, k, call) {
    json_t *function = json_object_get(call, "function");
    if (!json_is_object(function))
      return bad(err, "expected an object", "/messages/%zu/tool_calls/%zu/function", i, k);
    if (!json_is_string(json_object_get(function, "name")))
      return bad(err, "expected a string", "/messages/%zu/tool_calls/%zu/function/name", i, k);
    if (!fix_arguments(function, i, k, err)) return false;
  }
  return true;
}

static bool fix_message(json_t *m, size_t i, bool parts, zaya_error *err) {
  static const struct {
    const char *key, *pointer;
  } strings[] = {{"reasoning_content", "/messages/%zu/reasoning_content"},
                 {"name", "/messages/%zu/name"},
                 {"tool_call_id", "/messages/%zu/tool_call_id"}};
  if (!json_is_object(m))
    return bad(err, "expected a message, {\"role\", \"content\"}", "/messages/%zu", i, 0);
  if (!json_is_string(json_object_get(m, "role")))
    return bad(err, "expected a string", "/messages/%zu/role", i, 0);
  for (size_t k = 0; k < sizeof strings / sizeof *strings; k++) {
    const json_t *v = json_object_get(m, strings[k].key);
    if (json_is_null(v))
      json_object_del(m, strings[k].key);
    else if (v && !json_is_string(v))
      return bad(err, "expected a string", strings[k].pointer, i, 0);
  }
  return fix_content(m, i, parts, err) && fix_tool_calls(m, i, err);
}

// A copy of the messages as templates expect them.
static json_t *fix_messages(const json_t *messages, bool parts, zaya_error *err) {
  if (!json_is_array(messages)) {
    err_set(err, ZAYA_E_INVALID, "/messages: expected a list");
    return NULL;
  }
  if (!json_array_size(messages)) {
    err_set(err, ZAYA_E_INVALID, "/messages: a conversation needs at least one message");
    return NULL;
  }
  json_t *copy = json_deep_copy(messages);
  bool ok = copy || err_memory(err, 0, "the messages");
  for (size_t i = 0; ok && i < json_array_size(copy); i++)
    ok = fix_message(json_array_get(copy, i), i, parts, err);
  if (ok) return copy;
  json_decref(copy);
  return NULL;
}

static bool check_tools(const json_t *tools, zaya_error *err) {
  size_t i;
  json_t *tool;
  if (!json_is_array(tools)) return err_set(err, ZAYA_E_INVALID, "/tools: expected a list");
  json_array_foreach(tools, i, tool) {
    const json_t *type = json_object_get(tool, "type"), *function = json_object_get(tool, "function");
    if (type && (!json_is_string(type) || strcmp(json_string_value(type), "function")))
      return bad(err, "only tools of type \"function\" are known", "/tools/%zu/type", i, 0);
    if (!json_is_object(function)) return bad(err, "expected an object", "/tools/%zu/function", i, 0);
    if (!json_is_string(json_object_get(function, "name")))
      return bad(err, "expected a string", "/tools/%zu/function/name", i, 0);
    const json_t *parameters = json_object_get(function, "parameters");
    if (parameters && !json_is_object(parameters) && !json_is_null(parameters))
      return bad(err, "expected a JSON schema (an object)", "/tools/%zu/function/parameters", i, 0);
  }
  return true;
}

// --- rendering ---------------------------------------------------------------------------------

static bool add_kwargs(json_t *values, const json_t *kwargs, zaya_error *err) {
  static const char *const own[] = {"messages", "tools", "add_generation_prompt"};
  const char *key;
  json_t *v;
  if (!kwargs) return true;
  if (!json_is_object(kwargs))
    return err_set(err, ZAYA_E_INVALID, "/chat_template_kwargs: expected an object");
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (json_object_get(kwargs, own[i]))
      return err_set(err, ZAYA_E_INVALID, "/chat_template_kwargs/%s: set by the request itself", own[i]);
  json_object_foreach((json_t *)(uintptr_t)kwargs, key, v) {
    if (json_object_set(values, key, v) != 0) return err_memory(err, 0, "the template's variables");
  }
  return true;
}

static bool add_variables(json_t *values, const ChatRequest *r, zaya_error *err) {
  bool ok = json_object_set_new(values, "documents", json_null()) == 0 && add_kwargs(values, r->kwargs, err);
  if (ok && r->thinking != ZAYA_THINK_AUTO) {
    if (json_object_get(r->kwargs, "enable_thinking"))
      return err_set(err, ZAYA_E_INVALID, "/chat_template_kwargs/enable_thinking: thinking is set twice");
    ok = json_object_set_new(values, "enable_thinking", json_boolean(r->thinking == ZAYA_THINK_ON)) == 0;
  }
  ok = ok &&
       json_object_set_new(values, "add_generation_prompt", json_boolean(!r->no_generation_prompt)) == 0 &&
       json_object_set_new(values, "tools",
                           r->tools ? json_incref((json_t *)(uintptr_t)r->tools) : json_null()) == 0;
  return ok || err_memory(err, 0, "the template's variables");
}

// The special tokens, without those that the request gives a value of its own.
static json_t *trusted_of(const Chat *c, const json_t *kwargs) {
  json_t *t = json_copy(c->special);
  const char *key;
  json_t *v;
  json_object_foreach((json_t *)(uintptr_t)kwargs, key, v) json_object_del(t, key);
  return t;
}

bool chat_render(const Chat *c, const ChatRequest *r, TmplOut *out, zaya_error *err) {
  bool with_tools = r->tools && c->tools;
  if (r->tools && !check_tools(r->tools, err)) return false;
  json_t *messages = fix_messages(r->messages, with_tools ? c->tools_parts : c->plain_parts, err);
  if (!messages) return false;
  json_t *values = json_object(), *trusted = trusted_of(c, r->kwargs);
  bool ok =
      values && trusted ? add_variables(values, r, err) : err_memory(err, 0, "the template's variables");
  if (ok && json_object_set(values, "messages", messages) != 0) ok = err_memory(err, 0, "the messages");
  TmplInput in = {.values = values, .trusted = trusted, .now = r->now, .limits = r->limits};
  ok = ok && tmpl_render(with_tools ? c->tools : c->plain, &in, out, err);
  json_decref(trusted);
  json_decref(values);
  json_decref(messages);
  return ok;
}

// --- ids ---------------------------------------------------------------------------------------

zaya_segment *chat_segments(const TmplOut *prompt, zaya_error *err) {
  zaya_segment *s = calloc(prompt->n_segments ? prompt->n_segments : 1, sizeof *s);
  if (!s) {
    err_memory(err, prompt->n_segments * sizeof *s, "the segments of a prompt");
    return NULL;
  }
  for (size_t i = 0; i < prompt->n_segments; i++) {
    const TmplSegment *p = &prompt->segments[i];
    s[i] = (zaya_segment){prompt->text.data + p->begin, p->end - p->begin, p->from_template};
  }
  return s;
}

bool chat_encode(const Tok *t, const TmplOut *prompt, zaya_ids *ids, zaya_error *err) {
  zaya_segment *s = chat_segments(prompt, err);
  bool ok = s && tok_encode_segments(t, s, prompt->n_segments, 0, ids, NULL, err);
  free(s);
  return ok;
}
