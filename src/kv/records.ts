import type { State } from "../core/state.js";
import { NO_DEADLINE, Op } from "./command.js";
import { ExpiryIndex } from "./expiry-index.js";
import type { Meta } from "./meta.js";
import { encodeRecord, recordDeadlineMs } from "./record.js";
import { endOfTable, Table } from "./tables.js";

const END = endOfTable(Table.data);
const FLUSH_CHUNK_KEYS = 1024;

/** Hears of every key that was written, deleted or has expired, with the version under which that happened. */
export interface ChangeListener {
  /**
   * `record`: what the key has now, valid during the call; null: nothing. `cause`: the operation that did it, `advance` for
   * a deadline that has passed.
   */
  changed(key: string, version: number, record: Uint8Array | null, cause: Op): void;
}

/**
 * The data of a keyspace with its expiry index. A record whose deadline has passed is absent to every command from that
 * replicated time on; that it still takes up room until it is removed shows in nothing but the record count.
 */
export class Records {
  /** The operation that changes records now. */
  cause: Op = Op.advance;
  private readonly expiry: ExpiryIndex;
  private lastKey = "";
  private sharesVersion = false;
  private versionIsShared = false;
  private lastStateKey: string = Table.data;

  constructor(
    private readonly state: State,
    private readonly meta: Meta,
  ) {
    this.expiry = new ExpiryIndex(state);
  }

  /** What relative deadlines count from. */
  get baseMs(): number {
    return this.meta.baseMs;
  }

  /** The replicated time. */
  get timeMs(): number {
    return this.meta.timeMs;
  }

  /** Version of the newest write. */
  get revision(): number {
    return this.meta.revision;
  }

  get count(): number {
    return this.meta.recordCount;
  }

  get earliestDeadlineMs(): number {
    return this.expiry.earliestMs();
  }

  /** The record as stored, its deadline passed or not. The bytes are valid until the next change of the state. */
  stored(key: string): Uint8Array | undefined {
    return this.state.get(this.stateKey(key));
  }

  /** Where the record of a key is in the state. One string for the read and the write of a command: its hash is computed once. */
  stateKey(key: string): string {
    if (key !== this.lastKey) {
      this.lastKey = key;
      this.lastStateKey = Table.data + key;
    }
    return this.lastStateKey;
  }

  isLive(record: Uint8Array): boolean {
    const deadlineMs = recordDeadlineMs(record);
    return deadlineMs === NO_DEADLINE || deadlineMs > this.meta.timeMs;
  }

  /** The record if its deadline has not passed. */
  live(key: string): Uint8Array | undefined {
    const record = this.state.get(this.stateKey(key));
    return record !== undefined && this.isLive(record) ? record : undefined;
  }

  /** A new version, for one write command. */
  nextVersion(): number {
    if (this.versionIsShared) return this.meta.revision;
    this.meta.revision += 1;
    this.versionIsShared = this.sharesVersion;
    return this.meta.revision;
  }

  /** Until it is told otherwise, {@link nextVersion} gives one version again and again. */
  shareVersion(shares: boolean): void {
    this.sharesVersion = shares;
    this.versionIsShared = false;
  }

  /**
   * Puts a record in the place of `stored`, which is what {@link stored} has answered for this key. A deadline that has
   * passed already makes the key absent.
   */
  put(
    key: string,
    stored: Uint8Array | undefined,
    version: number,
    deadlineMs: number,
    recordFlags: number,
    value: Uint8Array,
    listener: ChangeListener,
  ): void {
    if (deadlineMs !== NO_DEADLINE && deadlineMs <= this.meta.timeMs) {
      if (stored !== undefined) this.remove(key, stored, version, listener);
      return;
    }
    // The value may be a view of the stored record: it is copied before the state changes.
    const record = encodeRecord(version, deadlineMs, recordFlags, value);
    const storedDeadlineMs = stored === undefined ? NO_DEADLINE : recordDeadlineMs(stored);
    if (stored === undefined) this.meta.recordCount += 1;
    if (storedDeadlineMs !== deadlineMs) {
      if (storedDeadlineMs !== NO_DEADLINE) this.expiry.remove(storedDeadlineMs, key);
      if (deadlineMs !== NO_DEADLINE) this.expiry.add(deadlineMs, key);
    }
    this.state.put(this.stateKey(key), record);
    listener.changed(key, version, record, this.cause);
  }

  /** Removes what {@link stored} has answered for this key. */
  remove(key: string, stored: Uint8Array, version: number, listener: ChangeListener): void {
    const deadlineMs = recordDeadlineMs(stored);
    if (deadlineMs !== NO_DEADLINE) this.expiry.remove(deadlineMs, key);
    this.state.delete(this.stateKey(key));
    this.meta.recordCount -= 1;
    listener.changed(key, version, null, this.cause);
  }

  /** Removes at most `limit` records whose deadline has passed, the earliest deadline first. Each gets a version. */
  removeExpired(limit: number, listener: ChangeListener): void {
    const keys = this.expiry.due(this.meta.timeMs, limit);
    if (keys === null) return;
    this.cause = Op.advance;
    for (let i = 0; i < keys.length; i += 1) {
      const stored = this.stored(keys[i]);
      if (stored !== undefined) this.remove(keys[i], stored, this.nextVersion(), listener);
    }
  }

  /** Removes everything, some keys at a time: a list of all keys might not fit into memory. */
  removeAll(version: number, listener: ChangeListener): void {
    let keys = this.firstKeys();
    while (keys.length > 0) {
      for (let i = 0; i < keys.length; i += 1) {
        const stored = this.stored(keys[i]);
        if (stored !== undefined) this.remove(keys[i], stored, version, listener);
      }
      keys = this.firstKeys();
    }
  }

  /** Visits live records from `start` (inclusive) in byte order until `visit` answers false. */
  scan(start: string, visit: (key: string, record: Uint8Array) => boolean): void {
    this.state.range(Table.data + start, END, (key, record) => !this.isLive(record) || visit(key.slice(1), record));
  }

  /** Visits live records from `start` (inclusive) to `end` (exclusive; empty: to the last), the highest first. */
  reverseScan(start: string, end: string, visit: (key: string, record: Uint8Array) => boolean): void {
    const stateEnd = end === "" ? END : Table.data + end;
    this.state.reverseRange(
      Table.data + start,
      stateEnd,
      (key, record) => !this.isLive(record) || visit(key.slice(1), record),
    );
  }

  private firstKeys(): string[] {
    const keys: string[] = [];
    this.state.range(Table.data, END, (key) => {
      keys.push(key.slice(1));
      return keys.length < FLUSH_CHUNK_KEYS;
    });
    return keys;
  }
}
