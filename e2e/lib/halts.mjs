// Makes programs stand still at a step of their work: a trigger waits there for a lock that the test holds. What runs is the product as it is; the
// triggers are in the test's database alone.

import { spawn } from 'node:child_process';

import { until } from './wait.mjs';

/** Names the locks among others. */
const CLASS = 4711;
/** Where one can stand still, in the order of the work. */
const STEPS = {
  record: ['check_results', 'INSERT', 'true'],
  judge: ['incidents', 'INSERT', 'true'],
  outbox: ['outbox', 'INSERT', 'true'],
  claim: ['outbox', 'UPDATE', 'NEW.attempts > OLD.attempts'],
  mark: ['outbox', 'UPDATE', "NEW.state = 'sent' AND OLD.state <> 'sent'"],
};

/** Prepares a product's database. `hold(step)` has everybody stand still there until `release()`. */
export async function halts(product) {
  const names = Object.keys(STEPS);
  const triggers = names.map((name, nth) => {
    const [table, event, when] = STEPS[name];
    return `CREATE TRIGGER e2e_${name} BEFORE ${event} ON ${table} FOR EACH ROW WHEN (${when}) EXECUTE FUNCTION e2e_halt('${nth}')`;
  });
  await product.sql(`CREATE FUNCTION e2e_halt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(${CLASS}, TG_ARGV[0]::int); RETURN NEW; END $$; ${triggers.join('; ')}`);
  const waiting = (nth) => `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = ${CLASS} AND objid = ${nth} AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  const holders = [];
  return {
    /** Whoever is held still is let go. */
    async stop() {
      for (const holder of holders) holder.stdin.end();
    },
    /** `stands(n)` waits until so many stand there, `abandon()` ends what they were about, as when their connections break, `release()` lets go. */
    async hold(step) {
      const nth = names.indexOf(step);
      const holder = spawn('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', product.databaseUrl], { stdio: ['pipe', 'pipe', 'inherit'] });
      holders.push(holder);
      const ended = new Promise((done) => holder.once('close', done));
      const held = new Promise((done) => holder.stdout.once('data', done));
      holder.stdin.write(`SELECT pg_advisory_lock(${CLASS}, ${nth});\n`);
      await Promise.race([held, ended.then(() => Promise.reject(new Error(`nobody can be held at ${step}`)))]);
      return {
        stands: (least = 1) => until(`${least} stand still at ${step}`, async () => Number(await product.sql(`SELECT count(*) FROM (${waiting(nth)}) w`)) >= least, { patience: 120_000 }),
        abandon: () => product.sql(`SELECT count(pg_terminate_backend(pid)) FROM (${waiting(nth)}) w`),
        async release() {
          holder.stdin.end();
          await ended;
        },
      };
    },
  };
}
