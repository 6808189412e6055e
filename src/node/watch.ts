import { latin1Encode } from "../core/bytes.js";
import { Change, END_OF_VERSION } from "../kv/change-history.js";
import { Command, Op } from "../kv/command.js";
import { prefixEnd } from "../kv/key-range.js";
import { ResultKind } from "../kv/result.js";
import { encodePosition, type WatchHandle, type WatchOptions, type WatchSink } from "../kv/watch.js";
import type { WatchedGroup, WatchLimits } from "./watches.js";

/** Of a snapshot's records that are read in one turn, as of those of a range. */
const PAGE_BYTES = 1_048_576;

/** One part of the snapshot: the keys up to `end` (exclusive; "" for all the rest) as they were at this version. */
interface Page {
  readonly end: string;
  readonly version: number;
}

/**
 * One watcher: a place in the history, and what is wanted of it.
 *
 * A snapshot is read a page a turn, while writes go on. Then come the changes since it began, without those that a page
 * shows already; when they have reached the version of the last page, whoever has followed holds the state of that
 * version, and the snapshot has ended.
 */
export class Watch implements WatchHandle {
  /** Number of the first change that it has not looked at. */
  protected next: number;
  private readonly end: string;
  /** In the order of a snapshot's pages. */
  private readonly keys: readonly string[] | null;
  /** Where the next page begins; null when there is none. */
  private pageStart: string | null;
  private pages: Page[] = [];
  private catchingUp: boolean;
  private toldVersion: number;
  private toldMs = Number.NEGATIVE_INFINITY;
  private readonly change = new Change();

  constructor(
    protected readonly group: WatchedGroup,
    readonly options: WatchOptions,
    readonly sink: WatchSink,
    readonly clusterId: string,
    readonly beginVersion: number,
    readonly beginOrdinal: number,
    private readonly closed: () => void,
  ) {
    this.next = group.history.after(beginVersion, beginOrdinal);
    this.end = prefixEnd(options.prefix) ?? "";
    this.keys = options.keys === null ? null : [...options.keys].sort();
    this.pageStart = options.snapshot ? (this.keys?.[0] ?? options.prefix) : null;
    this.catchingUp = options.snapshot;
    this.toldVersion = beginVersion;
  }

  position(version: number, ordinal: number): string {
    return encodePosition(this.clusterId, { group: this.group.id, version, ordinal });
  }

  resume(): void {
    this.group.wake();
  }

  close(): void {
    this.closed();
  }

  /** Whether what it has not heard yet is still there. */
  get isKept(): boolean {
    return this.next >= this.group.history.first;
  }

  /** Answers whether there is more to do at once. */
  deliver(nowMs: number, limits: WatchLimits): boolean {
    const { sink } = this;
    if (!sink.ready()) return false;
    if (this.toldMs === Number.NEGATIVE_INFINITY) this.toldMs = nowMs;
    let told = false;
    if (this.pageStart !== null) {
      this.readPage(this.pageStart, limits.recordsPerTurn);
      told = true;
    } else told = this.tellChanges(limits.changesPerTurn);
    if (this.catchingUp && this.pageStart === null) {
      const target = this.snapshotVersion;
      const { history } = this.group;
      if (this.next === history.end || history.versionOf(this.next) > target) {
        this.catchingUp = false;
        this.pages = [];
        this.tell(target, nowMs);
        sink.snapshotEnded(target);
        told = true;
      }
    }
    if (told && !this.catchingUp) this.toldMs = nowMs;
    else if (this.isProgressDue(nowMs, limits)) {
      this.tell(this.group.history.version, nowMs);
      sink.progressed(this.toldVersion);
      told = true;
    }
    if (told) sink.flush();
    return this.pageStart !== null || this.next < this.group.history.end;
  }

  /** At which the snapshot ends, once its last page is read. */
  private get snapshotVersion(): number {
    return this.pages[this.pages.length - 1].version;
  }

  private tell(version: number, nowMs: number): void {
    this.toldVersion = version;
    this.toldMs = nowMs;
  }

  private isProgressDue(nowMs: number, limits: WatchLimits): boolean {
    const { history } = this.group;
    if (this.catchingUp || this.next !== history.end || nowMs - this.toldMs < limits.progressMs) return false;
    return history.version > this.toldVersion;
  }

  private readPage(start: string, records: number): void {
    const end = this.keys === null ? this.readRange(start, records) : this.readKeys(this.keys, start);
    this.pageStart = end === "" ? null : end;
    this.pages.push({ end, version: this.group.revision() });
  }

  /** Answers where the next page begins; "" for none. */
  private readRange(start: string, records: number): string {
    const range = new Command(Op.range, start);
    range.value = latin1Encode(this.end);
    range.limit = records;
    const result = this.group.read(range);
    for (const { key, version, value } of result.items ?? []) this.sink.record(key, version, value);
    return result.key;
  }

  private readKeys(keys: readonly string[], start: string): string {
    let bytes = 0;
    for (const key of keys) {
      if (key < start) continue;
      if (bytes >= PAGE_BYTES) return key;
      const { kind, version, value } = this.group.read(new Command(Op.get, key));
      if (kind !== ResultKind.value) continue;
      this.sink.record(key, version, value);
      bytes += value.length;
    }
    return "";
  }

  /** Answers whether it had something to tell. One is kept back until it is known whether its version has another one. */
  private tellChanges(limit: number): boolean {
    const { history } = this.group;
    const { sink } = this;
    const end = Math.min(history.end, this.next + limit);
    const lastVersion = this.catchingUp ? this.snapshotVersion : Number.POSITIVE_INFINITY;
    let pending = -1;
    let pendingVersion = 0;
    let told = false;
    for (let number = this.next; number < end; number += 1) {
      if (!sink.ready()) break;
      const version = history.versionOf(number);
      if (version > lastVersion) break;
      this.next = number + 1;
      if (!this.concerns(number)) continue;
      if (pending >= 0) this.tellChange(pending, version === pendingVersion);
      pending = number;
      pendingVersion = version;
      told = true;
    }
    this.advanced();
    if (pending >= 0)
      this.tellChange(pending, this.next < history.end && history.versionOf(this.next) === pendingVersion);
    return told;
  }

  /** It has looked at all before `next`: told it, passed it over, or is about to tell the last of it. */
  protected advanced(): void {}

  /** It tells of this change now, and has looked at all before it. */
  protected reaches(_number: number): void {}

  private concerns(number: number): boolean {
    const { prefix, keys } = this.options;
    const { history } = this.group;
    const key = history.keyOf(number);
    if (keys === null ? !key.startsWith(prefix) : !keys.has(key)) return false;
    if (!this.catchingUp) {
      // A node that lags behind the one that gave the position comes to what was told there.
      return this.isAfterBegin(number);
    }
    return history.versionOf(number) > this.pageOf(key).version;
  }

  private isAfterBegin(number: number): boolean {
    const version = this.group.history.versionOf(number);
    if (version !== this.beginVersion) return version > this.beginVersion;
    this.group.history.read(number, this.change);
    return this.change.ordinal > this.beginOrdinal;
  }

  private pageOf(key: string): Page {
    const { pages } = this;
    let low = 0;
    let high = pages.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (key < pages[middle].end) high = middle;
      else low = middle + 1;
    }
    return pages[low];
  }

  private tellChange(number: number, versionGoesOn: boolean): void {
    const { change, group, options } = this;
    group.history.read(number, change);
    this.toldVersion = group.history.versionOf(number);
    this.reaches(number);
    if (!versionGoesOn) change.ordinal = END_OF_VERSION;
    if (!options.values) change.value = null;
    else if (change.isPut && change.value === null) change.value = this.currentValue(change.key, change.version);
    this.sink.changed(change, !this.catchingUp);
  }

  /** The value that was put under this version, if it is still there. */
  private currentValue(key: string, version: number): Uint8Array | null {
    const result = this.group.read(new Command(Op.get, key));
    return result.kind === ResultKind.value && result.version === version ? result.value : null;
  }
}
