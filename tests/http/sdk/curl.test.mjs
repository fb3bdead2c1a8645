// curl, as the documentation shows it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { capital, isParis, key, url } from './common.mjs';

const curl = (...args) => execFileSync('curl', ['-sS', '--max-time', '60', ...args], { encoding: 'utf8' });
const post = (path, body, ...args) =>
  curl(`${url}${path}`, '-H', 'Content-Type: application/json', '-H', `Authorization: Bearer ${key}`, '-d', JSON.stringify(body), ...args);
const ask = { messages: [{ role: 'user', content: capital }], temperature: 0, max_tokens: 50, reasoning_effort: 'none' };

test('health needs no key', () => {
  assert.equal(curl('-o', '/dev/null', '-w', '%{http_code}', `${url}/health`), '200');
});

test('a key is needed for the rest', () => {
  assert.equal(curl('-o', '/dev/null', '-w', '%{http_code}', `${url}/v1/models`), '401');
});

test('an answer', () => {
  isParis(JSON.parse(post('/v1/chat/completions', ask)).choices[0].message.content);
});

test('a stream', () => {
  const lines = post('/v1/chat/completions', { ...ask, stream: true }, '-N').split('\n');
  const events = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));
  assert.equal(events.pop(), '[DONE]');
  isParis(events.map((event) => JSON.parse(event).choices[0]?.delta.content ?? '').join(''));
});

test('tokens there and back', () => {
  const { tokens } = JSON.parse(post('/tokenize', { content: 'Paris is a city.' }));
  assert.ok(tokens.length > 0);
  assert.equal(JSON.parse(post('/detokenize', { tokens })).content, 'Paris is a city.');
});

test('what is no JSON is refused', () => {
  const code = curl('-o', '/dev/null', '-w', '%{http_code}', '-H', `Authorization: Bearer ${key}`, '-d', '{', `${url}/v1/responses`);
  assert.equal(code, '400');
});
