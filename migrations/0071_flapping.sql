-- What fails again soon after it recovered belongs to the incident of before: it is opened again instead of a second one, and is marked while it
-- fails and works in turn. How often it was opened again is part of the keys of its messages, so that each opening and each end is told once.
-- The decision itself is remembered with the monitor (monitors.judge).
ALTER TABLE incidents
  ADD COLUMN flapping_since timestamptz,
  ADD COLUMN reopened int NOT NULL DEFAULT 0;
