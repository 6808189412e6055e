import { KvError } from "../../kv/errors.js";
import type { Request } from "../../kv/request.js";
import { errorResult, type Result } from "../../kv/result.js";

/** What decides about a request that waits: its answer, or null for later. */
export interface WaitHost {
  /** `sinceTick`: when the request came. */
  tryAnswer(request: Request, sinceTick: number): Result | null;
  /** Why it has waited in vain. */
  overdue(request: Request): Result;
  reply(request: Request, result: Result): void;
}

interface Waiting {
  readonly request: Request;
  readonly sinceTick: number;
}

/** Requests that wait until this replica holds what their sessions have seen, in the order of their coming. */
export class RequestWaits {
  private waiting: Waiting[] = [];

  constructor(private readonly host: WaitHost) {}

  get size(): number {
    return this.waiting.length;
  }

  add(request: Request, sinceTick: number): void {
    this.waiting.push({ request, sinceTick });
  }

  evaluate(monotonicMs: number): void {
    if (this.waiting.length === 0) return;
    const left: Waiting[] = [];
    for (const wait of this.waiting) {
      const { request, sinceTick } = wait;
      const result = request.cancelled
        ? errorResult(new KvError("cancelled"))
        : this.host.tryAnswer(request, sinceTick);
      if (result !== null) this.host.reply(request, result);
      else if (request.deadlineMs <= monotonicMs) this.host.reply(request, this.host.overdue(request));
      else left.push(wait);
    }
    this.waiting = left;
  }

  abandon(result: Result): void {
    for (const { request } of this.waiting) this.host.reply(request, result);
    this.waiting = [];
  }
}
