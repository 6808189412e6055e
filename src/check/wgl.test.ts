import { expect, test } from "vitest";
import { KeyModel } from "./model.js";
import type { FunctionName } from "./operation.js";
import { isExplainable } from "./testing/brute-force.js";
import { generateLinearizable, mutate } from "./testing/generate.js";
import { Random } from "./testing/random.js";
import { verifyOrder } from "./verify.js";
import { search } from "./wgl.js";

const MIXES: readonly (readonly FunctionName[])[] = [
  ["read", "write"],
  ["read", "write", "cas"],
  ["read", "write", "cas", "delete"],
  ["read", "increment"],
  ["read", "append"],
  ["read", "append", "write", "cas"],
  ["read", "read", "write", "increment"],
];

test("agrees with the dumb twin on 40,000 small histories", () => {
  const counts = { valid: 0, invalid: 0, unknown: 0 };
  for (let seed = 1; seed <= 40_000; seed++) {
    const random = new Random(seed);
    const shape = {
      clients: 2 + random.below(4),
      operations: 3 + random.below(5),
      keys: 1,
      values: random.below(4),
      functions: random.pick(MIXES),
      unknownOneIn: random.pick([0, 3, 6]),
    };
    let history = generateLinearizable(random, shape);
    for (let i = random.below(4); i > 0 && history.length > 0; i--) history = mutate(random, history);
    const result = search(history, new KeyModel(history));
    counts[result.kind]++;
    const expected = isExplainable(history, "real time") ? "valid" : "invalid";
    if (result.kind !== expected) expect.fail(`seed ${seed}: ${result.kind}, the twin says ${expected}\n${JSON.stringify(history)}`);
    if (result.kind !== "valid") continue;
    const fault = verifyOrder(history, result.order.map((i) => history[i]!), "linearizable");
    if (fault !== undefined) expect.fail(`seed ${seed}: ${fault}`);
  }
  expect(counts.unknown).toBe(0);
  expect(counts.valid).toBeGreaterThan(10_000);
  expect(counts.invalid).toBeGreaterThan(6_000);
});
