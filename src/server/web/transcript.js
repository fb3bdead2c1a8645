// transcript: the conversation on screen: one view per message of the shown path, kept while the path keeps it; draws
// a running answer at most once a frame, less often when drawing is slow; follows the end unless the reader went up.
import {byId, el, Speaker} from './dom.js';
import {AnswerView, ResultsView, UserView} from './message.js';
import {shownPath} from './tree.js';

const NEAR = 60; // pixels from the end that still count as the end

export class Transcript {
  // act: see message.js; empty(): the element of an empty conversation.
  constructor(act, empty) {
    Object.assign(this, {act, empty});
    this.box = byId('transcript');
    this.scroller = byId('scroller');
    this.toEnd = byId('to-end');
    this.views = []; // [{key, view}]
    this.chat = null;
    this.follow = true;
    this.end = 0; // where the end was when it was last gone to
    this.pending = false;
    this.cost = 0; // milliseconds that drawing took last
    this.speaker = null;
    this.scroller.addEventListener('scroll', () => this.scrolled(), {passive: true});
    this.toEnd.addEventListener('click', () => this.goToEnd());
    new ResizeObserver(() => this.keepEnd()).observe(this.scroller);
  }

  show(chat) {
    const fresh = chat !== this.chat;
    this.chat = chat;
    const path = shownPath(chat);
    // An answer with calls looks different when something follows it.
    const keys = path.map((node, i) => `${node.id} ${node.calls?.length ? i === path.length - 1 : ''}`);
    let same = 0;
    while (!fresh && same < keys.length && this.views[same]?.key === keys[same]) same++;
    for (const {view} of this.views.splice(same)) view.box.remove();
    if (fresh || !path.length) this.box.replaceChildren();
    else this.box.querySelector('.empty')?.remove();
    for (let i = same; i < path.length; i++) {
      const view = this.viewOf(path[i], i === path.length - 1);
      this.views.push({key: keys[i], view});
      this.box.append(view.box);
    }
    if (!path.length) this.box.append(this.empty());
    if (fresh) this.goToEnd();
    else this.keepEnd();
  }

  viewOf(node, last) {
    if (node.role === 'user') return new UserView(this.chat, node, this.act);
    if (node.role === 'tool') return new ResultsView(this.chat, node, this.act);
    return new AnswerView(this.chat, node, this.act, last);
  }

  // A running answer changed: draw it soon, and never spend more than a third of the time on drawing.
  changed(answer) {
    if (answer.chat !== this.chat || this.pending) return;
    this.pending = true;
    const draw = () => requestAnimationFrame(() => {
      this.pending = false;
      const before = performance.now();
      for (const {view} of this.views) if (view.node === answer.node) view.update();
      this.keepEnd();
      this.cost = performance.now() - before;
    });
    if (this.cost > 8) setTimeout(draw, this.cost * 2);
    else draw();
  }

  // The answer is over: drawn at once, also where the tab is hidden and has no frames.
  ended(answer) {
    for (const {view} of this.views) if (view.node === answer.node) view.update();
    this.keepEnd();
  }

  speak(answer, done) {
    if (answer.chat !== this.chat) return;
    if (this.speaker?.node !== answer.node) this.speaker = Object.assign(new Speaker(), {node: answer.node});
    this.speaker.hear(answer.node.content, done);
  }

  scrolled() {
    const {scrollTop, scrollHeight, clientHeight} = this.scroller;
    this.follow = scrollHeight - scrollTop - clientHeight < NEAR;
    this.toEnd.hidden = this.follow;
  }

  keepEnd() {
    // The event that says that the reader went up may still be on its way.
    if (!this.follow || this.scroller.scrollTop < this.end - NEAR) this.scrolled();
    if (!this.follow) return;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.end = this.scroller.scrollTop;
  }

  goToEnd() {
    this.follow = true;
    this.end = 0;
    this.toEnd.hidden = true;
    this.keepEnd();
  }

  find(node, selector) {
    return this.box.querySelector(`[data-node="${CSS.escape(node.id)}"] ${selector}`);
  }
}

// What an empty conversation shows: whom one talks to, and a few beginnings.
export function emptyView(server, begin) {
  const name = server.name || 'the model';
  const nano = server.parameters ? server.parameters < 5e7 : /nano/i.test(name);
  const facts = [];
  if (server.context) facts.push(`It reads up to ${server.context.toLocaleString('en')} tokens.`);
  facts.push('What you write goes to this server and nowhere else; conversations stay in this browser.');
  return el('section', {class: 'empty', 'aria-label': 'A new conversation'},
    el('h2', {}, 'Talk to ', el('span', {class: 'model'}, name)),
    el('p', {}, nano ? `A very small model${server.parameters ? ` of ${(server.parameters / 1e6).toFixed(1)} million parameters` : ''}: sums, capitals, spelling, short programs. Beyond those it makes things up. ` : '', facts.join(' ')),
    el('ul', {}, (nano ? NANO : ANY).map(([text, about]) =>
      el('li', {}, el('button', {type: 'button', class: 'beginning', onclick: () => begin(text)}, el('span', {}, text), el('small', {}, about))))));
}

const NANO = [['What is 8 + 9?', 'a sum'], ['What is the capital of France?', 'a capital'], ['Spell the word garden.', 'spelling'],
  ['Write a Python function that adds two numbers.', 'a program']];
const ANY = [['Explain how tides work, as to a curious ten-year-old.', 'explaining'], ['A train leaves at 14:35 and arrives at 17:10. How long is the journey?', 'reasoning'],
  ['Write a C function that reverses a UTF-8 string in place.', 'code'], ['Compare three ways of keeping a diary, as a table.', 'a table']];
