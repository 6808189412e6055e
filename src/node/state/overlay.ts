import { SortedKeys } from "../../core/sorted-keys.js";

/** What a change costs beside its bytes: map slot, string, box and array headers (measured on V8, rounded up). */
const ENTRY_OVERHEAD_BYTES = 184;

/** A changed key's value, null for a deletion: a box, so that changing it again needs no second look-up. */
class Slot {
  constructor(public value: Uint8Array | null) {}
}

/** The changes to keys that begin with one and the same byte. */
class OverlayTable {
  readonly entries = new Map<string, Slot>();
  /** Made by the first range over this table, then kept up: whoever never ranges here pays nothing. */
  index: SortedKeys | null = null;

  sorted(): SortedKeys {
    if (this.index !== null) return this.index;
    this.index = new SortedKeys();
    for (const key of this.entries.keys()) this.index.add(key);
    return this.index;
  }
}

/**
 * Changes that the store does not have yet: key → value, or null for a deletion. One table for each first byte, because
 * a machine gives each kind of entry its own: a range over one kind must not sort the others.
 */
export class Overlay {
  private readonly tables: (OverlayTable | null)[] = new Array(256).fill(null);
  /** The key that was asked for last and what is known of it: who writes has nearly always just read. */
  private lastKey = "";
  private lastSlot: Slot | undefined;
  entryCount = 0;
  /** Estimate of the memory taken. */
  byteCount = 0;

  /** undefined: nothing known of this key; null: deleted. */
  get(key: string): Uint8Array | null | undefined {
    const slot = this.slotOf(key);
    return slot === undefined ? undefined : slot.value;
  }

  set(key: string, value: Uint8Array | null): void {
    const slot = this.slotOf(key);
    this.byteCount += value === null ? 0 : value.length;
    if (slot !== undefined) {
      this.byteCount -= slot.value === null ? 0 : slot.value.length;
      slot.value = value;
      return;
    }
    const table = this.tableFor(key.charCodeAt(0));
    this.lastSlot = new Slot(value);
    table.entries.set(key, this.lastSlot);
    this.entryCount += 1;
    this.byteCount += key.length + ENTRY_OVERHEAD_BYTES;
    if (table.index !== null) table.index.add(key);
  }

  private slotOf(key: string): Slot | undefined {
    if (key !== this.lastKey) {
      const table = this.tables[key.charCodeAt(0)];
      this.lastSlot = table === null ? undefined : table.entries.get(key);
      this.lastKey = key;
    }
    return this.lastSlot;
  }

  private tableFor(byte: number): OverlayTable {
    const table = this.tables[byte];
    if (table !== null) return table;
    const made = new OverlayTable();
    this.tables[byte] = made;
    return made;
  }

  /** Takes over changes that were made after these. */
  absorb(later: Overlay): void {
    for (const table of later.tables) {
      if (table === null) continue;
      for (const [key, slot] of table.entries) this.set(key, slot.value);
    }
  }

  /** All changes, those of one first byte together, else in the order of each key's first. */
  *entries(): Generator<[key: string, value: Uint8Array | null], void> {
    for (const table of this.tables) {
      if (table !== null) for (const [key, slot] of table.entries) yield [key, slot.value];
    }
  }

  /** Sorted keys of the table of this first byte; null when it is empty. */
  sortedKeys(byte: number): SortedKeys | null {
    const table = this.tables[byte];
    return table === null ? null : table.sorted();
  }
}

/** Keys that a cursor fetches at once: few at first, since most walks end early. */
const BATCH_KEYS_MIN = 4;
const BATCH_KEYS_MAX = 256;

/** Walks the changed keys of `start <= key < end` in order. The overlay must not change meanwhile. */
export class OverlayCursor {
  /** null: no more. */
  key: string | null = null;
  private batch: string[] = [];
  private index = 0;
  private batchKeysMax = BATCH_KEYS_MIN;
  /** The table that the next batch comes from, and where in it. */
  private byte: number;
  private from: string;
  private readonly lastByte: number;

  constructor(
    private readonly overlay: Overlay,
    start: string,
    private readonly end: string,
  ) {
    this.byte = start === "" ? 0 : start.charCodeAt(0);
    this.from = start;
    this.lastByte = end.charCodeAt(0);
    this.fetch();
  }

  get value(): Uint8Array | null {
    return this.overlay.get(this.key as string) as Uint8Array | null;
  }

  next(): void {
    this.index += 1;
    if (this.index < this.batch.length) this.key = this.batch[this.index];
    else this.fetch();
  }

  private fetch(): void {
    const batch: string[] = [];
    while (batch.length === 0 && this.byte <= this.lastByte) {
      this.overlay.sortedKeys(this.byte)?.range(this.from, this.end, (key) => {
        batch.push(key);
        return batch.length < this.batchKeysMax;
      });
      if (batch.length < this.batchKeysMax) this.byte += 1;
    }
    this.batch = batch;
    this.index = 0;
    this.key = batch.length > 0 ? batch[0] : null;
    // The smallest string above the last key of this batch.
    if (batch.length > 0) this.from = `${batch[batch.length - 1]}\x00`;
    this.batchKeysMax = Math.min(2 * this.batchKeysMax, BATCH_KEYS_MAX);
  }
}
