import { CAPACITY_FIRST, type Change, ChangeHistory } from "./change-history.js";
import { Op } from "./command.js";
import type { OriginPlace } from "./origin-position.js";
import { Seen, type SeenOrigin } from "./seen.js";

/** Of which write a change is: its name, and the version that clients see. */
export interface OriginWrite extends Readonly<SeenOrigin> {
  readonly version: number;
}

/** A sequence for each origin, found at once. */
class OriginSequences {
  private readonly byNode = new Map<number, Map<number, number>>();

  get(node: number, incarnation: number): number | undefined {
    return this.byNode.get(node)?.get(incarnation);
  }

  set(node: number, incarnation: number, sequence: number): number {
    let lives = this.byNode.get(node);
    if (lives === undefined) {
      lives = new Map();
      this.byNode.set(node, lives);
    }
    lives.set(incarnation, sequence);
    return sequence;
  }
}

/**
 * The newest changes of a group without one order, as they took effect here, each origin's in the order of its sequences.
 * What orders them in this memory is their number alone: the version that {@link ChangeHistory} counts by is how many there
 * were through this one.
 */
export class OriginHistory extends ChangeHistory {
  /** Whoever has heard all that stands here can go on from what is kept. */
  floor: OriginPlace = { seen: new Seen(), expiredBeforeMs: 0 };
  private stamps = new Float64Array(this.capacity);
  private nodes = new Uint16Array(this.capacity);
  private incarnations = new Float64Array(this.capacity);
  private sequences = new Float64Array(this.capacity);
  /** Infinity for none. */
  private deadlines = new Float64Array(this.capacity);

  /** Begins anew: of what took effect until now, nobody hears here but who was at `floor` already. */
  begin(floor: OriginPlace): void {
    // A version that no change has: whoever had heard all until now has a gap all the same.
    this.restart(this.end + 1);
    this.resize(CAPACITY_FIRST);
    this.floor = floor;
  }

  /** `value`: what was put; null: there is none any more. `deadlineMs`: Infinity for none. */
  took(key: string, write: OriginWrite, deadlineMs: number, value: Uint8Array | null, cause: Op): void {
    this.add(key, this.end + 1, value, cause);
    const at = (this.end - 1) % this.capacity;
    this.stamps[at] = write.version;
    this.nodes[at] = write.node;
    this.incarnations[at] = write.incarnation;
    this.sequences[at] = write.sequence;
    this.deadlines[at] = deadlineMs;
    this.shrink();
  }

  protected override forgetOldest(): void {
    const at = this.first % this.capacity;
    const { floor } = this;
    // Of an expiry, too: it may be the first that was heard of its write.
    floor.seen.raise(this.nodes[at], this.incarnations[at], this.sequences[at]);
    if (this.isExpiry(at)) floor.expiredBeforeMs = Math.max(floor.expiredBeforeMs, this.deadlines[at] + 1);
    super.forgetOldest();
  }

  protected override resize(capacity: number): void {
    this.stamps = this.moved(this.stamps, new Float64Array(capacity), capacity);
    this.nodes = this.moved(this.nodes, new Uint16Array(capacity), capacity);
    this.incarnations = this.moved(this.incarnations, new Float64Array(capacity), capacity);
    this.sequences = this.moved(this.sequences, new Float64Array(capacity), capacity);
    this.deadlines = this.moved(this.deadlines, new Float64Array(capacity), capacity);
    super.resize(capacity);
  }

  override read(number: number, change: Change): void {
    super.read(number, change);
    change.version = this.stamps[number % this.capacity];
  }

  private isExpiry(at: number): boolean {
    return this.causeAt(at) === Op.advance;
  }

  /** Number of the first change that a watcher at that place has not heard of; -1 when not all of them are kept. */
  firstAfter({ seen, expiredBeforeMs }: OriginPlace): number {
    const { floor } = this;
    if (expiredBeforeMs < floor.expiredBeforeMs) return -1;
    for (const { node, incarnation, sequence } of floor.seen.origins) {
      if (seen.sequenceOf(node, incarnation) < sequence) return -1;
    }
    // Looked up once for each origin: whoever asks can name many.
    const heard = new OriginSequences();
    for (let number = this.first; number < this.end; number += 1) {
      const at = number % this.capacity;
      const [node, incarnation] = [this.nodes[at], this.incarnations[at]];
      const sequence = heard.get(node, incarnation) ?? heard.set(node, incarnation, seen.sequenceOf(node, incarnation));
      if (sequence < this.sequences[at]) return number;
      if (this.isExpiry(at) && this.deadlines[at] >= expiredBeforeMs) return number;
    }
    return this.end;
  }

  /**
   * What is told from this number on may be older than what the watcher has heard elsewhere: until all of it is told again,
   * it stands before all of it.
   */
  comeBefore(first: number, { seen }: OriginPlace): void {
    const lowered = new OriginSequences();
    for (let number = first; number < this.end; number += 1) {
      const at = number % this.capacity;
      const [node, incarnation, sequence] = [this.nodes[at], this.incarnations[at], this.sequences[at]];
      if ((lowered.get(node, incarnation) ?? Number.POSITIVE_INFINITY) <= sequence) continue;
      seen.lower(node, incarnation, sequence - 1);
      lowered.set(node, incarnation, sequence);
    }
  }

  /** The place of a watcher that has heard of this change as well. */
  pass(number: number, place: OriginPlace): void {
    const at = number % this.capacity;
    if (this.isExpiry(at)) return;
    place.seen.raise(this.nodes[at], this.incarnations[at], this.sequences[at]);
    // Of a value that came after its deadline, it has not heard that it has expired.
    place.expiredBeforeMs = Math.min(place.expiredBeforeMs, this.deadlines[at]);
  }
}
