import { Random } from "../core/random.js";
import { between, perMille } from "./chance.js";
import { CALM_NETWORK, type NetworkOptions } from "./network.js";

/** What may be done to a world. What a fault's fields mean stands with its kind. */
export const FAULT_KINDS = [
  /** The process of `nodes[0]` is killed; what it wrote stays with the operating system. Back after `forUs`. */
  "kill",
  /** `nodes[0]` loses its power: unsynced writes are lost or torn. Back after `forUs`. */
  "power",
  /** All of `nodes` lose their power in one moment. Back after `forUs`, not all at once. */
  "blackout",
  /** Whoever leads the default keyspace is killed. Back after `forUs`. */
  "leader",
  /** A clean stop of `nodes[0]`, and a start after `forUs`. */
  "stop",
  /** `nodes[0]` is killed and its folder emptied: it comes back after `forUs` as one that has lost its memory. */
  "wipe",
  /**
   * The wipe at the worst moment: the leader can reach nobody but `nodes[0]`, so that what is committed stands on these
   * two; then `nodes[0]` is wiped, and when it is back the leader is killed for `amount` ms. The others now need the vote
   * of one that has forgotten what they do not know.
   */
  "ambush",
  /** `nodes[0]` is killed, `amount` bits of its files are flipped, and it comes back after `forUs`. */
  "flip",
  /** The next log write of `nodes[0]` fails: it must stop. Back after `forUs`. */
  "writeError",
  /** The disk of `nodes[0]` has no room for `forUs`. */
  "full",
  /**
   * The disk of whoever leads the default keyspace answers nothing for `forUs`; for `amount` thousandths of that time
   * nobody can talk with it either.
   */
  "stall",
  /** The process of `nodes[0]` is not given the processor for `forUs`. */
  "pause",
  /** The first `amount` of `nodes` cannot talk with the rest, for `forUs`. */
  "cut",
  /** The first `amount` of `nodes` cannot be heard by the rest, but hear them, for `forUs`. */
  "mute",
  /** What `nodes[0]` sends to `nodes[1]` arrives `forUs` late, all at once. */
  "clog",
  /** `amount` thousandths of all frames are lost, and as many doubled and reordered, for `forUs`. */
  "storm",
  /** The wall clock of `nodes[0]` jumps by `amount` ms. */
  "clock",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  readonly atUs: number;
  readonly forUs: number;
  readonly nodes: readonly number[];
  readonly amount: number;
}

export interface ClockPlan {
  readonly skewMs: number;
  readonly driftPpm: number;
}

export interface WorkloadPlan {
  readonly clients: number;
  /** Registers, counters, pairs and mortal keys: so many of each. */
  readonly keys: number;
  readonly thinkUsMax: number;
  readonly valueBytesMax: number;
  /** How long a client waits before it calls an outcome unknown. */
  readonly patienceUs: number;
  /** Share of reads, in thousandths; the rest writes in one way or another. */
  readonly readPerMille: number;
  /** Clients that deal with the keyspace as a whole, and how often they empty it, in thousandths of what they do. */
  readonly surveyors: number;
  readonly flushPerMille: number;
  /** Clients that make and drop keyspaces, and how many names they have for them; both 0 or neither. */
  readonly tenants: number;
  /** Who hears of every change. */
  readonly watchers: number;
  readonly keyspaces: number;
}

/** Small enough that every path is walked in a run of seconds. */
export interface NodePlan {
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly segmentBytes: number;
  readonly checkpointBytes: number;
  readonly snapshotChunkBytes: number;
  readonly retainedBytes: number;
  readonly requestTimeoutMs: number;
  /** Between two syncs of a node that writes first and syncs later. */
  readonly syncTicks: number;
  /** What the last checkpoints have made durable and reads find in memory. */
  readonly keptChangesBytes: number;
  /** Writes that wait for the answers of earlier ones: so many bytes at most. */
  readonly gatherBytes: number;
  /** For how long, and for clients that were just answered. */
  readonly gatherMs: number;
  readonly returnMs: number;
  /** Changes that are kept for watchers, and that one of them is told in a turn. */
  readonly watchChanges: number;
  readonly watchChangesPerTurn: number;
  readonly watchRecordsPerTurn: number;
}

/** Everything that one simulation depends on, as plain data: a plan gives one run. */
export interface SimulationPlan {
  readonly seed: number;
  readonly protocol: string;
  readonly canary: string;
  readonly nodes: number;
  readonly node: NodePlan;
  readonly network: NetworkOptions;
  readonly clocks: readonly ClockPlan[];
  /** Nodes with durability `os`; the others have `sync`. */
  readonly os: readonly number[];
  readonly workload: WorkloadPlan;
  readonly faults: readonly Fault[];
  /** How long faults and clients go on before everything is mended. */
  readonly faultyUs: number;
}

const SECOND_US = 1_000_000;

/** The plan of a seed. */
export function planOf(seed: number, protocol: string, canary = ""): SimulationPlan {
  const random = new Random(seed).fork("plan");
  const few = random.pick([1, 3, 3, 3, 3, 3, 5]);
  // Past five the others learn.
  const nodes = new Random(seed).fork("learners").pick([...Array<number>(30).fill(few), 6, 7]);
  const faultyUs = between(random, 2, 5) * SECOND_US;
  const durability = new Random(seed).fork("durability");
  const watch = new Random(seed).fork("watch");
  const planned = planNode(random);
  const gather = new Random(seed).fork("gather");
  return {
    seed,
    protocol,
    canary,
    nodes,
    node: {
      ...planned,
      keptChangesBytes: new Random(seed).fork("kept changes").pick([0, 1.25, 3, 8]) * planned.checkpointBytes,
      gatherBytes: gather.pick([0, 300, 16_384]),
      gatherMs: gather.pick([1, 5, 50]),
      returnMs: gather.pick([1, 1, 10]),
      syncTicks: durability.pick([2, 10, 50]),
      watchChanges: watch.pick([8, 64, 4_096]),
      watchChangesPerTurn: watch.pick([1, 5, 4_096]),
      watchRecordsPerTurn: watch.pick([1, 3, 1_000]),
    },
    network: planNetwork(random),
    clocks: Array.from({ length: nodes }, () => planClock(random)),
    os: planOs(durability, nodes),
    workload: withoutOrder(protocol, {
      ...planWorkload(random, new Random(seed).fork("whole keyspaces")),
      watchers: watch.pick([0, 1, 1, 2]),
    }),
    faults: planFaults(random, nodes, faultyUs),
    faultyUs,
  };
}

function planOs(random: Random, nodes: number): number[] {
  const share = random.pick([0, 0, 0, 0.5, 1]);
  return Array.from({ length: nodes }, (_, i) => i + 1).filter(() => random.chance(share));
}

/** What is drawn apart from the rest is missing. */
type PlannedNode = Omit<
  NodePlan,
  | "syncTicks"
  | "keptChangesBytes"
  | "gatherBytes"
  | "gatherMs"
  | "returnMs"
  | "watchChanges"
  | "watchChangesPerTurn"
  | "watchRecordsPerTurn"
>;

function planNode(random: Random): PlannedNode {
  return {
    tickMs: 20,
    electionTicks: between(random, 8, 15),
    heartbeatTicks: between(random, 2, 3),
    segmentBytes: random.pick([16, 64, 256]) * 1_024,
    checkpointBytes: random.pick([2, 8, 32]) * 1_024,
    snapshotChunkBytes: random.pick([256, 1_024, 65_536]),
    retainedBytes: random.pick([0, 2_048, 16_384]),
    requestTimeoutMs: random.pick([500, 2_000, 5_000]),
  };
}

function planNetwork(random: Random): NetworkOptions {
  const bad = perMille(random, 600);
  return {
    ...CALM_NETWORK,
    delayUsMin: between(random, 50, 500),
    delayUsMax: between(random, 500, bad ? 20_000 : 2_000),
    slowPerMille: bad ? random.pick([0, 10, 50]) : 0,
    lossPerMille: bad ? random.pick([0, 5, 20, 50]) : 0,
    duplicatePerMille: bad ? random.pick([0, 5, 20]) : 0,
    reorder: bad && perMille(random, 500),
    noticeUsMax: random.pick([5_000, 500_000, 20 * SECOND_US]),
  };
}

function planClock(random: Random): ClockPlan {
  return { skewMs: between(random, -2_000, 2_000), driftPpm: between(random, -20_000, 20_000) };
}

function planWorkload(random: Random, whole: Random): Omit<WorkloadPlan, "watchers"> {
  const tenants = whole.pick([0, 0, 1, 2]);
  return {
    clients: between(random, 2, 6),
    keys: between(random, 1, 3),
    thinkUsMax: random.pick([5_000, 20_000, 60_000]),
    valueBytesMax: random.pick([8, 100, 600, 1_500]),
    patienceUs: random.pick([300_000, SECOND_US, 3 * SECOND_US]),
    readPerMille: random.pick([300, 500, 700]),
    surveyors: whole.pick([0, 1, 1, 2]),
    flushPerMille: whole.pick([0, 0, 10, 40]),
    tenants,
    keyspaces: tenants === 0 ? 0 : between(whole, 1, 2),
  };
}

/** Who deals with whole keyspaces relies on an order of all writes. */
function withoutOrder(protocol: string, workload: WorkloadPlan): WorkloadPlan {
  if (protocol === "raft") return workload;
  return { ...workload, surveyors: 0, flushPerMille: 0, tenants: 0, keyspaces: 0 };
}

/** Each run has a few kinds of faults and an appetite of its own, so that the runs differ more than their faults do. */
function planFaults(random: Random, nodes: number, faultyUs: number): Fault[] {
  const kinds = FAULT_KINDS.filter(() => perMille(random, 350));
  const count = kinds.length === 0 ? 0 : between(random, 1, 12);
  const faults: Fault[] = [];
  for (let i = 0; i < count; i += 1) {
    faults.push(planFault(random, random.pick(kinds), nodes, between(random, 200_000, faultyUs)));
  }
  return faults.sort((a, b) => a.atUs - b.atUs);
}

function planFault(random: Random, kind: FaultKind, count: number, atUs: number): Fault {
  const order = random.shuffle(Array.from({ length: count }, (_, i) => i + 1));
  const forUs = random.pick([between(random, 1_000, 100_000), between(random, 100_000, 1_500_000)]);
  switch (kind) {
    case "blackout":
      return { kind, atUs, forUs, nodes: order, amount: 0 };
    case "cut":
    case "mute":
      return { kind, atUs, forUs, nodes: order, amount: between(random, 1, Math.max(1, count - 1)) };
    case "clog":
      return { kind, atUs, forUs, nodes: [order[0], order[count - 1]], amount: 0 };
    case "stall":
      return { kind, atUs, forUs: between(random, 400_000, 2_500_000), nodes: [], amount: between(random, 300, 950) };
    case "leader":
      return { kind, atUs, forUs, nodes: [], amount: 0 };
    case "storm":
      return { kind, atUs, forUs, nodes: [], amount: between(random, 50, 400) };
    case "clock":
      return { kind, atUs, forUs: 0, nodes: [order[0]], amount: between(random, -5_000, 5_000) };
    case "ambush":
      return {
        kind,
        atUs,
        forUs: between(random, 1_000, 300_000),
        nodes: [order[0]],
        amount: between(random, 500, 2_500),
      };
    case "flip":
      return { kind, atUs, forUs, nodes: [order[0]], amount: between(random, 1, 4) };
    default:
      return { kind, atUs, forUs, nodes: [order[0]], amount: 0 };
  }
}
