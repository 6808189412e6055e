/**
 * Which sequences of one origin are held: all through `contiguous`, and above it some ranges, the exceptions. Sequences
 * begin at 1.
 */
export class SequenceSet {
  contiguous = 0;
  /** Pairs (first, last), ascending, never touching each other nor `contiguous`; flattened. */
  readonly ranges: number[] = [];

  get rangeCount(): number {
    return this.ranges.length >> 1;
  }

  get highest(): number {
    return this.ranges.length === 0 ? this.contiguous : this.ranges[this.ranges.length - 1];
  }

  has(sequence: number): boolean {
    if (sequence <= this.contiguous) return true;
    const { ranges } = this;
    for (let i = 0; i < ranges.length; i += 2) {
      if (sequence < ranges[i]) return false;
      if (sequence <= ranges[i + 1]) return true;
    }
    return false;
  }

  /** Whether adding it would make one exception more. */
  needsRange(sequence: number): boolean {
    if (sequence === this.contiguous + 1 || this.has(sequence)) return false;
    return !this.has(sequence - 1) && !this.has(sequence + 1);
  }

  add(sequence: number): void {
    this.addRange(sequence, sequence);
  }

  addRange(first: number, last: number): void {
    if (last <= this.contiguous) return;
    const { ranges } = this;
    if (first <= this.contiguous + 1) {
      this.contiguous = last;
      this.absorb();
      return;
    }
    let at = 0;
    while (at < ranges.length && ranges[at + 1] < first - 1) at += 2;
    let from = first;
    let to = last;
    let end = at;
    while (end < ranges.length && ranges[end] <= last + 1) {
      from = Math.min(from, ranges[end]);
      to = Math.max(to, ranges[end + 1]);
      end += 2;
    }
    ranges.splice(at, end - at, from, to);
  }

  /** Ranges that `contiguous` has reached are exceptions no more. */
  private absorb(): void {
    const { ranges } = this;
    let done = 0;
    while (done < ranges.length && ranges[done] <= this.contiguous + 1) {
      this.contiguous = Math.max(this.contiguous, ranges[done + 1]);
      done += 2;
    }
    if (done > 0) ranges.splice(0, done);
  }

  merge(other: SequenceSet): void {
    this.addRange(1, other.contiguous);
    const { ranges } = other;
    for (let i = 0; i < ranges.length; i += 2) this.addRange(ranges[i], ranges[i + 1]);
  }

  copy(): SequenceSet {
    const copy = new SequenceSet();
    copy.contiguous = this.contiguous;
    copy.ranges.push(...this.ranges);
    return copy;
  }

  equals(other: SequenceSet): boolean {
    if (this.contiguous !== other.contiguous || this.ranges.length !== other.ranges.length) return false;
    for (let i = 0; i < this.ranges.length; i += 1) if (this.ranges[i] !== other.ranges[i]) return false;
    return true;
  }

  /** Ranges (first, last) that are here and not in `other` (null: nothing is), ascending; flattened. */
  minus(other: SequenceSet | null): number[] {
    const out: number[] = [];
    if (this.contiguous > 0) subtract(1, this.contiguous, other, out);
    const { ranges } = this;
    for (let i = 0; i < ranges.length; i += 2) subtract(ranges[i], ranges[i + 1], other, out);
    return out;
  }
}

function subtract(first: number, last: number, other: SequenceSet | null, out: number[]): void {
  let from = first;
  if (other !== null) {
    from = Math.max(from, other.contiguous + 1);
    const { ranges } = other;
    for (let i = 0; i < ranges.length && from <= last; i += 2) {
      if (ranges[i + 1] < from) continue;
      if (ranges[i] > last) break;
      if (ranges[i] > from) out.push(from, ranges[i] - 1);
      from = ranges[i + 1] + 1;
    }
  }
  if (from <= last) out.push(from, last);
}
