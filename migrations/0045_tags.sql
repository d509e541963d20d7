-- Tags of what is watched (lower case, by name), and what a server is for in the way of mail.
ALTER TABLE domains ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
ALTER TABLE servers ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
                    ADD COLUMN role text CHECK (role IN ('originating', 'relay', 'gateway', 'delivery'));
ALTER TABLE addresses ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
