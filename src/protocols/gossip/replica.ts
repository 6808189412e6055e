import { ByteReader, ByteWriter } from "../../core/bytes.js";
import { compareHybrid, type HybridTime, mergeHybrid } from "../../core/hybrid-clock.js";
import type { Incarnation, NodeId } from "../../core/machine.js";
import type { State } from "../../core/state.js";
import { Meta } from "../../kv/meta.js";
import { Seen, SeenOrigin } from "../../kv/seen.js";
import { orderedInteger } from "../../kv/tables.js";
import type { ChangeRecorder } from "./change-recorder.js";
import { Counters } from "./counters.js";
import { Entries } from "./entries.js";
import { BatchReader, decodeItems, encodeItems, type Item } from "./item.js";
import { type Origin, Origins, type Vector } from "./origins.js";
import { type Cover, type Expiry, type Section, SectionKind } from "./section.js";
import { compareStamps, type Stamp } from "./stamp.js";
import { endOf, GossipTable } from "./tables.js";
import { WriteIndex } from "./write-index.js";

const ROWS_AT_ONCE = 1_024;

/**
 * What one replica holds durably: a function of its log, section by section. All it knows is in the {@link State}; a new
 * one on an old state goes on as if it had been there all along.
 */
export class Replica {
  readonly meta: Meta;
  readonly counters: Counters;
  readonly origins: Origins;
  readonly entries: Entries;
  readonly index: WriteIndex;
  /** What everybody depends on who reads here, until it is held here: a peer held it when it passed on what is here. */
  barrier: SeenOrigin[] = [];
  private barrierChanged = false;
  private dependenciesLookedAt: string = GossipTable.dependencies;
  /** Hears of every write that takes effect here for the first time. */
  onApply: ((node: NodeId, incarnation: Incarnation, sequence: number) => void) | null = null;

  /** Notes what takes effect; null while nobody watches. */
  changes: ChangeRecorder | null = null;

  constructor(private readonly state: State) {
    this.meta = new Meta(state);
    this.counters = new Counters(state);
    this.origins = new Origins(state);
    this.entries = this.createEntries(state);
    this.index = new WriteIndex(state, this.counters);
    const barrier = state.get(GossipTable.barrier);
    if (barrier !== undefined) this.barrier = decodeSeenOrigins(barrier);
    this.eachParked((item) => {
      this.origins.get(item.stamp.node, item.stamp.incarnation).taken.add(item.stamp.sequence);
      return true;
    });
  }

  /** Overridden by a canary. */
  protected createEntries(state: State): Entries {
    return new Entries(state, this.meta, this.counters);
  }

  apply(section: Section): void {
    switch (section.kind) {
      case SectionKind.writes:
        this.applyBatch(section.batch);
        return;
      case SectionKind.park:
        for (const item of decodeItems(section.batch)) this.park(item);
        return;
      case SectionKind.found:
        for (const item of decodeItems(section.batch)) this.applyFound(item);
        return;
      case SectionKind.covers:
        for (const cover of section.covers) this.applyCover(cover);
        return;
      case SectionKind.merge:
        this.merge(section.vector);
        return;
      case SectionKind.expire:
        for (const expiry of section.expiries) this.expire(expiry);
        return;
      case SectionKind.trim:
        this.trim(this.origins.get(section.node, section.incarnation), section.through);
        return;
      case SectionKind.floor:
        this.raiseFloor(this.origins.get(section.node, section.incarnation), section.through);
        return;
      case SectionKind.barrier:
        this.raiseBarrier(section.vector);
    }
  }

  /** After the sections of a record. */
  save(): void {
    if (this.barrierChanged) this.saveBarrier();
    this.origins.save();
    this.meta.timeMs = this.counters.clock.ms;
    this.meta.save();
    this.counters.save();
  }

  private saveBarrier(): void {
    if (this.barrier.length === 0) this.state.delete(GossipTable.barrier);
    else this.state.put(GossipTable.barrier, encodeSeenOrigins(this.barrier));
    this.barrierChanged = false;
  }

  // Writes

  private applyBatch(batch: Uint8Array): void {
    const reader = new BatchReader(batch);
    while (reader.next()) this.applyItem(reader.item());
  }

  applyItem(item: Item): void {
    const { stamp, key } = item;
    const origin = this.origins.get(stamp.node, stamp.incarnation);
    if (this.counters.parked > 0) this.unpark(stamp);
    const before = this.entries.current(key);
    this.countOverwritten(item, before);
    const won = this.entries.take(item, before);
    if (won) {
      this.replaced(before);
      this.noteDependencies(item);
    }
    this.holds(origin, stamp.sequence, key);
    if (this.changes !== null) this.changes.took(item, won);
    this.counters.clock = mergeHybrid(this.counters.clock, stamp);
    this.onApply?.(stamp.node, stamp.incarnation, stamp.sequence);
  }

  /** In the order of hashes: their sequences would make an exception each. The end of the comparison counts them all. */
  private applyFound(item: Item): void {
    const { stamp, key } = item;
    const before = this.entries.current(key);
    this.countOverwritten(item, before);
    if (!this.entries.take(item, before)) return;
    this.replaced(before);
    this.noteDependencies(item);
    const origin = this.origins.get(stamp.node, stamp.incarnation);
    // It cannot be passed on by its sequence: a tombstone alone needs its row, to be collected by.
    if (item.isDelete && stamp.sequence > origin.trimmed) this.index.put(origin, stamp.sequence, key);
    this.counters.clock = mergeHybrid(this.counters.clock, stamp);
  }

  private holds(origin: Origin, sequence: number, key: string): void {
    origin.have.add(sequence);
    origin.taken.add(sequence);
    this.origins.changed(origin);
    if (sequence > origin.trimmed) this.index.put(origin, sequence, key);
  }

  /** Below the floor a row is there for a tombstone to be collected by: that is gone. */
  private replaced(before: Stamp | null): void {
    if (before === null) return;
    const origin = this.origins.find(before.node, before.incarnation);
    if (origin === undefined || before.sequence > origin.floor || before.sequence <= origin.trimmed) return;
    this.index.delete(origin, before.sequence);
  }

  /** Of two writes of which neither knew the other, one is lost to readers. Writes of one node follow each other. */
  private countOverwritten({ stamp }: Item, before: Stamp | null): void {
    if (before === null || compareStamps(stamp, before) === 0) return;
    if (stamp.node === before.node && stamp.incarnation === before.incarnation) return;
    if (stamp.replaced !== before.version && before.replaced !== stamp.version) this.counters.overwritten += 1;
  }

  private noteDependencies({ key, dependencies }: Item): void {
    const row = GossipTable.dependencies + key;
    if (this.counters.dependents > 0 && this.state.get(row) !== undefined) {
      this.state.delete(row);
      this.counters.dependents -= 1;
    }
    const missing = dependencies.filter((it) => !this.holdsAll(it));
    if (missing.length === 0) return;
    this.state.put(row, encodeSeenOrigins(missing));
    this.counters.dependents += 1;
  }

  /** What the newest write of the key depended on and was not here when it came; null for nothing. */
  dependenciesOf(key: string): SeenOrigin[] | null {
    if (this.counters.dependents === 0) return null;
    const row = this.state.get(GossipTable.dependencies + key);
    return row === undefined ? null : decodeSeenOrigins(row);
  }

  /**
   * Rows of dependencies that are held by now say nothing any more, nor those of which `isVoid` says so. Looks at `limit`
   * rows, goes on behind them the next time, and answers whether it has come to the end.
   */
  forgetDependencies(limit: number, isVoid: (it: SeenOrigin) => boolean): boolean {
    if (this.counters.dependents === 0) return true;
    const held: string[] = [];
    let left = limit;
    const from = this.dependenciesLookedAt;
    this.dependenciesLookedAt = GossipTable.dependencies;
    this.state.range(from, endOf(GossipTable.dependencies), (key, row) => {
      // Each is asked about, whatever the others say: `isVoid` takes note of them.
      if (decodeSeenOrigins(row).filter((it) => !this.holdsAll(it) && !isVoid(it)).length === 0) held.push(key);
      left -= 1;
      if (left === 0) this.dependenciesLookedAt = `${key}\0`;
      return left > 0;
    });
    const isEnd = left > 0;
    if (held.length === 0) return isEnd;
    for (const key of held) this.state.delete(key);
    this.counters.dependents -= held.length;
    this.counters.save();
    return isEnd;
  }

  private raiseBarrier(vector: Vector): void {
    for (const { node, incarnation, sequences } of vector.entries) {
      if (sequences.contiguous > 0) this.barrier.push(new SeenOrigin(node, incarnation, sequences.contiguous));
    }
    this.lowerBarrier(() => false);
  }

  /** Forgets what is held by now, and what `isLost` says that nobody will ever have. */
  lowerBarrier(isLost: (origin: SeenOrigin) => boolean): void {
    if (this.barrier.length === 0) return;
    const left = new Seen();
    for (const it of this.barrier) {
      if (!this.holdsAll(it) && !isLost(it)) left.raise(it.node, it.incarnation, it.sequence);
    }
    this.barrier = left.origins;
    this.barrierChanged = true;
  }

  holdsAll({ node, incarnation, sequence }: SeenOrigin): boolean {
    const origin = this.origins.find(node, incarnation);
    return origin !== undefined && origin.have.contiguous >= sequence;
  }

  private applyCover({ node, incarnation, sequence, key }: Cover): void {
    this.holds(this.origins.get(node, incarnation), sequence, key);
  }

  // Parked writes

  private park(item: Item): void {
    const row = parkedRow(item.stamp);
    if (this.state.get(row) !== undefined) return;
    const bytes = encodeItems([item]);
    this.state.put(row, bytes);
    this.counters.parked += 1;
    this.counters.parkedBytes += bytes.length;
    const origin = this.origins.get(item.stamp.node, item.stamp.incarnation);
    origin.taken.add(item.stamp.sequence);
  }

  private unpark(stamp: Stamp): void {
    const row = parkedRow(stamp);
    const bytes = this.state.get(row);
    if (bytes === undefined) return;
    this.counters.parked -= 1;
    this.counters.parkedBytes -= bytes.length;
    this.state.delete(row);
  }

  /** The earliest stamps first, until `visit` answers false. */
  eachParked(visit: (item: Item) => boolean): void {
    if (this.counters.parked === 0) return;
    this.state.range(GossipTable.parked, endOf(GossipTable.parked), (_key, bytes) => visit(decodeItems(bytes)[0]));
  }

  /** Whether a write waits for the clock that is not later than that. */
  parksUpTo(stamp: HybridTime): boolean {
    let found = false;
    this.eachParked((item) => {
      found = compareHybrid(item.stamp, stamp) <= 0;
      return false;
    });
    return found;
  }

  // What a peer held

  private merge(vector: Vector): void {
    for (const { node, incarnation, sequences } of vector.entries) {
      if (!this.origins.mayKnow(node, incarnation)) continue;
      const origin = this.origins.get(node, incarnation);
      if (sequences.minus(origin.have).length === 0) continue;
      origin.have.merge(sequences);
      origin.taken.merge(sequences);
      // What was merged has no rows here: it cannot be passed on by its sequence.
      origin.floor = Math.max(origin.floor, sequences.highest);
      this.origins.changed(origin);
    }
  }

  // Expiry and collection

  private expire({ key, version }: Expiry): void {
    const stamp = this.entries.expire(key, version);
    if (stamp === null) return;
    const origin = this.origins.get(stamp.node, stamp.incarnation);
    // Whoever holds the value lets it expire without being told.
    if (stamp.sequence <= origin.trimmed) this.collect(key, stamp);
    else this.index.put(origin, stamp.sequence, key);
  }

  private collect(key: string, stamp: Stamp): void {
    this.entries.collect(key, stamp);
    if (compareHybrid(stamp, this.counters.collected) > 0) {
      this.counters.collected = { ms: stamp.ms, logical: stamp.logical };
    }
  }

  private trim(origin: Origin, through: number): void {
    if (through <= origin.trimmed) return;
    if (this.counters.tombstones > 0) this.collectThrough(origin, through);
    this.index.deleteThrough(origin, origin.trimmed + 1, through);
    origin.trimmed = through;
    origin.floor = Math.max(origin.floor, through);
    this.origins.changed(origin);
  }

  private collectThrough(origin: Origin, through: number): void {
    for (const { sequence, key } of this.index.rows(origin, origin.trimmed + 1, through, Number.POSITIVE_INFINITY)) {
      const tombstone = this.entries.tombstoneOf(key, origin.node, origin.incarnation, sequence);
      if (tombstone !== null) this.collect(key, tombstone);
    }
  }

  /** A tombstone keeps its row: it is by this that it will be collected. */
  private raiseFloor(origin: Origin, through: number): void {
    if (through <= origin.floor) return;
    let next = origin.floor + 1;
    while (next <= through) {
      const rows = this.index.rows(origin, next, through, ROWS_AT_ONCE);
      for (const { sequence, key } of rows) {
        if (this.entries.tombstoneOf(key, origin.node, origin.incarnation, sequence) === null) {
          this.index.delete(origin, sequence);
        }
      }
      next = rows.length < ROWS_AT_ONCE ? through + 1 : rows[rows.length - 1].sequence + 1;
    }
    origin.floor = through;
    this.origins.changed(origin);
  }
}

function encodeSeenOrigins(origins: readonly SeenOrigin[]): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u16(origins.length);
  for (const { node, incarnation, sequence } of origins) {
    writer.u16(node);
    writer.u53(incarnation);
    writer.u53(sequence);
  }
  return writer.copy();
}

function decodeSeenOrigins(row: Uint8Array): SeenOrigin[] {
  const reader = new ByteReader(row);
  const found: SeenOrigin[] = [];
  for (let left = reader.u16(); left > 0; left -= 1) {
    found.push(new SeenOrigin(reader.u16(), reader.u53(), reader.u53()));
  }
  return found;
}

function parkedRow(stamp: Stamp): string {
  const time = orderedInteger(stamp.ms) + orderedInteger(stamp.logical);
  const name = orderedInteger(stamp.node) + orderedInteger(stamp.incarnation) + orderedInteger(stamp.sequence);
  return GossipTable.parked + time + name;
}
