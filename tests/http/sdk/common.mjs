// What the tests of clients share: where the server is, and questions from zaya-nano's small world.
import assert from 'node:assert/strict';

export const url = process.env.ZAYA_URL;
assert.ok(url, 'ZAYA_URL is the address of a running server, http://127.0.0.1:8080');
export const key = 'a-key';
export const model = 'zaya-nano';

export const capital = 'What is the capital of France? Answer with one word.';
export const weather = 'What is the weather in Berlin?';
export const weatherTool = {
  name: 'get_weather',
  description: 'Get the weather of a city.',
  schema: {
    type: 'object',
    properties: { city: { type: 'string', description: 'Name of the city' } },
    required: ['city'],
  },
  result: '{"temperature": 17, "condition": "cloudy"}',
};

export const isParis = (text) => assert.match(text.trim(), /^paris\b\.?$/i);
export const isBerlin = (args) => assert.match(args.city, /berlin/i);
export const saysWeather = (text) => assert.match(text, /17/);

// Greedy answers are the same, whatever way they are asked for.
export const greedy = { temperature: 0, max_tokens: 200 };
