import { latin1Decode, latin1Encode } from "../../core/bytes.js";
import type { State } from "../../core/state.js";
import { orderedInteger, parseOrderedInteger } from "../../kv/tables.js";
import type { Counters } from "./counters.js";
import type { Origin } from "./origins.js";
import { GossipTable, ORIGIN_CHARS } from "./tables.js";

/** A sequence that is further ahead than this of the newest one in memory begins a new stretch there. */
const GAP_MAX = 1_024;
/** Free places at the front of a stretch before it is moved. */
const FREE_MIN = 1_024;

export interface WriteRow {
  readonly sequence: number;
  readonly key: string;
}

/** The newest writes of one origin: of the sequences from `base` on, all that is known is here. */
class Stretch {
  private keys: (string | null)[] = [];
  /** Places at the front that are free. */
  private free = 0;

  constructor(public base: number) {}

  get end(): number {
    return this.base + this.keys.length - this.free;
  }

  get(sequence: number): string | null {
    return sequence < this.base || sequence >= this.end ? null : this.keys[this.placeOf(sequence)];
  }

  /** Answers whether there was none. */
  put(sequence: number, key: string): boolean {
    for (let end = this.end; end < sequence; end += 1) this.keys.push(null);
    const place = this.placeOf(sequence);
    if (place === this.keys.length) {
      this.keys.push(key);
      return true;
    }
    const isNew = this.keys[place] === null;
    this.keys[place] = key;
    return isNew;
  }

  clear(sequence: number): void {
    this.keys[this.placeOf(sequence)] = null;
  }

  /** Sequences below `base` are not here any more. */
  dropBelow(base: number): void {
    if (base <= this.base) return;
    this.free = Math.min(this.free + base - this.base, this.keys.length);
    this.base = base;
    if (this.free < FREE_MIN || 2 * this.free < this.keys.length) return;
    this.keys = this.keys.slice(this.free);
    this.free = 0;
  }

  private placeOf(sequence: number): number {
    return sequence - this.base + this.free;
  }
}

/**
 * Which keys writes were of, by origin and sequence: what repair by vector looks up, and what tombstones are collected by.
 * A row is of use until every member holds the write, which is mostly a moment: so the newest rows of an origin are kept in
 * memory, where they cost next to nothing, and only what is still there when a checkpoint begins goes to the state. After
 * a crash the log, which begins at that checkpoint, makes the others anew.
 */
export class WriteIndex {
  private readonly stretches = new Map<Origin, Stretch>();
  private lastOrigin: Origin | null = null;
  private lastStretch = new Stretch(1);

  constructor(
    private readonly state: State,
    private readonly counters: Counters,
  ) {}

  put(origin: Origin, sequence: number, key: string): void {
    let stretch = this.stretchOf(origin);
    if (sequence > stretch.end + GAP_MAX) {
      this.store(origin, stretch);
      stretch = this.begin(origin, sequence);
    }
    if (sequence >= stretch.base) {
      if (stretch.put(sequence, key)) this.counters.indexed += 1;
    } else {
      const row = rowOf(origin, sequence);
      if (this.state.get(row) === undefined) this.counters.indexed += 1;
      this.state.put(row, latin1Encode(key));
    }
  }

  /** Forgets the row, if there is one. */
  delete(origin: Origin, sequence: number): void {
    const stretch = this.stretchOf(origin);
    if (sequence >= stretch.base) {
      if (stretch.get(sequence) === null) return;
      stretch.clear(sequence);
    } else {
      const row = rowOf(origin, sequence);
      if (this.state.get(row) === undefined) return;
      this.state.delete(row);
    }
    this.counters.indexed -= 1;
  }

  /** Forgets all rows of `first` to `last`. Nothing below `first` has a row, nor gets one. */
  deleteThrough(origin: Origin, first: number, last: number): void {
    const stretch = this.stretchOf(origin);
    for (const { sequence } of this.stored(origin, first, Math.min(last, stretch.base - 1), Number.POSITIVE_INFINITY)) {
      this.state.delete(rowOf(origin, sequence));
      this.counters.indexed -= 1;
    }
    for (let sequence = Math.max(first, stretch.base); sequence <= last && sequence < stretch.end; sequence += 1) {
      if (stretch.get(sequence) !== null) this.counters.indexed -= 1;
    }
    stretch.dropBelow(last + 1);
  }

  /** The rows of an origin's writes `first` to `last`, as far as they are known, in order; at most `limit`. */
  rows(origin: Origin, first: number, last: number, limit: number): WriteRow[] {
    const stretch = this.stretchOf(origin);
    const found = this.stored(origin, first, Math.min(last, stretch.base - 1), limit);
    const end = Math.min(last + 1, stretch.end);
    for (let sequence = Math.max(first, stretch.base); sequence < end && found.length < limit; sequence += 1) {
      const key = stretch.get(sequence);
      if (key !== null) found.push({ sequence, key });
    }
    return found;
  }

  /** Whether no row from `first` on is in the state. */
  isInMemory(origin: Origin, first: number): boolean {
    return this.stretchOf(origin).base <= first;
  }

  private stored(origin: Origin, first: number, last: number, limit: number): WriteRow[] {
    const found: WriteRow[] = [];
    if (first > last) return found;
    this.state.range(rowOf(origin, first), rowOf(origin, last + 1), (row, key) => {
      found.push({ sequence: parseOrderedInteger(row, 1 + ORIGIN_CHARS), key: latin1Decode(key) });
      return found.length < limit;
    });
    return found;
  }

  /** A checkpoint begins: what is in memory alone goes to the state. */
  save(): void {
    for (const [origin, stretch] of this.stretches) this.store(origin, stretch);
  }

  private store(origin: Origin, stretch: Stretch): void {
    for (let sequence = stretch.base; sequence < stretch.end; sequence += 1) {
      const key = stretch.get(sequence);
      if (key !== null) this.state.put(rowOf(origin, sequence), latin1Encode(key));
    }
    stretch.dropBelow(stretch.end);
  }

  private stretchOf(origin: Origin): Stretch {
    if (origin !== this.lastOrigin) {
      this.lastStretch = this.stretches.get(origin) ?? this.begin(origin, this.firstUnknown(origin));
      this.lastOrigin = origin;
    }
    return this.lastStretch;
  }

  /** A sequence from which on nothing is known: what a comparison of trees has brought may be ahead of the vector. */
  private firstUnknown(origin: Origin): number {
    const first = origin.have.highest + 1;
    const ahead = this.stored(origin, first, Number.MAX_SAFE_INTEGER - 1, Number.POSITIVE_INFINITY);
    return ahead.length === 0 ? first : ahead[ahead.length - 1].sequence + 1;
  }

  private begin(origin: Origin, base: number): Stretch {
    const stretch = new Stretch(base);
    this.stretches.set(origin, stretch);
    this.lastOrigin = origin;
    this.lastStretch = stretch;
    return stretch;
  }
}

function rowOf(origin: Origin, sequence: number): string {
  return GossipTable.write + origin.key + orderedInteger(sequence);
}
