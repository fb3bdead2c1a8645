// The chat page as `zaya serve` serves it, with zaya-nano behind it.
//   ZAYA=build/ci/zaya MODEL=models/nano node --test real.test.mjs
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {after, afterEach, before, beforeEach, test} from 'node:test';
import {answered, ask, launch, openPage} from './browser.mjs';

const {ZAYA, MODEL, TOOLS, SHOTS} = process.env;
let browser, server, page;

// Starts a server and waits for the line that says where it listens.
function serve(port = 0, more = []) {
  const child = spawn(ZAYA, ['serve', '-m', MODEL, '--port', String(port), '-t', '1', ...more], {stdio: ['ignore', 'pipe', 'pipe']});
  return new Promise((resolve, reject) => {
    let text = '';
    const read = (part) => {
      text += part;
      const match = /http:\/\/127\.0\.0\.1:(\d+)/.exec(text);
      if (match) resolve({child, port: Number(match[1]), url: `http://127.0.0.1:${match[1]}/`});
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('exit', () => reject(new Error(`the server ended: ${text}`)));
  });
}

async function stop() {
  if (server.child.exitCode === null) {
    const ended = new Promise((resolve) => server.child.on('exit', resolve));
    server.child.kill('SIGTERM');
    await ended;
  }
  return server.child.exitCode;
}

before(async () => {
  browser = await launch();
});
after(() => browser?.close());
beforeEach(async () => {
  server = await serve();
});
afterEach(async () => {
  const problems = page?.problems ?? [];
  await page?.context().close();
  await stop();
  page = null;
  assert.deepEqual(problems, []);
});

const shot = (name) => (SHOTS ? page.screenshot({path: `${SHOTS}/real-${name}.png`}) : null);
const set = async (fields) => {
  await page.getByRole('button', {name: 'Settings', exact: true}).click();
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label).fill(value);
  await page.getByRole('button', {name: 'Save'}).click();
};

test('a talk: thinking, the answer, statistics, a second turn that reuses the first', async () => {
  page = await openPage(browser, server.url);
  await page.locator('.empty').getByText('It reads up to 4,096 tokens').waitFor();
  await shot('empty');
  await set({Temperature: '0'});
  await page.locator('#quick-thinking').selectOption('on');
  await page.getByRole('button', {name: 'What is 8 + 9?'}).click();
  const first = await answered(page);
  assert.match(await first.locator('.prose').innerText(), /17/);
  assert.match(await first.locator('.think-label').innerText(), /^Thought for/);
  assert.match(await first.locator('.stats').innerText(), /^\d+ tokens, \d+ of them thoughts · (?:[\d.,]+ tokens\/s · )?prompt \d+ · first after/);
  await ask(page, 'What is the capital of France?');
  const second = await answered(page);
  assert.match(await second.locator('.prose').innerText(), /Paris/);
  assert.match(await second.locator('.stats').innerText(), /prompt \d+, [1-9]\d* cached/);
  await shot('talk');
  // Off: no thoughts. Then the same question again: a version.
  await page.locator('#quick-thinking').selectOption('off');
  await page.getByRole('button', {name: 'Ask again for another answer'}).last().click();
  const third = await answered(page);
  assert.match(await third.locator('.prose').innerText(), /Paris/);
  assert.equal(await third.locator('.thinking').isVisible(), false);
  await page.getByRole('group', {name: 'Version 2 of 2'}).waitFor();
  await page.reload();
  await page.getByRole('group', {name: 'Version 2 of 2'}).waitFor();
});

test('a tool call and its result', async () => {
  page = await openPage(browser, server.url);
  await set({Temperature: '0', Tools: readFileSync(TOOLS, 'utf8')});
  await page.locator('#quick-thinking').selectOption('off');
  await ask(page, 'What is the weather in Berlin?');
  const answer = await answered(page);
  assert.equal(await answer.locator('.call-name').innerText(), 'get_weather');
  assert.deepEqual(JSON.parse(await answer.locator('.call pre').innerText()), {city: 'Berlin'});
  await page.getByLabel('Result of get_weather').fill('17 degrees, sunny');
  await page.getByRole('button', {name: 'Send the result'}).click();
  await page.locator('.turn.answer').nth(1).waitFor();
  assert.match(await (await answered(page)).locator('.prose').innerText(), /17/);
  await shot('tool');
});

test('editing, a limit, and stopping', async () => {
  page = await openPage(browser, server.url);
  await set({Temperature: '0', 'Most tokens of an answer': '3'});
  await page.locator('#quick-thinking').selectOption('off');
  await ask(page, 'What is the capital of France?');
  await answered(page);
  await page.getByText('Cut at the limit of tokens.').waitFor();
  // zaya-nano is brief: for something to stop, the tokens that end an answer (1 and 106) are forbidden on the way.
  await set({'Most tokens of an answer': ''});
  await page.route('**/v1/chat/completions', (route) => route.continue({postData: JSON.stringify({...route.request().postDataJSON(), logit_bias: {1: -100, 106: -100}})}));
  await page.locator('#draft').press('ArrowUp');
  await page.getByLabel('Edit the message').fill('Tell me all.');
  await page.keyboard.press('Enter');
  await page.locator('.turn.answer.live .prose p').first().waitFor();
  await page.keyboard.press('Escape');
  await answered(page);
  await page.getByText('Stopped here.').waitFor();
  await page.unroute('**/v1/chat/completions');
  await ask(page, 'What is 2 + 2?');
  assert.match(await (await answered(page)).locator('.prose').innerText(), /\d/);
});

test('a restarted server goes on with the talk', async () => {
  page = await openPage(browser, server.url);
  await set({Temperature: '0'});
  await ask(page, 'What is the capital of France?');
  await answered(page);
  assert.equal(await stop(), 0);
  await ask(page, 'What is the capital of Italy?');
  await page.getByRole('alert').filter({hasText: 'cannot be reached. Trying again'}).waitFor();
  server = await serve(server.port);
  await page.getByText('The server is back.').waitFor();
  await page.getByRole('button', {name: 'Try again'}).click();
  await page.locator('#transcript').getByText('Rome').first().waitFor();
});

test('a key', async () => {
  await stop();
  server = await serve(0, ['--api-key', 'open sesame']);
  page = await openPage(browser, server.url);
  await page.getByText('This server asks for a key.').waitFor();
  await ask(page, 'What is the capital of France?');
  await page.locator('#key-field').fill('open sesame');
  await page.keyboard.press('Enter');
  await page.locator('.prose').getByText('Paris').waitFor();
});
