/** MULTI, EXEC, DISCARD, WATCH, UNWATCH. A transaction is one atomic command of the store. */
import { type Arguments, EXEC_ABORTED, errorText, type RespWriter, renderError } from "../codec/resp/index.js";
import { Command, Op } from "../kv/command.js";
import { Level } from "../kv/level.js";
import { checkCommand } from "../kv/limits.js";
import { type Result, ResultKind } from "../kv/result.js";
import type { RespConnection } from "./resp-connection.js";
import { localCommand } from "./resp-local.js";
import type { RespReply } from "./resp-reply.js";
import { Transaction } from "./resp-transaction.js";

export function answerMulti(connection: RespConnection, _request: Arguments, writer: RespWriter): void {
  if (connection.transaction !== null) {
    writer.error("ERR MULTI calls can not be nested");
    return;
  }
  connection.transaction = new Transaction();
  writer.ok();
}

export function answerDiscard(connection: RespConnection, _request: Arguments, writer: RespWriter): void {
  if (connection.transaction === null) {
    writer.error("ERR DISCARD without MULTI");
    return;
  }
  connection.transaction = null;
  connection.watched.clear();
  writer.ok();
}

export function answerUnwatch(connection: RespConnection, _request: Arguments, writer: RespWriter): void {
  connection.watched.clear();
  writer.ok();
}

/** The answers of a transaction that needs nothing of the store may depend on all that came before it. */
export function execWaits(connection: RespConnection): boolean {
  return connection.transaction !== null && !connection.transaction.needsStore && connection.watched.size === 0;
}

export function answerExec(connection: RespConnection, _request: Arguments, writer: RespWriter): void {
  const transaction = connection.transaction;
  if (transaction === null) {
    writer.error("ERR EXEC without MULTI");
    return;
  }
  connection.transaction = null;
  const atomic = transaction.toCommand(connection.watched);
  const needsStore = transaction.needsStore || connection.watched.size > 0;
  connection.watched.clear();
  if (transaction.failed) {
    writer.error(EXEC_ABORTED);
    return;
  }
  const error = checkCommand(atomic);
  if (error !== null) writer.error(errorText(error));
  else if (needsStore) connection.submit(atomic, completeExec, transaction);
  else writeReplies(connection, transaction, [], writer);
}

function completeExec(connection: RespConnection, slot: RespReply, writer: RespWriter): void {
  const result = slot.result!;
  if (result.kind === ResultKind.error) renderError(writer, result);
  else if (result.kind === ResultKind.notDone) writer.nullArray();
  else writeReplies(connection, slot.transaction!, result.items ?? [], writer);
}

/** `items`: the results of those that went to the store, in order. */
function writeReplies(
  connection: RespConnection,
  transaction: Transaction,
  items: readonly Result[],
  writer: RespWriter,
): void {
  let next = 0;
  writer.array(transaction.queue.length);
  for (const queued of transaction.queue) {
    if (queued.error !== "") writer.error(queued.error);
    else if (queued.request !== null) localCommand(queued.spec, queued.request).run(connection, queued.request, writer);
    else {
      const item = items[next];
      next += 1;
      if (item.kind === ResultKind.error) renderError(writer, item);
      else queued.spec.render!(writer, item, connection, queued.command!);
    }
  }
}

/**
 * Remembers the keys' versions; EXEC demands that they are unchanged. Read linearizably whatever the connection's level:
 * a stale version would make EXEC fail for no reason.
 */
export function answerWatch(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  if (connection.transaction !== null) {
    writer.error("ERR WATCH inside MULTI is not allowed");
    return;
  }
  const { watchedKeysMax } = connection.service.limits;
  const command = new Command(Op.versions);
  const keys: string[] = [];
  for (let i = 1; i < request.count; i += 1) keys.push(request.text(i));
  command.keys = keys;
  const error = checkCommand(command);
  if (error !== null) {
    writer.error(errorText(error));
    return;
  }
  if (connection.watched.size + keys.length > watchedKeysMax) {
    writer.error(`ERR batch_too_large: a connection may watch ${watchedKeysMax} keys; EXEC or UNWATCH forgets them`);
    return;
  }
  const session = connection.session;
  const level = session.level;
  session.level = Level.linearizable;
  connection.drainFirst();
  connection.submit(command, completeWatch);
  session.level = level;
}

function completeWatch(connection: RespConnection, slot: RespReply, writer: RespWriter): void {
  const result = slot.result!;
  if (result.kind === ResultKind.error) {
    renderError(writer, result);
    return;
  }
  const keys = slot.request!.command.keys!;
  const items = result.items!;
  for (let i = 0; i < keys.length; i += 1) {
    if (!connection.watched.has(keys[i])) connection.watched.set(keys[i], items[i].version);
  }
  writer.ok();
}
