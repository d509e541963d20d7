// Slack as an app, with the real server, worker and database, and a workspace that checks what Slack checks.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { signUp } from '../lib/client.mjs';
import { startLab } from '../lib/lab.mjs';
import { startServer } from '../lib/product.mjs';
import { ARTIFACTS } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';

const ALERTS = 'C0LAB00002';
const OPERATIONS = 'C0LAB00003';
const MANY = 430;

let lab;
let product;
before(async () => {
  lab = await startLab('slack-lab');
  product = await startServer(lab, 'slack');
  // As Slack does when its maker saves the app, the workspace asks whether the address of events answers.
  await lab.workspace.makeApp(product.base);
}, { timeout: 120_000 });
after(async () => {
  await product?.stop();
  await lab?.stop();
}, { timeout: 60_000 });

/** Somebody who has added the app; the workspace gives every organisation the same token, as Slack does. */
async function installed(name) {
  await lab.workspace.fault('none');
  const person = await signUp(product.base, name);
  const { url } = await person.add('slack/authorize', {});
  const back = await lab.workspace.consent(url);
  await person.add('slack/install', { code: back.searchParams.get('code'), state: back.searchParams.get('state') });
  return person;
}

const addChannel = (person, slack_channel = ALERTS) => person.add('channels', { name: '', kind: 'slack_app', slack_channel, min_severity: 'info' });

/** An incident that a person opens, of a server that is well. */
async function incident(person, title, severity = 'critical') {
  // Each of another port.
  person.monitors ??= (await person.add('servers', { host: (await lab.lease('post')).mx_host })).monitors;
  const { id } = person.monitors.shift();
  return person.add('incidents', { monitor_id: id, title, summary: `What was seen of ${title}.`, severity });
}

/** The message that tells of an incident, once there is one that fits. */
function message(incidentOf, fits = () => true) {
  return until(`a message about ${incidentOf.title}`, async () =>
    (await lab.workspace.messages()).find((one) => !one.thread_ts && JSON.stringify(one).includes(incidentOf.id) && fits(one)));
}

const blocks = (one) => one.attachments.flatMap((attachment) => attachment.blocks);
const buttons = (one) => blocks(one).filter((block) => block.type === 'actions').flatMap((block) => block.elements.map((button) => button.action_id));
const replies = async (one) => (await lab.workspace.messages()).filter((other) => other.thread_ts === one.ts);
const stands = async (person, { id }) => person.get('incidents', id);
const patch = (person, { id }, body) => person.call('PATCH', `/incidents/${id}`, body);
const attempts = (channel) => product.sql(`SELECT coalesce(string_agg(event || ' ' || result, ', ' ORDER BY at, id), '') FROM channel_deliveries WHERE channel_id = '${uuid(channel.id)}'`);
const uuid = (id) => id.replace(/^[a-z]+_/, '');
/** What waits is due at once. */
const hurry = () => product.sql("UPDATE channels SET held_until = NULL; UPDATE outbox SET next_attempt_at = now() WHERE state = 'pending'; SELECT pg_notify('waypost_mail', '')");

test('the app is added by who began, in the session that began, once', { timeout: 120_000 }, async () => {
  const person = await signUp(product.base, 'adds');
  assert.deepEqual(await person.call('GET', '/slack'), { available: true });
  const { url } = await person.add('slack/authorize', {});
  const asked = new URL(url);
  assert.equal(asked.origin + asked.pathname, 'https://slack.lab.test/oauth/v2/authorize');
  assert.equal(asked.searchParams.get('redirect_uri'), `${product.base}/slack/callback`);

  const no = await lab.workspace.consent(url, false);
  assert.equal(no.searchParams.get('error'), 'access_denied');
  const declined = await person.ask('GET', no.pathname + no.search);
  assert.equal(declined.headers.get('location'), `/o/${person.org.slug}/channels?saved=not-added`);

  const back = await lab.workspace.consent(url);
  const granted = { code: back.searchParams.get('code'), state: back.searchParams.get('state') };
  const stranger = await signUp(product.base, 'stranger');
  assert.equal((await stranger.ask('GET', back.pathname + back.search)).status, 404, 'another organisation’s member');
  const install = (whom, body) => whom.ask('POST', `/api/v1/orgs/${whom.org.slug}/slack/install`, body);
  assert.equal((await install(stranger, granted)).status, 422, 'another session');
  assert.equal((await install(person, { ...granted, state: `made-up.${person.org.slug}` })).status, 422);
  assert.equal((await install(person, { ...granted, code: 'made-up' })).status, 422, 'a code that Slack does not know');
  assert.equal((await install(person, granted)).status, 422, 'what came back is believed once');

  const again = await lab.workspace.consent((await person.add('slack/authorize', {})).url);
  const home = await person.ask('GET', again.pathname + again.search);
  assert.equal(home.status, 303);
  assert.equal(home.headers.get('location'), `/o/${person.org.slug}/channels/slack?said=installed`);
  const { install: kept } = await person.call('GET', '/slack');
  assert.equal(kept.team_name, 'Lab Post Office');
  assert.equal(kept.installed_by, person.email);
  assert.equal((await person.ask('GET', again.pathname + again.search)).status, 422, 'the way back leads nowhere a second time');
});

test('every channel of a large workspace can be found, and one that does not fit says why', { timeout: 120_000 }, async () => {
  const person = await installed('finds');
  const all = [];
  for (let cursor = ''; cursor !== undefined;) {
    const page = await person.call('GET', `/slack/channels?cursor=${encodeURIComponent(cursor)}`);
    all.push(...page.items);
    cursor = page.next ?? undefined;
    assert.ok(page.items.length <= 400, 'a page has an end');
  }
  const names = all.map((channel) => channel.name);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.length > MANY / 2 && names.includes('team-000') && names.includes('mail-war-room'));
  for (const name of ['board', 'mail-of-old', 'team-003']) assert.ok(!names.includes(name), `${name} is archived, or nobody let the app in`);
  const found = await person.call('GET', '/slack/channels?name=%23Mail-');
  assert.deepEqual(found.items.map((channel) => channel.name), ['mail-alerts', 'mail-operations', 'mail-war-room']);

  const channel = await addChannel(person);
  assert.equal(channel.name, '#mail-alerts');
  for (const [id, why] of [['C0LAB00005', /no such channel, or it is private/], ['C0LAB00006', /archived/], ['general', /begins with C or G/]]) {
    const answer = await person.ask('POST', `/api/v1/orgs/${person.org.slug}/channels`, { name: 'x', kind: 'slack_app', slack_channel: id });
    assert.equal(answer.status, 422);
    const { errors } = await answer.json();
    assert.equal(errors[0].field, 'slack_channel');
    assert.match(errors[0].message, why);
  }
  const test = await person.call('POST', `/channels/${channel.id}/test`);
  assert.equal(test.result, 'sent', test.answer);
  await lab.workspace.fault('refuse', { error: 'not_in_channel', times: 1, method: 'chat.postMessage' });
  const refused = await person.call('POST', `/channels/${channel.id}/test`);
  assert.equal(refused.result, 'failed');
  assert.match(refused.answer, /Invite it there.*not_in_channel/);
});

test('a message shows an incident, each button works once and names who pressed, and the message follows', { timeout: 180_000 }, async () => {
  const person = await installed('presses');
  const channel = await addChannel(person);
  const one = await incident(person, 'No greeting at mx1');
  const posted = await message(one);
  assert.equal(posted.channel, ALERTS);
  const said = JSON.stringify(posted);
  for (const part of ['No greeting at mx1', 'What was seen of', '*Severity*', '*Since*', `${product.base}/o/${person.org.slug}/incidents/${one.id}`]) {
    assert.ok(said.includes(part), `${part} in ${said}`);
  }
  assert.deepEqual(buttons(posted), ['acknowledge', 'resolve', 'mute_1h']);

  // What is not Slack's changes nothing.
  for (const how of ['stale', 'early', 'forged', 'changed', 'unsigned']) {
    assert.equal((await lab.workspace.press(posted, 'acknowledge', { how })).status, 401, how);
  }
  assert.equal((await stands(person, one)).status, 'open');

  assert.equal((await lab.workspace.press(posted, 'acknowledge', { user: 'ada' })).status, 200);
  assert.equal((await lab.workspace.replay()).status, 401, 'what was overheard is worth nothing');
  const taken = await stands(person, one);
  assert.equal(taken.status, 'acknowledged');
  const acks = taken.timeline.filter((line) => line.event === 'acknowledged');
  assert.deepEqual(acks.map((line) => line.actor), ['ada (Slack)']);
  const followed = await message(one, (now) => now.updates > 0 && JSON.stringify(now).includes('Acknowledged by ada (Slack)'));
  assert.deepEqual([followed.ts, buttons(followed)], [posted.ts, ['resolve', 'mute_1h']], 'the same message, without the button that is used up');
  assert.deepEqual(await replies(posted), [], 'and nobody is notified of it');

  // Somebody whose screen is old.
  assert.equal((await lab.workspace.press(posted, 'acknowledge', { user: 'bob', late: true })).status, 200);
  await until('bob hears that he was late', async () => (await lab.workspace.state()).whispers.some((whisper) => /quicker/.test(whisper.text)));
  assert.equal((await stands(person, one)).timeline.filter((line) => line.event === 'acknowledged').length, 1);

  assert.equal((await lab.workspace.press(followed, 'mute_1h', { user: 'bob' })).status, 200);
  const muted = await message(one, (now) => JSON.stringify(now).includes('muted until'));
  assert.deepEqual(buttons(muted), ['resolve']);
  assert.equal((await stands(person, one)).mute.by, 'bob (Slack)');

  assert.equal((await lab.workspace.press(muted, 'resolve', { user: 'eve' })).status, 200);
  const over = await message(one, (now) => buttons(now).length === 0);
  assert.equal(over.ts, posted.ts);
  const [reply, ...more] = await until('the end is told in the thread', async () => {
    const all = await replies(posted);
    return all.length > 0 && all;
  });
  assert.match(reply.text, /Resolved by hand: eve \(Slack\)/);
  assert.deepEqual(more, []);
  const { timeline, status } = await stands(person, one);
  assert.equal(status, 'resolved');
  assert.deepEqual(timeline.filter((line) => line.event === 'resolved').map((line) => line.actor), ['eve (Slack)']);
  assert.equal(await attempts(channel), 'opened sent, handled sent, handled sent, resolved sent');

  // By a person on the pages, too.
  const two = await incident(person, 'Slow', 'warning');
  const second = await message(two);
  await patch(person, two, { status: 'acknowledged' });
  await message(two, (now) => now.ts === second.ts && JSON.stringify(now).includes(`Acknowledged by ${person.email}`));
});

test('a press on a message that stands for many is one update and one reply', { timeout: 180_000 }, async () => {
  const person = await installed('many');
  const channel = await addChannel(person);
  const all = [];
  for (const title of ['First', 'Second', 'Third']) {
    // Of a server each: what happens to several ports of one is told together.
    const { monitors: [{ id }] } = await person.add('servers', { host: (await lab.lease(`many-${title.toLowerCase()}`)).mx_host, ports: [25] });
    all.push(await person.add('incidents', { monitor_id: id, title, summary: 'Seen by hand.', severity: 'critical' }));
  }
  const [posted] = [await message(all[0]), await message(all[1]), await message(all[2])];
  // One stands for all of them, as where one audit opened them.
  await product.sql(`UPDATE slack_messages SET ts = '${posted.ts}' WHERE channel_id = '${uuid(channel.id)}'`);
  const calls = async () => (await lab.workspace.state()).calls.filter((call) => /^chat\./.test(call.method)).map((call) => `${call.method} ${call.answer}`);
  const told = (event) => until(`${event} is told of all`, async () => (await product.sql(`SELECT count(*) FROM outbox WHERE channel_id = '${uuid(channel.id)}' AND state = 'sent' AND split_part(event_key, ':', 3) = '${event}'`)) === '3');
  let before = (await calls()).length;
  assert.equal((await lab.workspace.press(posted, 'acknowledge', { user: 'ada' })).status, 200);
  await told('handled');
  assert.deepEqual((await calls()).slice(before), ['chat.update ok']);
  const shown = await message(all[0], (now) => now.ts === posted.ts && JSON.stringify(now).match(/Acknowledged by ada \(Slack\)/g)?.length === 3);
  before = (await calls()).length;
  assert.equal((await lab.workspace.press(shown, 'resolve', { user: 'eve' })).status, 200);
  await told('resolved');
  assert.deepEqual((await calls()).slice(before), ['chat.update ok', 'chat.postMessage ok']);
  const [reply, ...more] = await replies(posted);
  assert.deepEqual(more, []);
  for (const { title } of all) assert.ok(reply.text.includes(`Resolved: ${title}`), reply.text);
  assert.equal(reply.text.match(/Resolved by hand: eve \(Slack\)/g).length, 1, reply.text);
  for (const one of all) {
    const told = (await stands(person, one)).timeline.filter((line) => line.event === 'notified' && line.text.startsWith(`Told ${channel.name}: `));
    assert.equal(told.length, 2, 'of its beginning and its end');
  }
});

test('a press reaches the incidents of whose message it is and no others', { timeout: 120_000 }, async () => {
  const [one, two] = [await installed('mine'), await installed('theirs')];
  await addChannel(one, ALERTS);
  await addChannel(two, OPERATIONS);
  const [mine, theirs] = [await incident(one, 'Mine'), await incident(two, 'Theirs')];
  const [posted, foreign] = [await message(mine), await message(theirs)];
  for (const wrong of [{ ...posted, channel: foreign.channel }, { ...foreign, channel: posted.channel }]) {
    await assert.rejects(lab.workspace.press(wrong, 'resolve'), /404/, 'the workspace knows no such message');
  }
  assert.equal((await lab.workspace.press(posted, 'resolve', { team: 'T0OTHER001' })).status, 200);
  assert.equal((await stands(one, mine)).status, 'open', 'in another workspace’s name it is about nothing of ours');
  await lab.workspace.press(posted, 'resolve');
  assert.equal((await stands(one, mine)).status, 'resolved');
  assert.equal((await stands(two, theirs)).status, 'open');
  // Who has disconnected is not reached through old messages.
  await two.call('DELETE', '/slack');
  assert.equal((await lab.workspace.press(foreign, 'resolve')).status, 200);
  assert.equal((await stands(two, theirs)).status, 'open');
});

test('a server that recovers says so, in its own words', { timeout: 240_000 }, async () => {
  const person = await installed('recovers');
  await addChannel(person);
  const lease = await lab.lease('recovers');
  await person.add('servers', { host: lease.mx_host });
  const monitor = await until('it is up', async () => (await person.list('monitors')).find((each) => each.kind === 'smtp' && each.target.endsWith(':25') && each.state === 'up'));
  await lab.fault(lease, 25, 'refuse');
  const opened = await until('the incident is open', async () => {
    await person.check(monitor);
    return (await person.list('incidents')).find((each) => each.status === 'open');
  }, { patience: 120_000, every: 1500 });
  const posted = await message(opened);
  assert.match(JSON.stringify(posted), new RegExp(`Runbook: [^|]+`), 'the runbook is linked');
  await lab.fault(lease, 25, 'none');
  await until('it is over', async () => {
    await person.check(monitor);
    return (await stands(person, opened)).status === 'resolved';
  }, { patience: 120_000, every: 1500 });
  const over = await message(opened, (now) => now.ts === posted.ts && buttons(now).length === 0);
  assert.match(over.text, /^Recovered: /);
  assert.ok(!over.text.includes(opened.title), `${over.text} says how it stands, not what was wrong`);
  assert.ok(JSON.stringify(over).includes('What was wrong'));
  const [reply, ...more] = await until('the thread says it', async () => {
    const all = await replies(posted);
    return all.length > 0 && all;
  });
  assert.match(reply.text, /Recovered: /);
  assert.deepEqual(more, []);
});

test('a stopped Slack, one that is busy, and one whose answers are lost: nothing is lost, and no event makes two messages', { timeout: 180_000 }, async () => {
  const person = await installed('waits');
  const channel = await addChannel(person);
  await lab.workspace.fault('stopped');
  const one = await incident(person, 'While it is stopped');
  await until('it was tried', async () => /opened deferred/.test(await attempts(channel)));
  await patch(person, one, { status: 'acknowledged' });

  await lab.workspace.fault('busy', { times: 1, retry_after: 1800 });
  await hurry();
  await until('Slack was busy', async () => (await lab.workspace.state()).calls.some((call) => call.answer === 'busy'));
  const due = () => product.sql(`SELECT extract(epoch FROM min(next_attempt_at) - now())::int FROM outbox WHERE state = 'pending' AND channel_id = '${uuid(channel.id)}'`);
  await until('the wait that Slack asks for is kept', async () => Number(await due()) > 1500);

  await hurry();
  const posted = await message(one, (now) => JSON.stringify(now).includes('Acknowledged by'));
  await until('all is told', async () => /handled sent$/.test(await attempts(channel)));
  assert.match(await attempts(channel), /^(opened deferred, ){2,}opened sent, handled sent$/);
  const about = (await lab.workspace.messages()).filter((each) => JSON.stringify(each).includes(one.id));
  assert.deepEqual(about.map((each) => each.ts), [posted.ts], 'one message, which shows how it stands by then');

  // A message that came when it was told of once more would be another event's.
  const calls = (await lab.workspace.state()).calls.filter((call) => call.method === 'chat.postMessage' && call.answer === 'ok' && JSON.stringify(call.given).includes(one.id));
  assert.equal(calls.length, 1);

  // Slack did what it was asked for, and the answer is lost: the repeated message is recognisable.
  await lab.workspace.fault('lose_answer', { times: 1, method: 'chat.postMessage' });
  const two = await incident(person, 'Lost answer');
  await until('it comes again', async () => /opened deferred$/.test(await attempts(channel)));
  await hurry();
  await until('it is told', async () => /opened deferred, opened sent$/.test(await attempts(channel)));
  const repeated = (await lab.workspace.messages()).filter((each) => JSON.stringify(each).includes(two.id));
  assert.equal(repeated.length, 2);
  assert.equal(new Set(repeated.map((each) => each.metadata.event_payload.id)).size, 1, 'both say which one of ours they are');

  // A message that somebody removed in Slack is not missed: what happens next is a new one.
  const three = await incident(person, 'Removed');
  await lab.workspace.remove(await message(three));
  await patch(person, three, { status: 'resolved' });
  await message(three, (now) => buttons(now).length === 0);
});

test('a revoked token and a removed app say so, and what happened meanwhile is told once the app is back', { timeout: 180_000 }, async () => {
  const person = await installed('loses');
  const channel = await addChannel(person);
  assert.equal(channel.broken, undefined);
  await lab.workspace.revoke();
  const one = await incident(person, 'While it was out');
  const broken = await until('the channel says that it is broken', async () => {
    const { broken } = await person.get('channels', channel.id);
    return broken;
  });
  assert.equal(broken, 'token_revoked');
  const { install } = await person.call('GET', '/slack');
  assert.equal(install.gone_why, 'token_revoked');
  const page = await (await person.ask('GET', `/o/${person.org.slug}/channels`)).text();
  assert.match(page, /took its access away in Slack/);
  const again = async () => {
    const back = await lab.workspace.consent((await person.add('slack/authorize', {})).url);
    await person.add('slack/install', { code: back.searchParams.get('code'), state: back.searchParams.get('state') });
  };
  await again();
  await message(one);
  assert.equal((await person.get('channels', channel.id)).broken, undefined);

  // Slack's times of events are whole seconds; what it tells of the second of an install may be about the one before.
  await product.sql("UPDATE slack_installs SET installed_at = installed_at - interval '1 minute'");
  const told = await lab.workspace.uninstall();
  assert.deepEqual(told.map((answer) => answer.status), [200, 200]);
  const gone = (await person.call('GET', '/slack')).install;
  assert.match(gone.gone_why, /token_revoked|app_uninstalled/);
  await again();

  await person.call('DELETE', '/slack');
  assert.deepEqual(await person.call('GET', '/slack'), { available: true });
  assert.equal((await person.get('channels', channel.id)).broken, 'not_installed');
  assert.equal((await person.ask('DELETE', `/api/v1/orgs/${person.org.slug}/slack`)).status, 404);
});

test('tokens and secrets are sealed, and in no log and no answer', { timeout: 60_000 }, async () => {
  await installed('seals');
  const dump = execFileSync('pg_dump', ['--data-only', '--inserts', product.databaseUrl], { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  const logs = await readFile(join(ARTIFACTS, 'slack-server.log'), 'utf8');
  for (const secret of ['xoxb-', 'lab-slack-client-secret', 'lab-slack-signing-secret']) {
    assert.ok(!dump.includes(secret) && !dump.includes(Buffer.from(secret).toString('hex')), `${secret} in the database`);
    assert.ok(!logs.includes(secret), `${secret} in the log`);
  }
});
