-- The smallest limit on the size of a message (SIZE, RFC 1870) that an organisation accepts of its server, in megabytes of 1,000,000 octets.
-- Conversations are shared among tenants, so it is judged where a result is recorded. NULL: the catalog's figure.
ALTER TABLE servers ADD COLUMN least_size_mb int CHECK (least_size_mb BETWEEN 1 AND 10000);
