// run_cases: the template engine against expectations made by Jinja2.
//   run_cases FILE...        compares every case of the files; 0 if all agree
//   run_cases --batch FILE   renders every case and prints [{"text": ...} or {"error": ...}, ...]
// A file: {"context": {...}, "cases": [{"name", "template", and "expected" or "error": true}]}. With --batch
// a case may have a "context" of its own.
#include "text/tmpl.h"

#include <stdio.h>
#include <string.h>

static const int64_t fixed_now = 1732369509; // 2024-11-23 13:45:09 UTC, as tests/template/jinja_oracle.py

static json_t *render(const json_t *c, const json_t *shared) {
  const json_t *source = json_object_get(c, "template"), *context = json_object_get(c, "context");
  zaya_error err = {0};
  TmplOut out = {0};
  Tmpl *t = tmpl_compile("template", json_string_value(source), json_string_length(source), &err);
  TmplInput in = {.values = context ? context : shared, .now = &fixed_now};
  json_t *result;
  if (t && tmpl_render(t, &in, &out, &err))
    result = json_pack("{s:o}", "text", json_stringn(out.text.data ? out.text.data : "", out.text.len));
  else
    result = json_pack("{s:s}", "error", err.message);
  tmpl_out_free(&out);
  tmpl_free(t);
  return result;
}

static bool check(const json_t *c, const json_t *context) {
  json_t *got = render(c, context);
  const json_t *want = json_object_get(c, "expected"), *text = json_object_get(got, "text");
  bool ok = want ? text && json_equal(want, text) : !text;
  if (!ok) {
    fprintf(stderr, "FAIL %s\n  template: %s\n  expected: %s\n  found:    %s%s\n",
            json_string_value(json_object_get(c, "name")), json_string_value(json_object_get(c, "template")),
            want ? json_string_value(want) : "an error",
            text ? "" : "error: ", json_string_value(text ? text : json_object_get(got, "error")));
  }
  json_decref(got);
  return ok;
}

int main(int argc, char **argv) {
  bool batch = argc == 3 && !strcmp(argv[1], "--batch");
  size_t total = 0, failed = 0;
  for (int i = batch ? 2 : 1; i < argc; i++) {
    json_error_t error;
    json_t *file = json_load_file(argv[i], JSON_ALLOW_NUL, &error), *results = json_array(), *c;
    json_t *cases = json_object_get(file, "cases"), *context = json_object_get(file, "context");
    if (!json_is_array(cases)) {
      fprintf(stderr, "%s: %s\n", argv[i], file ? "no list of cases" : error.text);
      return 2;
    }
    size_t k;
    json_array_foreach(cases, k, c) {
      total++;
      if (batch)
        json_array_append_new(results, render(c, context));
      else
        failed += !check(c, context);
    }
    if (batch) json_dumpf(results, stdout, JSON_COMPACT);
    json_decref(results);
    json_decref(file);
  }
  if (!batch) fprintf(stderr, "%zu cases, %zu failed\n", total, failed);
  return batch || (total && !failed) ? 0 : 1;
}
