/** What the commands that change records have in common: their conditions, deadlines and results. */
import { copyBytes } from "../core/bytes.js";
import { type Command, CommandFlag, NO_DEADLINE } from "./command.js";
import { KvError } from "./errors.js";
import { absentResult } from "./execute-read.js";
import type { CommandLimits } from "./limits.js";
import { recordDeadlineMs, recordFlags, recordVersion } from "./record.js";
import type { ChangeListener, Records } from "./records.js";
import { errorResult, Result, ResultKind } from "./result.js";

/** What an execution of writes goes by, one object for all of a batch. */
export class WriteContext {
  constructor(
    readonly records: Records,
    readonly limits: CommandLimits,
    public listener: ChangeListener,
  ) {}
}

const CONDITIONS = CommandFlag.ifAbsent | CommandFlag.ifPresent | CommandFlag.ifVersion;

/**
 * Null if ifVersion, ifAbsent and ifPresent allow the command to change this record; else what it answers. ifVersion:
 * `absent`, or `notDone` with the version that the record has. The others: `notDone`.
 */
export function refusal(command: Command, live: Uint8Array | undefined): Result | null {
  const { flags } = command;
  if ((flags & CONDITIONS) === 0) return null;
  if ((flags & CommandFlag.ifVersion) !== 0) {
    if (live === undefined) return absentResult();
    const version = recordVersion(live);
    if (command.versions === null || command.versions[0] !== version) {
      const result = new Result(ResultKind.notDone);
      result.version = version;
      return result;
    }
  }
  return presenceHolds(flags, live !== undefined) ? null : new Result(ResultKind.notDone);
}

export function presenceHolds(flags: number, isPresent: boolean): boolean {
  return (flags & (isPresent ? CommandFlag.ifAbsent : CommandFlag.ifPresent)) === 0;
}

/** Null, or the error of a value that a command would make. */
export function valueTooLarge(context: WriteContext, length: number): Result | null {
  const { valueBytesMax } = context.limits;
  if (length <= valueBytesMax) return null;
  const message = `the value would have ${length} bytes, ${valueBytesMax} are allowed`;
  return errorResult(new KvError("value_too_large", message));
}

/**
 * A new value under the old deadline and record flags; both are the command's where there was no record. Answers the
 * version.
 */
export function rewrite(
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

/** {@link rewrite} with a value of our own, answered as the record that it has become. */
export function rewriteResult(
  context: WriteContext,
  command: Command,
  stored: Uint8Array | undefined,
  live: Uint8Array | undefined,
  value: Uint8Array,
): Result {
  const result = new Result(ResultKind.value);
  result.value = copyBytes(value);
  result.recordFlags = live === undefined ? command.recordFlags : recordFlags(live);
  result.deadlineMs = live === undefined ? newDeadlineMs(context, command) : recordDeadlineMs(live);
  result.version = rewrite(context, command, stored, live, value);
  return result;
}

/** The deadline of a value that is written, {@link NO_DEADLINE} where the command names none. */
export function newDeadlineMs(context: WriteContext, command: Command): number {
  return command.deadlineMs === NO_DEADLINE ? NO_DEADLINE : absoluteMs(context, command);
}

/** In replicated ms, from 0. (To `expire` every number is a deadline: −1, relative, is a millisecond ago.) */
export function absoluteMs(context: WriteContext, command: Command): number {
  const isRelative = (command.flags & CommandFlag.deadlineRelative) !== 0;
  const deadlineMs = isRelative ? context.records.baseMs + command.deadlineMs : command.deadlineMs;
  return Math.min(Math.max(deadlineMs, 0), Number.MAX_SAFE_INTEGER - 1);
}
