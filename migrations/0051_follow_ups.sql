-- What follows of a route while nobody acknowledges an incident: its steps, and reminders. Made where the route told of it, in the same
-- transaction. A step that was done stays, so that it is done once however often the incident gets worse.
CREATE TABLE follow_ups (
  org_id       uuid NOT NULL,
  incident_id  uuid NOT NULL,
  route_id     uuid NOT NULL,
  step         smallint NOT NULL,                 -- 0: the reminder
  due_at       timestamptz NOT NULL,
  times        int NOT NULL DEFAULT 0,            -- how often it told
  done_at      timestamptz,                       -- NULL while it waits
  leased_until timestamptz,
  PRIMARY KEY (org_id, incident_id, route_id, step),
  FOREIGN KEY (org_id, incident_id) REFERENCES incidents ON DELETE CASCADE,
  FOREIGN KEY (org_id, route_id) REFERENCES routes ON DELETE CASCADE
);
CREATE INDEX follow_ups_due ON follow_ups (due_at) WHERE done_at IS NULL;
CREATE INDEX follow_ups_route ON follow_ups (org_id, route_id);
CALL make_tenant_table('follow_ups');

-- Claims what is due over all tenants, under a lease: one whose worker was killed comes back.
CREATE FUNCTION claim_follow_ups(p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, incident_id uuid, route_id uuid, step smallint)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH due AS MATERIALIZED (
    SELECT f.org_id, f.incident_id, f.route_id, f.step FROM follow_ups f
    WHERE f.done_at IS NULL AND f.due_at <= p_now AND (f.leased_until IS NULL OR f.leased_until <= p_now)
    ORDER BY f.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE follow_ups f SET leased_until = p_now + make_interval(secs => p_lease_s)
  FROM due WHERE f.org_id = due.org_id AND f.incident_id = due.incident_id AND f.route_id = due.route_id AND f.step = due.step
  RETURNING f.org_id, f.incident_id, f.route_id, f.step
$$;
ALTER FUNCTION claim_follow_ups(timestamptz, int, int) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION claim_follow_ups FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_follow_ups TO waypost_app;
