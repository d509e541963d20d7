-- A login that was never accepted since its secret was stored did not break: who stored it sees the answer on the page, and nobody is told.
ALTER TABLE server_logins ADD COLUMN accepted_at timestamptz;
