-- People and sessions. Outside tenancy: a person exists before and beside organisations (docs/architecture.md lists these tables).
CREATE TABLE users (
  id                uuid PRIMARY KEY,
  email             text NOT NULL,                -- as typed
  email_key         text NOT NULL UNIQUE,         -- lower case, for look-ups
  password_hash     text NOT NULL,                -- argon2id, PHC string
  email_verified_at timestamptz,
  created_at        timestamptz NOT NULL DEFAULT now()
);

-- Cookie sessions. The id is the SHA-256 of the cookie's secret: a leaked table opens no session.
CREATE TABLE sessions (
  id         bytea PRIMARY KEY,
  user_id    uuid REFERENCES users ON DELETE CASCADE,
  data       jsonb NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Links in mails: only hashes are kept, each works once.
CREATE TABLE account_tokens (
  hash       bytea PRIMARY KEY,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  purpose    text NOT NULL CHECK (purpose IN ('verify', 'reset')),
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX account_tokens_user ON account_tokens (user_id, purpose);

-- Failed sign-ins by account and by address, so that guessing slows down over all processes.
CREATE TABLE login_throttle (
  key           text PRIMARY KEY,                 -- 'account:…' or 'address:…'
  failures      int NOT NULL,
  blocked_until timestamptz,
  updated_at    timestamptz NOT NULL DEFAULT now()
);

-- Mail to people about their own account (verification, password). The notifier sends it like the tenants' outbox.
CREATE TABLE account_mail (
  id              uuid PRIMARY KEY,
  recipient       text NOT NULL,
  message         jsonb NOT NULL,                 -- {"subject","text","html"}; emptied once sent
  message_id      text NOT NULL UNIQUE,
  state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed')),
  attempts        int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  last_answer     text,
  created_at      timestamptz NOT NULL DEFAULT now(),
  sent_at         timestamptz
);
CREATE INDEX account_mail_due ON account_mail (next_attempt_at) WHERE state = 'pending';

-- What a development machine without an SMTP server would have sent; shown at /dev/mailbox.
CREATE TABLE captured_mail (
  id         uuid PRIMARY KEY,
  recipient  text NOT NULL,
  subject    text NOT NULL,
  body_text  text NOT NULL,
  body_html  text NOT NULL,
  message_id text NOT NULL UNIQUE,
  at         timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON users, sessions, account_tokens, login_throttle, account_mail, captured_mail TO waypost_app;
GRANT SELECT ON users TO waypost_system;
