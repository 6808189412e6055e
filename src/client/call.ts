import type { CallAnswer, CallError } from "../codec/call.js";
import type { Command } from "../kv/command.js";
import type { Level } from "../kv/level.js";
import type { Result } from "../kv/result.js";
import { type Answered, type Failure, failed, showReceipt, type Unknown } from "./outcome.js";
import type { Session } from "./session.js";

/** What a call came to, before the API has given it its form. */
export type RawOutcome = (Answered & { readonly result: Result }) | Failure | Unknown;

/** One operation that a caller waits for. */
export class PendingCall {
  settled = false;
  /** Takes the abort signal's listener away, and gives room back. */
  onSettled: (() => void) | null = null;

  constructor(
    readonly command: Command,
    readonly keyspace: string,
    readonly level: Level | null,
    readonly session: Session,
    readonly explain: boolean,
    readonly deadlineMs: number,
    private readonly done: (outcome: RawOutcome) => void,
  ) {}

  succeed(answer: CallAnswer): void {
    const { receipt } = answer;
    const result = answer.result!;
    this.settle(receipt === null ? { kind: "ok", result } : { kind: "ok", result, receipt: showReceipt(receipt) });
  }

  fail(error: CallError): void {
    this.settle(failed(error));
  }

  private settle(outcome: RawOutcome): void {
    if (this.settled) return;
    this.settled = true;
    this.onSettled?.();
    this.done(outcome);
  }
}

/** Definite, and about this node or this moment: another may well do it. */
const TRY_ELSEWHERE: ReadonlySet<string> = new Set(["unavailable", "recovering", "stopping", "cancelled"]);

export function mayTryElsewhere(error: CallError): boolean {
  return !error.definite || TRY_ELSEWHERE.has(error.code);
}

/** Takes in what every answer tells. */
export function learn(call: PendingCall, answer: CallAnswer, clusterId: string): void {
  if (answer.token !== null) call.session.saw(call.keyspace, answer.token, clusterId);
  if (answer.error?.code === "keyspace_gone") call.session.forget(call.keyspace);
}
