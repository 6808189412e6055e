import { assert } from "../../core/assert.js";
import { ByteWriter, copyBytes } from "../../core/bytes.js";
import { type GroupId, LogRecord, RecordKind } from "../../core/machine.js";
import { alignToSector, BatchHeader, HEADER_BYTES, sealBatch, writeRecord } from "./format.js";

/** What one batch does to one group's part of the log. */
export class GroupSpan {
  /** Highest write sequence of the group's machine in the batch. */
  seq = 0;
  /** The batch's records void everything of the group from this position on that stood in the log before. */
  voidsFrom = Number.POSITIVE_INFINITY;
  /** Where the group's log ends after the batch; −1: the batch holds neither an entry nor a reset of it. */
  end = -1;
  /** The batch's newest hard state. */
  hardState: LogRecord | null = null;

  constructor(readonly group: GroupId) {}

  /** `record` must be the span's own if it is a hard state: it is kept. */
  note(record: LogRecord): void {
    if (record.kind === RecordKind.hardState) {
      this.hardState = record;
      return;
    }
    const voidsFrom = record.kind === RecordKind.reset ? 0 : record.position;
    if (voidsFrom < this.voidsFrom) this.voidsFrom = voidsFrom;
    this.end = record.position;
  }
}

/** The records that share one write and one sync. Reused: `clear` keeps the buffer. */
export class Batch {
  private readonly writer = new ByteWriter(64 * 1024);
  private spans = new Map<GroupId, GroupSpan>();
  private lastSpan: GroupSpan | null = null;
  recordCount = 0;

  constructor() {
    this.clear();
  }

  clear(): void {
    this.writer.reset();
    // Room for the header, which is known last.
    this.writer.reserve(HEADER_BYTES);
    this.writer.length = HEADER_BYTES;
    this.spans.clear();
    this.lastSpan = null;
    this.recordCount = 0;
  }

  get payloadBytes(): number {
    return this.writer.length - HEADER_BYTES;
  }

  get diskBytes(): number {
    return alignToSector(this.writer.length);
  }

  /** Copies the record. */
  add(group: GroupId, record: LogRecord, seq: number): void {
    const span = this.spanOf(group);
    assert(seq > span.seq, "log: a group's write sequences do not rise");
    span.seq = seq;
    if (record.kind === RecordKind.hardState) {
      span.note(new LogRecord(record.kind, record.epoch, record.position, copyBytes(record.payload)));
    } else {
      span.note(record);
    }
    this.encode(group, record);
  }

  /** Repeats a group's hard state, unless the batch has a newer one. */
  repeat(group: GroupId, hardState: LogRecord): void {
    const span = this.spans.get(group);
    if (span === undefined || span.hardState === null) this.encode(group, hardState);
  }

  private encode(group: GroupId, record: LogRecord): void {
    writeRecord(this.writer, group, record);
    this.recordCount += 1;
  }

  private spanOf(group: GroupId): GroupSpan {
    const last = this.lastSpan;
    if (last !== null && last.group === group) return last;
    let span = this.spans.get(group);
    if (span === undefined) {
      span = new GroupSpan(group);
      this.spans.set(group, span);
    }
    this.lastSpan = span;
    return span;
  }

  groupSpans(): Iterable<GroupSpan> {
    return this.spans.values();
  }

  forget(group: GroupId): void {
    this.spans.delete(group);
    this.lastSpan = null;
  }

  /** Completes the bytes; valid until `clear`. */
  seal(
    identity: number,
    generation: number,
    segment: number,
    offset: number,
    firstSequence: number,
    syncedThrough: number,
    oldest: number,
  ): Uint8Array {
    assert(this.recordCount > 0, "log: a batch without records");
    const header = new BatchHeader(
      identity,
      generation,
      segment,
      offset,
      this.payloadBytes,
      firstSequence,
      firstSequence + this.recordCount - 1,
      syncedThrough,
      oldest,
    );
    sealBatch(this.writer, header);
    return this.writer.written();
  }
}
