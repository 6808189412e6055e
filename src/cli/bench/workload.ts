// Which operation on which key comes next, and the bytes of keys and values. Seeded: one seed, one sequence.
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

export const KEY_BYTES = 16;
export const KEYS_MAX = 1_000_000_000;

export const GET = 0;
export const SET = 1;
export const INCR = 2;
export type OperationKind = typeof GET | typeof SET | typeof INCR;

/** A stream of operations: `advance`, then read `kind` and `key`. Fields, not a returned object: nothing is allocated. */
export interface Workload {
  readonly kind: OperationKind;
  readonly key: number;
  advance(): void;
}

export interface WorkloadOptions {
  readonly operation: "set" | "get" | "incr" | "mixed";
  readonly readRatio: number;
  readonly keys: number;
  readonly seed: number;
}

/** Keys uniform over [0, keys). */
export class UniformWorkload implements Workload {
  kind: OperationKind;
  key = 0;
  readonly #random;
  readonly #keys: number;
  readonly #mixed: boolean;
  /** A draw of 32 bits below this is a read. */
  readonly #readBelow: number;

  constructor(options: WorkloadOptions) {
    this.kind = options.operation === "get" ? GET : options.operation === "incr" ? INCR : SET;
    this.#random = xoroshiro128plus(options.seed);
    this.#keys = options.keys;
    this.#mixed = options.operation === "mixed";
    this.#readBelow = options.readRatio * 2 ** 32;
  }

  advance(): void {
    // Scaling 32 bits by multiplication: the bias is below keys / 2^32 and no draw is rejected.
    this.key = Math.floor(((this.#random.next() >>> 0) / 2 ** 32) * this.#keys);
    if (this.#mixed) this.kind = this.#random.next() >>> 0 < this.#readBelow ? GET : SET;
  }
}

/** Writes each key once, in order, and starts again at the end. */
export class FillWorkload implements Workload {
  readonly kind = SET;
  key = -1;
  readonly #keys: number;

  constructor(keys: number) {
    this.#keys = keys;
  }

  advance(): void {
    this.key = this.key + 1 === this.#keys ? 0 : this.key + 1;
  }
}

/** A key template: a four-byte prefix and twelve digits. Counters have their own prefix, for they are not 100 bytes long. */
export function keyTemplate(kind: OperationKind): string {
  return kind === INCR ? "ctr:000000000000" : "key:000000000000";
}

/** Writes a key's number into a template that was copied to `buffer` at `at`. */
export function writeKeyNumber(buffer: Uint8Array, at: number, key: number): void {
  let rest = key;
  for (let i = at + KEY_BYTES - 1; i >= at + KEY_BYTES - 10; i -= 1) {
    const tenth = (rest / 10) | 0;
    buffer[i] = 48 + rest - tenth * 10;
    rest = tenth;
  }
}

/** A value of printable bytes that hardly compresses. */
export function makeValue(sizeBytes: number, seed: number): Uint8Array {
  const random = xoroshiro128plus(seed ^ 0x5bd1e995);
  const value = new Uint8Array(sizeBytes);
  for (let i = 0; i < sizeBytes; i += 1) value[i] = 33 + ((random.next() >>> 16) % 94);
  return value;
}
