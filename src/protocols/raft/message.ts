import { type ByteReader, type ByteWriter, CodecError, copyBytes, EMPTY_BYTES } from "../../core/bytes.js";
import type { MessageCodec } from "../../core/machine.js";
import { readSectionHeader } from "../../kv/batch.js";
import { Entry } from "./entry-log.js";

export const MessageKind = {
  append: 1,
  appendResponse: 2,
  heartbeat: 3,
  heartbeatResponse: 4,
  preVote: 5,
  preVoteResponse: 6,
  vote: 7,
  voteResponse: 8,
  /** Sections of writes from the node that took them to the leader. */
  forward: 9,
  /** The leader cannot append a section of `client`: it expects sequence `index`. */
  forwardRefused: 10,
  readIndex: 11,
  readIndexResponse: 12,
  /** Leadership transfer: campaign at once (thesis 3.10). */
  timeoutNow: 13,
  progressQuery: 14,
  progressResponse: 15,
  /** The sender's incarnation is older than the one known here (`index`): it must take a newer one. */
  staleIncarnation: 16,
} as const;
export type MessageKind = (typeof MessageKind)[keyof typeof MessageKind];

const LAST_KIND = MessageKind.staleIncarnation;

/** Bits of {@link RaftMessage.flags}. */
export const MessageFlag = {
  /** A vote granted; an append accepted. */
  granted: 1,
  /** The sender is recovering: it counts in no quorum. */
  recovering: 2,
  /** The sender's disk is short of room: nothing more is to be proposed to it. From a leader: it takes no writes. */
  refusing: 4,
  /** A vote asked for by a leadership transfer: the leader's presence does not speak against it. */
  transfer: 8,
  /** The heartbeat only carries a commit index: no answer wanted. */
  silent: 16,
  /** The message brings the sender's wall clock. */
  clock: 32,
  /** The sender's disk takes no writes, not even those that were proposed. */
  full: 64,
} as const;

export const NO_ENTRIES: readonly Entry[] = [];
const NO_NUMBERS: readonly number[] = [];

/** The one message class of raft. Which fields count is told by `kind`; the others are zero. */
export class RaftMessage {
  kind: MessageKind;
  term: number;
  /** The sender's. */
  incarnation: number;
  flags = 0;
  /** append: previous index · responses: matched or hint index · votes: last index · readIndexResponse: the read index. */
  index = 0;
  /** append: previous term · append refused: hint term · votes: last term. */
  logTerm = 0;
  commit = 0;
  /** Read round that a heartbeat or append carries and its response echoes; the asker's own number on questions. */
  round = 0;
  /** The sender's wall clock in ms, with the flag `clock`. */
  clockMs = 0;
  entries: readonly Entry[] = NO_ENTRIES;
  /** Pairs (node, incarnation), flattened: what the sender knows of others. On progress: (node, position, recovering). */
  numbers: readonly number[] = NO_NUMBERS;
  client = "";
  payload: Uint8Array = EMPTY_BYTES;

  constructor(kind: MessageKind, term: number, incarnation: number) {
    this.kind = kind;
    this.term = term;
    this.incarnation = incarnation;
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
}

const MESSAGE_VERSION = 1;
const MAX_ENTRIES = 65_536;
const MAX_NUMBERS = 1_024;

/** Fixed layout, little-endian; a version byte first. */
export const raftCodec: MessageCodec<RaftMessage> = {
  encode(message: RaftMessage, writer: ByteWriter): void {
    writer.u8(MESSAGE_VERSION);
    writer.u8(message.kind);
    writer.u8(message.flags);
    writer.u53(message.term);
    writer.u53(message.incarnation);
    writer.u53(message.index);
    writer.u53(message.logTerm);
    writer.u53(message.commit);
    writer.u53(message.round);
    if (message.has(MessageFlag.clock)) writer.u53(message.clockMs);
    writer.u16(message.numbers.length);
    for (let i = 0; i < message.numbers.length; i += 1) writer.u53(message.numbers[i]);
    writer.latin1(message.client);
    writer.blob(message.payload);
    writer.u32(message.entries.length);
    for (let i = 0; i < message.entries.length; i += 1) {
      const entry = message.entries[i];
      writer.u53(entry.term);
      writer.u53(entry.index);
      writer.blob(entry.payload);
    }
  },

  decode(reader: ByteReader): RaftMessage {
    const version = reader.u8();
    if (version !== MESSAGE_VERSION) throw new CodecError(`raft message version ${version}; this build reads 1`);
    const kind = reader.u8();
    if (kind < 1 || kind > LAST_KIND) throw new CodecError(`raft message of unknown kind ${kind}`);
    const flags = reader.u8();
    const term = reader.u53();
    const message = new RaftMessage(kind as MessageKind, term, reader.u53());
    message.flags = flags;
    message.index = reader.u53();
    message.logTerm = reader.u53();
    message.commit = reader.u53();
    message.round = reader.u53();
    if (message.has(MessageFlag.clock)) message.clockMs = reader.u53();
    message.numbers = readNumbers(reader);
    message.client = reader.latin1();
    message.payload = copyOrEmpty(reader.blob());
    if (kind === MessageKind.forward) checkSections(message.payload);
    message.entries = readEntries(reader, message);
    return message;
  },
};

function readNumbers(reader: ByteReader): readonly number[] {
  const count = reader.u16();
  if (count === 0) return NO_NUMBERS;
  if (count > MAX_NUMBERS) throw new CodecError(`raft message with ${count} numbers; at most ${MAX_NUMBERS}`);
  const numbers: number[] = [];
  for (let i = 0; i < count; i += 1) numbers.push(reader.u53());
  return numbers;
}

/** They follow the message's previous entry without a gap, and their terms do not fall. */
function readEntries(reader: ByteReader, message: RaftMessage): readonly Entry[] {
  const count = reader.u32();
  if (count === 0) return NO_ENTRIES;
  if (count > MAX_ENTRIES) throw new CodecError(`raft message with ${count} entries; at most ${MAX_ENTRIES}`);
  const entries: Entry[] = [];
  let lastTerm = message.logTerm;
  for (let i = 0; i < count; i += 1) {
    const term = reader.u53();
    const index = reader.u53();
    if (index !== message.index + 1 + i || term < lastTerm || term > message.term) {
      throw new CodecError(`raft message with entry ${index} of term ${term} out of its order`);
    }
    lastTerm = term;
    entries.push(new Entry(term, index, copyOrEmpty(reader.blob())));
  }
  return entries;
}

function checkSections(payload: Uint8Array): void {
  let offset = 0;
  while (offset < payload.length) offset = readSectionHeader(payload, offset).end;
}

/** The frame's bytes are the net's; what a message keeps is its own. */
function copyOrEmpty(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? EMPTY_BYTES : copyBytes(bytes);
}
