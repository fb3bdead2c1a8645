// render: see render.h.
#include "render.h"

#include "common.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Render {
  RenderMode mode;
  bool show_reasoning, show_content, dim; // dim: the terminal is in the reasoning's colour
  bool terminal, colour;
  char last;                // the last byte printed, to end the output with a newline
  bool printed;             // anything at all
  json_t *text, *reasoning; // pieces
  json_t *calls;
};

Render *render_new(RenderMode mode, const char *reasoning, zaya_error *err) {
  Render *r = calloc(1, sizeof *r);
  if (!r) {
    err->status = ZAYA_E_MEMORY;
    snprintf(err->message, sizeof err->message, "out of memory");
    return NULL;
  }
  r->mode = mode;
  r->show_reasoning = reasoning ? strcmp(reasoning, "hide") != 0 : stdout_is_terminal();
  r->show_content = !reasoning || strcmp(reasoning, "only") != 0;
  r->terminal = stdout_is_terminal();
  r->colour = r->terminal && !getenv("NO_COLOR");
  r->text = json_array();
  r->reasoning = json_array();
  r->calls = json_array();
  return r;
}

void render_free(Render *r) {
  if (!r) return;
  json_decref(r->text);
  json_decref(r->reasoning);
  json_decref(r->calls);
  free(r);
}

static void put(Render *r, const char *text, size_t len);

// The reasoning begins or ends: dim on a terminal, between tags where there are no colours.
static void set_dim(Render *r, bool dim) {
  if (r->dim == dim) return;
  r->dim = dim;
  if (r->colour)
    fputs(dim ? "\033[2m" : "\033[0m", stdout);
  else if (r->show_content)
    put(r, dim ? "<think>\n" : "</think>\n", dim ? 8 : 9);
}

void render_safe(FILE *out, const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    const unsigned char c = (unsigned char)text[i], next = i + 1 < len ? (unsigned char)text[i + 1] : 0;
    const bool high = c == 0xc2 && next >= 0x80 && next < 0xa0; // U+0080 to U+009F
    if (high || (c >= 0x20 ? c == 0x7f : c != '\n' && c != '\t')) {
      fputs("\xef\xbf\xbd", out);
      i += high;
    } else {
      putc(c, out);
    }
  }
}

static void put(Render *r, const char *text, size_t len) {
  if (!len) return;
  if (r->terminal)
    render_safe(stdout, text, len);
  else
    fwrite(text, 1, len, stdout);
  fflush(stdout);
  r->last = text[len - 1];
  r->printed = true;
}

static void new_line(Render *r) {
  if (r->printed && r->last != '\n') put(r, "\n", 1);
}

// A call as a line: name and arguments.
static void put_call(Render *r, const zaya_output_event *e) {
  new_line(r);
  if (e->kind == ZAYA_OUTPUT_CALL_BAD) {
    fflush(stdout);
    fprintf(stderr, "zaya: a tool call was not usable: %s\n", e->text);
    return;
  }
  put(r, e->name, strlen(e->name));
  put(r, "(", 1);
  put(r, e->text, e->len);
  put(r, ")\n", 2);
}

static void stream(Render *r, const zaya_output_event *e) {
  switch (e->kind) {
  case ZAYA_OUTPUT_REASONING:
    if (!r->show_reasoning) return;
    set_dim(r, true);
    put(r, e->text, e->len);
    return;
  case ZAYA_OUTPUT_REASONING_DONE:
    if (!r->show_reasoning) return;
    new_line(r);
    set_dim(r, false);
    if (r->show_content) put(r, "\n", 1);
    return;
  case ZAYA_OUTPUT_CONTENT:
    if (r->show_content) put(r, e->text, e->len);
    return;
  case ZAYA_OUTPUT_CALL_DONE:
  case ZAYA_OUTPUT_CALL_BAD:
    if (r->show_content) put_call(r, e);
    return;
  default: return;
  }
}

static json_t *call_json(const zaya_output_event *e) {
  if (e->kind == ZAYA_OUTPUT_CALL_BAD)
    return json_pack("{s:s?, s:s, s:s%}", "name", e->name, "error", e->text, "raw", e->raw, (int)e->raw_len);
  return json_pack("{s:s, s:o, s:b}", "name", e->name, "arguments", json_loadb(e->text, e->len, 0, NULL),
                   "known", (int)e->known);
}

static void collect(Render *r, const zaya_output_event *e) {
  if (e->kind == ZAYA_OUTPUT_REASONING) json_array_append_new(r->reasoning, json_stringn(e->text, e->len));
  if (e->kind == ZAYA_OUTPUT_CONTENT) json_array_append_new(r->text, json_stringn(e->text, e->len));
  if (e->kind == ZAYA_OUTPUT_CALL_DONE || e->kind == ZAYA_OUTPUT_CALL_BAD)
    json_array_append_new(r->calls, call_json(e));
}

void render_event(Render *r, const zaya_output_event *e) {
  if (r->mode == RENDER_JSON)
    collect(r, e);
  else
    stream(r, e);
}

static json_t *joined(const json_t *pieces) {
  size_t i, len = 0;
  json_t *piece;
  json_array_foreach(pieces, i, piece) len += json_string_length(piece);
  char *all = malloc(len + 1), *p = all;
  if (!all) return json_null();
  json_array_foreach(pieces, i, piece) {
    memcpy(p, json_string_value(piece), json_string_length(piece));
    p += json_string_length(piece);
  }
  json_t *text = json_stringn(all, len);
  free(all);
  return text;
}

void render_end(Render *r, const zaya_generate_result *result, uint64_t seed) {
  if (!r) return;
  if (r->mode == RENDER_STREAM) {
    set_dim(r, false);
    new_line(r);
    return;
  }
  if (!result) return;
  json_t *root =
      json_pack("{s:o, s:o, s:O, s:s, s:I, s:{s:I, s:I, s:I}, s:{s:f, s:f}}", "text", joined(r->text),
                "reasoning", joined(r->reasoning), "tool_calls", r->calls, "finish_reason",
                zaya_finish_name(result->finish), "seed", (json_int_t)seed, "usage", "prompt_tokens",
                (json_int_t)result->prompt_tokens, "completion_tokens", (json_int_t)result->tokens,
                "reasoning_tokens", (json_int_t)result->turn.thinking + (json_int_t)result->turn.forced,
                "seconds", "prompt", result->prompt_seconds, "answer", result->seconds);
  json_dumpf(root, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(root);
}
