-- What a batch of claimed units is about, over all its organisations in one question: only claims that are current and not recorded yet.
-- A worker that took a batch from the queue would else open a transaction per organisation before it has anything to record.
CREATE FUNCTION load_claimed_units(p_region text, p_orgs uuid[], p_monitors uuid[], p_claims bigint[])
  RETURNS TABLE (org_id uuid, monitor_id uuid, claim bigint, kind text, target text, interval_s int, state text, requested boolean)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT u.org_id, u.monitor_id, u.claim, m.kind, m.target, m.interval_s, m.state, u.requested
  FROM UNNEST(p_orgs, p_monitors, p_claims) AS c(org_id, monitor_id, claim)
  JOIN schedule_units u ON u.org_id = c.org_id AND u.monitor_id = c.monitor_id AND u.region = p_region AND u.claim = c.claim AND u.leased
  JOIN monitors m ON m.org_id = c.org_id AND m.id = c.monitor_id AND NOT m.paused
$$;
ALTER FUNCTION load_claimed_units(text, uuid[], uuid[], bigint[]) OWNER TO waypost_system;
