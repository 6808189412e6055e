/**
 * Commands as they stand in a raft entry: the op (u8), then only the fields that the op uses. Integers are
 * little-endian, keys are u16-counted, values u32-counted.
 *
 * | ops | fields |
 * |---|---|
 * | get length deadline | key |
 * | getMany exists versions | keys |
 * | getRange | key, first byte f64 (`offset`), last byte f64 (`limit`) |
 * | scan range | key, limit u32, pattern or end (the command's `value`); or options, then the same |
 * | persist | key; or options, key |
 * | delete | keys; or options, keys |
 * | set append incrementDecimal | options, key, value |
 * | setRange | options, key, offset f64, value |
 * | increment | options, key, delta i64 |
 * | countUp countDown | options, key, delta u64, value |
 * | expire | options, key |
 * | rename copy | options, key, target (`keys[0]`) |
 * | setMany | options, count u32, then key and value of each |
 * | atomic transaction | count u32, then key and version u53 of each check; count u32, then the children |
 * | progress | options, limit u32 |
 * | count time flush advance | nothing |
 *
 * Options: one byte that tells which of flags (u16), record flags (u32), deadline (f64, a safe integer) and version
 * (u53, the only one of `versions`) follow. A persist, delete, scan or range with options has bit 7 of its op set.
 */
import { assert } from "../core/assert.js";
import { type ByteReader, type ByteWriter, CodecError } from "../core/bytes.js";
import { Command, CommandFlag, holdsChildren, NO_DEADLINE, Op } from "./command.js";

const HAS_FLAGS = 1;
const HAS_RECORD_FLAGS = 2;
const HAS_DEADLINE = 4;
const HAS_VERSION = 8;
const OPTIONS_ALL = HAS_FLAGS | HAS_RECORD_FLAGS | HAS_DEADLINE | HAS_VERSION;
/** Bit of the op, where options are rare. */
const WITH_OPTIONS = 128;
const FLAGS_ALL = Object.values(CommandFlag).reduce((all: number, flag) => all | flag, 0);

/** The command must have passed `checkCommand`: what cannot be written is our own mistake here. */
export function encodeCommand(command: Command, writer: ByteWriter): void {
  const rareOptions = mayHaveOptions(command.op) && hasOptions(command);
  writer.u8(rareOptions ? command.op | WITH_OPTIONS : command.op);
  if (rareOptions) encodeOptions(command, writer);
  switch (command.op) {
    case Op.set:
    case Op.append:
    case Op.incrementDecimal:
      encodeOptions(command, writer);
      writer.latin1(command.key);
      writer.blob(command.value);
      return;
    case Op.get:
    case Op.length:
    case Op.deadline:
    case Op.persist:
      writer.latin1(command.key);
      return;
    case Op.increment:
      encodeOptions(command, writer);
      writer.latin1(command.key);
      writer.i64(command.integer);
      return;
    case Op.getMany:
    case Op.exists:
    case Op.versions:
    case Op.delete:
      encodeKeys(command.keys, writer);
      return;
    case Op.expire:
      encodeOptions(command, writer);
      writer.latin1(command.key);
      return;
    case Op.scan:
    case Op.range:
      writer.latin1(command.key);
      writer.u32(command.limit);
      writer.blob(command.value);
      return;
    case Op.setMany:
      encodePairs(command, writer);
      return;
    case Op.atomic:
    case Op.transaction:
      encodeAtomic(command, writer);
      return;
    case Op.progress:
      encodeOptions(command, writer);
      writer.u32(command.limit);
      return;
    case Op.getRange:
      writer.latin1(command.key);
      writer.f64(command.offset);
      writer.f64(command.limit);
      return;
    case Op.setRange:
      encodeOptions(command, writer);
      writer.latin1(command.key);
      writer.f64(command.offset);
      writer.blob(command.value);
      return;
    case Op.countUp:
    case Op.countDown:
      encodeOptions(command, writer);
      writer.latin1(command.key);
      writer.i64(command.integer);
      writer.blob(command.value);
      return;
    case Op.rename:
    case Op.copy:
      assert(command.keys !== null && command.keys.length === 1, "encodeCommand: a target is missing");
      encodeOptions(command, writer);
      writer.latin1(command.key);
      writer.latin1(command.keys[0]);
      return;
    case Op.count:
    case Op.time:
    case Op.flush:
    case Op.advance:
      return;
  }
}

/** Reads one command. Its `value` and `values` are views of the reader's bytes. Bad bytes: {@link CodecError}. */
export function decodeCommand(reader: ByteReader): Command {
  return decodeFields(reader, false);
}

function decodeFields(reader: ByteReader, isChild: boolean): Command {
  const code = reader.u8();
  const op = (code & ~WITH_OPTIONS) as Op;
  const command = new Command(op);
  if (code !== op) {
    if (!mayHaveOptions(op)) throw new CodecError("unknown op");
    decodeOptions(command, reader);
  }
  switch (op) {
    case Op.set:
    case Op.append:
    case Op.incrementDecimal:
      decodeOptions(command, reader);
      command.key = reader.latin1();
      command.value = reader.blob();
      return command;
    case Op.get:
    case Op.length:
    case Op.deadline:
    case Op.persist:
      command.key = reader.latin1();
      return command;
    case Op.increment:
      decodeOptions(command, reader);
      command.key = reader.latin1();
      command.integer = reader.i64();
      return command;
    case Op.getMany:
    case Op.exists:
    case Op.versions:
    case Op.delete:
      command.keys = decodeKeys(reader);
      return command;
    case Op.expire:
      decodeOptions(command, reader);
      command.key = reader.latin1();
      return command;
    case Op.scan:
    case Op.range:
      command.key = reader.latin1();
      command.limit = reader.u32();
      command.value = reader.blob();
      return command;
    case Op.setMany:
      decodePairs(command, reader);
      return command;
    case Op.atomic:
    case Op.transaction:
      if (isChild) throw new CodecError("an atomic command inside another");
      decodeAtomic(command, reader);
      return command;
    case Op.progress:
      decodeOptions(command, reader);
      command.limit = reader.u32();
      return command;
    case Op.getRange:
      command.key = reader.latin1();
      command.offset = decodeSafeInteger(reader, "offset");
      command.limit = decodeSafeInteger(reader, "limit");
      return command;
    case Op.setRange:
      decodeOptions(command, reader);
      command.key = reader.latin1();
      command.offset = decodeSafeInteger(reader, "offset");
      command.value = reader.blob();
      return command;
    case Op.countUp:
    case Op.countDown:
      decodeOptions(command, reader);
      command.key = reader.latin1();
      command.integer = BigInt.asUintN(64, reader.i64());
      command.value = reader.blob();
      return command;
    case Op.rename:
    case Op.copy:
      decodeOptions(command, reader);
      command.key = reader.latin1();
      command.keys = [reader.latin1()];
      return command;
    case Op.count:
    case Op.time:
    case Op.flush:
    case Op.advance:
      return command;
    default:
      throw new CodecError("unknown op");
  }
}

/** Of an op whose options are told by {@link WITH_OPTIONS}. */
function mayHaveOptions(op: Op): boolean {
  return op === Op.delete || op === Op.persist || op === Op.scan || op === Op.range;
}

function hasOptions(command: Command): boolean {
  const { flags, recordFlags, deadlineMs, versions } = command;
  return flags !== 0 || recordFlags !== 0 || deadlineMs !== NO_DEADLINE || versions !== null;
}

function encodeOptions(command: Command, writer: ByteWriter): void {
  let present = 0;
  if (command.flags !== 0) present |= HAS_FLAGS;
  if (command.recordFlags !== 0) present |= HAS_RECORD_FLAGS;
  if (command.deadlineMs !== NO_DEADLINE) present |= HAS_DEADLINE;
  if (command.versions !== null) present |= HAS_VERSION;
  writer.u8(present);
  if (present === 0) return;
  if (present & HAS_FLAGS) writer.u16(command.flags);
  if (present & HAS_RECORD_FLAGS) writer.u32(command.recordFlags);
  if (present & HAS_DEADLINE) writer.f64(command.deadlineMs);
  if (command.versions !== null) {
    assert(command.versions.length === 1, "encodeCommand: not one version");
    writer.u53(command.versions[0]);
  }
}

function decodeOptions(command: Command, reader: ByteReader): void {
  const present = reader.u8();
  if (present === 0) return;
  if (present > OPTIONS_ALL) throw new CodecError("unknown options of a command");
  if (present & HAS_FLAGS) {
    command.flags = reader.u16();
    if (command.flags > FLAGS_ALL) throw new CodecError("unknown flags of a command");
  }
  if (present & HAS_RECORD_FLAGS) command.recordFlags = reader.u32();
  if (present & HAS_DEADLINE) command.deadlineMs = decodeSafeInteger(reader, "deadline");
  if (present & HAS_VERSION) command.versions = [reader.u53()];
}

function decodeSafeInteger(reader: ByteReader, what: string): number {
  const value = reader.f64();
  if (!Number.isSafeInteger(value)) throw new CodecError(`${what} is not a safe integer`);
  // Minus zero would be written as bytes of its own.
  return value + 0;
}

function encodeKeys(keys: readonly string[] | null, writer: ByteWriter): void {
  assert(keys !== null, "encodeCommand: keys are missing");
  writer.u32(keys.length);
  for (let i = 0; i < keys.length; i += 1) writer.latin1(keys[i]);
}

function decodeKeys(reader: ByteReader): string[] {
  const count = reader.u32();
  const keys: string[] = [];
  for (let i = 0; i < count; i += 1) keys.push(reader.latin1());
  return keys;
}

function encodePairs(command: Command, writer: ByteWriter): void {
  const { keys, values } = command;
  assert(keys !== null && values !== null && keys.length === values.length, "encodeCommand: keys and values differ");
  encodeOptions(command, writer);
  writer.u32(keys.length);
  for (let i = 0; i < keys.length; i += 1) {
    writer.latin1(keys[i]);
    writer.blob(values[i]);
  }
}

function decodePairs(command: Command, reader: ByteReader): void {
  decodeOptions(command, reader);
  const count = reader.u32();
  const keys: string[] = [];
  const values: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) {
    keys.push(reader.latin1());
    values.push(reader.blob());
  }
  command.keys = keys;
  command.values = values;
}

function encodeAtomic(command: Command, writer: ByteWriter): void {
  const keys = command.keys ?? [];
  const versions = command.versions ?? [];
  const children = command.children ?? [];
  assert(keys.length === versions.length, "encodeCommand: keys and versions differ");
  writer.u32(keys.length);
  for (let i = 0; i < keys.length; i += 1) {
    writer.latin1(keys[i]);
    writer.u53(versions[i]);
  }
  writer.u32(children.length);
  for (let i = 0; i < children.length; i += 1) {
    assert(!holdsChildren(children[i].op), "encodeCommand: an atomic command inside another");
    encodeCommand(children[i], writer);
  }
}

function decodeAtomic(command: Command, reader: ByteReader): void {
  const checks = reader.u32();
  const keys: string[] = [];
  const versions: number[] = [];
  for (let i = 0; i < checks; i += 1) {
    keys.push(reader.latin1());
    versions.push(reader.u53());
  }
  const count = reader.u32();
  const children: Command[] = [];
  for (let i = 0; i < count; i += 1) children.push(decodeFields(reader, true));
  command.keys = keys;
  command.versions = versions;
  command.children = children;
}
