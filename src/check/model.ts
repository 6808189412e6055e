import type { Operation, Value } from "./operation.js";

/** Never changes the state, only constrains it. */
export const OBSERVER = 0;
/** Always legal, and leaves a state that does not depend on the one before. */
export const BLIND = 1;
/** Everything else. */
export const UPDATE = 2;
export type Kind = typeof OBSERVER | typeof BLIND | typeof UPDATE;

/**
 * A sequential object: what one client alone would see. States are compared as Map keys, so they are scalars.
 * `kindOf` lets the search skip orders that cannot matter; OBSERVER and BLIND are promises that it relies on.
 */
export interface Model<State> {
  readonly initial: State;
  /** The state after the operation; `undefined` when its output is impossible in this state. */
  step(state: State, operation: Operation): State | undefined;
  kindOf(operation: Operation): Kind;
  /** Operations with the same label have the same effect and the same output. */
  labelOf(operation: Operation): string;
}

/** Stands for every content that no operation of the history can tell from another: nobody ever read or expected it. */
export const UNSEEN = Symbol("unseen");
/** What a key may hold when nobody knows: any value that the first observation names. */
export const ANYTHING = Symbol("anything");

export type KeyState = Value | typeof UNSEEN | typeof ANYTHING;

/**
 * One key of the store: a register with cas and delete, a counter with increment, a string with append. Given the operations
 * to come, it folds all content that nobody will tell apart into one state, so that the search need not either.
 */
export class KeyModel implements Model<KeyState> {
  readonly initial: KeyState = null;
  readonly #seen: SeenValues | undefined;

  /** Without operations nothing is folded. */
  constructor(operations?: readonly Operation[]) {
    this.#seen = operations === undefined ? undefined : seenValues(operations);
  }

  step(state: KeyState, operation: Operation): KeyState | undefined {
    switch (operation.f) {
      case "read":
        return operation.output === undefined || operation.output === state ? state : undefined;
      case "write":
        return this.#fold(operation.value);
      case "delete":
        return null;
      case "cas":
        if (operation.output === false) return state === operation.expected ? undefined : state;
        return state === operation.expected ? this.#fold(operation.value) : undefined;
      case "increment":
        return increment(state, operation);
      case "append":
        return this.#append(state, operation);
    }
  }

  kindOf(operation: Operation): Kind {
    if (operation.f === "read") return OBSERVER;
    if (operation.f === "write" || operation.f === "delete") return BLIND;
    if (operation.f === "cas" && (operation.output === false || operation.expected === operation.value))
      return OBSERVER;
    return UPDATE;
  }

  labelOf(operation: Operation): string {
    const { f, expected, value, output } = operation;
    const folded = f !== "append" && this.#fold(value) === UNSEEN;
    const effect = folded ? [f, expected] : [f, expected, value];
    return JSON.stringify(output === undefined ? effect : [...effect, "→", output]);
  }

  #append(state: KeyState, operation: Operation): KeyState | undefined {
    if (state === UNSEEN) return UNSEEN;
    if (state !== null && typeof state !== "string") return undefined;
    const next = `${state ?? ""}${operation.value}`;
    const longest = this.#seen?.longestOfGrowing;
    if (longest !== undefined && !longest.startsWith(next) && !next.startsWith(longest)) return undefined;
    return this.#fold(next);
  }

  #fold(value: Value): KeyState {
    return this.#seen === undefined || this.#seen.has(value) ? value : UNSEEN;
  }
}

/**
 * A key of which nothing is known at the beginning; for proving that the end of a history is wrong whatever came before. It
 * allows at times more than one beginning could, never less: what is impossible here is impossible after every beginning.
 */
export class AnyStartModel implements Model<KeyState> {
  readonly initial: KeyState = ANYTHING;
  readonly #key: KeyModel;

  /** Without operations nothing is folded. */
  constructor(operations?: readonly Operation[]) {
    this.#key = new KeyModel(operations);
  }

  step(state: KeyState, operation: Operation): KeyState | undefined {
    if (state !== ANYTHING) return this.#key.step(state, operation);
    const { f, output, expected } = operation;
    if (f === "read" || f === "increment") return output === undefined ? ANYTHING : output;
    if (f === "append" || (f === "cas" && this.kindOf(operation) === OBSERVER)) return ANYTHING;
    return this.#key.step(expected, operation);
  }

  /** The first read names the state, so a read is no mere observer here. */
  kindOf(operation: Operation): Kind {
    return operation.f === "read" ? UPDATE : this.#key.kindOf(operation);
  }

  labelOf(operation: Operation): string {
    return this.#key.labelOf(operation);
  }
}

/** An absent counter counts from 0. */
function increment(state: KeyState, operation: Operation): KeyState | undefined {
  if (state !== null && typeof state !== "number") return undefined;
  const next = (state ?? 0) + (operation.value as number);
  return operation.output === undefined || operation.output === next ? next : undefined;
}

/** The contents of a key that some operation can tell from all others. */
interface SeenValues {
  has(value: Value): boolean;
  /** The longest string read, when the key only ever grows: every state is then a prefix of it, or longer. */
  readonly longestOfGrowing: string | undefined;
}

/** Undefined for counters: there any content may count up to a seen one. */
function seenValues(operations: readonly Operation[]): SeenValues | undefined {
  const seen = new Set<Value>([null]);
  let appends = false;
  let grows = true;
  for (const { f, output, expected } of operations) {
    if (f === "increment") return undefined;
    if (f === "read" && output !== undefined) seen.add(output);
    if (f === "cas") seen.add(expected);
    appends ||= f === "append";
    grows &&= f === "append" || f === "read";
  }
  if (!appends) return { has: (value) => seen.has(value), longestOfGrowing: undefined };
  const strings = [...seen].filter((value) => typeof value === "string").sort();
  const longest = strings.reduce((a, b) => (b.length > a.length ? b : a), "");
  return {
    // A string can still grow into a seen one that it begins; of those the next in order is one.
    has: (value) => (typeof value === "string" ? startsOne(strings, value) : true),
    longestOfGrowing: grows ? longest : undefined,
  };
}

function startsOne(sorted: readonly string[], prefix: string): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < prefix) low = middle + 1;
    else high = middle;
  }
  return low < sorted.length && sorted[low]!.startsWith(prefix);
}
