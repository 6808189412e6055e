import { assert } from "../../core/assert.js";
import { ByteWriter } from "../../core/bytes.js";
import { type LogRecord, RecordKind } from "../../core/machine.js";
import type { Outbox } from "../../core/outbox.js";
import type { Request } from "../../kv/request.js";
import type { Result } from "../../kv/result.js";
import type { GossipMessage } from "./message.js";
import { type Section, writeSection } from "./section.js";

/** A request of this node's own, and how many writes it became. */
export interface OwnWrite {
  readonly request: Request;
  readonly count: number;
  /** Counted against what may be pending. */
  readonly bytes: number;
}

/** A section on its way to the disk. */
export interface PendingSection {
  readonly section: Section;
  /** Of this node's own writes: who asked for them, in their order. */
  readonly own: readonly OwnWrite[] | null;
}

export interface PendingRecord {
  readonly seq: number;
  readonly position: number;
  readonly sections: readonly PendingSection[];
}

/** Sections of a turn become records; a record takes effect when it is durable. */
export class SectionLog {
  lastPosition = 0;
  private readonly writer = new ByteWriter(16_384);
  /** Sections so far: tells whether something was added. */
  sectionCount = 0;
  private sections: PendingSection[] = [];
  private pending: PendingRecord[] = [];

  constructor(
    private readonly outbox: Outbox<GossipMessage, Request, Result>,
    private readonly maxRecordBytes: number,
  ) {}

  get isIdle(): boolean {
    return this.pending.length === 0 && this.sections.length === 0;
  }

  add(section: Section, own: readonly OwnWrite[] | null = null): void {
    const before = this.writer.length;
    writeSection(section, this.writer);
    if (before > 0 && this.writer.length > this.maxRecordBytes) {
      // Too much for one record: what stood there before goes by itself.
      this.writer.length = before;
      this.finish();
      writeSection(section, this.writer);
    }
    this.sections.push({ section, own });
    this.sectionCount += 1;
  }

  /** Of the record that has, or will have, the newest section. */
  get newestPosition(): number {
    return this.sections.length === 0 ? this.lastPosition : this.lastPosition + 1;
  }

  /** What collected becomes a record. */
  finish(): void {
    if (this.sections.length === 0) return;
    this.lastPosition += 1;
    const seq = this.outbox.append(RecordKind.entry, 1, this.lastPosition, this.writer.copy());
    this.pending.push({ seq, position: this.lastPosition, sections: this.sections });
    this.sections = [];
    this.writer.reset();
  }

  /** The next record that is durable now that `seq` is; null if there is none. */
  takeDurable(seq: number): PendingRecord | null {
    if (this.pending.length === 0 || this.pending[0].seq > seq) return null;
    return this.pending.shift()!;
  }

  /** Of the records not durable yet, and of what is no record yet: the requests that wait. */
  *waiting(): IterableIterator<OwnWrite> {
    for (const { sections } of this.pending) for (const { own } of sections) if (own !== null) yield* own;
    for (const { own } of this.sections) if (own !== null) yield* own;
  }

  /** Sections on their way to the disk. */
  *notInEffect(): IterableIterator<Section> {
    for (const { sections } of this.pending) for (const { section } of sections) yield section;
    for (const { section } of this.sections) yield section;
  }

  /** Checks that a recovered record is the next one. */
  restored(record: LogRecord): void {
    assert(record.position === this.lastPosition + 1, "gossip: a record out of its place");
    this.lastPosition = record.position;
  }
}
