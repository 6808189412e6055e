import type { Command } from "../../kv/command.js";
import { NO_DEADLINE, Op } from "../../kv/command.js";
import { executeRead } from "../../kv/execute.js";
import { ExpiryIndex } from "../../kv/expiry-index.js";
import type { OriginHistory } from "../../kv/origin-history.js";
import type { OriginPlace } from "../../kv/origin-position.js";
import { recordDeadlineMs, recordValue } from "../../kv/record.js";
import type { Result } from "../../kv/result.js";
import { Seen } from "../../kv/seen.js";
import type { Gossip } from "./gossip.js";
import { decodeItems, ITEM_OVERHEAD_BYTES, type Item } from "./item.js";
import type { Origin } from "./origins.js";
import { type Expiry, type Section, SectionKind } from "./section.js";
import type { Stamp } from "./stamp.js";

/** A write in effect of which nobody is told before those of its origin that come before it. */
interface WaitingWrite {
  readonly key: string;
  readonly stamp: Stamp;
  readonly deadlineMs: number;
}

interface Waiting {
  /** By sequence. */
  readonly writes: Map<number, WaitingWrite>;
  lowest: number;
  /** Monotonic: since then none of them could be told. */
  sinceMs: number;
}

/**
 * Notes the changes of one replica for those who watch: what takes effect, each origin's in the order of its sequences.
 * It notes nothing while nobody watches, here or at a peer, nor has lately.
 *
 * What cannot be noted for certain is a hole: the history begins anew behind it, and whoever has not heard of it from
 * elsewhere is told so.
 */
export class ChangeRecorder {
  private isRecording = false;
  /** No deadline that has passed here is later: the clock may have been set back since. */
  private latestMs = 0;
  private watchedMs = Number.NEGATIVE_INFINITY;
  private readonly waiting = new Map<string, Waiting>();
  private waitingCount = 0;
  private waitingBytes = 0;
  /** Of each origin the highest write that a comparison of trees has brought, and that was not told when it counted. */
  private readonly found = new Seen();
  /** There may be writes in effect that comparisons of trees have brought before this process began. */
  private mayHaveFound = false;
  /** Of the section that takes effect, what is not here. */
  private news: readonly Item[] = [];
  private reached: OriginPlace | null = null;

  constructor(
    private readonly gossip: Gossip,
    private readonly history: OriginHistory,
  ) {}

  started(): void {
    this.mayHaveFound = this.gossip.replica.counters.clock.ms > 0;
  }

  /** Peers note changes while this is so: a watcher may go on there. */
  get isWatched(): boolean {
    return this.history.watchers > 0;
  }

  /** Somebody watches, here or at a peer. */
  record(): void {
    this.watchedMs = this.gossip.monotonicMs;
    if (this.isRecording) return;
    this.isRecording = true;
    this.gossip.replica.changes = this;
    this.beginAnew();
  }

  tick(): void {
    this.latestMs = Math.max(this.latestMs, this.gossip.nowMs);
    if (this.isWatched) this.record();
    if (!this.isRecording) return;
    const { monotonicMs } = this.gossip;
    const { ageMsMax } = this.history.limits;
    if (monotonicMs - this.watchedMs > ageMsMax) {
      this.isRecording = false;
      this.gossip.replica.changes = null;
      this.beginAnew();
      return;
    }
    for (const { sinceMs } of this.waiting.values()) {
      if (monotonicMs - sinceMs <= ageMsMax) continue;
      this.beginAnew();
      return;
    }
  }

  /** All that is in effect now is in the past of everybody who hears from here. */
  private beginAnew(): void {
    const { gossip, found } = this;
    for (const { writes } of this.waiting.values()) {
      for (const { stamp } of writes.values()) found.raise(stamp.node, stamp.incarnation, stamp.sequence);
    }
    this.waiting.clear();
    this.waitingCount = 0;
    this.waitingBytes = 0;
    const seen = new Seen();
    seen.merge(found);
    for (const { node, incarnation, have } of gossip.replica.origins.all()) {
      if (have.highest > 0) seen.raise(node, incarnation, have.highest);
    }
    this.reached = null;
    const expiredMs = Math.max(gossip.nowMs, this.latestMs, gossip.replica.counters.expiredThroughMs);
    this.history.begin({ seen, expiredBeforeMs: expiredMs + 1 });
  }

  // What takes effect

  /** A write counts as held. `won`: it is the newest of its key. */
  took(item: Item, won: boolean): void {
    const { stamp } = item;
    // A comparison of trees may have brought it when nobody took note.
    if (!won && !this.isCurrent(item)) return;
    const origin = this.gossip.replica.origins.get(stamp.node, stamp.incarnation);
    const waits = this.waiting.size > 0;
    if (waits) {
      this.drop(origin, stamp.sequence);
      this.release(origin, stamp.sequence - 1);
    }
    if (origin.have.contiguous < stamp.sequence) this.keep(origin, item);
    else if (won) this.tell(item, item.isDelete ? null : item.value);
    else this.tellCurrent(item);
    if (waits) this.release(origin, origin.have.contiguous);
  }

  /** Before a section takes effect. */
  begins(section: Section): void {
    if (section.kind === SectionKind.found)
      this.news = decodeItems(section.batch).filter((item) => !this.isCurrent(item));
    else if (this.isRecording && section.kind === SectionKind.expire) {
      for (const expiry of section.expiries) this.expires(expiry);
    }
  }

  private isCurrent({ key, stamp }: WaitingWrite): boolean {
    return this.gossip.replica.entries.current(key)?.version === stamp.version;
  }

  /** After it did. `counted`: writes count as held by it that did not before. */
  applied(section: Section, counted: boolean): void {
    if (section.kind === SectionKind.found) {
      for (const item of this.news) if (this.isCurrent(item)) this.finds(item);
      this.news = [];
    } else if (counted && this.isRecording && (this.mayHaveFound || this.gossip.recovering)) {
      // What of it is in effect may have been so before anything was noted; and of what was lost, a delete may be everywhere and
      // its tombstone nowhere any more.
      this.beginAnew();
    }
  }

  /** Whether a merge makes writes count that are not held. */
  counts(section: Section): boolean {
    if (!this.isRecording || section.kind !== SectionKind.merge) return false;
    const { origins } = this.gossip.replica;
    return section.vector.entries.some(
      ({ node, incarnation, sequences }) => sequences.minus(origins.find(node, incarnation)?.have ?? null).length > 0,
    );
  }

  private finds(item: Item): void {
    const { stamp } = item;
    const origin = this.gossip.replica.origins.get(stamp.node, stamp.incarnation);
    if (!this.isRecording) this.found.raise(stamp.node, stamp.incarnation, stamp.sequence);
    else if (origin.have.contiguous < stamp.sequence) this.keep(origin, item);
    else this.tellCurrent(item);
  }

  private expires({ key, version }: Expiry): void {
    const { entries, origins } = this.gossip.replica;
    const record = entries.records.stored(key);
    const stamp = record === undefined ? null : entries.current(key);
    if (stamp === null || stamp.version !== version) return;
    const { node, incarnation, sequence } = stamp;
    const origin = origins.get(node, incarnation);
    // Of a write that waits it is told when that has its turn.
    if (origin.have.contiguous < sequence && this.waiting.get(origin.key)?.writes.has(sequence)) return;
    this.history.took(key, stamp, recordDeadlineMs(record!), null, Op.advance);
  }

  // Writes that came before their turn

  private keep(origin: Origin, { key, stamp, deadlineMs }: Item): void {
    let waiting = this.waiting.get(origin.key);
    if (waiting === undefined) {
      waiting = { writes: new Map(), lowest: Number.POSITIVE_INFINITY, sinceMs: this.gossip.monotonicMs };
      this.waiting.set(origin.key, waiting);
    }
    if (waiting.writes.has(stamp.sequence)) return;
    waiting.writes.set(stamp.sequence, { key, stamp, deadlineMs });
    waiting.lowest = Math.min(waiting.lowest, stamp.sequence);
    this.waitingCount += 1;
    this.waitingBytes += ITEM_OVERHEAD_BYTES + key.length;
    const { changesMax, bytesMax } = this.history.limits;
    if (this.waitingCount > changesMax || this.waitingBytes > bytesMax) this.beginAnew();
  }

  /** Tells of those whose turn has come, through a sequence. */
  private release(origin: Origin, through: number): void {
    const waiting = this.waiting.get(origin.key);
    const last = Math.min(through, origin.have.contiguous);
    if (waiting === undefined || waiting.lowest > last) return;
    const due: WaitingWrite[] = [];
    waiting.lowest = Number.POSITIVE_INFINITY;
    for (const [sequence, write] of waiting.writes) {
      if (sequence <= last) due.push(write);
      else waiting.lowest = Math.min(waiting.lowest, sequence);
    }
    waiting.sinceMs = this.gossip.monotonicMs;
    due.sort((a, b) => a.stamp.sequence - b.stamp.sequence);
    for (const write of due) {
      this.drop(origin, write.stamp.sequence);
      this.tellCurrent(write);
    }
  }

  private drop(origin: Origin, sequence: number): void {
    const waiting = this.waiting.get(origin.key);
    const write = waiting?.writes.get(sequence);
    if (waiting === undefined || write === undefined) return;
    waiting.writes.delete(sequence);
    if (waiting.writes.size === 0) this.waiting.delete(origin.key);
    this.waitingCount -= 1;
    this.waitingBytes -= ITEM_OVERHEAD_BYTES + write.key.length;
  }

  /** After all that takes effect in a turn. */
  settle(): void {
    this.reached = null;
    if (this.waiting.size === 0) return;
    for (const origin of this.gossip.replica.origins.all()) this.release(origin, origin.have.contiguous);
  }

  /** As it stands now; not at all if a later write has taken its place. */
  private tellCurrent(write: WaitingWrite): void {
    if (!this.isCurrent(write)) return;
    const record = this.gossip.replica.entries.records.stored(write.key);
    this.tell(write, record === undefined ? null : recordValue(record));
  }

  private tell({ key, stamp, deadlineMs }: WaitingWrite, value: Uint8Array | null): void {
    const isMortal = deadlineMs !== NO_DEADLINE;
    // What has a deadline and no value has expired, here or where it comes from.
    const end = isMortal ? Op.advance : Op.delete;
    this.history.took(
      key,
      stamp,
      isMortal ? deadlineMs : Number.POSITIVE_INFINITY,
      value,
      value === null ? end : Op.set,
    );
  }

  // What the watches ask

  /** Who has heard of all that is noted has heard of this. */
  reach(): OriginPlace {
    if (this.reached === null) {
      const seen = new Seen();
      for (const { node, incarnation, have } of this.gossip.replica.origins.all()) {
        if (have.contiguous > 0) seen.raise(node, incarnation, have.contiguous);
      }
      const earliestMs = new ExpiryIndex(this.gossip.state).earliestMs();
      this.reached = { seen, expiredBeforeMs: Math.min(earliestMs, Number.MAX_SAFE_INTEGER) };
    }
    return this.reached;
  }

  read(command: Command): Result {
    const { replica, nowMs } = this.gossip;
    replica.meta.timeMs = nowMs;
    return executeRead(replica.entries.records, command);
  }
}
