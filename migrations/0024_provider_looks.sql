-- MX hosts of mailbox providers are probed at most every 15 minutes per region, over all workers of it and all tenants. Who asks first in
-- that time looks; the others are given what was seen. Outside tenancy: it says what a public host answered and not who watches it.
CREATE TABLE provider_looks (
  region      text NOT NULL,
  target      text NOT NULL,
  asked_at    timestamptz NOT NULL,
  observed_at timestamptz,
  outcome     jsonb,
  PRIMARY KEY (region, target)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON provider_looks TO waypost_app;
