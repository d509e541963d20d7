-- The login that an organisation has stored for a mail server, to be tried by its checks. The secret is sealed for organisation and server.
-- How often it was refused is counted here, under the row's lock, over all regions and processes: an attempt counts as refused from its
-- beginning until its answer says otherwise, so that a worker that dies on the way does not make room for another one.
CREATE TABLE server_logins (
  org_id       uuid NOT NULL,
  server_id    uuid NOT NULL,
  user_name    text NOT NULL,
  sealed       bytea NOT NULL,
  secret_kind  text NOT NULL CHECK (secret_kind IN ('password', 'token')),
  mechanism    text,                               -- NULL: the best that is offered
  ports        int[] NOT NULL,
  enabled      boolean NOT NULL DEFAULT true,
  refused      int NOT NULL DEFAULT 0,             -- in a row, with the attempt under way
  refused_port int,                                -- where the last refusal was: there it is tried again
  paused_at    timestamptz,
  trying_until timestamptz,                        -- an attempt is under way, one at a time
  looks        jsonb NOT NULL DEFAULT '{}',        -- by port: types::outcome::LoginLook
  version      bigint NOT NULL DEFAULT 1,          -- an answer to what was stored before counts for nothing
  changed_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (org_id, server_id),
  FOREIGN KEY (org_id, server_id) REFERENCES servers ON DELETE CASCADE
);
CALL make_tenant_table('server_logins');
