-- A domain's web hosts and hand-added servers lead to addresses, too.
ALTER TABLE addresses DROP CONSTRAINT addresses_source_check;
ALTER TABLE addresses ADD CONSTRAINT addresses_source_check CHECK (source IN ('manual', 'mx', 'web', 'server'));
