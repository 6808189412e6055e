import { planOf } from "./plan.js";
import type { Verdict } from "./rig.js";
import { shrink } from "./shrink.js";
import { simulate } from "./simulate.js";

export interface SwarmOptions {
  readonly protocol: string;
  readonly seeds: number;
  readonly firstSeed: number;
  /** Name of a planted bug; none by default. */
  readonly canary?: string;
  /** Stop at the first violation (default), or run all seeds. */
  readonly keepGoing?: boolean;
  /** Called after each seed; answering false ends the swarm early. */
  readonly onProgress?: (verdict: Verdict) => boolean;
}

/** What went wrong with one seed, and how to see it again. */
export interface SwarmFailure {
  readonly seed: number;
  readonly violation: string;
  readonly replay: string;
  /** The smallest plan found that still fails, as JSON data; what it fails with. */
  readonly shrunk: { readonly plan: object; readonly violation: string; readonly runs: number };
}

export interface SwarmReport {
  readonly protocol: string;
  readonly canary: string;
  readonly firstSeed: number;
  readonly seedsRun: number;
  readonly simulatedMs: number;
  readonly failures: readonly SwarmFailure[];
  readonly coverage: Readonly<Record<string, number>>;
}

export function runSeed(seed: number, protocol: string, canary = ""): Verdict {
  return simulate(planOf(seed, protocol, canary));
}

export function replayCommand(seed: number, protocol: string, canary: string): string {
  return `gamut sim --protocol ${protocol} --seed ${seed}${canary === "" ? "" : ` --canary ${canary}`}`;
}

/** Runs one seed after the other, each a world of its own. */
export function runSwarm(options: SwarmOptions): SwarmReport {
  const { protocol, firstSeed, seeds } = options;
  const canary = options.canary ?? "";
  const failures: SwarmFailure[] = [];
  const coverage = new Map<string, number>();
  let seedsRun = 0;
  let simulatedMs = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    const verdict = runSeed(seed, protocol, canary);
    seedsRun += 1;
    simulatedMs += verdict.simulatedMs;
    for (const [name, count] of Object.entries(verdict.coverage)) coverage.set(name, (coverage.get(name) ?? 0) + count);
    if (verdict.violation !== null) failures.push(failureOf(verdict, verdict.violation, protocol, canary));
    const goOn = options.onProgress?.(verdict) ?? true;
    if (!goOn || (failures.length > 0 && options.keepGoing !== true)) break;
  }
  const sorted = [...coverage].sort(([a], [b]) => (a < b ? -1 : 1));
  return { protocol, canary, firstSeed, seedsRun, simulatedMs, failures, coverage: Object.fromEntries(sorted) };
}

function failureOf(verdict: Verdict, violation: string, protocol: string, canary: string): SwarmFailure {
  const { seed } = verdict;
  return {
    seed,
    violation,
    replay: replayCommand(seed, protocol, canary),
    shrunk: shrink(planOf(seed, protocol, canary), violation),
  };
}
