import { assert } from "../../core/assert.js";

/** What an entry costs besides its payload, in memory and on the wire, about. */
export const ENTRY_OVERHEAD_BYTES = 64;

/** One entry of the order: a batch of commands (kv/batch.ts), or nothing at all (a leader's first). */
export class Entry {
  constructor(
    readonly term: number,
    readonly index: number,
    readonly payload: Uint8Array,
  ) {}
}

/**
 * The part of the log that this replica holds in memory: everything after `baseIndex`. What lies before is in the
 * checkpointed state; a peer that needs it is sent a snapshot.
 */
export class EntryLog {
  /** Last entry that was compacted away; (0, 0) is the empty beginning. */
  baseIndex = 0;
  baseTerm = 0;
  byteLength = 0;
  private entries: Entry[] = [];
  /** Entries before this place of the array are compacted; the array is shortened now and then. */
  private head = 0;

  get firstIndex(): number {
    return this.baseIndex + 1;
  }

  get lastIndex(): number {
    return this.baseIndex + this.entries.length - this.head;
  }

  get lastTerm(): number {
    return this.entries.length === this.head ? this.baseTerm : this.entries[this.entries.length - 1].term;
  }

  /** Nothing is known of that index any more, or not yet: not even its term. */
  lacks(index: number): boolean {
    return this.termAt(index) < 0;
  }

  /** Term of the entry at `index`; -1 when it is compacted or not there. */
  termAt(index: number): number {
    if (index === this.baseIndex) return this.baseTerm;
    if (index < this.baseIndex || index > this.lastIndex) return -1;
    return this.at(index).term;
  }

  at(index: number): Entry {
    assert(index > this.baseIndex && index <= this.lastIndex, "raft: no entry at that index in memory");
    return this.entries[this.head + index - this.baseIndex - 1];
  }

  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, "raft: entries must be appended without a gap");
    assert(entry.term >= this.lastTerm, "raft: terms must not fall along the log");
    this.entries.push(entry);
    this.byteLength += entry.payload.length;
  }

  /** Removes `index` and all after it. */
  truncateFrom(index: number): void {
    assert(index > this.baseIndex, "raft: a compacted entry cannot be truncated");
    const keep = this.head + index - this.baseIndex - 1;
    for (let i = keep; i < this.entries.length; i += 1) this.byteLength -= this.entries[i].payload.length;
    if (keep < this.entries.length) this.entries.length = keep;
  }

  /** Forgets entries through `index`, which must be held here. */
  compactThrough(index: number): void {
    if (index <= this.baseIndex) return;
    const term = this.termAt(index);
    assert(term >= 0, "raft: compaction past the end of the log");
    const newHead = this.head + index - this.baseIndex;
    for (let i = this.head; i < newHead; i += 1) this.byteLength -= this.entries[i].payload.length;
    this.head = newHead;
    this.baseIndex = index;
    this.baseTerm = term;
    if (this.head > 1024 && this.head * 2 > this.entries.length) {
      this.entries.splice(0, this.head);
      this.head = 0;
    }
  }

  /** Everything goes; the log goes on after a snapshot that ends at (term, index). */
  reset(index: number, term: number): void {
    this.entries = [];
    this.head = 0;
    this.baseIndex = index;
    this.baseTerm = term;
    this.byteLength = 0;
  }

  /** Entries from `index` on, at least one if there is one, then while they stay within `maxBytes`, overhead included. */
  slice(index: number, maxBytes: number): Entry[] {
    const out: Entry[] = [];
    let bytes = 0;
    for (let i = index; i <= this.lastIndex; i += 1) {
      const entry = this.at(i);
      bytes += entry.payload.length + ENTRY_OVERHEAD_BYTES;
      if (out.length > 0 && bytes > maxBytes) break;
      out.push(entry);
    }
    return out;
  }

  /** Whether a log that ends at (term, index) is at least as up to date as this one (Raft paper 5.4.1). */
  isUpToDate(term: number, index: number): boolean {
    return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);
  }

  /**
   * Largest index ≤ `index` whose term is ≤ `term`: where two logs may still agree after a refused append. Both sides
   * use it, so that a long divergent tail is skipped a term at a time.
   */
  lastIndexWithTermAtMost(index: number, term: number): number {
    let at = Math.min(index, this.lastIndex);
    while (at > this.baseIndex && this.termAt(at) > term) at -= 1;
    // Even the base may be too new: then the logs agree somewhere in what is compacted.
    return at === this.baseIndex && this.baseTerm > term ? at - 1 : at;
  }
}
