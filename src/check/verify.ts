import type { Operation, Value } from "./operation.js";

/**
 * Re-checks the order that came with a `valid` verdict, independently of every checker: it shares no code with them, not
 * even the model. Returns undefined when the order explains the history, otherwise what is wrong with it.
 *
 * `linearizable`: the order must respect real time. `sequential`: only the order within each process.
 */
export function verifyOrder(
  operations: readonly Operation[],
  order: readonly Operation[],
  model: "linearizable" | "sequential",
): string | undefined {
  const placed = new Set(order);
  if (placed.size !== order.length) return "an operation stands in the order twice";
  const given = new Set(operations);
  for (const operation of order) if (!given.has(operation)) return `operation ${operation.index} is not in the history`;
  for (const operation of operations) {
    if (operation.status === "ok" && !placed.has(operation))
      return `operation ${operation.index} took effect but is missing`;
  }
  return contradiction(order) ?? (model === "linearizable" ? realTimeBreach(order) : sessionBreach(order));
}

function contradiction(order: readonly Operation[]): string | undefined {
  const store = new Map<string, Value>();
  for (const operation of order) {
    const before = store.get(operation.key) ?? null;
    const { f, value, output, expected } = operation;
    let after = before;
    let possible = true;
    if (f === "read") possible = output === undefined || output === before;
    else if (f === "write") after = value;
    else if (f === "delete") after = null;
    else if (f === "cas") {
      possible = (before === expected) === (output ?? true);
      if (before === expected) after = value;
    } else if (f === "increment") {
      after = Number(before ?? 0) + Number(value);
      possible = (before === null || typeof before === "number") && (output === undefined || output === after);
    } else {
      after = `${before ?? ""}${value}`;
      possible = before === null || typeof before === "string";
    }
    if (!possible) return `operation ${operation.index} is impossible where the order puts it`;
    store.set(operation.key, after);
  }
  return undefined;
}

/** In a right order nothing returned before something earlier in the order was invoked. */
function realTimeBreach(order: readonly Operation[]): string | undefined {
  let latest: Operation | undefined;
  for (const operation of order) {
    if (latest !== undefined && operation.returnTime < latest.invokeTime) {
      return `operation ${operation.index} returned before operation ${latest.index} began, but comes later in the order`;
    }
    if (latest === undefined || operation.invokeTime > latest.invokeTime) latest = operation;
  }
  return undefined;
}

function sessionBreach(order: readonly Operation[]): string | undefined {
  const last = new Map<number, number>();
  for (const { process, index } of order) {
    if ((last.get(process) ?? -1) > index) return `operation ${index} comes after a later one of its process`;
    last.set(process, index);
  }
  return undefined;
}
