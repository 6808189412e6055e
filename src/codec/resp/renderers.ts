/** How each kind of answer looks in RESP. One function a shape; commands share them. */
import type { Command } from "../../kv/command.js";
import { parseInt64 } from "../../kv/integer-text.js";
import { recordLength } from "../../kv/record.js";
import { type Result, ResultKind } from "../../kv/result.js";
import type { CommandContext } from "./command-spec.js";
import { errorText } from "./errors.js";
import type { RespWriter } from "./reply.js";

/** SET: OK, the previous value where it was asked for, or null where a condition did not hold. */
export function renderSet(writer: RespWriter, result: Result): void {
  if (result.kind === ResultKind.ok) writer.ok();
  else renderValue(writer, result);
}

export function renderValue(writer: RespWriter, result: Result): void {
  if (result.kind === ResultKind.value) writer.bulk(result.value);
  else writer.null();
}

export function renderValues(writer: RespWriter, result: Result): void {
  const items = result.items ?? [];
  writer.array(items.length);
  for (const item of items) renderValue(writer, item);
}

export function renderOk(writer: RespWriter, _result: Result): void {
  writer.ok();
}

export function renderInteger(writer: RespWriter, result: Result): void {
  writer.bigInteger(result.integer);
}

/** 1 if it was done, 0 if not: SETNX, EXPIRE, PERSIST. */
export function renderDone(writer: RespWriter, result: Result): void {
  if (result.kind === ResultKind.integer) writer.bigInteger(result.integer);
  else writer.integer(result.kind === ResultKind.ok ? 1 : 0);
}

export function renderType(writer: RespWriter, result: Result): void {
  writer.simple(result.integer > 0n ? "string" : "none");
}

export function renderTtlSeconds(writer: RespWriter, result: Result, context: CommandContext): void {
  writer.integer(result.deadlineMs < 0 ? result.deadlineMs : roundedSeconds(remainingMs(result, context)));
}

export function renderTtlMs(writer: RespWriter, result: Result, context: CommandContext): void {
  writer.integer(result.deadlineMs < 0 ? result.deadlineMs : remainingMs(result, context));
}

export function renderDeadlineSeconds(writer: RespWriter, result: Result): void {
  writer.integer(result.deadlineMs < 0 ? result.deadlineMs : roundedSeconds(result.deadlineMs));
}

export function renderDeadlineMs(writer: RespWriter, result: Result): void {
  writer.integer(result.deadlineMs);
}

/** The key is there until replicated time has passed its deadline, so what is left is never below 0. */
function remainingMs(result: Result, context: CommandContext): number {
  return Math.max(0, result.deadlineMs - context.wallMs());
}

function roundedSeconds(ms: number): number {
  return Math.floor((ms + 500) / 1000);
}

export function renderScan(writer: RespWriter, result: Result, context: CommandContext): void {
  const items = result.items ?? [];
  writer.array(2);
  writer.bulkText(result.key === "" ? "0" : context.scanCursor(result.key));
  writer.array(items.length);
  for (const item of items) writer.bulkText(item.key);
}

/** GETRANGE: to Redis an absent key holds an empty value. */
export function renderRange(writer: RespWriter, result: Result): void {
  writer.bulk(result.value);
}

export function renderRename(writer: RespWriter, result: Result): void {
  if (result.kind === ResultKind.absent) writer.error("ERR no such key");
  else writer.ok();
}

export function renderRenamenx(writer: RespWriter, result: Result): void {
  if (result.kind === ResultKind.absent) writer.error("ERR no such key");
  else renderDone(writer, result);
}

const EMBEDDED_BYTES_MAX = 44;

/** What Redis calls a value that was set as it is. (Here all are bytes.) */
export function renderEncoding(writer: RespWriter, result: Result): void {
  if (result.kind !== ResultKind.value) writer.null();
  else if (parseInt64(result.value) !== null) writer.bulkText("int");
  else writer.bulkText(result.value.length <= EMBEDDED_BYTES_MAX ? "embstr" : "raw");
}

export function renderReferenceCount(writer: RespWriter, result: Result): void {
  if (result.kind === ResultKind.value) writer.integer(1);
  else writer.null();
}

export function renderIdleTime(writer: RespWriter, result: Result): void {
  if (result.kind === ResultKind.value) writer.error("ERR idle time is not tracked: a read changes nothing here");
  else writer.null();
}

export function renderFrequency(writer: RespWriter, result: Result): void {
  if (result.kind !== ResultKind.value) writer.null();
  else {
    writer.error(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching " +
        "between policies at runtime LRU and LFU data will take some time to adjust.",
    );
  }
}

/** Bytes of the key and of the record as they are stored. */
export function renderMemoryUsage(
  writer: RespWriter,
  result: Result,
  _context: CommandContext,
  { key }: Command,
): void {
  if (result.kind !== ResultKind.value) writer.null();
  else writer.integer(key.length + recordLength(result.deadlineMs, result.recordFlags, result.value.length));
}

export function renderError(writer: RespWriter, result: Result): void {
  writer.error(result.error === null ? "ERR the store gave no reason" : errorText(result.error));
}
