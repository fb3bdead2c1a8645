// settings: what the user chose, kept in localStorage, and the dialogs in which it is chosen. An empty choice leaves the
// matter to the server: then the request does not mention it.
import {byId, el, icon} from './dom.js';

const PLACE = 'zaya.settings';
const EMPTY = {system: '', model: '', thinking: 'auto', temperature: null, top_p: null, max_tokens: null, seed: null, key: '', tools: '', theme: 'auto'};

// [lowest, highest, whole numbers only]
const RANGES = {temperature: [0, 2, false], top_p: [0, 1, false], max_tokens: [1, 1e7, true], seed: [0, 2 ** 53 - 1, true]};

// What an empty field means where the server does not tell its own value.
const UNSET = {temperature: 'the model’s own', top_p: 'the model’s own', max_tokens: 'no limit but the context', seed: 'another one each time'};

export const settings = loadSettings();

function loadSettings() {
  const chosen = {...EMPTY};
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE)) ?? {};
    for (const name of Object.keys(EMPTY)) {
      if (name in RANGES ? Number.isFinite(kept[name]) : typeof kept[name] === 'string') chosen[name] = kept[name];
    }
  } catch { /* nothing kept, or the browser keeps nothing: the defaults */ }
  return chosen;
}

export function saveSettings(change) {
  Object.assign(settings, change);
  try {
    localStorage.setItem(PLACE, JSON.stringify(settings));
  } catch { /* they hold until the page is closed */ }
}

// The fields of a request that come from the settings.
export function requestFields() {
  const fields = {};
  if (settings.temperature !== null) fields.temperature = settings.temperature;
  if (settings.top_p !== null) fields.top_p = settings.top_p;
  if (settings.max_tokens !== null) fields.max_completion_tokens = settings.max_tokens;
  if (settings.seed !== null) fields.seed = settings.seed;
  if (settings.thinking !== 'auto') fields.chat_template_kwargs = {enable_thinking: settings.thinking === 'on'};
  const tools = settings.tools ? toolsFrom(settings.tools) : [];
  if (tools.length) fields.tools = tools;
  return fields;
}

// A list of tools in the API's form; throws an Error that says what is wrong. A bare function is wrapped.
export function toolsFrom(text) {
  let list;
  try {
    list = JSON.parse(text);
  } catch (problem) {
    throw new Error(`Not JSON: ${problem.message}`);
  }
  if (!Array.isArray(list)) list = [list];
  return list.map((tool, i) => {
    const wrapped = tool && typeof tool === 'object' && !tool.function && tool.name ? {type: 'function', function: tool} : tool;
    if (typeof wrapped?.function?.name !== 'string' || !wrapped.function.name) throw new Error(`Tool ${i + 1} has no function.name.`);
    return {type: 'function', ...wrapped};
  });
}

// A number from a field: null if empty; throws an Error if it is none or out of range.
export function numberFrom(name, text) {
  const trimmed = text.trim().replace(',', '.');
  if (!trimmed) return null;
  const [low, high, whole] = RANGES[name];
  const value = Number(trimmed);
  if (!Number.isFinite(value) || (whole && !Number.isInteger(value))) throw new Error(whole ? 'A whole number, please.' : 'A number, please.');
  if (value < low || value > high) throw new Error(`From ${low} to ${high}.`);
  return value;
}

// --- the dialogs ----------------------------------------------------------------------------------

function fillSettings(server) {
  for (const name of ['system', 'thinking', 'key', 'tools']) byId(`set-${name}`).value = settings[name];
  for (const name of Object.keys(RANGES)) {
    const field = byId(`set-${name}`);
    field.value = settings[name] ?? '';
    const normal = server.defaults[name];
    field.placeholder = normal === undefined || normal === null ? UNSET[name] : String(normal);
    complain(name, '');
  }
  complain('tools', '');
  byId('field-model').hidden = server.models.length < 2;
  byId('set-model').replaceChildren(...server.models.map((id) => el('option', {value: id}, id)));
  byId('set-model').value = server.models.includes(settings.model) ? settings.model : server.models[0] ?? '';
}

function complain(name, message) {
  byId(`set-${name}-error`).textContent = message;
  byId(`set-${name}`).setAttribute('aria-invalid', message ? 'true' : 'false');
}

// Reads the dialog's fields; null, with the first bad field in focus, if one cannot be used.
function readSettings(server) {
  const chosen = {system: byId('set-system').value.trim(), thinking: byId('set-thinking').value, key: byId('set-key').value.trim(), tools: byId('set-tools').value.trim()};
  if (server.models.length > 1) chosen.model = byId('set-model').value;
  let bad = null;
  const read = (name, parse) => {
    try {
      const value = parse(byId(`set-${name}`).value);
      complain(name, '');
      return value;
    } catch (problem) {
      complain(name, problem.message);
      bad ??= name;
      return null;
    }
  };
  for (const name of Object.keys(RANGES)) chosen[name] = read(name, (text) => numberFrom(name, text));
  if (chosen.tools) read('tools', toolsFrom);
  else complain('tools', '');
  if (bad) byId(`set-${bad}`).focus();
  return bad ? null : chosen;
}

// server(): {models, defaults} as last heard; changed(): after the user saved.
export function setupSettings(server, changed) {
  const dialog = byId('settings');
  const form = dialog.querySelector('form');
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const chosen = readSettings(server());
    if (!chosen) return;
    saveSettings(chosen);
    dialog.close();
    changed();
  });
  byId('reset-settings').addEventListener('click', () => {
    for (const name of Object.keys(RANGES)) byId(`set-${name}`).value = '';
    byId('set-thinking').value = 'auto';
  });
  for (const button of document.querySelectorAll('dialog [data-close]')) {
    button.addEventListener('click', () => button.closest('dialog').close());
  }
  setupTheme();
  return () => {
    fillSettings(server());
    dialog.showModal();
    byId('set-system').focus();
  };
}

// Asks for the server's key; true if one was given.
export function askForKey(wrong) {
  const dialog = byId('ask-key');
  if (dialog.open) return Promise.resolve(false);
  byId('ask-key-title').textContent = wrong ? 'The server does not know this key' : 'This server asks for a key';
  const field = byId('key-field');
  field.value = '';
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    let given = false;
    dialog.querySelector('form').onsubmit = () => {
      given = field.value.trim() !== '';
      if (given) saveSettings({key: field.value.trim()});
    };
    dialog.onclose = () => resolve(given);
  });
}

const THEMES = {auto: ['auto', 'Colours: as the system'], light: ['sun', 'Colours: light'], dark: ['moon', 'Colours: dark']};

function setupTheme() {
  const button = byId('theme');
  const show = () => {
    const [name, label] = THEMES[settings.theme] ?? THEMES.auto;
    if (settings.theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = settings.theme;
    button.replaceChildren(icon(name));
    button.title = label;
    button.setAttribute('aria-label', label);
  };
  button.addEventListener('click', () => {
    const order = Object.keys(THEMES);
    saveSettings({theme: order[(order.indexOf(settings.theme) + 1) % order.length]});
    show();
  });
  show();
}
