import { expect, test } from "vitest";
import { MapState } from "./map-state.js";
import { Random } from "./random.js";

test("holds and visits what a plain sorted object does", () => {
  const random = new Random(3);
  const state = new MapState();
  const twin = new Map<string, Uint8Array>();
  for (let i = 0; i < 30_000; i += 1) {
    const key = String.fromCharCode(random.below(256)) + String.fromCharCode(random.below(i < 20_000 ? 30 : 4));
    if (random.chance(i < 15_000 ? 0.7 : 0.3)) {
      const value = Uint8Array.of(random.below(256));
      state.put(key, value);
      twin.set(key, value);
    } else {
      state.delete(key);
      twin.delete(key);
    }
    expect(state.get(key)).toBe(twin.get(key));
    expect(state.size).toBe(twin.size);
    if (i % 300 !== 0) continue;
    const start = random.chance(0.2) ? "" : String.fromCharCode(random.below(256));
    const end = String.fromCharCode(random.below(257));
    const most = random.chance(0.5) ? 10 : Number.POSITIVE_INFINITY;
    const visited: [string, Uint8Array][] = [];
    state.range(start, end, (k, v) => {
      visited.push([k, v]);
      return visited.length < most;
    });
    const sorted = [...twin].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(visited).toEqual(sorted.filter(([k]) => k >= start && k < end).slice(0, most));
  }
});

test("an empty one visits nothing", () => {
  const state = new MapState();
  state.delete("a");
  state.range("", "\u0100", () => {
    throw new Error("visited");
  });
  state.put("a", Uint8Array.of(1));
  state.delete("a");
  expect(state.size).toBe(0);
  state.range("", "\u0100", () => {
    throw new Error("visited");
  });
});
