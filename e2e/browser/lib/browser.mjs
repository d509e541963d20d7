// Chromium, and what every page must hold: no error, no axe violation, no sideways scrolling, in light and dark, wide and narrow.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { ARTIFACTS } from '../../lib/programs.mjs';
import { PATIENCE_MS, until } from '../../lib/wait.mjs';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844 };
const NARROWEST = { width: 360, height: 780 };

// What Chromium says when a page is left while something still loads. We wait before we leave, yet live events may begin a load at any time.
const LEAVING = [/WebAssembly compilation aborted/i, /Response body loading was aborted/i, /net::ERR_ABORTED/];
// A page that answers 4xx on purpose is reported as a failed resource.
const EXPECTED = /Failed to load resource: the server responded with a status of 4\d\d/;

export async function launch() {
  const places = [process.env.WAYPOST_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  const executablePath = places.find((place) => place && existsSync(place));
  if (!executablePath) throw new Error('Chromium is missing: infra/setup --browser, or name it in WAYPOST_CHROMIUM');
  return chromium.launch({
    executablePath,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
}

/** A person with a browser of their own: a fresh context whose page remembers what went wrong. */
export async function visitor(browser, base) {
  const context = await browser.newContext({ baseURL: base, viewport: WIDE, colorScheme: 'light', reducedMotion: 'reduce' });
  context.setDefaultTimeout(PATIENCE_MS);
  context.setDefaultNavigationTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const errors = [];
  const pending = new Set();
  const wrong = (text) => LEAVING.some((leaving) => leaving.test(text)) || errors.push(text);
  page.on('pageerror', (error) => wrong(`page error on ${page.url()}: ${error.stack ?? error.message}`));
  page.on('console', (message) => {
    if (message.type() !== 'error' || EXPECTED.test(message.text())) return;
    wrong(`console error on ${page.url()}: ${message.text()}`);
  });
  page.on('request', (request) => request.resourceType() !== 'eventsource' && pending.add(request));
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => pending.delete(request));
  page.on('requestfailed', (request) => {
    const failure = request.failure()?.errorText ?? '';
    if (!/ERR_ABORTED/.test(failure)) wrong(`${request.method()} ${request.url()} failed: ${failure}`);
  });
  return new Visitor(context, page, errors, pending);
}

class Visitor {
  constructor(context, page, errors, pending) {
    Object.assign(this, { context, page, errors, pending });
  }

  /** Nothing loads any more, save the stream of live events, and the islands are awake. */
  async settle() {
    await this.page.waitForLoadState('load');
    let quiet = 0;
    await until('the page has loaded everything', () => {
      quiet = this.pending.size === 0 ? quiet + 1 : 0;
      return quiet >= 5;
    }, { every: 50 });
  }

  async open(path) {
    await this.settle();
    const response = await this.page.goto(path);
    await this.settle();
    return response;
  }

  /** Does something that leads to another page, and waits for it. */
  async leave(action) {
    await this.settle();
    await action();
    await this.settle();
  }

  fine() {
    assert.deepEqual(this.errors, [], 'the browser reports errors');
  }

  /** Looks at the page as every eye would: pictures, axe in both themes, no sideways scrolling on a telephone. */
  async look(name) {
    await this.settle();
    const { page } = this;
    // Where the last click left the pointer something may be hovered, which is no state of the page.
    await page.mouse.move(0, 0);
    for (const [colorScheme, viewport, suffix] of [
      ['light', WIDE, 'light-1440'],
      ['dark', WIDE, 'dark-1440'],
      ['light', NARROW, 'light-390'],
    ]) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.screenshot({ path: join(ARTIFACTS, `${name}-${suffix}.png`), fullPage: true });
      await this.accessible(`${name} ${suffix}`);
    }
    await page.setViewportSize(NARROWEST);
    const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    await page.setViewportSize(WIDE);
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
    assert.ok(wide <= seen, `${name} scrolls sideways at ${NARROWEST.width} px: ${wide} > ${seen}`);
    this.fine();
  }

  async accessible(name) {
    // Sent by the debugger, so that the page's Content-Security-Policy stays as it is.
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.slice(0, 5).map((node) => `    ${node.html}\n    ${node.failureSummary}`).join('\n')}`);
    assert.equal(told.length, 0, `axe on ${name} (${this.page.url()}):\n${told.join('\n')}`);
  }

  async close() {
    await this.context.close();
  }
}
