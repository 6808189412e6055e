import { expect, test } from "vitest";
import { KeyModel } from "./model.js";
import { type Operation, showCall } from "./operation.js";
import { isExplainable } from "./testing/brute-force.js";
import { generateLinearizable, mutate } from "./testing/generate.js";
import { history } from "./testing/history.js";
import { Random } from "./testing/random.js";
import { verifyOrder } from "./verify.js";
import { search } from "./wgl.js";
import { checkZones } from "./zones.js";

const MIXES = [
  ["read", "write"],
  ["read", "write", "cas"],
  ["read", "cas"],
  ["read", "write", "delete", "cas"],
] as const;

test("agrees with the search and with the dumb twin on 40,000 small histories", () => {
  const counts = { valid: 0, invalid: 0, handedOver: 0 };
  for (let seed = 1; seed <= 40_000; seed++) {
    const random = new Random(seed);
    const shape = {
      clients: 2 + random.below(5),
      operations: 3 + random.below(6),
      keys: 1,
      values: 0,
      functions: random.pick(MIXES),
      unknownOneIn: random.pick([0, 3, 6]),
    };
    let operations = generateLinearizable(random, shape);
    for (let i = random.below(4); i > 0 && operations.length > 0; i--) operations = mutate(random, operations);
    const zones = checkZones(operations);
    if (zones === undefined) {
      counts.handedOver++;
      continue;
    }
    counts[zones.kind]++;
    const expected = isExplainable(operations, "real time") ? "valid" : "invalid";
    const searched = search(operations, new KeyModel(operations)).kind;
    if (zones.kind !== expected || searched !== expected) {
      expect.fail(
        `seed ${seed}: zones ${zones.kind}, search ${searched}, twin ${expected}\n${JSON.stringify(operations)}`,
      );
    }
    if (zones.kind === "valid") {
      const fault = verifyOrder(
        operations,
        zones.order.map((i) => operations[i]!),
        "linearizable",
      );
      if (fault !== undefined) expect.fail(`seed ${seed}: ${fault}`);
    } else if (isExplainable(onlyStrict(operations, zones.witness), "real time")) {
      expect.fail(`seed ${seed}: the witness is no contradiction: ${zones.witness} in ${JSON.stringify(operations)}`);
    }
  }
  expect(counts.valid).toBeGreaterThan(20_000);
  expect(counts.invalid).toBeGreaterThan(2_000);
  expect(counts.handedOver).toBeGreaterThan(1_000);
});

/** The witness as it is, and everything else at any time or never. */
function onlyStrict(operations: readonly Operation[], witness: readonly number[]): Operation[] {
  return operations.flatMap((operation, i) => {
    if (witness.includes(i)) return [operation];
    if (operation.f === "read") return [];
    return [
      {
        ...operation,
        status: "info" as const,
        output: undefined,
        invokeTime: -1,
        returnTime: Number.POSITIVE_INFINITY,
      },
    ];
  });
}

function shown(operations: Operation[]): { witness: string[]; sentence: string } {
  const zones = checkZones(operations);
  if (zones?.kind !== "invalid") throw new Error("expected a violation");
  return { witness: zones.witness.map((i) => showCall(operations[i]!)), sentence: zones.sentence };
}

test("two forward zones overlap: a value is seen again after another one", () => {
  const { witness, sentence } = shown(history(["0 write 1", 0, 1], ["1 write 2", 2, 3], ["2 read 1", 4, 5]));
  expect(witness.sort()).toEqual(["read → 1", "write 1", "write 2"]);
  expect(sentence).toBe(
    "process 0's write 1 ended before process 1's write 2 began, which puts 1 before 2; " +
      "but process 1's write 2 ended before process 2's read → 1 began, which puts 2 before 1",
  );
});

test("two forward zones overlap, with four operations", () => {
  const { witness } = shown(
    history(
      ["0 write 1", 0, 9],
      ["1 write 2", 0, 9],
      ["2 read 1", 1, 2],
      ["3 read 2", 1, 2],
      ["2 read 1", 3, 4],
      ["3 read 2", 3, 4],
    ),
  );
  expect(witness).toHaveLength(4);
});

test("the beginning is a write of absence", () => {
  const { witness, sentence } = shown(history(["0 write 1", 0, 1], ["1 read null", 2, 3]));
  expect(witness.sort()).toEqual(["read → absent", "write 1"]);
  expect(sentence).toContain("the key is absent at the beginning, which puts the absent key before 1");
});

test("contradictions that need no zones", () => {
  expect(shown(history(["0 read 7", 0, 1])).sentence).toBe(
    "process 0's read → 7 found 7, which nobody can have written",
  );
  expect(shown(history(["0 read 1", 0, 1], ["1 write 1", 2, 3])).sentence).toBe(
    "process 0's read → 1 ended before process 1's write 1 began, but can only have come after it",
  );
  expect(shown(history(["0 write 1", 0, 1], ["1 cas 1 2", 2, 3], ["2 cas 1 3", 2, 3])).sentence).toBe(
    "process 1's cas 1→2 and process 2's cas 1→3 both replaced 1, which was written only once",
  );
  expect(shown(history(["0 cas 1 2", 0, 1], ["1 cas 2 1", 0, 1])).sentence).toContain(
    "each need the value that another one leaves",
  );
});

test("swaps tie their values into one block", () => {
  expect(
    checkZones(
      history(["0 write 1", 0, 1], ["1 cas 1 2", 2, 5], ["2 read 1", 3, 3], ["2 read 2", 4, 4], ["3 cas 2 3", 6, 7]),
    )?.kind,
  ).toBe("valid");
  const { witness } = shown(history(["0 write 1", 0, 1], ["1 write 9", 2, 3], ["2 cas 1 2", 4, 5]));
  expect(witness.sort()).toEqual(["cas 1→2", "write 1", "write 9"]);
});

test("unknown writes: dropped when nobody read them, open for ever when somebody did", () => {
  const open = Number.POSITIVE_INFINITY;
  expect(checkZones(history(["0 write 1", 0, 1], ["1 write 2", 2, open], ["2 read 1", 5, 6]))).toMatchObject({
    kind: "valid",
    order: [0, 2],
  });
  expect(
    checkZones(history(["0 write 1", 0, 1], ["1 write 2", 2, open], ["2 read 1", 5, 6], ["2 read 2", 7, 8]))?.kind,
  ).toBe("valid");
  expect(checkZones(history(["1 write 2", 0, open], ["2 read 2", 5, 6], ["2 read null", 7, 8]))?.kind).toBe("invalid");
  // The unknown swap must have happened, as somebody read its value, so its own expectation must hold too.
  expect(checkZones(history(["0 cas 5 2", 0, open], ["2 read 2", 5, 6]))?.kind).toBe("invalid");
});

test("what zones cannot decide is handed over", () => {
  expect(checkZones(history(["0 write 1", 0, 1], ["1 write 1", 2, 3]))).toBeUndefined();
  expect(checkZones(history(["0 delete", 0, 1], ["1 read null", 2, 3]))).toBeUndefined();
  expect(checkZones(history(["0 increment 1 1", 0, 1]))).toBeUndefined();
  expect(checkZones(history(["0 write 1", 0, 1], ["0 delete", 2, 3], ["1 read 1", 4, 5]))?.kind).toBe("invalid");
});

test("200,000 operations of one key by 50 clients", () => {
  const shape = {
    clients: 50,
    operations: 200_000,
    keys: 1,
    values: 0,
    functions: ["read", "write", "cas"] as const,
    unknownOneIn: 200,
  };
  const operations = generateLinearizable(new Random(5), shape);
  const zones = checkZones(operations);
  expect(zones?.kind).toBe("valid");
  if (zones?.kind === "valid")
    expect(
      verifyOrder(
        operations,
        zones.order.map((i) => operations[i]!),
        "linearizable",
      ),
    ).toBeUndefined();
});
