import type { GroupId } from "../../core/machine.js";
import type { GroupSpan } from "./batch.js";

/** One file of the log. */
export class Segment {
  /** Bytes that durable batches, or the one being written, take from its start. */
  used = 0;
  /** Its first batch, with the repeated hard states, is durable. */
  opened = false;
  /** Highest position of each group here that is not void; a segment goes when all of them are cut. */
  readonly ends = new Map<GroupId, number>();

  constructor(
    readonly number: number,
    readonly bytes: number,
  ) {}

  get room(): number {
    return this.bytes - this.used;
  }
}

/** The log's segments, oldest first, and which of them are still needed. */
export class SegmentList {
  private readonly segments: Segment[] = [];
  /** Where each group's log ends. */
  private readonly ends = new Map<GroupId, number>();
  private readonly cuts = new Map<GroupId, number>();

  push(segment: Segment): void {
    this.segments.push(segment);
  }

  /** Segments with smaller numbers are no longer needed. */
  dropBefore(number: number): void {
    while (this.segments.length > 0 && this.segments[0].number < number) this.segments.shift();
  }

  /** The one that takes batches. */
  get current(): Segment {
    return this.segments[this.segments.length - 1];
  }

  get oldest(): Segment {
    return this.segments[0];
  }

  get count(): number {
    return this.segments.length;
  }

  /** A span of a batch in the current segment has become durable. Answers whether it made earlier entries void. */
  settle(span: GroupSpan): boolean {
    if (span.end < 0) return false;
    const group = span.group;
    const end = this.ends.get(group);
    const voids = end !== undefined && span.voidsFrom <= end;
    if (voids) this.voidFrom(group, span.voidsFrom);
    this.ends.set(group, span.end);
    this.current.ends.set(group, span.end);
    return voids;
  }

  private voidFrom(group: GroupId, position: number): void {
    for (const segment of this.segments) {
      const end = segment.ends.get(group);
      if (end === undefined || end < position) continue;
      // Positions begin at 1.
      if (position <= 1) segment.ends.delete(group);
      else segment.ends.set(group, position - 1);
    }
  }

  /** The group no longer needs its entries through `position`. */
  cut(group: GroupId, position: number): void {
    const before = this.cuts.get(group);
    if (before === undefined || before < position) this.cuts.set(group, position);
  }

  /** The group is gone. */
  forget(group: GroupId): void {
    this.ends.delete(group);
    this.cuts.delete(group);
    for (const segment of this.segments) segment.ends.delete(group);
  }

  /** Takes off the list what nobody needs, oldest first: never the current one, and nothing while that is not durable. */
  takeUnneeded(): Segment[] {
    const unneeded: Segment[] = [];
    if (!this.current.opened) return unneeded;
    while (this.segments.length > 1 && this.groupsHolding(this.segments[0]).length === 0) {
      unneeded.push(this.segments[0]);
      this.segments.shift();
    }
    return unneeded;
  }

  /** The groups whose entries keep the segment from being deleted. */
  groupsHolding(segment: Segment): GroupId[] {
    const groups: GroupId[] = [];
    for (const [group, end] of segment.ends) {
      const cut = this.cuts.get(group);
      if (cut === undefined || cut < end) groups.push(group);
    }
    return groups;
  }
}
