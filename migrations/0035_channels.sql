-- Where an organisation wants to be told, beside mail: webhooks, chats, pagers. Addresses hold tokens, so they are sealed as a whole; what
-- may be seen of one is kept beside it.
CREATE TABLE channels (
  org_id       uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id           uuid NOT NULL,
  name         text NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('webhook', 'slack', 'teams', 'discord', 'pagerduty', 'ntfy')),
  shown        text NOT NULL,                     -- 'https://hooks.slack.com/…a1b2'
  sealed       bytea NOT NULL,                    -- worker::channels::secret
  min_severity text NOT NULL CHECK (min_severity IN ('info', 'warning', 'critical')),
  enabled      boolean NOT NULL DEFAULT true,
  created_at   timestamptz NOT NULL DEFAULT now(),
  version      bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (org_id, id)
);
CALL make_tenant_table('channels');

-- Each attempt to tell a channel something; the newest hundred of a channel are kept.
CREATE TABLE channel_deliveries (
  org_id      uuid NOT NULL,
  id          uuid NOT NULL,
  channel_id  uuid NOT NULL,
  incident_id uuid,                               -- NULL for a test
  event       text NOT NULL,                      -- 'opened'
  at          timestamptz NOT NULL,
  attempt     int NOT NULL,
  result      text NOT NULL CHECK (result IN ('sent', 'deferred', 'failed')),
  status      int,                                -- NULL where no answer came
  answer      text NOT NULL,
  took_ms     bigint NOT NULL,
  PRIMARY KEY (org_id, id),
  FOREIGN KEY (org_id, channel_id) REFERENCES channels ON DELETE CASCADE
);
CREATE INDEX channel_deliveries_newest ON channel_deliveries (org_id, channel_id, at DESC, id DESC);
CALL make_tenant_table('channel_deliveries');

-- A message for a channel waits beside the mails. It goes with its channel: what became of those that were sent is in the timeline.
ALTER TABLE outbox DROP CONSTRAINT outbox_channel_check;
ALTER TABLE outbox ADD COLUMN channel_id uuid;
ALTER TABLE outbox ADD CONSTRAINT outbox_channel_check CHECK (channel IN ('email', 'channel') AND (channel = 'channel') = (channel_id IS NOT NULL));
ALTER TABLE outbox ADD FOREIGN KEY (org_id, channel_id) REFERENCES channels ON DELETE CASCADE;
CREATE INDEX outbox_channel ON outbox (org_id, channel_id, incident_id) WHERE channel_id IS NOT NULL;

-- As before, and: mails only.
CREATE OR REPLACE FUNCTION claim_outbox(p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, id uuid, incident_id uuid, recipient text, message jsonb, message_id text, attempts int)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH due AS MATERIALIZED (
    SELECT o.org_id, o.id FROM outbox o WHERE o.state = 'pending' AND o.channel = 'email' AND o.next_attempt_at <= p_now
    ORDER BY o.next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  )
  UPDATE outbox o SET attempts = o.attempts + 1, next_attempt_at = p_now + make_interval(secs => p_lease_s)
  FROM due WHERE o.org_id = due.org_id AND o.id = due.id
  RETURNING o.org_id, o.id, o.incident_id, o.recipient, o.message, o.message_id, o.attempts
$$;

-- The same for channels. Of an incident a channel hears one thing after the other: told of the end before the beginning, a pager would ring
-- until somebody silences it by hand.
CREATE FUNCTION claim_channel_messages(p_now timestamptz, p_limit int, p_lease_s int)
  RETURNS TABLE (org_id uuid, id uuid, incident_id uuid, message jsonb, message_id text, attempts int,
                 channel_id uuid, kind text, sealed bytea, enabled boolean)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH due AS MATERIALIZED (
    SELECT o.org_id, o.id FROM outbox o
    WHERE o.state = 'pending' AND o.channel = 'channel' AND o.next_attempt_at <= p_now
      AND NOT EXISTS (SELECT FROM outbox p WHERE p.org_id = o.org_id AND p.channel_id = o.channel_id AND p.incident_id = o.incident_id
                        AND p.state = 'pending' AND (p.created_at, p.id) < (o.created_at, o.id))
    ORDER BY o.next_attempt_at LIMIT p_limit FOR UPDATE OF o SKIP LOCKED
  )
  UPDATE outbox o SET attempts = o.attempts + 1, next_attempt_at = p_now + make_interval(secs => p_lease_s)
  FROM due, channels c WHERE o.org_id = due.org_id AND o.id = due.id AND c.org_id = o.org_id AND c.id = o.channel_id
  RETURNING o.org_id, o.id, o.incident_id, o.message, o.message_id, o.attempts, c.id, c.kind, c.sealed, c.enabled
$$;
ALTER FUNCTION claim_channel_messages(timestamptz, int, int) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION claim_channel_messages FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_channel_messages TO waypost_app;
