import type { RaftOptions } from "./options.js";

/** Fewer clients than these are not waited for. */
const CLIENTS_MIN = 4;
/** When so many of those that had writes here are back, the others may miss the entry. */
const SHARE_BACK = 3 / 4;
/** Entries without a waiting for clients, after one that was in vain: 1, 2, 4 … of them. */
const ENTRIES_WITHOUT_MAX = 64;
/** How long answers are counted before they make a rate. */
const RATE_WINDOW_MS = 50;

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
 * Waiting costs latency, up to that of the writes under way once more, and saves processor time. So it is done only where so
 * many writes are answered that the time is what limits them (`gatherWritesPerMs`); should it bring them below that, it ends.
 * Then, while older writes are under way, newer ones wait for their answer; and after an answer for a moment for the clients that it
 * went to: a client that waits for each answer is back at once with its next write. Where clients are not of that kind, this second
 * waiting is in vain, and is tried ever less often.
 */
export class Gathering {
  private leftMs = 0;
  private answeredMs = 0;
  /** Of writes since some last left. */
  private answers = 0;
  /** Of those that had come already at the first of these answers. */
  private waiting = 0;
  private entriesWithout = 0;
  private nextWithout = 1;
  private windowMs = 0;
  private answersInWindow = 0;
  private answersPerMs = 0;

  constructor(private readonly options: RaftOptions) {}

  /** For how many ms at most new writes wait for others; 0: they leave now. */
  waitMs({ count, bytes, underWay }: NewWrites, nowMs: number): number {
    const { gatherBytes, gatherMs, returnMs, gatherWritesPerMs } = this.options;
    if (count === 0 || bytes >= gatherBytes || this.answersPerMs < gatherWritesPerMs) return 0;
    if (underWay) return Math.max(0, this.leftMs + gatherMs - nowMs);
    return this.waitsForClients(count) ? Math.max(0, this.answeredMs + returnMs - nowMs) : 0;
  }

  private waitsForClients(count: number): boolean {
    return this.entriesWithout === 0 && this.clients >= CLIENTS_MIN && count < SHARE_BACK * this.clients;
  }

  /** That had writes here at the last answer, be it that they were answered or that they waited. */
  private get clients(): number {
    return this.answers + this.waiting;
  }

  /** `writes` leave. */
  left({ count, bytes, underWay }: NewWrites, nowMs: number): void {
    const { gatherBytes } = this.options;
    if (gatherBytes === 0) return;
    if (!underWay && count > 0) this.judgeWaiting(count, bytes >= gatherBytes);
    this.leftMs = nowMs;
    this.answers = 0;
  }

  private judgeWaiting(count: number, isFull: boolean): void {
    if (this.entriesWithout > 0) this.entriesWithout -= 1;
    // With so few nothing was tried.
    else if (this.clients < CLIENTS_MIN) return;
    else if (isFull || !this.waitsForClients(count)) this.nextWithout = 1;
    else {
      this.entriesWithout = this.nextWithout;
      this.nextWithout = Math.min(2 * this.nextWithout, ENTRIES_WITHOUT_MAX);
    }
  }

  /** So many writes were answered while `waiting` others had come already. */
  answered(count: number, waiting: number, nowMs: number): void {
    if (this.options.gatherBytes === 0) return;
    if (this.answers === 0) this.waiting = waiting;
    this.answers += count;
    this.answeredMs = nowMs;
    this.answersInWindow += count;
    const elapsedMs = nowMs - this.windowMs;
    if (elapsedMs < RATE_WINDOW_MS) return;
    this.answersPerMs = this.answersInWindow / elapsedMs;
    this.answersInWindow = 0;
    this.windowMs = nowMs;
  }
}
