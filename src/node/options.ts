import type { NodeId } from "../core/machine.js";
import type { HistoryLimits } from "../kv/change-history.js";
import { GOSSIP_DEFAULTS, type GossipOptions } from "../protocols/gossip/options.js";
import { RAFT_DEFAULTS, type RaftOptions } from "../protocols/raft/options.js";
import { LOG_DEFAULTS, type LogOptions } from "./log/options.js";
import type { WatchLimits } from "./watches.js";

export interface NodeMember {
  readonly node: NodeId;
  readonly peerAddress: string;
  readonly clientAddress: string;
}

/** Settings of one node. Sizes in bytes. */
export interface NodeOptions {
  readonly node: NodeId;
  /** All members, this node included. The first five by number vote; the others learn. */
  readonly members: readonly NodeMember[];
  readonly buildVersion: string;
  /** Real time of one tick of the protocols, in ms. */
  readonly tickMs: number;
  /** How long a request may take before it is answered with `unknown` or `unavailable`, in ms. */
  readonly requestTimeoutMs: number;
  readonly durability: Durability;
  /** Names the time for which the machine has been running without a restart; "" where nobody can tell. */
  readonly bootId: string;
  /** Applied changes in memory that make a checkpoint due. */
  readonly checkpointBytes: number;
  /** What the last checkpoints have made durable stays in memory up to so much, while there is nothing newer in its place. */
  readonly keptChangesBytes: number;
  /** Log written since the last checkpoint that makes one due: what a restart has to apply again. */
  readonly checkpointLogBytes: number;
  /**
   * The same, once nothing has been logged for `quietTicks`: then a checkpoint is in nobody's way. With durability `os`
   * the node then notes that all is synced, and a crash of the machine costs it nothing.
   */
  readonly quietCheckpointBytes: number;
  readonly quietTicks: number;
  /** One frame to a peer carries at most about this much of a snapshot. */
  readonly snapshotChunkBytes: number;
  readonly log: Omit<LogOptions, "freshIdentity">;
  readonly raft: RaftTuning;
  readonly gossip: GossipTuning;
  readonly watch: WatchTuning;
}

/**
 * What the log has stored survives: `sync`: a crash of the machine; `os`: the death of the process; `memory`: neither.
 */
export type Durability = "sync" | "os" | "memory";

export interface WatchTuning extends WatchLimits {
  /** Of each keyspace, at each of its replicas. */
  readonly history: HistoryLimits;
}

export type GossipTuning = Omit<GossipOptions, "node" | "members" | "seed" | "changes">;

export type RaftTuning = Omit<RaftOptions, "node" | "configuration" | "seed" | "newClientId">;

export const NODE_DEFAULTS = {
  tickMs: 20,
  requestTimeoutMs: 5_000,
  durability: "sync",
  bootId: "",
  checkpointBytes: 32 * 1024 * 1024,
  keptChangesBytes: 40 * 1024 * 1024,
  checkpointLogBytes: 128 * 1024 * 1024,
  quietCheckpointBytes: 4 * 1024 * 1024,
  quietTicks: 500,
  snapshotChunkBytes: 256 * 1024,
  log: LOG_DEFAULTS,
  raft: RAFT_DEFAULTS,
  gossip: GOSSIP_DEFAULTS,
  watch: {
    watchesMax: 1_024,
    changesPerTurn: 4_096,
    recordsPerTurn: 1_000,
    progressMs: 1_000,
    history: { changesMax: 65_536, bytesMax: 16 * 1024 * 1024, ageMsMax: 600_000 },
  },
} as const;

export const VOTERS_MAX = 5;
