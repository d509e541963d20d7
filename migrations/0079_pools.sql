-- IP pools: named groups of watched addresses, so that reputations are kept apart. An address sends for one pool at most. A pool is the tag
-- pool:<name> of its addresses: filters, routes, rules and windows know it by that, so its name stays.
CREATE TABLE pools (
  org_id     uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id         uuid NOT NULL,
  name       text NOT NULL,                       -- types::pool: in lower case, of the signs of a tag
  note       text NOT NULL DEFAULT '',
  version    bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, name)
);
CALL make_tenant_table('pools');
ALTER TABLE addresses ADD COLUMN pool_id uuid,
  ADD FOREIGN KEY (org_id, pool_id) REFERENCES pools ON DELETE SET NULL (pool_id);
CREATE INDEX addresses_pool ON addresses (org_id, pool_id) WHERE pool_id IS NOT NULL;

-- The tags of an address: its own, and that of its pool. It runs with the rights of its caller.
CREATE FUNCTION address_tags(a addresses) RETURNS text[]
  LANGUAGE sql STABLE
AS $$
  SELECT coalesce((SELECT tags_after(a.tags, ARRAY['pool:' || p.name], '{}') FROM pools p WHERE p.org_id = a.org_id AND p.id = a.pool_id), a.tags)
$$;
REVOKE EXECUTE ON FUNCTION address_tags FROM PUBLIC;
GRANT EXECUTE ON FUNCTION address_tags TO waypost_app;

CREATE OR REPLACE FUNCTION monitor_tags(m monitors) RETURNS text[]
  LANGUAGE sql STABLE
AS $$
  SELECT coalesce((SELECT d.tags FROM domains d WHERE d.org_id = m.org_id AND d.id = m.domain_id),
                  (SELECT s.tags FROM servers s WHERE s.org_id = m.org_id AND s.id = m.server_id),
                  (SELECT address_tags(a) FROM addresses a WHERE a.org_id = m.org_id AND a.id = m.address_id), m.tags)
$$;
