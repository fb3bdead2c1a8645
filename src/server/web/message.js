// message: how each kind of message looks and what can be done with it. `act` are the page's deeds: edit, regenerate,
// chooseVersion, giveResults, running. Every view has `box`, its element, and `update`.
import {el, icon, iconButton, copyButton} from './dom.js';
import {MarkdownView} from './markdown.js';
import {CallCard, resultForm} from './tools.js';
import {versions} from './tree.js';

const LONG = 3000; // characters of a user's message that are shown at first

function frame(node, who, kind, ...inside) {
  return el('article', {class: `turn ${kind}`, 'data-node': node.id, 'aria-label': who},
    el('h2', {class: 'who'}, who), el('div', {class: 'said'}, ...inside));
}

// "‹ 2 / 3 ›" where a message has several versions.
function versionRow(chat, node, act) {
  const {at, of} = versions(chat, node);
  if (of < 2) return null;
  const step = (name, label, by, off) => iconButton(name, label, () => act.chooseVersion(node, by), {'data-step': String(by), 'aria-disabled': off ? 'true' : null});
  return el('span', {class: 'versions', role: 'group', 'aria-label': `Version ${at} of ${of}`},
    step('left', 'Earlier version', -1, at === 1), el('span', {}, `${at} / ${of}`), step('right', 'Later version', 1, at === of));
}

export class UserView {
  constructor(chat, node, act) {
    Object.assign(this, {chat, node, act});
    this.box = frame(node, 'You', 'user');
    this.said = this.box.lastChild;
    this.show();
  }
  update() {}
  show() {
    const {node, chat, act} = this;
    const text = el('div', {class: 'plain-text', dir: 'auto'}, node.content.slice(0, LONG));
    const more = node.content.length > LONG && el('button', {type: 'button', class: 'plain more', onclick: () => {
      text.textContent = node.content;
      more.remove();
      text.tabIndex = -1;
      text.focus();
    }}, `Show all ${node.content.length.toLocaleString('en')} characters`);
    this.said.replaceChildren(text, more || '', el('div', {class: 'deeds'},
      versionRow(chat, node, act) ?? '',
      copyButton('Copy the message', () => node.content),
      iconButton('pencil', 'Edit and ask again', () => this.edit(), {'data-deed': 'edit'})));
  }
  edit() {
    const {node, act} = this;
    const field = el('textarea', {rows: String(Math.min(12, node.content.split('\n').length + 1)), 'aria-label': 'Edit the message', value: node.content});
    const close = () => {
      this.show();
      this.box.querySelector('[data-deed=edit]').focus();
    };
    const send = (event) => {
      event.preventDefault();
      if (field.value.trim()) act.edit(node, field.value);
    };
    const form = el('form', {class: 'edit', onsubmit: send, onkeydown: (event) => {
      if (event.isComposing) return;
      if (event.key === 'Escape') {
        event.stopPropagation();
        close();
      } else if (event.key === 'Enter' && !event.shiftKey) {
        send(event);
      }
    }}, field, el('div', {class: 'row'}, el('button', {type: 'button', class: 'plain', onclick: close}, 'Cancel'),
      el('button', {type: 'submit', class: 'primary'}, 'Ask again')));
    this.said.replaceChildren(form);
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }
}

// The results that were given for an answer's calls.
export class ResultsView {
  constructor(chat, node, act) {
    Object.assign(this, {chat, node, act});
    this.box = frame(node, 'Tool', 'tool');
    this.said = this.box.lastChild;
    this.show();
  }
  update() {}
  show() {
    const {node, chat, act} = this;
    this.said.replaceChildren(
      ...node.results.map((r) => el('section', {class: 'result', role: 'group', 'aria-label': `Result of ${r.name}`},
        el('header', {}, `Result of ${r.name}`), el('pre', {tabindex: '0'}, r.content || '(empty)'))),
      el('div', {class: 'deeds'}, versionRow(chat, node, act) ?? '',
        iconButton('pencil', 'Change the result and ask again', () => this.edit(), {'data-deed': 'edit'})));
  }
  edit() {
    const {node, chat, act} = this;
    const cancel = () => {
      this.show();
      this.box.querySelector('[data-deed=edit]').focus();
    };
    const form = resultForm(chat.nodes[node.parent].calls, (results) => act.giveResults(chat.nodes[node.parent], results), {earlier: node.results, cancel});
    this.said.replaceChildren(form);
    form.querySelector('textarea').focus();
  }
}

export class AnswerView {
  // last: nothing follows it, so open calls wait for their results here.
  constructor(chat, node, act, last) {
    Object.assign(this, {chat, node, act, last});
    this.thinking = new ThinkingView();
    this.prose = el('div', {class: 'prose', dir: 'auto'});
    this.markdown = new MarkdownView(this.prose);
    this.calls = el('div', {class: 'calls'});
    this.cards = [];
    this.end = el('div', {class: 'end'});
    this.box = frame(node, node.model || 'Answer', 'answer', this.thinking.box, this.prose, this.calls, this.end);
    this.ended = false;
    this.update();
  }

  update() {
    const {node} = this;
    const answer = this.act.running(node);
    this.thinking.update(node, answer);
    this.markdown.update(node.content);
    for (let i = 0; i < node.calls.length; i++) {
      if (!this.cards[i]) {
        this.cards[i] = new CallCard(node.calls[i]);
        this.calls.append(this.cards[i].box);
      }
      this.cards[i].update(!answer);
    }
    this.box.classList.toggle('live', Boolean(answer));
    this.box.classList.toggle('waiting', Boolean(answer) && !node.content && !node.reasoning && !node.calls.length);
    this.box.setAttribute('aria-busy', answer ? 'true' : 'false');
    if (!answer && !this.ended) this.showEnd();
    this.ended = !answer;
  }

  showEnd() {
    const {node, chat, act} = this;
    const parts = [];
    const why = endNote(node);
    if (why) parts.push(el('p', {class: 'why'}, why));
    if (node.state === 'failed') parts.push(this.errorBox());
    if (this.last && node.calls.length && node.state === 'done') parts.push(resultForm(node.calls, (results) => act.giveResults(node, results)));
    parts.push(el('div', {class: 'deeds'}, versionRow(chat, node, act) ?? '',
      node.content ? copyButton('Copy the answer', () => node.content) : '',
      node.state === 'failed' ? '' : iconButton('again', 'Ask again for another answer', () => act.regenerate(node), {'data-deed': 'again'}),
      el('span', {class: 'stats'}, statsLine(node.stats))));
    this.end.replaceChildren(...parts);
  }

  errorBox() {
    const {node, act} = this;
    const wait = node.error?.retryAfter ? ` It may be asked again in ${node.error.retryAfter} s.` : '';
    return el('div', {class: 'error', role: 'alert'}, el('p', {}, (node.error?.message ?? 'The answer failed.') + wait),
      el('button', {type: 'button', class: 'primary', 'data-deed': 'retry', onclick: () => act.regenerate(node)}, icon('again'), 'Try again'));
  }
}

function endNote(node) {
  if (node.state === 'stopped') return 'Stopped here.';
  if (node.state === 'running') return 'Not finished: the page was closed, or it goes on in another tab.';
  if (node.finish === 'length') return 'Cut at the limit of tokens.';
  if (node.state === 'done' && !node.content && !node.calls.length) return 'The model gave no answer.';
  return '';
}

const count = (n) => n.toLocaleString('en');
const brief = (ms) => (ms < 950 ? `${Math.max(1, Math.round(ms))} ms` : ms < 9950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);

function statsLine(stats) {
  if (!stats) return '';
  const {promptTokens, cachedTokens, answerTokens, thinkTokens, firstMs, rate} = stats;
  const parts = [];
  if (answerTokens !== null) parts.push(`${count(answerTokens)} tokens${thinkTokens ? `, ${count(thinkTokens)} of them thoughts` : ''}`);
  if (rate !== null) parts.push(`${rate < 100 ? rate.toFixed(1) : count(Math.round(rate))} tokens/s`);
  if (promptTokens !== null) parts.push(`prompt ${count(promptTokens)}${cachedTokens ? `, ${count(cachedTokens)} cached` : ''}`);
  if (firstMs !== null) parts.push(`first after ${brief(firstMs)}`);
  return parts.join(' · ');
}

// The thoughts: folded, with the line that is being thought while it is.
class ThinkingView {
  constructor() {
    this.label = el('span', {class: 'think-label'});
    this.peek = el('span', {class: 'peek', 'aria-hidden': 'true'});
    this.text = el('div', {class: 'plain-text', dir: 'auto'});
    this.box = el('details', {class: 'thinking', hidden: true}, el('summary', {}, this.label, this.peek), this.text);
    this.box.addEventListener('toggle', () => this.fill());
    this.thoughts = '';
  }
  update(node, answer) {
    this.box.hidden = !node.reasoning;
    if (this.box.hidden) return;
    this.thoughts = node.reasoning;
    const live = Boolean(answer?.thinking);
    const took = answer ? answer.thinkMs() : node.thinkMs;
    this.box.classList.toggle('live', live);
    const label = live ? `Thinking, ${Math.floor(took / 1000)} s` : took ? `Thought for ${brief(took)}` : 'Thoughts';
    if (this.label.textContent !== label) this.label.textContent = label;
    this.peek.textContent = live ? this.thoughts.slice(-160).trimEnd().split('\n').at(-1) : '';
    this.fill();
  }
  // What is folded away costs nothing.
  fill() {
    if (!this.box.open) return;
    const shown = this.text.firstChild;
    if (shown && this.thoughts.startsWith(shown.data)) shown.appendData(this.thoughts.slice(shown.data.length));
    else this.text.textContent = this.thoughts;
  }
}
