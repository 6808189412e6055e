import { assert } from "./assert.js";

const TWO_16 = 65536;
const TWO_32 = 4294967296;
const TWO_48 = 281474976710656;

/**
 * The seeded generator of the pure rooms: xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2021), its state filled from the seed by a SplitMix-style mixer. Same seed, same numbers, on every
 * platform. Not for secrets.
 */
export class Random {
  private readonly seedLow: number;
  private readonly seedHigh: number;
  private s0: number;
  private s1: number;
  private s2: number;
  private s3: number;

  /** `seed`: any safe integer from 0. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0, "Random: the seed is not a safe integer from 0");
    this.seedHigh = Math.floor(seed / TWO_32);
    this.seedLow = seed >>> 0;
    this.s0 = mix32(this.seedLow ^ 0x9e3779b9);
    this.s1 = mix32(this.seedHigh ^ this.s0 ^ 0x243f6a88);
    this.s2 = mix32(this.seedLow ^ this.s1 ^ 0xb7e15162);
    this.s3 = mix32(this.seedHigh ^ this.s2 ^ 0x6a09e667);
    // The all-zero state is the one that the generator never leaves.
    if ((this.s0 | this.s1 | this.s2 | this.s3) === 0) this.s0 = 1;
  }

  /** Uniform in 0 … 2^32 − 1. */
  u32(): number {
    const times5 = Math.imul(this.s1, 5);
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
    const shifted = this.s1 << 9;
    this.s2 ^= this.s0;
    this.s3 ^= this.s1;
    this.s1 ^= this.s2;
    this.s0 ^= this.s3;
    this.s2 ^= shifted;
    this.s3 = (this.s3 << 11) | (this.s3 >>> 21);
    return result;
  }

  /** Uniform in 0 … 2^48 − 1. */
  u48(): number {
    const high = this.u32() >>> 16;
    return high * TWO_32 + this.u32();
  }

  /** Uniform in 0 … n − 1, without bias; n from 1 to 2^48. */
  below(n: number): number {
    assert(n >= 1 && n <= TWO_48, "Random.below: n is not in 1 … 2^48");
    if (n > TWO_32) {
      const fair = TWO_48 - (TWO_48 % n);
      let drawn = this.u48();
      while (drawn >= fair) drawn = this.u48();
      return drawn % n;
    }
    const fair = TWO_32 - (TWO_32 % n);
    let drawn = this.u32();
    while (drawn >= fair) drawn = this.u32();
    return drawn % n;
  }

  /** True with probability `p`; never at 0, always at 1. */
  chance(p: number): boolean {
    return this.u48() < p * TWO_48;
  }

  /** One of the items, each as likely as the others. */
  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, "Random.pick: nothing to pick from");
    return items[this.below(items.length)];
  }

  /** Shuffles in place (Fisher and Yates) and returns the same array. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      const swapped = items[i];
      items[i] = items[j];
      items[j] = swapped;
    }
    return items;
  }

  /**
   * A generator of its own for one purpose. It depends on this one's seed and the label alone, not on what was drawn so
   * far: a purpose that draws more or less does not change what the others see.
   */
  fork(label: string): Random {
    let low = this.seedLow ^ 0x811c9dc5;
    let high = this.seedHigh ^ 0xc2b2ae35;
    for (let i = 0; i < label.length; i += 1) {
      const code = label.charCodeAt(i);
      low = mix32(low ^ code);
      high = mix32(high ^ low ^ (code << 16));
    }
    low = mix32(low ^ label.length);
    high = mix32(high ^ low);
    return new Random((high % (TWO_16 * 32)) * TWO_32 + low);
  }
}

/** A bijection of 32 bits in which every input bit moves about half of the output bits. */
export function mix32(value: number): number {
  let z = (value + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
