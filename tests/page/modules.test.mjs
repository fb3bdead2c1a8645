// The parts of the page that need no browser: markdown as a tree, conversations as trees, events of a stream, settings.
import assert from 'node:assert/strict';
import {cpSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, test} from 'node:test';

// The sources are modules of a page; for node to see them as modules, a package.json has to say so.
const folder = mkdtempSync(join(tmpdir(), 'zaya-page-'));
cpSync(new URL('../../src/server/web', import.meta.url), folder, {recursive: true});
writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
after(() => rmSync(folder, {recursive: true}));
const load = (name) => import(join(folder, `${name}.js`));
const {firstOpen, parseBlocks, parseInline, safeHref} = await load('markdown');
const tree = await load('tree');
const {EventReader} = await load('api');
const {Answer} = await load('answer');
const {toolsFrom, numberFrom} = await load('settings');

// A tree as one line: <p>one <em>two</em></p>
const inline = (nodes) => nodes.map((n) => {
  if (typeof n === 'string') return n;
  if (n.t === 'br') return '<br>';
  if (n.t === 'code' || n.t === 'math') return `<${n.t}>${n.text}</${n.t}>`;
  return n.t === 'link' ? `<a ${n.href}>${inline(n.c)}</a>` : `<${n.t}>${inline(n.c)}</${n.t}>`;
}).join('');
const blocks = (list) => list.map((b) => {
  switch (b.t) {
    case 'h': return `<h${b.level}>${inline(b.c)}</h${b.level}>`;
    case 'code': return `<pre ${b.lang}${b.open ? ' open' : ''}>${b.text}</pre>`;
    case 'quote': return `<quote>${blocks(b.b)}</quote>`;
    case 'list': return `<${b.start === null ? 'ul' : `ol ${b.start}`}>${b.items.map((i) => `<li>${blocks(i)}</li>`).join('')}</>`;
    case 'table': return `<table ${b.align.join(' ')}>${b.rows.map((r) => r.map(inline).join('|')).join('/')}</table>`;
    case 'rule': return '<hr>';
    case 'math': return `<math>${b.text}</math>`;
    default: return `<p>${inline(b.c)}</p>`;
  }
}).join('');

const INLINE = [
  ['plain', 'plain'],
  ['*a* **b** ***c*** _d_ __e__', '<em>a</em> <strong>b</strong> <em><strong>c</strong></em> <em>d</em> <strong>e</strong>'],
  ['**a *b* c**', '<strong>a <em>b</em> c</strong>'],
  ['*a **b***', '<em>a <strong>b</strong></em>'],
  ['**a*', '*<em>a</em>'],
  ['2 * 3 * 4 and snake_case_name', '2 * 3 * 4 and snake_case_name'],
  ['**unclosed and *half*', '**unclosed and <em>half</em>'],
  ['*a _b* c_', '<em>a _b</em> c_'],
  ['~~gone~~ and ~kept~', '<del>gone</del> and ~kept~'],
  ['`a*b*` ``x ` y`` `open', '<code>a*b*</code> <code>x ` y</code> `open'],
  ['\\*not\\* \\(a_b_c\\)', '*not* <math>a_b_c</math>'],
  ['[a](https://x.org/b_c_d) [*e*](mailto:a@b.c)', '<a https://x.org/b_c_d>a</a> <a mailto:a@b.c><em>e</em></a>'],
  ['[a](https://x.org/(b) "title")', '<a https://x.org/(b)>a</a>'],
  ['[a [b](https://x.org/c)](https://x.org/d)', '[a <a https://x.org/c>b</a>](<a https://x.org/d>https://x.org/d</a>)'],
  ['see https://x.org/a_b_c, or (https://x.org/d).', 'see <a https://x.org/a_b_c>https://x.org/a_b_c</a>, or (<a https://x.org/d>https://x.org/d</a>).'],
  ['<https://x.org/?a=1&b=2>', '<a https://x.org/?a=1&b=2>https://x.org/?a=1&b=2</a>'],
  ['![a cat](https://x.org/cat.png)', '<a https://x.org/cat.png>a cat</a>'],
  ['[a](javascript:alert(1)) [b](/admin) [c](data:text/html,x) [d](java\nscript:x)', 'a b c [d](java\nscript:x)'],
  ['<b>no</b> <img src=x onerror=alert(1)> &lt;i&gt; &copy;', '<b>no</b> <img src=x onerror=alert(1)> <i> &copy;'],
  ['one  \ntwo\\\nthree\nfour', 'one<br>two<br>three\nfour'],
];

test('inline markdown', () => {
  for (const [text, want] of INLINE) assert.equal(inline(parseInline(text)), want, text);
});

const BLOCKS = [
  ['# A\n\ntext\nmore\n\n## B ##', '<h1>A</h1><p>text\nmore</p><h2>B</h2>'],
  ['Title\n===\n\nUnder\n---\ntext\n\n---\n\n#hash', '<h1>Title</h1><h2>Under</h2><p>text</p><hr><p>#hash</p>'],
  ['```c\nint a; /* *b* */\n\n```\nafter', '<pre c>int a; /* *b* */\n</pre><p>after</p>'],
  ['````md\n```\nx\n```\n````', '<pre md>```\nx\n```</pre>'],
  ['text\n```py\nx = 1', '<p>text</p><pre py open>x = 1</pre>'],
  ['- a\n- b\n  - c\n    d\n- e', '<ul><li><p>a</p></li><li><p>b</p><ul><li><p>c\nd</p></li></></li><li><p>e</p></li></>'],
  ['3. a\n\n4. b\n\n   more\n\nout', '<ol 3><li><p>a</p></li><li><p>b</p><p>more</p></li></><p>out</p>'],
  ['1. a\n  - b\n2. c', '<ol 1><li><p>a</p><ul><li><p>b</p></li></></li><li><p>c</p></li></>'],
  ['- a\n* b', '<ul><li><p>a</p></li></><ul><li><p>b</p></li></>'],
  ['- a\n  ```\n  x\n  ```\n- b', '<ul><li><p>a</p><pre >x</pre></li><li><p>b</p></li></>'],
  ['text\n- a', '<p>text</p><ul><li><p>a</p></li></>'],
  ['> a\n> > b\n\nc', '<quote><p>a</p><quote><p>b</p></quote></quote><p>c</p>'],
  ['> a\nb\n- c', '<quote><p>a\nb</p></quote><ul><li><p>c</p></li></>'],
  ['| a | b |\n|---|--:|\n| 1 | `x|y` |\n| \\| | |\nend', '<table start end>a|b/1|<code>x|y</code>/||</table><p>end</p>'],
  ['a | b\n:-: | -\n1 | 2 | 3', '<table center start>a|b/1|2</table>'],
  ['no | table\nhere', '<p>no | table\nhere</p>'],
  ['$$\na_b + c_d\n$$\ntext', '<math>a_b + c_d</math><p>text</p>'],
  ['\\[ x = 1 \\]', '<math>x = 1</math>'],
  ['', ''],
  ['\n\n', ''],
];

test('blocks of markdown', () => {
  for (const [text, want] of BLOCKS) assert.equal(blocks(parseBlocks(text)), want, JSON.stringify(text));
});

// What MarkdownView relies on: a block before the first open one never changes, wherever the text was cut.
test('a growing text: blocks that are settled are final', () => {
  const texts = [...BLOCKS.map(([text]) => text), BLOCKS.map(([text]) => text).join('\n\n')];
  for (const text of texts) {
    const whole = blocks(parseBlocks(text));
    for (const step of [1, 2, 3, 7]) {
      let settled = 0, done = '', shown = '';
      for (let end = step; ; end += step) {
        const rest = text.slice(settled, end);
        const list = parseBlocks(rest);
        const open = Math.max(0, firstOpen(rest, list));
        done += blocks(list.slice(0, open));
        shown = done + blocks(list.slice(open));
        if (list.length) settled += list[open].at;
        if (end >= text.length) break;
      }
      assert.equal(shown, whole, JSON.stringify(text));
    }
  }
});

test('hostile markdown: no deep stack, no cost that grows with the square', () => {
  const n = 100000;
  const texts = ['*'.repeat(n), '*a '.repeat(n), 'a* '.repeat(n), '*a_ '.repeat(n), '['.repeat(n), '[a]('.repeat(n), '`'.repeat(n), '` `` '.repeat(n),
    '> '.repeat(n), '- '.repeat(n), '![['.repeat(n), '<'.repeat(n), '\\('.repeat(n), '&amp'.repeat(n), '|'.repeat(n) + '\n' + '|-'.repeat(n), '- a\n'.repeat(n),
    '- a' + '\n'.repeat(n) + 'b', '~~'.repeat(n), '**a _b '.repeat(n), '$$\n'.repeat(n), `${'#'.repeat(n)} a`, '_*'.repeat(n), 'h'.repeat(n), 'https://'.repeat(n),
    'a\n|'.repeat(n / 10), '| a |\n|---|\n'.repeat(n / 10)];
  // No bound in seconds here: ten billion steps would run into the time limit of the suite.
  for (const text of texts) assert.ok(Array.isArray(parseBlocks(text)));
});

test('random markdown: no crash, and every character of plain words survives', () => {
  let seed = 7;
  const next = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  const parts = ['*', '**', '_', '`', '```', '\n', '\n\n', '- ', '1. ', '> ', '[', '](', ')', '<', '>', '|', '|-|\n', '#', ' ', '  ', '\t', '~~', '\\', '$$', '!', 'w0', 'w1', 'w2'];
  const words = (node) => (typeof node === 'string' ? node : JSON.stringify(node));
  for (let round = 0; round < 4000; round++) {
    const text = Array.from({length: next(30)}, () => parts[next(parts.length)]).join('');
    const out = words(parseBlocks(text));
    for (const word of ['w0', 'w1', 'w2']) {
      // A link's address that is refused is the only text that may go; it never begins a line.
      const wanted = text.includes(word) && !text.includes('](') && !/(```|~~~)/.test(text);
      if (wanted) assert.ok(out.includes(word), JSON.stringify(text));
    }
  }
});

test('where links may go', () => {
  for (const good of ['https://a.b/c?d#e', 'http://localhost:1/x', 'HTTPS://A.B', 'mailto:a@b.c']) assert.equal(safeHref(good), good);
  for (const bad of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', ' javascript:x', 'java\tscript:x', '\u0001javascript:x', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd',
    'blob:https://a.b/c', '//a.b', '/a', 'a.html', '', 'https:///a', 'https://a\u202egpj.b', 'https://a.b/\u0000', 'intent://x', 'mailto:?x']) assert.equal(safeHref(bad), null, bad);
});

// --- conversations ---

function talk() {
  const chat = tree.newChat();
  const q1 = tree.addNode(chat, 'root', {role: 'user', content: 'one'});
  const a1 = Object.assign(tree.newAnswer(chat, q1.id, 'm'), {content: 'first', state: 'done'});
  const q2 = tree.addNode(chat, a1.id, {role: 'user', content: 'two'});
  const a2 = Object.assign(tree.newAnswer(chat, q2.id, 'm'), {content: 'second', reasoning: 'hm', state: 'done'});
  return {chat, q1, a1, q2, a2};
}
const shown = (chat) => tree.shownPath(chat).map((n) => n.content).join(' ');

test('versions: editing adds a branch, and each keeps what followed it', () => {
  const {chat, a1, q2} = talk();
  const other = tree.addNode(chat, a1.id, {role: 'user', content: 'two again'});
  assert.equal(shown(chat), 'one first two again');
  assert.deepEqual(tree.versions(chat, other), {at: 2, of: 2});
  assert.equal(tree.chooseVersion(chat, other, -1), q2);
  assert.equal(shown(chat), 'one first two second');
  assert.equal(tree.chooseVersion(chat, q2, -1), q2);
  tree.chooseVersion(chat, q2, 1);
  assert.equal(shown(chat), 'one first two again');
  tree.dropNode(chat, other);
  assert.equal(shown(chat), 'one first two second');
});

test('the messages of a request', () => {
  const {chat, a2} = talk();
  a2.calls = [{id: 'c1', name: 'f', arguments: '{}'}];
  const messages = tree.requestMessages(chat, a2, 'be kind');
  assert.deepEqual(messages.slice(0, 3), [{role: 'system', content: 'be kind'}, {role: 'user', content: 'one'}, {role: 'assistant', content: 'first'}]);
  assert.deepEqual(messages[4].tool_calls, [{id: 'c1', type: 'function', function: {name: 'f', arguments: '{}'}}]);
  assert.equal(messages[4].reasoning_content, 'hm');
  assert.equal(messages[5].role, 'tool'); // a call that nobody answered
  const results = tree.addNode(chat, a2.id, {role: 'tool', results: [{id: 'c1', name: 'f', content: '42'}]});
  assert.deepEqual(tree.requestMessages(chat, results, '').slice(-1), [{role: 'tool', tool_call_id: 'c1', name: 'f', content: '42'}]);
  assert.equal(tree.requestMessages(chat, results, '').length, 5);
  const failed = tree.newAnswer(chat, results.id, 'm');
  assert.equal(tree.requestMessages(chat, failed, '').length, 5);
});

test('the rate of an answer, where it took long enough to have one', () => {
  const rate = (firstAt, lastAt) => Answer.prototype.stats.call({usage: {completion_tokens: 11}, started: 0, firstAt, lastAt}).rate;
  assert.equal(rate(1000, 1500), 20);
  assert.equal(rate(1000, 1001), null); // all events at once
  assert.equal(rate(null, 0), null);
});

test('a conversation from a file: what went out comes back, and nothing else comes in', () => {
  const {chat} = talk();
  chat.title = 'T';
  const back = tree.chatFrom(JSON.parse(JSON.stringify(chat)));
  assert.equal(shown(back), shown(chat));
  assert.equal(back.title, 'T');
  assert.notEqual(back.id, chat.id);
  for (const bad of [null, 1, 'x', [], {}, {nodes: null}, {nodes: {}}, {nodes: {root: {kids: ['root']}}}, {nodes: {root: {kids: ['__proto__', 'toString', 5]}}},
    {nodes: {root: {kids: ['a']}, a: {role: 'system', kids: []}}}]) assert.equal(tree.chatFrom(bad), null);
  const odd = tree.chatFrom({nodes: {root: {kids: ['a', 'a', 'b'], pick: 99}, a: {role: 'user', content: {}, kids: ['a', 'root'], pick: -1, onclick: 'x'},
    b: {role: 'assistant', calls: [{name: 3}], stats: {rate: 'x', firstMs: 4}, state: 'running', error: {message: 'x'}, kids: 'no'}}});
  assert.equal(Object.keys(odd.nodes).length, 3);
  const [a, b] = odd.nodes.root.kids.map((id) => odd.nodes[id]);
  assert.equal(a.content, '');
  assert.equal(a.onclick, undefined);
  assert.deepEqual([b.calls, b.stats.rate, b.stats.firstMs, b.state, b.error], [[{id: '', name: '', arguments: ''}], null, 4, 'stopped', null]);
});

// --- streams and settings ---

test('events of a stream, cut anywhere', () => {
  const text = ': hello\r\ndata: one\r\n\r\nevent: x\ndata: two\ndata:  three\n\n:\n\ndata: {"a":1}\r\rdata: open\n';
  const want = ['one', 'two\n three', '{"a":1}'];
  assert.deepEqual(new EventReader().push(text), want);
  for (let size = 1; size < 9; size++) {
    const reader = new EventReader(), got = [];
    for (let i = 0; i < text.length; i += size) got.push(...reader.push(text.slice(i, i + size)));
    assert.deepEqual(got, want);
  }
});

test('tools and numbers from fields', () => {
  const tool = {type: 'function', function: {name: 'f', parameters: {type: 'object'}}};
  assert.deepEqual(toolsFrom(JSON.stringify([tool])), [tool]);
  assert.deepEqual(toolsFrom(JSON.stringify(tool.function)), [tool]);
  assert.throws(() => toolsFrom('[{'), /Not JSON/);
  assert.throws(() => toolsFrom('[{"type": "function"}]'), /Tool 1/);
  assert.throws(() => toolsFrom('[null]'), /Tool 1/);
  assert.equal(numberFrom('temperature', ' 0,7 '), 0.7);
  assert.equal(numberFrom('temperature', ''), null);
  assert.equal(numberFrom('temperature', '0'), 0);
  assert.throws(() => numberFrom('temperature', '3'), /From 0 to 2/);
  assert.throws(() => numberFrom('max_tokens', '1.5'), /whole/);
  assert.throws(() => numberFrom('seed', 'abc'), /whole/);
});
