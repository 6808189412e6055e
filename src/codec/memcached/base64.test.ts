import { expect, test } from "vitest";
import { Random } from "../../core/random.js";
import { decodeBase64, encodeBase64 } from "./base64.js";

test("every key comes back as it was", () => {
  const random = new Random(3);
  for (let i = 0; i < 5_000; i += 1) {
    const bytes = Buffer.from(Array.from({ length: 1 + random.below(40) }, () => random.below(256)));
    expect(decodeBase64(bytes.toString("base64"))).toBe(bytes.toString("latin1"));
    expect(encodeBase64(bytes.toString("latin1"))).toBe(bytes.toString("base64"));
  }
});

test("spells nothing else", () => {
  for (const text of ["", "Zm9", "Zm9v!", "Zm9=v===", "Zm9v\n", "====", "Z===", "-_-_", "Zm 9"]) {
    expect(decodeBase64(text), JSON.stringify(text)).toBe(null);
  }
});
