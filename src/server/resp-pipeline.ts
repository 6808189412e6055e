import type { CommandSpec, RespWriter } from "../codec/resp/index.js";
import type { Request } from "../kv/request.js";
import type { Result } from "../kv/result.js";
import type { RespConnection } from "./resp-connection.js";
import type { Transaction } from "./resp-transaction.js";

/** Writes the reply of a slot whose answer means something to the connection itself. */
export type Completion = (connection: RespConnection, slot: PendingReply, writer: RespWriter) => void;

/** A place in the order of replies. Reused; `bytes`, else `completion`, else `spec` tells how to write it. */
export class PendingReply {
  waiting = false;
  request: Request | null = null;
  result: Result | null = null;
  spec: CommandSpec | null = null;
  /** Monotonic ms at which it was taken. */
  takenMs = 0;
  /** The client does not want to hear the answer (CLIENT REPLY). */
  muted = false;
  bytes: Uint8Array | null = null;
  completion: Completion | null = null;
  transaction: Transaction | null = null;

  clear(): void {
    this.waiting = false;
    this.request = null;
    this.result = null;
    this.spec = null;
    this.muted = false;
    this.bytes = null;
    this.completion = null;
    this.transaction = null;
  }
}

/** Replies in the order in which their requests came. Answers may come in any order. */
export class Pipeline {
  private slots: PendingReply[] = makeSlots(16);
  /** Tag of the oldest slot. Tags count up for ever; a slot's place is its tag modulo the (power of two) size. */
  head = 0;
  tail = 0;

  get length(): number {
    return this.tail - this.head;
  }

  /** The new slot's tag is `tail` before the call. */
  push(): PendingReply {
    if (this.length === this.slots.length) this.grow();
    const slot = this.at(this.tail);
    this.tail += 1;
    return slot;
  }

  at(tag: number): PendingReply {
    return this.slots[tag % this.slots.length];
  }

  first(): PendingReply {
    return this.at(this.head);
  }

  shift(): void {
    this.first().clear();
    this.head += 1;
  }

  private grow(): void {
    const grown = makeSlots(this.slots.length * 2);
    for (let tag = this.head; tag < this.tail; tag += 1) grown[tag % grown.length] = this.at(tag);
    this.slots = grown;
  }
}

function makeSlots(count: number): PendingReply[] {
  const slots: PendingReply[] = [];
  for (let i = 0; i < count; i += 1) slots.push(new PendingReply());
  return slots;
}
