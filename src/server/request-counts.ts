/** How many requests each wire has answered, what they were, how they ended and how long they took. */
import { isWrite, type Op } from "../kv/command.js";
import { type Result, ResultKind } from "../kv/result.js";
import type { Wire } from "./sniff.js";

/** `not_done`: a condition of the request did not hold. `error` is definite, `unknown` is not. */
export const OUTCOMES = ["ok", "not_done", "error", "unknown"] as const;

/** Upper bounds in seconds; what takes longer is in the last, which has none. */
export const LATENCY_BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

const OPS = 128;
const WIRES = 8;

/** The times of one kind of request, `counts` by {@link LATENCY_BOUNDS}. */
export class Latencies {
  readonly counts = new Float64Array(LATENCY_BOUNDS.length + 1);
  seconds = 0;

  add(seconds: number): void {
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS.length && seconds > LATENCY_BOUNDS[bucket]) bucket += 1;
    this.counts[bucket] += 1;
    this.seconds += seconds;
  }
}

/** Plain arrays: counting is part of the hot path of every wire, and labels are made when somebody asks. */
export class RequestCounts {
  private readonly counts = new Float64Array(WIRES * OPS * OUTCOMES.length);
  private readonly latencies = Array.from({ length: WIRES * 2 }, () => new Latencies());

  answered(wire: Wire, op: Op, result: Result, tookMs: number): void {
    this.counts[(wire * OPS + op) * OUTCOMES.length + outcomeOf(result)] += 1;
    this.latencies[wire * 2 + (isWrite(op) ? 1 : 0)].add(tookMs / 1000);
  }

  /** Those that have happened. */
  each(visit: (wire: Wire, op: Op, outcome: (typeof OUTCOMES)[number], count: number) => void): void {
    for (let i = 0; i < this.counts.length; i += 1) {
      if (this.counts[i] === 0) continue;
      const place = Math.floor(i / OUTCOMES.length);
      visit(Math.floor(place / OPS) as Wire, (place % OPS) as Op, OUTCOMES[i % OUTCOMES.length], this.counts[i]);
    }
  }

  eachLatency(visit: (wire: Wire, isWrite: boolean, latencies: Latencies) => void): void {
    for (let i = 0; i < this.latencies.length; i += 1) {
      if (this.latencies[i].counts.some((count) => count > 0)) {
        visit(Math.floor(i / 2) as Wire, i % 2 === 1, this.latencies[i]);
      }
    }
  }
}

function outcomeOf(result: Result): number {
  if (result.kind === ResultKind.notDone) return 1;
  if (result.kind !== ResultKind.error) return 0;
  return result.error!.definite ? 2 : 3;
}
