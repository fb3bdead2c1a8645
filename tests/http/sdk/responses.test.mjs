// OpenAI's own client: responses.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { capital, isBerlin, isParis, key, model, saysWeather, url, weather, weatherTool } from './common.mjs';

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const plain = { model, temperature: 0, max_output_tokens: 200, reasoning: { effort: 'none' } };
const tools = [
  {
    type: 'function',
    name: weatherTool.name,
    description: weatherTool.description,
    parameters: weatherTool.schema,
    strict: false,
  },
];

test('an answer', async () => {
  const r = await client.responses.create({ ...plain, input: capital, metadata: { a: 'b' } });
  assert.equal(r.status, 'completed');
  isParis(r.output_text);
  assert.deepEqual(r.metadata, { a: 'b' });
  assert.ok(r.usage.input_tokens > 0 && r.usage.output_tokens > 0);
});

test('thinking is an item of its own, whole and streamed', async () => {
  const ask = { ...plain, reasoning: { effort: 'high' }, input: 'What is 7 + 5?' };
  const whole = await client.responses.create(ask);
  assert.deepEqual(whole.output.map((item) => item.type), ['reasoning', 'message']);
  assert.ok(whole.output[0].content[0].text.length > 0);
  assert.match(whole.output_text, /12/);
  assert.ok(whole.usage.output_tokens_details.reasoning_tokens > 0);
  const final = await client.responses.stream(ask).finalResponse();
  assert.equal(final.output[0].content[0].text, whole.output[0].content[0].text);
  assert.equal(final.output_text, whole.output_text);
});

test('events come in their order and number', async () => {
  const stream = await client.responses.create({ ...plain, input: capital, stream: true });
  const types = [];
  let text = '';
  let n = 0;
  for await (const event of stream) {
    assert.equal(event.sequence_number, n++);
    if (event.type === 'response.output_text.delta') text += event.delta;
    else types.push(event.type);
  }
  isParis(text);
  assert.deepEqual(types, [
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.completed',
  ]);
});

test('a conversation goes on by the id of its last answer', async () => {
  const first = await client.responses.create({ ...plain, input: 'My name is Anna.' });
  const second = await client.responses.create({
    ...plain,
    input: 'What is my name?',
    previous_response_id: first.id,
  });
  assert.match(second.output_text, /Anna/);
  assert.equal(second.previous_response_id, first.id);
  const fetched = await client.responses.retrieve(second.id);
  assert.deepEqual(fetched.output, second.output);
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
  await assert.rejects(
    client.responses.create({ ...plain, input: 'x', previous_response_id: first.id }),
    (e) => e.code === 'previous_response_not_found' && e.param === 'previous_response_id',
  );
});

test('a tool call and its result', async () => {
  const first = await client.responses.create({ ...plain, input: weather, tools });
  const call = first.output.find((item) => item.type === 'function_call');
  assert.equal(call.name, 'get_weather');
  isBerlin(JSON.parse(call.arguments));
  const result = { type: 'function_call_output', call_id: call.call_id, output: weatherTool.result };
  const second = await client.responses.create({ ...plain, tools, input: [result], previous_response_id: first.id });
  saysWeather(second.output_text);
  // The same with the history sent along.
  const third = await client.responses.create({
    ...plain,
    tools,
    store: false,
    input: [{ role: 'user', content: weather }, ...first.output, result],
  });
  assert.equal(third.output_text, second.output_text);
  await assert.rejects(client.responses.retrieve(third.id), OpenAI.NotFoundError); // store: false
});

test('a streamed tool call', async () => {
  const stream = client.responses.stream({ ...plain, input: weather, tools });
  let args = '';
  stream.on('response.function_call_arguments.delta', (event) => (args += event.delta));
  const final = await stream.finalResponse();
  const call = final.output.find((item) => item.type === 'function_call');
  assert.equal(call.arguments, args);
  isBerlin(JSON.parse(args));
});

test('structured output by zod', async () => {
  const Answer = z.object({ city: z.enum(['Paris', 'Rome', 'Berlin']), sure: z.boolean() });
  const r = await client.responses.parse({
    ...plain,
    input: capital,
    text: { format: zodTextFormat(Answer, 'answer') },
  });
  assert.ok(['Paris', 'Rome', 'Berlin'].includes(r.output_parsed.city));
  assert.equal(typeof r.output_parsed.sure, 'boolean');
});

test('log probabilities', async () => {
  const ask = { ...plain, input: capital, include: ['message.output_text.logprobs'], top_logprobs: 2 };
  const r = await client.responses.create(ask);
  const part = r.output[0].content[0];
  assert.ok(part.logprobs.length > 0);
  assert.equal(part.logprobs[0].top_logprobs.length, 2);
  const streamed = await client.responses.stream(ask).finalResponse();
  assert.deepEqual(streamed.output[0].content[0].logprobs, part.logprobs);
});

test('an answer that is cut says so', async () => {
  const r = await client.responses.create({ ...plain, max_output_tokens: 1, input: capital });
  assert.equal(r.status, 'incomplete');
  assert.equal(r.incomplete_details.reason, 'max_output_tokens');
});

test('errors name the field', async () => {
  await assert.rejects(
    client.responses.create({ ...plain, input: [{ role: 'user', content: [{ type: 'input_image' }] }] }),
    (e) => e instanceof OpenAI.BadRequestError && e.param === 'input[0].content[0].type',
  );
});
