import { type Block, Change, forEachChange, openChange } from "../node/state/change-blocks.js";

/** Bytes of a key that an order goes by. */
const WORD_BYTES = 4;

/** The keys that begin with one byte. */
class Table {
  count = 0;
  /** How many bytes all of them have in common, and the first of them. */
  common: number;
  /** Where in the order its next change goes. */
  at = 0;

  constructor(readonly first: Uint8Array) {
    this.common = first.length;
  }

  take(key: Uint8Array): void {
    this.count += 1;
    let same = 0;
    while (same < this.common && same < key.length && key[same] === this.first[same]) same += 1;
    this.common = same;
  }
}

/**
 * Packed changes, nearly in the order of their keys: by the first byte, then by the four bytes behind what all keys with
 * that first byte have in common. Neighbours share the pages of a tree, and that is all that the order is for.
 */
export class SortedChanges {
  private readonly words: Uint32Array;

  constructor(private readonly blocks: readonly Block[]) {
    const tables = this.countTables();
    const present = tables.filter((table) => table !== null);
    let total = 0;
    for (const table of present) {
      table.at = total;
      total += table.count;
    }
    // As 64-bit integers (the low word first) they sort without a comparison of ours.
    const pairs = new BigUint64Array(total);
    this.words = new Uint32Array(pairs.buffer);
    this.place(tables);
    let start = 0;
    for (const { count } of present) {
      pairs.subarray(start, start + count).sort();
      start += count;
    }
  }

  get count(): number {
    return this.words.length / 2;
  }

  private countTables(): (Table | null)[] {
    const tables: (Table | null)[] = new Array(256).fill(null);
    forEachChange(this.blocks, ({ key }) => {
      tables[key[0]] ??= new Table(key);
      tables[key[0]]?.take(key);
    });
    return tables;
  }

  private place(tables: readonly (Table | null)[]): void {
    forEachChange(this.blocks, (change, place) => {
      const table = tables[change.bytes[change.keyAt]] as Table;
      this.words[2 * table.at] = place;
      this.words[2 * table.at + 1] = wordOf(change, table.common);
      table.at += 1;
    });
  }

  /** Visits the changes `from <= index < to`. The one object given is valid during the call. */
  visit(from: number, to: number, visit: (change: Change) => void): void {
    const change = new Change();
    for (let i = from; i < to; i += 1) {
      openChange(change, this.blocks, this.words[2 * i]);
      visit(change);
    }
  }
}

function wordOf(change: Change, from: number): number {
  let word = 0;
  for (let i = from; i < from + WORD_BYTES; i += 1) {
    word = word * 256 + (i < change.keyLength ? change.bytes[change.keyAt + i] : 0);
  }
  return word;
}
