import { expect, test } from "vitest";
import { prefixEnd } from "./key-range.js";

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
