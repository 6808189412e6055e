import { expect, test } from "vitest";
import type { Operation } from "./operation.js";
import { checkSequential } from "./sequential.js";
import { isExplainable } from "./testing/brute-force.js";
import { generateLinearizable, mutate, reindexed } from "./testing/generate.js";
import { MIXES } from "./testing/mixes.js";
import { Random } from "./testing/random.js";
import { verifyOrder } from "./verify.js";

/** Shifts each process in time by an amount of its own: what was linearizable is then only sequential. */
function desynchronise(random: Random, operations: readonly Operation[]): Operation[] {
  const shifts = new Map<number, number>();
  for (const { process } of operations) if (!shifts.has(process)) shifts.set(process, random.below(40));
  return reindexed(
    operations.map((o) => ({
      ...o,
      invokeTime: o.invokeTime + shifts.get(o.process)!,
      returnTime: o.returnTime + shifts.get(o.process)!,
    })),
  );
}

/** Another output for one read. */
function misread(random: Random, operations: readonly Operation[]): Operation[] {
  const victim = random.pick(operations);
  const { f, output, value } = random.pick(operations);
  if (victim.f !== "read" || victim.status !== "ok") return [...operations];
  return operations.map((o) => (o === victim ? { ...o, output: (f === "read" ? output : value) ?? null } : o));
}

test("agrees with the dumb twin on 20,000 small histories of one to three keys", () => {
  const counts = { valid: 0, invalid: 0 };
  for (let seed = 1; seed <= 20_000; seed++) {
    const random = new Random(seed);
    const shape = {
      clients: 2 + random.below(3),
      operations: 4 + random.below(4),
      keys: 1 + random.below(3),
      values: random.below(4),
      functions: random.pick(MIXES),
      unknownOneIn: random.pick([0, 0, 5]),
    };
    let operations = generateLinearizable(random, shape);
    if (random.oneIn(2)) operations = desynchronise(random, operations);
    for (let i = random.below(4); i > 0 && operations.length > 0; i--) operations = misread(random, operations);
    const verdict = checkSequential(operations);
    const expected = isExplainable(operations, "session") ? "valid" : "invalid";
    if (verdict.kind !== expected)
      expect.fail(`seed ${seed}: ${verdict.kind}, the twin says ${expected}\n${JSON.stringify(operations)}`);
    counts[expected]++;
    if (verdict.kind === "valid") {
      const fault = verifyOrder(operations, verdict.order, "sequential");
      if (fault !== undefined) expect.fail(`seed ${seed}: ${fault}`);
    } else if (verdict.kind === "invalid") {
      const claim = relaxOthers(operations, verdict.witness);
      if (isExplainable(claim, "session")) expect.fail(`seed ${seed}: no contradiction: ${JSON.stringify(verdict)}`);
    }
  }
  expect(counts.valid).toBeGreaterThan(8_000);
  expect(counts.invalid).toBeGreaterThan(1_500);
});

/** The witness as it is, and everything else at any time or never. */
function relaxOthers(operations: readonly Operation[], witness: readonly Operation[]): Operation[] {
  return operations.flatMap((operation) => {
    if (witness.includes(operation)) return [operation];
    if (operation.f === "read" || operation.output === false) return [];
    return [{ ...operation, process: 1_000 + operation.index, status: "info" as const, output: undefined }];
  });
}

test("what is linearizable is sequential", () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = new Random(seed);
    const shape = {
      clients: 5,
      operations: 60,
      keys: 3,
      values: random.below(4),
      functions: random.pick(MIXES),
      unknownOneIn: 10,
    };
    expect(checkSequential(generateLinearizable(random, shape)).kind).toBe("valid");
  }
});

test("larger histories that are only sequential are decided", () => {
  const counts = { valid: 0, invalid: 0, unknown: 0 };
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const shape = {
      clients: 4,
      operations: 400,
      keys: 3,
      values: 0,
      functions: ["read", "write", "cas"] as const,
      unknownOneIn: 0,
    };
    const operations = desynchronise(random, generateLinearizable(random, shape));
    const verdict = checkSequential(operations);
    expect(verdict.kind, `seed ${seed}: ${verdict.sentence}`).toBe("valid");
    counts[checkSequential(mutateReads(random, operations)).kind]++;
  }
  expect(counts.unknown).toBe(0);
  expect(counts.invalid).toBeGreaterThan(20);
});

function mutateReads(random: Random, operations: readonly Operation[]): Operation[] {
  let mutant: Operation[] = [...operations];
  for (let i = 0; i < 6; i++) mutant = misread(random, mutant);
  return mutant;
}

test("a spent budget is unknown", () => {
  const random = new Random(7);
  const shape = {
    clients: 6,
    operations: 200,
    keys: 2,
    values: 3,
    functions: ["read", "write"] as const,
    unknownOneIn: 0,
  };
  const operations = desynchronise(random, mutate(random, generateLinearizable(random, shape)));
  const verdict = checkSequential(operations, { budget: { maxSteps: 20 } });
  expect(verdict).toMatchObject({ kind: "unknown", key: undefined, stats: { steps: 20 } });
  expect(verdict.sentence).toMatch(
    /^budget spent after 20 steps and \d+ configurations; the best order explains \d+ of 200 operations; /,
  );
});
