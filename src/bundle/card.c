// card: the model card of a bundle as text, from what was measured of it: inspection, verification, the
// smoke report. Says nothing that no check stands behind. Depends on format/jsonio, hub (names).
#include "base/buf.h"
#include "base/error.h"
#include "bundle/hub.h"
#include "format/jsonio.h"

#include <stdio.h>
#include <string.h>

typedef struct Card {
  Buf *out;
  zaya_error *err;
  bool ok;
} Card;

static void say(Card *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(Card *c, const char *fmt, ...) {
  char text[2048];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  c->ok = c->ok && buf_puts(c->out, text, c->err);
}

// Text from files, fit for a table cell: one line, without what Markdown and HTML would take up.
static void say_cell(Card *c, const char *text) {
  for (const char *p = text; *p && c->ok; p++) {
    if (strchr("|<>`*_[]\\", *p)) c->ok = buf_putc(c->out, '\\', c->err);
    c->ok = c->ok && buf_putc(c->out, (unsigned char)*p < 0x20 ? ' ' : *p, c->err);
  }
}

static const char *bytes_text(uint64_t n, char buf[48]) {
  double x = (double)n;
  const char *unit = n >= 1u << 30 ? "GiB" : n >= 1u << 20 ? "MiB" : "KiB";
  x /= n >= 1u << 30 ? 1073741824.0 : n >= 1u << 20 ? 1048576.0 : 1024.0;
  snprintf(buf, 48, "%llu (%.2f %s)", (unsigned long long)n, x, unit);
  return buf;
}

static const char *text_of(const json_t *o, const char *key) {
  return json_string_value(json_object_get(o, key));
}

// "org/name" as jang_config.json records it, if it is a name that a hub can have.
static bool base_model(const json_t *jang, char out[256]) {
  const json_t *source = json_object_get(jang, "source_model");
  const char *org = text_of(source, "org"), *name = text_of(source, "name");
  if (!org || !name || !strcmp(name, "synthetic")) return false;
  int n = snprintf(out, 256, "%s/%s", org, name);
  return n > 0 && n < 256 && hub_check_repo(out, NULL);
}

static void front_matter(Card *c, const json_t *config, const char *base, const char *license) {
  say(c, "---\nlibrary_name: zaya.c\npipeline_tag: text-generation\n");
  if (license) say(c, "license: %s\n", license);
  if (base) say(c, "base_model: %s\nbase_model_relation: quantized\n", base);
  say(c, "tags:\n- zaya\n");
  const char *format = text_of(config, "weight_format");
  if (format && !strpbrk(format, ":#\n\"'{}[]&*!|>%@` ")) say(c, "- %s\n", format);
  say(c, "---\n\n");
}

static void what_it_is(Card *c, const zaya_inspection *in) {
  const zaya_model_info *m = &in->model;
  char text[48];
  say(c, "## What is in it\n\n| | |\n|---|---|\n");
  say(c, "| layout | %s |\n| tensors | %zu keys in %zu shards |\n", m->layout, in->n_tensors, in->n_shards);
  say(c, "| bytes of tensors | %s |\n", bytes_text(m->tensor_bytes, text));
  say(c, "| bytes of shards | %s |\n", bytes_text(in->file_bytes, text));
  say(c, "| parameters | %llu, of which a token uses %llu without the embedding |\n",
      (unsigned long long)m->n_params, (unsigned long long)m->n_params_active);
  say(c, "| layers | %d: attention and experts in turn; hidden size %d |\n", m->n_layers, m->hidden_size);
  say(c, "| experts | %d and the skip route, one for a token; width %d |\n", m->n_experts, m->expert_width);
  say(c, "| vocabulary | %d |\n| context | %d tokens |\n", m->vocab_size, m->max_position);
  say(c, "| 16-bit KV cache | %s a token |\n\n", bytes_text(in->kv_bytes_per_token, text));
  say(c, "| tensors | format | number | keys | bytes |\n|---|---|---:|---:|---:|\n");
  for (size_t i = 0; i < in->n_classes; i++) {
    const zaya_tensor_class *k = &in->classes[i];
    say(c, "| %s | %s | %zu | %zu | %llu |\n", k->name, k->format, k->n_tensors, k->n_keys,
        (unsigned long long)k->n_bytes);
  }
  say(c, "\n");
}

static void verification(Card *c, const zaya_verification *v) {
  static const char *const words[] = {"pass", "**fail**", "not checked"};
  say(c, "## Verification\n\n`zaya verify` (zaya.c %s): %zu checks passed, %zu failed, %zu were skipped.\n\n",
      zaya_version(), v->n_passed, v->n_failed, v->n_skipped);
  if (v->n_failed) say(c, "**This bundle does not pass.** What failed is marked below.\n\n");
  say(c, "| check | | |\n|---|---|---|\n");
  for (size_t i = 0; i < v->n_checks; i++) {
    const zaya_check *k = &v->checks[i];
    say(c, "| %s | %s | ", k->name, words[k->status]);
    if (k->status != ZAYA_CHECK_SKIP) say_cell(c, k->about);
    if (k->status != ZAYA_CHECK_SKIP && *k->detail) say(c, ": ");
    say_cell(c, k->detail);
    say(c, " |\n");
  }
  say(c, "\n");
  if (!v->n_classes) return;
  say(c, "### Against the source\n\n| tensors | number | largest error | RMS error | relative "
         "|\n|---|---:|---:|---:|---:|\n");
  for (size_t i = 0; i < v->n_classes; i++) {
    const zaya_verify_class *k = &v->classes[i];
    say(c, "| %s | %llu | %.4e | %.4e | %.5f |\n", k->name, (unsigned long long)k->tensors, k->max_error,
        k->rms_error, k->relative_error);
  }
  say(c, "\n");
}

// smoke.json, as `zaya smoke -o` writes it.
static bool coherence(Card *c, const char *dir, zaya_error *err) {
  say(c, "## Coherence\n\n");
  if (!jsonio_exists(dir, "smoke.json")) {
    say(c, "Not measured: there is no report of `zaya smoke` in the folder.\n\n");
    return true;
  }
  json_t *report = jsonio_read(dir, "smoke.json", err);
  const json_t *cases = json_object_get(report, "cases");
  if (report && !json_is_array(cases)) err_set(err, ZAYA_E_FORMAT, "%s/smoke.json: it has no \"cases\"", dir);
  if (!json_is_array(cases)) {
    json_decref(report);
    return false;
  }
  size_t passed = 0, n = json_array_size(cases);
  for (size_t i = 0; i < n; i++) passed += json_is_true(json_object_get(json_array_get(cases, i), "passed"));
  const char *version = text_of(report, "version");
  say(c, "`zaya smoke` (zaya.c ");
  say_cell(c, version ? version : "?");
  say(c, "): %zu of %zu cases passed.\n\n| case | | |\n|---|---|---|\n", passed, n);
  for (size_t i = 0; i < n; i++) {
    const json_t *k = json_array_get(cases, i);
    bool ok = json_is_true(json_object_get(k, "passed"));
    const char *parts[] = {text_of(k, "name"), text_of(k, "expectation"), ok ? NULL : text_of(k, "why")};
    say(c, "| ");
    say_cell(c, parts[0] ? parts[0] : "?");
    say(c, " | %s | ", ok ? "pass" : "**fail**");
    say_cell(c, parts[1] ? parts[1] : "");
    if (parts[2]) say(c, ": ");
    say_cell(c, parts[2] ? parts[2] : "");
    say(c, " |\n");
  }
  say(c, "\n");
  json_decref(report);
  return true;
}

static const char *folder_name(const char *dir, char out[256]) {
  size_t n = strlen(dir);
  while (n > 1 && dir[n - 1] == '/') n--;
  size_t begin = n;
  while (begin > 0 && dir[begin - 1] != '/') begin--;
  snprintf(out, 256, "%.*s", (int)(n - begin < 255 ? n - begin : 255), dir + begin);
  return out;
}

static void introduction(Card *c, const json_t *config, const char *dir, const char *name, const char *base) {
  char buf[256];
  say(c, "# ");
  say_cell(c, name ? name : folder_name(dir, buf));
  say(c, "\n\n");
  if (json_object_get(config, "zaya_synthetic"))
    say(c, "Random weights in the shapes of a ZAYA model, for measuring speed and memory. What it says is "
           "noise.\n\n");
  else if (base)
    say(c, "A bundle made from [%s](https://huggingface.co/%s), as its `jang_config.json` records.\n\n", base,
        base);
  say(c, "Every figure below was measured on the files of this folder by `zaya card`.\n\n");
}

bool zaya_card(const char *dir, const zaya_inspection *inspection, const zaya_verification *v,
               const zaya_card_params *params, zaya_text *out, zaya_error *err) {
  static const zaya_card_params none = {0};
  const zaya_card_params *p = params ? params : &none;
  char base[256];
  Card c = {.out = out, .err = err, .ok = true};
  if (p->license && strspn(p->license, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-+") !=
                        strlen(p->license))
    return err_set(err, ZAYA_E_INVALID, "'%s' is no licence identifier", p->license);
  json_t *config = jsonio_read(dir, "config.json", err);
  json_t *jang =
      config && jsonio_exists(dir, "jang_config.json") ? jsonio_read(dir, "jang_config.json", NULL) : NULL;
  bool has_base = base_model(jang, base), ok = config != NULL;
  if (ok) {
    front_matter(&c, config, has_base ? base : NULL, p->license);
    introduction(&c, config, dir, p->name, has_base ? base : NULL);
    what_it_is(&c, inspection);
    verification(&c, v);
    ok = coherence(&c, dir, err) && c.ok;
  }
  json_decref(config);
  json_decref(jang);
  return ok;
}
