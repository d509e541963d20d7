-- What an organisation watches.
CREATE TABLE domains (
  org_id     uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id         uuid NOT NULL,
  name       text NOT NULL,                       -- ASCII, lower case
  version    bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, name)
);
CALL make_tenant_table('domains');

CREATE TABLE servers (
  org_id     uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id         uuid NOT NULL,
  host       text NOT NULL,                       -- ASCII name or address
  ports      int[] NOT NULL,
  source     text NOT NULL CHECK (source IN ('manual', 'mx')),
  version    bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, host)
);
CALL make_tenant_table('servers');

CREATE TABLE addresses (
  org_id     uuid NOT NULL REFERENCES orgs ON DELETE CASCADE,
  id         uuid NOT NULL,
  net        cidr NOT NULL,
  source     text NOT NULL CHECK (source IN ('manual', 'mx')),
  hosts      text[] NOT NULL DEFAULT '{}',        -- MX hosts that resolve to it
  version    bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, net)
);
CALL make_tenant_table('addresses');

-- Which servers a domain's MX records name.
CREATE TABLE domain_servers (
  org_id     uuid NOT NULL,
  domain_id  uuid NOT NULL,
  server_id  uuid NOT NULL,
  preference int NOT NULL,
  PRIMARY KEY (org_id, domain_id, server_id),
  FOREIGN KEY (org_id, domain_id) REFERENCES domains ON DELETE CASCADE,
  FOREIGN KEY (org_id, server_id) REFERENCES servers ON DELETE CASCADE
);
CALL make_tenant_table('domain_servers');
