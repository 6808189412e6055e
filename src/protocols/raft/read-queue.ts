import { type ErrorCode, KvError } from "../../kv/errors.js";
import type { Request } from "../../kv/request.js";
import { errorResult, type Result } from "../../kv/result.js";

/** Linearizable reads that asked for an index together. */
class AskedReads {
  age = 0;

  constructor(
    readonly round: number,
    readonly requests: Request[],
  ) {}
}

/** Reads that may run once the state has applied `index`. */
class ConfirmedReads {
  constructor(
    readonly index: number,
    readonly requests: Request[],
  ) {}
}

/**
 * Reads that entered at this replica. A linearizable one first obtains a read index from the leader (thesis 6.4), and
 * all wait until the state here has applied theirs. Reads of a turn share one question; while one is under way the
 * next ones collect.
 */
export class ReadQueue {
  private queued: Request[] = [];
  private asked: AskedReads | null = null;
  private confirmed: ConfirmedReads[] = [];
  private count = 0;
  /** The question is to be sent once more, under its number: an answer to the first one still serves. */
  private repeat = false;

  /** `lastRound`: where the numbers begin; random, or an answer to an earlier life's question would pass for one to ours. */
  constructor(
    private lastRound: number,
    private readonly execute: (request: Request) => Result,
    private readonly answer: (request: Request, result: Result) => void,
  ) {}

  get size(): number {
    return this.count;
  }

  /** Needs a read index. */
  addLinearizable(request: Request): void {
    this.queued.push(request);
    this.count += 1;
  }

  /** Runs when the state has applied `index`. */
  addAt(index: number, request: Request): void {
    this.confirmed.push(new ConfirmedReads(index, [request]));
    this.count += 1;
  }

  /** Number of the round to ask for now, 0 when there is nothing to ask. */
  nextRound(): number {
    if (this.asked !== null && this.repeat) {
      this.repeat = false;
      this.asked.age = 0;
      return this.asked.round;
    }
    if (this.asked !== null || this.queued.length === 0) return 0;
    this.lastRound += 1;
    this.asked = new AskedReads(this.lastRound, this.queued);
    this.queued = [];
    return this.lastRound;
  }

  /** Another leader: what was asked of the old one is asked anew, under a new number. */
  askAgain(): void {
    this.repeat = false;
    if (this.asked === null) return;
    this.queued = this.asked.requests.concat(this.queued);
    this.asked = null;
  }

  /** Silence: the question or its answer may be lost on the way, or only be slow. */
  repeatQuestion(): void {
    this.repeat = true;
  }

  /** The leader has answered `round`. Answers of older rounds are stale and dropped. */
  indexKnown(round: number, index: number): void {
    if (this.asked === null || this.asked.round !== round) return;
    this.confirmed.push(new ConfirmedReads(index, this.asked.requests));
    this.asked = null;
  }

  /** Runs all reads whose index the state has reached. */
  runThrough(appliedIndex: number): void {
    if (this.confirmed.length === 0) return;
    const waiting: ConfirmedReads[] = [];
    for (const reads of this.confirmed) {
      if (reads.index > appliedIndex) waiting.push(reads);
      else for (const request of reads.requests) this.run(request, appliedIndex);
    }
    this.confirmed = waiting;
  }

  private run(request: Request, appliedIndex: number): void {
    this.count -= 1;
    if (request.cancelled) {
      this.answer(request, errorResult(new KvError("cancelled")));
      return;
    }
    request.position = appliedIndex;
    this.answer(request, this.execute(request));
  }

  /** The group is going away. */
  abandon(code: ErrorCode): void {
    this.askAgain();
    this.queued = this.expire(this.queued, Number.POSITIVE_INFINITY, code);
    for (const reads of this.confirmed) this.expire(reads.requests, Number.POSITIVE_INFINITY, code);
    this.confirmed = [];
  }

  /** Once a tick: answers what is overdue; true when the question has met silence for `resendTicks`. */
  tick(nowMs: number, resendTicks: number, code: ErrorCode): boolean {
    this.queued = this.expire(this.queued, nowMs, code);
    for (let i = 0; i < this.confirmed.length; i += 1) {
      const reads = this.confirmed[i];
      const left = this.expire(reads.requests, nowMs, code);
      if (left !== reads.requests) this.confirmed[i] = new ConfirmedReads(reads.index, left);
    }
    if (this.asked === null) return false;
    const left = this.expire(this.asked.requests, nowMs, code);
    if (left !== this.asked.requests) {
      const shorter = new AskedReads(this.asked.round, left);
      shorter.age = this.asked.age;
      this.asked = shorter;
    }
    this.asked.age += 1;
    return this.asked.age >= resendTicks;
  }

  private expire(requests: Request[], nowMs: number, code: ErrorCode): Request[] {
    if (!requests.some((request) => request.deadlineMs <= nowMs)) return requests;
    return requests.filter((request) => {
      if (request.deadlineMs > nowMs) return true;
      this.count -= 1;
      this.answer(request, errorResult(new KvError(code)));
      return false;
    });
  }
}
