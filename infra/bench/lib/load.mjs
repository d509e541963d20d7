// An open-loop load: requests start on schedule whether or not earlier ones have ended, so a slow answer is not hidden by waiting for it.
//   node load.mjs URL RATE SECONDS [COOKIE]
// Prints one JSON line: requests, errors, p50_ms, p99_ms, per_second.
import http from "node:http";

const [url, rateText, secondsText, cookie] = process.argv.slice(2);
const rate = Number(rateText);
const total = rate * Number(secondsText);
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
const times = [];
let errors = 0;
let started = 0;
let ended = 0;
const began = process.hrtime.bigint();
const ms = (from) => Number(process.hrtime.bigint() - from) / 1e6;

function one() {
  const from = process.hrtime.bigint();
  const request = http.get(url, { agent, headers: { cookie: cookie ?? "", accept: "text/html" }, timeout: 10_000 }, (answer) => {
    answer.resume();
    answer.on("end", () => finish(from, answer.statusCode === 200));
  });
  request.on("timeout", () => request.destroy(new Error("timeout")));
  request.on("error", () => finish(from, false));
}

function finish(from, good) {
  if (good) times.push(ms(from));
  else errors += 1;
  ended += 1;
  if (ended === total) report();
}

function report() {
  times.sort((a, b) => a - b);
  const at = (share) => Number((times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN).toFixed(2));
  console.log(JSON.stringify({ requests: total, errors, p50_ms: at(0.5), p99_ms: at(0.99), per_second: Number((ended / (ms(began) / 1000)).toFixed(1)) }));
  process.exit(0);
}

const timer = setInterval(() => {
  const due = Math.min(total, Math.floor((ms(began) / 1000) * rate));
  while (started < due) {
    started += 1;
    one();
  }
  if (started === total) clearInterval(timer);
}, 2);
