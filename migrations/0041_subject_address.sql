-- What is on a list is an address or a domain's name; only the first is within a network. A name never ends in a number and has no colon.
CREATE FUNCTION subject_address(subject text) RETURNS inet LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE WHEN subject ~ ':|^[0-9.]+$' THEN subject::inet END;
