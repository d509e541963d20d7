-- Organisations (tenants) and who belongs to them.
CREATE TABLE orgs (
  id            uuid PRIMARY KEY,
  slug          text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9](-?[a-z0-9])*$'),
  name          text NOT NULL,
  monitor_limit int NOT NULL DEFAULT 10000,
  created_at    timestamptz NOT NULL DEFAULT now()
);
CALL make_tenant_table('orgs', 'id');

CREATE TABLE memberships (
  org_id     uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  role       text NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);
CALL make_tenant_table('memberships');

-- Asked before the organisation is known: which organisations a person belongs to.
CREATE FUNCTION memberships_of(p_user uuid)
  RETURNS TABLE (org_id uuid, slug text, name text, role text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT o.id, o.slug, o.name, m.role FROM memberships m JOIN orgs o ON o.id = m.org_id
  WHERE m.user_id = p_user ORDER BY m.created_at, o.id
$$;
ALTER FUNCTION memberships_of(uuid) OWNER TO waypost_system;

-- Slugs are unique over all tenants; whether one is taken is all that is told.
CREATE FUNCTION slug_is_taken(p_slug text) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$ SELECT EXISTS (SELECT FROM orgs WHERE slug = p_slug) $$;
ALTER FUNCTION slug_is_taken(text) OWNER TO waypost_system;

-- Answers of POSTs with an Idempotency-Key, kept a day.
CREATE TABLE idempotency_keys (
  org_id      uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  key         text NOT NULL,
  fingerprint bytea NOT NULL,                     -- SHA-256 of method, path and body
  status      int,                                -- NULL while the first request runs
  body        jsonb,
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, key)
);
CALL make_tenant_table('idempotency_keys');
