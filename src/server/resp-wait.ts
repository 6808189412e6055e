/** WAIT numreplicas timeout: how many replicas hold this connection's last write durably. */
import { type Arguments, NOT_AN_INTEGER, type RespWriter, renderError } from "../codec/resp/index.js";
import { Command, Op } from "../kv/command.js";
import { ResultKind } from "../kv/result.js";
import type { RespConnection } from "./resp-connection.js";
import type { RespReply } from "./resp-reply.js";

/** More replicas than a group can have: waits as long as it is allowed to. */
const REPLICAS_MAX = 1000n;
/** About 285,000 years. */
const TIMEOUT_MS_MAX = 9_000_000_000_000_000n;

/**
 * Answered when so many replicas besides the leader hold the write, or, with how many do, when the time is over; 0 ms: for
 * ever.
 */
export function answerWait(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const replicas = request.integer(1);
  const timeoutMs = request.integer(2);
  if (replicas === null) writer.error(NOT_AN_INTEGER);
  else if (timeoutMs === null || timeoutMs > TIMEOUT_MS_MAX) {
    writer.error("ERR timeout is not an integer or out of range");
  } else if (timeoutMs < 0n) writer.error("ERR timeout is negative");
  else {
    const command = new Command(Op.progress);
    command.limit = replicas > REPLICAS_MAX ? Number(REPLICAS_MAX) : Math.max(0, Number(replicas));
    command.deadlineMs = Number(timeoutMs);
    connection.drainFirst();
    connection.submit(command, completeWait);
  }
}

function completeWait(_connection: RespConnection, slot: RespReply, writer: RespWriter): void {
  const result = slot.result!;
  if (result.kind === ResultKind.error) renderError(writer, result);
  else writer.bigInteger(result.integer);
}
