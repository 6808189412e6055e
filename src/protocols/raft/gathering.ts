import type { RaftOptions } from "./options.js";

/** Fewer clients than these are not waited for. */
const CLIENTS_MIN = 4;
/** When so many of those that were answered are back, the others may miss the entry. */
const SHARE_BACK = 3 / 4;
/** Entries without a waiting for clients, after one that was in vain: 1, 2, 4 … of them. */
const ENTRIES_WITHOUT_MAX = 64;

/** What one replica knows of the writes that entered at it. */
export interface NewWrites {
  readonly count: number;
  readonly bytes: number;
  /** Whether older ones have left and are not answered. */
  readonly underWay: boolean;
}

/**
 * Group commit: when new writes had better wait for others. What leaves together has one entry, one sync a replica and one
 * message a peer together.
 *
 * While older writes are under way, newer ones wait for their answer; entries are committed in order, so they hardly lose
 * by it. After an answer they wait a moment for the clients that it went to: a client that waits for each answer is back
 * at once with its next write. Where clients are not of that kind the waiting is in vain, and is tried ever less often.
 */
export class Gathering {
  private leftMs = 0;
  private answeredMs = 0;
  /** Of writes since some last left. */
  private answers = 0;
  /** Clients that had writes here at the last answer. */
  private clients = 0;
  private entriesWithout = 0;
  private nextWithout = 1;

  constructor(private readonly options: RaftOptions) {}

  waits({ count, bytes, underWay }: NewWrites, nowMs: number): boolean {
    const { gatherBytes, gatherMs, returnMs } = this.options;
    if (count === 0 || bytes >= gatherBytes) return false;
    if (underWay) return nowMs - this.leftMs < gatherMs;
    return this.waitsForClients(count) && nowMs - this.answeredMs < returnMs;
  }

  private waitsForClients(count: number): boolean {
    return this.entriesWithout === 0 && this.clients >= CLIENTS_MIN && count < SHARE_BACK * this.clients;
  }

  /** `writes` leave. */
  left({ count, bytes, underWay }: NewWrites, nowMs: number): void {
    this.leftMs = nowMs;
    this.answers = 0;
    if (underWay || count === 0) return;
    if (this.entriesWithout > 0) this.entriesWithout -= 1;
    else if (bytes >= this.options.gatherBytes || !this.waitsForClients(count)) this.nextWithout = 1;
    else {
      this.entriesWithout = this.nextWithout;
      this.nextWithout = Math.min(2 * this.nextWithout, ENTRIES_WITHOUT_MAX);
    }
  }

  /** So many writes were answered while `waiting` others had come already. */
  answered(count: number, waiting: number, nowMs: number): void {
    this.answers += count;
    this.clients = this.answers + waiting;
    this.answeredMs = nowMs;
  }
}
