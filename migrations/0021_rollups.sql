-- Rollups: closed hours from the raw results, days from hours. Over all tenants, so functions of waypost_system. Each call does a
-- bounded step and says how many spans remain, so that no transaction grows with a long downtime.

-- Results of an hour may be recorded a little after it ends; it counts as closed five minutes later.
CREATE FUNCTION roll_up_hours(p_now timestamptz, p_max_hours int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  closed timestamptz := date_trunc('hour', p_now - interval '5 minutes', 'UTC');
  from_hour timestamptz;
  to_hour timestamptz;
BEGIN
  PERFORM pg_advisory_xact_lock(7295813);
  SELECT done_until INTO from_hour FROM rollup_progress WHERE span = 'hour';
  IF from_hour IS NULL THEN
    SELECT date_trunc('hour', coalesce(min(at), closed), 'UTC') INTO from_hour FROM check_results WHERE at < closed;
  END IF;
  to_hour := least(closed, from_hour + make_interval(hours => p_max_hours));
  IF to_hour <= from_hour THEN RETURN 0; END IF;
  INSERT INTO rollups (org_id, monitor_id, span, at, checks, up, down, unknown, latency_sum, latency_count, latency_max)
    SELECT r.org_id, r.monitor_id, 'hour', date_trunc('hour', r.at, 'UTC'), count(*),
           count(*) FILTER (WHERE r.verdict IN ('up', 'degraded')), count(*) FILTER (WHERE r.verdict = 'down'), count(*) FILTER (WHERE r.verdict = 'unknown'),
           coalesce(sum(r.latency_ms), 0), count(r.latency_ms), max(r.latency_ms)
    FROM check_results r JOIN monitors m ON m.org_id = r.org_id AND m.id = r.monitor_id
    WHERE r.at >= from_hour AND r.at < to_hour
    GROUP BY r.org_id, r.monitor_id, date_trunc('hour', r.at, 'UTC')
  ON CONFLICT (org_id, monitor_id, span, at) DO UPDATE SET checks = excluded.checks, up = excluded.up, down = excluded.down, unknown = excluded.unknown,
    latency_sum = excluded.latency_sum, latency_count = excluded.latency_count, latency_max = excluded.latency_max;
  INSERT INTO rollup_progress VALUES ('hour', to_hour) ON CONFLICT (span) DO UPDATE SET done_until = excluded.done_until;
  RETURN (extract(epoch FROM closed - to_hour) / 3600)::int;
END $$;
ALTER FUNCTION roll_up_hours(timestamptz, int) OWNER TO waypost_system;

-- Days whose hours are all done (days of UTC).
CREATE FUNCTION roll_up_days(p_max_days int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  closed timestamptz;
  from_day timestamptz;
  to_day timestamptz;
BEGIN
  PERFORM pg_advisory_xact_lock(7295813);
  SELECT date_trunc('day', done_until, 'UTC') INTO closed FROM rollup_progress WHERE span = 'hour';
  IF closed IS NULL THEN RETURN 0; END IF;
  SELECT done_until INTO from_day FROM rollup_progress WHERE span = 'day';
  IF from_day IS NULL THEN
    SELECT date_trunc('day', coalesce(min(at), closed), 'UTC') INTO from_day FROM rollups WHERE span = 'hour' AND at < closed;
  END IF;
  to_day := least(closed, from_day + make_interval(days => p_max_days));
  IF to_day <= from_day THEN RETURN 0; END IF;
  INSERT INTO rollups (org_id, monitor_id, span, at, checks, up, down, unknown, latency_sum, latency_count, latency_max)
    SELECT org_id, monitor_id, 'day', date_trunc('day', at, 'UTC'), sum(checks), sum(up), sum(down), sum(unknown), sum(latency_sum), sum(latency_count), max(latency_max)
    FROM rollups WHERE span = 'hour' AND at >= from_day AND at < to_day
    GROUP BY org_id, monitor_id, date_trunc('day', at, 'UTC')
  ON CONFLICT (org_id, monitor_id, span, at) DO UPDATE SET checks = excluded.checks, up = excluded.up, down = excluded.down, unknown = excluded.unknown,
    latency_sum = excluded.latency_sum, latency_count = excluded.latency_count, latency_max = excluded.latency_max;
  INSERT INTO rollup_progress VALUES ('day', to_day) ON CONFLICT (span) DO UPDATE SET done_until = excluded.done_until;
  RETURN (extract(epoch FROM closed - to_day) / 86400)::int;
END $$;
ALTER FUNCTION roll_up_days(int) OWNER TO waypost_system;
