import { crcOf } from "./entry-seal.js";

/** Finaliser of MurmurHash3 (Appleby): every bit of the input changes half of the output's. */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Count and order-free sum of a set of sealed entries. Entries come and go one by one, so a checkpoint keeps it up to
 * date from its changes alone; a scan of everything must arrive at the same. It finds what a CRC cannot: an entry that
 * is missing, doubled, or an old version of itself.
 */
export class EntrySum {
  count = 0;
  low = 0;
  high = 0;

  static of(count: number, low: number, high: number): EntrySum {
    const sum = new EntrySum();
    sum.count = count;
    sum.low = low;
    sum.high = high;
    return sum;
  }

  copy(): EntrySum {
    return EntrySum.of(this.count, this.low, this.high);
  }

  equals(other: EntrySum): boolean {
    return this.count === other.count && this.low === other.low && this.high === other.high;
  }

  add(sealed: Uint8Array): void {
    this.addEntry(crcOf(sealed), sealed.length);
  }

  /** `length`: of the sealed value. */
  addEntry(crc: number, length: number): void {
    this.count += 1;
    this.low = (this.low + mix(crc ^ length)) >>> 0;
    this.high = (this.high + mix(crc + Math.imul(length + 1, 0x9e3779b9))) >>> 0;
  }

  remove(sealed: Uint8Array): void {
    const crc = crcOf(sealed);
    this.count -= 1;
    this.low = (this.low - mix(crc ^ sealed.length)) >>> 0;
    this.high = (this.high - mix(crc + Math.imul(sealed.length + 1, 0x9e3779b9))) >>> 0;
  }
}
