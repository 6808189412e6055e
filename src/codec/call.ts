/**
 * One operation of the SDK as it travels in `GAMUT CALL`, with all that it depends on: nothing of it is left to the
 * state of a connection, so that any node may take it, also a second time. Integers are little-endian.
 *
 * ```
 * call    magic "GC" | version u8 = 1 | flags u8 | level u8 (0: the keyspace's own) | timeoutMs u32 (0: the node's own)
 *           | keyspace (u16 length, latin1) | life u32 (0: whichever has that name)
 *           | [id: client (16 bytes), sequence u53, acknowledgedThrough u53, openedMs u53]
 *           | [token (u32 length, bytes)] | command (kv/command-codec.ts)
 * answer  magic "GA" | version u8 = 1 | flags u8 | leader u32 (0: not known) | life u32 (0: not known)
 *           | [token (u32 length, bytes)] | [receipt]
 *           | result (kv/result-codec.ts), or an error: code (u16 length, latin1), definite u8, message (u32 length, UTF-8)
 * receipt asked u8 | given u8 | protocol (u16 length, latin1) | node u32 | leader u32 | epoch u53 | position u53
 *           | durability u8 (0: synced, 1: os) | evidence (u16 length, latin1) | count u16 | per replica: node u32
 *           | parts u8 | [clock: ms u53, logical u32] | [staleness: missingWrites u53, reachablePeers u32, peers u32]
 * ```
 */
import { assert } from "../core/assert.js";
import {
  ByteReader,
  type ByteWriter,
  CodecError,
  copyBytes,
  latin1Decode,
  latin1Encode,
  utf8Decode,
  utf8Encode,
} from "../core/bytes.js";
import type { GroupId, NodeId } from "../core/machine.js";
import { type Command, isWrite, Op } from "../kv/command.js";
import { decodeCommand, encodeCommand } from "../kv/command-codec.js";
import { KvError } from "../kv/errors.js";
import { LEVEL_NAMES, type Level } from "../kv/level.js";
import { checkCommand } from "../kv/limits.js";
import type { Receipt } from "../kv/receipt.js";
import type { RequestId } from "../kv/request.js";
import { type Result, ResultKind } from "../kv/result.js";
import { decodeResult, encodeResult } from "../kv/result-codec.js";
import { TOKEN_BYTES_MAX } from "../kv/token.js";

const CALL_MAGIC = 0x4347;
const ANSWER_MAGIC = 0x4147;
const CALL_VERSION = 1;
const CLIENT_ID_BYTES = 16;
const KEYSPACE_BYTES_MAX = 256;
const REPLICAS_MAX = 1_024;
const MESSAGE_CHARS_MAX = 2_048;

const CallFlag = { id: 1, token: 2, explain: 4 } as const;
const CALL_FLAGS_ALL = CallFlag.id | CallFlag.token | CallFlag.explain;
const AnswerFlag = { token: 1, receipt: 2, error: 4, executed: 8 } as const;
const ANSWER_FLAGS_ALL = AnswerFlag.token | AnswerFlag.receipt | AnswerFlag.error | AnswerFlag.executed;
const ReceiptPart = { clock: 1, staleness: 2 } as const;
const RECEIPT_PARTS_ALL = ReceiptPart.clock | ReceiptPart.staleness;

export interface Call {
  readonly command: Command;
  readonly keyspace: string;
  /** The life of the keyspace that is meant, as an answer has told it; 0: whichever has the name. */
  readonly life: GroupId;
  /** null: the keyspace's own. */
  readonly level: Level | null;
  /** How long the node may work at it; 0: as long as it does by itself. It never does longer. */
  readonly timeoutMs: number;
  /** Writes only; null: not retried by its caller. */
  readonly id: RequestId | null;
  /** What must have been seen; null: nothing. */
  readonly token: Uint8Array | null;
  /** Whether the answer shall bring a receipt. */
  readonly explain: boolean;
}

/** An error as a client of whatever age reads it: the code may be one that it does not know. */
export interface CallError {
  readonly code: string;
  readonly definite: boolean;
  readonly message: string;
}

/** What stands before the result. */
export interface AnswerHead {
  /** Of the keyspace, as the answering node knows it; 0: not known. */
  readonly leader: NodeId;
  /** Of the keyspace that was asked; dropped and made again it has another. 0: not known. */
  readonly life: GroupId;
  /** The command has had its turn: this is what it came to, and under its request id it never comes to anything else. */
  readonly isExecuted: boolean;
  /** The call's token, raised by what it has seen; null where the call was not begun. */
  readonly token: Uint8Array | null;
  readonly receipt: Receipt | null;
}

export interface CallAnswer extends AnswerHead {
  /** Exactly one of the two is there. */
  readonly result: Result | null;
  readonly error: CallError | null;
}

/** The command must have passed `checkCommand`. */
export function encodeCall(call: Call, writer: ByteWriter): void {
  const { id, token } = call;
  writer.u16(CALL_MAGIC);
  writer.u8(CALL_VERSION);
  writer.u8(
    (id === null ? 0 : CallFlag.id) | (token === null ? 0 : CallFlag.token) | (call.explain ? CallFlag.explain : 0),
  );
  writer.u8(call.level ?? 0);
  writer.u32(call.timeoutMs);
  writer.latin1(call.keyspace);
  writer.u32(call.life);
  if (id !== null) {
    assert(id.client.length === CLIENT_ID_BYTES, "encodeCall: a client id of another length");
    writer.raw(latin1Encode(id.client));
    writer.u53(id.sequence);
    writer.u53(id.acknowledgedThrough);
    writer.u53(id.openedMs);
  }
  if (token !== null) writer.blob(token);
  encodeCommand(call.command, writer);
}

/** The call, or why it is refused: `bad_request`, or what `checkCommand` says. The command's values are views of `bytes`. */
export function decodeCall(bytes: Uint8Array): Call | KvError {
  let call: Call;
  try {
    call = readCall(new ByteReader(bytes));
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    return new KvError("bad_request", `the call cannot be read: ${error.message}; nothing was done`);
  }
  return checkCommand(call.command) ?? call;
}

function readCall(reader: ByteReader): Call {
  if (reader.u16() !== CALL_MAGIC) throw new CodecError("it does not begin as a call does");
  const version = reader.u8();
  if (version !== CALL_VERSION) throw new CodecError(`its version ${version} is not known to this build`);
  const flags = reader.u8();
  if (flags > CALL_FLAGS_ALL) throw new CodecError("it has flags that are not known to this build");
  const level = reader.u8();
  if (level !== 0 && !Object.hasOwn(LEVEL_NAMES, level)) throw new CodecError(`there is no level ${level}`);
  const timeoutMs = reader.u32();
  const keyspace = reader.latin1();
  if (keyspace.length > KEYSPACE_BYTES_MAX) throw new CodecError("the keyspace's name is too long");
  const life = reader.u32();
  const id = flags & CallFlag.id ? readId(reader) : null;
  const token = flags & CallFlag.token ? readToken(reader) : null;
  const command = decodeCommand(reader);
  if (reader.remaining > 0) throw new CodecError("it goes on after its command");
  checkOp(command.op, id);
  const explain = (flags & CallFlag.explain) !== 0;
  return { command, keyspace, life, level: level === 0 ? null : (level as Level), timeoutMs, id, token, explain };
}

function checkOp(op: Op, id: RequestId | null): void {
  if (op === Op.advance) throw new CodecError("a client may not move the replicated time");
  if (op === Op.progress) throw new CodecError("what a connection waits for is not asked in a call");
  if (id !== null && !isWrite(op)) throw new CodecError("a read has no request id");
}

function readId(reader: ByteReader): RequestId {
  const client = latin1Decode(reader.raw(CLIENT_ID_BYTES));
  const sequence = reader.u53();
  const acknowledgedThrough = reader.u53();
  const openedMs = reader.u53();
  if (sequence === 0) throw new CodecError("sequences begin at 1");
  if (acknowledgedThrough >= sequence) throw new CodecError("it acknowledges its own result");
  if (openedMs === 0) throw new CodecError("its client id bears no time");
  return { client, sequence, acknowledgedThrough, openedMs };
}

function readToken(reader: ByteReader): Uint8Array {
  const token = reader.blob();
  if (token.length > TOKEN_BYTES_MAX) throw new CodecError("the token is too long");
  return copyBytes(token);
}

export function encodeAnswer(head: AnswerHead, result: Result, writer: ByteWriter): void {
  const { token, receipt } = head;
  const isError = result.kind === ResultKind.error;
  writer.u16(ANSWER_MAGIC);
  writer.u8(CALL_VERSION);
  writer.u8(
    (token === null ? 0 : AnswerFlag.token) |
      (receipt === null ? 0 : AnswerFlag.receipt) |
      (isError ? AnswerFlag.error : 0) |
      (head.isExecuted ? AnswerFlag.executed : 0),
  );
  writer.u32(head.leader);
  writer.u32(head.life);
  if (token !== null) writer.blob(token);
  if (receipt !== null) writeReceipt(receipt, writer);
  if (isError) writeError(result.error!, writer);
  else encodeResult(result, writer);
}

function writeError(error: KvError, writer: ByteWriter): void {
  writer.latin1(error.code);
  writer.u8(error.definite ? 1 : 0);
  writer.blob(utf8Encode(error.message.slice(0, MESSAGE_CHARS_MAX)));
}

function writeReceipt(receipt: Receipt, writer: ByteWriter): void {
  writer.u8(receipt.asked);
  writer.u8(receipt.given);
  writer.latin1(receipt.protocol);
  writer.u32(receipt.node);
  writer.u32(receipt.leader);
  writer.u53(receipt.epoch);
  writer.u53(receipt.position);
  writer.u8(receipt.durability === undefined ? 0 : 1);
  writer.latin1(receipt.evidence);
  writer.u16(receipt.durableOn.length);
  for (const node of receipt.durableOn) writer.u32(node);
  const { clock, staleness } = receipt;
  writer.u8((clock === undefined ? 0 : ReceiptPart.clock) | (staleness === undefined ? 0 : ReceiptPart.staleness));
  if (clock !== undefined) {
    writer.u53(Math.floor(clock.ms));
    writer.u32(clock.logical);
  }
  if (staleness !== undefined) {
    writer.u53(staleness.missingWrites);
    writer.u32(staleness.reachablePeers);
    writer.u32(staleness.peers);
  }
}

/** Bad bytes: {@link CodecError}. The result's values are views of `bytes`. */
export function decodeAnswer(bytes: Uint8Array): CallAnswer {
  const reader = new ByteReader(bytes);
  if (reader.u16() !== ANSWER_MAGIC) throw new CodecError("the answer does not begin as one does");
  const version = reader.u8();
  if (version !== CALL_VERSION) throw new CodecError(`the answer's version ${version} is not known to this build`);
  const flags = reader.u8();
  if (flags > ANSWER_FLAGS_ALL) throw new CodecError("the answer has flags that are not known to this build");
  const isExecuted = (flags & AnswerFlag.executed) !== 0;
  const leader = reader.u32();
  const life = reader.u32();
  const token = flags & AnswerFlag.token ? readToken(reader) : null;
  const receipt = flags & AnswerFlag.receipt ? readReceipt(reader) : null;
  const error = flags & AnswerFlag.error ? readError(reader) : null;
  const result = error === null ? decodeResult(reader) : null;
  if (result?.kind === ResultKind.error) throw new CodecError("an error where a result is due");
  if (reader.remaining > 0) throw new CodecError("the answer goes on after its end");
  return { leader, life, isExecuted, token, receipt, result, error };
}

function readError(reader: ByteReader): CallError {
  const code = reader.latin1();
  const definite = reader.u8() === 1;
  const message = utf8Decode(reader.blob());
  if (message === null) throw new CodecError("an error's message is not UTF-8");
  return { code, definite, message };
}

function readReceipt(reader: ByteReader): Receipt {
  const asked = readLevel(reader);
  const given = readLevel(reader);
  const protocol = reader.latin1();
  const node = reader.u32();
  const leader = reader.u32();
  const epoch = reader.u53();
  const position = reader.u53();
  const durability = reader.u8();
  if (durability > 1) throw new CodecError("a receipt names a durability that is not known to this build");
  const evidence = reader.latin1();
  const count = reader.u16();
  if (count > REPLICAS_MAX) throw new CodecError("a receipt names too many replicas");
  const durableOn: number[] = [];
  for (let i = 0; i < count; i += 1) durableOn.push(reader.u32());
  const parts = reader.u8();
  if (parts > RECEIPT_PARTS_ALL) throw new CodecError("a receipt has parts that are not known to this build");
  const clock = parts & ReceiptPart.clock ? { ms: reader.u53(), logical: reader.u32() } : undefined;
  const staleness = parts & ReceiptPart.staleness ? readStaleness(reader) : undefined;
  return {
    ...{ asked, given, protocol, node, leader, epoch, position, durableOn, evidence },
    ...(clock === undefined ? {} : { clock }),
    ...(staleness === undefined ? {} : { staleness }),
    ...(durability === 1 ? { durability: "os" } : {}),
  };
}

function readStaleness(reader: ByteReader): Receipt["staleness"] {
  return { missingWrites: reader.u53(), reachablePeers: reader.u32(), peers: reader.u32() };
}

function readLevel(reader: ByteReader): Level {
  const level = reader.u8();
  if (!Object.hasOwn(LEVEL_NAMES, level)) throw new CodecError("a receipt names a level that there is not");
  return level as Level;
}
