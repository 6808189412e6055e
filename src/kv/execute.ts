import { assert } from "../core/assert.js";
import { type Command, isWrite, Op } from "./command.js";
import { ERRORS, KvError } from "./errors.js";
import { executeExpire, executePersist } from "./execute-expire.js";
import {
  executeCount,
  executeDeadline,
  executeExists,
  executeGet,
  executeGetMany,
  executeGetRange,
  executeLength,
  executeRange,
  executeScan,
  executeTime,
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
import { isInt64, parseInt64 } from "./integer-text.js";
import { checkCommand } from "./limits.js";
import { recordValue, recordVersion } from "./record.js";
import type { Records } from "./records.js";
import { errorResult, Result, ResultKind } from "./result.js";
import type { WriteContext } from "./write-context.js";

/** Executes a command that stands in the log: a write, or a read that was ordered with them. */
export function executeCommand(context: WriteContext, command: Command): Result {
  const error = checkCommand(command, context.limits);
  return error === null ? executeChecked(context, command) : errorResult(error);
}

function executeChecked(context: WriteContext, command: Command): Result {
  context.records.cause = command.op;
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
    case Op.transaction:
      return executeTransaction(context, command);
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
    case Op.range:
      return executeRange(records, command);
    case Op.time:
      return executeTime(records);
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
  return checksHold(context, command) ? executeChildren(context, command) : new Result(ResultKind.notDone);
}

/** As `atomic`; but if a child would fail, its error, and nothing is done. */
function executeTransaction(context: WriteContext, command: Command): Result {
  if (!checksHold(context, command)) return new Result(ResultKind.notDone);
  const error = foreseeError(context.records, command.children ?? []);
  if (error !== null) return errorResult(error);
  context.records.shareVersion(true);
  const result = executeChildren(context, command);
  context.records.shareVersion(false);
  return result;
}

function checksHold(context: WriteContext, command: Command): boolean {
  const keys = command.keys ?? [];
  const versions = command.versions ?? [];
  for (let i = 0; i < keys.length; i += 1) {
    const record = context.records.live(keys[i]);
    const version = record === undefined ? 0 : recordVersion(record);
    if (version !== versions[i]) return false;
  }
  return true;
}

/** Of what a transaction may hold only an increment can fail: by what its key holds, or what those before it leave there. */
function foreseeError(records: Records, children: readonly Command[]): KvError | null {
  const left = new Map<string, bigint | null>();
  for (let i = 0; i < children.length; i += 1) {
    const child = children[i];
    if (child.op === Op.set) left.set(child.key, parseInt64(child.value));
    else if (child.op === Op.delete) for (const key of child.keys ?? []) left.set(key, 0n);
    else {
      const record = records.live(child.key);
      const known = left.get(child.key);
      const before = known !== undefined ? known : record === undefined ? 0n : parseInt64(recordValue(record));
      const code = before === null ? "not_an_integer" : isInt64(before + child.integer) ? null : "overflow";
      if (code !== null) {
        return new KvError(code, `operation ${i + 1} of the transaction: ${ERRORS[code].summary}; nothing was done`);
      }
      left.set(child.key, before! + child.integer);
    }
  }
  return null;
}

function executeChildren(context: WriteContext, command: Command): Result {
  const children = command.children ?? [];
  const revisionBefore = context.records.revision;
  const items: Result[] = [];
  for (let i = 0; i < children.length; i += 1) items.push(executeChecked(context, children[i]));
  const result = listResult(items);
  if (context.records.revision > revisionBefore) result.version = context.records.revision;
  return result;
}
