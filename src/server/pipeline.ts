import type { Session } from "../kv/backend.js";
import type { Request } from "../kv/request.js";
import type { Result } from "../kv/result.js";

/** A place in the order of replies. Reused. Each wire adds what tells it how to write the answer of the store. */
export class PendingReply {
  waiting = false;
  request: Request | null = null;
  result: Result | null = null;
  /** Monotonic ms at which its request was taken. */
  takenMs = 0;
  /** The client does not want to hear the reply. */
  muted = false;
  /** Of a call, which stands by itself; null: the connection's. */
  session: Session | null = null;
  /** The reply itself, if it is no answer of the store. */
  bytes: Uint8Array | null = null;

  clear(): void {
    this.waiting = false;
    this.request = null;
    this.result = null;
    this.muted = false;
    this.session = null;
    this.bytes = null;
  }
}

/** Replies in the order in which their requests came. Answers may come in any order. */
export class Pipeline<Slot extends PendingReply> {
  private slots: Slot[];
  /** Tag of the oldest slot. Tags count up for ever; a slot's place is its tag modulo the (power of two) size. */
  head = 0;
  tail = 0;

  constructor(private readonly make: () => Slot) {
    this.slots = this.makeSlots(16);
  }

  get length(): number {
    return this.tail - this.head;
  }

  /** The new slot's tag is `tail` before the call. */
  push(): Slot {
    if (this.length === this.slots.length) this.grow();
    const slot = this.at(this.tail);
    this.tail += 1;
    return slot;
  }

  at(tag: number): Slot {
    return this.slots[tag % this.slots.length];
  }

  first(): Slot {
    return this.at(this.head);
  }

  shift(): void {
    this.first().clear();
    this.head += 1;
  }

  private grow(): void {
    const grown = this.makeSlots(this.slots.length * 2);
    for (let tag = this.head; tag < this.tail; tag += 1) grown[tag % grown.length] = this.at(tag);
    this.slots = grown;
  }

  private makeSlots(count: number): Slot[] {
    const slots: Slot[] = [];
    for (let i = 0; i < count; i += 1) slots.push(this.make());
    return slots;
  }
}
