// app: puts the page together: which conversation is open, which answers run, what is known of the server.
import {byId, icon, keyLabel, notice, say, toast} from './dom.js';
import {addNode, chooseVersion, dropNode, newAnswer, newChat, requestMessages, shownPath, titleOf} from './tree.js';
import {getJson} from './api.js';
import {askForKey, requestFields, saveSettings, settings, setupSettings} from './settings.js';
import {Store} from './store.js';
import {Answer} from './answer.js';
import {emptyView, Transcript} from './transcript.js';
import {ChatList} from './chats.js';
import {Composer} from './composer.js';

const SAVE_EVERY = 2000; // milliseconds, while an answer runs

const store = new Store();
const answers = new Map(); // running answers, by the id of their conversation
const server = {name: '', context: 0, parameters: 0, models: [], defaults: {}, up: true};
let chat = newChat();

const act = {
  open: (id) => openChat(id),
  edit: (node, text) => ask(addNode(chat, node.parent, {role: 'user', content: text})),
  regenerate: (node) => regenerate(node),
  giveResults: (node, results) => ask(addNode(chat, node.id, {role: 'tool', results})),
  running: (node) => (answers.get(chat.id)?.node === node ? answers.get(chat.id) : null),
  chooseVersion: (node, step) => showVersion(node, step),
  send: (text) => send(text),
  stop: () => answers.get(chat.id)?.stop(),
  editLast: () => editLast(),
  rename: (id, title) => renameChat(id, title),
  remove: (id) => removeChat(id),
};

const transcript = new Transcript(act, () => emptyView(server, (text) => send(text)));
const list = new ChatList(store, act);
const composer = new Composer(act);
const openSettings = setupSettings(() => server, () => {
  showQuick();
  hearServer();
});

// --- answers --------------------------------------------------------------------------------------

function send(text) {
  if (answers.has(chat.id)) return;
  const last = shownPath(chat).at(-1) ?? chat.nodes.root;
  ask(addNode(chat, last.id, {role: 'user', content: text}));
}

function regenerate(node) {
  const above = chat.nodes[node.parent];
  if (!node.content && !node.reasoning && !node.calls.length) dropNode(chat, node); // nothing worth a version
  ask(above);
}

// Asks for an answer to everything down to `above`.
function ask(above) {
  answers.get(chat.id)?.stop();
  const model = settings.model || server.models[0] || server.name;
  let body;
  try {
    body = {model: model || undefined, messages: requestMessages(chat, above, settings.system), stream: true,
      stream_options: {include_usage: true}, ...requestFields()};
  } catch (problem) {
    toast(`The tools in the settings cannot be used: ${problem.message}`);
    showChat();
    return;
  }
  const node = newAnswer(chat, above.id, model || '');
  const answer = new Answer(chat, node, body, settings.key, () => answerChanged(answer));
  answers.set(chat.id, answer);
  if (!location.hash) history.replaceState(null, '', `#${chat.id}`);
  keep(chat);
  showChat();
  transcript.goToEnd();
  say('Asked.');
  composer.focus();
  answer.clock = setInterval(() => transcript.changed(answer), 500); // the seconds of thinking
  answer.run().then(() => answerOver(answer));
}

function answerChanged(answer) {
  transcript.changed(answer);
  transcript.speak(answer, false);
  const now = Date.now();
  if (now - (answer.savedAt ?? now) > SAVE_EVERY) {
    answer.savedAt = now;
    keep(answer.chat);
  }
  answer.savedAt ??= now;
}

async function answerOver(answer) {
  const {node} = answer;
  clearInterval(answer.clock);
  if (answers.get(answer.chat.id) === answer) answers.delete(answer.chat.id);
  answer.chat.updated = Date.now();
  transcript.ended(answer);
  transcript.speak(answer, true);
  composer.setRunning(answers.has(chat.id));
  await keep(answer.chat);
  if (answer.chat === chat) {
    if (node.state === 'stopped') say('Stopped.');
    else if (node.calls.length && node.state === 'done') say(`The model calls ${node.calls.map((c) => c.name).join(', ')}.`);
    else if (node.state === 'done') say('End of the answer.');
  }
  if (node.error?.kind === 'key' && (await askForKey(Boolean(answer.key)))) {
    hearServer();
    if (answer.chat === chat) regenerate(node);
  }
  if (node.error?.kind === 'network' || node.error?.kind === 'cut') hearServer();
  else if (!server.up) hearServer();
}

// --- conversations --------------------------------------------------------------------------------

async function keep(which) {
  try {
    await store.save(which);
    notice('store', '');
  } catch (problem) {
    const full = problem?.name === 'QuotaExceededError';
    notice('store', full ? 'The browser’s storage is full: this conversation is kept only until the page is closed. Export and delete some.'
      : `This conversation could not be kept: ${problem?.message ?? problem}`);
  }
  list.show();
}

function showChat() {
  const running = answers.has(chat.id);
  list.current = chat.id;
  transcript.show(chat);
  composer.setRunning(running);
  const title = titleOf(chat);
  byId('chat-title').textContent = title;
  document.title = shownPath(chat).length ? `${title} · zaya` : 'zaya';
}

async function openChat(id) {
  closeSidebar();
  if (id === chat.id) return;
  const loaded = answers.get(id)?.chat ?? (await store.load(id));
  if (!loaded) return startChat();
  chat = loaded;
  if (location.hash.slice(1) !== id) history.pushState(null, '', `#${id}`);
  composer.moveTo(id);
  showChat();
  list.show();
}

function startChat() {
  closeSidebar();
  composer.moveTo('');
  chat = newChat();
  if (location.hash) history.pushState(null, '', location.pathname + location.search);
  showChat();
  list.show();
  composer.focus();
}

async function renameChat(id, title) {
  const which = id === chat.id ? chat : answers.get(id)?.chat ?? (await store.load(id));
  which.title = title;
  await keep(which);
  if (which === chat) showChat();
}

async function removeChat(id) {
  answers.get(id)?.stop();
  answers.delete(id);
  await store.remove(id);
  if (id === chat.id) startChat();
}

function showVersion(node, step) {
  if (answers.has(chat.id)) return toast('Stop the answer first.');
  const shown = chooseVersion(chat, node, step);
  if (shown === node) return;
  transcript.follow = false; // the reader is here, not at the end
  showChat();
  transcript.find(shown, `[data-step="${step}"]`)?.focus();
  keep(chat);
}

function editLast() {
  const last = shownPath(chat).filter((node) => node.role === 'user').at(-1);
  if (last && !answers.has(chat.id)) transcript.find(last, '[data-deed=edit]')?.click();
}

// Another tab changed a conversation.
async function changedElsewhere(id) {
  list.show();
  if (id !== chat.id || answers.has(id)) return;
  const loaded = await store.load(id);
  if (!loaded || loaded.updated < chat.updated) return;
  chat = loaded;
  showChat();
}

// --- the server -----------------------------------------------------------------------------------

// Learns the server's names and defaults; where it cannot be reached, tries again until it can.
async function hearServer(attempt = 0) {
  clearTimeout(server.timer);
  try {
    const models = await getJson('v1/models', settings.key);
    const props = await getJson('props', settings.key).catch(() => ({}));
    learn(models, props ?? {});
    if (!server.up) toast('The server is back.');
    server.up = true;
    notice('server', '');
  } catch (problem) {
    if (problem.kind === 'key') {
      notice('server', 'This server asks for a key.', {label: 'Enter it', run: async () => (await askForKey(Boolean(settings.key))) && hearServer()});
      return;
    }
    server.up = false;
    notice('server', problem.kind === 'network' ? 'The server cannot be reached. Trying again…' : `The server is not ready: ${problem.message}`);
    server.timer = setTimeout(() => hearServer(attempt + 1), Math.min(8000, 500 * 1.6 ** attempt));
  }
}

function learn(models, props) {
  const usual = props.default_generation_settings ?? {};
  server.models = (models?.data ?? []).map((m) => m?.id).filter((id) => typeof id === 'string');
  server.name = [props.model, props.model_alias, server.models[0]].find((v) => typeof v === 'string' && v) ?? '';
  server.context = [props.context_length, props.n_ctx, usual.n_ctx].find((n) => Number.isInteger(n) && n > 0) ?? 0;
  server.parameters = Number(props.model_info?.parameters) || 0;
  server.defaults = {...usual.params, ...props.sampling};
  byId('served').textContent = server.name;
  if (!shownPath(chat).length) transcript.show(chat);
}

// --- the frame ------------------------------------------------------------------------------------

function closeSidebar() {
  const open = document.body.classList.contains('drawer');
  document.body.classList.remove('drawer');
  byId('veil').hidden = true;
  byId('main').inert = false;
  byId('open-sidebar').setAttribute('aria-expanded', 'false');
  if (open) byId('open-sidebar').focus();
}

function openSidebar() {
  document.body.classList.add('drawer');
  byId('veil').hidden = false;
  byId('main').inert = true;
  byId('open-sidebar').setAttribute('aria-expanded', 'true');
  byId('close-sidebar').focus();
}

function showQuick() {
  byId('quick-thinking').value = settings.thinking;
}

// Esc: closes what is open, else stops the answer. Dialogs and edits take their own.
function pressed(event) {
  const command = event.ctrlKey || event.metaKey;
  if (event.key === 'Escape' && !document.querySelector('dialog[open]')) {
    if (document.body.classList.contains('drawer')) closeSidebar();
    else act.stop();
  } else if (command && !event.shiftKey && !event.altKey && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    if (!document.querySelector('dialog[open]')) startChat();
  } else if (command && event.key === ',') {
    event.preventDefault();
    if (!document.querySelector('dialog[open]')) openSettings();
  }
}

function setupFrame() {
  for (const place of document.querySelectorAll('[data-icon]')) place.prepend(icon(place.dataset.icon));
  for (const key of document.querySelectorAll('[data-keys]')) key.textContent = keyLabel(key.dataset.keys);
  byId('open-sidebar').addEventListener('click', openSidebar);
  byId('close-sidebar').addEventListener('click', closeSidebar);
  byId('veil').addEventListener('click', closeSidebar);
  byId('new-chat').addEventListener('click', startChat);
  byId('new-chat-top').addEventListener('click', startChat);
  byId('open-settings').addEventListener('click', () => {
    closeSidebar();
    openSettings();
  });
  byId('quick-thinking').addEventListener('change', (event) => saveSettings({thinking: event.target.value}));
  document.addEventListener('keydown', pressed);
  addEventListener('hashchange', () => (location.hash ? openChat(location.hash.slice(1)) : startChat()));
  addEventListener('pagehide', () => answers.forEach((answer) => keep(answer.chat)));
  addEventListener('online', () => hearServer());
  document.addEventListener('visibilitychange', () => document.hidden || server.up || hearServer());
  matchMedia('(min-width: 60rem)').addEventListener('change', closeSidebar);
  showQuick();
}

async function begin() {
  setupFrame();
  list.busy = (id) => answers.has(id);
  await store.open(changedElsewhere);
  if (!store.lasting) notice('memory', 'This browser keeps nothing here: conversations are gone when the page is closed.');
  const id = location.hash.slice(1);
  const kept = id ? await store.load(id) : null;
  if (kept) chat = kept;
  else if (id) history.replaceState(null, '', location.pathname + location.search);
  composer.place = kept ? id : '';
  showChat();
  list.show();
  composer.focus();
  hearServer();
}

begin();
