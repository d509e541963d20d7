// A network of a test's own, in which the way of single programs can be cut: the kernel answers them that there is none. Nothing of the machine's
// own network is touched.

import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MARK = 'WAYPOST_E2E_ISOLATED';
/** Rules are looked at before the table of the machine's own addresses, which the kernel looks at first otherwise. */
const LOCAL = '32000';
const CUT = '10';

/** Whether this process has a network of its own. */
export const isolated = process.env[MARK] === '1';

/** Runs the test file once more in a network of its own, and fails as it does. */
export async function inOwnNetwork(url, environment) {
  const { PATH, HOME } = process.env;
  const settings = Object.entries({ PATH, HOME, ...environment, [MARK]: '1' }).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`);
  const begin = `ip link set lo up && ip rule add pref ${LOCAL} lookup local && ip rule del pref 0 && exec "$@"`;
  const command = ['unshare', '--net', '--kill-child', 'env', '-i', ...settings, 'sh', '-c', begin, 'sh', process.execPath, '--test', '--test-reporter=spec', fileURLToPath(url)];
  const [program, ...args] = process.getuid() === 0 ? command : ['sudo', '-n', ...command];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => {
    said += data;
  });
  const status = await new Promise((done, failed) => {
    child.once('error', failed);
    child.once('close', (code, signal) => done(code ?? signal));
  });
  if (status !== 0) throw new Error(`it ended with ${status}:\n${said}`);
}

/** The number of a user of its own for a program whose way is to be cut; it may read what we may. */
export const asUser = (number) => ['setpriv', `--reuid=${number}`, '--inh-caps=+dac_override', '--ambient-caps=+dac_override'];

/** From now on programs of that user reach none of these addresses, or all of them again. */
export const cut = (number, network) => run('ip', ['rule', 'add', 'pref', CUT, 'uidrange', `${number}-${number}`, 'to', network, 'unreachable']);
export const mend = (number, network) => run('ip', ['rule', 'del', 'pref', CUT, 'uidrange', `${number}-${number}`, 'to', network, 'unreachable']);
