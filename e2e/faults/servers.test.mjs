// What is wrong with a server that answers: weak TLS, a login that it refuses, and slowness open one incident each and end with it; another
// greeting and greylisting are seen and open none. All at once, each on a host of its own, against one worker. Where the product waits for a day
// (a close look) or for minutes to pass (a rule's window), they are let pass in the database.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { signUpConfirmed } from '../lib/client.mjs';
import { startLab } from '../lib/lab.mjs';
import { makeProduct } from '../lib/product.mjs';
import { ARTIFACTS, tidy } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';

const STORY = { patience: 240_000, every: 2000 };
/** Milliseconds that a conversation may take, and that the slow server takes for each of three answers. */
const LIMIT = 2000;
const LATE = 1500;

let lab;
before(async () => {
  lab = await startLab('servers-lab');
}, { timeout: 120_000 });
after(() => lab?.stop(), { timeout: 60_000 });

test('weak TLS, a refused login and slowness are one incident each; a new greeting and greylisting are none', { timeout: 900_000 }, async (t) => {
  const product = tidy(t)(await makeProduct(lab, 'servers'));
  await product.serve('--worker');
  const person = await signUpConfirmed(lab, product.base, 'servers');
  const add = async (name, port) => {
    const lease = await lab.lease(name);
    const server = await person.add('servers', { host: lease.mx_host, ports: [port] });
    return { who: person, lease, port, id: server.id, target: `${lease.mx_host}:${port}` };
  };
  const weak = await add('weak', 465);
  const login = await add('login', 587);
  const slow = await add('slow', 25);
  const renamed = await add('renamed', 25);
  // What only the owner of a server may have it asked takes the proof that a domain above it is theirs.
  const owner = await signUpConfirmed(lab, product.base, 'greylisted');
  const lease = await lab.lease('greylisting');
  await lab.record('lab.test', `@ 1 IN MX 10 ${lease.mx_host}.`);
  const { id } = await owner.add('domains', { name: 'lab.test' });
  const { ownership } = await owner.get('domains', id);
  await lab.record('lab.test', `_waypost-verify 1 IN TXT "${ownership.value}"`);
  const greylisting = { who: owner, lease, port: 25, target: `${lease.mx_host}:25` };
  const cases = [weak, login, slow, renamed, greylisting];

  const uuid = (name) => name.replace(/^[a-z]+_/, '');
  const monitor = async ({ who, target }) => (await who.list('monitors')).find((one) => one.target === target);
  const look = async (one) => person !== one.who ? owner.ask('POST', `/api/v1/orgs/${owner.org.slug}/monitors/${(await monitor(one)).id}/check`) : person.check(await monitor(one));
  const outcome = async ({ target }) => JSON.parse(await product.sql(`SELECT o.outcome FROM last_outcomes o JOIN monitors m ON m.id = o.monitor_id WHERE m.target = '${target}'`) || 'null');
  const incidentsOf = async ({ who, target }) => (await who.list('incidents')).filter((one) => one.target === target);
  /** Looks on until it is so. */
  const seen = (what, one, condition) => until(what, async () => {
    if (await condition()) return true;
    await look(one);
    return false;
  }, STORY);
  /** The close look of the day before is over a day old. */
  const nextDay = ({ target }) => product.sql(`UPDATE close_looks SET asked_at = asked_at - interval '25 hours', looked_at = looked_at - interval '25 hours' WHERE target = '${target}'`);
  const closely = async (one) => (await outcome(one)).close_looks ?? [];
  const found = async (one, rule) => (await closely(one)).some((close) => close.findings.some((finding) => finding.rule === rule));
  const asked = async (one, subject) => (await closely(one)).some((close) => close.of_owner === (subject === 'recipients') && !(close.unknown ?? []).some((part) => part.subject === subject));

  await until('the domain is proven', async () => {
    if ((await owner.get('domains', id)).ownership.verified) return true;
    await owner.ask('POST', `/api/v1/orgs/${owner.org.slug}/domains/${id}/check`);
    return false;
  }, STORY);
  await until('every port is up', async () => (await Promise.all(cases.map(monitor))).every((one) => one?.state === 'up'), STORY);
  // A mechanism that sends the password as it is, so that there is something to leak.
  const stored = await person.call('PUT', `/servers/${login.id}/login`, { ...lab.mailbox, mechanism: 'PLAIN' });
  assert.deepEqual([stored.ports, stored.paused_at], [[587], null]);
  const standing = () => person.call('GET', `/servers/${login.id}/login`);
  const accepted = async () => (await standing()).last.some((last) => last.result.outcome === 'accepted');
  await seen('the login works', login, accepted);
  await seen('old TLS is refused', weak, () => asked(weak, 'old_tls'));
  await seen('recipients are taken', greylisting, () => asked(greylisting, 'recipients'));
  const rule = await person.add('rules', {
    name: 'Slow', series: 'response_time_p95', over_minutes: 5, threshold: LIMIT, severity: 'warning', scope: { everything: false, servers: [slow.id] },
  });

  await lab.fault(weak.lease, 465, 'old_tls');
  await lab.fault(login.lease, 587, 'auth_refused');
  await lab.fault(slow.lease, 25, 'tarpit', { delay_ms: LATE });
  await lab.fault(renamed.lease, 25, 'other_banner');
  await lab.fault(greylisting.lease, 25, 'greylist');
  await Promise.all([weak, greylisting].map(nextDay));
  const changes = async () => (await person.list(`servers/${renamed.id}/history`)).flatMap((event) => event.changes.map((change) => change.text));
  const opened = async (one) => (await incidentsOf(one)).length > 0;
  await Promise.all([
    seen('weak TLS has its incident', weak, () => opened(weak)),
    seen('the refused login has its incident', login, () => opened(login)),
    seen('slowness has its incident', slow, () => opened(slow)),
    seen('the new greeting is in the history', renamed, async () => (await changes()).length > 0),
    seen('greylisting is recognised', greylisting, () => found(greylisting, 'smtp.greylisting')),
  ]);
  await seen('the login is paused', login, async () => (await standing()).paused_at);
  // Whoever looks on does not try it again.
  const looks = Number(await product.sql(`SELECT count(*) FROM check_results r JOIN monitors m ON m.id = r.monitor_id WHERE m.target = '${login.target}'`));
  await seen('it is looked at after that', login, async () =>
    Number(await product.sql(`SELECT count(*) FROM check_results r JOIN monitors m ON m.id = r.monitor_id WHERE m.target = '${login.target}'`)) >= looks + 2);
  assert.equal((await lab.mailLog('authentication failed')).length, 2, 'two attempts reached the server, and no third');

  for (const [one, severity, title, summary] of [
    [weak, 'warning', /TLS/, /TLSv?1\.[01]|TLS 1\.[01]/],
    [login, 'critical', /login/i, /refuse/],
    [slow, 'warning', /Response time.*p95|slow/i, /2000|2 s|2\.0 s|2,000/],
  ]) {
    const [incident, ...more] = await incidentsOf(one);
    const told = `${incident.severity} ${incident.status} | ${incident.title} | ${incident.summary}`;
    assert.deepEqual([more.length, incident.status, incident.severity], [0, 'open', severity], told);
    assert.match(incident.title, title, told);
    assert.match(`${incident.title} ${incident.summary}`, summary, told);
    assert.equal((await monitor(one)).state, 'up', 'it answers, and mail flows');
  }
  assert.deepEqual(await changes(), [`the greeting is “${renamed.lease.mx_host} ESMTP Exim 4.98”, before “${renamed.lease.mx_host} ESMTP”`]);
  for (const one of [renamed, greylisting]) assert.deepEqual([await incidentsOf(one), (await monitor(one)).state], [[], 'up'], one.target);

  for (const one of cases) await lab.fault(one.lease, one.port, 'none');
  await Promise.all([weak, greylisting].map(nextDay));
  // What was slow is out of the rule's window.
  await product.sql(`DELETE FROM check_results WHERE monitor_id = '${uuid((await monitor(slow)).id)}' AND latency_ms > ${LIMIT}`);
  await person.call('POST', `/servers/${login.id}/login/resume`);
  const over = async (one) => (await incidentsOf(one)).every((incident) => incident.status === 'resolved');
  await Promise.all([
    ...[weak, login, slow].map((one) => seen(`the incident of ${one.target} is over`, one, () => over(one))),
    seen('the greeting of before is in the history', renamed, async () => (await changes()).length > 1),
    // It knows us by now.
    seen('nobody is greylisted any more', greylisting, async () => (await asked(greylisting, 'recipients')) && !(await found(greylisting, 'smtp.greylisting'))),
  ]);
  assert.ok(await accepted());
  assert.equal((await person.list('incidents')).length, 3);
  assert.deepEqual(await incidentsOf(greylisting), []);
  assert.equal((await person.get('rules', rule.id)).firing, 0);
  const stories = await product.sql(`SELECT string_agg(story, ', ') FROM (SELECT string_agg(t.event, ' ' ORDER BY t.at, t.id) AS story FROM incident_timeline t JOIN incidents i ON i.id = t.incident_id JOIN monitors m ON m.id = i.monitor_id WHERE m.target IN (${cases.map((one) => `'${one.target}'`).join(', ')}) AND t.event IN ('opened', 'resolved') GROUP BY t.incident_id) s`);
  assert.equal(stories, 'opened resolved, opened resolved, opened resolved', 'each is opened once and ends once');
  const told = (await lab.mails(person.email)).map((mail) => mail.subject).filter((subject) => /^\[(Critical|Warning|Recovered)\]/.test(subject));
  assert.equal(told.length, 6, told.join('\n'));

  // Every mechanism that Postfix knows, taken and refused: what each says of the password is another thing to leak.
  const decided = (mechanism, result) => async () => (await standing()).last.some((last) => last.result.mechanism === mechanism && last.result.outcome === result);
  for (const mechanism of ['LOGIN', 'CRAM-MD5', 'SCRAM-SHA-256']) {
    for (const [fault, result] of [['none', 'accepted'], ['auth_refused', 'refused']]) {
      await lab.fault(login.lease, 587, fault);
      await person.call('PUT', `/servers/${login.id}/login`, { ...lab.mailbox, mechanism });
      await seen(`${mechanism} is ${result}`, login, decided(mechanism, result));
    }
  }

  // The password was said to the server, accepted and refused, and is nowhere but sealed: in no form in which it went over the wire either.
  const { user, password } = lab.mailbox;
  const answers = await Promise.all([
    standing(), ...(await person.list('incidents')).map((one) => person.get('incidents', one.id)), person.get('servers', login.id), person.get('monitors', (await monitor(login)).id),
  ]);
  const page = await (await person.ask('GET', `/o/${person.org.slug}/servers/${login.id}`)).text();
  const dump = execFileSync('pg_dump', ['--data-only', '--inserts', product.databaseUrl], { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  const places = { answers: JSON.stringify(answers), page, dump, log: await readFile(join(ARTIFACTS, 'servers-server.log'), 'utf8'), mails: JSON.stringify(await lab.mails(person.email)) };
  assert.match(places.answers, /AUTH PLAIN \*{4}/, 'the transcript of a refusal is shown');
  assert.match(places.dump, /AUTH SCRAM-SHA-256 \*{4}/, 'the last refusal is kept');
  const bare = (text) => Buffer.from(text).toString('base64').replace(/=+$/, '');
  for (const secret of [password, bare(password), bare(`\0${user}\0${password}`), Buffer.from(password).toString('hex')]) {
    for (const [place, text] of Object.entries(places)) assert.ok(!text.includes(secret), `${secret} in ${place}`);
  }
});
