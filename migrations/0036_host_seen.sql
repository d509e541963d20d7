-- When each of its hosts was last seen to have an address: one that shares it with another must not keep the other's name alive. What is
-- known already counts as seen when the address was.
ALTER TABLE addresses ADD COLUMN host_seen jsonb NOT NULL DEFAULT '{}';
UPDATE addresses SET host_seen = (SELECT coalesce(jsonb_object_agg(host, seen_at), '{}') FROM unnest(hosts) AS host) WHERE cardinality(hosts) > 0;
ALTER TABLE addresses DROP COLUMN seen_at;
