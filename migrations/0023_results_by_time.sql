-- Rollups read an hour over all tenants; the primary key starts with the tenant. Results arrive in the order of time, so a tiny BRIN is enough.
CREATE INDEX check_results_by_time ON check_results USING brin (at) WITH (pages_per_range = 32);
