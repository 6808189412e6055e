/** How each kind of answer looks to a client of the meta commands. */
import { Op } from "../../kv/command.js";
import { type Result, ResultKind } from "../../kv/result.js";
import type { RenderContext, ReplyShape } from "./command-spec.js";
import type { MetaRequest } from "./meta-request.js";
import type { MemcachedWriter } from "./writer.js";

/** mg: the line shows what was asked for, in the order asked. A quiet miss is no reply. */
export function renderMetaGet(
  writer: MemcachedWriter,
  result: Result,
  shape: ReplyShape,
  context: RenderContext,
): void {
  const meta = shape.meta!;
  context.counts.metas += 1;
  if (result.kind !== ResultKind.value) {
    context.counts.getMisses += 1;
    if (!meta.isQuiet) writeLine(writer, "EN", meta, null, context, 0);
    return;
  }
  context.counts.getHits += 1;
  const isKnown = meta.compare !== null && meta.compare === BigInt(result.version);
  writeAnswer(writer, meta.withValue && !isKnown, meta, result, context);
}

/** me: what is known of the record but for its value. */
export function renderMetaDebug(
  writer: MemcachedWriter,
  result: Result,
  shape: ReplyShape,
  context: RenderContext,
): void {
  context.counts.metas += 1;
  if (result.kind !== ResultKind.value) {
    writer.word("EN");
    return;
  }
  const ttl = ttlSeconds(result, context);
  writer.word(`ME ${shape.meta!.keyText} exp=${ttl} cas=${result.version} size=${result.value.length}`);
}

export function renderMetaSet(
  writer: MemcachedWriter,
  result: Result,
  shape: ReplyShape,
  context: RenderContext,
): void {
  const meta = shape.meta!;
  const { command } = shape.request!;
  context.counts.metas += 1;
  context.counts.sets += 1;
  const { kind } = result;
  if (kind === ResultKind.absent) {
    // An append finds nothing to append to, whatever version it demands.
    writeLine(writer, command.op === Op.append ? "NS" : "NF", meta, null, context, 0);
  } else if (kind === ResultKind.notDone) {
    writeLine(writer, command.versions !== null ? "EX" : "NS", meta, null, context, 0);
  } else if (!meta.isQuiet) {
    const bytes = command.op === Op.append ? Number(result.integer) : command.value.length;
    writeLine(writer, "HD", meta, result, context, bytes);
  }
}

/** md: what it did is told by an integer, or with x by the way of a set. */
export function renderMetaDelete(
  writer: MemcachedWriter,
  result: Result,
  shape: ReplyShape,
  context: RenderContext,
): void {
  const meta = shape.meta!;
  const { kind, integer } = result;
  context.counts.metas += 1;
  const isDone = kind === ResultKind.ok || (kind === ResultKind.integer && integer > 0n);
  if (isDone) context.counts.deleteHits += 1;
  else context.counts.deleteMisses += 1;
  if (isDone) {
    if (!meta.isQuiet) writeLine(writer, "HD", meta, null, context, 0);
  } else {
    const isOther = kind === ResultKind.notDone && shape.request!.command.versions !== null;
    writeLine(writer, isOther ? "EX" : "NF", meta, null, context, 0);
  }
}

export function renderMetaArithmetic(
  writer: MemcachedWriter,
  result: Result,
  shape: ReplyShape,
  context: RenderContext,
): void {
  const meta = shape.meta!;
  const isDown = shape.request!.command.op === Op.countDown;
  const isDone = result.kind === ResultKind.value;
  context.counts.metas += 1;
  if (isDown) context.counts[isDone ? "decrHits" : "decrMisses"] += 1;
  else context.counts[isDone ? "incrHits" : "incrMisses"] += 1;
  if (isDone) {
    if (!meta.isQuiet) writeAnswer(writer, meta.withValue, meta, result, context);
  } else writeLine(writer, result.kind === ResultKind.notDone ? "EX" : "NF", meta, null, context, 0);
}

function writeAnswer(
  writer: MemcachedWriter,
  withValue: boolean,
  meta: MetaRequest,
  result: Result,
  context: RenderContext,
): void {
  const bytes = result.value.length;
  writeLine(writer, withValue ? `VA ${bytes}` : "HD", meta, result, context, bytes);
  if (withValue) writer.data(result.value);
}

/** A miss shows key and opaque alone. */
function writeLine(
  writer: MemcachedWriter,
  code: string,
  meta: MetaRequest,
  result: Result | null,
  context: RenderContext,
  valueBytes: number,
): void {
  writer.part(code);
  for (const flag of meta.shown) {
    if (flag === "O") writer.part(` ${meta.opaque}`);
    else if (flag === "k") writer.part(` k${meta.keyText}${meta.isBinary ? " b" : ""}`);
    else if (result === null) continue;
    else if (flag === "c") writer.part(` c${result.version}`);
    else if (flag === "s") writer.part(` s${valueBytes}`);
    else if (result.kind !== ResultKind.value) continue;
    else if (flag === "f") writer.part(` f${result.recordFlags}`);
    else if (flag === "t") writer.part(` t${ttlSeconds(result, context)}`);
  }
  writer.endLine();
}

/** -1: it lives for ever. A key is there until replicated time has passed its deadline, so what is left is never below 0. */
function ttlSeconds({ deadlineMs }: Result, context: RenderContext): number {
  return deadlineMs < 0 ? -1 : Math.max(0, Math.ceil((deadlineMs - context.wallMs()) / 1000));
}
