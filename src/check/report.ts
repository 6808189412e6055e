import { type Operation, showCall } from "./operation.js";
import { Timeline } from "./timeline.js";
import type { Verdict } from "./verdict.js";

const CELL = 4;
const MAX_PICTURE_ROWS = 16;

/** A verdict for people: the answer, the reason, and the witness as a small space-time picture. */
export function renderVerdict(verdict: Verdict): string {
  const lines = [`${headline(verdict)}: ${verdict.sentence}.`];
  if (verdict.kind === "invalid") lines.push("", ...picture(verdict.witness));
  const { operations, keys, keysByZones, steps } = verdict.stats;
  const work = steps === 0 ? "" : `, ${count(steps, "step")} of search`;
  lines.push("", `${count(operations, "operation")} on ${count(keys, "key")} (${keysByZones} by zones)${work}.`);
  return lines.join("\n");
}

function headline({ kind, model }: Verdict): string {
  if (kind === "valid") return model;
  return kind === "invalid" ? `not ${model}` : `unknown whether ${model}`;
}

/**
 * One row an operation, in order of invocation; `|` marks its ends, and columns to the right are later. Equal lengths do not
 * mean equal times: only the order of the ends is drawn. Of a large witness the last operations are shown.
 */
function picture(witness: readonly Operation[]): string[] {
  const shown = witness.slice(-MAX_PICTURE_ROWS);
  const timeline = new Timeline(shown);
  const columns = timeline.events.length;
  const severalKeys = new Set(shown.map((operation) => operation.key)).size > 1;
  const labels = shown.map((operation) => {
    const key = severalKeys ? `${JSON.stringify(operation.key)} ` : "";
    return [`process ${operation.process}`, `${key}${showCall(operation)}`] as const;
  });
  const widths = [0, 1].map((i) => Math.max(0, ...labels.map((label) => label[i]!.length)));
  const rows = shown.map((operation, i) => {
    const bar = drawBar(timeline.invokes[i]!, operation.status === "ok" ? timeline.returns[i]! : columns, columns);
    const end = operation.status === "ok" ? operation.returnTime : "?";
    const line = operation.line > 0 ? `, line ${operation.line}` : "";
    const head = `  ${labels[i]![0].padEnd(widths[0]!)}  ${labels[i]![1].padEnd(widths[1]!)}`;
    return `${head}  ${bar}  ${operation.invokeTime} to ${end}${line}`;
  });
  if (shown.length < witness.length) rows.unshift(`  (${witness.length - shown.length} earlier ones are not drawn)`);
  return rows;
}

function drawBar(start: number, end: number, columns: number): string {
  const length = (end - start) * CELL - 1;
  const tail = end === columns ? `${"-".repeat(length)}>` : `${"-".repeat(length)}|`;
  return `${" ".repeat(start * CELL)}|${tail}`.padEnd(columns * CELL + 1);
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
