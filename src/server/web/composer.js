// composer: the field in which one writes: grows with the text, Enter sends, a draft is kept for every conversation.
import {byId} from './dom.js';

// A keyboard that comes up when a field has the focus, and covers half of the page.
const byTouch = () => matchMedia('(pointer: coarse) and (hover: none)').matches;

const TALL = 5000; // characters after which the field is as high as it gets, without measuring

export class Composer {
  // act: send(text), stop(), editLast()
  constructor(act) {
    this.act = act;
    this.field = byId('draft');
    this.drafts = new Map();
    this.place = '';
    this.running = false;
    this.field.addEventListener('input', () => this.changed());
    this.field.addEventListener('keydown', (event) => this.key(event));
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
    byId('stop').addEventListener('click', () => act.stop());
    this.changed();
  }

  key(event) {
    if (event.isComposing) return;
    const enter = event.key === 'Enter' && !event.shiftKey;
    // Where there is no Shift key at hand, Enter is for lines and the button sends.
    if (enter && (event.ctrlKey || event.metaKey || !byTouch())) {
      event.preventDefault();
      this.send();
    } else if (event.key === 'ArrowUp' && !this.field.value) {
      event.preventDefault();
      this.act.editLast();
    }
  }

  // The page gives the field the focus; where that would bring a keyboard up, only a tap does.
  focus() {
    if (byTouch()) this.field.blur();
    else this.field.focus({preventScroll: true});
  }

  send() {
    const text = this.field.value;
    if (!text.trim() || this.running) return;
    this.set('');
    this.act.send(text);
  }

  set(text) {
    this.field.value = text;
    this.changed();
  }

  changed() {
    byId('send').disabled = !this.field.value.trim();
    this.field.classList.toggle('tall', this.field.value.length > TALL);
    if (this.field.value.length > TALL || CSS.supports('field-sizing', 'content')) {
      this.field.style.height = '';
      return;
    }
    this.field.style.height = 'auto';
    this.field.style.height = `${this.field.scrollHeight}px`;
  }

  // Another conversation is shown: its draft comes back.
  moveTo(id) {
    this.drafts.set(this.place, this.field.value);
    this.place = id;
    this.set(this.drafts.get(id) ?? '');
  }

  setRunning(running) {
    if (this.running === running) return;
    const focused = document.activeElement === byId(running ? 'send' : 'stop');
    this.running = running;
    byId('send').hidden = running;
    byId('stop').hidden = !running;
    if (focused) running ? byId('stop').focus() : this.focus();
  }
}
