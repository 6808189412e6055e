/**
 * One stored record: `shape u8 | version u53 [| deadlineMs u53] [| recordFlags u32] | value`. Bits 0 and 1 of the shape
 * tell which of the optional fields follow; the upper four are for the value's content tag, 0 being plain bytes.
 */
import { allocate } from "../core/bytes.js";
import { NO_DEADLINE } from "./command.js";
import { getU32, getU53, putU32, putU53 } from "./fixed-integers.js";

const HAS_DEADLINE = 1;
const HAS_FLAGS = 2;
const VERSION_AT = 1;
const OPTIONAL_AT = VERSION_AT + 8;

export function encodeRecord(version: number, deadlineMs: number, recordFlags: number, value: Uint8Array): Uint8Array {
  const shape = shapeOf(deadlineMs, recordFlags);
  const valueAt = valueOffset(shape);
  const record = allocate(valueAt + value.length);
  record[0] = shape;
  putU53(record, VERSION_AT, version);
  if (shape & HAS_DEADLINE) putU53(record, OPTIONAL_AT, deadlineMs);
  if (shape & HAS_FLAGS) putU32(record, valueAt - 4, recordFlags);
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
  return record[0] & HAS_FLAGS ? getU32(record, valueOffset(record[0]) - 4) : 0;
}

export function recordValueLength(record: Uint8Array): number {
  return record.length - valueOffset(record[0]);
}

/** A view: valid as long as the record's bytes are. */
export function recordValue(record: Uint8Array): Uint8Array {
  return record.subarray(valueOffset(record[0]));
}

function valueOffset(shape: number): number {
  return OPTIONAL_AT + (shape & HAS_DEADLINE ? 8 : 0) + (shape & HAS_FLAGS ? 4 : 0);
}
