import { assert } from "../../core/assert.js";
import { allocate, ByteWriter, crc32 } from "../../core/bytes.js";
import type { GroupId } from "../../core/machine.js";
import { type Change, SEAL_BYTES } from "./change-blocks.js";
import { StateDamaged } from "./state-damaged.js";

/** Longest key of a state: a user's key (2,048 bytes) and what a machine puts before it. */
export const KEY_BYTES_MAX = 2_100;

/**
 * Seals the entries of one group: a stored value is `[crc32 u32][bytes]`, and the CRC covers group, key and bytes. So
 * an entry that turns up under another key or in another group is as wrong as one with a flipped bit.
 */
export class EntrySeal {
  private readonly head = new ByteWriter(2 + KEY_BYTES_MAX);
  /** Of the group's number: what every checksum goes on from. */
  private readonly groupCrc: number;

  constructor(private readonly group: GroupId) {
    this.head.u32(group);
    this.groupCrc = crc32(this.head.written());
  }

  private crc(key: string, value: Uint8Array): number {
    this.head.reset();
    this.head.latin1(key);
    return this.checksum(this.head.written(), value);
  }

  /** `keyHead`: the key's length (u16) and the key. */
  checksum(keyHead: Uint8Array, value: Uint8Array): number {
    return crc32(value, crc32(keyHead, this.groupCrc));
  }

  /** As {@link intact}, of an entry whose key head and sealed value lie somewhere in arrays, from `…At` up to `…End`. */
  intactAt(
    head: Uint8Array,
    headAt: number,
    headEnd: number,
    sealed: Uint8Array,
    sealedAt: number,
    sealedEnd: number,
  ): boolean {
    if (sealedEnd - sealedAt < SEAL_BYTES) return false;
    const crc = crc32(head, this.groupCrc, headAt, headEnd);
    return crcOf(sealed, sealedAt) === crc32(sealed, crc, sealedAt + SEAL_BYTES, sealedEnd);
  }

  /** Writes a change's checksum where it belongs, and answers it. Not for a deletion. */
  sealChange(change: Change): number {
    const crc = this.checksum(change.keyHead, change.value);
    const { bytes, sealAt } = change;
    bytes[sealAt] = crc;
    bytes[sealAt + 1] = crc >>> 8;
    bytes[sealAt + 2] = crc >>> 16;
    bytes[sealAt + 3] = crc >>> 24;
    return crc;
  }

  intact(key: string, sealed: Uint8Array): boolean {
    return sealed.length >= SEAL_BYTES && crcOf(sealed) === this.crc(key, sealed.subarray(SEAL_BYTES));
  }

  /** The value in an array of its own. Throws {@link StateDamaged}. */
  open(key: string, sealed: Uint8Array): Uint8Array {
    this.check(key, sealed);
    const value = allocate(sealed.length - SEAL_BYTES);
    value.set(sealed.subarray(SEAL_BYTES));
    return value;
  }

  /** Throws {@link StateDamaged} when the entry is not as it was sealed. */
  check(key: string, sealed: Uint8Array): void {
    if (!this.intact(key, sealed)) throw new StateDamaged(this.group, key, "the checksum of the stored value is wrong");
  }
}

/** The CRC that a stored value claims, which begins at `at`. */
export function crcOf(sealed: Uint8Array, at = 0): number {
  assert(sealed.length >= at + SEAL_BYTES, "a stored value is shorter than its checksum");
  return (sealed[at] | (sealed[at + 1] << 8) | (sealed[at + 2] << 16) | (sealed[at + 3] << 24)) >>> 0;
}
