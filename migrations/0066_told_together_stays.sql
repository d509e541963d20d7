-- As before, and what told of several incidents stays while any of them is not over: digests name them all beside each other, and what one audit
-- opened is told with the worst.
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
    AND NOT EXISTS (SELECT FROM incidents i WHERE i.org_id = o.org_id AND (i.id = o.incident_id OR i.id = ANY (o.also)) AND i.status <> 'resolved');
  GET DIAGNOSTICS gone = ROW_COUNT;
  total := total + gone;
  DELETE FROM idempotency_keys WHERE created_at < today - interval '1 day';
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN total + gone;
END $$;
