// A channel from its form to its end: refused, added, tried, its key renewed, told of an incident, and removed.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { api } from '../lib/api.mjs';
import { signUp } from '../lib/people.mjs';
import { until } from '../../lib/wait.mjs';
import { world } from '../lib/world.mjs';

const here = world('channels');

test('a webhook is added, tried and told what people open and resolve', async () => {
  const lease = await here.lab.lease('hooks');
  const visitor = await here.visitor();
  const { page } = visitor;
  const person = await signUp(visitor, 'pager');
  const calls = api(visitor, here.base, person.org);
  const main = page.getByRole('main');
  const add = async ({ name, kind, url, token }) => {
    await visitor.open(`/o/${person.org}/channels`);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Kind').selectOption({ label: kind });
    if (url) await page.getByLabel('Address', { exact: true }).fill(url);
    if (token) await page.getByLabel('Key or token').fill(token);
    await visitor.leave(() => main.getByRole('button', { name: 'Add the channel' }).click());
  };

  await visitor.open(`/o/${person.org}/channels`);
  await main.getByRole('heading', { name: 'No channels yet' }).waitFor();
  await visitor.look('channels-empty');

  await add({ name: 'Tools', kind: 'Webhook', url: 'http://tools.example/hook' });
  await main.getByText('is not an https: address').waitFor();
  await visitor.look('channels-refused');

  await add({ name: 'Tools', kind: 'Webhook', url: here.lab.hook(lease, 'tools-of-ours') });
  const key = await page.locator('#signing-key').textContent();
  assert.match(key, /^whsec_/);
  await visitor.look('channels-key');
  await visitor.open(`/o/${person.org}/channels`);
  assert.equal(await page.getByText(key).count(), 0, 'the key is shown once');

  await visitor.leave(() => main.getByRole('link', { name: 'Tools' }).click());
  await main.getByRole('heading', { name: 'Nothing was sent yet' }).waitFor();
  await visitor.look('channel-new');
  await visitor.leave(() => main.getByRole('button', { name: 'Send a test' }).click());
  await main.getByRole('status').getByText('It took the test').waitFor();
  const tests = await here.lab.posted('tools-of-ours');
  assert.deepEqual(tests.map(({ body }) => body.type), ['channel.test']);

  await visitor.leave(() => main.getByRole('button', { name: 'Renew the key' }).click());
  assert.notEqual(await page.locator('#signing-key').textContent(), key);
  await main.getByRole('status').getByText(/signed by the old key too/).waitFor();
  await visitor.look('channel-renewed');

  // What people open and resolve by hand is told too, in order.
  await visitor.open(`/o/${person.org}/add`);
  await page.getByLabel(/^host name/i).fill(lease.mx_host);
  await visitor.leave(() => page.getByRole('button', { name: /^add (mail )?server/i }).click());
  const monitor = await until('the server is watched', async () => (await calls.list('monitors'))[0]);
  const incident = await calls.post('incidents', { monitor_id: monitor.id, title: 'Mail is slow', summary: 'By hand.', severity: 'critical' });
  await calls.patch('incidents', incident, { status: 'resolved' });
  const told = await until('its end is told', async () => {
    const posts = (await here.lab.posted('tools-of-ours')).filter(({ body }) => body.data.incident === incident.id);
    return posts.length === 2 && posts;
  });
  assert.deepEqual(told.map(({ body }) => body.type), ['incident.opened', 'incident.resolved']);
  assert.equal(told[0].body.data.url, `${here.base}/o/${person.org}/incidents/${incident.id}`);

  // One that refuses says so.
  await add({ name: 'Gone', kind: 'Slack, incoming webhook', url: `https://mta-sts.${lease.domain}/services/T0000/B0000/gone-for-good` });
  await visitor.leave(() => main.getByRole('button', { name: 'Send a test to Gone' }).click());
  await main.getByRole('alert').getByText('It did not take the test: 404').waitFor();
  await visitor.look('channel-failed');
  for (const [name, kind, url, token] of [
    ['Operations', 'Microsoft Teams', 'https://prod-00.westeurope.logic.azure.com/workflows/0123456789abcdef/triggers/manual/paths/invoke?sig=abcdef'],
    ['#mail', 'Discord', 'https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuvwxyz'],
    ['On call', 'PagerDuty', '', '0123456789abcdef0123456789abcdef'],
    ['Telephone', 'ntfy', 'https://ntfy.sh/waypost-of-ours'],
  ]) await add({ name, kind, url, token });
  await visitor.look('channels');

  await visitor.leave(() => main.getByRole('link', { name: 'Gone' }).click());
  await visitor.leave(() => main.getByRole('button', { name: 'Switch off' }).click());
  await main.getByText('The channel is off').waitFor();
  await visitor.leave(() => main.getByRole('link', { name: 'Channels' }).or(page.getByRole('link', { name: 'Channels' })).first().click());
  await visitor.leave(() => main.getByRole('link', { name: 'On call' }).click());
  await visitor.look('channel-pager');
  await main.getByText('Remove On call').first().click();
  await visitor.leave(() => main.getByRole('button', { name: 'Remove On call' }).click());
  await main.getByText('The channel is removed.').waitFor();
  assert.equal(await main.getByRole('link', { name: 'On call' }).count(), 0);

  await visitor.leave(() => main.getByRole('link', { name: 'Tools' }).click());
  await main.getByRole('link', { name: 'Incident resolved' }).waitFor();
  await visitor.look('channel-log');
  visitor.fine();
  await visitor.close();
});
