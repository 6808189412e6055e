import { expect, test } from "vitest";
import { nextKey, prefixEnd } from "./key-range.js";

test("the end of a prefix is the first key behind all that begin with it", () => {
  expect(prefixEnd("")).toBeUndefined();
  expect(prefixEnd("\xff\xff")).toBeUndefined();
  const prefixes = ["a", "user:", "a\xff", "\x00", "\xff\x00", "a\xff\xff"];
  const keys = prefixes.flatMap((prefix) => [
    prefix,
    `${prefix}\x00`,
    `${prefix}\xff\xff\xff`,
    "b",
    "a\xfe",
    "",
    "\xff\xff",
  ]);
  for (const prefix of prefixes) {
    const end = prefixEnd(prefix)!;
    for (const key of keys)
      expect([prefix, key, key >= prefix && key < end]).toEqual([prefix, key, key.startsWith(prefix)]);
  }
});

test("the next key is the first that may follow, of those not too long to be one", () => {
  const longest = (last: string): string => "k".repeat(2_047) + last;
  expect(nextKey("")).toBe("\x00");
  expect(nextKey("a\xff")).toBe("a\xff\x00");
  expect(nextKey("k".repeat(2_047))).toBe(longest("\x00"));
  expect(nextKey(longest("a"))).toBe(longest("b"));
  expect(nextKey(longest("\xff"))).toBe(`${"k".repeat(2_046)}l`);
  expect(nextKey("\xff".repeat(2_048))).toBe("");
});
