// Small things that must not go wrong: a wrong password, a forgotten one, a form that keeps what was typed, a page that is not there.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { linkIn } from '../../lib/lab.mjs';
import { logIn, logOut, signUp } from '../lib/people.mjs';
import { world } from '../lib/world.mjs';

const here = world('account');

test('a wrong password says so and keeps the address', async () => {
  const visitor = await here.visitor();
  const { page } = visitor;
  const person = await signUp(visitor, 'wrong');
  await logOut(visitor);
  await logIn(visitor, { ...person, password: 'not the right one' });
  await page.getByRole('alert').first().waitFor();
  assert.equal(await page.getByLabel('Email', { exact: true }).inputValue(), person.email);
  assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '', 'a password is not given back');
  await visitor.look('login-wrong');
  await logIn(visitor, person);
  await page.waitForURL(new RegExp(`/o/${person.org}`));
  visitor.fine();
  await visitor.close();
});

test('a forgotten password is replaced by the link in the mail, once', async () => {
  const visitor = await here.visitor();
  const { page } = visitor;
  const person = await signUp(visitor, 'forgetful');
  await logOut(visitor);
  await visitor.open('/login');
  await visitor.leave(() => page.getByRole('link', { name: /forgot/i }).click());
  await visitor.look('forgot');
  await page.getByLabel('Email', { exact: true }).fill(person.email);
  await visitor.leave(() => page.getByRole('main').getByRole('button').first().click());
  const mail = await here.lab.mail(person.email, /new password/i);
  const link = linkIn(mail, '/reset');
  await visitor.open(link);
  await visitor.look('reset');
  person.password = 'a new and longer password';
  await page.getByLabel('New password', { exact: true }).fill(person.password);
  await visitor.leave(() => page.getByRole('main').getByRole('button').first().click());
  await logIn(visitor, person);
  await page.waitForURL(new RegExp(`/o/${person.org}`));
  visitor.fine();
  await visitor.close();
});

test('a form that is refused keeps what was typed and names the field', async () => {
  const visitor = await here.visitor();
  const { page } = visitor;
  await visitor.open('/signup');
  await page.getByLabel('Email', { exact: true }).fill('keeps@lab.test');
  await page.getByLabel('Password', { exact: true }).fill('short');
  await page.getByLabel('Organisation', { exact: true }).fill('Keepers');
  // The server judges, whatever the browser would have said before.
  await page.locator('form').first().evaluate((form) => form.setAttribute('novalidate', ''));
  await visitor.leave(() => page.getByRole('main').getByRole('button', { name: /^(sign up|create)/i }).click());
  assert.equal(await page.getByLabel('Email', { exact: true }).inputValue(), 'keeps@lab.test');
  assert.equal(await page.getByLabel('Organisation', { exact: true }).inputValue(), 'Keepers');
  assert.equal(await page.getByLabel('Password', { exact: true }).getAttribute('aria-invalid'), 'true');
  await visitor.look('signup-refused');
  await visitor.close();
});

test('a page that is not there says so', async () => {
  const visitor = await here.visitor();
  const response = await visitor.open('/no/such/page');
  assert.equal(response.status(), 404);
  await visitor.page.getByRole('heading', { level: 1 }).waitFor();
  await visitor.look('not-found');
  await visitor.close();
});
