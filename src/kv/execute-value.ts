/**
 * The commands that make a record's new value from its old one. Deadline and record flags stay; where there was no record
 * they are the command's.
 */
import { allocate, EMPTY_BYTES } from "../core/bytes.js";
import { type Command, CommandFlag, Op } from "./command.js";
import { formatDecimal, isDecimal, parseDecimal } from "./decimal-text.js";
import { KvError } from "./errors.js";
import { absentResult } from "./execute-read.js";
import { formatInteger, isInt64, parseInt64, parseUint64 } from "./integer-text.js";
import { recordValue, recordValueLength } from "./record.js";
import { errorResult, integerResult, type Result } from "./result.js";
import { refusal, rewrite, rewriteResult, valueTooLarge, type WriteContext } from "./write-context.js";

/** Bytes of the new value. An absent key counts as empty. */
export function executeAppend(context: WriteContext, command: Command): Result {
  const { records } = context;
  const stored = records.stored(command.key);
  const live = stored !== undefined && records.isLive(stored) ? stored : undefined;
  const refused = refusal(command, live);
  if (refused !== null) return refused;
  let value = command.value;
  if (live !== undefined) {
    const before = recordValue(live);
    const error = valueTooLarge(context, before.length + command.value.length);
    if (error !== null) return error;
    const atFront = (command.flags & CommandFlag.atFront) !== 0;
    value = allocate(before.length + command.value.length);
    value.set(before, atFront ? command.value.length : 0);
    value.set(command.value, atFront ? 0 : before.length);
  }
  const result = integerResult(BigInt(value.length));
  result.version = rewrite(context, command, stored, live, value);
  return result;
}

/** Bytes of the new value. An absent key counts as empty; nothing to write changes nothing. */
export function executeSetRange(context: WriteContext, command: Command): Result {
  const { records } = context;
  const stored = records.stored(command.key);
  const live = stored !== undefined && records.isLive(stored) ? stored : undefined;
  const refused = refusal(command, live);
  if (refused !== null) return refused;
  if (command.value.length === 0) return integerResult(BigInt(live === undefined ? 0 : recordValueLength(live)));
  const before = live === undefined ? EMPTY_BYTES : recordValue(live);
  const end = command.offset + command.value.length;
  const error = valueTooLarge(context, end);
  if (error !== null) return error;
  const value = allocate(Math.max(before.length, end));
  value.set(before, 0);
  if (before.length < command.offset) value.fill(0, before.length, command.offset);
  value.set(command.value, command.offset);
  const result = integerResult(BigInt(value.length));
  result.version = rewrite(context, command, stored, live, value);
  return result;
}

/** The new integer. An absent key counts as 0. */
export function executeIncrement(context: WriteContext, command: Command): Result {
  const { records } = context;
  const stored = records.stored(command.key);
  const live = stored !== undefined && records.isLive(stored) ? stored : undefined;
  const refused = refusal(command, live);
  if (refused !== null) return refused;
  const before = live === undefined ? 0n : parseInt64(recordValue(live));
  if (before === null) return errorResult(new KvError("not_an_integer"));
  const after = before + command.integer;
  if (!isInt64(after)) return errorResult(new KvError("overflow"));
  const result = integerResult(after);
  result.version = rewrite(context, command, stored, live, formatInteger(after));
  return result;
}

/** The `value` with the new number. An absent key counts as 0. */
export function executeIncrementDecimal(context: WriteContext, command: Command): Result {
  const { records } = context;
  const stored = records.stored(command.key);
  const live = stored !== undefined && records.isLive(stored) ? stored : undefined;
  const refused = refusal(command, live);
  if (refused !== null) return refused;
  const before = live === undefined ? 0n : parseDecimal(recordValue(live));
  const delta = parseDecimal(command.value);
  if (before === null || delta === null) return errorResult(new KvError("not_a_decimal"));
  if (before === "infinity" || delta === "infinity" || !isDecimal(before + delta)) {
    return errorResult(new KvError("overflow", "increment would produce NaN or Infinity"));
  }
  const value = formatDecimal(before + delta);
  return valueTooLarge(context, value.length) ?? rewriteResult(context, command, stored, live, value);
}

/** The `value` with the new number. An absent key is `absent`, or with orCreate gets the command's `value`. */
export function executeCounter(context: WriteContext, command: Command): Result {
  const { records } = context;
  const stored = records.stored(command.key);
  const live = stored !== undefined && records.isLive(stored) ? stored : undefined;
  const refused = refusal(command, live);
  if (refused !== null) return refused;
  if (live === undefined) {
    if ((command.flags & CommandFlag.orCreate) === 0) return absentResult();
    return rewriteResult(context, command, stored, live, command.value);
  }
  const before = parseUint64(recordValue(live));
  if (before === null) {
    return errorResult(new KvError("not_an_integer", "cannot increment or decrement non-numeric value"));
  }
  const value = formatInteger(counted(before, command));
  return valueTooLarge(context, value.length) ?? rewriteResult(context, command, stored, live, value);
}

function counted(before: bigint, { op, integer }: Command): bigint {
  if (op === Op.countUp) return BigInt.asUintN(64, before + integer);
  return before > integer ? before - integer : 0n;
}
