// Writes the cases of the tokenizer oracle: one JSON line {"text", "ids"} each, ids as the JavaScript
// encoder of the package gives them, without <bos>. The strings come from a fixed seed.
//   node oracle_cases.js PACKAGE_DIR TEXT_FILE OUT COUNT
'use strict';
const fs = require('fs');
const path = require('path');
const [packageDir, textFile, outFile, countText] = process.argv.slice(2);
const gemma = require(path.join(packageDir, 'node_modules', '@lenml', 'tokenizer-gemma3'));
const tokenizer = gemma.fromPreTrained();
const text = fs.readFileSync(textFile, 'utf8');
const lines = text.split('\n');

let state = 0x2545F491n;
function random(n) { // xorshift64*
  state ^= state >> 12n;
  state = (state ^ (state << 25n)) & 0xFFFFFFFFFFFFFFFFn;
  state ^= state >> 27n;
  return Number(((state * 0x2545F4914F6CDD1Dn) & 0xFFFFFFFFFFFFFFFFn) >> 33n) % n;
}
const pick = list => list[random(list.length)];

const added = tokenizer.added_tokens.map(t => t.content);
const ranges = [
  [0x20, 0x7E], [0x00, 0x1F], [0x7F, 0xFF], [0x100, 0x24F], [0x250, 0x36F], [0x370, 0x3FF], [0x400, 0x52F],
  [0x530, 0x5FF], [0x600, 0x6FF], [0x900, 0x97F], [0x980, 0xDFF], [0xE00, 0xEFF], [0xF00, 0xFFF],
  [0x1000, 0x109F], [0x10A0, 0x10FF], [0x1100, 0x11FF], [0x1200, 0x13FF], [0x1E00, 0x1FFF], [0x2000, 0x206F],
  [0x2070, 0x2BFF], [0x3040, 0x30FF], [0x4E00, 0x9FFF], [0xAC00, 0xD7A3], [0xE000, 0xE0FF], [0xF900, 0xFAFF],
  [0xFB50, 0xFDFF], [0xFE00, 0xFFFD], [0x10000, 0x1034F], [0x12000, 0x123FF], [0x13000, 0x1342F],
  [0x1D400, 0x1D7FF], [0x1F000, 0x1F9FF], [0x20000, 0x2A6DF], [0xE0000, 0xE01EF], [0x10FF00, 0x10FFFF]];
const emoji = ['👍', '👍🏽', '👩‍👩‍👧‍👦', '🏳️‍🌈', '🇩🇪', '❤️', '🤷🏾‍♀️', '🧑🏻‍💻', '1️⃣', '\u200D', '\uFE0F', '🏴󠁧󠁢󠁥󠁮󠁧󠁿'];
const bits = [' ', '  ', '\n', '\n\n', '\t', '\r\n', '▁', '▁▁', '<', '>', '</', '<unused', '<0x0A>', '<0xE2>', '<|im_end|>',
  '\u00A0', '\u2028', '\u3000', '\uFEFF', '\u0000', 'e\u0301', 'é', '\uFFFD', '0', '123', 'ﬁ', 'İ', 'ß', '[multimodal]', '<bos'];

function characters() {
  let s = '';
  for (let n = 1 + random(24); n > 0; n--) {
    const [low, high] = pick(ranges);
    s += String.fromCodePoint(low + random(high - low + 1));
  }
  return s;
}
function oneScript() {
  const [low, high] = pick(ranges);
  let s = '';
  for (let n = 1 + random(60); n > 0; n--) s += random(6) ? String.fromCodePoint(low + random(high - low + 1)) : ' ';
  return s;
}
function surrogates() { // alone, and replaced as a UTF-8 encoder replaces them
  let s = '';
  for (let n = 1 + random(12); n > 0; n--)
    s += random(3) ? String.fromCharCode(0xD700 + random(0x900)) : pick(bits);
  return s.toWellFormed ? s.toWellFormed() : Buffer.from(s, 'utf8').toString('utf8');
}
function mixed() {
  let s = '';
  for (let n = 1 + random(16); n > 0; n--)
    s += pick([() => pick(bits), () => pick(added), () => pick(emoji), () => pick(lines), characters])();
  return s;
}
function slice() {
  const chars = Array.from(pick(lines));
  const a = random(chars.length + 1);
  return chars.slice(a, a + random(40)).join('');
}
function run() { return pick(bits.concat(emoji, ['a', 'ab', '=', '-', '哈', 'ก', '\u0301', 'aA', ' a'])).repeat(1 + random(300)); }
function cutAdded() { const t = pick(added); return t.slice(random(t.length)) + t.slice(0, random(t.length + 1)) + t; }

const makers = [characters, oneScript, surrogates, mixed, slice, run, cutAdded];
const cases = ['', ' ', '\n', text, text.repeat(3)];
for (const line of lines) cases.push(line);
for (const t of added) cases.push(t);
for (let i = 0; cases.length < Number(countText) + added.length; i++) cases.push(makers[i % makers.length]());

const out = fs.openSync(outFile, 'w');
for (const s of cases)
  fs.writeSync(out, JSON.stringify({ text: s, ids: tokenizer.encode(s, { add_special_tokens: false }) }) + '\n');
fs.closeSync(out);
let big = text;
while (Buffer.byteLength(big) < 1 << 20) big += text;
const before = process.hrtime.bigint();
const n = tokenizer.encode(big).length;
const ms = Number((process.hrtime.bigint() - before) / 1000000n);
console.log(`${cases.length} cases; JavaScript: ${Buffer.byteLength(big)} bytes to ${n} ids in ${ms} ms`);
