// tree: a conversation as a tree of messages. Editing a message or asking again adds a sibling; every node remembers
// which of its children is shown. Pure data, so that it can be stored, exported and tested as it is.
//
// chat: {id, title, created, updated, nodes: {root, ...}}
// node: {id, parent, kids: [ids], pick, role, at} and by role
//   user       content
//   assistant  content, reasoning, thinkMs, calls: [{id, name, arguments}], state, finish, error, stats, model
//              state: 'running', 'done', 'stopped' (by the user), 'failed'
//   tool       results: [{id, name, content}], one for each call of the parent

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(9)), (b) => b.toString(36).padStart(2, '0')).join('');

export function newChat() {
  const now = Date.now();
  return {id: newId(), title: '', created: now, updated: now, nodes: {root: {id: 'root', parent: null, kids: [], pick: 0, role: 'root'}}};
}

export function addNode(chat, parent, fields) {
  const node = {id: newId(), parent, kids: [], pick: 0, at: Date.now(), ...fields};
  const above = chat.nodes[parent];
  chat.nodes[node.id] = node;
  above.kids.push(node.id);
  above.pick = above.kids.length - 1;
  chat.updated = node.at;
  return node;
}

export const newAnswer = (chat, parent, model) =>
  addNode(chat, parent, {role: 'assistant', content: '', reasoning: '', thinkMs: 0, calls: [], state: 'running', finish: null, error: null, stats: null, model});

// Takes a node without children away.
export function dropNode(chat, node) {
  const above = chat.nodes[node.parent];
  above.kids.splice(above.kids.indexOf(node.id), 1);
  above.pick = Math.max(0, Math.min(above.pick, above.kids.length - 1));
  delete chat.nodes[node.id];
}

// The messages shown, from the first to the last.
export function shownPath(chat) {
  const path = [];
  for (let node = chat.nodes.root; node.kids.length; path.push(node)) node = chat.nodes[node.kids[node.pick]];
  return path;
}

// Where a node stands among the versions of it: {at: 1.., of}.
export function versions(chat, node) {
  const kids = chat.nodes[node.parent].kids;
  return {at: kids.indexOf(node.id) + 1, of: kids.length};
}

// Shows the neighbouring version of a node; returns it, or the node itself at the end of the row.
export function chooseVersion(chat, node, step) {
  const above = chat.nodes[node.parent];
  const next = above.kids.indexOf(node.id) + step;
  if (next < 0 || next >= above.kids.length) return node;
  above.pick = next;
  return chat.nodes[above.kids[next]];
}

export const titleOf = (chat) => chat.title || firstWords(chat) || 'New conversation';

function firstWords(chat) {
  const first = chat.nodes[chat.nodes.root.kids[0]];
  const line = (first?.content ?? '').trim().split('\n', 1)[0];
  return line.length > 60 ? `${line.slice(0, 58).trimEnd()}…` : line;
}

// All the words of a conversation, in every version, for searching.
export function allText(chat) {
  const text = [chat.title];
  for (const node of Object.values(chat.nodes)) {
    if (node.content) text.push(node.content);
    for (const result of node.results ?? []) text.push(result.content);
  }
  return text.join('\n');
}

// The messages of a request: everything from the first message down to node, in the API's form.
export function requestMessages(chat, node, system) {
  const path = [];
  for (let at = node; at.role !== 'root'; at = chat.nodes[at.parent]) path.unshift(at);
  const messages = system ? [{role: 'system', content: system}] : [];
  path.forEach((at, i) => messages.push(...messagesOf(at, path[i + 1])));
  return messages;
}

function messagesOf(node, next) {
  if (node.role === 'user') return [{role: 'user', content: node.content}];
  if (node.role === 'tool') return node.results.map((r) => ({role: 'tool', tool_call_id: r.id, name: r.name, content: r.content}));
  if (!node.content && !node.calls.length) return []; // an answer that failed before it began
  const message = {role: 'assistant', content: node.content};
  if (node.reasoning) message.reasoning_content = node.reasoning;
  if (!node.calls.length) return [message];
  message.tool_calls = node.calls.map((c) => ({id: c.id, type: 'function', function: {name: c.name, arguments: c.arguments}}));
  if (next?.role === 'tool') return [message];
  // The talk went on without a result; the API wants one for every call.
  return [message, ...node.calls.map((c) => ({role: 'tool', tool_call_id: c.id, name: c.name, content: 'The user gave no result.'}))];
}

// A conversation from a file, rebuilt field by field so that nothing else comes in; null if it is not one.
export function chatFrom(value) {
  const text = (v) => (typeof v === 'string' ? v : '');
  const number = (v) => (Number.isFinite(v) ? v : 0);
  const list = (v) => (Array.isArray(v) ? v : []);
  if (!value || typeof value !== 'object' || !value.nodes || typeof value.nodes !== 'object') return null;
  const chat = {...newChat(), title: text(value.title).slice(0, 200), created: number(value.created), updated: number(value.updated)};
  const names = new Map([['root', 'root']]);
  // Down from the root, never twice to one node: a tree comes out whatever the file says.
  for (const queue = ['root']; queue.length;) {
    const old = queue.shift();
    const from = value.nodes[old];
    for (const kid of list(from?.kids)) {
      const node = Object.hasOwn(value.nodes, kid) ? value.nodes[kid] : null;
      if (!node || names.has(kid) || !['user', 'assistant', 'tool'].includes(node.role)) continue;
      const fields = {role: node.role, at: number(node.at)};
      if (node.role === 'tool') {
        fields.results = list(node.results).map((r) => ({id: text(r?.id), name: text(r?.name), content: text(r?.content)}));
      } else {
        fields.content = text(node.content);
      }
      if (node.role === 'assistant') {
        Object.assign(fields, {
          reasoning: text(node.reasoning), thinkMs: number(node.thinkMs), model: text(node.model), error: null,
          calls: list(node.calls).map((c) => ({id: text(c?.id), name: text(c?.name), arguments: text(c?.arguments)})),
          state: node.state === 'done' ? 'done' : 'stopped', finish: text(node.finish) || null,
          stats: statsFrom(node.stats),
        });
      }
      names.set(kid, addNode(chat, names.get(old), fields).id);
      queue.push(kid);
    }
    const here = chat.nodes[names.get(old)];
    const pick = number(from?.pick);
    here.pick = Number.isInteger(pick) && pick >= 0 && pick < here.kids.length ? pick : Math.max(0, here.kids.length - 1);
  }
  chat.updated = number(value.updated) || Date.now();
  return chat.nodes.root.kids.length ? chat : null;
}

export const STATS = ['promptTokens', 'cachedTokens', 'answerTokens', 'thinkTokens', 'firstMs', 'rate'];

function statsFrom(stats) {
  if (!stats || typeof stats !== 'object') return null;
  return Object.fromEntries(STATS.map((name) => [name, Number.isFinite(stats[name]) ? stats[name] : null]));
}
