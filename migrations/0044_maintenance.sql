-- Maintenance windows, and the time zone by whose clocks they recur.
ALTER TABLE orgs ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC',  -- IANA name
                 ADD COLUMN version bigint NOT NULL DEFAULT 1;

CREATE TABLE maintenance_windows (
  org_id         uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id             uuid NOT NULL,
  name           text NOT NULL,
  covers         jsonb NOT NULL,                  -- types::maintenance::Covers
  plan           jsonb NOT NULL,                  -- types::maintenance::Plan
  over_at        timestamptz,                     -- NULL while it recurs
  ended_early_at timestamptz,
  version        bigint NOT NULL DEFAULT 1,
  created_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, id)
);
CALL make_tenant_table('maintenance_windows');

-- Seen in a window: charts and reports show it apart.
ALTER TABLE check_results ADD COLUMN maintenance boolean NOT NULL DEFAULT false;
