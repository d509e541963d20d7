-- Channels take turns. A message is sent under a lease that is told apart from waiting for the next attempt: of a channel one is sent at a
-- time, of an organisation four, so that one that keeps its senders waiting leaves room for the others.
ALTER TABLE outbox ADD COLUMN leased_until timestamptz;
CREATE INDEX outbox_leased ON outbox (org_id, channel_id) WHERE leased_until IS NOT NULL;
CREATE INDEX outbox_due_channels ON outbox (next_attempt_at) WHERE state = 'pending' AND channel = 'channel';

-- Until when the key before signs too.
ALTER TABLE channels ADD COLUMN old_key_until timestamptz;

-- As before, and: by turns. Claims follow each other, or two at once would both find a channel free.
CREATE OR REPLACE FUNCTION claim_channel_messages(p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, id uuid, incident_id uuid, message jsonb, message_id text, attempts int,
                 channel_id uuid, kind text, sealed bytea, enabled boolean)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('waypost.claim_channel_messages', 0));
  WITH busy AS MATERIALIZED (
    SELECT o.org_id, o.channel_id FROM outbox o WHERE o.leased_until > p_now AND o.state = 'pending' AND o.channel = 'channel'
  ), heads AS (
    SELECT DISTINCT ON (o.org_id, o.channel_id) o.org_id, o.id, o.next_attempt_at FROM outbox o
    WHERE o.state = 'pending' AND o.channel = 'channel' AND o.next_attempt_at <= p_now
      AND (o.org_id, o.channel_id) NOT IN (SELECT b.org_id, b.channel_id FROM busy b)
      AND NOT EXISTS (SELECT FROM outbox p WHERE p.org_id = o.org_id AND p.channel_id = o.channel_id AND p.incident_id = o.incident_id
                        AND p.state = 'pending' AND (p.created_at, p.id) < (o.created_at, o.id))
    ORDER BY o.org_id, o.channel_id, o.next_attempt_at, o.id
  ), turns AS (
    SELECT h.org_id, h.id, h.next_attempt_at,
           row_number() OVER (PARTITION BY h.org_id ORDER BY h.next_attempt_at, h.id)
             + (SELECT count(*) FROM busy b WHERE b.org_id = h.org_id) AS turn
    FROM heads h
  ), due AS MATERIALIZED (
    SELECT o.org_id, o.id FROM turns t JOIN outbox o ON o.org_id = t.org_id AND o.id = t.id
    WHERE t.turn <= 4 AND o.state = 'pending' AND o.next_attempt_at <= p_now
    ORDER BY t.next_attempt_at LIMIT p_limit FOR UPDATE OF o SKIP LOCKED
  )
  UPDATE outbox o SET attempts = o.attempts + 1, next_attempt_at = p_now + make_interval(secs => p_lease_s),
         leased_until = p_now + make_interval(secs => p_lease_s)
  FROM due, channels c WHERE o.org_id = due.org_id AND o.id = due.id AND c.org_id = o.org_id AND c.id = o.channel_id
  RETURNING o.org_id, o.id, o.incident_id, o.message, o.message_id, o.attempts, c.id, c.kind, c.sealed, c.enabled
$$;

-- As before, but what was told of an incident that is not over stays: by it is known who is to hear of the end.
CREATE OR REPLACE FUNCTION drop_expired(p_now timestamptz) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  today timestamptz := least(p_now, now());
  total bigint := 0;
  gone bigint;
BEGIN
  DELETE FROM rollups WHERE ctid = ANY (ARRAY(SELECT ctid FROM rollups WHERE span = 'hour' AND at < today - interval '70 days' LIMIT 1000000));
  GET DIAGNOSTICS gone = ROW_COUNT;
  total := total + gone;
  DELETE FROM outbox o WHERE o.state <> 'pending' AND o.created_at < today - interval '90 days'
    AND NOT EXISTS (SELECT FROM incidents i WHERE i.org_id = o.org_id AND i.id = o.incident_id AND i.status <> 'resolved');
  GET DIAGNOSTICS gone = ROW_COUNT;
  total := total + gone;
  DELETE FROM idempotency_keys WHERE created_at < today - interval '1 day';
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN total + gone;
END $$;
