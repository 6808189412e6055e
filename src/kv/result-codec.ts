/**
 * Results as bytes, for the session table and for answers between nodes: kind (u8), one byte that tells which fields
 * differ from a new Result's, then those fields.
 */
import { type ByteReader, type ByteWriter, CodecError } from "../core/bytes.js";
import { ERRORS, type ErrorCode, KvError } from "./errors.js";
import { Result, ResultKind } from "./result.js";

const HAS_VALUE = 1;
const HAS_VERSION = 2;
const HAS_RECORD_FLAGS = 4;
const HAS_INTEGER = 8;
const HAS_ITEMS = 16;
const HAS_KEY = 32;
const HAS_DEADLINE = 64;
const HAS_ERROR = 128;

const KIND_MAX = ResultKind.error;
/** An atomic's list may hold the list of a child, which holds plain results. */
const DEPTH_MAX = 3;

export function encodeResult(result: Result, writer: ByteWriter): void {
  let present = 0;
  if (result.value.length > 0) present |= HAS_VALUE;
  if (result.version !== 0) present |= HAS_VERSION;
  if (result.recordFlags !== 0) present |= HAS_RECORD_FLAGS;
  if (result.integer !== 0n) present |= HAS_INTEGER;
  if (result.items !== null) present |= HAS_ITEMS;
  if (result.key !== "") present |= HAS_KEY;
  if (result.deadlineMs !== -1) present |= HAS_DEADLINE;
  if (result.error !== null) present |= HAS_ERROR;
  writer.u8(result.kind);
  writer.u8(present);
  if (present & HAS_VALUE) writer.blob(result.value);
  if (present & HAS_VERSION) writer.u53(result.version);
  if (present & HAS_RECORD_FLAGS) writer.u32(result.recordFlags);
  if (present & HAS_INTEGER) writer.i64(result.integer);
  if (result.items !== null) {
    writer.u32(result.items.length);
    for (let i = 0; i < result.items.length; i += 1) encodeResult(result.items[i], writer);
  }
  if (present & HAS_KEY) writer.latin1(result.key);
  if (present & HAS_DEADLINE) writer.f64(result.deadlineMs);
  if (result.error !== null) {
    writer.latin1(result.error.code);
    writer.latin1(result.error.message);
  }
}

/** Reads one result. Its `value`s are views of the reader's bytes. Bad bytes: {@link CodecError}. */
export function decodeResult(reader: ByteReader): Result {
  return decodeNested(reader, DEPTH_MAX);
}

function decodeNested(reader: ByteReader, depth: number): Result {
  const kind = reader.u8();
  if (kind === 0 || kind > KIND_MAX) throw new CodecError("unknown kind of result");
  const result = new Result(kind as ResultKind);
  const present = reader.u8();
  if (present & HAS_VALUE) result.value = reader.blob();
  if (present & HAS_VERSION) result.version = reader.u53();
  if (present & HAS_RECORD_FLAGS) result.recordFlags = reader.u32();
  if (present & HAS_INTEGER) result.integer = reader.i64();
  if (present & HAS_ITEMS) result.items = decodeItems(reader, depth - 1);
  if (present & HAS_KEY) result.key = reader.latin1();
  if (present & HAS_DEADLINE) {
    result.deadlineMs = reader.f64();
    if (!Number.isSafeInteger(result.deadlineMs)) throw new CodecError("deadline is not a safe integer");
  }
  if (present & HAS_ERROR) result.error = decodeError(reader);
  if ((result.kind === ResultKind.error) !== (result.error !== null)) throw new CodecError("error without its kind");
  if (result.kind === ResultKind.list && result.items === null) throw new CodecError("list without items");
  return result;
}

function decodeItems(reader: ByteReader, depth: number): Result[] {
  if (depth === 0) throw new CodecError("results nested too deep");
  const count = reader.u32();
  const items: Result[] = [];
  for (let i = 0; i < count; i += 1) items.push(decodeNested(reader, depth));
  return items;
}

function decodeError(reader: ByteReader): KvError {
  const code = reader.latin1();
  const message = reader.latin1();
  if (!Object.hasOwn(ERRORS, code)) throw new CodecError("unknown error code");
  return new KvError(code as ErrorCode, message);
}
