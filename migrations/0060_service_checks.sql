-- Services beside SMTP are monitors that stand by themselves: what each is expected to do, and tags of its own.
ALTER TABLE monitors DROP CONSTRAINT monitors_kind_check;
ALTER TABLE monitors ADD CONSTRAINT monitors_kind_check CHECK (kind IN ('audit', 'smtp', 'blacklist', 'tcp', 'https', 'dns', 'imap', 'pop')),
                     ADD COLUMN settings jsonb NOT NULL DEFAULT '{}',   -- types::service::ServiceSettings
                     ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
