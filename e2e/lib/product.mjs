// The product on a database, a port and a data directory of its own: the server, and workers beside it or in it.

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

async function makeDatabase(cluster) {
  if (!cluster) throw new Error('WAYPOST_TEST_DATABASE_URL names a PostgreSQL superuser: run the tests by infra/test');
  const name = `waypost_e2e_${randomBytes(6).toString('hex')}`;
  const psql = async (url, text) => (await run('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', text, url], { timeout: 30_000 })).stdout.trim();
  await psql(cluster, `CREATE DATABASE ${name}`);
  const [head, query] = cluster.split('?');
  const url = `${head.replace(/\/[^/]*$/, `/${name}`)}${query ? `?${query}` : ''}`;
  return { url, sql: (text) => psql(url, text), drop: () => psql(cluster, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

/** A migrated database and what the programs are told beside the lab; `cluster` is the URL of a superuser. */
export async function makeProduct(lab, log, cluster = process.env.WAYPOST_TEST_DATABASE_URL) {
  const database = await makeDatabase(cluster);
  const data = await mkdtemp(join(tmpdir(), 'waypost-e2e-'));
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
  const programs = [];
  const begin = (program, args, name, as) => {
    const child = start(program, args, { env, log: `${log}-${name}`, as });
    programs.push(child);
    return child;
  };
  const ready = async (child, url, name) => {
    await until(`${name} is ready`, async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: see artifacts/${log}-${name}.log`);
      return (await fetch(url, { signal: AbortSignal.timeout(5000) })).ok;
    });
    return child;
  };
  const migrating = begin('waypost-server', ['migrate'], 'migrate');
  const status = await migrating.ended;
  if (status !== 0) throw new Error(`waypost-server migrate ended with ${status}: see artifacts/${log}-migrate.log`);
  return {
    base,
    /** Asks the database as its superuser; gives bare values. */
    sql: database.sql,
    /** Where the database is. */
    databaseUrl: database.url,
    serve: async (...options) => ready(begin('waypost-server', ['serve', ...options], 'server'), `${base}/readyz`, 'server'),
    /** Starts a worker by itself, of a region, and `as` the command before it says; its `health` is where it tells of itself. */
    async work(name, { region = 'local', as } = {}) {
      const listen = `127.0.0.1:${await freePort()}`;
      const health = `http://${listen}`;
      const child = await ready(begin('waypost-worker', ['--listen', listen, '--region', region], name, as), `${health}/readyz`, name);
      return Object.assign(child, { health });
    },
    async stop() {
      await Promise.all(programs.map((child) => stop(child)));
      await database.drop();
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** Starts a server with its worker inside. */
export async function startServer(lab, log) {
  const product = await makeProduct(lab, log);
  await product.serve('--worker');
  return product;
}
