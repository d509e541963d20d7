// PostgreSQL is restarted and crashed under load: server and worker carry on by themselves, and what they were about to tell is told once.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { signUp } from '../lib/client.mjs';
import { startCluster } from '../lib/cluster.mjs';
import { startLab } from '../lib/lab.mjs';
import { makeProduct } from '../lib/product.mjs';
import { tidy } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';

const READERS = 4;
/** Answers that a page or the API may give while the database is away. */
const ALLOWED = new Set([200, 503]);

test('server and worker outlive restarts and a crash of PostgreSQL under load', { timeout: 400_000 }, async (t) => {
  const keep = tidy(t);
  const cluster = keep(await startCluster());
  const lab = keep(await startLab('database-lab'));
  const product = keep(await makeProduct(lab, 'database', cluster.url));
  let loaded = true;
  const load = [];
  keep({ stop: () => {
    loaded = false;
    return Promise.allSettled(load);
  } });

  const server = await product.serve();
  const worker = await product.work('worker');
  const person = await signUp(product.base, 'restarted');
  const leases = [await lab.lease('restarted0'), await lab.lease('restarted1')];
  for (const lease of leases) await person.add('servers', { host: lease.mx_host });
  // Their addresses are looked for on lists, too: that is not what is tried here.
  const monitors = async () => (await person.list('monitors')).filter((one) => one.kind === 'smtp');
  await until('every port is up', async () => {
    const all = await monitors();
    return all.length === 6 && all.every((one) => one.state === 'up');
  });
  const all = await monitors();
  const broken = all.find((one) => one.target === `${leases[0].mx_host}:25`);
  await person.patch('monitors', broken, { interval_s: 60 });

  const answers = new Map();
  for (let reader = 0; reader < READERS; reader += 1) {
    load.push((async () => {
      for (let turn = reader; loaded; turn += 1) {
        const path = turn % 2 ? `/o/${person.org.slug}` : `/api/v1/orgs/${person.org.slug}/monitors`;
        const answer = await person.ask('GET', path);
        await answer.arrayBuffer();
        answers.set(answer.status, (answers.get(answer.status) ?? 0) + 1);
      }
    })());
  }
  // People press “check now” all the while, whatever they are answered.
  load.push((async () => {
    while (loaded) {
      for (const monitor of all) await person.ask('POST', `/api/v1/orgs/${person.org.slug}/monitors/${monitor.id}/check`);
      await new Promise((done) => setTimeout(done, 500));
    }
  })());

  const recorded = async () => Number(await product.sql('SELECT count(*) FROM check_results'));
  const carriesOn = async (what) => {
    const before = await recorded();
    await until(`results are recorded after ${what}`, async () => (await recorded()) > before + all.length);
    await until(`pages are served after ${what}`, async () => (await person.ask('GET', `/o/${person.org.slug}`)).status === 200);
  };
  await carriesOn('the start');
  await cluster.restart();
  await carriesOn('a restart');
  // An outage begins, and while it is being confirmed and told the database crashes.
  await lab.fault(leases[0], 25, 'refuse');
  await until('the outage was seen', async () => (await product.sql(`SELECT judge->'candidate'->>'state' = 'down' OR state = 'down' FROM monitors WHERE target = '${broken.target}'`)) === 't');
  await cluster.crash();
  await carriesOn('a crash');
  const opened = await until('the incident is open', async () => (await person.list('incidents')).find((one) => one.status === 'open'));
  await lab.mail(person.email, /^\[Critical\]/);
  await lab.fault(leases[0], 25, 'none');
  await cluster.restart();
  await until('the incident is over', async () => (await person.get('incidents', opened.id)).status === 'resolved');
  await lab.mail(person.email, /^\[Recovered\]/);

  loaded = false;
  await Promise.all(load);
  assert.equal(server.exitCode ?? worker.exitCode, null, 'the same processes, from the start to the end');
  assert.deepEqual([...answers.keys()].filter((status) => !ALLOWED.has(status)), [], 'nobody is logged out or told that a thing is not there');
  assert.equal(await product.sql('SELECT count(*) FROM (SELECT FROM check_results GROUP BY monitor_id, region, claim HAVING count(*) > 1) twice'), '0');
  const told = (await lab.mails(person.email)).filter((mail) => /^\[(Critical|Recovered)\]/.test(mail.subject));
  assert.equal(told.length, 2, told.map((mail) => mail.subject).join('\n'));
});
