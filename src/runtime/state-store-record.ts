import { ByteReader, ByteWriter, CodecError, copyBytes, crc32 } from "../core/bytes.js";
import type { Side } from "./state-store-environment.js";

/** In the place of the side: the group was dropped; its empty databases go at the next start. */
const DROPPED = 255;

const HAS_META = 1;
const HALF_DONE = 2;

/** What the environment knows of one group: `[crc32 u32][side u8][bits u8][meta, if bit 0 says so]`. */
export class GroupRecord {
  constructor(
    /** Which of the group's two databases counts. */
    readonly side: Side,
    /** null before the first commit. */
    readonly meta: Uint8Array | null,
    readonly dropped = false,
    /** A checkpoint after that of the meta is half in the database; the {@link RedoFile} has all of it. */
    readonly halfDone = false,
  ) {}

  encode(): Uint8Array {
    const writer = new ByteWriter();
    writer.u32(0);
    writer.u8(this.dropped ? DROPPED : this.side);
    writer.u8((this.meta === null ? 0 : HAS_META) | (this.halfDone ? HALF_DONE : 0));
    if (this.meta !== null) writer.raw(this.meta);
    writer.patchU32(0, crc32(writer.written().subarray(4)));
    return writer.copy();
  }

  /** null when the bytes are not what was written. */
  static decode(bytes: Uint8Array): GroupRecord | null {
    try {
      const reader = new ByteReader(bytes);
      if (reader.u32() !== crc32(bytes.subarray(4))) return null;
      const side = reader.u8();
      const bits = reader.u8();
      const meta = bits & HAS_META ? copyBytes(reader.raw(reader.remaining)) : null;
      return new GroupRecord(side === 1 ? 1 : 0, meta, side === DROPPED, (bits & HALF_DONE) !== 0);
    } catch (error) {
      if (error instanceof CodecError) return null;
      throw error;
    }
  }
}
