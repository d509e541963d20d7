// A mail server that fails and answers in turn is one incident: told when it opens, at most once that it flaps, and once when it is over. A real
// worker looks at a real server through the lab's faults; half an hour of calm is let pass in the database.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { signUpConfirmed } from '../lib/client.mjs';
import { startLab } from '../lib/lab.mjs';
import { makeProduct } from '../lib/product.mjs';
import { tidy } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';

const STORY = { patience: 120_000, every: 1000 };

let lab;
before(async () => {
  lab = await startLab('flapping-lab');
}, { timeout: 120_000 });
after(() => lab?.stop(), { timeout: 60_000 });

test('a server that flaps is one incident, told when it opens and when it is over', { timeout: 900_000 }, async (t) => {
  const product = tidy(t)(await makeProduct(lab, 'flapping'));
  await product.serve('--worker');
  const person = await signUpConfirmed(lab, product.base, 'flapping');
  const lease = await lab.lease('flapping');
  await person.add('servers', { host: lease.mx_host, ports: [25] });
  const monitor = async () => (await person.list('monitors')).find((one) => one.target === `${lease.mx_host}:25`);
  await until('the port is up', async () => (await monitor())?.state === 'up', STORY);

  // A look that sees it so, each after the last one.
  const seen = () => product.sql('SELECT count(*) FROM check_results');
  const looks = async (fault) => {
    await lab.fault(lease, 25, fault);
    const before = Number(await seen());
    const sees = fault === 'none' ? 'up' : 'down';
    await until(`it is seen with ${fault}`, async () => {
      const latest = await product.sql(`SELECT verdict FROM check_results ORDER BY at DESC LIMIT 1`);
      if (Number(await seen()) > before && latest === sees) return true;
      await person.check(await monitor());
      return false;
    }, STORY);
  };
  for (const fault of ['refuse', 'none', 'refuse', 'none', 'refuse', 'refuse', 'none', 'refuse', 'none']) await looks(fault);
  const [incident, ...more] = await person.list('incidents');
  assert.deepEqual([more.length, incident.status, (await monitor()).state], [0, 'open', 'down']);
  assert.ok(incident.flapping_since && (await monitor()).flapping_since);

  await product.sql(`UPDATE monitors SET judge = jsonb_set(judge, '{steadiness,changes}', (SELECT jsonb_agg(to_jsonb((at::text::timestamptz - interval '31 minutes'))) FROM jsonb_array_elements_text(judge #> '{steadiness,changes}') AS at)) WHERE judge #> '{steadiness,changes}' IS NOT NULL`);
  await looks('none');
  await until('it is over', async () => (await person.get('incidents', incident.id)).status === 'resolved', STORY);
  assert.equal((await person.list('incidents')).length, 1);
  const mails = (await product.sql(`SELECT string_agg(message ->> 'subject', '|' ORDER BY id) FROM outbox WHERE incident_id IS NOT NULL`)).split('|');
  const kinds = mails.map((subject) => subject.match(/^\[(\w+)\]/)[1]);
  assert.deepEqual(kinds.filter((kind) => kind !== 'Flapping'), ['Critical', 'Recovered'], mails.join('\n'));
  assert.ok(kinds.length <= 3, mails.join('\n'));
  const story = (await person.get('incidents', incident.id)).timeline.map((line) => line.event);
  assert.ok(story.includes('flapping') && story.filter((event) => event === 'changed').length >= 2, story.join(' '));
});
