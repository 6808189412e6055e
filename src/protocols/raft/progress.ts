import type { NodeId } from "../../core/machine.js";

export const ProgressState = {
  /** Where the peer's log agrees with ours is not known: one append at a time. */
  probe: 1,
  /** Appends follow each other without waiting, within the window. */
  replicate: 2,
  /** The peer is being sent a snapshot: no appends. */
  snapshot: 3,
} as const;
export type ProgressState = (typeof ProgressState)[keyof typeof ProgressState];

/** A leader's view of one peer. */
export class Progress {
  state: ProgressState = ProgressState.probe;
  /** Highest index known to be durable there, in this leader's log. */
  match = 0;
  next: number;
  /** Highest read round that it has echoed. */
  round = 0;
  recovering = false;
  refusing = false;
  /** It has no room for a single write: none are sent. */
  full = false;
  /** Heard from since the last check of the majority. */
  active = false;
  /** A probe is under way: wait for its answer, or the next heartbeat's. */
  paused = false;
  /** Bytes sent in appends and not yet acknowledged, as (last index, bytes) pairs. */
  private inflight: { index: number; bytes: number }[] = [];
  inflightBytes = 0;
  /** Read round of the newest heartbeat when the newest append left: an echo of a later one that shows no advance tells that it was lost. */
  roundAtLastSend = 0;
  commitSent = 0;
  /** It waits for this index to be committed (it forwarded a write in it): tell it at once. */
  wantsCommit = 0;
  snapshotIndex = 0;

  constructor(
    readonly node: NodeId,
    next: number,
  ) {
    this.next = next;
  }

  /** Whether an append should leave now. A probe goes even without entries: it finds out what the peer has. */
  wantsAppend(lastIndex: number): boolean {
    if (this.paused || this.state === ProgressState.snapshot) return false;
    return this.next <= lastIndex || (this.state === ProgressState.probe && this.match < lastIndex);
  }

  sent(lastIndex: number, bytes: number): void {
    this.inflight.push({ index: lastIndex, bytes });
    this.inflightBytes += bytes;
    this.next = lastIndex + 1;
  }

  acknowledged(index: number): boolean {
    while (this.inflight.length > 0 && this.inflight[0].index <= index) {
      this.inflightBytes -= this.inflight[0].bytes;
      this.inflight.shift();
    }
    if (index <= this.match) return false;
    this.match = index;
    if (this.next <= index) this.next = index + 1;
    return true;
  }

  becomeProbe(next: number): void {
    this.state = ProgressState.probe;
    this.paused = false;
    this.next = Math.max(next, this.match + 1);
    this.clearInflight();
  }

  becomeReplicate(): void {
    this.state = ProgressState.replicate;
    this.paused = false;
    this.next = this.match + 1;
    this.clearInflight();
  }

  becomeSnapshot(index: number): void {
    this.state = ProgressState.snapshot;
    this.snapshotIndex = index;
    this.clearInflight();
  }

  /** The peer has lost its memory: nothing that it acknowledged counts any more. */
  forget(next: number): void {
    this.match = 0;
    this.round = 0;
    this.becomeProbe(next);
  }

  private clearInflight(): void {
    this.inflight.length = 0;
    this.inflightBytes = 0;
  }
}
