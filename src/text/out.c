// out: see out.h. Every byte goes through one of three doors: text of a channel (shown), a call, or
// markup; each door counts what passes, so that the sums can be checked against what was fed.
#include "text/out.h"

#include "base/error.h"
#include "base/utf8.h"
#include "text/call.h"
#include "text/tags.h"

#include <stdlib.h>
#include <string.h>

enum {
  PIECE = 32 * 1024, // longest piece of text that one event carries, about
  MAX_CALL_BYTES = 8 * 1024 * 1024,
};

// Ids of tags: those of a call, then these.
enum { TAG_THINK_OPEN = CALL_TAGS, TAG_THINK_CLOSE, TAG_RESULT_OPEN, TAG_RESULT_CLOSE, TAG_COUNT };

typedef enum Mode {
  MODE_LEAD,    // verbatim answer to come: only a thinking block may still open
  MODE_CONTENT, // the answer, or between calls
  MODE_THINK,
  MODE_CALL,
  MODE_VERBATIM, // everything is content
} Mode;

// A stream of shown text, whose newlines next to markup are not shown.
typedef struct Chan {
  zaya_output_kind kind;
  uint64_t *count;
  Buf text;        // to be sent
  bool started;    // some text was shown (in this block)
  bool gap;        // markup came since the last text
  size_t run;      // newlines since the last text or markup
  size_t gap_most; // the longest run next to markup in this gap
  size_t gap_all;  // all newlines of this gap but the present run
} Chan;

struct zaya_output {
  zaya_output_fn fn;
  void *user;
  char *tags[TAG_COUNT];
  TagSet lead, call_or_data, content, behind_call, think, inside_call;
  TagHold hold;
  Mode mode;
  bool verbatim, no_think; // no_think: an opening tag is stray
  bool or_calls;           // a verbatim answer may turn out to be calls
  bool after_call, visible, cut, failed, ended;
  Chan answer, reasoning;
  size_t block, call_index;
  Call call;
  bool call_begun;  // its event was sent
  size_t args_sent; // bytes of its arguments that were
  ArgTools *tools;
  Buf clean; // text with malformed bytes replaced
  zaya_output_counts counts;
};

// --- events ------------------------------------------------------------------------------------

static bool emit(Out *o, const zaya_output_event *event, zaya_error *err) {
  return o->fn(o->user, event) || err_set(err, ZAYA_E_CANCELLED, "the output was refused by its receiver");
}

// Sends what a channel has, but for a character that is incomplete at the end, unless `last`.
static bool chan_flush(Out *o, Chan *ch, bool last, zaya_error *err) {
  size_t n = ch->text.len - (last ? 0 : utf8_incomplete_tail(ch->text.data, ch->text.len));
  if (n == 0) return true;
  buf_clear(&o->clean);
  if (!utf8_repair(&o->clean, ch->text.data, n, err)) return false;
  memmove(ch->text.data, ch->text.data + n, ch->text.len - n);
  ch->text.len -= n;
  zaya_output_event event = {.kind = ch->kind, .text = o->clean.data, .len = o->clean.len};
  if (ch == &o->reasoning) event.index = o->block;
  return emit(o, &event, err);
}

static bool chan_put(Out *o, Chan *ch, const char *p, size_t n, zaya_error *err) {
  *ch->count += n;
  return buf_add(&ch->text, p, n, err) && (ch->text.len < PIECE || chan_flush(o, ch, false, err));
}

static bool chan_newlines(Out *o, Chan *ch, size_t n, zaya_error *err) {
  static const char lines[] = "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n";
  for (size_t part; n; n -= part) {
    part = n < sizeof lines - 1 ? n : sizeof lines - 1;
    if (!chan_put(o, ch, lines, part, err)) return false;
  }
  return true;
}

// Settles the newlines that are held: `shown` of them are text.
static bool chan_settle(Out *o, Chan *ch, size_t shown, zaya_error *err) {
  o->counts.markup += ch->gap_all + ch->run - shown;
  ch->gap_all = ch->gap_most = ch->run = 0;
  return chan_newlines(o, ch, shown, err);
}

// Markup inside or next to a channel's text.
static bool chan_gap(Out *o, Chan *ch, zaya_error *err) {
  if (ch->run > ch->gap_most) ch->gap_most = ch->run;
  ch->gap_all += ch->run;
  ch->run = 0;
  ch->gap = true;
  return chan_flush(o, ch, true, err);
}

static bool chan_text(Out *o, Chan *ch, const char *p, size_t n, zaya_error *err) {
  while (n) {
    if (*p == '\n') {
      ch->run++;
      p++, n--;
      continue;
    }
    // Text on both sides of markup is kept apart by as many newlines as the longer side had.
    size_t most = ch->run > ch->gap_most ? ch->run : ch->gap_most;
    size_t shown = !ch->started ? 0 : ch->gap ? most : ch->run;
    const char *end = memchr(p, '\n', n);
    size_t len = end ? (size_t)(end - p) : n;
    if ((ch->run || ch->gap_all) && !chan_settle(o, ch, shown, err)) return false;
    ch->started = true;
    ch->gap = false;
    if (!chan_put(o, ch, p, len, err)) return false;
    p += len;
    n -= len;
  }
  return true;
}

// --- thinking ----------------------------------------------------------------------------------

static bool enter_think(Out *o, zaya_error *err) {
  o->mode = MODE_THINK;
  o->reasoning.started = o->reasoning.gap = false;
  return chan_gap(o, &o->answer, err);
}

static bool leave_think(Out *o, bool truncated, zaya_error *err) {
  Chan *ch = &o->reasoning;
  if (!chan_settle(o, ch, 0, err) || !chan_flush(o, ch, true, err)) return false;
  o->mode = o->verbatim ? MODE_LEAD : MODE_CONTENT;
  if (!ch->started) return true; // an empty block is all markup
  zaya_output_event event = {.kind = ZAYA_OUTPUT_REASONING_DONE, .text = "", .truncated = truncated};
  event.index = o->block++;
  o->counts.n_blocks++;
  return emit(o, &event, err);
}

// --- calls -------------------------------------------------------------------------------------

static bool begin_call(Out *o, CallTag tag, zaya_error *err) {
  o->mode = MODE_CALL;
  o->counts.calls += strlen(o->tags[tag]);
  return call_begin(&o->call, tag, err);
}

// Sends what is new about the call.
static bool call_news(Out *o, zaya_error *err) {
  Call *c = &o->call;
  if (!c->named) return true;
  zaya_output_event event = {
      .kind = ZAYA_OUTPUT_CALL, .text = "", .index = o->call_index, .name = c->name.data};
  event.known = arg_tool_known(o->tools, c->name.data);
  if (!o->call_begun) {
    o->call_begun = o->visible = true;
    if (!emit(o, &event, err)) return false;
  }
  if (c->args.len == o->args_sent) return true;
  event.kind = ZAYA_OUTPUT_CALL_ARGUMENTS;
  event.text = c->args.data + o->args_sent;
  event.len = c->args.len - o->args_sent;
  o->args_sent = c->args.len;
  return emit(o, &event, err);
}

static bool end_call(Out *o, zaya_error *err) {
  Call *c = &o->call;
  if (!call_news(o, err)) return false;
  bool bad = c->state == CALL_BAD;
  zaya_output_event event = {
      .kind = bad ? ZAYA_OUTPUT_CALL_BAD : ZAYA_OUTPUT_CALL_DONE,
      .text = bad ? c->reason : c->args.data,
      .len = bad ? strlen(c->reason) : c->args.len,
      .index = o->call_index,
      .name = c->named ? c->name.data : NULL,
      .raw = c->raw.data,
      .raw_len = c->raw.len,
      .known = c->named && arg_tool_known(o->tools, c->name.data),
      .mistyped = c->mistyped,
      .truncated = c->truncated,
  };
  o->counts.n_bad += bad;
  o->counts.n_calls += !bad;
  o->call_index += c->named;
  bool ok = emit(o, &event, err);
  call_reset(c);
  o->call_begun = false;
  o->args_sent = 0;
  o->after_call = true;
  o->mode = MODE_CONTENT;
  return ok;
}

static bool tag_in_call(Out *o, CallTag tag, zaya_error *err) {
  switch (call_tag(&o->call, tag, err)) {
  case CALL_GOES_ON: o->counts.calls += strlen(o->tags[tag]); return true;
  case CALL_IS_DONE: o->counts.calls += strlen(o->tags[tag]); return end_call(o, err);
  case CALL_NEXT_FUNCTION:
  case CALL_NEXT_CALL: return end_call(o, err) && begin_call(o, tag, err);
  default: return false;
  }
}

// --- the text ----------------------------------------------------------------------------------

static const TagSet *tags_now(const Out *o) {
  switch (o->mode) {
  case MODE_LEAD: return o->no_think ? &o->call_or_data : &o->lead;
  case MODE_THINK: return &o->think;
  case MODE_CALL: return &o->inside_call;
  default: return o->after_call ? &o->behind_call : &o->content;
  }
}

static bool is_blank(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (p[i] != ' ' && p[i] != '\n' && p[i] != '\t' && p[i] != '\r') return false;
  return true;
}

static bool answer_text(Out *o, const char *p, size_t n, zaya_error *err) {
  if (!o->visible || o->after_call) {
    bool blank = is_blank(p, n);
    if (!blank) o->visible = true;
    if (!blank) o->after_call = false;
  }
  return o->mode == MODE_VERBATIM ? chan_put(o, &o->answer, p, n, err) : chan_text(o, &o->answer, p, n, err);
}

// Newlines behind a thinking block frame a verbatim answer; without one they are part of it.
static bool settle_lead(Out *o, zaya_error *err) {
  return chan_settle(o, &o->answer, o->answer.gap || o->answer.started ? 0 : o->answer.run, err);
}

static bool begin_verbatim(Out *o, zaya_error *err) {
  o->mode = MODE_VERBATIM;
  return settle_lead(o, err);
}

bool out_begin_constrained(Out *o, zaya_error *err) {
  if (o->mode == MODE_VERBATIM) return true;
  if (o->mode == MODE_THINK)
    return err_set(err, ZAYA_E_INVALID, "an answer cannot begin inside the thinking");
  if (!o->verbatim || o->or_calls) {
    o->no_think = true;
    return o->mode != MODE_LEAD || settle_lead(o, err);
  }
  if (o->hold.n) return err_set(err, ZAYA_E_INVALID, "a verbatim answer cannot begin inside a tag");
  return begin_verbatim(o, err);
}

static bool plain_text(Out *o, const char *p, size_t n, zaya_error *err) {
  switch (o->mode) {
  case MODE_THINK: return chan_text(o, &o->reasoning, p, n, err);
  case MODE_CALL: o->counts.calls += n; return call_text(&o->call, p, n, err);
  case MODE_LEAD: {
    size_t lines = 0;
    while (!o->no_think && lines < n && p[lines] == '\n') lines++;
    o->answer.run += lines;
    if (lines == n) return true;
    TagHold hold = o->hold; // what a tag held is text in the new mode: it follows
    o->hold.n = 0;
    return begin_verbatim(o, err) && answer_text(o, p + lines, n - lines, err) &&
           answer_text(o, hold.bytes, hold.n, err);
  }
  default: return answer_text(o, p, n, err);
  }
}

static bool found_tag(Out *o, int tag, zaya_error *err) {
  if (o->mode == MODE_CALL) return tag_in_call(o, (CallTag)tag, err);
  if (tag == CALL_OPEN) {
    o->verbatim = false;
    return chan_gap(o, &o->answer, err) && begin_call(o, CALL_OPEN, err);
  }
  o->counts.markup += strlen(o->tags[tag]);
  if (o->mode == MODE_THINK) // an opening tag inside a block opens nothing
    return tag == TAG_THINK_CLOSE ? leave_think(o, false, err) : chan_gap(o, &o->reasoning, err);
  return tag == TAG_THINK_OPEN && !o->no_think ? enter_think(o, err) : chan_gap(o, &o->answer, err);
}

static bool take(Out *o, const char *p, size_t n, zaya_error *err) {
  while (n) {
    if (o->mode == MODE_VERBATIM) return plain_text(o, p, n, err);
    size_t plain = o->hold.n ? 0 : tag_plain(tags_now(o), p, n);
    if (plain) {
      if (!plain_text(o, p, plain, err)) return false;
    } else {
      char text[TAG_MAX_LEN];
      int tag = tag_push(&o->hold, tags_now(o), *p, text, &plain);
      if (plain && !plain_text(o, text, plain, err)) return false;
      if (tag >= 0 && !found_tag(o, tag, err)) return false;
      plain = 1;
    }
    p += plain;
    n -= plain;
  }
  return true;
}

// Sends all that is certain.
static bool flush(Out *o, zaya_error *err) {
  return chan_flush(o, &o->reasoning, false, err) && chan_flush(o, &o->answer, false, err) &&
         (o->mode != MODE_CALL || call_news(o, err));
}

static bool usable(const Out *o, zaya_error *err) {
  if (!o->failed && !o->ended) return true;
  return err_set(err, ZAYA_E_INVALID, "the output parser %s",
                 o->failed ? "failed before" : "was told that the output ended");
}

bool out_feed(Out *o, const char *p, size_t n, zaya_error *err) {
  if (!usable(o, err)) return false;
  o->counts.fed += n;
  o->failed = !(take(o, p, n, err) && flush(o, err));
  return !o->failed;
}

// Whether the held bytes are more than half of a call's opening tag.
static bool holds_call(const Out *o) {
  size_t len = strlen(o->tags[CALL_OPEN]);
  return (o->mode == MODE_CONTENT || (o->mode == MODE_LEAD && o->or_calls)) && o->hold.n * 2 > len &&
         o->hold.n < len && !memcmp(o->hold.bytes, o->tags[CALL_OPEN], o->hold.n);
}

// Whether the held bytes are more than half of a tag that counts here.
static bool holds_tag(const Out *o) {
  const TagSet *set = tags_now(o);
  for (int i = 0; i < set->n; i++)
    if (o->hold.n * 2 > set->len[i] && o->hold.n < set->len[i] &&
        !memcmp(o->hold.bytes, set->text[i], o->hold.n))
      return true;
  return false;
}

// A tag that was cut off is not shown.
static bool drop_held(Out *o, size_t n, zaya_error *err) {
  o->counts.markup += n;
  return chan_gap(o, o->mode == MODE_THINK ? &o->reasoning : &o->answer, err);
}

void out_cut(Out *o) { o->cut = true; }

static bool finish(Out *o, zaya_error *err) {
  TagHold hold = o->hold;
  const bool half_call = holds_call(o), half_tag = o->cut && o->mode != MODE_VERBATIM && holds_tag(o);
  o->hold.n = 0;
  if (o->mode == MODE_CALL || half_call) {
    if (half_call && !chan_gap(o, &o->answer, err)) return false;
    o->counts.calls += hold.n;
    if (!call_finish(&o->call, hold.bytes, hold.n, err) || !end_call(o, err)) return false;
  } else if (hold.n && !(half_tag ? drop_held(o, hold.n, err) : plain_text(o, hold.bytes, hold.n, err))) {
    return false;
  }
  if (o->mode == MODE_THINK && !leave_think(o, true, err)) return false;
  if (o->mode == MODE_LEAD && !begin_verbatim(o, err)) return false;
  Chan *ch = &o->answer;
  if (!chan_settle(o, ch, ch->started && !ch->gap ? ch->run : 0, err) || !chan_flush(o, ch, true, err))
    return false;
  zaya_output_event event = {.kind = ZAYA_OUTPUT_END, .text = ""};
  return emit(o, &event, err);
}

bool out_end(Out *o, zaya_error *err) {
  if (!usable(o, err)) return false;
  o->failed = !finish(o, err);
  o->ended = true;
  return !o->failed;
}

// --- questions ---------------------------------------------------------------------------------

zaya_output_counts out_counts(const Out *o) {
  zaya_output_counts counts = o->counts;
  counts.held = o->hold.n + o->answer.run + o->answer.gap_all + o->reasoning.run + o->reasoning.gap_all;
  return counts;
}

bool out_thinking(const Out *o) { return o->mode == MODE_THINK; }
bool out_visible(const Out *o) { return o->visible; }

const char *out_held(const Out *o, size_t *n) {
  *n = o->hold.n;
  return o->hold.bytes;
}

static bool is_lines(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (p[i] != '\n') return false;
  return true;
}

OutLook out_look(const Out *o, const char *p, size_t n) {
  OutLook look = {0};
  TagHold hold = o->hold;
  bool thinking = o->mode == MODE_THINK;
  if (o->mode == MODE_CALL || o->mode == MODE_VERBATIM || o->no_think) return look;
  const TagSet *outside = o->verbatim ? &o->lead : &o->content;
  for (size_t i = 0; i < n; i++) {
    char text[TAG_MAX_LEN];
    size_t released;
    int tag = tag_push(&hold, thinking ? &o->think : outside, p[i], text, &released);
    if (!thinking && (tag == CALL_OPEN || (o->verbatim && !is_lines(text, released)))) break;
    if (thinking && tag == TAG_THINK_CLOSE) {
      thinking = false;
      if (look.closes) continue;
      look.closes = true;
      for (look.behind = i + 1; look.behind < n && p[look.behind] == '\n';) look.behind++;
    } else if (!thinking && tag == TAG_THINK_OPEN) {
      thinking = look.opens = true;
    }
  }
  return look;
}

// --- making one --------------------------------------------------------------------------------

OutTags out_tags(const OutTags *tags) {
  static const OutTags own = {
      .think_open = "<think>",
      .think_close = "</think>",
      .call_open = "<zyphra_tool_call>",
      .call_close = "</zyphra_tool_call>",
      .result_open = "<zyphra_tool_response>",
      .result_close = "</zyphra_tool_response>",
      .function = "<function=",
      .function_end = "</function>",
      .parameter = "<parameter=",
      .parameter_end = "</parameter>",
  };
  if (!tags) return own;
#define TAG_OR_OWN(name) .name = tags->name ? tags->name : own.name
  return (OutTags){TAG_OR_OWN(think_open),   TAG_OR_OWN(think_close),  TAG_OR_OWN(call_open),
                   TAG_OR_OWN(call_close),   TAG_OR_OWN(result_open),  TAG_OR_OWN(result_close),
                   TAG_OR_OWN(function),     TAG_OR_OWN(function_end), TAG_OR_OWN(parameter),
                   TAG_OR_OWN(parameter_end)};
#undef TAG_OR_OWN
}

// The last place where `what` begins in p[0..n), as a length; SIZE_MAX when it is nowhere.
static size_t find_last(const char *p, size_t n, const char *what) {
  size_t len = strlen(what);
  for (size_t i = n >= len ? n - len + 1 : 0; i > 0; i--)
    if (!memcmp(p + i - 1, what, len)) return i - 1;
  return SIZE_MAX;
}

bool out_prompt_thinks(const OutTags *given, const char *turn, const char *prompt, size_t n) {
  OutTags tags = out_tags(given);
  size_t from = find_last(prompt, n, turn ? turn : OUT_TURN);
  if (from != SIZE_MAX) prompt += from, n -= from;
  size_t open = find_last(prompt, n, tags.think_open), close = find_last(prompt, n, tags.think_close);
  return open != SIZE_MAX && (close == SIZE_MAX || close < open);
}

static bool add_tags(Out *o, TagSet *set, const int *ids, int n, zaya_error *err) {
  for (int i = 0; i < n; i++)
    if (!tag_set_add(set, ids[i], o->tags[ids[i]], err)) return false;
  return true;
}

// Copies the tags and says which of them count where.
static bool set_tags(Out *o, const OutTags *given, zaya_error *err) {
  OutTags t = out_tags(given);
  const char *texts[TAG_COUNT] = {
      [CALL_OPEN] = t.call_open,         [CALL_CLOSE] = t.call_close,
      [CALL_FUNCTION] = t.function,      [CALL_FUNCTION_END] = t.function_end,
      [CALL_PARAMETER] = t.parameter,    [CALL_PARAMETER_END] = t.parameter_end,
      [TAG_THINK_OPEN] = t.think_open,   [TAG_THINK_CLOSE] = t.think_close,
      [TAG_RESULT_OPEN] = t.result_open, [TAG_RESULT_CLOSE] = t.result_close,
  };
  for (int i = 0; i < TAG_COUNT; i++)
    if (!(o->tags[i] = strdup(texts[i]))) return err_memory(err, strlen(texts[i]), "a tag");
  static const int content[] = {TAG_THINK_OPEN,  TAG_THINK_CLOSE,  CALL_OPEN,         CALL_CLOSE,
                                TAG_RESULT_OPEN, TAG_RESULT_CLOSE, CALL_FUNCTION_END, CALL_PARAMETER_END};
  static const int think[] = {TAG_THINK_OPEN, TAG_THINK_CLOSE};
  static const int call[] = {CALL_OPEN,         CALL_CLOSE,     CALL_FUNCTION,
                             CALL_FUNCTION_END, CALL_PARAMETER, CALL_PARAMETER_END};
  return add_tags(o, &o->content, content, 6, err) && add_tags(o, &o->behind_call, content, 8, err) &&
         add_tags(o, &o->think, think, 2, err) && add_tags(o, &o->lead, think, 1, err) &&
         (!o->or_calls ||
          (add_tags(o, &o->lead, call, 1, err) && add_tags(o, &o->call_or_data, call, 1, err))) &&
         add_tags(o, &o->inside_call, call, 6, err);
}

Out *out_new(const OutParams *params, zaya_output_fn fn, void *user, zaya_error *err) {
  static const OutParams none = {0};
  if (!params) params = &none;
  if (!fn) {
    err_set(err, ZAYA_E_INVALID, "an output parser needs a receiver");
    return NULL;
  }
  Out *o = calloc(1, sizeof *o);
  if (!o) {
    err_memory(err, sizeof *o, "an output parser");
    return NULL;
  }
  if (params->plain && params->thinking) {
    err_set(err, ZAYA_E_INVALID, "a plain text has no thinking block that could be open");
    goto fail;
  }
  o->fn = fn;
  o->user = user;
  o->answer = (Chan){.kind = ZAYA_OUTPUT_CONTENT, .count = &o->counts.content};
  o->reasoning = (Chan){.kind = ZAYA_OUTPUT_REASONING, .count = &o->counts.reasoning};
  o->verbatim = params->verbatim || params->plain;
  o->or_calls = params->verbatim && params->or_calls && !params->plain;
  o->mode = params->plain ? MODE_VERBATIM : params->verbatim ? MODE_LEAD : MODE_CONTENT;
  if (!set_tags(o, &params->tags, err)) goto fail;
  if (params->tools && !(o->tools = arg_tools_new(params->tools, err))) goto fail;
  o->call.tags = (const char *const *)o->tags;
  o->call.tools = o->tools;
  o->call.max_bytes = params->max_call_bytes ? params->max_call_bytes : MAX_CALL_BYTES;
  if (params->thinking && !enter_think(o, err)) goto fail;
  return o;
fail:
  out_free(o);
  return NULL;
}

void out_free(Out *o) {
  if (!o) return;
  for (int i = 0; i < TAG_COUNT; i++) free(o->tags[i]);
  call_free(&o->call);
  arg_tools_free(o->tools);
  buf_free(&o->answer.text);
  buf_free(&o->reasoning.text);
  buf_free(&o->clean);
  free(o);
}
