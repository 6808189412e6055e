const CHUNK_MAX = 512;

/**
 * A set of latin1 strings in byte order, as chunks of at most 512: adding and removing cost a binary search and the
 * move of half a chunk.
 */
export class SortedKeys {
  /** None is empty; every key of a chunk is below every key of the next. */
  private chunks: string[][] = [];

  add(key: string): void {
    if (this.chunks.length === 0) {
      this.chunks.push([key]);
      return;
    }
    const at = this.chunkFor(key);
    const chunk = this.chunks[at];
    const place = lowerBound(chunk, key);
    if (place < chunk.length && chunk[place] === key) return;
    chunk.splice(place, 0, key);
    if (chunk.length > CHUNK_MAX) this.chunks.splice(at + 1, 0, chunk.splice(CHUNK_MAX >> 1));
  }

  remove(key: string): void {
    if (this.chunks.length === 0) return;
    const at = this.chunkFor(key);
    const chunk = this.chunks[at];
    const place = lowerBound(chunk, key);
    if (place === chunk.length || chunk[place] !== key) return;
    if (chunk.length === 1) this.chunks.splice(at, 1);
    else chunk.splice(place, 1);
  }

  /** Visits `start <= key < end` in ascending order until `visit` answers false. The set must not change meanwhile. */
  range(start: string, end: string, visit: (key: string) => boolean): void {
    if (this.chunks.length === 0) return;
    let at = this.chunkFor(start);
    let place = lowerBound(this.chunks[at], start);
    while (at < this.chunks.length) {
      const chunk = this.chunks[at];
      for (; place < chunk.length; place += 1) {
        if (chunk[place] >= end || !visit(chunk[place])) return;
      }
      at += 1;
      place = 0;
    }
  }

  /** As {@link range}, of the same bounds, in descending order. */
  reverseRange(start: string, end: string, visit: (key: string) => boolean): void {
    if (this.chunks.length === 0) return;
    let at = this.chunkFor(end);
    let place = lowerBound(this.chunks[at], end) - 1;
    while (at >= 0) {
      const chunk = this.chunks[at];
      for (; place >= 0; place -= 1) {
        if (chunk[place] < start || !visit(chunk[place])) return;
      }
      at -= 1;
      if (at >= 0) place = this.chunks[at].length - 1;
    }
  }

  /** Index of the last chunk that begins at or below `key`, or 0. */
  private chunkFor(key: string): number {
    let low = 0;
    let high = this.chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.chunks[middle][0] <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Index of the first key at or above `key`. */
function lowerBound(chunk: readonly string[], key: string): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (chunk[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
