// markdown: what models write, as nodes. Two steps: parseBlocks() makes a plain tree of the text (no DOM, no markup),
// renderBlocks() makes elements of the tree. HTML in the text stays text; links only go where safeHref() lets them;
// images become links, because the page loads nothing. MarkdownView draws a text that grows.
//
// Blocks:  {t: 'p' | 'h', level, c}, {t: 'code', lang, text, open}, {t: 'quote', b}, {t: 'list', start, items: [b]},
//          {t: 'table', align, rows: [[c]]}, {t: 'rule'}, {t: 'math', text}; each with `at`, where it begins in the text
// Inline:  string, {t: 'strong' | 'em' | 'del' | 'link', href, c}, {t: 'code' | 'math', text}, {t: 'br'}
import {el, copyButton} from './dom.js';

const MAX_DEPTH = 10; // quotes and lists in one another: deeper ones are plain text

// --- blocks ---------------------------------------------------------------------------------------

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:( +)(.*)|\s*)$/;
const QUOTE = /^ {0,3}>/;
const DELIMITERS = /^ {0,3}\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const MATH = /^ {0,3}(\$\$|\\\[)/;

const blank = (line) => /^\s*$/.test(line);
const startsBlock = (line) =>
  FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line) || MATH.test(line);

// An array of blocks; `at` is an offset into text.
export function parseBlocks(text) {
  const lines = text.split('\n');
  const blocks = blocksOf(lines, 0);
  let offset = 0, line = 0;
  for (const block of blocks) {
    for (; line < block.line; line++) offset += lines[line].length + 1;
    block.at = offset;
  }
  return blocks;
}

// Every reader takes the lines and where its block begins, and gives [block, the line after it], or null.
function blocksOf(lines, depth) {
  const blocks = [];
  for (let i = 0; i < lines.length;) {
    if (blank(lines[i])) {
      i++;
      continue;
    }
    const [block, next] = readFence(lines, i) ?? readMath(lines, i) ?? readHeading(lines, i) ?? readRule(lines, i) ??
      readNested(lines, i, depth) ?? readTable(lines, i) ?? readParagraph(lines, i);
    block.line = i;
    blocks.push(block);
    i = next;
  }
  return blocks;
}

function readFence(lines, i) {
  const match = FENCE.exec(lines[i]);
  if (!match) return null;
  const [, fence, info] = match;
  const indent = lines[i].indexOf(fence);
  const closes = new RegExp(`^ {0,3}\\${fence[0]}{${fence.length},}\\s*$`);
  const body = [];
  let open = true;
  for (i++; i < lines.length; i++) {
    if (closes.test(lines[i])) {
      open = false;
      i++;
      break;
    }
    body.push(indent ? lines[i].replace(new RegExp(`^ {0,${indent}}`), '') : lines[i]);
  }
  return [{t: 'code', lang: info.trim().split(/\s+/)[0] ?? '', text: body.join('\n'), open}, i];
}

// $$ ... $$ and \[ ... \], kept as they are: underscores and stars in a formula are no emphasis.
function readMath(lines, i) {
  const match = MATH.exec(lines[i]);
  if (!match) return null;
  const close = match[1] === '$$' ? '$$' : '\\]';
  const from = lines[i].indexOf(match[1]) + 2;
  let text = lines[i].slice(from);
  for (let j = i + 1; ; j++) {
    const end = text.indexOf(close, 0);
    if (end >= 0) return text.slice(end + 2).trim() ? null : [{t: 'math', text: text.slice(0, end).trim()}, j];
    if (j >= lines.length || blank(lines[j])) return [{t: 'math', text: text.trim()}, j];
    text += `\n${lines[j]}`;
  }
}

function readHeading(lines, i) {
  const match = HEADING.exec(lines[i]);
  return match && [{t: 'h', level: match[1].length, c: parseInline(match[2] ?? '')}, i + 1];
}

const readNested = (lines, i, depth) =>
  (depth < MAX_DEPTH ? readQuote(lines, i, depth) ?? readList(lines, i, depth) : null);

const readRule = (lines, i) => (RULE.test(lines[i]) ? [{t: 'rule'}, i + 1] : null);

function readQuote(lines, i, depth) {
  if (!QUOTE.test(lines[i])) return null;
  const inner = [];
  for (; i < lines.length; i++) {
    if (QUOTE.test(lines[i])) inner.push(lines[i].replace(/^ {0,3}> ?/, ''));
    else if (blank(lines[i]) || startsBlock(lines[i]) || blank(inner.at(-1))) break;
    else inner.push(lines[i]); // a paragraph that goes on without its mark
  }
  return [{t: 'quote', b: blocksOf(inner, depth + 1)}, i];
}

function readList(lines, i, depth) {
  const first = ITEM.exec(lines[i]);
  if (!first) return null;
  const ordered = /\d/.test(first[2]), kind = first[2].at(-1);
  const items = [];
  while (i < lines.length) {
    const match = ITEM.exec(lines[i]);
    if (!match || match[2].at(-1) !== kind || RULE.test(lines[i])) break;
    const [body, next] = itemLines(lines, i, match);
    items.push(blocksOf(body, depth + 1));
    i = next;
  }
  return [{t: 'list', start: ordered ? Number.parseInt(first[2], 10) : null, items}, i];
}

// The lines of one item without their indent. Blank lines belong to it if something indented follows. Two spaces are
// indent enough for what belongs to it: models do not count the width of "10. ".
function itemLines(lines, i, match) {
  const spaces = match[3]?.length ?? 1;
  const marker = match[1].length + match[2].length;
  const width = marker + (spaces > 4 ? 1 : spaces);
  const need = Math.min(width, match[1].length + 2);
  const body = [lines[i].slice(width)];
  for (i++; i < lines.length; i++) {
    const line = expandTabs(lines[i]);
    if (blank(line)) {
      let after = i;
      while (after < lines.length && blank(lines[after])) after++;
      if (after === lines.length || indentOf(expandTabs(lines[after])) < need) return [body, after];
      body.push('');
      i = after - 1;
    } else if (indentOf(line) >= need) {
      body.push(line.slice(Math.min(width, indentOf(line))));
    } else if (startsBlock(line) || blank(body.at(-1))) {
      break;
    } else {
      body.push(line);
    }
  }
  return [body, i];
}

const expandTabs = (line) => line.replace(/^[ \t]+/, (indent) => indent.replaceAll('\t', '    '));
const indentOf = (line) => line.length - line.trimStart().length;

function readTable(lines, i) {
  if (!lines[i].includes('|') || i + 1 >= lines.length || !lines[i + 1].includes('-') || !DELIMITERS.test(lines[i + 1])) return null;
  const head = cellsOf(lines[i]), marks = cellsOf(lines[i + 1]);
  if (head.length !== marks.length) return null;
  const align = marks.map((m) => (m.endsWith(':') ? (m.startsWith(':') ? 'center' : 'end') : 'start'));
  const rows = [head.map(parseInline)];
  for (i += 2; i < lines.length && !blank(lines[i]) && lines[i].includes('|'); i++) {
    const cells = cellsOf(lines[i]);
    rows.push(head.map((_, k) => parseInline(cells[k] ?? '')));
  }
  return [{t: 'table', align, rows}, i];
}

function cellsOf(line) {
  const cells = [''];
  const row = line.trim().replace(/^\|/, '').replace(/(^|[^\\])\|$/, '$1');
  let code = false;
  for (let i = 0; i < row.length; i++) {
    if (row[i] === '`') code = !code;
    if (row[i] === '\\' && row[i + 1] === '|') cells[cells.length - 1] += row[++i];
    else if (row[i] === '|' && !code) cells.push('');
    else cells[cells.length - 1] += row[i];
  }
  return cells.map((c) => c.trim());
}

function readParagraph(lines, i) {
  const from = i;
  for (i++; i < lines.length && !blank(lines[i]); i++) {
    const underline = /^ {0,3}(={2,}|-{3,})\s*$/.exec(lines[i]);
    if (underline) {
      const level = underline[1][0] === '=' ? 1 : 2;
      return [{t: 'h', level, c: parseInline(lines.slice(from, i).join('\n').trim())}, i + 1];
    }
    if (startsBlock(lines[i]) || readTable(lines, i)) break;
  }
  return [{t: 'p', c: parseInline(lines.slice(from, i).join('\n').trim())}, i];
}

// --- inline ---------------------------------------------------------------------------------------

const PUNCTUATION = /[!-/:-@[-`{-~\p{P}\p{S}]/u;
const ENTITIES = {amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0'};

// Where a link may go: the web and mail, written out in full. No script, data, file or relative address.
export function safeHref(href) {
  const trimmed = href.trim();
  if (/[\u0000-\u0020\u007f-\u009f\u200b-\u200f\u2028-\u202f\u2066-\u2069]/.test(trimmed)) return null;
  return /^(https?:\/\/[^/]|mailto:[^?]+@)/i.test(trimmed) ? trimmed : null;
}

// A tree of inline nodes. Linear in the text but for pathological input, whose cost the limits below bound.
export function parseInline(text) {
  const scan = {text, i: 0, tokens: [], brackets: [], failed: new Set(), bare: ''};
  while (scan.i < text.length) {
    const rule = RULES[text[scan.i]];
    if (!rule || !rule(scan)) scan.bare += text[scan.i++];
  }
  flush(scan);
  return emphasize(scan.tokens);
}

function flush(scan) {
  if (scan.bare) scan.tokens.push(scan.bare);
  scan.bare = '';
}

function put(scan, token, next) {
  flush(scan);
  scan.tokens.push(token);
  scan.i = next;
  return true;
}

const RULES = {
  '\\': readEscape, '`': readCode, '*': readRun, _: readRun, '~': readRun, '[': readBracket, '!': readImage, ']': readLink,
  '<': readAngle, '&': readEntity, '\n': readBreak, h: readBare, H: readBare,
};

function readEscape(scan) {
  const next = scan.text[scan.i + 1];
  if (next === '(' || next === '[') return readInlineMath(scan, next === '(' ? '\\)' : '\\]');
  if (next === '\n') return put(scan, {t: 'br'}, scan.i + 2);
  if (next === undefined || !/[!-/:-@[-`{-~]/.test(next)) return false;
  scan.bare += next;
  scan.i += 2;
  return true;
}

function readInlineMath(scan, close) {
  if (!scan.failed.has(close) && !scan.text.includes(close, scan.i)) scan.failed.add(close);
  const near = scan.failed.has(close) ? '' : scan.text.slice(scan.i + 2, scan.i + 2000);
  const end = near.indexOf(close);
  if (end < 0) {
    scan.bare += scan.text[scan.i + 1];
    scan.i += 2;
    return true;
  }
  return put(scan, {t: 'math', text: near.slice(0, end).trim()}, scan.i + 2 + end + 2);
}

// A code span ends at the next run of as many ticks. What was sought in vain once (`failed`) is not sought again.
function readCode(scan) {
  const {text, i} = scan;
  let n = 1;
  while (text[i + n] === '`') n++;
  for (let at = i + n; !scan.failed.has(n);) {
    const from = text.indexOf('`', at);
    if (from < 0) break;
    for (at = from; text[at] === '`';) at++;
    if (at - from !== n) continue;
    let code = text.slice(i + n, from).replaceAll('\n', ' ');
    if (code.startsWith(' ') && code.endsWith(' ') && code.trim()) code = code.slice(1, -1);
    return put(scan, {t: 'code', text: code}, at);
  }
  scan.failed.add(n);
  scan.bare += text.slice(i, i + n);
  scan.i += n;
  return true;
}

// A run of *, _ or ~ that may open or close emphasis, by CommonMark's rules of flanking.
function readRun(scan) {
  const {text, i} = scan;
  const mark = text[i];
  let n = 1;
  while (text[i + n] === mark) n++;
  if (mark === '~' && n !== 2) return false;
  const before = i ? text[i - 1] : ' ', after = text[i + n] ?? ' ';
  const spaceBefore = /\s/.test(before), spaceAfter = /\s/.test(after);
  const wordBefore = !spaceBefore && !PUNCTUATION.test(before), wordAfter = !spaceAfter && !PUNCTUATION.test(after);
  const left = !spaceAfter && (wordAfter || !wordBefore), right = !spaceBefore && (wordBefore || !wordAfter);
  const opens = mark === '_' ? left && (!right || !wordBefore) : left;
  const closes = mark === '_' ? right && (!left || !wordAfter) : right;
  return put(scan, {run: mark, n, size: n, opens, closes, starts: [], ends: []}, i + n);
}

function readBracket(scan) {
  flush(scan);
  scan.brackets.push({at: scan.tokens.length, image: false});
  scan.tokens.push('[');
  scan.i++;
  return true;
}

function readImage(scan) {
  if (scan.text[scan.i + 1] !== '[') return false;
  flush(scan);
  scan.brackets.push({at: scan.tokens.length, image: true});
  scan.tokens.push('![');
  scan.i += 2;
  return true;
}

// ](address "title") after an open bracket: the tokens in between are the link's text.
function readLink(scan) {
  const open = scan.brackets.pop();
  if (!open || scan.text[scan.i + 1] !== '(') return false;
  const target = /^\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/
    .exec(scan.text.slice(scan.i + 1, scan.i + 2100));
  if (!target) return false;
  flush(scan);
  const inner = emphasize(scan.tokens.splice(open.at).slice(1));
  const href = safeHref((target[1] ?? target[2]).replace(/\\([!-/:-@[-`{-~])/g, '$1'));
  if (open.image && !inner.length) inner.push('image');
  if (href) {
    scan.tokens.push({t: 'link', href, c: inner.map(withoutLinks)});
    if (!open.image) scan.brackets.length = 0; // no link in a link
  } else {
    scan.tokens.push(...inner);
  }
  scan.i += 1 + target[0].length;
  return true;
}

function withoutLinks(node) {
  if (typeof node === 'string' || !node.c) return node;
  const c = node.c.map(withoutLinks);
  return node.t === 'link' ? {t: 'span', c} : {...node, c};
}

function readAngle(scan) {
  const rest = scan.text.slice(scan.i, scan.i + 2100);
  const link = /^<([a-z][a-z0-9+.-]*:[^<>\s]*)>/i.exec(rest);
  const href = link && safeHref(link[1]);
  if (href) return put(scan, {t: 'link', href, c: [link[1]]}, scan.i + link[0].length);
  const br = /^<br\s*\/?>/i.exec(rest); // the one tag that models write in tables
  return br ? put(scan, {t: 'br'}, scan.i + br[0].length) : false;
}

function readEntity(scan) {
  const match = /^&([a-z]{2,4});/.exec(scan.text.slice(scan.i, scan.i + 8));
  if (!match || !Object.hasOwn(ENTITIES, match[1])) return false;
  scan.bare += ENTITIES[match[1]];
  scan.i += match[0].length;
  return true;
}

function readBreak(scan) {
  const hard = /( {2,})$/.exec(scan.bare);
  scan.bare = scan.bare.trimEnd();
  if (hard) return put(scan, {t: 'br'}, scan.i + 1);
  scan.bare += '\n';
  scan.i++;
  return true;
}

// An address that stands in the text as it is.
function readBare(scan) {
  if (/[\p{L}\p{N}]$/u.test(scan.text.slice(Math.max(0, scan.i - 2), scan.i))) return false;
  const match = /^https?:\/\/[^\s<>"`*]+/i.exec(scan.text.slice(scan.i, scan.i + 2100));
  if (!match) return false;
  let url = match[0].replace(/[.,:;!?'")\]}_~]+$/, '');
  if (match[0][url.length] === ')' && url.includes('(')) url += ')';
  const href = safeHref(url);
  return href ? put(scan, {t: 'link', href, c: [url]}, scan.i + url.length) : false;
}

// Pairs the runs in tokens (CommonMark's algorithm) and nests what is between. The runs that may still open something
// are a chain, the latest first, in which every run names the one `below` it.
function emphasize(tokens) {
  let top = null;
  const searched = new Map(); // for each kind of closer, the place before which there is no opener for it
  tokens.forEach((closer, place) => {
    if (!closer.run) return;
    closer.place = place;
    closer.below = top;
    while (closer.closes && closer.n > 0) {
      const kind = `${closer.run}${closer.opens}${closer.size % 3}`;
      const opener = openerOf(closer, searched.get(kind) ?? 0);
      if (!opener) {
        searched.set(kind, place);
        break;
      }
      const n = closer.run === '~' || (opener.n >= 2 && closer.n >= 2) ? 2 : 1;
      const type = closer.run === '~' ? 'del' : n === 2 ? 'strong' : 'em';
      opener.starts.push(type);
      closer.ends.push(type);
      opener.n -= n;
      closer.n -= n;
      closer.below = opener.n ? opener : opener.below; // what lies between can no longer pair with the outside
    }
    top = closer.opens && closer.n ? closer : closer.below;
  });
  return nest(tokens);
}

function openerOf(closer, since) {
  for (let opener = closer.below; opener && opener.place >= since; opener = opener.below) {
    if (opener.run !== closer.run) continue;
    const odd = (opener.closes || closer.opens) && (opener.size + closer.size) % 3 === 0 && (opener.size % 3 || closer.size % 3);
    if (!odd || closer.run === '~') return opener;
  }
  return null;
}

function nest(tokens) {
  const stack = [[]];
  const text = (s) => {
    const top = stack.at(-1);
    if (typeof top.at(-1) === 'string') top[top.length - 1] += s;
    else top.push(s);
  };
  for (const token of tokens) {
    if (typeof token === 'string') text(token);
    else if (!token.run) stack.at(-1).push(token);
    else {
      for (const type of token.ends) {
        const c = stack.pop();
        stack.at(-1).push({t: type, c});
      }
      if (token.n) text(token.run.repeat(token.n));
      for (let k = token.starts.length; k > 0; k--) stack.push([]);
    }
  }
  return stack[0];
}

// --- elements -------------------------------------------------------------------------------------

export function renderBlocks(blocks) {
  return blocks.map(renderBlock);
}

function renderBlock(block) {
  switch (block.t) {
    // The page's own headings come first: an answer's, which mostly begin at ##, begin at the third level.
    case 'h': return el(`h${Math.min(6, Math.max(3, block.level + 1))}`, {class: `h${block.level}`}, renderInline(block.c));
    case 'code': return renderCode(block);
    case 'quote': return el('blockquote', {}, renderBlocks(block.b));
    case 'list': return renderList(block);
    case 'table': return renderTable(block);
    case 'rule': return el('hr');
    case 'math': return el('pre', {class: 'math', tabindex: '0'}, block.text);
    default: return el('p', {}, renderInline(block.c));
  }
}

function renderCode(block) {
  const code = el('code', {}, block.text);
  const head = el('div', {class: 'code-head'}, el('span', {class: 'lang'}, block.lang || 'text'),
    copyButton('Copy the code', () => code.textContent));
  const pre = el('pre', {tabindex: '0', 'aria-label': `Code, ${block.lang || 'text'}`, role: 'group'}, code);
  return el('div', {class: 'code'}, head, pre);
}

function renderList(block) {
  const tag = block.start === null ? 'ul' : 'ol';
  const list = el(tag, {start: block.start > 1 ? String(block.start) : null});
  for (const item of block.items) list.append(renderItem(item));
  return list;
}

function renderItem(blocks) {
  const first = blocks[0];
  const task = first?.t === 'p' && typeof first.c[0] === 'string' && /^\[([ xX])\]\s+/.exec(first.c[0]);
  const inner = blocks.map((b, i) => {
    if (b.t !== 'p') return [renderBlock(b)];
    const c = task && i === 0 ? [b.c[0].slice(task[0].length), ...b.c.slice(1)] : b.c;
    return blocks.length === 1 || (i === 0 && blocks[1]?.t === 'list' && blocks.length === 2) ? renderInline(c) : [el('p', {}, renderInline(c))];
  });
  if (!task) return el('li', {}, inner);
  const done = task[1] !== ' ';
  return el('li', {class: 'task'}, el('span', {class: 'box', role: 'img', 'aria-label': done ? 'done' : 'not done'}, done ? '☑' : '☐'), ' ', inner);
}

function renderTable(block) {
  const row = (cells, tag) => el('tr', {}, cells.map((c, k) =>
    el(tag, {class: block.align[k], scope: tag === 'th' ? 'col' : null}, renderInline(c))));
  const [head, ...rest] = block.rows;
  return el('div', {class: 'table', role: 'group', 'aria-label': 'Table', tabindex: '0'},
    el('table', {}, el('thead', {}, row(head, 'th')), el('tbody', {}, rest.map((cells) => row(cells, 'td')))));
}

function renderInline(nodes) {
  return nodes.map((node) => {
    if (typeof node === 'string') return document.createTextNode(node);
    switch (node.t) {
      case 'br': return el('br');
      case 'code': return el('code', {}, node.text);
      case 'math': return el('code', {class: 'math'}, node.text);
      case 'link': return el('a', {href: node.href, title: node.href, rel: 'noopener noreferrer nofollow', target: '_blank'}, renderInline(node.c));
      default: return el(node.t, {}, renderInline(node.c));
    }
  });
}

// Which of the blocks of a growing text is the first that may still change: the last one; the one before it where the
// last begins on the line that is being written ("-" may become the underline of a heading). -1 if there is none.
export function firstOpen(text, blocks) {
  const last = blocks.length - 1;
  return last > 0 && text.indexOf('\n', blocks[last].at) < 0 ? last - 1 : last;
}

// Draws a text that grows: blocks that are complete are drawn once, only what may still change is drawn again.
export class MarkdownView {
  constructor(box) {
    this.box = box;
    this.text = '';
    this.settled = 0; // offset of the first block that may change
    this.tail = []; // the elements from there on
    this.code = null; // the text node of an open code block
  }
  update(text) {
    if (text === this.text) return;
    if (!text.startsWith(this.text)) this.clear();
    this.text = text;
    const rest = text.slice(this.settled);
    const blocks = parseBlocks(rest);
    const open = firstOpen(rest, blocks);
    const last = blocks.at(-1);
    const goesOn = this.code && blocks.length === 1 && last.t === 'code' && last.lang === this.lang;
    if (goesOn && last.text.startsWith(this.code.data)) {
      this.code.appendData(last.text.slice(this.code.data.length));
    } else {
      for (const node of this.tail) node.remove();
      const nodes = renderBlocks(blocks);
      this.box.append(...nodes);
      this.tail = nodes.slice(Math.max(0, open));
      this.code = last?.t === 'code' && this.tail.length === 1 ? this.tail[0].querySelector('code').firstChild : null;
      this.lang = last?.lang;
    }
    if (last) this.settled += blocks[open].at;
  }
  clear() {
    this.box.replaceChildren();
    this.settled = 0;
    this.tail = [];
    this.code = null;
  }
}
