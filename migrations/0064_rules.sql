-- Rules: a series of numbers about monitors, its limit, and how bad it is when it is beyond it for long enough.
CREATE TABLE rules (
  org_id       uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id           uuid NOT NULL,
  name         text NOT NULL,
  enabled      boolean NOT NULL,
  series       text NOT NULL,                     -- types::rule::Series
  over_minutes int,                               -- NULL where the series is what was seen last
  threshold    float8 NOT NULL,
  clear        float8 NOT NULL,
  for_minutes  int NOT NULL,
  severity     text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  scope        jsonb NOT NULL,                    -- types::maintenance::Covers
  every_s      int NOT NULL CHECK (every_s > 0),  -- between two judgements
  due_at       timestamptz DEFAULT now(),         -- NULL: off, and nothing of it is open any more
  judged_at    timestamptz,
  removed      boolean NOT NULL DEFAULT false,    -- by a person; the row goes when what is open of it was let go
  version      bigint NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, id)
) WITH (fillfactor = 70);
CREATE INDEX rules_due ON rules (due_at) WHERE due_at IS NOT NULL;
CALL make_tenant_table('rules');

-- Monitors that are beyond the limit of a rule. What is calm has no row, so that judging thousands that are writes nothing.
CREATE TABLE rule_states (
  org_id     uuid NOT NULL,
  rule_id    uuid NOT NULL,
  monitor_id uuid NOT NULL,
  firing     boolean NOT NULL,                    -- long enough: its incident is open
  since      timestamptz NOT NULL,                -- beyond the limit
  calm_since timestamptz,                         -- while it fires: within it again, not yet for long enough
  seen_at    timestamptz NOT NULL,                -- the last value
  PRIMARY KEY (org_id, rule_id, monitor_id),
  FOREIGN KEY (org_id, rule_id) REFERENCES rules ON DELETE CASCADE,
  FOREIGN KEY (org_id, monitor_id) REFERENCES monitors ON DELETE CASCADE
);
CREATE INDEX rule_states_monitor ON rule_states (org_id, monitor_id);
CALL make_tenant_table('rule_states');

-- Claims rules that are due over all tenants and moves them on in the same statement, by the database's clock: of several workers one judges.
-- One that dies has written nothing, and the rule comes again.
CREATE FUNCTION claim_due_rules(p_limit int) RETURNS TABLE (org_id uuid, id uuid)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH due AS MATERIALIZED (
    SELECT r.org_id, r.id FROM rules r WHERE r.due_at <= now() ORDER BY r.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE rules r SET due_at = now() + make_interval(secs => r.every_s) FROM due
  WHERE r.org_id = due.org_id AND r.id = due.id
  RETURNING r.org_id, r.id
$$;
ALTER FUNCTION claim_due_rules(int) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION claim_due_rules FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_due_rules TO waypost_app;
