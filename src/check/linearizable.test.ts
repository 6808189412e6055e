import { expect, test } from "vitest";
import { checkLinearizable } from "./linearizable.js";
import type { Operation, Value } from "./operation.js";
import { isExplainable } from "./testing/brute-force.js";
import { generateLinearizable, mutate, reindexed } from "./testing/generate.js";
import { history } from "./testing/history.js";
import { MIXES } from "./testing/mixes.js";
import { Random } from "./testing/random.js";
import { verifyOrder } from "./verify.js";
import { tryRefute } from "./witness.js";

function generate(random: Random, operations: number, keys: number): Operation[] {
  const shape = {
    clients: 2 + random.below(5),
    operations,
    keys,
    values: random.below(5),
    functions: random.pick(MIXES),
    unknownOneIn: random.pick([0, 5]),
  };
  let generated = generateLinearizable(random, shape);
  for (let i = random.below(4); i > 0 && generated.length > 0; i--) generated = mutate(random, generated);
  return generated;
}

test("several keys: agrees with the dumb twin on the whole, and one order covers all keys", () => {
  for (let seed = 1; seed <= 10_000; seed++) {
    const random = new Random(seed);
    const operations = generate(random, 3 + random.below(5), 1 + random.below(3));
    const verdict = checkLinearizable(operations);
    if (verdict.kind !== (isExplainable(operations, "real time") ? "valid" : "invalid"))
      expect.fail(`seed ${seed}: ${verdict.kind}`);
    if (verdict.kind !== "valid") continue;
    const fault = verifyOrder(operations, verdict.order, "linearizable");
    if (fault !== undefined) expect.fail(`seed ${seed}: ${fault}`);
  }
});

test("a witness contradicts itself, whatever all others did once they had begun", () => {
  let invalid = 0;
  for (let seed = 1; seed <= 8_000; seed++) {
    const operations = generate(new Random(seed), 7, 1);
    const verdict = checkLinearizable(operations);
    if (verdict.kind !== "invalid") continue;
    invalid++;
    const beginnings = verdict.since === undefined ? [null] : possibleContents(operations);
    for (const beginning of beginnings) {
      const claim = relaxOthers(operations, verdict.witness, verdict.since, beginning);
      if (isExplainable(claim, "real time"))
        expect.fail(`seed ${seed} from ${beginning}: ${JSON.stringify(verdict)}\n${JSON.stringify(operations)}`);
    }
  }
  expect(invalid).toBeGreaterThan(700);
});

function possibleContents(operations: readonly Operation[]): Value[] {
  const contents = new Set<Value>([null, "something else"]);
  for (const { value, expected, output, f } of operations) {
    contents.add(value).add(expected);
    if (output !== undefined) contents.add(output);
    if (f === "increment" && typeof output === "number") contents.add(output - (value as number));
  }
  return [...contents];
}

function relaxOthers(
  operations: readonly Operation[],
  witness: readonly Operation[],
  since: number | undefined,
  beginning: Value,
): Operation[] {
  const claim: Operation[] = [];
  for (const operation of operations) {
    if (witness.includes(operation)) claim.push(operation);
    else if (since !== undefined && operation.returnTime < since) continue;
    else if (operation.f !== "read" && operation.output !== false) {
      claim.push({
        ...operation,
        status: "info",
        output: undefined,
        returnTime: Number.POSITIVE_INFINITY,
      });
    }
  }
  if (beginning !== null)
    claim.push({
      ...operations[0]!,
      f: "write",
      value: beginning,
      expected: null,
      output: undefined,
      status: "ok",
      process: 99,
      invokeTime: -100,
      returnTime: -99,
    });
  return reindexed(claim);
}

test("refuting from one place never refutes a right history, and refutes many wrong ones", () => {
  let refuted = 0;
  for (let seed = 1; seed <= 4_000; seed++) {
    const operations = generate(new Random(seed), 9, 1);
    const { kind } = checkLinearizable(operations);
    operations.forEach(({ status }, i) => {
      if (status === "info" || tryRefute(operations, i) === undefined) return;
      if (kind === "valid") expect.fail(`seed ${seed}: refuted at ${i}`);
      refuted++;
    });
  }
  expect(refuted).toBeGreaterThan(1_000);
});

test("metamorphic: what must not change a verdict does not, and what must keep it invalid does", () => {
  for (let seed = 1; seed <= 1_000; seed++) {
    const random = new Random(seed);
    const operations = generate(random, 20, 2);
    const kind = checkLinearizable(operations).kind;
    const same = (label: string, changed: Operation[]) => {
      if (checkLinearizable(changed).kind !== kind) expect.fail(`seed ${seed}: ${label} changed ${kind}`);
    };
    same(
      "a shift in time",
      operations.map((o) => ({ ...o, invokeTime: o.invokeTime + 1_000, returnTime: o.returnTime + 1_000 })),
    );
    same(
      "a slower clock",
      operations.map((o) => ({ ...o, invokeTime: o.invokeTime * 7, returnTime: o.returnTime * 7 })),
    );
    same(
      "other process numbers",
      operations.map((o) => ({ ...o, process: 1_000 - o.process })),
    );
    same(
      "other key names",
      operations.map((o) => ({ ...o, key: `key of ${o.key}` })),
    );
    same(
      "an info read",
      reindexed([
        ...operations,
        {
          ...operations[0]!,
          f: "read",
          value: null,
          expected: null,
          output: undefined,
          status: "info",
          returnTime: Number.POSITIVE_INFINITY,
        },
      ]),
    );
    const keepsInvalid = (label: string, changed: Operation[]) => {
      if (kind === "invalid" && checkLinearizable(changed).kind !== "invalid")
        expect.fail(`seed ${seed}: ${label} made it valid`);
    };
    keepsInvalid(
      "losing the unknown operations",
      operations.filter(({ status }) => status === "ok"),
    );
    keepsInvalid(
      "a shorter operation",
      operations.map((o, i) => (i === 3 && o.status === "ok" ? { ...o, returnTime: o.invokeTime } : o)),
    );
    const lost = (o: Operation): boolean => o.f === "read" || o.output === false;
    if (kind === "valid") {
      const fewer = operations.filter((o, i) => !(lost(o) && i % 2 === 0));
      if (checkLinearizable(fewer).kind !== "valid") expect.fail(`seed ${seed}: losing observers made it invalid`);
    }
  }
});

test("an invalid key outweighs an undecided one, which outweighs valid ones", () => {
  const onKey = (key: string, operations: Operation[]) => operations.map((operation) => ({ ...operation, key }));
  const hard = onKey(
    "hard",
    history(["0 write 1", 0, 9], ["1 write 1", 0, 9], ["2 write 2", 0, 9], ["3 read 2", 10, 11], ["3 read 2", 12, 13]),
  );
  const fine = onKey("fine", history(["0 write 1", 0, 1], ["1 read 1", 2, 3]));
  const wrong = onKey("wrong", history(["0 write 1", 0, 1], ["1 read null", 2, 3]));
  const budget = { maxSteps: 1 };
  const unknown = checkLinearizable(reindexed([...hard, ...fine]), { budget });
  expect(unknown).toMatchObject({ kind: "unknown", key: "hard" });
  expect(unknown.sentence).toMatch(
    /^key "hard": budget spent after 1 steps and \d+ configurations, \d of 5 operations far, at process /,
  );
  expect(checkLinearizable(reindexed([...hard, ...fine, ...wrong]), { budget })).toMatchObject({
    kind: "invalid",
    key: "wrong",
  });
  const valid = checkLinearizable(reindexed([...hard, ...fine]));
  expect(valid).toMatchObject({ kind: "valid", stats: { operations: 7, keys: 2, keysByZones: 1 } });
});

test("equal times overlap: a call goes before a return", () => {
  expect(checkLinearizable(history(["0 write 1", 0, 5], ["1 read null", 5, 6])).kind).toBe("valid");
  expect(checkLinearizable(history(["0 write 1", 0, 5], ["1 read null", 6, 7])).kind).toBe("invalid");
});

test("one key, 20 clients, 1,000 operations without unique values: a stale read is shown by a few operations", () => {
  let invalid = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const functions = ["read", "write", "cas", "delete"] as const;
    const shape = { clients: 20, operations: 1_000, keys: 1, values: 20, functions, unknownOneIn: 0 };
    const operations = generateLinearizable(new Random(seed), shape);
    const reads = operations.filter(({ f }) => f === "read");
    const victim = reads.at(-5)!;
    const old = reads.filter((read) => read.returnTime < victim.invokeTime && read.output !== victim.output).at(-12)!;
    const verdict = checkLinearizable(operations.map((o) => (o === victim ? { ...o, output: old.output } : o)));
    if (verdict.kind !== "invalid") continue;
    invalid++;
    expect(verdict.witness.length, verdict.sentence).toBeLessThanOrEqual(5);
  }
  expect(invalid).toBeGreaterThanOrEqual(5);
});

test("a value that nobody wrote needs one operation only", () => {
  const shape = {
    clients: 5,
    operations: 100,
    keys: 1,
    values: 3,
    functions: ["read", "write"] as const,
    unknownOneIn: 0,
  };
  const operations = generateLinearizable(new Random(1), shape);
  const victim = operations.filter(({ f }) => f === "read").at(-20)!;
  const verdict = checkLinearizable(operations.map((o) => (o === victim ? { ...o, output: 99 } : o)));
  expect(verdict).toMatchObject({ kind: "invalid", witness: [{ index: victim.index, output: 99 }] });
});

test("an empty history is valid", () => {
  expect(checkLinearizable([])).toMatchObject({ kind: "valid", order: [], stats: { operations: 0, keys: 0 } });
});
