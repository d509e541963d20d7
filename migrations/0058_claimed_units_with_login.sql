DROP FUNCTION load_claimed_units(text, uuid[], uuid[], bigint[], int);
-- What a batch of claimed units is about, as of 0043, and whether a login is stored that their check is to try. The login itself is read by its
-- organisation alone.
CREATE FUNCTION load_claimed_units(p_region text, p_orgs uuid[], p_monitors uuid[], p_claims bigint[], p_proof_days int)
  RETURNS TABLE (org_id uuid, monitor_id uuid, claim bigint, kind text, target text, interval_s int, state text, requested boolean,
                 owner text, tls_due boolean, tls_look jsonb, owner_due boolean, owner_look jsonb, login boolean)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT u.org_id, u.monitor_id, u.claim, m.kind, m.target, m.interval_s, m.state, u.requested, d.name,
         m.kind = 'smtp' AND (t.asked_at IS NULL OR t.asked_at < now() - interval '1 day'),
         CASE WHEN t.looked_at > now() - interval '26 hours' THEN t.look END,
         d.name IS NOT NULL AND (o.asked_at IS NULL OR o.asked_at < now() - interval '1 day'),
         CASE WHEN o.looked_at > now() - interval '26 hours' THEN o.look END,
         l.server_id IS NOT NULL
  FROM UNNEST(p_orgs, p_monitors, p_claims) AS c(org_id, monitor_id, claim)
  JOIN schedule_units u ON u.org_id = c.org_id AND u.monitor_id = c.monitor_id AND u.region = p_region AND u.claim = c.claim AND u.leased
  JOIN monitors m ON m.org_id = c.org_id AND m.id = c.monitor_id AND NOT m.paused
  LEFT JOIN domains d ON m.kind = 'smtp' AND d.org_id = m.org_id AND d.name = m.owner AND d.verified_at > now() - make_interval(days => p_proof_days)
  LEFT JOIN close_looks t ON m.kind = 'smtp' AND t.target = m.target AND t.owner = ''
  LEFT JOIN close_looks o ON o.target = m.target AND o.owner = d.name
  LEFT JOIN server_logins l ON m.kind = 'smtp' AND l.org_id = m.org_id AND l.server_id = m.server_id AND l.enabled
       AND substring(m.target FROM ':([0-9]{1,5})$')::int = ANY (l.ports)
$$;
ALTER FUNCTION load_claimed_units(text, uuid[], uuid[], bigint[], int) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION load_claimed_units FROM PUBLIC;
GRANT EXECUTE ON FUNCTION load_claimed_units TO waypost_app;
