// Slack's app on the pages: added, a channel chosen and tried, its access lost and found, disconnected.

import { test } from 'node:test';

import { api } from '../lib/api.mjs';
import { signUp } from '../lib/people.mjs';
import { world } from '../lib/world.mjs';

const here = world('slack-pages');

test('the app is added to a workspace, told of a channel, and says when it is let in no more', async () => {
  await here.lab.workspace.makeApp(here.base);
  const visitor = await here.visitor();
  const { page } = visitor;
  const person = await signUp(visitor, 'slack');
  const home = `/o/${person.org}/channels`;
  const calls = api(visitor, here.base, person.org);
  const main = page.getByRole('main');
  /** What the page's link does, but for Slack's page, which the browser can not reach: its answer comes from the workspace. */
  const leaveForSlack = async (allow) => {
    const back = await here.lab.workspace.consent((await calls.post('slack/authorize', {})).url, allow);
    await visitor.open(back.pathname + back.search);
  };

  await visitor.open(home);
  await main.getByRole('link', { name: 'Add to Slack' }).waitFor();
  await leaveForSlack(false);
  await main.getByText('The app was not added').waitFor();
  await visitor.look('slack-not-added');

  await leaveForSlack(true);
  await main.getByRole('status').getByText('The app is added.').waitFor();
  await visitor.look('slack-picker');
  await page.getByLabel('A part of the channel’s name').fill('mail-');
  await visitor.leave(() => main.getByRole('button', { name: 'Search' }).click());
  await page.locator('#f-slack_channel').selectOption({ label: '#mail-alerts' });
  await visitor.leave(() => main.getByRole('button', { name: 'Add the channel' }).click());
  await main.getByText('The channel is added.').waitFor();
  await visitor.look('slack-added');

  await visitor.leave(() => main.getByRole('link', { name: '#mail-alerts' }).click());
  await visitor.leave(() => main.getByRole('button', { name: 'Send a test' }).click());
  await main.getByRole('status').getByText('It took the test').waitFor();
  await here.lab.workspace.fault('refuse', { error: 'not_in_channel', times: 1 });
  await visitor.leave(() => main.getByRole('button', { name: 'Send a test' }).click());
  await main.getByRole('alert').getByText('Invite it there').waitFor();
  await visitor.look('slack-channel');

  await here.lab.workspace.revoke();
  await visitor.leave(() => main.getByRole('button', { name: 'Send a test' }).click());
  await main.getByText('Nothing reaches it').waitFor();
  await visitor.open(home);
  await main.getByText('Nothing reaches the workspace').waitFor();
  await visitor.look('slack-gone');
  await leaveForSlack(true);
  await visitor.open(home);
  await main.getByText('Disconnect Slack').first().click();
  await visitor.leave(() => main.getByRole('button', { name: 'Disconnect Slack' }).click());
  await main.getByText('Slack is disconnected').waitFor();
  await main.getByRole('link', { name: 'Add to Slack' }).waitFor();
  visitor.fine();
  await visitor.close();
});
