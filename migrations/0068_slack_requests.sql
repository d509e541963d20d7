-- What Slack tells us: a button that was pressed, an app that was removed. Whose it is is looked up before the organisation is known; that it is
-- Slack who tells, the signature has shown.

-- Signatures that were seen, for as long as their timestamps are taken: a request that was overheard is worth nothing. Outside tenancy: they are
-- about requests and nobody's data.
CREATE TABLE slack_signatures (
  signature bytea NOT NULL PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX slack_signatures_at ON slack_signatures (at);
GRANT SELECT, INSERT, DELETE ON slack_signatures TO waypost_app;

-- Whose message it is: of channels that are on, in the workspace that the app is in.
CREATE FUNCTION slack_message_owners(p_team text, p_channel text, p_ts text) RETURNS TABLE (org_id uuid, channel_id uuid)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT DISTINCT m.org_id, m.channel_id FROM slack_messages m
  JOIN channels c ON c.org_id = m.org_id AND c.id = m.channel_id AND c.enabled
  JOIN slack_installs s ON s.org_id = m.org_id AND s.team_id = p_team AND s.gone_at IS NULL
  WHERE m.team_id = p_team AND m.slack_channel = p_channel AND m.ts = p_ts
  LIMIT 1
$$;
ALTER FUNCTION slack_message_owners(text, text, text) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION slack_message_owners FROM PUBLIC;
GRANT EXECUTE ON FUNCTION slack_message_owners TO waypost_app;

-- A workspace took the app's access away: whoever added it there before that knows. Several organisations may be in one workspace.
CREATE FUNCTION slack_team_gone(p_team text, p_why text, p_at timestamptz) RETURNS bigint
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  WITH gone AS (
    UPDATE slack_installs SET gone_at = now(), gone_why = p_why
    WHERE team_id = p_team AND gone_at IS NULL AND installed_at <= p_at RETURNING 1
  )
  SELECT count(*) FROM gone
$$;
ALTER FUNCTION slack_team_gone(text, text, timestamptz) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION slack_team_gone FROM PUBLIC;
GRANT EXECUTE ON FUNCTION slack_team_gone TO waypost_app;
