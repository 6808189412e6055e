/**
 * A set of fixed-width integer tuples, in two flat arrays: an arena of tuples and an open-addressed table of places in
 * it. One entry costs `width` words plus two to four of table, and no object.
 */
export class ConfigurationSet {
  readonly #width: number;
  #arena: Int32Array;
  #table: Int32Array;
  #size = 0;

  constructor(width: number) {
    this.#width = width;
    this.#arena = new Int32Array(width * 256);
    this.#table = new Int32Array(1024);
  }

  get size(): number {
    return this.#size;
  }

  /** True when the tuple was not yet there. */
  add(tuple: Int32Array): boolean {
    const mask = this.#table.length - 1;
    let slot = hash(tuple) & mask;
    // The table holds place + 1, so that 0 means free.
    for (let place = this.#table[slot]!; place !== 0; place = this.#table[slot]!) {
      if (this.#equals(place - 1, tuple)) return false;
      slot = (slot + 1) & mask;
    }
    if ((this.#size + 1) * this.#width > this.#arena.length) this.#growArena();
    this.#arena.set(tuple, this.#size * this.#width);
    this.#size++;
    this.#table[slot] = this.#size;
    if (this.#size * 2 > this.#table.length) this.#growTable();
    return true;
  }

  #equals(place: number, tuple: Int32Array): boolean {
    const base = place * this.#width;
    for (let i = 0; i < this.#width; i++) if (this.#arena[base + i] !== tuple[i]) return false;
    return true;
  }

  #growArena(): void {
    const arena = new Int32Array(this.#arena.length * 2);
    arena.set(this.#arena);
    this.#arena = arena;
  }

  #growTable(): void {
    const table = new Int32Array(this.#table.length * 2);
    const mask = table.length - 1;
    for (let place = 0; place < this.#size; place++) {
      const base = place * this.#width;
      let slot = hash(this.#arena.subarray(base, base + this.#width)) & mask;
      while (table[slot] !== 0) slot = (slot + 1) & mask;
      table[slot] = place + 1;
    }
    this.#table = table;
  }
}

/** Murmur3's 32-bit rounds: good spread for tuples that differ in few bits. */
function hash(tuple: Int32Array): number {
  let h = tuple.length;
  for (let i = 0; i < tuple.length; i++) {
    let k = Math.imul(tuple[i]!, 0xcc9e2d51);
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
    h ^= k;
    h = Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64;
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
