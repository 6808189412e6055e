/** What `gamut top` shows: from two looks, the state of the second and what happened between them. */
import type { KeyspaceStatus } from "../../kv/backend.js";
import { type ClusterView, clusterViews, type KeyspaceView, type NodeView } from "../cluster-view.js";
import {
  type Buckets,
  countOf,
  KINDS,
  type Kind,
  type NodeCounts,
  quantile,
  sumOf,
  timesSince,
} from "./node-counts.js";
import type { Sample } from "./sample.js";

/** null throughout: not known, or (of what needs two looks) not yet. */
export interface ClusterFigures {
  readonly clusterId: string;
  readonly nodes: readonly NodeFigures[];
  readonly wires: readonly WireFigures[];
  readonly keyspaces: readonly KeyspaceFigures[];
}

export interface NodeFigures extends NodeView {
  readonly writesPerSecond: number | null;
  readonly readsPerSecond: number | null;
  /** Of one core: 1 is all of it. */
  readonly cpuShare: number | null;
  readonly memoryBytes: number | null;
  readonly connections: number | null;
  readonly loopLagMs: number | null;
}

export interface WireFigures {
  readonly wire: string;
  readonly connections: number;
  readonly write: FlowFigures | null;
  readonly read: FlowFigures | null;
}

export interface FlowFigures {
  readonly perSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export interface KeyspaceFigures {
  readonly name: string;
  readonly protocol: string;
  readonly leader: number;
  readonly epoch: number;
  readonly keys: number | null;
  readonly replicas: readonly ReplicaFigures[];
}

export interface ReplicaFigures {
  readonly node: number;
  readonly role: string;
  /** Log positions not durable there, as the leader knows it; of gossip: writes that are known there and missing. */
  readonly lag: number | null;
  /** Log position. */
  readonly checkpoint: number | null;
}

/** One for each cluster that answers. */
export function figuresOf(before: Sample | null, later: Sample): ClusterFigures[] {
  const seconds = before === null ? 0 : (later.atMs - before.atMs) / 1000;
  return clusterViews(later.asked).map((view) => clusterFigures(view, before, later, seconds));
}

function clusterFigures(view: ClusterView, before: Sample | null, later: Sample, seconds: number): ClusterFigures {
  const nodes: NodeFigures[] = [];
  const all: Map<string, Buckets>[] = [];
  const counts: NodeCounts[] = [];
  for (const node of view.nodes) {
    const now = node.problem === "" ? later.counts.get(node.clientAddress) : undefined;
    const old = before?.counts.get(node.clientAddress);
    const times = now === undefined || old === undefined ? null : timesSince(old, now);
    if (now !== undefined) counts.push(now);
    if (times !== null) all.push(times);
    nodes.push(nodeFigures(node, now, old, times, seconds));
  }
  const names = [...new Set(counts.flatMap(({ connections }) => [...connections.keys()]))];
  return {
    clusterId: view.clusterId,
    nodes,
    wires: names.map((wire) => ({
      wire,
      connections: counts.reduce((sum, each) => sum + (each.connections.get(wire) ?? 0), 0),
      write: all.length === 0 ? null : flowFigures(all, wire, "write", seconds),
      read: all.length === 0 ? null : flowFigures(all, wire, "read", seconds),
    })),
    keyspaces: view.keyspaces.map((keyspace) => keyspaceFigures(keyspace, later)),
  };
}

function nodeFigures(
  view: NodeView,
  now: NodeCounts | undefined,
  old: NodeCounts | undefined,
  times: Map<string, Buckets> | null,
  seconds: number,
): NodeFigures {
  const [writes, reads] = KINDS.map((kind) => (times === null ? null : answered(times, kind) / seconds));
  const isSame = now !== undefined && old !== undefined && now.startedAt === old.startedAt;
  return {
    ...view,
    writesPerSecond: writes,
    readsPerSecond: reads,
    cpuShare: isSame ? (now.cpuSeconds - old.cpuSeconds) / seconds : null,
    memoryBytes: now?.memoryBytes ?? null,
    connections: now === undefined ? null : [...now.connections.values()].reduce((sum, count) => sum + count, 0),
    loopLagMs: now === undefined ? null : now.loopLagSeconds * 1000,
  };
}

function answered(times: ReadonlyMap<string, Buckets>, kind: Kind): number {
  let sum = 0;
  for (const [flow, buckets] of times) if (flow.endsWith(` ${kind}`)) sum += countOf(buckets);
  return sum;
}

function flowFigures(all: readonly Map<string, Buckets>[], wire: string, kind: Kind, seconds: number): FlowFigures {
  const buckets = sumOf(all.flatMap((times) => times.get(`${wire} ${kind}`) ?? []));
  const inMs = (share: number): number | null => {
    const found = quantile(buckets, share);
    return found === null ? null : found * 1000;
  };
  return { perSecond: countOf(buckets) / seconds, p50Ms: inMs(0.5), p99Ms: inMs(0.99) };
}

function keyspaceFigures({ name, protocol, leader, epoch, replicas }: KeyspaceView, later: Sample): KeyspaceFigures {
  const own = new Map<number, KeyspaceStatus>();
  for (const { status } of later.asked) {
    const keyspace = status?.keyspaces.find((each) => each.name === name);
    if (keyspace !== undefined) own.set(status!.node, keyspace);
  }
  const leading = own.get(leader);
  return {
    name,
    protocol,
    leader,
    epoch,
    keys: leading?.keys ?? [...own.values()].find(({ keys }) => keys !== null)?.keys ?? null,
    replicas: replicas.map(({ node, role, counters }) => {
      const durable = leading?.progress.find((each) => each.node === node)?.durablePosition;
      const behind = durable === undefined ? null : Math.max(0, leading!.lastPosition - durable);
      const missing = own.has(node) ? (counters.missing ?? 0) : null;
      return {
        node,
        role,
        lag: protocol === "gossip" ? missing : behind,
        checkpoint: own.get(node)?.checkpointPosition ?? null,
      };
    }),
  };
}
