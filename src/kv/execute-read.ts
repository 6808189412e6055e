/** The commands that change nothing. Values are copied: a result outlives the state that it was read from. */
import { copyBytes, latin1Decode } from "../core/bytes.js";
import { type Command, CommandFlag } from "./command.js";
import { Glob } from "./glob.js";
import { nextKey } from "./key-range.js";
import { RANGE_BYTES_MAX, SCAN_KEYS_MAX } from "./limits.js";
import { recordDeadlineMs, recordFlags, recordValue, recordValueLength, recordVersion } from "./record.js";
import type { Records } from "./records.js";
import { integerResult, Result, ResultKind } from "./result.js";

const NO_SUCH_KEY = -2;

export function valueResult(record: Uint8Array): Result {
  const result = recordResult(record);
  result.value = copyBytes(recordValue(record));
  return result;
}

/** All but the value. */
function recordResult(record: Uint8Array): Result {
  const result = new Result(ResultKind.value);
  result.version = recordVersion(record);
  result.recordFlags = recordFlags(record);
  result.deadlineMs = recordDeadlineMs(record);
  return result;
}

export function absentResult(): Result {
  const result = new Result(ResultKind.absent);
  result.deadlineMs = NO_SUCH_KEY;
  return result;
}

/** A record's version and deadline without its value. */
function headResult(record: Uint8Array): Result {
  const result = new Result(ResultKind.ok);
  result.version = recordVersion(record);
  result.deadlineMs = recordDeadlineMs(record);
  return result;
}

export function listResult(items: Result[]): Result {
  const result = new Result(ResultKind.list);
  result.items = items;
  return result;
}

/** `value`, or `absent`. */
export function executeGet(records: Records, command: Command): Result {
  const record = records.live(command.key);
  return record === undefined ? absentResult() : valueResult(record);
}

/** A list of `value` and `absent`, one a key. */
export function executeGetMany(records: Records, command: Command): Result {
  const keys = command.keys ?? [];
  const items: Result[] = [];
  for (let i = 0; i < keys.length; i += 1) {
    const record = records.live(keys[i]);
    items.push(record === undefined ? absentResult() : valueResult(record));
  }
  return listResult(items);
}

export function executeExists(records: Records, command: Command): Result {
  const keys = command.keys ?? [];
  let found = 0;
  for (let i = 0; i < keys.length; i += 1) if (records.live(keys[i]) !== undefined) found += 1;
  return integerResult(BigInt(found));
}

/** Bytes of the value; 0 for an absent key. */
export function executeLength(records: Records, command: Command): Result {
  const record = records.live(command.key);
  if (record === undefined) return integerResult(0n);
  const result = integerResult(BigInt(recordValueLength(record)));
  result.version = recordVersion(record);
  return result;
}

/**
 * A `value` of the bytes from `offset` through `limit`, or `absent`. What lies outside of the value is left out, and two
 * places before its beginning, the second before the first, mean nothing at all: as Redis' GETRANGE.
 */
export function executeGetRange(records: Records, { key, offset, limit }: Command): Result {
  const record = records.live(key);
  if (record === undefined) return absentResult();
  const result = recordResult(record);
  if (offset < 0 && limit < 0 && offset > limit) return result;
  const length = recordValueLength(record);
  const start = Math.max(offset < 0 ? offset + length : offset, 0);
  const last = Math.max(limit < 0 ? limit + length : limit, 0);
  if (start <= last) result.value = copyBytes(recordValue(record).subarray(start, last + 1));
  return result;
}

/** `ok` with deadline and version, or `absent`. */
export function executeDeadline(records: Records, command: Command): Result {
  const record = records.live(command.key);
  return record === undefined ? absentResult() : headResult(record);
}

/** A list of `ok` with the version (and the deadline) and `absent` with version 0, one a key. */
export function executeVersions(records: Records, command: Command): Result {
  const keys = command.keys ?? [];
  const items: Result[] = [];
  for (let i = 0; i < keys.length; i += 1) {
    const record = records.live(keys[i]);
    items.push(record === undefined ? absentResult() : headResult(record));
  }
  return listResult(items);
}

/** Records held, those included whose deadline has passed but which are not removed yet (as Redis' DBSIZE does). */
export function executeCount(records: Records): Result {
  return integerResult(BigInt(records.count));
}

/**
 * A list of `ok` with key, version and deadline. `limit` live keys are visited; those that match the pattern (the
 * command's `value`, empty for all) are listed. The result's own key is the `key` with which the next page is asked for,
 * "" at the end: the first one not visited; in reverse the one that comes right after it.
 */
export function executeScan(records: Records, command: Command): Result {
  const limit = Math.min(command.limit, SCAN_KEYS_MAX);
  const pattern = command.value.length === 0 ? null : new Glob(latin1Decode(command.value));
  const items: Result[] = [];
  const result = listResult(items);
  const reverse = isReverse(command);
  let visited = 0;
  const visit = (key: string, record: Uint8Array): boolean => {
    if (visited === limit) {
      result.key = reverse ? nextKey(key) : key;
      return false;
    }
    visited += 1;
    if (pattern === null || pattern.matches(key)) {
      const item = headResult(record);
      item.key = key;
      items.push(item);
    }
    return true;
  };
  if (reverse) records.reverseScan("", command.key, visit);
  else records.scan(command.key, visit);
  return result;
}

/**
 * A list of `value`, each with its key: the records of the range at one moment. It ends early at `limit` and at
 * {@link RANGE_BYTES_MAX}. The result's own key is where the range of the next page begins, the first one left out, and
 * in reverse where it ends; "" if none is left out.
 */
export function executeRange(records: Records, command: Command): Result {
  const limit = Math.min(command.limit, SCAN_KEYS_MAX);
  const end = latin1Decode(command.value);
  const items: Result[] = [];
  const result = listResult(items);
  const reverse = isReverse(command);
  let bytes = 0;
  const visit = (key: string, record: Uint8Array): boolean => {
    if (!reverse && end !== "" && key >= end) return false;
    const size = key.length + recordValueLength(record);
    if (items.length === limit || (items.length > 0 && bytes + size > RANGE_BYTES_MAX)) {
      result.key = reverse ? nextKey(key) : key;
      return false;
    }
    bytes += size;
    const item = valueResult(record);
    item.key = key;
    items.push(item);
    return true;
  };
  if (reverse) records.reverseScan(command.key, end, visit);
  else records.scan(command.key, visit);
  return result;
}

function isReverse(command: Command): boolean {
  return (command.flags & CommandFlag.reverse) !== 0;
}

/** The replicated time in ms. */
export function executeTime(records: Records): Result {
  return integerResult(BigInt(records.timeMs));
}
