import type { SimulationPlan } from "./plan.js";
import { simulate } from "./simulate.js";

export interface Shrunk {
  readonly plan: SimulationPlan;
  readonly violation: string;
  /** Simulations that it took. */
  readonly runs: number;
}

const RUNS_MAX = 60;

/**
 * Looks for a smaller plan that still breaks a promise: fewer faults, fewer clients, a calmer net, an earlier end. Each
 * candidate is a run of its own; the first that fails (with whatever violation) is taken and the search goes on from it.
 */
export function shrink(plan: SimulationPlan, violation: string): Shrunk {
  let best: Shrunk = { plan, violation, runs: 0 };
  for (;;) {
    const smaller = firstThatFails(best);
    if (smaller === null) return best;
    const better = smaller.plan !== best.plan;
    best = smaller;
    if (!better || best.runs >= RUNS_MAX) return best;
  }
}

/** Null when nothing was left to try; the same plan when nothing smaller fails. */
function firstThatFails(best: Shrunk): Shrunk | null {
  let { runs } = best;
  for (const candidate of smallerPlans(best.plan)) {
    if (runs >= RUNS_MAX) break;
    runs += 1;
    const { violation } = simulate(candidate);
    if (violation !== null) return { plan: candidate, violation, runs };
  }
  return runs === best.runs ? null : { ...best, runs };
}

function* smallerPlans(plan: SimulationPlan): Generator<SimulationPlan> {
  const { faults, workload, network } = plan;
  // Halves first, then one at a time.
  for (let size = faults.length; size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < faults.length; start += size) {
      yield { ...plan, faults: faults.filter((_, i) => i < start || i >= start + size) };
    }
  }
  if (plan.os.length > 0) yield { ...plan, os: [] };
  if (plan.faultyUs > 500_000) yield { ...plan, faultyUs: Math.floor(plan.faultyUs / 2) };
  if (workload.clients > 1) yield { ...plan, workload: { ...workload, clients: workload.clients - 1 } };
  if (workload.surveyors > 0) yield { ...plan, workload: { ...workload, surveyors: 0, flushPerMille: 0 } };
  if (workload.tenants > 0) yield { ...plan, workload: { ...workload, tenants: 0, keyspaces: 0 } };
  if (workload.watchers > 0) yield { ...plan, workload: { ...workload, watchers: workload.watchers - 1 } };
  if (workload.keys > 1) yield { ...plan, workload: { ...workload, keys: 1 } };
  if (network.lossPerMille + network.duplicatePerMille + network.slowPerMille > 0 || network.reorder) {
    const calm = { lossPerMille: 0, duplicatePerMille: 0, slowPerMille: 0, reorder: false };
    yield { ...plan, network: { ...network, ...calm } };
  }
}
