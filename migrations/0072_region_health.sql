-- A region that reaches nothing while others do is the region's trouble: what it says is not counted then. What its workers could connect to is
-- kept for a sample of hosts, so that all workers of all regions judge by the same; a host is a hash, since whose it is does not matter. Outside
-- tenancy, like the regions themselves.
CREATE TABLE region_looks (
  region     text NOT NULL,
  subject    text NOT NULL,         -- hash of the host
  network    text,                  -- hash of the network it is in, where its name could be resolved
  at         timestamptz NOT NULL,  -- of the newest look
  reached    boolean NOT NULL,      -- whether a connection was made
  nearby     boolean NOT NULL,      -- whether the failure was one of the network here
  changed_at timestamptz NOT NULL,  -- since when that is so
  reached_at timestamptz,           -- when a connection was made last
  PRIMARY KEY (region, subject)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON region_looks TO waypost_app;

-- The last time that it was cut off; while it is, without an end.
ALTER TABLE worker_regions
  ADD COLUMN cut_off_since timestamptz,
  ADD COLUMN cut_off_until timestamptz;
