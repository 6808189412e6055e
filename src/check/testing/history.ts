import type { FunctionName, Operation, Value } from "../operation.js";
import { reindexed } from "./generate.js";

/** An operation as text, with its times: `["0 write 1", 0, 1]`, `["1 read null", 2, 3]`, `["2 cas 1 2", 4, Infinity]`. */
type Line = readonly [call: string, invokeTime: number, returnTime: number];

/** A history written down in a test, on key "x". A cas swapped unless it ends in `false`; an increment ends in its result. */
export function history(...lines: readonly Line[]): Operation[] {
  return reindexed(lines.map(toOperation));
}

function toOperation([call, invokeTime, returnTime]: Line): Operation {
  const [process, f, ...rest] = call.split(" ");
  const values = rest.map((text) => JSON.parse(text) as Value);
  const ok = returnTime !== Number.POSITIVE_INFINITY;
  const [first = null, second = null, third] = values;
  const output = f === "read" ? first : f === "cas" ? (third ?? true) : f === "increment" ? second : undefined;
  return {
    index: 0,
    process: Number(process),
    f: f as FunctionName,
    key: "x",
    value: f === "cas" ? second : f === "read" ? null : first,
    expected: f === "cas" ? first : null,
    output: ok ? output : undefined,
    invokeTime,
    returnTime,
    status: ok ? "ok" : "info",
    line: 0,
    fields: {},
  };
}
