/**
 * The commands that change records, with the semantics of Redis' strings. A command that changed something has a
 * version of its own, and its result carries it.
 */
import { allocate } from "../core/bytes.js";
import { type Command, CommandFlag, NO_DEADLINE } from "./command.js";
import { KvError } from "./errors.js";
import { absentResult, valueResult } from "./execute-read.js";
import { formatInt64, isInt64, parseInt64 } from "./integer-text.js";
import type { CommandLimits } from "./limits.js";
import { recordDeadlineMs, recordFlags, recordValue } from "./record.js";
import type { ChangeListener, Records } from "./records.js";
import { errorResult, integerResult, Result, ResultKind } from "./result.js";

/** What an execution of writes goes by, one object for all of a batch. */
export class WriteContext {
  constructor(
    readonly records: Records,
    readonly limits: CommandLimits,
    public listener: ChangeListener,
  ) {}
}

/**
 * `ok`; `notDone` if ifAbsent or ifPresent did not hold. With returnPrevious, as in Redis, the previous `value` or
 * `absent` in either case (where it was written, the version is the new one).
 */
export function executeSet(context: WriteContext, command: Command): Result {
  const { records } = context;
  const stored = records.stored(command.key);
  const live = stored !== undefined && records.isLive(stored) ? stored : undefined;
  const flags = command.flags;
  const returnsPrevious = (flags & CommandFlag.returnPrevious) !== 0;
  const result = returnsPrevious ? previousResult(live) : new Result(ResultKind.ok);
  if (!conditionHolds(flags, live !== undefined)) {
    if (!returnsPrevious) result.kind = ResultKind.notDone;
    return result;
  }
  const keeps = (flags & CommandFlag.keepDeadline) !== 0 && live !== undefined;
  const deadlineMs = keeps ? recordDeadlineMs(live) : newDeadlineMs(context, command);
  const version = records.nextVersion();
  records.put(command.key, stored, version, deadlineMs, command.recordFlags, command.value, context.listener);
  result.version = version;
  return result;
}

/** How many of the keys were there. */
export function executeDelete(context: WriteContext, command: Command): Result {
  const { records } = context;
  const keys = command.keys ?? [];
  let version = 0;
  let deleted = 0;
  for (let i = 0; i < keys.length; i += 1) {
    const stored = records.stored(keys[i]);
    if (stored === undefined || !records.isLive(stored)) continue;
    if (version === 0) version = records.nextVersion();
    records.remove(keys[i], stored, version, context.listener);
    deleted += 1;
  }
  const result = integerResult(BigInt(deleted));
  result.version = version;
  return result;
}

/** All pairs under one version: `ok`. With ifAbsent or ifPresent all of the keys must be so, else `notDone`. */
export function executeSetMany(context: WriteContext, command: Command): Result {
  const { records } = context;
  const keys = command.keys ?? [];
  const values = command.values ?? [];
  if ((command.flags & (CommandFlag.ifAbsent | CommandFlag.ifPresent)) !== 0) {
    for (let i = 0; i < keys.length; i += 1) {
      if (!conditionHolds(command.flags, records.live(keys[i]) !== undefined)) return new Result(ResultKind.notDone);
    }
  }
  const result = new Result(ResultKind.ok);
  if (keys.length === 0) return result;
  const deadlineMs = newDeadlineMs(context, command);
  result.version = records.nextVersion();
  for (let i = 0; i < keys.length; i += 1) {
    const stored = records.stored(keys[i]);
    const keeps = (command.flags & CommandFlag.keepDeadline) !== 0 && stored !== undefined && records.isLive(stored);
    const keyDeadlineMs = keeps ? recordDeadlineMs(stored) : deadlineMs;
    records.put(keys[i], stored, result.version, keyDeadlineMs, command.recordFlags, values[i], context.listener);
  }
  return result;
}

/** The new integer. An absent key counts as 0; deadline and record flags stay. */
export function executeIncrement(context: WriteContext, command: Command): Result {
  const { records } = context;
  const stored = records.stored(command.key);
  const live = stored !== undefined && records.isLive(stored) ? stored : undefined;
  if (!conditionHolds(command.flags, live !== undefined)) return new Result(ResultKind.notDone);
  const before = live === undefined ? 0n : parseInt64(recordValue(live));
  if (before === null) return errorResult(new KvError("not_an_integer"));
  const after = before + command.integer;
  if (!isInt64(after)) return errorResult(new KvError("overflow"));
  const result = integerResult(after);
  result.version = rewrite(context, command, stored, live, formatInt64(after));
  return result;
}

/** Bytes of the new value. An absent key counts as empty; deadline and record flags stay. */
export function executeAppend(context: WriteContext, command: Command): Result {
  const { records } = context;
  const stored = records.stored(command.key);
  const live = stored !== undefined && records.isLive(stored) ? stored : undefined;
  if (!conditionHolds(command.flags, live !== undefined)) return new Result(ResultKind.notDone);
  let value = command.value;
  if (live !== undefined) {
    const before = recordValue(live);
    value = allocate(before.length + command.value.length);
    value.set(before, 0);
    value.set(command.value, before.length);
  }
  const { valueBytesMax } = context.limits;
  if (value.length > valueBytesMax) {
    const message = `the value would have ${value.length} bytes, ${valueBytesMax} are allowed`;
    return errorResult(new KvError("value_too_large", message));
  }
  const result = integerResult(BigInt(value.length));
  result.version = rewrite(context, command, stored, live, value);
  return result;
}

/** 1 if the deadline was set (one that has passed deletes), 0 if the key is absent or a condition did not hold. */
export function executeExpire(context: WriteContext, command: Command): Result {
  const { records } = context;
  const live = records.live(command.key);
  if (live === undefined) return integerResult(0n);
  const currentMs = recordDeadlineMs(live);
  const deadlineMs = absoluteMs(context, command);
  if (!deadlineConditionHolds(command.flags, currentMs, deadlineMs)) return integerResult(0n);
  const result = integerResult(1n);
  result.version = records.nextVersion();
  const value = recordValue(live);
  records.put(command.key, live, result.version, deadlineMs, recordFlags(live), value, context.listener);
  return result;
}

/** 1 if a deadline was taken away, 0 if there was none. */
export function executePersist(context: WriteContext, command: Command): Result {
  const { records } = context;
  const live = records.live(command.key);
  if (live === undefined || recordDeadlineMs(live) === NO_DEADLINE) return integerResult(0n);
  const result = integerResult(1n);
  result.version = records.nextVersion();
  const value = recordValue(live);
  records.put(command.key, live, result.version, NO_DEADLINE, recordFlags(live), value, context.listener);
  return result;
}

export function executeFlush(context: WriteContext): Result {
  const result = new Result(ResultKind.ok);
  result.version = context.records.nextVersion();
  context.records.removeAll(result.version, context.listener);
  return result;
}

/** A new value under the old deadline and record flags; both are the command's where there was no record. */
function rewrite(
  context: WriteContext,
  command: Command,
  stored: Uint8Array | undefined,
  live: Uint8Array | undefined,
  value: Uint8Array,
): number {
  const deadlineMs = live === undefined ? newDeadlineMs(context, command) : recordDeadlineMs(live);
  const flags = live === undefined ? command.recordFlags : recordFlags(live);
  const version = context.records.nextVersion();
  context.records.put(command.key, stored, version, deadlineMs, flags, value, context.listener);
  return version;
}

function previousResult(live: Uint8Array | undefined): Result {
  return live === undefined ? absentResult() : valueResult(live);
}

function conditionHolds(flags: number, isPresent: boolean): boolean {
  return (flags & (isPresent ? CommandFlag.ifAbsent : CommandFlag.ifPresent)) === 0;
}

/** Without a deadline a record counts as one that lives for ever, as in Redis. */
function deadlineConditionHolds(flags: number, currentMs: number, deadlineMs: number): boolean {
  const hasDeadline = currentMs !== NO_DEADLINE;
  if ((flags & CommandFlag.ifNoDeadline) !== 0 && hasDeadline) return false;
  if ((flags & CommandFlag.ifHasDeadline) !== 0 && !hasDeadline) return false;
  if ((flags & CommandFlag.ifDeadlineGreater) !== 0 && (!hasDeadline || deadlineMs <= currentMs)) return false;
  if ((flags & CommandFlag.ifDeadlineLess) !== 0 && hasDeadline && deadlineMs >= currentMs) return false;
  return true;
}

/** The deadline of a value that is written, {@link NO_DEADLINE} where the command names none. */
function newDeadlineMs(context: WriteContext, command: Command): number {
  return command.deadlineMs === NO_DEADLINE ? NO_DEADLINE : absoluteMs(context, command);
}

/** In replicated ms, from 0. (To `expire` every number is a deadline: −1, relative, is a millisecond ago.) */
function absoluteMs(context: WriteContext, command: Command): number {
  const isRelative = (command.flags & CommandFlag.deadlineRelative) !== 0;
  const deadlineMs = isRelative ? context.records.baseMs + command.deadlineMs : command.deadlineMs;
  return Math.min(Math.max(deadlineMs, 0), Number.MAX_SAFE_INTEGER - 1);
}
