import { assert } from "../../core/assert.js";
import { ByteWriter } from "../../core/bytes.js";
import type { GroupId } from "../../core/machine.js";
import type { StoreReader } from "../ports.js";
import { CheckpointMeta } from "./checkpoint-meta.js";
import { EntrySeal } from "./entry-seal.js";
import { EntrySum } from "./entry-sum.js";
import { CHUNK_OVERHEAD_BYTES, EntryTag, SnapshotChunk } from "./snapshot-chunk.js";
import { StateDamaged } from "./state-damaged.js";

/**
 * Gives one checkpoint as chunks for a peer. Every entry is checked on its way out, and the trailer is given only when
 * count and sum are right: a damaged state does not spread.
 */
export class SnapshotReader {
  readonly meta: CheckpointMeta;
  private readonly seal: EntrySeal;
  private readonly seen = new EntrySum();
  private readonly stream = new ByteWriter(65_536);
  /** Bytes of `stream` that went out already. */
  private given = 0;
  private sequence = 0;
  private complete = false;
  private ended = false;
  private closed = false;

  constructor(
    private readonly group: GroupId,
    private readonly reader: StoreReader,
  ) {
    this.seal = new EntrySeal(group);
    this.meta = CheckpointMeta.decode(group, reader.meta);
  }

  /** The next chunk, of at most `bytesMax` bytes; null after the last. Throws {@link StateDamaged}. */
  next(bytesMax: number): Uint8Array | null {
    const pieceMax = bytesMax - CHUNK_OVERHEAD_BYTES;
    assert(pieceMax > 0, "a snapshot's chunk has no room for a piece");
    assert(!this.closed, "the snapshot is closed");
    if (this.ended) return null;
    this.fill(pieceMax);
    const end = Math.min(this.given + pieceMax, this.stream.length);
    const piece = this.stream.bytes.subarray(this.given, end);
    this.given = end;
    this.ended = this.complete && end === this.stream.length;
    const { position, epoch } = this.meta;
    const chunk = new SnapshotChunk(this.group, position, epoch, this.sequence, this.ended, piece).encode();
    this.sequence += 1;
    return chunk;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.reader.close();
  }

  private fill(pieceMax: number): void {
    this.dropGiven();
    if (this.complete || this.stream.length >= pieceMax) return;
    const more = this.reader.next((key, sealed) => {
      this.seal.check(key, sealed);
      this.seen.add(sealed);
      this.stream.u8(EntryTag.entry);
      this.stream.latin1(key);
      this.stream.blob(sealed);
      return this.stream.length < pieceMax;
    });
    if (more) return;
    if (!this.seen.equals(this.meta.sum)) {
      throw new StateDamaged(this.group, null, "a snapshot's entries are not those of its checkpoint");
    }
    this.stream.u8(EntryTag.trailer);
    this.stream.blob(this.meta.encode());
    this.complete = true;
  }

  private dropGiven(): void {
    const rest = this.stream.length - this.given;
    this.stream.bytes.copyWithin(0, this.given, this.stream.length);
    this.stream.length = rest;
    this.given = 0;
  }
}
