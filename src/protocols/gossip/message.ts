import { type ByteReader, type ByteWriter, CodecError, copyBytes, EMPTY_BYTES } from "../../core/bytes.js";
import type { MessageCodec } from "../../core/machine.js";
import { checkBatch, decodeItems, type Item } from "./item.js";
import { readVector, Vector, writeVector } from "./origins.js";
import { type Cover, readCovers, writeCovers } from "./section.js";

export const MessageKind = {
  /** Writes of the sender's own, as soon as they are durable there. */
  push: 1,
  /** What the sender holds, and the question for what it lacks. */
  digest: 2,
  /** The answer to a digest: writes that the asker lacks. */
  answer: 3,
  /** Stretches of the hash tree with the asker's sums. */
  treeQuestion: 4,
  /** Sums of the stretches that differ, and writes. */
  treeAnswer: 5,
  /** The sender's life is older than one that is known here (`known`): it must begin a newer one. */
  staleIncarnation: 6,
} as const;
export type MessageKind = (typeof MessageKind)[keyof typeof MessageKind];

const LAST_KIND = MessageKind.staleIncarnation;

export const MessageFlag = {
  /** The sender has lost its memory and has not caught up. */
  recovering: 1,
  /** There is more to be had: ask again. */
  more: 2,
  /** Some of it cannot be found by sequence here: the trees have to be compared. */
  treeNeeded: 4,
  /** The sender's tree is not summed up yet. */
  noTree: 8,
  /** Somebody watches the keyspace at the sender, and may go on at the receiver. */
  watched: 16,
} as const;

/** One stretch of the space of key hashes, both ends inclusive. */
export interface Stretch {
  readonly first: number;
  readonly last: number;
  /** Sum over the asker's entries, or, in an answer, the sender's. */
  readonly low: number;
  readonly high: number;
  /** In a question about few entries: their versions instead of the sum. */
  readonly versions: readonly number[] | null;
}

const NO_COVERS: readonly Cover[] = [];
const NO_LIVES: readonly number[] = [];
const NO_STRETCHES: readonly Stretch[] = [];
export const NO_VECTOR = new Vector();

/** The one message class of gossip. Which fields count is told by `kind`. */
export class GossipMessage {
  flags = 0;
  /** The receiver's life that is meant, as the sender knows it; 0: not known. Another life drops all but digests. */
  to = 0;
  /** The sender's wall clock in ms. */
  wallMs = 0;
  /** The asker's own number, echoed in answers. */
  question = 0;
  /** staleIncarnation: the newest known. treeAnswer: how many stretches of the question are dealt with. */
  known = 0;
  /** digest: sum over all of the sender's entries. */
  low = 0;
  high = 0;
  /** What is in effect at the sender. */
  have: Vector = NO_VECTOR;
  /** digest: what need not be sent to it; null: the same. */
  taken: Vector | null = null;
  /** digest: the newest lives that the sender knows, as pairs (node, incarnation), flattened; its own among them. */
  lives: readonly number[] = NO_LIVES;
  /** Writes: a batch (item.ts), or nothing. */
  payload: Uint8Array = EMPTY_BYTES;
  covers: readonly Cover[] = NO_COVERS;
  stretches: readonly Stretch[] = NO_STRETCHES;

  constructor(
    readonly kind: MessageKind,
    readonly incarnation: number,
  ) {}

  /** The writes that it brings; their values are views of the payload. */
  get writes(): readonly Item[] {
    return decodeItems(this.payload);
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
}

const MESSAGE_VERSION = 1;
const MAX_LIVES = 2_048;
const MAX_STRETCHES = 1_024;
/** Listed of one stretch: one less. */
export const MAX_VERSIONS = 8_192;

/** Fixed layout, little-endian; a version byte first. */
export const gossipCodec: MessageCodec<GossipMessage> = {
  encode(message: GossipMessage, writer: ByteWriter): void {
    writer.u8(MESSAGE_VERSION);
    writer.u8(message.kind);
    writer.u8(message.flags);
    writer.u53(message.incarnation);
    writer.u53(message.to);
    writer.u53(message.wallMs);
    writer.u53(message.question);
    writer.u53(message.known);
    writer.blob(message.payload);
    if (message.kind === MessageKind.push) return;
    writer.u32(message.low);
    writer.u32(message.high);
    writeVector(message.have, writer);
    writer.u8(message.taken === null ? 0 : 1);
    if (message.taken !== null) writeVector(message.taken, writer);
    writer.u16(message.lives.length);
    for (const number of message.lives) writer.u53(number);
    writeCovers(message.covers, writer);
    writeStretches(message.stretches, writer);
  },

  decode(reader: ByteReader): GossipMessage {
    const version = reader.u8();
    if (version !== MESSAGE_VERSION) throw new CodecError(`gossip message version ${version}; this build reads 1`);
    const kind = reader.u8();
    if (kind < 1 || kind > LAST_KIND) throw new CodecError(`gossip message of unknown kind ${kind}`);
    const flags = reader.u8();
    const message = new GossipMessage(kind as MessageKind, reader.u53());
    message.flags = flags;
    message.to = reader.u53();
    message.wallMs = reader.u53();
    message.question = reader.u53();
    message.known = reader.u53();
    message.payload = copyBytes(reader.blob());
    // At once: what cannot be read is refused with the frame that brought it.
    checkBatch(message.payload);
    if (kind === MessageKind.push) return message;
    message.low = reader.u32();
    message.high = reader.u32();
    message.have = readVector(reader);
    if (reader.u8() !== 0) message.taken = readVector(reader);
    message.lives = readLives(reader);
    message.covers = readCovers(reader);
    message.stretches = readStretches(reader);
    return message;
  },
};

function readLives(reader: ByteReader): readonly number[] {
  const count = reader.u16();
  if (count === 0) return NO_LIVES;
  if (count % 2 !== 0 || count > MAX_LIVES) throw new CodecError(`gossip message with ${count} numbers of lives`);
  const lives: number[] = [];
  for (let i = 0; i < count; i += 1) lives.push(reader.u53());
  return lives;
}

function writeStretches(stretches: readonly Stretch[], writer: ByteWriter): void {
  writer.u16(stretches.length);
  for (const { first, last, low, high, versions } of stretches) {
    writer.u32(first);
    writer.u32(last);
    writer.u16(versions === null ? 0 : versions.length + 1);
    if (versions === null) {
      writer.u32(low);
      writer.u32(high);
    } else for (const version of versions) writer.u53(version);
  }
}

function readStretches(reader: ByteReader): readonly Stretch[] {
  const count = reader.u16();
  if (count === 0) return NO_STRETCHES;
  if (count > MAX_STRETCHES) throw new CodecError(`gossip message with ${count} stretches; at most ${MAX_STRETCHES}`);
  const stretches: Stretch[] = [];
  for (let i = 0; i < count; i += 1) {
    const first = reader.u32();
    const last = reader.u32();
    if (last < first) throw new CodecError("gossip message with a stretch that ends before it begins");
    const listed = reader.u16();
    if (listed === 0) {
      stretches.push({ first, last, low: reader.u32(), high: reader.u32(), versions: null });
      continue;
    }
    if (listed > MAX_VERSIONS) throw new CodecError(`gossip message with ${listed} versions; at most ${MAX_VERSIONS}`);
    const versions: number[] = [];
    for (let left = listed - 1; left > 0; left -= 1) versions.push(reader.u53());
    stretches.push({ first, last, low: 0, high: 0, versions });
  }
  return stretches;
}
