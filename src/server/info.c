// info: what can be told without generating: models, properties, health, metrics, the page, tokens and
// templates. See server_impl.h.
#include "server/page.h"
#include "server/server_impl.h"

#include <string.h>

void info_health(Server *s, HttpRequest *r) {
  const bool stopping = atomic_load(&s->stopping);
  reply_json(r, stopping ? 503 : 200, json_pack("{s:s}", "status", stopping ? "stopping" : "ok"));
}

static json_t *model_json(const Server *s) {
  return json_pack("{s:s, s:s, s:I, s:s, s:I, s:I}", "id", s->p.model, "object", "model", "created",
                   (json_int_t)s->started, "owned_by", "zaya", "context_length", (json_int_t)s->p.ctx,
                   "max_model_len", (json_int_t)s->p.ctx);
}

void info_models(Server *s, HttpRequest *r) {
  reply_json(r, 200, json_pack("{s:s, s:[o]}", "object", "list", "data", model_json(s)));
}

void info_model(Server *s, HttpRequest *r, const char *id) {
  AskFault fault = {0};
  if (!strcmp(id, s->p.model)) {
    reply_json(r, 200, model_json(s));
    return;
  }
  fault_set(&fault, 404, "model_not_found", "there is no model \"%.100s\" here, only \"%.100s\"", id,
            s->p.model);
  reply_fault(s, r, NULL, &fault);
}

static json_t *sampling_json(const zaya_sampling *p) {
  return json_pack("{s:f, s:i, s:f, s:f, s:f, s:f, s:f}", "temperature", p->temperature, "top_k", p->top_k,
                   "top_p", p->top_p, "min_p", p->min_p, "repetition_penalty", p->repetition_penalty,
                   "presence_penalty", p->presence_penalty, "frequency_penalty", p->frequency_penalty);
}

void info_props(Server *s, HttpRequest *r) {
  json_t *v = json_pack("{s:s, s:s, s:I, s:I, s:b, s:o, s:O}", "model", s->p.model, "version", zaya_version(),
                        "context_length", (json_int_t)s->p.ctx, "parallel", (json_int_t)s->p.parallel, "chat",
                        s->p.chat != NULL, "sampling", sampling_json(&s->p.defaults), "model_info", s->props);
  reply_json(r, 200, v);
}

void info_metrics(Server *s, HttpRequest *r) {
  const HttpReply reply = {.status = 200, .type = "text/plain; version=0.0.4"};
  EngineStats stats;
  Buf text = {0};
  engine_stats(s->p.engine, &stats);
  if (metrics_text(s->metrics, &stats, httpd_connections(s->http), &text, NULL)) {
    httpd_reply(r, &reply, &text);
    return;
  }
  buf_free(&text);
  reply_json(r, 500, NULL);
}

void info_page(Server *s, HttpRequest *r) {
  HttpReply reply = {.status = 200, .type = "text/html; charset=utf-8", .cacheable = true};
  size_t len;
  const unsigned char *page = page_bytes(&len);
  const char *known = httpd_header(r, "If-None-Match");
  if (!s->p.page) {
    AskFault fault = {0};
    fault_set(&fault, 404, NULL, "/: there is no page here");
    reply_fault(s, r, NULL, &fault);
    return;
  }
  reply.extra[0][0] = "ETag", reply.extra[0][1] = page_etag();
  reply.extra[1][0] = "Content-Security-Policy", reply.extra[1][1] = page_policy();
  reply.extra[2][0] = "Referrer-Policy", reply.extra[2][1] = "no-referrer";
  if (known && strstr(known, page_etag())) {
    reply.status = 304;
    httpd_reply_static(r, &reply, "", 0);
  } else {
    httpd_reply_static(r, &reply, page, len);
  }
}

// --- tokens ---------------------------------------------------------------------------------------------

// The text under the first of these names that is there.
static bool read_text(const Fields *f, const char **name, const json_t **out) {
  static const char *const names[] = {"content", "prompt", "text"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const json_t *v = field_get(f, *name = names[i]);
    if (v && !json_is_string(v)) return field_wrong(f, names[i], "a string");
    if ((*out = v)) return true;
  }
  return field_refuse(f, *name = "content", "this field is required");
}

static json_t *tokens_json(const Tok *tok, const zaya_ids *ids, bool pieces) {
  json_t *list = json_array();
  for (size_t i = 0; i < ids->len; i++) {
    json_t *id = json_integer(ids->data[i]);
    json_array_append_new(
        list,
        pieces ? json_pack("{s:o, s:o}", "id", id, "piece", dialect_token_text(tok, ids->data[i])) : id);
  }
  return list;
}

json_t *info_tokenize(Server *s, json_t *body, AskFault *fault) {
  const Fields f = fields_of(body, fault);
  zaya_ids ids = {0};
  zaya_error err = {0};
  const json_t *text = NULL;
  const char *name;
  bool special = false, control = true, pieces = false;
  if (!read_text(&f, &name, &text) || !field_bool(&f, "add_special", &special) ||
      !field_bool(&f, "parse_special", &control) || !field_bool(&f, "with_pieces", &pieces))
    return NULL;
  const unsigned flags = (special ? (unsigned)TOK_TEMPLATE : 0) | (control ? (unsigned)TOK_CONTROL : 0);
  json_t *v = NULL;
  if (tok_encode(s->p.tok, json_string_value(text), json_string_length(text), flags, &ids, &err))
    v = json_pack("{s:o, s:I, s:I}", "tokens", tokens_json(s->p.tok, &ids, pieces), "count",
                  (json_int_t)ids.len, "max_model_len", (json_int_t)s->p.ctx);
  else
    fault_take(fault, &err, name);
  zaya_ids_free(&ids);
  return v;
}

json_t *info_detokenize(Server *s, json_t *body, AskFault *fault) {
  const Fields f = fields_of(body, fault);
  const json_t *list = NULL;
  json_t *item, *v = NULL;
  zaya_ids ids = {0};
  zaya_error err = {0};
  Buf text = {0};
  size_t i;
  bool ok = field_required(&f, "tokens") && field_array(&f, "tokens", &list);
  json_array_foreach(list, i, item) {
    const json_int_t id = json_integer_value(item);
    if (ok && (!json_is_integer(item) || id < 0 || id > INT32_MAX || !tok_has(s->p.tok, (int32_t)id)))
      ok = field_refuse(&f, "tokens", "item %zu is no token id", i);
    ok = ok && (ids_add(&ids, (int32_t)id, &err) || fault_take(fault, &err, NULL));
  }
  if (ok && !tok_decode(s->p.tok, ids.data, ids.len, 0, &text, &err)) ok = fault_take(fault, &err, "tokens");
  if (ok) v = json_pack("{s:o}", "content", json_stringn(text.data ? text.data : "", text.len));
  zaya_ids_free(&ids);
  buf_free(&text);
  return v;
}

// A chat request, as /v1/chat/completions takes it.
json_t *info_apply_template(Server *s, json_t *body, AskFault *fault) {
  const DialectEnv env = {.defaults = &s->p.defaults, .tok = s->p.tok, .model = s->p.model};
  Ask ask = {0};
  Buf text = {0};
  Prompt prompt = {0};
  json_t *v = NULL;
  if (dialect_chat.parse(&env, body, &ask, fault) && prefill_text(&s->prompts, &ask, &text, fault) &&
      prefill_build(&s->prompts, &ask, 0, &prompt, fault))
    v = json_pack("{s:o, s:I}", "prompt", json_stringn(text.data ? text.data : "", text.len), "count",
                  (json_int_t)prompt.ids.len);
  prefill_free(&prompt);
  buf_free(&text);
  ask_free(&ask);
  return v;
}
