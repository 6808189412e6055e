/** The commands that change a record's deadline and nothing else but its version. */
import { type Command, CommandFlag, NO_DEADLINE } from "./command.js";
import { absentResult, valueResult } from "./execute-read.js";
import { recordDeadlineMs, recordFlags, recordValue } from "./record.js";
import { integerResult, Result, ResultKind } from "./result.js";
import { absoluteMs, refusal, type WriteContext } from "./write-context.js";

/**
 * 1 if the deadline was set (one that has passed deletes), 0 if the key is absent or a condition on deadlines did not
 * hold. With returnValue the `value` with its new version and deadline, `absent`, or `notDone`.
 */
export function executeExpire(context: WriteContext, command: Command): Result {
  const live = context.records.live(command.key);
  const refused = refusal(command, live);
  if (refused !== null) return refused;
  const { flags } = command;
  const returnsValue = (flags & CommandFlag.returnValue) !== 0;
  if (live === undefined) return returnsValue ? absentResult() : integerResult(0n);
  const deadlineMs = absoluteMs(context, command);
  if (!deadlineConditionHolds(flags, recordDeadlineMs(live), deadlineMs)) {
    return returnsValue ? new Result(ResultKind.notDone) : integerResult(0n);
  }
  return changeDeadline(context, command.key, live, deadlineMs, returnsValue);
}

/**
 * 1 if a deadline was taken away, 0 if there was none. With returnValue the `value` as it is now, its version new only
 * if there was a deadline, or `absent`.
 */
export function executePersist(context: WriteContext, command: Command): Result {
  const live = context.records.live(command.key);
  const refused = refusal(command, live);
  if (refused !== null) return refused;
  const returnsValue = (command.flags & CommandFlag.returnValue) !== 0;
  if (live === undefined) return returnsValue ? absentResult() : integerResult(0n);
  if (recordDeadlineMs(live) === NO_DEADLINE) return returnsValue ? valueResult(live) : integerResult(0n);
  return changeDeadline(context, command.key, live, NO_DEADLINE, returnsValue);
}

function changeDeadline(
  { records, listener }: WriteContext,
  key: string,
  live: Uint8Array,
  deadlineMs: number,
  returnsValue: boolean,
): Result {
  const result = returnsValue ? valueResult(live) : integerResult(1n);
  if (returnsValue) result.deadlineMs = deadlineMs;
  result.version = records.nextVersion();
  records.put(key, live, result.version, deadlineMs, recordFlags(live), recordValue(live), listener);
  return result;
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
