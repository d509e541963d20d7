-- The functions over all tenants go by the database's clock wherever a future time would do harm: a worker whose clock is ahead must not
-- drop results, roll up hours that are not over, or take what is not due. Who finds another at work does not wait for it.

-- As before, and: a future time counts as now; it waits two seconds for the lock on the results table, which every recorder would queue behind.
CREATE OR REPLACE FUNCTION maintain_result_partitions(p_now timestamptz, p_keep_days int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s'
AS $$
DECLARE
  today date := (least(p_now, now()) AT TIME ZONE 'UTC')::date;
  day date;
  part text;
  changed int := 0;
  old record;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7295812) THEN RETURN 0; END IF;
  FOR day IN SELECT generate_series(today - 1, today + 3, interval '1 day')::date LOOP
    part := 'check_results_' || to_char(day, 'YYYYMMDD');
    IF to_regclass(part) IS NULL THEN
      EXECUTE format('CREATE TABLE %I PARTITION OF check_results FOR VALUES FROM (%L) TO (%L)', part, day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
      EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part);
      EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', part);
      EXECUTE format('REVOKE ALL ON %I FROM PUBLIC, waypost_app', part);
      changed := changed + 1;
    END IF;
  END LOOP;
  FOR old IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'check_results'::regclass AND c.relname ~ '^check_results_\d{8}$'
      AND to_date(right(c.relname, 8), 'YYYYMMDD') < today - p_keep_days
  LOOP
    EXECUTE format('DROP TABLE %I', old.relname);
    changed := changed + 1;
  END LOOP;
  RETURN changed;
END $$;

-- As before, and: a time more than three minutes ahead counts as now. The workers themselves stop claiming at 30 seconds; less than a
-- lease (two minutes) could not be told from one that ended.
CREATE OR REPLACE FUNCTION claim_due_units(p_region text, p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, monitor_id uuid, claim bigint, due_at timestamptz)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH clock AS MATERIALIZED (
    SELECT CASE WHEN p_now > now() + interval '3 minutes' THEN now() ELSE p_now END AS at
  ), due AS MATERIALIZED (
    SELECT u.org_id, u.monitor_id, u.region, u.due_at FROM schedule_units u
    WHERE u.region = p_region AND u.due_at <= (SELECT at FROM clock) AND NOT u.paused
    ORDER BY u.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE schedule_units u SET
    claim = u.claim + 1,
    leased = true,
    due_at = clock.at + make_interval(secs => p_lease_s),
    next_run_at = CASE
      WHEN u.leased THEN greatest(u.next_run_at, clock.at)
      WHEN u.next_run_at + make_interval(secs => u.interval_s) > clock.at THEN u.next_run_at + make_interval(secs => u.interval_s)
      ELSE clock.at + make_interval(secs => u.interval_s * (0.5 + random() / 2)) END
  FROM due, clock
  WHERE u.org_id = due.org_id AND u.monitor_id = due.monitor_id AND u.region = due.region
  RETURNING u.org_id, u.monitor_id, u.claim, due.due_at
$$;

-- As before, and: only hours that are over by the database's clock.
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

-- As before; it follows the hours.
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
  INSERT INTO rollups (org_id, monitor_id, span, at, checks, up, down, unknown, latency_sum, latency_count, latency_max)
    SELECT org_id, monitor_id, 'day', date_trunc('day', at, 'UTC'), sum(checks), sum(up), sum(down), sum(unknown), sum(latency_sum), sum(latency_count), max(latency_max)
    FROM rollups WHERE span = 'hour' AND at >= from_day AND at < to_day
    GROUP BY org_id, monitor_id, date_trunc('day', at, 'UTC')
  ON CONFLICT (org_id, monitor_id, span, at) DO UPDATE SET checks = excluded.checks, up = excluded.up, down = excluded.down, unknown = excluded.unknown,
    latency_sum = excluded.latency_sum, latency_count = excluded.latency_count, latency_max = excluded.latency_max;
  INSERT INTO rollup_progress VALUES ('day', to_day) ON CONFLICT (span) DO UPDATE SET done_until = excluded.done_until;
  RETURN (extract(epoch FROM closed - to_day) / 86400)::int;
END $$;

-- Hour rollups go after 70 days, a little more than the API shows (60); told messages after 90, answers to repeated POSTs after one. At most
-- a million rollups go at once: there may be a year of them.
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
  DELETE FROM outbox WHERE state <> 'pending' AND created_at < today - interval '90 days';
  GET DIAGNOSTICS gone = ROW_COUNT;
  total := total + gone;
  DELETE FROM idempotency_keys WHERE created_at < today - interval '1 day';
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN total + gone;
END $$;
