/**
 * The payload of one entry of an ordered log: a batch. An empty payload is an entry that changes nothing.
 *
 * ```
 * batch    version u8 = 1 | timeMs u53 | section count u32 | sections back to back
 * section  length u32 (of what follows) | client 16 bytes | firstSequence u53 | acknowledgedThrough u53 |
 *          openedMs u53 | flags u8 | command count u32 | commands
 * ```
 *
 * A section is formed at the node that a client is connected to and travels unopened through the leader into the log.
 * The sequences of its commands are consecutive.
 */
import { assert } from "../core/assert.js";
import { allocate, ByteWriter, CodecError, latin1Decode } from "../core/bytes.js";
import type { Command } from "./command.js";
import { encodeCommand } from "./command-codec.js";
import { getU32, getU53, putU32, putU53 } from "./fixed-integers.js";

const BATCH_VERSION = 1;
const BATCH_HEADER_BYTES = 1 + 8 + 4;
const SECTION_HEADER_BYTES = 4 + 16 + 8 + 8 + 8 + 1 + 4;
const COUNT_AT = SECTION_HEADER_BYTES - 4;

export const CLIENT_ID_BYTES = 16;

/** Bits of a section's flags. */
export const SectionFlag = {
  /**
   * The results go into the session's record, for a client that may ask again through another node. A node's own
   * forwards do not need that: it reads the results off the log itself, wherever the entry ends up.
   */
  keepResults: 1,
} as const;

export interface SectionHeader {
  /** 128 random bits as 16 latin1 chars. */
  readonly client: string;
  readonly firstSequence: number;
  readonly acknowledgedThrough: number;
  /** See {@link SectionWriter.begin}. */
  readonly openedMs: number;
  readonly flags: number;
  readonly count: number;
  /** Offset of the section, of its first command, and of the byte after it. */
  readonly start: number;
  readonly commandsStart: number;
  readonly end: number;
}

/** Builds sections, one after the other. `finish` hands out an array of its own; the writer is reused. */
export class SectionWriter {
  private readonly writer = new ByteWriter(4096);
  private commands = 0;

  /**
   * `client`: 16 latin1 chars. `openedMs`: the replicated time (`Store.timeMs`, at least 1) when this client id was
   * made. It lets the store tell a new session from the late copy of one that it has evicted: the copy is refused
   * instead of done again. 0: not known, and only the session table itself protects.
   */
  begin(client: string, firstSequence: number, acknowledgedThrough: number, flags: number, openedMs = 0): void {
    assert(client.length === CLIENT_ID_BYTES, "section: the client id is not 16 bytes");
    assert(firstSequence >= 1, "section: sequences begin at 1");
    const writer = this.writer;
    writer.reset();
    writer.u32(0);
    for (let i = 0; i < CLIENT_ID_BYTES; i += 1) writer.u8(client.charCodeAt(i));
    writer.u53(firstSequence);
    writer.u53(acknowledgedThrough);
    writer.u53(openedMs);
    writer.u8(flags);
    writer.u32(0);
    this.commands = 0;
  }

  add(command: Command): void {
    encodeCommand(command, this.writer);
    this.commands += 1;
  }

  get count(): number {
    return this.commands;
  }

  get byteLength(): number {
    return this.writer.length;
  }

  finish(): Uint8Array {
    this.writer.patchU32(0, this.writer.length - 4);
    this.writer.patchU32(COUNT_AT, this.commands);
    return this.writer.copy();
  }
}

/** The header of the section at `offset`, without a look at its commands. Bad bytes: {@link CodecError}. */
export function readSectionHeader(bytes: Uint8Array, offset: number): SectionHeader {
  if (offset < 0 || offset + SECTION_HEADER_BYTES > bytes.length) throw new CodecError("section: ends too early");
  const end = offset + 4 + getU32(bytes, offset);
  const commandsStart = offset + SECTION_HEADER_BYTES;
  if (end > bytes.length || end < commandsStart) throw new CodecError("section: its length is not right");
  const firstSequence = getU53(bytes, offset + 20);
  const count = getU32(bytes, offset + COUNT_AT);
  if (firstSequence < 1) throw new CodecError("section: sequences begin at 1");
  // A command is a byte at least. This bounds what a false count can make us do.
  if (count > end - commandsStart) throw new CodecError("section: more commands than bytes");
  if (firstSequence + count > Number.MAX_SAFE_INTEGER) throw new CodecError("section: sequence above 2^53 - 1");
  return {
    client: latin1Decode(bytes, offset + 4, offset + 20),
    firstSequence,
    acknowledgedThrough: getU53(bytes, offset + 28),
    openedMs: getU53(bytes, offset + 36),
    flags: bytes[offset + 44],
    count,
    start: offset,
    commandsStart,
    end,
  };
}

/** Joins sections into one payload. `timeMs` is the leader's proposal for the replicated time. */
export function writeBatch(timeMs: number, sections: readonly Uint8Array[]): Uint8Array {
  assert(Number.isSafeInteger(timeMs) && timeMs >= 0, "batch: the time is not a safe integer from 0");
  let length = BATCH_HEADER_BYTES;
  for (let i = 0; i < sections.length; i += 1) length += sections[i].length;
  const batch = allocate(length);
  batch[0] = BATCH_VERSION;
  putU53(batch, 1, timeMs);
  putU32(batch, 9, sections.length);
  let at = BATCH_HEADER_BYTES;
  for (let i = 0; i < sections.length; i += 1) {
    batch.set(sections[i], at);
    at += sections[i].length;
  }
  return batch;
}

/** The time that a batch proposes; 0 for an empty payload. */
export function batchTimeMs(batch: Uint8Array): number {
  if (batch.length === 0) return 0;
  checkBatchHeader(batch);
  return getU53(batch, 1);
}

/** All section headers of a batch that is not empty, its framing checked to the last byte. */
export function readSections(batch: Uint8Array): SectionHeader[] {
  checkBatchHeader(batch);
  const count = getU32(batch, 9);
  const sections: SectionHeader[] = [];
  let at = BATCH_HEADER_BYTES;
  for (let i = 0; i < count; i += 1) {
    const header = readSectionHeader(batch, at);
    sections.push(header);
    at = header.end;
  }
  if (at !== batch.length) throw new CodecError("batch: bytes after its last section");
  return sections;
}

function checkBatchHeader(batch: Uint8Array): void {
  if (batch.length < BATCH_HEADER_BYTES) throw new CodecError("batch: ends too early");
  if (batch[0] !== BATCH_VERSION) throw new CodecError(`batch: version ${batch[0]} is not known to this build`);
}
