// tools: a model's calls as cards, and the form in which their results are typed. The page runs no tool.
import {el, icon, copyButton} from './dom.js';

// JSON as it is best read; what is not (or not yet) JSON as it came.
export function pretty(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

export class CallCard {
  constructor(call) {
    this.call = call;
    this.name = el('span', {class: 'call-name'});
    this.code = el('code');
    this.box = el('section', {class: 'call', role: 'group', 'aria-label': 'Tool call'},
      el('header', {}, icon('tool'), this.name, copyButton('Copy the arguments', () => this.code.textContent)),
      el('pre', {tabindex: '0', role: 'group', 'aria-label': 'Arguments'}, this.code));
    this.update(false);
  }
  update(done) {
    this.name.textContent = this.call.name || '…';
    const text = done ? pretty(this.call.arguments) : this.call.arguments;
    if (this.code.textContent !== text) this.code.textContent = text;
  }
}

// One field for each call; send(results) gets [{id, name, content}]. earlier: the results to begin with, when they are
// edited; cancel: what to do when they are not.
export function resultForm(calls, send, {earlier = null, cancel = null} = {}) {
  const fields = calls.map((call, i) => el('textarea', {rows: '2', class: 'mono', spellcheck: 'false', value: earlier?.[i]?.content ?? '',
    'aria-label': `Result of ${call.name}`, placeholder: `What ${call.name} gives: text or JSON`}));
  const form = el('form', {class: 'results', onsubmit: (event) => {
    event.preventDefault();
    send(calls.map((call, i) => ({id: call.id, name: call.name, content: fields[i].value})));
  }, onkeydown: (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === 'Escape' && cancel) {
      event.stopPropagation();
      cancel();
    }
  }});
  calls.forEach((call, i) => form.append(el('label', {class: 'result-of'}, el('span', {}, calls.length > 1 ? `Result of ${call.name}` : 'Its result'), fields[i])));
  form.append(el('div', {class: 'row'},
    cancel && el('button', {type: 'button', class: 'plain', onclick: cancel}, 'Cancel'),
    el('button', {type: 'submit', class: 'primary'}, calls.length > 1 ? 'Send the results' : 'Send the result')));
  return form;
}
