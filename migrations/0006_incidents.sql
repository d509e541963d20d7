-- Incidents, their timeline, and what must be told to whom.
CREATE TABLE incidents (
  org_id          uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id              uuid NOT NULL,
  monitor_id      uuid,                           -- NULL once the monitor is deleted
  kind            text NOT NULL,
  target          text NOT NULL,
  title           text NOT NULL,
  summary         text NOT NULL,
  severity        text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  status          text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'acknowledged', 'resolved')),
  opened_at       timestamptz NOT NULL,
  acknowledged_at timestamptz,
  resolved_at     timestamptz,
  evidence        jsonb,                          -- the outcome that confirmed it
  version         bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (org_id, id)
);
-- At most one incident of a monitor is not over.
CREATE UNIQUE INDEX incidents_one_open ON incidents (org_id, monitor_id) WHERE status <> 'resolved' AND monitor_id IS NOT NULL;
CREATE INDEX incidents_list ON incidents (org_id, opened_at DESC, id DESC);
CALL make_tenant_table('incidents');

CREATE TABLE incident_timeline (
  org_id      uuid NOT NULL,
  id          uuid NOT NULL,
  incident_id uuid NOT NULL,
  at          timestamptz NOT NULL,
  event       text NOT NULL,
  text        text NOT NULL,
  actor       text,
  PRIMARY KEY (org_id, id),
  FOREIGN KEY (org_id, incident_id) REFERENCES incidents ON DELETE CASCADE
);
CREATE INDEX incident_timeline_story ON incident_timeline (org_id, incident_id, at, id);
CALL make_tenant_table('incident_timeline');

-- Written in the transaction that makes the event, sent outside of it. event_key makes one row per event and recipient.
CREATE TABLE outbox (
  org_id          uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id              uuid NOT NULL,
  incident_id     uuid,
  event_key       text NOT NULL,                  -- 'incident:<id>:opened'
  channel         text NOT NULL DEFAULT 'email' CHECK (channel IN ('email')),
  recipient       text NOT NULL,
  message         jsonb NOT NULL,                 -- {"subject","text","html"}
  message_id      text NOT NULL,                  -- the same on every attempt
  state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed')),
  attempts        int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  last_answer     text,
  created_at      timestamptz NOT NULL DEFAULT now(),
  sent_at         timestamptz,
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, event_key, channel, recipient),
  FOREIGN KEY (org_id, incident_id) REFERENCES incidents ON DELETE CASCADE
);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state = 'pending';
CALL make_tenant_table('outbox');

-- Claims messages to send over all tenants: the claim is a lease written into next_attempt_at, so a killed notifier's message comes back.
CREATE FUNCTION claim_outbox(p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, id uuid, incident_id uuid, recipient text, message jsonb, message_id text, attempts int)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH due AS MATERIALIZED (
    SELECT o.org_id, o.id FROM outbox o WHERE o.state = 'pending' AND o.next_attempt_at <= p_now
    ORDER BY o.next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE outbox o SET attempts = o.attempts + 1, next_attempt_at = p_now + make_interval(secs => p_lease_s)
  FROM due WHERE o.org_id = due.org_id AND o.id = due.id
  RETURNING o.org_id, o.id, o.incident_id, o.recipient, o.message, o.message_id, o.attempts
$$;
ALTER FUNCTION claim_outbox(timestamptz, int, int) OWNER TO waypost_system;
