-- A stay ends without being seen to end, too: the list fell silent for good, or is not asked any more. That is no delisting.
ALTER TABLE listings ADD COLUMN ending text NOT NULL DEFAULT 'gone' CHECK (ending IN ('gone', 'untold', 'not_asked'));
