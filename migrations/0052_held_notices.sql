-- What a receiver is told of later, with all else that waits until then: in quiet hours, for a digest. A row goes in the transaction that
-- puts the message into the outbox, so nothing is lost and nothing is told twice.
CREATE TABLE held_notices (
  org_id       uuid NOT NULL,
  id           uuid NOT NULL,
  incident_id  uuid NOT NULL,
  channel_id   uuid,                              -- NULL: members, by mail
  due_at       timestamptz NOT NULL,
  leased_until timestamptz,
  PRIMARY KEY (org_id, id),
  UNIQUE NULLS NOT DISTINCT (org_id, incident_id, channel_id),
  FOREIGN KEY (org_id, incident_id) REFERENCES incidents ON DELETE CASCADE,
  FOREIGN KEY (org_id, channel_id) REFERENCES channels ON DELETE CASCADE
);
CREATE INDEX held_notices_due ON held_notices (due_at);
CREATE INDEX held_notices_channel ON held_notices (org_id, channel_id);
CALL make_tenant_table('held_notices');

-- Claims receivers for whom something is due, over all tenants: all that is due for one is told at once.
CREATE FUNCTION claim_held_notices(p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, channel_id uuid)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH due AS MATERIALIZED (
    SELECT h.org_id, h.id FROM held_notices h
    WHERE h.due_at <= p_now AND (h.leased_until IS NULL OR h.leased_until <= p_now)
    ORDER BY h.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  ), claimed AS (
    UPDATE held_notices h SET leased_until = p_now + make_interval(secs => p_lease_s)
    FROM due WHERE h.org_id = due.org_id AND h.id = due.id
    RETURNING h.org_id, h.channel_id
  )
  SELECT DISTINCT c.org_id, c.channel_id FROM claimed c
$$;
ALTER FUNCTION claim_held_notices(timestamptz, int, int) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION claim_held_notices FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_held_notices TO waypost_app;
