-- "Check now": a person asked for a fresh look, which the worker's shared outcomes must not answer.
ALTER TABLE schedule_units ADD COLUMN requested boolean NOT NULL DEFAULT false;
