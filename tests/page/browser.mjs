// Chromium for the tests, and what they do with the page again and again.
import {existsSync} from 'node:fs';

const CHROMIUM = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export async function launch() {
  const {chromium} = await import('playwright-core');
  return chromium.launch({
    executablePath: CHROMIUM.find((path) => path && existsSync(path)),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
  });
}

// A page in a fresh profile. Whatever goes wrong in it, and every refusal of its policy, lands in page.problems.
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({viewport: {width: 1280, height: 860}, ...options});
  const page = await context.newPage();
  page.problems = [];
  watch(page);
  await page.goto(url);
  await page.locator('#draft').waitFor();
  return page;
}

export function watch(page) {
  page.setDefaultTimeout(20000);
  page.on('pageerror', (problem) => page.problems.push(`error: ${problem.message}`));
  page.on('console', (message) => {
    // Requests that fail on purpose are logged by the browser itself.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) page.problems.push(message.text());
  });
  page.on('dialog', (dialog) => {
    page.problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
}

export async function ask(page, text) {
  await page.locator('#draft').fill(text);
  await page.keyboard.press('Enter');
}

// The last answer, once it is over.
export async function answered(page) {
  const last = page.locator('.turn.answer').last();
  await last.waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll('.turn.answer')].at(-1)?.getAttribute('aria-busy') === 'false');
  return last;
}
