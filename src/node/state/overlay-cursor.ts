import type { Overlay } from "./overlay.js";

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
