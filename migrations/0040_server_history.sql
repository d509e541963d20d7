-- What a watched server last showed of itself, and what changed when. The marks spare comparing: most looks see what is known.
CREATE TABLE server_facts (
  org_id     uuid NOT NULL,
  monitor_id uuid NOT NULL,
  mark       bigint NOT NULL,                     -- of the facts
  pending    bigint,                              -- another mark, seen once
  facts      jsonb NOT NULL,                      -- types::outcome::SmtpReport without what differs from one look to the next
  PRIMARY KEY (org_id, monitor_id),
  FOREIGN KEY (org_id, monitor_id) REFERENCES monitors ON DELETE CASCADE
);
CALL make_tenant_table('server_facts');

CREATE TABLE server_changes (
  org_id     uuid NOT NULL,
  id         uuid NOT NULL,                       -- sorts by time
  monitor_id uuid NOT NULL,
  at         timestamptz NOT NULL,
  mark       bigint NOT NULL,                     -- of the facts after it
  changes    jsonb NOT NULL,                      -- [types::drift::RecordChange]
  PRIMARY KEY (org_id, id),
  FOREIGN KEY (org_id, monitor_id) REFERENCES monitors ON DELETE CASCADE
);
CREATE INDEX server_changes_story ON server_changes (org_id, monitor_id, id DESC);
CALL make_tenant_table('server_changes');
