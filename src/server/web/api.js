// api: requests to the server that this page came from, and the events of a stream. Paths are relative, so that the
// page works below a proxy's prefix. Knows nothing of the page.

// kind: 'network' (no answer at all), 'key' (401, 403), 'server' (an error the server sent), 'cut' (a stream that ended early).
export class ApiError extends Error {
  constructor(kind, message, {status = 0, retryAfter = null} = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const headers = (key) => ({'Content-Type': 'application/json', ...(key ? {Authorization: `Bearer ${key}`} : {})});

// The request went out and something came back, or an ApiError; an abort stays an AbortError.
async function request(path, options) {
  let response;
  try {
    response = await fetch(path, {cache: 'no-store', ...options});
  } catch (problem) {
    if (problem.name === 'AbortError') throw problem;
    throw new ApiError('network', 'The server cannot be reached.');
  }
  if (response.ok) return response;
  const retryAfter = Number(response.headers.get('Retry-After')) || null;
  let message = `The server answered ${response.status}.`;
  try {
    const body = JSON.parse(await response.text());
    const told = typeof body.error === 'string' ? body.error : body.error?.message;
    if (typeof told === 'string' && told) message = told;
  } catch { /* not JSON: the status has to do */ }
  const kind = response.status === 401 || response.status === 403 ? 'key' : 'server';
  throw new ApiError(kind, message, {status: response.status, retryAfter});
}

export async function getJson(path, key, signal) {
  const response = await request(path, {headers: headers(key), signal});
  try {
    return await response.json();
  } catch (problem) {
    if (problem.name === 'AbortError') throw problem;
    throw new ApiError('server', `${path}: not JSON.`);
  }
}

// Server-sent events: text in, the data of every whole event out. Lines end in \n, \r\n or \r; a line that begins
// with a colon is a comment (the server's sign of life).
export class EventReader {
  constructor() {
    this.rest = '';
    this.data = [];
  }
  push(text) {
    const events = [];
    this.rest += text;
    let from = 0;
    for (;;) {
      const match = this.nextLine(from);
      if (!match) break;
      const line = this.rest.slice(from, match.end);
      from = match.next;
      if (line === '') {
        if (this.data.length) events.push(this.data.join('\n'));
        this.data = [];
      } else if (line.startsWith('data:')) {
        this.data.push(line.slice(line[5] === ' ' ? 6 : 5));
      }
    }
    this.rest = this.rest.slice(from);
    return events;
  }
  nextLine(from) {
    for (let i = from; i < this.rest.length; i++) {
      if (this.rest[i] === '\n') return {end: i, next: i + 1};
      // A \r at the very end may be half of \r\n.
      if (this.rest[i] === '\r') return i + 1 < this.rest.length ? {end: i, next: i + (this.rest[i + 1] === '\n' ? 2 : 1)} : null;
    }
    return null;
  }
}

// Yields the chunks of a streamed completion. Returns after [DONE]; a stream that ends before it is an ApiError.
export async function* streamChat(body, key, signal) {
  const response = await request('v1/chat/completions', {
    method: 'POST', headers: headers(key), body: JSON.stringify(body), signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader();
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (problem) {
      if (problem.name === 'AbortError') throw problem;
      throw new ApiError('cut', 'The connection was lost in the middle of the answer.');
    }
    if (part.done) throw new ApiError('cut', 'The answer ended early: the connection was closed.');
    for (const data of events.push(part.value)) {
      if (data === '[DONE]') return;
      yield chunkOf(data);
    }
  }
}

function chunkOf(data) {
  let chunk;
  try {
    chunk = JSON.parse(data);
  } catch {
    throw new ApiError('server', 'The server sent an event that is not JSON.');
  }
  if (chunk?.error) {
    const told = typeof chunk.error === 'string' ? chunk.error : chunk.error.message;
    throw new ApiError('server', told || 'The server reported an error.');
  }
  return chunk ?? {};
}
