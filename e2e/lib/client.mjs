// The public API as an outside program speaks it: `fetch` and the session's cookie.

import assert from 'node:assert/strict';

import { linkIn } from './lab.mjs';

/** Signs up and follows the link in the mail: who has confirmed nothing may watch a few ports only. */
export async function signUpConfirmed(lab, base, name) {
  const person = await signUp(base, name);
  const token = new URL(linkIn(await lab.mail(person.email, /confirm/i), '/verify'), base).searchParams.get('token');
  assert.equal((await person.ask('POST', '/api/v1/auth/verify', { token })).status, 204);
  return person;
}

/** Signs up at `base` and answers a client of the new organisation. */
export async function signUp(base, name) {
  const person = { email: `${name}@lab.test`, password: 'correct horse battery staple', organisation: `${name} post office` };
  const response = await fetch(`${base}/api/v1/auth/signup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: base },
    body: JSON.stringify(person),
    signal: AbortSignal.timeout(30_000),
  });
  const { org } = await response.json();
  assert.equal(response.status, 201);
  const cookie = response.headers.getSetCookie().map((one) => one.split(';')[0]).join('; ');

  /** One request, whatever it answers. */
  const ask = (method, path, body) =>
    fetch(`${base}${path}`, {
      method,
      headers: { cookie, origin: base, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.timeout(30_000),
    });
  async function call(method, path, body) {
    const answer = await ask(method, `/api/v1/orgs/${org.slug}${path}`, body);
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path} answers ${answer.status}: ${text}`);
    return text ? JSON.parse(text) : undefined;
  }
  return {
    ...person,
    org,
    ask,
    list: async (resource) => (await call('GET', `/${resource}?limit=200`)).items,
    get: (resource, id) => call('GET', `/${resource}/${id}`),
    add: (resource, body) => call('POST', `/${resource}`, body),
    patch: (resource, item, body) => call('PATCH', `/${resource}/${item.id}`, body),
    call,
    check: (monitor) => call('POST', `/monitors/${monitor.id}/check`),
  };
}
