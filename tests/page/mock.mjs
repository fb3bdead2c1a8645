// A server that answers as it is told: the page's tests script it. Speaks what the page uses of the API.
//   const mock = await startMock(pageFile);   mock.url, mock.requests (bodies of completions), mock.reply (see below)
//   mock.reply = async (say, body) => { await say.text('Hello'); }
import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {createServer} from 'node:http';

// The policy that src/server/page.c sends, for this document.
export function policyOf(page) {
  const hash = (open, close) => {
    const from = page.indexOf(open) + open.length;
    return createHash('sha256').update(page.slice(from, page.indexOf(close, from))).digest('base64');
  };
  return `default-src 'none'; script-src 'sha256-${hash('<script type="module">', '</script>')}'; ` +
    `style-src 'sha256-${hash('<style>', '</style>')}'; img-src data:; connect-src 'self'; base-uri 'none'; ` +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What a script says: every call is one event of the stream.
class Stream {
  constructor(response) {
    this.response = response;
    this.gone = new Promise((resolve) => response.on('close', resolve));
    this.open = true;
    response.on('close', () => (this.open = false));
  }
  async event(object) {
    if (!this.open) throw new Error('the client went away');
    this.response.write(`data: ${JSON.stringify(object)}\n\n`);
    await pause(1);
  }
  delta(delta, finish_reason = null) {
    return this.event({id: 'c', object: 'chat.completion.chunk', model: 'mock', choices: [{index: 0, delta, finish_reason}]});
  }
  // A text in pieces, with `ms` after each.
  async text(text, ms = 0, field = 'content') {
    for (const piece of text.match(/\s*\S+|\s+$/g) ?? []) {
      await this.delta({[field]: piece});
      if (ms) await pause(ms);
    }
  }
  think(text, ms = 0) {
    return this.text(text, ms, 'reasoning_content');
  }
  // A call whose arguments come in pieces.
  async call(index, name, args) {
    await this.delta({tool_calls: [{index, id: `call_${index}`, type: 'function', function: {name, arguments: ''}}]});
    for (const piece of args.match(/.{1,7}/gs) ?? []) await this.delta({tool_calls: [{index, function: {arguments: piece}}]});
  }
  async end(finish = 'stop', usage = {prompt_tokens: 31, completion_tokens: 12, prompt_tokens_details: {cached_tokens: 16}}) {
    await this.delta({}, finish);
    await this.event({id: 'c', object: 'chat.completion.chunk', choices: [], usage});
    this.response.end('data: [DONE]\n\n');
  }
  comment() {
    this.response.write(': working\n\n');
  }
  cut() {
    this.response.destroy();
  }
}

// A reply in place of a stream: throw it from a script.
export class Refusal extends Error {
  constructor(status, message, headers = {}) {
    super(message);
    Object.assign(this, {status, headers});
  }
}

export async function startMock(pageFile, port = 0) {
  const page = readFileSync(pageFile, 'utf8');
  const mock = {requests: [], key: null, reply: null, aborted: 0, model: 'zaya-nano', policy: policyOf(page),
    props: {model: 'zaya-nano', context_length: 4096, sampling: {temperature: 0.2, top_p: 0.95}}};
  const json = (response, status, value, headers = {}) => {
    response.writeHead(status, {'Content-Type': 'application/json', ...headers});
    response.end(JSON.stringify(value));
  };
  const complete = async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const body = JSON.parse(text);
    mock.requests.push(body);
    const say = new Stream(response);
    say.gone.then(() => response.writableFinished || mock.aborted++);
    const begin = say.event.bind(say);
    say.event = async (object) => {
      if (!response.headersSent) response.writeHead(200, {'Content-Type': 'text/event-stream'});
      return begin(object);
    };
    try {
      await mock.reply(say, body);
      if (!response.writableEnded && say.open) await say.end();
    } catch (problem) {
      if (problem instanceof Refusal) json(response, problem.status, {error: {message: problem.message}}, problem.headers);
      else if (say.open) throw problem;
    }
  };
  const server = createServer((request, response) => {
    const path = request.url.split('?')[0];
    if (path === '/') {
      response.writeHead(200, {'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': mock.policy, 'Cache-Control': 'no-cache'});
      return response.end(page);
    }
    if (mock.key && request.headers.authorization !== `Bearer ${mock.key}`) return json(response, 401, {error: {message: 'a key is needed'}});
    if (path === '/v1/models') return json(response, 200, {object: 'list', data: [{id: mock.model}]});
    if (path === '/props') return json(response, 200, mock.props);
    if (path === '/v1/chat/completions') return complete(request, response);
    return json(response, 404, {error: {message: `no ${path}`}});
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  mock.port = server.address().port;
  mock.url = `http://127.0.0.1:${mock.port}/`;
  mock.close = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  return mock;
}
