-- 200 servers with three ports each, 20 domains, 50 addresses, 30 days of hourly rollups and a day of raw results, none of it due.
BEGIN;
SELECT maintain_result_partitions(now() - interval '1 day', 36500);
CREATE TEMP TABLE o AS SELECT id FROM orgs WHERE slug = 'bench' LIMIT 1;
INSERT INTO servers (org_id, id, host, ports, source)
  SELECT o.id, gen_random_uuid(), 'mail' || n || '.bench.test', '{25,465,587}', 'manual' FROM o, generate_series(1, 200) n;
INSERT INTO monitors (org_id, id, kind, target, interval_s, state, state_since, summary, latency_ms, last_checked_at, server_id)
  SELECT s.org_id, gen_random_uuid(), 'smtp', s.host || ':' || port, 300, CASE WHEN random() < 0.03 THEN 'down' ELSE 'up' END, now() - interval '3 days', '250 ok', 40 + random() * 200, now(), s.id
  FROM servers s, unnest(s.ports) port;
INSERT INTO domains (org_id, id, name) SELECT o.id, gen_random_uuid(), 'domain' || n || '.bench.test' FROM o, generate_series(1, 20) n;
INSERT INTO monitors (org_id, id, kind, target, interval_s, state, summary, last_checked_at, domain_id)
  SELECT d.org_id, gen_random_uuid(), 'audit', d.name, 3600, 'degraded', 'DMARC only watches', now(), d.id FROM domains d;
INSERT INTO addresses (org_id, id, net, source) SELECT o.id, gen_random_uuid(), ('203.0.113.' || n)::cidr, 'manual' FROM o, generate_series(1, 50) n;
INSERT INTO monitors (org_id, id, kind, target, interval_s, state, summary, last_checked_at, listed, answered, asked, address_id)
  SELECT a.org_id, gen_random_uuid(), 'blacklist', host(a.net), 21600, 'up', 'on no list', now(), 0, 40, 42, a.id FROM addresses a;
INSERT INTO schedule_units (org_id, monitor_id, region, interval_s, due_at, next_run_at, last_at, last_verdict)
  SELECT org_id, id, 'local', interval_s, now() + interval '1 day', now() + interval '1 day', now(), 'up' FROM monitors;
INSERT INTO last_outcomes (org_id, monitor_id, region, at, outcome)
  SELECT org_id, id, 'local', now(), jsonb_build_object('kind', 'audit', 'domain', target, 'score', 82, 'grade', 'B', 'unknown', '[]'::jsonb, 'records', '{"spf":["v=spf1 mx -all"]}'::jsonb,
    'checks', '{"spf":{"status":"ok","word":"Pass"},"dkim":{"status":"ok","word":"2 keys"},"dmarc":{"status":"warn","word":"p=none"},"mx":{"status":"ok","word":"2 hosts"}}'::jsonb,
    'findings', (SELECT jsonb_agg(jsonb_build_object('rule', 'dmarc.policy_none', 'severity', 'medium', 'subject', target || n, 'summary', 'DMARC only watches', 'why', repeat('why ', 30), 'fix', repeat('fix ', 30))) FROM generate_series(1, 6) n))
  FROM monitors WHERE kind = 'audit';
INSERT INTO rollups (org_id, monitor_id, span, at, checks, up, down, unknown, latency_sum, latency_count, latency_max)
  SELECT m.org_id, m.id, 'hour', date_trunc('hour', now()) - make_interval(hours => h), 12, 12, 0, 0, 1200, 12, 300
  FROM monitors m, generate_series(1, 720) h WHERE m.kind = 'smtp';
INSERT INTO rollups (org_id, monitor_id, span, at, checks, up, down, unknown, latency_sum, latency_count, latency_max)
  SELECT m.org_id, m.id, 'day', date_trunc('day', now()) - make_interval(days => d), 288, 287, 1, 0, 28800, 288, 300
  FROM monitors m, generate_series(1, 30) d WHERE m.kind = 'smtp';
INSERT INTO check_results (org_id, id, monitor_id, region, claim, at, verdict, summary, latency_ms)
  SELECT m.org_id, gen_random_uuid(), m.id, 'local', n, date_trunc('day', now()) + make_interval(secs => n), 'up', '250 ok', 80
  FROM monitors m, generate_series(1, 200) n WHERE m.kind = 'smtp';
COMMIT;
ANALYZE;
