-- Logins that were accepted before that was remembered (0083). What the last attempt at each port brought is kept since the secret was stored, so
-- that one that was let in is known not to be unproven: when it breaks next, it is told. Of others nothing is known, and they are proven by the
-- next attempt that is accepted.
SET LOCAL ROLE waypost_system;
UPDATE server_logins l SET accepted_at = a.at
FROM (SELECT s.org_id, s.server_id, max((look.value ->> 'at')::timestamptz) AS at
      FROM server_logins s, jsonb_each(CASE WHEN jsonb_typeof(s.looks) = 'object' THEN s.looks ELSE '{}' END) AS look
      WHERE look.value #>> '{result,outcome}' = 'accepted' AND look.value ->> 'at' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d' GROUP BY 1, 2) a
WHERE l.org_id = a.org_id AND l.server_id = a.server_id AND l.accepted_at IS NULL;
RESET ROLE;
