// chats: the list of conversations at the side: by day, searched, renamed, removed (and brought back), exported and
// imported. `act`: open(id), removed(id).
import {byId, el, iconButton, toast} from './dom.js';
import {chatFrom, titleOf} from './tree.js';

export class ChatList {
  constructor(store, act) {
    Object.assign(this, {store, act});
    this.box = byId('chat-list');
    this.current = null;
    this.busy = () => false;
    this.found = null; // ids that the search found; null: no search
    byId('search').addEventListener('input', () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.search(), 150);
    });
    byId('export').addEventListener('click', () => this.exportAll());
    byId('import').addEventListener('click', () => byId('import-file').click());
    byId('import-file').addEventListener('change', (event) => this.importFile(event.target));
  }

  async search() {
    const query = byId('search').value.trim();
    this.found = query ? await this.store.search(query) : null;
    this.show();
  }

  async show() {
    if (this.box.querySelector('form')) return; // a name is being typed
    const heads = (await this.store.list()).filter((head) => !this.found || this.found.has(head.id));
    const focused = document.activeElement?.closest('#chat-list li')?.dataset.id;
    const parts = [];
    for (const [label, group] of byDay(heads)) {
      parts.push(el('h2', {}, label), el('ul', {}, group.map((head) => this.row(head))));
    }
    if (!heads.length) parts.push(el('p', {class: 'none'}, this.found ? 'Nothing found.' : 'No conversations yet.'));
    this.box.replaceChildren(...parts);
    if (focused) this.box.querySelector(`li[data-id="${CSS.escape(focused)}"] .open`)?.focus();
  }

  row(head) {
    const here = head.id === this.current;
    const open = el('button', {type: 'button', class: 'open', 'aria-current': here ? 'page' : null, onclick: () => this.act.open(head.id)},
      this.busy(head.id) ? el('span', {class: 'pulse', role: 'img', 'aria-label': 'answering'}) : null, el('span', {class: 'title'}, head.title));
    return el('li', {'data-id': head.id}, open, el('span', {class: 'row-deeds'},
      iconButton('pencil', `Rename ${head.title}`, () => this.rename(head)),
      iconButton('export', `Export ${head.title}`, () => this.exportOne(head)),
      iconButton('trash', `Delete ${head.title}`, () => this.remove(head))));
  }

  rename(head) {
    const row = this.box.querySelector(`li[data-id="${CSS.escape(head.id)}"]`);
    const field = el('input', {value: head.title, 'aria-label': 'Name of the conversation', maxlength: '200'});
    let over = false;
    const finish = async (keep) => {
      if (over) return;
      over = true;
      const name = field.value.trim();
      row.replaceChildren();
      if (keep && name && name !== head.title) await this.act.rename(head.id, name);
      await this.show();
      this.box.querySelector(`li[data-id="${CSS.escape(head.id)}"] .open`)?.focus();
    };
    const form = el('form', {onsubmit: (event) => (event.preventDefault(), finish(true)), onkeydown: (event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      finish(false);
    }}, field);
    row.replaceChildren(form);
    field.addEventListener('blur', () => finish(true));
    field.select();
  }

  async remove(head) {
    const chat = await this.store.load(head.id);
    await this.act.remove(head.id);
    await this.show();
    toast(`Deleted “${head.title}”`, {label: 'Undo', run: async () => {
      await this.store.save(chat);
      await this.show();
    }});
  }

  async exportOne(head) {
    download([await this.store.load(head.id)], head.title);
  }

  async exportAll() {
    const chats = await this.store.all();
    if (chats.length) download(chats, 'conversations');
    else toast('There is nothing to export yet.');
  }

  async importFile(field) {
    const file = field.files[0];
    field.value = '';
    if (!file) return;
    try {
      const value = JSON.parse(await file.text());
      const chats = (Array.isArray(value?.conversations) ? value.conversations : []).map(chatFrom).filter(Boolean);
      if (!chats.length) throw new Error('there is no conversation in it');
      for (const chat of chats) await this.store.save(chat);
      await this.show();
      toast(chats.length === 1 ? `Imported “${titleOf(chats[0])}”` : `Imported ${chats.length} conversations`);
      this.act.open(chats[0].id);
    } catch (problem) {
      toast(`${file.name}: ${problem.message}`);
    }
  }
}

function byDay(heads) {
  const today = new Date().setHours(0, 0, 0, 0);
  const day = 24 * 3600 * 1000;
  const groups = [['Today', today], ['Yesterday', today - day], ['This week', today - 6 * day], ['Earlier', -Infinity]];
  return groups.map(([label, since], i) => [label, heads.filter((h) => h.updated >= since && (i === 0 || h.updated < groups[i - 1][1]))])
    .filter(([, group]) => group.length);
}

function download(chats, name) {
  const text = JSON.stringify({format: 'zaya-conversations', version: 1, conversations: chats}, null, 1);
  const url = URL.createObjectURL(new Blob([text], {type: 'application/json'}));
  const file = `${name.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 60) || 'conversation'}.json`;
  const link = el('a', {href: url, download: file});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

