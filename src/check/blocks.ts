import type { Operation, Value } from "./operation.js";
import type { Timeline } from "./timeline.js";

/** Stands for the beginning of the history, which leaves every key absent. */
export const BEGINNING = -1;

/** A contradiction between a few operations: their indices, and why. */
export interface Contradiction {
  readonly operations: readonly number[];
  readonly reason: "nobody wrote it" | "two swaps of one value" | "circle of swaps" | "effect before its cause";
  /** For "effect before its cause": the effect, which ended before the cause began. */
  readonly effect?: number;
  readonly cause?: number;
}

/**
 * Operations that must stand together, with no other write between: a write, its reads, the cas that swapped its value,
 * the reads of that, and so on. `members` in the order that this forces, `steps[i]` counting the changes from one value
 * to reading it and on to the next: members of equal step may swap places, and a step's writer opens it alone.
 */
export interface Block {
  readonly members: readonly number[];
  readonly steps: readonly number[];
}

interface Cluster {
  /** The write or cas, or BEGINNING. */
  readonly writer: number;
  readonly reads: number[];
  /** The cas that swapped this value, or undefined. */
  swap: number | undefined;
}

/**
 * Whether every value names its write: reads, writes and cas with distinct new values. Absence is the initial state and
 * is written by each delete, so deletes are in only where nobody observed absence.
 */
export function hasUniqueValues(operations: readonly Operation[]): boolean {
  const written = new Set<Value>();
  let deletes = false;
  let absenceObserved = false;
  for (const { f, value, expected, output, status } of operations) {
    if (f === "increment" || f === "append" || output === false) return false;
    if (f === "read") {
      if (status === "ok" && output === undefined) return false;
      absenceObserved ||= output === null;
      continue;
    }
    absenceObserved ||= f === "cas" && expected === null;
    if (value === null) deletes = true;
    else if (written.has(value)) return false;
    if (value === null && f === "cas") return false;
    if (f === "cas" && expected === value) return false;
    written.add(value);
  }
  return !(deletes && absenceObserved);
}

/** What one key with unique values comes to: blocks, or the contradiction that shows without looking at zones. */
export interface Blocks {
  readonly found: readonly Block[] | Contradiction;
  /** A write of unknown outcome that must have taken effect → the operation that saw it. */
  readonly evidence: ReadonlyMap<number, number>;
}

export function buildBlocks(operations: readonly Operation[], timeline: Timeline): Blocks {
  const evidence = new Map<number, number>();
  const clusters = gatherClusters(operations, evidence);
  return { found: clusters instanceof Map ? chain(operations, timeline, clusters) : clusters, evidence };
}

function gatherClusters(
  operations: readonly Operation[],
  evidence: Map<number, number>,
): Map<number, Cluster> | Contradiction {
  const writers = new Map<Value, number>([[null, BEGINNING]]);
  operations.forEach(({ f, value }, i) => {
    if (f !== "read" && value !== null) writers.set(value, i);
  });
  const clusters = new Map<number, Cluster>([[BEGINNING, { writer: BEGINNING, reads: [], swap: undefined }]]);
  // What took effect: all that is ok, then whatever unknown write is needed to explain it. The rest is as good as never.
  const pending: number[] = [];
  const include = (writer: number, seenBy: number): Cluster => {
    const known = clusters.get(writer);
    if (known !== undefined) return known;
    if (operations[writer]!.status === "info") evidence.set(writer, seenBy);
    const cluster: Cluster = { writer, reads: [], swap: undefined };
    clusters.set(writer, cluster);
    pending.push(writer);
    return cluster;
  };
  for (let i = 0; i < operations.length; i++) {
    const { f, status, output } = operations[i]!;
    if (status === "info") continue;
    if (f === "read") {
      const writer = writers.get(output!);
      if (writer === undefined) return { operations: [i], reason: "nobody wrote it" };
      include(writer, i).reads.push(i);
    } else {
      include(i, i);
    }
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (operations[next]!.f !== "cas") continue;
      const writer = writers.get(operations[next]!.expected);
      if (writer === undefined) return { operations: next === i ? [i] : [next, i], reason: "nobody wrote it" };
      const source = include(writer, next);
      if (source.swap !== undefined) return { operations: [source.swap, next], reason: "two swaps of one value" };
      source.swap = next;
    }
  }
  return clusters;
}

function chain(
  operations: readonly Operation[],
  timeline: Timeline,
  clusters: ReadonlyMap<number, Cluster>,
): Block[] | Contradiction {
  const blocks: Block[] = [];
  let chained = 0;
  for (const first of clusters.values()) {
    if (first.writer !== BEGINNING && operations[first.writer]!.f === "cas") continue;
    const members: number[] = [];
    const steps: number[] = [];
    let step = 0;
    for (let cluster: Cluster | undefined = first; cluster !== undefined; step += 2) {
      chained++;
      members.push(cluster.writer);
      steps.push(step);
      cluster.reads.sort((a, b) => timeline.invokes[a]! - timeline.invokes[b]!);
      for (const read of cluster.reads) {
        members.push(read);
        steps.push(step + 1);
      }
      cluster = cluster.swap === undefined ? undefined : clusters.get(cluster.swap);
    }
    const block = { members, steps };
    const contradiction = findEffectBeforeCause(block, timeline);
    if (contradiction !== undefined) return contradiction;
    blocks.push(block);
  }
  return chained === clusters.size ? blocks : circle(operations, clusters);
}

/** A member of a later step that returned before a member of an earlier one was invoked. */
function findEffectBeforeCause({ members, steps }: Block, timeline: Timeline): Contradiction | undefined {
  let latest = -1;
  for (let start = 0, end = 0; start < members.length; start = end) {
    while (end < members.length && steps[end] === steps[start]) end++;
    for (let i = start; i < end && latest !== -1; i++) {
      const [effect, cause] = [members[i]!, members[latest]!];
      if (effect === BEGINNING || timeline.returns[effect]! > timeline.invokes[cause]!) continue;
      const between = linksBetween({ members, steps }, latest, i);
      return { operations: [cause, ...between, effect], reason: "effect before its cause", effect, cause };
    }
    for (let i = start; i < end; i++) {
      if (members[i] === BEGINNING) continue;
      if (latest === -1 || timeline.invokes[members[i]!]! > timeline.invokes[members[latest]!]!) latest = i;
    }
  }
  return undefined;
}

/** The writers strictly between two places of a block: what ties the two together. */
export function linksBetween({ members, steps }: Block, a: number, b: number): number[] {
  const links: number[] = [];
  for (let i = Math.min(a, b) + 1; i < Math.max(a, b); i++) if (steps[i]! % 2 === 0) links.push(members[i]!);
  return links;
}

/** Swaps that each need the value of another: none can be first. */
function circle(operations: readonly Operation[], clusters: ReadonlyMap<number, Cluster>): Contradiction {
  const chained = new Set<number>();
  for (const first of clusters.values()) {
    if (first.writer !== BEGINNING && operations[first.writer]!.f === "cas") continue;
    for (let next: number | undefined = first.writer; next !== undefined; next = clusters.get(next)!.swap)
      chained.add(next);
  }
  const start = [...clusters.keys()].find((writer) => !chained.has(writer))!;
  const members = [start];
  for (let next = clusters.get(start)!.swap!; next !== start; next = clusters.get(next)!.swap!) members.push(next);
  return { operations: members, reason: "circle of swaps" };
}
