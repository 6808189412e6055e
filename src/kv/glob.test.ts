import { expect, test } from "vitest";
import { Random } from "../core/random.js";
import { Glob } from "./glob.js";

/** Redis' stringmatchlen, by recursion and without a thought for time. */
function naive(pattern: string, text: string): boolean {
  if (pattern === "") return text === "";
  const rest = pattern.slice(1);
  if (pattern[0] === "*") return naive(rest, text) || (text !== "" && naive(pattern, text.slice(1)));
  if (text === "") return false;
  if (pattern[0] === "?") return naive(rest, text.slice(1));
  if (pattern[0] === "[") return naiveClass(rest, text);
  if (pattern[0] === "\\" && rest !== "") return rest[0] === text[0] && naive(rest.slice(1), text.slice(1));
  return pattern[0] === text[0] && naive(rest, text.slice(1));
}

function naiveClass(pattern: string, text: string): boolean {
  let rest = pattern;
  const negated = rest[0] === "^";
  if (negated) rest = rest.slice(1);
  let matched = false;
  while (rest !== "" && rest[0] !== "]") {
    if (rest[0] === "\\" && rest.length >= 2) {
      if (rest[1] === text[0]) matched = true;
      rest = rest.slice(2);
    } else if (rest[1] === "-" && rest.length >= 3) {
      const [low, high] = [rest[0], rest[2]].sort();
      if (text[0] >= low && text[0] <= high) matched = true;
      rest = rest.slice(3);
    } else {
      if (rest[0] === text[0]) matched = true;
      rest = rest.slice(1);
    }
  }
  return matched !== negated && naive(rest.slice(1), text.slice(1));
}

test.each([
  ["*", "", true],
  ["*", "anything", true],
  ["h?llo", "hello", true],
  ["h?llo", "hllo", false],
  ["h*llo", "heeeello", true],
  ["h[ae]llo", "hallo", true],
  ["h[ae]llo", "hillo", false],
  ["h[^e]llo", "hallo", true],
  ["h[^e]llo", "hello", false],
  ["h[a-b]llo", "hbllo", true],
  ["h[b-a]llo", "hallo", true],
  ["h\\*llo", "h*llo", true],
  ["h\\*llo", "hello", false],
  ["[\\]]", "]", true],
  ["[]", "a", false],
  ["[^]", "a", true],
  ["[abc", "b", true],
  ["a\\", "a\\", true],
  ["user:*:name", "user:1:2:name", true],
  ["user:*:name", "user:1:2:names", false],
  ["", "", true],
  ["", "a", false],
])("%s on %s", (pattern, text, expected) => {
  expect(new Glob(pattern).matches(text)).toBe(expected);
  expect(naive(pattern, text)).toBe(expected);
});

test("means what Redis' recursion means, 50,000 patterns", () => {
  const random = new Random(10);
  let matched = 0;
  for (let i = 0; i < 50_000; i += 1) {
    const pattern = Array.from({ length: random.below(9) }, () => random.pick("aabbc**?[]^-\\\u00ff".split(""))).join(
      "",
    );
    const text = Array.from({ length: random.below(7) }, () => random.pick("aabbc]-\\\u00ff".split(""))).join("");
    const expected = naive(pattern, text);
    expect(new Glob(pattern).matches(text), `${pattern} on ${text}`).toBe(expected);
    if (expected) matched += 1;
  }
  expect(matched).toBeGreaterThan(2_000);
});

test("many stars take no more than pattern times text steps", () => {
  const glob = new Glob(`${"*a".repeat(400)}*b`);
  expect(glob.matches("a".repeat(2_000))).toBe(false);
  expect(glob.matches(`${"a".repeat(2_000)}b`)).toBe(true);
});
