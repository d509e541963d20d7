-- An audit or a scan finds several things at once, and each has its own beginning and end: an incident is about one condition of a monitor
-- (a record family; an address on lists of one severity), not about the monitor as a whole.
ALTER TABLE incidents ADD COLUMN condition text NOT NULL DEFAULT '';
DROP INDEX incidents_one_open;
CREATE UNIQUE INDEX incidents_one_open ON incidents (org_id, monitor_id, condition) WHERE status <> 'resolved' AND monitor_id IS NOT NULL;
-- What is remembered of the conditions: types::judge::Conditions.
ALTER TABLE monitors ADD COLUMN conditions jsonb NOT NULL DEFAULT '{}';
