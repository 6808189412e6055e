import { allocate, EMPTY_BYTES } from "../../core/bytes.js";
import type { State } from "../../core/state.js";
import { NO_DEADLINE } from "../../kv/command.js";
import { ExpiryIndex } from "../../kv/expiry-index.js";
import { getU53, putU53 } from "../../kv/fixed-integers.js";
import type { Meta } from "../../kv/meta.js";
import {
  encodeStampedRecord,
  RECORD_STAMP_BYTES,
  recordDeadlineMs,
  recordFlags,
  recordStampAt,
  recordValue,
  recordVersion,
} from "../../kv/record.js";
import { Records } from "../../kv/records.js";
import type { Counters } from "./counters.js";
import { Digest, HashTree, hashOf } from "./hash-tree.js";
import { Item } from "./item.js";
import { compareStamps, getStamp, putStamp, Stamp } from "./stamp.js";
import { endOf, GossipTable } from "./tables.js";

const HASH_CHARS = 4;
const KEY_AT = 1 + HASH_CHARS;

/** What a key has now. */
export class Entry extends Stamp {
  isTombstone = false;
  deadlineMs: number = NO_DEADLINE;
}

/** The newest write of every key: a record, or the tombstone of one. The last writer wins, by the stamps alone. */
export class Entries {
  readonly records: Records;
  private readonly expiry: ExpiryIndex;
  private readonly tree = new HashTree();
  /** The tree counts the rows of the hash table that are below; null: all of them. */
  private builtBelow: string | null = GossipTable.hash;

  constructor(
    private readonly state: State,
    private readonly meta: Meta,
    private readonly counters: Counters,
  ) {
    this.records = new Records(state, meta);
    this.expiry = new ExpiryIndex(state);
  }

  /** The newest write of the key that is in effect; null if none is, or its tombstone was collected. */
  current(key: string): Entry | null {
    const record = this.records.stored(key);
    if (record !== undefined) {
      const entry = getStamp(Entry, record, recordStampAt(record), recordVersion(record));
      entry.deadlineMs = recordDeadlineMs(record);
      return entry;
    }
    return this.counters.tombstones === 0 ? null : this.tombstone(key);
  }

  /** The version of what {@link current} answers; 0 for null. */
  currentVersion(key: string): number {
    const record = this.records.stored(key);
    if (record !== undefined) return recordVersion(record);
    return this.counters.tombstones === 0 ? 0 : (this.tombstone(key)?.version ?? 0);
  }

  /** The newest write of the key, as it travels. What it depended on is not kept once it is held here. */
  item(key: string): Item | null {
    const record = this.records.stored(key);
    if (record === undefined) {
      const row = this.state.get(GossipTable.tombstone + key);
      if (row === undefined) return null;
      const item = new Item(getStamp(Stamp, row, 0), key, true);
      if (row.length > RECORD_STAMP_BYTES) item.deadlineMs = getU53(row, RECORD_STAMP_BYTES);
      return item;
    }
    const item = new Item(getStamp(Stamp, record, recordStampAt(record), recordVersion(record)), key, false);
    item.deadlineMs = recordDeadlineMs(record);
    item.recordFlags = recordFlags(record);
    item.value = recordValue(record).slice();
    return item;
  }

  private tombstone(key: string): Entry | null {
    const row = this.state.get(GossipTable.tombstone + key);
    if (row === undefined) return null;
    const entry = getStamp(Entry, row, 0);
    entry.isTombstone = true;
    return entry;
  }

  /** Puts the write in the place of `before`, which is what {@link current} has answered, or leaves it: it has lost. */
  take(item: Item, before: Entry | null): boolean {
    if (before !== null && compareStamps(item.stamp, before) <= 0) return false;
    const { key, stamp } = item;
    const hadDeadlineMs = before === null ? NO_DEADLINE : before.deadlineMs;
    const deadlineMs = item.isDelete ? NO_DEADLINE : item.deadlineMs;
    if (hadDeadlineMs !== deadlineMs) {
      if (hadDeadlineMs !== NO_DEADLINE) this.expiry.remove(hadDeadlineMs, key);
      if (deadlineMs !== NO_DEADLINE) this.expiry.add(deadlineMs, key);
    }
    const hadRecord = before !== null && !before.isTombstone;
    if (before?.isTombstone) this.removeTombstone(key);
    if (!item.isDelete) {
      if (!hadRecord) this.meta.recordCount += 1;
      this.putRecord(item);
    } else {
      if (hadRecord) this.deleteRecord(key);
      this.putTombstone(key, stamp, item.deadlineMs);
    }
    const hash = hashOf(key);
    if (before === null) this.state.put(hashRow(hash, key), EMPTY_BYTES);
    this.count(hash, key, before, stamp);
    return true;
  }

  private putRecord({ stamp, key, deadlineMs, recordFlags: flags, value }: Item): void {
    const record = encodeStampedRecord(stamp.version, deadlineMs, flags, value);
    putStamp(record, recordStampAt(record), stamp);
    this.state.put(this.records.stateKey(key), record);
  }

  private deleteRecord(key: string): void {
    this.state.delete(this.records.stateKey(key));
    this.meta.recordCount -= 1;
  }

  /** `deadlineMs`: the one that has passed; {@link NO_DEADLINE} of a delete. */
  private putTombstone(key: string, stamp: Stamp, deadlineMs: number): void {
    const isExpiry = deadlineMs !== NO_DEADLINE;
    const row = allocate(RECORD_STAMP_BYTES + (isExpiry ? 8 : 0));
    putStamp(row, 0, stamp);
    if (isExpiry) {
      putU53(row, RECORD_STAMP_BYTES, deadlineMs);
      this.counters.expiredThroughMs = Math.max(this.counters.expiredThroughMs, deadlineMs);
    }
    this.state.put(GossipTable.tombstone + key, row);
    this.counters.tombstones += 1;
  }

  private removeTombstone(key: string): void {
    this.state.delete(GossipTable.tombstone + key);
    this.counters.tombstones -= 1;
  }

  /** Whether the record of that version is a tombstone from now on: of the same stamp, so the tree does not change. */
  expire(key: string, version: number): Stamp | null {
    const entry = this.current(key);
    if (entry === null || entry.isTombstone || entry.version !== version) return null;
    if (entry.deadlineMs !== NO_DEADLINE) this.expiry.remove(entry.deadlineMs, key);
    this.deleteRecord(key);
    this.putTombstone(key, entry, entry.deadlineMs);
    return entry;
  }

  /** Keys whose deadline is not after `timeMs`, with their versions; the earliest first. */
  due(timeMs: number, limit: number): { readonly key: string; readonly version: number }[] {
    const keys = this.expiry.due(timeMs, limit);
    if (keys === null) return [];
    const due: { key: string; version: number }[] = [];
    for (const key of keys) {
      const entry = this.current(key);
      if (entry !== null) due.push({ key, version: entry.version });
    }
    return due;
  }

  /** The tombstone of the key if it is of that write; null otherwise. */
  tombstoneOf(key: string, node: number, incarnation: number, sequence: number): Stamp | null {
    if (this.counters.tombstones === 0) return null;
    const entry = this.tombstone(key);
    if (entry === null || entry.node !== node || entry.incarnation !== incarnation) return null;
    return entry.sequence === sequence ? entry : null;
  }

  /** Every member has it: nothing older can come any more. */
  collect(key: string, stamp: Stamp): void {
    const hash = hashOf(key);
    this.removeTombstone(key);
    this.state.delete(hashRow(hash, key));
    this.count(hash, key, stamp, null);
  }

  // The hash tree

  /** Counts an entry that changed, if the tree has come that far. Overridden by a canary. */
  protected count(hash: number, key: string, before: Stamp | null, after: Stamp | null): void {
    if (this.builtBelow !== null && hashRow(hash, key) >= this.builtBelow) return;
    if (before !== null) this.tree.toggle(hash, before.version, -1);
    if (after !== null) this.tree.toggle(hash, after.version, 1);
  }

  get treeIsBuilt(): boolean {
    return this.builtBelow === null;
  }

  /** After a start the tree is summed up again, `limit` rows at a time. */
  buildTree(limit: number): void {
    if (this.builtBelow === null) return;
    const rows: string[] = [];
    this.state.range(this.builtBelow, endOf(GossipTable.hash), (row) => {
      rows.push(row);
      return rows.length <= limit;
    });
    const next = rows.length > limit ? rows.pop()! : null;
    for (const row of rows) {
      const key = row.slice(KEY_AT);
      const stamp = this.current(key);
      if (stamp !== null) this.tree.toggle(hashOf(key), stamp.version, 1);
    }
    this.builtBelow = next;
  }

  /** Sum over the entries whose key hash is in `first` to `last`, both inclusive. */
  digest(first: number, last: number): Digest {
    if (this.tree.covers(first, last)) return this.tree.sum(first, last);
    const digest = new Digest();
    this.eachIn(first, last, (key, hash) => {
      const stamp = this.current(key);
      if (stamp !== null) digest.toggle(hash, stamp.version, 1);
      return true;
    });
    return digest;
  }

  /** Visits keys in the order of their hashes until `visit` answers false. */
  eachIn(first: number, last: number, visit: (key: string, hash: number) => boolean): void {
    const end = last === 0xffff_ffff ? endOf(GossipTable.hash) : GossipTable.hash + hashChars(last + 1);
    const found: string[] = [];
    // The visitor reads the state: the rows are collected before.
    this.state.range(GossipTable.hash + hashChars(first), end, (row) => {
      found.push(row);
      return found.length < VISIT_MAX;
    });
    for (const row of found) {
      const key = row.slice(KEY_AT);
      if (!visit(key, hashOf(key))) return;
    }
  }
}

/** A leaf of the tree that holds more than this is summed up in part; so is its twin, and what differs is still found. */
const VISIT_MAX = 65_536;

function hashRow(hash: number, key: string): string {
  return GossipTable.hash + hashChars(hash) + key;
}

function hashChars(hash: number): string {
  return String.fromCharCode(hash >>> 24, (hash >>> 16) & 0xff, (hash >>> 8) & 0xff, hash & 0xff);
}
