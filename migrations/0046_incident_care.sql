-- What people add to an incident beside comments: why it happened, and that nobody is to be told of it for a while.
ALTER TABLE incidents ADD COLUMN root_cause text;         -- Markdown
ALTER TABLE incidents ADD COLUMN muted_by text;           -- NULL: it is not muted
ALTER TABLE incidents ADD COLUMN muted_until timestamptz; -- NULL where it is muted: until it ends
ALTER TABLE incidents ADD CONSTRAINT incidents_muted CHECK (muted_by IS NOT NULL OR muted_until IS NULL);
