-- When a host that somebody added as a server was last seen to have an address: it is followed when it moves, and what it has not had for
-- some days is no longer its own. What is known already counts as seen now.
ALTER TABLE addresses ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
