// The newcomer's path: look a domain up, sign up, add it, see the verdict come in live, look around, leave and come back.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { logIn, logOut, signUp } from '../lib/people.mjs';
import { world } from '../lib/world.mjs';

const here = world('newcomer');

test('from a lookup to the verdict of a domain of one\'s own', async () => {
  const lease = await here.lab.lease('newcomer');
  const visitor = await here.visitor();
  const { page } = visitor;

  await visitor.open('/');
  await visitor.look('landing');
  await page.getByLabel(/^domain/i).first().fill(lease.domain);
  await visitor.leave(() => page.getByRole('main').getByRole('button', { name: /^check/i }).click());
  await page.getByRole('heading', { name: lease.domain }).first().waitFor();
  await visitor.look('lookup');

  const person = await signUp(visitor, 'newcomer');
  await page.getByRole('heading', { level: 1 }).waitFor();
  await visitor.look('overview-empty');

  await page.getByLabel('Domain', { exact: true }).fill(lease.domain);
  await visitor.leave(() => page.getByRole('button', { name: 'Add domain' }).click());
  await page.getByRole('heading', { level: 1, name: lease.domain }).waitFor();
  // Nobody reloads: the page fills in as outcomes arrive.
  await page.locator('main .grade', { hasText: /[A-F]$/ }).first().waitFor();
  await visitor.look('domain');

  await visitor.open(`/o/${person.org}/servers`);
  await page.getByRole('link', { name: lease.mx_host }).first().waitFor();
  await visitor.leave(() => page.getByRole('link', { name: lease.mx_host }).first().click());
  await page.getByRole('heading', { level: 1, name: lease.mx_host }).waitFor();
  await page.getByRole('main').getByText('Up', { exact: true }).first().waitFor();
  await visitor.look('server');

  await visitor.open(`/o/${person.org}/addresses`);
  await visitor.leave(() => page.getByRole('link', { name: lease.address }).first().click());
  await page.getByRole('heading', { level: 1, name: lease.address }).waitFor();
  await visitor.look('address');

  await visitor.open(`/o/${person.org}`);
  await page.getByText(lease.domain).first().waitFor();
  await visitor.look('overview');

  await page.getByRole('button', { name: /^dark/i }).click();
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
  await visitor.open(`/o/${person.org}`);
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark', 'the choice outlives the page');

  await logOut(visitor);
  await visitor.open(`/o/${person.org}`);
  assert.match(page.url(), /\/login/, 'pages of an organisation ask who one is');
  await logIn(visitor, person);
  await page.waitForURL(new RegExp(`/o/${person.org}`));
  visitor.fine();
  await visitor.close();
});
