import type { Overlay } from "./overlay.js";

/** Keys that a cursor fetches at once: few at first, since most walks end early. */
const BATCH_KEYS_MIN = 4;
const BATCH_KEYS_MAX = 256;
/** The highest first byte of a key. */
const BYTE_MAX = 255;

/** Walks the changed keys of `start <= key < end`, ascending or descending. The overlay must not change meanwhile. */
export class OverlayCursor {
  /** null: no more. */
  key: string | null = null;
  private batch: string[] = [];
  private index = 0;
  private batchKeysMax = BATCH_KEYS_MIN;
  /** The table that the next batch comes from. */
  private byte: number;
  private readonly lastByte: number;

  /** `start` and `end` are moved along: what lies between them is left. */
  constructor(
    private readonly overlay: Overlay,
    private start: string,
    private end: string,
    private readonly reverse: boolean,
  ) {
    const low = start === "" ? 0 : start.charCodeAt(0);
    const high = Math.min(end.charCodeAt(0), BYTE_MAX);
    this.byte = reverse ? high : low;
    this.lastByte = reverse ? low : high;
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
    const { reverse } = this;
    const batch: string[] = [];
    const take = (key: string): boolean => {
      batch.push(key);
      return batch.length < this.batchKeysMax;
    };
    while (batch.length === 0 && (reverse ? this.byte >= this.lastByte : this.byte <= this.lastByte)) {
      const keys = this.overlay.sortedKeys(this.byte);
      if (reverse) keys?.reverseRange(this.start, this.end, take);
      else keys?.range(this.start, this.end, take);
      if (batch.length < this.batchKeysMax) this.byte += reverse ? -1 : 1;
    }
    this.batch = batch;
    this.index = 0;
    this.key = batch.length > 0 ? batch[0] : null;
    if (batch.length > 0) this.leave(batch[batch.length - 1]);
    this.batchKeysMax = Math.min(2 * this.batchKeysMax, BATCH_KEYS_MAX);
  }

  /** The next batch goes on behind this key: in ascending order at the smallest string above it. */
  private leave(key: string): void {
    if (this.reverse) this.end = key;
    else this.start = `${key}\x00`;
  }
}
