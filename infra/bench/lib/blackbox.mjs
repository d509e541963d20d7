// Asks prometheus-blackbox-exporter for probes, a fixed number at once, and reads what they cost it.
//   node blackbox.mjs BASE TARGET PROBES CONCURRENCY PID
// Prints one JSON object like that of bench_probes.
import { readFileSync } from 'node:fs';
import http from 'node:http';

const [base, target, probesText, atOnceText, pid] = process.argv.slice(2);
const probes = Number(probesText);
const atOnce = Number(atOnceText);
const agent = new http.Agent({ keepAlive: true, maxSockets: atOnce });

const cpuSeconds = () => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

const maxRssMb = () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

const probe = () =>
  new Promise((done) => {
    const request = http.get(`${base}/probe?module=smtp_starttls&target=${target}`, { agent, timeout: 15_000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => (text += part)).on('end', () => done(/^probe_success 1$/m.test(text)));
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', () => done(false));
  });

async function run(count) {
  let left = count;
  let up = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (left > 0) {
      left -= 1;
      if (await probe()) up += 1;
    }
  }));
  return up;
}

await run(atOnce);
const began = process.hrtime.bigint();
const cpu = cpuSeconds();
const up = await run(probes);
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
console.log(JSON.stringify({ probes, up, at_once: atOnce, seconds, per_second: probes / seconds, cpu_ms_per_probe: ((cpuSeconds() - cpu) * 1000) / probes, max_rss_mb: maxRssMb() }));
process.exit(0);
