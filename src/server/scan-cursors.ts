/** Used cursors are kept for a client that asks for the same page again. */
const USED_MAX = 1024;

/**
 * Redis' SCAN has numbers for cursors, ours goes on at a key: this table holds which number stands for which key. It is
 * the node's, so a cursor may be used on any of its connections, and more than once. The numbers are drawn from 2^48, so
 * that one of another node or of an earlier life is refused rather than taken for one of ours.
 *
 * Bounded: a scan whose cursor had to go gets an error, never a gap. A cursor that was used once makes way first, so a
 * scan that takes its time between pages does not fall victim to another one's many pages.
 */
export class ScanCursors {
  private readonly unused = new Map<string, string>();
  private readonly used = new Map<string, string>();

  constructor(
    private readonly cursorsMax: number,
    /** A whole number from 1 to below 2^48, uniform. */
    private readonly random: () => number,
  ) {}

  get size(): number {
    return this.unused.size + this.used.size;
  }

  /** Key to go on at; null for a cursor that is not known (any more). */
  key(cursor: string): string | null {
    if (cursor === "0") return "";
    const key = this.unused.get(cursor) ?? this.used.get(cursor);
    if (key === undefined) return null;
    this.unused.delete(cursor);
    this.used.delete(cursor);
    this.used.set(cursor, key);
    dropOldest(this.used, USED_MAX);
    return key;
  }

  /** A new cursor for a scan that goes on at `key`. */
  add(key: string): string {
    let cursor = String(this.random());
    while (this.unused.has(cursor) || this.used.has(cursor)) cursor = String(this.random());
    this.unused.set(cursor, key);
    dropOldest(this.unused, this.cursorsMax);
    return cursor;
  }
}

/** A Map iterates in the order of insertion. */
function dropOldest(map: Map<string, string>, sizeMax: number): void {
  if (map.size <= sizeMax) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
