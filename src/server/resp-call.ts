/** GAMUT CALL: one operation of the SDK, as codec/call.ts writes it. */
import { type AnswerHead, decodeCall, encodeAnswer } from "../codec/call.js";
import type { Arguments, RespWriter } from "../codec/resp/index.js";
import { allocate, ByteWriter } from "../core/bytes.js";
import { isWrite } from "../kv/command.js";
import { KvError } from "../kv/errors.js";
import { errorResult } from "../kv/result.js";
import type { RespConnection } from "./resp-connection.js";
import type { RespReply } from "./resp-reply.js";

/** A longer answer would get the connection cut. */
const ANSWER_BYTES_MAX = 32 * 1_048_576;
const SCRATCH_BYTES_KEPT = 1_048_576;

const NOT_BEGUN: AnswerHead = { leader: 0, life: 0, isExecuted: false, token: null, receipt: null };

/** Of the answer that is being written: they are written one after the other. */
let scratch = new ByteWriter(4_096);

/** Every refusal is an answer like any other: whoever calls reads one format. */
export function answerCall(connection: RespConnection, request: Arguments, writer: RespWriter): void {
  const call = decodeCall(joined(request));
  if (call instanceof KvError) {
    refuse(call, writer);
    return;
  }
  const session = connection.service.backend.openSession({ name: "default" });
  const error = call.token === null ? null : session.acceptToken(call.token);
  if (error !== null) {
    session.close();
    refuse(error, writer);
    return;
  }
  session.keyspace = call.keyspace;
  session.keyspaceLife = call.life;
  session.level = call.level;
  session.explains = call.explain;
  session.timeoutMs = call.timeoutMs;
  connection.submitIn(session, call.command, call.id, completeCall);
}

/** The call's bytes in an array of its own. It may come in parts, for none may be longer than a value. */
function joined(request: Arguments): Uint8Array {
  if (request.count === 3) return request.copy(2);
  let length = 0;
  for (let i = 2; i < request.count; i += 1) length += request.length(i);
  const bytes = allocate(length);
  let at = 0;
  for (let i = 2; i < request.count; i += 1) {
    bytes.set(request.bytes.subarray(request.start(i), request.end(i)), at);
    at += request.length(i);
  }
  return bytes;
}

function refuse(error: KvError, writer: RespWriter): void {
  scratch.reset();
  encodeAnswer(NOT_BEGUN, errorResult(error), scratch);
  writer.bulk(scratch.written());
}

function completeCall(_connection: RespConnection, slot: RespReply, writer: RespWriter): void {
  const session = slot.session!;
  const request = slot.request!;
  const { receipt } = request;
  const result = slot.result!;
  // What stands in the log has a position, and all that is told without having been executed there is indefinite.
  const isExecuted = request.position > 0 && result.error?.definite !== false;
  const [leader, life, token] = [session.leader(request), session.lifeOf(request), session.token()];
  session.close();
  scratch.reset();
  encodeAnswer({ leader, life, isExecuted, token, receipt }, result, scratch);
  if (scratch.length > ANSWER_BYTES_MAX) {
    const message = `the answer has ${scratch.length} bytes, ${ANSWER_BYTES_MAX} are allowed: ask for less at once`;
    // A write was done all the same, and a retry would be answered as much.
    const code = isWrite(request.command.op) ? "unknown" : "batch_too_large";
    scratch.reset();
    encodeAnswer({ leader, life, isExecuted, token, receipt: null }, errorResult(new KvError(code, message)), scratch);
  }
  writer.bulk(scratch.written());
  if (scratch.bytes.length > SCRATCH_BYTES_KEPT) scratch = new ByteWriter(4_096);
}
