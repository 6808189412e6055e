import { KvError } from "../../kv/errors.js";
import type { Request } from "../../kv/request.js";
import { errorResult, type Result } from "../../kv/result.js";

/** What decides about a request that waits: its answer, or null for later. */
export interface WaitHost {
  tryAnswer(request: Request): Result | null;
  /** Why it has waited in vain. */
  overdue(request: Request): Result;
  reply(request: Request, result: Result): void;
}

/** Requests that wait until this replica holds what their sessions have seen, in the order of their coming. */
export class RequestWaits {
  private waiting: Request[] = [];

  constructor(private readonly host: WaitHost) {}

  get size(): number {
    return this.waiting.length;
  }

  add(request: Request): void {
    this.waiting.push(request);
  }

  evaluate(monotonicMs: number): void {
    if (this.waiting.length === 0) return;
    const left: Request[] = [];
    for (const request of this.waiting) {
      const result = request.cancelled ? errorResult(new KvError("cancelled")) : this.host.tryAnswer(request);
      if (result !== null) this.host.reply(request, result);
      else if (request.deadlineMs <= monotonicMs) this.host.reply(request, this.host.overdue(request));
      else left.push(request);
    }
    this.waiting = left;
  }

  abandon(result: Result): void {
    for (const request of this.waiting) this.host.reply(request, result);
    this.waiting = [];
  }
}
