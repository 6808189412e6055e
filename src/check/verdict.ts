import type { Operation } from "./operation.js";

export type ModelName = "linearizable" | "sequential";

/** What a check cost. */
export interface Stats {
  readonly operations: number;
  readonly keys: number;
  /** Keys decided by zones, in O(n log n); the rest were searched. */
  readonly keysByZones: number;
  readonly steps: number;
  readonly memoEntries: number;
}

interface Common {
  readonly model: ModelName;
  /** One plain sentence. */
  readonly sentence: string;
  readonly stats: Stats;
}

export interface ValidVerdict extends Common {
  readonly kind: "valid";
  /** All ok operations and some of the rest, in an order that explains what every client saw. */
  readonly order: readonly Operation[];
}

export interface InvalidVerdict extends Common {
  readonly kind: "invalid";
  /** The key at fault; undefined when only several keys together are. */
  readonly key: string | undefined;
  /** The few operations that contradict each other, in order of invocation. */
  readonly witness: readonly Operation[];
  /** The witness contradicts itself whatever the key held at this time; undefined: given that it was absent at the beginning. */
  readonly since: number | undefined;
}

export interface UnknownVerdict extends Common {
  readonly kind: "unknown";
  /** The key at which the budget ran out; undefined when the keys were searched together. */
  readonly key: string | undefined;
}

/** The answer of a checker. As exit codes: valid 0, invalid 1, unknown 2. */
export type Verdict = ValidVerdict | InvalidVerdict | UnknownVerdict;
