// Workers and notifiers are killed without warning: others finish their work, nothing is judged twice, and no event is told twice.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { signUp, signUpConfirmed } from '../lib/client.mjs';
import { startLab } from '../lib/lab.mjs';
import { makeProduct } from '../lib/product.mjs';
import { tidy } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';

/** A dead worker's batch comes back after 15 s, its lease ends after 120 s; a message's after 120 s. */
const LEASES = { patience: 200_000, every: 250 };
const HOSTS = 7;

let lab;
before(async () => {
  lab = await startLab('killed-lab');
}, { timeout: 120_000 });
after(() => lab?.stop(), { timeout: 60_000 });

test('kill -9 of a worker in mid-batch: another finishes, and each outcome is judged and told once', { timeout: 400_000 }, async (t) => {
  const product = tidy(t)(await makeProduct(lab, 'killed-worker'));
  await product.serve();
  const doomed = await product.work('doomed');
  const person = await signUpConfirmed(lab, product.base, 'killed');
  const leases = [];
  for (let n = 0; n < HOSTS; n += 1) leases.push(await lab.lease(`killed${n}`));
  for (const lease of leases) await person.add('servers', { host: lease.mx_host });
  // Their addresses are looked for on lists, too: that is not what is tried here.
  const monitors = async () => (await person.list('monitors')).filter((one) => one.kind === 'smtp');
  await until('every port is up', async () => {
    const all = await monitors();
    return all.length === 3 * HOSTS && all.every((one) => one.state === 'up');
  });
  const all = await monitors();
  const broken = all.find((one) => one.target === `${leases[0].mx_host}:25`);

  // All answer late, each host later than the one before, so that a batch lasts; one port refuses, so that something is to be told.
  for (const [nth, lease] of leases.entries()) for (const port of [25, 465, 587]) await lab.fault(lease, port, 'tarpit', { delay_ms: 100 + 300 * nth });
  await lab.fault(leases[0], 25, 'refuse');
  for (let kill = 0; ; kill += 1) {
    const results = Number(await product.sql('SELECT count(*) FROM check_results'));
    const worker = kill === 0 ? doomed : await product.work(`doomed${kill}`);
    // Some of the batch is recorded, some is still being looked at.
    const inTheMiddle = async () => {
      const [recorded, leased] = (await product.sql(`SELECT (SELECT count(*) FROM check_results) - ${results}, (SELECT count(*) FROM schedule_units WHERE leased)`)).split('|');
      return Number(recorded) > 0 && Number(leased) > 0;
    };
    let asked = 0;
    await until('the worker stands still in the middle of a batch', async () => {
      // Who asks again too soon is answered with what is known, so ask on.
      if (Date.now() > asked + 2000) {
        asked = Date.now();
        await Promise.all(all.map((monitor) => person.check(monitor)));
      }
      if (!(await inTheMiddle())) return false;
      // It may end its batch while it is looked at. Stopped, and with what it had sent carried out, it stays where it is.
      worker.kill('SIGSTOP');
      await setTimeout(200);
      if (await inTheMiddle()) return true;
      worker.kill('SIGCONT');
      return false;
    }, { every: 20 });
    worker.kill('SIGKILL');
    await worker.ended;
    assert.notEqual(await product.sql('SELECT count(*) FROM schedule_units WHERE leased'), '0', 'the worker died in mid-batch');
    if (kill === 1) break;
  }
  await product.work('successor');

  await until('the successor has finished what was asked', async () => {
    const [leased, asked] = (await product.sql('SELECT count(*) FILTER (WHERE leased), count(*) FILTER (WHERE requested) FROM schedule_units')).split('|');
    return leased === '0' && asked === '0';
  }, LEASES);
  const opened = await until('the incident is open', async () => {
    await person.check(broken);
    return (await person.list('incidents')).find((one) => one.status === 'open');
  }, { ...LEASES, every: 2000 });
  await lab.mail(person.email, /^\[Critical\]/);

  for (const lease of leases) for (const port of [25, 465, 587]) await lab.fault(lease, port, 'none');
  await until('the incident is over', async () => {
    await person.check(broken);
    return (await person.get('incidents', opened.id)).status === 'resolved';
  }, { ...LEASES, every: 2000 });
  await lab.mail(person.email, /^\[Recovered\]/);

  assert.equal(await product.sql('SELECT count(*) FROM (SELECT FROM check_results GROUP BY monitor_id, region, claim HAVING count(*) > 1) twice'), '0');
  const events = await product.sql("SELECT string_agg(event, ' ' ORDER BY at, id) FROM incident_timeline WHERE event IN ('opened', 'resolved')");
  assert.equal(events, 'opened resolved', 'one outage is told as one');
  const told = (await lab.mails(person.email)).filter((mail) => /^\[(Critical|Recovered)\]/.test(mail.subject));
  assert.equal(told.length, 2, told.map((mail) => mail.subject).join('\n'));
});

test('kill -9 of a notifier between acceptance and commit: the message comes again under the same Message-ID, and only that one', { timeout: 400_000 }, async (t) => {
  const keep = tidy(t);
  // A lab of its own: the sink's faults are for all that use it.
  const alone = keep(await startLab('notifier-lab'));
  const product = keep(await makeProduct(alone, 'killed-notifier'));
  await product.serve();
  await alone.sinkFault('late_answer');
  const doomed = await product.work('doomed');
  const person = await signUp(product.base, 'notified');
  await until('the sink has the message', async () => (await alone.mails(person.email)).length === 1, { every: 20 });
  doomed.kill('SIGKILL');
  await doomed.ended;
  assert.equal(await product.sql("SELECT count(*) FROM account_mail WHERE state = 'sent'"), '0', 'it died before it could say that the message was taken');

  await alone.sinkFault('none');
  await product.work('successor');
  await until('the message is marked as sent', async () => (await product.sql("SELECT count(*) FROM account_mail WHERE state = 'sent'")) === '1', LEASES);
  const [first, second, ...more] = await alone.mails(person.email);
  const id = (mail) => mail.headers.find(([name]) => name.toLowerCase() === 'message-id')[1];
  assert.equal(id(first), id(second));
  assert.deepEqual(more, []);
});
