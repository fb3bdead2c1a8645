// guides: see guides.h.
#include "server/guides.h"

#include "server/lru.h"
#include "text/out.h"

#include <stdlib.h>
#include <string.h>

enum {
  MAX_GUIDES = 64,
  MAX_BYTES = 64 << 20,
  GUIDE_BYTES = 64 << 10
}; // a guide's own size is not known: a guess

struct Guides {
  Vocab *vocab;
  Lru *lru;
};

static void *copy_guide(const void *value) { return guide_ref(value); }
static void free_guide(void *value) { guide_free(value); }

Guides *guides_new(const Tok *tok, zaya_error *err) {
  static const LruType type = {.copy = copy_guide, .free = free_guide};
  Guides *g = calloc(1, sizeof *g);
  if (!g) {
    err_memory(err, sizeof *g, "guides");
    return NULL;
  }
  g->vocab = guide_vocab(tok, err);
  g->lru = lru_new(MAX_GUIDES, MAX_BYTES, &type, err);
  if (g->vocab && g->lru) return g;
  guides_free(g);
  return NULL;
}

void guides_free(Guides *g) {
  if (!g) return;
  lru_free(g->lru);
  vocab_free(g->vocab);
  free(g);
}

// --- forms ----------------------------------------------------------------------------------------

static Guide *compile(const Guides *g, char kind, const char *text, size_t len, zaya_error *err) {
  switch (kind) {
  case 's': return guide_schema(g->vocab, text, len, err);
  case 'r': return guide_regex(g->vocab, text, len, err);
  default: return guide_gbnf(g->vocab, text, len, err);
  }
}

// The guide of a text; `kind` and the text are its key.
static Guide *find(Guides *g, char kind, const char *text, size_t len, zaya_error *err) {
  Buf key = {0};
  Guide *guide = NULL;
  if (!buf_putc(&key, kind, err) || !buf_add(&key, text, len, err)) goto done;
  guide = lru_find(g->lru, key.data, key.len);
  if (guide || !(guide = compile(g, kind, text, len, err))) goto done;
  lru_put(g->lru, key.data, key.len, guide_ref(guide), GUIDE_BYTES);
done:
  buf_free(&key);
  return guide;
}

static Guide *find_schema(Guides *g, const json_t *schema, zaya_error *err) {
  char *text = json_dumps(schema, JSON_COMPACT | JSON_ENCODE_ANY);
  if (!text) {
    err_memory(err, 0, "a schema");
    return NULL;
  }
  Guide *guide = find(g, 's', text, strlen(text), err);
  free(text);
  return guide;
}

static Guide *find_form(Guides *g, const Ask *a, zaya_error *err) {
  static const char object[] = "{\"type\":\"object\"}";
  switch (a->form) {
  case ASK_JSON_OBJECT: return find(g, 's', object, sizeof object - 1, err);
  case ASK_JSON_SCHEMA: return find_schema(g, a->schema, err);
  case ASK_REGEX: return find(g, 'r', a->pattern, strlen(a->pattern), err);
  default: return find(g, 'g', a->pattern, strlen(a->pattern), err);
  }
}

// --- tools ----------------------------------------------------------------------------------------

// Beside a form there is no free text: what comes in place of calls is the form's.
static CallsChoice choice_of(const Ask *a) {
  return a->tool_choice == ASK_TOOLS_AUTO && a->form == ASK_TEXT ? CALLS_AUTO : CALLS_REQUIRED;
}

static Guide *compile_calls(const Guides *g, const json_t *tools, const Ask *a, zaya_error *err) {
  char *text = json_dumps(tools, JSON_COMPACT);
  if (!text) {
    err_memory(err, 0, "the tools");
    return NULL;
  }
  const CallsParams p = {.tools = text,
                         .choice = choice_of(a),
                         .name = a->tool_choice == ASK_TOOLS_NAMED ? a->tool_name : NULL,
                         .parallel = a->parallel_tools,
                         .tags = out_tags(NULL)};
  Guide *guide = guide_calls(g->vocab, &p, err);
  free(text);
  return guide;
}

// The tool with nothing said about its arguments but their names.
static json_t *loosened(const json_t *tool) {
  json_t *copy = json_deep_copy(tool), *function = json_object_get(copy, "function"), *names = json_object();
  const json_t *properties = json_object_get(json_object_get(function, "parameters"), "properties");
  const char *key;
  json_t *schema;
  json_object_foreach((json_t *)(uintptr_t)properties, key, schema)
      json_object_set_new(names, key, json_object());
  json_object_set_new(function, "parameters", json_pack("{s:s, s:o}", "type", "object", "properties", names));
  return copy;
}

// Each tool as it is where its schema is supported.
static json_t *supported(const Guides *g, const Ask *a, zaya_error *err) {
  json_t *list = json_array(), *tool;
  size_t i;
  json_array_foreach(a->tools, i, tool) {
    zaya_error why = {0};
    const json_t *function = json_object_get(tool, "function");
    json_t *alone = json_pack("[O]", tool);
    Ask any = {.parallel_tools = true};
    Guide *guide = compile_calls(g, alone, &any, &why);
    json_decref(alone);
    if (!guide && json_is_true(json_object_get(function, "strict"))) {
      err_set(err, why.status, "%s", why.message);
      json_decref(list);
      return NULL;
    }
    json_array_append_new(list, guide ? json_incref(tool) : loosened(tool));
    guide_free(guide);
  }
  return list;
}

static Guide *make_calls(const Guides *g, const Ask *a, zaya_error *err) {
  zaya_error why = {0};
  Guide *guide = compile_calls(g, a->tools, a, &why);
  if (guide || why.status == ZAYA_E_MEMORY) {
    if (!guide) err_set(err, why.status, "%s", why.message);
    return guide;
  }
  json_t *tools = supported(g, a, err);
  guide = tools ? compile_calls(g, tools, a, err) : NULL;
  json_decref(tools);
  return guide;
}

static Guide *find_calls(Guides *g, const Ask *a, zaya_error *err) {
  Buf key = {0};
  Guide *guide = NULL;
  char *text = json_dumps(a->tools, JSON_COMPACT);
  if (!text ||
      !buf_printf(&key, err, "c%d%d%s\n", (int)choice_of(a), (int)a->parallel_tools,
                  a->tool_choice == ASK_TOOLS_NAMED ? a->tool_name : "") ||
      !buf_puts(&key, text, err)) {
    err_memory(err, 0, "the tools");
    goto done;
  }
  guide = lru_find(g->lru, key.data, key.len);
  if (guide || !(guide = make_calls(g, a, err))) goto done;
  lru_put(g->lru, key.data, key.len, guide_ref(guide), GUIDE_BYTES);
done:
  free(text);
  buf_free(&key);
  return guide;
}

// --- a form and tools -----------------------------------------------------------------------------

// Where calls are required the form says nothing of the answer, but a wrong one is refused all the same.
static bool find_either(Guides *g, const Ask *a, Guide **out, GuideUse *use, AskFault *fault) {
  zaya_error err = {0};
  const bool both = a->tool_choice == ASK_TOOLS_AUTO;
  Guide *form = find_form(g, a, &err), *calls = NULL;
  bool ok = form || fault_take(fault, &err, a->form_field);
  if (ok) ok = (calls = find_calls(g, a, &err)) || fault_take(fault, &err, "tools");
  *use = both ? GUIDE_EITHER : GUIDE_CALLS;
  if (ok) *out = both ? guide_either(calls, form, &err) : guide_ref(calls);
  if (ok && !*out) ok = fault_take(fault, &err, a->form_field);
  guide_free(form);
  guide_free(calls);
  return ok;
}

// --- what an Ask wants ----------------------------------------------------------------------------

bool guides_find(Guides *g, const Ask *a, Guide **out, GuideUse *use, AskFault *fault) {
  zaya_error err = {0};
  const bool calls = a->tools && a->tool_choice != ASK_TOOLS_NONE;
  *out = NULL;
  *use = GUIDE_NONE;
  if (calls && a->form != ASK_TEXT) return find_either(g, a, out, use, fault);
  if (a->form != ASK_TEXT) {
    *use = GUIDE_TEXT;
    *out = find_form(g, a, &err);
    return *out || fault_take(fault, &err, a->form_field);
  }
  if (calls) {
    *use = GUIDE_CALLS;
    *out = find_calls(g, a, &err);
    return *out || fault_take(fault, &err, "tools");
  }
  if (a->tools) { // any text: a control token, with which a call begins, is not text
    static const char any[] = "[\\s\\S]*";
    *use = GUIDE_TEXT;
    *out = find(g, 'r', any, sizeof any - 1, &err);
    return *out || fault_take(fault, &err, "tool_choice");
  }
  return true;
}
