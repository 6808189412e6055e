import type { Operation, Value } from "../operation.js";

type Order = "real time" | "session";

/**
 * The dumb twin of the checkers: tries every order of every choice of operations, without a memo or a clever thought.
 * For histories of up to about eight operations.
 */
export function isExplainable(operations: readonly Operation[], order: Order): boolean {
  return explains([...operations], new Map(), order);
}

function explains(rest: Operation[], store: ReadonlyMap<string, Value>, order: Order): boolean {
  if (rest.every((operation) => operation.status === "info")) return true;
  for (const next of rest) {
    const others = rest.filter((operation) => operation !== next);
    if (others.some((other) => other.status === "ok" && mustPrecede(other, next, order))) continue;
    // An operation left behind for good by a later one of its process, or by a time when it was over.
    const after = others.filter((other) => !mustPrecede(other, next, order));
    const state = apply(store.get(next.key) ?? null, next);
    if (state === undefined) continue;
    if (explains(after, new Map(store).set(next.key, state), order)) return true;
  }
  return false;
}

function mustPrecede(a: Operation, b: Operation, order: Order): boolean {
  if (order === "session") return a.process === b.process && a.index < b.index;
  return a.returnTime < b.invokeTime;
}

function apply(state: Value, operation: Operation): Value | undefined {
  const { f, value, expected, output } = operation;
  if (f === "write") return value;
  if (f === "delete") return null;
  if (f === "read") return output === undefined || output === state ? state : undefined;
  if (f === "cas") {
    if (output === false) return state !== expected ? state : undefined;
    return state === expected ? value : undefined;
  }
  if (f === "append") return state === null || typeof state === "string" ? (state ?? "") + String(value) : undefined;
  if (state !== null && typeof state !== "number") return undefined;
  const sum = (state ?? 0) + (value as number);
  return output === undefined || output === sum ? sum : undefined;
}
