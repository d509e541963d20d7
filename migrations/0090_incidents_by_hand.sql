-- What people opened before it had a condition of its own is theirs, too: no check is to change or end it.
SET LOCAL ROLE waypost_system;
UPDATE incidents i SET condition = 'hand' WHERE i.condition = ''
  AND EXISTS (SELECT FROM incident_timeline t WHERE t.org_id = i.org_id AND t.incident_id = i.id AND t.event = 'comment' AND t.text = 'Opened by hand.');
RESET ROLE;
