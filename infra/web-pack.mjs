// Names files by their content, writes .br and .gz beside them and a manifest of the names: node web-pack.mjs SOURCE… DIST

import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const LIMIT = 200 * 1000;
const args = process.argv.slice(2);
const dist = args.pop();
await mkdir(dirname(dist), { recursive: true });
const fresh = await mkdtemp(join(dirname(dist), '.dist-'));
await chmod(fresh, 0o755);

const manifest = {};
let script = 0;
for (const source of args) {
  for (const entry of (await readdir(source, { withFileTypes: true })).sort((a, b) => a.name.localeCompare(b.name))) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(join(source, entry.name));
    const end = extname(entry.name);
    const name = `${basename(entry.name, end)}.${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}${end}`;
    const zipped = gzipSync(bytes, { level: 9 });
    await writeFile(join(fresh, name), bytes);
    await writeFile(join(fresh, `${name}.gz`), zipped);
    await writeFile(join(fresh, `${name}.br`), brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }));
    manifest[entry.name] = name;
    if (['.js', '.wasm'].includes(end)) script += zipped.length;
  }
}
await writeFile(join(fresh, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
console.error(`web-build: scripts and wasm are ${(script / 1000).toFixed(1)} kB gzipped`);
if (script > LIMIT) {
  await rm(fresh, { recursive: true });
  throw new Error(`more than the ${LIMIT / 1000} kB that a page may cost`);
}
// The new folder takes the old one's place only when it is whole.
await rm(dist, { recursive: true, force: true });
await rename(fresh, dist).catch(() => cp(fresh, dist, { recursive: true }));
