import { expect, test } from "vitest";
import { checkLinearizable } from "./linearizable.js";
import type { Operation } from "./operation.js";
import { generateLinearizable } from "./testing/generate.js";
import { history } from "./testing/history.js";
import { MIXES } from "./testing/mixes.js";
import { Random } from "./testing/random.js";
import { verifyOrder } from "./verify.js";

const [write, read, late] = history(["0 write 1", 0, 1], ["1 read 1", 2, 3], ["0 write 2", 4, 5]) as [
  Operation,
  Operation,
  Operation,
];
const all = [write, read, late];

test("accepts a right order", () => {
  expect(verifyOrder(all, all, "linearizable")).toBeUndefined();
  expect(verifyOrder(all, all, "sequential")).toBeUndefined();
});

test("names what is wrong with an order", () => {
  expect(verifyOrder(all, [write, read], "linearizable")).toBe("operation 2 took effect but is missing");
  expect(verifyOrder(all, [write, write, read, late], "linearizable")).toBe("an operation stands in the order twice");
  expect(verifyOrder(all, [...all, { ...late, index: 9 }], "linearizable")).toBe("operation 9 is not in the history");
  expect(verifyOrder(all, [read, write, late], "linearizable")).toBe(
    "operation 1 is impossible where the order puts it",
  );
  expect(verifyOrder(all, [late, write, read], "linearizable")).toBe(
    "operation 0 returned before operation 2 began, but comes later in the order",
  );
  expect(verifyOrder(all, [late, write, read], "sequential")).toBe(
    "operation 0 comes after a later one of its process",
  );
  expect(verifyOrder([write, late], [late, { ...write }], "linearizable")).toBe(
    "operation 0 took effect but is missing".replace("took effect but is missing", "is not in the history"),
  );
});

test("a swap of two neighbours in an order is refused unless it is harmless", () => {
  let refused = 0;
  for (let seed = 1; seed <= 2_000; seed++) {
    const random = new Random(seed);
    const operations = generateLinearizable(random, {
      clients: 3,
      operations: 12,
      keys: 1,
      values: 2,
      functions: random.pick(MIXES),
      unknownOneIn: 0,
    });
    const verdict = checkLinearizable(operations);
    if (verdict.kind !== "valid") expect.fail(`seed ${seed}`);
    const place = random.below(verdict.order.length - 1);
    const [first, second] = [verdict.order[place]!, verdict.order[place + 1]!];
    const swapped = verdict.order.map((o, i) => (i === place ? second : i === place + 1 ? first : o));
    const fault = verifyOrder(operations, swapped, "linearizable");
    if (first.returnTime < second.invokeTime && fault === undefined) expect.fail(`seed ${seed}: real time was broken`);
    if (fault !== undefined) refused++;
  }
  expect(refused).toBeGreaterThan(1_000);
});
