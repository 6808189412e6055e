import { ByteReader, ByteWriter } from "../../core/bytes.js";
import type { State } from "../../core/state.js";
import { orderedInteger, parseOrderedInteger } from "../../kv/tables.js";
import type { Counters } from "./counters.js";
import type { Origin } from "./origins.js";
import { GossipTable, ORIGIN_CHARS } from "./tables.js";

/** Sequences of one origin that stand together. */
const BLOCK_SEQUENCES = 512;
/** In memory, of all origins: half a million rows where they are dense. */
const BLOCKS_MAX = 1_024;

export interface WriteRow {
  readonly sequence: number;
  readonly key: string;
}

/** `count u16`, then for each row `place u16 | key (u16 length, latin1)`, in the order of places. */
class Block {
  readonly keys: (string | null)[] = new Array(BLOCK_SEQUENCES).fill(null);
  count = 0;
  /** Not as the state has it. */
  isDirty = false;
  /** The state has a row of it. */
  isStored = false;

  constructor(
    readonly row: string,
    readonly first: number,
  ) {}

  /** Answers whether there was none. */
  put(sequence: number, key: string): boolean {
    const place = sequence - this.first;
    const isNew = this.keys[place] === null;
    this.keys[place] = key;
    this.isDirty = true;
    if (isNew) this.count += 1;
    return isNew;
  }

  /** Answers whether there was one. */
  clear(sequence: number): boolean {
    const place = sequence - this.first;
    if (this.keys[place] === null) return false;
    this.keys[place] = null;
    this.isDirty = true;
    this.count -= 1;
    return true;
  }

  /** Answers how many there were. */
  clearAll(first: number, last: number): number {
    const before = this.count;
    const end = Math.min(last + 1, this.first + BLOCK_SEQUENCES);
    for (let sequence = Math.max(first, this.first); sequence < end; sequence += 1) this.clear(sequence);
    return before - this.count;
  }

  encode(): Uint8Array {
    const writer = new ByteWriter(this.count * 24 + 2);
    writer.u16(this.count);
    for (let place = 0; place < BLOCK_SEQUENCES; place += 1) {
      const key = this.keys[place];
      if (key === null) continue;
      writer.u16(place);
      writer.latin1(key);
    }
    return writer.copy();
  }

  static decode(row: string, bytes: Uint8Array): Block {
    const block = new Block(row, parseOrderedInteger(row, 1 + ORIGIN_CHARS));
    const reader = new ByteReader(bytes);
    block.count = reader.u16();
    for (let left = block.count; left > 0; left -= 1) block.keys[reader.u16()] = reader.latin1();
    block.isStored = true;
    return block;
  }
}

/**
 * Which keys writes were of, by origin and sequence: what repair by vector looks up, and what tombstones are collected by.
 * A row is of use until every member holds the write, which is mostly a moment: so rows stand in blocks in memory, where
 * they cost next to nothing, and what is still there when a checkpoint begins goes to the state, a block an entry. After a
 * crash the log, which begins at that checkpoint, makes the others anew.
 */
export class WriteIndex {
  /** By their rows in the state; the one that was needed first is the first to leave. */
  private readonly blocks = new Map<string, Block>();
  private lastOrigin: Origin | null = null;
  private last: Block | null = null;

  constructor(
    private readonly state: State,
    private readonly counters: Counters,
  ) {}

  put(origin: Origin, sequence: number, key: string): void {
    const block = this.find(origin, sequence) ?? this.begin(origin, sequence);
    if (block.put(sequence, key)) this.counters.indexed += 1;
  }

  /** Forgets the row, if there is one. */
  delete(origin: Origin, sequence: number): void {
    const block = this.find(origin, sequence);
    if (block === null || !block.clear(sequence)) return;
    this.counters.indexed -= 1;
    if (block.count === 0) this.drop(block);
  }

  /** Forgets all rows of `first` to `last`. */
  deleteThrough(origin: Origin, first: number, last: number): void {
    for (const row of this.blockRows(origin, first, last)) {
      const block = this.blocks.get(row) ?? this.load(row)!;
      this.counters.indexed -= block.clearAll(first, last);
      if (block.count === 0) this.drop(block);
      else this.keep(block);
    }
  }

  /** The rows of an origin's writes `first` to `last`, as far as they are known, in order; at most `limit`. */
  rows(origin: Origin, first: number, last: number, limit: number): WriteRow[] {
    const found: WriteRow[] = [];
    for (const row of this.blockRows(origin, first, last)) {
      const block = this.blocks.get(row) ?? this.load(row)!;
      const end = Math.min(last + 1, block.first + BLOCK_SEQUENCES);
      for (let sequence = Math.max(first, block.first); sequence < end; sequence += 1) {
        if (found.length >= limit) return found;
        const key = block.keys[sequence - block.first];
        if (key !== null) found.push({ sequence, key });
      }
    }
    return found;
  }

  /** A checkpoint begins: what is in memory alone goes to the state. */
  save(): void {
    for (const block of this.blocks.values()) this.store(block);
  }

  private store(block: Block): void {
    if (!block.isDirty) return;
    this.state.put(block.row, block.encode());
    block.isDirty = false;
    block.isStored = true;
  }

  private drop(block: Block): void {
    this.blocks.delete(block.row);
    if (block.isStored) this.state.delete(block.row);
    if (this.last === block) this.last = null;
  }

  /** The block that the sequence is in, if there is one. */
  private find(origin: Origin, sequence: number): Block | null {
    const { last } = this;
    if (last !== null && origin === this.lastOrigin && last.first === firstOf(sequence)) return last;
    const row = rowOf(origin, sequence);
    const block = this.blocks.get(row) ?? this.load(row);
    if (block !== null) this.use(origin, block);
    return block;
  }

  private begin(origin: Origin, sequence: number): Block {
    const block = new Block(rowOf(origin, sequence), firstOf(sequence));
    this.use(origin, block);
    return block;
  }

  private use(origin: Origin, block: Block): void {
    this.keep(block);
    this.lastOrigin = origin;
    this.last = block;
  }

  private keep(block: Block): void {
    if (this.blocks.has(block.row)) return;
    if (this.blocks.size >= BLOCKS_MAX) {
      const oldest = this.blocks.values().next().value!;
      this.store(oldest);
      this.blocks.delete(oldest.row);
      if (this.last === oldest) this.last = null;
    }
    this.blocks.set(block.row, block);
  }

  private load(row: string): Block | null {
    const bytes = this.state.get(row);
    return bytes === undefined ? null : Block.decode(row, bytes);
  }

  /** Of the blocks with sequences from `first` to `last`, in order. */
  private blockRows(origin: Origin, first: number, last: number): string[] {
    if (first > last) return [];
    const from = rowOf(origin, first);
    const to = rowOf(origin, Math.min(last, Number.MAX_SAFE_INTEGER));
    const rows: string[] = [];
    for (const row of this.blocks.keys()) if (row >= from && row <= to) rows.push(row);
    this.state.range(from, `${to}\0`, (row) => {
      if (!this.blocks.has(row)) rows.push(row);
      return true;
    });
    return rows.sort();
  }
}

function firstOf(sequence: number): number {
  return sequence - (sequence % BLOCK_SEQUENCES);
}

function rowOf(origin: Origin, sequence: number): string {
  return GossipTable.write + origin.key + orderedInteger(firstOf(sequence));
}
