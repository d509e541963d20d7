-- A monitor's incidents, and the messages of an incident, which go with it.
CREATE INDEX incidents_monitor ON incidents (org_id, monitor_id);
CREATE INDEX outbox_incident ON outbox (org_id, incident_id) WHERE incident_id IS NOT NULL;

-- Every check rewrites its row here. By default vacuum waits until a fifth of a table is dead.
ALTER TABLE schedule_units SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE last_outcomes SET (autovacuum_vacuum_scale_factor = 0.02);
