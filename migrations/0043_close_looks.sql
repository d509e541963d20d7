-- A close look asks a server what no check asks every few minutes: old TLS, and of a server whose owner is known (domains.verified_at) relaying,
-- recipients, VRFY and EXPN. At most once a day for an address and port, over all names, tenants, regions and processes: who takes the turn asks.
-- Outside tenancy as provider_looks is: it says what a host answered and not who watches it; with an owner it is read only for organisations
-- that have proven that domain.
CREATE TABLE close_looks (
  target    text NOT NULL,                -- 'mail.example.com:25'
  owner     text NOT NULL,                -- the proven domain; '' is old TLS, which anybody may have asked
  address   inet NOT NULL,                -- what was asked
  port      int NOT NULL,
  asked_at  timestamptz NOT NULL,
  looked_at timestamptz,
  look      jsonb,                        -- types::outcome::CloseLook
  PRIMARY KEY (target, owner)
);
CREATE INDEX close_looks_pace ON close_looks (address, port);
GRANT SELECT, INSERT, UPDATE, DELETE ON close_looks TO waypost_app;
GRANT SELECT ON close_looks TO waypost_system;

-- The closest domain above the host that its organisation has proven, as of the last proof; whether that still holds is asked when it is used.
ALTER TABLE monitors ADD COLUMN owner text;

DROP FUNCTION load_claimed_units(text, uuid[], uuid[], bigint[]);
-- What a batch of claimed units is about, over all its organisations in one question: only claims that are current and not recorded yet.
-- A worker that took a batch from the queue would else open a transaction per organisation before it has anything to record. A close look is
-- believed for little more than its day: one that was lost on the way leaves its questions open.
CREATE FUNCTION load_claimed_units(p_region text, p_orgs uuid[], p_monitors uuid[], p_claims bigint[], p_proof_days int)
  RETURNS TABLE (org_id uuid, monitor_id uuid, claim bigint, kind text, target text, interval_s int, state text, requested boolean,
                 owner text, tls_due boolean, tls_look jsonb, owner_due boolean, owner_look jsonb)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT u.org_id, u.monitor_id, u.claim, m.kind, m.target, m.interval_s, m.state, u.requested, d.name,
         m.kind = 'smtp' AND (t.asked_at IS NULL OR t.asked_at < now() - interval '1 day'),
         CASE WHEN t.looked_at > now() - interval '26 hours' THEN t.look END,
         d.name IS NOT NULL AND (o.asked_at IS NULL OR o.asked_at < now() - interval '1 day'),
         CASE WHEN o.looked_at > now() - interval '26 hours' THEN o.look END
  FROM UNNEST(p_orgs, p_monitors, p_claims) AS c(org_id, monitor_id, claim)
  JOIN schedule_units u ON u.org_id = c.org_id AND u.monitor_id = c.monitor_id AND u.region = p_region AND u.claim = c.claim AND u.leased
  JOIN monitors m ON m.org_id = c.org_id AND m.id = c.monitor_id AND NOT m.paused
  LEFT JOIN domains d ON m.kind = 'smtp' AND d.org_id = m.org_id AND d.name = m.owner AND d.verified_at > now() - make_interval(days => p_proof_days)
  LEFT JOIN close_looks t ON m.kind = 'smtp' AND t.target = m.target AND t.owner = ''
  LEFT JOIN close_looks o ON o.target = m.target AND o.owner = d.name
$$;
ALTER FUNCTION load_claimed_units(text, uuid[], uuid[], bigint[], int) OWNER TO waypost_system;
REVOKE EXECUTE ON FUNCTION load_claimed_units FROM PUBLIC;
GRANT EXECUTE ON FUNCTION load_claimed_units TO waypost_app;
