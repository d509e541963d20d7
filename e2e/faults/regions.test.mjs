// The network of half the regions is cut off: their workers reach no mail server any more, and the kernel tells them so. Nobody is woken for that,
// every page says it, and a server that is really dead is found by the other half. In a network of the test's own.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { signUpConfirmed } from '../lib/client.mjs';
import { asUser, cut, inOwnNetwork, isolated, mend } from '../lib/isolated.mjs';
import { startLab } from '../lib/lab.mjs';
import { makeProduct } from '../lib/product.mjs';
import { tidy } from '../lib/programs.mjs';
import { until } from '../lib/wait.mjs';

const STORY = { patience: 240_000, every: 2000 };
/** Regions, each with the user that its worker is. */
const REGIONS = [['local', 61_001], ['east', 61_002], ['west', 61_003], ['south', 61_004]];
const CUT_OFF = REGIONS.filter(([name]) => name === 'east' || name === 'south');
const SERVERS = 5;

const story = 'half the regions cut off: no incident, and what is really dead is one';
if (!isolated) {
  test(`${story} (in a network of its own)`, { timeout: 600_000 }, () => {
    const { WAYPOST_TEST_DATABASE_URL, WAYPOST_BIN_DIR, CARGO_TARGET_DIR, TMPDIR, LANG } = process.env;
    return inOwnNetwork(import.meta.url, { WAYPOST_TEST_DATABASE_URL, WAYPOST_BIN_DIR, CARGO_TARGET_DIR, TMPDIR, LANG });
  });
} else {
  test(story, { timeout: 580_000 }, async (t) => {
    const keep = tidy(t);
    // Its addresses are its own in this network, and would be those of another lab outside: its directory must not be.
    const lab = keep(await startLab('regions-lab', join(tmpdir(), `waypost-lab-regions-${process.pid}`)));
    const product = keep(await makeProduct(lab, 'regions'));
    await product.serve();
    const health = new Map();
    for (const [region, user] of REGIONS) health.set(region, (await product.work(region, { region, as: asUser(user) })).health);
    const person = await signUpConfirmed(lab, product.base, 'regions');
    const regions = REGIONS.map(([name]) => name);
    const leases = [];
    for (let n = 0; n < SERVERS; n += 1) {
      const lease = await lab.lease(`regions${n}`, { apart: true });
      const server = await person.add('servers', { host: lease.mx_host, ports: [25] });
      // Any two of the four decide: but for the knowledge of regions, half of them cut off would be five outages.
      await person.patch('servers', server, { regions, policy: { quorum: 2 } });
      leases.push(lease);
    }
    const monitors = async () => (await person.list('monitors')).filter((one) => one.kind === 'smtp');
    const seenFrom = () => product.sql('SELECT count(*) FROM schedule_units u JOIN monitors m ON m.id = u.monitor_id WHERE m.kind = \'smtp\' AND u.last_verdict = \'up\'');
    // Who asks too often is told to wait, and asks again.
    const look = async () => Promise.all((await monitors()).map((one) => person.ask('POST', `/api/v1/orgs/${person.org.slug}/monitors/${one.id}/check`)));
    await until('every port is up from every region', async () => {
      if (Number(await seenFrom()) === SERVERS * REGIONS.length) return true;
      await look();
      return false;
    }, STORY);

    const network = lab.environment.WAYPOST_EGRESS_ALLOW;
    const hosts = network.replace(/\.0\.0\/16$/, '.192.0/18');
    for (const [, user] of CUT_OFF) await cut(user, hosts);
    const ready = async (base) => (await fetch(`${base}/readyz`, { signal: AbortSignal.timeout(5000) })).text();
    const told = (text) => regions.filter((name) => new RegExp(`region ${name}: .*can not reach anything since`).test(text));
    await until('the regions are known to be cut off', async () => {
      if (told(await ready(product.base)).length === CUT_OFF.length) return true;
      await look();
      return false;
    }, STORY);
    const names = CUT_OFF.map(([name]) => name);
    assert.deepEqual(told(await ready(product.base)), names);
    assert.deepEqual(told(await ready(health.get('local'))), names, 'a worker says so, too');
    const page = await (await person.ask('GET', `/o/${person.org.slug}`)).text();
    for (const name of names) assert.match(page, new RegExp(`${name}[^<]*can not reach`, 'i'), 'and so does every page');

    // A server is really dead, for everybody.
    const [dead] = leases;
    await lab.fault(dead, 25, 'refuse');
    await until('it has its incident', async () => {
      if ((await person.list('incidents')).length > 0) return true;
      await look();
      return false;
    }, STORY);
    const results = () => product.sql("SELECT coalesce(min(n), 0) FROM (SELECT count(*) AS n FROM check_results r JOIN monitors m ON m.id = r.monitor_id WHERE m.kind = 'smtp' GROUP BY r.monitor_id, r.region) counts");
    const before = Number(await results());
    await until('all look twice more', async () => {
      if (Number(await results()) >= before + 2) return true;
      await look();
      return false;
    }, STORY);
    const [incident, ...more] = await person.list('incidents');
    assert.deepEqual([incident.target, incident.status, incident.severity, more], [`${dead.mx_host}:25`, 'open', 'critical', []]);
    assert.equal((await monitors()).filter((one) => one.state === 'up').length, SERVERS - 1);

    // The network is whole again, and then the server.
    for (const [, user] of CUT_OFF) await mend(user, hosts);
    await until('no region is cut off', async () => {
      if (told(await ready(product.base)).length === 0) return true;
      await look();
      return false;
    }, STORY);
    assert.equal((await person.get('incidents', incident.id)).status, 'open', 'what the others see does not end it');
    await lab.fault(dead, 25, 'none');
    await until('the incident is over', async () => {
      if ((await person.get('incidents', incident.id)).status === 'resolved') return true;
      await look();
      return false;
    }, STORY);
    assert.equal((await person.list('incidents')).length, 1);
    const mails = (await lab.mails(person.email)).map((mail) => mail.subject).filter((subject) => /^\[(Critical|Warning|Recovered)\]/.test(subject));
    assert.equal(mails.length, 2, mails.join('\n'));
  });
}
