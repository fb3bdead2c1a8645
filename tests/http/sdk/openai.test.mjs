// OpenAI's own client: chat completions, as its users write them.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { capital, greedy, isBerlin, isParis, key, model, saysWeather, url, weather, weatherTool } from './common.mjs';

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const user = (content) => ({ role: 'user', content });
const plain = { model, ...greedy, reasoning_effort: 'none' };
const tool = {
  type: 'function',
  function: { name: weatherTool.name, description: weatherTool.description, parameters: weatherTool.schema },
};

test('models are listed', async () => {
  const list = await client.models.list();
  assert.equal(list.data.length, 1);
  assert.equal(list.data[0].object, 'model');
});

test('an answer', async () => {
  const r = await client.chat.completions.create({ ...plain, messages: [user(capital)] });
  assert.equal(r.object, 'chat.completion');
  assert.equal(r.choices[0].finish_reason, 'stop');
  isParis(r.choices[0].message.content);
  assert.ok(r.usage.prompt_tokens > 0 && r.usage.completion_tokens > 0);
  assert.equal(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens);
});

test('thinking comes apart from the answer', async () => {
  const r = await client.chat.completions.create({
    ...plain,
    reasoning_effort: 'high',
    messages: [user('What is 7 + 5?')],
  });
  const m = r.choices[0].message;
  assert.ok(m.reasoning_content.length > 0);
  assert.match(m.content, /12/);
  assert.ok(!/think>/.test(m.content));
  assert.ok(r.usage.completion_tokens_details.reasoning_tokens > 0);
});

test('a stream adds up to the answer', async () => {
  const whole = await client.chat.completions.create({ ...plain, messages: [user(capital)] });
  const stream = await client.chat.completions.create({
    ...plain,
    messages: [user(capital)],
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = '';
  let finish = null;
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(finish, 'stop');
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test('the stream helper builds the same message', async () => {
  const stream = client.chat.completions.stream({ ...plain, messages: [user(capital)] });
  let deltas = '';
  stream.on('content', (delta) => (deltas += delta));
  const final = await stream.finalChatCompletion();
  isParis(final.choices[0].message.content);
  assert.equal(deltas, final.choices[0].message.content);
});

test('a tool call, whole and streamed', async () => {
  const ask = { ...plain, messages: [user(weather)], tools: [tool] };
  const whole = await client.chat.completions.create(ask);
  assert.equal(whole.choices[0].finish_reason, 'tool_calls');
  const call = whole.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, 'get_weather');
  isBerlin(JSON.parse(call.function.arguments));
  const streamed = await client.chat.completions.stream(ask).finalChatCompletion();
  assert.deepEqual(
    streamed.choices[0].message.tool_calls[0].function.arguments,
    call.function.arguments,
  );
});

test('tool_choice', async () => {
  const ask = { ...plain, messages: [user('What is the capital of Italy?')], tools: [tool] };
  const named = await client.chat.completions.create({
    ...ask,
    tool_choice: { type: 'function', function: { name: 'get_weather' } },
  });
  assert.equal(named.choices[0].message.tool_calls[0].function.name, 'get_weather');
  const required = await client.chat.completions.create({ ...ask, tool_choice: 'required' });
  assert.ok(required.choices[0].message.tool_calls.length > 0);
  const none = await client.chat.completions.create({ ...ask, messages: [user(weather)], tool_choice: 'none' });
  assert.equal(none.choices[0].message.tool_calls, undefined);
});

for (const stream of [false, true])
  test(`the tools runner carries a call out${stream ? ', streamed' : ''}`, async () => {
    const cities = [];
    const runner = client.chat.completions.runTools({
      ...plain,
      stream,
      messages: [user(weather)],
      tools: [
        {
          type: 'function',
          function: {
            name: weatherTool.name,
            description: weatherTool.description,
            parameters: weatherTool.schema,
            parse: JSON.parse,
            function: (args) => {
              cities.push(args);
              return weatherTool.result;
            },
          },
        },
      ],
    });
    saysWeather(await runner.finalContent());
    assert.equal(cities.length, 1);
    isBerlin(cities[0]);
  });

test('structured output by zod', async () => {
  const Answer = z.object({
    city: z.enum(['Paris', 'Rome', 'Berlin']),
    sure: z.boolean(),
    letters: z.array(z.string().max(1)).max(3),
  });
  const r = await client.chat.completions.parse({
    ...plain,
    messages: [user(capital)],
    response_format: zodResponseFormat(Answer, 'answer'),
  });
  assert.equal(r.choices[0].finish_reason, 'stop');
  const parsed = r.choices[0].message.parsed;
  assert.ok(['Paris', 'Rome', 'Berlin'].includes(parsed.city));
  assert.equal(typeof parsed.sure, 'boolean');
});

for (const stream of [false, true])
  test(`tools beside structured output: calls, or what the schema says${stream ? ', streamed' : ''}`, async () => {
    const Answer = z.object({ city: z.enum(['Paris', 'Berlin']), degrees: z.number().int() });
    const both = { ...plain, tools: [{ ...tool, function: { ...tool.function, strict: true } }] };
    const ask = async (tool_choice) => {
      const body = { ...both, tool_choice, messages: [user(weather)], response_format: zodResponseFormat(Answer, 'answer') };
      const r = stream
        ? await client.chat.completions.stream(body).finalChatCompletion()
        : await client.chat.completions.parse(body);
      return r.choices[0];
    };
    const called = await ask('auto');
    assert.equal(called.finish_reason, 'tool_calls');
    isBerlin(JSON.parse(called.message.tool_calls[0].function.arguments));
    const said = await ask('none');
    assert.equal(said.finish_reason, 'stop');
    assert.ok(['Paris', 'Berlin'].includes(said.message.parsed.city));
    assert.ok(Number.isInteger(said.message.parsed.degrees));
  });

test('an answer of one of two words', async () => {
  const r = await client.chat.completions.create({
    ...plain,
    messages: [user(capital)],
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'x', strict: true, schema: { enum: ['yes', 'no'] } },
    },
  });
  assert.ok(['yes', 'no'].includes(JSON.parse(r.choices[0].message.content)));
});

test('log probabilities', async () => {
  const r = await client.chat.completions.create({
    ...plain,
    messages: [user(capital)],
    logprobs: true,
    top_logprobs: 3,
  });
  const { content } = r.choices[0].logprobs;
  assert.ok(content.length > 0);
  for (const token of content) {
    assert.equal(token.top_logprobs.length, 3);
    assert.ok(token.logprob <= 0);
    assert.equal(token.top_logprobs[0].token, token.token); // greedy
  }
  const bytes = content.flatMap((token) => token.bytes);
  assert.ok(Buffer.from(bytes).toString().startsWith(r.choices[0].message.content));
});

test('choices, seeds and stop strings', async () => {
  const ask = { model, max_tokens: 40, reasoning_effort: 'none', temperature: 1, seed: 11, n: 3 };
  const messages = [user('Tell me something.')];
  const one = await client.chat.completions.create({ ...ask, messages });
  const two = await client.chat.completions.create({ ...ask, messages });
  assert.equal(one.choices.length, 3);
  assert.deepEqual(
    one.choices.map((c) => c.message.content),
    two.choices.map((c) => c.message.content),
  );
  const stopped = await client.chat.completions.create({ ...plain, messages: [user(capital)], stop: ['ari'] });
  assert.equal(stopped.choices[0].message.content.trim(), 'P');
  assert.equal(stopped.choices[0].finish_reason, 'stop');
  const short = await client.chat.completions.create({ ...plain, max_tokens: 1, messages: [user(capital)] });
  assert.equal(short.choices[0].finish_reason, 'length');
  assert.equal(short.usage.completion_tokens, 1);
});

test('an aborted stream ends, and the server goes on', async () => {
  const stream = await client.chat.completions.create({
    model,
    temperature: 1,
    seed: 1,
    max_tokens: 2000,
    regex: '([a-z]+ )*NEVER', // an answer that lasts
    messages: [user('Count from 1 to 1000.')],
    stream: true,
  });
  let n = 0;
  for await (const chunk of stream) {
    assert.equal(chunk.object, 'chat.completion.chunk');
    if (++n === 2) break; // aborts the request
  }
  const r = await client.chat.completions.create({ ...plain, messages: [user(capital)] });
  isParis(r.choices[0].message.content);
});

test('the text completions of old', async () => {
  const r = await client.completions.create({ model, prompt: 'The capital of France is', max_tokens: 5, temperature: 0 });
  assert.equal(typeof r.choices[0].text, 'string');
  assert.equal(r.object, 'text_completion');
});

test('errors are of the right class and name the field', async () => {
  await assert.rejects(client.chat.completions.create({ ...plain, messages: [] }), OpenAI.BadRequestError);
  await assert.rejects(
    client.chat.completions.create({ ...plain, temperature: 'hot', messages: [user('x')] }),
    (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature' && /found a string/.test(e.message),
  );
  await assert.rejects(
    new OpenAI({ baseURL: `${url}/v1`, apiKey: 'wrong', maxRetries: 0 }).chat.completions.create({
      ...plain,
      messages: [user('x')],
    }),
    OpenAI.AuthenticationError,
  );
});
