import { KeyModel, OBSERVER } from "./model.js";
import type { Operation } from "./operation.js";

const MAX_ATTEMPTS = 600;
const kinds = new KeyModel();

type IsInvalid = (operations: readonly Operation[]) => boolean;

/**
 * Finds few operations that already contradict each other. An operation is never just left out, as that could make a
 * right history wrong (a read without its write). It is *relaxed*: an observer is dropped, and anything else may from
 * then on take effect at any time or never. So the rest contradicts itself whatever the relaxed ones did. First the
 * observers, which makes every later attempt cheaper; then the rest; each in chunks of halving size, then one by one
 * until none can be relaxed (after Zeller & Hildebrandt's ddmin, 2002).
 *
 * Returns the operations, with those relaxed among them. `isInvalid` must be true of what is given.
 */
export function shrink(operations: readonly Operation[], isInvalid: IsInvalid): readonly Operation[] {
  const shrinker = new Shrinker(operations, isInvalid);
  shrinker.run(isObserver);
  shrinker.run((operation) => !isObserver(operation));
  shrinker.run(isObserver);
  return shrinker.current;
}

class Shrinker {
  current: readonly Operation[];
  readonly #isInvalid: IsInvalid;
  #attempts = 0;

  constructor(operations: readonly Operation[], isInvalid: IsInvalid) {
    this.current = operations;
    this.#isInvalid = isInvalid;
  }

  run(mayRelax: (operation: Operation) => boolean): void {
    const open = (): Operation[] => this.current.filter((operation) => !isRelaxed(operation) && mayRelax(operation));
    let chunk = open().length;
    for (let progress = true; chunk > 1 || progress; ) {
      chunk = Math.max(1, chunk >> 1);
      progress = false;
      const targets = open();
      for (let start = 0; start < targets.length; start += chunk) {
        if (this.#attempts++ >= MAX_ATTEMPTS) return;
        const attempt = relaxed(this.current, new Set(targets.slice(start, start + chunk)));
        if (!this.#isInvalid(attempt)) continue;
        this.current = attempt;
        progress = true;
      }
    }
  }
}

/** What is left when nobody knows when, or whether, some of them took effect. */
function relaxed(operations: readonly Operation[], some: ReadonlySet<Operation>): Operation[] {
  return operations
    .filter((operation) => !some.has(operation) || !isObserver(operation))
    .map((operation) => (some.has(operation) ? toRelaxed(operation) : operation));
}

function isObserver(operation: Operation): boolean {
  return kinds.kindOf(operation) === OBSERVER;
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

/** Whether an operation of the result may be left out of what is shown. */
export function isRelaxed(operation: Operation): boolean {
  return operation.status === "info" && operation.invokeTime === Number.NEGATIVE_INFINITY;
}
