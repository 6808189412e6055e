import { describe, expect, test } from "vitest";
import { MapState } from "../../core/map-state.js";
import { Random } from "../../core/random.js";
import { Counters } from "./counters.js";
import { Origin } from "./origins.js";
import { WriteIndex } from "./write-index.js";

const EVERYTHING = 1_000_000;

function rowsIn(state: MapState): number {
  let count = 0;
  state.range("w", "x", () => {
    count += 1;
    return true;
  });
  return count;
}

describe("write index", () => {
  test("knows what a map knows, wherever rows lie and however often it is opened again", () => {
    const random = new Random(11);
    for (let run = 0; run < 60; run += 1) {
      const state = new MapState();
      const counters = new Counters(state);
      const origin = new Origin(1, 7);
      let index = new WriteIndex(state, counters);
      const twin = new Map<number, string>();
      let next = 1;
      let trimmed = 0;
      for (let step = 0; step < 400; step += 1) {
        const kind = random.below(20);
        if (kind < 12) {
          // Mostly the next one, at times far ahead of it or behind it.
          if (random.chance(0.05)) next += random.below(3_000);
          const sequence = random.chance(0.85) ? next : trimmed + 1 + random.below(next - trimmed + 20);
          next = Math.max(next, sequence + 1);
          const key = `k${random.below(50)}`;
          index.put(origin, sequence, key);
          twin.set(sequence, key);
          if (random.chance(0.9)) origin.have.add(sequence);
        } else if (kind < 15) {
          const sequence = trimmed + 1 + random.below(next - trimmed);
          index.delete(origin, sequence);
          twin.delete(sequence);
        } else if (kind < 17) {
          const through = trimmed + random.below(next - trimmed);
          index.deleteThrough(origin, trimmed + 1, through);
          for (const sequence of [...twin.keys()]) if (sequence <= through) twin.delete(sequence);
          trimmed = Math.max(trimmed, through);
        } else if (kind < 18) {
          index.save();
          expect(rowsIn(state)).toBe(new Set([...twin.keys()].map((sequence) => Math.floor(sequence / 512))).size);
          // The next process begins with what the state has.
          if (random.chance(0.5)) index = new WriteIndex(state, counters);
        } else {
          const first = trimmed + 1 + random.below(next - trimmed);
          const last = first + random.below(next);
          const limit = 1 + random.below(30);
          const expected = [...twin]
            .filter(([sequence]) => sequence >= first && sequence <= last)
            .sort(([a], [b]) => a - b)
            .slice(0, limit)
            .map(([sequence, key]) => ({ sequence, key }));
          expect(index.rows(origin, first, last, limit)).toEqual(expected);
        }
        expect(counters.indexed).toBe(twin.size);
      }
      expect(index.rows(origin, 1, EVERYTHING, EVERYTHING)).toHaveLength(twin.size);
    }
  });

  test("keeps the rows of a moment out of the state", () => {
    const state = new MapState();
    const origin = new Origin(2, 1);
    const index = new WriteIndex(state, new Counters(state));
    let trimmed = 0;
    for (let sequence = 1; sequence <= 10_000; sequence += 1) {
      index.put(origin, sequence, `k${sequence}`);
      if (sequence % 100 > 0) continue;
      index.deleteThrough(origin, trimmed + 1, sequence - 10);
      trimmed = sequence - 10;
    }
    expect(rowsIn(state)).toBe(0);
    index.save();
    expect(rowsIn(state)).toBe(1);
  });

  test("keeps a bounded number of rows in memory, and all of them", () => {
    const state = new MapState();
    const counters = new Counters(state);
    const origin = new Origin(2, 1);
    const index = new WriteIndex(state, counters);
    const count = 3 * 1_024;
    // One in each block.
    for (let i = 0; i < count; i += 1) index.put(origin, 1 + i * 512, `k${i}`);
    expect(rowsIn(state)).toBe(count - 1_024);
    expect(index.rows(origin, 1, EVERYTHING * 10, EVERYTHING).map(({ key }) => key)).toEqual(
      Array.from({ length: count }, (_, i) => `k${i}`),
    );
    index.deleteThrough(origin, 1, EVERYTHING * 10);
    expect([counters.indexed, rowsIn(state)]).toEqual([0, 0]);
  });
});
