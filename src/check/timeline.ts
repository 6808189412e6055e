import type { Operation } from "./operation.js";

/**
 * The events of some operations as distinct positions 0, 1, 2 …: at equal times invocations go before returns (closed
 * intervals, as in Porcupine), so "a precedes b" is `returns[a] < invokes[b]` and ties are gone.
 * Operations without a return get distinct positions past the last event.
 */
export class Timeline {
  readonly invokes: Int32Array;
  readonly returns: Int32Array;
  /** `operation * 2` for an invocation, `operation * 2 + 1` for a return. */
  readonly events: Int32Array;

  constructor(operations: readonly Operation[]) {
    const count = operations.length;
    this.invokes = new Int32Array(count);
    this.returns = new Int32Array(count);
    const codes: number[] = [];
    for (let i = 0; i < count; i++) {
      codes.push(i * 2);
      if (operations[i]!.returnTime !== Number.POSITIVE_INFINITY) codes.push(i * 2 + 1);
    }
    codes.sort((a, b) => compareTimes(timeOf(operations, a), timeOf(operations, b)) || (a & 1) - (b & 1) || a - b);
    this.events = Int32Array.from(codes);
    this.returns.fill(-1);
    for (let position = 0; position < codes.length; position++) {
      const code = codes[position]!;
      if ((code & 1) === 0) this.invokes[code >> 1] = position;
      else this.returns[code >> 1] = position;
    }
    for (let i = 0, open = codes.length; i < count; i++) {
      if (this.returns[i] === -1) this.returns[i] = open++;
    }
  }
}

function timeOf(operations: readonly Operation[], code: number): number {
  const operation = operations[code >> 1]!;
  return (code & 1) === 0 ? operation.invokeTime : operation.returnTime;
}

/** Not a subtraction: the times may be infinite. */
function compareTimes(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
