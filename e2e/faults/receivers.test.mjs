// Those who are to be told are away: the mail server is stopped while an incident opens and ends, a webhook is busy and says for how long, another
// hangs up without an answer. Nothing is lost, nothing is told twice, and each hears of the beginning before the end.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { signUpConfirmed } from '../lib/client.mjs';
import { startLab } from '../lib/lab.mjs';
import { makeProduct } from '../lib/product.mjs';
import { tidy } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';

const STORY = { patience: 120_000, every: 500 };
/** Seconds that the busy webhook asks for. */
const WAIT = 1800;

test('a stopped mail server, a busy webhook and one that hangs up: all is told once, in order', { timeout: 600_000 }, async (t) => {
  const keep = tidy(t);
  // A lab of its own: the faults of its receivers are for all that use it.
  const lab = keep(await startLab('receivers-lab'));
  const product = keep(await makeProduct(lab, 'receivers'));
  await product.serve('--worker');
  const person = await signUpConfirmed(lab, product.base, 'receivers');
  const lease = await lab.lease('receivers');
  const hook = async (path) => ({ path, ...(await person.add('channels', { name: path, kind: 'webhook', url: lab.hook(lease, path), min_severity: 'info' })) });
  const busy = await hook('busy');
  const rude = await hook('rude');
  const server = await person.add('servers', { host: lease.mx_host, ports: [25, 587] });
  // One failure is enough here: how it is confirmed is not what is tried.
  await person.patch('servers', server, { policy: { fail_after: 1 } });
  const becomes = (port, wanted) => until(`port ${port} is ${wanted}`, async () => {
    const monitor = (await person.list('monitors')).find((one) => one.target === `${lease.mx_host}:${port}`);
    if (monitor.state === wanted) return true;
    await person.ask('POST', `/api/v1/orgs/${person.org.slug}/monitors/${monitor.id}/check`);
    return false;
  }, STORY);
  for (const port of [25, 587]) await becomes(port, 'up');

  const rows = (where) => product.sql(`SELECT string_agg(split_part(event_key, ':', 3) || ' ' || state || ' ' || least(attempts, 1), ', ' ORDER BY seq) FROM outbox WHERE ${where}`);
  const ofMail = "channel = 'email'";
  const of = (channel) => `channel_id = '${channel.id.replace(/^[a-z]+_/, '')}'`;
  await lab.sinkFault('stopped');
  await lab.answers(busy.path, { status: 429, retry_after: WAIT, times: 1 });
  await lab.answers(rude.path, { status: 0, times: 1 });
  await lab.fault(lease, 25, 'refuse');
  await becomes(25, 'down');
  const [incident] = await person.list('incidents');
  await until('each was tried', async () => (await rows(`incident_id IS NOT NULL AND attempts > 0 AND last_answer IS NOT NULL`))?.split(', ').length === 3, STORY);
  await lab.fault(lease, 25, 'none');
  await becomes(25, 'up');
  assert.equal((await person.get('incidents', incident.id)).status, 'resolved');

  // Nobody hears of the end before the beginning, and who asked for time is left alone for as long.
  await lab.fault(lease, 587, 'refuse');
  await becomes(587, 'down');
  await until('the other webhook hears of another incident', async () => (await rows(`${of(rude)} AND state = 'sent'`)) === 'opened sent 1', STORY);
  assert.equal(await rows(`incident_id = '${incident.id.replace(/^[a-z]+_/, '')}' AND ${ofMail}`), 'opened pending 1, resolved pending 0');
  assert.equal(await rows(of(busy)), 'opened pending 1, resolved pending 0, opened pending 0');
  const seconds = Number(await product.sql(`SELECT extract(epoch FROM max(next_attempt_at) - now())::int FROM outbox WHERE ${of(busy)}`));
  assert.ok(seconds > WAIT - 120 && seconds <= WAIT, `${seconds} s`);
  assert.deepEqual(await lab.mails(person.email).then((mails) => mails.filter((mail) => mail.text.includes(incident.id))), []);

  await lab.sinkFault('none');
  // What waits is due at once.
  await product.sql("UPDATE channels SET held_until = NULL; UPDATE outbox SET next_attempt_at = now() WHERE state = 'pending' AND (leased_until IS NULL OR leased_until < now()); SELECT pg_notify('waypost_mail', '')");
  await until('all is told', async () => (await product.sql("SELECT count(*) FROM outbox WHERE state = 'sent'")) === '9', STORY);
  const mails = (await lab.mails(person.email)).filter((mail) => mail.text.includes(incident.id));
  assert.deepEqual(mails.map((mail) => mail.subject.match(/^\[(\w+)\]/)[1]), ['Critical', 'Recovered']);
  const heard = async ({ path }) => (await lab.posted(path)).filter((post) => JSON.stringify(post.body).includes(incident.id)).map((post) => ({ type: post.body.type, answer: post.answer, id: post.headers['webhook-id'] }));
  const [refused, taken, end, ...more] = await heard(busy);
  assert.deepEqual([refused.answer, taken.answer, end.answer, more], [429, 200, 200, []]);
  assert.deepEqual([taken.type, end.type], [refused.type, refused.type.replace('opened', 'resolved')]);
  assert.ok(taken.id === refused.id && taken.id !== end.id, 'an attempt that was put off and the next one are one message');
  const [lost, again, over, ...others] = await heard(rude);
  assert.deepEqual([lost.answer, again.answer, over.answer, others], [0, 200, 200, []]);
  assert.ok(lost.id === again.id && again.id !== over.id, 'what may have come through is recognised when it comes again');
  const story = (await person.get('incidents', incident.id)).timeline.map((line) => line.event);
  assert.deepEqual(story.filter((event) => event === 'notified').length, 6, story.join(' '));
  assert.ok(!story.includes('notify_failed'));

  // However often it asks for time, that uses up nothing: who comes back within three days is told.
  await lab.answers(busy.path, { status: 429, retry_after: WAIT });
  await lab.fault(lease, 587, 'none');
  await becomes(587, 'up');
  const waits = `${of(busy)} AND state = 'pending'`;
  for (let asked = 1; asked <= 14; asked += 1) {
    await until(`it was asked ${asked} times`, async () => (await product.sql(`SELECT count(*) FROM outbox WHERE ${waits} AND attempts >= ${asked} AND leased_until IS NULL`)) === '1', STORY);
    await product.sql(`UPDATE channels SET held_until = NULL; UPDATE outbox SET next_attempt_at = now() WHERE ${waits}; SELECT pg_notify('waypost_mail', '')`);
  }
  await lab.answers(busy.path);
  await product.sql(`UPDATE outbox SET created_at = created_at - interval '71 hours', next_attempt_at = now() WHERE ${waits}; UPDATE channels SET held_until = NULL, away_since = away_since - interval '71 hours'; SELECT pg_notify('waypost_mail', '')`);
  await until('it is told in the end', async () => (await rows(of(busy)))?.endsWith('resolved sent 1'), STORY);
});
