-- Roles and extensions. Migrations run as an owner; the services act as waypost_app, which owns nothing and bypasses nothing, so
-- that row-level security binds every query of the product. Cross-tenant work (claiming due checks, partitions, look-ups before the
-- organisation is known) is SECURITY DEFINER functions of waypost_system, which can not log in. No role has BYPASSRLS.
-- Roles belong to the whole cluster: databases made side by side (tests) must not race for them.
DO $$
BEGIN
  PERFORM pg_advisory_xact_lock(7295811);
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waypost_app') THEN
    CREATE ROLE waypost_app LOGIN NOSUPERUSER NOBYPASSRLS;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waypost_system') THEN
    CREATE ROLE waypost_system NOLOGIN NOSUPERUSER NOBYPASSRLS;
  END IF;
  -- An owner that is no superuser must be a member to hand objects over and to act as waypost_app.
  IF NOT pg_has_role(current_user, 'waypost_app', 'MEMBER') THEN
    EXECUTE format('GRANT waypost_app TO %I', current_user);
  END IF;
  IF NOT pg_has_role(current_user, 'waypost_system', 'MEMBER') THEN
    EXECUTE format('GRANT waypost_system TO %I', current_user);
  END IF;
END $$;

CREATE EXTENSION IF NOT EXISTS hstore;
CREATE EXTENSION IF NOT EXISTS pgcrypto;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO waypost_app, waypost_system;
-- It owns the results table and makes its partitions.
GRANT CREATE ON SCHEMA public TO waypost_system;

-- The organisation of the running transaction; NULL outside an OrgTx, and NULL equals nothing.
CREATE FUNCTION current_org() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT NULLIF(current_setting('waypost.org_id', true), '')::uuid $$;

-- One home for the tenancy rule: force row-level security, bind waypost_app to its organisation, let waypost_system see all rows.
CREATE PROCEDURE make_tenant_table(tenant_table regclass, org_column name DEFAULT 'org_id') LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
  EXECUTE format('CREATE POLICY tenant ON %s TO waypost_app USING (%I = current_org()) WITH CHECK (%I = current_org())', tenant_table, org_column, org_column);
  EXECUTE format('CREATE POLICY system ON %s TO waypost_system USING (true) WITH CHECK (true)', tenant_table);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO waypost_app', tenant_table);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO waypost_system', tenant_table);
END $$;
