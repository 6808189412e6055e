import { ByteReader, ByteWriter, CodecError, copyBytes, crc32 } from "../../core/bytes.js";
import type { GroupId } from "../../core/machine.js";
import { EntrySum } from "./entry-sum.js";
import { StateDamaged, StateFormatUnknown } from "./state-damaged.js";

const MAGIC = 0x504b4347; // "GCKP"
const VERSION = 1;
const CRC_BYTES = 4;

/** What a checkpoint says of itself. It is committed in the same step as the entries that it speaks of. */
export class CheckpointMeta {
  constructor(
    readonly group: GroupId,
    /** Position and epoch of the last entry of the log that the state has in it. */
    readonly position: number,
    readonly epoch: number,
    readonly sum: EntrySum,
    /** The node's own words, kept as they are. */
    readonly extra: Uint8Array,
  ) {}

  encode(): Uint8Array {
    const writer = new ByteWriter(64 + this.extra.length);
    writer.u32(MAGIC);
    writer.u16(VERSION);
    writer.u32(this.group);
    writer.u53(this.position);
    writer.u53(this.epoch);
    writer.u53(this.sum.count);
    writer.u32(this.sum.low);
    writer.u32(this.sum.high);
    writer.blob(this.extra);
    writer.u32(crc32(writer.written()));
    return writer.copy();
  }

  /** Throws {@link StateDamaged}, or {@link StateFormatUnknown} for a version of another build. */
  static decode(group: GroupId, bytes: Uint8Array): CheckpointMeta {
    try {
      return CheckpointMeta.read(group, bytes);
    } catch (error) {
      if (error instanceof CodecError) throw new StateDamaged(group, null, `its checkpoint's meta ${error.message}`);
      throw error;
    }
  }

  private static read(group: GroupId, bytes: Uint8Array): CheckpointMeta {
    const reader = new ByteReader(bytes);
    if (reader.u32() !== MAGIC) throw new CodecError("does not begin with its magic number");
    const version = reader.u16();
    const body = bytes.subarray(0, Math.max(0, bytes.length - CRC_BYTES));
    const intact = crc32(body) === new ByteReader(bytes.subarray(body.length)).u32();
    if (!intact) throw new CodecError("has a wrong checksum");
    if (version !== VERSION) {
      throw new StateFormatUnknown(
        `the state of group ${group} has format ${version}; this build reads format ${VERSION}: start the build that wrote it`,
      );
    }
    if (reader.u32() !== group) throw new CodecError("names another group");
    const position = reader.u53();
    const epoch = reader.u53();
    const sum = EntrySum.of(reader.u53(), reader.u32(), reader.u32());
    return new CheckpointMeta(group, position, epoch, sum, copyBytes(reader.blob()));
  }
}
