import { expect, test } from "vitest";
import { AssertionError } from "./assert.js";
import { Random } from "./random.js";

/** xoshiro128** as the paper prints it, in unlimited integers. */
function* reference(state: bigint[]): Generator<number> {
  const mask = 0xffffffffn;
  const rotl = (x: bigint, k: bigint): bigint => ((x << k) | (x >> (32n - k))) & mask;
  const s = [...state];
  for (;;) {
    yield Number((rotl((s[1] * 5n) & mask, 7n) * 9n) & mask);
    const t = (s[1] << 9n) & mask;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 11n);
  }
}

function stateOf(random: Random): bigint[] {
  const { s0, s1, s2, s3 } = random as unknown as Record<string, number>;
  return [s0, s1, s2, s3].map((word) => BigInt(word >>> 0));
}

test("draws what the paper's algorithm draws", () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const random = new Random(seed * 0x1234567891);
    const twin = reference(stateOf(random));
    for (let i = 0; i < 100; i += 1) expect(random.u32()).toBe(twin.next().value);
  }
  const twin = reference([1n, 2n, 3n, 4n]);
  expect([twin.next().value, twin.next().value, twin.next().value]).toEqual([11520, 0, 5927040]);
});

test("stays the same for ever: recorded seeds would mean something else", () => {
  const random = new Random(42);
  expect([random.u32(), random.u48(), random.below(1000), random.fork("disk").u32()]).toMatchInlineSnapshot(`
    [
      3085576020,
      133499950683687,
      990,
      1836474264,
    ]
  `);
});

test("different seeds and labels give different numbers", () => {
  const seen = new Set<number>();
  for (let seed = 0; seed < 1_000; seed += 1) seen.add(new Random(seed).u48());
  for (let high = 1; high < 1_000; high += 1) seen.add(new Random(high * 2 ** 32).u48());
  for (let i = 0; i < 1_000; i += 1) seen.add(new Random(7).fork(`label ${i}`).u48());
  expect(seen.size).toBe(2_999);
});

test("a fork does not depend on what was drawn", () => {
  const fresh = new Random(5);
  const used = new Random(5);
  for (let i = 0; i < 100; i += 1) used.u32();
  expect(used.fork("net").u48()).toBe(fresh.fork("net").u48());
  expect(fresh.fork("net").u48()).not.toBe(fresh.fork("ten").u48());
});

test("below is uniform, also where n does not divide 2^32", () => {
  const random = new Random(1);
  for (const n of [1, 2, 3, 7, 10]) {
    const counts = Array.from({ length: n }, () => 0);
    const draws = 20_000;
    for (let i = 0; i < draws; i += 1) counts[random.below(n)] += 1;
    const expected = draws / n;
    let chiSquare = 0;
    for (const count of counts) chiSquare += (count - expected) ** 2 / expected;
    // 9 degrees of freedom: above 33.7 once in 10,000 runs; the seed is fixed.
    expect(chiSquare).toBeLessThan(33.7);
  }
  const n = 3 * 2 ** 31;
  let lower = 0;
  for (let i = 0; i < 10_000; i += 1) if (random.below(n) < n / 2) lower += 1;
  expect(Math.abs(lower - 5_000)).toBeLessThan(200);
});

test("chance, pick, shuffle", () => {
  const random = new Random(9);
  let hits = 0;
  for (let i = 0; i < 10_000; i += 1) {
    expect(random.chance(0)).toBe(false);
    expect(random.chance(1)).toBe(true);
    if (random.chance(0.25)) hits += 1;
  }
  expect(Math.abs(hits - 2_500)).toBeLessThan(150);
  expect(new Set(Array.from({ length: 100 }, () => random.pick(["a", "b", "c"])))).toEqual(new Set(["a", "b", "c"]));
  const orders = new Map<string, number>();
  for (let i = 0; i < 6_000; i += 1) {
    const order = random.shuffle([1, 2, 3]).join("");
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  expect(orders.size).toBe(6);
  for (const count of orders.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});

test("refuses what it cannot do", () => {
  expect(() => new Random(-1)).toThrow(AssertionError);
  expect(() => new Random(0.5)).toThrow(AssertionError);
  expect(() => new Random(1).below(0)).toThrow(AssertionError);
  expect(() => new Random(1).below(2 ** 48 + 1)).toThrow(AssertionError);
  expect(() => new Random(1).pick([])).toThrow(AssertionError);
});
