import { KeyModel, OBSERVER } from "./model.js";
import type { Operation } from "./operation.js";

const MAX_ATTEMPTS = 600;
const kinds = new KeyModel();

/**
 * Finds few operations that already contradict each other. An operation is never just left out, as that could make a
 * right history wrong (a read without its write). It is *relaxed*: an observer is dropped, and anything else may from
 * then on take effect at any time or never. So the rest contradicts itself whatever the relaxed ones did. Chunks
 * of halving size, then single operations until none can be relaxed (after Zeller & Hildebrandt's ddmin, 2002).
 *
 * Returns the operations, with those relaxed among them: they are `info`. `isInvalid` must be true of what is given.
 */
export function shrink(
  operations: readonly Operation[],
  isInvalid: (operations: readonly Operation[]) => boolean,
): readonly Operation[] {
  let current = operations;
  let attempts = 0;
  for (let chunk = Math.max(1, operations.length >> 1); ; chunk = Math.max(1, chunk >> 1)) {
    let progress = false;
    for (let start = 0; start < current.length && attempts < MAX_ATTEMPTS; ) {
      const part = current.slice(start, start + chunk);
      if (part.every(isRelaxed)) {
        start += chunk;
        continue;
      }
      const relaxed = relax(part);
      const attempt = [...current.slice(0, start), ...relaxed, ...current.slice(start + chunk)];
      attempts++;
      if (isInvalid(attempt)) {
        current = attempt;
        progress = true;
        start += relaxed.length;
      } else {
        start += chunk;
      }
    }
    if (attempts >= MAX_ATTEMPTS || (chunk === 1 && !progress)) return current;
  }
}

/** What is left when nobody knows when, or whether, these took effect. */
function relax(operations: readonly Operation[]): Operation[] {
  return operations.filter((operation) => kinds.kindOf(operation) !== OBSERVER).map(toRelaxed);
}

function toRelaxed(operation: Operation): Operation {
  return {
    ...operation,
    // A process of its own, so that no session holds it either.
    process: -1 - operation.index,
    status: "info",
    output: undefined,
    invokeTime: Number.NEGATIVE_INFINITY,
    returnTime: Number.POSITIVE_INFINITY,
  };
}

function isRelaxed(operation: Operation): boolean {
  return operation.status === "info" && operation.invokeTime === Number.NEGATIVE_INFINITY;
}
