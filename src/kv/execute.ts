import { assert } from "../core/assert.js";
import { type Command, isWrite, Op } from "./command.js";
import { KvError } from "./errors.js";
import { executeExpire, executePersist } from "./execute-expire.js";
import {
  executeCount,
  executeDeadline,
  executeExists,
  executeGet,
  executeGetMany,
  executeGetRange,
  executeLength,
  executeScan,
  executeVersions,
  listResult,
} from "./execute-read.js";
import {
  executeAppend,
  executeCounter,
  executeIncrement,
  executeIncrementDecimal,
  executeSetRange,
} from "./execute-value.js";
import {
  executeCopy,
  executeDelete,
  executeFlush,
  executeRename,
  executeSet,
  executeSetMany,
} from "./execute-write.js";
import { checkCommand } from "./limits.js";
import { recordVersion } from "./record.js";
import type { Records } from "./records.js";
import { errorResult, Result, ResultKind } from "./result.js";
import type { WriteContext } from "./write-context.js";

/** Executes a command that stands in the log: a write, or a read that was ordered with them. */
export function executeCommand(context: WriteContext, command: Command): Result {
  const error = checkCommand(command, context.limits);
  return error === null ? executeChecked(context, command) : errorResult(error);
}

function executeChecked(context: WriteContext, command: Command): Result {
  switch (command.op) {
    case Op.set:
      return executeSet(context, command);
    case Op.delete:
      return executeDelete(context, command);
    case Op.setMany:
      return executeSetMany(context, command);
    case Op.increment:
      return executeIncrement(context, command);
    case Op.append:
      return executeAppend(context, command);
    case Op.expire:
      return executeExpire(context, command);
    case Op.persist:
      return executePersist(context, command);
    case Op.setRange:
      return executeSetRange(context, command);
    case Op.incrementDecimal:
      return executeIncrementDecimal(context, command);
    case Op.countUp:
    case Op.countDown:
      return executeCounter(context, command);
    case Op.rename:
      return executeRename(context, command);
    case Op.copy:
      return executeCopy(context, command);
    case Op.flush:
      return executeFlush(context);
    case Op.atomic:
      return executeAtomic(context, command);
    case Op.advance:
      // Time has moved with the batch that it came in.
      return new Result(ResultKind.ok);
    case Op.progress:
      return errorResult(new KvError("bad_request", "progress is no operation on records"));
    default:
      return executeRead(context.records, command);
  }
}

/** Executes a read of the state as it is. */
export function executeRead(records: Records, command: Command): Result {
  assert(!isWrite(command.op), "a write was executed as a read");
  switch (command.op) {
    case Op.get:
      return executeGet(records, command);
    case Op.getMany:
      return executeGetMany(records, command);
    case Op.exists:
      return executeExists(records, command);
    case Op.length:
      return executeLength(records, command);
    case Op.deadline:
      return executeDeadline(records, command);
    case Op.versions:
      return executeVersions(records, command);
    case Op.scan:
      return executeScan(records, command);
    case Op.count:
      return executeCount(records);
    case Op.getRange:
      return executeGetRange(records, command);
    default:
      return errorResult(new KvError("bad_request", "the command is no operation on records"));
  }
}

/**
 * `notDone` if a key is no longer at the version that was checked for; else the list of the children's results. A child
 * that fails does not stop the others, as in Redis' EXEC.
 */
function executeAtomic(context: WriteContext, command: Command): Result {
  const keys = command.keys ?? [];
  const versions = command.versions ?? [];
  for (let i = 0; i < keys.length; i += 1) {
    const record = context.records.live(keys[i]);
    const version = record === undefined ? 0 : recordVersion(record);
    if (version !== versions[i]) return new Result(ResultKind.notDone);
  }
  const children = command.children ?? [];
  const revisionBefore = context.records.revision;
  const items: Result[] = [];
  for (let i = 0; i < children.length; i += 1) items.push(executeChecked(context, children[i]));
  const result = listResult(items);
  if (context.records.revision > revisionBefore) result.version = context.records.revision;
  return result;
}
