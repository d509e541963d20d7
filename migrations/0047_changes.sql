-- Changes that people and programs mark: they count among the probable causes of incidents.
CREATE TABLE changes (
  org_id uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id     uuid NOT NULL,
  at     timestamptz NOT NULL,
  kind   text NOT NULL CHECK (kind IN ('firewall', 'tls', 'content', 'deploy', 'dns', 'other')),
  text   text NOT NULL,
  target text,                                    -- NULL: it may concern everything
  marked_by text NOT NULL,
  PRIMARY KEY (org_id, id)
);
CREATE INDEX changes_newest ON changes (org_id, at DESC, id DESC);
CALL make_tenant_table('changes');

-- What happened in an organisation around a time.
CREATE INDEX record_changes_at ON record_changes (org_id, at);
CREATE INDEX server_changes_at ON server_changes (org_id, at);
CREATE INDEX listings_at ON listings (org_id, began_at);

-- The runbooks that an organisation wrote in the place of those that the product brings.
CREATE TABLE runbooks (
  org_id  uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  topic   text NOT NULL,                          -- types::topic::Topic
  text    text NOT NULL,                          -- Markdown
  edited_by text NOT NULL,
  edited_at timestamptz NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (org_id, topic)
);
CALL make_tenant_table('runbooks');
