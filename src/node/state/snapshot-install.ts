import { assert } from "../../core/assert.js";
import { ByteReader, ByteWriter, CodecError, copyBytes } from "../../core/bytes.js";
import type { GroupId } from "../../core/machine.js";
import type { Done, StoreReplacement } from "../ports.js";
import { CheckpointMeta } from "./checkpoint-meta.js";
import { EntrySeal, KEY_BYTES_MAX } from "./entry-seal.js";
import { EntrySum } from "./entry-sum.js";
import { EntryTag, SnapshotChunk } from "./snapshot-chunk.js";
import { StateDamaged, StateFormatUnknown } from "./state-damaged.js";

/** A length above this is a broken stream, not a value: nobody shall make us collect it. */
const VALUE_BYTES_MAX = 64 * 1024 * 1024;

/** The state that the snapshot is for. */
export interface InstallOwner {
  whenCheckpointed(step: () => void): void;
  installEnded(meta: CheckpointMeta | null): void;
}

/**
 * Takes a peer's snapshot, chunk by chunk, into a content aside. Nothing of it is served before {@link finish} has put
 * it, whole and verified, in the place of the old; after a crash half of one is thrown away.
 */
export class SnapshotInstall {
  private readonly seal: EntrySeal;
  private readonly seen = new EntrySum();
  /** Bytes of the stream that do not make a whole entry yet. */
  private readonly pending = new ByteWriter(65_536);
  private readonly reader = new ByteReader(new Uint8Array(0));
  private first: SnapshotChunk | null = null;
  private meta: CheckpointMeta | null = null;
  private ended = false;
  /** The sequence of the chunk that {@link accept} takes next. */
  nextSequence = 0;
  /** Whether {@link finish} was called and has not come back. */
  finishing = false;

  constructor(
    private readonly group: GroupId,
    private readonly replacement: StoreReplacement,
    private readonly owner: InstallOwner,
  ) {
    this.seal = new EntrySeal(group);
  }

  /** The whole snapshot was taken and is sound: {@link finish} may be called. */
  get complete(): boolean {
    return this.meta !== null;
  }

  /**
   * Takes the next chunk; `done` says that the store has its entries. Throws {@link CodecError} for a chunk that is not
   * the next one of this snapshot or does not hold what it must: then abort, and ask the peer again.
   */
  accept(bytes: Uint8Array, done: Done): void {
    assert(!this.ended && !this.finishing, "the install has ended");
    const chunk = SnapshotChunk.decode(bytes);
    this.checkIdentity(chunk);
    this.nextSequence += 1;
    this.pending.raw(chunk.piece);
    const entries = new Map<string, Uint8Array>();
    this.takeWhole(entries);
    if (chunk.last !== this.complete) throw new CodecError("snapshot: its trailer is not at its end");
    if (chunk.last && this.pending.length > 0) throw new CodecError("snapshot: bytes after its trailer");
    this.replacement.put(entries, done);
  }

  /** Puts the snapshot in the place of the state, durably, and forgets every change that was pending. */
  finish(done: Done): void {
    const meta = this.meta;
    assert(meta !== null && !this.ended && !this.finishing, "the snapshot is not complete");
    this.finishing = true;
    this.owner.whenCheckpointed(() => {
      this.replacement.finish(meta.encode(), (error) => {
        this.finishing = false;
        this.ended = true;
        this.owner.installEnded(error === null ? meta : null);
        done(error);
      });
    });
  }

  /** Throws away what was collected. Nothing happens after `finish`. */
  abort(): void {
    if (this.ended || this.finishing) return;
    this.ended = true;
    this.replacement.abort();
    this.owner.installEnded(null);
  }

  private checkIdentity(chunk: SnapshotChunk): void {
    if (chunk.group !== this.group) throw new CodecError("snapshot: a chunk of another group");
    this.first ??= chunk;
    if (chunk.position !== this.first.position || chunk.epoch !== this.first.epoch) {
      throw new CodecError("snapshot: a chunk of another snapshot");
    }
    if (chunk.sequence !== this.nextSequence) {
      throw new CodecError(`snapshot: chunk ${chunk.sequence} came, chunk ${this.nextSequence} was due`);
    }
  }

  /** Takes all that is whole off the front of the pending bytes. */
  private takeWhole(entries: Map<string, Uint8Array>): void {
    const reader = this.reader;
    reader.open(this.pending.written());
    let taken = 0;
    while (!this.complete && this.wholeAhead()) {
      if (reader.u8() === EntryTag.entry) this.takeEntry(entries);
      else this.takeTrailer();
      taken = reader.position;
    }
    this.pending.bytes.copyWithin(0, taken, this.pending.length);
    this.pending.length -= taken;
  }

  /** Whether the reader stands before a whole entry or trailer; leaves it there. */
  private wholeAhead(): boolean {
    const reader = this.reader;
    const at = reader.position;
    if (reader.remaining === 0) return false;
    const tag = reader.u8();
    if (tag !== EntryTag.entry && tag !== EntryTag.trailer) throw new CodecError("snapshot: neither entry nor trailer");
    let whole = true;
    if (tag === EntryTag.entry) whole = this.skip(reader.remaining < 2 ? 2 : reader.u16(), KEY_BYTES_MAX);
    if (whole) whole = this.skip(reader.remaining < 4 ? 4 : reader.u32(), VALUE_BYTES_MAX);
    reader.position = at;
    return whole;
  }

  private skip(length: number, lengthMax: number): boolean {
    if (length > lengthMax) throw new CodecError(`snapshot: a length of ${length}, above ${lengthMax}`);
    if (this.reader.remaining < length) return false;
    this.reader.position += length;
    return true;
  }

  private takeEntry(entries: Map<string, Uint8Array>): void {
    const key = this.reader.latin1();
    const sealed = copyBytes(this.reader.blob());
    if (key === "" || !this.seal.intact(key, sealed)) throw new CodecError("snapshot: an entry's checksum is wrong");
    this.seen.add(sealed);
    entries.set(key, sealed);
  }

  private takeTrailer(): void {
    const meta = this.decodeMeta(this.reader.blob());
    const first = this.first as SnapshotChunk;
    if (meta.position !== first.position || meta.epoch !== first.epoch) {
      throw new CodecError("snapshot: its trailer is of another checkpoint");
    }
    if (!meta.sum.equals(this.seen)) throw new CodecError("snapshot: its entries are not those of its checkpoint");
    this.meta = meta;
  }

  private decodeMeta(bytes: Uint8Array): CheckpointMeta {
    try {
      return CheckpointMeta.decode(this.group, bytes);
    } catch (error) {
      if (error instanceof StateDamaged || error instanceof StateFormatUnknown) {
        throw new CodecError(`snapshot: ${error.message}`);
      }
      throw error;
    }
  }
}
