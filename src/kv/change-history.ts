import { copyBytes } from "../core/bytes.js";
import { Op } from "./command.js";
import { recordValue } from "./record.js";
import type { ChangeListener } from "./records.js";

/** Past any of these the oldest changes are forgotten. */
export interface HistoryLimits {
  readonly changesMax: number;
  /** Keys, values and {@link CHANGE_BYTES} a change. */
  readonly bytesMax: number;
  readonly ageMsMax: number;
}

/** Ordinal of the end of a version: all changes made under it are before that. */
export const END_OF_VERSION = 0xffff_ffff;

/** What one change costs in memory besides its key and its value. */
export const CHANGE_BYTES = 48;
export const CAPACITY_FIRST = 1_024;

/** One change of one key, as it is told to a watcher. Reused: valid during the call alone. */
export class Change {
  key = "";
  version = 0;
  /** Which change of its version it is, from 1; {@link END_OF_VERSION} when the watcher gets no further one of that version. */
  ordinal = 0;
  /** What brought it about: an operation, or `advance`: its deadline has passed. */
  cause: Op = 0 as Op;
  /** Whether the key has a record now; else it was deleted or has expired. */
  isPut = false;
  /** Null where it was not asked for, and of a put whose record has been written over since: a later change tells. */
  value: Uint8Array | null = null;
}

/** What it is called on the wires. */
export function kindOf({ isPut, cause }: Change): "put" | "delete" | "expire" {
  if (isPut) return "put";
  return cause === Op.advance ? "expire" : "delete";
}

/**
 * The newest changes of a group, in the order in which they were applied, which is the same on every replica. They are
 * numbered from 0 in this memory; what watchers hold is version and ordinal, which mean the same everywhere.
 */
export class ChangeHistory implements ChangeListener {
  /** Monotonic: what is added now happened then. */
  nowMs = 0;
  watchers = 0;
  /** Watchers that want to hear values: while there is none, none is kept. */
  valueWatchers = 0;
  /** Number of the oldest change that is kept, and that of the next one to come. */
  first = 0;
  end = 0;
  /** Everything after this is kept. */
  floorVersion = 0;
  floorOrdinal = END_OF_VERSION;
  private lastVersion = 0;
  private lastOrdinal = END_OF_VERSION;
  private bytes = 0;

  protected capacity = CAPACITY_FIRST;
  private keys: string[] = new Array<string>(CAPACITY_FIRST).fill("");
  private values: (Uint8Array | null)[] = new Array<Uint8Array | null>(CAPACITY_FIRST).fill(null);
  private versions = new Float64Array(CAPACITY_FIRST);
  private ordinals = new Uint32Array(CAPACITY_FIRST);
  private times = new Float64Array(CAPACITY_FIRST);
  /** The operation, doubled, plus one for a put. */
  private causes = new Uint16Array(CAPACITY_FIRST);

  constructor(readonly limits: HistoryLimits) {}

  /** Begins anew: the state stands at the end of this version, and nobody here knows how it came to be. */
  restart(version: number): void {
    while (this.first < this.end) this.forgetOldest();
    // Who has heard all that there was has missed what lies between.
    if (version !== this.lastVersion) this.first = this.end = this.end + 1;
    this.floorVersion = this.lastVersion = version;
    this.floorOrdinal = this.lastOrdinal = END_OF_VERSION;
  }

  /** Version of the newest change. */
  get version(): number {
    return this.lastVersion;
  }

  changed(key: string, version: number, record: Uint8Array | null, cause: Op): void {
    this.add(key, version, record === null ? null : recordValue(record), cause);
    this.shrink();
  }

  /** `value`: what was put, copied if anybody wants it; null: the key has none any more. {@link shrink} follows. */
  protected add(key: string, version: number, value: Uint8Array | null, cause: Op): void {
    if (this.end - this.first === this.limits.changesMax) this.forgetOldest();
    if (this.end - this.first === this.capacity) this.grow();
    const at = this.end % this.capacity;
    this.lastOrdinal = version === this.lastVersion && this.lastOrdinal !== END_OF_VERSION ? this.lastOrdinal + 1 : 1;
    this.lastVersion = version;
    this.keys[at] = key;
    this.versions[at] = version;
    this.ordinals[at] = this.lastOrdinal;
    this.times[at] = this.nowMs;
    this.causes[at] = cause * 2 + (value === null ? 0 : 1);
    this.bytes += CHANGE_BYTES + key.length;
    if (this.valueWatchers > 0 && value !== null) {
      this.values[at] = copyBytes(value);
      this.bytes += value.length;
    }
    this.end += 1;
  }

  protected shrink(): void {
    while (this.bytes > this.limits.bytesMax) this.forgetOldest();
  }

  /** Forgets what is too old. Called once in a while. */
  age(): void {
    const oldestMs = this.nowMs - this.limits.ageMsMax;
    while (this.first < this.end && this.times[this.first % this.capacity] < oldestMs) this.forgetOldest();
  }

  protected forgetOldest(): void {
    const at = this.first % this.capacity;
    const value = this.values[at];
    this.floorVersion = this.versions[at];
    this.floorOrdinal = this.ordinals[at];
    this.bytes -= CHANGE_BYTES + this.keys[at].length + (value === null ? 0 : value.length);
    this.keys[at] = "";
    this.values[at] = null;
    this.first += 1;
  }

  private grow(): void {
    this.resize(Math.min(this.capacity * 2, Math.max(this.limits.changesMax, this.capacity)));
  }

  protected resize(capacity: number): void {
    this.keys = this.moved(this.keys, new Array<string>(capacity).fill(""), capacity);
    this.values = this.moved(this.values, new Array<Uint8Array | null>(capacity).fill(null), capacity);
    this.versions = this.moved(this.versions, new Float64Array(capacity), capacity);
    this.ordinals = this.moved(this.ordinals, new Uint32Array(capacity), capacity);
    this.times = this.moved(this.times, new Float64Array(capacity), capacity);
    this.causes = this.moved(this.causes, new Uint16Array(capacity), capacity);
    this.capacity = capacity;
  }

  protected moved<T extends { [at: number]: unknown }>(from: T, to: T, capacity: number): T {
    for (let number = this.first; number < this.end; number += 1) to[number % capacity] = from[number % this.capacity];
    return to;
  }

  /** Whether every change after this position is kept. */
  holdsAfter(version: number, ordinal: number): boolean {
    return version > this.floorVersion || (version === this.floorVersion && ordinal >= this.floorOrdinal);
  }

  /** Number of the first change after this position. */
  after(version: number, ordinal: number): number {
    let low = this.first;
    let high = this.end;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const at = middle % this.capacity;
      const isAfter = this.versions[at] > version || (this.versions[at] === version && this.ordinals[at] > ordinal);
      if (isAfter) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  keyOf(number: number): string {
    return this.keys[number % this.capacity];
  }

  versionOf(number: number): number {
    return this.versions[number % this.capacity];
  }

  protected causeAt(at: number): Op {
    return (this.causes[at] >> 1) as Op;
  }

  read(number: number, change: Change): void {
    const at = number % this.capacity;
    change.key = this.keys[at];
    change.version = this.versions[at];
    change.ordinal = this.ordinals[at];
    change.cause = this.causeAt(at);
    change.isPut = (this.causes[at] & 1) === 1;
    change.value = this.values[at];
  }
}
