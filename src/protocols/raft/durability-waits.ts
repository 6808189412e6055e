import { type ErrorCode, KvError } from "../../kv/errors.js";
import type { Request } from "../../kv/request.js";
import { errorResult, integerResult, type Result } from "../../kv/result.js";

/** Requests that wait until `limit` replicas besides the leader hold a position durably (Redis' WAIT). */
export class DurabilityWaits {
  private waiting: Request[] = [];

  constructor(private readonly answer: (request: Request, result: Result) => void) {}

  get size(): number {
    return this.waiting.length;
  }

  add(request: Request): void {
    this.waiting.push(request);
  }

  abandon(code: ErrorCode): void {
    for (const request of this.waiting) this.answer(request, errorResult(new KvError(code)));
    this.waiting = [];
  }

  /** `durableCount` tells how many replicas hold a position. Answers who is satisfied, or overdue with what there is. */
  evaluate(nowMs: number, durableCount: (position: number) => number): void {
    if (this.waiting.length === 0) return;
    this.waiting = this.waiting.filter((request) => {
      if (request.cancelled) return false;
      const count = durableCount(request.minimumPosition);
      if (count < request.command.limit && nowMs < request.deadlineMs) return true;
      this.answer(request, integerResult(BigInt(count)));
      return false;
    });
  }
}
