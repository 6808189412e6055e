import type { Envelope } from "../core/outbox.js";

/** Messages that wait for their write sequence to become durable, in the order held. */
export class HeldSends<Message> {
  private queue: Envelope<Message>[] = [];
  private head = 0;

  get size(): number {
    return this.queue.length - this.head;
  }

  hold(envelope: Envelope<Message>): void {
    this.queue.push(envelope);
  }

  /** The next one that may leave now that everything through `storedSeq` is durable; null if there is none. */
  release(storedSeq: number): Envelope<Message> | null {
    if (this.head === this.queue.length) return null;
    const envelope = this.queue[this.head];
    if (envelope.afterSeq > storedSeq) return null;
    this.head += 1;
    if (this.head === this.queue.length) {
      this.queue.length = 0;
      this.head = 0;
    }
    return envelope;
  }
}
