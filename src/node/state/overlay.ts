import { hashOfText, latin1Decode } from "../../core/bytes.js";
import { SortedKeys } from "../../core/sorted-keys.js";
import { ChangeBlocks, forEachChange } from "./change-blocks.js";

const SLOTS_MIN = 64;
/** A slot is two integers: the key's hash, and the place of its change plus one (0: free). */
const SLOT_BYTES = 8;

/**
 * Changes that the store does not have yet: key → value, or null for a deletion. They lie packed in blocks, as the store
 * takes them, under an open hash table of integers: a hundred thousand changes are a few dozen objects to the garbage
 * collector.
 */
export class Overlay {
  readonly changes = new ChangeBlocks();
  private slots = new Int32Array(2 * SLOTS_MIN);
  private mask = SLOTS_MIN - 1;
  /** The key that was asked for last, and its slot: who writes has nearly always just read. */
  private lastKey = "";
  private lastSlot = -1;
  private lastHash = 0;
  /** Sorted keys by first byte; made by the first range over them, then kept up. Who never ranges there pays nothing. */
  private readonly indexes: (SortedKeys | null)[] = new Array(256).fill(null);
  /** Keys by first byte: a machine gives each kind of entry its own, and a range over one must not sort the others. */
  private readonly counts = new Uint32Array(256);
  entryCount = 0;

  /** Memory taken. */
  get byteCount(): number {
    return this.entryCount === 0 ? 0 : this.changes.byteCount + (this.mask + 1) * SLOT_BYTES;
  }

  /** undefined: nothing known of this key; null: deleted. A view of what {@link set} may write over. */
  get(key: string): Uint8Array | null | undefined {
    const slot = this.find(key);
    const place = this.slots[slot + 1];
    return place === 0 ? undefined : this.changes.valueAt(place - 1, key.length);
  }

  set(key: string, value: Uint8Array | null): void {
    const { changes } = this;
    let slot = this.find(key);
    const known = this.slots[slot + 1];
    if (known !== 0) {
      if (changes.overwrite(known - 1, key.length, value)) return;
      changes.supersede(known - 1);
    } else {
      slot = this.occupy(key, slot);
    }
    this.slots[slot + 1] = changes.add(key, value) + 1;
  }

  /** The key's slot, or the free one where it belongs. */
  private find(key: string): number {
    if (key === this.lastKey && this.lastSlot >= 0) return this.lastSlot;
    const hash = hashOfText(key);
    const { slots, mask, changes } = this;
    let index = hash & mask;
    for (;;) {
      const place = slots[2 * index + 1];
      if (place === 0 || (slots[2 * index] === hash && changes.hasKey(place - 1, key))) break;
      index = (index + 1) & mask;
    }
    this.lastKey = key;
    this.lastHash = hash;
    this.lastSlot = 2 * index;
    return this.lastSlot;
  }

  /** Takes the free slot that {@link find} has just found for a new key. */
  private occupy(key: string, found: number): number {
    let slot = found;
    this.entryCount += 1;
    if (3 * this.entryCount > 2 * this.mask) {
      this.grow();
      this.lastSlot = -1;
      slot = this.find(key);
    }
    this.slots[slot] = this.lastHash;
    const byte = key.charCodeAt(0);
    this.counts[byte] += 1;
    this.indexes[byte]?.add(key);
    return slot;
  }

  private grow(): void {
    const old = this.slots;
    const mask = 2 * this.mask + 1;
    const slots = new Int32Array(2 * (mask + 1));
    for (let from = 0; from < old.length; from += 2) {
      if (old[from + 1] === 0) continue;
      let index = old[from] & mask;
      while (slots[2 * index + 1] !== 0) index = (index + 1) & mask;
      slots[2 * index] = old[from];
      slots[2 * index + 1] = old[from + 1];
    }
    this.slots = slots;
    this.mask = mask;
  }

  /** Takes over changes that were made after these. */
  absorb(later: Overlay): void {
    forEachChange(later.changes.blocks, (change) => {
      this.set(latin1Decode(change.key), change.valueLength < 0 ? null : change.value);
    });
  }

  /** Sorted keys of this first byte; null when there are none. */
  sortedKeys(byte: number): SortedKeys | null {
    if (this.counts[byte] === 0) return null;
    return this.indexes[byte] ?? this.index(byte);
  }

  private index(byte: number): SortedKeys {
    const index = new SortedKeys();
    forEachChange(this.changes.blocks, (change) => {
      if (change.bytes[change.keyAt] === byte) index.add(latin1Decode(change.key));
    });
    this.indexes[byte] = index;
    return index;
  }

  /** No range will ask any more. */
  forgetOrder(): void {
    this.indexes.fill(null);
  }

  /** Gives its memory to the next one. */
  release(): void {
    this.changes.release();
  }
}
