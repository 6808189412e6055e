import { mix32 } from "../../core/random.js";

const LEAF_BITS = 12;
export const LEAVES = 1 << LEAF_BITS;
const LEAF_SHIFT = 32 - LEAF_BITS;

export function hashOf(key: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  return mix32(h);
}

/** An order-free sum over entries: equal sets have equal sums, and unequal ones but for one case in 2^64. */
export class Digest {
  low = 0;
  high = 0;
  count = 0;

  /** Takes an entry in; taking in twice takes it out. `by`: +1 or −1 for the count. */
  toggle(hash: number, version: number, by: number): void {
    this.low = (this.low ^ entryLow(hash, version)) >>> 0;
    this.high = (this.high ^ entryHigh(hash, version)) >>> 0;
    this.count += by;
  }

  equals(other: { readonly low: number; readonly high: number }): boolean {
    return this.low === other.low && this.high === other.high;
  }
}

function entryLow(hash: number, version: number): number {
  return mix32(hash ^ mix32(version >>> 0));
}

function entryHigh(hash: number, version: number): number {
  return mix32(mix32(hash) ^ mix32(Math.floor(version / 4294967296)) ^ Math.imul(version | 0, 0x9e3779b1));
}

/**
 * The part of the hash tree that is kept in memory: one digest for each of 4,096 stretches of the space of key hashes.
 * What lies above is their sum; what lies below is summed up from the state when it is asked for.
 */
export class HashTree {
  private readonly low = new Uint32Array(LEAVES);
  private readonly high = new Uint32Array(LEAVES);
  private readonly counts = new Int32Array(LEAVES);

  toggle(hash: number, version: number, by: number): void {
    const leaf = hash >>> LEAF_SHIFT;
    this.low[leaf] ^= entryLow(hash, version);
    this.high[leaf] ^= entryHigh(hash, version);
    this.counts[leaf] += by;
  }

  /** Whether the stretch `first` to `last` (both inclusive) is a row of whole leaves. */
  covers(first: number, last: number): boolean {
    const mask = (1 << LEAF_SHIFT) - 1;
    return (first & mask) === 0 && ((last + 1) & mask) === 0;
  }

  sum(first: number, last: number): Digest {
    const digest = new Digest();
    for (let leaf = first >>> LEAF_SHIFT; leaf <= last >>> LEAF_SHIFT; leaf += 1) {
      digest.low = (digest.low ^ this.low[leaf]) >>> 0;
      digest.high = (digest.high ^ this.high[leaf]) >>> 0;
      digest.count += this.counts[leaf];
    }
    return digest;
  }
}
