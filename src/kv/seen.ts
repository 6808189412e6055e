/**
 * What a session has seen of a group without an order: of each origin (one life of one node) all writes through a
 * sequence, and the latest clock of a write. The counterpart of a position in a group with an order.
 */
export class SeenOrigin {
  constructor(
    readonly node: number,
    readonly incarnation: number,
    /** All of the origin's writes through here. */
    public sequence: number,
  ) {}
}

export class Seen {
  /** In no order; a handful. */
  readonly origins: SeenOrigin[] = [];
  /** Hybrid time: no write seen has a later one. */
  ms = 0;
  logical = 0;

  get isEmpty(): boolean {
    return this.origins.length === 0 && this.ms === 0;
  }

  sequenceOf(node: number, incarnation: number): number {
    const { origins } = this;
    for (let i = 0; i < origins.length; i += 1) {
      if (origins[i].node === node && origins[i].incarnation === incarnation) return origins[i].sequence;
    }
    return 0;
  }

  raise(node: number, incarnation: number, sequence: number): void {
    const { origins } = this;
    for (let i = 0; i < origins.length; i += 1) {
      const origin = origins[i];
      if (origin.node !== node || origin.incarnation !== incarnation) continue;
      if (sequence > origin.sequence) origin.sequence = sequence;
      return;
    }
    origins.push(new SeenOrigin(node, incarnation, sequence));
  }

  /** No more than through that sequence. */
  lower(node: number, incarnation: number, sequence: number): void {
    for (const origin of this.origins) {
      if (origin.node === node && origin.incarnation === incarnation && origin.sequence > sequence) {
        origin.sequence = sequence;
      }
    }
  }

  raiseClock(ms: number, logical: number): void {
    if (ms < this.ms || (ms === this.ms && logical <= this.logical)) return;
    this.ms = ms;
    this.logical = logical;
  }

  merge(other: Seen): void {
    for (const { node, incarnation, sequence } of other.origins) this.raise(node, incarnation, sequence);
    this.raiseClock(other.ms, other.logical);
  }
}
