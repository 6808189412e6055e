/** The bytes of the log: see docs/log-format.md. All integers are little-endian. */
import { assert } from "../../core/assert.js";
import { type ByteReader, type ByteWriter, copyBytes, crc32 } from "../../core/bytes.js";
import { type GroupId, LogRecord, RecordKind } from "../../core/machine.js";

export const LOG_FORMAT_VERSION = 1;

/**
 * Every batch begins on a sector of its own. A crash may leave anything in the sectors that were being written: so no
 * sector that holds a durable batch is ever written again for the sake of a newer one.
 */
export const SECTOR_BYTES = 512;

/** "GLOG" and "GMRK". */
const BATCH_MAGIC = 0x474f4c47;
const MARK_MAGIC = 0x4b524d47;

export const HEADER_BYTES = 68;
const HEADER_CHECKSUM_AT = HEADER_BYTES - 4;

/** Kind, group, epoch, position and length before a record's payload. */
export const RECORD_OVERHEAD_BYTES = 1 + 4 + 8 + 8 + 4;

export const MARKS_NAME = "log-marks";
/** Exists while a damaged log is being set aside: what remains of that log is not to be believed. */
export const LOST_NAME = "log-lost";
/** Before the name of each file of the first damaged log; later ones have a number behind it, from 2. */
export const SET_ASIDE_PREFIX = "lost-";
export const SET_ASIDE_NAME = /^lost-(?:(\d+)-)?log-/;

/** The two slots lie in pages of their own: one write cannot touch both. */
const MARK_SLOT_BYTES = 4096;
export const MARKS_FILE_BYTES = 2 * MARK_SLOT_BYTES;
const MARK_BYTES = 40;

const GROUP_MAX = 0xffffffff;
const SEGMENT_NAME = /^log-(\d{10})$/;

export function segmentName(segment: number): string {
  return `log-${String(segment).padStart(10, "0")}`;
}

/** The number of the segment of this name; 0 if it names something else. */
export function segmentOfName(name: string): number {
  const match = SEGMENT_NAME.exec(name);
  return match === null ? 0 : Number(match[1]);
}

export function alignToSector(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
}

/** A whole and undamaged piece that a newer build wrote. */
export class UnsupportedFormat extends Error {
  override readonly name = "UnsupportedFormat";
}

export class BatchHeader {
  constructor(
    /** Random name of this log: bytes of another log, or of one stored as a client's value, are never taken for its own. */
    readonly identity: number,
    /** Raised at every start of the node. */
    readonly generation: number,
    readonly segment: number,
    /** Where in the segment the batch stands. */
    readonly offset: number,
    readonly payloadBytes: number,
    /** Sequences of the batch's records in the log's own count, which begins with 1. */
    readonly firstSequence: number,
    readonly lastSequence: number,
    /** Every record up to here was durable before this batch was written. */
    readonly durableThrough: number,
    /** Segments before this one are no longer needed. */
    readonly oldestSegment: number,
  ) {}

  /** Bytes of the whole batch in its segment. */
  get diskBytes(): number {
    return alignToSector(HEADER_BYTES + this.payloadBytes);
  }
}

/**
 * Completes a batch: the writer holds {@link HEADER_BYTES} of anything, then the payload. Fills in the header, and
 * zeros up to the end of the sector.
 */
export function sealBatch(writer: ByteWriter, header: BatchHeader): void {
  const end = writer.length;
  assert(end === HEADER_BYTES + header.payloadBytes, "log: the header states another length than the payload has");
  writer.reserve(header.diskBytes - end);
  writer.bytes.fill(0, end, header.diskBytes);
  const payloadChecksum = crc32(writer.bytes.subarray(HEADER_BYTES, end));
  writer.reset();
  writer.u32(BATCH_MAGIC);
  writer.u16(LOG_FORMAT_VERSION);
  writer.u16(HEADER_BYTES);
  writer.u53(header.identity);
  writer.u32(header.generation);
  writer.u32(header.segment);
  writer.u32(header.offset);
  writer.u32(header.payloadBytes);
  writer.u53(header.firstSequence);
  writer.u53(header.lastSequence);
  writer.u53(header.durableThrough);
  writer.u32(header.oldestSegment);
  writer.u32(payloadChecksum);
  writer.u32(crc32(writer.bytes.subarray(0, HEADER_CHECKSUM_AT)));
  writer.length = header.diskBytes;
}

/**
 * Reads and checks the header at the reader's position, but not the payload. Answers what is wrong with it in words.
 * Throws {@link UnsupportedFormat} when it is sound, of this log, and of another version.
 */
export function readHeader(reader: ByteReader, identity: number): BatchHeader | string {
  const start = reader.position;
  if (reader.remaining < HEADER_BYTES) return "the file ends";
  const magic = reader.u32();
  if (magic === 0) return "zeros where a batch should begin";
  if (magic !== BATCH_MAGIC) return "no batch begins here (wrong magic)";
  const version = reader.u16();
  const headerBytes = reader.u16();
  // Magic, version, length, identity and the checksum at the header's end stay where they are in every version.
  if (!checksumHolds(reader, start, headerBytes)) return "the header's checksum does not match";
  reader.position = start + 8;
  if (!isIdentity(reader, identity)) return "the batch belongs to another log";
  if (version !== LOG_FORMAT_VERSION) throw new UnsupportedFormat(`log format ${version}`);
  return new BatchHeader(
    identity,
    reader.u32(),
    reader.u32(),
    reader.u32(),
    reader.u32(),
    reader.u53(),
    reader.u53(),
    reader.u53(),
    reader.u32(),
  );
}

/** Compares without a claim on what stands there: a client may have stored it, checksum and all. */
function isIdentity(reader: ByteReader, identity: number): boolean {
  const low = reader.u32();
  return low + reader.u32() * 2 ** 32 === identity;
}

function checksumHolds(reader: ByteReader, start: number, length: number): boolean {
  if (length < 20 || length > SECTOR_BYTES || start + length > reader.bytes.length) return false;
  reader.position = start + length - 4;
  return reader.u32() === crc32(reader.bytes.subarray(start, start + length - 4));
}

/** Whether the payload behind the header matches the checksum in it. */
export function payloadHolds(bytes: Uint8Array, header: BatchHeader): boolean {
  const start = header.offset + HEADER_BYTES;
  const end = start + header.payloadBytes;
  if (end > bytes.length) return false;
  const at = header.offset + HEADER_CHECKSUM_AT - 4;
  const stated = (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
  return crc32(bytes.subarray(start, end)) === stated;
}

export function writeRecord(writer: ByteWriter, group: GroupId, record: LogRecord): void {
  assert(group >= 0 && group <= GROUP_MAX, "log: a group's number does not fit 32 bits");
  writer.u8(record.kind);
  writer.u32(group);
  writer.u53(record.epoch);
  writer.u53(record.position);
  writer.blob(record.payload);
}

/** Reads the next record into `take`, its payload copied. Answers false when it is none. Throws CodecError at the end. */
export function readRecord(reader: ByteReader, take: (group: GroupId, record: LogRecord) => void): boolean {
  const kind = reader.u8();
  if (kind !== RecordKind.entry && kind !== RecordKind.hardState && kind !== RecordKind.reset) return false;
  const group = reader.u32();
  take(group, new LogRecord(kind, reader.u53(), reader.u53(), copyBytes(reader.blob())));
  return true;
}

/** "Everything through this record is durable": outlives a killed process, may be lost with the power. */
export class Mark {
  constructor(
    readonly identity: number,
    readonly generation: number,
    readonly durableThrough: number,
    readonly oldestSegment: number,
  ) {}

  isNewerThan(other: Mark): boolean {
    if (this.generation !== other.generation) return this.generation > other.generation;
    if (this.durableThrough !== other.durableThrough) return this.durableThrough > other.durableThrough;
    return this.oldestSegment > other.oldestSegment;
  }
}

/** Offset of slot 0 or 1. */
export function markOffset(slot: number): number {
  return slot * MARK_SLOT_BYTES;
}

/** Fills the writer with one whole sector. */
export function writeMark(writer: ByteWriter, mark: Mark): void {
  writer.reset();
  writer.u32(MARK_MAGIC);
  writer.u16(LOG_FORMAT_VERSION);
  writer.u16(MARK_BYTES);
  writer.u53(mark.identity);
  writer.u32(mark.generation);
  writer.u32(mark.oldestSegment);
  writer.u53(mark.durableThrough);
  writer.u32(0);
  writer.u32(crc32(writer.written()));
  writer.reserve(SECTOR_BYTES - writer.length);
  writer.bytes.fill(0, writer.length, SECTOR_BYTES);
  writer.length = SECTOR_BYTES;
}

/** The mark of the slot; null when there is none or it is damaged. Throws {@link UnsupportedFormat}. */
export function readMark(reader: ByteReader, slot: number): Mark | null {
  const start = markOffset(slot);
  if (start + SECTOR_BYTES > reader.bytes.length) return null;
  reader.position = start;
  if (reader.u32() !== MARK_MAGIC) return null;
  const version = reader.u16();
  const markBytes = reader.u16();
  if (!checksumHolds(reader, start, markBytes)) return null;
  if (version !== LOG_FORMAT_VERSION) throw new UnsupportedFormat(`log format ${version}`);
  reader.position = start + 8;
  const identity = reader.u53();
  const generation = reader.u32();
  const oldestSegment = reader.u32();
  return new Mark(identity, generation, reader.u53(), oldestSegment);
}
