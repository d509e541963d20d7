// The public API, spoken with the cookie that a visitor's browser holds.

import assert from 'node:assert/strict';

/** A client that acts as the visitor; `org` is the slug in the address of their pages. */
export function api(visitor, base, org) {
  async function call(method, path, { body, version } = {}) {
    const response = await visitor.context.request.fetch(`${base}/api/v1/orgs/${org}${path}`, {
      method,
      data: body,
      headers: { origin: base, ...(version !== undefined && { 'if-match': `"${version}"` }) },
    });
    const text = await response.text();
    assert.ok(response.ok(), `${method} ${path} answers ${response.status()}: ${text}`);
    return text ? JSON.parse(text) : undefined;
  }
  return {
    list: async (resource) => (await call('GET', `/${resource}?limit=200`)).items,
    get: (resource, id) => call('GET', `/${resource}/${id}`),
    post: (resource, body) => call('POST', `/${resource}`, { body }),
    patch: (resource, item, body) => call('PATCH', `/${resource}/${item.id}`, { body, version: item.version }),
    check: (monitor) => call('POST', `/monitors/${monitor.id}/check`),
  };
}
