/** What the clients of a run were told, apart from its history: which writes may not be lost, which may not appear. */

export type Outcome = "done" | "refused" | "unknown";

/** Keys that are written once each, and counters. */
export class Ledger {
  /** By key; the value of each is its key. */
  readonly written = new Map<string, Outcome>();
  readonly counters = new Map<string, { done: number; unknown: number }>();

  counted(key: string, outcome: Outcome): void {
    let counter = this.counters.get(key);
    if (counter === undefined) {
      counter = { done: 0, unknown: 0 };
      this.counters.set(key, counter);
    }
    if (outcome === "done") counter.done += 1;
    else if (outcome === "unknown") counter.unknown += 1;
  }

  count(outcome: Outcome): number {
    let count = 0;
    for (const each of this.written.values()) if (each === outcome) count += 1;
    return count;
  }

  /** Whether what is in the store now agrees. Answers what does not. */
  problems(stored: ReadonlyMap<string, string | null>): string[] {
    const problems: string[] = [];
    for (const [key, outcome] of this.written) {
      const value = stored.get(key);
      if (value === undefined) problems.push(`${key} was not read`);
      else if (value !== null && value !== key) problems.push(`${key} holds ${value}, which nobody has written there`);
      else if (outcome === "done" && value === null) problems.push(`${key} was acknowledged, and is lost`);
      else if (outcome === "refused" && value !== null) problems.push(`${key} was refused, and is there`);
    }
    for (const [key, { done, unknown }] of this.counters) {
      const value = Number(stored.get(key) ?? 0);
      if (value < done || value > done + unknown) {
        problems.push(`${key} is ${value} after ${done} acknowledged increments and ${unknown} of unknown outcome`);
      }
    }
    return problems;
  }
}
