/**
 * Remembers, for each first byte of keys, one stretch `from <= key < to` that has no live entry. Expiry asks for the
 * first key of its prefix at every tick; after a mass of deletions at that prefix's front, each question would walk
 * over all of them again until the next checkpoint has removed them. So it is for a list in reverse with deletions at
 * the end.
 */
export class DeadStretches {
  private readonly from: (string | null)[] = new Array(256).fill(null);
  private readonly to: string[] = new Array(256).fill("");

  /** Where a range that begins at `start` may as well begin. */
  skip(start: string): string {
    if (start === "") return start;
    const byte = start.charCodeAt(0);
    const from = this.from[byte];
    return from !== null && from <= start && start < this.to[byte] ? this.to[byte] : start;
  }

  /** Where a descending range that ends at `end` may as well end. */
  skipBack(end: string): string {
    if (end === "") return end;
    const byte = firstByteBelow(end);
    const from = byte < 0 ? null : this.from[byte];
    return from !== null && from < end && end <= this.to[byte] ? from : end;
  }

  /** A range found nothing alive in `from <= key < to`. */
  learn(from: string, to: string): void {
    if (from === "" || from >= to) return;
    const byte = from.charCodeAt(0);
    // A stretch must lie within its first byte: `revive` looks nowhere else.
    if (firstByteBelow(to) !== byte) return;
    const known = this.from[byte];
    const joins = known !== null && known <= to && from <= this.to[byte];
    this.from[byte] = joins && known < from ? known : from;
    if (!joins || to > this.to[byte]) this.to[byte] = to;
  }

  /** `key` has a value from now on. */
  revive(key: string): void {
    const byte = key.charCodeAt(0);
    const from = this.from[byte];
    if (from === null || key < from || key >= this.to[byte]) return;
    if (key === from) this.from[byte] = null;
    else this.to[byte] = key;
  }

  clear(): void {
    this.from.fill(null);
  }
}

/** First byte of the keys right below `end`: a key of one char is the first of its byte. -1: there are none. */
function firstByteBelow(end: string): number {
  return end.length === 1 ? end.charCodeAt(0) - 1 : end.charCodeAt(0);
}
