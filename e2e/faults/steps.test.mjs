// A worker is killed without warning at each step of record → judge → outbox → claim → send → mark, and while routes tell what follows. Another one
// takes over: nothing is lost, no event makes two messages of ours, and it reaches each receiver once. Only where the receiver has taken a message
// and we have not written that down may it come a second time, recognisable by its id (DESIGN section 2, step 5).

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { signUpConfirmed } from '../lib/client.mjs';
import { halts } from '../lib/halts.mjs';
import { startLab } from '../lib/lab.mjs';
import { makeProduct } from '../lib/product.mjs';
import { tidy } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';

const STORY = { patience: 180_000, every: 500 };
const ALERTS = 'C0LAB00002';
/** Who is told of each event: a member by mail, a webhook, a channel of Slack's app. */
const RECEIVERS = 3;
const HOOK = 'steps';

test('a worker killed at each step loses nothing and repeats nothing but what a receiver took and nobody wrote down', { timeout: 900_000 }, async (t) => {
  const keep = tidy(t);
  // A lab of its own: the faults of its receivers are for all that use it.
  const lab = keep(await startLab('steps-lab'));
  const product = keep(await makeProduct(lab, 'steps'));
  await product.serve();
  await lab.workspace.makeApp(product.base);
  let workers = 0;
  const work = async () => product.work(`worker${workers++}`);
  let worker = await work();
  const person = await signUpConfirmed(lab, product.base, 'steps');
  const back = await lab.workspace.consent((await person.add('slack/authorize', {})).url);
  await person.add('slack/install', { code: back.searchParams.get('code'), state: back.searchParams.get('state') });
  // A host for each: what happens to several ports of one within minutes is told together.
  const leases = [];
  for (let nth = 0; nth < 9; nth += 1) leases.push(await lab.lease(`steps${nth}`));
  await person.add('channels', { name: 'Hook', kind: 'webhook', url: lab.hook(leases[0], HOOK), min_severity: 'info' });
  const slack = await person.add('channels', { name: '', kind: 'slack_app', slack_channel: ALERTS, min_severity: 'info' });
  // One failure is enough here: how it is confirmed is not what is tried.
  const ports = leases.map((lease, nth) => ({ lease, port: [25, 465, 587][nth % 3] })).map(({ lease, port }) => ({ lease, port, target: `${lease.mx_host}:${port}` }));
  for (const { lease, port } of ports) await person.patch('servers', await person.add('servers', { host: lease.mx_host, ports: [port] }), { policy: { fail_after: 1 } });
  const monitors = async () => new Map((await person.list('monitors')).map((one) => [one.target, one]));
  await until('every port is up', async () => {
    const all = await monitors();
    return ports.every(({ target }) => all.get(target)?.state === 'up');
  }, STORY);
  const still = keep(await halts(product));
  const watched = await monitors();

  const die = async () => {
    worker.kill('SIGKILL');
    await worker.ended;
  };
  /** The leases of the dead end. Whoever lives must not lose his: call it while nobody works. */
  const later = () => product.sql("UPDATE schedule_units SET due_at = now() WHERE leased; UPDATE outbox SET next_attempt_at = now(), leased_until = NULL WHERE state = 'pending'");
  const uuid = (id) => id.replace(/^[a-z]+_/, '');
  const rows = async ({ id }, event) => Number(await product.sql(`SELECT count(*) FROM outbox WHERE incident_id = '${uuid(id)}' AND event_key LIKE '%:${event}%'`));
  const sent = async ({ id }) => Number(await product.sql(`SELECT count(*) FROM outbox WHERE incident_id = '${uuid(id)}' AND state = 'sent'`));
  const header = (mail, wanted) => mail.headers.find(([name]) => name.toLowerCase() === wanted)[1];
  /** The ids of what each receiver got about the beginning of an incident. */
  async function got(incident, { kind = 'opened', subject = /^\[(Critical|Warning)\]/ } = {}) {
    const mails = (await lab.mails(person.email)).filter((mail) => subject.test(mail.subject) && mail.text.includes(incident.id));
    const posts = (await lab.posted(HOOK)).filter((post) => post.answer !== 429 && JSON.stringify(post.body).includes(incident.id) && JSON.stringify(post.body).includes(`incident.${kind}`));
    const messages = (await lab.workspace.messages()).filter((message) => !message.thread_ts && JSON.stringify(message).includes(incident.id));
    return [mails.map((mail) => header(mail, 'message-id')), posts.map((post) => post.headers['webhook-id']), messages.map((message) => message.metadata.event_payload.id)];
  }
  /** A successor tells everybody; how often each receiver has it, under one id. */
  async function toldBySuccessor(incident, times, what) {
    await later();
    worker = await work();
    await until(`all is told after a kill ${what}`, async () => (await sent(incident)) === RECEIVERS, STORY);
    const all = await got(incident);
    assert.deepEqual(all.map((ids) => ids.length), times, `${what}: ${JSON.stringify(all)}`);
    assert.deepEqual(all.map((ids) => new Set(ids).size), times.map(() => 1), `${what}: one event, one id`);
    assert.equal(await rows(incident, 'opened'), RECEIVERS, `${what}: one row for each receiver`);
  }
  const once = [1, 1, 1];
  const twice = [2, 2, 2];

  // Who asks too often is told to wait, and asks again.
  const look = ({ target }) => person.ask('POST', `/api/v1/orgs/${person.org.slug}/monitors/${watched.get(target).id}/check`);
  const incidentOf = async ({ target }) => (await person.list('incidents')).find((one) => one.target === target);
  const broken = [];
  /** Breaks a port that was well until now; gives its incident. */
  async function opened(fault = 'refuse') {
    const port = ports.shift();
    broken.push(port);
    await lab.fault(port.lease, port.port, fault);
    return until(`the incident of ${port.target} is open`, async () => {
      const incident = await incidentOf(port);
      if (!incident) await look(port);
      return incident;
    }, STORY);
  }

  // What a worker sees: recorded, judged and put into the outbox in one transaction, or not at all.
  for (const step of ['record', 'judge', 'outbox']) {
    const port = ports.shift();
    const results = () => product.sql(`SELECT count(*) FROM check_results WHERE verdict = 'down' AND monitor_id = '${uuid(watched.get(port.target).id)}'`);
    await lab.fault(port.lease, port.port, 'refuse');
    const held = await still.hold(step);
    const asking = setInterval(() => look(port).catch(() => {}), 1000);
    await held.stands().finally(() => clearInterval(asking));
    await die();
    await held.abandon();
    await held.release();
    assert.deepEqual([await results(), await incidentOf(port)], ['0', undefined], `killed at ${step}: nothing of it is there`);
    await later();
    worker = await work();
    const incident = await until(`the incident is open after a kill at ${step}`, async () => {
      await look(port);
      return incidentOf(port);
    }, STORY);
    await until('all is told', async () => (await sent(incident)) === RECEIVERS, STORY);
    const all = await got(incident);
    assert.deepEqual(all.map((ids) => ids.length), once, `${step}: ${JSON.stringify(all)}`);
  }

  // From the outbox to the receivers.
  const attempted = ({ id }) => product.sql(`SELECT count(*) FROM outbox WHERE incident_id = '${uuid(id)}' AND attempts > 0`);

  let held = await still.hold('claim');
  let incident = await opened();
  await held.stands(2);
  await die();
  await held.abandon();
  await held.release();
  assert.deepEqual([await attempted(incident), await got(incident)], ['0', [[], [], []]], 'it waits in the outbox');
  await toldBySuccessor(incident, once, 'before the claim');

  // Claimed, and none has it: the mail server does not greet yet, and who the others are is not known yet.
  held = await still.hold('claim');
  await lab.sinkFault('slow');
  incident = await opened();
  await held.stands(2);
  await lab.resolver('dead');
  await held.release();
  await until('all are claimed', async () => (await attempted(incident)) === String(RECEIVERS), { every: 20 });
  await die();
  await lab.resolver('none');
  await lab.sinkFault('none');
  assert.deepEqual(await got(incident), [[], [], []], 'nobody has it');
  await toldBySuccessor(incident, once, 'after the claim');

  // They have it and have not answered.
  await lab.sinkFault('late_answer');
  await lab.answers(HOOK, { delay_ms: 8000 });
  await lab.workspace.fault('slow', { delay_ms: 8000, times: 1, method: 'chat.postMessage' });
  incident = await opened();
  await until('all have it', async () => (await got(incident)).every((ids) => ids.length === 1), { every: 20 });
  await die();
  assert.equal(await sent(incident), 0, 'none has said so');
  await lab.sinkFault('none');
  await lab.answers(HOOK);
  await lab.workspace.fault('none');
  await toldBySuccessor(incident, twice, 'while the receivers take it');

  // They have said so, and it is not written down.
  held = await still.hold('mark');
  incident = await opened();
  await held.stands(RECEIVERS);
  await die();
  await held.abandon();
  await held.release();
  assert.deepEqual([await sent(incident), (await got(incident)).map((ids) => ids.length)], [0, once]);
  await toldBySuccessor(incident, twice, 'between acceptance and commit');

  // It is written down: whoever comes next has nothing to do. Of the end each hears as of anything else; in Slack the message is brought up to
  // date and a reply says so. They have said so, and it is not written down.
  await die();
  worker = await work();
  const port = broken.find(({ target }) => target === incident.target);
  held = await still.hold('mark');
  await lab.fault(port.lease, port.port, 'none');
  await until('it is over', async () => {
    await look(port);
    return (await person.get('incidents', incident.id)).status === 'resolved';
  }, STORY);
  await held.stands(RECEIVERS);
  await die();
  await held.abandon();
  await held.release();
  const inSlack = async () => (await lab.workspace.messages()).filter((message) => JSON.stringify(message).includes(incident.id));
  const ends = async () => {
    const [mails, posts] = await got(incident, { kind: 'resolved', subject: /^\[(Resolved|Recovered)\]/ });
    return [mails, posts, (await inSlack()).filter((message) => message.thread_ts).map((message) => message.metadata.event_payload.id)];
  };
  /** What Slack shows of it, and how often it was brought up to date. */
  const shown = async () => (await inSlack()).filter((message) => message.updates > 0).map(({ ts, updates, text, attachments }) => ({ ts, updates, look: JSON.stringify([text, attachments]) }));
  const before = await shown();
  assert.deepEqual([await sent(incident), (await ends()).map((ids) => ids.length), before.map(({ updates }) => updates)], [RECEIVERS, once, [1]]);
  await later();
  worker = await work();
  await until('the end is told', async () => (await sent(incident)) === 2 * RECEIVERS, STORY);
  const all = await ends();
  assert.deepEqual(all.map((ids) => ids.length), twice, 'what nobody wrote down comes again');
  assert.deepEqual(all.map((ids) => new Set(ids).size), once, 'and is recognised');
  assert.deepEqual(await shown(), before.map((message) => ({ ...message, updates: 2 })), 'the same message, which says the same again');
  assert.deepEqual((await got(incident)).map((ids) => ids.length), twice, 'the beginning is not told again');

  // What a route tells when nobody acknowledges: claimed, put into the outbox and taken down in one transaction.
  const escalates = await person.add('routes', { name: 'Escalates', tells: { members: true }, steps: [{ after_minutes: 5, tells: { channels: [slack.id] } }] });
  incident = await opened();
  await until('the first step is told', async () => (await sent(incident)) === 1, STORY);
  held = await still.hold('outbox');
  await product.sql("UPDATE follow_ups SET due_at = now()");
  await held.stands();
  await die();
  await held.abandon();
  await held.release();
  assert.equal(await rows(incident, ''), 1, 'the second step is not there');
  await product.sql('UPDATE follow_ups SET due_at = now(), leased_until = NULL WHERE done_at IS NULL');
  worker = await work();
  await until('the second step is told', async () => (await sent(incident)) === 2, STORY);
  const steps = (await person.get('incidents', incident.id)).timeline.filter((line) => line.event === 'escalated');
  assert.equal(steps.length, 1);
  assert.deepEqual((await got(incident)).map((ids) => ids.length), [1, 0, 1]);

  // What was held for later: what is due for a receiver becomes one message, in the transaction that takes the rows away.
  await person.call('DELETE', `/routes/${escalates.id}`);
  const at = `${String((new Date().getUTCHours() + 12) % 24).padStart(2, '0')}:00`;
  await person.add('routes', { name: 'Once a day', tells: { members: true, channels: [slack.id] }, hold: { kind: 'daily', up_to: 'warning', at } });
  incident = await opened('greet_4xx');
  assert.equal(incident.severity, 'warning');
  const waiting = () => product.sql('SELECT count(*) FROM held_notices');
  const digests = () => product.sql("SELECT count(*) || ' ' || count(*) FILTER (WHERE state = 'sent') FROM outbox WHERE incident_id IS NULL");
  assert.deepEqual([await waiting(), await digests(), await rows(incident, '')], ['2', '0 0', 0]);
  held = await still.hold('outbox');
  await product.sql('UPDATE held_notices SET due_at = now()');
  await held.stands();
  await die();
  await held.abandon();
  await held.release();
  assert.deepEqual([await waiting(), await digests()], ['2', '0 0'], 'it is held as before');
  await product.sql('UPDATE held_notices SET leased_until = NULL');
  worker = await work();
  await until('what was held is told', async () => (await digests()) === '2 2', STORY);
  assert.equal(await waiting(), '0');
  const about = (what) => JSON.stringify(what).includes(incident.title);
  const told = [(await lab.mails(person.email)).filter((mail) => about(mail.text)), (await lab.workspace.messages()).filter(about)];
  assert.deepEqual(told.map((all) => all.length), [1, 1]);

  assert.equal(await product.sql('SELECT count(*) FROM (SELECT FROM outbox GROUP BY org_id, event_key, channel, recipient HAVING count(*) > 1) again'), '0');
  assert.equal(await product.sql('SELECT count(*) FROM (SELECT FROM check_results GROUP BY monitor_id, region, claim HAVING count(*) > 1) again'), '0');
});
