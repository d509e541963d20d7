// Waiting on conditions, never on time.

export const PATIENCE_MS = 60_000;

/**
 * Asks `condition` until it gives something truthy and returns that. A condition that throws is asked again; its last error is told when
 * the time is over.
 */
export async function until(what, condition, { patience = PATIENCE_MS, every = 100 } = {}) {
  const end = Date.now() + patience;
  let last;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${patience / 1000} s in vain: ${what}${last ? ` (${last.message})` : ''}`, { cause: last });
    await new Promise((done) => setTimeout(done, every));
  }
}
