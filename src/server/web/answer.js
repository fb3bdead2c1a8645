// answer: one request under way: puts what the stream brings into its node of the conversation and measures it. Knows
// nothing of the page; changed() is called after every piece and at the end.
import {ApiError, streamChat} from './api.js';

const LEAST_SECONDS = 0.1; // for which a rate is worth showing

export class Answer {
  constructor(chat, node, body, key, changed) {
    Object.assign(this, {chat, node, body, key, changed});
    this.abort = new AbortController();
    this.started = performance.now();
    this.firstAt = null; // the first token of any kind
    this.lastAt = null;
    this.thinkFrom = null;
    this.thinkTo = null;
    this.usage = null;
  }

  stop() {
    this.abort.abort();
  }

  // Resolves when the answer is over, in whatever way; node.state says in which.
  async run() {
    const {node} = this;
    try {
      for await (const chunk of streamChat(this.body, this.key, this.abort.signal)) this.take(chunk);
      node.state = 'done';
    } catch (problem) {
      if (problem.name === 'AbortError') {
        node.state = 'stopped';
      } else {
        const {kind = 'page', status = 0, retryAfter = null} = problem instanceof ApiError ? problem : {};
        node.state = 'failed';
        node.error = {kind, status, retryAfter, message: problem.message};
      }
    }
    this.endThinking();
    node.thinkMs = this.thinkMs();
    node.stats = this.stats();
    this.changed();
  }

  take(chunk) {
    if (chunk.usage) this.usage = chunk.usage;
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const delta = choice.delta ?? {};
    const {node} = this;
    if (delta.reasoning_content) {
      this.mark();
      this.thinkFrom ??= this.lastAt;
      node.reasoning += delta.reasoning_content;
    }
    if (delta.content) {
      this.mark();
      this.endThinking();
      node.content += delta.content;
    }
    for (const piece of delta.tool_calls ?? []) this.takeCall(piece);
    if (choice.finish_reason) node.finish = choice.finish_reason;
    this.changed();
  }

  takeCall(piece) {
    this.mark();
    this.endThinking();
    const {calls} = this.node;
    const index = Number.isInteger(piece.index) && piece.index >= 0 && piece.index <= calls.length ? piece.index : calls.length;
    const call = (calls[index] ??= {id: '', name: '', arguments: ''});
    if (piece.id) call.id = piece.id;
    if (piece.function?.name) call.name += piece.function.name;
    if (piece.function?.arguments) call.arguments += piece.function.arguments;
  }

  mark() {
    this.lastAt = performance.now();
    this.firstAt ??= this.lastAt;
  }

  get thinking() {
    return this.thinkFrom !== null && this.thinkTo === null;
  }

  endThinking() {
    if (this.thinking) this.thinkTo = performance.now();
  }

  thinkMs() {
    return this.thinkFrom === null ? 0 : (this.thinkTo ?? performance.now()) - this.thinkFrom;
  }

  // What the server counted and this page timed; null where nothing is known. The rate is that of the tokens after the first;
  // over less than LEAST_SECONDS it would say how events arrive, not how tokens are made.
  stats() {
    const usage = this.usage ?? {};
    const tokens = usage.completion_tokens ?? null;
    const seconds = this.firstAt === null ? 0 : (this.lastAt - this.firstAt) / 1000;
    return {
      promptTokens: usage.prompt_tokens ?? null,
      cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? null,
      answerTokens: tokens,
      thinkTokens: usage.completion_tokens_details?.reasoning_tokens ?? null,
      firstMs: this.firstAt === null ? null : this.firstAt - this.started,
      rate: tokens > 1 && seconds >= LEAST_SECONDS ? (tokens - 1) / seconds : null,
    };
  }
}
