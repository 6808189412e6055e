import type { GroupId, LogRecord } from "../../core/machine.js";
import type { SegmentList } from "./segments.js";

/** What the log remembers of one group. */
export interface RecoveredGroup {
  /** The newest one. */
  hardState: LogRecord | null;
  /**
   * Entries in log order; a reset can only be the first. An entry that a later one at its or a lower position has made
   * void is not here; entries that the group had already cut may be.
   */
  readonly records: LogRecord[];
}

/** Bytes behind the last batch that were never acknowledged, and are zeros now. */
export interface CutTail {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  readonly problem: string;
}

/**
 * - `empty`: there was no log, or one without a record. A node that remembers having had one has lost its memory.
 * - `ok`: everything that was ever reported as durable is in `groups`, and all of `groups` is durable.
 * - `damaged`: something that was reported as durable is gone. Only `Log.startOver` leads on, and the node must first
 *   have made durable that it is a new incarnation.
 * - `unsupported`: a newer build wrote the log. Nothing was changed.
 * - `failed`: the disk refused a call. Nothing is known to be lost; the node cannot start.
 * - `unsecured`: the same, when it was to write again what it may never have had. If that was promised, it may be lost.
 */
export type RecoveryKind = "empty" | "ok" | "damaged" | "unsupported" | "failed" | "unsecured";

export class RecoveryOutcome {
  constructor(
    readonly kind: RecoveryKind,
    /** What is wrong, where, and what to do; "" for `empty` and `ok`. */
    readonly reason: string,
    readonly groups: Map<GroupId, RecoveredGroup>,
    readonly cutTail: CutTail | null,
  ) {}
}

/** Where a log goes on. */
export interface LogPosition {
  readonly identity: number;
  readonly generation: number;
  /** The slot that the next mark overwrites. */
  readonly markSlot: number;
  readonly nextSequence: number;
  readonly segments: SegmentList;
  /** The segment behind the current one exists, all zeros. */
  readonly spareReady: boolean;
  readonly hardStates: Map<GroupId, LogRecord>;
}

export interface Recovery {
  readonly outcome: RecoveryOutcome;
  /** Null unless the outcome is `empty` or `ok`. */
  readonly position: LogPosition | null;
}
