-- What has served its time, over all tenants: hour rollups after 400 days, told messages after 90, answers to repeated POSTs after one.
-- Raw results go with their partitions (maintain_result_partitions).
CREATE FUNCTION drop_expired(p_now timestamptz) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  total bigint := 0;
  gone bigint;
BEGIN
  DELETE FROM rollups WHERE span = 'hour' AND at < p_now - interval '400 days';
  GET DIAGNOSTICS gone = ROW_COUNT;
  total := total + gone;
  DELETE FROM outbox WHERE state <> 'pending' AND created_at < p_now - interval '90 days';
  GET DIAGNOSTICS gone = ROW_COUNT;
  total := total + gone;
  DELETE FROM idempotency_keys WHERE created_at < p_now - interval '1 day';
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN total + gone;
END $$;
ALTER FUNCTION drop_expired(timestamptz) OWNER TO waypost_system;

-- For the operator's metrics: how many messages wait over all tenants, and since when the oldest does.
CREATE FUNCTION outbox_waiting() RETURNS TABLE (pending bigint, oldest timestamptz)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$ SELECT count(*), min(created_at) FROM outbox WHERE state = 'pending' $$;
ALTER FUNCTION outbox_waiting() OWNER TO waypost_system;
