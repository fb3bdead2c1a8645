// The chat page in Chromium against a server that answers as each test says (mock.mjs).
//   PAGE_FILE=build/.../generated/server/page.html node --test page.test.mjs     SHOTS=folder keeps pictures
import assert from 'node:assert/strict';
import {mkdirSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {after, afterEach, before, beforeEach, test} from 'node:test';
import {answered, ask, launch, openPage, watch} from './browser.mjs';
import {Refusal, startMock} from './mock.mjs';

const {PAGE_FILE, SHOTS} = process.env;
let browser, mock, page;

const reply = async (say, body) => say.text(`You said: ${body.messages.at(-1).content}`);

before(async () => {
  browser = await launch();
  if (SHOTS) mkdirSync(SHOTS, {recursive: true});
});
after(() => browser?.close());
beforeEach(async () => {
  mock = await startMock(PAGE_FILE);
  mock.reply = reply;
});
afterEach(async () => {
  // Nothing may have gone wrong unseen: no script error, no dialog, nothing that the page's policy refused.
  const problems = page?.problems ?? [];
  await page?.context().close();
  await mock.close();
  page = null;
  assert.deepEqual(problems, []);
});

const open = async (options) => (page = await openPage(browser, mock.url, options));
const shot = (name) => (SHOTS ? page.screenshot({path: `${SHOTS}/${name}.png`}) : null);
const button = (name) => page.getByRole('button', {name, exact: true});
const turns = () => page.locator('.turn').evaluateAll((list) => list.map((t) => (t.querySelector('.prose') ?? t.querySelector('.plain-text')).innerText.trim()));
const until = (condition, argument) => page.waitForFunction(condition, argument);

test('a chat: streamed answer, statistics, the conversation goes on', async () => {
  await open();
  await page.locator('.empty .model').getByText('zaya-nano').waitFor();
  await shot('empty');
  mock.reply = (say, body) => say.text(`You said: ${body.messages.at(-1).content}`, 100); // long enough to have a rate
  await ask(page, 'Hello');
  const first = await answered(page);
  assert.equal(await first.locator('.prose').innerText(), 'You said: Hello');
  assert.match(await first.locator('.stats').innerText(), /^12 tokens · [\d.,]+ tokens\/s · prompt 31, 16 cached · first after [\d.]+ m?s$/);
  await ask(page, 'Again');
  await answered(page);
  assert.deepEqual(mock.requests[1].messages, [{role: 'user', content: 'Hello'}, {role: 'assistant', content: 'You said: Hello'}, {role: 'user', content: 'Again'}]);
  assert.deepEqual(mock.requests[0], {model: 'zaya-nano', messages: [{role: 'user', content: 'Hello'}], stream: true, stream_options: {include_usage: true}});
  assert.equal(await page.title(), 'Hello · zaya');
  assert.equal(await page.locator('#chat-list li').count(), 1);
});

test('a suggestion begins a conversation', async () => {
  await open();
  await page.getByRole('button', {name: 'What is 8 + 9?'}).click();
  await answered(page);
  assert.deepEqual(await turns(), ['What is 8 + 9?', 'You said: What is 8 + 9?']);
});

test('stop: what came stays, the server is told, Esc does it too', async () => {
  mock.reply = async (say) => {
    await say.text('word '.repeat(2000), 20);
  };
  await open();
  await ask(page, 'Talk');
  await page.locator('.prose').getByText('word word word').waitFor();
  await button('Stop').click();
  const stopped = await answered(page);
  assert.match(await stopped.innerText(), /Stopped here/);
  assert.match(await stopped.locator('.prose').innerText(), /^word( word)+$/);
  await until(() => !document.getElementById('send').hidden);
  await ask(page, 'More');
  await page.locator('.turn.answer').nth(1).locator('.prose').getByText('word word').waitFor();
  await page.keyboard.press('Escape');
  await answered(page);
  for (let i = 0; mock.aborted < 2 && i < 100; i++) await page.waitForTimeout(20);
  assert.equal(mock.aborted, 2);
});

test('editing a message branches; every version keeps what followed', async () => {
  await open();
  await ask(page, 'One');
  await answered(page);
  await ask(page, 'Two');
  await answered(page);
  await page.locator('.turn.user').first().hover();
  await page.locator('.turn.user').first().getByRole('button', {name: 'Edit and ask again'}).click();
  await page.getByLabel('Edit the message').fill('Uno');
  await page.keyboard.press('Enter');
  await answered(page);
  assert.deepEqual(await turns(), ['Uno', 'You said: Uno']);
  assert.deepEqual(mock.requests[2].messages, [{role: 'user', content: 'Uno'}]);
  await page.getByRole('group', {name: 'Version 2 of 2'}).waitFor();
  await shot('branch');
  await button('Earlier version').click();
  assert.deepEqual(await turns(), ['One', 'You said: One', 'Two', 'You said: Two']);
  await page.getByRole('group', {name: 'Version 1 of 2'}).waitFor();
  await button('Later version').click();
  assert.deepEqual(await turns(), ['Uno', 'You said: Uno']);
  // Esc leaves an edit without a trace.
  await page.locator('.turn.user').hover();
  await button('Edit and ask again').click();
  await page.getByLabel('Edit the message').fill('nothing');
  await page.keyboard.press('Escape');
  assert.deepEqual(await turns(), ['Uno', 'You said: Uno']);
});

test('regenerate adds a version of the answer', async () => {
  let n = 0;
  mock.reply = async (say) => say.text(`Answer ${++n}`);
  await open();
  await ask(page, 'Q');
  await answered(page);
  await button('Ask again for another answer').click();
  await page.locator('#transcript').getByText('Answer 2').waitFor();
  await answered(page);
  assert.deepEqual(await turns(), ['Q', 'Answer 2']);
  assert.deepEqual(mock.requests[1].messages, [{role: 'user', content: 'Q'}]);
  await button('Earlier version').click();
  assert.deepEqual(await turns(), ['Q', 'Answer 1']);
});

test('a reload keeps conversations, versions and what was chosen', async () => {
  await open();
  await ask(page, 'First talk');
  await answered(page);
  await button('Ask again for another answer').click();
  await answered(page);
  await button('New conversation').first().click();
  await ask(page, 'Second talk');
  await answered(page);
  await page.reload();
  await page.locator('.turn.answer').waitFor();
  assert.deepEqual(await turns(), ['Second talk', 'You said: Second talk']);
  await page.locator('#chat-list').getByRole('button', {name: 'First talk', exact: true}).click();
  await page.locator('#transcript').getByText('You said: First talk').waitFor();
  await page.getByRole('group', {name: 'Version 2 of 2'}).waitFor();
  await page.goBack();
  await page.locator('#transcript').getByText('You said: Second talk').waitFor();
});

test('an answer is kept even where the page is left the moment it is over', async () => {
  await open();
  await ask(page, 'Stay');
  await answered(page);
  await page.evaluate(() => {
    new MutationObserver(() => {
      if ([...document.querySelectorAll('.turn.answer')].at(1)?.getAttribute('aria-busy') === 'false') location.reload();
    }).observe(document.getElementById('transcript'), {subtree: true, childList: true, attributes: true, attributeFilter: ['aria-busy']});
  });
  const reloaded = page.waitForEvent('load');
  await ask(page, 'Go');
  await reloaded;
  await page.locator('.turn.answer').nth(1).waitFor();
  assert.deepEqual(await turns(), ['Stay', 'You said: Stay', 'Go', 'You said: Go']);
});

test('thinking: shown while it is thought, folded, timed, not part of the answer', async () => {
  let go;
  const gate = new Promise((resolve) => (go = resolve));
  mock.reply = async (say) => {
    await say.think('Let me see.\nEight and nine');
    await gate;
    await say.think(' make 17.');
    await say.text('**17**');
    await say.end('stop', {prompt_tokens: 5, completion_tokens: 20, completion_tokens_details: {reasoning_tokens: 15}});
  };
  await open();
  await page.getByLabel('Thinking').first().selectOption('on');
  await ask(page, '8 + 9?');
  await page.locator('.peek').getByText('Eight and nine').waitFor();
  assert.match(await page.locator('.think-label').innerText(), /^Thinking, \d+ s$/);
  await shot('thinking');
  go();
  const answer = await answered(page);
  assert.match(await answer.locator('.think-label').innerText(), /^Thought for [\d.]+ m?s$/);
  assert.equal(await answer.locator('.prose').innerText(), '17');
  assert.equal(await answer.locator('.thinking .plain-text').isVisible(), false);
  await answer.locator('summary').click();
  await answer.locator('.thinking .plain-text').getByText('make 17.').waitFor(); // written when it is unfolded, an event later
  assert.equal(await answer.locator('.thinking .plain-text').innerText(), 'Let me see.\nEight and nine make 17.');
  assert.match(await answer.locator('.stats').innerText(), /20 tokens, 15 of them thoughts/);
  assert.deepEqual(mock.requests[0].chat_template_kwargs, {enable_thinking: true});
  await ask(page, 'more');
  await answered(page);
  assert.equal(mock.requests[1].messages[1].reasoning_content, 'Let me see.\nEight and nine make 17.');
});

test('tool calls: cards, results typed in, the answer after them, a changed result branches', async () => {
  mock.reply = async (say, body) => {
    const last = body.messages.at(-1);
    if (last.role === 'tool') return say.text(`It is ${last.content}.`);
    await say.text('I look it up.');
    await say.call(0, 'get_weather', '{"city":"Berlin"}');
    await say.call(1, 'get_time', '{"zone":"CET"}');
    await say.end('tool_calls');
  };
  await open();
  await button('Settings').click();
  await page.getByLabel('Tools').fill('[{"type": "function"}]');
  await button('Save').click();
  await page.getByText('Tool 1 has no function.name.').waitFor();
  await page.getByLabel('Tools').fill('[{"name": "get_weather", "parameters": {"type": "object"}}]');
  await shot('settings');
  await button('Save').click();
  await ask(page, 'Weather?');
  const answer = await answered(page);
  assert.deepEqual(mock.requests[0].tools, [{type: 'function', function: {name: 'get_weather', parameters: {type: 'object'}}}]);
  assert.deepEqual(await answer.locator('.call-name').allInnerTexts(), ['get_weather', 'get_time']);
  assert.equal(await answer.locator('.call pre').first().innerText(), '{\n  "city": "Berlin"\n}');
  await page.getByLabel('Result of get_weather').fill('17 degrees');
  await page.getByLabel('Result of get_time').fill('noon');
  await shot('tools');
  await button('Send the results').click();
  await page.locator('#transcript').getByText('It is noon.').waitFor();
  await answered(page);
  assert.deepEqual(mock.requests[1].messages.slice(1), [
    {role: 'assistant', content: 'I look it up.', tool_calls: [
      {id: 'call_0', type: 'function', function: {name: 'get_weather', arguments: '{"city":"Berlin"}'}},
      {id: 'call_1', type: 'function', function: {name: 'get_time', arguments: '{"zone":"CET"}'}}]},
    {role: 'tool', tool_call_id: 'call_0', name: 'get_weather', content: '17 degrees'},
    {role: 'tool', tool_call_id: 'call_1', name: 'get_time', content: 'noon'}]);
  assert.equal(await page.getByLabel('Result of get_time').locator('pre').innerText(), 'noon');
  await page.locator('.turn.tool').hover();
  await button('Change the result and ask again').click();
  await page.locator('textarea[aria-label="Result of get_time"]').fill('midnight');
  await page.keyboard.press('Control+Enter');
  await page.locator('#transcript').getByText('It is midnight.').waitFor();
  await page.getByRole('group', {name: 'Version 2 of 2'}).waitFor();
});

const NASTY = `<img src=x onerror="window.hit=1"> <script>window.hit=2</script> <svg onload=window.hit=3>
[click](javascript:window.hit=4) [data](data:text/html,<script>window.hit=5</script>) <javascript:window.hit=6>
![x](javascript:window.hit=7) [t](https://a.b/"onmouseover="window.hit=8) <a href="javascript:window.hit=9">a</a>

| <img src=x onerror=window.hit=10> | b |
|---|---|
| [x](JaVaScRiPt:window.hit=11) | <iframe srcdoc="<script>parent.hit=12</script>"></iframe> |

\`\`\`"><img src=x onerror=window.hit=13>
</code></pre><img src=x onerror=window.hit=14>
\`\`\`

</div></article><style>body{display:none}</style> &lt;img src=x onerror=window.hit=15&gt;
![pixel](https://tracker.example/p.png) [ok](https://example.org/)`;

test('hostile text stays text: in answers, thoughts, tool calls, questions, titles and imports', async () => {
  const asked = [];
  mock.reply = async (say) => {
    await say.think(NASTY);
    await say.text(NASTY);
    await say.call(0, '<img src=x onerror=window.hit=16>', '{"a": "<img src=x onerror=window.hit=17>"}');
    await say.end('tool_calls');
  };
  await open();
  page.on('request', (request) => asked.push(request.url()));
  await ask(page, '<img src=x onerror=window.hit=18>');
  const answer = await answered(page);
  await answer.locator('summary').click();
  await page.waitForTimeout(200);
  assert.equal(await page.evaluate(() => window.hit), undefined);
  assert.deepEqual(await page.locator('#transcript').locator('img, script, iframe, style, [onerror], [onload], [onmouseover]').count(), 0);
  const links = await page.locator('.prose a').evaluateAll((list) => list.map((a) => [a.protocol, a.rel, a.target]));
  assert.ok(links.length >= 2);
  for (const [protocol, rel, target] of links) {
    assert.equal(protocol, 'https:');
    assert.match(rel, /noopener/);
    assert.equal(target, '_blank');
  }
  assert.deepEqual(asked.filter((url) => !url.startsWith(mock.url)), []);
  assert.match(await page.locator('#chat-list .title').innerText(), /<img src=x/);
  await page.locator('#import-file').setInputFiles({name: 'x.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify({conversations: [
    {title: NASTY, nodes: {root: {kids: ['"><img src=x onerror=window.hit=20>']}, '"><img src=x onerror=window.hit=20>': {role: 'assistant', content: NASTY, model: '<b>m</b>'}}}]}))});
  await until(() => document.querySelectorAll('#chat-list li').length === 2);
  assert.equal(await page.evaluate(() => window.hit), undefined);
});

test('the policy holds by itself: no string becomes markup, no inline handler, no request elsewhere', async () => {
  await open();
  const tried = await page.evaluate(async () => {
    const results = [];
    const attempt = async (name, run) => results.push([name, await Promise.resolve().then(run).then(() => 'done', () => 'refused')]);
    await attempt('innerHTML', () => (document.createElement('div').innerHTML = '<b>x</b>'));
    await attempt('fetch', () => fetch('https://example.org/'));
    await attempt('script', () => document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hit = 1'})));
    document.body.append(Object.assign(document.createElement('button'), {id: 'x'}));
    document.getElementById('x').setAttribute('style', 'color: red');
    return [results, window.hit, getComputedStyle(document.getElementById('x')).color];
  });
  assert.deepEqual(tried[0].slice(0, 3), [['innerHTML', 'refused'], ['fetch', 'refused'], ['script', 'refused']]);
  assert.equal(tried[1], undefined);
  assert.notEqual(tried[2], 'rgb(255, 0, 0)');
  page.problems.length = 0; // the refusals were wanted
});

test('markdown: what an answer looks like, while it comes and afterwards', async () => {
  const text = '# Title\n\nSome *em*, **strong**, `code` and [a link](https://example.org/).\n\n1. one\n   - deep\n2. two\n\n| a | b |\n|--|--:|\n| 1 | 2 |\n\n> quote\n\n```python\nprint("hi")\n```\n\nEnd.';
  mock.reply = async (say) => {
    for (const letter of text) await say.delta({content: letter});
  };
  await open();
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await ask(page, 'md');
  const prose = (await answered(page)).locator('.prose');
  assert.deepEqual(await prose.evaluate((p) => [...p.children].map((c) => c.tagName)), ['H3', 'P', 'OL', 'DIV', 'BLOCKQUOTE', 'DIV', 'P']);
  assert.equal(await prose.locator('ol > li > ul > li').innerText(), 'deep');
  assert.equal(await prose.locator('td').nth(1).innerText(), '2');
  assert.equal(await prose.locator('.lang').innerText(), 'python');
  const streamed = await prose.innerText();
  await button('Copy the code').click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'print("hi")');
  await button('Copy the answer').click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
  await page.reload();
  assert.equal(await page.locator('.prose').innerText(), streamed);
});

test('keyboard only: ask, edit, settings, a new conversation, back to the old one', async () => {
  await open();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'draft');
  await page.keyboard.type('line one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('line two');
  await page.keyboard.press('Enter');
  await answered(page);
  assert.equal(mock.requests[0].messages[0].content, 'line one\nline two');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'draft');
  await page.keyboard.press('ArrowUp'); // in an empty field: edit the last message
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Edit the message');
  await page.keyboard.press('Control+a');
  await page.keyboard.type('changed');
  await page.keyboard.press('Enter');
  await page.locator('#transcript').getByText('You said: changed').waitFor();
  await answered(page);
  await page.keyboard.press('Control+,');
  await until(() => document.getElementById('settings').open);
  await page.keyboard.press('Escape');
  await until(() => !document.getElementById('settings').open);
  await page.keyboard.press('Control+k');
  await page.locator('.empty').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'draft');
  // By Tab alone from the top of the page: every stop can be seen and has a name.
  const stops = [];
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press('Tab');
    stops.push(await page.evaluate(() => {
      if (document.activeElement === document.body) return null; // the end of the page
      const at = document.activeElement, box = at.getBoundingClientRect();
      return {name: at.getAttribute('aria-label') || at.innerText || at.labels?.[0]?.innerText || at.id, seen: box.width > 0 && box.height > 0 && box.top >= 0,
        outline: getComputedStyle(at).outlineStyle !== 'none' || at.id === 'draft', list: at.closest('#chat-list') !== null && at.classList.contains('open')};
    }));
    if (stops.at(-1)?.list) break;
  }
  for (const stop of stops.filter(Boolean)) assert.ok(stop.name && stop.seen && stop.outline, JSON.stringify(stop));
  assert.ok(stops.some((stop) => stop?.name === 'Skip to the message field'));
  assert.ok(stops.at(-1)?.list, 'the list was reached');
  await page.keyboard.press('Enter');
  await page.locator('#transcript').getByText('You said: changed').waitFor();
});

test('a key: asked for on 401, used, kept; a wrong one is asked for again', async () => {
  mock.key = 'secret';
  await open();
  await page.getByText('This server asks for a key.').waitFor();
  await ask(page, 'Hello');
  const field = page.locator('#key-field');
  await field.fill('wrong');
  await shot('key');
  await page.keyboard.press('Enter');
  await page.getByText('The server does not know this key').waitFor();
  await field.fill('secret');
  await page.keyboard.press('Enter');
  await page.locator('#transcript').getByText('You said: Hello').waitFor();
  await answered(page);
  assert.equal(await page.locator('.notice').count(), 0);
  assert.equal(await page.locator('.versions').count(), 0); // the refused attempts left no versions
  await page.reload();
  await ask(page, 'Again');
  await page.locator('#transcript').getByText('You said: Again').waitFor();
});

test('errors: refused, broken in the middle, reported in the stream, a full queue; retry', async () => {
  const script = [
    async () => { throw new Refusal(400, 'the context is full: 5000 of 4096 tokens'); },
    async (say) => { await say.text('Half'); await new Promise((r) => setTimeout(r, 100)); say.cut(); },
    async (say) => { await say.text('Part'); await say.event({error: {message: 'the engine stopped'}}); },
    async () => { throw new Refusal(429, 'the queue is full', {'Retry-After': '7'}); },
    async (say) => { await say.text('no end'); say.response.end(); },
    reply,
  ];
  mock.reply = (say, body) => script[mock.requests.length - 1](say, body);
  await open();
  await ask(page, 'Q');
  const told = [/context is full: 5000 of 4096/, /connection was lost/, /the engine stopped/, /queue is full.*asked again in 7 s/, /ended early/];
  for (const pattern of told) {
    const box = page.getByRole('alert').filter({hasText: pattern});
    await box.waitFor();
    await shot('error');
    await box.getByRole('button', {name: 'Try again'}).click();
  }
  await page.locator('#transcript').getByText('You said: Q').waitFor();
  await answered(page);
  assert.equal(await page.locator('.error').count(), 0);
  for (const request of mock.requests) assert.deepEqual(request.messages, [{role: 'user', content: 'Q'}]);
});

test('a server that goes away and comes back', async () => {
  await open();
  await ask(page, 'One');
  await answered(page);
  const port = mock.port;
  await mock.close();
  await ask(page, 'Two');
  await page.getByRole('alert').filter({hasText: 'The server cannot be reached. Trying again…'}).waitFor();
  await answered(page);
  await shot('gone');
  mock = await startMock(PAGE_FILE, port);
  mock.reply = reply;
  await page.getByText('The server is back.').waitFor();
  assert.equal(await page.locator('.notice').count(), 0);
  await button('Try again').click();
  await page.locator('#transcript').getByText('You said: Two').waitFor();
  assert.equal(mock.requests[0].messages.length, 3);
});

test('a phone: drawer, nothing wider than the screen, fields that do not zoom, targets for fingers', async () => {
  mock.reply = async (say) => say.text(`${'wide '.repeat(60)}\n\n\`\`\`\n${'x'.repeat(300)}\n\`\`\`\n\n| ${'column | '.repeat(12)}\n|${'--|'.repeat(12)}\n| ${'value | '.repeat(12)}\n\n${'unbroken'.repeat(40)}`);
  await open({viewport: {width: 390, height: 844}, isMobile: true, hasTouch: true, deviceScaleFactor: 2});
  assert.equal(await page.locator('#sidebar').isVisible(), false);
  await page.locator('#draft').tap();
  await page.keyboard.type('Hello');
  await page.keyboard.press('Enter'); // on a phone this is a line
  assert.equal(mock.requests.length, 0);
  await page.locator('#send').tap();
  await answered(page);
  await shot('phone');
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, document.getElementById('scroller').scrollWidth, innerWidth]);
  assert.ok(wide[0] <= wide[2] && wide[1] <= wide[2], String(wide));
  const small = await page.evaluate(() => [...document.querySelectorAll('textarea, input:not([hidden]), select')].filter((f) => parseFloat(getComputedStyle(f).fontSize) < 16).map((f) => f.id));
  assert.deepEqual(small, []);
  const narrow = await page.evaluate(() => [...document.querySelectorAll('.deeds button, .topbar button')].map((b) => b.getBoundingClientRect()).filter((r) => r.width && (r.width < 40 || r.height < 36)).length);
  assert.equal(narrow, 0);
  await page.getByRole('button', {name: 'Conversations'}).tap();
  await page.locator('#sidebar').getByText('Hello').waitFor();
  await page.waitForTimeout(250);
  await shot('drawer');
  assert.equal(await page.evaluate(() => document.getElementById('main').inert), true);
  await page.locator('#sidebar').getByRole('button', {name: 'New conversation'}).tap();
  await page.locator('.empty').waitFor();
  assert.equal(await page.evaluate(() => document.getElementById('main').inert), false);
});

test('dark: as the system says, or as chosen', async () => {
  await open({colorScheme: 'dark'});
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(await paper(), 'rgb(16, 22, 19)');
  await page.locator('#theme').click(); // light
  assert.equal(await paper(), 'rgb(245, 247, 244)');
  await page.reload();
  await page.locator('#draft').waitFor();
  assert.equal(await paper(), 'rgb(245, 247, 244)');
  await page.locator('#theme').click(); // dark
  await page.emulateMedia({colorScheme: 'light'});
  assert.equal(await paper(), 'rgb(16, 22, 19)');
});

test('an independent checker (axe) finds nothing, in both colours, with everything that a conversation has', async () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  const doc = '## Head\n\n- a `b` [c](https://example.org/)\n\n| a |\n|---|\n| 1 |\n\n> q\n\n```js\nx\n```';
  mock.reply = async (say, body) => {
    await say.think('thinking it over');
    await say.text(doc);
    if (body.messages.length === 1) {
      await say.call(0, 'f', '{"a": 1}');
      await say.end('tool_calls');
    } else if (body.messages.length > 3) {
      await say.event({error: {message: 'an error to look at'}});
    }
  };
  const broken = [];
  for (const colorScheme of ['light', 'dark']) {
    await open({colorScheme, bypassCSP: true, reducedMotion: 'reduce'});
    const check = async (where) => {
      await page.evaluate(axe);
      const found = await page.evaluate(() => globalThis.axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}));
      for (const v of found.violations) broken.push(`${colorScheme} ${where}: ${v.id} ${v.nodes.slice(0, 3).map((n) => n.target + ' ' + n.any.map((a) => a.message).join()).join(' | ')}`);
    };
    await check('empty');
    await ask(page, 'Q');
    await (await answered(page)).locator('summary').click();
    await check('a call');
    await page.getByLabel('Result of f').fill('r');
    await button('Send the result').click();
    await page.locator('.turn.answer').nth(1).waitFor();
    await answered(page);
    await button('Ask again for another answer').last().click();
    await answered(page);
    await ask(page, 'fail');
    await page.getByRole('alert').getByText('an error to look at').waitFor();
    await answered(page);
    await check('an error');
    await button('Settings').click();
    await check('settings');
    if (colorScheme === 'light') await page.context().close();
  }
  assert.deepEqual(broken, []);
});

test('screen readers hear the answer in sentences, and its end', async () => {
  mock.reply = async (say) => {
    await say.text('First sentence. Second one. And the rest', 5);
  };
  await open();
  const live = page.locator('#live');
  assert.equal(await live.getAttribute('aria-live'), 'polite');
  await ask(page, 'Q');
  await answered(page);
  await live.getByText('End of the answer.').waitFor();
  const heard = (await live.locator('p').allInnerTexts()).filter((t) => !/^(Asked|End of)/.test(t)).join(' ');
  assert.equal(heard.replace(/\s+/g, ' '), 'First sentence. Second one. And the rest');
});

test('the list: search, rename, delete and undo, export and import', async () => {
  await open();
  for (const text of ['About apples', 'About pears']) {
    await button('New conversation').first().click();
    await ask(page, text);
    await answered(page);
  }
  const titles = () => page.locator('#chat-list .title').allInnerTexts();
  await until(() => document.querySelectorAll('#chat-list li').length === 2);
  await page.getByLabel('Search the conversations').fill('said apples');
  await until(() => document.querySelectorAll('#chat-list li').length === 1);
  assert.deepEqual(await titles(), ['About apples']);
  await page.getByLabel('Search the conversations').fill('zebra');
  await page.getByText('Nothing found.').waitFor();
  await page.getByLabel('Search the conversations').fill('');
  await until(() => document.querySelectorAll('#chat-list li').length === 2);
  await page.locator('#chat-list li').first().hover();
  await button('Rename About pears').click();
  await page.getByLabel('Name of the conversation').fill('Fruit');
  await page.keyboard.press('Enter');
  await page.locator('#chat-list').getByText('Fruit').waitFor();
  assert.equal(await page.locator('#chat-title').innerText(), 'Fruit');
  const [download] = await Promise.all([page.waitForEvent('download'), button('Export all conversations').click()]);
  const file = JSON.parse(readFileSync(await download.path(), 'utf8'));
  assert.deepEqual(file.conversations.map((c) => c.title).sort(), ['', 'Fruit']);
  await page.locator('#chat-list li').filter({hasText: 'Fruit'}).hover();
  await button('Delete Fruit').click();
  await until(() => document.querySelectorAll('#chat-list li').length === 1);
  await button('Undo').click();
  await until(() => document.querySelectorAll('#chat-list li').length === 2);
  await page.locator('#import-file').setInputFiles({name: 'x.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(file))});
  await until(() => document.querySelectorAll('#chat-list li').length === 4);
  await page.locator('#import-file').setInputFiles({name: 'bad.json', mimeType: 'application/json', buffer: Buffer.from('{"conversations": [{}]}')});
  await page.getByText('bad.json: there is no conversation in it').waitFor();
});

test('settings reach the server, bad ones are named, nothing is sent that was not chosen', async () => {
  await open();
  await button('Settings').click();
  assert.equal(await page.getByLabel('Temperature').getAttribute('placeholder'), '0.2');
  await page.getByLabel('Temperature').fill('9');
  await page.getByLabel('Seed').fill('x');
  await button('Save').click();
  await page.getByText('From 0 to 2.').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'set-temperature');
  await page.getByLabel('Temperature').fill('0');
  await page.getByLabel('Top p').fill('0.5');
  await page.getByLabel('Seed').fill('7');
  await page.getByLabel('Most tokens of an answer').fill('99');
  await page.getByLabel('System prompt').fill('Be brief.');
  await button('Save').click();
  await ask(page, 'Q');
  await answered(page);
  const {temperature, top_p, seed, max_completion_tokens, messages} = mock.requests[0];
  assert.deepEqual([temperature, top_p, seed, max_completion_tokens, messages[0]], [0, 0.5, 7, 99, {role: 'system', content: 'Be brief.'}]);
  await page.reload();
  await button('Settings').click();
  assert.equal(await page.getByLabel('Temperature').inputValue(), '0');
  await button('The server\'s defaults').click();
  await button('Save').click();
  await ask(page, 'Q');
  await answered(page);
  assert.equal('temperature' in mock.requests[1], false);
});

test('100 kB pasted, and an answer of 4000 lines: nothing is lost, the reader may scroll up meanwhile', async () => {
  const lines = Array.from({length: 4000}, (_, i) => `line ${i} of a **long** answer with \`code\` in it`);
  mock.reply = async (say) => {
    for (let i = 0; i < lines.length; i += 20) {
      await say.delta({content: lines.slice(i, i + 20).join('\n\n') + '\n\n'});
      if (i === 1000) await new Promise((resolve) => setTimeout(resolve, 700));
    }
  };
  await open();
  const pasted = 'pasted text, line after line of it\n'.repeat(3000);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.evaluate((text) => navigator.clipboard.writeText(text), pasted);
  await page.keyboard.press('Control+v');
  await page.keyboard.press('Enter');
  await page.locator('.prose').getByText('line 1000 of a').waitFor();
  await page.locator('#scroller').evaluate((s) => (s.scrollTop = 200));
  await answered(page);
  assert.ok(mock.requests[0].messages[0].content.length >= pasted.length - 1);
  assert.equal(await page.locator('.prose > p').count(), 4000);
  assert.ok((await page.locator('#scroller').evaluate((s) => s.scrollTop)) < 400);
  await button('Latest').click();
  await until(() => document.getElementById('to-end').hidden);
  await page.getByRole('button', {name: /Show all/}).click();
  assert.equal((await page.locator('.user .plain-text').innerText()).trim(), pasted.trim());
});

test('two tabs: what one says, the other shows', async () => {
  await open();
  const other = await page.context().newPage();
  other.problems = page.problems;
  watch(other);
  await other.goto(mock.url);
  await ask(page, 'From the first tab');
  await answered(page);
  await other.locator('#chat-list').getByRole('button', {name: 'From the first tab', exact: true}).click();
  await other.locator('#transcript').getByText('You said: From the first tab').waitFor();
  await ask(page, 'And more');
  await other.locator('#transcript').getByText('You said: And more').waitFor();
});

test('a browser that keeps nothing: the page says so and works', async () => {
  page = await (await browser.newContext()).newPage();
  page.problems = [];
  watch(page);
  await page.addInitScript(() => {
    Object.defineProperty(window, 'indexedDB', {get() { throw new DOMException('no', 'SecurityError'); }});
    Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };
  });
  await page.goto(mock.url);
  await page.getByRole('alert').filter({hasText: 'keeps nothing here'}).waitFor();
  await ask(page, 'Hello');
  await answered(page);
  await page.getByRole('button', {name: 'New conversation'}).first().click();
  await page.locator('#chat-list').getByRole('button', {name: 'Hello', exact: true}).click();
  await page.locator('#transcript').getByText('You said: Hello').waitFor();
});

test('a full store is said, and the conversation goes on', async () => {
  page = await (await browser.newContext()).newPage();
  page.problems = [];
  watch(page);
  await page.addInitScript(() => {
    IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); };
  });
  await page.goto(mock.url);
  await ask(page, 'Hello');
  await page.getByRole('alert').filter({hasText: 'storage is full'}).waitFor();
  await page.locator('#transcript').getByText('You said: Hello').waitFor();
});
