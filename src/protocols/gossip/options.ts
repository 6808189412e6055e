import type { Incarnation, NodeId } from "../../core/machine.js";
import type { OriginHistory } from "../../kv/origin-history.js";

/** Settings of one replica of a gossip group. Times in ticks unless they say ms; sizes in bytes. */
export interface GossipOptions {
  readonly node: NodeId;
  /** All replicas, this one included. */
  readonly members: readonly NodeId[];
  readonly seed: number;
  /**
   * How far a clock may be ahead: of the median of the reachable peers, for a write to be taken here; of the own clock,
   * for a write of others to be applied.
   */
  readonly maxOffsetMs: number;
  /** Ms from one push of writes to the next, but for much data at once. After a pause the first goes at once. */
  readonly pushIntervalMs: number;
  /** Every so often one peer is told what is held here, and asked for what is missing. */
  readonly digestTicks: number;
  /** A question that is not answered counts as lost, the first time after so long, then after twice as long each. */
  readonly answerTicks: number;
  readonly answerTicksMax: number;
  /** A peer that was not heard for so long is not reachable: nothing is pushed to it, its clock does not count. */
  readonly silentTicks: number;
  /** Digests in a row that found equal vectors and unequal trees before the trees are compared. */
  readonly suspicions: number;
  /** One answer to a question carries about so much; at least one write, whatever its size. */
  readonly maxAnswerBytes: number;
  /** Exceptions of one origin: past it a write that leaves a gap is left to repair. */
  readonly maxExceptions: number;
  /** Writes that are parked because their stamps are ahead: past these, they stay with those who have them. */
  readonly maxParked: number;
  readonly maxParkedBytes: number;
  /** Writes that can be found by origin and sequence; what is further back is found by the tree alone. */
  readonly maxIndexed: number;
  /** Rows that one turn of housekeeping touches. */
  readonly maxSweep: number;
  /** Requests that wait here: past it, `overloaded`. Their bytes likewise. */
  readonly maxPendingRequests: number;
  readonly maxPendingBytes: number;
  /** One log record holds about so much. */
  readonly maxRecordBytes: number;
  /** Keeps the changes for those who watch; without it nobody can. */
  readonly changes?: OriginHistory;
  /** Sees every write as it takes effect here: for the simulator's safety checks. */
  readonly onApply?: (origin: NodeId, incarnation: Incarnation, sequence: number) => void;
}

export const GOSSIP_DEFAULTS = {
  maxOffsetMs: 500,
  pushIntervalMs: 4,
  digestTicks: 5,
  answerTicks: 10,
  answerTicksMax: 200,
  silentTicks: 100,
  suspicions: 20,
  maxAnswerBytes: 512 * 1024,
  maxExceptions: 64,
  maxParked: 10_000,
  maxParkedBytes: 16 * 1024 * 1024,
  maxIndexed: 500_000,
  maxSweep: 2_000,
  maxPendingRequests: 65_536,
  maxPendingBytes: 64 * 1024 * 1024,
  maxRecordBytes: 1024 * 1024,
} as const;
