import { assert } from "../../core/assert.js";
import { allocateShared } from "../../core/bytes.js";

/**
 * Changes packed into blocks of bytes, one after the other: `[value length u32][key length u16][key]`, then, unless the
 * length says {@link DELETION}, `[checksum u32][value]`. The checksum is written when the change is sealed, and what is
 * stored is the four bytes together with the value. An entry that a later one has replaced stays, marked.
 */
const KEY_LENGTH_AT = 4;
const KEY_AT = 6;
export const SEAL_BYTES = 4;
const DELETION = 0xffff_ffff;
/** In the key's length: a later entry has another value for this key. */
const SUPERSEDED = 0x8000;

const FIRST_BLOCK_BYTES = 4 * 1024;
/** A place is a block's number and an offset below this. */
const BLOCK_BITS = 20;
const BLOCK_BYTES = 1 << BLOCK_BITS;
const OFFSET_MASK = BLOCK_BYTES - 1;
/** Blocks of full size kept for the next changes. */
const SPARE_BLOCKS_MAX = 40;

export interface Block {
  readonly bytes: Uint8Array;
  /** Bytes used. */
  length: number;
}

/** Full blocks that were given back, for all groups: fresh memory costs the kernel a cleared page for every 4 KiB. */
const spare: Uint8Array[] = [];

/** Where an entry begins: block number and offset in one integer from 0. */
export type Place = number;

export class ChangeBlocks {
  readonly blocks: Block[] = [];
  /** Bytes of all blocks. */
  byteCount = 0;
  private last: Block | null = null;

  /** Adds a change; null deletes. */
  add(key: string, value: Uint8Array | null): Place {
    const valueBytes = value === null ? 0 : SEAL_BYTES + value.length;
    const block = this.roomFor(KEY_AT + key.length + valueBytes);
    const { bytes } = block;
    const at = block.length;
    putU32(bytes, at, value === null ? DELETION : value.length);
    bytes[at + KEY_LENGTH_AT] = key.length;
    bytes[at + KEY_LENGTH_AT + 1] = key.length >>> 8;
    const keyAt = at + KEY_AT;
    for (let i = 0; i < key.length; i += 1) bytes[keyAt + i] = key.charCodeAt(i);
    if (value !== null) bytes.set(value, keyAt + key.length + SEAL_BYTES);
    block.length = keyAt + key.length + valueBytes;
    return (this.blocks.length - 1) * BLOCK_BYTES + at;
  }

  /** As {@link add}, for a value that is sealed already. */
  addSealed(key: string, sealed: Uint8Array): void {
    const place = this.add(key, sealed.subarray(SEAL_BYTES));
    const { bytes } = this.blocks[place >>> BLOCK_BITS];
    bytes.set(sealed.subarray(0, SEAL_BYTES), (place & OFFSET_MASK) + KEY_AT + key.length);
  }

  private roomFor(count: number): Block {
    if (this.last !== null && this.last.length + count <= this.last.bytes.length) return this.last;
    // 2,047 blocks of a megabyte: more than anybody may have pending.
    assert(this.blocks.length < 2_047, "too many changes are pending");
    const wanted = Math.max(count, Math.min(BLOCK_BYTES, Math.max(FIRST_BLOCK_BYTES, this.byteCount)));
    const bytes = (wanted === BLOCK_BYTES ? spare.pop() : undefined) ?? allocateShared(wanted);
    this.last = { bytes, length: 0 };
    this.blocks.push(this.last);
    this.byteCount += bytes.length;
    return this.last;
  }

  /** Whether the entry at this place is of this key. */
  hasKey(place: Place, key: string): boolean {
    const { bytes } = this.blocks[place >>> BLOCK_BITS];
    const at = place & OFFSET_MASK;
    const { length } = key;
    if (bytes[at + KEY_LENGTH_AT] !== (length & 0xff) || bytes[at + KEY_LENGTH_AT + 1] !== length >>> 8) return false;
    const keyAt = at + KEY_AT;
    // Keys differ at their ends more often than at their beginnings.
    for (let i = length - 1; i >= 0; i -= 1) if (bytes[keyAt + i] !== key.charCodeAt(i)) return false;
    return true;
  }

  /** The value at a place, as a view; null: deleted. */
  valueAt(place: Place, keyLength: number): Uint8Array | null {
    const { bytes } = this.blocks[place >>> BLOCK_BITS];
    const at = place & OFFSET_MASK;
    const length = getU32(bytes, at);
    if (length === DELETION) return null;
    const valueAt = at + KEY_AT + keyLength + SEAL_BYTES;
    return bytes.subarray(valueAt, valueAt + length);
  }

  /** Writes over the value at a place if the new one is as long. False: nothing was done. */
  overwrite(place: Place, keyLength: number, value: Uint8Array | null): boolean {
    const { bytes } = this.blocks[place >>> BLOCK_BITS];
    const at = place & OFFSET_MASK;
    if (getU32(bytes, at) !== (value === null ? DELETION : value.length)) return false;
    if (value !== null) bytes.set(value, at + KEY_AT + keyLength + SEAL_BYTES);
    return true;
  }

  /** Another entry counts for this key from now on. */
  supersede(place: Place): void {
    const { bytes } = this.blocks[place >>> BLOCK_BITS];
    bytes[(place & OFFSET_MASK) + KEY_LENGTH_AT + 1] |= SUPERSEDED >>> 8;
  }

  /** For whoever has no more use for any of these bytes: gives them to the next changes. */
  release(): void {
    for (const { bytes } of this.blocks) {
      if (bytes.length === BLOCK_BYTES && spare.length < SPARE_BLOCKS_MAX) spare.push(bytes);
    }
    this.blocks.length = 0;
    this.byteCount = 0;
    this.last = null;
  }
}

/** One change in a block: set to the next by {@link nextChange}. */
export class Change {
  bytes: Uint8Array = new Uint8Array(0);
  keyAt = 0;
  keyLength = 0;
  /** Of the value without its checksum; -1: a deletion. */
  valueLength = 0;
  private next = 0;
  private end = 0;

  open(block: Block, from = 0): void {
    this.bytes = block.bytes;
    this.next = from;
    this.end = block.length;
  }

  /** Where the change begins in its block. */
  get at(): number {
    return this.keyAt - KEY_AT;
  }

  /** Key length and key: what the checksum covers of them. */
  get keyHead(): Uint8Array {
    return this.bytes.subarray(this.keyAt - 2, this.keyAt + this.keyLength);
  }

  get key(): Uint8Array {
    return this.bytes.subarray(this.keyAt, this.keyAt + this.keyLength);
  }

  get sealAt(): number {
    return this.keyAt + this.keyLength;
  }

  /** Checksum and value. */
  get sealed(): Uint8Array {
    return this.bytes.subarray(this.sealAt, this.sealAt + SEAL_BYTES + this.valueLength);
  }

  get value(): Uint8Array {
    return this.sealed.subarray(SEAL_BYTES);
  }

  /** Goes to the next change that counts; false at the block's end. */
  advance(): boolean {
    while (this.next < this.end) {
      const at = this.next;
      const { bytes } = this;
      const length = getU32(bytes, at);
      const marked = bytes[at + KEY_LENGTH_AT] | (bytes[at + KEY_LENGTH_AT + 1] << 8);
      this.keyLength = marked & ~SUPERSEDED;
      this.keyAt = at + KEY_AT;
      this.valueLength = length === DELETION ? -1 : length;
      this.next = this.keyAt + this.keyLength + (length === DELETION ? 0 : SEAL_BYTES + length);
      if ((marked & SUPERSEDED) === 0) return true;
    }
    return false;
  }
}

/** All changes that count, in the order of their places. The one object given is valid during the call. */
export function forEachChange(blocks: readonly Block[], visit: (change: Change, place: Place) => void): void {
  const change = new Change();
  for (let number = 0; number < blocks.length; number += 1) {
    change.open(blocks[number]);
    while (change.advance()) visit(change, number * BLOCK_BYTES + change.at);
  }
}

/** Sets `change` to the one at this place, which must count. */
export function openChange(change: Change, blocks: readonly Block[], place: Place): void {
  change.open(blocks[place >>> BLOCK_BITS], place & OFFSET_MASK);
  change.advance();
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}
