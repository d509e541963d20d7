// A PostgreSQL of a test's own, which can be restarted under load.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { ROOT } from './programs.mjs';

const PATIENCE_MS = 90_000;

/** Starts it; `url` names its superuser. */
export async function startCluster() {
  const child = spawn(join(ROOT, 'e2e', 'lib', 'cluster.sh'), { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((done) => child.once('close', done));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function line() {
    let late;
    const timeout = new Promise((_, failed) => {
      late = setTimeout(() => failed(new Error('the cluster does not answer')), PATIENCE_MS);
    });
    const { value, done } = await Promise.race([lines.next(), timeout]);
    clearTimeout(late);
    if (done) throw new Error('the cluster has ended');
    return value;
  }
  async function order(what) {
    child.stdin.write(`${what}\n`);
    await line();
  }
  return {
    url: await line(),
    restart: () => order('restart'),
    crash: () => order('crash'),
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
