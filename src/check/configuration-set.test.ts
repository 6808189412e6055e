import { expect, test } from "vitest";
import { ConfigurationSet } from "./configuration-set.js";
import { Random } from "./testing/random.js";

test("agrees with a set of strings, through many growths", () => {
  for (const width of [1, 3, 5]) {
    const random = new Random(width);
    const set = new ConfigurationSet(width);
    const twin = new Set<string>();
    for (let i = 0; i < 50_000; i++) {
      const tuple = Int32Array.from({ length: width }, () => random.below(40) - 20);
      const isNew = !twin.has(tuple.join());
      twin.add(tuple.join());
      if (set.add(tuple) !== isNew) expect.fail(`width ${width}, entry ${i}`);
    }
    expect(set.size).toBe(twin.size);
  }
});
