// A port breaks: an incident opens, its people are mailed, it is mended, and they are told that it is over.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { api } from '../lib/api.mjs';
import { signUp } from '../lib/people.mjs';
import { until } from '../../lib/wait.mjs';
import { world } from '../lib/world.mjs';

const here = world('incident');

test('a port that refuses becomes an incident, a mail, and a recovery', async () => {
  const lease = await here.lab.lease('breaks');
  const visitor = await here.visitor();
  const { page } = visitor;
  const person = await signUp(visitor, 'operator');
  const calls = api(visitor, here.base, person.org);

  await visitor.open(`/o/${person.org}/add`);
  await visitor.look('add');
  await page.getByLabel(/^host name/i).fill(lease.mx_host);
  await visitor.leave(() => page.getByRole('button', { name: /^add (mail )?server/i }).click());
  await page.getByRole('heading', { level: 1, name: lease.mx_host }).waitFor();
  const server = await until('every port is up', async () => {
    const found = (await calls.list('servers')).find((one) => one.host === lease.mx_host);
    return found?.monitors.length === 3 && found.monitors.every((monitor) => monitor.state === 'up') && found;
  });
  const monitor = server.monitors.find((one) => one.target.endsWith(':25'));
  // The shortest interval, so that the second look comes after seconds.
  await calls.patch('monitors', monitor, { interval_s: 60 });

  await here.lab.fault(lease, 25, 'refuse');
  const opened = await until('an incident is open', async () => {
    await calls.check(monitor);
    return (await calls.list('incidents')).find((one) => one.status === 'open');
  }, { every: 2000 });
  const alarm = await here.lab.mail(person.email, /does not answer/);
  assert.match(alarm.subject, /^\[Critical\]/);
  assert.ok(alarm.text.includes(lease.mx_host), 'the mail names the host');

  await visitor.open(`/o/${person.org}/incidents`);
  await visitor.look('incidents');
  await visitor.leave(() => page.getByRole('link', { name: opened.title }).first().click());
  await page.getByRole('heading', { level: 1, name: opened.title }).waitFor();
  await page.getByRole('main').getByText('Opened').first().waitFor();
  await visitor.look('incident');

  await here.lab.fault(lease, 25, 'none');
  await until('the incident is over', async () => {
    await calls.check(monitor);
    return (await calls.get('incidents', opened.id)).status === 'resolved';
  }, { every: 2000 });
  await here.lab.mail(person.email, /^\[Recovered\]/);
  // Nobody reloads this page either.
  await page.getByRole('main').getByText(/^resolved/i).first().waitFor();
  await visitor.look('incident-resolved');
  await visitor.open(`/o/${person.org}`);
  await visitor.look('overview-after');
  visitor.fine();
  await visitor.close();
});
