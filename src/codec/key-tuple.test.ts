import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../core/random.js";
import { decodeKeyTuple, encodeKeyTuple, type KeyPart, type KeyTuple, KeyTupleError } from "./key-tuple.js";

const hex = (tuple: KeyTuple): string => Buffer.from(encodeKeyTuple(tuple)).toString("hex");
const wellFormed = fc.string({ unit: "binary", maxLength: 8 });
const part: fc.Arbitrary<KeyPart> = fc.oneof(
  fc.uint8Array({ maxLength: 6 }),
  fc.array(fc.constantFrom(0, 1, 254, 255), { maxLength: 5 }).map((bytes) => Uint8Array.from(bytes)),
  wellFormed,
  fc.string({ unit: fc.constantFrom("\0", "\u0001", "a", "\u00ff", "\uffff", "\u{10000}"), maxLength: 4 }),
  fc.double(),
  fc.integer(),
  fc.bigInt(),
  fc.bigInt({ min: -300n, max: 300n }),
  fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n }),
  fc.boolean(),
);
const tuple = fc.array(part, { maxLength: 4 });

/** The order that the encoding is to keep, by the values themselves. */
const RANK = { object: 0, string: 1, bigint: 2, number: 3, boolean: 4 } as const;

function compareParts(a: KeyPart, b: KeyPart): number {
  const rank = (value: KeyPart) => RANK[typeof value as keyof typeof RANK];
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array);
  if (typeof a === "string") return compareLists(codePoints(a), codePoints(b as string), (x, y) => x - y);
  if (typeof a === "number") return compareNumbers(a, b as number);
  return a < b ? -1 : a > b ? 1 : 0;
}

function codePoints(text: string): number[] {
  return [...text].map((char) => char.codePointAt(0)!);
}

/** Minus zero before zero, NaN after all. */
function compareNumbers(a: number, b: number): number {
  if (Object.is(a, b)) return 0;
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
  return a === b ? (Object.is(a, -0) ? -1 : 1) : a < b ? -1 : 1;
}

function compareLists<T>(a: readonly T[], b: readonly T[], compare: (x: T, y: T) => number): number {
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const order = compare(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

describe("a tuple", () => {
  test("is written byte for byte as Deno KV does", () => {
    expect(hex([])).toBe("");
    expect(hex(["foo\0bar"])).toBe("02666f6f00ff62617200");
    expect(hex([Uint8Array.of(1, 0, 2)])).toBe("010100ff0200");
    expect(hex([0n, 1n, -1n, 255n, -256n])).toBe("14" + "1501" + "13fe" + "15ff" + "12feff");
    expect(hex([2n ** 64n])).toBe("1d09010000000000000000");
    expect(hex([-(2n ** 64n)])).toBe("0bf6feffffffffffffffff");
    expect(hex([1, -1, 0])).toBe("21bff0000000000000" + "21400fffffffffffff" + "218000000000000000");
    expect(hex([false, true])).toBe("2627");
  });

  test("comes back as it was", () => {
    fc.assert(
      fc.property(tuple, (parts) => {
        expect(decodeKeyTuple(encodeKeyTuple(parts))).toEqual(parts);
      }),
      { numRuns: 20_000, seed: 1 },
    );
  });

  test("has the place of its bytes: order of encodings is order of tuples", () => {
    fc.assert(
      fc.property(tuple, tuple, (a, b) => {
        const bytes = Buffer.compare(encodeKeyTuple(a), encodeKeyTuple(b));
        expect(Math.sign(bytes)).toBe(Math.sign(compareLists(a, b, compareParts)));
      }),
      { numRuns: 50_000, seed: 2 },
    );
  });

  test("stands between the ends of its prefix", () => {
    fc.assert(
      fc.property(tuple, fc.array(part, { minLength: 1, maxLength: 3 }), (prefix, rest) => {
        const bytes = Buffer.from(encodeKeyTuple([...prefix, ...rest])).toString("latin1");
        const start = Buffer.from(encodeKeyTuple(prefix)).toString("latin1");
        expect(bytes > `${start}\0` && bytes < `${start}\xff`).toBe(true);
      }),
      { numRuns: 5_000, seed: 3 },
    );
  });

  test("is refused if it has no place in the order", () => {
    expect(() => encodeKeyTuple(["a", "\ud800"])).toThrow("part 1 of the key is no well-formed string");
    expect(() => encodeKeyTuple([2n ** 2048n])).toThrow(KeyTupleError);
    expect(() => encodeKeyTuple([null as unknown as string])).toThrow("part 0 of the key is a null");
    expect(() => encodeKeyTuple([{} as unknown as string])).toThrow("is a object");
  });
});

test("bytes are a tuple only if they are its encoding", () => {
  const random = new Random(4);
  let decoded = 0;
  for (let i = 0; i < 60_000; i += 1) {
    const bytes = Uint8Array.from({ length: random.below(14) }, () =>
      random.chance(0.6)
        ? random.pick([0, 1, 2, 0x0b, 0x13, 0x14, 0x15, 0x1d, 0x21, 0x26, 0x27, 0xff])
        : random.below(256),
    );
    const parts = decodeKeyTuple(bytes);
    if (parts === null) continue;
    decoded += 1;
    expect(encodeKeyTuple(parts)).toEqual(bytes);
  }
  expect(decoded).toBeGreaterThan(3_000);
});
