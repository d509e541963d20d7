-- Many monitors at once: tags are given and taken by one rule, wherever they are kept.

-- Tags as they are kept (types::tag): each once, in the order of their bytes.
CREATE FUNCTION tags_after(given text[], added text[], removed text[]) RETURNS text[]
  LANGUAGE sql IMMUTABLE
AS $$
  SELECT coalesce(array_agg(tag ORDER BY tag COLLATE "C"), '{}')
  FROM (SELECT DISTINCT tag FROM unnest(given || added) AS t(tag) WHERE tag <> ALL(removed)) kept
$$;
REVOKE EXECUTE ON FUNCTION tags_after FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tags_after TO waypost_app;

-- How a monitor stands in lists: its confirmed state, unless it is not checked.
CREATE FUNCTION standing_of(m monitors) RETURNS text
  LANGUAGE sql IMMUTABLE
AS $$
  SELECT CASE WHEN m.paused THEN 'paused' ELSE m.state END
$$;
REVOKE EXECUTE ON FUNCTION standing_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION standing_of TO waypost_app;

-- The one home of what a filter means (types::fleet::MonitorFilter); NULL does not narrow. p_part is in lower case.
CREATE FUNCTION monitor_matches(m monitors, p_part text, p_kind text, p_standing text, p_tag text, p_services bool) RETURNS bool
  LANGUAGE sql STABLE
AS $$
  SELECT (p_part IS NULL OR strpos(lower(m.target), p_part) > 0) AND (p_kind IS NULL OR m.kind = p_kind)
     AND (p_standing IS NULL OR standing_of(m) = p_standing) AND (NOT p_services OR m.kind NOT IN ('audit', 'smtp', 'blacklist'))
     AND (p_tag IS NULL OR p_tag = ANY(monitor_tags(m)))
$$;
REVOKE EXECUTE ON FUNCTION monitor_matches FROM PUBLIC;
GRANT EXECUTE ON FUNCTION monitor_matches TO waypost_app;
