/**
 * The commands that write, move and remove whole records, with the semantics of Redis' strings. A command that changed
 * something has a version of its own, and its result carries it.
 */
import { type Command, CommandFlag } from "./command.js";
import { absentResult, valueResult } from "./execute-read.js";
import { recordDeadlineMs, recordFlags, recordValue } from "./record.js";
import type { Records } from "./records.js";
import { integerResult, Result, ResultKind } from "./result.js";
import { newDeadlineMs, presenceHolds, refusal, type WriteContext } from "./write-context.js";
/**
 * `ok`; `notDone` if ifAbsent or ifPresent did not hold. With returnPrevious, as in Redis, the previous `value` or
 * `absent` in either case (where it was written, the version is the new one).
 */
export function executeSet(context: WriteContext, command: Command): Result {
  const { records } = context;
  const stored = records.stored(command.key);
  const live = stored !== undefined && records.isLive(stored) ? stored : undefined;
  const flags = command.flags;
  const previous = (flags & CommandFlag.returnPrevious) === 0 ? null : previousResult(live);
  const refused = refusal(command, live);
  if (refused !== null) return previous ?? refused;
  const result = previous ?? new Result(ResultKind.ok);
  const keeps = (flags & CommandFlag.keepDeadline) !== 0 && live !== undefined;
  const deadlineMs = keeps ? recordDeadlineMs(live) : newDeadlineMs(context, command);
  const version = records.nextVersion();
  records.put(command.key, stored, version, deadlineMs, command.recordFlags, command.value, context.listener);
  result.version = version;
  return result;
}

/** How many of the keys were there. Of one key, with returnValue: the `value` that is gone, or `absent`. */
export function executeDelete(context: WriteContext, command: Command): Result {
  const { records } = context;
  const keys = command.keys ?? [];
  if ((command.flags & ONE_KEY_FLAGS) !== 0) return deleteOne(context, command, keys[0]);
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

const ONE_KEY_FLAGS = CommandFlag.returnValue | CommandFlag.ifVersion;

function deleteOne({ records, listener }: WriteContext, command: Command, key: string): Result {
  const live = records.live(key);
  const refused = refusal(command, live);
  if (refused !== null) return refused;
  const returnsValue = (command.flags & CommandFlag.returnValue) !== 0;
  if (live === undefined) return returnsValue ? absentResult() : integerResult(0n);
  const result = returnsValue ? valueResult(live) : integerResult(1n);
  result.version = records.nextVersion();
  records.remove(key, live, result.version, listener);
  return result;
}

/** All pairs under one version: `ok`. With ifAbsent or ifPresent all of the keys must be so, else `notDone`. */
export function executeSetMany(context: WriteContext, command: Command): Result {
  const { records } = context;
  const keys = command.keys ?? [];
  const values = command.values ?? [];
  if ((command.flags & (CommandFlag.ifAbsent | CommandFlag.ifPresent)) !== 0) {
    for (let i = 0; i < keys.length; i += 1) {
      if (!presenceHolds(command.flags, records.live(keys[i]) !== undefined)) return new Result(ResultKind.notDone);
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

/**
 * The record goes to the target under one version for both keys: `ok`; `absent` if there is none; with ifAbsent `notDone`
 * if the target is there. To its own name: `ok` (or `notDone`), and nothing changes.
 */
export function executeRename(context: WriteContext, command: Command): Result {
  const { records, listener } = context;
  const live = records.live(command.key);
  if (live === undefined) return absentResult();
  if (!mayReplace(records, command)) return new Result(ResultKind.notDone);
  const result = new Result(ResultKind.ok);
  if (targetOf(command) === command.key) return result;
  result.version = records.nextVersion();
  putCopy(context, targetOf(command), live, result.version);
  const stored = records.stored(command.key);
  if (stored !== undefined) records.remove(command.key, stored, result.version, listener);
  return result;
}

/** `ok`; `absent` if there is no record to copy; with ifAbsent `notDone` if the target is there. */
export function executeCopy(context: WriteContext, command: Command): Result {
  const { records } = context;
  const live = records.live(command.key);
  if (live === undefined) return absentResult();
  if (!mayReplace(records, command)) return new Result(ResultKind.notDone);
  const result = new Result(ResultKind.ok);
  result.version = records.nextVersion();
  putCopy(context, targetOf(command), live, result.version);
  return result;
}

/** `checkCommand` has seen to it that there is one. */
function targetOf(command: Command): string {
  return command.keys === null ? command.key : command.keys[0];
}

function mayReplace(records: Records, command: Command): boolean {
  return (command.flags & CommandFlag.ifAbsent) === 0 || records.live(targetOf(command)) === undefined;
}

function putCopy({ records, listener }: WriteContext, target: string, live: Uint8Array, version: number): void {
  const replaced = records.stored(target);
  records.put(target, replaced, version, recordDeadlineMs(live), recordFlags(live), recordValue(live), listener);
}

export function executeFlush(context: WriteContext): Result {
  const result = new Result(ResultKind.ok);
  result.version = context.records.nextVersion();
  context.records.removeAll(result.version, context.listener);
  return result;
}

function previousResult(live: Uint8Array | undefined): Result {
  return live === undefined ? absentResult() : valueResult(live);
}
