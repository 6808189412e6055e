/**
 * Hybrid logical clocks (Kulkarni, Demirbas et al., "Logical Physical Clocks", OPODIS 2014): times that are close to the
 * wall clock, and of which a later event of one causal chain always has the greater, whatever the wall clocks say.
 */
export interface HybridTime {
  /** Ms since 1970: the greatest wall clock heard of, never falling. */
  readonly ms: number;
  /** Orders what happens within one `ms`; 0 to 2^32 − 1. */
  readonly logical: number;
}

export const HYBRID_ZERO: HybridTime = { ms: 0, logical: 0 };
export const LOGICAL_MAX = 0xffff_ffff;

export function compareHybrid(a: HybridTime, b: HybridTime): number {
  return a.ms !== b.ms ? a.ms - b.ms : a.logical - b.logical;
}

/** The time of the next event here: above `last`, and not behind the wall clock. */
export function nextHybrid(last: HybridTime, wallMs: number): HybridTime {
  if (wallMs > last.ms) return { ms: wallMs, logical: 0 };
  // A clock that stands still for four thousand million events borrows from the next millisecond.
  if (last.logical === LOGICAL_MAX) return { ms: last.ms + 1, logical: 0 };
  return { ms: last.ms, logical: last.logical + 1 };
}

/** The greater of the two: what this clock is after hearing of `seen`. Every next event is above both. */
export function mergeHybrid(last: HybridTime, seen: HybridTime): HybridTime {
  return compareHybrid(seen, last) > 0 ? seen : last;
}
