import { expect, test } from "vitest";
import { KeyModel } from "./model.js";
import type { FunctionName, Operation } from "./operation.js";
import { isExplainable } from "./testing/brute-force.js";
import { generateLinearizable, mutate } from "./testing/generate.js";
import { MIXES } from "./testing/mixes.js";
import { Random } from "./testing/random.js";
import { verifyOrder } from "./verify.js";
import { search } from "./wgl.js";

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
    if (result.kind !== expected)
      expect.fail(`seed ${seed}: ${result.kind}, the twin says ${expected}\n${JSON.stringify(history)}`);
    if (result.kind === "valid") expectOrder(seed, history, result.order);
  }
  expect(counts.unknown).toBe(0);
  expect(counts.valid).toBeGreaterThan(10_000);
  expect(counts.invalid).toBeGreaterThan(4_000);
});

function expectOrder(seed: number, history: readonly Operation[], order: readonly number[]): void {
  const fault = verifyOrder(
    history,
    order.map((i) => history[i]!),
    "linearizable",
  );
  if (fault !== undefined) expect.fail(`seed ${seed}: ${fault}`);
}

/** One key, 20 clients, 1,000 operations: Porcupine has no answer within 20 s. */
const HARD = { clients: 20, operations: 1_000, keys: 1 };
const HARD_MIXES: readonly (readonly FunctionName[])[] = [
  ["read", "write"],
  ["write", "write", "write", "read"],
  ["read", "write", "cas"],
  ["cas", "cas", "cas", "write", "read"],
  ["read", "write", "cas", "delete"],
  ["read", "increment"],
  ["read", "append"],
];

test.each(HARD_MIXES.map((mix) => [mix.join(" "), mix] as const))("hard but valid: %s", (_, functions) => {
  for (const values of [0, 1, 5, 20]) {
    for (const unknownOneIn of [0, 50]) {
      for (let seed = 1; seed <= 3; seed++) {
        const history = generateLinearizable(new Random(seed), { ...HARD, values, functions, unknownOneIn });
        const result = search(history, new KeyModel(history), { maxSteps: 200_000, maxMemoEntries: 200_000 });
        expect(result.kind).toBe("valid");
        expectOrder(seed, history, result.order);
      }
    }
  }
});

test.each(HARD_MIXES.map((mix) => [mix.join(" "), mix] as const))("hard and subtly invalid: %s", (_, functions) => {
  let invalid = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const history = generateLinearizable(new Random(seed), { ...HARD, values: 20, functions, unknownOneIn: 0 });
    const stale = withStaleRead(history);
    const result = search(stale, new KeyModel(stale), { maxSteps: 1_000_000, maxMemoEntries: 1_000_000 });
    expect(result.kind).not.toBe("unknown");
    if (result.kind === "invalid") invalid++;
    else expectOrder(seed, stale, result.order);
  }
  // Where values repeat, some other write may explain the stale read after all.
  expect(invalid).toBeGreaterThanOrEqual(4);
});

/** A read near the end returns what a read returned that was over well before it. */
function withStaleRead(history: readonly Operation[]): Operation[] {
  const reads = history.filter(({ f, status }) => f === "read" && status === "ok");
  const victim = reads.at(-5)!;
  const stale = reads
    .filter(({ returnTime, output }) => returnTime < victim.invokeTime && output !== victim.output)
    .at(-12)!;
  return history.map((operation) => (operation === victim ? { ...operation, output: stale.output } : operation));
}

test("a spent budget is unknown and says how far it came", () => {
  const history = generateLinearizable(new Random(1), {
    ...HARD,
    values: 20,
    functions: ["read", "write"],
    unknownOneIn: 0,
  });
  const bySteps = search(history, new KeyModel(history), { maxSteps: 50, maxMemoEntries: 1_000 });
  expect(bySteps).toMatchObject({ kind: "unknown", steps: 50, order: [] });
  expect(bySteps.stuckAt).toBeGreaterThan(0);
  const byMemo = search(history, new KeyModel(history), { maxSteps: 1_000_000, maxMemoEntries: 40 });
  expect(byMemo).toMatchObject({ kind: "unknown", memoEntries: 40 });
});

test("a long history on one key needs no more stack or memory than a short one needs per operation", () => {
  const shape = {
    clients: 10,
    operations: 100_000,
    keys: 1,
    values: 5,
    functions: ["read", "write", "cas"] as const,
    unknownOneIn: 0,
  };
  const history = generateLinearizable(new Random(3), shape);
  const result = search(history, new KeyModel(history));
  expect(result.kind).toBe("valid");
  expect(result.steps).toBeLessThan(1_000_000);
  expectOrder(3, history, result.order);
});

test("an empty history, and one of unheard reads only, are fine", () => {
  expect(search([], new KeyModel([])).kind).toBe("valid");
  const reads = generateLinearizable(new Random(1), {
    ...HARD,
    operations: 5,
    values: 1,
    functions: ["read"],
    unknownOneIn: 1,
  });
  expect(search(reads, new KeyModel(reads))).toMatchObject({ kind: "valid", order: [], steps: 0 });
});
