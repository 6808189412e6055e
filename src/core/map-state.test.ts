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
    const known = [...twin.keys()];
    const bound = (): string =>
      known.length > 0 && random.chance(0.4) ? random.pick(known) : String.fromCharCode(random.below(257));
    const start = random.chance(0.2) ? "" : bound();
    const end = bound();
    const most = random.chance(0.5) ? 10 : Number.POSITIVE_INFINITY;
    const inside = [...twin].filter(([k]) => k >= start && k < end).sort(([a], [b]) => (a < b ? -1 : 1));
    for (const reverse of [false, true]) {
      const visited: [string, Uint8Array][] = [];
      const visit = (k: string, v: Uint8Array): boolean => visited.push([k, v]) < most;
      if (reverse) state.reverseRange(start, end, visit);
      else state.range(start, end, visit);
      expect(visited).toEqual((reverse ? [...inside].reverse() : inside).slice(0, most));
    }
  }
});

test("an empty one visits nothing", () => {
  const state = new MapState();
  const visitNothing = (): void => {
    state.range("", "\u0100", () => expect.fail("visited"));
    state.reverseRange("", "\u0100", () => expect.fail("visited"));
  };
  state.delete("a");
  visitNothing();
  state.put("a", Uint8Array.of(1));
  state.delete("a");
  expect(state.size).toBe(0);
  visitNothing();
});
