// What was measured: counts and latencies of the operations inside the window, and nothing of the warm-up.
import { build, type Histogram } from "hdr-histogram-js";
import { FAILED, MISS, type Outcome } from "./driver.js";

/** One hour; longer latencies are recorded as this. */
const LATENCY_US_MAX = 3_600_000_000;
const REASONS_MAX = 8;

/** Three significant digits: a percentile is within 0.1 % of the true one. */
export function makeHistogram(): Histogram {
  return build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_US_MAX,
    numberOfSignificantValueDigits: 3,
  });
}

export interface ErrorCount {
  readonly reason: string;
  readonly count: number;
}

export class Recorder {
  /** Latencies of operations that started (open loop: were due) inside the window and did not fail. */
  readonly latenciesUs = makeHistogram();
  /** Open loop: how long after its intended time an operation was sent. */
  readonly sendDelaysUs = makeHistogram();
  /** Operations that succeeded inside the window: the throughput. */
  operations = 0;
  misses = 0;
  failures = 0;
  connectionsLost = 0;
  readonly #reasons = new Map<string, number>();
  #fromUs = Number.POSITIVE_INFINITY;
  #toUs = Number.POSITIVE_INFINITY;

  open(nowUs: number): void {
    this.#fromUs = nowUs;
  }

  close(nowUs: number): void {
    this.#toUs = nowUs;
  }

  sent(dueUs: number, nowUs: number): void {
    if (this.#inWindow(dueUs)) record(this.sendDelaysUs, nowUs - dueUs);
  }

  completed(startedUs: number, nowUs: number, outcome: Outcome, reason: string): void {
    if (outcome === FAILED) {
      if (this.#inWindow(nowUs) || this.#inWindow(startedUs)) this.fail(reason, 1);
      return;
    }
    if (this.#inWindow(nowUs)) {
      this.operations += 1;
      if (outcome === MISS) this.misses += 1;
    }
    if (this.#inWindow(startedUs)) record(this.latenciesUs, nowUs - startedUs);
  }

  /** Counts failures that belong to no single reply. */
  fail(reason: string, count: number): void {
    this.failures += count;
    const known = this.#reasons.get(reason);
    if (known !== undefined || this.#reasons.size < REASONS_MAX) this.#reasons.set(reason, (known ?? 0) + count);
  }

  /** The reasons of failures, the most frequent first; at most the first few different ones were kept. */
  reasons(): ErrorCount[] {
    const all = [...this.#reasons].map(([reason, count]) => ({ reason, count }));
    return all.sort((a, b) => b.count - a.count);
  }

  #inWindow(timeUs: number): boolean {
    return timeUs >= this.#fromUs && timeUs < this.#toUs;
  }
}

function record(histogram: Histogram, latencyUs: number): void {
  histogram.recordValue(latencyUs < 0 ? 0 : latencyUs > LATENCY_US_MAX ? LATENCY_US_MAX : latencyUs);
}
