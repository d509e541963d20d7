// The programs under test: where they are, how they start beside a test and how they end with it.

import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const E2E = dirname(dirname(fileURLToPath(import.meta.url)));
export const ROOT = dirname(E2E);
export const ARTIFACTS = join(E2E, 'artifacts');
mkdirSync(ARTIFACTS, { recursive: true });

const running = new Set();
// However the test process ends, nothing that it started stays.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143]]) process.on(signal, () => process.exit(status));

export function program(name) {
  const path = join(process.env.WAYPOST_BIN_DIR ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug'), name);
  if (!existsSync(path)) throw new Error(`${path} is not built: cargo build --bins`);
  return path;
}

/**
 * Starts it with nothing of our environment but what a program needs to run; its output goes to artifacts/LOG.log. What needs `root` is started
 * by sudo where we are not; `as` is a command that starts it in another way.
 */
export function start(name, args, { env = {}, log, stdin = 'ignore', root = false, as = [] }) {
  const { PATH, HOME, LANG, TMPDIR, RUST_BACKTRACE } = process.env;
  const kept = Object.fromEntries(Object.entries({ PATH, HOME, LANG, TMPDIR, RUST_BACKTRACE }).filter(([, value]) => value !== undefined));
  const command = [...(root && process.getuid() !== 0 ? ['sudo', '-n'] : []), ...as, program(name), ...args];
  const child = spawn(command[0], command.slice(1), { cwd: ROOT, env: { ...kept, ...env }, stdio: [stdin, 'pipe', 'pipe'] });
  const file = createWriteStream(join(ARTIFACTS, `${log}.log`));
  child.stdout.pipe(file, { end: false });
  child.stderr.pipe(file, { end: false });
  running.add(child);
  child.ended = new Promise((done) => child.once('close', (code, signal) => {
    running.delete(child);
    done(code ?? signal);
  }));
  return child;
}

/** Asks it to end, waits, forces. */
export async function stop(child, { patience = 20_000 } = {}) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.stdin?.end();
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), patience);
  await child.ended;
  clearTimeout(force);
}

/** For one test: stops what is handed to it when the test ends, the last first, however it ends. */
export function tidy(t) {
  const things = [];
  t.after(async () => {
    for (const thing of things.reverse()) await thing.stop();
  });
  return (thing) => {
    things.push(thing);
    return thing;
  };
}
