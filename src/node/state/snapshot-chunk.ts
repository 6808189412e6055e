import { allocate, ByteReader, ByteWriter, CodecError, crc32 } from "../../core/bytes.js";
import type { GroupId } from "../../core/machine.js";

/**
 * A snapshot is a stream of bytes, cut anywhere: entries in key order (tag 1, key, value as stored, with its seal), then
 * one trailer (tag 2, the checkpoint's meta). A chunk is a header, a piece of the stream, and a CRC-32 over both.
 */
export const EntryTag = { entry: 1, trailer: 2 } as const;

const MAGIC = 0x504e5347; // "GSNP"
const VERSION = 1;
const LAST = 1;
const HEADER_BYTES = 4 + 2 + 1 + 4 + 8 + 8 + 4;
const CRC_BYTES = 4;
/** What a chunk has beside its piece of the stream. */
export const CHUNK_OVERHEAD_BYTES = HEADER_BYTES + CRC_BYTES;

/** One piece of one snapshot of one group. */
export class SnapshotChunk {
  constructor(
    readonly group: GroupId,
    /** The checkpoint: tells the snapshots of a group apart. */
    readonly position: number,
    readonly epoch: number,
    /** From 0, without gaps. */
    readonly sequence: number,
    readonly last: boolean,
    /** A view of the chunk's bytes once decoded. */
    readonly piece: Uint8Array,
  ) {}

  encode(): Uint8Array {
    const writer = new ByteWriter(HEADER_BYTES);
    writer.u32(MAGIC);
    writer.u16(VERSION);
    writer.u8(this.last ? LAST : 0);
    writer.u32(this.group);
    writer.u53(this.position);
    writer.u53(this.epoch);
    writer.u32(this.sequence);
    const bytes = allocate(CHUNK_OVERHEAD_BYTES + this.piece.length);
    bytes.set(writer.written());
    bytes.set(this.piece, HEADER_BYTES);
    const body = bytes.subarray(0, bytes.length - CRC_BYTES);
    writer.reset();
    writer.u32(crc32(body));
    bytes.set(writer.written(), body.length);
    return bytes;
  }

  /** Throws {@link CodecError}. */
  static decode(bytes: Uint8Array): SnapshotChunk {
    if (bytes.length < CHUNK_OVERHEAD_BYTES) throw new CodecError("snapshot chunk: ends too early");
    const reader = new ByteReader(bytes);
    if (reader.u32() !== MAGIC) throw new CodecError("snapshot chunk: does not begin with its magic number");
    const version = reader.u16();
    if (version !== VERSION) throw new CodecError(`snapshot chunk: format ${version}, this build reads ${VERSION}`);
    const body = bytes.subarray(0, bytes.length - CRC_BYTES);
    if (crc32(body) !== new ByteReader(bytes.subarray(body.length)).u32()) {
      throw new CodecError("snapshot chunk: wrong checksum");
    }
    const flags = reader.u8();
    if (flags > LAST) throw new CodecError("snapshot chunk: unknown flags");
    const [group, position, epoch, sequence] = [reader.u32(), reader.u53(), reader.u53(), reader.u32()];
    return new SnapshotChunk(group, position, epoch, sequence, flags === LAST, body.subarray(HEADER_BYTES));
  }
}
