// fuzz_tmpl: any bytes as a template, and each of their lines as one, rendered with a fixed conversation
// under small limits. A text that comes out is valid UTF-8 and its segments tile it; what is not ASCII comes
// from the values alone when the template is ASCII and has no way to write such characters itself, and must
// be marked so.
#include "base/utf8.h"
#include "text/tmpl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char values[] = "{\"messages\": [{\"role\": \"system\", \"content\": \"\\u03be \\u4e16\"}, "
                             "{\"role\": \"user\", \"content\": \"\\u03be"
                             "\\n\\u00df \\u01c6\", \"n\": -7}, {\"role\": \"assistant\", \"content\": null, "
                             "\"tool_calls\": [{\"function\": {\"name\":"
                             " \"f\", \"arguments\": {\"\\u03be\": [1, 2.5, true, null, \"\\u03a3\"]}}}]}], "
                             "\"tools\": null, \"s\": \"\\u03be,\\u03bf\","
                             " \"f\": 1e300, \"n\": 9007199254740993, \"add_generation_prompt\": true}";

// Escapes, characters by number and characters of its own let a template write what is not ASCII.
static bool writes_ascii_only(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (((unsigned char)p[i] & 0x80) || p[i] == '\\') return false;
    if (p[i] != '%' && p[i] != ':' && p[i] != '{') continue;
    for (size_t k = i + 1; k < n && k < i + 40; k++)
      if (p[k] == 'c' || p[k] == '*') return false; // may be %5c or {:c}
  }
  return true;
}

static void check(const TmplOut *out, bool ascii_template) {
  size_t end = 0;
  if (utf8_valid_prefix(out->text.data ? out->text.data : "", out->text.len) != out->text.len) abort();
  for (size_t i = 0; i < out->n_segments; i++) {
    TmplSegment s = out->segments[i];
    if (s.begin != end || s.end <= s.begin) abort();
    end = s.end;
    for (size_t k = s.begin; ascii_template && s.from_template && k < s.end; k++)
      if ((unsigned char)out->text.data[k] & 0x80) abort();
  }
  if (end != out->text.len) abort();
}

static void run(const json_t *context, const char *source, size_t size) {
  static const int64_t now = 1732369509;
  zaya_error err = {0};
  Tmpl *t = tmpl_compile("fuzz", source, size, &err);
  if (!t && err.status == ZAYA_OK) abort();
  TmplInput in = {
      .values = context,
      .now = &now,
      .limits = {.max_output = 1 << 16, .max_memory = 4 << 20, .max_steps = 20000, .max_depth = 300}};
  TmplOut out = {0};
  if (t && tmpl_render(t, &in, &out, &err))
    check(&out, writes_ascii_only(source, size));
  else if (err.status == ZAYA_OK)
    abort();
  tmpl_out_free(&out);
  tmpl_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static json_t *context;
  if (!context && !(context = json_loads(values, 0, NULL))) abort();
  run(context, (const char *)data, size);
  for (size_t begin = 0, i = 0; i <= size; i++) {
    if (i < size && data[i] != '\n') continue;
    char *line = malloc(i - begin + 1); // of its own, so that a read past its end is seen
    if (!line) abort();
    memcpy(line, data + begin, i - begin);
    run(context, line, i - begin);
    free(line);
    begin = i + 1;
  }
  return 0;
}
