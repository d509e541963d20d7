// The lab: a small real mail world of this test file's own, told what to break by its control interface.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { ROOT, start, stop } from './programs.mjs';
import { PATIENCE_MS, until } from './wait.mjs';

/** Starts a lab, in a directory of its own where one is named. `environment` points a server at it. */
export async function startLab(log, directory) {
  const child = start('waypost-lab', ['--stdin-guard', ...(directory ? ['--dir', directory] : [])], { log, stdin: 'pipe', root: true });
  const ready = await new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error(`the lab is not ready after ${PATIENCE_MS / 1000} s: see artifacts/${log}.log`)), PATIENCE_MS);
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('{') || !line.includes('"ready"')) return;
      clearTimeout(late);
      done(JSON.parse(line));
    });
    child.ended.then((status) => failed(new Error(`the lab ended with ${status}: see artifacts/${log}.log`)));
  });

  async function call(method, path, body) {
    const response = await fetch(`${ready.control}${path}`, {
      method,
      headers: body && { 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`lab: ${method} ${path} answers ${response.status}: ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  return {
    environment: {
      WAYPOST_RESOLVER: ready.resolver,
      WAYPOST_EGRESS_ALLOW: ready.egress_allow,
      WAYPOST_CA_FILE: ready.ca_file,
      WAYPOST_SMTP_URL: ready.smtp_url,
      WAYPOST_SLACK_API_URL: ready.slack_api_url,
      WAYPOST_SLACK_CLIENT_ID: ready.slack_client_id,
      WAYPOST_SLACK_CLIENT_SECRET: ready.slack_client_secret,
      WAYPOST_SLACK_SIGNING_SECRET: ready.slack_signing_secret,
    },
    /** The Slack workspace: see the README. */
    workspace: workspace(call),
    /** A healthy domain with one mail host and an address that nobody else uses: `{domain, mx_host, address}`; with `apart` in a network of its own. */
    lease: (name, wishes = {}) => call('POST', '/leases', { name, ...wishes }),
    /** Adds a record to a zone, in the notation of zone files. */
    record: (zone, record) => call('POST', `/dns/${zone}/records`, { record }),
    /** Lines of Postfix's log, by the words in them. */
    mailLog: (words) => call('GET', `/mail-log?contains=${encodeURIComponent(words)}`),
    /** The mailbox that Postfix knows. */
    mailbox: { user: ready.submission_user, password: ready.submission_password },
    /** Breaks a port of a leased host; `none` mends it. */
    fault: (lease, port, fault, measure = {}) => call('PUT', `/hosts/${lease.address}/ports/${port}`, { fault, ...measure }),
    /** A leased domain's `https:` address that takes every post, as the Slack stand-in does. */
    hook: (lease, path) => `https://mta-sts.${lease.domain}/slack/${path}`,
    /** How posts there are answered from now on: `{status, retry_after, delay_ms, times}`; 200 at once where nothing is given. */
    answers: (path, answer = {}) => call('PUT', `/slack/answers/${path}`, answer),
    /** What was posted there, in the order of arrival: `{path, headers, body, answer}`. */
    posted: (path) => call('GET', '/slack/messages').then((posts) => posts.filter((post) => post.path === path)),
    /** Whether the resolver answers: `dead` or `none`. */
    resolver: (fault) => call('POST', '/resolver', { fault }),
    /** How the sink treats senders from now on; `none` mends it. */
    sinkFault: (fault) => call('PUT', '/sink/fault', { fault }),
    /** What the sink took for `to`, in the order of arrival. */
    mails: (to) => call('GET', `/sink/messages?to=${encodeURIComponent(to)}`),
    /** Waits for the first mail to `to` whose subject fits. */
    mail(to, subject) {
      return until(`mail to ${to} about ${subject}`, async () => (await this.mails(to)).find((mail) => subject.test(mail.subject)));
    },
    stop: () => stop(child),
  };
}

function workspace(call) {
  return {
    state: () => call('GET', '/workspace'),
    messages: () => call('GET', '/workspace/messages'),
    /** The operator makes the app for a product that is reached at `base`, from the manifest that we ship. */
    async makeApp(base) {
      const manifest = await readFile(join(ROOT, 'infra', 'slack', 'manifest.json'), 'utf8');
      return call('PUT', '/workspace/manifest', JSON.parse(manifest.replaceAll('https://waypost.example', base)));
    },
    /** Somebody answers the page that asks; gives where they are sent. */
    consent: (url, allow = true) => call('POST', '/workspace/consent', { url, allow }).then(({ location }) => new URL(location)),
    fault: (fault, measure = {}) => call('PUT', '/workspace/fault', { fault, ...measure }),
    /** Presses a button of a message: `{status, body}` as the product answers. */
    press: (message, action, how = {}) => call('POST', '/workspace/press', { channel: message.channel, ts: message.ts, action, ...how }),
    replay: () => call('POST', '/workspace/replay'),
    remove: (message) => call('DELETE', '/workspace/messages', { channel: message.channel, ts: message.ts }),
    revoke: () => call('POST', '/workspace/revoke'),
    uninstall: () => call('POST', '/workspace/uninstall'),
  };
}

/** The first link in a mail whose path begins so. */
export function linkIn(mail, path) {
  const link = (mail.text.match(/https?:\/\/[^\s<>"]+/g) ?? []).map((found) => new URL(found)).find((url) => url.pathname.startsWith(path));
  if (!link) throw new Error(`no link to ${path} in the mail:\n${mail.text}`);
  return link.pathname + link.search;
}
