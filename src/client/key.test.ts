import { describe, expect, test } from "vitest";
import { encodeKeyTuple } from "../codec/key-tuple.js";
import { latin1Decode } from "../core/bytes.js";
import { Random } from "../core/random.js";
import { commonPrefix, type Key, keyRange, keyString, type Selector, showKey } from "./key.js";
import { fromVersionstamp, toVersionstamp } from "./versionstamp.js";

const within = (selector: Selector, key: Key): boolean => {
  const { start, end } = keyRange("list", selector);
  const text = keyString(key);
  return text >= start && (end === "" || text < end);
};

test("all keys of a range begin with what they have in common", () => {
  const prefixOf = (selector: Selector): string => commonPrefix(keyRange("changes", selector));
  expect(prefixOf({ prefix: "user:" })).toBe("user:");
  expect(prefixOf({ prefix: "a\u00ff" })).toBe("a\xc3\xbf");
  expect(prefixOf({ prefix: "" })).toBe("");
  expect(prefixOf({ prefix: ["a", 1] })).toBe(keyString(["a", 1]));
  expect(prefixOf({ prefix: Uint8Array.of(1, 255) })).toBe("\x01");
  expect(prefixOf({ start: "ab", end: "ad" })).toBe("a");
  expect(prefixOf({ start: "abc", end: "ac" })).toBe("ab");
  expect(prefixOf({ start: "b", end: "a" })).toBe("");
  const random = new Random(3);
  const word = (): string => Array.from({ length: random.below(4) }, () => "ab\xfe\xff"[random.below(4)]).join("");
  for (let run = 0; run < 50_000; run += 1) {
    const [start, end, key] = [word(), word(), word()];
    const isInside = key >= start && (end === "" || key < end);
    if (isInside && !key.startsWith(commonPrefix({ start, end, form: "bytes" })))
      throw new Error(`${[start, end, key]}`);
  }
});

describe("keys", () => {
  test("are UTF-8, a tuple's encoding, or bytes", () => {
    expect(keyString("ä")).toBe("\xc3\xa4");
    expect(keyString(Uint8Array.of(0, 255))).toBe("\0\xff");
    expect(keyString(["a", 1n])).toBe(latin1Decode(encodeKeyTuple(["a", 1n])));
    for (const key of ["ä", Uint8Array.of(0, 255), ["a", 1n, false]] as Key[]) {
      const form = typeof key === "string" ? "string" : Array.isArray(key) ? "tuple" : "bytes";
      expect(showKey(keyString(key), form)).toEqual(key);
    }
  });

  test("are refused if they are none", () => {
    expect(() => keyString("\udc00")).toThrow("no well-formed string");
    expect(() => keyString(7 as unknown as Key)).toThrow("a key is a string");
    expect(() => keyString([undefined] as unknown as Key)).toThrow("part 0 of the key is a undefined");
    expect(() => showKey("\xff", "string")).toThrow("the key ff (hex), which is no string");
    expect(() => showKey("\xff", "tuple")).toThrow("which is no tuple");
  });
});

describe("ranges", () => {
  test("of a tuple's prefix hold what goes on after it, not itself", () => {
    expect(within({ prefix: ["a"] }, ["a", 1])).toBe(true);
    expect(within({ prefix: ["a"] }, ["a", "b", true])).toBe(true);
    expect(within({ prefix: ["a"] }, ["a"])).toBe(false);
    expect(within({ prefix: ["a"] }, ["ab"])).toBe(false);
    expect(within({ prefix: [] }, [Uint8Array.of(0)])).toBe(true);
  });

  test("of a string's or bytes' prefix hold all that begins so", () => {
    expect(within({ prefix: "a" }, "a")).toBe(true);
    expect(within({ prefix: "a" }, "aé")).toBe(true);
    expect(within({ prefix: "a" }, "b")).toBe(false);
    expect(within({ prefix: "" }, Uint8Array.of(255, 255))).toBe(true);
    expect(within({ prefix: Uint8Array.of(1, 255) }, Uint8Array.of(1, 255, 255, 9))).toBe(true);
    expect(within({ prefix: Uint8Array.of(1, 255) }, Uint8Array.of(2))).toBe(false);
    expect(within({ prefix: Uint8Array.of(255) }, Uint8Array.of(255, 255))).toBe(true);
  });

  test("are narrowed by start and end, never widened", () => {
    expect(within({ prefix: ["a"], start: ["a", 5] }, ["a", 4])).toBe(false);
    expect(within({ prefix: ["a"], start: ["a", 5] }, ["a", 5])).toBe(true);
    expect(within({ prefix: ["a"], end: ["a", 5] }, ["a", 5])).toBe(false);
    expect(within({ prefix: ["b"], start: ["a"], end: ["c"] }, ["a", 1])).toBe(false);
    expect(within({ prefix: ["b"], start: ["a"], end: ["c"] }, ["b", 1])).toBe(true);
  });

  test("need bounds, of one form", () => {
    expect(() => keyRange("list", {} as Selector)).toThrow("a prefix, or a start and an end");
    expect(() => keyRange("changes", { start: "a" } as unknown as Selector)).toThrow(
      "changes needs a prefix, or a start and an end",
    );
    expect(() => keyRange("list", { start: "a", end: ["b"] })).toThrow("of one form");
  });
});

test("versionstamps are ordered as versions are", () => {
  const versions = [0, 1, 15, 16, 255, 2 ** 32, Number.MAX_SAFE_INTEGER];
  expect(versions.map(toVersionstamp).sort()).toEqual(versions.map(toVersionstamp));
  for (const version of versions) expect(fromVersionstamp(toVersionstamp(version))).toBe(version);
  for (const text of ["", "1", "00000000000000zz", "ffffffffffffffff"]) expect(fromVersionstamp(text)).toBe(null);
});
