import { expect, test } from "vitest";
import { latin1Decode, latin1Encode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { formatInteger, isInt64, isUint64, parseInt64, parseUint64 } from "./integer-text.js";

test("every 64-bit integer comes back as it was", () => {
  const random = new Random(11);
  const edges = [0n, 1n, -1n, 999999999999999n, 1000000000000000n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)];
  for (let i = 0; i < 20_000; i += 1) {
    const bits = BigInt(random.u48()) * BigInt(random.u48());
    edges.push(BigInt.asIntN(1 + random.below(64), bits));
  }
  for (const value of edges) {
    expect(parseInt64(formatInteger(value))).toBe(value);
    expect(latin1Decode(formatInteger(value))).toBe(value.toString());
  }
});

test("spells nothing else", () => {
  const wrong = ["", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1.0", "1e3", "0x1", "1\u0000", "\u00b2"];
  wrong.push("9223372036854775808", "-9223372036854775809", "18446744073709551616", "1".repeat(21), "-".repeat(5));
  for (const text of wrong) expect(parseInt64(latin1Encode(text)), text).toBe(null);
});

test("knows the ends of the range", () => {
  expect([2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n].map(isInt64)).toEqual([true, false, true, false]);
});

test("counters are unsigned, with zeros before and spaces after them", () => {
  const read = (text: string): bigint | null => parseUint64(latin1Encode(text));
  expect(["0", "7", "007", "12  ", "18446744073709551615"].map(read)).toEqual([0n, 7n, 7n, 12n, 2n ** 64n - 1n]);
  const wrong = ["", " ", " 1", "-1", "+1", "1 2", "1\t", "1x", "0x1", "18446744073709551616", `${" ".repeat(24)}1`];
  for (const text of [...wrong, "0".repeat(25)]) expect(read(text), text).toBe(null);
  expect([-1n, 0n, 2n ** 64n - 1n, 2n ** 64n].map(isUint64)).toEqual([false, true, true, false]);
});
