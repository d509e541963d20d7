// All monitors on one page: brought in as a table, searched, and changed many at once.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { signUp } from '../lib/people.mjs';
import { world } from '../lib/world.mjs';

const here = world('fleet');

test('a table is tried, brought in, searched, changed and taken out again', async () => {
  const lease = await here.lab.lease('fleet');
  const visitor = await here.visitor();
  const { page } = visitor;
  const person = await signUp(visitor, 'fleet');
  const main = page.getByRole('main');

  await visitor.open(`/o/${person.org}/all`);
  await main.getByRole('heading', { name: 'Nothing is watched yet' }).waitFor();
  await visitor.look('fleet-empty');

  await visitor.leave(() => main.getByRole('link', { name: 'Import CSV' }).click());
  const table = (rows) => ({ name: 'watched.csv', mimeType: 'text/csv', buffer: Buffer.from(`kind;target;ports;tags\r\n${rows.join('\r\n')}\r\n`) });
  const rows = [`server;${lease.mx_host};25 465 587;edge`, `domain;${lease.domain};;`, 'domain;not a name;;'];
  await page.getByLabel('File').setInputFiles(table(rows));
  await visitor.leave(() => main.getByRole('button', { name: /^Try it/ }).click());
  await main.getByRole('alert').getByText(/^Line 4, target:/).waitFor();
  await visitor.look('import-refused');
  await page.getByLabel('File').setInputFiles(table(rows.slice(0, 2)));
  await visitor.leave(() => main.getByRole('button', { name: /^Try it/ }).click());
  await main.getByText('2 things would be added').waitFor();
  await visitor.look('import-tried');
  // What was tried is in the form: it is carried out without choosing the file again.
  await visitor.leave(() => main.getByRole('button', { name: 'Import', exact: true }).click());
  await main.getByRole('status').getByText('2 things are added').waitFor();

  await visitor.leave(() => main.getByRole('link', { name: 'Show all monitors' }).click());
  await main.getByRole('table').getByRole('row', { name: new RegExp(`${lease.mx_host}:587`) }).waitFor();
  await page.getByLabel('Check', { exact: true }).selectOption({ label: 'SMTP conversation' });
  await visitor.leave(() => main.getByRole('button', { name: 'Show', exact: true }).click());
  assert.equal(await main.locator('tbody tr').count(), 3);
  await main.getByRole('checkbox', { name: new RegExp(`:587`) }).check();
  await page.getByLabel('Checks', { exact: true }).selectOption({ label: 'Pause' });
  await visitor.look('fleet-ticked');
  await visitor.leave(() => main.getByRole('button', { name: 'Apply to all of these' }).click());
  await main.getByRole('status').getByText('1 monitor is changed.').waitFor();
  await main.getByRole('navigation', { name: 'States' }).getByText('Paused 1').waitFor();
  await visitor.look('fleet-changed');
  await page.getByLabel('All 3 that match').check();
  await page.getByLabel('Tags to take away').fill('edge');
  await visitor.leave(() => main.getByRole('button', { name: 'Apply to all of these' }).click());
  await main.getByRole('status').getByText('Tags are changed on 1 thing').waitFor();

  const out = await visitor.context.request.get(`${here.base}${await main.getByRole('link', { name: 'Export these as CSV' }).getAttribute('href')}`);
  assert.match(out.headers()['content-disposition'], /^attachment; filename="waypost-/);
  assert.ok((await out.text()).includes(`\r\nserver,${lease.mx_host},25 465 587,,,300,,,\r\n`), await out.text());
});
