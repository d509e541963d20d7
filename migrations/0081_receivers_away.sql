-- Receivers that are away for a while, or ask for time.
--
-- A mail server that was away must not make the end of an incident arrive before its beginning: of an incident each recipient is mailed
-- one thing after the other, as channels are, also where it was told with others. What is given up holds nothing up.
CREATE OR REPLACE FUNCTION claim_outbox(p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, id uuid, incident_id uuid, recipient text, message jsonb, message_id text, attempts int)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH due AS MATERIALIZED (
    SELECT o.org_id, o.id FROM outbox o WHERE o.state = 'pending' AND o.channel = 'email' AND o.next_attempt_at <= p_now
      AND NOT EXISTS (SELECT FROM outbox p WHERE p.org_id = o.org_id AND (p.incident_id = o.incident_id OR (p.also <> '{}' AND p.also @> ARRAY[o.incident_id])) AND p.channel = 'email'
                        AND p.recipient = o.recipient AND p.state = 'pending' AND (p.created_at, p.id) < (o.created_at, o.id))
    ORDER BY o.next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE outbox o SET attempts = o.attempts + 1, next_attempt_at = p_now + make_interval(secs => p_lease_s)
  FROM due WHERE o.org_id = due.org_id AND o.id = due.id
  RETURNING o.org_id, o.id, o.incident_id, o.recipient, o.message, o.message_id, o.attempts
$$;

-- A channel that asks to be left alone until then is told nothing until then: what comes into the outbox meanwhile waits as well as what was there.
ALTER TABLE channels ADD COLUMN held_until timestamptz;

-- As of 0037, without channels that asked for time.
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
      AND NOT EXISTS (SELECT FROM channels h WHERE h.org_id = o.org_id AND h.id = o.channel_id AND h.held_until > p_now)
      AND NOT EXISTS (SELECT FROM outbox p WHERE p.org_id = o.org_id AND p.channel_id = o.channel_id
                        AND (p.incident_id = o.incident_id OR (p.also <> '{}' AND p.also @> ARRAY[o.incident_id]))
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
