// Writes variants of the small tokenizer.json, one folder each, with cases from the reference
// implementation (npm package `tokenizers`): {"text", "ids", "decoded"} a line. Fixed seed.
//   node reference_cases.js PACKAGE_DIR SMALL_TOKENIZER_JSON OUT_DIR
'use strict';
const fs = require('fs');
const path = require('path');
const [packageDir, smallFile, outDir] = process.argv.slice(2);
const { Tokenizer } = require(path.join(packageDir, 'node_modules', 'tokenizers'));

let state = 0x9E3779B97F4A7C15n;
function random(n) { // xorshift64*
  state ^= state >> 12n;
  state = (state ^ (state << 25n)) & 0xFFFFFFFFFFFFFFFFn;
  state ^= state >> 27n;
  return Number(((state * 0x2545F4914F6CDD1Dn) & 0xFFFFFFFFFFFFFFFFn) >> 33n) % n;
}
const pick = list => list[random(list.length)];

const variants = {
  plain: () => {},
  no_byte_fallback: j => { j.model.byte_fallback = false; },
  no_fuse_unk: j => { j.model.byte_fallback = false; j.model.fuse_unk = false; },
  ignore_merges: j => { j.model.ignore_merges = true; j.normalizer = null; },
  no_normalizer: j => { j.normalizer = null; },
  no_pre_tokenizer: j => { j.pre_tokenizer = null; },
  two_replacements: j => {
    const last = j.normalizer;
    j.normalizer = { type: 'Sequence', normalizers: [
      { type: 'Replace', pattern: { String: 'll' }, content: ' a ' }, { type: 'Replace', pattern: { String: 'ab' }, content: 'q' }, last] };
  },
  merges_as_strings: j => { j.model.merges = j.model.merges.map(m => m.join(' ')); },
  strip_decoder: j => { j.decoder.decoders.push({ type: 'Strip', content: ' ', start: 2, stop: 0 }); },
  flags: j => {
    for (const t of j.added_tokens) {
      if (t.content === '<tool>') t.lstrip = true;
      if (t.content === '<tool>x') t.rstrip = t.single_word = true;
      if (t.content === '<n n>') t.lstrip = t.single_word = true;
      if (t.content === 'word') t.normalized = t.rstrip = true;
    }
  },
};
const bits = ['hello', ' world', ' the', 'a', 'b', 'aa', 'ab', 'll', ' ', '  ', '\n', '\n\n', '\t', '\u00A0', '\u2003', '▁', 'é', '世', 'é世',
  'X', 'YZ', '😀', '<|im_start|>', '<|im_end|>', '<tool>', '<tool>x', '<strip>', ' <strip> ', 'word', '_word', 'word\u0301', 'wordy',
  ' word ', '<n n>', '<n▁n>', 'x<n n>', '<', '|', '<bos>', '<unk>', '<0x41>', '\uFFFD', '\u200D', 'ª', '٣', '₁'];

(async () => {
  for (const [name, edit] of Object.entries(variants)) {
    const json = JSON.parse(fs.readFileSync(smallFile, 'utf8'));
    edit(json);
    const dir = path.join(outDir, name);
    fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(path.join(dir, 'tokenizer.json'), JSON.stringify(json));
    const tokenizer = Tokenizer.fromString(JSON.stringify(json));
    const lines = [];
    for (let i = 0; i < 2000; i++) {
      let text = '';
      for (let n = random(12); n > 0; n--) text += pick(bits);
      const ids = (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
      lines.push(JSON.stringify({ text, ids, decoded: await tokenizer.decode(ids, false) }));
    }
    fs.writeFileSync(path.join(dir, 'cases'), lines.join('\n') + '\n');
  }
})().catch(e => { console.error(e); process.exit(1); });
