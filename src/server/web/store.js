// store: the conversations kept in this browser, in IndexedDB: the list ('heads') apart from the contents ('chats'), so
// that the list is read without them. Where the browser keeps nothing (private windows of some), they live in
// memory until the page is closed, and the page says so. Tells other tabs what changed.
import {allText, titleOf} from './tree.js';

export class Store {
  constructor() {
    this.db = null;
    this.memory = new Map();
    this.channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('zaya') : null;
  }

  // changed(id): another tab saved or removed a conversation.
  async open(changed) {
    if (this.channel) this.channel.onmessage = (event) => changed(event.data);
    try {
      const opening = indexedDB.open('zaya', 1);
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore('heads', {keyPath: 'id'});
        opening.result.createObjectStore('chats', {keyPath: 'id'});
      };
      this.db = await result(opening);
      this.db.onversionchange = () => this.db.close();
    } catch { /* no database: memory */ }
  }

  get lasting() {
    return this.db !== null;
  }

  // [{id, title, updated}], the latest first.
  async list() {
    const heads = this.db ? await this.read('heads', (s) => s.getAll()) : [...this.memory.values()].map(headOf);
    return heads.sort((a, b) => b.updated - a.updated);
  }

  async load(id) {
    return this.db ? this.read('chats', (s) => s.get(id)) : structuredClone(this.memory.get(id));
  }

  // The database takes writes in the order they are asked for, so that an older state never overwrites a newer one. Rejects
  // when the quota is used up.
  save(chat) {
    return this.write(chat.id, (heads, chats) => {
      heads.put(headOf(chat));
      chats.put(chat);
    }, () => this.memory.set(chat.id, structuredClone(chat)));
  }

  remove(id) {
    return this.write(id, (heads, chats) => {
      heads.delete(id);
      chats.delete(id);
    }, () => this.memory.delete(id));
  }

  // Asked for and committed before this returns, not an event later: what is saved just before the page is left is kept.
  async write(id, put, inMemory) {
    if (!this.db) {
      inMemory();
      return;
    }
    const work = this.db.transaction(['heads', 'chats'], 'readwrite');
    const over = new Promise((resolve, reject) => {
      work.oncomplete = resolve;
      work.onabort = work.onerror = () => reject(work.error ?? new Error('the browser refused'));
    });
    put(work.objectStore('heads'), work.objectStore('chats'));
    work.commit();
    await over;
    this.channel?.postMessage(id);
  }

  async all() {
    return this.db ? this.read('chats', (s) => s.getAll()) : structuredClone([...this.memory.values()]);
  }

  // The ids of the conversations in which all the words occur; one conversation in memory at a time.
  async search(query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = new Set();
    const look = (chat) => {
      const text = `${titleOf(chat)}\n${allText(chat)}`.toLowerCase();
      if (words.every((word) => text.includes(word))) found.add(chat.id);
    };
    if (!this.db) {
      this.memory.forEach(look);
      return found;
    }
    const cursor = this.db.transaction('chats').objectStore('chats').openCursor();
    return new Promise((resolve, reject) => {
      cursor.onerror = () => reject(cursor.error);
      cursor.onsuccess = () => {
        if (!cursor.result) return resolve(found);
        look(cursor.result.value);
        cursor.result.continue();
      };
    });
  }

  read(name, ask) {
    return result(ask(this.db.transaction(name).objectStore(name)));
  }
}

const headOf = (chat) => ({id: chat.id, title: titleOf(chat), updated: chat.updated});

const result = (asked) => new Promise((resolve, reject) => {
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});
