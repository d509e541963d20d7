// Each fault of a mail server opens one incident, the right one, and its end is seen; what is only slow opens none. All faults at once, each on
// a host of its own, against one worker.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { signUpConfirmed } from '../lib/client.mjs';
import { startLab } from '../lib/lab.mjs';
import { makeProduct } from '../lib/product.mjs';
import { tidy } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';

/** Two looks to open, each after the other at most 30 s; a silent server is waited for 45 s each time. */
const STORY = { patience: 300_000, every: 2000 };

/** What the incident says, and how urgent it is: as its worst finding is. */
const FAULTS = [
  { fault: 'refuse', port: 25, severity: 'critical', title: /does not answer/, summary: /refused/ },
  { fault: 'refuse', port: 587, severity: 'critical', title: /Port 587 .* does not answer/, summary: /refused/ },
  { fault: 'silent', port: 25, severity: 'critical', title: /takes connections but does not greet/, summary: /silent/ },
  { fault: 'reset', port: 465, severity: 'critical', title: /Port 465/, summary: /reset/ },
  { fault: 'garbage', port: 25, severity: 'critical', title: /Port 25/, summary: /SMTP/ },
  { fault: 'greet_5xx', port: 25, severity: 'critical', title: /Port 25/, summary: /refuses every conversation/ },
  { fault: 'greet_4xx', port: 25, severity: 'warning', title: /works with problems/, summary: /temporary refusal/ },
  { fault: 'no_starttls', port: 25, severity: 'critical', title: /does not offer STARTTLS/, summary: /clear|read/ },
  { fault: 'close_mid_tls', port: 25, severity: 'critical', title: /Port 25|TLS/, summary: /TLS handshake/ },
  { fault: 'ssl3_only', port: 25, severity: 'critical', title: /Port 25|TLS/, summary: /TLS/ },
  { fault: 'expired_cert', port: 25, severity: 'critical', title: /certificate .* expired/i, summary: /expired/ },
  { fault: 'expired_cert', port: 587, severity: 'critical', title: /certificate .* expired|does not answer/i, summary: /expired/ },
  { fault: 'wrong_name', port: 465, severity: 'critical', title: /certificate|does not answer/i, summary: /does not name/ },
  { fault: 'self_signed', port: 25, severity: 'warning', title: /certificate .* not trusted/i, summary: /self-signed/ },
];

let lab;
before(async () => {
  lab = await startLab('ports-lab');
}, { timeout: 120_000 });
after(() => lab?.stop(), { timeout: 60_000 });

test('each fault of a port opens one incident and ends with it; a tarpit opens none', { timeout: 900_000 }, async (t) => {
  const product = tidy(t)(await makeProduct(lab, 'ports'));
  await product.serve('--worker');
  const person = await signUpConfirmed(lab, product.base, 'ports');
  const cases = [];
  for (const [nth, story] of [...FAULTS, { fault: 'tarpit', port: 25 }].entries()) {
    const lease = await lab.lease(`ports${nth}`);
    await person.add('servers', { host: lease.mx_host, ports: [story.port] });
    cases.push({ ...story, lease, target: `${lease.mx_host}:${story.port}` });
  }
  const monitors = async () => new Map((await person.list('monitors')).map((one) => [one.target, one]));
  await until('every port is up', async () => {
    const all = await monitors();
    return cases.every(({ target }) => all.get(target)?.state === 'up');
  });

  for (const { lease, port, fault } of cases) await lab.fault(lease, port, fault, fault === 'tarpit' ? { delay_ms: 3000 } : {});
  const look = async (which) => {
    const all = await monitors();
    await Promise.all(which.map(({ target }) => person.check(all.get(target))));
  };
  const of = (incidents, { target }) => incidents.filter((one) => one.target === target);
  const broken = cases.filter(({ severity }) => severity);
  await until('each fault has its incident', async () => {
    const incidents = await person.list('incidents');
    const waiting = broken.filter((story) => of(incidents, story).length === 0);
    if (waiting.length === 0) return true;
    await look(waiting);
    throw new Error(waiting.map(({ fault, port }) => `${fault} on ${port}`).join(', '));
  }, STORY);
  const all = await person.list('incidents');
  const wrong = broken.filter((story) => {
    const [incident, ...more] = of(all, story);
    return more.length > 0 || incident.status !== 'open' || incident.severity !== story.severity || !story.title.test(incident.title) || !story.summary.test(`${incident.title} ${incident.summary}`);
  });
  const told = (story) => `${story.fault} on ${story.port}: ${of(all, story).map((one) => `${one.severity} ${one.status} | ${one.title} | ${one.summary}`).join(' / ')}`;
  assert.deepEqual(wrong.map(told), []);
  for (const story of broken) assert.ok((await person.get('incidents', of(all, story)[0].id)).evidence, `${told(story)}: the answer that confirmed it is there`);
  // The slow one was seen, and is told from one that is down.
  const slow = cases.find(({ fault }) => fault === 'tarpit');
  await until('the tarpit is seen', async () => {
    await look([slow]);
    return (await product.sql(`SELECT count(*) FROM last_outcomes o JOIN monitors m ON m.id = o.monitor_id WHERE m.target = '${slow.target}' AND o.outcome::text LIKE '%smtp.tarpit%'`)) === '1';
  }, STORY);
  assert.equal((await monitors()).get(slow.target).state, 'up');

  for (const { lease, port } of cases) await lab.fault(lease, port, 'none');
  await until('each incident is over', async () => {
    const open = (await person.list('incidents')).filter((one) => one.status !== 'resolved');
    if (open.length === 0) return true;
    await look(broken.filter(({ target }) => open.some((one) => one.target === target)));
    throw new Error(open.map((one) => one.title).join(', '));
  }, STORY);
  const incidents = await person.list('incidents');
  assert.equal(incidents.length, broken.length, incidents.map((one) => one.title).join('\n'));
  const events = await product.sql("SELECT count(*) FROM (SELECT incident_id FROM incident_timeline WHERE event IN ('opened', 'resolved') GROUP BY incident_id HAVING string_agg(event, ' ' ORDER BY at, id) <> 'opened resolved') others");
  assert.equal(events, '0', 'each is opened once and ends once');
});
