/**
 * One stored record: `shape u8 | version u53 [| deadlineMs u53] [| recordFlags u32] [| stamp] | value`. Bits 0 to 2 of the
 * shape tell which of the optional fields follow; the upper four are for the value's content tag, 0 being plain bytes. The
 * stamp is of a fixed length and a protocol's own, where versions alone do not order the writes.
 */
import { allocate } from "../core/bytes.js";
import { NO_DEADLINE } from "./command.js";
import { getU32, getU53, putU32, putU53 } from "./fixed-integers.js";

const HAS_DEADLINE = 1;
const HAS_FLAGS = 2;
const HAS_STAMP = 4;
export const RECORD_STAMP_BYTES = 40;
const VERSION_AT = 1;
const OPTIONAL_AT = VERSION_AT + 8;

export function encodeRecord(version: number, deadlineMs: number, recordFlags: number, value: Uint8Array): Uint8Array {
  return encode(0, version, deadlineMs, recordFlags, value);
}

/** With room for a stamp, which the caller writes at {@link recordStampAt}. */
export function encodeStampedRecord(
  version: number,
  deadlineMs: number,
  recordFlags: number,
  value: Uint8Array,
): Uint8Array {
  return encode(HAS_STAMP, version, deadlineMs, recordFlags, value);
}

function encode(
  stamped: number,
  version: number,
  deadlineMs: number,
  recordFlags: number,
  value: Uint8Array,
): Uint8Array {
  const shape = stamped | shapeOf(deadlineMs, recordFlags);
  const valueAt = valueOffset(shape);
  const record = allocate(valueAt + value.length);
  record[0] = shape;
  putU53(record, VERSION_AT, version);
  if (shape & HAS_DEADLINE) putU53(record, OPTIONAL_AT, deadlineMs);
  if (shape & HAS_FLAGS) putU32(record, flagsOffset(shape), recordFlags);
  record.set(value, valueAt);
  return record;
}

/** Bytes of the record that {@link encodeRecord} makes. */
export function recordLength(deadlineMs: number, recordFlags: number, valueLength: number): number {
  return valueOffset(shapeOf(deadlineMs, recordFlags)) + valueLength;
}

function shapeOf(deadlineMs: number, recordFlags: number): number {
  return (deadlineMs === NO_DEADLINE ? 0 : HAS_DEADLINE) | (recordFlags === 0 ? 0 : HAS_FLAGS);
}

export function recordVersion(record: Uint8Array): number {
  return getU53(record, VERSION_AT);
}

/** Replicated ms, or {@link NO_DEADLINE}. */
export function recordDeadlineMs(record: Uint8Array): number {
  return record[0] & HAS_DEADLINE ? getU53(record, OPTIONAL_AT) : NO_DEADLINE;
}

export function recordFlags(record: Uint8Array): number {
  return record[0] & HAS_FLAGS ? getU32(record, flagsOffset(record[0])) : 0;
}

export function recordValueLength(record: Uint8Array): number {
  return record.length - valueOffset(record[0]);
}

/** A view: valid as long as the record's bytes are. */
export function recordValue(record: Uint8Array): Uint8Array {
  return record.subarray(valueOffset(record[0]));
}

/** Where the stamp of a stamped record begins. */
export function recordStampAt(record: Uint8Array): number {
  return valueOffset(record[0]) - RECORD_STAMP_BYTES;
}

function flagsOffset(shape: number): number {
  return OPTIONAL_AT + (shape & HAS_DEADLINE ? 8 : 0);
}

function valueOffset(shape: number): number {
  return flagsOffset(shape) + (shape & HAS_FLAGS ? 4 : 0) + (shape & HAS_STAMP ? RECORD_STAMP_BYTES : 0);
}
