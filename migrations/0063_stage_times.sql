-- How long each stage of a check took, and how that was spread over hours and days: a mean hides the tenth that waits.
ALTER TABLE check_results ADD COLUMN stages real[];  -- ms by types::timing::Stage: dns, connect, banner, ehlo, tls, auth, total

ALTER TABLE rollups
  ADD COLUMN maintenance int NOT NULL DEFAULT 0,     -- of the checks, seen in a maintenance window: these are not in up, down and unknown
  ADD COLUMN p50 real[],                             -- ms by stage; NULL where nothing was measured
  ADD COLUMN p95 real[];

-- Median and 95th percentile of each stage, by monitor and step of time. It runs with the rights of its caller.
CREATE FUNCTION stage_spreads(p_from timestamptz, p_to timestamptz, p_step interval)
  RETURNS TABLE (org_id uuid, monitor_id uuid, at timestamptz, p50 real[], p95 real[])
  LANGUAGE sql STABLE
AS $$
  SELECT s.org_id, s.monitor_id, s.at, array_agg(s.both[1]::real ORDER BY s.stage), array_agg(s.both[2]::real ORDER BY s.stage)
  FROM (SELECT r.org_id, r.monitor_id, date_bin(p_step, r.at, timestamptz '2000-01-01 00:00+00') AS at, t.stage,
               percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY t.ms) AS both
        FROM check_results r, unnest(r.stages) WITH ORDINALITY AS t(ms, stage)
        WHERE r.at >= p_from AND r.at < p_to AND r.stages IS NOT NULL
        GROUP BY 1, 2, 3, 4) s
  GROUP BY 1, 2, 3
$$;
REVOKE EXECUTE ON FUNCTION stage_spreads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION stage_spreads TO waypost_app, waypost_system;

-- As before, and: what was seen in maintenance windows apart, and the spread of the stages.
CREATE OR REPLACE FUNCTION roll_up_hours(p_now timestamptz, p_max_hours int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  closed timestamptz := date_trunc('hour', least(p_now, now()) - interval '5 minutes', 'UTC');
  from_hour timestamptz;
  to_hour timestamptz;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7295813) THEN RETURN 0; END IF;
  SELECT done_until INTO from_hour FROM rollup_progress WHERE span = 'hour';
  IF from_hour IS NULL THEN
    SELECT date_trunc('hour', coalesce(min(at), closed), 'UTC') INTO from_hour FROM check_results WHERE at < closed;
  END IF;
  to_hour := least(closed, from_hour + make_interval(hours => p_max_hours));
  IF to_hour <= from_hour THEN RETURN 0; END IF;
  INSERT INTO rollups (org_id, monitor_id, span, at, checks, up, down, unknown, maintenance, latency_sum, latency_count, latency_max, p50, p95)
    SELECT h.*, s.p50, s.p95 FROM (
      SELECT r.org_id, r.monitor_id, 'hour', date_trunc('hour', r.at, 'UTC') AS at, count(*),
             count(*) FILTER (WHERE r.verdict IN ('up', 'degraded') AND NOT r.maintenance), count(*) FILTER (WHERE r.verdict = 'down' AND NOT r.maintenance),
             count(*) FILTER (WHERE r.verdict = 'unknown' AND NOT r.maintenance), count(*) FILTER (WHERE r.maintenance),
             coalesce(sum(r.latency_ms), 0), count(r.latency_ms), max(r.latency_ms)
      FROM check_results r JOIN monitors m ON m.org_id = r.org_id AND m.id = r.monitor_id
      WHERE r.at >= from_hour AND r.at < to_hour
      GROUP BY r.org_id, r.monitor_id, date_trunc('hour', r.at, 'UTC')
    ) h LEFT JOIN stage_spreads(from_hour, to_hour, interval '1 hour') s ON s.org_id = h.org_id AND s.monitor_id = h.monitor_id AND s.at = h.at
  ON CONFLICT (org_id, monitor_id, span, at) DO UPDATE SET checks = excluded.checks, up = excluded.up, down = excluded.down, unknown = excluded.unknown,
    maintenance = excluded.maintenance, latency_sum = excluded.latency_sum, latency_count = excluded.latency_count, latency_max = excluded.latency_max,
    p50 = excluded.p50, p95 = excluded.p95;
  INSERT INTO rollup_progress VALUES ('hour', to_hour) ON CONFLICT (span) DO UPDATE SET done_until = excluded.done_until;
  RETURN (extract(epoch FROM closed - to_hour) / 3600)::int;
END $$;

-- The spread of a day is that of its results: hours can not be added up to it. Of days whose results are gone it stays unknown.
CREATE OR REPLACE FUNCTION roll_up_days(p_max_days int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  closed timestamptz;
  from_day timestamptz;
  to_day timestamptz;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7295813) THEN RETURN 0; END IF;
  SELECT date_trunc('day', least(done_until, now()), 'UTC') INTO closed FROM rollup_progress WHERE span = 'hour';
  IF closed IS NULL THEN RETURN 0; END IF;
  SELECT done_until INTO from_day FROM rollup_progress WHERE span = 'day';
  IF from_day IS NULL THEN
    SELECT date_trunc('day', coalesce(min(at), closed), 'UTC') INTO from_day FROM rollups WHERE span = 'hour' AND at < closed;
  END IF;
  to_day := least(closed, from_day + make_interval(days => p_max_days));
  IF to_day <= from_day THEN RETURN 0; END IF;
  INSERT INTO rollups (org_id, monitor_id, span, at, checks, up, down, unknown, maintenance, latency_sum, latency_count, latency_max, p50, p95)
    SELECT d.*, s.p50, s.p95 FROM (
      SELECT org_id, monitor_id, 'day', date_trunc('day', at, 'UTC') AS at, sum(checks), sum(up), sum(down), sum(unknown), sum(maintenance),
             sum(latency_sum), sum(latency_count), max(latency_max)
      FROM rollups WHERE span = 'hour' AND at >= from_day AND at < to_day
      GROUP BY org_id, monitor_id, date_trunc('day', at, 'UTC')
    ) d LEFT JOIN stage_spreads(from_day, to_day, interval '1 day') s ON s.org_id = d.org_id AND s.monitor_id = d.monitor_id AND s.at = d.at
  ON CONFLICT (org_id, monitor_id, span, at) DO UPDATE SET checks = excluded.checks, up = excluded.up, down = excluded.down, unknown = excluded.unknown,
    maintenance = excluded.maintenance, latency_sum = excluded.latency_sum, latency_count = excluded.latency_count, latency_max = excluded.latency_max,
    p50 = excluded.p50, p95 = excluded.p95;
  INSERT INTO rollup_progress VALUES ('day', to_day) ON CONFLICT (span) DO UPDATE SET done_until = excluded.done_until;
  RETURN (extract(epoch FROM closed - to_day) / 86400)::int;
END $$;
