// What a test file needs: a lab, a server with worker beside it, and a browser; made once per file, ended with it.

import { after, before } from 'node:test';

import { launch, visitor } from './browser.mjs';
import { startLab } from '../../lib/lab.mjs';
import { startServer } from '../../lib/product.mjs';

/** Registers the start and the end of a world with the test file; its parts are there once the tests run. */
export function world(name) {
  const parts = {
    /** A person with a browser of their own. */
    visitor: () => visitor(parts.browser, parts.base),
  };
  before(async () => {
    parts.lab = await startLab(`${name}-lab`);
    parts.server = await startServer(parts.lab, name);
    parts.base = parts.server.base;
    parts.browser = await launch();
  }, { timeout: 180_000 });
  after(async () => {
    await parts.browser?.close();
    await parts.server?.stop();
    await parts.lab?.stop();
  }, { timeout: 90_000 });
  return parts;
}
