// dom: making nodes, icons, the clipboard, notices. No string ever becomes markup: what a model or a person
// wrote goes in as text nodes, and the server's policy (trusted types) refuses anything else.

// el('p', {class: 'note', onclick: f, 'aria-label': '..', disabled: true}, child, ...): children are nodes or strings.
export function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'class') node.className = value;
    else if (key === 'value' || key === 'disabled' || key === 'hidden' || key === 'open') node[key] = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

// Strokes of 24 x 24 icons.
const ICONS = {
  plus: 'M12 5v14M5 12h14',
  close: 'M6 6l12 12M18 6L6 18',
  menu: 'M4 7h16M4 12h10M4 17h16',
  search: 'M10.5 17a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13zM15.5 15.5L20 20',
  sliders: 'M4 8h9M17 8h3M4 16h3M11 16h9M15 6v4M9 14v4',
  up: 'M12 19V5M6 11l6-6 6 6',
  down: 'M12 5v14M6 13l6 6 6-6',
  stop: 'M7 7h10v10H7z',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  done: 'M5 13l4 4L19 7',
  pencil: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  again: 'M19 8a8 8 0 1 0 1 6M20 4v5h-5',
  left: 'M14 6l-6 6 6 6',
  right: 'M10 6l6 6-6 6',
  trash: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13',
  import: 'M12 4v11M7 10l5 5 5-5M4 20h16',
  export: 'M12 15V4M7 9l5-5 5 5M4 20h16',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5L19 19M5 19l1.5-1.5M17.5 6.5L19 5',
  moon: 'M20 14A8 8 0 1 1 10 4a6.5 6.5 0 0 0 10 10z',
  auto: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M12 8h4M12 12h6M12 16h4',
  tool: 'M14 7a4 4 0 0 1 5-3l-2.5 2.5 1 2 2 1L22 7a4 4 0 0 1-6 4l-8 8a2 2 0 0 1-3-3l8-8a4 4 0 0 1 1-1z',
};

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

export function iconButton(name, label, onclick, props = {}) {
  return el('button', {type: 'button', class: 'icon', 'aria-label': label, title: label, onclick, ...props}, icon(name));
}

// Without a secure context (plain HTTP from another machine) there is no navigator.clipboard.
async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = el('textarea', {class: 'hidden', value: text});
  document.body.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  if (!copied) throw new Error('the browser refused');
}

// A button that copies what text() gives when it is pressed, and says so.
export function copyButton(label, text) {
  const button = iconButton('copy', label, async () => {
    try {
      await toClipboard(text());
      button.replaceChildren(icon('done'));
      button.focus(); // the field of the fallback took the focus away
      toast('Copied');
    } catch (problem) {
      toast(`Could not copy: ${problem.message}`);
    }
    setTimeout(() => button.replaceChildren(icon('copy')), 1600);
  });
  return button;
}

// A short message at the bottom of the page, with at most one thing to do about it.
export function toast(text, action = null) {
  const close = () => note.remove();
  const note = el('div', {class: 'toast'}, el('span', {}, text));
  if (action) note.append(el('button', {type: 'button', class: 'plain', onclick: () => (close(), action.run())}, action.label));
  byId('toasts').replaceChildren(note);
  setTimeout(close, action ? 9000 : 2500);
}

// A line above the conversation that stays until it is taken away: one per name; '' takes it away.
export function notice(name, text, action = null) {
  const old = byId('notices').querySelector(`[data-name="${name}"]`);
  if (old && text && old.firstChild.textContent === text) return;
  old?.remove();
  if (!text) return;
  const button = action && el('button', {type: 'button', class: 'plain', onclick: action.run}, action.label);
  byId('notices').append(el('div', {class: 'notice', role: 'alert', 'data-name': name}, el('span', {}, text), button));
}

// Says an answer aloud through the live region while it is written: whole sentences, not too often.
export class Speaker {
  constructor() {
    this.said = 0;
    this.last = 0;
  }
  // text: the answer so far; done: nothing will follow.
  hear(text, done) {
    const now = performance.now();
    if (!done && now - this.last < 2500) return;
    const fresh = text.slice(this.said);
    const end = done ? fresh.length : Math.max(...['. ', '! ', '? ', '\n'].map((mark) => fresh.lastIndexOf(mark))) + 1;
    if (end <= 0) return;
    this.said += end;
    this.last = now;
    say(fresh.slice(0, end).replace(/```.*|[*_#>|`]+/g, ' ').trim());
  }
}

export function say(text) {
  if (!text) return;
  const live = byId('live');
  live.append(el('p', {}, text));
  while (live.childElementCount > 4) live.firstElementChild.remove();
}

export const keyLabel = (letter) => (/Mac|iP(hone|ad)/.test(navigator.platform) ? `⌘${letter}` : `Ctrl ${letter}`);
