import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api } from '../lib/api.mjs';
import { signUp } from '../lib/people.mjs';
import { world } from '../lib/world.mjs';
const here = world('look');
test('fleet', { timeout: 400_000 }, async () => {
  const lease = await here.lab.lease('fleet');
  const visitor = await here.visitor();
  const { page } = visitor;
  const person = await signUp(visitor, 'fleet');
  const calls = api(visitor, here.base, person.org);
  console.log(Object.keys(calls));
  await visitor.open(`/o/${person.org}/all`);
  await visitor.look('fleet-empty');
  await here.server.sql(`UPDATE users SET email_verified_at = now()`);
  await visitor.open(`/o/${person.org}/add`);
  await page.getByLabel(/^host name/i).fill(lease.mx_host);
  await visitor.leave(() => page.getByRole('button', { name: /^add (mail )?server/i }).click());
  await here.server.sql(`INSERT INTO monitors (org_id, id, kind, target, interval_s, regions, paused, state, latency_ms, last_checked_at, summary, tags)
    SELECT o.id, gen_random_uuid(), 'tcp', 'host' || n || '.some-long-customer-name.example.com:443', 300, '{local}', n % 50 = 0, (ARRAY['up','up','up','up','up','up','down','degraded','unknown','pending'])[1 + n % 10], CASE WHEN n % 10 = 9 THEN NULL ELSE n * 1.3 END, CASE WHEN n % 10 = 9 THEN NULL ELSE now() - n * interval '1 second' END, CASE WHEN n % 10 = 6 THEN 'the connection was refused' WHEN n % 10 = 9 THEN NULL ELSE 'takes connections' END, CASE WHEN n % 3 = 0 THEN '{edge,berlin}' ELSE '{}' END::text[] FROM orgs o, generate_series(1, 4990) n`);
  await here.server.sql(`UPDATE servers SET tags = '{mx}'`);
  for (const q of ['', '?sort=target', '?sort=slowest', '?q=host49', '?tag=edge', '?state=down&kind=tcp']) {
    const times = [];
    for (let i = 0; i < 5; i++) { const t = Date.now(); const r = await visitor.context.request.get(`${here.base}/o/${person.org}/all${q}`); assert.equal(r.status(), 200); times.push(Date.now() - t); }
    console.log(q, times.sort((a, b) => a - b)[2], 'ms median');
  }
  await visitor.open(`/o/${person.org}/all`);
  await visitor.look('fleet-full');
  await page.locator('input[type=checkbox]').nth(0).check();
  await page.locator('input[type=checkbox]').nth(2).check();
  await page.waitForTimeout(1500);
  await page.getByLabel('Checks').selectOption('pause');
  await page.getByLabel('Tags to give').fill('moved');
  await visitor.look('fleet-ticked');
  await visitor.leave(() => page.getByRole('button', { name: 'Apply to all of these' }).click());
  await visitor.look('fleet-done');
  await visitor.open(`/o/${person.org}/all?tag=edge`);
  await page.getByLabel(/that match/).check();
  await page.getByLabel('Check every').selectOption('600');
  const t = Date.now();
  await visitor.leave(() => page.getByRole('button', { name: 'Apply to all of these' }).click());
  console.log('bulk of', await page.getByRole('status').textContent(), Date.now() - t, 'ms');
  await page.getByLabel('Checks').selectOption('pause');
  await visitor.leave(() => page.getByRole('button', { name: 'Apply to all of these' }).click()).catch((e) => console.log(String(e).slice(0, 200)));
  await visitor.look('fleet-refused');
});
