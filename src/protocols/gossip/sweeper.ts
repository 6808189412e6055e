import { Claims } from "./credibility.js";
import type { Gossip } from "./gossip.js";
import type { Origin } from "./origins.js";
import { lostGaps } from "./past-lives.js";
import { stableThrough } from "./repair.js";
import { type Expiry, SectionKind } from "./section.js";
import type { Stamp } from "./stamp.js";

/** Ticks between two sweeps of one kind. */
const EXPIRE_TICKS = 5;
const TRIM_TICKS = 15;
const TRIM_PHASE = 7;
const HOUSEKEEPING_TICKS = 50;
const EXPIRY_OVERHEAD_BYTES = 10;

/** What has had its time: deadlines, tombstones that all members hold, rows that nobody will ask for. */
export class Sweeper {
  /** A sweep waits until the one before has taken effect. */
  private busyThrough = 0;
  /** There was more to trim than one sweep takes. */
  private trimGoesOn = false;

  private readonly claims: Claims;

  constructor(protected readonly gossip: Gossip) {
    this.claims = new Claims(gossip);
  }

  started(): void {
    this.buildTree();
  }

  private buildTree(): void {
    this.gossip.replica.entries.buildTree(this.gossip.options.maxSweep * 4);
  }

  tick(): void {
    const { gossip } = this;
    const { ticks, options } = gossip;
    this.buildTree();
    if (gossip.gateway.refusal !== "" || gossip.appliedPosition < this.busyThrough) return;
    const before = gossip.log.sectionCount;
    gossip.antiEntropy.intake.releaseParked(options.maxSweep);
    // Never both at once: what an expiry makes a tombstone, a trim would collect unannounced.
    if (ticks % EXPIRE_TICKS === 0) this.expire();
    else if (this.trimGoesOn || ticks % TRIM_TICKS === TRIM_PHASE) this.trimAll();
    if (ticks % HOUSEKEEPING_TICKS === 0) {
      this.boundIndex();
      this.closeGaps();
      this.claims.review(options.maxSweep);
    }
    if (gossip.log.sectionCount > before) this.busyThrough = gossip.log.newestPosition;
  }

  private expire(): void {
    const { replica, nowMs, options, log, antiEntropy } = this.gossip;
    const expiries: Expiry[] = [];
    let bytes = 0;
    for (const expiry of replica.entries.due(nowMs, options.maxSweep)) {
      bytes += expiry.key.length + EXPIRY_OVERHEAD_BYTES;
      if (expiries.length > 0 && bytes > options.maxRecordBytes) break;
      const stamp = replica.entries.current(expiry.key)!;
      // Without a tombstone, if all members hold the value: then nothing older may be parked here.
      const isCollected = stamp.sequence <= replica.origins.get(stamp.node, stamp.incarnation).trimmed;
      if (isCollected && antiEntropy.intake.parksUpTo(stamp)) continue;
      if (isCollected) antiEntropy.intake.collects(stamp);
      expiries.push(expiry);
    }
    if (expiries.length === 0) return;
    log.add({ kind: SectionKind.expire, expiries });
  }

  private trimAll(): void {
    this.trimGoesOn = false;
    for (const origin of this.gossip.replica.origins.all()) this.trim(origin);
  }

  private trim(origin: Origin): void {
    const { replica, log, options, antiEntropy } = this.gossip;
    const stable = this.stableThrough(origin);
    if (stable <= origin.trimmed) return;
    const first = origin.trimmed + 1;
    // Without a tombstone to look for, all rows go at once.
    const rows = replica.counters.tombstones === 0 ? [] : replica.index.rows(origin, first, stable, options.maxSweep);
    const through = rows.length < options.maxSweep ? stable : rows[rows.length - 1].sequence;
    if (through < stable) this.trimGoesOn = true;
    const tombstones: Stamp[] = [];
    for (const { sequence, key } of rows) {
      const tombstone = replica.entries.tombstoneOf(key, origin.node, origin.incarnation, sequence);
      if (tombstone !== null) tombstones.push(tombstone);
    }
    // An older write may be parked here, if the clock was behind when that came: it has to find the tombstone.
    if (tombstones.some((stamp) => antiEntropy.intake.parksUpTo(stamp))) return;
    for (const stamp of tombstones) antiEntropy.intake.collects(stamp);
    log.add({ kind: SectionKind.trim, node: origin.node, incarnation: origin.incarnation, through });
  }

  /** Overridden by a canary. */
  protected stableThrough(origin: Origin): number {
    return stableThrough(origin, this.gossip.antiEntropy.peers.values());
  }

  private closeGaps(): void {
    const { gossip } = this;
    for (const origin of gossip.replica.origins.all()) {
      if (origin.node === gossip.node && origin.incarnation === gossip.hard.incarnation) continue;
      const vector = lostGaps(gossip, origin);
      if (vector !== null) gossip.log.add({ kind: SectionKind.merge, vector });
    }
  }

  /** The origin with the longest index loses its oldest rows. */
  private boundIndex(): void {
    const { replica, log, options } = this.gossip;
    let longest: Origin | null = null;
    let count = 0;
    for (const origin of replica.origins.all()) {
      count += lengthOf(origin);
      if (longest === null || lengthOf(origin) > lengthOf(longest)) longest = origin;
    }
    if (longest === null || count <= options.maxIndexed) return;
    const through = Math.min(longest.have.highest, longest.floor + count - options.maxIndexed);
    log.add({ kind: SectionKind.floor, node: longest.node, incarnation: longest.incarnation, through });
  }
}

/** How many rows it has above its floor, at most: those below are of tombstones, and stay until these are collected. */
function lengthOf(origin: Origin): number {
  return origin.have.highest - origin.floor;
}
