import { expect, test } from "vitest";
import { checkLinearizable } from "./linearizable.js";
import { showValue } from "./operation.js";
import { renderVerdict } from "./report.js";
import { checkSequential } from "./sequential.js";
import { history } from "./testing/history.js";

test("a violation is drawn as a space-time picture", () => {
  const verdict = checkLinearizable(
    history(["0 write 1", 10, 20], ["1 write 2", 15, 30], ["12 read 2", 35, 40], ["1 read 1", 45, 50]),
  );
  expect(renderVerdict(verdict)).toBe(
    [
      "not linearizable: key \"x\": process 0's write 1 ended before process 12's read → 2 began, which puts 1 before 2; " +
        "but process 12's read → 2 ended before process 1's read → 1 began, which puts 2 before 1.",
      "",
      "  process 0   write 1   |---|                      10 to 20",
      "  process 12  read → 2          |---|              35 to 40",
      "  process 1   read → 1                  |---|      45 to 50",
      "",
      "4 operations on 1 key (1 by zones).",
    ].join("\n"),
  );
});

test("a circle of sessions names every step", () => {
  const verdict = checkSequential(history(["0 write 1", 0, 1], ["0 read null", 2, 3]));
  expect(renderVerdict(verdict)).toContain(
    'not sequential: a circle: process 0\'s write 1 of "x" comes before its read → absent of "x"; ',
  );
});

test("valid and unknown", () => {
  const operations = history(["0 write 1", 0, 1], ["1 write 1", 0, 5], ["2 read 1", 6, 7]);
  expect(renderVerdict(checkLinearizable(operations))).toMatch(/^linearizable: one order of all operations explains /);
  expect(renderVerdict(checkLinearizable(operations, { budget: { maxSteps: 0 } }))).toMatch(
    /^unknown whether linearizable: key "x": budget spent /,
  );
});

test("what nobody read is named by its value, and no value is absent", () => {
  const twice = ["0 write 2", 0, 1] as const;
  const ending = (last: string): string =>
    renderVerdict(checkLinearizable(history([...twice], ["0 write 2", 2, 3], [last, 4, 5], ["1 read 2", 6, 7])));
  expect(ending("0 write 1")).toContain("the key could only hold 1");
  expect(ending("0 delete")).toContain("the key could only be absent");
});

test("long values are shortened where they say nothing", () => {
  expect(showValue(`v47${".".repeat(480)}`)).toBe('"v47...…"');
  const long = Array.from({ length: 400 }, (_, i) => String(i)).join(" ");
  expect(showValue(long)).toMatch(/^"0 1 2 .*….* 398 399"$/);
  expect(showValue(long).length).toBeLessThan(80);
});
