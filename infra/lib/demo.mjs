// Fills the demo organisation through the public API, as any program could: signs up once, signs in afterwards, adds what is not there yet.
//   node demo.mjs BASE_URL PASSWORD_FILE LAB_READY_JSON
// Prints how to sign in.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const [base, passwordFile, readyText] = process.argv.slice(2);
const { demo, control } = JSON.parse(readyText);
const email = 'demo@lab.test';
const organisation = 'Northwind Demo';
let cookie = '';

async function call(method, path, body) {
  const response = await fetch(`${base}/api/v1${path}`, {
    method,
    // Unsafe methods with a cookie must come from our own pages.
    headers: { origin: base, accept: 'application/json', ...(cookie && { cookie }), ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const set = response.headers.getSetCookie?.() ?? [response.headers.get('set-cookie')].filter(Boolean);
  if (set.length) cookie = set.map((line) => line.split(';')[0]).join('; ');
  const text = await response.text();
  const answer = text && /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : {};
  return { status: response.status, answer };
}

function fail(what, { status, answer }) {
  const fields = (answer.errors ?? []).map((error) => `${error.field}: ${error.message}`).join('; ');
  console.error(`waypost: ${what}: ${status} ${answer.detail ?? answer.title ?? ''} ${fields}`.trimEnd());
  process.exit(1);
}

function password() {
  if (!existsSync(passwordFile)) writeFileSync(passwordFile, `${randomBytes(12).toString('base64url')}\n`, { mode: 0o600 });
  return readFileSync(passwordFile, 'utf8').trim();
}

async function signIn() {
  const login = await call('POST', '/auth/login', { email, password: password() });
  if (login.status === 200) return login.answer.org;
  const signup = await call('POST', '/auth/signup', { email, password: password(), organisation });
  if (signup.status !== 201) fail(`${email} can neither sign in nor sign up`, signup);
  return signup.answer.org;
}

/** All items of a list, page by page. */
async function all(path) {
  const items = [];
  let cursor = '';
  do {
    const page = await call('GET', `${path}?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    if (page.status !== 200) fail(`GET ${path}`, page);
    items.push(...page.answer.items);
    cursor = page.answer.next ?? '';
  } while (cursor && items.length < 5000);
  return items;
}

/** Adds what is wanted and not there; somebody else, such as the discovery of MX hosts, may have been quicker. */
async function add(resource, key, wanted) {
  const path = `/orgs/${org.slug}/${resource}`;
  const there = new Set((await all(path)).map((item) => item[key]));
  let added = 0;
  for (const one of wanted ?? []) {
    const body = typeof one === 'string' ? { [key]: one } : one;
    if (there.has(body[key])) continue;
    const answer = await call('POST', path, body);
    if (answer.status === 201) added += 1;
    else if (answer.status !== 409) fail(`${resource}: ${body[key]} could not be added`, answer);
  }
  return added;
}

/** What is on a list at the first scan is no news: the address gets on its list when it has been scanned once. */
async function listWhileWatched() {
  const until = Date.now() + 60_000;
  for (;;) {
    const address = (await all(`/orgs/${org.slug}/addresses`)).find((one) => one.cidr === demo.event.address);
    if (address?.listed > 0) return;
    if (address?.last_checked_at) {
      const listed = await fetch(`${control}/rbl/${demo.event.zone}/${demo.event.address}`, { method: 'PUT', signal: AbortSignal.timeout(30_000) });
      if (!listed.ok) fail('the lab does not list the address', { status: listed.status, answer: {} });
      await call('POST', `/orgs/${org.slug}/addresses/${address.id}/check`);
      return;
    }
    // A slow machine: the demo is there without this event.
    if (Date.now() > until) return;
    await new Promise((done) => setTimeout(done, 500));
  }
}

const org = await signIn();
const added = [
  ['domains', await add('domains', 'name', demo.domains)],
  ['servers', await add('servers', 'host', demo.servers)],
  ['addresses', await add('addresses', 'cidr', demo.addresses)],
].filter(([, count]) => count > 0);
await listWhileWatched();
console.error(`   ${added.length ? `added ${added.map(([what, count]) => `${count} ${what}`).join(', ')}` : 'everything is there already'}`);
console.log(`\nDemo: sign in as ${email} with the password ${password()}`);
