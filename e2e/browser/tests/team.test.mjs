// An owner invites a colleague, who joins by the mail's link; roles change what they may do, and who is removed sees nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { linkIn } from '../../lib/lab.mjs';
import { logOut, signUp } from '../lib/people.mjs';
import { world } from '../lib/world.mjs';

const here = world('team');
const PASSWORD = 'another long battery staple';

async function confirm(visitor, person) {
  const mail = await here.lab.mail(person.email, /confirm your email/i);
  await visitor.open(linkIn(mail, '/verify'));
  await visitor.leave(() => visitor.page.getByRole('button', { name: 'Confirm' }).click());
}

async function invite(visitor, org, email, role) {
  const { page } = visitor;
  await visitor.open(`/o/${org}/team`);
  await page.getByLabel('Invite by email').fill(email);
  await page.getByLabel('Role', { exact: true }).selectOption(role);
  await visitor.leave(() => page.getByRole('button', { name: 'Send invitation' }).click());
}

test('a colleague is invited, joins, gets another role and is removed', async () => {
  const owner = await here.visitor();
  const boss = await signUp(owner, 'boss');
  // An address that nobody proved invites nobody.
  await invite(owner, boss.org, 'colleague@lab.test', 'viewer');
  await owner.page.getByRole('alert').getByText(/Confirm your own email address first/).waitFor();
  await confirm(owner, boss);
  await invite(owner, boss.org, 'colleague@lab.test', 'viewer');
  await owner.page.getByRole('status').getByText(/on its way/).waitFor();
  await owner.look('team-invited');

  const mail = await here.lab.mail('colleague@lab.test', /invites you to/);
  assert.ok(mail.text.includes('boss@lab.test') && mail.text.includes('boss post office'));
  const colleague = await here.visitor();
  const { page } = colleague;
  await colleague.open(linkIn(mail, '/invitation'));
  await colleague.look('invitation');
  await page.getByLabel('Choose a password').fill(PASSWORD);
  await colleague.leave(() => page.getByRole('button', { name: 'Join' }).click());
  await page.waitForURL(new RegExp(`/o/${boss.org}$`));
  await colleague.open(`/o/${boss.org}/team`);
  await page.getByText('Needs the role Admin; yours is Viewer.').first().waitFor();
  await colleague.look('team-viewer');
  // The link is used up.
  await colleague.open(linkIn(mail, '/invitation'));
  await page.getByText(/was used, taken back or is too old/).waitFor();

  await owner.open(`/o/${boss.org}/team`);
  await owner.page.getByLabel('Role of colleague@lab.test').selectOption('editor');
  await owner.leave(() => owner.page.getByRole('button', { name: 'Save the role of colleague@lab.test' }).click());
  await owner.page.getByText('The role is changed.').waitFor();
  await colleague.open(`/o/${boss.org}/add`);
  await page.getByLabel(/^domain/i).first().waitFor();

  await owner.open(`/o/${boss.org}/team`);
  await owner.page.getByRole('button', { name: 'Remove colleague@lab.test' }).click();
  await owner.look('team-remove');
  await owner.leave(() => owner.page.getByRole('dialog').getByRole('button').click());
  await owner.page.getByText('The member is removed.').waitFor();
  assert.equal((await colleague.open(`/o/${boss.org}`)).status(), 404);
  await colleague.open('/app');
  await page.getByRole('heading', { name: 'Create an organisation' }).waitFor();
  await colleague.look('no-organisation');
  await page.getByLabel('Organisation', { exact: true }).fill('Own place');
  await colleague.leave(() => page.getByRole('button', { name: 'Create' }).click());
  await page.waitForURL(/\/o\/own-place/);
  owner.fine();
  await owner.close();
  await colleague.close();
});

test('who has an account logs in on the way and has both organisations', async () => {
  const guest = await here.visitor();
  const person = await signUp(guest, 'guest');
  await logOut(guest);
  const owner = await here.visitor();
  const host = await signUp(owner, 'host');
  await confirm(owner, host);
  await invite(owner, host.org, person.email, 'admin');
  const mail = await here.lab.mail(person.email, /invites you to/);
  await guest.open(linkIn(mail, '/invitation'));
  const { page } = guest;
  await guest.look('invitation-known');
  await guest.leave(() => page.getByRole('main').getByRole('link', { name: 'Log in' }).click());
  await page.getByLabel('Email', { exact: true }).fill(person.email);
  await page.getByLabel('Password', { exact: true }).fill(person.password);
  await guest.leave(() => page.getByRole('main').getByRole('button', { name: 'Log in' }).click());
  await guest.leave(() => page.getByRole('button', { name: 'Join' }).click());
  await page.waitForURL(new RegExp(`/o/${host.org}$`));
  await page.getByRole('link', { name: person.organisation }).waitFor({ state: 'attached' });
  guest.fine();
  owner.fine();
  await guest.close();
  await owner.close();
});
