-- The records of a domain as they are, each with the time at which it was first seen, and what changed when. A record that is missing now
-- counts as removed only when it was here.
CREATE TABLE domain_records (
  org_id    uuid NOT NULL,
  domain_id uuid NOT NULL,
  family    text NOT NULL,
  records   jsonb NOT NULL,                       -- [{"record": text, "since": time}]
  PRIMARY KEY (org_id, domain_id, family),
  FOREIGN KEY (org_id, domain_id) REFERENCES domains ON DELETE CASCADE
);
CALL make_tenant_table('domain_records');

CREATE TABLE record_changes (
  org_id    uuid NOT NULL,
  id        uuid NOT NULL,                        -- sorts by time
  domain_id uuid NOT NULL,
  family    text NOT NULL,
  at        timestamptz NOT NULL,
  changes   jsonb NOT NULL,                       -- [types::drift::RecordChange]
  before    text[] NOT NULL,
  after     text[] NOT NULL,
  worse     boolean NOT NULL,
  PRIMARY KEY (org_id, id),
  FOREIGN KEY (org_id, domain_id) REFERENCES domains ON DELETE CASCADE
);
CREATE INDEX record_changes_story ON record_changes (org_id, domain_id, id DESC);
CALL make_tenant_table('record_changes');

-- What people told us of a domain, and what signatures and reports did.
ALTER TABLE domains ADD COLUMN selectors text[] NOT NULL DEFAULT '{}';
ALTER TABLE domains ADD COLUMN senders inet[] NOT NULL DEFAULT '{}';
CREATE TABLE seen_selectors (
  org_id    uuid NOT NULL,
  domain_id uuid NOT NULL,
  selector  text NOT NULL,
  seen_at   timestamptz NOT NULL,
  PRIMARY KEY (org_id, domain_id, selector),
  FOREIGN KEY (org_id, domain_id) REFERENCES domains ON DELETE CASCADE
);
CALL make_tenant_table('seen_selectors');
