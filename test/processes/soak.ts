/** How long the fault runs go on: a few rounds by default; GAMUT_SOAK_SECONDS=600 keeps each of them going so long. */

/** Seconds that each test's rounds go on at least. */
export const SOAK_SECONDS = Number(process.env.GAMUT_SOAK_SECONDS ?? 0);

if (!Number.isFinite(SOAK_SECONDS) || SOAK_SECONDS < 0) {
  throw new Error("GAMUT_SOAK_SECONDS must be a number of seconds, such as 600");
}

/** Round numbers from 1: `least` of them, and more while the soak's time is not over. */
export function* rounds(least: number): Generator<number> {
  const end = performance.now() + SOAK_SECONDS * 1000;
  for (let round = 1; round <= least || performance.now() < end; round += 1) yield round;
}

/** Time limit of a test whose rounds take `usualMs` without a soak. */
export function limitMs(usualMs: number): number {
  return usualMs + SOAK_SECONDS * 1000 * 2;
}
