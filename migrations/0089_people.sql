-- People of an organisation beside its founder: invitations, and memberships that are changed.

-- An invitation is for one address. Only the hash of its link is kept; a new link ends the one before.
CREATE TABLE invitations (
  org_id     uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id         uuid NOT NULL,
  email      text NOT NULL,                       -- as typed
  email_key  text NOT NULL,                       -- lower case, for look-ups
  role       text NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
  token_hash bytea NOT NULL UNIQUE,
  invited_by text NOT NULL,                       -- the address of who invited, as people read it
  invited_by_id uuid,                             -- who that is: what they could not give any more goes with their role
  sent_at    timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  version    bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, email_key)
);
CALL make_tenant_table('invitations');
ALTER TABLE memberships ADD COLUMN version bigint NOT NULL DEFAULT 1;

-- Asked before the organisation is known, by who holds a link.
CREATE FUNCTION invitation_of(p_token bytea)
  RETURNS TABLE (org_id uuid, id uuid, org_name text, email text, email_key text, role text, invited_by text, expires_at timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT o.id, i.id, o.name, i.email, i.email_key, i.role, i.invited_by, i.expires_at
  FROM invitations i JOIN orgs o ON o.id = i.org_id WHERE i.token_hash = p_token AND i.expires_at > now()
$$;
ALTER FUNCTION invitation_of(bytea) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION invitation_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION invitation_of TO waypost_app;
