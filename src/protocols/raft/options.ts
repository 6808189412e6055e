import type { Incarnation, NodeId } from "../../core/machine.js";
import type { ChangeListener } from "../../kv/records.js";
import type { Configuration } from "./quorum.js";

/** Settings of one raft machine. Times are in ticks, sizes in bytes. */
export interface RaftOptions {
  readonly node: NodeId;
  readonly configuration: Configuration;
  /** Seeds the election timeouts. */
  readonly seed: number;
  /** Fresh 128-bit client ids (16 latin1 chars) for the writes that enter here. */
  readonly newClientId: () => string;
  /** An election starts after between one and two times this long without a leader. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Silence after which a forwarded write or read is sent again. */
  readonly resendTicks: number;
  /** Entries of one append message; at least one goes whatever its size. */
  readonly maxAppendBytes: number;
  /** Appends to one peer that are not acknowledged. */
  readonly maxInflightBytes: number;
  /** One entry's payload: more writes that leave together make several entries. */
  readonly maxEntryBytes: number;
  /** Entries applied in one turn; at least one is, whatever its size. A turn must not keep peers and clients waiting. */
  readonly maxApplyBytes: number;
  /** Entries of this leader that are not committed: past it, new writes are refused. */
  readonly maxUncommittedBytes: number;
  /** Requests that wait here, reads and writes each: past it, `overloaded`. */
  readonly maxPendingRequests: number;
  /** Encoded writes that wait here: past it, `overloaded`. */
  readonly maxPendingBytes: number;
  /**
   * While writes that entered here are under way, newer ones wait for their answer until there are this many bytes of
   * them: they then cost one entry, one sync and one message a peer together. 0: none waits.
   */
  readonly gatherBytes: number;
  /** But for no longer than this since the last ones left, in ms: the leader may be distant, or a disk slow. */
  readonly gatherMs: number;
  /** And only while so many writes are answered here in a ms: with fewer, waiting saves nothing that is scarce. */
  readonly gatherWritesPerMs: number;
  /** After an answer, new writes wait so many ms at most for those of the other clients that were answered with it. */
  readonly returnMs: number;
  /** Entries kept below the last checkpoint for peers that lag; further back they are sent a snapshot. */
  readonly retainedBytes: number;
  /** The same, while a snapshot is under way to a peer. */
  readonly retainedBytesWhileSending: number;
  /** Entries that are written again to the end of the log, if they alone hold its beginning. They must fit one batch of it. */
  readonly maxBytesLoggedAgain: number;
  /** Hears of every change of a record as it is applied: for those who watch. */
  readonly changes?: ChangeListener;
  /** Sees every entry as it is applied: for the simulator's safety checks. */
  readonly onApply?: (index: number, term: number, payload: Uint8Array) => void;
}

export const RAFT_DEFAULTS = {
  electionTicks: 25,
  heartbeatTicks: 3,
  resendTicks: 15,
  maxAppendBytes: 1024 * 1024,
  maxInflightBytes: 8 * 1024 * 1024,
  maxEntryBytes: 1024 * 1024,
  maxApplyBytes: 256 * 1024,
  maxUncommittedBytes: 64 * 1024 * 1024,
  maxPendingRequests: 65_536,
  maxPendingBytes: 64 * 1024 * 1024,
  gatherBytes: 16 * 1024,
  gatherMs: 5,
  gatherWritesPerMs: 5,
  returnMs: 1,
  retainedBytes: 8 * 1024 * 1024,
  retainedBytesWhileSending: 128 * 1024 * 1024,
  maxBytesLoggedAgain: 2 * 1024 * 1024,
} as const;

/** Incarnations rise: creation time in ms, then 11 random bits; 53 bits hold that until the year 2109. */
export function newIncarnation(wallMs: number, randomBits: number): Incarnation {
  return Math.max(1, Math.floor(wallMs)) * 2_048 + (randomBits % 2_048);
}
