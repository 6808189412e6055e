import { ByteReader, CodecError } from "../../core/bytes.js";
import { type GroupId, type LogRecord, RecordKind } from "../../core/machine.js";
import { GroupSpan } from "./batch.js";
import { type BatchHeader, HEADER_BYTES, readRecord } from "./format.js";
import type { LogPosition, RecoveredGroup } from "./outcome.js";
import type { SegmentScan } from "./segment-scan.js";
import { Segment, SegmentList } from "./segments.js";

/** Something acknowledged is gone: says what is wrong and where. Recovery makes an outcome of it. */
export class LogDamage extends Error {
  override readonly name = "LogDamage";
}

/** What the sound batches of a log add up to, read one after the other. */
export class LogMemory {
  readonly groups = new Map<GroupId, RecoveredGroup>();
  readonly segments = new SegmentList();
  nextSequence = 1;
  generation = 0;
  /** As the newest of the marks and batches says. */
  oldestSegment = 0;

  /** Throws {@link LogDamage} when the records do not parse. */
  takeBatch(scan: SegmentScan, batch: BatchHeader): void {
    if (this.segments.count === 0 || this.segments.current.number !== scan.number) {
      this.segments.push(new Segment(scan.number, scan.bytes.length));
    }
    const segment = this.segments.current;
    segment.opened = true;
    segment.used = batch.offset + batch.diskBytes;
    this.takeRecords(scan, batch);
    this.nextSequence = batch.lastSequence + 1;
    this.generation = batch.generation;
    this.oldestSegment = Math.max(this.oldestSegment, batch.oldestSegment);
  }

  private takeRecords(scan: SegmentScan, batch: BatchHeader): void {
    const start = batch.offset + HEADER_BYTES;
    const reader = new ByteReader(scan.bytes.subarray(start, start + batch.payloadBytes));
    const spans = new Map<GroupId, GroupSpan>();
    const take = (group: GroupId, record: LogRecord): void => {
      let span = spans.get(group);
      if (span === undefined) {
        span = new GroupSpan(group);
        spans.set(group, span);
      }
      span.note(record);
      this.remember(group, record);
    };
    let count = 0;
    try {
      while (reader.remaining > 0 && readRecord(reader, take)) count += 1;
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
    }
    if (reader.remaining > 0 || count !== batch.lastSequence - batch.firstSequence + 1) {
      throw new LogDamage(`${scan.name} at ${batch.offset}: the batch's checksum holds but its records do not parse`);
    }
    for (const span of spans.values()) this.segments.settle(span);
  }

  private remember(group: GroupId, record: LogRecord): void {
    let memory = this.groups.get(group);
    if (memory === undefined) {
      memory = { hardState: null, records: [] };
      this.groups.set(group, memory);
    }
    const records = memory.records;
    if (record.kind === RecordKind.hardState) {
      memory.hardState = record;
      return;
    }
    if (record.kind === RecordKind.reset) records.length = 0;
    while (records.length > 0 && isVoidedBy(records[records.length - 1], record)) records.pop();
    records.push(record);
  }

  /** Where the log goes on. */
  position(identity: number, generation: number, markSlot: number, spareReady: boolean): LogPosition {
    const hardStates = new Map<GroupId, LogRecord>();
    for (const [group, memory] of this.groups) {
      if (memory.hardState !== null) hardStates.set(group, memory.hardState);
    }
    const { nextSequence, segments } = this;
    return { identity, generation, markSlot, nextSequence, segments, spareReady, hardStates };
  }
}

function isVoidedBy(older: LogRecord, newer: LogRecord): boolean {
  return older.kind === RecordKind.entry && older.position >= newer.position;
}
