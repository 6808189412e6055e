import type { Random } from "../core/random.js";

/** Uniform over whole numbers, both ends included. */
export function between(random: Random, least: number, most: number): number {
  return least + random.below(most - least + 1);
}

/** True with a probability in thousandths. Draws nothing at 0, so that a fault that is off costs no time. */
export function perMille(random: Random, thousandths: number): boolean {
  return thousandths > 0 && random.below(1_000) < thousandths;
}
