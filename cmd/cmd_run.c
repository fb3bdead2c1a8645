// zaya run: one prompt, one answer, streamed.
#include "commands.h"
#include "common.h"
#include "opt.h"
#include "prompt.h"
#include "render.h"
#include "sampling.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct RunOptions {
  PromptOptions prompt;
  const char *reasoning;
  SamplingOptions sampling;
  int n, ctx, threads, think_budget;
  OptList stops;
  const char *think_note;
  const char *schema, *grammar, *regex, *tool_choice;
  const char *kv;
  bool exact, json, profile;
} RunOptions;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signum) {
  (void)signum;
  interrupted = 1;
}

// Ctrl-C ends the answer, not the program: what was counted is still told. A second one kills.
static void catch_interrupt(void) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
  sigaction(SIGINT, &action, NULL);
}

static bool on_event(void *user, const zaya_output_event *event) {
  render_event(user, event);
  return !interrupted;
}

// Room for prompt and answer: what --ctx says, else what is needed, at most what the model takes.
static size_t context_for(const RunOptions *o, const zaya_model *m, size_t n_prompt) {
  const size_t most = (size_t)zaya_model_get_info(m).max_position;
  if (o->ctx) return (size_t)o->ctx;
  const size_t need = n_prompt + (o->n ? (size_t)o->n : 4096);
  return need < most ? need : most;
}

// `form`: what may come in place of the calls, taken over; NULL: text.
static zaya_constraint *tools_constraint(const RunOptions *o, const zaya_vocabulary *v, const char *tools,
                                         zaya_constraint *form, zaya_error *err) {
  const bool named = strcmp(o->tool_choice, "auto") && strcmp(o->tool_choice, "required");
  const bool must = form || strcmp(o->tool_choice, "auto");
  const zaya_tools_params p = {.tools = tools,
                               .choice = must ? ZAYA_TOOL_REQUIRED : ZAYA_TOOL_AUTO,
                               .name = named ? o->tool_choice : NULL,
                               .parallel = !named};
  zaya_constraint *calls = zaya_constraint_from_tools(v, &p, err);
  if (!form) return calls;
  zaya_constraint *either = calls ? zaya_constraint_either(calls, form, err) : NULL;
  zaya_constraint_free(calls);
  zaya_constraint_free(form);
  return either;
}

// The form that the command line asks the answer to have. False when that failed; *out NULL: any form.
static bool read_constraint(const RunOptions *o, const zaya_tokenizer *tok, const char *tools,
                            zaya_constraint **out, zaya_error *err) {
  const char *file = o->schema ? o->schema : o->grammar;
  zaya_text text = {0};
  if (!file && !o->regex && !o->tool_choice) return true;
  if (file && !read_input(file, &text, err)) return false;
  zaya_vocabulary *v = zaya_vocabulary_new(tok, err);
  if (v && o->schema) *out = zaya_constraint_from_schema(v, text.data ? text.data : "", text.len, err);
  if (v && o->grammar) *out = zaya_constraint_from_gbnf(v, text.data ? text.data : "", text.len, err);
  if (v && o->regex) *out = zaya_constraint_from_regex(v, o->regex, strlen(o->regex), err);
  const bool failed = !v || ((file || o->regex) && !*out);
  if (!failed && o->tool_choice) *out = tools_constraint(o, v, tools, *out, err);
  zaya_vocabulary_free(v);
  zaya_text_free(&text);
  return *out != NULL;
}

static void print_stats(const zaya_generate_result *r) {
  const size_t fed = r->tokens ? r->tokens - 1 : 0; // the last token drawn is not computed with
  fprintf(stderr, "prompt %zu tokens, %.1f tokens/s; answer %zu tokens, %.1f tokens/s", r->prompt_tokens,
          r->prompt_seconds > 0 ? (double)r->prompt_tokens / r->prompt_seconds : 0, r->tokens,
          r->seconds > 0 ? (double)fed / r->seconds : 0);
  if (r->turn.thinking) fprintf(stderr, " (%zu thinking)", r->turn.thinking + r->turn.forced);
  fprintf(stderr, "; %s\n", zaya_finish_name(r->finish));
}

// Where the time of prompt and answer went. Sampling: what no part of the forward pass took.
static void print_profile(const zaya_model *m, const zaya_generate_result *r) {
  const zaya_profile p = zaya_model_get_profile(m);
  const double all = r->prompt_seconds + r->seconds;
  double parts = 0;
  fprintf(stderr, "%-28s %9s %7s %9s %8s\n", "part", "seconds", "share", "GB read", "GB/s");
  for (int i = 0; i < ZAYA_PARTS; i++) {
    parts += p.seconds[i];
    fprintf(stderr, "%-28s %9.3f %5.1f %% %9.2f %8.2f\n", zaya_part_name((zaya_part)i), p.seconds[i],
            all > 0 ? 100 * p.seconds[i] / all : 0, (double)p.bytes[i] * 1e-9,
            p.seconds[i] > 0 ? (double)p.bytes[i] * 1e-9 / p.seconds[i] : 0);
  }
  const double rest = all > parts ? all - parts : 0;
  fprintf(stderr, "%-28s %9.3f %5.1f %%\n", "sampling and text", rest, all > 0 ? 100 * rest / all : 0);
  fprintf(stderr, "%-28s %9.3f %5.1f %%\n", "(waiting for other threads)", p.waiting,
          all > 0 ? 100 * p.waiting / all : 0);
}

// A large context is announced before it is taken.
static zaya_session *open_session(zaya_model *m, size_t n, zaya_error *err) {
  const double bytes = (double)zaya_session_bytes(m, n);
  if (n <= (size_t)zaya_model_get_info(m).max_position && bytes >= LARGE_CONTEXT)
    fprintf(stderr, "zaya run: note: a context of %zu tokens takes up to %.1f GB\n", n, bytes * 1e-9);
  return zaya_session_new(m, n, err);
}

static bool generate(const RunOptions *o, const OptSpec *spec, zaya_model *m, const zaya_tokenizer *tok,
                     const Prompt *prompt, zaya_error *err) {
  zaya_generate_params p = zaya_generate_params_default();
  if (!sampling_read(&o->sampling, spec, o->prompt.dir, &p.sampling, err)) return false;
  p.max_tokens = (size_t)o->n;
  p.stops = o->stops.items;
  p.n_stops = o->stops.len;
  p.output.plain = o->prompt.raw;
  p.output.thinking = prompt->thinks;
  p.output.tools = prompt->tools;
  const bool off =
      o->prompt.thinking && !strcmp(o->prompt.thinking, "off"); // not even of the model's own accord
  p.thinking.has_limit = opt_seen(spec, "think-budget") || off;
  p.thinking.limit = (size_t)o->think_budget;
  p.thinking.has_soft_limit = p.thinking.has_limit && o->think_budget >= 4; // a gentle end before a hard one
  p.thinking.soft_limit = p.thinking.limit / 4 * 3;
  p.thinking.note = o->think_note;
  zaya_constraint *constraint = NULL;
  if (!read_constraint(o, tok, prompt->tools, &constraint, err)) return false;
  p.constraint = constraint;
  zaya_session *s = open_session(m, context_for(o, m, prompt->ids.len), err);
  if (!s) {
    zaya_constraint_free(constraint);
    return false;
  }
  Render *r = render_new(o->json ? RENDER_JSON : RENDER_STREAM, o->reasoning, err);
  zaya_generate_result result;
  catch_interrupt();
  zaya_model_profile(m, o->profile);
  bool ok = r && zaya_generate(s, tok, prompt->ids.data, prompt->ids.len, &p, on_event, r, &result, err);
  render_end(r, ok ? &result : NULL, p.sampling.seed);
  if (ok && !o->json && stderr_is_terminal()) print_stats(&result);
  if (ok && o->profile) print_profile(m, &result);
  render_free(r);
  zaya_session_free(s);
  zaya_constraint_free(constraint);
  return ok;
}

static int run(const RunOptions *o, const OptSpec *spec) {
  zaya_error err = {0};
  Prompt prompt = {0};
  const double start = now_seconds();
  const zaya_model_params params = {
      .n_threads = o->threads, .exact = o->exact, .kv_q8 = o->kv && !strcmp(o->kv, "q8")};
  zaya_tokenizer *tok = zaya_tokenizer_open(o->prompt.dir, &err);
  zaya_model *m = tok ? zaya_model_open(o->prompt.dir, &params, &err) : NULL;
  if (m) print_notes("run", m);
  if (m && !o->json && stderr_is_terminal()) {
    const zaya_model_info i = zaya_model_get_info(m);
    const bool large = i.tensor_bytes >= 1000000000;
    fprintf(stderr, "%s: %s, %.1f %s, %d threads, ready in %.2f s\n", o->prompt.dir, i.format,
            (double)i.tensor_bytes * (large ? 1e-9 : 1e-6), large ? "GB" : "MB", i.n_threads,
            now_seconds() - start);
  }
  bool ok = m && prompt_build(&o->prompt, tok, &prompt, &err) && generate(o, spec, m, tok, &prompt, &err);
  prompt_free(&prompt);
  zaya_model_close(m);
  zaya_tokenizer_close(tok);
  return ok ? EXIT_OK : fail("run", &err);
}

int cmd_run(int argc, char **argv) {
  RunOptions o = {.reasoning = NULL};
  Opt opts[] = {
      OPTION_STRING("model", 'm', &o.prompt.dir, "DIR", "the bundle or checkpoint"),
      OPTION_STRING("prompt", 'p', &o.prompt.text, "TEXT", "what to ask"),
      OPTION_STRING("file", 'f', &o.prompt.file, "FILE", "what to ask, from a file (- for standard input)"),
      OPTION_STRING("system", 0, &o.prompt.system, "TEXT", "a system message in front"),
      OPTION_STRING("messages", 0, &o.prompt.messages, "FILE",
                    "a whole conversation as OpenAI-style JSON messages"),
      OPTION_STRING("tools", 0, &o.prompt.tools, "FILE", "tools the model may call, as OpenAI-style JSON"),
      OPTION_ENUM("thinking", 0, &o.prompt.thinking, "on|off|auto",
                  "think before answering (auto: the template's default)"),
      OPTION_INT("think-budget", 0, &o.think_budget, "N", 0, 1e9,
                 "at most N tokens of thinking; from 3/4 of them on it ends where\nthe model is ready to"),
      OPTION_STRING("think-note", 0, &o.think_note, "TEXT", "said before the thinking is cut off"),
      OPTION_ENUM("reasoning", 0, &o.reasoning, "show|hide|only",
                  "print the thinking (default: show on a terminal,\nhide in a pipe)"),
      OPTION_FLAG("raw", 0, &o.prompt.raw, "continue the text as it is: no chat format"),
      OPTION_INT("max-tokens", 'n', &o.n, "N", 1, 1e9, "stop after N tokens"),
      OPTION_INT("ctx", 0, &o.ctx, "N", 1, 1e9, "room for N tokens (default: prompt and answer)"),
      SAMPLING_OPTIONS(&o.sampling),
      OPTION_LIST("stop", 0, &o.stops, "TEXT", "end before this text (may be given several times)"),
      OPTION_INT("threads", 't', &o.threads, "N", 1, 1024, "threads (default: all cores)"),
      OPTION_STRING("json-schema", 0, &o.schema, "FILE", "the answer is JSON that this schema describes"),
      OPTION_STRING("grammar", 0, &o.grammar, "FILE", "the answer follows this grammar (GBNF)"),
      OPTION_STRING("regex", 0, &o.regex, "PATTERN", "the answer matches this regular expression"),
      OPTION_STRING("tool-choice", 0, &o.tool_choice, "auto|required|NAME",
                    "with --tools: calls are always valid; required or\nNAME: there is one, or one of this "
                    "tool; auto with\n"
                    "a form of the answer: calls, or an answer of it"),
      OPTION_ENUM("kv", 0, &o.kv, "f16|q8",
                  "keep the context in float16 or in int8, which takes half the memory\n(default f16)"),
      OPTION_FLAG("exact", 0, &o.exact, "the float32 path: slower, for checking"),
      OPTION_FLAG("profile", 0, &o.profile, "say on standard error where the time went"),
      OPTION_FLAG("json", 0, &o.json, "one JSON object with text, reasoning, calls, counts and times"),
      OPTION_END};
  OptSpec spec = {
      .command = "run",
      .usage = "-m DIR [-p TEXT | -f FILE | --messages FILE] [options]",
      .about = "Answers a prompt, streaming the text to standard output. Without -p, -f or --messages the\n"
               "prompt is read from standard input. Sampling defaults come from the bundle.",
      .examples = "  zaya run -m models/nano -p 'What is the capital of France?'\n"
                  "  git diff | zaya run -m DIR --system 'Write a commit message.' --thinking off",
      .opts = opts};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (!o.prompt.dir)
    code = opt_usage_error(&spec, "which model? give -m DIR");
  else if (!!o.prompt.text + !!o.prompt.file + !!o.prompt.messages > 1)
    code = opt_usage_error(&spec, "give one of -p, -f and --messages");
  else if (o.prompt.raw && (o.prompt.system || o.prompt.messages || o.prompt.tools || o.prompt.thinking))
    code = opt_usage_error(&spec, "--raw knows no chat format: it goes with -p or -f only");
  else if (!!o.schema + !!o.grammar + !!o.regex > 1)
    code = opt_usage_error(&spec, "give one of --json-schema, --grammar and --regex");
  else if ((o.schema || o.grammar || o.regex) && o.tool_choice && strcmp(o.tool_choice, "auto"))
    code =
        opt_usage_error(&spec, "--tool-choice required or NAME leaves no other answer: give no form of it");
  else if (o.tool_choice && !o.prompt.tools)
    code = opt_usage_error(&spec, "--tool-choice needs --tools");
  else if (!find_model("run", &o.prompt.dir))
    code = EXIT_FAILED;
  else
    code = run(&o, &spec);
  opt_free(&spec);
  return code;
}
