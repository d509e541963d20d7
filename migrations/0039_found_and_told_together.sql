-- A selector that an audit guessed and found a key at is remembered like one that mail names: it is asked in every audit, so that a key that
-- is taken away is missed at the second look as at the first.
ALTER TABLE seen_selectors ADD COLUMN origin text NOT NULL DEFAULT 'seen' CHECK (origin IN ('seen', 'found'));

-- What one look at a domain finds is told in one message. It belongs to the worst incident; these are the others that it tells of.
ALTER TABLE outbox ADD COLUMN also uuid[] NOT NULL DEFAULT '{}';
CREATE INDEX outbox_also ON outbox USING gin (also) WHERE also <> '{}';
