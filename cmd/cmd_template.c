// cmd_template: zaya template: a conversation as the folder's chat template renders it, as text, ids or
// JSON with the origin of every piece.
#include "commands.h"
#include "common.h"
#include "opt.h"
#include "zaya/zaya.h"

#include <jansson.h>
#include <string.h>

typedef struct Template {
  const char *model, *messages, *tools, *thinking, *kwargs;
  bool no_generation_prompt, ids, json;
} Template;

// What the caller sets and the template never mentions has no effect: say so.
static void print_unused(const Template *o, const zaya_chat *chat, bool with_tools) {
  if (o->tools && !zaya_chat_uses(chat, with_tools, "tools"))
    fprintf(stderr, "zaya template: note: the template does not read tools\n");
  if (strcmp(o->thinking, "auto") && !zaya_chat_uses(chat, with_tools, "enable_thinking"))
    fprintf(stderr, "zaya template: note: the template does not read enable_thinking (--thinking)\n");
  json_t *kwargs = o->kwargs ? json_loads(o->kwargs, JSON_ALLOW_NUL, NULL) : NULL, *v;
  const char *key;
  json_object_foreach(kwargs, key, v) {
    if (!zaya_chat_uses(chat, with_tools, key))
      fprintf(stderr, "zaya template: note: the template does not read %s (--kwargs)\n", key);
  }
  json_decref(kwargs);
}

static bool print_ids(const zaya_ids *ids) {
  for (size_t i = 0; i < ids->len; i++) printf(i ? " %d" : "%d", ids->data[i]);
  return putchar('\n') != EOF;
}

static bool print_json(const zaya_prompt *p, const zaya_ids *ids, bool with_ids) {
  json_t *root = json_object(), *segments = json_array();
  json_object_set_new(root, "text", json_stringn(p->text.data ? p->text.data : "", p->text.len));
  for (size_t i = 0; i < p->n_segments; i++) {
    json_t *s = json_object();
    json_object_set_new(s, "from", json_string(p->segments[i].control ? "template" : "value"));
    json_object_set_new(s, "text", json_stringn(p->segments[i].text, p->segments[i].len));
    json_array_append_new(segments, s);
  }
  json_object_set_new(root, "segments", segments);
  if (with_ids) {
    json_t *list = json_array();
    for (size_t i = 0; i < ids->len; i++) json_array_append_new(list, json_integer(ids->data[i]));
    json_object_set_new(root, "ids", list);
  }
  bool ok = json_dumpf(root, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
  json_decref(root);
  return ok;
}

static bool encode(const Template *o, const zaya_prompt *prompt, zaya_ids *ids, zaya_error *err) {
  zaya_tokenizer *tokenizer = zaya_tokenizer_open(o->model, err);
  bool ok = tokenizer && zaya_prompt_encode(prompt, tokenizer, ids, NULL, err);
  zaya_tokenizer_close(tokenizer);
  return ok;
}

static int run(const Template *o) {
  zaya_error err = {0};
  zaya_text messages = {0}, tools = {0};
  zaya_prompt prompt = {0};
  zaya_ids ids = {0};
  zaya_chat *chat = zaya_chat_open(o->model, &err);
  bool ok =
      chat && read_input(o->messages, &messages, &err) && (!o->tools || read_input(o->tools, &tools, &err));
  if (ok) {
    zaya_chat_params params = {
        .messages = messages.data ? messages.data : "",
        .tools = o->tools ? (tools.data ? tools.data : "") : NULL,
        .kwargs = o->kwargs,
        .thinking = !strcmp(o->thinking, "on")    ? ZAYA_THINK_ON
                    : !strcmp(o->thinking, "off") ? ZAYA_THINK_OFF
                                                  : ZAYA_THINK_AUTO,
        .no_generation_prompt = o->no_generation_prompt,
    };
    ok = zaya_chat_render(chat, &params, &prompt, &err) && (!o->ids || encode(o, &prompt, &ids, &err));
  }
  int code = EXIT_OK;
  if (!ok) {
    code = fail("template", &err);
  } else {
    print_unused(o, chat, o->tools != NULL);
    if (o->json)
      ok = print_json(&prompt, &ids, o->ids);
    else if (o->ids)
      ok = print_ids(&ids);
    else
      ok = fwrite(prompt.text.data ? prompt.text.data : "", 1, prompt.text.len, stdout) == prompt.text.len;
    if (!ok || fflush(stdout) != 0) code = fail_with("template", "cannot write to standard output");
  }
  zaya_ids_free(&ids);
  zaya_prompt_free(&prompt);
  zaya_text_free(&messages);
  zaya_text_free(&tools);
  zaya_chat_close(chat);
  return code;
}

int cmd_template(int argc, char **argv) {
  Template o = {.thinking = "auto"};
  Opt opts[] = {
      OPTION_STRING("model", 'm', &o.model, "DIR",
                    "folder with the template and the tokenizer files (no model is needed)"),
      OPTION_STRING("messages", 0, &o.messages, "F",
                    "JSON list of messages, as in OpenAI's chat completions; - is standard input"),
      OPTION_STRING("tools", 0, &o.tools, "F", "JSON list of tools; - is standard input"),
      OPTION_FLAG("no-generation-prompt", 0, &o.no_generation_prompt,
                  "end behind the last message, without the head of the answer"),
      OPTION_ENUM("thinking", 0, &o.thinking, "on|off|auto",
                  "enable_thinking; auto leaves it to the template (default)"),
      OPTION_STRING("kwargs", 0, &o.kwargs, "JSON", "object of further variables for the template"),
      OPTION_FLAG("ids", 0, &o.ids, "token ids instead of text; with --json, beside it"),
      OPTION_FLAG("json", 0, &o.json, "JSON: the text, and its pieces with where they come from"),
      OPTION_END,
  };
  OptSpec spec = {
      .command = "template",
      .usage = "-m DIR --messages F [options]",
      .about = "Writes the prompt that the folder's own chat template makes of a conversation. Control "
               "tokens such\n"
               "as <|im_end|> count only where the template wrote them: in a message they are plain text.",
      .examples = "  zaya template -m ZAYA1-8B-MXFP4 --messages chat.json --thinking on\n"
                  "  echo '[{\"role\":\"user\",\"content\":\"Hi\"}]' | zaya template -m ZAYA1-8B-MXFP4 "
                  "--messages - --ids",
      .opts = opts,
  };
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (!o.model) return opt_usage_error(&spec, "-m DIR is missing");
  if (!o.messages) return opt_usage_error(&spec, "--messages F is missing");
  if (o.tools && !strcmp(o.tools, "-") && !strcmp(o.messages, "-"))
    return opt_usage_error(&spec, "--messages and --tools cannot both be standard input");
  return find_model("template", &o.model) ? run(&o) : EXIT_FAILED;
}
