-- A monitor that nobody can check any more is not what it was: when its regions have no worker or can not reach anything, what was last known goes
-- stale. When an outcome of it last counted is kept apart from when it was last looked at, since a region that is cut off looks and does not count.
ALTER TABLE monitors ADD COLUMN heard_at timestamptz;

-- Where checks are made now: a worker is alive there, and it can reach things.
CREATE FUNCTION working_regions(p_now timestamptz) RETURNS text[]
  LANGUAGE sql STABLE
AS $$
  SELECT coalesce(array_agg(region), '{}') FROM worker_regions
  WHERE seen_at > p_now - interval '10 minutes' AND (cut_off_since IS NULL OR cut_off_until IS NOT NULL)
$$;
REVOKE EXECUTE ON FUNCTION working_regions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION working_regions TO waypost_app, waypost_system;
GRANT SELECT ON worker_regions TO waypost_system;

-- Whether what is known of a monitor is stale: nothing of it counted for three of its intervals, and no region of it works. The one home of that
-- rule; p_working is what working_regions says.
CREATE FUNCTION is_unheard(m monitors, p_working text[], p_now timestamptz) RETURNS bool
  LANGUAGE sql STABLE
AS $$
  SELECT NOT m.paused AND m.state IN ('up', 'degraded', 'down') AND NOT m.regions && p_working
     AND coalesce(m.heard_at, m.last_checked_at) < p_now - greatest(make_interval(secs => 3 * m.interval_s), interval '15 minutes')
$$;
REVOKE EXECUTE ON FUNCTION is_unheard FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_unheard TO waypost_app, waypost_system;

-- Monitors of all tenants that are to be said to be unknown.
CREATE FUNCTION unheard_monitors(p_now timestamptz, p_limit int)
  RETURNS TABLE (org_id uuid, monitor_id uuid)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT m.org_id, m.id FROM monitors m
  WHERE is_unheard(m, (SELECT working_regions(p_now)), p_now) ORDER BY m.org_id, m.id LIMIT p_limit
$$;
ALTER FUNCTION unheard_monitors(timestamptz, int) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION unheard_monitors FROM PUBLIC;
GRANT EXECUTE ON FUNCTION unheard_monitors TO waypost_app;
