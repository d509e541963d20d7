-- Routes: which incidents are told to whom, when, and what follows while nobody takes them. An organisation without any tells everybody.
CREATE TABLE routes (
  org_id         uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id             uuid NOT NULL,
  position       int NOT NULL,                    -- for people: all routes that match tell
  name           text NOT NULL,
  enabled        boolean NOT NULL DEFAULT true,
  min_severity   text NOT NULL CHECK (min_severity IN ('info', 'warning', 'critical')),
  tags           text[] NOT NULL DEFAULT '{}',    -- none: all
  times          jsonb NOT NULL,                  -- types::route::Times
  hold           jsonb NOT NULL,                  -- types::route::Hold
  remind_minutes int CHECK (remind_minutes BETWEEN 30 AND 10080),
  version        bigint NOT NULL DEFAULT 1,
  created_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, id)
);
CALL make_tenant_table('routes');

-- Whom a route tells: number 0 at once, the others when nobody acknowledged for so long. Groups of members will be another column.
CREATE TABLE route_steps (
  org_id        uuid NOT NULL,
  route_id      uuid NOT NULL,
  number        smallint NOT NULL CHECK (number BETWEEN 0 AND 5),
  after_minutes int NOT NULL CHECK (after_minutes BETWEEN 0 AND 1440),
  members       boolean NOT NULL,
  every_channel boolean NOT NULL,
  PRIMARY KEY (org_id, route_id, number),
  FOREIGN KEY (org_id, route_id) REFERENCES routes ON DELETE CASCADE
);
CALL make_tenant_table('route_steps');

-- The channels that it names. One that is removed is gone from its routes.
CREATE TABLE route_channels (
  org_id     uuid NOT NULL,
  route_id   uuid NOT NULL,
  number     smallint NOT NULL,
  channel_id uuid NOT NULL,
  PRIMARY KEY (org_id, route_id, number, channel_id),
  FOREIGN KEY (org_id, route_id, number) REFERENCES route_steps ON DELETE CASCADE,
  FOREIGN KEY (org_id, channel_id) REFERENCES channels ON DELETE CASCADE
);
CREATE INDEX route_channels_channel ON route_channels (org_id, channel_id);
CALL make_tenant_table('route_channels');
