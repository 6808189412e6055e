/** How large one command may be. Listeners check before they submit; the store checks again before it executes. */
import { type Command, CommandFlag, holdsChildren, isWrite, Op } from "./command.js";
import { KvError } from "./errors.js";
import { isUint64, parseUint64 } from "./integer-text.js";

export interface CommandLimits {
  readonly keyBytesMax: number;
  readonly valueBytesMax: number;
  /** Keys that one command names. */
  readonly keysMax: number;
  /** Commands inside an atomic one. */
  readonly childrenMax: number;
  /** Keys and values of one command together, children included. */
  readonly commandBytesMax: number;
}

export const COMMAND_LIMITS: CommandLimits = {
  keyBytesMax: 2_048,
  valueBytesMax: 1_048_576,
  keysMax: 1_024,
  childrenMax: 1_024,
  commandBytesMax: 2_097_152,
};

/** A scan visits at most so many keys, however large its limit. */
export const SCAN_KEYS_MAX = 10_000;
/** A range ends early after so many bytes of keys and values, though never before its first record. */
export const RANGE_BYTES_MAX = 1_048_576;
/** A pattern is tried against each visited key: its length is work. */
export const SCAN_PATTERN_BYTES_MAX = 1_024;

/** Null, or the reason why this command is refused. */
export function checkCommand(command: Command, limits: CommandLimits = COMMAND_LIMITS): KvError | null {
  const error = checkOne(command, limits);
  if (error !== null || !holdsChildren(command.op)) return error;
  return checkChildren(command, limits);
}

function checkOne(command: Command, limits: CommandLimits): KvError | null {
  if (command.key.length > limits.keyBytesMax) return keyTooLong(command.key, limits);
  if (command.value.length > limits.valueBytesMax) return valueTooLarge(command.value.length, limits);
  const isScan = command.op === Op.scan || command.op === Op.range;
  if ((command.flags & CommandFlag.reverse) !== 0 && !isScan) return unfitFlag("reverse");
  switch (command.op) {
    case Op.getMany:
    case Op.exists:
    case Op.versions:
    case Op.delete:
      if (command.keys === null) return new KvError("bad_request", "the command names no keys; name one at least");
      return checkKeys(command.keys, limits) ?? checkFlags(command);
    case Op.setMany:
      return checkPairs(command, limits);
    case Op.atomic:
    case Op.transaction:
      return checkAtomic(command, limits);
    case Op.scan:
      return checkLimit(command) ?? checkPattern(command);
    case Op.range:
      return checkLimit(command) ?? checkRangeEnd(command, limits);
    case Op.expire:
    case Op.set:
    case Op.append:
    case Op.increment:
    case Op.incrementDecimal:
      return checkDeadline(command) ?? checkFlags(command);
    case Op.persist:
      return checkFlags(command);
    case Op.getRange:
      return checkRange(command);
    case Op.setRange:
      return checkSetRange(command, limits) ?? checkDeadline(command) ?? checkFlags(command);
    case Op.countUp:
    case Op.countDown:
      return checkCounter(command) ?? checkDeadline(command) ?? checkFlags(command);
    case Op.rename:
    case Op.copy:
      return checkTarget(command, limits);
    default:
      return null;
  }
}

function checkChildren(command: Command, limits: CommandLimits): KvError | null {
  const children = command.children ?? [];
  let bytes = ownBytes(command);
  for (let i = 0; i < children.length; i += 1) {
    const child = children[i];
    if (holdsChildren(child.op)) return new KvError("bad_request", "an atomic command may not hold another");
    // A range in the log would be as much work on every replica; a reverse scan is none that older replicas can read.
    if ((child.op >= 32 && !isWrite(child.op)) || child.op === Op.range || (child.flags & CommandFlag.reverse) !== 0) {
      return new KvError("bad_request", `child ${i + 1} of the atomic command is no operation that may stand in one`);
    }
    if (command.op === Op.transaction && !isPlainWrite(child)) {
      return new KvError("bad_request", `child ${i + 1} of the transaction is no set, delete or increment by itself`);
    }
    const error = checkOne(child, limits);
    if (error !== null) return new KvError(error.code, `child ${i + 1} of the atomic command: ${error.message}`);
    bytes += ownBytes(child);
  }
  return bytes > limits.commandBytesMax ? commandTooLarge(bytes, limits) : null;
}

/** A write whose failure can be foreseen. */
function isPlainWrite(child: Command): boolean {
  const { op } = child;
  if (op !== Op.set && op !== Op.delete && op !== Op.increment) return false;
  return (child.flags & ~CommandFlag.deadlineRelative) === 0;
}

function checkKeys(keys: readonly string[], limits: CommandLimits): KvError | null {
  if (keys.length > limits.keysMax) {
    return new KvError(
      "batch_too_large",
      `the command names ${keys.length} keys, ${limits.keysMax} are allowed: split it into several`,
    );
  }
  for (let i = 0; i < keys.length; i += 1) {
    if (keys[i].length > limits.keyBytesMax) return keyTooLong(keys[i], limits);
  }
  return null;
}

function checkPairs(command: Command, limits: CommandLimits): KvError | null {
  const { keys, values } = command;
  if (keys === null || values === null || keys.length !== values.length) {
    return new KvError("bad_request", "the command needs one value for each key");
  }
  if ((command.flags & CommandFlag.ifVersion) !== 0) return unfitFlag("ifVersion");
  const error = checkKeys(keys, limits) ?? checkDeadline(command);
  if (error !== null) return error;
  for (let i = 0; i < values.length; i += 1) {
    if (values[i].length > limits.valueBytesMax) return valueTooLarge(values[i].length, limits);
  }
  const bytes = ownBytes(command);
  return bytes > limits.commandBytesMax ? commandTooLarge(bytes, limits) : null;
}

function checkAtomic(command: Command, limits: CommandLimits): KvError | null {
  const keys = command.keys ?? [];
  const versions = command.versions ?? [];
  if (keys.length !== versions.length) {
    return new KvError("bad_request", "an atomic command needs one version for each key that it checks");
  }
  for (let i = 0; i < versions.length; i += 1) {
    const error = checkVersion(versions[i]);
    if (error !== null) return error;
  }
  const count = command.children === null ? 0 : command.children.length;
  if (count > limits.childrenMax) {
    return new KvError(
      "batch_too_large",
      `the atomic command holds ${count} commands, ${limits.childrenMax} are allowed: split it if it may be split`,
    );
  }
  return checkKeys(keys, limits);
}

function checkLimit(command: Command): KvError | null {
  if ((command.flags & ~CommandFlag.reverse) !== 0) {
    return new KvError("bad_request", "a scan or range takes no flag but reverse");
  }
  if (Number.isSafeInteger(command.limit) && command.limit >= 1) return null;
  return new KvError("bad_request", `a scan's limit is ${command.limit}; it must be a whole number from 1`);
}

function checkRangeEnd(command: Command, limits: CommandLimits): KvError | null {
  if (command.value.length <= limits.keyBytesMax) return null;
  return new KvError(
    "key_too_long",
    `the range's end has ${command.value.length} bytes, ${limits.keyBytesMax} are allowed`,
  );
}

function checkPattern(command: Command): KvError | null {
  if (command.value.length > SCAN_PATTERN_BYTES_MAX) {
    return new KvError(
      "bad_request",
      `the pattern has ${command.value.length} bytes, ${SCAN_PATTERN_BYTES_MAX} are allowed`,
    );
  }
  return null;
}

function checkRange({ offset, limit }: Command): KvError | null {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(limit)) return null;
  return new KvError("bad_request", `the range from ${offset} through ${limit} is not one of whole numbers`);
}

function checkSetRange({ offset, value }: Command, limits: CommandLimits): KvError | null {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    return new KvError("bad_request", `the offset is ${offset}; it must be a whole number from 0`);
  }
  return value.length > 0 && offset + value.length > limits.valueBytesMax
    ? valueTooLarge(offset + value.length, limits)
    : null;
}

function checkCounter({ flags, integer, value }: Command): KvError | null {
  if (!isUint64(integer)) return new KvError("bad_request", "the delta is not a whole number from 0 to 2^64 - 1");
  if ((flags & CommandFlag.orCreate) === 0 || parseUint64(value) !== null) return null;
  return new KvError("bad_request", "the first value of the counter is not a whole number from 0 to 2^64 - 1");
}

function checkTarget(command: Command, limits: CommandLimits): KvError | null {
  if (command.keys === null || command.keys.length !== 1) {
    return new KvError("bad_request", "the command needs one key to write to");
  }
  if ((command.flags & CommandFlag.ifVersion) !== 0) return unfitFlag("ifVersion");
  return checkKeys(command.keys, limits);
}

/** Of the commands on one key. */
function checkFlags({ op, flags, keys, versions }: Command): KvError | null {
  if ((flags & (CommandFlag.ifVersion | CommandFlag.returnValue)) === 0) return null;
  if (keys !== null && keys.length !== 1) {
    return new KvError("bad_request", "ifVersion and returnValue are for the delete of one key");
  }
  if ((flags & CommandFlag.returnValue) !== 0 && op !== Op.expire && op !== Op.persist && op !== Op.delete) {
    return unfitFlag("returnValue");
  }
  if ((flags & CommandFlag.ifVersion) === 0) return null;
  // The previous value would not tell whether the new one was written.
  if (!isWrite(op) || (flags & CommandFlag.returnPrevious) !== 0) return unfitFlag("ifVersion");
  if (versions === null || versions.length !== 1) {
    return new KvError("bad_request", "ifVersion needs the one version to compare with");
  }
  return checkVersion(versions[0]);
}

function unfitFlag(name: string): KvError {
  return new KvError("bad_request", `${name} does not fit this command or its other flags`);
}

function checkVersion(version: number): KvError | null {
  if (Number.isSafeInteger(version) && version >= 0) return null;
  return new KvError("bad_request", `version ${version} is not a whole number from 0 to 2^53 - 1`);
}

function checkDeadline(command: Command): KvError | null {
  if (Number.isSafeInteger(command.deadlineMs)) return null;
  return new KvError("bad_request", `invalid expire time: ${command.deadlineMs} ms is not a whole number below 2^53`);
}

function ownBytes(command: Command): number {
  let bytes = command.key.length + command.value.length;
  const { keys, values } = command;
  if (keys !== null) for (let i = 0; i < keys.length; i += 1) bytes += keys[i].length;
  if (values !== null) for (let i = 0; i < values.length; i += 1) bytes += values[i].length;
  return bytes;
}

/** Keys and values, those of children included. */
export function commandBytes(command: Command): number {
  let bytes = ownBytes(command);
  if (command.children !== null) for (const child of command.children) bytes += commandBytes(child);
  return bytes;
}

function keyTooLong(key: string, limits: CommandLimits): KvError {
  return new KvError("key_too_long", `the key has ${key.length} bytes, ${limits.keyBytesMax} are allowed`);
}

function valueTooLarge(length: number, limits: CommandLimits): KvError {
  return new KvError("value_too_large", `the value has ${length} bytes, ${limits.valueBytesMax} are allowed`);
}

function commandTooLarge(bytes: number, limits: CommandLimits): KvError {
  return new KvError(
    "batch_too_large",
    `the command's keys and values have ${bytes} bytes, ${limits.commandBytesMax} are allowed: split it into several`,
  );
}
