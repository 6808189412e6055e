import { SortedKeys } from "../../core/sorted-keys.js";

/** What a change costs beside its bytes: map slot, string and array headers (measured on V8, rounded up). */
const ENTRY_OVERHEAD_BYTES = 160;

/** The changes to keys that begin with one and the same byte. */
class OverlayTable {
  readonly entries = new Map<string, Uint8Array | null>();
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
  entryCount = 0;
  /** Estimate of the memory taken. */
  byteCount = 0;

  /** undefined: nothing known of this key; null: deleted. */
  get(key: string): Uint8Array | null | undefined {
    const table = this.tables[key.charCodeAt(0)];
    return table === null ? undefined : table.entries.get(key);
  }

  set(key: string, value: Uint8Array | null): void {
    const table = this.tableFor(key.charCodeAt(0));
    const entries = table.entries;
    const before = entries.get(key);
    entries.set(key, value);
    this.byteCount += value === null ? 0 : value.length;
    if (before !== undefined) {
      this.byteCount -= before === null ? 0 : before.length;
      return;
    }
    this.entryCount += 1;
    this.byteCount += key.length + ENTRY_OVERHEAD_BYTES;
    if (table.index !== null) table.index.add(key);
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
      for (const [key, value] of table.entries) this.set(key, value);
    }
  }

  /** All keys, those of one first byte together, else in the order of their first change. */
  *keys(): Generator<string, void> {
    for (const table of this.tables) if (table !== null) yield* table.entries.keys();
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
