-- How long a message is tried, and in which order messages go.
--
-- Order: created_at is the beginning of a transaction, and a recorder that waited for another at the monitor's row began first and judged
-- second. A number that is drawn where the message is written, under that lock, has the order in which their transitions were judged.
ALTER TABLE outbox ADD COLUMN seq bigint;
-- The owner of a table sees nothing of it while row-level security is forced.
SET LOCAL ROLE waypost_system;
UPDATE outbox o SET seq = n.seq
FROM (SELECT org_id, id, row_number() OVER (ORDER BY created_at, id) AS seq FROM outbox) n WHERE o.org_id = n.org_id AND o.id = n.id;
SELECT set_config('waypost.next_seq', (SELECT count(*) + 1 FROM outbox)::text, true);
RESET ROLE;
ALTER TABLE outbox ALTER COLUMN seq SET NOT NULL;
ALTER TABLE outbox ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('outbox', 'seq'), current_setting('waypost.next_seq')::bigint, false);

-- Since when whatever is sent to a channel is put off by the other side; NULL while it takes things. A message is given up by its age, and only
-- where the other side has been away for as long: what waited because we were away ourselves is not lost to the first busy answer.
ALTER TABLE channels ADD COLUMN away_since timestamptz;

-- As of 0081, in the order of the numbers, with the time from which a message's age counts.
DROP FUNCTION claim_outbox(timestamptz, int, int);
CREATE FUNCTION claim_outbox(p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, id uuid, incident_id uuid, recipient text, message jsonb, message_id text, attempts int, waits_since timestamptz)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH due AS MATERIALIZED (
    SELECT o.org_id, o.id FROM outbox o WHERE o.state = 'pending' AND o.channel = 'email' AND o.next_attempt_at <= p_now
      AND NOT EXISTS (SELECT FROM outbox p WHERE p.org_id = o.org_id AND (p.incident_id = o.incident_id OR (p.also <> '{}' AND p.also @> ARRAY[o.incident_id])) AND p.channel = 'email'
                        AND p.recipient = o.recipient AND p.state = 'pending' AND p.seq < o.seq)
    ORDER BY o.next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE outbox o SET attempts = o.attempts + 1, next_attempt_at = p_now + make_interval(secs => p_lease_s)
  FROM due WHERE o.org_id = due.org_id AND o.id = due.id
  RETURNING o.org_id, o.id, o.incident_id, o.recipient, o.message, o.message_id, o.attempts, o.created_at
$$;
ALTER FUNCTION claim_outbox(timestamptz, int, int) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION claim_outbox FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_outbox TO waypost_app;

-- As of 0081, the same.
DROP FUNCTION claim_channel_messages(timestamptz, int, int);
CREATE FUNCTION claim_channel_messages(p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, id uuid, incident_id uuid, message jsonb, message_id text, attempts int,
                 channel_id uuid, kind text, sealed bytea, enabled boolean, waits_since timestamptz)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('waypost.claim_channel_messages', 0));
  WITH busy AS MATERIALIZED (
    SELECT o.org_id, o.channel_id FROM outbox o WHERE o.leased_until > p_now AND o.state = 'pending' AND o.channel = 'channel'
  ), heads AS (
    SELECT DISTINCT ON (o.org_id, o.channel_id) o.org_id, o.id, o.next_attempt_at, o.seq FROM outbox o
    WHERE o.state = 'pending' AND o.channel = 'channel' AND o.next_attempt_at <= p_now
      AND (o.org_id, o.channel_id) NOT IN (SELECT b.org_id, b.channel_id FROM busy b)
      AND NOT EXISTS (SELECT FROM channels h WHERE h.org_id = o.org_id AND h.id = o.channel_id AND h.held_until > p_now)
      AND NOT EXISTS (SELECT FROM outbox p WHERE p.org_id = o.org_id AND p.channel_id = o.channel_id
                        AND (p.incident_id = o.incident_id OR (p.also <> '{}' AND p.also @> ARRAY[o.incident_id]))
                        AND p.state = 'pending' AND p.seq < o.seq)
    ORDER BY o.org_id, o.channel_id, o.next_attempt_at, o.seq
  ), turns AS (
    SELECT h.org_id, h.id, h.next_attempt_at,
           row_number() OVER (PARTITION BY h.org_id ORDER BY h.next_attempt_at, h.seq)
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
  RETURNING o.org_id, o.id, o.incident_id, o.message, o.message_id, o.attempts, c.id, c.kind, c.sealed, c.enabled,
            greatest(o.created_at, coalesce(c.away_since, p_now))
$$;
ALTER FUNCTION claim_channel_messages(timestamptz, int, int) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION claim_channel_messages FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_channel_messages TO waypost_app;
