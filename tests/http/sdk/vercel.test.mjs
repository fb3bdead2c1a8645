// Vercel's AI SDK with its provider for compatible servers.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, stepCountIs, streamText, tool } from 'ai';
import assert from 'node:assert/strict';
import test from 'node:test';
import { z } from 'zod';
import { capital, isBerlin, isParis, key, saysWeather, url, weather, weatherTool } from './common.mjs';

const provider = createOpenAICompatible({
  name: 'zaya',
  baseURL: `${url}/v1`,
  apiKey: key,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = provider('zaya-nano');
const plain = {
  model,
  temperature: 0,
  maxOutputTokens: 300,
  maxRetries: 0,
  providerOptions: { zaya: { reasoningEffort: 'none' } },
};

const tools = (cities) => ({
  get_weather: tool({
    description: weatherTool.description,
    inputSchema: z.object({ city: z.string().describe('Name of the city') }),
    execute: async (input) => {
      cities.push(input);
      return weatherTool.result;
    },
  }),
});

test('generateText', async () => {
  const r = await generateText({ ...plain, prompt: capital });
  isParis(r.text);
  assert.equal(r.finishReason, 'stop');
  assert.ok(r.usage.inputTokens > 0 && r.usage.outputTokens > 0);
});

test('streamText', async () => {
  const r = streamText({ ...plain, prompt: capital });
  let text = '';
  for await (const piece of r.textStream) text += piece;
  isParis(text);
  assert.ok((await r.usage).outputTokens > 0);
});

test('reasoning', async () => {
  const r = await generateText({
    ...plain,
    providerOptions: { zaya: { reasoningEffort: 'high' } },
    prompt: 'What is 7 + 5?',
  });
  assert.ok(r.reasoningText.length > 0);
  assert.match(r.text, /12/);
});

test('a tool call is carried out and answered', async () => {
  const cities = [];
  const r = await generateText({ ...plain, prompt: weather, tools: tools(cities), stopWhen: stepCountIs(3) });
  assert.equal(cities.length, 1);
  isBerlin(cities[0]);
  saysWeather(r.text);
});

test('the same, streamed', async () => {
  const cities = [];
  const r = streamText({ ...plain, prompt: weather, tools: tools(cities), stopWhen: stepCountIs(3) });
  saysWeather(await r.text);
  assert.equal(cities.length, 1);
  isBerlin(cities[0]);
});

test('generateObject', async () => {
  const r = await generateObject({
    ...plain,
    schema: z.object({ city: z.enum(['Paris', 'Rome', 'Berlin']), sure: z.boolean() }),
    prompt: capital,
  });
  assert.ok(['Paris', 'Rome', 'Berlin'].includes(r.object.city));
  assert.equal(typeof r.object.sure, 'boolean');
});
