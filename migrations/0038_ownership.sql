-- A domain is its organisation's own when DNS shows the organisation's token at _waypost-verify below it. Proven anew by every audit; what was
-- not seen for some days counts no more.
ALTER TABLE domains ADD COLUMN verify_token text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', '');
ALTER TABLE domains ADD COLUMN verified_at timestamptz;
