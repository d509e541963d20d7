-- Monitors, their schedule and what was found. The schedule unit is (monitor, region).
CREATE TABLE monitors (
  org_id          uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id              uuid NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('audit', 'smtp', 'blacklist')),
  target          text NOT NULL,                  -- 'example.com', 'mail.example.com:25', '203.0.113.0/24'
  interval_s      int NOT NULL CHECK (interval_s BETWEEN 1 AND 86400),
  regions         text[] NOT NULL DEFAULT '{local}',
  paused          boolean NOT NULL DEFAULT false,
  policy          jsonb NOT NULL DEFAULT '{"fail_after":2,"recover_after":1,"quorum":0}',
  judge           jsonb NOT NULL DEFAULT '{}',    -- types::judge::JudgeState
  state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'up', 'degraded', 'down', 'unknown')),
  state_since     timestamptz,
  summary         text,
  latency_ms      float8,
  last_checked_at timestamptz,
  listed          int NOT NULL DEFAULT 0,         -- block lists: entries listed, able to tell, asked
  answered        int NOT NULL DEFAULT 0,
  asked           int NOT NULL DEFAULT 0,
  domain_id       uuid,
  server_id       uuid,
  address_id      uuid,
  version         bigint NOT NULL DEFAULT 1,      -- raised by settings only, never by results
  created_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, kind, target),
  FOREIGN KEY (org_id, domain_id) REFERENCES domains ON DELETE CASCADE,
  FOREIGN KEY (org_id, server_id) REFERENCES servers ON DELETE CASCADE,
  FOREIGN KEY (org_id, address_id) REFERENCES addresses ON DELETE CASCADE
) WITH (fillfactor = 80);
CREATE INDEX monitors_domain ON monitors (org_id, domain_id) WHERE domain_id IS NOT NULL;
CREATE INDEX monitors_server ON monitors (org_id, server_id) WHERE server_id IS NOT NULL;
CREATE INDEX monitors_address ON monitors (org_id, address_id) WHERE address_id IS NOT NULL;
CALL make_tenant_table('monitors');

-- due_at is what the scheduler looks at: next_run_at while idle, the end of the lease while a worker has it. A worker that dies
-- therefore hands its checks back by doing nothing, and a check that overruns its interval never runs twice at once.
CREATE TABLE schedule_units (
  org_id          uuid NOT NULL,
  monitor_id      uuid NOT NULL,
  region          text NOT NULL,
  interval_s      int NOT NULL,                   -- copies of the monitor's, so that claiming reads one table
  paused          boolean NOT NULL DEFAULT false,
  due_at          timestamptz NOT NULL DEFAULT now(),
  next_run_at     timestamptz NOT NULL DEFAULT now(),
  leased          boolean NOT NULL DEFAULT false,
  claim           bigint NOT NULL DEFAULT 0,      -- raised by every claim; results of an older claim are discarded
  last_at         timestamptz,
  last_verdict    text,
  last_worst      text,
  last_summary    text,
  last_latency_ms float8,
  PRIMARY KEY (org_id, monitor_id, region),
  FOREIGN KEY (org_id, monitor_id) REFERENCES monitors ON DELETE CASCADE
) WITH (fillfactor = 60);
CREATE INDEX schedule_units_due ON schedule_units (region, due_at) WHERE NOT paused;
CALL make_tenant_table('schedule_units');

-- The latest outcome in full, apart from the hot row.
CREATE TABLE last_outcomes (
  org_id     uuid NOT NULL,
  monitor_id uuid NOT NULL,
  region     text NOT NULL,
  at         timestamptz NOT NULL,
  outcome    jsonb NOT NULL,
  PRIMARY KEY (org_id, monitor_id, region),
  FOREIGN KEY (org_id, monitor_id) REFERENCES monitors ON DELETE CASCADE
) WITH (fillfactor = 70);
CALL make_tenant_table('last_outcomes');

-- One row per check, partitioned by day. The full outcome is kept where it tells something: on change and on trouble.
CREATE TABLE check_results (
  org_id     uuid NOT NULL,
  id         uuid NOT NULL,
  monitor_id uuid NOT NULL,
  region     text NOT NULL,
  claim      bigint NOT NULL,
  at         timestamptz NOT NULL,
  verdict    text NOT NULL,
  summary    text NOT NULL,
  latency_ms float8,
  outcome    jsonb,
  PRIMARY KEY (org_id, monitor_id, at, id)
) PARTITION BY RANGE (at);
CALL make_tenant_table('check_results');
ALTER TABLE check_results OWNER TO waypost_system;

CREATE TABLE rollups (
  org_id        uuid NOT NULL,
  monitor_id    uuid NOT NULL,
  span          text NOT NULL CHECK (span IN ('hour', 'day')),
  at            timestamptz NOT NULL,
  checks        int NOT NULL,
  up            int NOT NULL,                     -- up or degraded
  down          int NOT NULL,
  unknown       int NOT NULL,
  latency_sum   float8 NOT NULL DEFAULT 0,
  latency_count int NOT NULL DEFAULT 0,
  latency_max   float8,
  PRIMARY KEY (org_id, monitor_id, span, at),
  FOREIGN KEY (org_id, monitor_id) REFERENCES monitors ON DELETE CASCADE
);
CREATE INDEX rollups_span_at ON rollups (span, at);
CALL make_tenant_table('rollups');
-- How far each span is rolled up; one row each, outside tenancy.
CREATE TABLE rollup_progress (span text PRIMARY KEY, done_until timestamptz NOT NULL);
GRANT SELECT, INSERT, UPDATE ON rollup_progress TO waypost_system;

-- Workers by region: who is alive, and whether the outside world's port 25 can be reached from there. Outside tenancy.
CREATE TABLE worker_regions (
  region            text PRIMARY KEY,
  seen_at           timestamptz NOT NULL,
  port25_reached_at timestamptz,
  port25_blocked    boolean NOT NULL DEFAULT false
);
GRANT SELECT, INSERT, UPDATE ON worker_regions TO waypost_app;

-- Makes the partitions of the coming days and drops those older than the retention; partitions get no grants and forced RLS.
CREATE FUNCTION maintain_result_partitions(p_now timestamptz, p_keep_days int) RETURNS int
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  day date;
  part text;
  changed int := 0;
  old record;
BEGIN
  PERFORM pg_advisory_xact_lock(7295812);
  FOR day IN SELECT generate_series((p_now AT TIME ZONE 'UTC')::date - 1, (p_now AT TIME ZONE 'UTC')::date + 3, interval '1 day')::date LOOP
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
      AND to_date(right(c.relname, 8), 'YYYYMMDD') < (p_now AT TIME ZONE 'UTC')::date - p_keep_days
  LOOP
    EXECUTE format('DROP TABLE %I', old.relname);
    changed := changed + 1;
  END LOOP;
  RETURN changed;
END $$;
ALTER FUNCTION maintain_result_partitions(timestamptz, int) OWNER TO waypost_system;

-- Claims due units of a region over all tenants. Moves next_run_at on by the interval; what fell behind (downtime) is spread over
-- the coming interval instead of keeping its phase, so that catching up is no stampede.
CREATE FUNCTION claim_due_units(p_region text, p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, monitor_id uuid, claim bigint, due_at timestamptz)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH due AS MATERIALIZED (
    SELECT u.org_id, u.monitor_id, u.region, u.due_at FROM schedule_units u
    WHERE u.region = p_region AND u.due_at <= p_now AND NOT u.paused
    ORDER BY u.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE schedule_units u SET
    claim = u.claim + 1,
    leased = true,
    due_at = p_now + make_interval(secs => p_lease_s),
    next_run_at = CASE
      WHEN u.leased THEN greatest(u.next_run_at, p_now)
      WHEN u.next_run_at + make_interval(secs => u.interval_s) > p_now THEN u.next_run_at + make_interval(secs => u.interval_s)
      ELSE p_now + make_interval(secs => u.interval_s * (0.5 + random() / 2)) END
  FROM due
  WHERE u.org_id = due.org_id AND u.monitor_id = due.monitor_id AND u.region = due.region
  RETURNING u.org_id, u.monitor_id, u.claim, due.due_at
$$;
ALTER FUNCTION claim_due_units(text, timestamptz, int, int) OWNER TO waypost_system;

-- When the next unit of a region is due, so that an idle scheduler sleeps exactly that long.
CREATE FUNCTION next_due_at(p_region text) RETURNS timestamptz
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$ SELECT min(due_at) FROM schedule_units WHERE region = p_region AND NOT paused $$;
ALTER FUNCTION next_due_at(text) OWNER TO waypost_system;
