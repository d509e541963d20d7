-- When an address was on which list, and what the list said: the story that the latest scan does not tell.
CREATE TABLE listings (
  org_id     uuid NOT NULL,
  id         uuid NOT NULL,
  monitor_id uuid NOT NULL,
  subject    text NOT NULL,                       -- address or domain
  zone       text NOT NULL,
  list       text NOT NULL,
  severity   text NOT NULL,
  codes      text[] NOT NULL,
  meaning    text NOT NULL,
  reason     text NOT NULL,                       -- the TXT record of the list
  began_at   timestamptz NOT NULL,
  seen_at    timestamptz NOT NULL,
  ended_at   timestamptz,
  PRIMARY KEY (org_id, id),
  FOREIGN KEY (org_id, monitor_id) REFERENCES monitors ON DELETE CASCADE
);
CREATE UNIQUE INDEX listings_current ON listings (org_id, monitor_id, subject, zone) WHERE ended_at IS NULL;
CREATE INDEX listings_story ON listings (org_id, monitor_id, began_at DESC, id DESC);
CALL make_tenant_table('listings');

-- Which lists an organisation asks, and the keys of those that want one, sealed.
CREATE TABLE list_choices (
  org_id  uuid NOT NULL PRIMARY KEY REFERENCES orgs ON DELETE CASCADE,
  choice  jsonb NOT NULL,                         -- types::lists::ListChoice
  version bigint NOT NULL DEFAULT 1
);
CALL make_tenant_table('list_choices');
CREATE TABLE list_keys (
  org_id uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  list   text NOT NULL,                           -- id in the catalog
  sealed bytea NOT NULL,
  PRIMARY KEY (org_id, list)
);
CALL make_tenant_table('list_keys');

-- Whether lists can be believed, by region, and what the operator was told of it. Outside tenancy: private lists are not here.
CREATE TABLE list_health (
  region  text NOT NULL,
  zone    text NOT NULL,
  list    text NOT NULL,
  ok      boolean NOT NULL,
  reason  text NOT NULL,
  since   timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  told_at timestamptz,
  PRIMARY KEY (region, zone)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON list_health TO waypost_app;
