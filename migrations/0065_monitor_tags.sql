-- The tags of a monitor are those of what it belongs to; a service has its own. Windows, routes and rules ask for them here. It runs with the
-- rights of its caller.
CREATE FUNCTION monitor_tags(m monitors) RETURNS text[]
  LANGUAGE sql STABLE
AS $$
  SELECT coalesce((SELECT d.tags FROM domains d WHERE d.org_id = m.org_id AND d.id = m.domain_id),
                  (SELECT s.tags FROM servers s WHERE s.org_id = m.org_id AND s.id = m.server_id),
                  (SELECT a.tags FROM addresses a WHERE a.org_id = m.org_id AND a.id = m.address_id), m.tags)
$$;
REVOKE EXECUTE ON FUNCTION monitor_tags FROM PUBLIC;
GRANT EXECUTE ON FUNCTION monitor_tags TO waypost_app;
