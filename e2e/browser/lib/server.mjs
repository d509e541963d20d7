// A server with worker on a database, a port and a data directory of its own.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ROOT, start, stop } from './programs.mjs';
import { until } from './wait.mjs';

const run = promisify(execFile);

function freePort() {
  return new Promise((done, failed) => {
    const probe = createServer().once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

async function makeDatabase() {
  const cluster = process.env.WAYPOST_TEST_DATABASE_URL;
  if (!cluster) throw new Error('WAYPOST_TEST_DATABASE_URL names a PostgreSQL superuser: run the tests by infra/test');
  const name = `waypost_browser_${randomBytes(6).toString('hex')}`;
  const sql = (text) => run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', text, cluster], { timeout: 30_000 });
  await sql(`CREATE DATABASE ${name}`);
  const [head, query] = cluster.split('?');
  const url = `${head.replace(/\/[^/]*$/, `/${name}`)}${query ? `?${query}` : ''}`;
  return { url, drop: () => sql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

/** Starts it beside the lab; `base` is its address. */
export async function startServer(lab, log) {
  const database = await makeDatabase();
  const data = await mkdtemp(join(tmpdir(), 'waypost-browser-'));
  const listen = `127.0.0.1:${await freePort()}`;
  const base = `http://${listen}`;
  const env = {
    WAYPOST_ENV: 'development',
    WAYPOST_LISTEN: listen,
    WAYPOST_BASE_URL: base,
    WAYPOST_DATA_DIR: data,
    WAYPOST_ASSETS_DIR: join(ROOT, 'web', 'dist'),
    WAYPOST_SECRET_KEY: randomBytes(32).toString('base64'),
    DATABASE_URL: database.url,
    WAYPOST_MIGRATE_DATABASE_URL: database.url,
    ...lab.environment,
  };
  const migrating = start('waypost-server', ['migrate'], { env, log: `${log}-migrate` });
  const status = await migrating.ended;
  if (status !== 0) throw new Error(`waypost-server migrate ended with ${status}: see artifacts/${log}-migrate.log`);
  const child = start('waypost-server', ['serve', '--worker'], { env, log });
  await until('the server is ready', async () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: see artifacts/${log}.log`);
    return (await fetch(`${base}/readyz`, { signal: AbortSignal.timeout(5000) })).ok;
  });
  return {
    base,
    async stop() {
      await stop(child);
      await database.drop();
      await rm(data, { recursive: true, force: true });
    },
  };
}
