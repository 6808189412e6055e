import { type CallAnswer, type CallError, encodeCall } from "../codec/call.js";
import { ByteWriter } from "../core/bytes.js";
import { learn, type PendingCall } from "./call.js";
import type { Link } from "./link.js";
import { callError } from "./outcome.js";

/** A write that was sent, and the life of the keyspace that it was meant for. */
export interface SingleWrite {
  readonly call: PendingCall;
  readonly life: number;
}

/**
 * Writes to a keyspace whose protocol gives them no common order: there is nobody who could tell a retry from a second
 * write. Each is sent once, and what happens to it on a connection that breaks nobody knows.
 */
export class SingleWrites {
  private readonly underWay = new Set<PendingCall>();
  private readonly bytes = new ByteWriter(1_024);

  /** `refused`: hears of a definite error, and answers whether it sees to the call itself. */
  constructor(private readonly refused: (sent: SingleWrite, link: Link, answer: CallAnswer) => boolean) {}

  get isBusy(): boolean {
    return this.underWay.size > 0;
  }

  /** `life`: of the keyspace, so that no write goes without an id into a later one that could tell a retry. */
  send(call: PendingCall, life: number, link: Link, timeoutMs: number): void {
    const { command, keyspace, level, explain } = call;
    this.underWay.add(call);
    this.bytes.reset();
    encodeCall(
      { command, keyspace, life, level, timeoutMs, id: null, token: call.session.demand(keyspace), explain },
      this.bytes,
    );
    link.send(this.bytes.copy(), {
      answered: (by, answer) => this.answered({ call, life }, by, answer),
      lost: (by) => this.end(call, callError("unknown", `sent once, and not answered: ${by.problem}`)),
    });
  }

  private answered(sent: SingleWrite, link: Link, answer: CallAnswer): void {
    const { call } = sent;
    if (!this.underWay.has(call)) return;
    learn(call, answer, link.clusterId);
    const { error } = answer;
    if (error?.definite && this.refused(sent, link, answer)) this.underWay.delete(call);
    else if (error !== null) this.end(call, error);
    else {
      this.underWay.delete(call);
      call.succeed(answer);
    }
  }

  private end(call: PendingCall, error: CallError): void {
    if (this.underWay.delete(call)) call.fail(error);
  }

  tick(nowMs: number): void {
    for (const call of this.underWay) {
      if (call.deadlineMs <= nowMs) this.end(call, callError("unknown", "no answer in time: it may have been done"));
    }
  }

  /** Its caller gives it up. False: it is none of these. */
  abort(call: PendingCall): boolean {
    const isMine = this.underWay.has(call);
    this.end(call, callError("unknown", "given up by its caller when it had been sent: it may have been done"));
    return isMine;
  }

  close(): void {
    for (const call of this.underWay) this.abort(call);
  }
}
