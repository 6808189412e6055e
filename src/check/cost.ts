import type { Stats } from "./verdict.js";
import type { Budget } from "./wgl.js";

/** What a check has spent so far, and what is left of its budget. */
export class Cost {
  readonly #operations: number;
  readonly #keys: number;
  readonly #budget: Budget;
  keysByZones = 0;
  #steps = 0;
  #memoEntries = 0;

  constructor(operations: number, keys: number, budget: Budget) {
    this.#operations = operations;
    this.#keys = keys;
    this.#budget = budget;
  }

  add({ steps, memoEntries }: { readonly steps: number; readonly memoEntries: number }): void {
    this.#steps += steps;
    this.#memoEntries += memoEntries;
  }

  remaining(): Budget {
    return { ...this.#budget, maxSteps: Math.max(0, this.#budget.maxSteps - this.#steps) };
  }

  stats(): Stats {
    return {
      operations: this.#operations,
      keys: this.#keys,
      keysByZones: this.keysByZones,
      steps: this.#steps,
      memoEntries: this.#memoEntries,
    };
  }
}
