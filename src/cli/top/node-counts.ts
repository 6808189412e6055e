/** What a node's metrics count, and what came to it between two looks. */
import type { MetricSample } from "./metrics-text.js";

/** Upper bound in seconds, and how many took no longer. Rising; the last bound is infinite. */
export type Buckets = ReadonlyMap<number, number>;

export const KINDS = ["write", "read"] as const;
export type Kind = (typeof KINDS)[number];

export interface NodeCounts {
  /** Seconds since 1970: another one is another process. */
  readonly startedAt: number;
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
  readonly loopLagSeconds: number;
  /** By wire. */
  readonly connections: ReadonlyMap<string, number>;
  /** Times of the requests answered, by wire and kind: `resp write`. */
  readonly times: ReadonlyMap<string, Buckets>;
}

export function nodeCounts(samples: readonly MetricSample[]): NodeCounts {
  const single = new Map<string, number>();
  const connections = new Map<string, number>();
  const times = new Map<string, Map<number, number>>();
  for (const { name, labels, value } of samples) {
    if (name === "gamut_connections") connections.set(labels.wire, value);
    else if (name === "gamut_request_duration_seconds_bucket") {
      const flow = `${labels.wire} ${labels.kind}`;
      const buckets = times.get(flow) ?? new Map<number, number>();
      times.set(flow, buckets);
      buckets.set(labels.le === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels.le), value);
    } else single.set(name, value);
  }
  return {
    startedAt: single.get("process_start_time_seconds") ?? 0,
    cpuSeconds: single.get("process_cpu_seconds_total") ?? 0,
    memoryBytes: single.get("process_resident_memory_bytes") ?? 0,
    loopLagSeconds: single.get("nodejs_eventloop_lag_p99_seconds") ?? 0,
    connections,
    times,
  };
}

/** What has come to `later` since `before`, by wire and kind. A process that began anew, or whose counts did, counts from 0. */
export function timesSince(before: NodeCounts, later: NodeCounts): Map<string, Buckets> {
  const since = new Map<string, Buckets>();
  for (const [flow, buckets] of later.times) {
    const old = before.startedAt === later.startedAt ? before.times.get(flow) : undefined;
    const differences = difference(old, buckets);
    since.set(flow, differences ?? buckets);
  }
  return since;
}

/** null: it has begun anew. */
function difference(before: Buckets | undefined, later: Buckets): Buckets | null {
  const differences = new Map<number, number>();
  for (const [bound, count] of later) {
    const more = count - (before?.get(bound) ?? 0);
    if (more < 0) return null;
    differences.set(bound, more);
  }
  return differences;
}

export function sumOf(all: readonly Buckets[]): Buckets {
  const sum = new Map<number, number>();
  for (const buckets of all) for (const [bound, count] of buckets) sum.set(bound, (sum.get(bound) ?? 0) + count);
  return new Map([...sum].sort(([a], [b]) => a - b));
}

export function countOf(buckets: Buckets): number {
  return buckets.get(Number.POSITIVE_INFINITY) ?? 0;
}

/** In seconds, within a bucket as if it were evenly filled; beyond the last bound that bound. null: there is nothing. */
export function quantile(buckets: Buckets, share: number): number | null {
  const wanted = countOf(buckets) * share;
  if (wanted === 0) return null;
  let [lowBound, lowCount] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= wanted) {
      if (bound === Number.POSITIVE_INFINITY) return lowBound;
      return lowBound + ((bound - lowBound) * (wanted - lowCount)) / (count - lowCount);
    }
    [lowBound, lowCount] = [bound, count];
  }
  return lowBound;
}
