import { describe, expect, test } from "vitest";
import { compareHybrid, HYBRID_ZERO, type HybridTime, LOGICAL_MAX, mergeHybrid, nextHybrid } from "./hybrid-clock.js";
import { Random } from "./random.js";

const LOGICAL = 1n << 32n;

/** The dumb twin: one long integer. */
function packed({ ms, logical }: HybridTime): bigint {
  return BigInt(ms) * LOGICAL + BigInt(logical);
}

function draw(random: Random): HybridTime {
  return { ms: random.below(5), logical: random.pick([0, 1, 2, LOGICAL_MAX - 1, LOGICAL_MAX]) };
}

describe("hybrid clock", () => {
  test("is the order of long integers, and a next time is the least above that the wall clock allows", () => {
    const random = new Random(1);
    for (let i = 0; i < 50_000; i += 1) {
      const a = draw(random);
      const b = draw(random);
      const wallMs = random.below(6);
      const order = packed(a) < packed(b) ? -1 : packed(a) > packed(b) ? 1 : 0;
      expect(Math.sign(compareHybrid(a, b))).toBe(order);
      expect(packed(mergeHybrid(a, b))).toBe(order < 0 ? packed(b) : packed(a));
      const above = packed(a) + 1n;
      const wall = BigInt(wallMs) * LOGICAL;
      expect(packed(nextHybrid(a, wallMs))).toBe(wall > above ? wall : above);
    }
  });

  test("a chain of events over three wrong clocks only rises", () => {
    const random = new Random(2);
    const clocks = [HYBRID_ZERO, HYBRID_ZERO, HYBRID_ZERO];
    const walls = [1_000, 5_000, 10];
    let last = HYBRID_ZERO;
    for (let i = 0; i < 10_000; i += 1) {
      const at = random.below(3);
      walls[at] = Math.max(0, walls[at] + random.below(20) - 5);
      clocks[at] = nextHybrid(mergeHybrid(clocks[at], last), walls[at]);
      expect(compareHybrid(clocks[at], last)).toBeGreaterThan(0);
      last = clocks[at];
    }
  });
});
