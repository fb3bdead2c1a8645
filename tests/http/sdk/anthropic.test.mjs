// Anthropic's own client: messages.
import Anthropic from '@anthropic-ai/sdk';
import assert from 'node:assert/strict';
import test from 'node:test';
import { capital, isBerlin, isParis, key, model, saysWeather, url, weather, weatherTool } from './common.mjs';

const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
const user = (content) => ({ role: 'user', content });
const plain = { model, max_tokens: 400, temperature: 0 };
const thinking = { type: 'enabled', budget_tokens: 300 };
const tools = [
  { name: weatherTool.name, description: weatherTool.description, input_schema: weatherTool.schema },
];
const textOf = (message) =>
  message.content
    .filter((block) => block.type === 'text')
    .map((block) => block.text)
    .join('');

test('an answer', async () => {
  const m = await client.messages.create({ ...plain, messages: [user(capital)] });
  assert.equal(m.type, 'message');
  assert.equal(m.stop_reason, 'end_turn');
  assert.deepEqual(m.content.map((block) => block.type), ['text']);
  isParis(m.content[0].text);
  assert.ok(m.usage.input_tokens + m.usage.cache_read_input_tokens > 0);
  assert.ok(m.usage.output_tokens > 0);
});

test('a system prompt in blocks, a conversation', async () => {
  const m = await client.messages.create({
    ...plain,
    system: [{ type: 'text', text: 'You are a helpful assistant.', cache_control: { type: 'ephemeral' } }],
    messages: [
      user('My name is Anna.'),
      { role: 'assistant', content: [{ type: 'text', text: 'Nice to meet you, Anna!' }] },
      user([{ type: 'text', text: 'What is my name?' }]),
    ],
  });
  assert.match(textOf(m), /Anna/);
});

test('thinking, whole and streamed', async () => {
  const ask = { ...plain, thinking, messages: [user('What is 7 + 5?')] };
  const whole = await client.messages.create(ask);
  assert.equal(whole.content[0].type, 'thinking');
  assert.ok(whole.content[0].thinking.length > 0 && whole.content[0].signature.length > 0);
  assert.match(textOf(whole), /12/);
  const stream = client.messages.stream(ask);
  let thought = '';
  let signature = '';
  stream.on('thinking', (delta) => (thought += delta));
  stream.on('signature', (value) => (signature = value));
  const final = await stream.finalMessage();
  assert.equal(final.content[0].thinking, whole.content[0].thinking);
  assert.equal(thought, whole.content[0].thinking);
  assert.equal(signature, final.content[0].signature);
  assert.equal(textOf(final), textOf(whole));
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
});

test('a budget for thinking holds and ends in an answer', async () => {
  const m = await client.messages.create({
    ...plain,
    thinking: { type: 'enabled', budget_tokens: 4 },
    messages: [user('What is 7 + 5?')],
  });
  assert.ok(textOf(m).length > 0);
});

test('raw events come in their order', async () => {
  const stream = await client.messages.create({ ...plain, messages: [user(capital)], stream: true });
  const types = [];
  for await (const event of stream) if (event.type !== 'content_block_delta') types.push(event.type);
  assert.deepEqual(types, [
    'message_start',
    'content_block_start',
    'content_block_stop',
    'message_delta',
    'message_stop',
  ]);
});

for (const streamed of [false, true])
  test(`a tool is used and its result read${streamed ? ', streamed' : ''}`, async () => {
    const send = (ask) => (streamed ? client.messages.stream(ask).finalMessage() : client.messages.create(ask));
    const messages = [user(weather)];
    const first = await send({ ...plain, tools, messages });
    assert.equal(first.stop_reason, 'tool_use');
    const use = first.content.find((block) => block.type === 'tool_use');
    assert.equal(use.name, 'get_weather');
    isBerlin(use.input);
    const second = await send({
      ...plain,
      tools,
      messages: [
        ...messages,
        { role: 'assistant', content: first.content },
        user([{ type: 'tool_result', tool_use_id: use.id, content: weatherTool.result }]),
      ],
    });
    assert.equal(second.stop_reason, 'end_turn');
    saysWeather(textOf(second));
  });

test('tool_choice', async () => {
  const ask = { ...plain, tools, messages: [user('What is the capital of Italy?')] };
  const any = await client.messages.create({ ...ask, tool_choice: { type: 'any' } });
  assert.equal(any.stop_reason, 'tool_use');
  const named = await client.messages.create({
    ...ask,
    tool_choice: { type: 'tool', name: 'get_weather', disable_parallel_tool_use: true },
  });
  assert.equal(named.content.filter((block) => block.type === 'tool_use').length, 1);
  const none = await client.messages.create({ ...ask, messages: [user(weather)], tool_choice: { type: 'none' } });
  assert.equal(none.content.filter((block) => block.type === 'tool_use').length, 0);
});

test('structured output', async () => {
  const m = await client.messages.create({
    ...plain,
    messages: [user(capital)],
    output_config: { format: { type: 'json_schema', schema: { enum: ['yes', 'no'] } } },
  });
  assert.ok(['yes', 'no'].includes(JSON.parse(textOf(m))));
});

test('stop sequences and limits', async () => {
  const stopped = await client.messages.create({ ...plain, stop_sequences: ['ari'], messages: [user(capital)] });
  assert.equal(stopped.stop_reason, 'stop_sequence');
  assert.equal(stopped.stop_sequence, 'ari');
  assert.equal(textOf(stopped).trim(), 'P');
  const short = await client.messages.create({ ...plain, max_tokens: 1, messages: [user(capital)] });
  assert.equal(short.stop_reason, 'max_tokens');
});

test('tokens are counted', async () => {
  const n = await client.messages.countTokens({ model, messages: [user(capital)] });
  const m = await client.messages.create({ ...plain, messages: [user(capital)] });
  assert.equal(n.input_tokens, m.usage.input_tokens + m.usage.cache_read_input_tokens);
});

test('an aborted stream ends, and the server goes on', async () => {
  const long = { max_tokens: 2000, temperature: 1, regex: '([a-z]+ )*NEVER' }; // an answer that lasts
  const stream = client.messages.stream({ ...plain, ...long, messages: [user('Count.')] });
  stream.on('text', () => stream.abort());
  await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
  const m = await client.messages.create({ ...plain, messages: [user(capital)] });
  isParis(textOf(m));
});

test('errors are of the right class', async () => {
  await assert.rejects(
    client.messages.create({ ...plain, max_tokens: 0, messages: [user('x')] }),
    (e) => e instanceof Anthropic.BadRequestError && e.type === 'invalid_request_error' && /max_tokens/.test(e.message),
  );
  await assert.rejects(
    new Anthropic({ baseURL: url, apiKey: 'wrong', maxRetries: 0 }).messages.create({ ...plain, messages: [user('x')] }),
    (e) => e instanceof Anthropic.AuthenticationError && e.type === 'authentication_error',
  );
});
