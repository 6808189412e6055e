import type { Gossip } from "./gossip.js";
import { encodeItems, type Item } from "./item.js";
import { type GossipMessage, MessageFlag, MessageKind } from "./message.js";
import type { Origin, Vector } from "./origins.js";
import type { Peer } from "./peers.js";
import type { Replica } from "./replica.js";
import type { Cover } from "./section.js";

/** What a replica can pass on to one that has sent its vectors. */
export interface VectorAnswer {
  readonly items: Item[];
  readonly covers: Cover[];
  more: boolean;
  treeNeeded: boolean;
}

/** Rows looked at for one answer. */
const ROWS_MAX = 10_000;

/** Answers vectors with exactly the writes that they lack, as far as these can be found by their sequence. */
export class VectorRepair {
  private readonly keys = new Set<string>();
  private bytes = 0;
  private rows = 0;
  private readonly replica: Replica;
  private readonly have: Vector;
  protected readonly taken: Vector;

  constructor(
    private readonly gossip: Gossip,
    private readonly peer: Peer,
    private readonly maxBytes: number,
  ) {
    this.replica = gossip.replica;
    this.have = peer.have;
    this.taken = peer.taken;
  }

  answer(): VectorAnswer {
    const answer: VectorAnswer = { items: [], covers: [], more: false, treeNeeded: false };
    for (const origin of this.replica.origins.all()) {
      const missing = this.missing(origin);
      for (let i = 0; i < missing.length && !answer.more; i += 2) {
        this.answerRange(origin, missing[i], Math.min(missing[i + 1], this.settled(origin)), answer);
      }
    }
    return answer;
  }

  /** What comes after it was pushed a moment ago, and is on its way. */
  private settled({ node, incarnation }: Origin): number {
    const isOwn = node === this.gossip.node && incarnation === this.gossip.hard.incarnation;
    return isOwn ? this.peer.settled : Number.POSITIVE_INFINITY;
  }

  /** Overridden by a canary. */
  protected missing(origin: Origin): number[] {
    return origin.have.minus(this.taken.find(origin.node, origin.incarnation));
  }

  private answerRange(origin: Origin, first: number, last: number, answer: VectorAnswer): void {
    let next = first;
    if (next > last) return;
    if (next <= origin.floor) {
      answer.treeNeeded = true;
      next = origin.floor + 1;
    }
    if (next > last) return;
    for (const { sequence, key } of this.replica.index.rows(origin, next, last, ROWS_MAX - this.rows + 1)) {
      if (this.bytes >= this.maxBytes || this.rows >= ROWS_MAX) {
        answer.more = true;
        return;
      }
      this.rows += 1;
      if (sequence !== next) answer.treeNeeded = true;
      next = sequence + 1;
      this.answerWrite(origin, sequence, key, answer);
    }
    if (next <= last) answer.treeNeeded = true;
  }

  /** The write itself, or, where another took its place, that one. */
  private answerWrite(origin: Origin, sequence: number, key: string, answer: VectorAnswer): void {
    const { node, incarnation } = origin;
    const stamp = this.replica.entries.current(key);
    const isItself =
      stamp !== null && stamp.node === node && stamp.incarnation === incarnation && stamp.sequence === sequence;
    if (stamp !== null && !isItself && !this.holds(this.have, stamp)) {
      // On its way to the asker's disk, or parked there: until it is in effect, nothing may count as covered by it.
      if (this.holds(this.taken, stamp)) return;
    }
    const isNews = stamp !== null && (isItself || !this.holds(this.have, stamp));
    if (isNews && !this.keys.has(key)) {
      this.keys.add(key);
      const item = this.replica.entries.item(key)!;
      item.dependencies = this.replica.dependenciesOf(key) ?? item.dependencies;
      answer.items.push(item);
      this.bytes += item.byteLength;
    }
    if (isItself) return;
    answer.covers.push({ node, incarnation, sequence, key });
    this.bytes += 24 + key.length;
  }

  private holds(vector: Vector, write: { node: number; incarnation: number; sequence: number }): boolean {
    return vector.find(write.node, write.incarnation)?.has(write.sequence) ?? false;
  }
}

/** Whether `vector` holds all that `other` does. */
export function includes(vector: Vector, other: Vector): boolean {
  return other.entries.every((it) => it.sequences.minus(vector.find(it.node, it.incarnation)).length === 0);
}

/** Whether `vector` names a write that is not taken here and is not being fetched. */
export function lacks(replica: Replica, vector: Vector): boolean {
  for (const { node, incarnation, sequences } of vector.entries) {
    const origin = replica.origins.find(node, incarnation);
    if (sequences.minus(origin === undefined ? null : origin.taken).length > 0) return true;
  }
  return false;
}

/** How many writes `vector` names that are not in effect here. */
export function missingFrom(replica: Replica, vector: Vector): number {
  let count = 0;
  for (const { node, incarnation, sequences } of vector.entries) {
    const missing = sequences.minus(replica.origins.find(node, incarnation)?.have ?? null);
    for (let i = 0; i < missing.length; i += 2) count += missing[i + 1] - missing[i] + 1;
  }
  return count;
}

export function fillAnswer(message: GossipMessage, answer: VectorAnswer, have: Vector): void {
  if (answer.items.length > 0) message.payload = encodeItems(answer.items);
  message.covers = answer.covers;
  message.have = have;
  if (answer.more) message.flags |= MessageFlag.more;
  if (answer.treeNeeded) message.flags |= MessageFlag.treeNeeded;
}

/** Whether a message is for this very life of its receiver: digests alone may be for any. */
export function isFor(message: GossipMessage, incarnation: number): boolean {
  return message.kind === MessageKind.digest || message.to === incarnation;
}

/** Through which sequence every member holds the origin's writes, as far as is known here. */
export function stableThrough(origin: Origin, peers: Iterable<Peer>): number {
  let stable = origin.have.contiguous;
  for (const peer of peers) {
    if (!peer.counts) return 0;
    stable = Math.min(stable, peer.have.find(origin.node, origin.incarnation)?.contiguous ?? 0);
  }
  return stable;
}
