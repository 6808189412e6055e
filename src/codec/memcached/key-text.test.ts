import { expect, test } from "vitest";
import { Random } from "../../core/random.js";
import { isTextKey, keyOfWord, keyWord } from "./key-text.js";

test("what memcached's text can carry", () => {
  for (const key of ["a", "!~", '""', "caf\xe9", "\x80\xff", "k".repeat(250)]) expect(isTextKey(key), key).toBe(true);
  const others = ["", " ", "a b", "a\r", "\n", "\x00", "\x1f", "\x7f", "k".repeat(251)];
  for (const key of others) expect(isTextKey(key), JSON.stringify(key)).toBe(false);
});

test("every key is one word, and comes back as it was", () => {
  const random = new Random(5);
  const chars = ["a", " ", "\r", "\n", '"', "=", "b", "\x00", "\x7f", "\xff"];
  for (let i = 0; i < 20_000; i += 1) {
    const length = random.below(20) === 0 ? 240 + random.below(20) : random.below(5);
    const key = Array.from({ length }, () => random.pick(chars)).join("");
    const [word, flag, ...more] = keyWord(key).split(" ");
    expect(word).toMatch(/^[\x21-\x7e\x80-\xff]+$/);
    expect([undefined, "b"]).toContain(flag);
    expect(more).toEqual([]);
    expect(keyOfWord(word, flag === "b"), JSON.stringify(key)).toBe(key);
  }
});
