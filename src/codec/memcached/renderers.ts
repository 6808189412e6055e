/** How each kind of answer looks to a client of the classic commands. */
import { type Result, ResultKind } from "../../kv/result.js";
import type { Render, RenderContext, ReplyShape } from "./command-spec.js";
import type { MemcachedCounts } from "./counts.js";
import { errorLine } from "./errors.js";
import type { MemcachedWriter } from "./writer.js";

/** get, gets. */
export function renderValues(withVersion: boolean): Render {
  return (writer, result, shape, { counts }) => {
    const command = shape.request!.command;
    if (command.keys === null) renderItem(writer, command.key, result, withVersion, counts);
    else {
      const items = result.items!;
      for (let i = 0; i < items.length; i += 1) renderItem(writer, command.keys[i], items[i], withVersion, counts);
    }
    writer.end();
  };
}

/** gat, gats. */
export function renderTouched(withVersion: boolean): Render {
  return (writer, result, shape, { counts }) => {
    const command = shape.request!.command;
    if (command.children === null) renderItem(writer, command.key, result, withVersion, counts);
    else {
      const failure = result.items!.find((item) => item.kind === ResultKind.error);
      if (failure !== undefined) {
        renderError(writer, failure);
        return;
      }
      for (let i = 0; i < command.children.length; i += 1) {
        renderItem(writer, command.children[i].key, result.items![i], withVersion, counts);
      }
    }
    writer.end();
  };
}

function renderItem(
  writer: MemcachedWriter,
  key: string,
  item: Result,
  withVersion: boolean,
  counts: MemcachedCounts,
): void {
  if (item.kind !== ResultKind.value) {
    counts.getMisses += 1;
    return;
  }
  counts.getHits += 1;
  writer.value(key, item.recordFlags, withVersion ? item.version : -1, item.value);
}

/** The plain dialect's get. */
export function renderPlainValues(
  writer: MemcachedWriter,
  result: Result,
  shape: ReplyShape,
  context: RenderContext,
): void {
  const { command } = shape.request!;
  if (command.keys === null) renderPlainValue(writer, command.key, result, context.counts);
  else
    for (let i = 0; i < command.keys.length; i += 1)
      renderPlainValue(writer, command.keys[i], result.items![i], context.counts);
}

function renderPlainValue(writer: MemcachedWriter, key: string, item: Result, counts: MemcachedCounts): void {
  if (item.kind === ResultKind.value) {
    counts.getHits += 1;
    writer.plainValue(key, item.value);
  } else {
    counts.getMisses += 1;
    writer.word("KEY NOT FOUND");
  }
}

/** set, add, replace, append, prepend. */
export function renderStored(
  writer: MemcachedWriter,
  result: Result,
  _shape: ReplyShape,
  { counts }: RenderContext,
): void {
  counts.sets += 1;
  if (result.kind === ResultKind.notDone) writer.word("NOT_STORED");
  else writer.stored();
}

export function renderCas(
  writer: MemcachedWriter,
  result: Result,
  _shape: ReplyShape,
  { counts }: RenderContext,
): void {
  counts.sets += 1;
  if (result.kind === ResultKind.absent) {
    counts.casMisses += 1;
    writer.word("NOT_FOUND");
  } else if (result.kind === ResultKind.notDone) {
    counts.casBadval += 1;
    writer.word("EXISTS");
  } else {
    counts.casHits += 1;
    writer.stored();
  }
}

export function renderDeleted(
  writer: MemcachedWriter,
  result: Result,
  _shape: ReplyShape,
  { counts }: RenderContext,
): void {
  const found = result.integer > 0n;
  if (found) counts.deleteHits += 1;
  else counts.deleteMisses += 1;
  writer.word(found ? "DELETED" : "NOT_FOUND");
}

export function renderTouch(
  writer: MemcachedWriter,
  result: Result,
  _shape: ReplyShape,
  { counts }: RenderContext,
): void {
  const found = result.kind === ResultKind.value || result.integer > 0n;
  if (found) counts.touchHits += 1;
  else counts.touchMisses += 1;
  writer.word(found ? "TOUCHED" : "NOT_FOUND");
}

/** incr, decr. */
export function renderNumber(isDown: boolean): Render {
  return (writer, result, _shape, { counts }) => {
    const found = result.kind === ResultKind.value;
    if (isDown) counts[found ? "decrHits" : "decrMisses"] += 1;
    else counts[found ? "incrHits" : "incrMisses"] += 1;
    if (found) writer.data(result.value);
    else writer.word("NOT_FOUND");
  };
}

export function renderOk(
  writer: MemcachedWriter,
  _result: Result,
  _shape: ReplyShape,
  { counts }: RenderContext,
): void {
  counts.flushes += 1;
  writer.word("OK");
}

export function renderError(writer: MemcachedWriter, result: Result): void {
  writer.sentence(result.error === null ? "SERVER_ERROR the store gave no reason" : errorLine(result.error));
}
