import { assert } from "../core/assert.js";
import { copyBytes, EMPTY_BYTES, latin1Decode } from "../core/bytes.js";
import type { GroupId } from "../core/machine.js";
import {
  DiskError,
  type Done,
  type DoneWith,
  type GroupStore,
  type StateStore,
  type StoreReader,
  type StoreReplacement,
} from "../node/ports.js";
import { type Block, forEachChange } from "../node/state/change-blocks.js";
import { type CheckpointDraft, sealChanges } from "../node/state/seal-changes.js";
import { TraceHash } from "./trace-hash.js";

export interface SimStateStoreOptions {
  /** Calls `run` later, never from within the call; of equal delays the first scheduled goes first. */
  readonly schedule: (delayMs: number, run: () => void) => void;
  readonly random: StoreRandom;
  /** A transaction takes between these, both included. */
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

export interface StoreRandom {
  u32(): number;
  below(n: number): number;
  chance(probability: number): boolean;
}

/** One group's content after one transaction. Never changed: who reads goes on reading it. */
class Version {
  private sorted: string[] | null = null;

  constructor(
    readonly entries: ReadonlyMap<string, Uint8Array>,
    readonly meta: Uint8Array | null,
  ) {}

  keys(): readonly string[] {
    this.sorted ??= [...this.entries.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    return this.sorted;
  }

  with(changes: ReadonlyMap<string, Uint8Array | null>, meta: Uint8Array | null): Version {
    const entries = new Map(this.entries);
    for (const [key, value] of changes) {
      if (value === null) entries.delete(key);
      else entries.set(key, value);
    }
    return new Version(entries, meta);
  }
}

const EMPTY_VERSION = new Version(new Map(), null);

interface Transaction {
  readonly apply: () => void;
  readonly done: Done;
  /** Takes disk space: fails while the disk is full. */
  readonly grows: boolean;
}

/**
 * The state of one node in memory, with the crashes of the real one: a transaction is visible and durable at once, some
 * time after it was asked for, and is told some time after that. A crash takes every untold one whole or not at all, in
 * their order.
 */
export class SimStateStore implements StateStore {
  /** What lies on the disk. */
  private readonly versions = new Map<GroupId, Version>();
  private readonly transactions: Transaction[] = [];
  /** A transaction was begun that its caller does not know the end of. */
  private telling = false;
  private diskFull = false;
  /** Counts crashes: what was opened before one answers nothing any more. */
  private life = 0;
  commitCount = 0;

  constructor(private readonly options: SimStateStoreOptions) {}

  open(group: GroupId, done: DoneWith<GroupStore | null>): void {
    const opened = (error: DiskError | null): void => {
      done(error, error === null ? new SimGroupStore(group, this, this.life) : null);
    };
    const apply = (): void => {
      if (!this.versions.has(group)) this.versions.set(group, EMPTY_VERSION);
    };
    this.transact(this.life, { apply, done: opened, grows: false });
  }

  groups(done: DoneWith<GroupId[]>): void {
    const life = this.life;
    this.options.schedule(this.delayMs(), () => {
      if (life === this.life)
        done(
          null,
          [...this.versions.keys()].sort((a, b) => a - b),
        );
    });
  }

  /** The process ends: what it asked for and was not told of may have happened up to some point. */
  kill(): void {
    this.crash(this.options.random.below(this.transactions.length + 1));
  }

  /** The machine ends: only a transaction whose sync had just returned can be there untold. */
  losePower(): void {
    const synced = this.transactions.length > 0 && this.options.random.chance(0.25) ? 1 : 0;
    this.crash(synced);
  }

  private crash(survivors: number): void {
    for (let i = 0; i < survivors; i += 1) {
      const { apply, grows } = this.transactions[i];
      if (this.diskFull && grows) break;
      apply();
    }
    this.transactions.length = 0;
    this.telling = false;
    this.life += 1;
  }

  /** Somebody has removed the folder while the process was down. */
  loseFolder(): void {
    assert(this.transactions.length === 0, "the folder is lost while no process runs");
    this.versions.clear();
  }

  setDiskFull(full: boolean): void {
    this.diskFull = full;
  }

  /** Flips one bit of one stored value. Answers where, or null when there is nothing to flip. */
  flipBit(): { group: GroupId; key: string; bit: number } | null {
    const place = this.anyEntry();
    if (place === null) return null;
    const { group, key, version } = place;
    const value = copyBytes(version.entries.get(key) ?? EMPTY_BYTES);
    const bit = this.options.random.below(value.length * 8);
    value[bit >> 3] ^= 1 << (bit & 7);
    this.versions.set(group, version.with(new Map([[key, value]]), version.meta));
    return { group, key, bit };
  }

  /** Loses one stored entry without a trace, as a damaged page of a tree can. */
  loseEntry(): { group: GroupId; key: string } | null {
    const place = this.anyEntry();
    if (place === null) return null;
    const { group, key, version } = place;
    this.versions.set(group, version.with(new Map([[key, null]]), version.meta));
    return { group, key };
  }

  private anyEntry(): { group: GroupId; key: string; version: Version } | null {
    const filled = [...this.versions].filter(([, version]) => version.entries.size > 0);
    if (filled.length === 0) return null;
    const [group, version] = filled[this.options.random.below(filled.length)];
    const keys = version.keys();
    return { group, key: keys[this.options.random.below(keys.length)], version };
  }

  /** Adds everything that is durable, in order. */
  addTo(hash: TraceHash): void {
    for (const group of [...this.versions.keys()].sort((a, b) => a - b)) {
      const version = this.version(group);
      hash.number(group);
      hash.bytes(version.meta ?? EMPTY_BYTES);
      for (const key of version.keys()) {
        hash.text(key);
        hash.bytes(version.entries.get(key) ?? EMPTY_BYTES);
      }
    }
  }

  hash(): string {
    const hash = new TraceHash();
    this.addTo(hash);
    return hash.digest();
  }

  /** For its own group stores. */
  version(group: GroupId): Version {
    const version = this.versions.get(group);
    assert(version !== undefined, "the group has no map");
    return version;
  }

  setVersion(group: GroupId, version: Version | null): void {
    if (version === null) this.versions.delete(group);
    else this.versions.set(group, version);
  }

  alive(life: number): boolean {
    return life === this.life;
  }

  /** Transactions follow one another; each takes its time twice: until it is durable, and until that is told. */
  transact(life: number, transaction: Transaction): void {
    assert(life === this.life, "a process writes a state after its end");
    this.transactions.push(transaction);
    if (this.transactions.length === 1 && !this.telling) this.runFirst();
  }

  private runFirst(): void {
    const life = this.life;
    this.telling = true;
    this.options.schedule(this.delayMs(), () => {
      if (life !== this.life) return;
      const { apply, done, grows } = this.transactions.shift() as Transaction;
      const error = this.diskFull && grows ? new DiskError("ENOSPC", "state: no space left on the disk") : null;
      if (error === null) apply();
      this.options.schedule(this.delayMs(), () => {
        if (life !== this.life) return;
        this.telling = false;
        if (this.transactions.length > 0) this.runFirst();
        done(error);
      });
    });
  }

  private delayMs(): number {
    const { delayMsMin, delayMsMax, random } = this.options;
    return delayMsMin + random.below(delayMsMax - delayMsMin + 1);
  }
}

class SimGroupStore implements GroupStore {
  constructor(
    private readonly group: GroupId,
    private readonly store: SimStateStore,
    private readonly life: number,
  ) {}

  private current(): Version {
    assert(this.store.alive(this.life), "a process reads a state after its end");
    return this.store.version(this.group);
  }

  get(key: string): Uint8Array | undefined {
    return this.current().entries.get(key);
  }

  range(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    const version = this.current();
    const keys = version.keys();
    for (let i = lowerBound(keys, start); i < keys.length && keys[i] < end; i += 1) {
      if (!visit(keys[i], version.entries.get(keys[i]) as Uint8Array)) return;
    }
  }

  reverseRange(start: string, end: string, visit: (key: string, value: Uint8Array) => boolean): void {
    const version = this.current();
    const keys = version.keys();
    for (let i = lowerBound(keys, end) - 1; i >= 0 && keys[i] >= start; i -= 1) {
      if (!visit(keys[i], version.entries.get(keys[i]) as Uint8Array)) return;
    }
  }

  meta(): Uint8Array | null {
    return this.current().meta;
  }

  commit(changes: readonly Block[], draft: CheckpointDraft, done: Done): void {
    const { group, store } = this;
    const apply = (): void => {
      const before = store.version(group);
      const meta = sealChanges(
        (visit) => forEachChange(changes, visit),
        draft,
        (key) => before.entries.get(latin1Decode(key)),
      );
      const sealed = new Map<string, Uint8Array | null>();
      forEachChange(changes, (change) => {
        sealed.set(latin1Decode(change.key), change.valueLength < 0 ? null : copyBytes(change.sealed));
      });
      store.commitCount += 1;
      store.setVersion(group, before.with(sealed, meta.encode()));
    };
    store.transact(this.life, { apply, done, grows: true });
  }

  openReader(): StoreReader {
    return new SimReader(this.current());
  }

  beginReplacement(): StoreReplacement {
    return new SimReplacement(this.group, this.store, this.life);
  }

  drop(done: Done): void {
    this.store.transact(this.life, { apply: () => this.store.setVersion(this.group, null), done, grows: false });
  }
}

class SimReader implements StoreReader {
  readonly meta: Uint8Array;
  private index = 0;
  private closed = false;

  constructor(private readonly version: Version) {
    assert(version.meta !== null, "a store without a commit has nothing to read");
    this.meta = version.meta;
  }

  get(key: string): Uint8Array | undefined {
    assert(!this.closed, "the reader is closed");
    return this.version.entries.get(key);
  }

  next(visit: (key: string, value: Uint8Array) => boolean): boolean {
    assert(!this.closed, "the reader is closed");
    const keys = this.version.keys();
    while (this.index < keys.length) {
      const key = keys[this.index];
      this.index += 1;
      if (!visit(key, this.version.entries.get(key) as Uint8Array)) return true;
    }
    return false;
  }

  close(): void {
    this.closed = true;
  }
}

/** What is collected aside is of no group until the switch: after a crash nobody knows of it. */
class SimReplacement implements StoreReplacement {
  private readonly entries = new Map<string, Uint8Array>();
  private ended = false;

  constructor(
    private readonly group: GroupId,
    private readonly store: SimStateStore,
    private readonly life: number,
  ) {}

  put(entries: ReadonlyMap<string, Uint8Array>, done: Done): void {
    assert(!this.ended, "the replacement has ended");
    const apply = (): void => {
      for (const [key, value] of entries) this.entries.set(key, value);
    };
    this.store.transact(this.life, { apply, done, grows: true });
  }

  finish(meta: Uint8Array, done: Done): void {
    assert(!this.ended, "the replacement has ended");
    this.ended = true;
    const apply = (): void => this.store.setVersion(this.group, new Version(this.entries, meta));
    this.store.transact(this.life, { apply, done, grows: false });
  }

  abort(): void {
    this.ended = true;
  }
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
