-- Slack as an app of its own, beside its plain incoming webhook: an organisation adds it to a workspace, channels are picked there, and what was
-- posted is remembered, so that it can be brought up to date and its buttons find what they are about.
CREATE TABLE slack_installs (
  org_id       uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  team_id      text NOT NULL,                     -- 'T0123456789'
  team_name    text NOT NULL,
  bot_user     text NOT NULL,                     -- 'U0123456789'
  sealed       bytea NOT NULL,                    -- the bot's token, sealed as worker::slack::install says
  installed_by text NOT NULL,
  installed_at timestamptz NOT NULL,
  gone_at      timestamptz,                       -- since when the token is worth nothing; NULL: it is good
  gone_why     text,                              -- 'token_revoked', as Slack says it
  PRIMARY KEY (org_id),
  CHECK ((gone_at IS NULL) = (gone_why IS NULL))
);
CREATE INDEX slack_installs_team ON slack_installs (team_id);
CALL make_tenant_table('slack_installs');

-- Who is on the way to add it: what Slack's answer must carry, once, within minutes, in the session that began.
CREATE TABLE slack_states (
  org_id  uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  hash    bytea NOT NULL,
  session bytea NOT NULL,
  until   timestamptz NOT NULL,
  PRIMARY KEY (org_id, hash)
);
CALL make_tenant_table('slack_states');

ALTER TABLE channels DROP CONSTRAINT channels_kind_check;
ALTER TABLE channels ADD CONSTRAINT channels_kind_check
  CHECK (kind IN ('webhook', 'slack', 'slack_app', 'teams', 'discord', 'pagerduty', 'ntfy'));
ALTER TABLE channels ADD COLUMN slack_channel text;   -- 'C0123456789'
ALTER TABLE channels ADD CONSTRAINT channels_slack_channel CHECK ((kind = 'slack_app') = (slack_channel IS NOT NULL));

-- Which message of a channel tells of an incident; several incidents that opened together share one. An incident that is removed leaves its
-- row: its message is still to say so.
CREATE TABLE slack_messages (
  org_id        uuid NOT NULL,
  channel_id    uuid NOT NULL,
  incident_id   uuid NOT NULL,
  team_id       text NOT NULL,
  slack_channel text NOT NULL,
  ts            text NOT NULL,                    -- Slack's id of it within the channel: '1405894322.002768'
  posted_at     timestamptz NOT NULL,
  PRIMARY KEY (org_id, channel_id, incident_id),
  FOREIGN KEY (org_id, channel_id) REFERENCES channels ON DELETE CASCADE
);
CREATE INDEX slack_messages_found ON slack_messages (team_id, slack_channel, ts);
CALL make_tenant_table('slack_messages');
