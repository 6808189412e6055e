/** WAIT numreplicas timeout: how many replicas hold this connection's last write durably. */
import { type Arguments, NOT_AN_INTEGER, type RespWriter, renderError } from "../codec/resp/index.js";
import { Command, Op } from "../kv/command.js";
import { ResultKind } from "../kv/result.js";
import type { RespConnection } from "./resp-connection.js";
import type { PendingReply } from "./resp-pipeline.js";

/** More replicas than a group can have: waits as long as it is allowed to. */
const REPLICAS_MAX = 1000n;
/** The longest timer that Node knows. */
const TIMEOUT_MS_MAX = 2_147_483_647n;

/** Redis does not count the primary that took the write; `Op.progress` counts every replica. Hence one more, one less. */
export function answerWait(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const replicas = request.integer(1);
  const timeoutMs = request.integer(2);
  if (replicas === null) writer.error(NOT_AN_INTEGER);
  else if (timeoutMs === null || timeoutMs > TIMEOUT_MS_MAX) {
    writer.error("ERR timeout is not an integer or out of range");
  } else if (timeoutMs < 0n) writer.error("ERR timeout is negative");
  else {
    connection.drainFirst();
    connection.submit(progressCommand(replicas < 0n ? 0n : replicas), completeWait);
    if (timeoutMs > 0n) connection.after(Number(timeoutMs), () => connection.replace(progressCommand(-1n)));
  }
}

/** -1: answer what there is. */
function progressCommand(replicas: bigint): Command {
  const command = new Command(Op.progress);
  command.limit = Number(replicas > REPLICAS_MAX ? REPLICAS_MAX : replicas) + 1;
  return command;
}

function completeWait(_connection: RespConnection, slot: PendingReply, writer: RespWriter): void {
  const result = slot.result!;
  if (result.kind === ResultKind.error) renderError(writer, result);
  else writer.integer(Math.max(0, Number(result.integer) - 1));
}
