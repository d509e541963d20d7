-- What a filter of the list of incidents means, for the list and its counts alike (types::incident_list). NULL does not narrow; p_part is in lower case.
CREATE FUNCTION incident_matches(i incidents, p_part text, p_severity text, p_monitor uuid) RETURNS bool
  LANGUAGE sql STABLE
AS $$
  SELECT (p_part IS NULL OR strpos(lower(i.target), p_part) > 0 OR strpos(lower(i.title), p_part) > 0)
     AND (p_severity IS NULL OR i.severity = p_severity) AND (p_monitor IS NULL OR i.monitor_id = p_monitor)
$$;
REVOKE EXECUTE ON FUNCTION incident_matches FROM PUBLIC;
GRANT EXECUTE ON FUNCTION incident_matches TO waypost_app;
