import { expect, test } from "vitest";
import { Random } from "../../core/random.js";
import { SequenceSet } from "./sequence-set.js";

const HIGHEST = 24;

/** The dumb twin: a plain set. */
function members(set: SequenceSet): number[] {
  return Array.from({ length: HIGHEST + 2 }, (_, i) => i + 1).filter((sequence) => set.has(sequence));
}

function expand(ranges: readonly number[]): number[] {
  const out: number[] = [];
  for (let i = 0; i < ranges.length; i += 2) for (let s = ranges[i]; s <= ranges[i + 1]; s += 1) out.push(s);
  return out;
}

function runsOf(twin: ReadonlySet<number>): number {
  let runs = 0;
  for (const sequence of twin) if (!twin.has(sequence - 1) && sequence !== 1) runs += 1;
  return runs;
}

test("says the same as a plain set", () => {
  const random = new Random(7);
  for (let run = 0; run < 2_000; run += 1) {
    const set = new SequenceSet();
    const twin = new Set<number>();
    const other = new SequenceSet();
    const otherTwin = new Set<number>();
    for (let step = 0; step < 25; step += 1) {
      const [target, targetTwin] = random.chance(0.5) ? [set, twin] : [other, otherTwin];
      const first = 1 + random.below(HIGHEST);
      const last = random.chance(0.7) ? first : Math.min(HIGHEST, first + random.below(4));
      if (first === last) {
        const before = target.rangeCount;
        const needs = target.needsRange(first);
        target.add(first);
        expect(target.rangeCount > before).toBe(needs);
      } else target.addRange(first, last);
      for (let s = first; s <= last; s += 1) targetTwin.add(s);
      if (random.chance(0.05)) {
        set.merge(other);
        for (const s of otherTwin) twin.add(s);
      }
      expect(members(set)).toEqual([...twin].sort((a, b) => a - b));
      expect(set.rangeCount).toBe(runsOf(twin));
      expect(set.highest).toBe(Math.max(0, ...twin));
      expect(expand(set.minus(other))).toEqual(members(set).filter((s) => !otherTwin.has(s)));
      expect(expand(set.minus(null))).toEqual(members(set));
      expect(set.copy().equals(set)).toBe(true);
      expect(set.equals(other)).toBe(members(set).join() === members(other).join());
    }
  }
});
